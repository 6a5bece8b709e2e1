/*
 * The one reader of guest bytes and the one writer of replies: little-endian
 * integers and counted strings, as 9P has them. Running past the end is
 * remembered, so that a decoder reads as the protocol text does and asks
 * once, at the end.
 */
#ifndef POSTERN_WORKER_CURSOR_H
#define POSTERN_WORKER_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
    const uint8_t *at;
    const uint8_t *end;
    bool bad;
};

/* Bytes of a peer: borrowed, not ended by a NUL, and possibly holding some. */
struct str {
    const uint8_t *p;
    size_t n;
};

/*
 * The lines that begin with @ are what is proven (tools/prove): whatever the
 * bytes are, and whatever is asked for in whatever order, nothing is read but
 * what lies between at and end, and a cursor stays one.
 */
/*@ predicate is_cursor(struct cursor *c) =
        \valid(c) && c->at != \null &&
        0 <= c->end - c->at <= 0x7fffffffffffffff &&
        \base_addr(c->at) == \base_addr(c->end) &&
        \valid_read(c->at + (0 .. c->end - c->at - 1));
 */

/* p: not NULL, even for n = 0. */
/*@ requires \valid(c) && p != \null && n <= 0x7fffffffffffffff;
    requires \valid_read(p + (0 .. n - 1)) && \separated(c, p + (0 .. n - 1));
    assigns *c;
    ensures is_cursor(c) && c->at == p && c->end == p + n && !c->bad; */
void cur_init(struct cursor *c, const uint8_t *p, size_t n);
/* The next n bytes, or NULL when there are not that many; then c->bad. */
/*@ requires is_cursor(c);
    assigns c->at, c->bad;
    ensures is_cursor(c);
    ensures n > \old(c->end) - \old(c->at) ==> \result == \null;
    ensures \old(c->bad) ==> \result == \null;
    ensures \result == \null ==> \old(c->bad) || n > \old(c->end) - \old(c->at);
    ensures \result == \null ==> c->bad && c->at == \old(c->at);
    ensures \result != \null ==> !c->bad && \result == \old(c->at) &&
        c->at == \result + n && \valid_read(\result + (0 .. n - 1)); */
const uint8_t *cur_take(struct cursor *c, size_t n);
/* 0 and "" when there is not enough left; then c->bad. */
/*@ requires is_cursor(c);
    assigns c->at, c->bad;
    ensures is_cursor(c); */
uint8_t cur_u8(struct cursor *c);
/*@ requires is_cursor(c);
    assigns c->at, c->bad;
    ensures is_cursor(c); */
uint16_t cur_u16(struct cursor *c);
/*@ requires is_cursor(c);
    assigns c->at, c->bad;
    ensures is_cursor(c); */
uint32_t cur_u32(struct cursor *c);
/*@ requires is_cursor(c);
    assigns c->at, c->bad;
    ensures is_cursor(c); */
uint64_t cur_u64(struct cursor *c);
/*@ requires is_cursor(c);
    assigns c->at, c->bad;
    ensures is_cursor(c) && \valid_read(\result.p + (0 .. \result.n - 1)); */
struct str cur_str(struct cursor *c);
/* True when everything asked for was there and nothing is left over. */
/*@ requires is_cursor(c);
    assigns \nothing;
    ensures \result <==> !c->bad && c->at == c->end; */
bool cur_end(const struct cursor *c);

struct pen {
    uint8_t *start; /* borrowed */
    uint8_t *at;
    uint8_t *end;
    bool full; /* something did not fit; nothing was written past the end */
};

void pen_init(struct pen *w, uint8_t *p, size_t room);
/* n bytes of room, now the caller's to fill, or NULL; then w->full. */
uint8_t *pen_take(struct pen *w, size_t n);
void pen_u8(struct pen *w, uint8_t v);
void pen_u16(struct pen *w, uint16_t v);
void pen_u32(struct pen *w, uint32_t v);
void pen_u64(struct pen *w, uint64_t v);
/* A string with its length in front; over 65535 bytes it is w->full. */
void pen_str(struct pen *w, const void *p, size_t n);
size_t pen_len(const struct pen *w);
size_t pen_left(const struct pen *w);

#endif
