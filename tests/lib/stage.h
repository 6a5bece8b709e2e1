/*
 * A broker without its processes: its children are what a test makes of them.
 * They say what the test says in their name, end when and how it likes, and
 * never do what they are told. Callers of the control socket are whoever the
 * test says they are.
 *
 * A program that uses it is linked with -Wl,--wrap= for each function that
 * stage.c defines as __wrap_.
 */
#ifndef POSTERN_TESTS_STAGE_H
#define POSTERN_TESTS_STAGE_H

#include "broker/broker.h"
#include "ipc/boot.pb-c.h"

#define STAGE_KIDS 64

/* A child process as the broker sees it. */
struct kid {
    bool there;
    bool ended;
    int pidfd;           /* the broker's number for it; an eventfd */
    int end_fd, sock;    /* owned; our ends */
    int si_code, status; /* of waitid(2) */
};

struct stage {
    struct broker b;
    struct kid kids[STAGE_KIDS];
    unsigned fail_spawns; /* so many of the next fail */
    uid_t caller;         /* of the next connections */
    gid_t caller_gid;
};

/* The policy's file is read; its tenants are started, no child is ready yet.
 * There is one stage at a time. */
struct stage *stage_begin(const char *policy_file, bool rootless);
/* The loop, until nothing happens by itself any more. */
void stage_turn(struct stage *st);
/* posternd ends, with all children; fails when it does not, or leaves something behind. */
void stage_stop(struct stage *st);
void stage_end(struct stage *st);

/* The child that the broker has under that pidfd; NULL: none any more. */
struct child *stage_child(struct stage *st, const struct kid *k);
/* It says that, or any bytes; the broker hears it in the next turn. */
void kid_says(struct kid *k, const Postern__V1__FromChild *m);
void kid_says_bytes(struct kid *k, const void *p, size_t n);
void kid_is_ready(struct stage *st, struct kid *k);
/* It exits with that code (si_code CLD_EXITED), or by that signal. */
void kid_ends(struct kid *k, int si_code, int status);
/* Every child that is wanted is ready, every share that should be served is; those that
 * were killed end. */
void stage_settle(struct stage *st);
/* What waits for a time to pass need not wait: shares', then tenants'. */
void stage_time_passes(struct stage *st);

#endif
