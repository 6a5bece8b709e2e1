/*
 * Well-formed messages at the wrong time, in each dialect: fids in use, fids that
 * are gone, fids just made, tags in flight, flushes of what was flushed.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <string.h>

#include "tests/lib/forms_rig.h"
#include "tests/lib/legacy.h"

#define O_RDWR_L 2u

static bool
is_l(const struct guest *g)
{
    return g->conn->dialect == NINE_L;
}

/* Each claim for a guest of each dialect, at a share as it was. */
static void
for_each_dialect(void (*claim)(struct guest *g))
{
    for (size_t d = 0; d < FORMS_DIALECTS; d++) {
        struct rig *rig = forms_rig();

        claim(forms_guest(rig, d, "rw"));
        rig_free(rig);
    }
}

static struct msg
creates(struct guest *g, uint32_t fid, const char *name)
{
    if (is_l(g))
        return guest_ask(g, TLCREATE, "4s444", fid, name, O_RDWR_L, 0644u, 0u);
    if (g->conn->dialect == NINE_U)
        return guest_ask(g, TCREATE, "4s41s", fid, name, 0644u, (unsigned)OLD_ORDWR, "");
    return guest_ask(g, TCREATE, "4s41", fid, name, 0644u, (unsigned)OLD_ORDWR);
}

/* The number alone may stay as it was, the fid's. */
static void
assert_still_reads(struct guest *g, uint32_t fid, const char *text)
{
    struct msg m = guest_ask(g, TREAD, "484", fid, (uint64_t)0, 100u);

    assert_int_equal(m.type, TREAD + 1);
    assert_int_equal(cur_u32(&m.body), strlen(text));
    assert_memory_equal(cur_take(&m.body, strlen(text)), text, strlen(text));
}

#define REFUSED(ask)                                                                               \
    do {                                                                                           \
        struct msg refused = (ask);                                                                \
                                                                                                   \
        assert_true(forms_is_error(&refused));                                                     \
    } while (0)

static void
open_twice(struct guest *g)
{
    if (is_l(g))
        REFUSED(guest_ask(g, TLOPEN, "44", FORM_OPEN_FILE, O_RDWR_L));
    else
        REFUSED(guest_ask(g, TOPEN, "41", FORM_OPEN_FILE, (unsigned)OLD_ORDWR));
    REFUSED(creates(g, FORM_OPEN_FILE, "new"));
    REFUSED(creates(g, FORM_OPEN_DIR, "new"));
    REFUSED(creates(g, FORM_FILE, "new"));
    assert_still_reads(g, FORM_OPEN_FILE, "hello");
    assert_false(synth_exists(g->rig->rw, "new"));
    assert_false(synth_exists(g->rig->rw, "dir/new"));
}

static void
a_fid_that_is_open_is_not_opened_or_created_on(void **state)
{
    (void)state;
    for_each_dialect(open_twice);
}

static void
take_used_fids(struct guest *g)
{
    for (uint32_t fid = FORM_ROOT; fid <= FORM_LINK; fid++) {
        if (fid == FORM_DIR)
            continue; /* onto itself it may */
        REFUSED(guest_ask(g, TWALK, "442s", FORM_DIR, fid, 1u, "in"));
        REFUSED(guest_ask(g, TWALK, "442", FORM_DIR, fid, 0u));
        if (g->conn->dialect == NINE_2000)
            REFUSED(guest_ask(g, TATTACH, "44ss", fid, NOFID, "nobody", "rw"));
        else
            REFUSED(guest_ask(g, TATTACH, "44ss4", fid, NOFID, "nobody", "rw", 0u));
    }
    assert_still_reads(g, FORM_OPEN_FILE, "hello");
}

static void
a_fid_in_use_is_not_given_to_another_file(void **state)
{
    (void)state;
    for_each_dialect(take_used_fids);
}

static void
let_go_twice(struct guest *g)
{
    assert_int_equal(guest_ask(g, TCLUNK, "4", FORM_OPEN_FILE).type, TCLUNK + 1);
    REFUSED(guest_ask(g, TCLUNK, "4", FORM_OPEN_FILE));
    REFUSED(guest_ask(g, TREMOVE, "4", FORM_OPEN_FILE));
    REFUSED(guest_ask(g, TREAD, "484", FORM_OPEN_FILE, (uint64_t)0, 10u));
    assert_int_equal(guest_ask(g, TREMOVE, "4", FORM_FILE).type, TREMOVE + 1);
    REFUSED(guest_ask(g, TREMOVE, "4", FORM_FILE));
    REFUSED(guest_ask(g, TREMOVE, "4", FORM_ROOT)); /* refused, and yet gone */
    REFUSED(guest_ask(g, TCLUNK, "4", FORM_ROOT));
}

static void
a_fid_is_let_go_of_once(void **state)
{
    (void)state;
    for_each_dialect(let_go_twice);
}

static void
rename_the_new(struct guest *g)
{
    struct msg m;

    assert_int_equal(guest_ask(g, TWALK, "442", FORM_ROOT, FORM_NEW, 0u).type, TWALK + 1);
    m = creates(g, FORM_NEW, "made");
    assert_false(forms_is_error(&m));
    if (is_l(g)) {
        assert_int_equal(guest_ask(g, TRENAME, "44s", FORM_NEW, FORM_DIR, "moved").type,
                         TRENAME + 1);
    } else {
        struct old_stat st = old_stat_blank();
        uint8_t bytes[256];
        size_t n;

        memcpy(st.name, "moved", sizeof("moved"));
        n = old_stat_write(&st, g->conn->dialect == NINE_U, bytes, sizeof(bytes));
        assert_int_equal(guest_ask(g, TWSTAT, "4b", FORM_NEW, bytes, n).type, TWSTAT + 1);
    }
    assert_false(synth_exists(g->rig->rw, "made"));
    assert_int_equal(guest_ask(g, TWRITE, "484r", FORM_NEW, (uint64_t)0, 3u, "abc", (size_t)3).type,
                     TWRITE + 1);
    assert_still_reads(g, FORM_NEW, "abc");
    assert_int_equal(guest_ask(g, TREMOVE, "4", FORM_NEW).type, TREMOVE + 1);
    assert_false(synth_exists(g->rig->rw, is_l(g) ? "dir/moved" : "moved"));
}

static void
a_file_just_made_is_renamed_written_and_removed(void **state)
{
    (void)state;
    for_each_dialect(rename_the_new);
}

static void
use_a_tag_twice(struct guest *g)
{
    struct msg m;

    g->rig->hold = true;
    guest_send(g, TREAD, 9, "484", FORM_OPEN_FILE, (uint64_t)0, 100u);
    guest_send(g, TREAD, 9, "484", FORM_OPEN_FILE, (uint64_t)0, 100u);
    guest_send(g, TCLUNK, 9, "4", FORM_FILE);
    rig_run(g->rig);
    for (int i = 0; i < 2; i++) {
        assert_true(guest_next(g, &m));
        assert_true(forms_is_error(&m));
    }
    assert_false(guest_next(g, &m));
    g->rig->hold = false;
    rig_run(g->rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.type, TREAD + 1);
    assert_int_equal(m.tag, 9);
    assert_false(guest_next(g, &m));
    assert_int_equal(guest_ask(g, TCLUNK, "4", FORM_FILE).type, TCLUNK + 1);
}

static void
a_tag_in_flight_is_refused_and_harms_neither(void **state)
{
    (void)state;
    for_each_dialect(use_a_tag_twice);
}

/* Of the same request, of a flush, of itself, of nothing. */
static void
flush_over_and_over(struct guest *g)
{
    static const uint16_t old[] = {9, 9, 10, 13, 77};
    uint16_t last = 0;
    struct msg m;

    g->rig->hold = true;
    guest_send(g, TREAD, 9, "484", FORM_OPEN_FILE, (uint64_t)0, 100u);
    for (unsigned i = 0; i < COUNT(old); i++)
        guest_send(g, TFLUSH, (uint16_t)(10 + i), "2", old[i]);
    rig_run(g->rig);
    g->rig->hold = false;
    rig_run(g->rig);
    while (guest_next(g, &m)) {
        if (m.type == TREAD + 1) {
            assert_int_equal(last & 3, 0); /* before its flushes */
        } else {
            assert_int_equal(m.type, TFLUSH + 1);
            assert_int_equal(last & 1 << (m.tag - 10), 0); /* each once */
            last |= (uint16_t)(1 << (m.tag - 10));
        }
    }
    assert_int_equal(last, 0x1f);
    assert_still_reads(g, FORM_OPEN_FILE, "hello");
}

static void
every_flush_is_answered_once_whatever_it_names(void **state)
{
    (void)state;
    for_each_dialect(flush_over_and_over);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fid_that_is_open_is_not_opened_or_created_on),
        cmocka_unit_test(a_fid_in_use_is_not_given_to_another_file),
        cmocka_unit_test(a_fid_is_let_go_of_once),
        cmocka_unit_test(a_file_just_made_is_renamed_written_and_removed),
        cmocka_unit_test(a_tag_in_flight_is_refused_and_harms_neither),
        cmocka_unit_test(every_flush_is_answered_once_whatever_it_names),
    };

    return cmocka_run_group_tests_name("messages at the wrong time", tests, NULL, NULL);
}
