/*
 * A helper that was taken over: any answers, whole or broken, to requests
 * under way. The worker answers each call of its front-end exactly once, with
 * a reply that can be true or an errno, and never again after it has found the
 * share broken.
 *
 * Pieces: an operation to ask for, how many bytes of answer follow, how the
 * frame's head is forged, and those bytes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ipc/log.h"
#include "tests/lib/must.h"
#include "worker/fs_channel.h"

#define CALLS 16u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct asked {
    struct fs_call call; /* first: the call is this */
    unsigned op;
    uint32_t bound;
    bool waits;
};

static void
answered(struct fs_call *call, int status, const ProtobufCMessage *rep)
{
    struct asked *a = (struct asked *)call;

    MUST(a->waits && status <= 0 && status > -4096);
    MUST((status == 0) == (rep != NULL));
    MUST(rep == NULL || fs_reply_lies(a->op, a->bound, rep) == NULL);
    a->waits = false;
}

/* A request of that operation with every number count. */
static void
ask(struct fs *fs, struct asked *a, unsigned op, uint8_t count)
{
    static struct arena arena;
    ProtobufCMessage *m;

    if (a->waits)
        return;
    arena_init(&arena);
    m = msg_new(&arena, op_info(op)->req);
    MUST(m != NULL);
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        uint32_t v = count;

        if (f->type == PROTOBUF_C_TYPE_UINT32 && f->label == PROTOBUF_C_LABEL_REQUIRED)
            memcpy((uint8_t *)m + f->offset, &v, sizeof(v));
    }
    *a = (struct asked){.call = {.done = answered}, .op = op, .bound = fs_bound(op, m)};
    a->waits = fs_submit(fs, op, m, &a->call) == 0;
}

/* The frame of one that waits, or nearly. */
static struct frame
forge(const struct asked *a, uint8_t how)
{
    struct frame f = {.op = (uint16_t)a->op, .tag = a->call.tag};

    if ((how & 0x70) == 0x10)
        f.op = how & 0x0f;
    if ((how & 0x70) == 0x20)
        f.tag += how & 0x0f;
    if ((how & 0x70) == 0x30)
        f.status = -(how & 0x0f);
    if ((how & 0x70) == 0x40)
        f.status = 1 << (how & 0x0f);
    if ((how & 0x70) == 0x50)
        f.status = -(1 << (how & 0x0f));
    return f;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct arena arena;
    static int memfd = -1, wake = -1;
    struct asked asked[CALLS] = {0};
    struct fs_channel *fc;
    struct channel helper;
    unsigned at = 0;

    if (memfd < 0) {
        log_level(LOG_EMERG);
        memfd = channel_create();
        wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    arena_init(&arena);
    MUST(channel_open(&helper, CHANNEL_HELPER, memfd, wake) == 0);
    memset(helper.map, 0, 4096); /* positions of the input before */
    MUST(fs_channel_new("fuzz", false, memfd, wake, &fc) == 0);
    while (n >= 4) {
        struct asked *a = &asked[at++ % CALLS];
        size_t body = data[1] < n - 4 ? data[1] : n - 4;
        struct frame f;

        ask(fs_channel_fs(fc), a, 1 + data[0] % (OP_END - 1), data[3]);
        f = forge(a, data[2]);
        (void)channel_send(&helper, &f, data + 4, body);
        (void)fs_channel_poll(fc, &arena);
        data += 4 + body;
        n -= 4 + body;
    }
    fs_channel_gone(fc);
    for (unsigned i = 0; i < CALLS; i++)
        MUST(!asked[i].waits);
    fs_channel_free(fc);
    channel_close(&helper);
    return 0;
}
