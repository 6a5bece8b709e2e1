/*
 * Names of fids.
 *
 * Runs in: worker.   Trusts: nobody: names were checked before they come here.
 * Owns: a reference to the directory of each place.
 *
 * A place is what the guest said when it walked, and is kept up to date only
 * when the file is renamed through a fid that shares it. Whoever acts on a
 * name lets the helper check that it still leads to the file.
 */
#include "worker/place.h"

#include <string.h>

struct place *
place_new(struct pool *pool, struct handle *dir, struct str name)
{
    struct place *p = pool_get(pool);

    if (p == NULL)
        return NULL;
    p->pool = pool;
    p->refs = 1;
    p->directory = false;
    p->dir = dir == NULL ? NULL : handle_get(dir);
    p->len = (uint8_t)name.n;
    memcpy(p->name, name.p, name.n);
    return p;
}

struct place *
place_get(struct place *p)
{
    if (p != NULL)
        p->refs++;
    return p;
}

void
place_put(struct place *p)
{
    if (p == NULL || --p->refs > 0)
        return;
    handle_put(p->dir);
    pool_put(p->pool, p);
}

struct str
place_name(const struct place *p)
{
    static const uint8_t root[] = {'/'};

    if (p == NULL)
        return (struct str){root, sizeof(root)};
    return (struct str){p->name, p->len};
}

void
place_moved(struct place *p, const struct place *to)
{
    struct handle *old = p->dir;

    p->dir = to->dir == NULL ? NULL : handle_get(to->dir);
    p->len = to->len;
    memcpy(p->name, to->name, to->len);
    handle_put(old);
}
