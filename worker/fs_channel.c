/*
 * File operations as records in the ring to one helper.
 *
 * Runs in: worker.   Trusts: not the helper: a tag that is not in flight, an
 * answer of another operation, a message that does not decode or a count
 * beyond what was asked for is the end of that share, and of nothing else.
 * Owns: the mapping of the channel, the book of its slab, the calls in flight
 * (their memory is the front-end's).
 */
#include "worker/fs_channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/fd.h"
#include "ipc/log.h"

#define ERRNO_MAX 4095
#define UNTOLD_MAX 32 /* the chores of a share are more */

/* A call without its answer. The tag on the wire is turn << 16 | index. */
struct slot {
    struct fs_call *call; /* borrowed; NULL: free */
    uint32_t bound;       /* fs_bound() of the request */
    uint16_t op;
    uint16_t turn; /* counts the uses of the slot, so that an old answer is known as one */
};

struct fs_channel {
    struct fs fs; /* first: struct fs * is a struct fs_channel * */
    char *name;   /* owned */
    struct channel ch;
    struct slab slab;
    const char *broken; /* why no more may be sent; NULL: all is well */
    int error;          /* -errno of every call then */
    bool gone;          /* everything in flight was answered */
    bool asleep;        /* channel_may_sleep() said so */
    bool urgent;        /* something awaited was submitted since the last notify */
    unsigned untold;    /* and how many that nobody waits for */
    uint32_t nfree;
    uint16_t free[IN_FLIGHT_MAX]; /* indices of free slots */
    struct slot slots[IN_FLIGHT_MAX];
    uint8_t body[FRAME_BODY_MAX]; /* one reply, copied out */
};

_Static_assert(IN_FLIGHT_MAX <= UINT16_MAX, "slot numbers fit a tag's lower half");

static struct fs_channel *
of_fs(struct fs *fs)
{
    return (struct fs_channel *)fs;
}

static void
break_share(struct fs_channel *fc, const char *what)
{
    if (fc->broken != NULL)
        return;
    fc->broken = what;
    fc->error = -EIO;
    log_error("share %s: %s: the helper is not what it should be; the share is closed", fc->fs.name,
              what);
}

static uint32_t
slot_take(struct fs_channel *fc, unsigned op, const ProtobufCMessage *req, struct fs_call *call)
{
    uint16_t i = fc->free[--fc->nfree];
    struct slot *s = &fc->slots[i];

    s->call = call;
    s->op = (uint16_t)op;
    s->bound = fs_bound(op, req);
    s->turn++;
    return (uint32_t)s->turn << 16 | i;
}

static void
slot_put(struct fs_channel *fc, uint32_t i)
{
    fc->slots[i].call = NULL;
    fc->free[fc->nfree++] = (uint16_t)i;
}

static int
submit(struct fs *fs, unsigned op, const ProtobufCMessage *req, struct fs_call *call)
{
    struct fs_channel *fc = of_fs(fs);
    struct frame f = {.op = (uint16_t)op, .uid = call->uid, .gid = call->gid};
    uint8_t *body;
    int r;

    if (fc->broken != NULL)
        return fc->error;
    if (fc->nfree == 0)
        return -EAGAIN;
    if (protobuf_c_message_get_packed_size(req) > FRAME_BODY_MAX)
        bug("share %s: a request of %s that no frame holds", fs->name, op_info(op)->name);
    r = channel_reserve(&fc->ch, &body);
    if (r == -EAGAIN)
        return r;
    if (r < 0) {
        break_share(fc, "request ring: impossible position");
        return -EIO;
    }
    if (call->payload != NULL) {
        f.payload = (uint32_t)(call->payload - fc->ch.slab);
        f.payload_len = call->payload_len;
    }
    f.tag = call->tag = slot_take(fc, op, req, call);
    channel_commit(&fc->ch, &f, protobuf_c_message_pack(req, body));
    fc->urgent |= !call->unawaited;
    fc->untold += call->unawaited;
    return 0;
}

static uint8_t *
payload_get(struct fs *fs, uint32_t n)
{
    struct fs_channel *fc = of_fs(fs);
    int page = slab_get(&fc->slab, n);

    return page < 0 ? NULL : fc->ch.slab + (size_t)page * SLAB_PAGE;
}

static void
payload_put(struct fs *fs, uint8_t *p, uint32_t n)
{
    struct fs_channel *fc = of_fs(fs);

    slab_put(&fc->slab, (uint32_t)((size_t)(p - fc->ch.slab) / SLAB_PAGE), n);
}

static void
blame(struct fs *fs, const char *what)
{
    break_share(of_fs(fs), what);
}

/* Answer all that is in flight; from now on nothing goes to the helper. */
static void
give_up(struct fs_channel *fc, const char *why, int error)
{
    if (fc->broken == NULL)
        fc->broken = why;
    fc->error = error;
    fc->gone = true;
    for (uint32_t i = 0; i < IN_FLIGHT_MAX; i++) {
        struct fs_call *call = fc->slots[i].call;

        if (call == NULL)
            continue;
        slot_put(fc, i);
        call->done(call, error, NULL);
    }
}

static void
revoke(struct fs *fs)
{
    give_up(of_fs(fs), "the share was taken away", -ESTALE);
}

static void
end(struct fs *fs)
{
    struct fs_channel *fc = of_fs(fs);

    if (fc->slab.in_use > 0)
        bug("share %s: freed with %u pages in use", fs->name, fc->slab.in_use);
    fs_channel_free(fc);
}

static const struct fs_impl impl = {
    .submit = submit,
    .payload_get = payload_get,
    .payload_put = payload_put,
    .blame = blame,
    .revoke = revoke,
    .end = end,
};

int
fs_channel_new(const char *name, bool read_only, int memfd, int wake_fd, struct fs_channel **ret)
{
    struct fs_channel *fc = calloc(1, sizeof(*fc));
    int r;

    if (fc == NULL)
        return -ENOMEM;
    fc->name = strdup(name);
    r = fc->name == NULL ? -ENOMEM : channel_open(&fc->ch, CHANNEL_WORKER, memfd, wake_fd);
    if (r < 0) {
        free(fc->name);
        free(fc);
        return r;
    }
    fc->fs = (struct fs){.impl = &impl, .name = fc->name, .read_only = read_only};
    for (uint32_t i = IN_FLIGHT_MAX; i > 0; i--)
        fc->free[fc->nfree++] = (uint16_t)(i - 1);
    *ret = fc;
    return 0;
}

void
fs_channel_free(struct fs_channel *fc)
{
    if (fc == NULL)
        return;
    if (fc->nfree != IN_FLIGHT_MAX)
        bug("share %s: freed with calls in flight", fc->fs.name);
    channel_close(&fc->ch);
    free(fc->name);
    free(fc);
}

struct fs *
fs_channel_fs(struct fs_channel *fc)
{
    return &fc->fs;
}

/* The slot that a reply answers, or NULL with what is wrong with it. */
static struct slot *
slot_of(struct fs_channel *fc, const struct frame *f, const char **ret_what)
{
    uint32_t i = f->tag & UINT16_MAX;
    struct slot *s = &fc->slots[i < IN_FLIGHT_MAX ? i : 0];

    *ret_what = NULL;
    if (i >= IN_FLIGHT_MAX || s->call == NULL || s->turn != f->tag >> 16)
        *ret_what = "an answer to nothing";
    else if (f->op != s->op)
        *ret_what = "an answer of another operation";
    else if (f->status > 0 || f->status < -ERRNO_MAX)
        *ret_what = "a status that is no errno";
    return *ret_what == NULL ? s : NULL;
}

/* What is wrong with the reply, or NULL: the call was answered. */
static const char *
take_reply(struct fs_channel *fc, struct arena *arena, const struct frame *f, size_t n)
{
    const char *what;
    struct slot *s = slot_of(fc, f, &what);
    const ProtobufCMessage *rep = NULL;
    struct fs_call *call;

    if (s == NULL)
        return what;
    arena_reset(arena);
    if (f->status == 0) {
        rep = msg_unpack(arena, op_info(s->op)->rep, fc->body, n);
        if (rep == NULL)
            return "an answer that does not decode";
        what = fs_reply_lies(s->op, s->bound, rep);
        if (what != NULL)
            return what;
    }
    call = s->call;
    slot_put(fc, f->tag & UINT16_MAX);
    call->done(call, f->status, rep);
    return NULL;
}

bool
fs_channel_poll(struct fs_channel *fc, struct arena *arena)
{
    bool answered = false;

    while (fc->broken == NULL && fc->nfree < IN_FLIGHT_MAX) {
        const char *what = NULL;
        struct frame f;
        size_t n;
        int r = channel_recv(&fc->ch, &f, fc->body, &n);

        if (r == 0)
            break;
        what = r < 0 ? "reply ring: impossible position" : take_reply(fc, arena, &f, n);
        if (what != NULL)
            break_share(fc, what);
        answered = true;
    }
    if (fc->broken != NULL && !fc->gone) {
        fs_channel_gone(fc);
        answered = true;
    }
    return answered;
}

bool
fs_channel_notify(struct fs_channel *fc, bool all)
{
    if (fc->broken != NULL)
        return false;
    if (!all && !fc->urgent && fc->untold < UNTOLD_MAX)
        return fc->untold > 0;
    fc->urgent = false;
    fc->untold = 0;
    if (channel_notify(&fc->ch) < 0)
        break_share(fc, "its eventfd cannot be written");
    return false;
}

bool
fs_channel_may_sleep(struct fs_channel *fc)
{
    if (fc->broken != NULL)
        return fc->gone;
    if (fc->nfree == IN_FLIGHT_MAX)
        return true;
    fc->asleep = channel_may_sleep(&fc->ch);
    return fc->asleep;
}

void
fs_channel_awake(struct fs_channel *fc)
{
    if (fc->asleep)
        channel_awake(&fc->ch);
    fc->asleep = false;
}

void
fs_channel_gone(struct fs_channel *fc)
{
    give_up(fc, "the helper is gone", fc->broken == NULL ? -EIO : fc->error);
}

unsigned
fs_channel_in_flight(const struct fs_channel *fc)
{
    return IN_FLIGHT_MAX - fc->nfree;
}

bool
fs_channel_is_gone(const struct fs_channel *fc)
{
    return fc->broken != NULL;
}

uint32_t
fs_channel_pages(const struct fs_channel *fc)
{
    return fc->slab.in_use;
}
