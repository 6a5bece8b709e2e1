/*
 * What a server costs: CPU time, wake-ups and memory of a process, its threads
 * and everything below it.
 *
 * Runs in: bench.   Trusts: /proc.   Owns: nothing.
 */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"

#define PROCS_MAX 32768

static size_t
slurp(const char *path, char *buf, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, buf, room - 1);

    if (fd >= 0)
        close(fd);
    buf[n > 0 ? n : 0] = '\0';
    return n > 0 ? (size_t)n : 0;
}

static pid_t
parent_of(pid_t pid)
{
    char path[64], buf[512];
    const char *p;

    (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    if (slurp(path, buf, sizeof(buf)) == 0)
        return 0;
    p = strrchr(buf, ')'); /* the name before it may hold anything */
    return p == NULL ? 0 : (pid_t)strtol(p + 4, NULL, 10);
}

/* Each pid with its parent, as far as the array goes. */
static size_t
list_processes(pid_t pids[][2])
{
    DIR *d = opendir("/proc");
    const struct dirent *e;
    size_t n = 0;

    while (d != NULL && n < PROCS_MAX && (e = readdir(d)) != NULL) {
        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        pids[n][0] = (pid_t)strtol(e->d_name, NULL, 10);
        pids[n][1] = parent_of(pids[n][0]);
        n++;
    }
    if (d != NULL)
        closedir(d);
    return n;
}

size_t
process_tree(pid_t root, pid_t *out, size_t room)
{
    static pid_t pids[PROCS_MAX][2];
    size_t all = list_processes(pids), n = 1;

    out[0] = root;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < all && n < room; k++)
            if (pids[k][1] == out[i])
                out[n++] = pids[k][0];
    return n;
}

/* schedstat(5 of proc): nanoseconds on a CPU, per thread. */
uint64_t
thread_ns(pid_t pid, const char *tid)
{
    char path[320], buf[128];

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, tid);
    return slurp(path, buf, sizeof(buf)) > 0 ? strtoull(buf, NULL, 10) : 0;
}

uint64_t
memory_bytes(const pid_t *pids, size_t n)
{
    uint64_t kib = 0;

    for (size_t i = 0; i < n; i++) {
        char path[64], text[2048];
        const char *at;

        (void)snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pids[i]);
        at = slurp(path, text, sizeof(text)) > 0 ? strstr(text, "\nPss:") : NULL;
        if (at != NULL)
            kib += strtoull(at + 5, NULL, 10);
    }
    return kib * 1024;
}

uint64_t
thread_sleeps(pid_t pid, const char *tid)
{
    char path[320], text[4096];
    const char *at;

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, tid);
    at = slurp(path, text, sizeof(text)) > 0 ? strstr(text, "\nvoluntary_ctxt_switches:") : NULL;
    return at == NULL ? 0 : strtoull(at + 25, NULL, 10);
}

bool
is_called(pid_t pid, const char *tid, const char *name)
{
    char path[320], comm[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/comm", pid, tid);
    return slurp(path, comm, sizeof(comm)) > 0 && strncmp(comm, name, strlen(name)) == 0;
}

uint64_t
sum_threads(const pid_t *pids, size_t n, thread_fn *of)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        char path[64];
        const struct dirent *e;
        DIR *d;

        (void)snprintf(path, sizeof(path), "/proc/%d/task", pids[i]);
        d = opendir(path);
        while (d != NULL && (e = readdir(d)) != NULL)
            if (isdigit((unsigned char)e->d_name[0]))
                sum += of(pids[i], e->d_name);
        if (d != NULL)
            closedir(d);
    }
    return sum;
}

uint64_t
cpu_ns(const pid_t *pids, size_t n)
{
    return sum_threads(pids, n, thread_ns);
}
