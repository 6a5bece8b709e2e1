/*
 * Sockets that posternd is started with: "fd:N" of the command line, and those
 * of systemd's socket activation (sd_listen_fds(3): LISTEN_PID, LISTEN_FDS,
 * LISTEN_FDNAMES; the first is fd 3).
 *
 * Runs in: broker.   Trusts: who started it to mean what it says, not to have
 * left nothing else open.   Owns: nothing; a named fd becomes its door's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/door.h"
#include "ipc/fd.h"

#define FIRST_FD 3

int
inherit_stdio(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (fd < 0)
            return -errno;
        if (fd <= STDERR_FILENO && fcntl(fd, F_SETFD, 0) < 0)
            return -errno;
    } while (fd <= STDERR_FILENO);
    close(fd);
    return 0;
}

/* --- which number it is ---------------------------------------------------------- */

static long
number_of(const char *variable)
{
    const char *s = getenv(variable);
    char *end;
    long v;

    if (s == NULL || *s < '0' || *s > '9')
        return -1;
    errno = 0;
    v = strtol(s, &end, 10);
    return errno == 0 && *end == '\0' ? v : -1;
}

/* The only fd of that name, or -errno for door_refused(). */
static int
activation_fd(const char *name)
{
    const char *names = getenv("LISTEN_FDNAMES");
    long n = number_of("LISTEN_FDS");
    int found = -ENOENT;

    if (number_of("LISTEN_PID") != getpid() || n < 1)
        return -ESRCH;
    for (int i = 0; i < n && names != NULL; i++) {
        size_t len = strcspn(names, ":");

        if (len == strlen(name) && memcmp(names, name, len) == 0)
            found = found == -ENOENT ? FIRST_FD + i : -ENOTUNIQ;
        names = names[len] == ':' ? names + len + 1 : NULL;
    }
    return found;
}

static bool
is_inherited(const struct plan_listen *l)
{
    return l->transport == TRANSPORT_FD || l->transport == TRANSPORT_SYSTEMD;
}

static int
inherited_fd(const struct plan_listen *l)
{
    return l->transport == TRANSPORT_FD ? l->fd : activation_fd(l->name);
}

/* --- closing the others ----------------------------------------------------------- */

struct kept {
    int *fds; /* owned */
    size_t n;
};

static bool
is_kept(const struct kept *k, int fd)
{
    for (size_t i = 0; i < k->n; i++)
        if (k->fds[i] == fd)
            return true;
    return false;
}

static int
keep(struct kept *k, const struct plan_listen *l)
{
    int fd = inherited_fd(l);

    if (fd >= 0 && is_kept(k, fd))
        fd = -ENOTUNIQ;
    if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        fd = -errno;
    if (fd < 0)
        return door_refused(fd, l);
    k->fds[k->n++] = fd;
    return 0;
}

static int
by_number(const void *a, const void *b)
{
    const int *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static int
close_others(struct kept *k)
{
    unsigned from = FIRST_FD;

    if (k->n > 0)
        qsort(k->fds, k->n, sizeof(*k->fds), by_number);
    for (size_t i = 0; i < k->n; i++) {
        unsigned fd = (unsigned)k->fds[i];

        if (fd > from && close_range(from, fd - 1, 0) < 0)
            return -errno;
        from = fd + 1;
    }
    return close_range(from, ~0u, 0) < 0 ? -errno : 0;
}

static int
keep_all(struct kept *k, const struct plan *plan)
{
    int r = 0;

    for (size_t i = 0; i < plan->ntenants && r == 0; i++) {
        const struct plan_tenant *t = &plan->tenants[i];

        for (size_t j = 0; j < t->nlistens && r == 0; j++)
            if (is_inherited(&t->listens[j]))
                r = keep(k, &t->listens[j]);
    }
    return r;
}

int
inherit_only(const struct plan *plan)
{
    _clean(clean_free) int *fds = NULL;
    struct kept k = {0};
    size_t room = 1;
    int r;

    for (size_t i = 0; i < plan->ntenants; i++)
        room += plan->tenants[i].nlistens;
    fds = calloc(room, sizeof(*fds));
    if (fds == NULL)
        return -ENOMEM;
    k.fds = fds;
    r = keep_all(&k, plan);
    return r == 0 ? close_others(&k) : r;
}

/* --- what it is -------------------------------------------------------------------- */

static int
option(int fd, int name, int *ret)
{
    socklen_t n = sizeof(*ret);

    return getsockopt(fd, SOL_SOCKET, name, ret, &n) < 0 ? -errno : 0;
}

static bool
is_abstract(int fd)
{
    struct sockaddr_storage ss = {0};
    socklen_t n = sizeof(ss);

    return getsockname(fd, (struct sockaddr *)&ss, &n) == 0 && ss.ss_family == AF_UNIX &&
           ((const char *)&ss)[sizeof(sa_family_t)] == '\0';
}

/* 0: a listener; 1: a connection; -errno for door_refused(). */
static int
socket_kind(int fd)
{
    static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_VSOCK};
    struct sockaddr_storage peer;
    socklen_t n = sizeof(peer);
    int type, family, listens, r = option(fd, SO_TYPE, &type);
    bool known = false;

    if (r < 0)
        return r;
    if (type != SOCK_STREAM)
        return -EPROTOTYPE;
    if (option(fd, SO_DOMAIN, &family) < 0 || option(fd, SO_ACCEPTCONN, &listens) < 0)
        return -errno;
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        known = known || families[i] == family;
    if (!known)
        return -EAFNOSUPPORT;
    if (listens != 0)
        return is_abstract(fd) ? -EADDRNOTAVAIL : 0;
    return getpeername(fd, (struct sockaddr *)&peer, &n) < 0 ? -ENOTCONN : 1;
}

int
door_inherited(struct door *d)
{
    int kind;

    d->fd = inherited_fd(d->plan); /* inherit_only() found it to be open */
    kind = d->fd < 0 ? d->fd : socket_kind(d->fd);
    if (kind < 0)
        return door_refused(kind, d->plan);
    d->connected = kind == 1;
    return 0;
}
