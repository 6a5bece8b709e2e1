/*
 * A 9P2000.L client: blocking calls for people and tests, and raw access for
 * tests and benchmarks that want to send what no decent client would.
 *
 * Runs in: the command line, tests, bench.   Trusts: nothing the server says;
 * a malformed reply is -EPROTO.
 */
#ifndef POSTERN_CONTROL_NINE_CLIENT_H
#define POSTERN_CONTROL_NINE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define NC_NOFID 0xffffffffu
#define NC_NOTAG 0xffffu

struct nc_qid {
    uint8_t type;
    uint32_t version;
    uint64_t path;
};

struct nc_attr {
    uint64_t valid;
    struct nc_qid qid;
    uint32_t mode, uid, gid;
    uint64_t nlink, rdev, size, blksize, blocks;
    uint64_t atime_sec, atime_nsec, mtime_sec, mtime_nsec, ctime_sec, ctime_nsec;
};

struct nc_setattr { /* valid: P9_SETATTR_* as on the wire */
    uint32_t valid, mode, uid, gid;
    uint64_t size, atime_sec, atime_nsec, mtime_sec, mtime_nsec;
};

struct nc_dirent { /* name borrowed from the reply buffer */
    struct nc_qid qid;
    uint64_t offset;
    uint8_t type;
    const char *name;
    uint16_t name_len;
};

struct nc_statfs {
    uint32_t type, bsize;
    uint64_t blocks, bfree, bavail, files, ffree, fsid;
    uint32_t namelen;
};

struct nc; /* one connection */

/* "unix:PATH", "tcp:HOST:PORT" or "vsock:CID:PORT". 0 and *ret, or -errno; -EINVAL:
 * none of these. nc_close() ends it. */
int nc_connect(const char *address, struct nc **ret);
/* The same over a connected stream socket, which becomes the connection's; on
 * failure (-ENOMEM) it stays the caller's. */
int nc_open_fd(int fd, struct nc **ret);
void nc_close(struct nc *c);
int nc_fd(const struct nc *c);
uint32_t nc_msize(const struct nc *c);

/*
 * Typed calls: send one request, wait for its reply. 0 (or a count), -errno
 * as the server's Rlerror said, -EPROTO for a malformed or unexpected reply,
 * -EPIPE when the connection is gone. Fids are the caller's numbers.
 */
int nc_version(struct nc *c, uint32_t msize, const char *version); /* -EPROTO on "unknown" */
int nc_attach(struct nc *c, uint32_t fid, const char *uname, const char *aname, uint32_t n_uname);
/* n components; *ret_n how many qids came. A partial walk returns 0 with *ret_n < n. */
int nc_walk(struct nc *c, uint32_t fid, uint32_t newfid, size_t n, const char *const *names,
            struct nc_qid *qids, size_t *ret_n);
int nc_clunk(struct nc *c, uint32_t fid);
int nc_remove(struct nc *c, uint32_t fid);
int nc_getattr(struct nc *c, uint32_t fid, uint64_t mask, struct nc_attr *ret);
int nc_setattr(struct nc *c, uint32_t fid, const struct nc_setattr *a);
int nc_lopen(struct nc *c, uint32_t fid, uint32_t flags, struct nc_qid *qid, uint32_t *iounit);
int nc_lcreate(struct nc *c, uint32_t fid, const char *name, uint32_t flags, uint32_t mode,
               uint32_t gid, struct nc_qid *qid, uint32_t *iounit);
ssize_t nc_read(struct nc *c, uint32_t fid, uint64_t offset, void *buf, uint32_t count);
ssize_t nc_write(struct nc *c, uint32_t fid, uint64_t offset, const void *buf, uint32_t count);
/* Calls each() for every entry of one Treaddir; returns how many, 0 at the end. */
int nc_readdir(struct nc *c, uint32_t fid, uint64_t offset, uint32_t count,
               int (*each)(const struct nc_dirent *e, void *ctx), void *ctx);
int nc_mkdir(struct nc *c, uint32_t dfid, const char *name, uint32_t mode, uint32_t gid,
             struct nc_qid *qid);
int nc_symlink(struct nc *c, uint32_t dfid, const char *name, const char *target, uint32_t gid,
               struct nc_qid *qid);
int nc_readlink(struct nc *c, uint32_t fid, char *buf, size_t room); /* length */
int nc_link(struct nc *c, uint32_t dfid, uint32_t fid, const char *name);
int nc_mknod(struct nc *c, uint32_t dfid, const char *name, uint32_t mode, uint32_t major,
             uint32_t minor, uint32_t gid, struct nc_qid *qid);
int nc_rename(struct nc *c, uint32_t fid, uint32_t dfid, const char *name);
int nc_renameat(struct nc *c, uint32_t olddir, const char *oldname, uint32_t newdir,
                const char *newname);
int nc_unlinkat(struct nc *c, uint32_t dfid, const char *name, uint32_t flags);
int nc_statfs(struct nc *c, uint32_t fid, struct nc_statfs *ret);
int nc_fsync(struct nc *c, uint32_t fid, uint32_t datasync);
int nc_flush(struct nc *c, uint16_t oldtag);
/* newfid holds the value of the attribute called name, or with "" the list of
 * names, each with its NUL: nc_read() and nc_clunk() it. */
int nc_xattrwalk(struct nc *c, uint32_t fid, uint32_t newfid, const char *name, uint64_t *ret_size);
/* fid takes size bytes of nc_write(); what becomes of it is what nc_clunk() says. */
int nc_xattrcreate(struct nc *c, uint32_t fid, const char *name, uint64_t size, uint32_t flags);
struct nc_lock { /* as on the wire: NINE_LOCK_* */
    uint8_t type;
    uint32_t flags; /* nc_lock() */
    uint64_t start, length;
    uint32_t proc_id;
    const char *client_id;
};
/* The status of the reply: NINE_LOCK_SUCCESS, ... */
int nc_lock(struct nc *c, uint32_t fid, const struct nc_lock *l);
/* *ret is what stands in the way of l, or NINE_LOCK_UN; without client_id. */
int nc_getlock(struct nc *c, uint32_t fid, const struct nc_lock *l, struct nc_lock *ret);

/*
 * Raw: a message is built with nc_begin(), nc_u8() ... nc_str(), and finished
 * with nc_end(), which fills in the size. It is appended to the output and
 * goes out with nc_push(). nc_pull() waits for one whole reply of any type.
 */
void nc_begin(struct nc *c, uint8_t type, uint16_t tag);
void nc_u8(struct nc *c, uint8_t v);
void nc_u16(struct nc *c, uint16_t v);
void nc_u32(struct nc *c, uint32_t v);
void nc_u64(struct nc *c, uint64_t v);
void nc_str(struct nc *c, const char *s, size_t n); /* length as u16, then bytes */
void nc_bytes(struct nc *c, const void *p, size_t n);
void nc_end(struct nc *c);
int nc_push(struct nc *c);
struct nc_reply {
    uint32_t size;
    uint8_t type;
    uint16_t tag;
    const uint8_t *body; /* size - 7 bytes, until the next nc_pull() */
};
int nc_pull(struct nc *c, struct nc_reply *ret); /* 0 or -errno */
/* True when nc_pull() would answer from what was already received. */
bool nc_has_reply(const struct nc *c);
/* nc_push() then nc_pull(); an Rlerror becomes -errno, another type -EPROTO. */
int nc_ask(struct nc *c, uint8_t want_type, struct nc_reply *ret);

#endif
