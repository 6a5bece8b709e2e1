/*
 * The broker of one worker, for tests. See lone_worker.h.
 *
 * Runs in: tests.   Trusts: the worker to speak the protocol of fd 3.
 * Owns: the socket's name.
 */
#include "tests/lib/test.h"

#include "tests/lib/lone_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/spawn.h"

#define DEADLINE_MS 15000
#define WORKER_ID 12345u

static char program[PATH_MAX]; /* whatever directory we are in later */

int
lone_worker_find(void)
{
    const char *bin = getenv("POSTERN_BIN");
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%s/postern-worker", bin == NULL ? "build" : bin);
    return realpath(path, program) == NULL ? -errno : 0;
}

static Postern__V1__FromChild *
hear(const struct lone_worker *w)
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
boot(const struct lone_worker *w)
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
listen_at(struct lone_worker *w, const char *path)
{
    w->address = (struct sockaddr_un){.sun_family = AF_UNIX};
    (void)snprintf(w->address.sun_path, sizeof(w->address.sun_path), "%s", path);
    w->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(w->listener, (const struct sockaddr *)&w->address, sizeof(w->address)),
                     0);
    assert_int_equal(listen(w->listener, 16), 0);
}

void
lone_worker_start(struct lone_worker *w, const char *path)
{
    struct spawn s = {.name = "postern-worker"};
    int sv[2];

    *w = (struct lone_worker){.pidfd = -1};
    listen_at(w, path);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
    s.exe_fd = open(program, O_PATH | O_CLOEXEC);
    assert_true(s.exe_fd >= 0);
    s.boot_fd = sv[1];
    w->sock = sv[0];
    assert_int_equal(spawn_child(&s, &w->pid, &w->pidfd), 0);
    close(sv[1]);
    close(s.exe_fd);
    boot(w);
}

int
lone_worker_ended(const struct lone_worker *w)
{
    struct pollfd p = {.fd = w->pidfd, .events = POLLIN};
    siginfo_t si = {0};

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    assert_int_equal(waitid(P_PIDFD, (id_t)w->pidfd, &si, WEXITED), 0);
    return si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status;
}

void
lone_worker_stop(struct lone_worker *w)
{
    close(w->sock);
    if (w->pid > 0)
        assert_int_equal(lone_worker_ended(w), 0);
    close(w->pidfd);
    close(w->listener);
    (void)unlink(w->address.sun_path);
}

void
lone_worker_add(const struct lone_worker *w, uint32_t number, const char *name, const char *id,
                const struct contract_channel *ch)
{
    const int fds[SHARE_FDS] = {ch->memfd, ch->to_helper, ch->to_worker};
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
}

void
lone_worker_helper_gone(const struct lone_worker *w, uint32_t number)
{
    Postern__V1__ToChild m = POSTERN__V1__TO_CHILD__INIT;
    Postern__V1__ShareGone gone = POSTERN__V1__SHARE_GONE__INIT;

    gone.share = number;
    m.share_gone = &gone;
    assert_int_equal(to_child_send(w->sock, &m), 0);
}

void
lone_worker_leave(const struct lone_worker *w, uint32_t number, uint32_t drain_ms)
{
    Postern__V1__ToChild m = POSTERN__V1__TO_CHILD__INIT;
    Postern__V1__ShareLeaves leaves = POSTERN__V1__SHARE_LEAVES__INIT;

    leaves.share = number;
    leaves.drain_ms = drain_ms;
    m.share_leaves = &leaves;
    assert_int_equal(to_child_send(w->sock, &m), 0);
}

void
lone_worker_served(const struct lone_worker *w, uint32_t number)
{
    Postern__V1__FromChild *m = hear(w);

    assert_non_null(m->share_served);
    assert_int_equal(m->share_served->share, number);
    from_child_free(m);
}

void
lone_worker_over(const struct lone_worker *w, uint32_t number)
{
    Postern__V1__FromChild *m = hear(w);

    assert_non_null(m->share_over);
    assert_int_equal(m->share_over->share, number);
    from_child_free(m);
}

struct nc *
lone_worker_guest(const struct lone_worker *w)
{
    char address[sizeof(w->address.sun_path) + 8];
    struct nc *c = NULL;

    (void)snprintf(address, sizeof(address), "unix:%s", w->address.sun_path);
    assert_int_equal(nc_connect(address, &c), 0);
    assert_int_equal(nc_version(c, 65536, "9P2000.L"), 0);
    return c;
}
