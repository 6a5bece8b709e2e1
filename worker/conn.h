/*
 * One connection: bytes in, bytes out, and the 9P session that they carry.
 */
#ifndef POSTERN_WORKER_CONN_H
#define POSTERN_WORKER_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "ipc/limits.h"
#include "worker/fid.h"
#include "worker/lock.h"
#include "worker/tenant.h"

#define IN_BYTES 65536u          /* input buffer */
#define NINE_MSG_MAX 32768u      /* largest message that is looked at whole; Twrite has no limit */
#define OUT_BYTES (128u * 1024u) /* replies without file data */
#define OUT_PARTS 1024u          /* iovecs of output; IOV_MAX */
#define OUT_PAYLOAD_MAX                                                                            \
    (4u * 1024u * 1024u) /* file data on its way to a peer that does not read                      \
                          */

/* Room that a reply may need, bytes. */
#define ROOM_SMALL 256u
#define ROOM_READLINK (7u + 2u + TARGET_LEN_MAX)
#define ROOM_STAT 8192u /* what Linux sets aside for one */
#define ROOM_GETLOCK (7u + 21u + 2u + LOCK_CLIENT_MAX)
#define READDIR_MAX 32768u
#define ROOM_READDIR (11u + READDIR_MAX)
#define ROOM_MAX (ROOM_READDIR + ROOM_SMALL)

#define TAG_BUCKETS 64u

struct request;

/* What is spoken; one bit each, for the masks of nine.def. */
enum nine_dialect {
    NINE_2000 = 1 << 0, /* 9P2000 */
    NINE_U = 1 << 1,    /* 9P2000.u */
    NINE_L = 1 << 2,    /* 9P2000.L */
};

/* Slab space that goes back when its iovec was written; share NULL: none. */
struct out_payload {
    struct share *share; /* held: one of its refs */
    uint8_t *p;
    uint32_t n;
};

/* What an epoll event names; worker/loop.c. */
struct watch {
    int kind; /* enum watch_kind */
    void *of; /* borrowed; the conn, the listener, ... it is part of */
};

struct conn {
    struct watch watch;
    struct tenant *tenant; /* borrowed */
    int fd;                /* owned; -1: closed, waiting for its requests to end */
    bool readable, hup;    /* as the last event said; edge-triggered */
    bool writable;
    bool queued, unsent;      /* in tenant.run, in tenant.unsent */
    struct conn **stalled_in; /* the list it waits in, NULL: none */
    unsigned in_flight;       /* requests */
    unsigned parked;          /* requests that wait for room */
    unsigned pacing;          /* requests that wait for their turn under a rate */

    uint8_t *in; /* owned; IN_BYTES */
    size_t in_at, in_end;
    uint32_t skip;            /* bytes of a refused message that are still to come */
    struct request *incoming; /* the Twrite whose data is arriving, or is written in parts */
    bool large_writes;        /* the last message was one: read the head of the next alone */

    uint8_t *out; /* owned; OUT_BYTES; filled from 0, and from 0 again when all is written */
    uint32_t out_end, out_kept;  /* bytes in it; bytes promised to requests in flight */
    struct iovec *part;          /* owned; OUT_PARTS */
    struct out_payload *payload; /* owned; OUT_PARTS, beside part */
    unsigned part_at, part_end;
    uint32_t payload_bytes; /* slab space of requests in flight and in part, whole pages */

    unsigned dialect; /* enum nine_dialect: what a Tversion agreed on; 0: nothing yet */
    bool resetting;   /* a Tversion waits for the requests before it to end, unanswered */
    uint32_t msize;
    struct { /* the Tversion to be answered */
        uint16_t tag;
        unsigned dialect; /* 0: unknown */
        uint32_t msize;
    } version;
    struct fids fids;
    struct conn_locks locks;
    struct request *tags[TAG_BUCKETS];

    struct conn *prev, *next, *run_prev, *run_next, *out_prev, *out_next, *stall_prev, *stall_next;
};

/* A new connection on fd (non-blocking stream socket), which it then owns.
 * 0 and *ret; -EMFILE: the tenant's limit; -ENOMEM: the fd stays the caller's. */
int conn_new(struct tenant *t, int fd, struct conn **ret);
/* Close the fd and let everything go; the memory follows when the last
 * request in flight has ended. */
void conn_close(struct conn *c);

/* Look at it in the next round. */
void conn_queue(struct conn *c);
/* What epoll said: something to read, room to write, the peer is gone. */
void conn_event(struct conn *c, bool in, bool out, bool hup);
/* Its next message found no room: nothing is read until the list is woken. */
void conn_stall(struct conn *c, struct conn **list);
void conn_wake(struct conn **list);

/* Read, parse, submit. Called by tenant_round(). */
void conn_run(struct conn *c);
/* Write what there is. Called by tenant_round(). */
void conn_flush(struct conn *c);

/* A reply of n bytes was written at out + out_end; payload may be NULL, else
 * its first len bytes follow. */
void conn_output(struct conn *c, uint32_t n, const struct out_payload *payload, uint32_t len);

/* nine.c. One message: p[0..n) is the whole of it, or for a Twrite its head of
 * NINE_WRITE_HEAD bytes; size is what the header said. 0: taken; -EAGAIN: no
 * room, offer it again after a wake; -EPROTO: end the connection. */
#define NINE_WRITE_HEAD 23u
#define NINE_WRITE_TYPE 118
int nine_message(struct conn *c, const uint8_t *p, uint32_t n, uint32_t size);
/* Answer a message that is too long to be looked at. */
void nine_too_long(struct conn *c, const uint8_t *head);
/* The part of c->incoming's data that it has room for is there. */
void nine_write_arrived(struct conn *c);
/* All requests before a Tversion have ended: answer it. */
void nine_version_now(struct conn *c);

#endif
