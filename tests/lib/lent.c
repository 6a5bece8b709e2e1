/*
 * A machine that lends ids; see lent.h.
 *
 * Runs in: tests, as root.   Trusts: nobody.
 * Owns: the mount namespace and the files in it.
 */
#include "tests/lib/lent.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/test.h"

#define TOOLS "/usr/bin"
#define TOOL TOOLS "/newuidmap"

/* Files of our own, bound over the machine's; written through these fds alone. */
static int users = -1, uid_grants = -1, gid_grants = -1;

static int
file_over(const char *path)
{
    char ours[] = "/tmp/postern-lent-XXXXXX";
    int fd = mkstemp(ours);

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(mount(ours, path, NULL, MS_BIND, NULL), 0);
    assert_int_equal(unlink(ours), 0);
    return fd;
}

static void
users_fill(uint32_t uid)
{
    int real = open("/etc/passwd", O_RDONLY | O_CLOEXEC);

    assert_true(real >= 0);
    users = file_over("/etc/passwd");
    while (sendfile(users, real, NULL, 65536) > 0)
        ;
    (void)dprintf(users, LENT_NAME ":x:%u:%u::/:/bin/false\n", uid, uid);
    close(real);
}

/* A machine on which nobody was ever lent any may lack the file; to bind over
 * it, it has to be there, and an empty one says the same. */
static bool
has_files(void)
{
    return access("/etc/subuid", F_OK) == 0 && access("/etc/subgid", F_OK) == 0;
}

bool
lent_begin(uint32_t uid)
{
    if (geteuid() != 0 || access(TOOL, X_OK) < 0 || !has_files()) {
        puts("SKIP: needs root, and the package uidmap with its files in /etc");
        return false;
    }
    assert_int_equal(unshare(CLONE_NEWNS), 0);
    assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    users_fill(uid);
    uid_grants = file_over("/etc/subuid");
    gid_grants = file_over("/etc/subgid");
    return true;
}

static void
grant(int fd, const char *what)
{
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    (void)dprintf(fd, "somebody:1:1000\n");
    if (what != NULL)
        (void)dprintf(fd, LENT_NAME ":%s\n", what);
}

void
lent_set(const char *uids, const char *gids)
{
    grant(uid_grants, uids);
    grant(gid_grants, gids);
}

void
lent_tool(const char *program)
{
    if (program != NULL)
        assert_int_equal(mount(program, TOOL, NULL, MS_BIND, NULL), 0);
    else
        assert_int_equal(mount("none", TOOLS, "tmpfs", 0, "mode=755"), 0);
}

void
lent_tool_back(void)
{
    (void)umount2(TOOL, MNT_DETACH);
    (void)umount2(TOOLS, MNT_DETACH);
}
