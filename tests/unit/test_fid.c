/*
 * The table of fids.
 */
#include <errno.h>
#include <stdlib.h>

#include "tests/lib/test.h"
#include "worker/fid.h"

static void
fids_are_found_by_any_number_until_they_go(void **state)
{
    static const uint32_t nums[] = {0,      1,          2,          64,         128,
                                    0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0x10000};
    struct fids t = {.count = 0};
    struct pool pool;
    struct fid *f;

    (void)state;
    pool_init(&pool, sizeof(struct fid));
    assert_null(fid_find(&t, 0));
    for (size_t i = 0; i < COUNT(nums); i++) {
        assert_int_equal(fid_add(&t, &pool, nums[i], 100, &f), 0);
        assert_int_equal(f->state, FID_NEW);
        assert_int_equal(fid_add(&t, &pool, nums[i], 100, &f), -EBADF);
    }
    for (size_t i = 0; i < COUNT(nums); i++) {
        f = fid_find(&t, nums[i]);
        assert_non_null(f);
        assert_int_equal(f->num, nums[i]);
        fid_remove(&t, &pool, f);
        assert_null(fid_find(&t, nums[i]));
    }
    assert_int_equal(t.count, 0);
    assert_int_equal(pool.live, 0);
    fid_clear(&t, &pool);
    pool_done(&pool);
}

static void
nofid_is_never_a_fid_and_the_limit_holds(void **state)
{
    struct fids t = {.count = 0};
    struct pool pool;
    struct fid *f;

    (void)state;
    pool_init(&pool, sizeof(struct fid));
    assert_int_equal(fid_add(&t, &pool, 0xffffffffu, 100, &f), -EBADF);
    for (uint32_t i = 0; i < 1000; i++)
        assert_int_equal(fid_add(&t, &pool, i * 64, 1000, &f), 0);
    assert_int_equal(fid_add(&t, &pool, 7, 1000, &f), -EMFILE);
    for (uint32_t i = 0; i < 1000; i++)
        assert_non_null(fid_find(&t, i * 64));
    fid_clear(&t, &pool);
    assert_int_equal(pool.live, 0);
    assert_int_equal(fid_add(&t, &pool, 7, 1000, &f), 0);
    fid_clear(&t, &pool);
    pool_done(&pool);
}

static void
a_fid_that_is_held_outlives_its_number(void **state)
{
    struct fids t = {.count = 0};
    struct fid *f, *again;
    struct pool pool;

    (void)state;
    pool_init(&pool, sizeof(struct fid));
    assert_int_equal(fid_add(&t, &pool, 5, 10, &f), 0);
    (void)fid_get(f);
    fid_remove(&t, &pool, f);
    assert_int_equal(f->state, FID_GONE);
    assert_int_equal(fid_add(&t, &pool, 5, 10, &again), 0);
    assert_ptr_not_equal(f, again);
    fid_put(&pool, f);
    fid_clear(&t, &pool);
    assert_int_equal(pool.live, 0);
    pool_done(&pool);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fids_are_found_by_any_number_until_they_go),
        cmocka_unit_test(nofid_is_never_a_fid_and_the_limit_holds),
        cmocka_unit_test(a_fid_that_is_held_outlives_its_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
