/*
 * File descriptors with an owner: scope clean-up, handing over, and the
 * SEQPACKET socket that passes them at boot.
 */
#ifndef POSTERN_IPC_FD_H
#define POSTERN_IPC_FD_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define _clean(f) __attribute__((cleanup(f)))

/* _clean(clean_fd) int fd = -1; closes it at the end of the scope. */
void clean_fd(int *fd);
/* _clean(clean_free) T *p = NULL; frees it at the end of the scope. */
void clean_free(void *p);
/* Hand over: the old holder is left with -1 or NULL. */
int take_fd(int *fd);
#define take_ptr(p)                                                                                \
    ({                                                                                             \
        __typeof__(*(p)) _taken = *(p);                                                            \
        *(p) = NULL;                                                                               \
        _taken;                                                                                    \
    })

#define BOOT_FD 3 /* a child's end of the socket to the broker */

/*
 * Send n bytes with nfds fds attached as one SEQPACKET message; the fds stay
 * the caller's. 0 or -errno of sendmsg(2).
 */
int fd_send(int sock, const void *buf, size_t n, const int *fds, size_t nfds);
/*
 * Receive one message and its fds, CLOEXEC, now the caller's.
 * Its length (0: the peer is gone), or -errno; -EMSGSIZE when the message or
 * its fds did not fit: then no fd is kept.
 */
ssize_t fd_recv(int sock, void *buf, size_t room, int *fds, size_t fds_room, size_t *ret_nfds);
/* The same without waiting: -EAGAIN when there is none. */
ssize_t fd_recv_now(int sock, void *buf, size_t room, int *fds, size_t fds_room, size_t *ret_nfds);

#endif
