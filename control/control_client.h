/*
 * One question to a running posternd over its control socket
 * (ipc/control.proto), and the whole answer.
 *
 * Runs in: the command line, tests.   Trusts: nothing the server says: size,
 * number and form of its packets are bounded and checked.
 */
#ifndef POSTERN_CONTROL_CONTROL_CLIENT_H
#define POSTERN_CONTROL_CONTROL_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/control.pb-c.h"

#define CONTROL_PARTS_MAX 512 /* packets of one answer */

/* What was answered, packet by packet. */
struct control_answer {
    Postern__V1__ControlReply **parts; /* owned, each and all */
    size_t n;
    int status;          /* the first that is not 0 */
    const char *message; /* borrowed from that part; NULL: none */
};

/* Milliseconds of the monotonic clock: what deadlines are made of. */
int64_t control_now(void);

/* A connection to the socket at path, the caller's fd; or -errno. */
int control_connect(const char *path, int64_t deadline);

/*
 * Ask over a connected SEQPACKET socket, which stays the caller's, and wait
 * for the last packet. 0, whatever the status in *ret is; or -EMSGSIZE: the
 * request is too long, nothing was sent; -ETIMEDOUT; -EPIPE: the server closed
 * the connection; -EPROTO: what came is no answer; -errno. With any of these
 * but -EMSGSIZE the server may have done what was asked. On failure *ret is
 * empty. control_answer_done() in all cases.
 */
int control_ask(int fd, const Postern__V1__ControlRequest *req, int64_t deadline,
                struct control_answer *ret);
void control_answer_done(struct control_answer *a);

#endif
