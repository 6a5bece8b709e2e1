/*
 * The page allocator of a channel's slab.
 *
 * Runs in: worker.   Trusts: its caller.   Owns: the bitmap alone; it never
 * touches the pages.
 */
#include "worker/slab.h"

#include <stdbool.h>

#include "ipc/log.h"

static bool
page_used(const struct slab *s, uint32_t page)
{
    return (s->used[page / 64] >> (page % 64) & 1) != 0;
}

static uint32_t
pages_of(uint32_t n)
{
    return n / SLAB_PAGE + (n % SLAB_PAGE != 0);
}

/* The next page in state used at or after this one; SLAB_PAGES: none. */
static uint32_t
next_page(const struct slab *s, uint32_t page, bool used)
{
    while (page < SLAB_PAGES) {
        uint64_t word = used ? s->used[page / 64] : ~s->used[page / 64];

        word >>= page % 64;
        if (word != 0)
            return page + (uint32_t)__builtin_ctzll(word);
        page = (page / 64 + 1) * 64;
    }
    return SLAB_PAGES;
}

static void
mark(struct slab *s, uint32_t page, uint32_t n, bool used)
{
    for (uint32_t end = page + n; page < end; page++) {
        uint64_t bit = (uint64_t)1 << (page % 64);

        if (page_used(s, page) == used)
            bug("slab: page %u is %s already", page, used ? "in use" : "free");
        s->used[page / 64] ^= bit;
    }
}

int
slab_get(struct slab *s, uint32_t n)
{
    uint32_t want = pages_of(n);
    uint32_t page = next_page(s, s->first, false);

    s->first = page;
    while (page < SLAB_PAGES && want > 0 && want <= SLAB_PAGES - page) {
        uint32_t end = next_page(s, page, true);

        if (end - page >= want) {
            mark(s, page, want, true);
            s->in_use += want;
            return (int)page;
        }
        page = next_page(s, end, false);
    }
    return -1;
}

void
slab_put(struct slab *s, uint32_t page, uint32_t n)
{
    uint32_t count = pages_of(n);

    if (page >= SLAB_PAGES || count > SLAB_PAGES - page)
        bug("slab: pages %u+%u are not there", page, count);
    mark(s, page, count, false);
    s->in_use -= count;
    if (page < s->first)
        s->first = page;
}
