/*
 * The book of the slab's pages.
 */
#include <string.h>

#include "tests/lib/test.h"
#include "worker/slab.h"

static void
the_lowest_free_pages_are_used_first(void **state)
{
    struct slab s = {.in_use = 0};

    (void)state;
    assert_int_equal(slab_get(&s, 1), 0);
    assert_int_equal(slab_get(&s, SLAB_PAGE), 1);
    assert_int_equal(slab_get(&s, SLAB_PAGE + 1), 2);
    assert_int_equal(slab_get(&s, 1), 4);
    slab_put(&s, 1, SLAB_PAGE);
    assert_int_equal(slab_get(&s, SLAB_PAGE + 1), 5);
    assert_int_equal(slab_get(&s, 1), 1);
    assert_int_equal(s.in_use, 7);
}

static void
what_does_not_fit_is_refused_and_takes_nothing(void **state)
{
    struct slab s = {.in_use = 0};

    (void)state;
    assert_int_equal(slab_get(&s, SLAB_BYTES + 1), -1);
    assert_int_equal(slab_get(&s, 0xffffffffu), -1);
    assert_int_equal(slab_get(&s, 0), -1);
    assert_int_equal(s.in_use, 0);
    assert_int_equal(slab_get(&s, SLAB_BYTES), 0);
    assert_int_equal(slab_get(&s, 1), -1);
    slab_put(&s, 0, SLAB_BYTES);
    assert_int_equal(s.in_use, 0);
    assert_int_equal(slab_get(&s, 1), 0);
}

static void
the_last_page_can_be_used(void **state)
{
    struct slab s = {.in_use = 0};

    (void)state;
    assert_int_equal(slab_get(&s, SLAB_BYTES - SLAB_PAGE), 0);
    assert_int_equal(slab_get(&s, 2 * SLAB_PAGE), -1);
    assert_int_equal(slab_get(&s, 1), SLAB_PAGES - 1);
    assert_int_equal(slab_get(&s, 1), -1);
}

/* Against a plain map of pages: no page is ever given out twice, and a
 * refusal means that there is no such run of free pages. */
static void
random_use_never_overlaps_and_never_refuses_without_need(void **state)
{
    static struct slab s;
    static uint8_t model[SLAB_PAGES];
    static struct {
        uint32_t page, n;
    } held[512];
    uint32_t seed = 12345;

    (void)state;
    for (int i = 0; i < 40000; i++) {
        uint32_t h, n;

        seed = seed * 1664525u + 1013904223u;
        h = (seed >> 8) % COUNT(held);
        n = (seed >> 20) % 64 + 1;
        if (held[h].n != 0) {
            slab_put(&s, held[h].page, held[h].n * SLAB_PAGE);
            memset(model + held[h].page, 0, held[h].n);
            held[h].n = 0;
        } else {
            int page = slab_get(&s, n * SLAB_PAGE);
            uint32_t run = 0, best = 0;

            for (uint32_t p = 0; p < SLAB_PAGES; p++) {
                run = model[p] != 0 ? 0 : run + 1;
                best = run > best ? run : best;
            }
            assert_int_equal(page >= 0, best >= n);
            if (page < 0)
                continue;
            for (uint32_t p = 0; p < n; p++) {
                assert_int_equal(model[(uint32_t)page + p], 0);
                model[(uint32_t)page + p] = 1;
            }
            held[h].page = (uint32_t)page;
            held[h].n = n;
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_lowest_free_pages_are_used_first),
        cmocka_unit_test(what_does_not_fit_is_refused_and_takes_nothing),
        cmocka_unit_test(the_last_page_can_be_used),
        cmocka_unit_test(random_use_never_overlaps_and_never_refuses_without_need),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
