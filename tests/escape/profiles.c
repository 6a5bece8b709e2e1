/*
 * The tables of the real programs, with the limits that jails have.
 *
 * Runs in: tests/escape.   Trusts: nobody.   Owns: nothing.
 */
#include "tests/escape/profiles.h"

#include "proxy-helper/sandbox.h"
#include "worker/sandbox.h"

void
profile_of(struct sandbox_profile *p, enum jail_kind kind, const int *events, size_t n)
{
    if (kind == JAIL_WORKER)
        worker_profile(p);
    else if (kind == JAIL_MAP)
        helper_profile(p, false, MAY_XATTRS | MAY_IDS | MAY_SET_ID);
    else
        helper_profile(p, kind == JAIL_RO, MAY_XATTRS);
    p->ids = kind == JAIL_MAP ? JAIL_MAP_IDS : 0;
    p->event_fds = events;
    p->nevent_fds = n;
    p->nofile = kind == JAIL_WORKER ? HELPER_FD_BASE + HELPER_FDS : JAIL_NOFILE;
    if (kind == JAIL_RW)
        p->file_size = JAIL_FILE_SIZE;
}
