/*
 * Who holds which byte ranges: the lock owners of one connection.
 *
 * An owner is a process of a guest on one file: (connection, node, client_id,
 * proc_id). It has an open file of its own at the helper, whose locks the
 * kernel keeps; two owners exclude one another and one owner never itself,
 * through however many fids it comes. What it holds is also noted here, since
 * the kernel cannot tell whose a lock is. An owner lives as long as it holds
 * something or a request works on it; a few rest longer, their files open, since
 * who unlocks often locks again: until the fid goes that they came through. It
 * is open to write, so that their files change nothing for the host.
 */
#ifndef POSTERN_WORKER_LOCK_H
#define POSTERN_WORKER_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/ops.h"
#include "worker/cursor.h"
#include "worker/pool.h"
#include "worker/share.h"

#define LOCK_CLIENT_MAX 255u   /* bytes of a client_id; Linux sends its host name */
#define LOCK_OWNERS_MAX 1024u  /* of a connection, each an open file */
#define LOCK_RANGES_MAX 16384u /* of a connection */
#define LOCK_RESTING_MAX 64u   /* owners of a connection that hold nothing */

struct conn;
struct fid;

/* The bytes [start, last]. */
struct lock_range {
    uint64_t start, last;
    enum lock_type type; /* not LOCK_UNLOCK */
    struct lock_range *next;
};

struct lock_owner {
    struct conn *conn;         /* borrowed */
    struct handle *node;       /* owned */
    struct handle *file;       /* owned; NULL: not open yet */
    const struct fid *fid;     /* through which it locked last; only ever compared */
    struct lock_range *ranges; /* owned; sorted, apart, neighbours of one type merged */
    uint32_t refs;             /* requests */
    bool gone;                 /* its fid or its connection is */
    bool writes;               /* that fid is open to write */
    uint32_t proc_id;
    uint32_t nclient;
    uint8_t client[LOCK_CLIENT_MAX];
    struct lock_owner *prev, *next; /* conn.locks.owners */
};

/* One connection's. Zeroed is empty. */
struct conn_locks {
    struct lock_owner *owners; /* utlist */
    uint32_t nowners, nranges, nresting;
    uint32_t waiting; /* requests */
};

/* The owner of that node, or NULL. */
struct lock_owner *lock_owner_find(const struct conn *c, const struct handle *node, struct str id,
                                   uint32_t proc_id);
/* A new one, with a reference. 0 and *ret; -ENOLCK: too many; -ENOMEM. */
int lock_owner_new(struct conn *c, struct handle *node, struct str id, uint32_t proc_id,
                   struct lock_owner **ret);
struct lock_owner *lock_owner_get(struct lock_owner *o);
/* Whether there may be something that an unlock takes away. */
bool lock_owner_holds(const struct lock_owner *o);
/* NULL is fine. Without another reference and holding nothing it rests, or is gone. */
void lock_owner_put(struct lock_owner *o);
/* It loses all that it holds: its file is given up. */
void lock_owner_forsake(struct lock_owner *o);

/* Whether noting this takes more ranges than the connection may have. */
bool lock_fits(const struct lock_owner *o, enum lock_type type, uint64_t start, uint64_t last);
/* Up to two ranges for lock_note(), put before *spare. 0 or -ENOMEM. */
int lock_spare(struct pool *ranges, struct lock_range **spare);
void lock_spare_free(struct pool *ranges, struct lock_range *spare);
/* The kernel granted this. Takes from *spare what it needs. True when somebody
 * else may get now what he could not before. */
bool lock_note(struct lock_owner *o, enum lock_type type, uint64_t start, uint64_t last,
               struct lock_range **spare);
/* Who of the tenant holds a lock of that type at that byte; NULL: no guest. */
const struct lock_owner *lock_holder(const struct lock_owner *asker, enum lock_type type,
                                     uint64_t at);

#endif
