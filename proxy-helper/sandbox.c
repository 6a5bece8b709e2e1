/*
 * The system calls of a helper, each with its reason. A call is added here
 * together with the code that makes it, and taken away with it.
 *
 * Runs in: helper (and where the table is printed).   Trusts: nothing.
 * Owns: nothing.
 */
#include "proxy-helper/sandbox.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>

/* Conditions of our own, beside those of enum rule_when. */
enum {
    IF_SET_ID = 1u << 16,    /* set-id = allow */
    IF_NO_SET_ID = 1u << 17, /* the default */
    IF_XATTRS = 1u << 18,    /* some are offered, as is the default */
    IF_IDS = 1u << 19,       /* identity = map, host */
    IF_DEVICES = 1u << 20,   /* devices = allow */
};

#define OPEN_READING (O_PATH | O_NOFOLLOW | O_DIRECTORY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define OPEN_WRITING                                                                               \
    (OPEN_READING | O_WRONLY | O_RDWR | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_SYNC | O_DSYNC | \
     O_NOATIME)

static const struct rule rules[] = {
    /* what every process needs */
    {SCMP_SYS(epoll_pwait), ALWAYS, "serve.c: wait for requests", ANY_FD, 0, {}},
    {SCMP_SYS(write), ALWAYS, "wake the worker; from the pool, the loop too", EVENT_FDS, 0, {}},
    {SCMP_SYS(sendto),
     ALWAYS,
     "log lines to the broker",
     BOOT_FDS,
     2,
     {ARG_IS(3, MSG_NOSIGNAL | MSG_DONTWAIT), LONG_IS(4, 0)}},
    {SCMP_SYS(recvfrom),
     ALWAYS,
     "serve.c: is the broker still there",
     BOOT_FDS,
     1,
     {LONG_IS(4, 0)}},
    {SCMP_SYS(futex), IF_POOL, "pool.c: locks and conditions", ANY_FD, 0, {}},
    {SCMP_SYS(exit_group), ALWAYS, "the end, also of a violation", ANY_FD, 0, {}},

    /* looking */
    {SCMP_SYS(openat),
     IF_READ_ONLY,
     "path.c: every lookup and open; no flag that writes or creates",
     ANY_FD,
     1,
     {ARG_BITS(2, OPEN_READING, O_CLOEXEC)}},
    {SCMP_SYS(openat),
     IF_WRITABLE,
     "path.c: every lookup and open; no O_TMPFILE, no set-id bits",
     ANY_FD,
     2,
     {ARG_BITS(2, OPEN_WRITING, O_CLOEXEC), ARG_ONLY(3, 01777)}},
    {SCMP_SYS(close), ALWAYS, "node.c, file.c: fds given back", ANY_FD, 0, {}},
    {SCMP_SYS(statx), ALWAYS, "attr.c, path.c", ANY_FD, 0, {}},
    {SCMP_SYS(fstatfs), ALWAYS, "op_statfs", ANY_FD, 0, {}},
    {SCMP_SYS(readlinkat), ALWAYS, "op_readlink", ANY_FD, 0, {}},
    {SCMP_SYS(lseek), ALWAYS, "op_readdir: back to a cookie", ANY_FD, 0, {}},
    {SCMP_SYS(getdents64), ALWAYS, "op_readdir", ANY_FD, 0, {}},
    {SCMP_SYS(preadv2), ALWAYS, "op_read: what is in the page cache", ANY_FD, 0, {}},
    {SCMP_SYS(pread64), ALWAYS, "op_read in the pool: what is not", ANY_FD, 0, {}},
    {SCMP_SYS(getxattr), IF_XATTRS, "op_getxattr", ANY_FD, 0, {}},
    {SCMP_SYS(listxattr), IF_XATTRS, "op_listxattr", ANY_FD, 0, {}},
    {SCMP_SYS(fcntl), ALWAYS, "op_lock; never one that waits", ANY_FD, 1, {ARG_IS(1, F_OFD_SETLK)}},
    {SCMP_SYS(fcntl), ALWAYS, "op_getlock", ANY_FD, 1, {ARG_IS(1, F_OFD_GETLK)}},

    /* writing */
    {SCMP_SYS(pwrite64), IF_WRITABLE, "op_write", ANY_FD, 0, {}},
    {SCMP_SYS(ftruncate), IF_WRITABLE, "op_setattr: size", ANY_FD, 0, {}},
    {SCMP_SYS(fsync), IF_WRITABLE, "op_fsync", ANY_FD, 0, {}},
    {SCMP_SYS(fdatasync), IF_WRITABLE, "op_fsync", ANY_FD, 0, {}},
    {SCMP_SYS(utimensat), IF_WRITABLE, "op_setattr: times", ANY_FD, 1, {ARG_IS(3, AT_EMPTY_PATH)}},
    {SCMP_SYS(fchmodat),
     IF_WRITABLE | IF_NO_SET_ID,
     "op_setattr: mode; never set-user-id",
     ANY_FD,
     1,
     {ARG_ONLY(2, 03777)}},
    {SCMP_SYS(fchmodat),
     IF_WRITABLE | IF_SET_ID,
     "op_setattr: mode",
     ANY_FD,
     1,
     {ARG_ONLY(2, 07777)}},
    {SCMP_SYS(setxattr),
     IF_WRITABLE | IF_XATTRS,
     "op_setxattr",
     ANY_FD,
     1,
     {ARG_ONLY(4, XATTR_CREATE | XATTR_REPLACE)}},
    {SCMP_SYS(removexattr), IF_WRITABLE | IF_XATTRS, "op_removexattr", ANY_FD, 0, {}},

    {SCMP_SYS(fchownat),
     IF_WRITABLE,
     "op_setattr: to nobody else, which moves ctime",
     ANY_FD,
     3,
     {ARG_IS(2, UINT32_MAX), ARG_IS(3, UINT32_MAX), ARG_IS(4, AT_EMPTY_PATH)}},
    {SCMP_SYS(fchownat),
     IF_WRITABLE | IF_IDS,
     "op_setattr: owner",
     ANY_FD,
     1,
     {ARG_IS(4, AT_EMPTY_PATH)}},

    /* whose request it is */
    {SCMP_SYS(setfsuid), IF_IDS, "identity.c: the user; the namespace has no other", ANY_FD, 0, {}},
    {SCMP_SYS(setfsgid), IF_IDS, "identity.c: his group", ANY_FD, 0, {}},
    {SCMP_SYS(setgroups), IF_IDS, "identity.c: his other groups", ANY_FD, 0, {}},

    /* names */
    {SCMP_SYS(mkdirat), IF_WRITABLE, "op_mkdir", ANY_FD, 1, {ARG_ONLY(2, 01777)}},
    {SCMP_SYS(symlinkat), IF_WRITABLE, "op_symlink", ANY_FD, 0, {}},
    {SCMP_SYS(linkat), IF_WRITABLE, "op_link", ANY_FD, 1, {ARG_IS(4, AT_SYMLINK_FOLLOW)}},
    {SCMP_SYS(mknodat),
     IF_WRITABLE,
     "op_mknod: regular file",
     ANY_FD,
     2,
     {ARG_MASKED(2, ~01777u, S_IFREG), ARG_IS(3, 0)}},
    {SCMP_SYS(mknodat),
     IF_WRITABLE,
     "op_mknod: FIFO",
     ANY_FD,
     2,
     {ARG_MASKED(2, ~01777u, S_IFIFO), ARG_IS(3, 0)}},
    {SCMP_SYS(mknodat),
     IF_WRITABLE,
     "op_mknod: socket",
     ANY_FD,
     2,
     {ARG_MASKED(2, ~01777u, S_IFSOCK), ARG_IS(3, 0)}},
    {SCMP_SYS(mknodat),
     IF_WRITABLE | IF_DEVICES,
     "op_mknod: character device",
     ANY_FD,
     1,
     {ARG_MASKED(2, ~01777u, S_IFCHR)}},
    {SCMP_SYS(mknodat),
     IF_WRITABLE | IF_DEVICES,
     "op_mknod: block device",
     ANY_FD,
     1,
     {ARG_MASKED(2, ~01777u, S_IFBLK)}},
    {SCMP_SYS(unlinkat),
     IF_WRITABLE,
     "op_unlink, op_remove",
     ANY_FD,
     1,
     {ARG_ONLY(2, AT_REMOVEDIR)}},
    {SCMP_SYS(renameat2), IF_WRITABLE, "op_rename, op_rename_node", ANY_FD, 1, {ARG_IS(4, 0)}},
};

void
helper_profile(struct sandbox_profile *p, bool read_only, unsigned may)
{
    static const char *const names[2][2] = {{"helper-rw", "helper-rw-ids"},
                                            {"helper-ro", "helper-ro-ids"}};
    static const struct {
        enum helper_may may;
        unsigned when;
    } conditions[] = {{MAY_SET_ID, IF_SET_ID},
                      {MAY_XATTRS, IF_XATTRS},
                      {MAY_IDS, IF_IDS},
                      {MAY_DEVICES, IF_DEVICES}};

    *p = (struct sandbox_profile){
        .name = names[read_only][(may & MAY_IDS) != 0],
        .rules = rules,
        .nrules = sizeof(rules) / sizeof(rules[0]),
        .when = IF_POOL | (read_only ? (unsigned)IF_READ_ONLY : (unsigned)IF_WRITABLE) |
                ((may & MAY_SET_ID) == 0 ? (unsigned)IF_NO_SET_ID : 0),
        .mount_fd = -1,
        .read_only = read_only,
        .file_size = read_only ? 0 : RLIM_INFINITY,
        .caps = (may & MAY_IDS) != 0 ? sandbox_root_caps((may & MAY_DEVICES) != 0) : 0,
        .devices = (may & MAY_DEVICES) != 0,
    };
    for (size_t i = 0; i < sizeof(conditions) / sizeof(conditions[0]); i++)
        if ((may & conditions[i].may) != 0)
            p->when |= conditions[i].when;
}
