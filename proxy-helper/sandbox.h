/*
 * What a helper may do: its rows for the sandbox.
 */
#ifndef POSTERN_HELPER_SANDBOX_H
#define POSTERN_HELPER_SANDBOX_H

#include <stdbool.h>

#include "sandbox/sandbox.h"

/* What policy adds to the plain profile. */
enum helper_may {
    MAY_SET_ID = 1 << 0,  /* set-id = allow */
    MAY_XATTRS = 1 << 1,  /* any name space of extended attributes */
    MAY_IDS = 1 << 2,     /* identity = map, host: act as the guest's users */
    MAY_DEVICES = 1 << 3, /* devices = allow */
};

/* Rules, name and conditions of a helper's profile; the caller fills in the
 * ids, fds and limits. may: enum helper_may bits. */
void helper_profile(struct sandbox_profile *p, bool read_only, unsigned may);

#endif
