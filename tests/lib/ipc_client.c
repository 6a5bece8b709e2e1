/*
 * A small, blocking worker's end. See ipc_client.h.
 *
 * Runs in: tests.   Trusts: the helper under test to be the one at fault.
 * Owns: the mapping of the channel.
 */
#include "tests/lib/test.h"

#include "tests/lib/ipc_client.h"

#include <errno.h>
#include <poll.h>
#include <time.h>
#include <unistd.h>

int
ipc_client_open(struct ipc_client *c, int memfd, int to_helper_fd, int to_worker_fd)
{
    arena_init(&c->arena);
    c->event_fd = to_worker_fd;
    c->last_tag = 0;
    c->uid = c->gid = 0;
    return channel_open(&c->ch, CHANNEL_WORKER, memfd, to_helper_fd);
}

void
ipc_client_close(struct ipc_client *c)
{
    channel_close(&c->ch);
}

static int64_t
now_ms(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool
ipc_client_send_raw(struct ipc_client *c, const struct frame *f, const void *body, size_t n)
{
    int r = channel_send(&c->ch, f, body, n);

    assert_true(r == 0 || r == -EAGAIN);
    assert_int_equal(channel_notify(&c->ch), 0);
    return r == 0;
}

uint32_t
ipc_client_send(struct ipc_client *c, unsigned op, const ProtobufCMessage *req, uint32_t off,
                uint32_t len)
{
    struct frame f = {.op = (uint16_t)op,
                      .tag = ++c->last_tag,
                      .payload = off,
                      .payload_len = len,
                      .uid = c->uid,
                      .gid = c->gid};
    int64_t deadline = now_ms() + IPC_CLIENT_DEADLINE_MS;
    uint8_t body[FRAME_BODY_MAX];
    size_t n = protobuf_c_message_get_packed_size(req);

    assert_true(n <= sizeof(body));
    protobuf_c_message_pack(req, body);
    while (!ipc_client_send_raw(c, &f, body, n)) {
        assert_true(now_ms() < deadline);
        (void)poll(NULL, 0, 1);
    }
    return f.tag;
}

/* Take one record if there is one. */
static bool
take(struct ipc_client *c, size_t *n)
{
    int r = channel_recv(&c->ch, &c->got, c->body, n);

    assert_true(r >= 0);
    return r == 1;
}

int
ipc_client_recv(struct ipc_client *c, const ProtobufCMessage **rep)
{
    int64_t deadline = now_ms() + IPC_CLIENT_DEADLINE_MS;
    struct pollfd p = {.fd = c->event_fd, .events = POLLIN};
    uint64_t count;
    size_t n;

    while (!take(c, &n)) {
        assert_true(now_ms() < deadline);
        if (channel_may_sleep(&c->ch) && poll(&p, 1, 1000) == 1)
            assert_int_equal(read(c->event_fd, &count, sizeof(count)), sizeof(count));
        channel_awake(&c->ch);
    }
    arena_reset(&c->arena);
    if (rep != NULL)
        *rep = NULL;
    if (c->got.status != 0) {
        assert_true(c->got.status < 0 && c->got.status > -4096);
        assert_int_equal(n, 0);
    } else if (rep != NULL) {
        *rep = msg_unpack(&c->arena, op_info(c->got.op)->rep, c->body, n);
        assert_non_null(*rep);
    }
    return c->got.status;
}

bool
ipc_client_ready(struct ipc_client *c)
{
    bool empty = channel_may_sleep(&c->ch);

    channel_awake(&c->ch);
    return !empty;
}

int
ipc_client_ask(struct ipc_client *c, unsigned op, const ProtobufCMessage *req, uint32_t off,
               uint32_t len, const ProtobufCMessage **rep)
{
    uint32_t tag = ipc_client_send(c, op, req, off, len);
    int r = ipc_client_recv(c, rep);

    assert_int_equal(c->got.tag, tag);
    assert_int_equal(c->got.op, op);
    return r;
}
