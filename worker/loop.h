/*
 * The event loop of the worker: one thread, one epoll set.
 */
#ifndef POSTERN_WORKER_LOOP_H
#define POSTERN_WORKER_LOOP_H

#include <stddef.h>

#include "ipc/boot.h"
#include "worker/conn.h"
#include "worker/fs_channel.h"
#include "worker/tenant.h"

enum watch_kind { WATCH_CONN, WATCH_LISTENER, WATCH_HELPER, WATCH_BROKER };

struct listener {
    struct watch watch;
    int fd;     /* owned */
    bool ready; /* somebody may be waiting to be accepted */
};

#define HELPER_STATES(X)                                                                           \
    X(NONE) /* the number was never given */                                                       \
    X(SERVED)                                                                                      \
    X(LEAVING) /* its share drains */                                                              \
    X(OVER)    /* the number is free again */

enum helper_state {
#define X(s) HELPER_##s,
    HELPER_STATES(X)
#undef X
        HELPER_STATES_END
};

/* One share's helper as the loop sees it. */
struct helper {
    struct watch watch;
    struct fs_channel *fc; /* borrowed from the share; NULL unless SERVED or LEAVING */
    int to_worker;         /* owned then: its eventfd, which is never read */
    enum helper_state state;
    uint64_t cut_at; /* LEAVING: on the loop's clock, ms */
    bool say_served; /* the broker is still to be told */
    bool say_over;
};

struct loop {
    int epoll_fd; /* owned */
    bool busy;    /* the last round left something to do */
    bool refuses; /* connections, which was said */
    struct watch broker;
    struct tenant tenant;
    struct arena arena;
    struct listener *listeners; /* owned; [0, nlisteners) */
    size_t nlisteners;
    struct helper helpers[SHARES_PER_TENANT_MAX]; /* by number */
    size_t nhelpers;  /* numbers [0, nhelpers) were given at some time */
    unsigned leaving; /* of them, how many are LEAVING */
    unsigned unsaid;  /* how many have something to tell the broker */
    uint64_t tell_at; /* loop_clock() when helpers are told of FORGETs alone; 0: there are none */
};

/* 0 or -errno of epoll_create1(2). */
int loop_init(struct loop *l);
/* Have events of fd, edge-triggered; wanted: EPOLLIN, ... w says what they are
 * about and stays until fd is closed. 0 or -errno. */
int loop_watch(struct loop *l, int fd, struct watch *w, unsigned wanted);
/* Nobody is connected, and nobody can ever connect. */
bool loop_is_over(const struct loop *l);
/* tenant.watch_output. */
void loop_watch_output(void *loop, struct conn *c, bool on);
/* Serve a connected, non-blocking stream socket, which the loop then owns.
 * 0, or -errno: it was closed. */
int loop_serve(struct loop *l, int fd);

/* loop_share.c: shares that come and go. */

/* The fds that come with a share; twin: WorkerBoot in ipc/boot.proto */
enum share_fds { FD_CHANNEL, FD_TO_HELPER, FD_TO_WORKER };

/* Fill the numbers that eventfds to helpers will have, HELPER_FD_BASE of
 * worker/sandbox.h, with fd 0, which nothing can be done with. 0 or -errno. */
int loop_reserve_fds(void);
/* Serve a share under a number that is free. fds, of SHARE_FDS, are taken
 * over in any case. 0 or -errno: as if it had never been. */
int loop_share_add(struct loop *l, uint32_t number, const Postern__V1__ShareBoot *b,
                   const int *fds);
/* What the broker says; what it cannot mean is a violation(). fds: those of a
 * ShareAdded, which are taken over. */
void loop_hear(struct loop *l, const Postern__V1__ToChild *m, const int *fds);
/* Shares that drain and have nobody left, or whose time has come, go; the
 * broker is told what it is to be told. True: the tenant has to hear of it. */
bool loop_shares_round(struct loop *l);
/* How long to sleep at most because of them, ms; -1: for ever. */
int loop_shares_patience(const struct loop *l);
/* ms on a clock that only goes forward. */
uint64_t loop_clock(void);

/* One wait and everything that came of it. False: the broker is gone. */
bool loop_once(struct loop *l, int timeout_ms);

#endif
