/*
 * Listening sockets: made before anything else is, handed to each worker in
 * turn, and kept here so that a tenant which starts again keeps its address.
 *
 * Runs in: broker.   Trusts: the policy.
 * Owns: the sockets and the files of unix sockets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "broker/broker.h"
#include "ipc/fd.h"
#include "ipc/log.h"

#define BACKLOG 128

/* What may be wrong with an address, and what to do. */
static const struct {
    int err;
    const char *what;
} refusals[] = {
    {EADDRINUSE, "address in use by another server: stop that one, or choose another address"},
    {EEXIST, "there is a file of that name which is no socket: move it away"},
    {ENOENT, "its directory does not exist: create it"},
    {ENAMETOOLONG, "the path is longer than a socket's may be: choose a shorter one"},
    {EADDRNOTAVAIL, "this machine has no such address"},
    {EACCES, "this user may not: choose another address, or run posternd as root"},
};

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
refused(int r, const struct plan_listen *plan)
{
    const char *what = strerror(-r);

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (refusals[i].err == -r)
            what = refusals[i].what;
    return broker_refuse(r, plan->file, plan->line, "listen %s: %s", plan->address, what);
}

static int
unix_group(const struct plan_listen *plan)
{
    const struct group *g;

    if (plan->group == NULL)
        return chmod(plan->path, 0600) < 0 ? refused(-errno, plan) : 0;
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
    return chmod(plan->path, 0660) < 0 ? refused(-errno, plan) : 0;
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

static int
open_unix(struct door *d)
{
    const struct plan_listen *plan = d->plan;
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int r;

    if (strlen(plan->path) >= sizeof(sa.sun_path))
        return refused(-ENAMETOOLONG, plan);
    memcpy(sa.sun_path, plan->path, strlen(plan->path) + 1);
    d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    r = d->fd < 0 ? -errno : bind_unix(d->fd, &sa);
    if (r == 0)
        r = unix_made(d);
    if (r < 0)
        return refused(r, plan);
    r = unix_group(plan);
    if (r < 0)
        return r;
    return listen(d->fd, BACKLOG) < 0 ? refused(-errno, plan) : 0;
}

/* A numeric address; policy refused everything else. */
static socklen_t
tcp_address(const struct plan_listen *plan, struct sockaddr_storage *ss)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

    memset(ss, 0, sizeof(*ss));
    if (inet_pton(AF_INET, plan->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(plan->port);
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, plan->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(plan->port);
        return sizeof(*v6);
    }
    return 0;
}

static int
tcp_port(struct door *d)
{
    struct sockaddr_storage ss;
    socklen_t n = sizeof(ss);

    if (getsockname(d->fd, (struct sockaddr *)&ss, &n) < 0)
        return -errno;
    d->port = ntohs(ss.ss_family == AF_INET ? ((const struct sockaddr_in *)&ss)->sin_port
                                            : ((const struct sockaddr_in6 *)&ss)->sin6_port);
    return 0;
}

static int
open_tcp(struct door *d)
{
    struct sockaddr_storage ss;
    socklen_t n = tcp_address(d->plan, &ss);
    int one = 1;

    if (n == 0)
        return refused(-EINVAL, d->plan);
    d->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (d->fd < 0)
        return refused(-errno, d->plan);
    /* accepted connections inherit TCP_NODELAY; the worker may not set it */
    if (setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        setsockopt(d->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
        bind(d->fd, (const struct sockaddr *)&ss, n) < 0 || listen(d->fd, BACKLOG) < 0)
        return refused(-errno, d->plan);
    return tcp_port(d);
}

int
door_open(struct door *d, const struct plan_listen *plan)
{
    *d = (struct door){.plan = plan, .fd = -1};
    return plan->transport == TRANSPORT_UNIX ? open_unix(d) : open_tcp(d);
}

const char *
door_address(const struct door *d)
{
    static char text[sizeof(struct sockaddr_un) + sizeof("unix:")];

    if (d->plan->transport == TRANSPORT_UNIX) {
        (void)snprintf(text, sizeof(text), "unix:%s", d->plan->path);
        return text;
    }
    if (strchr(d->plan->host, ':') != NULL)
        (void)snprintf(text, sizeof(text), "tcp:[%s]:%u", d->plan->host, d->port);
    else
        (void)snprintf(text, sizeof(text), "tcp:%s:%u", d->plan->host, d->port);
    return text;
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
door_done(struct door *d)
{
    struct stat st;
    int r = 0;

    clean_fd(&d->fd);
    if (d->ino == 0 || lstat(d->plan->path, &st) < 0)
        return;
    if (st.st_dev == d->dev && st.st_ino == d->ino)
        r = unlink_as_owner(d->plan->path);
    if (r < 0)
        (void)log_errno(r, "remove %s", d->plan->path);
    d->ino = 0;
}
