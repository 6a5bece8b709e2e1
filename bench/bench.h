/*
 * The parts of the benchmark: load.c makes requests, cpu.c counts what they
 * cost the server, bench.c runs servers in turn and prints ratios.
 */
#ifndef POSTERN_BENCH_BENCH_H
#define POSTERN_BENCH_BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "control/nine_client.h"

#define DEPTH_MAX 64
#define STEPS_MAX 4
#define FID_ROOT 1u
#define FID_FILE 2u   /* walked, not opened */
#define FID_OPEN 3u   /* big file, open for reading */
#define FID_WRITE 4u  /* open for writing */
#define FID_SLOT 100u /* + slot: of one slot alone */

struct load;

/* One thing a benchmark does over and over: one to four messages in a row. */
struct workload {
    const char *name;
    size_t steps;
    void (*send[STEPS_MAX])(struct load *l, unsigned slot); /* builds one message, tag = slot */
    bool moves_bytes; /* report per MiB moved, not per operation */
};

extern const struct workload workloads[];
extern const size_t nworkloads;

/* A connection to one server under load. */
struct load {
    struct nc *c;   /* owned */
    uint32_t io;    /* bytes of one big read or write */
    uint64_t seq;   /* operations started; makes offsets and names */
    uint64_t bytes; /* moved so far */
    unsigned step[DEPTH_MAX];
    uint64_t number[DEPTH_MAX]; /* seq of the slot's operation */
};

/* Connect, attach aname, open the fids above on files it makes first. 0 or -errno. */
int load_open(struct load *l, const char *address, const char *aname, uint32_t msize);
void load_close(struct load *l);
/* Do ops operations with depth of them in flight. 0 or -errno. */
int load_run(struct load *l, const struct workload *w, unsigned depth, uint64_t ops);

/* A process and all below it; at most room, returns how many. */
size_t process_tree(pid_t root, pid_t *out, size_t room);
/* CPU nanoseconds that all threads of these processes have used. */
uint64_t cpu_ns(const pid_t *pids, size_t n);

#endif
