/*
 * The token bucket, on a clock of the test's own.
 */
#include "tests/lib/test.h"
#include "worker/rate.h"

#define SECOND 1000000000ull

/* How many of size n are let through until then, asking every step ns. */
static uint64_t
let_through(struct rate *r, uint64_t from, uint64_t until, uint64_t step, uint64_t n)
{
    uint64_t total = 0;

    for (uint64_t now = from; now < until; now += step) {
        while (rate_take(r, now, n))
            total++;
    }
    return total;
}

static void
without_a_limit_everything_goes(void **state)
{
    struct rate r;

    (void)state;
    rate_init(&r, 0, 1);
    for (int i = 0; i < 1000; i++)
        assert_true(rate_take(&r, 0, UINT64_MAX / 2));
    assert_int_equal(rate_due(&r), 0);
}

static void
a_second_is_saved_up_and_no_more(void **state)
{
    struct rate r;

    (void)state;
    rate_init(&r, 100, 1);
    assert_int_equal(let_through(&r, 0, 1, 1, 1), 100);
    assert_int_equal(let_through(&r, 1000 * SECOND, 1000 * SECOND + 1, 1, 1), 100);
}

static void
over_time_the_rate_is_exact_however_often_one_asks(void **state)
{
    static const uint64_t steps[] = {1, 7, 999, 123456, 50000000, 900000000};

    (void)state;
    for (size_t i = 0; i < COUNT(steps); i++) {
        uint64_t from = 10 * SECOND, until = from + (steps[i] < 1000 ? SECOND / 1000 : 30 * SECOND);
        struct rate r;
        uint64_t got, want;

        rate_init(&r, 12345, 1);
        (void)let_through(&r, from, from + 1, 1, 1); /* empty */
        got = let_through(&r, from, until, steps[i], 1);
        want = 12345 * (until - steps[i] - from) / SECOND;
        assert_in_range(got, want > 0 ? want - 1 : 0, 12345 * (until - from) / SECOND + 1);
    }
}

static void
more_than_the_bucket_holds_is_let_through_and_paid_off(void **state)
{
    struct rate r;

    (void)state;
    rate_init(&r, 1000, 1);
    assert_true(rate_take(&r, 0, 10000));
    assert_int_equal(rate_due(&r), 9001 * SECOND / 1000);
    assert_false(rate_take(&r, rate_due(&r) - 1, 1));
    assert_true(rate_take(&r, rate_due(&r), 1));
}

static void
least_is_the_burst_of_a_small_rate(void **state)
{
    struct rate r;

    (void)state;
    rate_init(&r, 10, 4096);
    assert_int_equal(let_through(&r, 0, 1, 1, 1), 4096);
    assert_int_equal(let_through(&r, SECOND, SECOND + 1, 1, 1), 10);
}

static void
what_was_not_used_comes_back_but_never_more_than_the_burst(void **state)
{
    struct rate r;

    (void)state;
    rate_init(&r, 100, 1);
    assert_true(rate_take(&r, 0, 5000));
    rate_back(&r, 4999);
    assert_true(rate_take(&r, 0, 1));
    rate_back(&r, 100000);
    assert_int_equal(let_through(&r, 0, 1, 1, 1), 100);
}

static void
no_number_overflows(void **state)
{
    struct rate r;

    (void)state;
    rate_init(&r, UINT64_MAX, UINT32_MAX);
    assert_int_equal(r.per_second, RATE_MAX);
    assert_true(rate_take(&r, UINT64_MAX - 1, UINT32_MAX));
    assert_true(rate_take(&r, UINT64_MAX, UINT32_MAX));
    rate_init(&r, 1, 1);
    assert_true(rate_take(&r, 0, UINT32_MAX));
    assert_int_equal(rate_due(&r), (uint64_t)UINT32_MAX * SECOND);
    assert_true(rate_take(&r, UINT64_MAX, 1));
    rate_init(&r, 1, 1);
    assert_true(rate_take(&r, 0, (uint64_t)1 << 62));
    assert_int_equal(rate_due(&r), UINT64_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_limit_everything_goes),
        cmocka_unit_test(a_second_is_saved_up_and_no_more),
        cmocka_unit_test(over_time_the_rate_is_exact_however_often_one_asks),
        cmocka_unit_test(more_than_the_bucket_holds_is_let_through_and_paid_off),
        cmocka_unit_test(least_is_the_burst_of_a_small_rate),
        cmocka_unit_test(what_was_not_used_comes_back_but_never_more_than_the_burst),
        cmocka_unit_test(no_number_overflows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
