/*
 * Writing the id maps of user namespaces. Private to sandbox/.
 */
#ifndef POSTERN_SANDBOX_IDMAP_H
#define POSTERN_SANDBOX_IDMAP_H

#include <stdint.h>
#include <sys/types.h>

/* Write text to one of the files of a /proc/PID directory: 0 or -errno. Safe
 * between clone and exec. */
int idmap_write(const char *path, const char *text);

/*
 * The calling process, new in its user namespace: outside uid and gid become
 * inside_uid and inside_gid, and no other exists. 0 or -errno. Safe between
 * clone and exec.
 */
int idmap_self(uid_t inside_uid, uid_t uid, gid_t inside_gid, gid_t gid);

/*
 * The child pid, alone in a new user namespace: outside ids [first, first +
 * count) become [0, count), users and groups alike. Needs CAP_SETUID and
 * CAP_SETGID. 0 or -errno.
 */
int idmap_child(pid_t pid, uint32_t first, uint32_t count);

/*
 * A user namespace that maps disk_uid to uid and disk_gid to gid, for an
 * idmapped mount; needs CAP_SETUID and CAP_SETGID. Its fd, or -errno.
 */
int idmap_userns(uid_t disk_uid, uid_t uid, gid_t disk_gid, gid_t gid);

/*
 * A new user namespace, a child of the caller's: map() writes its maps, as 0
 * or -errno, while the process pid, which does nothing, is in it. Its fd, or
 * -errno.
 */
int idmap_new(int (*map)(pid_t pid, void *ctx), void *ctx);

#endif
