/*
 * What every implementation of worker/fs.h has in common: who may write, and
 * which answers cannot be true.
 *
 * Runs in: worker (and tests).   Trusts: no helper: an answer that claims
 * more than was asked for is a lie.   Owns: nothing.
 */
#include "worker/fs.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

int
fs_access(const struct fs *fs, unsigned op, bool narrowed)
{
    const struct op_info *info = op_info(op);

    if (info == NULL)
        return -EOPNOTSUPP;
    if ((fs->read_only || narrowed) && info->access != OP_READS)
        return -EROFS;
    return 0;
}

int
fs_submit(struct fs *fs, unsigned op, const ProtobufCMessage *req, struct fs_call *call)
{
    int r = fs_access(fs, op, call->narrowed);

    if (r == 0 && fs->ids != 0 && (call->uid >= fs->ids || call->gid >= fs->ids))
        r = -EPERM;
    return r < 0 ? r : fs->impl->submit(fs, op, req, call);
}

uint8_t *
fs_payload_get(struct fs *fs, uint32_t n)
{
    return fs->impl->payload_get(fs, n);
}

void
fs_payload_put(struct fs *fs, uint8_t *p, uint32_t n)
{
    fs->impl->payload_put(fs, p, n);
}

void
fs_blame(struct fs *fs, const char *what)
{
    fs->impl->blame(fs, what);
}

void
fs_revoke(struct fs *fs)
{
    fs->impl->revoke(fs);
}

void
fs_end(struct fs *fs)
{
    fs->impl->end(fs);
}

static uint32_t
walk_names(const Postern__V1__WalkReq *q)
{
    const protobuf_c_boolean has[WALK_MAX] = {
        q->has_name1,  q->has_name2,  q->has_name3,  q->has_name4,  q->has_name5,  q->has_name6,
        q->has_name7,  q->has_name8,  q->has_name9,  q->has_name10, q->has_name11, q->has_name12,
        q->has_name13, q->has_name14, q->has_name15, q->has_name16,
    };
    uint32_t n = 0;

    while (n < WALK_MAX && has[n])
        n++;
    return n;
}

/* Who has no room for a value asks how large it is. */
static uint32_t
size_bound(uint32_t count)
{
    return count == 0 ? XATTR_SIZE_MAX : count;
}

uint32_t
fs_bound(unsigned op, const ProtobufCMessage *req)
{
    switch (op) {
    case OP_READ:
        return ((const Postern__V1__ReadReq *)req)->count;
    case OP_WRITE:
        return ((const Postern__V1__WriteReq *)req)->count;
    case OP_READDIR:
        return ((const Postern__V1__ReaddirReq *)req)->count;
    case OP_GETXATTR:
        return size_bound(((const Postern__V1__GetxattrReq *)req)->count);
    case OP_LISTXATTR:
        return size_bound(((const Postern__V1__ListxattrReq *)req)->count);
    case OP_WALK:
        return walk_names((const Postern__V1__WalkReq *)req);
    default:
        return 0;
    }
}

static const char *
walk_lies(uint32_t asked, const Postern__V1__WalkRep *rep)
{
    bool arrived = rep->done == asked;

    if (rep->done > asked || rep->steps.len != rep->done * sizeof(struct walk_step))
        return "walk: more steps than names";
    if (arrived != (rep->has_node != 0) || arrived != (rep->has_attr != 0))
        return "walk: a node for a walk that did not arrive, or none for one that did";
    return NULL;
}

static const char *
getlock_lies(const Postern__V1__GetlockRep *rep)
{
    if (rep->type > LOCK_UNLOCK)
        return "getlock: no such type";
    if (rep->start > INT64_MAX || rep->length > (uint64_t)INT64_MAX + 1 - rep->start)
        return "getlock: no such range";
    return NULL;
}

static const char *
parent_lies(const Postern__V1__ParentRep *rep)
{
    return rep->has_name && !name_ok(rep->name.data, rep->name.len) ? "parent: no such name" : NULL;
}

/* Where a reply has its attributes. */
#define ATTR_AT(camel) offsetof(Postern__V1__##camel##Rep, attr)
static const size_t attr_at[OP_END] = {
    [OP_GETATTR] = ATTR_AT(Getattr),      [OP_WALK] = ATTR_AT(Walk),
    [OP_PARENT] = ATTR_AT(Parent),        [OP_OPEN_READ] = ATTR_AT(OpenRead),
    [OP_OPEN_WRITE] = ATTR_AT(OpenWrite), [OP_CREATE] = ATTR_AT(Create),
    [OP_SETATTR] = ATTR_AT(Setattr),      [OP_MKDIR] = ATTR_AT(Mkdir),
    [OP_SYMLINK] = ATTR_AT(Symlink),      [OP_LINK] = ATTR_AT(Link),
    [OP_MKNOD] = ATTR_AT(Mknod),          [OP_STAT] = ATTR_AT(Stat),
};

/* A walk that did not arrive has none. */
static bool
attr_lies(unsigned op, const ProtobufCMessage *rep)
{
    ProtobufCBinaryData b;

    if (attr_at[op] == 0 || (op == OP_WALK && !((const Postern__V1__WalkRep *)rep)->has_attr))
        return false;
    memcpy(&b, (const uint8_t *)rep + attr_at[op], sizeof(b));
    return b.len != sizeof(struct attr);
}

const char *
fs_reply_lies(unsigned op, uint32_t bound, const ProtobufCMessage *rep)
{
    if (attr_lies(op, rep))
        return "attributes of another size";
    switch (op) {
    case OP_READ:
        return ((const Postern__V1__ReadRep *)rep)->count > bound ? "read: more than asked" : NULL;
    case OP_WRITE:
        return ((const Postern__V1__WriteRep *)rep)->count > bound ? "write: more than given"
                                                                   : NULL;
    case OP_READDIR:
        return ((const Postern__V1__ReaddirRep *)rep)->count > bound ? "readdir: more than asked"
                                                                     : NULL;
    case OP_GETXATTR:
        return ((const Postern__V1__GetxattrRep *)rep)->size > bound ? "getxattr: more than asked"
                                                                     : NULL;
    case OP_LISTXATTR:
        return ((const Postern__V1__ListxattrRep *)rep)->size > bound ? "listxattr: more than asked"
                                                                      : NULL;
    case OP_GETLOCK:
        return getlock_lies((const Postern__V1__GetlockRep *)rep);
    case OP_GETATTR:
        return ((const Postern__V1__GetattrRep *)rep)->target.len > TARGET_LEN_MAX
                   ? "getattr: target too long"
                   : NULL;
    case OP_PARENT:
        return parent_lies((const Postern__V1__ParentRep *)rep);
    case OP_STAT:
        return ((const Postern__V1__StatRep *)rep)->target.len > TARGET_LEN_MAX
                   ? "stat: target too long"
                   : NULL;
    case OP_READLINK:
        return ((const Postern__V1__ReadlinkRep *)rep)->target.len > TARGET_LEN_MAX
                   ? "readlink: target too long"
                   : NULL;
    case OP_WALK:
        return walk_lies(bound, (const Postern__V1__WalkRep *)rep);
    default:
        return NULL;
    }
}
