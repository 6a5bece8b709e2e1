/*
 * Things of one size, taken and given back without malloc(3) in between.
 * Chunks are kept until the end: what a burst needed stays for the next.
 */
#ifndef POSTERN_WORKER_POOL_H
#define POSTERN_WORKER_POOL_H

#include <stddef.h>

struct pool_chunk;

struct pool {
    size_t size; /* of one thing, bytes */
    void *idle;
    struct pool_chunk *chunks; /* owned */
    size_t live;               /* things out at the moment */
};

void pool_init(struct pool *p, size_t size);
/* Free the chunks; nothing may be out any more. */
void pool_done(struct pool *p);
/* One thing with undefined content, or NULL: no memory. */
void *pool_get(struct pool *p);
void pool_put(struct pool *p, void *thing);

#endif
