/*
 * The channel between a worker and one helper: a sealed memfd with a request
 * ring, a reply ring and a payload slab, and two eventfds. DESIGN section 4
 * of docs/ARCHITECTURE.md.
 *
 * Each side maps the memfd and keeps a private copy of the geometry, of its
 * own ring position and of all bookkeeping. Only head, tail and the sleeping
 * flag of a ring are read from shared memory, and each is checked against
 * the private geometry before use. A record is copied out before anybody
 * looks at it. A position that cannot be true is -EBADMSG: the peer is
 * broken, and the caller ends (violation()).
 *
 * Notification: the consumer says that it will sleep (channel_may_sleep),
 * looks once more, then waits on its eventfd edge-triggered through epoll;
 * the producer writes the eventfd in channel_notify() only if the other side
 * said so. One channel_notify() per batch.
 */
#ifndef POSTERN_IPC_CHANNEL_H
#define POSTERN_IPC_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/limits.h"

/* The fixed head of every record; host byte order. The protobuf message
 * follows, then padding to 8 bytes. */
struct frame {
    uint32_t size;        /* of the record: head and message, no padding */
    uint16_t op;          /* enum op_id */
    uint16_t reserved;    /* 0 */
    uint32_t tag;         /* the worker's, given back in the reply */
    int32_t status;       /* request: 0. reply: 0 or -errno, then no message */
    uint32_t payload;     /* offset of the payload in the slab, SLAB_PAGE aligned */
    uint32_t payload_len; /* its room in bytes; 0: none */
    uint32_t uid, gid;    /* request: who in the guest asks for it; ipc/share.h */
};
#define FRAME_BODY_MAX (FRAME_MAX - sizeof(struct frame))

enum channel_side { CHANNEL_WORKER, CHANNEL_HELPER };

struct ring_shared; /* in the memfd; channel.c */

/* One end of one ring. Plain private data but for sh and data. */
struct ring {
    struct ring_shared *sh; /* borrowed from the mapping */
    uint8_t *data;          /* borrowed from the mapping; RING_BYTES */
    uint32_t pos;           /* mine: head if I produce, tail if I consume; free running */
    uint32_t peer;          /* last seen of the other's */
};

struct channel {
    struct ring tx, rx;
    uint8_t *map;  /* owned */
    uint8_t *slab; /* within map; SLAB_BYTES */
    int wake_fd;   /* borrowed: eventfd I write to wake the peer */
    bool dirty;    /* records sent since the last notify */
};

/*
 * Broker: make the memfd of a channel, sized and sealed against resizing
 * (memfd_create(2), F_SEAL_SHRINK|F_SEAL_GROW|F_SEAL_SEAL), CLOEXEC.
 * The fd, or -errno. The caller owns it.
 */
int channel_create(void);

/*
 * Worker, helper: map the memfd as one side. The fd is not needed afterwards;
 * wake_fd stays the caller's and must outlive the channel.
 * 0; -EINVAL: the memfd has the wrong size or lacks its seals; -errno of mmap.
 */
int channel_open(struct channel *ch, enum channel_side side, int memfd, int wake_fd);
/* Unmap; safe on a zeroed channel. */
void channel_close(struct channel *ch);

/*
 * Append one record: f (its size is set here) and body[0..n).
 * 0; -EAGAIN: no room now, the consumer will free some; -EMSGSIZE: n is
 * over FRAME_BODY_MAX; -EBADMSG: the peer's position is impossible.
 * Nobody is told before channel_notify().
 */
int channel_send(struct channel *ch, const struct frame *f, const uint8_t *body, size_t n);

/*
 * Room for one record of at most FRAME_BODY_MAX bytes to be packed in place:
 * *ret_body points into the ring, where the caller may only write. Then
 * channel_commit() with the length used. Errors as channel_send().
 */
int channel_reserve(struct channel *ch, uint8_t **ret_body);
void channel_commit(struct channel *ch, const struct frame *f, size_t n);

/*
 * Take one record: head into *f, message into body (FRAME_BODY_MAX bytes of
 * room), its length into *n. The copy is made first, then checked.
 * 1: got one; 0: empty; -EBADMSG: the peer is broken.
 */
int channel_recv(struct channel *ch, struct frame *f, uint8_t *body, size_t *n);

/* Wake the peer if there is something new for it and it sleeps. 0 or -errno. */
int channel_notify(struct channel *ch);
/* The same in two halves, for threads that share an end under a lock: whether
 * there is need, and the call that wakes it, for which they need no lock. */
bool channel_must_wake(struct channel *ch);
int channel_wake(const struct channel *ch);

/* Say that I am about to sleep. true: the ring is empty, go ahead and wait;
 * false: something came meanwhile, go on consuming. */
bool channel_may_sleep(struct channel *ch);
/* Say that I am awake; call after every wait. */
void channel_awake(struct channel *ch);

/*
 * The payload that a frame names, or NULL when it does not lie wholly in the
 * slab on a page boundary. For the helper: NULL is a violation. The bytes are
 * shared and may change under the reader; copy before parsing.
 */
uint8_t *channel_payload(const struct channel *ch, uint32_t off, uint32_t len);

#endif
