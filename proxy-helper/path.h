/*
 * Every call of the helper that gives the kernel a name or opens a file.
 * The rules W1 to W19 of docs/SECURITY.md live here.
 */
#ifndef POSTERN_HELPER_PATH_H
#define POSTERN_HELPER_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define PATH_STATX_MASK (STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID)
#define FD_NAME_BUF 12 /* "2147483647" */

/*
 * dir is an fd of the share, name one checked component. All return 0 or an
 * fd that is the caller's, else -errno. A negative dir is bug(): the kernel
 * would take AT_FDCWD for the directory of our own fds.
 */

/* An O_PATH fd of what dir calls name; a symlink is not followed. */
int path_walk(int dir, const char *name);
/* The same for an fd that is open already: a second, O_PATH fd of its file. */
int path_pin(int fd);
/* Create dir/name and open it. flags: O_ACCMODE, O_APPEND, O_SYNC, O_DSYNC.
 * -EEXIST when the name is taken. mode: 01777 bits. */
int path_create(int dir, const char *name, int flags, mode_t mode);
/*
 * Really open the file behind an O_PATH fd of that type (S_IFMT bits).
 * -ELOOP for a symlink, -ENXIO for a FIFO, socket or device, -EISDIR for a
 * directory unless flags only read.
 */
int path_reopen(int fd, mode_t type, int flags);

/* What is behind an fd; what dir calls name: a symlink is not followed, nothing is mounted for it,
 * as with path_walk(). */
int path_stat(int fd, struct statx *ret);
int path_stat_name(int dir, const char *name, struct statx *ret);

/* chmod(2), chown(2), utimensat(2) and link(2) of the file behind an O_PATH fd. */
int path_chmod(int fd, mode_t mode);
/* chown(2), of a symlink itself; ID_NONE: as it is. */
int path_chown(int fd, uint32_t uid, uint32_t gid);
int path_times(int fd, const struct timespec ts[2]);
int path_link(int fd, int dir, const char *name);
/* Extended attributes, as getxattr(2) and its sisters; the size where there
 * is one. */
int path_getxattr(int fd, const char *key, void *value, size_t room);
int path_listxattr(int fd, char *list, size_t room);
int path_setxattr(int fd, const char *key, const void *value, size_t n, unsigned flags);
int path_removexattr(int fd, const char *key);
int path_rename(int dir, const char *name, int new_dir, const char *new_name);

/* True when both describe the same file, as far as the kernel lets one know
 * without a file handle. */
bool path_same(const struct statx *a, const struct statx *b);

#endif
