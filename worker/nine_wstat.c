/*
 * Twstat: all of it or nothing.
 *
 * Runs in: worker.   Trusts: nobody.   Owns: nothing.
 *
 * What can be refused is refused before the first change, with the file's
 * attributes at hand. Then there is one change: a SETATTR, which the helper
 * checks as a whole before it begins, or a RENAME_NODE. A new name together
 * with anything that differs would be two, of which the second may fail: EPERM.
 * Only what the host's kernel refuses in the middle of a SETATTR (a full disk)
 * can leave a part.
 *
 * A stat in which nothing is to be set is an fsync, as Linux sends it; it
 * changes nothing, so it is fine on a read-only share. A rename replaces what
 * has the new name, as rename(2) does and Linux expects, although the manual
 * would have it fail.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/nine_stat.h"

static void
renamed(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    struct request *r = request_of(call);

    (void)m;
    if (status < 0) {
        reply_error(r, status);
        return;
    }
    if (r->place != NULL) {
        r->fresh_place->dir = r->other; /* the new place's reference from now on */
        r->other = NULL;
        place_moved(r->place, r->fresh_place);
    }
    reply_empty(r);
}

static int
rename_in(struct request *r)
{
    Postern__V1__RenameNodeReq q = POSTERN__V1__RENAME_NODE_REQ__INIT;

    q.node = r->node->id;
    q.new_dir = r->other->id;
    q.new_name = msg_bytes(r->fresh_place->name, r->fresh_place->len);
    r->call.done = renamed;
    return fs_rename_node(r->share->fs, &q, &r->call);
}

static void
parent_found(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__ParentRep *rep = (const Postern__V1__ParentRep *)m;
    struct request *r = request_of(call);

    if (status < 0) {
        reply_error(r, status);
        return;
    }
    r->other->id = rep->node;
    request_step(r, rename_in);
}

/* In which directory it is: the new name is one in the same. */
static int
find_parent(struct request *r)
{
    Postern__V1__ParentReq q = POSTERN__V1__PARENT_REQ__INIT;

    if (r->other == NULL)
        r->other = handle_new(r->share, HANDLE_NODE);
    if (r->other == NULL)
        return -ENOMEM;
    q.node = r->node->id;
    r->call.done = parent_found;
    return fs_parent(r->share->fs, &q, &r->call);
}

static int
rename_begin(struct request *r)
{
    return nine_by_name(r, find_parent);
}

static int
set_attributes(struct request *r)
{
    Postern__V1__SetattrReq q = POSTERN__V1__SETATTR_REQ__INIT;
    const struct legacy *l = &r->legacy;

    q.node = r->node->id;
    if (r->file != NULL && r->fid->writes) {
        q.has_file = 1;
        q.file = r->file->id;
    }
    q.has_mode = (l->set & WSTAT_MODE) != 0;
    q.mode = l->mode;
    q.has_uid = (l->set & WSTAT_UID) != 0;
    q.uid = l->uid;
    q.has_gid = (l->set & WSTAT_GID) != 0;
    q.gid = l->gid;
    q.has_size = (l->set & WSTAT_LENGTH) != 0;
    q.size = l->length;
    q.has_atime_sec = q.has_atime_nsec = (l->set & WSTAT_ATIME) != 0;
    q.atime_sec = l->atime;
    q.has_mtime_sec = q.has_mtime_nsec = (l->set & WSTAT_MTIME) != 0;
    q.mtime_sec = l->mtime;
    r->call.done = nine_done_empty;
    return fs_setattr(r->share->fs, &q, &r->call);
}

/* What a file is cannot be changed, nor can it be promised what DMEXCL and
 * DMAPPEND mean. */
static int
check_mode(unsigned dialect, uint32_t dm, uint32_t mode)
{
    uint32_t is = dm_of_mode(dialect, mode);

    if ((dm & ~dm_known(dialect)) != 0)
        return -EINVAL;
    if ((dm & ((uint32_t)DM_EXCL | (uint32_t)DM_APPEND)) != 0)
        return -EOPNOTSUPP;
    if ((dm & (uint32_t)DM_DIR) != (is & (uint32_t)DM_DIR) || (dm & DM_KINDS & ~is) != 0)
        return -EPERM;
    return 0;
}

/* The bits for the helper. What 9P2000 has no bit for, stays. */
static uint32_t
host_mode(unsigned dialect, uint32_t dm, uint32_t old)
{
    uint32_t keep = dialect == NINE_U ? 0 : S_ISVTX | (S_ISDIR(old) ? S_ISGID : 0u);

    return dm_perm(dialect, dm) | (old & keep);
}

/* Of what is asked for, what is so already. */
static uint32_t
already(unsigned dialect, const struct legacy *l, const struct attr *a)
{
    uint32_t perm = dm_perm(dialect, dm_of_mode(dialect, a->mode));

    return (dm_perm(dialect, l->mode) == perm ? (uint32_t)WSTAT_MODE : 0) |
           (l->atime == a->atime_sec ? (uint32_t)WSTAT_ATIME : 0) |
           (l->mtime == a->mtime_sec ? (uint32_t)WSTAT_MTIME : 0) |
           (l->length == a->size ? (uint32_t)WSTAT_LENGTH : 0) |
           (l->uid == a->uid ? (uint32_t)WSTAT_UID : 0) |
           (l->gid == a->gid ? (uint32_t)WSTAT_GID : 0);
}

static int
check_change(struct request *r, const struct attr *a)
{
    unsigned dialect = r->conn->dialect;
    struct legacy *l = &r->legacy;
    int e = (l->set & WSTAT_MODE) != 0 ? check_mode(dialect, l->mode, a->mode) : 0;

    if (e < 0)
        return e;
    if (S_ISDIR(a->mode) && l->length == 0)
        l->set &= ~(uint32_t)WSTAT_LENGTH; /* it has no other */
    if ((l->set & WSTAT_LENGTH) != 0 && S_ISDIR(a->mode))
        return -EISDIR;
    if ((l->set & WSTAT_NAME) != 0) {
        l->set &= ~already(dialect, l, a);
        return l->set == WSTAT_NAME ? 0 : -EPERM;
    }
    l->mode = host_mode(dialect, l->mode, a->mode);
    return 0;
}

static void
looked(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    struct request *r = request_of(call);
    int e =
        status < 0 ? status : check_change(r, msg_attr(((const Postern__V1__GetattrRep *)m)->attr));

    if (e < 0)
        reply_error(r, e);
    else if (r->legacy.set == 0)
        reply_empty(r);
    else
        request_step(r, r->legacy.set == WSTAT_NAME ? rename_begin : set_attributes);
}

/* The name that it has already is no change. */
static int
take_name(struct request *r, struct str name)
{
    struct str old = place_name(r->place);

    if ((r->legacy.set & WSTAT_NAME) == 0)
        return 0;
    if (name.n == old.n && memcmp(name.p, old.p, old.n) == 0) {
        r->legacy.set &= ~(uint32_t)WSTAT_NAME;
        return 0;
    }
    if (r->node->id == NODE_ROOT)
        return r->aggregate ? -EROFS : -EBUSY;
    if (nine_name(name) < 0)
        return nine_name(name);
    r->fresh_place = place_new(&r->conn->tenant->places, NULL, name);
    return r->fresh_place == NULL ? -ENOMEM : 0;
}

static int
change(struct request *r, uint32_t num, struct str name, int bad)
{
    Postern__V1__GetattrReq q = POSTERN__V1__GETATTR_REQ__INIT;
    int e = request_fid_to_write(r, num, OP_SETATTR);

    if (e == 0)
        e = bad;
    if (e == 0)
        e = take_name(r, name);
    if (e == 0 && (r->legacy.set & WSTAT_LENGTH) != 0 && r->legacy.length > INT64_MAX)
        e = -EINVAL;
    if (e < 0)
        return e;
    q.node = r->node->id;
    r->call.done = looked;
    return fs_getattr(r->share->fs, &q, &r->call);
}

int
nine_twstat(struct request *r, struct cursor *c)
{
    uint32_t num = cur_u32(c);
    struct str name = {NULL, 0};
    int bad = cur_wstat(c, r->conn->dialect, &r->legacy, &name), e;

    if (bad == -EPROTO)
        return bad;
    if (r->legacy.set != 0)
        return change(r, num, name, bad);
    e = request_fid(r, num);
    if (e < 0)
        return e;
    if (r->file != NULL)
        return nine_fsync(r, false);
    reply_empty(r);
    return 0;
}
