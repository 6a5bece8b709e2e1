/*
 * A process inside a real sandbox that tries what it must not: spawned by
 * spawn_child() from the test's own binary, confined and sealed with the
 * tables of the real programs, one attack each, its end looked at from
 * outside. Linked with the test build of sandbox/, which can leave layers out.
 */
#ifndef POSTERN_TESTS_ESCAPE_JAIL_H
#define POSTERN_TESTS_ESCAPE_JAIL_H

#define POSTERN_SANDBOX_TEST

#include "tests/lib/test.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandbox/sandbox.h"
#include "sandbox/spawn.h"

/* JAIL_MAP is not one of those that have no power at all: its own test has it. */
enum jail_kind { JAIL_WORKER, JAIL_RO, JAIL_RW, JAIL_KINDS, JAIL_MAP };

/* A call that fails with EIO while the sandbox is built. */
struct fault {
    int nr;       /* 0: none */
    bool has_arg; /* only where argument at is arg */
    unsigned at;
    uint64_t arg;
};

/* What to build and what to try there. Plain data: it crosses fd 3. */
struct order {
    enum jail_kind kind;
    unsigned skip;         /* enum layer bits to leave out */
    unsigned landlock_abi; /* pretend it is this old; 0: no pretence */
    bool best_effort;
    bool threads;     /* two threads between sandbox_confine() and sandbox_seal() */
    bool spare_mount; /* a second mount of the share, attached nowhere */
    bool protect;     /* FIXTURE_PROTECT is read-only */
    struct fault fault;
    unsigned row; /* for attack() */
    long arg;     /* for attack() */
};

/* What the attacker holds. */
struct inmate {
    const struct order *order;
    int root;  /* O_PATH of the share's root; -1 in a worker */
    int file;  /* of "file" there, open for reading; -1 in a worker */
    int wake;  /* an eventfd that the profile knows */
    int spare; /* the mount of order.spare_mount */
};

/* Each test has one. Raw system calls only. A result >= 0 or -errno. */
long attack(const struct inmate *in);

/* Put first in main(): does not return in the spawned process. */
void jail_main(int argc, char **argv);

struct jail {
    pid_t pid;
    int pidfd, sock; /* owned */
    int wake[2];     /* owned: eventfds */
};

/* The end of a jail. */
struct outcome {
    bool ready;           /* it said so: the sandbox was complete */
    unsigned layers, abi; /* of its report */
    char step[32];        /* which step failed, with error */
    int error;            /* 0 or -errno */
    bool survived;        /* the attack returned */
    long value;           /* what it returned */
    int code, status;     /* of waitid(2) */
};

/* Start one, with the fixture's share; mount_fd < 0: clone it here. Asserts. */
void jail_start(struct jail *j, const struct order *o, int mount_fd);
/* Wait until it is ready or has failed: bounded. */
void jail_ready(struct jail *j, struct outcome *out);
/* Tell it to try, wait for its end, close everything. */
void jail_end(struct jail *j, struct outcome *out);
/* All three. */
void jail_run(const struct order *o, struct outcome *out);

/* What an attack led to, as one number: 0 it worked, an errno, or DIES. */
#define DIES 10000 /* SIGSYS */
#define DIES_OTHER 10001
#define NEVER_READY 10002
int outcome_verdict(const struct outcome *out);
const char *verdict_name(int verdict);

/*
 * The host's side: a directory with a share in it, owned by the ids that the
 * jail will have, and a secret beside it. One per process.
 */
struct fixture {
    char base[64];
    char share[80]; /* base/share */
    int share_fd;   /* O_PATH */
    uid_t uid;      /* the jail's */
    gid_t gid;
    bool rootless;
    const struct spawn_room *room; /* borrowed; what jails are spawned with */
};
extern struct fixture fx;

/* One of its directories that other tests leave alone; "file" is in it. */
#define FIXTURE_PROTECT "deep/kept"

/* Make it, for the caller's ids or, as root, for JAIL_UID. Asserts. */
#define JAIL_UID 64017
/* of JAIL_MAP: guest ids [0, JAIL_MAP_IDS) are these of the host */
#define JAIL_MAP_FIRST 600000u
#define JAIL_MAP_IDS 65536u
void fixture_make(void);
/* Become an ordinary user whom the system lends the ids of JAIL_MAP, where the
 * fixture was made by root: JAIL_UID, after lent_begin(). For good. Asserts. */
void become_lent(void);
void fixture_remove(void);

/*
 * Run tests as root, then again as an ordinary user in a process of its own;
 * without root only that. The number of failures.
 */
int run_both_ways(const char *name, const struct CMUnitTest *tests, size_t n);

#endif
