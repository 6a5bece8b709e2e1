/*
 * The steps of sandbox_confine(), each in the file of its subject. Private to
 * sandbox/. Every step returns 0 or -errno and leaves the rest to the table
 * in sandbox.c.
 */
#ifndef POSTERN_SANDBOX_STEPS_H
#define POSTERN_SANDBOX_STEPS_H

#include "sandbox/sandbox.h"

/* Where the new root is put together. Any directory that surely exists does;
 * the old root is gone soon after. */
#define STAGE "/proc"

struct confine {
    const struct sandbox_profile *p; /* borrowed */
    struct sandbox_report *ret;      /* borrowed */
    int root_mnt;                    /* owned: mount of the empty root; -1 before */
    int fds_mnt;                     /* owned: clone of /proc/self/fd; -1 without a share */
    int self;                        /* owned: /proc/self, which outlives the old root */
    int pins_mnt;                    /* owned: second clone of the share, for protect.c; or -1 */
};

/* process.c: what the process itself carries */
int step_signals(struct confine *c);
int step_namespaces(struct confine *c);
int step_stdio(struct confine *c);
int step_limits(struct confine *c);
int step_no_new_privs(struct confine *c);

/* root.c: the empty root, in this order */
int step_private_mounts(struct confine *c);
int step_fd_directory(struct confine *c);
int step_new_root(struct confine *c);
int step_attach_share(struct confine *c);
int step_pivot(struct confine *c);
int step_check_mounts(struct confine *c);

/* protect.c: read-only below some directories; before the pivot */
int step_protect(struct confine *c);

/* ids.c: who the process is, in this order */
int step_groups(struct confine *c);
int step_bounding_set(struct confine *c);
int step_ids(struct confine *c);
int step_capabilities(struct confine *c);

/* landlock.c */
#define LANDLOCK_ABI_MIN 2 /* the first lets nothing move between directories */
int step_landlock(struct confine *c);
/* The kernel's Landlock ABI, 0: none. */
unsigned landlock_abi(void);

/* filter.c: default KILL_PROCESS, all threads. 0 or -errno. */
int filter_load(const struct sandbox_profile *p);

#ifdef POSTERN_SANDBOX_TEST
#define SKIPPED(layer) ((sandbox_test_skip & (layer)) != 0)
#else
#define SKIPPED(layer) false
#endif

#endif
