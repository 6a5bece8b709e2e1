/*
 * A real worker in its sandbox, of which the test is the broker: shares that
 * come and go on fd 3. The shares themselves are served in this process.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "ipc/limits.h"
#include "ipc/log.h"
#include "tests/lib/lone_worker.h"

#define ID_A "00112233445566778899aabbccddeeff"

struct world {
    struct contract *share; /* owned; the directory */
    struct contract *now;   /* owned; who serves it to the worker; NULL: nobody yet */
    struct lone_worker w;
};

/* A worker without any share. */
static int
setup(void **state)
{
    static const struct contract_options options = {.for_worker = true};
    static struct world w;
    char path[96];

    w = (struct world){.share = contract_open(&options)};
    (void)snprintf(path, sizeof(path), "%s-sock", w.share->path);
    lone_worker_start(&w.w, path);
    *state = &w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    lone_worker_stop(&w->w);
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

    lone_worker_add(&w->w, number, name, id, &ch);
    if (w->now != NULL)
        (void)contract_close(w->now);
    w->now = fresh;
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
    struct nc *c = lone_worker_guest(&w->w);
    struct nc_qid q[4];
    size_t n = 0;

    assert_int_equal(nc_attach(c, 0, "", "", 0), 0); /* the root of all shares, empty */
    assert_int_equal(nc_attach(c, 1, "", "late", 0), -ENOENT);
    add(w, 7, "late", ID_A);
    lone_worker_served(&w->w, 7);
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
    struct nc *c = lone_worker_guest(&w->w);
    const size_t fds = server_fds(w->w.pid);

    assert_int_equal(nc_attach(c, 0, "", "", 0), 0);
    for (uint32_t i = 0; i < 50; i++) { /* whatever leaks, runs out */
        struct nc_qid q[2];
        size_t n = 0;

        add(w, i % 3, "late", ID_A);
        lone_worker_served(&w->w, i % 3);
        assert_int_equal(nc_walk(c, 0, 1, 1, (const char *const[]){"late"}, q, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(getattr(c, 1), 0);
        lone_worker_leave(&w->w, i % 3, 0);
        lone_worker_over(&w->w, i % 3);
        assert_int_equal(getattr(c, 1), -ESTALE);
        assert_int_equal(nc_clunk(c, 1), 0);
        assert_int_equal(nc_walk(c, 0, 1, 1, (const char *const[]){"late"}, q, &n), -ENOENT);
    }
    assert_int_equal(server_fds(w->w.pid), fds);
    nc_close(c);
}

static void
a_share_drains_until_nobody_has_it_or_no_more_time_is_left(void **state)
{
    struct world *w = *state;
    struct nc *c = lone_worker_guest(&w->w);

    add(w, 0, "a", NULL);
    lone_worker_served(&w->w, 0);
    assert_int_equal(nc_attach(c, 0, "", "a", 0), 0);
    lone_worker_leave(&w->w, 0, 3600000);
    while (nc_attach(c, 1, "", "a", 0) == 0) /* until it was heard */
        assert_int_equal(nc_clunk(c, 1), 0);
    assert_int_equal(getattr(c, 0), 0);
    assert_int_equal(nc_clunk(c, 0), 0);
    lone_worker_over(&w->w, 0);
    add(w, 0, "a", NULL);
    lone_worker_served(&w->w, 0);
    assert_int_equal(nc_attach(c, 0, "", "a", 0), 0);
    lone_worker_leave(&w->w, 0, 3600000);
    lone_worker_leave(&w->w, 0, 0); /* now */
    lone_worker_over(&w->w, 0);
    assert_int_equal(getattr(c, 0), -ESTALE);
    lone_worker_leave(&w->w, 0, 0); /* it may cross our word */
    assert_int_equal(nc_clunk(c, 0), 0);
    add(w, 0, "a", NULL);
    lone_worker_served(&w->w, 0);
    assert_int_equal(nc_attach(c, 0, "", "a", 0), 0);
    lone_worker_leave(&w->w, 0, 50);
    lone_worker_over(&w->w, 0);
    assert_int_equal(getattr(c, 0), -ESTALE);
    nc_close(c);
}

static void
violates(struct world *w)
{
    assert_int_equal(lone_worker_ended(&w->w), EXIT_VIOLATION);
    w->w.pid = 0;
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
    struct world *w = *state;

    lone_worker_leave(&w->w, 0, 0);
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

    if (server_needs_root())
        return 0;
    if (lone_worker_find() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
