/*
 * File descriptors with an owner, and the socket that passes them.
 *
 * Runs in: every program.   Trusts: nobody: what arrives is counted and
 * closed when it does not fit.   Owns: nothing.
 */
#include "ipc/fd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/limits.h"

void
clean_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void
clean_free(void *p)
{
    void *mem;

    memcpy(&mem, p, sizeof(mem));
    free(mem);
}

int
take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

union fd_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int) * CHILD_FDS_MAX)];
};

int
fd_send(int sock, const void *buf, size_t n, const int *fds, size_t nfds)
{
    union fd_control control = {0};
    struct iovec iov = {.iov_len = n};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    struct cmsghdr *c;

    if (nfds > CHILD_FDS_MAX)
        return -EMSGSIZE;
    memcpy(&iov.iov_base, &buf, sizeof(buf));
    if (nfds > 0) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
    }
    return sendmsg(sock, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* Take the fds out of one control message; those that do not fit are closed. */
static int
fds_take(const struct cmsghdr *c, int *fds, size_t room, size_t *n)
{
    size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    int r = 0;

    for (size_t i = 0; i < count; i++) {
        int fd;

        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
        if (*n < room) {
            fds[(*n)++] = fd;
        } else {
            close(fd);
            r = -EMSGSIZE;
        }
    }
    return r;
}

static ssize_t
recv_flags(int sock, void *buf, size_t room, int *fds, size_t fds_room, size_t *ret_nfds, int flags)
{
    union fd_control control;
    struct iovec iov = {.iov_base = buf, .iov_len = room};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    ssize_t len = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC | flags);
    size_t n = 0;
    int r = 0;

    if (len < 0)
        return -errno;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL; c = CMSG_NXTHDR(&msg, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
            fds_take(c, fds, fds_room, &n) < 0)
            r = -EMSGSIZE;
    }
    if ((msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0)
        r = -EMSGSIZE;
    while (r < 0 && n > 0)
        close(fds[--n]);
    *ret_nfds = n;
    return r < 0 ? r : len;
}

ssize_t
fd_recv(int sock, void *buf, size_t room, int *fds, size_t fds_room, size_t *ret_nfds)
{
    return recv_flags(sock, buf, room, fds, fds_room, ret_nfds, 0);
}

ssize_t
fd_recv_now(int sock, void *buf, size_t room, int *fds, size_t fds_room, size_t *ret_nfds)
{
    return recv_flags(sock, buf, room, fds, fds_room, ret_nfds, MSG_DONTWAIT);
}
