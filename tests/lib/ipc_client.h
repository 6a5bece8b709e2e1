/*
 * The worker's end of a channel, for tests: one message out, its reply back.
 *
 * Every wait has a deadline; running into it fails the test.
 */
#ifndef POSTERN_TESTS_IPC_CLIENT_H
#define POSTERN_TESTS_IPC_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ipc/msg.h"
#include "ipc/ops.h"

#define IPC_CLIENT_DEADLINE_MS 20000

struct ipc_client {
    struct channel ch;
    int event_fd; /* borrowed: what the helper writes to wake us */
    uint32_t last_tag;
    uint32_t uid, gid;  /* who asks from now on */
    struct frame got;   /* head of the last reply */
    struct arena arena; /* of the last reply */
    uint8_t body[FRAME_BODY_MAX];
};

/* memfd as of channel_create(); both eventfds stay the caller's. 0 or -errno. */
int ipc_client_open(struct ipc_client *c, int memfd, int to_helper_fd, int to_worker_fd);
void ipc_client_close(struct ipc_client *c);

/* Send a request without waiting; returns its tag. The payload is
 * slab[off .. off + len). Waits for room in the ring. */
uint32_t ipc_client_send(struct ipc_client *c, unsigned op, const ProtobufCMessage *req,
                         uint32_t off, uint32_t len);
/* A frame of the caller's making. false: no room. */
bool ipc_client_send_raw(struct ipc_client *c, const struct frame *f, const void *body, size_t n);
/* Wait for the next reply: its head in c->got, its status returned, *rep the
 * message when that is 0. It lives until the next call. */
int ipc_client_recv(struct ipc_client *c, const ProtobufCMessage **rep);
/* Whether a reply is there now. */
bool ipc_client_ready(struct ipc_client *c);

/* Both: the reply must carry the request's tag and operation. */
int ipc_client_ask(struct ipc_client *c, unsigned op, const ProtobufCMessage *req, uint32_t off,
                   uint32_t len, const ProtobufCMessage **rep);

/* ask_mkdir(c, &req, &rep) and its sisters. */
#define OP(id, upper, lower, camel, access, block, payload)                                        \
    static inline int ask_##lower(struct ipc_client *c, const Postern__V1__##camel##Req *req,      \
                                  const Postern__V1__##camel##Rep **rep)                           \
    {                                                                                              \
        const ProtobufCMessage *m = NULL;                                                          \
        int r = ipc_client_ask(c, OP_##upper, &req->base, 0,                                       \
                               (payload) == PAY_NONE ? 0 : 2u * 1024u * 1024u, &m);                \
        if (rep != NULL)                                                                           \
            *rep = (const Postern__V1__##camel##Rep *)m;                                           \
        return r;                                                                                  \
    }
#include "ipc/ops.def"
#undef OP

#endif
