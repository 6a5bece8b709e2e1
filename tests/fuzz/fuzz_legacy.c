/*
 * A guest of 9P2000.u or 9P2000 that sends anything: messages that are mostly
 * well-formed, with numbers of the input's choice, over a share in memory that
 * answers when the input says so.
 *
 * The first byte chooses the dialect. Then pieces of six bytes: what to do, and
 * five for it. When it ends, everything must be given back: rig_free() looks.
 */
#include <string.h>

#include "ipc/log.h"
#include "tests/lib/legacy.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define FIDS 8u

static struct guest *
guest_begins(struct rig *rig, bool dotu)
{
    struct guest *g = rig_connect(rig);

    (void)guest_ask(g, TVERSION, "4s", 8192u, dotu ? "9P2000.u" : "9P2000");
    guest_send(g, TATTACH, 1, dotu ? "44ss4" : "44ss", 0u, NOFID, "", "rw", 0u);
    guest_send(g, TATTACH, 2, dotu ? "44ss4" : "44ss", 1u, NOFID, "", "ro", 0u);
    guest_send(g, TWALK, 3, "442s", 0u, 2u, 1u, "file");
    guest_send(g, TWALK, 4, "442s", 0u, 3u, 1u, "dir");
    guest_send(g, TOPEN, 5, "41", 3u, 0u);
    rig_run(rig);
    return g;
}

static const char *const names[] = {"file", "dir", "link", "in", "new", "..", "a/b", ""};

/* One number of sixteen, whatever the protocol makes of it. */
static uint32_t
number(uint8_t c)
{
    static const uint32_t some[] = {0,          1,          2,          5,
                                    64,         4096,       0644,       OLD_DMDIR | 0755,
                                    0x02000000, 0x01000000, 0x00200000, 0x00100000,
                                    0x00800000, 0x20000000, 0x7fffffff, UINT32_MAX};

    return some[c % COUNT(some)];
}

static size_t
wstat_bytes(const uint8_t *p, bool dotu, uint8_t *to, size_t room)
{
    struct old_stat st = old_stat_blank();

    if ((p[1] & 1) != 0)
        st.mode = number(p[2]);
    if ((p[1] & 2) != 0)
        st.length = number(p[3]);
    if ((p[1] & 4) != 0)
        (void)strncpy(st.name, names[p[4] % COUNT(names)], sizeof(st.name) - 1);
    if ((p[1] & 8) != 0)
        st.mtime = number(p[3]);
    if ((p[1] & 16) != 0)
        (void)strncpy(st.uid, p[2] % 2 == 0 ? "1000" : "x", sizeof(st.uid) - 1);
    return old_stat_write(&st, dotu, to, room);
}

static void
message(struct guest *g, uint8_t what, const uint8_t *p)
{
    static const char *const extensions[] = {"", "2\n", "3", "target", "c 1 3"};
    static const uint8_t data[64];
    bool dotu = g->conn != NULL && g->conn->dialect == NINE_U;
    uint32_t fid = p[0] % FIDS, to = p[1] % FIDS;
    const char *name = names[p[2] % COUNT(names)];
    uint8_t msg[512], st[256];
    uint16_t tag = 10 + p[4] % 16u;
    size_t n;

    switch (what % 12) {
    case 0:
        n = msg_make(msg, sizeof(msg), TWALK, tag, "442s", fid, to, 1u, name);
        break;
    case 1:
        n = msg_make(msg, sizeof(msg), TWALK, tag, "442ss", fid, to, 2u, name,
                     names[p[3] % COUNT(names)]);
        break;
    case 2:
        n = msg_make(msg, sizeof(msg), TWALK, tag, "442", fid, to, 0u);
        break;
    case 3:
        n = msg_make(msg, sizeof(msg), TOPEN, tag, "41", fid, (unsigned)p[1]);
        break;
    case 4:
        n = msg_make(msg, sizeof(msg), TCREATE, tag, dotu ? "4s41s" : "4s41", fid, name,
                     number(p[3]), (unsigned)p[1], extensions[p[4] % COUNT(extensions)]);
        break;
    case 5:
        n = msg_make(msg, sizeof(msg), TREAD, tag, "484", fid, (uint64_t)number(p[1]),
                     number(p[2]));
        break;
    case 6:
        n = msg_make(msg, sizeof(msg), TWRITE, tag, "484r", fid, (uint64_t)number(p[1]), p[2] % 64u,
                     data, (size_t)(p[2] % 64u));
        break;
    case 7:
        n = msg_make(msg, sizeof(msg), TCLUNK, tag, "4", fid);
        break;
    case 8:
        n = msg_make(msg, sizeof(msg), TREMOVE, tag, "4", fid);
        break;
    case 9:
        n = msg_make(msg, sizeof(msg), TSTAT, tag, "4", fid);
        break;
    case 10:
        n = wstat_bytes(p, dotu, st, sizeof(st));
        if (p[4] % 8 == 0)
            st[p[3] % n] = p[2];
        n = msg_make(msg, sizeof(msg), TWSTAT, tag, "4b", fid, st, n);
        break;
    default:
        n = msg_make(msg, sizeof(msg), TFLUSH, tag, "2", 10 + p[3] % 16u);
        break;
    }
    (void)guest_bytes(g, msg, n);
}

static void
command(struct rig *rig, struct guest *g, uint8_t what, const uint8_t *p)
{
    static const char *const versions[] = {"9P2000", "9P2000.u", "9P2000.L"};

    switch (what % 8) {
    case 0:
        rig->hold = !rig->hold;
        break;
    case 1:
        (void)synth_answer(rig->rw, p[0] % 8u);
        break;
    case 2:
        (void)synth_answer_newest(rig->rw);
        break;
    case 3:
        synth_room(rig->rw, 1u + p[0] % 8u);
        break;
    case 4: /* what a helper may fail with; giving back cannot */
        if (p[0] % OP_END != OP_FORGET && p[0] % OP_END != OP_CLOSE && p[0] % OP_END != 0)
            synth_fail(rig->rw, p[0] % OP_END, -(int)(1 + p[1] % 40u));
        break;
    case 5:
        g->deaf = !g->deaf;
        break;
    case 6:
        guest_send(g, TVERSION, NOTAG, "4s", 4096u + p[0], versions[p[1] % COUNT(versions)]);
        guest_send(g, TATTACH, 1, p[1] % 3 == 0 ? "44ss" : "44ss4", 0u, NOFID, "", "rw", 0u);
        break;
    default:
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct tenant_limits l = {.connections = 16, .fids = 20, .in_flight = 10, .msize = 65536};
    struct rig *rig = rig_new(&l);
    struct guest *g;

    log_level(LOG_CRIT);
    synth_put_dir(rig->rw, "dir");
    synth_put_file(rig->rw, "dir/in", "inner", 5);
    synth_put_file(rig->rw, "file", "hello", 5);
    synth_put_link(rig->rw, "link", "target");
    synth_put_file(rig->ro, "file", "hello", 5);
    g = guest_begins(rig, n > 0 && (data[0] & 1) == 0);
    for (size_t at = 1; n >= 6 && at <= n - 6 && !g->ended; at += 6) {
        if (data[at] < 224)
            message(g, data[at], data + at + 1);
        else
            command(rig, g, data[at], data + at + 1);
        rig_run(rig);
    }
    rig_free(rig);
    return 0;
}
