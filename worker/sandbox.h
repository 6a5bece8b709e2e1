/*
 * What a worker may do.
 */
#ifndef POSTERN_WORKER_SANDBOX_H
#define POSTERN_WORKER_SANDBOX_H

#include "sandbox/sandbox.h"

/* Where the eventfds to helpers are: share n's is HELPER_FD_BASE + n. A filter
 * can ask for such a range with one mask, so it begins and ends on a multiple
 * of its size. The fds of a Boot message end below it. */
#define HELPER_FD_BASE 256
#define HELPER_FDS 64
#define HELPER_FD_MASK (~(unsigned)(HELPER_FDS - 1))

/* Name, rules and limits that every worker has; the caller adds ids and
 * nofile. */
void worker_profile(struct sandbox_profile *p);

#endif
