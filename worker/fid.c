/*
 * The table of fids and the life of one.
 *
 * Runs in: worker.   Trusts: nobody: numbers are the guest's choice, hence
 * the keyed hash.   Owns: the fids, each of which owns its handles.
 */
#include "worker/fid.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "ipc/log.h"

#define NOFID 0xffffffffu
#define BUCKETS_MIN 64u

static const char *const state_name[FID_STATES_END] = {
#define X(s) [FID_##s] = #s,
    FID_STATES(X)
#undef X
};

static const bool may_go[FID_STATES_END][FID_STATES_END] = {
    [FID_NEW] = {[FID_WALKED] = true, [FID_VALUE] = true, [FID_GONE] = true},
    [FID_WALKED] = {[FID_CHANGING] = true, [FID_FILLING] = true, [FID_GONE] = true},
    [FID_CHANGING] = {[FID_WALKED] = true, [FID_OPEN] = true, [FID_GONE] = true},
    [FID_OPEN] = {[FID_GONE] = true},
    [FID_VALUE] = {[FID_GONE] = true},
    [FID_FILLING] = {[FID_GONE] = true},
};

void
fid_go(struct fid *f, enum fid_state to)
{
    if (!may_go[f->state][to])
        bug("fid %u: %s -> %s", f->num, state_name[f->state], state_name[to]);
    f->state = to;
}

/* An odd number that no guest knows: the kernel's random bytes of this exec. */
static uint64_t
hash_key(void)
{
    static uint64_t key;

    if (key == 0) {
        unsigned long at = getauxval(AT_RANDOM);

        if (at != 0)
            memcpy(&key, (const void *)at, sizeof(key));
        key |= 1;
    }
    return key;
}

static uint32_t
bucket_of(const struct fids *t, uint32_t num)
{
    uint64_t h = ((uint64_t)num + 1) * hash_key();

    return (uint32_t)(h >> 32) & (t->nbuckets - 1);
}

struct fid *
fid_find(const struct fids *t, uint32_t num)
{
    struct fid *f;

    if (t->nbuckets == 0)
        return NULL;
    f = t->bucket[bucket_of(t, num)];
    while (f != NULL && f->num != num)
        f = f->chain;
    return f;
}

static void
link_in(struct fids *t, struct fid *f)
{
    struct fid **head = &t->bucket[bucket_of(t, f->num)];

    f->chain = *head;
    *head = f;
}

/* Room for one more at no more than one fid per bucket. */
static int
table_grow(struct fids *t)
{
    struct fids bigger = {.nbuckets = t->nbuckets == 0 ? BUCKETS_MIN : t->nbuckets * 2,
                          .count = t->count};

    if (t->count < t->nbuckets)
        return 0;
    bigger.bucket = calloc(bigger.nbuckets, sizeof(struct fid *));
    if (bigger.bucket == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < t->nbuckets; i++) {
        while (t->bucket[i] != NULL) {
            struct fid *f = t->bucket[i];

            t->bucket[i] = f->chain;
            link_in(&bigger, f);
        }
    }
    free(t->bucket);
    *t = bigger;
    return 0;
}

int
fid_add(struct fids *t, struct pool *pool, uint32_t num, uint32_t max, struct fid **ret)
{
    struct fid *f;

    if (num == NOFID || fid_find(t, num) != NULL)
        return -EBADF;
    if (t->count >= max)
        return -EMFILE;
    if (table_grow(t) < 0)
        return -ENOMEM;
    f = pool_get(pool);
    if (f == NULL)
        return -ENOMEM;
    *f = (struct fid){.num = num, .refs = 1, .state = FID_NEW};
    link_in(t, f);
    t->count++;
    *ret = f;
    return 0;
}

int
fid_xattr(struct fids *t, struct fid *f, uint32_t size)
{
    size_t bytes = sizeof(struct xattr) + size;

    if (bytes > XATTR_BYTES_MAX - t->xattr_bytes)
        return -ENOSPC;
    f->xattr = calloc(1, bytes);
    if (f->xattr == NULL)
        return -ENOMEM;
    f->xattr->size = size;
    t->xattr_bytes += (uint32_t)bytes;
    return 0;
}

static void
xattr_free(struct fids *t, struct fid *f)
{
    if (f->xattr == NULL)
        return;
    t->xattr_bytes -= (uint32_t)(sizeof(struct xattr) + f->xattr->size);
    free(f->xattr);
    f->xattr = NULL;
}

static void
fid_forsake(struct fids *t, struct pool *pool, struct fid *f)
{
    struct handle *node = f->node, *file = f->file;
    struct place *place = f->place;

    fid_go(f, FID_GONE);
    xattr_free(t, f);
    f->node = f->file = NULL;
    f->place = NULL;
    place_put(place);
    handle_put(file);
    handle_put(node);
    fid_put(pool, f);
}

void
fid_remove(struct fids *t, struct pool *pool, struct fid *f)
{
    struct fid **at = &t->bucket[bucket_of(t, f->num)];

    while (*at != f)
        at = &(*at)->chain;
    *at = f->chain;
    t->count--;
    fid_forsake(t, pool, f);
}

void
fid_clear(struct fids *t, struct pool *pool)
{
    struct fids old = *t;

    *t = (struct fids){.bucket = NULL};
    for (uint32_t i = 0; i < old.nbuckets; i++) {
        while (old.bucket[i] != NULL) {
            struct fid *f = old.bucket[i];

            old.bucket[i] = f->chain;
            fid_forsake(&old, pool, f);
        }
    }
    free(old.bucket);
}

struct fid *
fid_get(struct fid *f)
{
    f->refs++;
    return f;
}

void
fid_put(struct pool *pool, struct fid *f)
{
    if (f != NULL && --f->refs == 0)
        pool_put(pool, f);
}
