/*
 * A real worker in its sandbox, of which the test is the broker: shares that
 * come and go on fd 3. The shares themselves are served in this process.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/boot.h"
#include "ipc/fd.h"
#include "ipc/limits.h"
#include "ipc/log.h"
#include "sandbox/spawn.h"
#include "tests/lib/contract.h"
#include "tests/lib/server.h"

#define DEADLINE_MS 15000
#define WORKER_ID 12345u
#define ID_A "00112233445566778899aabbccddeeff"

struct world {
    struct contract *share; /* owned; the directory */
    struct contract *now;   /* owned; who serves it to the worker; NULL: nobody yet */
    pid_t pid;
    int pidfd, sock; /* owned */
    struct sockaddr_un address;
    int listener; /* owned */
};

static char program[PATH_MAX]; /* whatever directory we are in later */

static Postern__V1__FromChild *
hear(const struct world *w)
{
    Postern__V1__FromChild *m = NULL;

    for (;;) {
        struct pollfd p = {.fd = w->sock, .events = POLLIN};

        assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
        assert_int_equal(from_child_recv(w->sock, &m), 1);
        if (m->log == NULL)
            return m;
        from_child_free(m);
    }
}

static void
boot(struct world *w)
{
    Postern__V1__Boot b = POSTERN__V1__BOOT__INIT;
    Postern__V1__WorkerBoot wb = POSTERN__V1__WORKER_BOOT__INIT;
    Postern__V1__SandboxBoot sb = POSTERN__V1__SANDBOX_BOOT__INIT;
    Postern__V1__ListenerBoot lb = POSTERN__V1__LISTENER_BOOT__INIT, *listeners = &lb;
    Postern__V1__FromChild *m;

    lb.address = (char[]){"here"};
    wb.n_listeners = 1;
    wb.listeners = &listeners;
    wb.connections = 16;
    wb.fids = 100;
    wb.in_flight = 64;
    wb.msize = 65536;
    sb.uid = sb.gid = WORKER_ID;
    b.version = BOOT_VERSION;
    b.tenant = (char[]){"t"};
    b.worker = &wb;
    b.sandbox = &sb;
    assert_int_equal(boot_send(w->sock, &b, &w->listener, 1), 0);
    m = hear(w);
    assert_non_null(m->ready);
    from_child_free(m);
}

static void
listen_somewhere(struct world *w)
{
    w->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(w->address.sun_path, sizeof(w->address.sun_path), "%s-sock", w->share->path);
    w->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(w->listener, (const struct sockaddr *)&w->address, sizeof(w->address)),
                     0);
    assert_int_equal(listen(w->listener, 16), 0);
}

/* A worker without any share. */
static int
setup(void **state)
{
    static const struct contract_options options = {.for_worker = true};
    static struct world w;
    struct spawn s = {.name = "postern-worker"};
    int sv[2];

    w = (struct world){.share = contract_open(&options)};
    listen_somewhere(&w);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
    s.exe_fd = open(program, O_PATH | O_CLOEXEC);
    assert_true(s.exe_fd >= 0);
    s.boot_fd = sv[1];
    w.sock = sv[0];
    assert_int_equal(spawn_child(&s, &w.pid, &w.pidfd), 0);
    close(sv[1]);
    close(s.exe_fd);
    boot(&w);
    *state = &w;
    return 0;
}

/* How the worker ends when it is left alone. */
static int
ended(const struct world *w)
{
    struct pollfd p = {.fd = w->pidfd, .events = POLLIN};
    siginfo_t si = {0};

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    assert_int_equal(waitid(P_PIDFD, (id_t)w->pidfd, &si, WEXITED), 0);
    return si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    close(w->sock);
    if (w->pid > 0)
        assert_int_equal(ended(w), 0);
    close(w->pidfd);
    close(w->listener);
    (void)unlink(w->address.sun_path);
    if (w->now != NULL)
        (void)contract_close(w->now);
    (void)contract_close(w->share);
    return 0;
}

/* By a helper and over a channel that nobody used yet. */
static void
add(struct world *w, uint32_t number, const char *name, const char *id)
{
    struct contract *fresh = contract_again(w->share);
    const struct contract_channel ch = contract_channel(fresh);
    const int fds[SHARE_FDS] = {ch.memfd, ch.to_helper, ch.to_worker};
    Postern__V1__ToChild m = POSTERN__V1__TO_CHILD__INIT;
    Postern__V1__ShareAdded added = POSTERN__V1__SHARE_ADDED__INIT;
    Postern__V1__ShareBoot sb = POSTERN__V1__SHARE_BOOT__INIT;
    char text[2][64];

    (void)snprintf(text[0], sizeof(text[0]), "%s", name);
    (void)snprintf(text[1], sizeof(text[1]), "%s", id == NULL ? "" : id);
    sb.name = text[0];
    sb.id = id == NULL ? NULL : text[1];
    added.share = number;
    added.boot = &sb;
    m.share_added = &added;
    assert_int_equal(to_child_send_fds(w->sock, &m, fds, SHARE_FDS), 0);
    if (w->now != NULL)
        (void)contract_close(w->now);
    w->now = fresh;
}

static void
served(const struct world *w, uint32_t number)
{
    Postern__V1__FromChild *m = hear(w);

    assert_non_null(m->share_served);
    assert_int_equal(m->share_served->share, number);
    from_child_free(m);
}

static void
leave(const struct world *w, uint32_t number, uint32_t drain_ms)
{
    Postern__V1__ToChild m = POSTERN__V1__TO_CHILD__INIT;
    Postern__V1__ShareLeaves leaves = POSTERN__V1__SHARE_LEAVES__INIT;

    leaves.share = number;
    leaves.drain_ms = drain_ms;
    m.share_leaves = &leaves;
    assert_int_equal(to_child_send(w->sock, &m), 0);
}

static void
over(const struct world *w, uint32_t number)
{
    Postern__V1__FromChild *m = hear(w);

    assert_non_null(m->share_over);
    assert_int_equal(m->share_over->share, number);
    from_child_free(m);
}

static struct nc *
guest(const struct world *w)
{
    char address[sizeof(w->address.sun_path) + 8];
    struct nc *c = NULL;

    (void)snprintf(address, sizeof(address), "unix:%s", w->address.sun_path);
    assert_int_equal(nc_connect(address, &c), 0);
    assert_int_equal(nc_version(c, 65536, "9P2000.L"), 0);
    return c;
}

static int
getattr(struct nc *c, uint32_t fid)
{
    struct nc_attr a;

    return nc_getattr(c, fid, 0x7ff, &a);
}

static void
a_worker_starts_without_shares_and_takes_them_later(void **state)
{
    struct world *w = *state;
    struct nc *c = guest(w);
    struct nc_qid q[4];
    size_t n = 0;

    assert_int_equal(nc_attach(c, 0, "", "", 0), 0); /* the root of all shares, empty */
    assert_int_equal(nc_attach(c, 1, "", "late", 0), -ENOENT);
    add(w, 7, "late", ID_A);
    served(w, 7);
    assert_int_equal(nc_attach(c, 1, "", "late", 0), 0);
    assert_int_equal(nc_attach(c, 2, "", ID_A, 0), 0);
    assert_int_equal(nc_mkdir(c, 1, "made", 0755, 0, q), 0);
    assert_int_equal(nc_walk(c, 0, 3, 2, (const char *const[]){"late", "made"}, q, &n), 0);
    assert_int_equal(n, 2);
    assert_int_equal(faccessat(w->share->root, "made", F_OK, 0), 0);
    nc_close(c);
}

static void
a_share_taken_away_leaves_nothing_behind(void **state)
{
    struct world *w = *state;
    struct nc *c = guest(w);
    const size_t fds = server_fds(w->pid);

    assert_int_equal(nc_attach(c, 0, "", "", 0), 0);
    for (uint32_t i = 0; i < 50; i++) { /* whatever leaks, runs out */
        struct nc_qid q[2];
        size_t n = 0;

        add(w, i % 3, "late", ID_A);
        served(w, i % 3);
        assert_int_equal(nc_walk(c, 0, 1, 1, (const char *const[]){"late"}, q, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(getattr(c, 1), 0);
        leave(w, i % 3, 0);
        over(w, i % 3);
        assert_int_equal(getattr(c, 1), -ESTALE);
        assert_int_equal(nc_clunk(c, 1), 0);
        assert_int_equal(nc_walk(c, 0, 1, 1, (const char *const[]){"late"}, q, &n), -ENOENT);
    }
    assert_int_equal(server_fds(w->pid), fds);
    nc_close(c);
}

static void
a_share_drains_until_nobody_has_it_or_no_more_time_is_left(void **state)
{
    struct world *w = *state;
    struct nc *c = guest(w);

    add(w, 0, "a", NULL);
    served(w, 0);
    assert_int_equal(nc_attach(c, 0, "", "a", 0), 0);
    leave(w, 0, 3600000);
    while (nc_attach(c, 1, "", "a", 0) == 0) /* until it was heard */
        assert_int_equal(nc_clunk(c, 1), 0);
    assert_int_equal(getattr(c, 0), 0);
    assert_int_equal(nc_clunk(c, 0), 0);
    over(w, 0);
    add(w, 0, "a", NULL);
    served(w, 0);
    assert_int_equal(nc_attach(c, 0, "", "a", 0), 0);
    leave(w, 0, 3600000);
    leave(w, 0, 0); /* now */
    over(w, 0);
    assert_int_equal(getattr(c, 0), -ESTALE);
    leave(w, 0, 0); /* it may cross our word */
    assert_int_equal(nc_clunk(c, 0), 0);
    add(w, 0, "a", NULL);
    served(w, 0);
    assert_int_equal(nc_attach(c, 0, "", "a", 0), 0);
    leave(w, 0, 50);
    over(w, 0);
    assert_int_equal(getattr(c, 0), -ESTALE);
    nc_close(c);
}

static void
violates(struct world *w)
{
    assert_int_equal(ended(w), EXIT_VIOLATION);
    w->pid = 0;
}

static void
a_number_in_use_is_a_violation(void **state)
{
    add(*state, 0, "a", NULL);
    add(*state, 0, "b", NULL);
    violates(*state);
}

static void
a_name_in_use_is_a_violation(void **state)
{
    add(*state, 0, "a", NULL);
    add(*state, 1, "a", NULL);
    violates(*state);
}

static void
a_number_too_large_is_a_violation(void **state)
{
    add(*state, SHARES_PER_TENANT_MAX, "a", NULL);
    violates(*state);
}

static void
to_take_away_what_was_never_there_is_a_violation(void **state)
{
    leave(*state, 0, 0);
    violates(*state);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_worker_starts_without_shares_and_takes_them_later),
        CASE(a_share_taken_away_leaves_nothing_behind),
        CASE(a_share_drains_until_nobody_has_it_or_no_more_time_is_left),
        CASE(a_number_in_use_is_a_violation),
        CASE(a_name_in_use_is_a_violation),
        CASE(a_number_too_large_is_a_violation),
        CASE(to_take_away_what_was_never_there_is_a_violation),
    };

    const char *bin = getenv("POSTERN_BIN");
    char path[PATH_MAX];

    if (server_needs_root())
        return 0;
    (void)snprintf(path, sizeof(path), "%s/postern-worker", bin == NULL ? "build" : bin);
    if (realpath(path, program) == NULL)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
