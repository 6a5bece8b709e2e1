/*
 * Any datagrams on fd 3: what a child says to the broker, what the broker
 * says to a child, and the first message of all. Each is a message that holds
 * what ipc/boot.h promises, or an error.
 *
 * The first byte says who reads; the rest is one datagram.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/boot.h"
#include "ipc/fd.h"
#include "ipc/limits.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Before the fuzzer opens files of its own. */
__attribute__((constructor)) static void
reserve_boot_fd(void)
{
    MUST(dup2(STDERR_FILENO, BOOT_FD) == BOOT_FD);
}

static void
read_up(void)
{
    Postern__V1__FromChild *m = NULL;
    int r = from_child_recv(BOOT_FD, &m);

    MUST(r == 1 || r == -EPROTO);
    if (r == 1)
        from_child_free(m);
}

static void
read_down(void)
{
    Postern__V1__ToChild *m = NULL;
    int r = to_child_recv(BOOT_FD, &m);

    MUST(r == 1 || r == -EPROTO);
    if (r == 1)
        to_child_free(m);
}

static void
read_boot(void)
{
    Postern__V1__Boot *b = NULL;
    int fds[CHILD_FDS_MAX];
    size_t nfds = 0;
    int r = boot_recv(&b, fds, CHILD_FDS_MAX, &nfds);

    MUST(r == 0 || r == -EPROTO);
    if (r < 0)
        return;
    MUST(b->version == BOOT_VERSION && b->sandbox != NULL && nfds == 0);
    MUST((b->worker != NULL) != (b->helper != NULL));
    boot_free(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static void (*const readers[])(void) = {read_up, read_down, read_boot};
    int fds[2];

    if (n < 1 || n > BOOT_MSG_MAX)
        return 0;
    MUST(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == 0);
    MUST(dup2(fds[0], BOOT_FD) == BOOT_FD && close(fds[0]) == 0);
    if (n > 1 && send(fds[1], data + 1, n - 1, 0) == (ssize_t)(n - 1))
        readers[data[0] % 3]();
    MUST(close(fds[1]) == 0);
    return 0;
}
