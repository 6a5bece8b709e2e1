/*
 * bench scale [-j FILE] idle TENANTS START_SECONDS KERNEL_KIB PID
 * bench scale [-j FILE] connections MOST ADDRESS,ANAME,PID
 * bench scale [-j FILE] files MOST DIR ADDRESS,ANAME,PID
 *
 * How cost grows. PID is posternd's; idle: what all its processes do and hold
 * while no guest asks for anything, KERNEL_KIB what the kernel's own memory was
 * before. One row per size is printed, and appended to FILE as a line of JSON.
 *
 * Runs in: bench.   Trusts: its command line.   Owns: nothing.
 */
#include "bench/scale.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "control/nine_wire.h"

#define PROCESSES_MAX 32768u
#define IDLE_SECONDS 5

static const char *json_file;
static pid_t pids[PROCESSES_MAX];

double
scale_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double
scale_median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_value);
    return v[n / 2];
}

static void
print_value(const char *key, const json_t *v)
{
    if (json_is_string(v))
        printf("%s ", json_string_value(v));
    else if (json_is_integer(v))
        printf(" %s %" JSON_INTEGER_FORMAT, key, json_integer_value(v));
    else
        printf(" %s %.3f", key, json_number_value(v));
}

void
scale_row(json_t *row)
{
    FILE *f = json_file == NULL ? NULL : fopen(json_file, "ae");

    for (void *at = json_object_iter(row); at != NULL; at = json_object_iter_next(row, at))
        print_value(json_object_iter_key(at), json_object_iter_value(at));
    printf("\n");
    fflush(stdout);
    if (f != NULL) {
        json_dumpf(row, f, JSON_COMPACT | JSON_REAL_PRECISION(6));
        fputc('\n', f);
        fclose(f);
    }
    json_decref(row);
}

/* --- processes -------------------------------------------------------------------------- */

uint64_t
scale_memory(pid_t broker, const char *name)
{
    size_t n = process_tree(broker, pids, PROCESSES_MAX);
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        char tid[16];

        (void)snprintf(tid, sizeof(tid), "%d", pids[i]);
        if (is_called(pids[i], tid, name))
            sum += memory_bytes(&pids[i], 1);
    }
    return sum;
}

uint64_t
scale_cpu(pid_t broker)
{
    return cpu_ns(pids, process_tree(broker, pids, PROCESSES_MAX));
}

static uint64_t
one(pid_t pid, const char *tid)
{
    (void)pid;
    (void)tid;
    return 1;
}

/* Of the whole machine; what a namespace costs is nowhere else to be seen. */
static double
kernel_kib(void)
{
    static const char *const keys[] = {"Slab:", "PageTables:", "KernelStack:", "Percpu:"};
    char line[128];
    double sum = 0;
    FILE *f = fopen("/proc/meminfo", "re");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
            if (strncmp(line, keys[i], strlen(keys[i])) == 0)
                sum += strtod(line + strlen(keys[i]), NULL);
    if (f != NULL)
        fclose(f);
    return sum;
}

static int
idle(char **argv)
{
    double tenants = strtod(argv[0], NULL), before = strtod(argv[2], NULL);
    pid_t broker = (pid_t)strtol(argv[3], NULL, 10);
    uint64_t start_cpu = scale_cpu(broker), slept, cpu;
    size_t n = process_tree(broker, pids, PROCESSES_MAX);
    double kernel = kernel_kib() - before;

    slept = sum_threads(pids, n, thread_sleeps);
    cpu = cpu_ns(pids, n);
    sleep(IDLE_SECONDS);
    cpu = cpu_ns(pids, n) - cpu;
    slept = sum_threads(pids, n, thread_sleeps) - slept;
    scale_row(json_pack(
        "{s:s, s:I, s:f, s:f, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "what", "tenants", "n",
        (json_int_t)tenants, "start_s", strtod(argv[1], NULL), "start_cpu_s",
        (double)start_cpu / 1e9, "processes", (json_int_t)n, "threads",
        (json_int_t)sum_threads(pids, n, one), "wakeups_per_s", (double)slept / IDLE_SECONDS,
        "idle_cpu_percent", (double)cpu / IDLE_SECONDS / 1e7, "worker_kib",
        (double)scale_memory(broker, "worker") / 1024 / tenants, "helpers_kib",
        (double)scale_memory(broker, "helper") / 1024 / tenants, "broker_kib",
        (double)memory_bytes(&broker, 1) / 1024, "tenant_kib",
        (double)(scale_memory(broker, "worker") + scale_memory(broker, "helper")) / 1024 / tenants,
        "kernel_kib_per_tenant", kernel / tenants));
    return 0;
}

/* --- one connection ---------------------------------------------------------------------- */

int
scale_connect(const struct scale_at *at, struct nc **ret)
{
    struct nc *c = NULL;
    int r = nc_connect(at->address, &c);

    if (r == 0)
        r = nc_version(c, 65536 + NINE_IO_HEAD, "9P2000.L");
    if (r == 0)
        r = nc_attach(c, SCALE_ROOT, "root", at->aname, 0);
    if (r == 0)
        *ret = c;
    else if (c != NULL)
        nc_close(c);
    return r;
}

struct flow {
    const struct scale_pipe *p;
    struct nc *c;
    uint64_t n, begun, done;
    uint64_t item[SCALE_DEPTH];
    unsigned step[SCALE_DEPTH];
};

static void
flow_send(struct flow *f, uint16_t tag)
{
    f->p->send(f->c, tag, f->item[tag], f->step[tag], f->p->ctx);
    nc_end(f->c);
}

/* The next message of the item whose reply this is, or the next item's first. */
static int
flow_take(struct flow *f, const struct nc_reply *rep)
{
    uint16_t tag = rep->tag;

    if (tag >= SCALE_DEPTH || rep->type == NINE_RLERROR)
        return -EPROTO;
    if (++f->step[tag] == f->p->steps) {
        f->done++;
        if (f->begun == f->n)
            return 0;
        f->item[tag] = f->begun++;
        f->step[tag] = 0;
    }
    flow_send(f, tag);
    return 0;
}

int
scale_run(struct nc *c, const struct scale_pipe *p, uint64_t n)
{
    struct flow f = {.p = p, .c = c, .n = n};
    int r = 0;

    for (uint16_t tag = 0; tag < p->depth && f.begun < n; tag++) {
        f.item[tag] = f.begun++;
        flow_send(&f, tag);
    }
    while (f.done < n && r == 0) {
        struct nc_reply rep;

        if (!nc_has_reply(c))
            r = nc_push(c);
        if (r == 0)
            r = nc_pull(c, &rep);
        if (r == 0)
            r = flow_take(&f, &rep);
    }
    return r;
}

/* --- command line ------------------------------------------------------------------------- */

static int
usage(void)
{
    fprintf(stderr, "usage: bench scale [-j FILE] idle TENANTS START_SECONDS KERNEL_KIB PID\n"
                    "       bench scale [-j FILE] connections MOST ADDRESS,ANAME,PID\n"
                    "       bench scale [-j FILE] files MOST DIR ADDRESS,ANAME,PID\n");
    return 2;
}

static bool
parse_at(char *spec, struct scale_at *at)
{
    char *rest;
    const char *pid;

    at->address = strtok_r(spec, ",", &rest);
    at->aname = strtok_r(NULL, ",", &rest);
    pid = strtok_r(NULL, ",", &rest);
    at->broker = pid == NULL ? 0 : (pid_t)strtol(pid, NULL, 10);
    return at->broker > 0;
}

int
scale(int argc, char **argv)
{
    struct scale_at at;
    int left;

    if (argc > 2 && strcmp(argv[1], "-j") == 0) {
        json_file = argv[2];
        argv += 2;
        argc -= 2;
    }
    left = argc - 2;
    if (left == 4 && strcmp(argv[1], "idle") == 0)
        return idle(argv + 2);
    if (left == 2 && strcmp(argv[1], "connections") == 0 && parse_at(argv[3], &at))
        return scale_connections(&at, strtoul(argv[2], NULL, 10)) < 0 ? 1 : 0;
    if (left == 3 && strcmp(argv[1], "files") == 0 && parse_at(argv[4], &at))
        return scale_files(&at, argv[3], strtoul(argv[2], NULL, 10)) < 0 ? 1 : 0;
    return usage();
}
