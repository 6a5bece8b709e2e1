/*
 * Private to channel.c: one record out of a ring that the peer may write to
 * at any time. The one place where a length of the peer's decides what is
 * copied, and small enough to be proven.
 *
 * The lines that begin with @ are what tools/prove proves: whatever the ring
 * holds, nothing is read but the ring and nothing is written but the frame,
 * the body and its length. That the ring may change meanwhile makes no
 * difference: what counts is the frame's copy, of which nothing is assumed.
 */
#ifndef POSTERN_IPC_RECORD_H
#define POSTERN_IPC_RECORD_H

#include <errno.h>
#include <string.h>

#include "ipc/channel.h"

/* What a record of n bytes takes in the ring. */
/*@ requires n <= FRAME_MAX;
    assigns \nothing;
    ensures n <= \result <= n + 7 && \result % 8 == 0; */
static inline uint32_t
record_room(uint32_t n)
{
    return (n + 7u) / 8u * 8u;
}

/* These two are not proven but taken as said: memcpy(3) copies n bytes. */
/*@ requires \valid(f) && \valid_read(at + (0 .. sizeof(struct frame) - 1));
    assigns *f; */
static inline void
frame_copy(struct frame *f, const uint8_t *at)
{
    memcpy(f, at, sizeof(*f));
}

/*@ requires \valid(body + (0 .. n - 1)) && \valid_read(at + (0 .. n - 1));
    assigns body[0 .. n - 1]; */
static inline void
body_copy(uint8_t *body, const uint8_t *at, size_t n)
{
    memcpy(body, at, n);
}

/*
 * The record at that position, of which avail bytes are there. ring is mapped
 * twice in a row, so that nothing wraps. 0, or -EBADMSG for one that cannot be.
 */
/*@ requires avail <= RING_BYTES && \valid_read(ring + (0 .. 2 * RING_BYTES - 1));
    requires \valid(f) && \valid(n) && \valid(body + (0 .. FRAME_BODY_MAX - 1));
    requires \separated(f, n, body + (0 .. FRAME_BODY_MAX - 1));
    assigns *f, *n, body[0 .. FRAME_BODY_MAX - 1];
    ensures \result == 0 || \result == -EBADMSG;
    ensures \result == 0 ==> *n <= FRAME_BODY_MAX && f->size == sizeof(struct frame) + *n &&
        f->size <= avail; */
static inline int
record_take(const uint8_t *ring, uint32_t pos, uint32_t avail, struct frame *f, uint8_t *body,
            size_t *n)
{
    const uint8_t *at = ring + pos % RING_BYTES;

    if (avail < sizeof(*f))
        return -EBADMSG;
    frame_copy(f, at); /* from here on only the copy counts */
    if (f->size < sizeof(*f) || f->size > FRAME_MAX || record_room(f->size) > avail)
        return -EBADMSG;
    *n = f->size - sizeof(*f);
    body_copy(body, at + sizeof(*f), *n);
    return 0;
}

#endif
