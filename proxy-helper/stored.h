/*
 * identity = stored: on the disk everything belongs to one user, is a regular
 * file or a directory, and is closed to all others. Owner, mode, type and
 * device number that the guest sees are extended attributes of it,
 * user.virtfs.{uid,gid,mode,rdev}, as QEMU's mapped-xattr model has them: 32
 * bits, for rdev 64, little-endian. A symlink's target is the file's content.
 * What has no such attributes is shown as it is on the disk.
 *
 * Who may do what is decided by the guest's kernel, which sees these owners
 * and modes. None of this does anything under other models.
 */
#ifndef POSTERN_HELPER_STORED_H
#define POSTERN_HELPER_STORED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "proxy-helper/share.h"

bool stored_is(const struct share *sh);

/* st as the guest sees it; of what is behind an fd, O_PATH will do. */
void stored_show(const struct share *sh, int fd, struct statx *st);

/*
 * New things, by the user of the request. Made closed to others, so that one
 * that is left without attributes by a crash is no more than its disk's owner's.
 * mode: with its type. An fd open as flags say, or O_PATH; -errno, and then
 * there is nothing. target: of a symlink.
 */
int stored_create(struct share *sh, int dir, const char *name, int flags, uint32_t mode);
int stored_mkdir(struct share *sh, int dir, const char *name, uint32_t mode);
int stored_mknod(struct share *sh, int dir, const char *name, uint32_t mode, uint64_t rdev);
int stored_symlink(struct share *sh, int dir, const char *name, const char *target, size_t n);

/* At most room bytes of where the symlink behind an fd points: how many, or
 * -errno. */
int stored_readlink(int fd, char *target, size_t room);

/* ID_NONE: as it is. Set-id bits of files fall, as with chown(2). */
int stored_chown(const struct share *sh, int fd, uint32_t uid, uint32_t gid);
int stored_chmod(const struct share *sh, int fd, uint32_t mode);
/* The content changes, by a user that is not root. */
int stored_drop_set_id(const struct share *sh, int fd);

#endif
