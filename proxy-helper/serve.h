/*
 * The loop: take requests from the ring, answer them, sleep.
 */
#ifndef POSTERN_HELPER_SERVE_H
#define POSTERN_HELPER_SERVE_H

#include <stdint.h>

#include "proxy-helper/share.h"

struct serve {
    struct share *sh; /* borrowed */
    int epoll_fd;     /* owned */
    int boot_fd;      /* borrowed; its end of file ends the loop */
    bool parent_gone;
    uint8_t body[FRAME_BODY_MAX]; /* the message at work, a private copy */
};

/*
 * Before the sandbox is sealed: what the loop waits on. event_fd is the
 * eventfd that the worker, and the pool, wake us with. 0 or -errno.
 */
int serve_init(struct serve *s, struct share *sh, int event_fd, int boot_fd);
void serve_done(struct serve *s);

/* Serve until the broker closes boot_fd. Needs sh->pool and sh->ch. */
void serve_run(struct serve *s);

#endif
