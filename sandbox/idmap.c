/*
 * User namespaces and their id maps: for a rootless child, which has one id
 * and is its root; for the helper of a share whose guest has a range of ids; for
 * a mount that shows the disk's owner as another; and for a rootless broker.
 *
 * Runs in: broker; idmap_self() also in a child before its exec.
 * Trusts: nobody.
 * Owns: the short-lived process that a namespace needs to come into being.
 */
#include "sandbox/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/fd.h"

#define OPENER_STACK 16384

int
idmap_write(const char *path, const char *text)
{
    size_t len = 0;
    ssize_t n;
    int fd, r;

    while (text[len] != '\0')
        len++;
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = write(fd, text, len);
    r = n == (ssize_t)len ? 0 : n < 0 ? -errno : -EIO;
    (void)close(fd);
    return r;
}

static int
map_range(const char *path, unsigned inside, unsigned outside, unsigned count)
{
    char text[48];

    (void)snprintf(text, sizeof(text), "%u %u %u\n", inside, outside, count);
    return idmap_write(path, text);
}

static int
map_one(const char *path, unsigned inside, unsigned outside)
{
    return map_range(path, inside, outside, 1);
}

int
idmap_self(uid_t inside_uid, uid_t uid, gid_t inside_gid, gid_t gid)
{
    int r;

    /* the kernel wants this before an ordinary user may map a group */
    r = idmap_write("/proc/self/setgroups", "deny");
    if (r < 0)
        return r;
    r = map_one("/proc/self/uid_map", inside_uid, uid);
    if (r < 0)
        return r;
    return map_one("/proc/self/gid_map", inside_gid, gid);
}

/*
 * In the new namespace, with the caller's memory and fds, while the caller
 * waits for its end: a copy of a large broker's tables would be made for this
 * one call. It cannot be opened from outside by a broker that is not dumpable.
 */
static int
open_namespace(void *ret_ns)
{
    int fd = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);

    *(int *)ret_ns = fd < 0 ? -errno : fd;
    return 0;
}

/* For idmap_userns(). */
struct pairs {
    uid_t disk_uid, uid;
    gid_t disk_gid, gid;
};

static int
map_pairs(pid_t pid, void *ctx)
{
    const struct pairs *p = ctx;
    char path[48];
    int r;

    (void)snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
    r = map_one(path, p->disk_uid, p->uid);
    if (r < 0)
        return r;
    (void)snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
    return map_one(path, p->disk_gid, p->gid);
}

int
idmap_child(pid_t pid, uint32_t first, uint32_t count)
{
    static const char *const files[] = {"uid_map", "gid_map"};
    char path[48];
    int r = 0;

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && r == 0; i++) {
        (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
        r = map_range(path, 0, first, count);
    }
    return r;
}

int
idmap_userns(uid_t disk_uid, uid_t uid, gid_t disk_gid, gid_t gid)
{
    struct pairs p = {disk_uid, uid, disk_gid, gid};

    return idmap_new(map_pairs, &p);
}

int
idmap_new(int (*map)(pid_t pid, void *ctx), void *ctx)
{
    _Alignas(16) char stack[OPENER_STACK];
    _clean(clean_fd) int ns = -EIO;
    pid_t pid = clone(open_namespace, stack + sizeof(stack),
                      CLONE_NEWUSER | CLONE_FILES | CLONE_VM | CLONE_VFORK | SIGCHLD, &ns);
    int r;

    if (pid < 0)
        return -errno;
    /* it has ended, but is in the namespace until it is waited for */
    r = ns < 0 ? ns : map(pid, ctx);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return r < 0 ? r : take_fd(&ns);
}
