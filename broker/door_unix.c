/*
 * Unix sockets at a path: the file, who may connect to it, and its end.
 *
 * Runs in: broker.   Trusts: the policy, not the directory the file lies in.
 * Owns: nothing beyond a call; the socket and its file are the door's.
 */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
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
    return errno == ECONNREFUSED ? 0 : -errno;
}

static int
bind_unix(int fd, const struct sockaddr_un *sa)
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

static int
unix_group(const struct plan_listen *plan)
{
    const struct group *g;

    if (plan->group == NULL)
        return chmod(plan->path, 0600) < 0 ? door_refused(-errno, plan) : 0;
    g = getgrnam(plan->group);
    if (g == NULL)
        return broker_refuse(-ENOENT, plan->file, plan->line,
                             "listen %s: there is no group \"%s\": create it or correct group =",
                             plan->address, plan->group);
    if (lchown(plan->path, (uid_t)-1, g->gr_gid) < 0)
        return broker_refuse(-errno, plan->file, plan->line,
                             "listen %s: the socket cannot be given to group \"%s\": an ordinary "
                             "user has to be a member of it",
                             plan->address, plan->group);
    return chmod(plan->path, 0660) < 0 ? door_refused(-errno, plan) : 0;
}

static int
unix_made(struct door *d)
{
    struct stat st;

    if (lstat(d->plan->path, &st) < 0)
        return -errno;
    d->dev = st.st_dev;
    d->ino = st.st_ino;
    return 0;
}

int
door_unix(struct door *d)
{
    const struct plan_listen *plan = d->plan;
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int r;

    if (strlen(plan->path) >= sizeof(sa.sun_path))
        return door_refused(-ENAMETOOLONG, plan);
    memcpy(sa.sun_path, plan->path, strlen(plan->path) + 1);
    d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = d->fd < 0 ? -errno : bind_unix(d->fd, &sa);
    if (r == 0)
        r = unix_made(d);
    if (r < 0)
        return door_refused(r, plan);
    r = unix_group(plan);
    if (r < 0)
        return r;
    return listen(d->fd, DOOR_BACKLOG) < 0 ? door_refused(-errno, plan) : 0;
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
door_unix_done(struct door *d)
{
    struct stat st;
    int r = 0;

    if (d->ino == 0 || lstat(d->plan->path, &st) < 0)
        return;
    if (st.st_dev == d->dev && st.st_ino == d->ino)
        r = unlink_as_owner(d->plan->path);
    if (r < 0)
        (void)log_errno(r, "remove %s", d->plan->path);
    d->ino = 0;
}
