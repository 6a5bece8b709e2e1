/*
 * One request of a guest from its first byte to its reply.
 */
#ifndef POSTERN_WORKER_REQUEST_H
#define POSTERN_WORKER_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/conn.h"
#include "worker/cursor.h"
#include "worker/fid.h"
#include "worker/fs.h"
#include "worker/lock.h"
#include "worker/share.h"

struct walk; /* nine_walk.c */

/* A message that waits for its turn under a rate. */
struct held {
    uint32_t n;
    uint8_t p[NINE_MSG_MAX];
};

/* A Tlock that finds its range taken and may wait; nine_lock.c. */
enum lock_wait {
    LOCK_WAIT_NOT,   /* not in share.lockers */
    LOCK_WAIT_IDLE,  /* nothing to do for it */
    LOCK_WAIT_DUE,   /* to be tried again */
    LOCK_WAIT_TRIES, /* its call is under way */
};

/* Twstat: what is to be set; Tread of a directory: how far it has come. */
struct legacy {
    int (*then)(struct request *); /* the step after the name was looked at */
    uint32_t set;                  /* wstat: enum wstat_bit */
    uint32_t mode, atime, mtime;   /* wstat */
    uint32_t uid, gid;             /* wstat */
    uint64_t length;               /* wstat */
    uint8_t *room;                 /* read: slab space, given back when the request ends */
    uint32_t room_len;             /* read: of it all; count bytes at its start are for entries */
    uint32_t records, at;          /* read: bytes of records behind them; bytes of them done */
    uint64_t cookie;               /* read: of what comes next */
};

struct request {
    struct fs_call call; /* first: a struct fs_call * of ours is a request */
    struct conn *conn;   /* borrowed; lives while it has requests in flight */
    uint16_t tag;
    uint8_t type;      /* the T-message's number */
    uint32_t out_room; /* bytes kept free for the reply in the connection's output */
    struct request *tag_next;
    struct request *flushes;     /* utlist (prev, next): Tflush that wait for this */
    struct request *prev, *next; /* in flushes of another, share.waiting, .lockers, pace.waiting */
    int (*step)(struct request *);          /* while it waits for room: what to do then */
    struct share *share;                    /* borrowed */
    struct fid *fid;                        /* held: a reference */
    struct fid *newfid;                     /* held: being made by this request */
    struct handle *node, *other, *file;     /* held: what the call works on */
    struct handle *fresh_node, *fresh_file; /* held: will take what the call gives */
    struct walk *walk;                      /* owned */
    struct place *place, *fresh_place;      /* held: the fid's; what it will be, or a new name */
    struct legacy legacy;                   /* what the older dialects keep between their calls */
    bool changes_fid;                       /* fid is CHANGING because of this request */
    bool aggregate;                         /* the fid's */
    bool reads, writes, removes;            /* open, create: as asked */
    bool opens;                             /* create: what is made is to be open */
    uint64_t mask;                          /* getattr */
    uint64_t offset;                        /* write */
    uint64_t closing;                       /* clunk: the file */
    uint32_t count;                         /* read, readdir: bytes asked for; write: of a part */
    uint32_t got;                           /* write: bytes of the part that have arrived */
    uint32_t data;                          /* write: bytes of the message that follow */
    uint32_t written;                       /* write: bytes of the parts before */
    struct held *held;                      /* owned; while it waits for its turn */
    uint64_t paid;                          /* under a rate, and what may come back */
    uint8_t pays;                           /* enum pays; which rate that was */
    bool paces;                             /* in tenant.pace[pays].waiting */
    struct lock_owner *owner;               /* held: a reference */
    struct lock_range *spare;               /* owned; to note what is granted */
    struct {
        uint64_t start, last;
        enum lock_type type;
        enum lock_wait wait;
        uint32_t flags;
        unsigned tries; /* to open the owner's file */
    } lock;
};

static inline struct request *
request_of(struct fs_call *call)
{
    return (struct request *)call;
}

/* A request slot, entered under its tag, with room for its reply; NULL: none
 * is free now. */
struct request *request_new(struct conn *c, uint16_t tag, uint8_t type, uint32_t out_room);
/* End it without a reply: its connection is gone. */
void request_drop(struct request *r);
/* It found no room: as if it had never come. */
void request_undo(struct request *r);
/* The same, but it keeps its slot, its share and what it paid for. */
void request_again(struct request *r);
/* The request of that tag, or NULL. */
struct request *request_by_tag(const struct conn *c, uint16_t tag);
/* Let f wait for r's end. */
void request_flush(struct request *r, struct request *f);

/*
 * Take the fid a request is about: r->fid, r->node, r->file if open, r->share,
 * r->call.narrowed and who asks. 0; -EBADF: no such fid; -ESTALE: its share is
 * gone.
 */
int request_fid(struct request *r, uint32_t num);
/* The same for who lets go of the fid, whatever has become of its share. */
int request_fid_to_end(struct request *r, uint32_t num);
/* A new fid belongs to the attach of the one that r was about. */
void request_begets(const struct request *r, struct fid *f);
/* The same for an operation that writes: -EROFS comes before all that is
 * wrong with its other arguments. */
int request_fid_to_write(struct request *r, uint32_t num, unsigned op);
/* The second fid of an operation on two: its node in r->other. 0; -EBADF;
 * -ESTALE; -EROFS when either share refuses to be written; -EXDEV: two shares. */
int request_other(struct request *r, uint32_t num, unsigned op);
/* What is made is to be of that group; ID_NONE: the message does not say. After
 * the fid was taken. */
void request_gid(struct request *r, uint32_t gid);
/* Take a fid that holds an extended attribute instead: to request_fid() it is
 * none. False: there is no such fid, or it names a file. */
bool request_xattr(struct request *r, uint32_t num);
/* The fid goes to CHANGING until the request ends. -EINVAL: it is open, or
 * another request changes it. */
int request_changes_fid(struct request *r);

/*
 * Slab space for the call, with r->call.payload_len set to n; given back when
 * the request ends, which is to depend on nobody but the helper. 0; -EAGAIN:
 * none now.
 */
int request_payload(struct request *r, uint32_t n);
/*
 * The same for data that a guest is yet to send, or to take, as slowly as it
 * likes. Less than n, at least least, when others hold much: so whoever holds
 * nothing gets something, also among hundreds who never give theirs back.
 * -EAGAIN: it holds something already.
 */
int request_part(struct request *r, uint32_t n, uint32_t least);
/* Its next r->data bytes, as far as its slab space reaches, come from its
 * connection, which reads nothing else meanwhile: nine_write_arrived(). */
void request_expects(struct request *r);
/* It wants no more of them: what is still to come of r->data is passed over. */
void request_expects_no_more(struct request *r);

/* Try a step that submits a call. Without room now it is tried again later;
 * an error is the request's answer. */
void request_step(struct request *r, int (*step)(struct request *));

/* The reply. Each of the last three ends the request. */
void reply_begin(struct request *r, struct pen *w, uint8_t type);
void reply_end(struct request *r, struct pen *w);
/* The same with n bytes of the call's payload behind it; the payload goes
 * with it. */
void reply_end_payload(struct request *r, struct pen *w, uint32_t n);
/* Rlerror; err is -errno. */
void reply_error(struct request *r, int err);
/* The R-message that is a header only. */
void reply_empty(struct request *r);

/* The fid of a Tclunk was the last to hold this file: CLOSE it, then answer.
 * nine_file.c. */
void nine_close_now(struct request *r, struct handle *file);

#endif
