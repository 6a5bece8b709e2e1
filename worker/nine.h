/*
 * The 9P front-end: what is common to its messages. Three dialects share the
 * fids and most handlers: 9P2000.L, 9P2000.u and 9P2000; nine.def says which
 * message belongs to which.
 *
 * A handler decodes its message with the cursor, checks it, takes what it
 * needs into the request and submits one call. It returns 0 when the request
 * is answered or will be by the call's done function, -EAGAIN when there was
 * no room (the message is offered again, so nothing may have changed but what
 * the request holds), or another -errno, which becomes its Rlerror or Rerror.
 */
#ifndef POSTERN_WORKER_NINE_H
#define POSTERN_WORKER_NINE_H

#include <stddef.h>
#include <stdint.h>

#include "worker/cursor.h"
#include "worker/pace.h"
#include "worker/request.h"

#define NINE_RLERROR 7
#define NINE_RERROR 107
#define NINE_TVERSION 100
#define NINE_RVERSION 101
#define NINE_NOTAG 0xffffu
#define NINE_NOFID 0xffffffffu
#define NINE_IO_HEAD 24u /* what a client sets aside of msize beside file data */

/* The column "dialects" of nine.def. */
#define IN_L ((unsigned)NINE_L)
#define IN_OLD ((unsigned)(NINE_U | NINE_2000))
#define IN_ALL (IN_L | IN_OLD)

enum nine_type {
#define NINE(type, upper, lower, dialects, min, room, pays, too_long) NINE_T##upper = (type),
#include "worker/nine.def"
#undef NINE
};

#define NINE(type, upper, lower, dialects, min, room, pays, too_long)                              \
    int nine_t##lower(struct request *r, struct cursor *c);
#include "worker/nine.def"
#undef NINE

struct nine_row {
    const char *name; /* "lopen" */
    int (*handle)(struct request *r, struct cursor *c);
    unsigned dialects;
    uint32_t min, room;
    enum pays pays;
    int too_long; /* -errno */
};
/* The row of a T-message, NULL: not served in that dialect. */
const struct nine_row *nine_row(uint8_t type, unsigned dialect);

/* nine_error.c. An error, given as -errno, as the dialect has it: the type of
 * the message and its body. */
uint8_t nine_error_type(unsigned dialect);
void pen_error(struct pen *w, unsigned dialect, int err);
const char *nine_error_text(int err);

/* The inode number of a file of r->share as the guest has it: see share_init(). */
uint64_t nine_ino(const struct request *r, uint64_t ino);
/* The fid is at the root of a share that is an entry of the aggregate root: its
 * name is not the share's. */
static inline bool
nine_is_entry(const struct request *r)
{
    return r->aggregate && r->node->id == NODE_ROOT;
}

/* 13 bytes; the second: of a file of r->share. */
void pen_qid(struct pen *w, uint64_t ino, uint32_t mode, uint32_t version);
void pen_attr_qid(struct pen *w, const struct request *r, const struct attr *a);

/* The message is at its end and about that fid: -EPROTO, or request_fid(). The
 * second for what writes: request_fid_to_write(). */
int nine_fid(struct request *r, const struct cursor *c, uint32_t num);
int nine_fid_to_write(struct request *r, const struct cursor *c, uint32_t num, unsigned op);
/* 0; -ENAMETOOLONG; -EINVAL: not one component. */
int nine_name(struct str name);
/* Whether it can be a symlink's target: 0; -ENOENT; -ENAMETOOLONG; -EINVAL. */
int nine_target(struct str s);

/* For calls whose reply is the header alone. */
void nine_done_empty(struct fs_call *call, int status, const ProtobufCMessage *m);

/* nine_dir.c. One record of READDIR: a struct linux_dirent64 of getdents64(2). */
struct dir_entry {
    uint64_t ino;
    uint64_t cookie; /* of what comes after it */
    uint8_t type;    /* DT_* */
    size_t len;
    char name[NAME_BUF]; /* ended by a NUL */
};
/*
 * Copy the record at from[0..n) and look at the copy, because the memory is
 * shared with the helper. Its size, or 0: it is not one.
 */
size_t dir_entry_take(struct dir_entry *e, const uint8_t *from, uint32_t n);

/* nine_file.c. How a file is to be opened, whatever dialect asked. */
struct open_how {
    bool valid;
    bool reads, writes;
    bool may_change; /* anything that a read-only share refuses, even if it would do nothing */
    bool removes;    /* when it is clunked */
    unsigned flags;  /* enum open_flag */
};
/* What Topen and Tcreate do once they are decoded; gid as for request_gid(). */
int nine_open(struct request *r, uint32_t num, const struct open_how *how);
int nine_create(struct request *r, uint32_t num, struct str name, const struct open_how *how,
                uint32_t mode, uint32_t gid);
/* Before a create in r->node: by which name the fid will be known. */
void nine_will_be(struct request *r, struct str name);
/* The fid of the directory becomes that of what was made there, r->fresh_node. */
void nine_becomes(struct request *r);
/* The fid is open with r->fresh_file, unless it went away meanwhile; answers. */
void nine_opened(struct request *r, uint64_t file, const struct attr *a);
/* FSYNC, of a fid that is open; nothing to do where nothing can be written. */
int nine_fsync(struct request *r, bool datasync);

/* nine_legacy.c. Do a step that works on the file's name (REMOVE, PARENT): if
 * the fid came by a name that is not its only one, the helper hears it first. */
int nine_by_name(struct request *r, int (*step)(struct request *));
/* The file goes by that step, then the fid's open file is closed and the
 * Tclunk answered. */
void nine_clunk_remove(struct request *r);
/* nine_file.c. Close what r->file is, if anything, and answer the Tclunk. */
void nine_clunk_close(struct request *r);
/* nine_read_dir.c. Tread of a directory, for IN_OLD. */
int nine_read_dir(struct request *r, uint64_t offset);

/* nine_walk.c */
size_t walk_size(void);
void walk_free(struct tenant *t, struct walk *w);

/* nine_xattr.c: what Tread, Twrite and Tclunk do with a fid that holds an
 * extended attribute, as handlers do; all data of such a Twrite is there. */
int nine_xattr_read(struct request *r, uint64_t offset, uint32_t count);
int nine_xattr_write(struct request *r);
void nine_xattr_arrived(struct request *r);
int nine_xattr_clunk(struct request *r);

/* nine_lock.c. A request ends: it waits no longer. */
void nine_lock_leave(struct request *r);
/* A request that waits for a lock and has no call under way ends unanswered.
 * False: it is not one. */
bool nine_lock_cancel(struct request *r);
/* Something was unlocked on that node, or (0) on any. */
void nine_lock_wake(struct share *sh, uint64_t node);
/* Try those again that were woken. */
void nine_lock_retry(struct share *sh);
/* All that a connection holds and waits for goes. */
void nine_lock_end(struct conn *c);
/* The fid goes, and with it what was locked through it last. */
void nine_lock_fid_goes(struct conn *c, const struct fid *f);

#endif
