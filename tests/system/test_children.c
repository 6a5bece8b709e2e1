/*
 * posternd trusts nothing that a child says. The children here are this
 * program itself under their names: they do what a file beside them tells
 * them to, which no real worker or helper would.
 */
#include "tests/lib/test.h"

#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/boot.h"
#include "ipc/control.h"
#include "ipc/fd.h"
#include "ipc/limits.h"
#include "ipc/log.h"
#include "sandbox/sandbox.h"
#include "tests/lib/control_peer.h"
#include "tests/lib/server.h"

#define ALL_LAYERS 0x7fu
#define FLOOD 300  /* lines, soon enough to be of one LOG_WINDOW */
#define TENANTS 20 /* more than start at once */

/* --- being a child -------------------------------------------------------------- */

static void
say_ready(const char *profile, unsigned layers)
{
    Postern__V1__FromChild m = POSTERN__V1__FROM_CHILD__INIT;
    Postern__V1__Ready ready = POSTERN__V1__READY__INIT;
    char name[32];

    (void)snprintf(name, sizeof(name), "%s", profile);
    ready.profile = name;
    ready.layers = layers;
    m.ready = &ready;
    (void)from_child_send(BOOT_FD, &m);
}

/* Until the broker is gone. */
static void
wait_for_broker(void)
{
    char c;

    while (recv(BOOT_FD, &c, 1, 0) > 0)
        ;
}

static void
serve_what_is_added(void)
{
    struct pollfd p = {.fd = BOOT_FD, .events = POLLIN};
    Postern__V1__ToChild *in;
    int fds[SHARE_FDS];
    size_t nfds;

    while (poll(&p, 1, -1) == 1 && to_child_recv_fds(BOOT_FD, &in, fds, &nfds) == 1) {
        Postern__V1__FromChild m = POSTERN__V1__FROM_CHILD__INIT;
        Postern__V1__ShareServed served = POSTERN__V1__SHARE_SERVED__INIT;

        for (size_t i = 0; i < nfds; i++)
            close(fds[i]);
        if (in->share_added != NULL) {
            served.share = in->share_added->share;
            m.share_served = &served;
            (void)from_child_send(BOOT_FD, &m);
        }
        to_child_free(in);
    }
}

static void
lines(void)
{
    char big[LOG_TEXT_MAX * 2];

    log_info("evil \x1b[31m\n\xc2\x9b text");
    memset(big, 'b', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    log_info("%s", big);
    for (int i = 0; i < FLOOD; i++) {
        log_info("flood %d", i);
        if (i % 50 == 49)
            usleep(1000); /* let the broker read, or the socket drops what it must count */
    }
}

/* A file beside the program. */
static const char *
beside(const char *name)
{
    static char path[512];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);

    if (n < 0)
        _exit(1);
    path[n] = '\0';
    (void)snprintf(strrchr(path, '/') + 1, 32, "%s", name);
    return path;
}

static void
wait_for_file(void)
{
    unsigned left = 0;

    while (server_patience(&left) && access(beside("go"), F_OK) < 0)
        ;
}

static void
forbidden_call(void)
{
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);

    (void)seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(getppid), 0);
    (void)seccomp_load(f);
    (void)getppid();
}

/* One letter of what the file says after the other. */
static void
act(char what, const char *profile)
{
    switch (what) {
    case 'r':
        say_ready(profile, ALL_LAYERS);
        break;
    case 'p':
        say_ready("worker-2", ALL_LAYERS);
        break;
    case 's':
        say_ready(profile, ALL_LAYERS & ~(unsigned)LAYER_SECCOMP);
        break;
    case 'l':
        say_ready(profile, ALL_LAYERS & ~(unsigned)LAYER_LANDLOCK);
        break;
    case 'g':
        (void)send(BOOT_FD, "\xff\xff\xff garbage", 11, MSG_NOSIGNAL);
        break;
    case 'e':
        (void)send(BOOT_FD, "", 0, MSG_NOSIGNAL);
        break;
    case 't':
        lines();
        break;
    case 'k':
        forbidden_call();
        break;
    case 'f':
        wait_for_file();
        break;
    case 'w':
        wait_for_broker();
        break;
    case 'a':
        serve_what_is_added();
        break;
    case 'V':
        _exit(EXIT_VIOLATION);
    case 'B':
        _exit(EXIT_BUG);
    case 'W':
        _exit(EXIT_WORLD);
    case 'S':
        _exit(EXIT_SANDBOX);
    case '0':
        _exit(0);
    default:
        break;
    }
}

static const char *
profile_of(const Postern__V1__Boot *b)
{
    if (b->worker != NULL)
        return "worker";
    return b->helper->read_only ? "helper-ro" : "helper-rw";
}

/* What a share's own file says goes before what all helpers of its kind do. */
static FILE *
script_of(const Postern__V1__Boot *b)
{
    char name[32];
    FILE *f = NULL;

    if (b->worker == NULL) {
        (void)snprintf(name, sizeof(name), "%s.does", b->helper->share);
        f = fopen(beside(name), "re");
    }
    return f != NULL ? f : fopen(beside(b->worker != NULL ? "worker.does" : profile_of(b)), "re");
}

static int
be_a_child(const char *name)
{
    char script[32] = "";
    int fds[CHILD_FDS_MAX];
    Postern__V1__Boot *b = NULL;
    size_t nfds;
    FILE *f;

    if (boot_recv(&b, fds, CHILD_FDS_MAX, &nfds) < 0)
        return 1;
    log_to(LOG_TO_BROKER, name);
    f = script_of(b);
    if (f == NULL || fgets(script, sizeof(script), f) == NULL)
        return 1;
    for (size_t i = 0; script[i] != '\0'; i++)
        act(script[i], profile_of(b));
    return 1;
}

/* --- the tests -------------------------------------------------------------------- */

static int
setup(void **state)
{
    static struct server s;

    server_init(&s, false);
    server_install_ours(&s, "posternd");
    (void)snprintf(s.bin, sizeof(s.bin), "%s", s.dir);
    server_install(&s, "/proc/self/exe", "postern-worker");
    server_install(&s, "/proc/self/exe", "postern-helper");
    *state = &s;
    return 0;
}

static void
play(const struct server *s, const char *ro, const char *rw, const char *worker)
{
    server_file(s, "helper-ro", ro);
    server_file(s, "helper-rw", rw);
    server_file(s, "worker.does", worker);
}

static const struct {
    const char *ro, *rw, *worker;
    int code;
    const char *says;
} starts[] = {
    {"S", "rw", "rw", EXIT_SANDBOX, "t/ro: ended: its sandbox could not be built"},
    {"rw", "W", "rw", EXIT_WORLD, "t/rw: ended: it lacked something"},
    {"rw", "rw", "B", EXIT_BUG, "t/worker: ended: it found itself wrong"},
    {"rw", "rw", "V", EXIT_VIOLATION, "t/worker: ended: security event"},
    {"rw", "rw", "0", EXIT_BUG, "t/worker: ended with exit code 0"},
    {"rw", "k", "rw", EXIT_SANDBOX, "t/rw: security event: it tried a system call outside"},
    {"sw", "rw", "rw", EXIT_SANDBOX, "t/ro: its sandbox lacks: seccomp"},
    {"rw", "rw", "lw", EXIT_SANDBOX, "t/worker: its sandbox lacks: Landlock"},
    {"pw", "rw", "rw", EXIT_VIOLATION, "t/ro: ended: security event"},
    /* the worker holds back: once all serve it would be no bad start any more */
    {"rrw", "rw", "w", EXIT_VIOLATION, "t/ro: ended: security event"},
    {"gw", "rw", "rw", EXIT_VIOLATION, "t/ro: ended: security event"},
    {"rw", "rw", "gw", EXIT_VIOLATION, "t/worker: ended: security event"},
};

static void
a_bad_start_of_any_child_ends_everything(void **state)
{
    struct server *s = *state;

    for (size_t i = 0; i < COUNT(starts); i++) {
        const char *args[] = {server_path(s, "policy.conf"), NULL};
        int r;

        play(s, starts[i].ro, starts[i].rw, starts[i].worker);
        r = server_run(s, "posternd", args);
        if (r != starts[i].code || strstr(server_text(s, "err"), starts[i].says) == NULL)
            fail_msg("not %d and \"%s\" but %d and:\n%s", starts[i].code, starts[i].says, r,
                     server_text(s, "err"));
        assert_string_equal(server_text(s, "out"), "");
        assert_int_equal(access(server_path(s, "sock"), F_OK), -1);
    }
}

static void
a_child_that_says_nothing_is_not_waited_for_forever(void **state)
{
    struct server *s = *state;
    const char *args[] = {server_path(s, "policy.conf"), NULL};

    play(s, "rw", "w", "rw");
    assert_int_equal(server_run(s, "posternd", args), EXIT_WORLD);
    assert_non_null(strstr(server_text(s, "err"), "t/rw: was not ready within 10 s"));
}

/* Each with one share and so with two children. */
static void
many_tenants(const struct server *s)
{
    char text[TENANTS * 128];
    size_t n = 0;

    for (int i = 0; i < TENANTS; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n,
                              "tenant \"t%d\" { listen \"unix:@/sock%d\" {}\n"
                              "share \"ro\" { path = \"@/ro\" access = read-only } }\n",
                              i, i);
    server_file(s, "many.conf", text);
}

static void
more_tenants_than_may_start_at_once_all_serve(void **state)
{
    struct server *s = *state;

    many_tenants(s);
    play(s, "rw", "rw", "rw");
    server_start(s, (const char *[]){server_path(s, "many.conf"), NULL});
    server_await_children(s, 2u * TENANTS);
    assert_int_equal(server_stop(s, SIGTERM), 0);
    assert_int_equal(access(server_path(s, "sock19"), F_OK), -1);
}

static void
a_bad_start_ends_those_that_still_wait_for_theirs(void **state)
{
    struct server *s = *state;
    const char *args[] = {server_path(s, "many.conf"), NULL};

    many_tenants(s);
    play(s, "S", "rw", "rw");
    assert_int_equal(server_run(s, "posternd", args), EXIT_SANDBOX);
    assert_int_equal(access(server_path(s, "sock19"), F_OK), -1);
}

static void
without_landlock_only_best_effort_serves(void **state)
{
    struct server *s = *state;

    play(s, "lw", "lw", "lw");
    server_file(s, "effort.conf",
                "tenant \"t\" { sandbox = best-effort\n"
                "listen \"unix:@/sock\" { protocol = 9p }\n"
                "share \"ro\" { path = \"@/ro\" access = read-only } }\n");
    server_start(s, (const char *[]){server_path(s, "effort.conf"), NULL});
    server_await_log(s, "t/ro: runs without Landlock");
    server_await_log(s, "t/worker: runs without Landlock");
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static size_t
count(const char *text, const char *what)
{
    size_t n = 0;

    for (; (text = strstr(text, what)) != NULL; text++)
        n++;
    return n;
}

static void
lines_of_a_child_are_plain_named_and_few(void **state)
{
    struct server *s = *state;

    play(s, "rw", "rw", "rtw");
    server_start(s, NULL);
    server_await_log(s, "flood 97\n"); /* the two before make it a hundred */
    assert_int_equal(server_stop(s, SIGTERM), 0);
    assert_non_null(
        strstr(server_text(s, "err"), "t/worker: evil \\x1b[31m\\x0a\\xc2\\x9b text\n"));
    assert_int_equal(count(server_text(s, "err"), "t/worker: flood "), 98);
    assert_null(strchr(server_text(s, "err"), '\x1b'));
    assert_non_null(strstr(server_text(s, "err"), " lines dropped\n"));
}

static void
end_while_serving(struct server *s, const char *says)
{
    (void)unlink(server_path(s, "go"));
    server_start(s, NULL);
    server_file(s, "go", "");
    server_await_log(s, says);
    server_await_log(s, "tenant t: starts again in 1 s");
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* A helper that saw a violation says that its worker is no longer ours. */
static void
a_violation_ends_the_tenant_whoever_saw_it(void **state)
{
    struct server *s = *state;

    play(s, "rw", "rfV", "rw");
    end_while_serving(s, "t/rw: ended: security event");
    play(s, "rw", "rfgw", "rw");
    end_while_serving(s, "t/rw: ended: security event");
    play(s, "rw", "rw", "rfgw");
    end_while_serving(s, "t/worker: ended: security event");
    play(s, "rw", "rw", "rfk");
    end_while_serving(s, "t/worker: security event: it tried a system call outside");
}

static void
any_other_end_of_a_helper_costs_its_share(void **state)
{
    static const char *const ends[] = {"rfW", "rfB", "rfk", "rf0"};
    struct server *s = *state;

    for (size_t i = 0; i < COUNT(ends); i++) {
        play(s, "rw", ends[i], "rw");
        (void)unlink(server_path(s, "go"));
        server_start(s, NULL);
        server_file(s, "go", "");
        server_await_log(s, "tenant t: share rw answers EIO");
        if (strstr(server_text(s, "err"), "t: starts again") != NULL)
            fail_msg("the tenant ended:\n%s", server_text(s, "err"));
        (void)server_stop(s, SIGTERM);
    }
}

/* --- shares made at run time, when their tenant starts again ---------------------- */

static pid_t
worker_pid(const struct server *s)
{
    struct server_child v[8];

    for (size_t i = 0, n = server_children(s, v, COUNT(v)); i < n; i++)
        if (v[i].worker)
            return v[i].pid;
    fail_msg("there is no worker");
    return -1;
}

/* Two shares come, "one" and "two"; then the worker dies, and their helpers do
 * as they are told. A conversation with the server. */
static int
start_again_with(struct server *s, const char *one, const char *two)
{
    char settings[128];
    int fd;

    (void)snprintf(settings, sizeof(settings), "path = \"%s\" access = read-only",
                   server_path(s, "ro"));
    server_file(s, "more.conf",
                "control \"unix:@/control\" { }\n"
                "tenant \"t\" { listen \"unix:@/sock\" { protocol = 9p }\n"
                "share \"rw\" { path = \"@/rw\" access = read-write } }\n");
    play(s, "rw", "rw", "ra");
    server_start(s, (const char *[]){server_path(s, "more.conf"), NULL});
    fd = peer_open(s);
    assert_int_equal(peer_add(fd, "r1", "one", settings), 0);
    assert_int_equal(peer_add(fd, "r2", "two", settings), 0);
    server_file(s, "one.does", one);
    server_file(s, "two.does", two);
    assert_int_equal(kill(worker_pid(s), SIGKILL), 0);
    server_await_log(s, "tenant t: starts again in 1 s");
    return fd;
}

static void
a_violation_before_it_was_ready_costs_its_share(void **state)
{
    struct server *s = *state;
    int fd = start_again_with(s, "V", "gw");

    peer_await_state(fd, "rw", POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    peer_await_state(fd, "one", POSTERN__V1__SHARE_STATE__SHARE_FAILED);
    peer_await_state(fd, "two", POSTERN__V1__SHARE_STATE__SHARE_FAILED);
    assert_int_equal(count(server_text(s, "err"), "starts again in"), 1);
    close(fd);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
a_helper_that_hangs_keeps_only_its_share_down(void **state)
{
    struct server *s = *state;
    int fd = start_again_with(s, "frw", "w");

    server_await_log(s, "tenant t: starts without share one");
    server_file(s, "go", "");
    peer_await_state(fd, "rw", POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    peer_await_state(fd, "one", POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    peer_await_state(fd, "two", POSTERN__V1__SHARE_STATE__SHARE_FAILED);
    assert_int_equal(count(server_text(s, "err"), "starts again in"), 1);
    assert_int_equal(peer_remove(fd, "r2", 0), 0);
    assert_int_equal(peer_share_state(fd, "two"), -1);
    close(fd);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

int
main(int argc, char **argv)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, server_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_bad_start_of_any_child_ends_everything),
        CASE(a_child_that_says_nothing_is_not_waited_for_forever),
        CASE(more_tenants_than_may_start_at_once_all_serve),
        CASE(a_bad_start_ends_those_that_still_wait_for_theirs),
        CASE(without_landlock_only_best_effort_serves),
        CASE(lines_of_a_child_are_plain_named_and_few),
        CASE(a_violation_ends_the_tenant_whoever_saw_it),
        CASE(any_other_end_of_a_helper_costs_its_share),
        CASE(a_violation_before_it_was_ready_costs_its_share),
        CASE(a_helper_that_hangs_keeps_only_its_share_down),
    };

    if (argc > 0 && strncmp(argv[0], "postern-", 8) == 0)
        return be_a_child(argv[0]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
