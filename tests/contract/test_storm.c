/*
 * The storm against the worker's code in one thread and the helper's in
 * another, so that sanitizers see both; or against the helper in its sandbox.
 */
#include "tests/lib/test.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lib/contract.h"
#include "tests/lib/storm.h"
#include "worker/loop.h"

#define SECONDS 4
#define SECONDS_OF_FEW 2
#define FEW_FDS 12
#define WAIT_MS 20
#define ROUNDS_MAX 1000 /* until a worker without guests must be idle */

/* What main() of the worker does, without a broker and a sandbox. */
struct worker {
    struct loop loop;
    struct listener listener;
    struct fs_channel *fc;
    struct watch watch;
    pthread_t thread;
    atomic_bool stop;
    bool idle; /* at its end nothing of any guest was left */
    struct sockaddr_un address;
};

static void
listen_at(struct worker *w, const char *share)
{
    w->address.sun_family = AF_UNIX;
    (void)snprintf(w->address.sun_path, sizeof(w->address.sun_path), "%s-sock", share);
    w->listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(w->listener.fd >= 0);
    assert_int_equal(bind(w->listener.fd, (const struct sockaddr *)&w->address, sizeof(w->address)),
                     0);
    assert_int_equal(listen(w->listener.fd, 64), 0);
    w->listener.watch = (struct watch){WATCH_LISTENER, &w->listener};
    assert_int_equal(loop_watch(&w->loop, w->listener.fd, &w->listener.watch, EPOLLIN), 0);
    w->loop.listeners = &w->listener;
    w->loop.nlisteners = 1;
}

static void *
worker_main(void *arg)
{
    struct worker *w = arg;

    while (!atomic_load(&w->stop))
        (void)loop_once(&w->loop, WAIT_MS);
    tenant_close_all(&w->loop.tenant);
    for (unsigned i = 0; i < ROUNDS_MAX && !tenant_is_idle(&w->loop.tenant); i++)
        (void)loop_once(&w->loop, WAIT_MS);
    w->idle = tenant_is_idle(&w->loop.tenant);
    return NULL;
}

static void
worker_start(struct worker *w, const struct contract *c)
{
    static const struct tenant_limits limits = {
        .connections = 64, .fids = 1024, .in_flight = 64, .msize = 65536};
    const struct contract_channel ch = contract_channel(c);
    struct fs *fs;

    assert_int_equal(loop_init(&w->loop), 0);
    assert_int_equal(fs_channel_new("rw", false, ch.memfd, ch.to_helper, &w->fc), 0);
    fs = fs_channel_fs(w->fc);
    w->watch = (struct watch){WATCH_HELPER, &w->fc};
    assert_int_equal(loop_watch(&w->loop, ch.to_worker, &w->watch, EPOLLIN), 0);
    w->loop.helpers[0].fc = w->fc;
    w->loop.nhelpers = 1;
    assert_int_equal(tenant_init(&w->loop.tenant, &limits, &fs, 1), 0);
    w->loop.tenant.watch_output = loop_watch_output;
    w->loop.tenant.loop = &w->loop;
    listen_at(w, c->path);
    assert_int_equal(pthread_create(&w->thread, NULL, worker_main, w), 0);
}

static void
worker_stop(struct worker *w)
{
    atomic_store(&w->stop, true);
    assert_int_equal(pthread_join(w->thread, NULL), 0);
    assert_true(w->idle);
    fs_channel_gone(w->fc);
    tenant_done(&w->loop.tenant); /* and of the channel */
    (void)close(w->listener.fd);
    (void)close(w->loop.epoll_fd);
    assert_int_equal(unlink(w->address.sun_path), 0);
}

static struct nc *
connect_to(void *ctx)
{
    const struct worker *w = ctx;
    char address[sizeof(w->address.sun_path) + 8];
    struct nc *c = NULL;

    (void)snprintf(address, sizeof(address), "unix:%s", w->address.sun_path);
    if (nc_connect(address, &c) < 0)
        return NULL;
    return c;
}

static struct storm_counts
storm_over(const struct contract_options *o, unsigned seconds)
{
    struct contract *c = contract_open(o);
    struct worker *w = calloc(1, sizeof(*w));
    struct storm storm = {.share = c->path,
                          .connect = connect_to,
                          .ctx = w,
                          .aname = "rw",
                          .clients = 4,
                          .few_fds = o->node_fds != 0,
                          .seconds = seconds};
    struct contract_counts left;
    struct storm_counts n;

    assert_non_null(w);
    (void)signal(SIGPIPE, SIG_IGN); /* as the sandbox has it */
    worker_start(w, c);
    n = storm_run(&storm);
    printf("%llu requests, %llu refused, %llu swaps, the link met %llu times\n",
           (unsigned long long)n.requests, (unsigned long long)n.refused,
           (unsigned long long)n.swaps, (unsigned long long)n.links_met);
    printf("%llu locks, %llu of them by who might wait\n", (unsigned long long)n.locks,
           (unsigned long long)n.waits);
    worker_stop(w);
    left = contract_close(c);
    assert_true(!left.known || (left.nodes == 1 && left.node_fds == 1 && left.files == 0));
    free(w);
    return n;
}

static void
nothing_leaves_the_share_and_nothing_stays_behind(void **state)
{
    const struct contract_options o = {
        .present_uid = 1000, .present_gid = 1001, .for_worker = true};
    struct storm_counts n;

    (void)state;
    n = storm_over(&o, SECONDS);
    assert_true(n.requests > 1000 && n.swaps > 100 && n.links_met > 0);
    assert_true(n.locks > 0 && n.waits > 0);
}

/* Files are let go of and found again by name, under the hands of who walks, renames
 * and clunks them. */
static void
nor_when_nodes_lose_their_fds_all_the_while(void **state)
{
    const struct contract_options o = {
        .present_uid = 1000, .present_gid = 1001, .for_worker = true, .node_fds = FEW_FDS};

    (void)state;
    assert_true(storm_over(&o, SECONDS_OF_FEW).requests > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_leaves_the_share_and_nothing_stays_behind),
        cmocka_unit_test(nor_when_nodes_lose_their_fds_all_the_while),
    };

    return cmocka_run_group_tests_name("storm against both in one process", tests, NULL, NULL);
}
