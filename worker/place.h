/*
 * By which name a fid came to its file: what the older dialects ask of a fid
 * (its stat holds the name; Tremove and Twstat work on it) and 9P2000.L does
 * not. Fids that are clones of each other share one place.
 */
#ifndef POSTERN_WORKER_PLACE_H
#define POSTERN_WORKER_PLACE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/limits.h"
#include "worker/cursor.h"
#include "worker/pool.h"
#include "worker/share.h"

struct place {
    struct pool *pool; /* borrowed; where it came from */
    uint32_t refs;
    bool directory;     /* what is there is one, so it has no other name */
    uint8_t len;        /* of name */
    struct handle *dir; /* owned; NULL: not known */
    uint8_t name[NAME_LEN_MAX];
};

/* A checked name in dir (NULL: not known), of which it takes a reference of
 * its own. One reference, or NULL: no memory. */
struct place *place_new(struct pool *pool, struct handle *dir, struct str name);
/* NULL is fine, for both. */
struct place *place_get(struct place *p);
void place_put(struct place *p);

/* "/" for NULL: the root is the one place without a name. */
struct str place_name(const struct place *p);
/* What is there is now called as `to` says, for everyone who shares p. */
void place_moved(struct place *p, const struct place *to);

#endif
