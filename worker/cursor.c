/*
 * Reading and writing the integers and strings of 9P.
 *
 * Runs in: worker.   Trusts: nobody: the bytes are a guest's.
 * Owns: nothing; every buffer is the caller's.
 */
#include "worker/cursor.h"

#include <endian.h>
#include <string.h>

void
cur_init(struct cursor *c, const uint8_t *p, size_t n)
{
    *c = (struct cursor){.at = p, .end = p + n};
}

const uint8_t *
cur_take(struct cursor *c, size_t n)
{
    const uint8_t *p = c->at;

    if (c->bad || n > (size_t)(c->end - c->at)) {
        c->bad = true;
        return NULL;
    }
    c->at += n;
    return p;
}

uint8_t
cur_u8(struct cursor *c)
{
    const uint8_t *p = cur_take(c, 1);

    return p == NULL ? 0 : *p;
}

/* Shifted together, which compilers make one load of. */
/*@ requires \valid_read(p + (0 .. 1));
    assigns \nothing; */
static uint16_t
u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] | (uint32_t)p[1] << 8);
}

/*@ requires \valid_read(p + (0 .. 3));
    assigns \nothing; */
static uint32_t
u32_at(const uint8_t *p)
{
    return u16_at(p) | (uint32_t)u16_at(p + 2) << 16;
}

uint16_t
cur_u16(struct cursor *c)
{
    const uint8_t *p = cur_take(c, sizeof(uint16_t));

    return p == NULL ? 0 : u16_at(p);
}

uint32_t
cur_u32(struct cursor *c)
{
    const uint8_t *p = cur_take(c, sizeof(uint32_t));

    return p == NULL ? 0 : u32_at(p);
}

uint64_t
cur_u64(struct cursor *c)
{
    const uint8_t *p = cur_take(c, sizeof(uint64_t));

    return p == NULL ? 0 : u32_at(p) | (uint64_t)u32_at(p + 4) << 32;
}

struct str
cur_str(struct cursor *c)
{
    size_t n = cur_u16(c);
    const uint8_t *p = cur_take(c, n);

    return p == NULL ? (struct str){.p = (const uint8_t *)"", .n = 0}
                     : (struct str){.p = p, .n = n};
}

bool
cur_end(const struct cursor *c)
{
    return !c->bad && c->at == c->end;
}

void
pen_init(struct pen *w, uint8_t *p, size_t room)
{
    *w = (struct pen){.start = p, .at = p, .end = p + room};
}

uint8_t *
pen_take(struct pen *w, size_t n)
{
    uint8_t *p = w->at;

    if (w->full || n > (size_t)(w->end - w->at)) {
        w->full = true;
        return NULL;
    }
    w->at += n;
    return p;
}

static void
pen_bytes(struct pen *w, const void *p, size_t n)
{
    uint8_t *to = pen_take(w, n);

    if (to != NULL && n > 0)
        memcpy(to, p, n);
}

void
pen_u8(struct pen *w, uint8_t v)
{
    pen_bytes(w, &v, sizeof(v));
}

void
pen_u16(struct pen *w, uint16_t v)
{
    v = htole16(v);
    pen_bytes(w, &v, sizeof(v));
}

void
pen_u32(struct pen *w, uint32_t v)
{
    v = htole32(v);
    pen_bytes(w, &v, sizeof(v));
}

void
pen_u64(struct pen *w, uint64_t v)
{
    v = htole64(v);
    pen_bytes(w, &v, sizeof(v));
}

void
pen_str(struct pen *w, const void *p, size_t n)
{
    if (n > UINT16_MAX) {
        w->full = true;
        return;
    }
    pen_u16(w, (uint16_t)n);
    pen_bytes(w, p, n);
}

size_t
pen_len(const struct pen *w)
{
    return (size_t)(w->at - w->start);
}

size_t
pen_left(const struct pen *w)
{
    return (size_t)(w->end - w->at);
}
