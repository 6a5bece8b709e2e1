/*
 * The event loop of the worker: one thread, one epoll set.
 */
#ifndef POSTERN_WORKER_LOOP_H
#define POSTERN_WORKER_LOOP_H

#include <stddef.h>

#include "worker/conn.h"
#include "worker/fs_channel.h"
#include "worker/tenant.h"

enum watch_kind { WATCH_CONN, WATCH_LISTENER, WATCH_HELPER, WATCH_BROKER };

struct listener {
    struct watch watch;
    int fd;     /* owned */
    bool ready; /* somebody may be waiting to be accepted */
};

/* One share's helper as the loop sees it. */
struct helper {
    struct watch watch;
    struct fs_channel *fc; /* owned */
};

struct loop {
    int epoll_fd; /* owned */
    bool busy;    /* the last round left something to do */
    struct watch broker;
    struct tenant tenant;
    struct arena arena;
    struct listener *listeners; /* owned; [0, nlisteners) */
    size_t nlisteners;
    struct helper *helpers; /* owned; [0, nhelpers), in the order of the shares */
    size_t nhelpers;
};

/* 0 or -errno of epoll_create1(2). */
int loop_init(struct loop *l);
/* Have events of fd, edge-triggered; wanted: EPOLLIN, ... w says what they are
 * about and stays until fd is closed. 0 or -errno. */
int loop_watch(struct loop *l, int fd, struct watch *w, unsigned wanted);
/* tenant.watch_output. */
void loop_watch_output(void *loop, struct conn *c, bool on);
/* Serve a connected, non-blocking stream socket, which the loop then owns.
 * 0, or -errno: it was closed. */
int loop_serve(struct loop *l, int fd);

/* One wait and everything that came of it. False: the broker is gone. */
bool loop_once(struct loop *l, int timeout_ms);

#endif
