/*
 * The loop of a helper: one thread takes every request, in order, and gives
 * every reply; the pool only does the waiting in between.
 *
 * Runs in: helper, main thread.   Trusts: the broker to close fd 3 when it is
 * over; nothing that the worker sends.   Owns: the epoll fd.
 */
#include "proxy-helper/serve.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/log.h"
#include "proxy-helper/dispatch.h"
#include "proxy-helper/op.h"

#define BATCH_MAX 32u  /* replies before the worker is told */
#define ROOM_WAIT_MS 2 /* between looks at a full reply ring */

static int
watch(int epoll_fd, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = fd};

    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

int
serve_init(struct serve *s, struct share *sh, int event_fd, int boot_fd)
{
    _clean(clean_fd) int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int r;

    if (epoll_fd < 0)
        return -errno;
    r = watch(epoll_fd, event_fd);
    if (r == 0)
        r = watch(epoll_fd, boot_fd);
    if (r < 0)
        return r;
    s->sh = sh;
    s->boot_fd = boot_fd;
    s->parent_gone = false;
    s->epoll_fd = take_fd(&epoll_fd);
    return 0;
}

void
serve_done(struct serve *s)
{
    clean_fd(&s->epoll_fd);
}

/* The broker has nothing to say to a helper; only that it is gone matters. */
static void
hear_broker(struct serve *s)
{
    char byte;
    ssize_t n;

    do {
        n = recv(s->boot_fd, &byte, sizeof(byte), MSG_DONTWAIT);
    } while (n > 0);
    if (n == 0 || (errno != EAGAIN && errno != EINTR))
        s->parent_gone = true;
}

/* Edge-triggered: the eventfd is never read, each write to it is an edge. */
static void
wait_for_something(struct serve *s, int timeout_ms)
{
    struct epoll_event ev[2];
    int n = epoll_pwait(s->epoll_fd, ev, 2, timeout_ms, NULL);

    if (n < 0 && errno != EINTR)
        die("epoll_pwait");
    for (int i = 0; i < n; i++) {
        if (ev[i].data.fd == s->boot_fd)
            hear_broker(s);
    }
}

static void
tell_worker(struct serve *s)
{
    if (channel_notify(&s->sh->ch) < 0)
        die("eventfd of the worker");
}

/* Every request gets exactly one reply. While the ring is full we wait for
 * the worker: it may only send what it will also take back. */
static void
reply(struct serve *s, const struct frame *req, int status, const ProtobufCMessage *rep)
{
    struct frame f = *req;
    uint8_t *body;
    size_t n = 0;
    int r;

    while ((r = channel_reserve(&s->sh->ch, &body)) == -EAGAIN && !s->parent_gone) {
        tell_worker(s);
        wait_for_something(s, ROOM_WAIT_MS);
    }
    if (s->parent_gone)
        return;
    if (r < 0)
        violation("worker broke the reply ring");
    f.status = status;
    if (status == 0)
        n = protobuf_c_message_pack(rep, body);
    channel_commit(&s->sh->ch, &f, n);
}

/* Take and answer one request. false: there is none. */
static bool
serve_one(struct serve *s)
{
    const ProtobufCMessage *rep = NULL;
    struct frame f;
    size_t n;
    int r = channel_recv(&s->sh->ch, &f, s->body, &n);

    if (r < 0)
        violation("worker broke the request ring");
    if (r == 0)
        return false;
    if (f.reserved != 0 || f.status != 0)
        violation("worker sent a frame that is no request");
    r = dispatch(s->sh, &f, s->body, n, &rep);
    if (r != OP_LATER)
        reply(s, &f, r, rep);
    return true;
}

/* Answer what comes back from the pool. How many requests that was; 0: none. */
static unsigned
finish_one(struct serve *s)
{
    const ProtobufCMessage *rep = NULL;
    struct job *j = pool_collect(s->sh->pool), *next;
    unsigned n = 0;
    int r = j != NULL ? io_finish(s->sh, j, &rep) : 0;

    for (; j != NULL; j = next, n++) {
        const struct frame f = j->frame;

        next = j->group;
        pool_job_put(s->sh->pool, j);
        reply(s, &f, r, rep);
    }
    return n;
}

/* A batch: what the pool has done, then what the worker asks. */
static bool
serve_batch(struct serve *s)
{
    unsigned n = 0, got;

    while (n < BATCH_MAX && (got = finish_one(s)) > 0)
        n += got;
    while (n < BATCH_MAX && !s->parent_gone && serve_one(s))
        n++;
    tell_worker(s);
    return n > 0;
}

void
serve_run(struct serve *s)
{
    while (!s->parent_gone) {
        if (serve_batch(s))
            continue;
        if (!channel_may_sleep(&s->sh->ch))
            continue;
        if (pool_may_sleep(s->sh->pool))
            wait_for_something(s, -1);
        channel_awake(&s->sh->ch);
    }
}
