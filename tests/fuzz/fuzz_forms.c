/*
 * Guests of all dialects that send every message there is: each well-formed and
 * meant to succeed but for one field, which the input chooses and forges, over
 * shares in memory that answer when the input says so.
 *
 * Pieces of six bytes: which guest and when the shares answer, which message,
 * which field of it, and three for what is in it. Half of the guests have the
 * directory of all shares in the place of one's root and of its open directory. When it ends,
 * everything must be given back: rig_free() looks.
 */
#include <string.h>

#include "ipc/log.h"
#include "tests/lib/forms_rig.h"
#include "tests/lib/test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { PIECE = 6 };

static const uint64_t borders[] = {
    UINT8_MAX,  INT16_MAX,       UINT16_MAX, INT32_MAX,         (uint64_t)1 << 31,
    UINT32_MAX, UINT32_MAX - 10, INT64_MAX,  (uint64_t)1 << 63, UINT64_MAX,
    4096,       65536,
};
static const char *const texts[] = {
    "",
    "file",
    "dir",
    "in",
    "new",
    "link",
    "..",
    ".",
    "/",
    "a/b",
    "../x",
    "rw",
    "ro",
    "1000",
    "user.a",
    "user.new",
    "target",
    "user.virtfs.",
    "rw;ro",
    "c 1 3",
    "2\n",
    "system.posix_acl_access",
    "security.capability",
};

/* A number: mostly small, as fids and counts are; or a border, and a bit beside. */
static uint64_t
number(const uint8_t *p)
{
    if (p[0] < 160)
        return p[0] % 64u;
    if (p[0] < 200)
        return (uint64_t)1 << p[1] % 64u;
    return borders[p[1] % COUNT(borders)] + (uint64_t)(p[2] % 3u) - 1;
}

static struct forged
forge(const struct form *f, const uint8_t *p)
{
    struct forged x = {.field = p[0] % (int)(strlen(f->fields) + 1) - 1, .number = number(p + 1)};

    x.bytes = texts[p[1] % COUNT(texts)];
    x.n = strlen(x.bytes);
    x.claims = p[2] < 200 ? (uint32_t)x.n : p[2] - 200u;
    return x;
}

/* Messages of another dialect than the guest's are sent all the same. */
static void
send_form(struct guest *g, size_t d, const uint8_t *p)
{
    static uint8_t msg[FORM_ROOM];
    const struct form *f = &forms[p[0] % nforms];
    const struct forged x = forge(f, p + 1);

    (void)guest_bytes(g, msg, form_write(f, forms_dialect(d), &x, p[4] % 16u, msg));
}

static struct guest *
guest_of_all_shares(struct rig *rig, size_t d)
{
    struct guest *g = forms_guest(rig, d, "rw");
    const char *fmt = forms_dialect(d) == NINE_2000 ? "44ss" : "44ss4";

    (void)guest_ask(g, TCLUNK, "4", FORM_ROOT);
    (void)guest_ask(g, TCLUNK, "4", FORM_OPEN_DIR);
    (void)guest_ask(g, TATTACH, fmt, FORM_ROOT, NOFID, "nobody", "", 0u);
    guest_walk(g, FORM_ROOT, FORM_OPEN_DIR, "");
    forms_open(g, FORM_OPEN_DIR, false);
    return g;
}

static void
answers(struct rig *rig, uint8_t c)
{
    if (c / 16 % 4 == 1)
        rig->hold = true;
    else if (c / 16 % 4 == 2)
        rig->hold = false;
    else if (c / 16 % 4 == 3)
        (void)synth_answer_newest(rig->rw);
    rig_run(rig);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct guest *guest[2 * FORMS_DIALECTS];
    struct rig *rig;

    log_level(LOG_CRIT);
    rig = forms_rig();
    for (size_t d = 0; d < FORMS_DIALECTS; d++) {
        guest[d] = forms_guest(rig, d, "rw");
        guest[FORMS_DIALECTS + d] = guest_of_all_shares(rig, d);
    }
    for (; n >= PIECE; data += PIECE, n -= PIECE) {
        const size_t d = data[0] % FORMS_DIALECTS;
        struct guest *g = guest[d + (data[0] < 128 ? 0 : FORMS_DIALECTS)];

        if (g->ended)
            continue;
        send_form(g, d, data + 1);
        answers(rig, data[0]);
    }
    rig->hold = false;
    rig_free(rig);
    return 0;
}
