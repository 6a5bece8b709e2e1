/*
 * A guest that sends anything: the input is its bytes, over a share in
 * memory, with now and then a command of the fuzzer's own in between.
 *
 * The input is cut into pieces by a leading byte each: below 100, so many raw
 * bytes to send; below 200, a message with a body of that less 100, which a
 * type and a tag precede (the size comes by itself); 200 let the shares
 * answer, 201 hold them, 202 the newest call is answered first, 203 the guest
 * stops or starts to read, 204 little room, 205 much, 206 another guest of the
 * same tenant; else run.
 *
 * When it ends, everything must be given back: rig_free() looks.
 */
#include <string.h>

#include "ipc/log.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Sessions start as a decent guest's would, unless the first byte is odd. */
static struct guest *
guest_begins(struct rig *rig, bool decent)
{
    struct guest *g = decent ? guest_new(rig) : rig_connect(rig);

    if (decent) {
        guest_open(g, 0, 2, "file", 2);
        guest_open(g, 0, 3, "dir", 0);
        guest_walk(g, 0, 4, "link");
    }
    return g;
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
        *g = guest_begins(rig, !rig->hold);
        break;
    default:
        rig_run(rig);
    }
}

/* The message at p: type, tag, body. How many bytes of the input it took. */
static size_t
message(struct guest *g, const uint8_t *p, size_t n, size_t body)
{
    static const uint8_t types[] = {
        TSTATFS,  TLOPEN,   TLCREATE, TSYMLINK, TMKNOD, TRENAME,   TREADLINK, TGETATTR,
        TSETATTR, TREADDIR, TFSYNC,   TLINK,    TMKDIR, TRENAMEAT, TUNLINKAT, TVERSION,
        TATTACH,  TFLUSH,   TWALK,    TREAD,    TWRITE, TCLUNK,    TREMOVE,   TXATTRWALK,
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

    log_level(LOG_CRIT);
    synth_put_dir(rig->rw, "dir");
    synth_put_file(rig->rw, "file", "hello", 5);
    synth_put_link(rig->rw, "link", "target");
    synth_put_file(rig->ro, "file", "hello", 5);
    if (n > 0)
        feed(rig, guest_begins(rig, (data[0] & 1) == 0), data + 1, n - 1);
    rig_free(rig);
    return 0;
}
