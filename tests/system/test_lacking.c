/*
 * posternd on kernels that lack something, and with calls of its start that
 * fail: the calls are taken away by a filter that it and all of its children
 * inherit. Either it says what is missing and nothing is served, or it goes on
 * as the policy allows and says that.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/server.h"

#define NO_MOUNTS "this kernel has no mount_setattr(2): Linux 5.14 is the least, 6.1 the target"
#define NO_LANDLOCK                                                                                \
    "this kernel has no Landlock of ABI 2 or later (Linux 5.19): add landlock to its lsm= list, "  \
    "or accept less with sandbox = best-effort"

struct lack {
    const char *what;
    int nr;
    int error;
    unsigned long flag; /* only with this bit in the first argument; 0: always */
    const char *says;   /* and then it ends */
};

static void
take_away(const struct lack *l)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
    const struct scmp_arg_cmp cmp = {
        .arg = 0, .op = SCMP_CMP_MASKED_EQ, .datum_a = l->flag, .datum_b = l->flag};

    if (f == NULL || seccomp_attr_set(f, SCMP_FLTATR_CTL_NNP, geteuid() != 0) != 0 ||
        seccomp_rule_add_array(f, SCMP_ACT_ERRNO((unsigned)l->error), l->nr, l->flag != 0, &cmp) !=
            0 ||
        seccomp_load(f) != 0)
        _exit(99);
    seccomp_release(f);
}

/* Run posternd without that. Its exit code. */
static int
without(struct server *s, const struct lack *l)
{
    const char *args[] = {server_path(s, "policy.conf"), NULL};
    int status;
    pid_t pid;

    (void)fflush(stdout);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        take_away(l);
        _exit(server_run(s, "posternd", args));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* It ends and says so; nothing was announced, nothing is left. */
static void
refuses(struct server *s, const struct lack *l)
{
    int code = without(s, l);

    if (code == 0 || code == 99 || strcmp(server_text(s, "err"), "") == 0 ||
        (l->says != NULL && strstr(server_text(s, "err"), l->says) == NULL))
        fail_msg("%s: exit code %d and\n%s", l->what, code, server_text(s, "err"));
    assert_string_equal(server_text(s, "out"), "");
    assert_int_equal(access(server_path(s, "sock"), F_OK), -1);
}

static void
what_the_kernel_lacks_is_said_and_nothing_starts(void **state)
{
    static const struct lack lacks[] = {
        {"mount_setattr", SCMP_SYS(mount_setattr), ENOSYS, 0, NO_MOUNTS},
        {"fsopen", SCMP_SYS(fsopen), ENOSYS, 0, NO_MOUNTS},
        {"openat2", SCMP_SYS(openat2), ENOSYS, 0,
         "this kernel has no openat2(2): Linux 5.6 has it"},
        {"seccomp", SCMP_SYS(seccomp), ENOSYS, 0, "this kernel has no seccomp filters"},
        {"landlock", SCMP_SYS(landlock_create_ruleset), ENOSYS, 0, NO_LANDLOCK},
        {"landlock not in lsm=", SCMP_SYS(landlock_create_ruleset), EOPNOTSUPP, 0, NO_LANDLOCK},
    };

    for (size_t i = 0; i < COUNT(lacks); i++)
        refuses(*state, &lacks[i]);
}

/* Calls that the start of posternd or of a child cannot do without. What
 * building a sandbox takes is in escape/test_status. */
static void
a_call_that_fails_at_the_start_leaves_nothing_served(void **state)
{
#define FAILS(call)                                                                                \
    {                                                                                              \
#call, SCMP_SYS(call), EIO, 0, NULL                                                        \
    }
    static const struct lack lacks[] = {
        FAILS(clone3),
        FAILS(memfd_create),
        FAILS(eventfd2),
        FAILS(execveat),
        FAILS(epoll_create1),
        FAILS(socketpair),
        FAILS(socket),
        FAILS(bind),
        FAILS(listen),
        FAILS(sendmsg),
        FAILS(recvmsg),
        FAILS(open_tree),
        FAILS(move_mount),
        FAILS(mount_setattr),
        FAILS(capset),
        FAILS(pivot_root),
        FAILS(landlock_restrict_self),
    };

    for (size_t i = 0; i < COUNT(lacks); i++)
        refuses(*state, &lacks[i]);
}

static int
setup_user(void **state)
{
    static struct server s;

    server_init(&s, true);
    *state = &s;
    return 0;
}

static void
an_ordinary_user_without_user_namespaces_is_told_which_switches(void **state)
{
    static const struct lack l = {"user namespaces", SCMP_SYS(unshare), EPERM, CLONE_NEWUSER,
                                  "an ordinary user may not make user namespaces here: see "
                                  "user.max_user_namespaces"};

    refuses(*state, &l);
}

/* The child that runs the server cannot wait for it as a test does: what it
 * serves is seen from outside. */
static void
serves_without(struct server *s, const struct lack *l, const char *says)
{
    const char *args[] = {server_path(s, "policy.conf"), NULL};
    struct nc *c;
    unsigned left = 0;
    int status, go[2];
    pid_t pid;

    (void)fflush(stdout);
    assert_int_equal(pipe(go), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char end;

        (void)close(go[1]);
        take_away(l);
        server_start(s, args);
        (void)!read(go[0], &end, 1);
        _exit(server_stop(s, SIGTERM) == 0 ? 0 : 98);
    }
    (void)close(go[0]);
    while (strstr(server_text(s, "out"), "Ctrl-C ends") == NULL)
        assert_true(server_patience(&left));
    server_await_log(s, says);
    c = server_attach(s, "rw");
    assert_int_equal(nc_mkdir(c, 0, "made", 0755, 0, NULL), 0);
    assert_int_equal(nc_unlinkat(c, 0, "made", 0x200), 0);
    nc_close(c);
    (void)close(go[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void
without_landlock_best_effort_serves_and_says_so(void **state)
{
    static const struct lack l = {"landlock", SCMP_SYS(landlock_create_ruleset), EOPNOTSUPP, 0,
                                  NULL};
    struct server *s = *state;

    server_file(s, "policy.conf",
                "tenant \"t\" { sandbox = best-effort listen \"unix:@/sock\" { protocol = 9p }\n"
                "share \"rw\" { path = \"@/rw\" access = read-write } }\n");
    serves_without(s, &l, NO_LANDLOCK "; goes on, as sandbox = best-effort allows");
    assert_non_null(strstr(server_text(s, "err"),
                           "t/rw: runs without Landlock, as sandbox = best-effort allows"));
    assert_non_null(strstr(server_text(s, "err"),
                           "t/worker: runs without Landlock, as sandbox = best-effort allows"));
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, server_setup, server_teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_the_kernel_lacks_is_said_and_nothing_starts),
        CASE(a_call_that_fails_at_the_start_leaves_nothing_served),
        CASE(without_landlock_best_effort_serves_and_says_so),
        cmocka_unit_test_setup_teardown(
            an_ordinary_user_without_user_namespaces_is_told_which_switches, setup_user,
            server_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
