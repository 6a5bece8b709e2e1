/*
 * How cost grows with the number of tenants, connections, held files and
 * entries of a directory: scale.c has the command line and the processes,
 * scale_conns.c connections, scale_files.c files and entries.
 */
#ifndef POSTERN_BENCH_SCALE_H
#define POSTERN_BENCH_SCALE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "control/nine_client.h"

/* One server and the tenant that is looked at. */
struct scale_at {
    const char *address, *aname; /* borrowed */
    pid_t broker;
};

/* One row of the result: appended to the file of -j as one line, and printed.
 * Takes the reference. */
void scale_row(json_t *row);
/* Memory (PSS, bytes) of the processes of that name below the broker. */
uint64_t scale_memory(pid_t broker, const char *name);
/* CPU nanoseconds of all processes below it. */
uint64_t scale_cpu(pid_t broker);
double scale_now(void);
double scale_median(double *v, size_t n);

/* A connection with the share attached as fid 1. 0 or -errno. */
#define SCALE_ROOT 1u
int scale_connect(const struct scale_at *at, struct nc **ret);

/*
 * Items 0..n, each a few messages in a row, depth items in flight. send()
 * builds message number step of item i with this tag. 0; -EPROTO: a reply was an
 * error.
 */
#define SCALE_DEPTH 32u
struct scale_pipe {
    void (*send)(struct nc *c, uint16_t tag, uint64_t i, unsigned step, void *ctx);
    void *ctx;
    unsigned steps, depth; /* depth at most SCALE_DEPTH */
};
int scale_run(struct nc *c, const struct scale_pipe *p, uint64_t n);

/* 0, or -errno after saying why. */
int scale_connections(const struct scale_at *at, size_t most);
/* dir: where the share is on this machine; its files are made there. */
int scale_files(const struct scale_at *at, const char *dir, uint64_t most);

/* Its own command line, from its name on. What main() returns. */
int scale(int argc, char **argv);

#endif
