/*
 * Many connections to one tenant: what each costs in memory, and how many
 * requests a second all of them get together.
 *
 * Runs in: bench.   Trusts: the server, but checks every reply's type.
 * Owns: the connections.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/scale.h"
#include "control/nine_wire.h"

#define ROUNDS 7u
#define OPERATIONS 20000u /* of one measurement, and at least ten for each connection */
#define FDS_BESIDE 64u
#define ANSWER_MS 20000

static const size_t sizes[] = {1, 16, 100, 1000, 10000};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct many {
    struct nc **at; /* owned, and each */
    size_t n;
    int epfd; /* owned */
    double idle_kib[SIZES], ops[SIZES][ROUNDS], cpu[SIZES][ROUNDS];
};

static int
add_one(struct many *m, const struct scale_at *at)
{
    struct epoll_event e = {.events = EPOLLIN, .data.u64 = m->n};
    int r = scale_connect(at, &m->at[m->n]);

    if (r < 0)
        return r;
    if (epoll_ctl(m->epfd, EPOLL_CTL_ADD, nc_fd(m->at[m->n]), &e) < 0)
        return -errno;
    m->n++;
    return 0;
}

static void
ask(struct nc *c)
{
    nc_begin(c, NINE_TGETATTR, 0);
    nc_u32(c, SCALE_ROOT);
    nc_u64(c, NINE_GETATTR_BASIC);
    nc_end(c);
}

/* One request in flight on each of the first n, until that many are answered. */
static int
storm(struct many *m, size_t n, size_t total)
{
    size_t begun = 0, done = 0;
    int r = 0;

    for (; begun < n && r == 0; begun++) {
        ask(m->at[begun]);
        r = nc_push(m->at[begun]);
    }
    while (done < total && r == 0) {
        struct epoll_event e[64];
        int got = epoll_wait(m->epfd, e, 64, ANSWER_MS);

        if (got <= 0)
            return -ETIMEDOUT;
        for (int i = 0; i < got && r == 0; i++, done++) {
            struct nc *c = m->at[e[i].data.u64];
            struct nc_reply rep;

            r = nc_pull(c, &rep);
            if (r == 0 && rep.type != NINE_TGETATTR + 1)
                r = -EPROTO;
            if (r == 0 && begun < total) {
                begun++;
                ask(c);
                r = nc_push(c);
            }
        }
    }
    return r;
}

static int
measure(struct many *m, const struct scale_at *at, size_t i, size_t round)
{
    size_t total = sizes[i] * 10 > OPERATIONS ? sizes[i] * 10 : OPERATIONS;
    double cpu = (double)scale_cpu(at->broker), t = scale_now();
    int r = storm(m, sizes[i], total);

    t = scale_now() - t;
    m->ops[i][round] = (double)total / t;
    m->cpu[i][round] = ((double)scale_cpu(at->broker) - cpu) / 1e3 / (double)total;
    return r;
}

static int
run(struct many *m, const struct scale_at *at, size_t nsizes)
{
    double first = 0;
    int r = 0;

    for (size_t i = 0; i < nsizes && r == 0; i++) {
        if (i == 0)
            first = (double)scale_memory(at->broker, "worker");
        while (m->n < sizes[i] && r == 0)
            r = add_one(m, at);
        m->idle_kib[i] = ((double)scale_memory(at->broker, "worker") - first) / 1024;
    }
    for (size_t round = 0; round < ROUNDS && r == 0; round++)
        for (size_t i = 0; i < nsizes && r == 0; i++)
            r = measure(m, at, i, round);
    for (size_t i = 0; i < nsizes && r == 0; i++)
        scale_row(json_pack("{s:s, s:I, s:f, s:f, s:f, s:f}", "what", "connections", "n",
                            (json_int_t)sizes[i], "ops_per_s", scale_median(m->ops[i], ROUNDS),
                            "cpu_us_per_op", scale_median(m->cpu[i], ROUNDS), "idle_kib_each",
                            m->idle_kib[i] / (double)sizes[i], "worker_kib",
                            (double)scale_memory(at->broker, "worker") / 1024));
    return r;
}

static void
may_open(size_t n)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) == 0 && rl.rlim_cur < n) {
        rl.rlim_cur = rl.rlim_max < n ? rl.rlim_max : n;
        (void)setrlimit(RLIMIT_NOFILE, &rl);
    }
}

int
scale_connections(const struct scale_at *at, size_t most)
{
    struct many *m = calloc(1, sizeof(*m));
    size_t nsizes = 0;
    int r = -ENOMEM;

    if (m == NULL)
        return r;
    while (nsizes < SIZES && sizes[nsizes] <= most)
        nsizes++;
    may_open(most + FDS_BESIDE);
    m->at = calloc(most + 1, sizeof(struct nc *));
    m->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (m->at != NULL && m->epfd >= 0)
        r = run(m, at, nsizes);
    if (r < 0)
        fprintf(stderr, "bench: connection %zu: %s\n", m->n, strerror(-r));
    for (size_t i = 0; i < m->n; i++)
        nc_close(m->at[i]);
    if (m->epfd >= 0)
        close(m->epfd);
    free(m->at);
    free(m);
    return r;
}
