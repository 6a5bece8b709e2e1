/*
 * What a service manager is told, as sd_notify(3) has it: one datagram to the
 * socket named by NOTIFY_SOCKET. Without that, nothing.
 *
 * Runs in: broker.   Trusts: who started it.   Owns: nothing.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "broker/broker.h"
#include "ipc/fd.h"
#include "ipc/log.h"

/* "/PATH", or "@NAME" for an abstract one. Its length, or 0. */
static socklen_t
notify_address(const char *s, struct sockaddr_un *sa)
{
    size_t n = strlen(s);

    if ((s[0] != '/' && s[0] != '@') || n < 2 || n >= sizeof(sa->sun_path))
        return 0;
    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(sa->sun_path, s, n);
    if (s[0] == '@')
        sa->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

void
notify(const char *what)
{
    _clean(clean_fd) int fd = -1;
    const char *where = getenv("NOTIFY_SOCKET");
    struct sockaddr_un sa;
    socklen_t len;

    if (where == NULL)
        return;
    len = notify_address(where, &sa);
    if (len == 0) {
        log_warn("NOTIFY_SOCKET is not a path: the service manager is not told \"%s\"", what);
        return;
    }
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, what, strlen(what), MSG_NOSIGNAL | MSG_DONTWAIT,
                         (const struct sockaddr *)&sa, len) < 0)
        (void)log_errno(-errno, "tell the service manager \"%s\"", what);
}
