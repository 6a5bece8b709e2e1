/*
 * The event loop, with real sockets and epoll, over a share in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"
#include "worker/loop.h"

#define BIG (1024u * 1024u)

struct world {
    struct loop loop;
    struct synth *s;
    unsigned rounds; /* of turn() since the set-up */
};

static void
ignored(struct fs_call *call, int status, const ProtobufCMessage *rep)
{
    (void)call;
    (void)status;
    (void)rep;
}

static int
setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct tenant_limits l = {.connections = 64, .fids = 100, .in_flight = 64, .msize = MSIZE_MAX};
    uint8_t *big = calloc(1, BIG);
    struct fs *fs;

    assert_non_null(w);
    assert_non_null(big);
    (void)signal(SIGPIPE, SIG_IGN);
    w->s = synth_new("s", false);
    fs = synth_fs(w->s);
    synth_put_file(w->s, "big", big, BIG);
    free(big);
    assert_int_equal(loop_init(&w->loop), 0);
    assert_int_equal(tenant_init(&w->loop.tenant, &l, &fs, 1), 0);
    w->loop.tenant.watch_output = loop_watch_output;
    w->loop.tenant.loop = &w->loop;
    *state = w;
    return 0;
}

/* Until nothing happens any more. */
static void
turn(struct world *w)
{
    unsigned quiet = 0;

    while (quiet < 2) {
        w->rounds++;
        assert_true(w->rounds < 1000000);
        assert_true(loop_once(&w->loop, 0));
        quiet = synth_answer(w->s, 1000) > 0 || w->loop.busy ? 0 : quiet + 1;
    }
}

static int
teardown(void **state)
{
    struct world *w = *state;

    tenant_close_all(&w->loop.tenant);
    turn(w);
    tenant_done(&w->loop.tenant);
    synth_free(w->s);
    close(w->loop.epoll_fd);
    free(w);
    return 0;
}

static int
connected(struct world *w)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(loop_serve(&w->loop, fds[1]), 0);
    return fds[0];
}

/* Take in n bytes, however many turns it takes. */
static void
take(struct world *w, int fd, uint8_t *to, size_t n)
{
    unsigned nothing = 0;

    while (n > 0) {
        ssize_t got = recv(fd, to, n, MSG_DONTWAIT);

        if (got > 0) {
            to += got;
            n -= (size_t)got;
            nothing = 0;
            continue;
        }
        assert_true(got < 0 && errno == EAGAIN);
        assert_true(nothing++ < 100); /* an event was missed */
        turn(w);
    }
}

/* Send a message and take its reply of so many bytes. */
static void
ask(struct world *w, int fd, const uint8_t *msg, size_t n, size_t reply)
{
    uint8_t buf[256];

    assert_int_equal(send(fd, msg, n, MSG_NOSIGNAL), (ssize_t)n);
    turn(w);
    take(w, fd, buf, reply);
    assert_int_equal(buf[0], reply);
    assert_int_equal(buf[4], msg[4] + 1);
}

/* Version, attach of fid 0. */
static void
begin(struct world *w, int fd)
{
    uint8_t m[256];

    ask(w, fd, m, msg_make(m, sizeof(m), TVERSION, NOTAG, "4s", MSIZE_MAX, "9P2000.L"), 21);
    ask(w, fd, m, msg_make(m, sizeof(m), TATTACH, 1, "44ss4", 0u, NOFID, "", "s", 0u), 20);
}

static void
a_reader_that_pauses_gets_every_byte_in_the_end(void **state)
{
    static uint8_t reply[11 + BIG];
    struct world *w = *state;
    int fd = connected(w);
    uint8_t m[256];

    begin(w, fd);
    ask(w, fd, m, msg_make(m, sizeof(m), TWALK, 1, "442s", 0u, 1u, 1u, "big"), 22);
    ask(w, fd, m, msg_make(m, sizeof(m), TLOPEN, 1, "44", 1u, 0u), 24);
    for (uint16_t tag = 0; tag < 20; tag++) {
        size_t n = msg_make(m, sizeof(m), TREAD, tag, "484", 1u, (uint64_t)0, BIG);

        assert_int_equal(send(fd, m, n, MSG_NOSIGNAL), (ssize_t)n);
    }
    turn(w); /* fills the socket and stops */
    for (uint16_t tag = 0; tag < 20; tag++) {
        take(w, fd, reply, sizeof(reply));
        assert_int_equal(reply[4], TREAD + 1);
        assert_int_equal(reply[5], tag);
    }
    assert_int_equal(synth_pages_used(w->s), 0);
    close(fd);
}

static void
an_idle_connection_costs_no_turns(void **state)
{
    struct world *w = *state;
    int fd = connected(w);
    unsigned before;
    uint8_t m[256];

    begin(w, fd);
    before = w->rounds;
    for (int i = 0; i < 100; i++)
        ask(w, fd, m, msg_make(m, sizeof(m), TFLUSH, 1, "2", 999u), 7);
    assert_in_range(w->rounds - before, 100, 500);
    close(fd);
    turn(w);
    assert_int_equal(w->loop.tenant.nconns, 0);
}

static void
everybody_who_waits_at_a_listener_is_accepted(void **state)
{
    struct world *w = *state;
    struct sockaddr_un a = {.sun_family = AF_UNIX}; /* abstract, and the kernel names it */
    socklen_t n = sizeof(a);
    struct listener l;
    int fds[50];

    l.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(l.fd, (struct sockaddr *)&a, sizeof(sa_family_t)), 0);
    assert_int_equal(getsockname(l.fd, (struct sockaddr *)&a, &n), 0);
    assert_int_equal(listen(l.fd, COUNT(fds)), 0);
    l.watch = (struct watch){WATCH_LISTENER, &l};
    l.ready = false;
    w->loop.listeners = &l;
    w->loop.nlisteners = 1;
    assert_int_equal(loop_watch(&w->loop, l.fd, &l.watch, EPOLLIN), 0);
    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fds[i], (struct sockaddr *)&a, n), 0);
    }
    turn(w);
    assert_int_equal(w->loop.tenant.nconns, COUNT(fds));
    for (size_t i = 0; i < COUNT(fds); i++) {
        begin(w, fds[i]);
        close(fds[i]);
    }
    turn(w);
    assert_int_equal(w->loop.tenant.nconns, 0);
    w->loop.nlisteners = 0;
    close(l.fd);
}

/* Whether the worker has hung up. */
static bool
hung_up(int fd)
{
    uint8_t byte;

    return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static void
a_connection_too_many_is_closed_at_once_and_costs_nothing(void **state)
{
    struct world *w = *state; /* 64 connections */
    int fds[64], pair[2], null, err;

    for (size_t i = 0; i < COUNT(fds); i++) {
        fds[i] = connected(w);
        begin(w, fds[i]);
    }
    null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    err = dup(STDERR_FILENO);
    assert_true(null >= 0 && err >= 0 && dup2(null, STDERR_FILENO) >= 0); /* a line for each */
    for (int i = 0; i < 100000; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
        assert_int_equal(loop_serve(&w->loop, pair[1]), -EMFILE);
        assert_true(hung_up(pair[0]));
        close(pair[0]);
    }
    assert_true(dup2(err, STDERR_FILENO) >= 0);
    close(null);
    close(err);
    assert_int_equal(w->loop.tenant.nconns, 64);
    close(fds[0]);
    turn(w);
    fds[0] = connected(w);
    for (size_t i = 0; i < COUNT(fds); i++) {
        if (i == 0)
            begin(w, fds[0]);
        assert_false(hung_up(fds[i]));
        close(fds[i]);
    }
}

static uint64_t
woken(int fd)
{
    uint64_t n;

    return read(fd, &n, sizeof(n)) < 0 ? 0 : n;
}

/* The helper sleeps, and the worker has nothing else to say to it. */
static void
what_nobody_awaits_is_told_to_the_helper_before_long(void **state)
{
    struct world *w = *state;
    Postern__V1__ForgetReq q = POSTERN__V1__FORGET_REQ__INIT;
    struct fs_call call = {.done = ignored, .unawaited = true};
    _clean(clean_fd) int memfd = channel_create(), to_helper = eventfd(0, EFD_NONBLOCK);
    struct channel helper;
    struct fs_channel *fc;

    assert_int_equal(fs_channel_new("c", false, memfd, to_helper, &fc), 0);
    assert_int_equal(channel_open(&helper, CHANNEL_HELPER, memfd, -1), 0);
    assert_true(channel_may_sleep(&helper));
    w->loop.helpers[0].fc = fc;
    w->loop.nhelpers = 1;
    q.node = 7;
    q.count = 1;
    assert_int_equal(fs_forget(fs_channel_fs(fc), &q, &call), 0);
    assert_true(loop_once(&w->loop, 0));
    assert_int_equal(woken(to_helper), 0);
    (void)alarm(60); /* a loop that sleeps for ever is the end of this program */
    while (woken(to_helper) == 0)
        assert_true(loop_once(&w->loop, -1));
    (void)alarm(0);
    assert_int_equal(w->loop.tell_at, 0); /* from here on it sleeps as long as it likes */
    w->loop.nhelpers = 0;
    w->loop.helpers[0].fc = NULL;
    fs_channel_gone(fc);
    fs_channel_free(fc);
    channel_close(&helper);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_reader_that_pauses_gets_every_byte_in_the_end),
        T(an_idle_connection_costs_no_turns),
        T(a_connection_too_many_is_closed_at_once_and_costs_nothing),
        T(what_nobody_awaits_is_told_to_the_helper_before_long),
        T(everybody_who_waits_at_a_listener_is_accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
