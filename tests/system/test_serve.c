/*
 * posternd from start to end: what it serves, what it refuses to start with,
 * and what it leaves behind.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "tests/lib/server.h"

#define CHILDREN 3 /* two helpers and the worker */

static void
walk_to(struct nc *c, uint32_t fid, const char *name)
{
    size_t n = 0;

    assert_int_equal(nc_walk(c, 0, fid, 1, &name, NULL, &n), 0);
    assert_int_equal(n, 1);
}

static void
write_file(struct nc *c, const char *name, const char *text)
{
    uint32_t n = (uint32_t)strlen(text);

    assert_int_equal(nc_walk(c, 0, 9, 0, NULL, NULL, NULL), 0);
    assert_int_equal(nc_lcreate(c, 9, name, NINE_O_RDWR, 0644, 0, NULL, NULL), 0);
    assert_int_equal(nc_write(c, 9, 0, text, n), n);
    assert_int_equal(nc_clunk(c, 9), 0);
}

static void
assert_reads(struct nc *c, const char *name, const char *text)
{
    char buf[256];
    ssize_t n;

    walk_to(c, 8, name);
    assert_int_equal(nc_lopen(c, 8, NINE_O_RDONLY, NULL, NULL), 0);
    n = nc_read(c, 8, 0, buf, sizeof(buf));
    assert_int_equal(n, strlen(text));
    assert_memory_equal(buf, text, (size_t)n);
    assert_int_equal(nc_clunk(c, 8), 0);
}

static void
two_shares_are_served_side_by_side(void **state)
{
    struct server *s = *state;
    struct stat st;
    struct nc *ro, *rw;

    server_start(s, NULL);
    ro = server_attach(s, "ro");
    rw = server_attach(s, "rw");
    assert_reads(ro, "hello.txt", SERVER_HELLO);
    write_file(rw, "new", "from the guest\n");
    assert_reads(rw, "new", "from the guest\n");
    assert_string_equal(server_text(s, "rw/new"), "from the guest\n");
    assert_int_equal(stat(server_path(s, "rw/new"), &st), 0);
    if (geteuid() == 0)
        assert_int_equal(st.st_uid, SERVER_OWNER);
    nc_close(ro);
    nc_close(rw);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
an_unknown_share_cannot_be_attached(void **state)
{
    static const char *const names[] = {"r", "ro2", "ro/", "/ro", "ro/sub", "..", "rw\n"};
    struct server *s = *state;
    int first = 0;

    server_start(s, NULL);
    for (size_t i = 0; i < COUNT(names); i++) {
        struct nc *c = server_connect(s);
        int r = nc_attach(c, 0, "", names[i], 0);

        first = i == 0 ? r : first;
        assert_true(r < 0);
        assert_int_equal(r, first); /* one error for all: nothing to probe by */
        nc_close(c);
    }
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
the_mount_commands_are_announced(void **state)
{
    struct server *s = *state;
    char want[256];

    server_start(s, NULL);
    for (int i = 0; i < 2; i++) {
        (void)snprintf(want, sizeof(want),
                       "mount -t 9p -o trans=unix,version=9p2000.L,aname=%s,msize=1048600 "
                       "%s/sock /mnt\n",
                       i == 0 ? "ro" : "rw", s->dir);
        assert_non_null(strstr(server_text(s, "out"), want));
    }
    assert_non_null(strstr(server_text(s, "err"), "serves ro (read-only), rw (read-write)"));
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
ctrl_c_leaves_no_socket_and_no_child(void **state)
{
    static const int signals[] = {SIGINT, SIGTERM};
    struct server *s = *state;

    for (size_t i = 0; i < COUNT(signals); i++) {
        struct server_child v[CHILDREN];

        server_start(s, NULL);
        assert_int_equal(server_children(s, v, CHILDREN), CHILDREN);
        assert_int_equal(server_stop(s, signals[i]), 0);
        for (size_t j = 0; j < CHILDREN; j++)
            server_await_gone(v[j].pid);
        assert_int_equal(access(server_path(s, "sock"), F_OK), -1);
        assert_null(strstr(server_text(s, "err"), "ended")); /* an order is no incident */
    }
}

/* By then root has given up what lets it write anywhere. */
static void
the_socket_goes_from_another_users_directory_too(void **state)
{
    struct server *s = *state;

    if (geteuid() != 0 || s->as_user)
        return; /* an ordinary user gives no directory away */
    assert_int_equal(chown(s->dir, SERVER_USER, SERVER_USER), 0);
    server_start(s, NULL);
    assert_int_equal(server_stop(s, SIGINT), 0);
    assert_int_equal(access(server_path(s, "sock"), F_OK), -1);
}

static void
the_socket_is_its_owners_alone(void **state)
{
    struct server *s = *state;
    struct stat st;

    server_start(s, NULL);
    assert_int_equal(stat(server_path(s, "sock"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
a_group_may_be_let_in(void **state)
{
    struct server *s = *state;
    struct stat st;

    if (server_needs_root())
        return;
    server_file(s, "group.conf",
                "tenant \"t\" { listen \"unix:@/sock\" { protocol = 9p group = \"daemon\" }\n"
                "share \"ro\" { path = \"@/ro\" access = read-only } }\n");
    server_start(s, (const char *[]){server_path(s, "group.conf"), NULL});
    assert_int_equal(stat(server_path(s, "sock"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_int_not_equal(st.st_gid, 0);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* --- what does not start ------------------------------------------------------- */

static const struct {
    const char *policy;
    const char *says; /* '@' is the directory */
} wrong[] = {
    {"tenant \"t\" {\n  listen \"unix:@/sock\" { protocol = 9p }\n"
     "  share \"a\" { path = \"@/ro\" acces = read-only }\n}\n",
     "@/wrong.conf:3: "},
    {"tenant \"t\" {\n  listen \"unix:@/sock\" { protocol = 9p }\n"
     "  share \"a\" { path = \"@/ro\" }\n}\n",
     "@/wrong.conf:3: "},
    {"tenant \"t\" {\n  listen \"unix:@/sock\" { protocol = 9p }\n\n"
     "  share \"a\" { path = \"@/missing/x\" access = read-only }\n}\n",
     "@/wrong.conf:4: share a: @/missing/x: \"@/missing\" does not exist: create it"},
    {"tenant \"t\" {\n  listen \"unix:@/sock\" { protocol = 9p }\n"
     "  share \"a\" { path = \"@/ro/link\" access = read-only }\n}\n",
     "@/wrong.conf:3: share a: @/ro/link: \"@/ro/link\" is a symbolic link"},
    {"tenant \"t\" {\n  listen \"unix:@/sock\" { protocol = 9p }\n"
     "  share \"a\" { path = \"@/ro/hello.txt\" access = read-only }\n}\n",
     "\"@/ro/hello.txt\" is not a directory"},
    {"tenant \"t\" {\n  listen \"unix:@/sock\" { protocol = 9p }\n"
     "  share \"a\" { path = \"/proc\" access = read-only }\n}\n",
     "\"/proc\" is one of the kernel's own file systems"},
    {"tenant \"t\" {\n  listen \"unix:@/sock\" { protocol = 9p }\n"
     "  share \"a\" { path = \"@/open/x\" access = read-only }\n}\n",
     "\"@/open\" can be rewritten by others"},
    {"tenant \"t\" {\n  listen \"unix:@/none/sock\" { protocol = 9p }\n"
     "  share \"a\" { path = \"@/ro\" access = read-only }\n}\n",
     "@/wrong.conf:2: listen unix:@/none/sock: its directory does not exist: create it"},
    {"tenant \"t\" {\n  listen \"unix:@/ro/hello.txt\" { protocol = 9p }\n"
     "  share \"a\" { path = \"@/ro\" access = read-only }\n}\n",
     "there is a file of that name which is no socket"},
    {"tenant \"t\" {\n  listen \"unix:@/sock\" { protocol = 9p group = \"no-such-group\" }\n"
     "  share \"a\" { path = \"@/ro\" access = read-only }\n}\n",
     "there is no group \"no-such-group\""},
};

static void
what_is_wrong_is_said_and_nothing_starts(void **state)
{
    struct server *s = *state;

    assert_int_equal(mkdir(server_path(s, "open"), 0755), 0);
    assert_int_equal(chmod(server_path(s, "open"), 0777), 0);
    assert_int_equal(mkdir(server_path(s, "open/x"), 0755), 0);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        const char *args[] = {server_path(s, "wrong.conf"), NULL};
        char want[512];

        server_file(s, "wrong.conf", wrong[i].policy);
        server_file(s, "want", wrong[i].says);
        (void)snprintf(want, sizeof(want), "%s", server_text(s, "want"));
        assert_int_equal(server_run(s, "posternd", args), 1);
        if (strstr(server_text(s, "err"), want) == NULL)
            fail_msg("\"%s\" is not in:\n%s", want, server_text(s, "err"));
        assert_int_equal(access(server_path(s, "sock"), F_OK), -1);
        assert_string_equal(server_text(s, "out"), "");
    }
}

static void
check_says_the_same_without_starting(void **state)
{
    struct server *s = *state;
    const char *good[] = {"check", server_path(s, "policy.conf"), NULL};
    const char *bad[] = {"check", server_path(s, "wrong.conf"), NULL};

    assert_int_equal(server_run(s, "posternd", good), 0);
    assert_string_equal(server_text(s, "out"), "ok: 1 tenant, 2 shares\n");
    assert_int_equal(access(server_path(s, "sock"), F_OK), -1);
    server_file(s, "wrong.conf", wrong[2].policy);
    assert_int_equal(server_run(s, "posternd", bad), 1);
    assert_non_null(strstr(server_text(s, "err"), "does not exist"));
}

static void
a_busy_socket_is_left_alone(void **state)
{
    struct server *s = *state;
    const char *args[] = {server_path(s, "policy.conf"), NULL};
    struct server other = *s;
    struct nc *c;

    server_start(s, NULL);
    assert_int_equal(server_run(&other, "posternd", args), 1);
    assert_non_null(strstr(server_text(s, "err"), "address in use by another server"));
    c = server_attach(s, "ro"); /* the first one has not noticed */
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
a_stale_socket_is_replaced(void **state)
{
    struct server *s = *state;
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", server_path(s, "sock"));
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    close(fd);
    server_start(s, NULL);
    nc_close(server_attach(s, "ro"));
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* --- export --------------------------------------------------------------------- */

static void
export_serves_without_a_policy(void **state)
{
    struct server *s = *state;
    char ro[128];
    const char *args[] = {"export", ro, server_path(s, "rw"), "--listen", s->address, NULL};
    struct nc *c;

    (void)snprintf(ro, sizeof(ro), "%s/ro:ro", s->dir);
    server_start(s, args);
    assert_non_null(strstr(server_text(s, "out"), "aname=ro,"));
    assert_non_null(strstr(server_text(s, "out"), "aname=rw,"));
    c = server_attach(s, "ro");
    assert_reads(c, "hello.txt", SERVER_HELLO);
    assert_int_equal(nc_mkdir(c, 0, "d", 0755, 0, NULL), -EROFS);
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
export_over_tcp_tells_the_port_it_got(void **state)
{
    struct server *s = *state;
    const char *args[] = {"export", server_path(s, "ro"), "--listen", "tcp:127.0.0.1:0", NULL};
    static const char before[] = "trans=tcp,port=";
    const char *p;

    server_start(s, args);
    p = strstr(server_text(s, "out"), before);
    assert_non_null(p);
    (void)snprintf(s->address, sizeof(s->address), "tcp:127.0.0.1:%lu",
                   strtoul(p + strlen(before), NULL, 10));
    nc_close(server_attach(s, "ro"));
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
wrong_usage_is_exit_code_2(void **state)
{
    struct server *s = *state;
    const char *const rows[][4] = {{NULL},
                                   {"export", NULL},
                                   {"export", "/tmp", NULL},
                                   {"--wat", NULL},
                                   {"check", NULL},
                                   {"export", "--listen", "unix:/x", NULL},
                                   {"a", "b", NULL},
                                   {"export", "--wat", "/tmp"}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *args[] = {rows[i][0], rows[i][1], rows[i][2], rows[i][3], NULL};

        assert_int_equal(server_run(s, "posternd", args), 2);
        assert_non_null(strstr(server_text(s, "err"), "usage: posternd"));
    }
}

/* --- what children hold ----------------------------------------------------------- */

static void
no_inherited_fd_reaches_a_child(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];
    struct stat secret;

    server_file(s, "secret", "x");
    s->inherit_fd = open(server_path(s, "secret"), O_RDWR);
    assert_true(s->inherit_fd >= 0);
    assert_int_equal(fstat(s->inherit_fd, &secret), 0);
    server_start(s, NULL);
    assert_int_equal(server_children(s, v, CHILDREN), CHILDREN);
    for (size_t i = 0; i <= CHILDREN; i++) {
        pid_t pid = i == CHILDREN ? s->pid : v[i].pid;

        for (int fd = 0; fd < 256; fd++) {
            char path[64];
            struct stat st;

            (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
            if (stat(path, &st) == 0)
                assert_false(st.st_dev == secret.st_dev && st.st_ino == secret.st_ino);
        }
    }
    close(s->inherit_fd);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
children_hold_no_privilege(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];
    unsigned long uids[CHILDREN];

    server_start(s, NULL);
    assert_int_equal(server_children(s, v, CHILDREN), CHILDREN);
    for (size_t i = 0; i < CHILDREN; i++) {
        server_assert_sealed(v[i].pid);
        uids[i] = strtoul(server_status(v[i].pid, "Uid:") + strlen("Uid:"), NULL, 10);
        if (geteuid() != 0)
            continue;
        assert_string_equal(server_status(v[i].pid, "Groups:"), "Groups:\t \n");
        assert_int_not_equal(uids[i], 0);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(uids[i], uids[j]);
    }
    assert_string_equal(server_status(s->pid, "NoNewPrivs:"), "NoNewPrivs:\t1\n");
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* Whoever runs this test is in posternd's cgroup, too. */
static void
a_limit_that_needs_a_cgroup_is_refused_without_one(void **state)
{
    struct server *s = *state;
    const char *const args[] = {server_path(s, "policy.conf"), NULL};

    server_file(s, "policy.conf",
                "tenant \"t\" {\n    listen \"unix:@/sock\" {}\n"
                "    share \"ro\" { path = \"@/ro\" access = read-only }\n"
                "    limits { memory = 64M }\n}\n");
    assert_int_equal(server_run(s, "posternd", args), 1);
    assert_non_null(strstr(server_text(s, "err"), "policy.conf:1: tenant t: memory, processes and "
                                                  "cpu-weight need a cgroup that is left to "));
    assert_non_null(strstr(server_text(s, "err"), "Delegate=yes"));
    assert_int_not_equal(access(server_path(s, "sock"), F_OK), 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, server_setup, server_teardown)
    const struct CMUnitTest tests[] = {
        CASE(two_shares_are_served_side_by_side),
        CASE(an_unknown_share_cannot_be_attached),
        CASE(the_mount_commands_are_announced),
        CASE(ctrl_c_leaves_no_socket_and_no_child),
        CASE(the_socket_goes_from_another_users_directory_too),
        CASE(the_socket_is_its_owners_alone),
        CASE(a_group_may_be_let_in),
        CASE(what_is_wrong_is_said_and_nothing_starts),
        CASE(check_says_the_same_without_starting),
        CASE(a_busy_socket_is_left_alone),
        CASE(a_stale_socket_is_replaced),
        CASE(export_serves_without_a_policy),
        CASE(export_over_tcp_tells_the_port_it_got),
        CASE(wrong_usage_is_exit_code_2),
        CASE(no_inherited_fd_reaches_a_child),
        CASE(children_hold_no_privilege),
        CASE(a_limit_that_needs_a_cgroup_is_refused_without_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
