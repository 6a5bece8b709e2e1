/*
 * Shares that come and go while guests are there.
 */
#include <errno.h>
#include <string.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define ID_A "00112233445566778899aabbccddeeff"
#define ID_A_RW "00112233445566778899aabbccddeeff;rw"
#define ID_B "ffeeddccbbaa99887766554433221100"

static int
setup(void **state)
{
    struct rig *rig = rig_new(&rig_limits);

    synth_put_file(rig->rw, "file", "hello", 5);
    synth_put_dir(rig->rw, "dir");
    *state = rig;
    return 0;
}

/* --- coming ----------------------------------------------------------------- */

static void
a_share_that_comes_is_found_at_once(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    assert_int_equal(guest_attach_status(g, 5, "late"), ENOENT);
    (void)rig_add(rig, 2, "late", false, ID_A);
    assert_int_equal(guest_attach_status(g, 5, "late"), 0);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 5u, "d", 0755u, 0u), 0);
}

static void
an_id_is_the_other_name_of_a_share(void **state)
{
    static const char *const bad[] = {
        "00112233445566778899AABBCCDDEEFF",
        "00112233445566778899aabbccddeef",
        "00112233445566778899aabbccddeefff",
        ID_B,
        ID_A_RW,
        "0",
    };
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    (void)rig_add(rig, 2, "late", false, ID_A);
    assert_int_equal(guest_attach_status(g, 5, ID_A), 0);
    assert_int_equal(guest_attach_status(g, 6, ID_A ";ro"), 0);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 5u, "d", 0755u, 0u), 0);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 6u, "e", 0755u, 0u), EROFS);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(guest_attach_status(g, 9, bad[i]), ENOENT);
}

static void
no_two_shares_have_one_number_name_or_id(void **state)
{
    struct rig *rig = *state;
    struct synth *rw = synth_new("rw", false), *new = synth_new("new", false);
    struct tenant *t = &rig->tenant;

    (void)rig_add(rig, 2, "late", false, ID_A);
    assert_int_equal(tenant_share_add(t, 2, synth_fs(new), NULL), -EEXIST);
    assert_int_equal(tenant_share_add(t, 3, synth_fs(rw), NULL), -EEXIST);
    assert_int_equal(tenant_share_add(t, 3, synth_fs(new), ID_A), -EEXIST);
    assert_null(tenant_share(t, "new", 3));
    synth_free(rw);
    synth_free(new);
}

/* --- draining ----------------------------------------------------------------- */

static void
a_share_that_leaves_is_not_found_but_who_has_it_goes_on(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", 2);
    tenant_share_leaves(&rig->tenant, 0);
    assert_int_equal(guest_attach_status(g, 9, "rw"), ENOENT);
    assert_int_equal(guest_does(g, TWRITE, "484r", 2u, (uint64_t)0, 3u, "abc", (size_t)3), 0);
    guest_walk(g, 0, 3, "dir");
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 3u, "d", 0755u, 0u), 0);
    assert_false(share_is_idle(rig->tenant.by_number[0]));
    guest_hang_up(g);
    rig_run(rig);
    rig_run(rig);
    assert_true(share_is_idle(rig->tenant.by_number[0]));
}

static void
a_name_is_free_while_its_share_drains(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct synth *other;

    tenant_share_leaves(&rig->tenant, 0);
    other = rig_add(rig, 2, "rw", false, NULL);
    assert_int_equal(guest_attach_status(g, 5, "rw"), 0);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 5u, "new", 0755u, 0u), 0);
    assert_true(synth_exists(other, "new"));
    assert_int_equal(guest_does(g, TLINK, "44s", 5u, 0u, "x"), EXDEV);
}

/* --- gone ------------------------------------------------------------------------ */

/* Every message on fid 2 (open), 3 (walked), 4 (a value) and 5 (being filled). */
static void
all_is_stale(struct guest *g)
{
    assert_int_equal(guest_does(g, TREAD, "484", 2u, (uint64_t)0, 10u), ESTALE);
    assert_int_equal(guest_does(g, TREAD, "484", 2u, (uint64_t)0, 0u), ESTALE);
    assert_int_equal(guest_does(g, TWRITE, "484r", 2u, (uint64_t)0, 1u, "x", (size_t)1), ESTALE);
    assert_int_equal(guest_does(g, TFSYNC, "44", 2u, 0u), ESTALE);
    assert_int_equal(guest_does(g, TGETATTR, "48", 2u, (uint64_t)0x7ff), ESTALE);
    assert_int_equal(guest_does(g, TGETATTR, "48", 3u, (uint64_t)0x7ff), ESTALE);
    assert_int_equal(guest_does(g, TLOPEN, "44", 3u, 0u), ESTALE);
    assert_int_equal(guest_does(g, TWALK, "442", 3u, 30u, 0u), ESTALE);
    assert_int_equal(guest_does(g, TWALK, "442s", 3u, 30u, 1u, "x"), ESTALE);
    assert_int_equal(guest_does(g, TWALK, "442s", 3u, 30u, 1u, ".."), ESTALE);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 3u, "d", 0755u, 0u), ESTALE);
    assert_int_equal(guest_does(g, TLINK, "44s", 3u, 2u, "d"), ESTALE);
    assert_int_equal(guest_does(g, TSTATFS, "4", 3u), ESTALE);
    assert_int_equal(guest_does(g, TXATTRWALK, "44s", 3u, 30u, ""), ESTALE);
    assert_int_equal(guest_does(g, TLOCK, "414884s", 2u, 0u, 0u, (uint64_t)0, (uint64_t)0, 1u, ""),
                     ESTALE);
    assert_int_equal(guest_does(g, TREAD, "484", 4u, (uint64_t)0, 10u), ESTALE);
    assert_int_equal(guest_does(g, TWRITE, "484r", 5u, (uint64_t)0, 1u, "x", (size_t)1), ESTALE);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), EBADF);
    assert_int_equal(guest_does(g, TCLUNK, "4", 4u), 0);
    assert_int_equal(guest_does(g, TREMOVE, "4", 3u), ESTALE);
    assert_int_equal(guest_does(g, TCLUNK, "4", 3u), EBADF);
}

static void
all_of_a_share_that_is_gone_is_stale_and_can_be_let_go(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", 2);
    guest_walk(g, 0, 3, "dir");
    assert_int_equal(guest_does(g, TXATTRWALK, "44s", 0u, 4u, ""), 0);
    guest_walk(g, 0, 5, "file");
    assert_int_equal(guest_does(g, TXATTRCREATE, "4s84", 5u, "user.a", (uint64_t)1, 0u), 0);
    rig_cut(rig, 0);
    assert_int_equal(guest_attach_status(g, 9, "rw"), ENOENT);
    all_is_stale(g);
    assert_int_equal(guest_does(g, TCLUNK, "4", 5u), EINVAL); /* not all of the value came */
    assert_int_equal(guest_does(g, TGETATTR, "48", 1u, (uint64_t)0x7ff), 0); /* the other share */
    assert_false(synth_ended(rig->rw));
    assert_int_equal(guest_does(g, TCLUNK, "4", 0u), 0);
    assert_true(synth_ended(rig->rw));
    assert_int_equal(rig->tenant.tombs, 0);
}

static void
a_number_is_free_while_the_old_share_is_still_held(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct synth *again;

    guest_walk(g, 0, 2, "file");
    for (int i = 0; i < 5; i++) {
        rig_cut(rig, 0);
        again = rig_add(rig, 0, "rw", false, NULL);
        synth_put_file(again, "file", "new", 3);
        assert_int_equal(guest_attach_status(g, 10 + (uint32_t)i, "rw"), 0);
        guest_walk(g, 10 + (uint32_t)i, 20 + (uint32_t)i, "file");
        assert_int_equal(guest_does(g, TLOPEN, "44", 20u + (unsigned)i, 0u), 0);
        assert_int_equal(guest_does(g, TGETATTR, "48", 2u, (uint64_t)0x7ff), ESTALE);
    }
    assert_int_equal(rig->tenant.tombs, 5);
    guest_hang_up(g);
    rig_run(rig);
    rig_run(rig);
    assert_int_equal(rig->tenant.tombs, 0);
}

static void
calls_in_flight_are_answered_once(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;
    unsigned n = 0;

    guest_open(g, 0, 2, "file", 2);
    rig->hold = true;
    guest_send(g, TREAD, 100, "484", 2u, (uint64_t)0, 5u);
    guest_send(g, TWALK, 101, "442s", 0u, 7u, 1u, "dir");
    guest_send(g, TWRITE, 102, "484r", 2u, (uint64_t)0, 3u, "abc", (size_t)3);
    guest_send(g, TATTACH, 103, "44ss4", 8u, NOFID, "", "rw", 0u);
    guest_send(g, TCLUNK, 104, "4", 2u);
    rig_run(rig);
    rig_cut(rig, 0);
    rig_run(rig);
    while (guest_next(g, &m)) {
        assert_int_equal(msg_errno(&m), m.tag == 104 ? 0 : ESTALE);
        n++;
    }
    assert_int_equal(n, 5);
    assert_int_equal(guest_does(g, TCLUNK, "4", 7u), EBADF);
}

static void
who_waits_for_room_or_a_lock_is_told(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;
    unsigned n = 0;

    guest_open(g, 0, 2, "file", 2);
    synth_host_locks(rig->rw, "file", LOCK_FOR_WRITE, 0, 8);
    guest_send(g, TLOCK, 100, "414884s", 2u, 1u, 1u, (uint64_t)0, (uint64_t)4, 1u, "h");
    rig_run(rig);
    assert_false(guest_next(g, &m)); /* it waits */
    rig->hold = true;
    synth_room(rig->rw, 1);
    guest_send(g, TGETATTR, 101, "48", 0u, (uint64_t)0x7ff);
    guest_send(g, TGETATTR, 102, "48", 0u, (uint64_t)0x7ff);
    guest_send(g, TGETATTR, 103, "48", 1u, (uint64_t)0x7ff);
    rig_run(rig);
    rig_cut(rig, 0);
    rig->hold = false;
    rig_run(rig);
    while (guest_next(g, &m)) {
        assert_int_equal(msg_errno(&m), m.tag == 103 ? 0 : ESTALE);
        n++;
    }
    assert_int_equal(n, 4);
    assert_int_equal(rig->tenant.locks_waiting, 0);
}

static void
output_in_the_slab_outlives_its_share(void **state)
{
    static uint8_t big[1024 * 1024];
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;
    unsigned n = 0;

    memset(big, 'x', sizeof(big));
    synth_put_file(rig->rw, "big", big, sizeof(big));
    guest_version(g, MSIZE_MAX);
    guest_attach(g, 0, "rw");
    guest_open(g, 0, 2, "big", 0);
    g->deaf = true;
    for (uint16_t tag = 0; tag < 4; tag++)
        guest_send(g, TREAD, tag, "484", 2u, (uint64_t)0, 1024u * 1024u);
    rig_run(rig);
    rig_cut(rig, 0);
    rig_run(rig);
    assert_int_equal(guest_bytes(g, "", 0), 0);
    assert_false(synth_ended(rig->rw)); /* pages of it are still to be written */
    g->deaf = false;
    rig_run(rig);
    for (; guest_next(g, &m); n++)
        assert_memory_equal(m.body.at + 4, big, m.size - 11);
    assert_int_equal(n, 4);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);
    assert_int_equal(guest_does(g, TCLUNK, "4", 0u), 0);
    assert_true(synth_ended(rig->rw));
}

static void
data_on_its_way_to_a_share_that_goes_is_taken_and_refused(void **state)
{
    static uint8_t big[256 * 1024], msg[300 * 1024];
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;
    size_t n;

    guest_version(g, MSIZE_MAX);
    guest_attach(g, 0, "rw");
    guest_open(g, 0, 2, "file", 2);
    n = msg_make(msg, sizeof(msg), TWRITE, 7, "484r", 2u, (uint64_t)0, (unsigned)sizeof(big), big,
                 sizeof(big));
    assert_int_equal(guest_bytes(g, msg, 50000), 50000);
    rig_run(rig);
    rig_cut(rig, 0);
    for (size_t at = 50000; at < n;) {
        at += guest_bytes(g, msg + at, n - at);
        rig_run(rig);
    }
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 7);
    assert_int_equal(msg_errno(&m), ESTALE);
    assert_int_equal(guest_does(g, TREAD, "484", 2u, (uint64_t)0, 5u), ESTALE);
}

static void
a_dead_helpers_share_can_be_taken_away(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    synth_gone(rig->rw);
    assert_int_equal(guest_does(g, TGETATTR, "48", 0u, (uint64_t)0x7ff), EIO);
    rig_cut(rig, 0);
    assert_int_equal(guest_does(g, TGETATTR, "48", 0u, (uint64_t)0x7ff), ESTALE);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_share_that_comes_is_found_at_once),
        T(an_id_is_the_other_name_of_a_share),
        T(no_two_shares_have_one_number_name_or_id),
        T(a_share_that_leaves_is_not_found_but_who_has_it_goes_on),
        T(a_name_is_free_while_its_share_drains),
        T(all_of_a_share_that_is_gone_is_stale_and_can_be_let_go),
        T(a_number_is_free_while_the_old_share_is_still_held),
        T(calls_in_flight_are_answered_once),
        T(who_waits_for_room_or_a_lock_is_told),
        T(output_in_the_slab_outlives_its_share),
        T(data_on_its_way_to_a_share_that_goes_is_taken_and_refused),
        T(a_dead_helpers_share_can_be_taken_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
