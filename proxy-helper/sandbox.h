/*
 * What a helper may do: its rows for the sandbox.
 */
#ifndef POSTERN_HELPER_SANDBOX_H
#define POSTERN_HELPER_SANDBOX_H

#include <stdbool.h>

#include "sandbox/sandbox.h"

/* Rules, name and conditions of a helper's profile; the caller fills in the
 * ids, fds and limits. */
void helper_profile(struct sandbox_profile *p, bool read_only, bool allow_set_id);

#endif
