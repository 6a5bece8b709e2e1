/*
 * A guest that sends anything: the input is its bytes, over a share in
 * memory, with now and then a command of the fuzzer's own in between.
 *
 * The input is cut into pieces by a leading byte each: below 100, so many raw
 * bytes to send; below 200, a message with a body of that less 100, which a
 * type and a tag precede (the size comes by itself); 200 let the shares
 * answer, 201 hold them, 202 the newest call is answered first, 203 the guest
 * stops or starts to read, 204 little room, 205 much, 206 another guest of the
 * same tenant, 207 a program of the host locks, 208 unlocks, 209 time passes;
 * 220 a third share comes, 221 it leaves and drains, 222 it goes, 223 "rw" goes
 * in the middle of whatever is under way, once; from 210 to 219, and 224, a message with what it
 * needs to work, made of the four bytes behind; else run. The first byte says how it begins: odd,
 * with nothing; with 2 in it, under rates that soon make it wait.
 *
 * When it ends, everything must be given back: rig_free() looks.
 */
#include <string.h>

#include "ipc/log.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"
#include "worker/pace.h"

static uint64_t clock_ms;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Sessions start as a decent guest's would, unless the first byte is odd. */
static struct guest *
guest_begins(struct rig *rig, bool decent)
{
    struct guest *g = NULL;

    decent = decent && rig->tenant.by_number[0] != NULL;
    g = decent ? guest_new(rig) : rig_connect(rig);
    if (decent) {
        guest_open(g, 0, 2, "file", 2);
        guest_open(g, 0, 3, "dir", 0);
        guest_walk(g, 0, 4, "link");
    }
    return g;
}

/* From now on; little is saved up, so that a few requests already wait. */
static void
rates_begin(struct tenant *t)
{
    t->limits.read_rate = t->limits.write_rate = 8;
    t->limits.metadata_rate = 4;
    pace_init(t);
    for (unsigned i = 0; i < PAYS_ENDS; i++)
        t->pace[i].rate.have = t->pace[i].rate.burst = (int64_t)t->pace[i].rate.per_second;
}

static void
time_passes(struct rig *rig)
{
    clock_ms += 700;
    rig->tenant.now = clock_ms * 1000000u;
    (void)tenant_pause(&rig->tenant, clock_ms);
    (void)pace_pause(&rig->tenant);
}

/* The third share, and the one that everybody works on. */
static void
share_command(struct rig *rig, uint8_t c)
{
    struct share *const *at = rig->tenant.by_number;

    if (c == 220 && at[2] == NULL && rig->nmore < RIG_MORE) {
        struct synth *s = rig_add(rig, 2, "more", false, "00112233445566778899aabbccddeeff");

        synth_put_dir(s, "dir");
        synth_put_file(s, "file", "hello", 5);
    } else if (c == 221 && at[2] != NULL && at[2]->state == SHARE_SERVED) {
        tenant_share_leaves(&rig->tenant, 2);
    } else if (c == 222 && at[2] != NULL) {
        if (at[2]->state == SHARE_SERVED)
            tenant_share_leaves(&rig->tenant, 2);
        tenant_share_cut(&rig->tenant, 2);
    } else if (c == 223 && at[0] != NULL) {
        rig_cut(rig, 0);
    }
    rig_run(rig);
}

static void
command(struct rig *rig, struct guest **g, uint8_t c)
{
    switch (c) {
    case 200:
        rig->hold = false;
        break;
    case 201:
        rig->hold = true;
        break;
    case 202:
        (void)synth_answer_newest(rig->rw);
        break;
    case 203:
        (*g)->deaf = !(*g)->deaf;
        break;
    case 204:
        synth_room(rig->rw, 1);
        break;
    case 205:
        synth_room(rig->rw, 100);
        break;
    case 206:
        guest_hang_up(*g);
        rig_run(rig);
        *g = guest_begins(rig, !rig->hold && !rig->tenant.paced);
        break;
    case 207:
        synth_host_locks(rig->rw, "file", LOCK_FOR_WRITE, 0, 8);
        break;
    case 208:
        synth_host_locks(rig->rw, "file", LOCK_UNLOCK, 0, 64);
        break;
    case 209:
        time_passes(rig);
        break;
    default:
        share_command(rig, c);
    }
}

/* Messages that random bytes would hardly ever be: c says which, p[0..4) the rest. */
static void
decent(struct guest *g, uint8_t c, const uint8_t *p)
{
    const uint32_t fid = 2 + p[0] % 6u, pid = p[3] >> 5;
    const uint16_t tag = p[1] >> 4;
    const uint64_t at = p[2] % 16u, len = p[3] % 16u;
    static const uint8_t data[16];
    uint8_t msg[256];
    size_t n;

    switch (c) {
    case 210:
        n = msg_make(msg, sizeof(msg), TLOCK, tag, "414884s", fid, p[1] % 3u, p[2] >> 7, at, len,
                     pid, "h");
        break;
    case 211:
        n = msg_make(msg, sizeof(msg), TGETLOCK, tag, "41884s", fid, p[1] % 3u, at, len, pid, "h");
        break;
    case 212:
        n = msg_make(msg, sizeof(msg), TXATTRCREATE, tag, "4s84", fid, "user.a", len, pid % 3);
        break;
    case 213:
        n = msg_make(msg, sizeof(msg), TXATTRWALK, tag, "44s", fid, 2 + p[3] % 6u,
                     p[2] % 2 == 0 ? "" : "user.a");
        break;
    case 214:
        n = msg_make(msg, sizeof(msg), TWRITE, tag, "484r", fid, at, (uint32_t)len, data,
                     (size_t)len);
        break;
    case 215:
        n = msg_make(msg, sizeof(msg), TCLUNK, tag, "4", fid);
        break;
    case 217: /* to the root of all, and on from wherever a fid is */
        n = msg_make(msg, sizeof(msg), TATTACH, tag, "44ss4", fid, NOFID, "",
                     p[3] % 2 == 0 ? "" : "more", 0u);
        break;
    case 218:
        n = msg_make(msg, sizeof(msg), TWALK, tag, "442sss", fid, 2 + p[3] % 6u, 3u,
                     p[2] % 2 == 0 ? ".." : "more", p[3] % 2 == 0 ? "rw" : "dir", "..");
        break;
    case 219:
        n = msg_make(msg, sizeof(msg), TREADDIR, tag, "484", fid, at, 20u + p[3]);
        break;
    case 216:
        n = msg_make(msg, sizeof(msg), TFLUSH, tag, "2", p[3] >> 4);
        break;
    default: /* 224 */
        n = msg_make(msg, sizeof(msg), TWALK, tag, "442s", 0u, fid, 1u, "file");
        break;
    }
    (void)guest_bytes(g, msg, n);
}

/* The message at p: type, tag, body. How many bytes of the input it took. */
static size_t
message(struct guest *g, const uint8_t *p, size_t n, size_t body)
{
    static const uint8_t types[] = {
        TSTATFS,   TLOPEN,   TLCREATE,   TSYMLINK, TMKNOD,   TRENAME,      TREADLINK,
        TGETATTR,  TSETATTR, TREADDIR,   TFSYNC,   TLINK,    TMKDIR,       TRENAMEAT,
        TUNLINKAT, TVERSION, TATTACH,    TFLUSH,   TWALK,    TREAD,        TWRITE,
        TCLUNK,    TREMOVE,  TXATTRWALK, TLOCK,    TGETLOCK, TXATTRCREATE,
    };
    uint8_t msg[128];
    size_t len;

    if (n < 2)
        return n;
    body = body < n - 2 ? body : n - 2;
    len = msg_make(msg, sizeof(msg), types[p[0] % COUNT(types)], p[1], "r", p + 2, body);
    (void)guest_bytes(g, msg, len);
    return body + 2;
}

static void
feed(struct rig *rig, struct guest *g, const uint8_t *p, size_t n)
{
    unsigned guests = 1;

    while (n > 0) {
        uint8_t c = *p++;
        size_t len = c;

        n--;
        if ((c >= 210 && c < 220) || c == 224) {
            if (n < 4)
                return;
            decent(g, c, p);
            rig_run(rig);
            p += 4;
            n -= 4;
            continue;
        }
        if (c >= 200) {
            if (c == 206 && ++guests > 8)
                return;
            command(rig, &g, c);
            continue;
        }
        if (c >= 100) {
            len = message(g, p, n, len - 100);
        } else {
            len = len < n ? len : n;
            (void)guest_bytes(g, p, len);
        }
        p += len;
        n -= len;
        rig_run(rig);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct tenant_limits l = {.connections = 16, .fids = 20, .in_flight = 10, .msize = 65536};
    struct rig *rig = rig_new(&l);
    struct guest *g;

    clock_ms = 1;
    log_level(LOG_CRIT);
    synth_put_dir(rig->rw, "dir");
    synth_put_file(rig->rw, "file", "hello", 5);
    synth_put_link(rig->rw, "link", "target");
    synth_put_file(rig->ro, "file", "hello", 5);
    if (n > 0) {
        g = guest_begins(rig, (data[0] & 1) == 0);
        if ((data[0] & 2) != 0)
            rates_begin(&rig->tenant);
        feed(rig, g, data + 1, n - 1);
    }
    rig_free(rig);
    return 0;
}
