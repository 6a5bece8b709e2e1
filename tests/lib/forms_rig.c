/*
 * Guests for forms; see forms_rig.h.
 *
 * Runs in: tests.   Trusts: its tests.   Owns: nothing.
 */
#include "tests/lib/forms_rig.h"

#include <string.h>

#include "tests/lib/test.h"

#define RERROR 107

static const struct {
    unsigned dialect;
    const char *version;
} dialects[FORMS_DIALECTS] = {{NINE_L, "9P2000.L"}, {NINE_U, "9P2000.u"}, {NINE_2000, "9P2000"}};

unsigned
forms_dialect(size_t d)
{
    return dialects[d].dialect;
}

struct rig *
forms_rig(void)
{
    struct rig *rig = rig_new(&rig_limits);

    for (unsigned i = 0; i < 2; i++) {
        struct synth *s = i == 0 ? rig->rw : rig->ro;

        synth_put_file(s, "file", "hello", 5);
        synth_put_dir(s, "dir");
        synth_put_file(s, "dir/in", "inner", 5);
        synth_put_link(s, "link", "dir/in");
    }
    return rig;
}

bool
forms_is_error(const struct msg *m)
{
    return m->type == RLERROR || m->type == RERROR;
}

void
forms_open(struct guest *g, uint32_t fid, bool to_write)
{
    const unsigned how = to_write ? 2 : 0;

    if (g->conn->dialect == NINE_L)
        assert_int_equal(guest_ask(g, TLOPEN, "44", fid, how).type, TLOPEN + 1);
    else
        assert_int_equal(guest_ask(g, TOPEN, "41", fid, how).type, TOPEN + 1);
}

struct guest *
forms_guest(struct rig *rig, size_t d, const char *share)
{
    struct guest *g = rig_connect(rig);
    struct msg m;

    m = guest_ask(g, TVERSION, "4s", FORMS_MSIZE, dialects[d].version);
    assert_int_equal(m.type, TVERSION + 1);
    if (dialects[d].dialect == NINE_2000)
        m = guest_ask(g, TATTACH, "44ss", FORM_ROOT, NOFID, "nobody", share);
    else
        m = guest_ask(g, TATTACH, "44ss4", FORM_ROOT, NOFID, "nobody", share, 0u);
    assert_int_equal(m.type, TATTACH + 1);
    guest_walk(g, FORM_ROOT, FORM_FILE, "file");
    guest_walk(g, FORM_ROOT, FORM_OPEN_FILE, "file");
    guest_walk(g, FORM_ROOT, FORM_DIR, "dir");
    guest_walk(g, FORM_ROOT, FORM_OPEN_DIR, "dir");
    guest_walk(g, FORM_ROOT, FORM_LINK, "link");
    forms_open(g, FORM_OPEN_FILE, strcmp(share, "rw") == 0);
    forms_open(g, FORM_OPEN_DIR, false);
    return g;
}
