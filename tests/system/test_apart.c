/*
 * What the processes of one posternd have in common: nothing that one could
 * use against another; and no child outlives it, whatever id it has by then.
 */
#include "tests/lib/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/server.h"

#define FIRST 6
#define LAST 200
#define FDS 512
#define MAP_FIRST 700000u

static const char two[] = "tenant \"a\" { listen \"unix:@/sock\" { protocol = 9p }\n"
                          "  share \"rw\" { path = \"@/rw\" access = read-write } }\n"
                          "tenant \"b\" { listen \"unix:@/other\" { protocol = 9p }\n"
                          "  share \"ro\" { path = \"@/ro\" access = read-only } }\n";
enum { A_HELPER, B_HELPER, A_WORKER, B_WORKER, CHILDREN };

/* As whoever starts posternd may have them open: without O_CLOEXEC. */
static void
no_fd_of_many_that_posternd_was_started_with_reaches_a_child(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];
    struct stat secret;
    int fd;

    server_file(s, "secret", "x");
    server_file(s, "policy.conf", two);
    fd = open(server_path(s, "secret"), O_RDWR | O_CLOEXEC);
    assert_int_equal(fstat(fd, &secret), 0);
    for (int at = FIRST; at <= LAST; at++)
        if (at != fd && fcntl(at, F_GETFD) < 0)
            assert_int_equal(dup2(fd, at), at);
    server_start(s, NULL);
    for (int at = FIRST; at <= LAST; at++)
        if (at != fd && (fcntl(at, F_GETFD) & FD_CLOEXEC) == 0)
            (void)close(at);
    (void)close(fd);
    assert_int_equal(server_children(s, v, CHILDREN), CHILDREN);
    for (unsigned i = 0; i < CHILDREN; i++)
        for (int at = 0; at < FDS; at++) {
            char path[64];
            struct stat st;

            (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", v[i].pid, at);
            if (stat(path, &st) == 0 && st.st_dev == secret.st_dev && st.st_ino == secret.st_ino)
                fail_msg("fd %d of child %u", at, i);
        }
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* prlimit(2) takes more rights than to look. */
static struct rlimit
fds_of(pid_t pid)
{
    struct rlimit rl = {0};
    char path[64], line[256];
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/limits", pid);
    f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "Max open files", 14) == 0) {
            char *end;

            rl.rlim_cur = strtoull(line + 14, &end, 10);
            rl.rlim_max = strtoull(end, NULL, 10);
        }
    fclose(f);
    assert_int_not_equal(rl.rlim_max, 0);
    return rl;
}

/* Of children that posternd, started with that soft limit, has. */
static void
limits_of_children(struct server *s, rlim_t soft, struct rlimit *ret)
{
    struct server_child v[CHILDREN];
    struct rlimit was, few, now;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = (struct rlimit){.rlim_cur = soft, .rlim_max = was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    server_start(s, NULL);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    now = fds_of(s->pid);
    assert_int_equal(now.rlim_cur, was.rlim_max);
    assert_int_equal(now.rlim_max, was.rlim_max);
    assert_int_equal(server_children(s, v, CHILDREN), CHILDREN);
    for (unsigned i = 0; i < CHILDREN; i++)
        ret[i] = fds_of(v[i].pid);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
posternd_takes_all_the_fds_it_may_have_and_children_get_no_more_for_it(void **state)
{
    struct server *s = *state;
    struct rlimit few[CHILDREN], most[CHILDREN], own;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &own), 0);
    server_file(s, "policy.conf", two);
    limits_of_children(s, 64, few);
    limits_of_children(s, own.rlim_max, most);
    assert_memory_equal(few, most, sizeof(few));
}

/* What an fd is, as far as /proc tells; anonymous ones by what they are mapped
 * or counted as. False: there is none, or it is one that all may have. */
static bool
fd_is(pid_t pid, int fd, char *what, size_t room)
{
    char path[64], link[256] = "";
    struct stat st;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
    if (readlink(path, link, sizeof(link) - 1) < 0 || stat(path, &st) < 0)
        return false;
    /* all anonymous inodes are one */
    if (strncmp(link, "anon_inode:", strlen("anon_inode:")) == 0)
        return false;
    (void)snprintf(what, room, "%llu:%llu", (unsigned long long)st.st_dev,
                   (unsigned long long)st.st_ino);
    return true;
}

static void
assert_no_fd_in_common(pid_t a, pid_t b)
{
    char mine[64], its[64];

    for (int i = 0; i < FDS; i++) {
        if (!fd_is(a, i, mine, sizeof(mine)))
            continue;
        for (int j = 0; j < FDS; j++)
            if (fd_is(b, j, its, sizeof(its)) && strcmp(mine, its) == 0)
                fail_msg("fd %d of %d is fd %d of %d: %s", i, a, j, b, mine);
    }
}

/* The channel's memory that a process has mapped, by its inode; 0: none. */
static unsigned long long
channel_of(pid_t pid)
{
    char path[64], line[512];
    unsigned long long ino = 0;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/maps", pid);
    f = fopen(path, "re");
    assert_non_null(f);
    while (ino == 0 && fgets(line, sizeof(line), f) != NULL) {
        const char *at = strstr(line, "/memfd:postern-channel");

        while (at != NULL && at > line && at[-1] == ' ')
            at--;
        while (at != NULL && at > line && at[-1] != ' ')
            at--;
        if (at != NULL)
            ino = strtoull(at, NULL, 10);
    }
    (void)fclose(f);
    return ino;
}

static void
assert_no_namespace_in_common(pid_t a, pid_t b)
{
    static const char *const names[] = {"mnt", "pid", "net", "ipc", "uts", "cgroup"};

    for (unsigned i = 0; i < COUNT(names); i++) {
        char path[64], mine[64] = "", its[64] = "";

        (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", a, names[i]);
        assert_true(readlink(path, mine, sizeof(mine) - 1) > 0);
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", b, names[i]);
        assert_true(readlink(path, its, sizeof(its) - 1) > 0);
        assert_string_not_equal(mine, its);
    }
}

/* Helpers first, and each worker as its helper: whatever order they started in. */
static void
children_in_order(const struct server *s, struct server_child v[CHILDREN])
{
    struct server_child all[CHILDREN];
    unsigned helpers = 0;

    assert_int_equal(server_children(s, all, CHILDREN), CHILDREN);
    for (unsigned i = 0; i < CHILDREN; i++)
        if (!all[i].worker && helpers < 2)
            v[helpers++] = all[i];
    assert_int_equal(helpers, 2);
    v[A_WORKER].pid = v[B_WORKER].pid = 0;
    for (unsigned i = 0; i < CHILDREN; i++)
        for (unsigned j = 0; j < 2; j++)
            if (all[i].worker && channel_of(all[i].pid) == channel_of(v[j].pid))
                v[A_WORKER + j] = all[i];
    assert_true(v[A_WORKER].pid != 0 && v[B_WORKER].pid != 0);
}

static void
children_of_two_tenants_have_no_object_in_common(void **state)
{
    static const unsigned a[] = {A_HELPER, A_WORKER}, b[] = {B_HELPER, B_WORKER};
    struct server *s = *state;
    struct server_child v[CHILDREN];

    server_file(s, "policy.conf", two);
    server_start(s, NULL);
    children_in_order(s, v);
    assert_true(channel_of(v[A_HELPER].pid) != channel_of(v[B_HELPER].pid));
    for (unsigned i = 0; i < 2; i++)
        for (unsigned j = 0; j < 2; j++) {
            assert_no_fd_in_common(v[a[i]].pid, v[b[j]].pid);
            assert_no_namespace_in_common(v[a[i]].pid, v[b[j]].pid);
        }
    assert_no_namespace_in_common(v[A_HELPER].pid, v[A_WORKER].pid);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
nothing_of_posternds_environment_reaches_a_child(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];
    char path[64], byte;

    assert_int_equal(setenv("TOKEN", "secret", 1), 0);
    server_file(s, "policy.conf", two);
    server_start(s, NULL);
    assert_int_equal(unsetenv("TOKEN"), 0);
    assert_int_equal(server_children(s, v, CHILDREN), CHILDREN);
    for (unsigned i = 0; i < CHILDREN; i++) {
        FILE *f;

        (void)snprintf(path, sizeof(path), "/proc/%d/environ", v[i].pid);
        f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fread(&byte, 1, 1, f), 0);
        (void)fclose(f);
    }
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* The kernel forgets the signal of a parent's death when ids change. */
static void
a_killed_posternd_takes_a_helper_along_that_changed_its_ids(void **state)
{
    struct server *s = *state;
    struct server_child v[2];
    char text[512];
    struct stat st;
    struct nc *c;

    assert_int_equal(chown(server_path(s, "rw"), MAP_FIRST + 7, MAP_FIRST + 7), 0);
    (void)snprintf(text, sizeof(text),
                   "tenant \"t\" { listen \"unix:@/sock\" { protocol = 9p }\n"
                   "share \"rw\" { path = \"@/rw\" access = read-write identity = map ids = "
                   "\"%u+65536\" } }\n",
                   MAP_FIRST);
    server_file(s, "policy.conf", text);
    server_start(s, NULL);
    assert_int_equal(server_children(s, v, 2), 2);
    c = server_connect(s);
    assert_int_equal(nc_attach(c, 0, "", "rw", 7), 0);
    assert_int_equal(nc_mkdir(c, 0, "mine", 0700, 7, NULL), 0);
    assert_int_equal(stat(server_path(s, "rw/mine"), &st), 0);
    assert_int_equal(st.st_uid, MAP_FIRST + 7); /* it was 7 for that */
    assert_true(WIFSIGNALED(server_stop(s, SIGKILL)));
    for (unsigned i = 0; i < 2; i++)
        server_await_gone(v[i].pid);
    nc_close(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            no_fd_of_many_that_posternd_was_started_with_reaches_a_child, server_setup,
            server_teardown),
        cmocka_unit_test_setup_teardown(
            posternd_takes_all_the_fds_it_may_have_and_children_get_no_more_for_it, server_setup,
            server_teardown),
        cmocka_unit_test_setup_teardown(children_of_two_tenants_have_no_object_in_common,
                                        server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(nothing_of_posternds_environment_reaches_a_child,
                                        server_setup, server_teardown),
        cmocka_unit_test_setup_teardown(a_killed_posternd_takes_a_helper_along_that_changed_its_ids,
                                        server_setup, server_teardown),
    };

    if (server_needs_root())
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
