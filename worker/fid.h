/*
 * The fids of one connection: the guest's numbers for files.
 */
#ifndef POSTERN_WORKER_FID_H
#define POSTERN_WORKER_FID_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/limits.h"
#include "worker/place.h"
#include "worker/pool.h"
#include "worker/share.h"

#define FID_STATES(X)                                                                              \
    X(NEW)      /* the number is taken; the walk or attach that fills it is under way */           \
    X(WALKED)   /* names a file, not open */                                                       \
    X(CHANGING) /* an open, a create or a walk onto itself is under way */                         \
    X(OPEN)     /* open; stays so until it goes */                                                 \
    X(VALUE)    /* holds the value of an extended attribute, to be read */                         \
    X(FILLING)  /* is given the value of an extended attribute; Tclunk sets it */                  \
    X(GONE)     /* no longer in the table; requests may still hold it */

enum fid_state {
#define X(s) FID_##s,
    FID_STATES(X)
#undef X
        FID_STATES_END
};

/* The value of an extended attribute between the guest and the file. */
struct xattr {
    uint32_t size;              /* of the value */
    uint32_t filled;            /* [0, filled) has come; what has not is zero */
    uint32_t flags;             /* enum xattr_flag; FILLING */
    uint32_t nkey;              /* FILLING */
    uint8_t key[XATTR_KEY_MAX]; /* FILLING */
    uint8_t value[];
};
#define XATTR_BYTES_MAX (1024u * 1024u) /* all that a connection's fids hold of them */

struct fid {
    uint32_t num;
    uint32_t refs; /* one for the table, one for each request */
    enum fid_state state;
    uint32_t uid;        /* of the Tattach that it comes from: who asks through it */
    bool narrowed;       /* attached ";ro" */
    bool aggregate;      /* attached to the root of all shares, wherever it is now */
    bool reads, writes;  /* as opened */
    bool directory;      /* as opened */
    bool removes;        /* its file, when it is clunked */
    bool locks;          /* a Tlock came through it */
    struct handle *node; /* owned; NULL while NEW */
    struct handle *file; /* owned; while OPEN */
    struct place *place; /* owned; only in the older dialects; NULL: the root */
    uint64_t dir_offset; /* where the next read of a directory goes on, older dialects */
    uint64_t dir_cookie; /* and what that is for the helper */
    uint32_t dir_count;  /* bytes that the first of these reads asked for */
    struct xattr *xattr; /* owned; while VALUE or FILLING */
    struct fid *chain;
};

/* One connection's table. Zeroed is empty. */
struct fids {
    struct fid **bucket; /* owned */
    uint32_t nbuckets;   /* a power of two */
    uint32_t count;
    uint32_t xattr_bytes; /* memory of their extended attributes */
};

/* NULL when there is none of that number. The table's reference. */
struct fid *fid_find(const struct fids *t, uint32_t num);
/*
 * Take a number. 0 and *ret (state NEW, the table's reference); -EBADF: it is
 * in use or is NOFID; -EMFILE: max are there; -ENOMEM.
 */
int fid_add(struct fids *t, struct pool *pool, uint32_t num, uint32_t max, struct fid **ret);
/* Memory for a value of size bytes, zeroed, f->xattr from now on. 0; -ENOSPC:
 * the connection has its share of it; -ENOMEM. */
int fid_xattr(struct fids *t, struct fid *f, uint32_t size);
/* Out of the table, GONE: the number is free, what it held is put. */
void fid_remove(struct fids *t, struct pool *pool, struct fid *f);
/* All of them; the table is then empty and owns nothing. */
void fid_clear(struct fids *t, struct pool *pool);

struct fid *fid_get(struct fid *f);
void fid_put(struct pool *pool, struct fid *f);

/* The only assignment to f->state. */
void fid_go(struct fid *f, enum fid_state to);

#endif
