/*
 * The cgroup of a tenant (version 2): a group of its own below that of the
 * broker, which whoever started the broker left to it.
 */
#ifndef POSTERN_SANDBOX_CGROUP_H
#define POSTERN_SANDBOX_CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* 0 in each: no limit. */
struct cgroup_limits {
    uint64_t memory; /* bytes, of which no swap; all of its processes end at more */
    uint32_t processes;
    uint32_t cpu_weight; /* 1..10000; others have 100 */
};

struct cgroup_base {
    int fd;          /* owned; -1: none. The group that the caller was in */
    bool moved;      /* the caller is now in its leaf "broker" */
    char enabled[8]; /* first letters of the controllers given to groups below */
    char path[512];  /* for people */
    char why[640];   /* what is wrong, when something was */
};

bool cgroup_needed(const struct cgroup_limits *l);
/*
 * The caller's own group, with the controllers that l needs given to those
 * below, and the caller moved into a leaf of it. May be called again, for more.
 * 0, or -errno with b->why; b zeroed but for fd -1 before the first.
 */
int cgroup_base(struct cgroup_base *b, const struct cgroup_limits *l);
/* Back to where it was, and the leaf gone; groups below are gone before. */
void cgroup_base_done(struct cgroup_base *b);

/*
 * The group NAME below b, as spawn.cgroup_fd takes it, with those limits; one
 * of that name that nobody is in is taken over. Its fd, owned by the caller, or
 * -errno with b->why.
 */
int cgroup_make(struct cgroup_base *b, const char *name, const struct cgroup_limits *l);
/* How many processes were ended because its memory was used up. */
uint64_t cgroup_oom_kills(int fd);
/* What its processes have of memory now. 0, or -errno: -ENOENT where memory is
 * not among its controllers. */
int cgroup_memory(int fd, uint64_t *ret);
/* 0; -EBUSY: not all of its processes were reaped; or another -errno. */
int cgroup_remove(const struct cgroup_base *b, const char *name);

#endif
