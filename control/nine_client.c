/*
 * One 9P connection as two buffers: requests are built in the one, replies
 * are handed out from the other. Many requests may go out in one send and
 * many replies come in with one receive; a reply is never copied on its way
 * to the caller unless it straddled the end of the buffer.
 *
 * Runs in: the command line, tests, bench.   Trusts: nothing the server says.
 * Owns: the socket and both buffers.
 */
#include "control/nine_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h> /* wants sys/socket.h before it */

#include "control/nine_wire.h"

#define FIRST_MSIZE 8192u   /* replies are this small until Tversion is answered */
#define IN_ROOM_MIN 262144u /* many small replies per receive */
#define OUT_ROOM_FIRST 65536u
#define ERRNO_MAX 4095u /* Linux: larger is no errno */

struct nc {
    int fd; /* owned */
    uint32_t msize;
    uint8_t *out; /* owned; [0, out_len) waits for nc_push() */
    size_t out_len, out_room;
    size_t msg;    /* where the message being built starts */
    uint16_t tag;  /* of the last message ended */
    int out_error; /* sticky until nc_push(): -ENOMEM, -EMSGSIZE */
    uint8_t *in;   /* owned; [in_at, in_end) was received, not handed out */
    size_t in_at, in_end, in_room;
};

static void
put_le(uint8_t *p, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint32_t
get_le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* --- connecting ---------------------------------------------------------- */

static int
connect_unix(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd, r;

    if (path[0] == '\0')
        return -EINVAL;
    if (strlen(path) >= sizeof(sa.sun_path))
        return -ENAMETOOLONG;
    memcpy(sa.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
        return fd;
    r = -errno;
    close(fd);
    return r;
}

static int
connect_info(const struct addrinfo *ai)
{
    int one = 1, r;
    int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC, ai->ai_protocol);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(fd, ai->ai_addr, ai->ai_addrlen) == 0)
        return fd;
    r = -errno;
    close(fd);
    return r;
}

static int
connect_tcp(const char *host, const char *port)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int fd = -EHOSTUNREACH;

    if (getaddrinfo(host, port, &hints, &list) != 0)
        return -EHOSTUNREACH;
    for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
        fd = connect_info(ai);
        if (fd >= 0)
            break;
    }
    freeaddrinfo(list);
    return fd;
}

/* "HOST:PORT", "[V6]:PORT" */
static int
connect_host_port(const char *s)
{
    char host[256];
    const char *colon = strrchr(s, ':');
    size_t n = colon == NULL ? 0 : (size_t)(colon - s);

    if (n == 0 || colon[1] == '\0' || n >= sizeof(host))
        return -EINVAL;
    if (s[0] == '[' && s[n - 1] == ']' && n > 2) {
        s++;
        n -= 2;
    }
    memcpy(host, s, n);
    host[n] = '\0';
    return connect_tcp(host, colon + 1);
}

/* n decimal digits. */
static bool
number(const char *s, size_t n, uint32_t *ret)
{
    uint64_t v = 0;

    if (n == 0 || n > 10 || strspn(s, "0123456789") < n)
        return false;
    for (size_t i = 0; i < n; i++)
        v = v * 10 + (uint64_t)(s[i] - '0');
    *ret = (uint32_t)v;
    return v < UINT32_MAX; /* which stands for "any" */
}

/* twin: policy/address.c; without "any", which is no place to go to */
static bool
vsock_cid(const char *s, size_t n, uint32_t *ret)
{
    static const struct {
        const char *word;
        uint32_t cid;
    } cids[] = {{"local", VMADDR_CID_LOCAL}, {"host", VMADDR_CID_HOST}};

    for (size_t i = 0; i < sizeof(cids) / sizeof(cids[0]); i++)
        if (strlen(cids[i].word) == n && memcmp(cids[i].word, s, n) == 0) {
            *ret = cids[i].cid;
            return true;
        }
    return number(s, n, ret);
}

/* "CID:PORT" */
static int
connect_vsock(const char *s)
{
    struct sockaddr_vm sa = {.svm_family = AF_VSOCK};
    size_t n = strcspn(s, ":");
    int fd, r;

    if (s[n] != ':' || !vsock_cid(s, n, &sa.svm_cid) ||
        !number(s + n + 1, strlen(s + n + 1), &sa.svm_port))
        return -EINVAL;
    fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
        return fd;
    r = -errno;
    close(fd);
    return r;
}

int
nc_open_fd(int fd, struct nc **ret)
{
    struct nc *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return -ENOMEM;
    c->in = malloc(IN_ROOM_MIN);
    c->out = malloc(OUT_ROOM_FIRST);
    if (c->in == NULL || c->out == NULL) {
        free(c->in);
        free(c->out);
        free(c);
        return -ENOMEM;
    }
    c->fd = fd;
    c->msize = FIRST_MSIZE;
    c->in_room = IN_ROOM_MIN;
    c->out_room = OUT_ROOM_FIRST;
    *ret = c;
    return 0;
}

int
nc_connect(const char *address, struct nc **ret)
{
    static const struct {
        const char *prefix;
        int (*connect)(const char *rest);
    } kinds[] = {{"unix:", connect_unix}, {"tcp:", connect_host_port}, {"vsock:", connect_vsock}};
    int fd = -EINVAL, r;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t n = strlen(kinds[i].prefix);

        if (strncmp(address, kinds[i].prefix, n) == 0)
            fd = kinds[i].connect(address + n);
    }
    if (fd < 0)
        return fd;
    r = nc_open_fd(fd, ret);
    if (r < 0)
        close(fd);
    return r;
}

void
nc_close(struct nc *c)
{
    if (c == NULL)
        return;
    close(c->fd);
    free(c->in);
    free(c->out);
    free(c);
}

int
nc_fd(const struct nc *c)
{
    return c->fd;
}

uint32_t
nc_msize(const struct nc *c)
{
    return c->msize;
}

/* --- requests ------------------------------------------------------------- */

/* n more bytes of output, or NULL with the error kept for nc_push(). */
static uint8_t *
out_take(struct nc *c, size_t n)
{
    size_t room = c->out_room;
    uint8_t *p;

    if (c->out_error < 0)
        return NULL;
    while (n > room - c->out_len)
        room *= 2;
    if (room != c->out_room) {
        p = realloc(c->out, room);
        if (p == NULL) {
            c->out_error = -ENOMEM;
            return NULL;
        }
        c->out = p;
        c->out_room = room;
    }
    p = c->out + c->out_len;
    c->out_len += n;
    return p;
}

static void
out_number(struct nc *c, uint64_t v, size_t n)
{
    uint8_t *p = out_take(c, n);

    if (p != NULL)
        put_le(p, v, n);
}

void
nc_begin(struct nc *c, uint8_t type, uint16_t tag)
{
    c->msg = c->out_len;
    c->tag = tag;
    nc_u32(c, 0); /* the size; nc_end() knows it */
    nc_u8(c, type);
    nc_u16(c, tag);
}

void
nc_u8(struct nc *c, uint8_t v)
{
    out_number(c, v, 1);
}

void
nc_u16(struct nc *c, uint16_t v)
{
    out_number(c, v, 2);
}

void
nc_u32(struct nc *c, uint32_t v)
{
    out_number(c, v, 4);
}

void
nc_u64(struct nc *c, uint64_t v)
{
    out_number(c, v, 8);
}

void
nc_bytes(struct nc *c, const void *p, size_t n)
{
    uint8_t *to = out_take(c, n);

    if (to != NULL && n > 0)
        memcpy(to, p, n);
}

void
nc_str(struct nc *c, const char *s, size_t n)
{
    if (n > UINT16_MAX) {
        c->out_error = -EMSGSIZE;
        return;
    }
    nc_u16(c, (uint16_t)n);
    nc_bytes(c, s, n);
}

void
nc_end(struct nc *c)
{
    if (c->out_error < 0)
        return;
    if (c->out_len - c->msg > UINT32_MAX)
        c->out_error = -EMSGSIZE;
    else
        put_le(c->out + c->msg, c->out_len - c->msg, 4);
}

static int
gone(int err)
{
    return err == ECONNRESET || err == EPIPE ? -EPIPE : -err;
}

int
nc_push(struct nc *c)
{
    size_t done = 0;
    int r = c->out_error;

    while (r == 0 && done < c->out_len) {
        ssize_t n = send(c->fd, c->out + done, c->out_len - done, MSG_NOSIGNAL);

        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            r = gone(errno);
    }
    c->out_len = 0;
    c->out_error = 0;
    return r;
}

/* --- replies --------------------------------------------------------------- */

/* Receive until n bytes lie at in_at. */
static int
in_fill(struct nc *c, size_t n)
{
    if (n > c->in_room - c->in_at) {
        memmove(c->in, c->in + c->in_at, c->in_end - c->in_at);
        c->in_end -= c->in_at;
        c->in_at = 0;
    }
    while (c->in_end - c->in_at < n) {
        ssize_t got = recv(c->fd, c->in + c->in_end, c->in_room - c->in_end, 0);

        if (got == 0)
            return -EPIPE;
        if (got > 0)
            c->in_end += (size_t)got;
        else if (errno != EINTR)
            return gone(errno);
    }
    return 0;
}

int
nc_pull(struct nc *c, struct nc_reply *ret)
{
    uint32_t size;
    int r;

    if (c->in_at == c->in_end)
        c->in_at = c->in_end = 0;
    r = in_fill(c, NINE_HEAD);
    if (r < 0)
        return r;
    size = get_le32(c->in + c->in_at);
    if (size < NINE_HEAD || size > c->msize)
        return -EPROTO;
    r = in_fill(c, size);
    if (r < 0)
        return r;
    ret->size = size;
    ret->type = c->in[c->in_at + 4];
    ret->tag = (uint16_t)(c->in[c->in_at + 5] | c->in[c->in_at + 6] << 8);
    ret->body = c->in + c->in_at + NINE_HEAD;
    c->in_at += size;
    return 0;
}

bool
nc_has_reply(const struct nc *c)
{
    size_t have = c->in_end - c->in_at;

    return have >= NINE_HEAD && have >= get_le32(c->in + c->in_at);
}

static int
lerror(const struct nc_reply *rep)
{
    uint32_t e;

    if (rep->size != NINE_HEAD + 4)
        return -EPROTO;
    e = get_le32(rep->body);
    return e == 0 || e > ERRNO_MAX ? -EPROTO : -(int)e;
}

int
nc_ask(struct nc *c, uint8_t want_type, struct nc_reply *ret)
{
    uint16_t tag = c->tag;
    int r = nc_push(c);

    if (r == 0)
        r = nc_pull(c, ret);
    if (r < 0)
        return r;
    if (ret->tag != tag)
        return -EPROTO;
    if (ret->type == NINE_RLERROR)
        return lerror(ret);
    return ret->type == want_type ? 0 : -EPROTO;
}

/* --- the one call that changes the connection ------------------------------- */

static int
in_room_for(struct nc *c, uint32_t msize)
{
    size_t room = 2 * (size_t)msize;
    uint8_t *p;

    if (room <= c->in_room)
        return 0;
    p = realloc(c->in, room);
    if (p == NULL)
        return -ENOMEM;
    c->in = p;
    c->in_room = room;
    return 0;
}

int
nc_version(struct nc *c, uint32_t msize, const char *version)
{
    size_t n = strlen(version);
    struct nc_reply rep;
    uint32_t got;
    int r;

    nc_begin(c, NINE_TVERSION, NC_NOTAG);
    nc_u32(c, msize);
    nc_str(c, version, n);
    nc_end(c);
    r = nc_ask(c, NINE_TVERSION + 1, &rep);
    if (r < 0)
        return r;
    if (rep.size != NINE_HEAD + 6 + n || memcmp(rep.body + 6, version, n) != 0 ||
        (size_t)(rep.body[4] | rep.body[5] << 8) != n)
        return -EPROTO;
    got = get_le32(rep.body);
    if (got > msize || got < NINE_IO_HEAD + 1)
        return -EPROTO;
    r = in_room_for(c, got);
    if (r == 0)
        c->msize = got;
    return r;
}
