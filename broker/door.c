/*
 * Where guests come in: sockets made before anything else is, handed to each
 * worker in turn, and kept here so that a tenant which starts again keeps its
 * address. A door may also be one connection that is there already; it is
 * handed over once, and over when the guest hangs up.
 *
 * Runs in: broker.   Trusts: the policy.
 * Owns: the sockets and what waits for a connection's end.
 */
#include "broker/door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/log.h"

#define FIRST_FD 3 /* those before it are of standard input and output */
#define BIT(transport) (1u << TRANSPORT_##transport)
#define OURS (BIT(UNIX) | BIT(TCP) | BIT(VSOCK))
#define INHERITED (BIT(SYSTEMD) | BIT(FD))

static int (*const opens[])(struct door *d) = {
    [TRANSPORT_UNIX] = door_unix,         [TRANSPORT_TCP] = door_tcp,
    [TRANSPORT_VSOCK] = door_vsock,       [TRANSPORT_FD] = door_inherited,
    [TRANSPORT_SYSTEMD] = door_inherited,
};

/* What may be wrong with an address, and what to do. */
static const struct {
    int err;
    unsigned with;
    const char *what;
} refusals[] = {
    {EADDRINUSE, OURS,
     "address in use by another server: stop that one, or choose another address"},
    {EEXIST, BIT(UNIX), "there is a file of that name which is no socket: move it away"},
    {ENOENT, BIT(UNIX), "its directory does not exist: create it"},
    {ENAMETOOLONG, BIT(UNIX), "the path is longer than a socket's may be: choose a shorter one"},
    {EADDRNOTAVAIL, OURS, "this machine has no such address"},
    {EACCES, OURS, "this user may not: choose another address, or run posternd as root"},
    {EAFNOSUPPORT, BIT(VSOCK), "this kernel has no vsock: load its modules (vsock, vhost_vsock)"},
    {ESRCH, BIT(SYSTEMD),
     "no sockets were passed at start (LISTEN_FDS): start posternd from its .socket unit"},
    {ENOENT, BIT(SYSTEMD),
     "no socket of that name was passed: FileDescriptorName= in its .socket unit gives it"},
    {ENOTUNIQ, INHERITED,
     "more than one socket goes by that name: give each a name, and a listen, of its own"},
    {EBADF, INHERITED, "there is no such fd: leave it open for posternd when you start it"},
    {ENOTSOCK, INHERITED,
     "it is no socket: two pipes cannot be served, give one stream socket (socketpair(2))"},
    {EPROTOTYPE, INHERITED, "it is no stream socket: give one of SOCK_STREAM"},
    {EAFNOSUPPORT, INHERITED, "it is none of unix, TCP and vsock: give one of these"},
    {EADDRNOTAVAIL, INHERITED,
     "it is an abstract unix socket, to which everybody may connect: bind it to a path"},
    {ENOTCONN, INHERITED, "it neither listens nor is connected: do one of these first"},
    {EPERM, INHERITED,
     "it can be reached from other machines: bind it to a loopback address, or pass it by "
     "systemd to a policy with allow-remote = yes"},
};

int
door_refused(int r, const struct plan_listen *plan)
{
    const char *what = strerror(-r);

    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (refusals[i].err == -r && (refusals[i].with & (1u << plan->transport)) != 0)
            what = refusals[i].what;
    return broker_refuse(r, plan->file, plan->line, "listen %s: %s", plan->address, what);
}

/* --- opening -------------------------------------------------------------------- */

void
door_init(struct door *d, struct tenant *t, const struct plan_listen *plan)
{
    *d = (struct door){.t = t, .plan = plan, .fd = -1, .hangup_fd = -1};
}

static bool
is_remote(const struct sockaddr_storage *ss)
{
    const void *addr = ss->ss_family == AF_INET
                           ? (const void *)&((const struct sockaddr_in *)ss)->sin_addr
                           : (const void *)&((const struct sockaddr_in6 *)ss)->sin6_addr;
    char host[INET6_ADDRSTRLEN];

    if (ss->ss_family != AF_INET && ss->ss_family != AF_INET6)
        return false;
    return inet_ntop(ss->ss_family, addr, host, sizeof(host)) == NULL || !host_is_loopback(host);
}

void
door_warn_remote(const struct plan_listen *plan)
{
    log_warn(DOOR_REMOTE_WARNING, plan->address);
}

/* It has a socket: what its own address is, and whether that may be. */
static int
door_look(struct door *d)
{
    socklen_t n = sizeof(d->at);

    memset(&d->at, 0, sizeof(d->at));
    if (getsockname(d->fd, (struct sockaddr *)&d->at, &n) < 0)
        return door_refused(-errno, d->plan);
    if (!is_remote(&d->at))
        return 0;
    if (!d->plan->allow_remote)
        return door_refused(-EPERM, d->plan);
    door_warn_remote(d->plan);
    return 0;
}

int
door_open(struct door *d)
{
    int r = opens[d->plan->transport](d);

    return r < 0 ? r : door_look(d);
}

int
door_open_beside(struct door *d, const struct door *from)
{
    if (from->connected || from->fd < 0)
        return door_open(d);
    if (d->plan->transport == TRANSPORT_UNIX) {
        if (asprintf(&d->aside, "%s.new", d->plan->path) < 0) {
            d->aside = NULL;
            return -ENOMEM;
        }
        return door_open(d);
    }
    d->fd = fcntl(from->fd, F_DUPFD_CLOEXEC, FIRST_FD);
    return d->fd < 0 ? door_refused(-errno, d->plan) : door_look(d);
}

void
door_take_place(struct door *d)
{
    if (d->aside != NULL)
        door_unix_place(d);
}

/* --- a connection's end ----------------------------------------------------------- */

bool
door_is_open(const struct door *d)
{
    return d->fd >= 0;
}

static void
on_hangup(evutil_socket_t fd, short what, void *ctx)
{
    struct door *d = ctx;

    (void)fd;
    (void)what;
    log_info("tenant %s: %s: the guest hung up", d->t->plan->name, d->plan->address);
    door_done(d);
    tenant_door_closed(d->t);
}

/*
 * The socket stays open here too: only so does the guest's end come to notice
 * however quick the worker is to close its own. An epoll set of its own wakes
 * us for that alone, and not for each request, as a loop does that waits for
 * reading.
 */
static int
wait_for_end(struct door *d)
{
    struct epoll_event ev = {.events = EPOLLRDHUP};

    d->hangup_fd = epoll_create1(EPOLL_CLOEXEC);
    if (d->hangup_fd < 0 || epoll_ctl(d->hangup_fd, EPOLL_CTL_ADD, d->fd, &ev) < 0)
        return -errno;
    d->hangup = event_new(d->t->b->base, d->hangup_fd, EV_READ, on_hangup, d);
    return d->hangup == NULL || event_add(d->hangup, NULL) < 0 ? -ENOMEM : 0;
}

int
door_handed_over(struct door *d)
{
    return d->connected && d->fd >= 0 ? wait_for_end(d) : 0;
}

void
door_worker_ended(struct door *d)
{
    /* in the middle of a conversation that no other worker can continue */
    if (d->hangup_fd >= 0)
        door_done(d);
}

void
door_done(struct door *d)
{
    if (d->hangup != NULL)
        event_free(d->hangup);
    d->hangup = NULL;
    clean_fd(&d->hangup_fd);
    clean_fd(&d->fd);
    door_unix_done(d);
    free(d->aside);
    d->aside = NULL;
}
