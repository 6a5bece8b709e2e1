/*
 * Every field of every message in every dialect, forged: names that are none,
 * numbers at every border, lengths that lie. Each is answered once, the session
 * goes on, and a name that is none never becomes a call. Then requests that are
 * refused, again and again: they leave nothing behind. REFUSALS=100000 makes it
 * long.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/forms_rig.h"
#include "worker/nine.h"

#define MSIZE FORMS_MSIZE
#define BATCH 50u
#define REFUSALS 500u /* of each kind */

static const uint64_t borders[] = {
    0,          1,          0x7f,           0x80,       0xff,        0x7fff,
    0x8000,     0xffff,     0x10000,        MSIZE - 25, MSIZE - 24,  MSIZE - 23,
    0x7fffffff, 0x80000000, 0xfffffff5,     0xffffffff, 0x100000000, INT64_MAX - 1,
    INT64_MAX,  1ull << 63, UINT64_MAX - 8, UINT64_MAX};

static uint8_t message[FORM_ROOM];

/* Send the message in question; its one answer, of its type or an error. */
static struct msg
answer_to(struct guest *g, const struct form *f, const struct forged *x)
{
    const size_t n = form_write(f, g->conn->dialect, x, 1, message);
    struct msg m, more;

    assert_int_equal(guest_bytes(g, message, n), n);
    rig_run(g->rig);
    if (!guest_next(g, &m))
        fail_msg("type %u, field %d: no answer", f->type, x->field);
    assert_int_equal(m.tag, 1);
    assert_true(forms_is_error(&m) || m.type == f->type + 1);
    assert_true(m.size <= MSIZE);
    assert_false(guest_next(g, &more));
    return m;
}

static void
assert_goes_on(struct guest *g)
{
    assert_false(g->ended);
    assert_int_equal(guest_ask(g, TFLUSH, "2", 999u).type, TFLUSH + 1);
}

/* One forged message to a share as it was. */
static struct msg
try_one(size_t d, const struct form *f, const struct forged *x, bool *ret_called)
{
    struct rig *rig = forms_rig();
    struct guest *g = forms_guest(rig, d, "rw");
    const unsigned calls = synth_calls(rig->rw, 0);
    struct msg m = answer_to(g, f, x);

    *ret_called = synth_calls(rig->rw, 0) != calls;
    assert_goes_on(g);
    rig_free(rig);
    return m;
}

/* --- the table ---------------------------------------------------------------------- */

static void
every_message_has_a_form_that_succeeds(void **state)
{
    (void)state;
    for (size_t d = 0; d < FORMS_DIALECTS; d++) {
        for (unsigned type = 0; type < 256; type++) {
            unsigned found = 0;

            for (size_t i = 0; i < nforms; i++) {
                struct msg m;
                bool called;

                if (forms[i].type != type || (forms[i].dialects & forms_dialect(d)) == 0)
                    continue;
                found++;
                m = try_one(d, &forms[i], &FORGED_NOT, &called);
                if (forms_is_error(&m) != (type == TAUTH))
                    fail_msg("type %u: answered with %u", type, m.type);
            }
            assert_int_equal(found, nine_row((uint8_t)type, forms_dialect(d)) != NULL);
        }
    }
}

/* --- names ---------------------------------------------------------------------------- */

static uint8_t many[65535];
static const struct {
    const char *name; /* NULL: many */
    size_t n;
} bad[] = {
    {"", 0},       {".", 1},      {"..", 2},
    {"/", 1},      {"a/b", 3},    {"/etc", 4},
    {"../x", 4},   {"x/..", 4},   {"../../../../etc", 15},
    {"a\0b", 3},   {"\0", 1},     {"file\0", 5},
    {"..\0", 3},   {"./file", 6}, {NULL, 256},
    {NULL, 65535},
};

/* What it means that is said so: up, or "leave the name". */
static bool
is_meant(const struct form *f, size_t i)
{
    return (f->type == TWALK && bad[i].n == 2) || (f->type == TWSTAT && bad[i].n == 0);
}

static void
a_name_that_is_none_is_never_a_call_in_any_field(void **state)
{
    unsigned tried = 0;

    (void)state;
    memset(many, 'x', sizeof(many));
    for (size_t k = 0; k < nforms * FORMS_DIALECTS * COUNT(bad); k++) {
        const struct form *f = &forms[k / COUNT(bad) / FORMS_DIALECTS];
        const size_t d = k / COUNT(bad) % FORMS_DIALECTS, b = k % COUNT(bad);
        const void *p = bad[b].name != NULL ? (const void *)bad[b].name : many;

        if ((f->dialects & forms_dialect(d)) == 0 || is_meant(f, b))
            continue;
        for (int i = 0; f->fields[i] != '\0'; i++) {
            const struct forged x = {
                .field = i, .bytes = p, .n = bad[b].n, .claims = (uint32_t)bad[b].n};
            bool called;
            struct msg m;

            if (form_kind(f->fields[i]) != FORM_NAME)
                continue;
            m = try_one(d, f, &x, &called);
            if (!forms_is_error(&m) || called)
                fail_msg("type %u, field %d: name %zu was taken", f->type, i, b);
            tried++;
        }
    }
    assert_true(tried > 10 * COUNT(bad));
}

/* Targets, keys, users, owners of locks: anything may be in them. */
static void
any_other_string_may_be_any_bytes(void **state)
{
    (void)state;
    memset(many, 'x', sizeof(many));
    for (size_t k = 0; k < nforms * FORMS_DIALECTS * COUNT(bad); k++) {
        const struct form *f = &forms[k / COUNT(bad) / FORMS_DIALECTS];
        const size_t d = k / COUNT(bad) % FORMS_DIALECTS, b = k % COUNT(bad);

        if ((f->dialects & forms_dialect(d)) == 0)
            continue;
        for (int i = 0; f->fields[i] != '\0'; i++) {
            const struct forged x = {.field = i,
                                     .bytes =
                                         bad[b].name != NULL ? (const void *)bad[b].name : many,
                                     .n = bad[b].n,
                                     .claims = (uint32_t)bad[b].n};
            bool called;
            struct msg m;

            if (form_kind(f->fields[i]) != FORM_TEXT)
                continue;
            m = try_one(d, f, &x, &called);
            if (f->fields[i] == 'a' && bad[b].n > 0) /* the root of all has the empty name */
                assert_true(forms_is_error(&m));
        }
    }
}

/* --- numbers --------------------------------------------------------------------------- */

static void
numbers_at_every_border(void **state)
{
    (void)state;
    for (size_t k = 0; k < nforms * FORMS_DIALECTS * COUNT(borders); k++) {
        const struct form *f = &forms[k / COUNT(borders) / FORMS_DIALECTS];
        const size_t d = k / COUNT(borders) % FORMS_DIALECTS, b = k % COUNT(borders);

        if ((f->dialects & forms_dialect(d)) == 0)
            continue;
        for (int i = 0; f->fields[i] != '\0'; i++) {
            const enum form_kind kind = form_kind(f->fields[i]);
            const struct forged x = {.field = i, .number = borders[b]};
            bool called;

            if (kind == FORM_FID || kind == FORM_NUMBER || kind == FORM_LENGTH)
                (void)try_one(d, f, &x, &called);
        }
    }
}

/* The string is as it was, or as long as it can be. */
static void
a_length_that_lies_is_an_error(void **state)
{
    static const uint32_t lies[] = {0, 1, 2, 3, 254, 255, 256, 257, 0x7fff, 0x8000, 0xfff5, 0xffff};

    (void)state;
    memset(many, 'x', sizeof(many));
    for (size_t k = 0; k < nforms * FORMS_DIALECTS * COUNT(lies); k++) {
        const struct form *f = &forms[k / COUNT(lies) / FORMS_DIALECTS];
        const size_t d = k / COUNT(lies) % FORMS_DIALECTS, l = k % COUNT(lies);

        if ((f->dialects & forms_dialect(d)) == 0)
            continue;
        for (int i = 0; f->fields[i] != '\0'; i++) {
            static const size_t lengths[] = {4, 255, 4095};
            const enum form_kind kind = form_kind(f->fields[i]);
            bool called;

            if (kind != FORM_NAME && kind != FORM_TEXT)
                continue;
            if (f->fields[i] == 'x' && forms_dialect(d) != NINE_U)
                continue;
            for (size_t n = 0; n < COUNT(lengths); n++) {
                const struct forged x = {
                    .field = i, .bytes = many, .n = lengths[n], .claims = lies[l]};
                struct msg m;

                if (lies[l] == lengths[n])
                    continue;
                m = try_one(d, f, &x, &called);
                assert_true(forms_is_error(&m) && !called);
            }
        }
    }
}

/* --- what is refused leaves nothing ---------------------------------------------------- */

struct baggage {
    size_t fids, nodes, files, pages,
        heap; /* bytes; sanitizers have a heap of their own, which tells nothing */
};

static struct baggage
held_by(struct rig *rig)
{
    return (struct baggage){
        .fids = rig->tenant.fids.live,
        .nodes = synth_node_refs(rig->rw) + synth_node_refs(rig->ro),
        .files = synth_files(rig->rw) + synth_files(rig->ro),
        .pages = synth_pages_used(rig->rw) + synth_pages_used(rig->ro),
        .heap = mallinfo2().uordblks,
    };
}

static unsigned
how_often(void)
{
    return (unsigned)given("REFUSALS", REFUSALS);
}

/* Many at once; all of them refused. A refused Tremove takes its fid all the same. */
static void
is_refused_often(struct guest *g, const struct form *f, const struct forged *x)
{
    const size_t n = form_write(f, g->conn->dialect, x, 1, message);
    const unsigned batch = f->type == TREMOVE ? 1 : BATCH;
    struct msg m;

    for (unsigned done = 0; done < how_often(); done += batch) {
        unsigned answers = 0;

        for (unsigned i = 0; i < batch; i++) {
            message[5] = (uint8_t)i;
            assert_int_equal(guest_bytes(g, message, n), n);
        }
        rig_run(g->rig);
        for (; guest_next(g, &m); answers++)
            if (!forms_is_error(&m))
                fail_msg("type %u was not refused", f->type);
        assert_int_equal(answers, batch);
        if (f->type == TREMOVE && x->field < 0)
            guest_walk(g, FORM_ROOT, FORM_FILE, "file");
    }
}

/* Once before, so that whatever is kept for the next is there. */
static void
expect_no_trace(struct guest *g, const struct form *f, const struct forged *x)
{
    struct baggage was, is;

    is_refused_often(g, f, x);
    was = held_by(g->rig);
    is_refused_often(g, f, x);
    is = held_by(g->rig);
    if (memcmp(&is, &was, sizeof(is)) != 0)
        fail_msg("type %u: fids %zu %zu, nodes %zu %zu, files %zu %zu, pages %zu %zu, heap %zu %zu",
                 f->type, was.fids, is.fids, was.nodes, is.nodes, was.files, is.files, was.pages,
                 is.pages, was.heap, is.heap);
}

static void
requests_with_unknown_fids_leave_nothing_however_many(void **state)
{
    struct rig *rig = forms_rig();

    (void)state;
    for (size_t d = 0; d < FORMS_DIALECTS; d++) {
        struct guest *g = forms_guest(rig, d, "rw");

        for (size_t i = 0; i < nforms; i++) {
            const struct forged x = {.field = 0, .number = 99};

            if ((forms[i].dialects & forms_dialect(d)) == 0 || forms[i].type == TATTACH ||
                forms[i].type == TFLUSH)
                continue;
            expect_no_trace(g, &forms[i], &x);
        }
        guest_hang_up(g);
        rig_run(rig);
    }
    rig_free(rig);
}

/* Refused is what a share that may be written does not refuse. */
static void
requests_that_would_write_leave_nothing_however_many(void **state)
{
    struct rig *rig = forms_rig();
    unsigned refused = 0;

    (void)state;
    for (size_t d = 0; d < FORMS_DIALECTS; d++) {
        struct guest *g = forms_guest(rig, d, "ro");

        for (size_t i = 0; i < nforms; i++) {
            static const uint8_t reads[] = {TSTATFS, TREADLINK, TGETATTR, TXATTRWALK, TREADDIR,
                                            TFSYNC,  TLOCK,     TGETLOCK, TATTACH,    TFLUSH,
                                            TWALK,   TREAD,     TCLUNK,   TSTAT};

            if ((forms[i].dialects & forms_dialect(d)) == 0 ||
                memchr(reads, forms[i].type, sizeof(reads)) != NULL)
                continue;
            expect_no_trace(g, &forms[i], &FORGED_NOT);
            refused++;
        }
        guest_hang_up(g);
        rig_run(rig);
    }
    assert_int_equal(refused, 14 + 2 * 6);
    rig_free(rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_has_a_form_that_succeeds),
        cmocka_unit_test(a_name_that_is_none_is_never_a_call_in_any_field),
        cmocka_unit_test(any_other_string_may_be_any_bytes),
        cmocka_unit_test(numbers_at_every_border),
        cmocka_unit_test(a_length_that_lies_is_an_error),
        cmocka_unit_test(requests_with_unknown_fids_leave_nothing_however_many),
        cmocka_unit_test(requests_that_would_write_leave_nothing_however_many),
    };

    return cmocka_run_group_tests_name("every field of every message forged", tests, NULL, NULL);
}
