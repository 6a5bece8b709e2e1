/*
 * The bytes of one connection.
 *
 * Runs in: worker.   Trusts: nobody: a peer may send half a message and
 * stop, never read, or vanish at any byte.   Owns: the socket, the input
 * buffer, the output that was not written yet and the slab space it names.
 *
 * Everything is bounded. A message is only taken when the largest reply it
 * may get still fits the output; until then the peer is not read, and its
 * own socket buffer makes it wait. Input is read through one buffer, but the
 * data of a Twrite that has not arrived yet goes straight into the slab. A
 * message may stay half for ever: of what others need it holds a page at most
 * when others need it (request_part()), and no slot.
 * Output is written at the end of a round with one writev(2): replies from
 * the private buffer, file data from the slab.
 */
#include "worker/conn.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "ipc/log.h"
#include "worker/nine.h"
#include "worker/request.h"
#include "worker/slab.h"

#define HEAD_BYTES 7u /* size[4] type[1] tag[2] */
#define READS_PER_TURN 8
#define LARGE_WRITE 16384u /* from here on one more recv(2) costs less than copying */
#define PARTS_PER_REPLY 2u

static void
conn_free(struct conn *c)
{
    struct tenant *t = c->tenant;

    if (c->unsent)
        DL_DELETE2(t->unsent, c, out_prev, out_next);
    DL_DELETE(t->conns, c);
    t->nconns--;
    free(c->in);
    free(c->out);
    free(c->part);
    free(c->payload);
    free(c);
}

int
conn_new(struct tenant *t, int fd, struct conn **ret)
{
    struct conn *c;

    if (t->nconns >= t->limits.connections)
        return -EMFILE;
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    *c = (struct conn){.tenant = t, .fd = fd, .writable = true, .msize = MSIZE_MIN};
    DL_APPEND(t->conns, c);
    t->nconns++;
    c->in = malloc(IN_BYTES);
    c->out = malloc(OUT_BYTES);
    c->part = malloc(OUT_PARTS * sizeof(*c->part));
    c->payload = malloc(OUT_PARTS * sizeof(*c->payload));
    if (c->in == NULL || c->out == NULL || c->part == NULL || c->payload == NULL) {
        conn_free(c);
        return -ENOMEM;
    }
    *ret = c;
    return 0;
}

void
conn_queue(struct conn *c)
{
    if (c->queued)
        return;
    c->queued = true;
    DL_APPEND2(c->tenant->run, c, run_prev, run_next);
}

/* Have it flushed at the end of the round. */
static void
conn_unsent(struct conn *c)
{
    if (c->unsent)
        return;
    c->unsent = true;
    DL_APPEND2(c->tenant->unsent, c, out_prev, out_next);
}

/* Only who was told that nothing more fits asks for the event: else every
 * read(2) of the peer would be one. */
static void
set_writable(struct conn *c, bool writable)
{
    c->writable = writable;
    if (c->tenant->watch_output != NULL)
        c->tenant->watch_output(c->tenant->loop, c, !writable);
}

void
conn_event(struct conn *c, bool in, bool out, bool hup)
{
    c->readable |= in || hup;
    c->hup |= hup;
    if (out && !c->writable) {
        set_writable(c, true);
        conn_unsent(c);
    }
    if (in || hup)
        conn_queue(c);
}

void
conn_stall(struct conn *c, struct conn **list)
{
    if (c->stalled_in != NULL)
        return;
    c->stalled_in = list;
    DL_APPEND2(*list, c, stall_prev, stall_next);
}

static void
unstall(struct conn *c)
{
    if (c->stalled_in != NULL)
        DL_DELETE2(*c->stalled_in, c, stall_prev, stall_next);
    c->stalled_in = NULL;
}

void
conn_wake(struct conn **list)
{
    while (*list != NULL) {
        struct conn *c = *list;

        unstall(c);
        conn_queue(c);
    }
}

static void
payload_done(struct conn *c, struct out_payload *p)
{
    if (p->share == NULL)
        return;
    fs_payload_put(p->share->fs, p->p, p->n);
    c->payload_bytes -= SLAB_WHOLE(p->n);
    p->share->payload_bytes -= SLAB_WHOLE(p->n);
    p->share->progress = true; /* its slab has room again */
    p->share->refs--;
    p->share = NULL;
}

/* Whether its Twrite is with the helper: there is no room for more of it. */
static bool
part_is_full(const struct conn *c)
{
    return c->incoming != NULL && c->incoming->got == c->incoming->count;
}

void
conn_close(struct conn *c)
{
    struct request *r = part_is_full(c) ? NULL : c->incoming;

    if (c->fd < 0)
        return;
    close(c->fd);
    c->fd = -1;
    if (c->incoming != NULL)
        request_expects_no_more(c->incoming);
    unstall(c);
    for (; c->part_at < c->part_end; c->part_at++)
        payload_done(c, &c->payload[c->part_at]);
    if (r != NULL)
        request_drop(r);
    fid_clear(&c->fids, &c->tenant->fids);
    nine_lock_end(c);
    pace_end(c);
    conn_queue(c);
}

/* Whether another message may be taken: the output has room for whatever its
 * reply will be, and nothing that came before it holds it up. */
static bool
may_parse(const struct conn *c)
{
    return c->fd >= 0 && c->stalled_in == NULL && c->parked == 0 && !c->resetting &&
           !part_is_full(c) && c->out_end + c->out_kept <= OUT_BYTES - ROOM_MAX &&
           c->part_end + PARTS_PER_REPLY * (c->in_flight + 2) <= OUT_PARTS;
}

/* What of a Twrite's data came along with its header. */
static void
take_incoming(struct conn *c)
{
    struct request *r = c->incoming;
    size_t n = c->in_end - c->in_at;

    if (n > r->count - r->got)
        n = r->count - r->got;
    memcpy(r->call.payload + r->got, c->in + c->in_at, n);
    r->got += (uint32_t)n;
    c->in_at += n;
    if (r->got == r->count)
        nine_write_arrived(c);
}

static void
take_skipped(struct conn *c)
{
    size_t n = c->in_end - c->in_at;

    if (n > c->skip)
        n = c->skip;
    c->in_at += n;
    c->skip -= (uint32_t)n;
}

/* Offer one message of the given size to the session; have bytes are there.
 * True: it was taken and there may be more. */
static bool
take_message(struct conn *c, const uint8_t *p, size_t have, uint32_t size)
{
    uint32_t look = size;
    int r;

    if (p[4] == NINE_WRITE_TYPE && size >= NINE_WRITE_HEAD)
        look = NINE_WRITE_HEAD;
    if (look > NINE_MSG_MAX) {
        nine_too_long(c, p);
        c->in_at += HEAD_BYTES;
        c->skip = size - HEAD_BYTES;
        return true;
    }
    if (have < look)
        return false;
    c->large_writes = look < size && size > LARGE_WRITE;
    r = nine_message(c, p, look, size);
    if (r == -EPROTO) {
        log_debug("a connection sent something else before a version: closed");
        conn_close(c);
    }
    if (r < 0)
        return false;
    c->in_at += look;
    if (c->incoming == NULL)
        c->skip = size - look;
    return true;
}

static void
conn_parse(struct conn *c)
{
    while (may_parse(c) && c->in_at < c->in_end) {
        const uint8_t *p = c->in + c->in_at;
        size_t have = c->in_end - c->in_at;
        uint32_t size;

        if (c->incoming != NULL) {
            take_incoming(c);
            continue;
        }
        if (c->skip > 0) {
            take_skipped(c);
            continue;
        }
        if (have < HEAD_BYTES)
            return;
        memcpy(&size, p, sizeof(size));
        size = le32toh(size);
        if (size < HEAD_BYTES || size > c->msize) {
            log_debug("a connection sent a message of %u bytes: closed", size);
            conn_close(c);
            return;
        }
        if (!take_message(c, p, have, size))
            return;
    }
}

/* One recv(2). False: nothing came, or the connection was closed. */
static bool
conn_fill(struct conn *c)
{
    struct request *r = c->incoming;
    uint8_t *to;
    size_t room;
    ssize_t n;

    if (r != NULL) {
        to = r->call.payload + r->got;
        room = r->count - r->got;
    } else {
        memmove(c->in, c->in + c->in_at, c->in_end - c->in_at);
        c->in_end -= c->in_at;
        c->in_at = 0;
        to = c->in + c->in_end;
        room = IN_BYTES - c->in_end;
        if (c->large_writes && c->in_end < NINE_WRITE_HEAD)
            room = NINE_WRITE_HEAD - c->in_end;
    }
    n = recv(c->fd, to, room, MSG_DONTWAIT);
    if (n < 0 && errno == EINTR)
        return true;
    /* A short read has emptied the socket; the next byte is a new event. */
    if (n >= 0 && (size_t)n < room && !c->hup)
        c->readable = n == 0;
    if (n < 0 && errno == EAGAIN) {
        c->readable = false;
        return false;
    }
    if (n <= 0) {
        conn_close(c);
        return false;
    }
    if (r == NULL) {
        c->in_end += (size_t)n;
        return true;
    }
    r->got += (uint32_t)n;
    if (r->got == r->count)
        nine_write_arrived(c);
    return true;
}

void
conn_run(struct conn *c)
{
    if (c->fd < 0) {
        if (c->in_flight == 0)
            conn_free(c);
        return;
    }
    if (c->resetting && c->in_flight == 0)
        nine_version_now(c);
    for (int turn = 0; turn < READS_PER_TURN; turn++) {
        conn_parse(c);
        if (c->fd < 0)
            return;
        if (!may_parse(c)) {
            if (c->hup) /* nobody is left to wait for room */
                conn_close(c);
            return;
        }
        if (!c->readable || !conn_fill(c))
            return;
    }
    conn_queue(c);
}

/* Whether what is to be written last is private and ends at p. */
static bool
output_ends_at(const struct conn *c, const uint8_t *p)
{
    const struct iovec *last;

    if (c->part_end == c->part_at || c->payload[c->part_end - 1].share != NULL)
        return false;
    last = &c->part[c->part_end - 1];
    return (const uint8_t *)last->iov_base + last->iov_len == p;
}

void
conn_output(struct conn *c, uint32_t n, const struct out_payload *payload, uint32_t len)
{
    uint8_t *p = c->out + c->out_end;

    if (output_ends_at(c, p)) {
        c->part[c->part_end - 1].iov_len += n;
    } else {
        c->payload[c->part_end] = (struct out_payload){.share = NULL};
        c->part[c->part_end++] = (struct iovec){.iov_base = p, .iov_len = n};
    }
    c->out_end += n;
    if (payload != NULL) {
        payload->share->refs++;
        c->payload[c->part_end] = *payload;
        c->part[c->part_end++] = (struct iovec){.iov_base = payload->p, .iov_len = len};
    }
    conn_unsent(c);
}

/* n bytes went out. */
static void
output_went(struct conn *c, size_t n)
{
    while (c->part_at < c->part_end && n >= c->part[c->part_at].iov_len) {
        n -= c->part[c->part_at].iov_len;
        payload_done(c, &c->payload[c->part_at]);
        c->part_at++;
    }
    if (n > 0) {
        c->part[c->part_at].iov_base = (uint8_t *)c->part[c->part_at].iov_base + n;
        c->part[c->part_at].iov_len -= n;
    }
}

void
conn_flush(struct conn *c)
{
    while (c->fd >= 0 && c->writable && c->part_at < c->part_end) {
        ssize_t n = writev(c->fd, &c->part[c->part_at], (int)(c->part_end - c->part_at));

        if (n >= 0)
            output_went(c, (size_t)n);
        else if (errno == EAGAIN)
            set_writable(c, false);
        else if (errno != EINTR)
            conn_close(c);
    }
    if (c->fd >= 0 && c->part_at == c->part_end) {
        c->part_at = c->part_end = c->out_end = 0;
        if (c->readable || c->in_at < c->in_end)
            conn_queue(c); /* it may have waited for room */
    }
}
