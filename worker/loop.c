/*
 * Events: who may go on. The work itself is tenant_round().
 *
 * Runs in: worker.   Trusts: the broker; nobody else.
 * Owns: the epoll set, listeners, helpers, connections.
 *
 * Everything is edge-triggered: an event is remembered where it belongs and
 * no fd is ever read to be told so. One round: answer what helpers sent, let
 * connections read, submit and write, wake helpers once each. The worker
 * sleeps only after each helper with calls in flight was told that it must
 * wake us.
 */
#include "worker/loop.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "ipc/boot.h"
#include "ipc/fd.h"
#include "ipc/log.h"

#define EVENTS 64
#define ACCEPTS_PER_ROUND 16
#define UNTOLD_PAUSE 20               /* ms that an unawaited call waits for something to go with */
#define SEND_BUFFER (4 * 1024 * 1024) /* the kernel takes as much of it as it allows */

int
loop_init(struct loop *l)
{
    memset(l, 0, sizeof(*l));
    arena_init(&l->arena);
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return l->epoll_fd < 0 ? -errno : 0;
}

int
loop_watch(struct loop *l, int fd, struct watch *w, unsigned wanted)
{
    struct epoll_event ev = {.events = wanted | EPOLLET, .data.ptr = w};

    return epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

void
loop_watch_output(void *loop, struct conn *c, bool on)
{
    const struct loop *l = loop;
    const unsigned wanted = on ? EPOLLIN | EPOLLOUT : EPOLLIN;
    struct epoll_event ev = {.events = wanted | EPOLLET, .data.ptr = &c->watch};

    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) < 0)
        bug("epoll_ctl of a connection: %d", errno);
}

int
loop_serve(struct loop *l, int fd)
{
    static const int bytes = SEND_BUFFER;
    struct conn *c;
    int r = conn_new(&l->tenant, fd, &c);

    if (r < 0) {
        close(fd);
        if (!l->refuses) /* the first of many: the broker reads what we log */
            (void)log_errno(r, "a connection was refused; and all until one is served again");
        l->refuses = true;
        return r;
    }
    l->refuses = false;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)); /* a wish */
    c->watch = (struct watch){WATCH_CONN, c};
    r = loop_watch(l, fd, &c->watch, EPOLLIN);
    if (r < 0) {
        conn_close(c);
        return log_errno(r, "epoll_ctl of a connection");
    }
    return 0;
}

/* True when more may be waiting. Out of fds or memory: from->ready stays, and
 * the rounds that follow try again, when something may have been closed. */
static bool
listener_accept(struct loop *l, struct listener *from)
{
    for (int i = 0; i < ACCEPTS_PER_ROUND; i++) {
        int fd = accept4(from->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            (void)loop_serve(l, fd);
        } else if (errno == EAGAIN) {
            from->ready = false;
            return false;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            return false;
        } /* else: that one went away before we took it */
    }
    return true;
}

static bool
accept_all(struct loop *l)
{
    bool more = false;

    for (size_t i = 0; i < l->nlisteners; i++) {
        if (l->listeners[i].ready)
            more |= listener_accept(l, &l->listeners[i]);
    }
    return more;
}

/* False: the broker is gone. */
static bool
hear_broker(struct loop *l)
{
    int fds[SHARE_FDS];
    Postern__V1__ToChild *m;
    size_t nfds;
    int r;

    while ((r = to_child_recv_fds(BOOT_FD, &m, fds, &nfds)) == 1) {
        loop_hear(l, m, fds);
        to_child_free(m);
    }
    if (r < 0 && r != -EAGAIN)
        violation("a message of the broker (%d)", -r);
    return r != 0;
}

static bool
take_event(struct loop *l, const struct epoll_event *ev)
{
    const struct watch *w = ev->data.ptr;

    switch (w->kind) {
    case WATCH_CONN:
        conn_event(w->of, (ev->events & EPOLLIN) != 0, (ev->events & EPOLLOUT) != 0,
                   (ev->events & (EPOLLHUP | EPOLLERR)) != 0);
        return true;
    case WATCH_LISTENER:
        ((struct listener *)w->of)->ready = true;
        return true;
    case WATCH_BROKER:
        return hear_broker(l);
    default: /* a helper: each is polled anyway */
        return true;
    }
}

/* Whether every helper that owes us an answer will wake us. */
static bool
may_sleep(struct loop *l)
{
    bool quiet = true;

    for (size_t i = 0; i < l->nhelpers && quiet; i++)
        quiet = l->helpers[i].fc == NULL || fs_channel_may_sleep(l->helpers[i].fc);
    return quiet;
}

static uint64_t
clock_ns(clockid_t id)
{
    struct timespec ts;

    (void)clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t
loop_clock(void)
{
    return clock_ns(CLOCK_MONOTONIC_COARSE) / 1000000;
}

static void
tell_helpers(struct loop *l)
{
    const bool all = l->tell_at != 0 && loop_clock() >= l->tell_at;
    bool some = false;

    for (size_t i = 0; i < l->nhelpers; i++) {
        if (l->helpers[i].fc != NULL)
            some |= fs_channel_notify(l->helpers[i].fc, all);
    }
    if (!some)
        l->tell_at = 0;
    else if (l->tell_at == 0)
        l->tell_at = loop_clock() + UNTOLD_PAUSE;
}

/* True when there is more to do at once. */
static bool
work(struct loop *l)
{
    bool more;

    for (size_t i = 0; i < l->nhelpers; i++) {
        if (l->helpers[i].fc != NULL)
            (void)fs_channel_poll(l->helpers[i].fc, &l->arena);
    }
    more = accept_all(l);
    more |= tenant_round(&l->tenant);
    tell_helpers(l);
    return more;
}

/* The shorter of two waits; below 0: for ever. */
static int
sooner(int a, int b)
{
    return b < 0 || (a >= 0 && a < b) ? a : b;
}

static int
untold_pause(const struct loop *l)
{
    const uint64_t now = l->tell_at != 0 ? loop_clock() : 0;

    if (l->tell_at == 0)
        return -1;
    return l->tell_at > now ? (int)(l->tell_at - now) : 0;
}

/* How long to sleep at most: who waits for a lock or for its turn shortens it,
 * and so do a share that drains and a helper that is yet to be told. */
static int
patience(struct loop *l, int timeout_ms)
{
    timeout_ms = sooner(timeout_ms, loop_shares_patience(l));
    timeout_ms = sooner(timeout_ms, untold_pause(l));
    if (l->tenant.locks_waiting > 0)
        timeout_ms = sooner(timeout_ms, tenant_pause(&l->tenant, loop_clock()));
    if (l->tenant.paced)
        timeout_ms = sooner(timeout_ms, pace_pause(&l->tenant));
    return timeout_ms;
}

bool
loop_once(struct loop *l, int timeout_ms)
{
    struct epoll_event ev[EVENTS];
    bool alive = true;
    int n;

    timeout_ms = patience(l, timeout_ms);
    n = epoll_pwait(l->epoll_fd, ev, EVENTS, l->busy || !may_sleep(l) ? 0 : timeout_ms, NULL);
    if (n < 0 && errno != EINTR)
        die("epoll_pwait");
    if (l->tenant.paced)
        l->tenant.now = clock_ns(CLOCK_MONOTONIC);
    for (size_t i = 0; i < l->nhelpers; i++) {
        if (l->helpers[i].fc != NULL)
            fs_channel_awake(l->helpers[i].fc);
    }
    for (int i = 0; i < n && alive; i++)
        alive = take_event(l, &ev[i]);
    l->busy = work(l);
    l->busy |= loop_shares_round(l); /* after it: who left last makes a share idle */
    return alive;
}

bool
loop_is_over(const struct loop *l)
{
    return l->nlisteners == 0 && l->tenant.nconns == 0;
}
