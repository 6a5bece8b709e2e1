/*
 * Attributes: statx(2) seen through the share's identity model (squash:
 * every file shows the one owner that policy names).
 *
 * Runs in: helper.   Trusts: the kernel.   Owns: nothing.
 */
#include "proxy-helper/attr.h"

#include <sys/sysmacros.h>

#include "ipc/fd.h"
#include "ipc/log.h"
#include "proxy-helper/path.h"
#include "proxy-helper/stored.h"

static uint64_t
mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 29;
}

uint32_t
attr_version(const struct statx *st)
{
    uint64_t h = mix(0, st->stx_size);
    uint32_t v;

    h = mix(h, (uint64_t)st->stx_mtime.tv_sec << 30 ^ st->stx_mtime.tv_nsec);
    h = mix(h, (uint64_t)st->stx_ctime.tv_sec << 30 ^ st->stx_ctime.tv_nsec);
    v = (uint32_t)(h >> 32);
    return v == 0 ? 1 : v;
}

ProtobufCBinaryData
attr_new(struct share *sh, const struct statx *st)
{
    bool squash = sh->identity.model == IDENTITY_SQUASH;
    struct attr *a = arena_alloc(&sh->arena, sizeof(*a));

    if (a == NULL)
        bug("no room in the arena for attributes");
    a->ino = mounts_ino_of(&sh->mounts, st);
    a->mode = st->stx_mode;
    a->nlink = st->stx_nlink;
    if (S_ISDIR(st->stx_mode) && names_filter(&sh->names))
        a->nlink = 1; /* it counts directories that are not shown; 1: it does not count */
    a->uid = squash ? sh->present_uid : st->stx_uid;
    a->gid = squash ? sh->present_gid : st->stx_gid;
    a->rdev = makedev(st->stx_rdev_major, st->stx_rdev_minor);
    a->size = st->stx_size;
    a->blocks = st->stx_blocks;
    a->blksize = st->stx_blksize;
    a->atime_sec = st->stx_atime.tv_sec;
    a->atime_nsec = st->stx_atime.tv_nsec;
    a->mtime_sec = st->stx_mtime.tv_sec;
    a->mtime_nsec = st->stx_mtime.tv_nsec;
    a->ctime_sec = st->stx_ctime.tv_sec;
    a->ctime_nsec = st->stx_ctime.tv_nsec;
    a->btime_sec = st->stx_btime.tv_sec;
    a->btime_nsec = st->stx_btime.tv_nsec;
    a->version = attr_version(st);
    return msg_bytes(a, sizeof(*a));
}

int
attr_look(const struct share *sh, int fd, struct statx *st)
{
    int r = path_stat(fd, st);

    if (r == 0)
        stored_show(sh, fd, st);
    return r;
}

int
attr_look_name(const struct share *sh, int dir, const char *name, struct statx *st)
{
    _clean(clean_fd) int fd = -1;

    if (!stored_is(sh))
        return path_stat_name(dir, name, st);
    fd = path_walk(dir, name);
    return fd < 0 ? fd : attr_look(sh, fd, st);
}

mode_t
attr_type(const struct share *sh, int fd, const struct node *n)
{
    struct statx st;

    if (!stored_is(sh) || !S_ISREG(n->type) || attr_look(sh, fd, &st) < 0)
        return n->type;
    return st.stx_mode & S_IFMT;
}

int
attr_of(struct share *sh, int fd, ProtobufCBinaryData *ret)
{
    struct statx st;
    int r = attr_look(sh, fd, &st);

    if (r < 0)
        return r;
    *ret = attr_new(sh, &st);
    return 0;
}
