/*
 * The messages of fd 3.
 *
 * Runs in: broker and its children.   Trusts: a child trusts its broker; the
 * broker trusts nobody, so what comes up is bounded and unpacked defensively.
 * Owns: nothing; what it returns is the caller's.
 */
#include "ipc/boot.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/limits.h"

#define SMALL_MSG_MAX 4096 /* anything but a Boot */

int
boot_send(int sock, const Postern__V1__Boot *b, const int *fds, size_t nfds)
{
    size_t n = postern__v1__boot__get_packed_size(b);
    _clean(clean_free) uint8_t *buf = NULL;

    if (n == 0 || n > BOOT_MSG_MAX)
        return -EMSGSIZE;
    buf = malloc(n);
    if (buf == NULL)
        return -ENOMEM;
    postern__v1__boot__pack(b, buf);
    return fd_send(sock, buf, n, fds, nfds);
}

int
boot_recv(Postern__V1__Boot **ret, int *fds, size_t room, size_t *ret_nfds)
{
    _clean(clean_free) uint8_t *buf = malloc(BOOT_MSG_MAX);
    Postern__V1__Boot *b;
    ssize_t n;

    if (buf == NULL)
        return -ENOMEM;
    n = fd_recv(BOOT_FD, buf, BOOT_MSG_MAX, fds, room, ret_nfds);
    if (n < 0)
        return (int)n;
    b = postern__v1__boot__unpack(NULL, (size_t)n, buf);
    if (b == NULL || b->version != BOOT_VERSION || (b->worker == NULL) == (b->helper == NULL)) {
        boot_free(b);
        while (*ret_nfds > 0)
            close(fds[--*ret_nfds]);
        return -EPROTO;
    }
    *ret = b;
    return 0;
}

void
boot_free(Postern__V1__Boot *b)
{
    if (b != NULL)
        postern__v1__boot__free_unpacked(b, NULL);
}

static int
small_send(int sock, const ProtobufCMessage *m)
{
    uint8_t buf[SMALL_MSG_MAX];
    size_t n = protobuf_c_message_get_packed_size(m);

    if (n > sizeof(buf))
        return -EMSGSIZE;
    protobuf_c_message_pack(m, buf);
    return send(sock, buf, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* 1 and *ret, 0 when the peer is gone, -errno. */
static int
small_recv(int sock, const ProtobufCMessageDescriptor *d, ProtobufCMessage **ret)
{
    uint8_t buf[SMALL_MSG_MAX];
    ssize_t n = recv(sock, buf, sizeof(buf), MSG_DONTWAIT | MSG_TRUNC);

    if (n < 0)
        return errno == ECONNRESET ? 0 : -errno;
    if (n == 0)
        return 0;
    if ((size_t)n > sizeof(buf))
        return -EPROTO;
    *ret = protobuf_c_message_unpack(d, NULL, (size_t)n, buf);
    return *ret == NULL ? -EPROTO : 1;
}

int
from_child_send(int sock, const Postern__V1__FromChild *m)
{
    return small_send(sock, &m->base);
}

int
ready_send(int sock, const char *profile, unsigned landlock_abi, unsigned layers)
{
    Postern__V1__FromChild m = POSTERN__V1__FROM_CHILD__INIT;
    Postern__V1__Ready ready = POSTERN__V1__READY__INIT;
    char name[16];

    (void)snprintf(name, sizeof(name), "%s", profile);
    ready.profile = name;
    ready.landlock_abi = landlock_abi;
    ready.layers = layers;
    m.ready = &ready;
    return from_child_send(sock, &m);
}

int
to_child_send(int sock, const Postern__V1__ToChild *m)
{
    return small_send(sock, &m->base);
}

int
to_child_send_fds(int sock, const Postern__V1__ToChild *m, const int *fds, size_t nfds)
{
    uint8_t buf[SMALL_MSG_MAX];
    size_t n = postern__v1__to_child__get_packed_size(m);

    if (n > sizeof(buf))
        return -EMSGSIZE;
    postern__v1__to_child__pack(m, buf);
    return fd_send(sock, buf, n, fds, nfds);
}

int
from_child_recv(int sock, Postern__V1__FromChild **ret)
{
    ProtobufCMessage *m;
    int r = small_recv(sock, &postern__v1__from_child__descriptor, &m);

    if (r <= 0)
        return r;
    *ret = (Postern__V1__FromChild *)m;
    if (((*ret)->ready != NULL) + ((*ret)->log != NULL) + ((*ret)->share_served != NULL) +
            ((*ret)->share_over != NULL) ==
        1)
        return 1;
    from_child_free(*ret);
    return -EPROTO;
}

static bool
is_one(const Postern__V1__ToChild *m)
{
    return (m->share_gone != NULL) + (m->share_added != NULL) + (m->share_leaves != NULL) == 1;
}

int
to_child_recv(int sock, Postern__V1__ToChild **ret)
{
    ProtobufCMessage *m;
    int r = small_recv(sock, &postern__v1__to_child__descriptor, &m);

    if (r <= 0)
        return r;
    *ret = (Postern__V1__ToChild *)m;
    if (is_one(*ret) && (*ret)->share_added == NULL)
        return 1;
    to_child_free(*ret);
    return -EPROTO;
}

static int
fds_close(int r, int *fds, size_t *n)
{
    while (*n > 0)
        close(fds[--*n]);
    return r;
}

int
to_child_recv_fds(int sock, Postern__V1__ToChild **ret, int fds[SHARE_FDS], size_t *ret_nfds)
{
    uint8_t buf[SMALL_MSG_MAX];
    Postern__V1__ToChild *m;
    ssize_t n = fd_recv_now(sock, buf, sizeof(buf), fds, SHARE_FDS, ret_nfds);

    if (n == -EMSGSIZE)
        return -EPROTO;
    if (n <= 0)
        return n == -ECONNRESET ? 0 : (int)n;
    m = postern__v1__to_child__unpack(NULL, (size_t)n, buf);
    if (m != NULL && is_one(m) && *ret_nfds == (m->share_added != NULL ? SHARE_FDS : 0)) {
        *ret = m;
        return 1;
    }
    to_child_free(m);
    return fds_close(-EPROTO, fds, ret_nfds);
}

void
from_child_free(Postern__V1__FromChild *m)
{
    if (m != NULL)
        postern__v1__from_child__free_unpacked(m, NULL);
}

void
to_child_free(Postern__V1__ToChild *m)
{
    if (m != NULL)
        postern__v1__to_child__free_unpacked(m, NULL);
}
