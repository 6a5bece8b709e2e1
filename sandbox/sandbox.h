/*
 * How a process locks itself in: mechanism only. What each process may do is
 * its own table of rules (worker/sandbox.c, proxy-helper/sandbox.c).
 *
 * Order (docs/SECURITY.md gives the reasons): sandbox_confine() before any
 * thread exists and before any peer byte is read, then the caller makes its
 * threads, then sandbox_seal(). A step that fails is the end of the process.
 */
#ifndef POSTERN_SANDBOX_SANDBOX_H
#define POSTERN_SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <seccomp.h>

/* Conditions of a rule: it applies when the profile has all of these bits. */
enum rule_when {
    ALWAYS = 0,
    IF_WRITABLE = 1 << 0, /* helper of a read-write share */
    IF_READ_ONLY = 1 << 1,
    IF_POOL = 1 << 2,     /* the process has threads */
};

enum rule_fds {
    ANY_FD = 0,
    EVENT_FDS, /* one filter rule for each of profile.event_fds, as argument 0 */
    BOOT_FDS,  /* argument 0 is BOOT_FD */
};

/* One system call that stays possible, and why. Everything else kills. */
struct rule {
    int nr;          /* SCMP_SYS(x), or a raw number libseccomp has no name for */
    unsigned when;   /* enum rule_when bits */
    const char *why; /* "op_mkdir": who needs it */
    enum rule_fds fds;
    unsigned ncmp;
    struct scmp_arg_cmp cmp[3]; /* all must hold; libseccomp takes one test per argument */
};

/* What was achieved; sent to the broker in Ready.layers. */
enum layer {
    LAYER_NAMESPACES = 1 << 0,
    LAYER_EMPTY_ROOT = 1 << 1,
    LAYER_SHARE_READ_ONLY = 1 << 2, /* the share's mount says ST_RDONLY */
    LAYER_NO_CAPS = 1 << 3,
    LAYER_NO_NEW_PRIVS = 1 << 4,
    LAYER_LANDLOCK = 1 << 5,
    LAYER_SECCOMP = 1 << 6, /* set by sandbox_seal() */
};

struct sandbox_profile {
    const char *name; /* "worker", "helper-ro", "helper-rw" */
    const struct rule *rules;
    size_t nrules;
    unsigned when;        /* which rules apply: enum rule_when bits */
    const int *event_fds; /* borrowed; for EVENT_FDS rules */
    size_t nevent_fds;
    int mount_fd;         /* the share as a detached mount, or -1: no files at all */
    bool read_only;       /* the share's access */
    uid_t uid;            /* become this (root mode) */
    gid_t gid;
    bool own_userns;      /* rootless: ids stay, groups cannot be dropped */
    bool best_effort;     /* go on without Landlock if the kernel has none */
    rlim_t nofile;        /* RLIMIT_NOFILE */
    rlim_t file_size;     /* RLIMIT_FSIZE, bytes; 0: may not write files */
};

struct sandbox_report {
    unsigned landlock_abi; /* 0: none */
    unsigned layers;       /* enum layer bits */
    int root_fd;           /* O_PATH of the share's root, owned by the caller; -1 without a share */
    const char *step;      /* the step at work: names what failed */
};

/*
 * Namespaces are ours already (spawn.h). Makes the empty root with the share
 * below it, drops ids, capabilities and groups, sets limits, no-new-privs and
 * Landlock. The working directory becomes a clone of /proc/self/fd, so that
 * the name "7" is fd 7 on every kernel; "" and "..": nothing. fds 0 to 2 are
 * replaced by O_PATH fds of the empty root. Every other open fd stays.
 * Single-threaded caller. 0, or -errno with ret->step naming what failed:
 * the process must then exit with EXIT_SANDBOX.
 */
int sandbox_confine(const struct sandbox_profile *p, struct sandbox_report *ret);

/*
 * After the caller's threads exist: no more processes (RLIMIT_NPROC 0) and
 * the seccomp filter on all threads (TSYNC, default KILL_PROCESS). Only the
 * rules are possible from here on. Errors as sandbox_confine().
 */
int sandbox_seal(const struct sandbox_profile *p, struct sandbox_report *ret);

/* Print the profile's rules, one per line: system call, argument tests, why. */
void sandbox_print(FILE *out, const struct sandbox_profile *p);

/*
 * Broker: a deny-list for itself (ptrace, bpf, keyrings, io_uring, module and
 * kexec calls, ...), and only the capabilities it needs (root mode).
 */
int sandbox_broker(bool rootless, struct sandbox_report *ret);

/*
 * What this kernel lacks of what Postern needs. NULL: nothing. Else a text
 * that says what is missing and what to do; static storage.
 */
const char *sandbox_kernel_lacks(bool rootless);

#ifdef POSTERN_SANDBOX_TEST
/* Test builds only (tests/escape): leave layers out, enum layer bits; to
 * show what each layer stops alone. */
extern unsigned sandbox_test_skip;
#endif

#endif
