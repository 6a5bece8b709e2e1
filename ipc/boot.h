/*
 * Boot and control messages of fd 3 (ipc/boot.proto), packed and unpacked.
 */
#ifndef POSTERN_IPC_BOOT_H
#define POSTERN_IPC_BOOT_H

#include <stddef.h>

#include "ipc/boot.pb-c.h"

#define BOOT_VERSION 1

/*
 * Child: wait for the one Boot message. fds are the child's, in the order
 * that boot.proto gives. 0; -EPROTO: not a Boot of our version or the peer is
 * gone; -errno. The caller frees with boot_free().
 */
int boot_recv(Postern__V1__Boot **ret, int *fds, size_t room, size_t *ret_nfds);
void boot_free(Postern__V1__Boot *b);

/* Broker: send it. 0 or -errno. */
int boot_send(int sock, const Postern__V1__Boot *b, const int *fds, size_t nfds);

/* Child to broker and back, without fds. 0 or -errno; -EAGAIN when the socket
 * is non-blocking and full. */
int from_child_send(int sock, const Postern__V1__FromChild *m);
int to_child_send(int sock, const Postern__V1__ToChild *m);
/* Child: Ready, with what holds it in; layers are enum layer bits. */
int ready_send(int sock, const char *profile, unsigned landlock_abi, unsigned layers);
/* 1: *ret is one message, free with from_child_free(); 0: the peer is gone;
 * -EAGAIN; -EPROTO: malformed or not exactly one. */
int from_child_recv(int sock, Postern__V1__FromChild **ret);
int to_child_recv(int sock, Postern__V1__ToChild **ret);
/* The same with fds: the three of a ShareAdded. They stay the sender's and
 * become the receiver's; -EPROTO when any comes with anything else, or not
 * three with that. */
#define SHARE_FDS 3
int to_child_send_fds(int sock, const Postern__V1__ToChild *m, const int *fds, size_t nfds);
int to_child_recv_fds(int sock, Postern__V1__ToChild **ret, int fds[SHARE_FDS], size_t *ret_nfds);
void from_child_free(Postern__V1__FromChild *m);
void to_child_free(Postern__V1__ToChild *m);

#endif
