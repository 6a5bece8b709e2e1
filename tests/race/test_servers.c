/*
 * The storm against the real programs in their sandboxes.
 */
#include "tests/lib/test.h"

#include <signal.h>
#include <stdio.h>

#include "tests/lib/server.h"
#include "tests/lib/storm.h"

#define CHILDREN 3

static struct nc *
connect_to(void *ctx)
{
    const struct server *s = ctx;
    struct nc *c = NULL;

    if (nc_connect(s->address, &c) < 0)
        return NULL;
    return c;
}

static void
nothing_leaves_the_share_and_nothing_stays_behind(void **state)
{
    struct server *s = *state;
    const struct storm storm = {.share = server_path(s, "rw"),
                                .connect = connect_to,
                                .ctx = s,
                                .aname = "rw",
                                .clients = 6,
                                .seconds = 8,
                                .each = true};
    struct server_child before[CHILDREN], after[CHILDREN + 1];
    struct storm_counts n;
    size_t fds[CHILDREN];

    assert_int_equal(server_children(s, before, CHILDREN), CHILDREN);
    for (size_t i = 0; i < CHILDREN; i++)
        fds[i] = server_fds(before[i].pid);
    n = storm_run(&storm);
    printf("%llu requests, %llu refused, %llu swaps, the link met %llu times\n",
           (unsigned long long)n.requests, (unsigned long long)n.refused,
           (unsigned long long)n.swaps, (unsigned long long)n.links_met);
    printf("%llu locks, %llu of them by who might wait\n", (unsigned long long)n.locks,
           (unsigned long long)n.waits);
    assert_true(n.requests > 1000 && n.swaps > 100 && n.links_met > 0);
    assert_true(n.locks > 0 && n.waits > 0);
    assert_int_equal(n.in_vain, 0);
    assert_true(n.refused < n.requests - n.requests / 20); /* not all in vain */
    assert_int_equal(server_children(s, after, CHILDREN + 1), CHILDREN);
    for (size_t i = 0; i < CHILDREN; i++) {
        assert_int_equal(after[i].pid, before[i].pid);
        server_await_fds(after[i].pid, fds[i]);
    }
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_leaves_the_share_and_nothing_stays_behind,
                                        server_setup_started, server_teardown),
    };

    return cmocka_run_group_tests_name("storm against the servers", tests, NULL, NULL);
}
