/*
 * Asking a running posternd.
 *
 * Runs in: the command line.   Trusts: nothing the server says.
 * Owns: the packets of an answer, until control_answer_done().
 */
#include "control/control_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ipc/control.h"
#include "ipc/fd.h"

#define CONTROL_RETRY_MS 20 /* a full queue of a unix socket cannot be polled */

int64_t
control_now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* 0: ready for these events; -ETIMEDOUT; -errno. */
static int
wait_for(int fd, short events, int64_t deadline)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int64_t left = deadline - control_now();
        int n = left <= 0 ? 0 : poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);

        if (n > 0)
            return 0;
        if (n == 0)
            return -ETIMEDOUT;
        if (errno != EINTR)
            return -errno;
    }
}

/* Does not block: a server that accepts nobody must not hold us. */
static int
connect_to(int fd, const struct sockaddr_un *at, int64_t deadline)
{
    static const struct timespec pause = {.tv_nsec = CONTROL_RETRY_MS * 1000000L};

    while (connect(fd, (const struct sockaddr *)at, sizeof(*at)) < 0) {
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
        if (control_now() >= deadline)
            return -ETIMEDOUT;
        (void)nanosleep(&pause, NULL);
    }
    return 0;
}

int
control_connect(const char *path, int64_t deadline)
{
    _clean(clean_fd) int fd = -1;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    int r;

    if (n == 0)
        return -ENOENT;
    if (n >= sizeof(at.sun_path))
        return -ENAMETOOLONG;
    memcpy(at.sun_path, path, n);
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    r = connect_to(fd, &at, deadline);
    return r < 0 ? r : take_fd(&fd);
}

static int
send_request(int fd, const Postern__V1__ControlRequest *req, int64_t deadline)
{
    _clean(clean_free) uint8_t *buf = NULL;
    size_t n = postern__v1__control_request__get_packed_size(req);
    int r;

    if (n > CONTROL_BYTES_MAX)
        return -EMSGSIZE;
    buf = malloc(n);
    if (buf == NULL)
        return -ENOMEM;
    (void)postern__v1__control_request__pack(req, buf);
    do {
        r = wait_for(fd, POLLOUT, deadline);
        if (r == 0)
            r = fd_send(fd, buf, n, NULL, 0);
    } while (r == -EAGAIN || r == -EINTR);
    /* Who is turned away finds the reason in the socket. */
    return r == -EPIPE || r == -ECONNRESET ? 0 : r;
}

/* One packet into buf: its length, or -errno. */
static ssize_t
receive(int fd, uint8_t *buf, int64_t deadline)
{
    size_t nfds = 0;
    ssize_t n;

    do {
        n = wait_for(fd, POLLIN, deadline);
        if (n == 0) {
            n = fd_recv(fd, buf, CONTROL_BYTES_MAX, NULL, 0, &nfds);
            if (n == 0)
                return -EPIPE;
        }
        /* ECONNRESET: the server left without reading; it comes once, before
         * what the server wrote. */
    } while (n == -EAGAIN || n == -EINTR || n == -ECONNRESET);
    return n == -EMSGSIZE ? -EPROTO : n;
}

/* Take one packet for a part of the answer. 1: more follow; 0; -errno. */
static int
take_part(struct control_answer *a, size_t n, const uint8_t *buf)
{
    Postern__V1__ControlReply *part;

    if (a->n == CONTROL_PARTS_MAX)
        return -EPROTO;
    part = postern__v1__control_reply__unpack(NULL, n, buf);
    if (part == NULL)
        return -EPROTO;
    a->parts[a->n++] = part;
    if (part->status > 0)
        return -EPROTO;
    if (a->status == 0 && part->status != 0) {
        a->status = part->status;
        a->message = part->message;
    }
    return part->has_more && part->more != 0 ? 1 : 0;
}

static int
receive_all(int fd, int64_t deadline, struct control_answer *a)
{
    _clean(clean_free) uint8_t *buf = malloc(CONTROL_BYTES_MAX);
    int r = 1;

    a->parts = calloc(CONTROL_PARTS_MAX, sizeof(void *));
    if (buf == NULL || a->parts == NULL)
        return -ENOMEM;
    while (r == 1) {
        ssize_t n = receive(fd, buf, deadline);

        r = n < 0 ? (int)n : take_part(a, (size_t)n, buf);
    }
    return r;
}

int
control_ask(int fd, const Postern__V1__ControlRequest *req, int64_t deadline,
            struct control_answer *ret)
{
    int r;

    *ret = (struct control_answer){0};
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    r = send_request(fd, req, deadline);
    if (r == 0)
        r = receive_all(fd, deadline, ret);
    if (r < 0)
        control_answer_done(ret);
    return r;
}

void
control_answer_done(struct control_answer *a)
{
    for (size_t i = 0; i < a->n; i++)
        postern__v1__control_reply__free_unpacked(a->parts[i], NULL);
    free(a->parts);
    *a = (struct control_answer){0};
}
