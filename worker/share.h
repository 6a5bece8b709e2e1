/*
 * A share as the front-ends hold it: its file operations, references to what
 * its helper gave out (handles), and giving those back.
 */
#ifndef POSTERN_WORKER_SHARE_H
#define POSTERN_WORKER_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/fs.h"
#include "worker/pool.h"

#define SHARE_ID_LEN 32 /* hex digits */

struct conn;
struct request;
struct share;

enum handle_kind { HANDLE_NODE, HANDLE_FILE };

/* One reference to a node, or one open file, of a helper; counted here. */
struct handle {
    struct share *share; /* borrowed */
    uint64_t id;         /* the helper's; 0: nothing to give back */
    uint32_t refs;
    enum handle_kind kind;
    bool pinned;            /* the root, by attach: the helper does not count it */
    bool directory;         /* a node that is one */
    bool wakes;             /* locks end with it: those who wait may go on */
    bool only_read;         /* a file that nothing but reading comes of: nobody sees it close */
    struct request *closer; /* borrowed; who gives it back when the last goes */
    struct handle *next;    /* in share.releases */
};

/* A call of the share's own, without a guest's request behind it. */
struct chore {
    struct fs_call call;
    struct share *share; /* borrowed */
    struct chore *next;  /* in share.idle */
};
#define CHORES 64

#define SHARE_STATES(X)                                                                            \
    X(SERVED)  /* can be attached */                                                               \
    X(LEAVING) /* not to be found any more; who has it goes on */                                  \
    X(GONE)    /* answers ESTALE; stays until nothing refers to it */

enum share_state {
#define X(s) SHARE_##s,
    SHARE_STATES(X)
#undef X
        SHARE_STATES_END
};

struct share {
    struct fs *fs; /* owned */
    enum share_state state;
    uint32_t number;                /* the broker's; another share may have it once this is GONE */
    uint64_t serial;                /* no other share of this worker ever has it */
    uint64_t ino_key;               /* of its inode numbers below the aggregate root */
    uint64_t root_ino;              /* of its root, without the key; 0: not asked yet */
    char id[SHARE_ID_LEN + 1];      /* the other name to attach by; "": none */
    uint32_t refs;                  /* handles, and output that is in its slab */
    struct share *prev, *next;      /* tenant.shares */
    struct pool *handles;           /* borrowed; the tenant's */
    struct handle *releases, *last; /* owned; FIFO of what is to be given back */
    struct chore *idle;             /* chores not in flight */
    struct chore chores[CHORES];
    struct request *waiting; /* utlist; their next step found no room */
    struct conn *stalled;    /* utlist; their next message found no room */
    struct request *lockers; /* utlist; wait for a lock, oldest first */
    bool lock_due;           /* some of them are to be tried again */
    uint32_t payload_bytes;  /* slab space that requests and output hold, whole pages */
    bool progress;           /* room may have come; tenant_round() looks */
};

/*
 * Takes fs over; id may be NULL.
 *
 * Inode numbers below the aggregate root are the share's own with ino_key
 * folded in: the first eight digits of its id, or a hash of its name, in their
 * upper half. So they are told apart from those of other shares, which may be
 * on the same file system, and are the same after a restart. Whoever attaches
 * to the share itself sees its own numbers.
 */
void share_init(struct share *sh, struct fs *fs, const char *id, struct pool *handles);
/* The only assignment to sh->state. */
void share_go(struct share *sh, enum share_state to);
/* 0, or -ESTALE: it is gone. For what is answered without asking its helper. */
int share_status(const struct share *sh);

/* A handle with one reference and no id yet, or NULL: no memory. Made before
 * the call that fills it, so that what the helper gives can always be kept. */
struct handle *handle_new(struct share *sh, enum handle_kind kind);
struct handle *handle_get(struct handle *h);
/* The node it holds from now on; mode: S_IFMT of it. */
void handle_fill(struct handle *h, uint64_t id, uint32_t mode);
/* NULL is fine. When the last reference goes, the file or node is given back
 * to the helper: by h->closer through nine_close_now(), else as a chore. */
void handle_put(struct handle *h);
/* Whether handle_put() would give it back now, in order with the calls after
 * it, and nothing that anybody can see waits for the answer: a file open to read
 * that nothing else uses. */
bool handle_closes_unseen(const struct handle *h);
/* Free a handle that no longer has anything to give back. */
void handle_free(struct handle *h);

/* Submit what waits in sh->releases, as far as there is room. */
void share_release(struct share *sh);
/* Nothing of any guest refers to it, nothing is to be given back, nothing of
 * the share's own is in flight. */
bool share_is_idle(const struct share *sh);

#endif
