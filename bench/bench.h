/*
 * The parts of the benchmark: ops.c has what is asked, load.c keeps requests
 * in flight, local.c does the same without a server, floor.c is a server that
 * does nothing, cpu.c counts what it costs, bench.c runs all in turn and
 * prints ratios. neighbour.c and loud.c measure one tenant beside another.
 */
#ifndef POSTERN_BENCH_BENCH_H
#define POSTERN_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "control/nine_client.h"

#define DEPTH_MAX 64
#define CONNS_MAX 16
#define STEPS_MAX 16
#define FID_ROOT 1u
#define FID_FILE 2u   /* walked, not opened */
#define FID_OPEN 3u   /* big file, open for reading */
#define FID_WRITE 4u  /* open for writing */
#define FID_MANY 5u   /* directory of MANY entries */
#define FID_TAGGED 6u /* file with the attribute user.tag */
#define FID_SLOT 100u /* + slot: of one slot alone */

#define FILE_MIB 64u
#define SMALL 4096u
#define MANY 10000u

struct conn;

/* Builds one message, its tag the slot's number. */
typedef void send_fn(struct conn *c, unsigned slot);
/* The reply of a step is there: do the step again? */
typedef bool again_fn(struct conn *c, unsigned slot, const struct nc_reply *rep);

/* One thing a benchmark does over and over: some messages in a row. */
struct workload {
    const char *name;
    size_t steps;
    send_fn *send[STEPS_MAX];
    again_fn *again;  /* NULL: every step once */
    bool moves_bytes; /* report per MiB moved, not per operation */
    bool may_fail;    /* some answers are errors, as meant */
    bool many_conns;  /* also over many connections */
    bool slow;        /* one operation is thousands of messages */
    /* The same on a directory of this machine, number says which; NULL: none. */
    int (*local)(int dir, uint64_t number);
};

extern const struct workload workloads[];
extern const size_t nworkloads;

/* What one slot of a connection is about. */
struct slot {
    unsigned step;
    uint64_t number; /* of its operation */
    uint64_t cookie; /* of the directory it reads */
};

struct conn {
    struct nc *c;      /* owned */
    const char *aname; /* borrowed */
    uint32_t io;       /* bytes of one big read or write */
    uint64_t bytes;
    struct slot slots[DEPTH_MAX];
};

/* Some connections to one server. */
struct load {
    struct conn conns[CONNS_MAX]; /* the first makes the files */
    size_t nconns;
    uint64_t seq;   /* operations started; makes offsets and names */
    uint64_t bytes; /* moved so far */
};

/* What to do once connected: nothing; open the fids above; make their files
 * first. */
enum load_mode { LOAD_BARE, LOAD_AGAIN, LOAD_FIRST };
/* Connect and attach aname, which is borrowed. 0 or -errno. */
int load_open(struct load *l, const char *address, const char *aname, uint32_t msize,
              enum load_mode mode);
void load_close(struct load *l);
/* Do ops operations over the first nconns connections with depth of them in
 * flight on each. 0 or -errno. */
int load_run(struct load *l, const struct workload *w, size_t nconns, unsigned depth, uint64_t ops);

/* ops.c: make the files of this connection's server. */
int ops_prepare(struct conn *c);
/* Open the fids, on any connection. */
int ops_open(struct conn *c);

/* local.c: the same files below a directory of this machine. Its fd or -errno. */
int local_open(const char *path);
#define LOCAL(name) int local_##name(int dir, uint64_t number)
LOCAL(getattr);
LOCAL(read);
LOCAL(write);
LOCAL(fsync);
LOCAL(walk1);
LOCAL(walk8);
LOCAL(openclose);
LOCAL(create);
LOCAL(symlink);
LOCAL(statfs);
LOCAL(xattr);
LOCAL(lock);
LOCAL(readdir);
#undef LOCAL

/* floor.c: serve answers of the right size at a unix socket, through a channel
 * to a second process that does nothing. Does not return. */
int floor_serve(const char *path);

/* neighbour.c: its own command line, from its name on. What main() returns. */
int neighbour(int argc, char **argv);

/* kernel.c: the same. */
int kernel(int argc, char **argv);

/* A process and all below it; at most room, returns how many. */
size_t process_tree(pid_t root, pid_t *out, size_t room);
/* What it says of each thread of these processes, added up. */
typedef uint64_t thread_fn(pid_t pid, const char *tid);
uint64_t sum_threads(const pid_t *pids, size_t n, thread_fn *of);
/* CPU nanoseconds; times that it went to sleep, which is how often it was woken. */
uint64_t thread_ns(pid_t pid, const char *tid);
uint64_t thread_sleeps(pid_t pid, const char *tid);
/* The thread's name begins like that. */
bool is_called(pid_t pid, const char *tid, const char *name);
/* CPU nanoseconds that all threads of these processes have used. */
uint64_t cpu_ns(const pid_t *pids, size_t n);
/* Bytes of memory that they have, shared ones by halves. */
uint64_t memory_bytes(const pid_t *pids, size_t n);

#endif
