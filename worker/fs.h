/*
 * File operations as the front-ends see them: typed, asynchronous, neutral.
 * A front-end never sees a frame. Implementations: the channel (worker/fs.c)
 * and an in-memory file system for tests (tests/lib/synth.c).
 *
 * Every call is answered exactly once through call->done, never from within
 * fs_*() itself, also when the helper is gone (-EIO).
 */
#ifndef POSTERN_WORKER_FS_H
#define POSTERN_WORKER_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/msg.h"
#include "ipc/ops.h"
#include "ipc/share.h"

struct fs;
struct fs_call;

/* status is 0 or -errno; rep is the operation's Rep on 0, else NULL, and
 * dies when done returns. The call's memory is the caller's again. */
typedef void fs_done(struct fs_call *call, int status, const ProtobufCMessage *rep);

/* One call; lives in the front-end's request, not copied. */
struct fs_call {
    fs_done *done;
    uint8_t *payload;     /* slab space from fs_payload_get(), or NULL */
    uint32_t payload_len; /* bytes of it that the call may use */
    bool narrowed;        /* attached as ";ro": refuse writing operations here */
    bool unawaited;       /* nobody waits for it: it may reach the helper with the next call */
    uint32_t uid, gid;    /* who in the guest asks for it */
    uint32_t tag;         /* the implementation's */
};

struct fs_impl {
    /* 0: accepted, done will be called. -EROFS: a writing operation on a
     * read-only share. -EAGAIN: no room now, try when a reply has come.
     * -EIO: the helper is gone. */
    int (*submit)(struct fs *fs, unsigned op, const ProtobufCMessage *req, struct fs_call *call);
    uint8_t *(*payload_get)(struct fs *fs, uint32_t n);
    void (*payload_put)(struct fs *fs, uint8_t *p, uint32_t n);
    /* See fs_blame(), fs_revoke(), fs_end(). */
    void (*blame)(struct fs *fs, const char *what);
    void (*revoke)(struct fs *fs);
    void (*end)(struct fs *fs);
};

struct fs {
    const struct fs_impl *impl;
    const char *name; /* the share's; borrowed */
    bool read_only;
    uint32_t ids; /* the guest's ids are [0, ids); 0: all numbers */
};

/* 0, or -EROFS: the operation writes and the share is read-only, or the
 * caller's attach was narrowed to reading. The only place that says so in
 * the worker; fs_submit() asks it for every call. */
int fs_access(const struct fs *fs, unsigned op, bool narrowed);

/* The only way to a helper: refuses what op_info() says writes on a read-only
 * or narrowed share, and (-EPERM) whoever is none of the share's ids; then
 * submits. Used by the stubs below alone. */
int fs_submit(struct fs *fs, unsigned op, const ProtobufCMessage *req, struct fs_call *call);

/* Slab space for n bytes, page aligned; NULL when there is none now. Given
 * back with the same n. */
uint8_t *fs_payload_get(struct fs *fs, uint32_t n);
void fs_payload_put(struct fs *fs, uint8_t *p, uint32_t n);

/* What came back cannot be true: this share's helper is broken. From now on
 * every call is answered -EIO; other shares go on. what: for the log. */
void fs_blame(struct fs *fs, const char *what);

/* The share is taken away: every call is answered -ESTALE, those in flight now.
 * Slab space stays until it is given back. */
void fs_revoke(struct fs *fs);
/* Nobody will say anything to it any more, no call is in flight and no slab
 * space is out: its memory goes. */
void fs_end(struct fs *fs);

/* NULL when rep can be an answer to that request, else what is wrong with it.
 * bound: how much was asked for, fs_bound() of the request. */
const char *fs_reply_lies(unsigned op, uint32_t bound, const ProtobufCMessage *rep);
/* READ, WRITE, READDIR, GETXATTR, LISTXATTR: bytes; WALK: names; else 0. */
uint32_t fs_bound(unsigned op, const ProtobufCMessage *req);

/* fs_mkdir(fs, &req, call) and its sisters: what fs_submit() returns. */
#define OP(id, upper, lower, camel, access, block, payload)                                        \
    static inline int fs_##lower(struct fs *fs, const Postern__V1__##camel##Req *req,              \
                                 struct fs_call *call)                                             \
    {                                                                                              \
        return fs_submit(fs, OP_##upper, &req->base, call);                                        \
    }
#include "ipc/ops.def"
#undef OP

#endif
