/*
 * The operation table as C: numbers, names and descriptors of everything a
 * worker may ask of a helper. The rows are in ipc/ops.def.
 */
#ifndef POSTERN_IPC_OPS_H
#define POSTERN_IPC_OPS_H

#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

enum op_access { OP_WRITES = 0, OP_READS = 1 };
enum op_block { RUNS_INLINE = 0, MAY_BLOCK = 1 };
enum op_payload { PAY_NONE = 0, PAY_IN = 1, PAY_OUT = 2 };

enum op_id {
#define OP(id, upper, lower, camel, access, block, payload) OP_##upper = (id),
#include "ipc/ops.def"
#undef OP
    OP_END
};

struct op_info {
    const char *name; /* "mkdir" */
    enum op_access access;
    enum op_block block;
    enum op_payload payload;
    const ProtobufCMessageDescriptor *req;
    const ProtobufCMessageDescriptor *rep;
};

/* The row of an operation, NULL when there is none of that number. */
const struct op_info *op_info(unsigned id);

/* The node id of every share's root: index 0, generation 1. */
#define NODE_ROOT ((uint64_t)1 << 32)

/* flags of OPEN_READ, OPEN_WRITE and CREATE: never the host's O_ bits. */
enum open_flag {
    OPEN_DIRECTORY = 1 << 0, /* ENOTDIR unless it is one */
    OPEN_TRUNC = 1 << 1,     /* OPEN_WRITE, CREATE */
    OPEN_APPEND = 1 << 2,    /* OPEN_WRITE, CREATE */
    OPEN_READS = 1 << 3,     /* OPEN_WRITE, CREATE: for reading too */
    OPEN_SYNC = 1 << 4,      /* OPEN_WRITE, CREATE: O_SYNC */
    OPEN_DSYNC = 1 << 5,     /* OPEN_WRITE, CREATE: O_DSYNC */
    OPEN_EXCL = 1 << 6,      /* CREATE: EEXIST when the name is taken */
    OPEN_NOWRITE = 1 << 7,   /* CREATE: the open file is for reading alone */
    OPEN_NOATIME = 1 << 8,   /* reading leaves the access time; EPERM unless it is the owner's */
};
#define OPEN_READ_FLAGS ((unsigned)(OPEN_DIRECTORY | OPEN_NOATIME))
#define OPEN_WRITE_FLAGS                                                                           \
    ((unsigned)(OPEN_TRUNC | OPEN_APPEND | OPEN_READS | OPEN_SYNC | OPEN_DSYNC | OPEN_NOATIME))
#define CREATE_FLAGS (OPEN_WRITE_FLAGS | (unsigned)(OPEN_EXCL | OPEN_NOWRITE))

/* flags of SETXATTR. */
enum xattr_flag {
    XATTR_FLAG_CREATE = 1 << 0,  /* EEXIST when there is one */
    XATTR_FLAG_REPLACE = 1 << 1, /* ENODATA when there is none */
};
#define XATTR_FLAGS ((unsigned)(XATTR_FLAG_CREATE | XATTR_FLAG_REPLACE))

/* type of LOCK and GETLOCK: never the host's F_ values. (The C library has a
 * LOCK_READ of its own.) */
enum lock_type { LOCK_FOR_READ = 0, LOCK_FOR_WRITE = 1, LOCK_UNLOCK = 2 };

/* One component of a WalkRep, host byte order (both ends are this machine). */
struct walk_step {
    uint64_t ino;
    uint32_t mode; /* S_IFMT and permission bits */
    uint32_t version;
};

/* What statx(2) says of a file, in the share's identity model; host byte order
 * too. As bytes and not as fields of a message: eighteen of those took protobuf-c
 * longer than the kernel takes for statx(2). */
struct attr {
    uint64_t ino;
    uint64_t rdev;   /* makedev(3) form */
    uint64_t size;   /* bytes */
    uint64_t blocks; /* units of 512 bytes */
    int64_t atime_sec, mtime_sec, ctime_sec;
    int64_t btime_sec; /* 0,0 where the file system has none */
    uint32_t atime_nsec, mtime_nsec, ctime_nsec, btime_nsec;
    uint32_t mode; /* S_IFMT and permission bits */
    uint32_t nlink, uid, gid;
    uint32_t blksize; /* bytes */
    uint32_t version; /* changes when the content does; qid.version */
};
_Static_assert(sizeof(struct attr) == 8 * 8 + 10 * 4, "no byte of it is nobody's");

#endif
