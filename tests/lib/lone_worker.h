/*
 * A real worker in its sandbox, of which the test is the broker: it starts
 * without any share, and shares come and go on fd 3. Takes root.
 */
#ifndef POSTERN_TESTS_LONE_WORKER_H
#define POSTERN_TESTS_LONE_WORKER_H

#include <stdint.h>
#include <sys/types.h>
#include <sys/un.h>

#include "ipc/boot.h"
#include "tests/lib/contract.h"
#include "tests/lib/server.h"

struct lone_worker {
    pid_t pid;       /* 0: its end was seen */
    int pidfd, sock; /* owned */
    struct sockaddr_un address;
    int listener; /* owned */
};

/* Where the program is, before anybody changes the directory. 0 or -errno. */
int lone_worker_find(void);
/* Start one that listens at path. Asserts, as all of these do. */
void lone_worker_start(struct lone_worker *w, const char *path);
/* Let go of it; unless its end was seen it must end in peace. */
void lone_worker_stop(struct lone_worker *w);
/* How the worker ends when it is left alone. */
int lone_worker_ended(const struct lone_worker *w);

/* Give it a share; id may be NULL. */
void lone_worker_add(const struct lone_worker *w, uint32_t number, const char *name, const char *id,
                     const struct contract_channel *ch);
/* Take it away; say that its helper is gone. */
void lone_worker_leave(const struct lone_worker *w, uint32_t number, uint32_t drain_ms);
void lone_worker_helper_gone(const struct lone_worker *w, uint32_t number);
/* Wait for its next word, which is that; lines for the log are passed over. */
void lone_worker_served(const struct lone_worker *w, uint32_t number);
void lone_worker_over(const struct lone_worker *w, uint32_t number);

/* A connection with 9P2000.L agreed on. */
struct nc *lone_worker_guest(const struct lone_worker *w);

#endif
