/*
 * A server that does nothing, in two processes as ours has them: the first
 * takes messages from a socket and puts them into a channel, the second sends
 * back what a getattr needs. What is slower than this is our own work.
 *
 * Runs in: bench.   Trusts: the bench.   Owns: both processes, until the
 * connection ends.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/bench.h"
#include "control/nine_wire.h"
#include "ipc/channel.h"

#define REQUEST_BODY 20u /* bytes of our GetattrReq, and of its Rep */
#define REPLY_BODY 140u
#define BATCH 32u
#define GETATTR_BYTES 160u

struct relay {
    struct channel ch;
    int sock, wake; /* wake: the other side's word */
    uint8_t in[65536], out[65536];
    size_t nin, nout;
};

static void
must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "bench: floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void
rest(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint64_t n;

    (void)poll(&p, 1, -1);
    (void)!read(fd, &n, sizeof(n));
}

/* The second process. */
static void
answer(struct channel *ch, int wake)
{
    static uint8_t body[FRAME_BODY_MAX];
    struct frame f;
    size_t n;

    for (;;) {
        unsigned done = 0;

        while (done < BATCH && channel_recv(ch, &f, body, &n) == 1) {
            must(channel_send(ch, &f, body, REPLY_BODY) == 0, "reply ring");
            done++;
        }
        (void)channel_notify(ch);
        if (done > 0 || !channel_may_sleep(ch))
            continue;
        rest(wake);
        channel_awake(ch);
    }
}

static uint32_t
le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void
put_reply(struct relay *r, uint8_t type, uint16_t tag, const void *body, uint32_t n)
{
    uint8_t *p = r->out + r->nout;
    const uint32_t size = 7 + n;

    memcpy(p, &size, 4);
    p[4] = type;
    memcpy(p + 5, &tag, 2);
    memcpy(p + 7, body, n);
    r->nout += size;
}

/* Version and attach are answered here. */
static void
take_message(struct relay *r, const uint8_t *m, uint32_t n)
{
    static const uint8_t body[REQUEST_BODY], qid[13];
    const uint16_t tag = (uint16_t)(m[5] | m[6] << 8);
    const struct frame f = {.op = 1, .tag = tag};

    if (m[4] == NINE_TVERSION)
        put_reply(r, NINE_TVERSION + 1, tag, m + 7, n - 7);
    else if (m[4] == NINE_TATTACH)
        put_reply(r, NINE_TATTACH + 1, tag, qid, sizeof(qid));
    else
        must(channel_send(&r->ch, &f, body, sizeof(body)) == 0, "request ring");
}

static void
take_in(struct relay *r)
{
    ssize_t n = recv(r->sock, r->in + r->nin, sizeof(r->in) - r->nin, MSG_DONTWAIT);
    size_t at = 0;

    if (n == 0)
        exit(0);
    r->nin += n > 0 ? (size_t)n : 0;
    while (r->nin - at >= 7 && r->nin - at >= le32(r->in + at)) {
        take_message(r, r->in + at, le32(r->in + at));
        at += le32(r->in + at);
    }
    memmove(r->in, r->in + at, r->nin - at);
    r->nin -= at;
    (void)channel_notify(&r->ch);
}

static bool
give_out(struct relay *r)
{
    static uint8_t body[FRAME_BODY_MAX];
    static const uint8_t attr[GETATTR_BYTES - 7];
    struct frame f;
    size_t n;
    bool any = false;

    while (channel_recv(&r->ch, &f, body, &n) == 1) {
        put_reply(r, NINE_TGETATTR + 1, (uint16_t)f.tag, attr, sizeof(attr));
        any = true;
    }
    if (r->nout > 0)
        must(send(r->sock, r->out, r->nout, MSG_NOSIGNAL) == (ssize_t)r->nout, "send");
    r->nout = 0;
    return any;
}

static void
relay(struct relay *r)
{
    for (;;) {
        struct pollfd p[2] = {{.fd = r->sock, .events = POLLIN}, {.fd = r->wake, .events = POLLIN}};
        uint64_t n;

        if (give_out(r) || !channel_may_sleep(&r->ch))
            continue;
        (void)poll(p, 2, -1);
        channel_awake(&r->ch);
        if (p[1].revents != 0)
            (void)!read(r->wake, &n, sizeof(n));
        if (p[0].revents != 0)
            take_in(r);
    }
}

static int
accept_one(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
    must(bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 1) == 0, path);
    return accept(fd, NULL, NULL);
}

int
floor_serve(const char *path)
{
    static struct relay r;
    struct channel second;
    int memfd = channel_create(), there = eventfd(0, EFD_NONBLOCK), back = eventfd(0, EFD_NONBLOCK);

    must(channel_open(&second, CHANNEL_HELPER, memfd, back) == 0, "channel");
    must(channel_open(&r.ch, CHANNEL_WORKER, memfd, there) == 0, "channel");
    if (fork() == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        answer(&second, there);
    }
    r.wake = back;
    r.sock = accept_one(path);
    must(r.sock >= 0, "accept");
    relay(&r);
    return 0;
}
