/*
 * Which pages of a channel's slab are in use: the worker's private book, one
 * bit per page. First fit from the lowest address, so that the pages used
 * last, which are warm, are used next.
 */
#ifndef POSTERN_WORKER_SLAB_H
#define POSTERN_WORKER_SLAB_H

#include <stdint.h>

#include "ipc/limits.h"

#define SLAB_PAGES (SLAB_BYTES / SLAB_PAGE)
#define SLAB_WORDS (SLAB_PAGES / 64)

struct slab {
    uint64_t used[SLAB_WORDS]; /* bit set: in use */
    uint32_t first;            /* no page below is free */
    uint32_t in_use;           /* pages */
};

/* What n bytes take of it. */
#define SLAB_WHOLE(n) (((n) + SLAB_PAGE - 1) / SLAB_PAGE * SLAB_PAGE)

/* A zeroed slab is all free. */

/* Pages for n bytes, n >= 1. The first page's number, or -1: none now. */
int slab_get(struct slab *s, uint32_t n);
/* Give back what slab_get() gave for the same n. Ends in bug() if it did not. */
void slab_put(struct slab *s, uint32_t page, uint32_t n);

#endif
