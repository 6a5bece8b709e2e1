/*
 * Mounts below the share's root. See mount.h.
 *
 * Runs in: helper, main thread.   Trusts: the broker's list; the kernel.
 * Owns: nothing.
 */
#include "proxy-helper/mount.h"

#include <errno.h>
#include <sys/sysmacros.h>

#define KEY_SHIFT 48
#define KEY_UNLISTED 0x8000u /* a device that is no mount, as btrfs's subvolumes */

bool
mounts_add(struct mounts *m, uint64_t dev, uint64_t ino, uint32_t number)
{
    if (m->n == SUBMOUNTS_MAX || number == 0 || number > SUBMOUNT_NUMBER_MAX)
        return false;
    m->below[m->n++] = (struct mount_below){.dev = dev, .ino = ino, .number = (uint16_t)number};
    return true;
}

static uint64_t
dev_of(const struct statx *st)
{
    return makedev(st->stx_dev_major, st->stx_dev_minor);
}

bool
mounts_part(struct mounts *m, uint64_t id, uint64_t over)
{
    if (m->nparts == PROTECT_MAX)
        return false;
    m->parts[m->nparts++] = (struct mount_part){.id = id, .over = over};
    return true;
}

/* The mount that a file belongs to as the guest sees it. */
static uint64_t
whole_of(const struct mounts *m, uint64_t mnt_id)
{
    for (size_t i = 0; i < m->nparts; i++)
        if (m->parts[i].id == mnt_id)
            return m->parts[i].over;
    return mnt_id;
}

void
mounts_root(struct mounts *m, const struct statx *root)
{
    m->root_id = root->stx_mnt_id;
    m->root_dev = dev_of(root);
}

static const struct mount_below *
find(const struct mounts *m, uint64_t mnt_id)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->below[i].mnt_id == mnt_id)
            return &m->below[i];
    return NULL;
}

/* A mount is first met at its root, and known by its id from then on. What is
 * mounted twice has two rows that look the same. */
static bool
meet(struct mounts *m, uint64_t mnt_id, const struct statx *st)
{
    for (size_t i = 0; i < m->n; i++) {
        struct mount_below *b = &m->below[i];

        if (b->mnt_id == 0 && b->dev == dev_of(st) && b->ino == st->stx_ino) {
            b->mnt_id = mnt_id;
            return true;
        }
    }
    return false;
}

int
mounts_enter(struct mounts *m, const struct statx *st)
{
    uint64_t id = whole_of(m, st->stx_mnt_id);

    if (id == m->root_id)
        return 0;
    if (m->mode == SUBMOUNTS_CROSS && (find(m, id) != NULL || meet(m, id, st)))
        return 0;
    return m->mode == SUBMOUNTS_REFUSE ? -EXDEV : -ENOENT;
}

uint64_t
mounts_ino(const struct mounts *m, uint64_t mnt_id, uint64_t dev, uint64_t ino)
{
    uint64_t id = whole_of(m, mnt_id);
    const struct mount_below *b = id == m->root_id ? NULL : find(m, id);
    uint64_t key = b == NULL ? 0 : b->number;

    if (dev != (b == NULL ? m->root_dev : b->dev))
        key ^= KEY_UNLISTED | ((dev * UINT64_C(0x9e3779b97f4a7c15)) >> 49);
    return ino ^ key << KEY_SHIFT;
}

uint64_t
mounts_ino_of(const struct mounts *m, const struct statx *st)
{
    return mounts_ino(m, st->stx_mnt_id, dev_of(st), st->stx_ino);
}
