/*
 * The loop of a helper: one thread takes every request, in order, and answers
 * it; but what a thread of the pool waited for, that thread answers where it can.
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

#define BATCH_MAX POOL_BATCH_MAX /* replies before the worker is told */
#define ROOM_WAIT_MS 2           /* between looks at a full reply ring */

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
    int r;

    pool_lock(s->sh->pool);
    r = channel_notify(&s->sh->ch);
    pool_unlock(s->sh->pool);
    if (r < 0)
        die("eventfd of the worker");
}

/* What is said beside the status: a message, or what a job has to say. */
struct answer {
    int status;
    const ProtobufCMessage *rep; /* unless there is a job */
    const struct job *job;
};

static int
try_reply(struct serve *s, const struct frame *req, const struct answer *a)
{
    struct frame f = *req;
    uint8_t *body;
    size_t n = 0;
    int r;

    pool_lock(s->sh->pool);
    r = channel_reserve(&s->sh->ch, &body);
    if (r == 0) {
        f.status = a->status;
        if (a->status == 0)
            n = a->job != NULL ? a->job->pack(a->job, body) : protobuf_c_message_pack(a->rep, body);
        channel_commit(&s->sh->ch, &f, n);
    }
    pool_unlock(s->sh->pool);
    return r;
}

/* Every request gets exactly one reply. While the ring is full we wait for
 * the worker: it may only send what it will also take back. */
static void
reply(struct serve *s, const struct frame *req, const struct answer *a)
{
    int r;

    while ((r = try_reply(s, req, a)) == -EAGAIN && !s->parent_gone) {
        tell_worker(s);
        wait_for_something(s, ROOM_WAIT_MS);
    }
    if (r < 0 && !s->parent_gone)
        violation("worker broke the reply ring");
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
        reply(s, &f, &(struct answer){.status = r, .rep = rep});
    return true;
}

/* Clear up after a job of the pool, and answer its requests if nobody has. How
 * many those were; 0: there is no job. */
static unsigned
finish_one(struct serve *s)
{
    struct job *first = pool_collect(s->sh->pool), *next;
    unsigned n = 0;

    if (first == NULL)
        return 0;
    io_finish(s->sh, first);
    for (struct job *j = first; j != NULL; j = next, n++) {
        next = j->group;
        if (!first->answered)
            reply(s, &j->frame, &(struct answer){.status = first->status, .job = first});
    }
    for (struct job *j = first; j != NULL; j = next) {
        next = j->group;
        pool_job_put(s->sh->pool, j);
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
    nodes_let_go(&s->sh->nodes);
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
