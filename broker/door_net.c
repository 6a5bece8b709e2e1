/*
 * Sockets at a number: TCP and vsock.
 *
 * Runs in: broker.   Trusts: the policy.
 * Owns: nothing beyond a call; the socket is the door's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h> /* wants sys/socket.h before it */

#include "broker/door.h"

/* A numeric address; policy refused everything else. */
static socklen_t
tcp_address(const struct plan_listen *plan, struct sockaddr_storage *ss)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ss;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ss;

    memset(ss, 0, sizeof(*ss));
    if (inet_pton(AF_INET, plan->host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)plan->port);
        return sizeof(*v4);
    }
    if (inet_pton(AF_INET6, plan->host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)plan->port);
        return sizeof(*v6);
    }
    return 0;
}

static bool
switch_on(int fd, int level, int option)
{
    int one = 1;

    return setsockopt(fd, level, option, &one, sizeof(one)) == 0;
}

int
door_tcp(struct door *d)
{
    struct sockaddr_storage ss;
    socklen_t n = tcp_address(d->plan, &ss);

    if (n == 0)
        return door_refused(-EINVAL, d->plan);
    d->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (d->fd < 0)
        return door_refused(-errno, d->plan);
    /* accepted connections inherit TCP_NODELAY; the worker may not set it.
     * [::] is IPv6 and nothing else, as it is written. */
    if (!switch_on(d->fd, SOL_SOCKET, SO_REUSEADDR) ||
        !switch_on(d->fd, IPPROTO_TCP, TCP_NODELAY) ||
        (ss.ss_family == AF_INET6 && !switch_on(d->fd, IPPROTO_IPV6, IPV6_V6ONLY)) ||
        bind(d->fd, (const struct sockaddr *)&ss, n) < 0 || listen(d->fd, DOOR_BACKLOG) < 0)
        return door_refused(-errno, d->plan);
    return 0;
}

int
door_vsock(struct door *d)
{
    const struct sockaddr_vm sa = {
        .svm_family = AF_VSOCK,
        .svm_cid = d->plan->cid,
        .svm_port = d->plan->port == 0 ? VMADDR_PORT_ANY : d->plan->port,
    };

    d->fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->fd < 0 || bind(d->fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ||
        listen(d->fd, DOOR_BACKLOG) < 0)
        return door_refused(-errno, d->plan);
    return 0;
}
