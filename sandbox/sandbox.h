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

#include "ipc/limits.h"

/* Conditions of a rule: it applies when the profile has all of these bits. */
enum rule_when {
    ALWAYS = 0,
    IF_WRITABLE = 1 << 0, /* helper of a read-write share */
    IF_READ_ONLY = 1 << 1,
    IF_POOL = 1 << 2, /* the process has threads */
};

enum rule_fds {
    ANY_FD = 0,
    EVENT_FDS, /* one filter rule for each of profile.event_fds, as argument 0 */
    BOOT_FDS,  /* argument 0 is BOOT_FD */
};

/*
 * Tests of argument n, for rule.cmp. The kernel reads int, unsigned and
 * mode_t arguments from the low 32 bits alone, so nothing else is looked at;
 * LONG_ is for long and size_t. One test per argument: fold what must be set
 * and what must not into ARG_BITS.
 */
#define ARG_IS(n, v) ARG_MASKED(n, UINT32_MAX, v)
/* Every bit outside of allowed is 0. */
#define ARG_ONLY(n, allowed) ARG_MASKED(n, ~(allowed), 0)
/* The same, and all bits of needed (a part of allowed) are 1. */
#define ARG_BITS(n, allowed, needed) ARG_MASKED(n, ~(allowed) | (needed), needed)
#define ARG_MASKED(n, mask, v)                                                                     \
    {                                                                                              \
        (n), SCMP_CMP_MASKED_EQ, (uint32_t)(mask), (uint32_t)(v)                                   \
    }
#define LONG_IS(n, v)                                                                              \
    {                                                                                              \
        (n), SCMP_CMP_EQ, (scmp_datum_t)(v), 0                                                     \
    }
#define LONG_ONLY(n, allowed)                                                                      \
    {                                                                                              \
        (n), SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)(allowed), 0                                       \
    }

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
    LAYER_SECCOMP = 1 << 6,  /* set by sandbox_seal() */
    LAYER_FEW_CAPS = 1 << 7, /* instead of NO_CAPS: those of the profile and no other */
};

struct sandbox_profile {
    const char *name; /* "worker", "helper-ro", "helper-rw" */
    const struct rule *rules;
    size_t nrules;
    unsigned when;        /* which rules apply: enum rule_when bits */
    const int *event_fds; /* borrowed; for EVENT_FDS rules */
    size_t nevent_fds;
    int mount_fd;   /* borrowed: the share as a detached mount, or -1: no files at all */
    bool submounts; /* other mounts may be there below the share */
    const char *const *protect; /* borrowed: directories below the share's root, "a/b", */
    size_t nprotect;            /* that are read-only; at most PROTECT_MAX */
    bool read_only;             /* the share's access */
    uid_t uid;                  /* become this (root mode) */
    gid_t gid;
    bool own_userns;  /* in a user namespace of its own: ids stay */
    uint32_t ids;     /* own_userns: it maps [0, ids); 0: one id, and groups cannot be dropped */
    uint64_t caps;    /* 1 << CAP_*: kept, and so is id 0; 0: none */
    bool devices;     /* device nodes may be made on the share */
    bool best_effort; /* go on without Landlock if the kernel has none */
    rlim_t nofile;    /* RLIMIT_NOFILE; less if the broker's own hard limit is less */
    rlim_t file_size; /* RLIMIT_FSIZE, bytes; 0: may not write files */
};

/* A read-only mount of a directory upon itself, by its id and the id of the
 * mount that it is a part of (stx_mnt_id of statx(2)). whole: it is all of
 * another file system, and a part of none. */
struct protected_mount {
    uint64_t id, over;
    bool whole;
};

struct sandbox_report {
    unsigned landlock_abi; /* 0: none */
    unsigned layers;       /* enum layer bits */
    int root_fd;           /* O_PATH of the share's root, owned by the caller; -1 without a share */
    const char *step;      /* the step at work: names what failed */
    const char *path;      /* borrowed: that of profile.protect at work, or NULL */
    struct protected_mount protects[PROTECT_MAX]; /* fewer when one lies in another */
    size_t nprotects;
};

/*
 * Namespaces are ours already (spawn.h). Makes the empty root with the share
 * below it, drops ids, capabilities and groups, sets limits, no-new-privs and
 * Landlock. With a share, the working directory becomes a clone of
 * /proc/self/fd, so that the name "7" is fd 7 on every kernel; "" and "..":
 * nothing. fds 0 to 2 are replaced by O_PATH fds of the empty root. Every
 * other open fd stays; mount_fd is then the attached mount, the same as
 * root_fd, and the caller may close it. All signals go back to their default
 * but SIGPIPE and SIGXFSZ, which are ignored. The process must be the one
 * that spawn_child() made, not a fork of it. Single-threaded caller. 0, or -errno with ret->step
 * naming what failed: the process must then exit with EXIT_SANDBOX.
 */
int sandbox_confine(const struct sandbox_profile *p, struct sandbox_report *ret);

/*
 * After the caller's threads exist and have begun their work (a thread that
 * still starts makes calls of the C library that no table lists: wait for
 * each): no more processes (RLIMIT_NPROC 0) and
 * the seccomp filter on all threads (TSYNC, default KILL_PROCESS). Only the
 * rules are possible from here on. Errors as sandbox_confine().
 */
int sandbox_seal(const struct sandbox_profile *p, struct sandbox_report *ret);

/* Print the profile's rules, one per line: system call, argument tests, why. */
void sandbox_print(FILE *out, const struct sandbox_profile *p);

/*
 * What makes root over files one: the capabilities of a helper whose requests
 * are its guest's users' (identity = map, host), as a set of 1 << CAP_*.
 * devices: with MKNOD.
 */
uint64_t sandbox_root_caps(bool devices);
/* Whether this process could give a child all of them. */
bool sandbox_may_lend(uint64_t caps);

/* Who the broker is: root; an ordinary user; one whom the system lends ids. */
enum broker_kind { BROKER_ROOT, BROKER_ROOTLESS, BROKER_ROOTLESS_IDS };

/*
 * Broker: a deny-list for itself (ptrace, bpf, keyrings, io_uring, module and
 * kexec calls, ...), only the capabilities it needs to make children and to
 * reach shares, no-new-privs, and not dumpable. What needs any other one
 * (CHOWN of a socket, a port below 1024) comes before. But as root, call
 * spawn_enter_userns() before. lends: of capabilities that are no use to itself,
 * those that a child is to have (identity = host). Children inherit the list and
 * narrow it.
 * 0 or -errno with ret->step, as sandbox_confine().
 */
int sandbox_broker(enum broker_kind kind, uint64_t lends, struct sandbox_report *ret);
/* Print what it keeps and what it denies, with the reasons. */
void sandbox_broker_print(FILE *out);

/*
 * What this kernel lacks of what Postern needs, the hardest first. NULL:
 * nothing. Else a text that says what is missing and what to do; static
 * storage. Only the lack of Landlock may be lived with (best_effort):
 * sandbox_lacks_only_landlock() tells. Call before any thread exists.
 */
const char *sandbox_kernel_lacks(bool rootless);
bool sandbox_lacks_only_landlock(const char *lacks);

/*
 * What this kernel leaves to fewer layers than newer ones do, as an enumeration;
 * "" when nothing. Static storage, good until the next call. Not about a kernel
 * without Landlock.
 */
const char *sandbox_kernel_weaker(void);

#ifdef POSTERN_SANDBOX_TEST
/*
 * Test builds only (tests/escape): leave layers out, to show what each stops
 * alone. SHARE_READ_ONLY: take the mount as it is; LANDLOCK; SECCOMP.
 */
extern unsigned sandbox_test_skip; /* enum layer bits */
/* Pretend that the kernel's Landlock is this old; 0: no pretence. */
extern unsigned sandbox_test_landlock_abi;
#endif

#endif
