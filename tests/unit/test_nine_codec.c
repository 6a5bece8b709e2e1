/*
 * The shape of messages: every length that lies, every body that is too
 * short or too long.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"
#include "worker/nine.h"

static int
setup(void **state)
{
    struct rig *rig = rig_new(&rig_limits);

    synth_put_file(rig->rw, "file", "hello", 5);
    *state = rig;
    return 0;
}

/* --- cursor and pen -------------------------------------------------------- */

static void
a_cursor_remembers_that_it_ran_past_the_end(void **state)
{
    static const uint8_t b[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    struct cursor c;

    (void)state;
    cur_init(&c, b, sizeof(b));
    assert_int_equal(cur_u8(&c), 1);
    assert_int_equal(cur_u64(&c), 0x0908070605040302u);
    assert_false(cur_end(&c));
    assert_int_equal(cur_u16(&c), 0); /* one byte is left */
    assert_true(c.bad);
    assert_int_equal(cur_u8(&c), 0); /* and cannot be had any more */
    assert_false(cur_end(&c));
    cur_init(&c, b, 2);
    assert_int_equal(cur_str(&c).n, 0); /* 513 bytes are not there */
    assert_true(c.bad);
    cur_init(&c, b, 0);
    assert_true(cur_end(&c));
    assert_null(cur_take(&c, SIZE_MAX));
}

static void
a_pen_never_writes_past_its_room(void **state)
{
    uint8_t b[8];
    struct pen w;

    (void)state;
    memset(b, 0xee, sizeof(b));
    pen_init(&w, b, 6);
    pen_u32(&w, 0x04030201);
    pen_u32(&w, 0);
    assert_true(w.full);
    pen_u8(&w, 5); /* would fit, but what went before did not */
    assert_int_equal(pen_len(&w), 4);
    assert_memory_equal(b, "\1\2\3\4\xee\xee\xee\xee", 8);
    pen_init(&w, b, 6);
    pen_str(&w, "abcd", 4);
    assert_false(w.full);
    assert_memory_equal(b, "\4\0abcd\xee\xee", 8);
    pen_init(&w, b, 6);
    pen_str(&w, "abcd", 65536);
    assert_true(w.full);
    assert_int_equal(pen_len(&w), 0);
}

/* --- one good message of each kind --------------------------------------- */

static const uint8_t zeros[64];

/* None of them succeeds (fid 99 is not there), but all are well-formed. */
static size_t
example(uint8_t *to, size_t room, uint8_t type)
{
    const unsigned f = 99;

    switch (type) {
    case TSTATFS:
    case TREADLINK:
    case TCLUNK:
    case TREMOVE:
        return msg_make(to, room, type, 1, "4", f);
    case TLOPEN:
    case TFSYNC:
        return msg_make(to, room, type, 1, "44", f, 0u);
    case TLCREATE:
        return msg_make(to, room, type, 1, "4s444", f, "name", 0u, 0644u, 0u);
    case TSYMLINK:
        return msg_make(to, room, type, 1, "4ss4", f, "name", "target", 0u);
    case TMKNOD:
        return msg_make(to, room, type, 1, "4s4444", f, "name", 0100644u, 0u, 0u, 0u);
    case TRENAME:
    case TLINK:
        return msg_make(to, room, type, 1, "44s", f, f, "name");
    case TGETATTR:
        return msg_make(to, room, type, 1, "48", f, (uint64_t)0x7ff);
    case TSETATTR:
        return msg_make(to, room, type, 1, "4r", f, zeros, (size_t)56);
    case TXATTRWALK:
        return msg_make(to, room, type, 1, "44s", f, 100u, "user.name");
    case TXATTRCREATE:
        return msg_make(to, room, type, 1, "4s84", f, "user.name", (uint64_t)1, 0u);
    case TLOCK:
        return msg_make(to, room, type, 1, "414884s", f, 1u, 0u, (uint64_t)0, (uint64_t)0, 1u, "c");
    case TGETLOCK:
        return msg_make(to, room, type, 1, "41884s", f, 1u, (uint64_t)0, (uint64_t)0, 1u, "c");
    case TREADDIR:
    case TREAD:
        return msg_make(to, room, type, 1, "484", f, (uint64_t)0, 100u);
    case TMKDIR:
        return msg_make(to, room, type, 1, "4s44", f, "name", 0755u, 0u);
    case TRENAMEAT:
        return msg_make(to, room, type, 1, "4s4s", f, "name", f, "other");
    case TUNLINKAT:
        return msg_make(to, room, type, 1, "4s4", f, "name", 0u);
    case TAUTH:
        return msg_make(to, room, type, 1, "4ss4", f, "uname", "nil", 0u);
    case TATTACH:
        return msg_make(to, room, type, 1, "44ss4", f, NOFID, "uname", "nil", 0u);
    case TFLUSH:
        return msg_make(to, room, type, 1, "2", 77u);
    case TWALK:
        return msg_make(to, room, type, 1, "442ss", f, 100u, 2u, "dir", "name");
    case TWRITE:
        return msg_make(to, room, type, 1, "484r", f, (uint64_t)0, 5u, "hello", (size_t)5);
    default:
        return 0;
    }
}

/* Offer n bytes in memory of exactly that size as one message; the errno of
 * its one reply. */
static int
offer(struct rig *rig, struct guest *g, const uint8_t *msg, uint32_t n)
{
    uint8_t *p = malloc(n);
    struct msg m;

    assert_non_null(p);
    memcpy(p, msg, n);
    if (p[4] == TWRITE && n >= NINE_WRITE_HEAD)
        assert_int_equal(nine_message(g->conn, p, NINE_WRITE_HEAD, n), 0);
    else
        assert_int_equal(nine_message(g->conn, p, n, n), 0);
    free(p);
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 1);
    return msg_errno(&m);
}

static void
every_message_of_the_table_has_an_example(void **state)
{
    uint8_t buf[256];

    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        const struct nine_row *row = nine_row((uint8_t)type, NINE_L);
        size_t n = example(buf, sizeof(buf), (uint8_t)type);

        assert_int_equal(row != NULL, n != 0);
        if (row != NULL) {
            assert_true(row->min <= n - 7);
            assert_true(row->room >= 11 && row->room <= ROOM_MAX);
            assert_true(row->room <= linux_sets_aside((uint8_t)(type + 1)));
        }
    }
}

static void
a_message_cut_at_any_byte_is_eproto(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    uint8_t buf[256];

    for (unsigned type = 0; type < 256; type++) {
        size_t n = example(buf, sizeof(buf), (uint8_t)type);

        for (uint32_t cut = 7; cut < n; cut++)
            assert_int_equal(offer(rig, g, buf, cut), EPROTO);
    }
    assert_int_equal(synth_calls(rig->rw, 0), 1); /* the attach of the set-up */
}

static void
a_message_with_a_byte_too_many_is_eproto(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    uint8_t buf[256];

    for (unsigned type = 0; type < 256; type++) {
        size_t n = example(buf, sizeof(buf) - 1, (uint8_t)type);

        if (n == 0)
            continue;
        buf[n] = 0;
        assert_int_equal(offer(rig, g, buf, (uint32_t)n + 1), EPROTO);
    }
}

static void
a_string_that_claims_any_other_length_is_refused(void **state)
{
    static const uint16_t claims[] = {0, 2, 254, 255, 256, 4095, 4096, 0x7fff, 0x8000, 0xffff};
    static const struct {
        uint8_t type;
        size_t at[2]; /* where the string lengths are */
    } t[] = {
        {TLCREATE, {11, 0}}, {TSYMLINK, {11, 17}}, {TMKNOD, {11, 0}},     {TRENAME, {15, 0}},
        {TLINK, {15, 0}},    {TMKDIR, {11, 0}},    {TRENAMEAT, {11, 21}}, {TUNLINKAT, {11, 0}},
        {TATTACH, {15, 22}}, {TWALK, {17, 22}},    {TXATTRWALK, {15, 0}}, {TXATTRCREATE, {11, 0}},
        {TLOCK, {36, 0}},    {TGETLOCK, {32, 0}},
    };
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    uint8_t buf[256];

    for (size_t i = 0; i < COUNT(t); i++) {
        for (size_t s = 0; s < 2 && t[i].at[s] != 0; s++) {
            for (size_t c = 0; c < COUNT(claims); c++) {
                size_t n = example(buf, sizeof(buf), t[i].type);

                buf[t[i].at[s]] = (uint8_t)claims[c];
                buf[t[i].at[s] + 1] = (uint8_t)(claims[c] >> 8);
                assert_int_equal(offer(rig, g, buf, (uint32_t)n), EPROTO);
            }
        }
    }
}

static void
what_is_not_served_is_eopnotsupp(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    uint8_t buf[100];

    for (unsigned type = 0; type < 256; type++) {
        if (nine_row((uint8_t)type, NINE_L) != NULL || type == TVERSION)
            continue;
        memset(buf, 0xff, sizeof(buf));
        for (uint32_t n = 7; n <= sizeof(buf); n += 31) {
            (void)msg_make(buf, sizeof(buf), (uint8_t)type, 1, "");
            assert_int_equal(offer(rig, g, buf, n), EOPNOTSUPP);
        }
    }
}

/* --- framing ------------------------------------------------------------- */

static void
a_size_that_cannot_be_ends_the_connection(void **state)
{
    static const uint32_t sizes[] = {0,          1,          6,          65537,      0x7fffffff,
                                     0x80000000, 0xfffffff5, 0xffffffff, 0xfffffffe, MSIZE_MAX + 1};
    struct rig *rig = *state;

    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct guest *g = guest_new(rig); /* msize 65536 */
        uint8_t buf[64] = {0};

        memcpy(buf, &sizes[i], 4);
        buf[4] = TCLUNK;
        (void)guest_bytes(g, buf, sizeof(buf));
        rig_run(rig);
        assert_true(g->ended);
        guest_hang_up(g);
        rig_run(rig);
    }
}

static void
messages_are_whole_however_they_arrive(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    uint8_t buf[256];
    struct msg m;

    for (unsigned type = 0; type < 256; type++) {
        size_t n = example(buf, sizeof(buf), (uint8_t)type);

        unsigned replies = 0;

        for (size_t i = 0; i < n; i++) {
            /* a write is refused by its head, its data is skipped */
            assert_true(replies == 0 || type == TWRITE);
            assert_int_equal(guest_bytes(g, buf + i, 1), 1);
            rig_run(rig);
            replies += guest_next(g, &m);
        }
        assert_int_equal(replies, n > 0);
    }
    assert_false(g->ended);
}

static void
a_message_far_too_long_for_its_type_is_answered_and_skipped(void **state)
{
    static uint8_t junk[65536 - 7];
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    memset(junk, 'j', sizeof(junk));
    for (unsigned type = 0; type < 256; type++) {
        const struct nine_row *row = nine_row((uint8_t)type, NINE_L);
        int e;

        if (type == TVERSION)
            continue;
        e = guest_does(g, (uint8_t)type, "r", junk, sizeof(junk));
        if (row == NULL)
            assert_int_equal(e, EOPNOTSUPP);
        else
            assert_int_equal(e, -row->too_long);
        assert_int_equal(guest_does(g, TFLUSH, "2", 999u), 0);
    }
}

static void
a_write_whose_count_is_not_its_length_is_eproto_and_skipped(void **state)
{
    static const uint32_t counts[] = {0, 1, 4, 6, 0x7fffffff, 0x80000000, 0xfffffff5, 0xffffffff};
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", 1);
    for (size_t i = 0; i < COUNT(counts); i++) {
        assert_int_equal(
            guest_does(g, TWRITE, "484r", 2u, (uint64_t)0, counts[i], "hello", (size_t)5), EPROTO);
        assert_int_equal(guest_does(g, TFLUSH, "2", 999u), 0);
    }
    assert_int_equal(synth_calls(rig->rw, OP_WRITE), 0);
}

static void
offsets_and_counts_at_every_border(void **state)
{
    static const uint64_t offsets[] = {0,          1,          4,          5,
                                       6,          65535,      0x7fffffff, 0x80000000,
                                       0xfffffff5, UINT32_MAX, INT64_MAX,  (uint64_t)INT64_MAX + 1,
                                       UINT64_MAX};
    static const uint32_t counts[] = {0,     1,          5,          65511,      65512,     65513,
                                      65536, 0x7fffffff, 0x80000000, 0xfffffff5, 0xffffffff};
    struct guest *g = guest_new(*state);

    guest_open(g, 0, 2, "file", 0);
    guest_open(g, 0, 3, "", 0);
    for (size_t o = 0; o < COUNT(offsets); o++) {
        for (size_t c = 0; c < COUNT(counts); c++) {
            struct msg m = guest_ask(g, TREAD, "484", 2u, offsets[o], counts[c]);

            if (offsets[o] > INT64_MAX) {
                assert_int_equal(msg_errno(&m), EINVAL);
            } else {
                uint32_t n = cur_u32(&m.body);

                assert_int_equal(m.type, TREAD + 1);
                assert_int_equal(m.size, 11 + n);
                assert_true(n <= counts[c] && n <= 5);
            }
            m = guest_ask(g, TREADDIR, "484", 3u, offsets[o], counts[c]);
            if (m.type != RLERROR)
                assert_int_equal(m.size, 11 + cur_u32(&m.body));
        }
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cursor_remembers_that_it_ran_past_the_end),
        cmocka_unit_test(a_pen_never_writes_past_its_room),
        cmocka_unit_test(every_message_of_the_table_has_an_example),
        T(a_message_cut_at_any_byte_is_eproto),
        T(a_message_with_a_byte_too_many_is_eproto),
        T(a_string_that_claims_any_other_length_is_refused),
        T(what_is_not_served_is_eopnotsupp),
        T(a_size_that_cannot_be_ends_the_connection),
        T(messages_are_whole_however_they_arrive),
        T(a_message_far_too_long_for_its_type_is_answered_and_skipped),
        T(a_write_whose_count_is_not_its_length_is_eproto_and_skipped),
        T(offsets_and_counts_at_every_border),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
