/*
 * A client of posternd's control socket for tests: well behaved, or not.
 */
#ifndef POSTERN_TESTS_CONTROL_PEER_H
#define POSTERN_TESTS_CONTROL_PEER_H

#include "ipc/control.pb-c.h"
#include "tests/lib/server.h"

/* A connection to DIR/control; every wait has a bound. */
int peer_open(const struct server *s);
/* The same as another user, with one more group; needs root. */
int peer_open_as(const struct server *s, uid_t uid, gid_t gid);

/* Send bytes as one message; 0 or -errno. */
int peer_send_bytes(int fd, const void *bytes, size_t n);
void peer_send(int fd, const Postern__V1__ControlRequest *req);
/* One message, freed by the caller; NULL: the server hung up. */
Postern__V1__ControlReply *peer_recv(int fd);

/* Ask and take the status; what was said with it is peer_text() until the
 * next call. */
int peer_reserve(int fd, const char *reservation, const char *share, const char *settings);
int peer_add(int fd, const char *reservation, const char *share, const char *settings);
int peer_remove(int fd, const char *reservation, uint32_t drain_ms);
int peer_reload(int fd, bool only_show);
/* Send an add and do not wait; peer_status() does. */
void peer_add_begin(int fd, const char *reservation, const char *share, const char *settings);
int peer_status(int fd);
const char *peer_text(void);
/* The lines of the last peer_reload(), each ending with a newline. */
const char *peer_report(void);

/* The whole list, merged into one reply, freed by the caller. */
Postern__V1__ControlReply *peer_list(int fd, const char *share);
/* The processes of tenant "t", merged in the same way. */
Postern__V1__ControlReply *peer_processes(int fd);
/* -1: there is none of that name. */
int peer_share_state(int fd, const char *share);
void peer_await_state(int fd, const char *share, int state);

#endif
