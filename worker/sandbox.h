/*
 * What a worker may do.
 */
#ifndef POSTERN_WORKER_SANDBOX_H
#define POSTERN_WORKER_SANDBOX_H

#include "sandbox/sandbox.h"

/* Name, rules and limits that every worker has; the caller adds ids, event
 * fds and nofile. */
void worker_profile(struct sandbox_profile *p);

#endif
