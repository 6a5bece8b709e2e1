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

void cur_init(struct cursor *c, const uint8_t *p, size_t n);
/* The next n bytes, or NULL when there are not that many; then c->bad. */
const uint8_t *cur_take(struct cursor *c, size_t n);
/* 0 and "" when there is not enough left; then c->bad. */
uint8_t cur_u8(struct cursor *c);
uint16_t cur_u16(struct cursor *c);
uint32_t cur_u32(struct cursor *c);
uint64_t cur_u64(struct cursor *c);
struct str cur_str(struct cursor *c);
/* True when everything asked for was there and nothing is left over. */
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
