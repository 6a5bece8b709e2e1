/*
 * What dies, and what the others see of it; and guests that vanish or never
 * spoke the protocol.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "tests/lib/random.h"
#include "tests/lib/server.h"

#define CHILDREN 3
enum { RO_HELPER, RW_HELPER, WORKER }; /* in the order they are started */

static void
children(const struct server *s, struct server_child v[CHILDREN])
{
    assert_int_equal(server_children(s, v, CHILDREN), CHILDREN);
    assert_false(v[RO_HELPER].worker);
    assert_false(v[RW_HELPER].worker);
    assert_true(v[WORKER].worker);
}

static int
answers(struct nc *c)
{
    struct nc_attr a;

    return nc_getattr(c, 0, NINE_GETATTR_BASIC, &a);
}

static void
a_killed_helper_costs_its_own_share_only(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN], now[CHILDREN];
    struct nc *ro = server_attach(s, "ro"), *rw = server_attach(s, "rw");
    unsigned left = 0;

    children(s, v);
    assert_int_equal(kill(v[RW_HELPER].pid, SIGKILL), 0);
    server_await_log(s, "t/rw: ended by signal 9");
    server_await_log(s, "share rw answers EIO");
    while (server_patience(&left) && answers(rw) != -EIO)
        ;
    assert_int_equal(answers(rw), -EIO);
    assert_int_equal(nc_mkdir(rw, 0, "d", 0755, 0, NULL), -EIO);
    assert_int_equal(answers(ro), 0);
    server_await_gone(v[RW_HELPER].pid);
    assert_int_equal(server_children(s, now, CHILDREN), CHILDREN - 1);
    assert_int_equal(now[1].pid, v[WORKER].pid);
    nc_close(ro);
    nc_close(rw);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* The request is with the helper when it dies: it is answered all the same. */
static void
a_request_in_flight_is_answered_when_its_helper_dies(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];
    struct nc *rw = server_attach(s, "rw");
    struct nc_reply rep;

    children(s, v);
    assert_int_equal(kill(v[RW_HELPER].pid, SIGSTOP), 0);
    for (uint16_t tag = 1; tag <= 8; tag++) {
        nc_begin(rw, NINE_TGETATTR, tag);
        nc_u32(rw, 0);
        nc_u64(rw, NINE_GETATTR_BASIC);
        nc_end(rw);
    }
    assert_int_equal(nc_push(rw), 0);
    assert_int_equal(kill(v[RW_HELPER].pid, SIGKILL), 0);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(nc_pull(rw, &rep), 0);
        assert_int_equal(rep.type, NINE_RLERROR);
        assert_int_equal(rep.body[0], EIO);
    }
    nc_close(rw);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* As a freezer or a debugger does. No call of theirs needs a signal handler or
 * the call that restarts another. */
static void
children_that_were_stopped_go_on(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];
    struct nc *c = server_attach(s, "rw");

    children(s, v);
    for (unsigned round = 0; round < 20; round++) {
        for (size_t i = 0; i < CHILDREN; i++)
            assert_int_equal(kill(v[i].pid, SIGSTOP), 0);
        for (size_t i = 0; i < CHILDREN; i++)
            assert_int_equal(kill(v[i].pid, SIGCONT), 0);
        assert_int_equal(answers(c), 0);
    }
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static struct nc *
attach_again(const struct server *s, const char *share)
{
    unsigned left = 0;

    while (server_patience(&left)) {
        struct nc *c = NULL;

        /* the socket never went away: connects wait in its backlog */
        if (nc_connect(s->address, &c) == 0 && nc_version(c, 65536, "9P2000.L") == 0 &&
            nc_attach(c, 0, "", share, 0) == 0)
            return c;
        nc_close(c);
    }
    fail_msg("no service again; posternd said:\n%s", server_text(s, "err"));
    return NULL;
}

static void
after_a_killed_worker_service_comes_back(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN], now[CHILDREN];
    struct nc *rw = server_attach(s, "rw");

    for (int round = 0; round < 2; round++) {
        children(s, v);
        assert_int_equal(kill(v[WORKER].pid, SIGKILL), 0);
        assert_int_equal(answers(rw), -EPIPE);
        nc_close(rw);
        rw = attach_again(s, "rw");
        assert_int_equal(answers(rw), 0);
        children(s, now);
        for (size_t i = 0; i < CHILDREN; i++) {
            server_await_gone(v[i].pid);
            assert_int_not_equal(now[i].pid, v[i].pid);
        }
    }
    server_await_log(s, "tenant t: starts again in 1 s");
    server_await_log(s, "tenant t: starts again in 2 s");
    nc_close(rw);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
a_worker_that_dies_brings_a_lost_share_back(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];
    struct nc *c;

    children(s, v);
    assert_int_equal(kill(v[RW_HELPER].pid, SIGKILL), 0);
    server_await_log(s, "share rw answers EIO");
    assert_int_equal(kill(v[WORKER].pid, SIGKILL), 0);
    server_await_gone(v[WORKER].pid);
    c = attach_again(s, "rw");
    assert_int_equal(answers(c), 0);
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
it_ends_cleanly_while_a_tenant_rests(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];

    children(s, v);
    assert_int_equal(kill(v[WORKER].pid, SIGKILL), 0);
    server_await_log(s, "starts again in 1 s");
    assert_int_equal(server_stop(s, SIGTERM), 0);
    assert_int_equal(access(server_path(s, "sock"), F_OK), -1);
}

static void
a_killed_posternd_takes_its_children_along(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];
    struct nc *c = server_attach(s, "rw");

    children(s, v);
    assert_true(WIFSIGNALED(server_stop(s, SIGKILL)));
    for (size_t i = 0; i < CHILDREN; i++)
        server_await_gone(v[i].pid);
    assert_int_equal(answers(c), -EPIPE);
    nc_close(c);
    server_start(s, NULL); /* over the socket that was left */
    nc_close(server_attach(s, "rw"));
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* --- guests ----------------------------------------------------------------------- */

static void
fds_of(const struct server_child v[CHILDREN], size_t n[CHILDREN])
{
    for (size_t i = 0; i < CHILDREN; i++)
        n[i] = server_fds(v[i].pid);
}

/* Open files, walked fids, and requests of every kind still unanswered. */
static void
be_a_busy_guest(struct server *s)
{
    static char data[65536];
    struct nc *c = server_attach(s, "rw");
    const char *name = "busy";

    assert_int_equal(nc_walk(c, 0, 1, 0, NULL, NULL, NULL), 0);
    assert_int_equal(nc_lcreate(c, 1, name, NINE_O_RDWR, 0644, 0, NULL, NULL), 0);
    for (uint32_t fid = 10; fid < 40; fid++) {
        assert_int_equal(nc_walk(c, 0, fid, 1, &name, NULL, NULL), 0);
        assert_int_equal(nc_lopen(c, fid, NINE_O_RDWR, NULL, NULL), 0);
    }
    for (uint16_t tag = 1; tag <= 60; tag++) {
        nc_begin(c, tag % 2 == 0 ? NINE_TWRITE : NINE_TREAD, tag);
        nc_u32(c, 10u + tag % 30);
        nc_u64(c, tag * sizeof(data));
        nc_u32(c, sizeof(data));
        if (tag % 2 == 0)
            nc_bytes(c, data, sizeof(data));
        nc_end(c);
    }
    /* a write may block once the server has no room: half of it is enough */
    (void)shutdown(nc_fd(c), SHUT_RD);
    (void)nc_push(c);
    nc_close(c);
}

/* The first half of a write whose second half never comes. */
static void
be_half_a_guest(struct server *s)
{
    static const char half[] = "\x00\x10\0\0\x76\1\0\1\0\0\0\0\0\0\0\0\0\0\0\xe9\x0f\0\0abc";
    struct nc *c = server_attach(s, "rw");

    assert_int_equal(nc_walk(c, 0, 1, 0, NULL, NULL, NULL), 0);
    assert_int_equal(nc_lcreate(c, 1, "half", NINE_O_RDWR, 0644, 0, NULL, NULL), 0);
    assert_int_equal(send(nc_fd(c), half, sizeof(half) - 1, MSG_NOSIGNAL), sizeof(half) - 1);
    nc_close(c);
}

static void
a_guest_that_vanishes_leaks_nothing(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];
    size_t base[CHILDREN];

    children(s, v);
    fds_of(v, base);
    for (int i = 0; i < 20; i++) {
        be_a_busy_guest(s);
        be_half_a_guest(s);
    }
    for (size_t i = 0; i < CHILDREN; i++)
        server_await_fds(v[i].pid, base[i]);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* Pure noise, or noise behind a header that is almost right. */
static void
be_a_hostile_guest(struct server *s, uint64_t *seed)
{
    uint8_t noise[4096];
    struct nc *c = random_next(seed) % 2 == 0 ? server_attach(s, "rw") : server_connect(s);
    size_t n = random_next(seed) % sizeof(noise), at = 0;

    for (size_t i = 0; i < n; i++)
        noise[i] = (uint8_t)random_next(seed);
    while (random_next(seed) % 4 != 0 && n - at > 64) {
        uint32_t size = 7 + (uint32_t)(random_next(seed) % 57);

        memcpy(noise + at, &size, sizeof(size));
        noise[at + 4] = (uint8_t)(random_next(seed) % 128);
        at += size;
    }
    (void)send(nc_fd(c), noise, n, MSG_NOSIGNAL | MSG_DONTWAIT);
    nc_close(c);
}

static void
random_bytes_do_not_end_a_process(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN], now[CHILDREN];
    struct nc *good = server_attach(s, "ro");
    uint64_t seed = 0x9e3779b97f4a7c15u;

    children(s, v);
    for (int i = 0; i < 500; i++)
        be_a_hostile_guest(s, &seed);
    assert_int_equal(answers(good), 0);
    nc_close(good);
    good = server_attach(s, "rw");
    assert_int_equal(answers(good), 0);
    children(s, now);
    for (size_t i = 0; i < CHILDREN; i++)
        assert_int_equal(now[i].pid, v[i].pid);
    nc_close(good);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, server_setup_started, server_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_killed_helper_costs_its_own_share_only),
        CASE(a_request_in_flight_is_answered_when_its_helper_dies),
        CASE(children_that_were_stopped_go_on),
        CASE(after_a_killed_worker_service_comes_back),
        CASE(a_worker_that_dies_brings_a_lost_share_back),
        CASE(it_ends_cleanly_while_a_tenant_rests),
        CASE(a_killed_posternd_takes_its_children_along),
        CASE(a_guest_that_vanishes_leaks_nothing),
        CASE(random_bytes_do_not_end_a_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
