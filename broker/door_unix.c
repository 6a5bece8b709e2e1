/*
 * Unix sockets at a path: the file, who may connect to it, and its end.
 *
 * Runs in: broker.   Trusts: the policy, not the directory the file lies in.
 * Owns: nothing beyond a call; the socket and its file are the door's.
 */
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/door.h"
#include "ipc/fd.h"
#include "ipc/log.h"

/* The file at the address is one that nobody accepts on. */
static int
is_stale(const struct sockaddr_un *sa)
{
    _clean(clean_fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct stat st;

    if (lstat(sa->sun_path, &st) < 0)
        return -errno;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0 || errno == EAGAIN)
        return -EADDRINUSE;
    /* a server of packets (our control socket) is not spoken to like this */
    return errno == ECONNREFUSED ? 0 : errno == EPROTOTYPE ? -EADDRINUSE : -errno;
}

static int
bind_fresh(int fd, const struct sockaddr_un *sa)
{
    int r;

    /* umask is 077: the file is born 0600 */
    if (bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -errno;
    r = is_stale(sa);
    if (r < 0)
        return r;
    if (unlink(sa->sun_path) < 0)
        return -errno;
    return bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno : 0;
}

int
unix_bind(int fd, const char *path, struct unix_file *ret)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct stat st;
    int r;

    if (strlen(path) >= sizeof(sa.sun_path))
        return -ENAMETOOLONG;
    memcpy(sa.sun_path, path, strlen(path) + 1);
    r = bind_fresh(fd, &sa);
    if (r == 0 && lstat(path, &st) < 0)
        r = -errno;
    if (r == 0)
        *ret = (struct unix_file){.dev = st.st_dev, .ino = st.st_ino};
    return r;
}

/*
 * sandbox_broker() has taken the right to give files away; but their owner may
 * give them to a group that he is in, and who is in which is ours to say.
 */
static int
give_as_member(const char *path, gid_t group)
{
    gid_t before[NGROUPS_MAX];
    int n = getgroups(NGROUPS_MAX, before), r;

    if (n < 0 || setgroups(1, &group) < 0)
        return -errno;
    r = lchown(path, (uid_t)-1, group) < 0 ? -errno : 0;
    if (setgroups((size_t)n, before) < 0)
        die("setgroups");
    return r;
}

int
unix_give(const char *path, const char *group, gid_t *ret)
{
    const struct group *g = getgrnam(group);

    if (g == NULL)
        return -ENOENT;
    *ret = g->gr_gid;
    if (lchown(path, (uid_t)-1, g->gr_gid) == 0)
        return 0;
    return errno == EPERM && geteuid() == 0 ? give_as_member(path, g->gr_gid) : -errno;
}

int
door_unix_group(const struct plan_listen *plan, const char *path)
{
    gid_t gid;
    int r;

    if (plan->group == NULL)
        return chmod(path, 0600) < 0 ? door_refused(-errno, plan) : 0;
    r = unix_give(path, plan->group, &gid);
    if (r == -ENOENT)
        return broker_refuse(-ENOENT, plan->file, plan->line,
                             "listen %s: there is no group \"%s\": create it or correct group =",
                             plan->address, plan->group);
    if (r < 0)
        return broker_refuse(r, plan->file, plan->line,
                             "listen %s: the socket cannot be given to group \"%s\": an ordinary "
                             "user has to be a member of it",
                             plan->address, plan->group);
    return chmod(path, 0660) < 0 ? door_refused(-errno, plan) : 0;
}

const char *
door_unix_path(const struct door *d)
{
    return d->aside != NULL ? d->aside : d->plan->path;
}

int
door_unix(struct door *d)
{
    const struct plan_listen *plan = d->plan;
    const char *path = door_unix_path(d);
    int r;

    d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = d->fd < 0 ? -errno : unix_bind(d->fd, path, &d->file);
    if (r < 0)
        return door_refused(r, plan);
    r = door_unix_group(plan, path);
    if (r < 0)
        return r;
    return listen(d->fd, DOOR_BACKLOG) < 0 ? door_refused(-errno, plan) : 0;
}

void
door_unix_place(struct door *d)
{
    struct sockaddr_un *sa = (struct sockaddr_un *)&d->at;

    if (rename(d->aside, d->plan->path) < 0) {
        (void)log_errno(-errno, "listen %s: rename %s to it", d->plan->address, d->aside);
        return;
    }
    (void)snprintf(sa->sun_path, sizeof(sa->sun_path), "%s", d->plan->path);
    free(d->aside);
    d->aside = NULL;
}

/*
 * sandbox_broker() has taken from root what lets it write into another user's
 * directory, but not the right to be that user: the directory's owner may
 * remove the name. setfsuid(2) touches nothing but such checks.
 */
static int
unlink_as_owner(const char *path)
{
    char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    struct stat st;
    int r;

    (void)snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path + 1), path);
    if (stat(dir, &st) < 0)
        return -errno;
    (void)setfsuid(st.st_uid);
    r = unlink(path) < 0 ? -errno : 0;
    (void)setfsuid(geteuid());
    return r;
}

void
unix_unlink(const char *path, struct unix_file *f)
{
    struct stat st;
    int r = 0;

    if (f->ino == 0 || lstat(path, &st) < 0)
        return;
    if (st.st_dev == f->dev && st.st_ino == f->ino)
        r = unlink_as_owner(path);
    if (r < 0)
        (void)log_errno(r, "remove %s", path);
    f->ino = 0;
}

void
door_unix_done(struct door *d)
{
    if (d->file.ino != 0)
        unix_unlink(door_unix_path(d), &d->file);
}
