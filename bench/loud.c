/*
 * The loud guest: what it does to its own tenant, without end, while another
 * tenant's guest is measured. It says when it has met the limit that it is
 * about, so that nothing is measured before.
 *
 * Runs in: bench, a process of its own.   Trusts: the server.
 * Owns: its connections.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/neighbour.h"
#include "control/nine_wire.h"

#define LOUD_SECONDS 120u /* it ends then, whatever became of the bench */
#define LOADS 3u
#define STREAMS (LOADS * CONNS_MAX) /* below the tenant's limit of 64 connections */
#define KEPT_MAX 1024u
#define NODE_CONNS 4u    /* one has fids for fewer nodes than the tenant may have */
#define FIDS_A_CONN 900u /* below the tenant's limit of 1000 */
#define FILES 3000u      /* "many/1" and so on; more than the nodes it may have */
#define RING_TOKENS 16u
#define HAND_ON_WORK 2000u /* some microseconds */
#define COMPUTING 3u       /* as many as a guest, its worker and its helper */
#define UNREAD_TAGS 60000u /* each once: none is used while it waits */
#define IO_MESSAGE 23u     /* Tread, and Twrite without its data */
#define STUCK_MS 200       /* no connection took a byte for so long: all are full */
#define BIG (1u << 20)

/* Said once: the limit is met, from now on measure. */
static void
ready(struct loud *l)
{
    if (l->ready >= 0) {
        (void)!write(l->ready, &(int){0}, sizeof(int));
        close(l->ready);
    }
    l->ready = -1;
}

static int
nothing(struct loud *l)
{
    ready(l);
    while (pause() < 0) /* always */
        continue;
    return 0;
}

static void *
spin(void *unused)
{
    for (volatile uint64_t i = 1; i != 0; i = i + 1)
        continue;
    return unused;
}

/* No limit and no server: what this machine does to anybody who must share it. */
static int
compute(struct loud *l)
{
    pthread_t thread;

    for (unsigned i = 1; i < COMPUTING; i++)
        if (pthread_create(&thread, NULL, spin, NULL) != 0)
            return -EAGAIN;
    ready(l);
    spin(NULL);
    return 0;
}

/* One member of a ring: a byte in is a byte out, after a little work. */
static void *
hand_on(void *arg)
{
    const int *ends = arg;
    char byte;

    while (read(ends[0], &byte, 1) == 1 && write(ends[1], &byte, 1) == 1) {
        for (volatile unsigned i = 0; i < HAND_ON_WORK; i = i + 1)
            continue;
    }
    return NULL;
}

/* No server either, but threads that wake each other all the time, as a guest,
 * its worker and its helper do. */
static int
ring(struct loud *l)
{
    int pipes[COMPUTING][2], ends[COMPUTING][2];
    pthread_t thread;

    for (unsigned i = 0; i < COMPUTING; i++)
        if (pipe(pipes[i]) < 0)
            return -errno;
    for (unsigned i = 0; i < COMPUTING; i++) {
        ends[i][0] = pipes[i][0];
        ends[i][1] = pipes[(i + 1) % COMPUTING][1];
        if (pthread_create(&thread, NULL, hand_on, ends[i]) != 0)
            return -EAGAIN;
    }
    for (unsigned i = 0; i < RING_TOKENS; i++)
        if (write(pipes[0][1], "", 1) != 1)
            return -errno;
    return nothing(l);
}

static int
connects(struct loud *l)
{
    size_t n = 0;

    for (;;) {
        struct nc *c = NULL; /* stays open, while the server has it, to the end */
        int r = nc_connect(l->address, &c);

        if (r == 0)
            r = nc_version(c, NINE_IO_HEAD + 8192, "9P2000.L");
        if (r == 0 && n < KEPT_MAX) {
            n++;
            continue;
        }
        nc_close(c);
        if (n == KEPT_MAX || n == 0)
            return r < 0 ? r : -ERANGE;
        ready(l);
    }
}

static int
open_conn(const struct loud *l, struct nc **ret)
{
    int r = nc_connect(l->address, ret);

    if (r == 0)
        r = nc_version(*ret, NINE_IO_HEAD + 8192, "9P2000.L");
    return r == 0 ? nc_attach(*ret, FID_ROOT, "root", l->aname, 0) : r;
}

static int
walks(struct loud *l)
{
    struct nc *c = NULL;
    int r = open_conn(l, &c);

    for (uint32_t fid = FID_SLOT; r == 0 || r == -EMFILE; fid++) {
        r = nc_walk(c, FID_ROOT, fid, 0, NULL, NULL, NULL);
        if (r == -EMFILE)
            ready(l);
    }
    return r;
}

static int
walk_many(struct nc *c, uint32_t fid, unsigned number)
{
    char name[16];
    const char *const names[] = {"many", name};
    struct nc_qid qids[2];
    size_t got = 0;
    int r;

    (void)snprintf(name, sizeof(name), "%u", 1 + number % FILES);
    r = nc_walk(c, FID_ROOT, fid, 2, names, qids, &got);
    return r == 0 && got != 2 ? -ENFILE : r; /* it came as far as the directory */
}

static int
holds_nodes(struct loud *l)
{
    struct nc *c[NODE_CONNS];
    int r = 0;

    for (unsigned i = 0; i < NODE_CONNS && r == 0; i++)
        r = open_conn(l, &c[i]);
    for (unsigned i = 0; r == 0 && i < NODE_CONNS * FIDS_A_CONN; i++) {
        r = walk_many(c[i / FIDS_A_CONN], FID_SLOT + i % FIDS_A_CONN, i);
    }
    while (r == -ENFILE) {
        ready(l);
        r = walk_many(c[NODE_CONNS - 1], FID_SLOT + FIDS_A_CONN, FILES - 1);
    }
    return r < 0 ? r : -ERANGE;
}

static int
opens(struct loud *l)
{
    struct nc *c = NULL;
    int r = open_conn(l, &c);

    for (uint32_t fid = FID_SLOT; r == 0 && fid < FID_SLOT + FIDS_A_CONN; fid++) {
        r = walk_many(c, fid, fid);
        if (r == 0)
            r = nc_lopen(c, fid, NINE_O_RDONLY, NULL, NULL);
        while (r == -EMFILE) {
            ready(l);
            r = nc_lopen(c, fid, NINE_O_RDONLY, NULL, NULL);
        }
    }
    return r < 0 ? r : -ERANGE;
}

/* One of the benchmark's own workloads, at full speed. */
static int
works(struct loud *l)
{
    static struct load load;
    const struct loud_act *a = l->act;
    const struct workload *w = workload_find(a->work);
    int r = load_open(&load, l->address, l->aname, BIG + NINE_IO_HEAD, LOAD_AGAIN);

    if (r == 0)
        r = load_run(&load, w, a->conns, a->depth, a->first);
    ready(l);
    while (r == 0)
        r = load_run(&load, w, a->conns, a->depth, 1000);
    return r;
}

/* --- what no decent client sends ------------------------------------------------------ */

/* One connection into which bytes are poured; the fd is a load's. */
struct stream {
    size_t sent;
};

/* What fits. 0, or -errno when the server ended the connection. */
static int
stream_send(int fd, struct stream *s, const uint8_t *bytes, size_t n)
{
    while (s->sent < n) {
        ssize_t r = send(fd, bytes + s->sent, n - s->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (r < 0)
            return errno == EAGAIN ? 0 : -errno;
        s->sent += (size_t)r;
    }
    return 0;
}

/* The n bytes into every connection, and never a look at what comes back. */
static int
pour(struct loud *l, const uint8_t *bytes, size_t n)
{
    static struct load loads[LOADS];
    struct pollfd p[STREAMS];
    struct stream streams[STREAMS] = {0};
    size_t left = STREAMS;

    for (size_t i = 0; i < STREAMS; i++) {
        struct load *load = &loads[i / CONNS_MAX];
        int r = load->nconns > 0
                    ? 0
                    : load_open(load, l->address, l->aname, BIG + NINE_IO_HEAD, LOAD_AGAIN);

        if (r < 0)
            return r;
        p[i] = (struct pollfd){.fd = nc_fd(load->conns[i % CONNS_MAX].c), .events = POLLOUT};
    }
    while (left > 0) {
        if (poll(p, STREAMS, l->ready >= 0 ? STUCK_MS : -1) == 0)
            ready(l);
        for (size_t i = 0; i < STREAMS; i++) {
            if (p[i].fd < 0 || p[i].revents == 0)
                continue;
            if (stream_send(p[i].fd, &streams[i], bytes, n) < 0)
                return -EPIPE;
            if (streams[i].sent == n) {
                p[i].fd = -1;
                left--;
            }
        }
    }
    return nothing(l);
}

static void
put(uint8_t **at, uint64_t v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        *(*at)++ = (uint8_t)(v >> (8 * i));
}

static void
put_io(uint8_t **at, uint8_t type, unsigned tag, uint32_t data)
{
    put(at, IO_MESSAGE + data, 4);
    put(at, type, 1);
    put(at, tag, 2);
    put(at, FID_WRITE, 4);
    put(at, 0, 8);
    put(at, BIG, 4);
}

static int
half_sent(struct loud *l)
{
    static uint8_t message[IO_MESSAGE + BIG / 2];
    uint8_t *at = message;

    put_io(&at, NINE_TWRITE, 0, BIG);
    return pour(l, message, sizeof(message));
}

static int
unread(struct loud *l)
{
    static uint8_t messages[UNREAD_TAGS * IO_MESSAGE];
    uint8_t *at = messages;

    for (unsigned tag = 0; tag < UNREAD_TAGS; tag++)
        put_io(&at, NINE_TREAD, tag, 0);
    return pour(l, messages, sizeof(messages));
}

/* --- all of them --------------------------------------------------------------------------- */

/* first: more than a second's worth saved up, where there is a rate. */
const struct loud_act loud_acts[] = {
    {.name = "nothing", nothing},
    {.name = "computes, no server", compute},
    {.name = "a ring, no server", ring},
    {.name = "connects without end", connects},
    {.name = "walks beyond fids", walks},
    {.name = "walks beyond nodes", holds_nodes},
    {.name = "opens beyond open-files", opens},
    {.name = "getattr, 128 in flight", works, "getattr", 2, 64, 128},
    {.name = "reads 1 MiB", works, "read 1m seq", 1, 4, 4},
    {.name = "the same, read-rate", works, "read 1m seq", 1, 4, 12, LOUD_RATED},
    {.name = "writes 1 MiB", works, "write 1m seq", 1, 4, 4},
    {.name = "the same, write-rate", works, "write 1m seq", 1, 4, 12, LOUD_RATED},
    {.name = "walks and opens", works, "walk+open+clunk", 1, 16, 16},
    {.name = "the same, metadata-rate", works, "walk+open+clunk", 1, 16, 600, LOUD_RATED},
    {.name = "memory: writes 1 MiB", works, "write 1m seq", 1, 4, 64, LOUD_GROUPED},
    {.name = "processes: all threads", works, "write 1m seq", 2, 16, 64, LOUD_GROUPED},
    {.name = "cpu-weight: getattr", works, "getattr", 2, 64, 128, LOUD_GROUPED},
    {.name = "sends half a Twrite", half_sent},
    {.name = "never reads replies", unread},
};
const size_t nloud_acts = sizeof(loud_acts) / sizeof(loud_acts[0]);

_Noreturn void
loud_go(struct loud *l)
{
    int r;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(LOUD_SECONDS);
    r = l->act->go(l);
    if (l->ready >= 0)
        (void)!write(l->ready, &r, sizeof(r));
    _exit(-r);
}
