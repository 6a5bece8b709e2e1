/*
 * postern-worker: speaks 9P with the guests of one tenant.
 *
 * The broker starts it with the boot socket as fd 3 and nothing else. It
 * takes the boot message, locks itself in, says that it is ready, and serves
 * until the broker closes fd 3.
 *
 * Runs in: worker.   Trusts: the broker.   Owns: the process.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/boot.h"
#include "ipc/fd.h"
#include "ipc/log.h"
#include "worker/loop.h"
#include "worker/sandbox.h"

#define USAGE_EXIT 64   /* EX_USAGE of sysexits(3) */
#define FDS_RESERVED 16 /* stdio, boot socket, epoll, a share that comes, and some air */

static struct loop loop;

static int
show_sandbox(void)
{
    struct sandbox_profile p;

    worker_profile(&p);
    sandbox_print(stdout, &p);
    return 0;
}

static void
sandbox_must(int r, const struct sandbox_report *report)
{
    if (r == 0)
        return;
    (void)log_errno(r, "sandbox: %s", report->step);
    _exit(EXIT_SANDBOX);
}

static void *
must_calloc(size_t n, size_t size)
{
    void *p = calloc(n > 0 ? n : 1, size);

    if (p == NULL)
        die("no memory");
    return p;
}

/* Accepted TCP connections inherit it. */
static void
no_delay(int fd)
{
    static const int one = 1;
    int domain;
    socklen_t n = sizeof(domain);

    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 &&
        (domain == AF_INET || domain == AF_INET6))
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void
take_listeners(const Postern__V1__WorkerBoot *b, const int *fds)
{
    loop.listeners = must_calloc(b->n_listeners, sizeof(*loop.listeners));
    for (size_t i = 0; i < b->n_listeners; i++) {
        struct listener *at = &loop.listeners[loop.nlisteners];
        int flags = fcntl(fds[i], F_GETFL);

        if (flags < 0 || fcntl(fds[i], F_SETFL, flags | O_NONBLOCK) < 0)
            die("%s: fcntl", b->listeners[i]->address);
        no_delay(fds[i]);
        if (b->listeners[i]->connected != 0) {
            must(loop_serve(&loop, fds[i]), "connection");
            continue;
        }
        at->fd = fds[i];
        at->watch = (struct watch){WATCH_LISTENER, at};
        must(loop_watch(&loop, at->fd, &at->watch, EPOLLIN), "watch a listener");
        loop.nlisteners++;
    }
}

static void
take_shares(const Postern__V1__WorkerBoot *b, const int *fds)
{
    must(loop_reserve_fds(), "numbers for the helpers' eventfds");
    for (uint32_t i = 0; i < b->n_shares; i++)
        must(loop_share_add(&loop, i, b->shares[i], &fds[i * SHARE_FDS]), "channel");
}

static struct tenant_limits
limits_of(const Postern__V1__WorkerBoot *b)
{
    struct tenant_limits l = {.connections = b->connections,
                              .fids = b->fids,
                              .in_flight = b->in_flight,
                              .msize = b->msize,
                              .read_rate = b->read_rate,
                              .write_rate = b->write_rate,
                              .metadata_rate = b->metadata_rate};

    if (l.msize < MSIZE_MIN)
        l.msize = MSIZE_MIN;
    if (l.msize > MSIZE_MAX)
        l.msize = MSIZE_MAX;
    return l;
}

/* Everything between the boot message, which is taken over, and the first
 * byte of a guest. */
static void
start(Postern__V1__Boot *boot, const int *fds)
{
    const Postern__V1__WorkerBoot *b = boot->worker;
    const struct tenant_limits limits = limits_of(b);
    struct sandbox_report report;
    struct sandbox_profile p;

    worker_profile(&p);
    p.uid = boot->sandbox->uid;
    p.gid = boot->sandbox->gid;
    p.own_userns = boot->sandbox->own_userns != 0;
    p.best_effort = boot->sandbox->best_effort != 0;
    p.nofile = (rlim_t)limits.connections + b->n_listeners + HELPER_FD_BASE + HELPER_FDS +
               SHARES_PER_TENANT_MAX + FDS_RESERVED;

    must(loop_init(&loop), "epoll");
    must(tenant_init(&loop.tenant, &limits, NULL, 0), "tenant");
    loop.tenant.watch_output = loop_watch_output;
    loop.tenant.loop = &loop;
    sandbox_must(sandbox_confine(&p, &report), &report);
    take_shares(b, fds + b->n_listeners);
    take_listeners(b, fds);
    loop.broker = (struct watch){WATCH_BROKER, &loop};
    must(loop_watch(&loop, BOOT_FD, &loop.broker, EPOLLIN), "watch the broker");
    boot_free(boot);
    sandbox_must(sandbox_seal(&p, &report), &report);
    must(ready_send(BOOT_FD, p.name, report.landlock_abi, report.layers),
         "say ready to the broker");
}

static void
check_boot(const Postern__V1__Boot *boot, size_t nfds)
{
    const Postern__V1__WorkerBoot *b = boot->worker;

    if (b == NULL)
        violation("boot: not for a worker");
    if (b->n_shares > SHARES_PER_TENANT_MAX || b->n_listeners > LISTENERS_PER_TENANT_MAX ||
        nfds != b->n_listeners + b->n_shares * SHARE_FDS)
        violation("boot: %zu fds for %zu listeners and %zu shares", nfds, b->n_listeners,
                  b->n_shares);
}

int
main(int argc, char **argv)
{
    Postern__V1__Boot *boot;
    int fds[CHILD_FDS_MAX];
    size_t nfds;
    int r;

    if (argc == 2 && strcmp(argv[1], "--show-sandbox") == 0)
        return show_sandbox();
    if (argc != 1) {
        (void)fprintf(stderr, "usage: postern-worker --show-sandbox\n"
                              "Without it, it is posternd that starts this program.\n");
        return USAGE_EXIT;
    }
    log_to(LOG_TO_BROKER, "postern-worker");
    r = boot_recv(&boot, fds, CHILD_FDS_MAX, &nfds);
    must(r, "boot message");
    check_boot(boot, nfds);
    start(boot, fds);
    while (loop_once(&loop, -1) && !loop_is_over(&loop))
        ;
    _exit(0);
}
