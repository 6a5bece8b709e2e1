/*
 * Extended attributes, as far as the share offers them.
 *
 * The filter is a table of name spaces: what is in none of its rows does not
 * exist for a guest, and neither do the names in which servers keep what
 * guests must not forge.
 *
 * Runs in: helper.   Trusts: dispatch for access and that keys are keys.
 * Owns: the memory that a list is filtered in, which the worker cannot write.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "ipc/log.h"
#include "ipc/ops.h"
#include "proxy-helper/op.h"
#include "proxy-helper/path.h"
#include "proxy-helper/stored.h"

static char list[XATTR_SIZE_MAX];

static const struct space {
    const char *name;
    bool prefix;    /* everything that begins so, else this name alone */
    unsigned needs; /* enum xattr_share bits */
} spaces[] = {
    {"user.", true, XATTR_USER},
    {"system.posix_acl_access", false, XATTR_ACL},
    {"system.posix_acl_default", false, XATTR_ACL},
    {"security.capability", false, XATTR_CAPABILITY},
};

/* Owner, mode and device number of a file as its guest sees it, QEMU's and
 * our own: whoever could set these could be anybody. */
static const char *const reserved[] = {"user.virtfs.", "user.postern."};

static bool
begins(const char *key, const char *with)
{
    return strncmp(key, with, strlen(with)) == 0;
}

static bool
is_reserved(const char *key)
{
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (begins(key, reserved[i]))
            return true;
    return false;
}

static bool
is_offered(const struct share *sh, const char *key)
{
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        const struct space *sp = &spaces[i];

        if (sp->prefix ? begins(key, sp->name) : strcmp(key, sp->name) == 0)
            return (sh->xattrs & sp->needs) != 0;
    }
    return false;
}

/* identity = stored: the guest's kernel keeps to these ACLs, the host's must
 * not, whose ids are others. QEMU has them there, too. */
static const char acl_prefix[] = "user.virtfs.";

static bool
is_stored_acl(const char *key)
{
    return begins(key, acl_prefix) && begins(key + sizeof(acl_prefix) - 1, "system.posix_acl_");
}

/* The key of a request, and whether the guest may know of it. */
static int
key_take(const struct share *sh, const ProtobufCBinaryData *from, char key[NAME_BUF],
         int if_reserved)
{
    name_copy(key, from);
    if (!is_offered(sh, key))
        return -EOPNOTSUPP;
    if (is_reserved(key))
        return if_reserved;
    if (stored_is(sh) && begins(key, "system.")) {
        (void)memmove(key + sizeof(acl_prefix) - 1, key, strlen(key) + 1); /* 24 bytes at most */
        (void)memcpy(key, acl_prefix, sizeof(acl_prefix) - 1);
    }
    return 0;
}

static void
count_fits(const struct share *sh, uint32_t count)
{
    if (count > sh->call.frame->payload_len)
        violation("worker named %u bytes with room for %u", count, sh->call.frame->payload_len);
}

int
op_getxattr(struct share *sh, const Postern__V1__GetxattrReq *req, Postern__V1__GetxattrRep *rep)
{
    char key[NAME_BUF];
    struct node *n;
    int fd, r;

    count_fits(sh, req->count);
    fd = node_use(&sh->nodes, req->node, &n);
    if (fd < 0)
        return fd;
    r = key_take(sh, &req->key, key, -ENODATA); /* as if it were not there */
    if (r < 0)
        return r;
    r = path_getxattr(fd, key, sh->call.payload, req->count);
    if (r < 0)
        return r;
    rep->size = (uint32_t)r;
    return 0;
}

/* Keep of list[0..n) what the guest may know of; returns the new length. */
static size_t
list_filter(const struct share *sh, size_t n)
{
    size_t kept = 0;

    for (size_t at = 0; at < n;) {
        bool disks = stored_is(sh) && begins(list + at, "system."); /* not the guest's */
        size_t len = strnlen(list + at, n - at);

        if (at + len == n)
            bug("a list of extended attributes without its end");
        if (stored_is(sh) && is_stored_acl(list + at)) {
            at += sizeof(acl_prefix) - 1;
            len -= sizeof(acl_prefix) - 1;
        }
        if (!disks && is_offered(sh, list + at) && !is_reserved(list + at)) {
            (void)memmove(list + kept, list + at, len + 1);
            kept += len + 1;
        }
        at += len + 1;
    }
    return kept;
}

int
op_listxattr(struct share *sh, const Postern__V1__ListxattrReq *req, Postern__V1__ListxattrRep *rep)
{
    struct node *n;
    size_t size;
    int r;

    count_fits(sh, req->count);
    r = node_use(&sh->nodes, req->node, &n);
    if (r < 0)
        return r;
    if (sh->xattrs == 0)
        return -EOPNOTSUPP; /* the filter lacks the calls, too */
    r = path_listxattr(r, list, sizeof(list));
    if (r < 0)
        return r;
    size = list_filter(sh, (size_t)r);
    if (req->count != 0 && size > req->count)
        return -ERANGE;
    if (req->count != 0 && size > 0)
        (void)memcpy(sh->call.payload, list, size);
    rep->size = (uint32_t)size;
    return 0;
}

int
op_setxattr(struct share *sh, const Postern__V1__SetxattrReq *req, Postern__V1__SetxattrRep *rep)
{
    char key[NAME_BUF];
    struct node *n;
    int fd, r;

    (void)rep;
    count_fits(sh, req->count);
    if ((req->flags & ~XATTR_FLAGS) != 0)
        violation("worker sent flags %#x with an extended attribute", req->flags);
    fd = node_use(&sh->nodes, req->node, &n);
    if (fd < 0)
        return fd;
    r = key_take(sh, &req->key, key, -EPERM);
    return r < 0 ? r : path_setxattr(fd, key, sh->call.payload, req->count, req->flags);
}

int
op_removexattr(struct share *sh, const Postern__V1__RemovexattrReq *req,
               Postern__V1__RemovexattrRep *rep)
{
    char key[NAME_BUF];
    struct node *n;
    int fd, r;

    (void)rep;
    fd = node_use(&sh->nodes, req->node, &n);
    if (fd < 0)
        return fd;
    r = key_take(sh, &req->key, key, -EPERM);
    return r < 0 ? r : path_removexattr(fd, key);
}
