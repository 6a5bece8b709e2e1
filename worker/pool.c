/*
 * Pools of equal things.
 *
 * Runs in: worker.   Trusts: its caller.   Owns: the chunks.
 *
 * In a sanitized build every thing is its own allocation, so that a use
 * after its return is seen.
 */
#include "worker/pool.h"

#include <stdlib.h>
#include <string.h>

#define THINGS_PER_CHUNK 64
#define ALIGN 16u

struct pool_chunk {
    struct pool_chunk *next;
    _Alignas(ALIGN) unsigned char mem[];
};

void
pool_init(struct pool *p, size_t size)
{
    *p = (struct pool){.size = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1)};
}

void
pool_done(struct pool *p)
{
    while (p->chunks != NULL) {
        struct pool_chunk *c = p->chunks;

        p->chunks = c->next;
        free(c);
    }
    pool_init(p, p->size);
}

#ifdef POSTERN_SANITIZED
void *
pool_get(struct pool *p)
{
    void *thing = malloc(p->size);

    if (thing != NULL)
        p->live++;
    return thing;
}

void
pool_put(struct pool *p, void *thing)
{
    p->live--;
    free(thing);
}
#else
/* The link of an idle thing lies in its first bytes. */
static void
idle_push(struct pool *p, void *thing)
{
    memcpy(thing, &p->idle, sizeof(p->idle));
    p->idle = thing;
}

static void
pool_grow(struct pool *p)
{
    struct pool_chunk *c = malloc(sizeof(*c) + p->size * THINGS_PER_CHUNK);

    if (c == NULL)
        return;
    c->next = p->chunks;
    p->chunks = c;
    for (size_t i = THINGS_PER_CHUNK; i > 0; i--)
        idle_push(p, c->mem + (i - 1) * p->size);
}

void *
pool_get(struct pool *p)
{
    void *thing;

    if (p->idle == NULL)
        pool_grow(p);
    thing = p->idle;
    if (thing == NULL)
        return NULL;
    memcpy(&p->idle, thing, sizeof(p->idle));
    p->live++;
    return thing;
}

void
pool_put(struct pool *p, void *thing)
{
    p->live--;
    idle_push(p, thing);
}
#endif
