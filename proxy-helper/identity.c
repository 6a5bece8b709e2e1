/*
 * Switching threads between users. See identity.h.
 *
 * Raw system calls: the C library's wrappers would change every thread of the
 * process. What a thread is, it remembers, so that a row of requests of one
 * user costs nothing.
 *
 * Runs in: helper, every thread for itself.   Trusts: the kernel, once it has
 * been asked twice.   Owns: nothing.
 */
#include "proxy-helper/identity.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/fs.pb-c.h"
#include "ipc/log.h"
#include "ipc/ops.h"
#include "proxy-helper/path.h"

#define LENT_MAX 64 /* groups of one request; a walk passes sixteen directories */

/* A new thread is its namespace's root without supplementary groups: so the
 * sandbox left the process. */
static _Thread_local struct {
    uint32_t uid, gid;
    const struct id_row *row; /* whose groups these are; NULL: none are set */
    bool lends, lends_all, reads_acls;
    uint32_t nlent;
    uint32_t lent[LENT_MAX];
} now;

bool
identity_switches(const struct identity *id)
{
    return id->model == IDENTITY_MAP || id->model == IDENTITY_HOST;
}

bool
identity_has(const struct identity *id, uint32_t uid, uint32_t gid)
{
    if (uid == ID_NONE || gid == ID_NONE)
        return false;
    return id->model != IDENTITY_MAP || (uid < id->ids && gid < id->ids);
}

/* Both calls give back what was, and say nothing when they do nothing. */
static void
set_fsid(long nr, const char *what, uint32_t to)
{
    (void)syscall(nr, to);
    if ((uint32_t)syscall(nr, ID_NONE) != to)
        bug("%s %u did not become so: its id is not mapped", what, to);
}

static void
set_groups(const uint32_t *gids, size_t n)
{
    if (syscall(SYS_setgroups, n, gids) < 0)
        bug("setgroups of %zu: %s", n, strerror(errno));
}

static void
become(uint32_t uid, uint32_t gid)
{
    if (now.gid != gid)
        set_fsid(SYS_setfsgid, "group", gid);
    now.gid = gid;
    if (now.uid != uid)
        set_fsid(SYS_setfsuid, "user", uid);
    now.uid = uid;
}

static const struct id_row *
row_of(const struct identity *id, uint32_t uid)
{
    for (size_t i = 0; i < id->nrows; i++)
        if (id->row[i].uid == uid && id->row[i].n > 0)
            return &id->row[i];
    return NULL;
}

/* With a table, a group that is none of the user's is no claim of his: what a
 * setgid directory gives, the kernel gives by itself. */
static uint32_t
own_group(const struct id_row *row, uint32_t uid, uint32_t gid)
{
    if (row == NULL)
        return uid;
    for (size_t i = 0; i < row->n; i++)
        if (row->gids[i] == gid)
            return gid;
    return row->gids[0];
}

void
identity_be(const struct identity *id, uint32_t uid, uint32_t gid)
{
    const struct id_row *row;

    if (!identity_switches(id))
        return;
    row = row_of(id, uid);
    if (now.row != row)
        set_groups(row == NULL ? NULL : row->gids, row == NULL ? 0 : row->n);
    now.row = row;
    become(uid, id->has_rows && uid != 0 ? own_group(row, uid, gid) : gid);
}

struct identity_was
identity_root_begin(void)
{
    struct identity_was was = {.changed = now.uid != 0, .uid = now.uid, .gid = now.gid};

    if (was.changed)
        become(0, now.gid);
    return was;
}

void
identity_root_end(const struct identity_was *was)
{
    if (was->changed)
        become(was->uid, was->gid);
}

/* --- lending ----------------------------------------------------------------- */

bool
identity_may_lend(const struct identity *id, uint32_t uid)
{
    return identity_switches(id) && !id->has_rows && uid != 0;
}

/* A walk that stops on its way does not say why. */
bool
identity_was_refused(unsigned op, int status, const ProtobufCMessage *rep)
{
    if (op == OP_WALK && status == 0)
        return !((const Postern__V1__WalkRep *)rep)->has_node;
    return status == -EACCES || status == -EPERM;
}

/* The kernel does not refuse the setgid bit to who is not in the group: it
 * leaves it out. */
bool
identity_wants_groups(unsigned op, const ProtobufCMessage *req)
{
    static const char acl[] = "system.posix_acl_access"; /* in other words a mode */
    const Postern__V1__SetattrReq *set = (const Postern__V1__SetattrReq *)req;
    const Postern__V1__SetxattrReq *setx = (const Postern__V1__SetxattrReq *)req;

    if (op == OP_SETATTR)
        return set->has_gid || (set->has_mode && (set->mode & S_ISGID) != 0);
    return op == OP_SETXATTR && setx->key.len == sizeof(acl) - 1 &&
           memcmp(setx->key.data, acl, setx->key.len) == 0;
}

void
identity_lend_end(void)
{
    if (now.nlent > 0)
        set_groups(NULL, 0);
    now.lends = false;
    now.nlent = 0;
}

static void
lend(uint32_t gid)
{
    if (now.nlent == LENT_MAX)
        return;
    for (uint32_t i = 0; i < now.nlent; i++)
        if (now.lent[i] == gid)
            return;
    now.lent[now.nlent] = gid;
    /* What the namespace does not know is nobody's group here: not lent. */
    if (syscall(SYS_setgroups, now.nlent + 1, now.lent) == 0)
        now.nlent++;
}

void
identity_lend_begin(const struct identity *id, unsigned op, const ProtobufCMessage *req)
{
    const Postern__V1__SetattrReq *set = (const Postern__V1__SetattrReq *)req;

    now.lends = true;
    now.lends_all = identity_wants_groups(op, req);
    now.reads_acls = id->reads_acls;
    now.nlent = 0;
    if (op == OP_SETATTR && set->has_gid)
        lend(set->gid); /* to whom he gives it */
}

/* As linux/posix_acl_xattr.h has it. */
struct acl_entry {
    uint16_t tag, perm;
    uint32_t id;
};
#define ACL_HEAD 4
#define ACL_GROUP 0x08
#define ACL_BYTES (ACL_HEAD + 32 * sizeof(struct acl_entry))

static void
lend_acl(int fd)
{
    uint8_t acl[ACL_BYTES];
    int n = path_getxattr(fd, "system.posix_acl_access", acl, sizeof(acl));

    for (int at = ACL_HEAD; n - at >= (int)sizeof(struct acl_entry);
         at += (int)sizeof(struct acl_entry)) {
        struct acl_entry e;

        (void)memcpy(&e, acl + at, sizeof(e));
        if (le16toh(e.tag) == ACL_GROUP)
            lend(le32toh(e.id));
    }
}

void
identity_used(int fd)
{
    struct statx st;

    if (!now.lends || path_stat(fd, &st) < 0)
        return;
    /* who is in the group is no longer one of the others */
    if (now.lends_all || ((st.stx_mode >> 3) & 07 & ~(unsigned)st.stx_mode) != 0)
        lend(st.stx_gid);
    if (now.reads_acls)
        lend_acl(fd);
}
