/*
 * bench neighbour [-r ROUNDS] [-w WHAT] [-j FILE] QUIET LOUD RATED GROUPED
 *
 * Each of the four is ADDRESS,ANAME of a tenant of one server: of a guest
 * that is measured, of one that is loud, and the loud one's with rates, and
 * with the limits of a cgroup; or "-" and why there is none.
 *
 * For everything that the loud guest does, in turn: the quiet guest's latency
 * while there is no other, while the loud one is at it, and so on for some
 * rounds; printed are medians and how many times the idle figure they are.
 *
 * Runs in: bench.   Trusts: its command line.   Owns: the quiet guest's
 * connections, and the loud guest's process.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "bench/neighbour.h"
#include "control/nine_wire.h"

#define ROUNDS_MAX 101
#define SAMPLES 1500u        /* of one measurement, */
#define SAMPLES_MIN 100u     /* which ends sooner when they are slow */
#define TARGET_NS 600000000u /* one takes then */
#define READY_MS 20000
#define SETTLE_MS 50 /* for what the loud guest left behind */
#define ANSWER_S 20
#define QUIETS 2u

static const char *const quiet_work[QUIETS] = {"getattr", "read 4k"};

/* Latencies of one measurement, ns. */
struct figure {
    double p50, p99;
};
/* One round. */
struct round {
    struct figure idle[QUIETS], loud[QUIETS];
};

static struct load quiet;
static struct loud loud_at[LOUD_TENANTS];
static struct round got[ROUNDS_MAX];
static unsigned rounds = 7;
static const char *only, *json_file;
static json_t *json_rows;

const struct workload *
workload_find(const char *name)
{
    const struct workload *w = workloads;

    while (strcmp(w->name, name) != 0)
        w++;
    return w;
}

static double
now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* The quiet guest asks, one request at a time. */
static void
measure(struct figure *f, const struct workload *w)
{
    static double ns[SAMPLES];
    double begin = now_ns(), last = begin;
    size_t n = 0;

    while (n < SAMPLES && (n < SAMPLES_MIN || last - begin < TARGET_NS)) {
        double t0 = now_ns();
        int r = load_run(&quiet, w, 1, 1, 1);

        if (r < 0) {
            fprintf(stderr, "bench: the quiet guest's %s: %s\n", w->name, strerror(-r));
            exit(1);
        }
        last = now_ns();
        ns[n++] = last - t0;
    }
    qsort(ns, n, sizeof(ns[0]), by_value);
    *f = (struct figure){.p50 = ns[n / 2], .p99 = ns[n * 99 / 100]};
}

static void
measure_all(struct figure *f)
{
    for (size_t i = 0; i < QUIETS; i++)
        measure(&f[i], workload_find(quiet_work[i]));
}

/* --- the loud guest's process ---------------------------------------------------------- */

/* 0 once it is loud, or -errno. */
static int
loud_wait(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int said = -EPIPE;

    if (poll(&p, 1, READY_MS) <= 0)
        return -ETIMEDOUT;
    return read(fd, &said, sizeof(said)) == sizeof(said) ? said : -EPIPE;
}

static int
loud_start(const struct loud_act *act, pid_t *ret)
{
    struct loud l = loud_at[act->in];
    int ends[2], r;
    pid_t pid;

    if (pipe(ends) < 0)
        return -errno;
    pid = fork();
    if (pid == 0) {
        close(ends[0]);
        l.act = act;
        l.ready = ends[1];
        loud_go(&l);
    }
    close(ends[1]);
    r = pid < 0 ? -errno : loud_wait(ends[0]);
    close(ends[0]);
    *ret = pid;
    return r;
}

/* It must have been loud until now: else -errno, as it said. And what it left
 * with the server is gone before the next measurement. */
static int
loud_stop(pid_t pid)
{
    int status = 0;

    if (pid < 0)
        return 0;
    kill(pid, SIGKILL);
    if (waitpid(pid, &status, 0) != pid)
        return -errno;
    (void)poll(NULL, 0, SETTLE_MS);
    return WIFEXITED(status) ? -WEXITSTATUS(status) : 0;
}

/* --- one row ------------------------------------------------------------------------------ */

static int
run_round(const struct loud_act *act, struct round *u)
{
    pid_t pid = -1;
    int r, ended;

    measure_all(u->idle);
    r = loud_start(act, &pid);
    if (r == 0)
        measure_all(u->loud);
    ended = loud_stop(pid);
    return r < 0 ? r : ended;
}

/* The median over the rounds of a double that is so far into each. */
static double
median(size_t offset)
{
    double v[ROUNDS_MAX] = {0};

    for (unsigned i = 0; i < rounds; i++)
        memcpy(&v[i], (const char *)&got[i] + offset, sizeof(v[i]));
    qsort(v, rounds, sizeof(v[0]), by_value);
    return v[rounds / 2];
}

static void
report(const struct loud_act *act, size_t i)
{
    const size_t at = i * sizeof(struct figure);
    double p50 = median(offsetof(struct round, idle) + at + offsetof(struct figure, p50));
    double p99 = median(offsetof(struct round, idle) + at + offsetof(struct figure, p99));
    double loud50 = median(offsetof(struct round, loud) + at + offsetof(struct figure, p50));
    double loud99 = median(offsetof(struct round, loud) + at + offsetof(struct figure, p99));

    printf("%-24s %-8s %8.1f %8.1f  %8.1f %8.1f  x%-6.2f x%.2f\n", i == 0 ? act->name : "",
           quiet_work[i], p50 / 1e3, p99 / 1e3, loud50 / 1e3, loud99 / 1e3, loud50 / p50,
           loud99 / p99);
    json_array_append_new(json_rows,
                          json_pack("{s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "loud", act->name,
                                    "quiet", quiet_work[i], "idle_p50_ns", p50, "idle_p99_ns", p99,
                                    "p50_ns", loud50, "p99_ns", loud99, "ratio_p50", loud50 / p50,
                                    "ratio_p99", loud99 / p99));
}

static int
run(const struct loud_act *act)
{
    int r = 0;

    if (loud_at[act->in].aname == NULL) {
        printf("%-24s cannot: %s\n", act->name, loud_at[act->in].address);
        json_array_append_new(json_rows, json_pack("{s:s, s:s}", "loud", act->name, "cannot",
                                                   loud_at[act->in].address));
        return 0;
    }
    for (unsigned i = 0; i < rounds && r == 0; i++)
        r = run_round(act, &got[i]);
    if (r < 0)
        printf("%-24s cannot: %s\n", act->name, r == -ERANGE ? "it met no limit" : strerror(-r));
    for (size_t i = 0; i < QUIETS && r == 0; i++)
        report(act, i);
    fflush(stdout);
    return r;
}

/* --- set-up ---------------------------------------------------------------------------------- */

static void
options(int argc, char **argv)
{
    int c;

    while ((c = getopt(argc, argv, "r:w:j:")) != -1) {
        if (c == 'r')
            rounds = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 'w')
            only = optarg;
        else if (c == 'j')
            json_file = optarg;
        else
            exit(2);
    }
    if (rounds == 0 || rounds > ROUNDS_MAX || argc - optind != 1 + LOUD_TENANTS) {
        fprintf(stderr, "usage: bench neighbour [-r ROUNDS] [-w WHAT] [-j FILE] QUIET LOUD RATED "
                        "GROUPED\neach ADDRESS,ANAME, or \"-\" and why there is none\n");
        exit(2);
    }
}

/* Where there is none it has no aname, and its address is why. */
static struct loud
tenant(char *spec)
{
    char *rest = NULL;
    const bool none = spec[0] == '-';
    const char *address = none ? spec + 1 : strtok_r(spec, ",", &rest);
    const char *aname = none ? NULL : strtok_r(NULL, ",", &rest);

    if (address == NULL || (aname == NULL && !none)) {
        fprintf(stderr, "bench: want ADDRESS,ANAME\n");
        exit(2);
    }
    return (struct loud){.address = address, .aname = aname, .ready = -1};
}

static void
open_quiet(char *spec)
{
    const struct loud at = tenant(spec);
    const struct timeval limit = {.tv_sec = ANSWER_S};
    int r = load_open(&quiet, at.address, at.aname, (1u << 20) + NINE_IO_HEAD, LOAD_AGAIN);

    if (r == 0 &&
        setsockopt(nc_fd(quiet.conns[0].c), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
        r = -errno;
    if (r < 0) {
        fprintf(stderr, "bench: %s: %s\n", at.address, strerror(-r));
        exit(1);
    }
}

int
neighbour(int argc, char **argv)
{
    int failed = 0;

    options(argc, argv);
    open_quiet(argv[optind]);
    for (int i = 0; i < LOUD_TENANTS; i++)
        loud_at[i] = tenant(argv[optind + 1 + i]);
    json_rows = json_array();
    printf("%-24s %-8s %17s  %17s  %s\n%-24s %-8s %8s %8s  %8s %8s  %-7s %s\n", "", "", "idle, us",
           "beside it, us", "times idle", "the loud guest", "quiet", "p50", "p99", "p50", "p99",
           "p50", "p99");
    for (size_t i = 0; i < nloud_acts; i++)
        if (only == NULL || strcmp(only, loud_acts[i].name) == 0)
            failed |= run(&loud_acts[i]);
    if (json_file != NULL && json_dump_file(json_rows, json_file, JSON_INDENT(1)) < 0)
        failed = -EIO;
    json_decref(json_rows);
    load_close(&quiet);
    return failed == 0 ? 0 : 1;
}
