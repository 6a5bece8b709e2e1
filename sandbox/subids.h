/*
 * Ids of others that the system lends an ordinary user (subuid(5), subgid(5)),
 * through the set-user-id programs newuidmap(1) and newgidmap(1), which alone
 * decide.
 */
#ifndef POSTERN_SANDBOX_SUBIDS_H
#define POSTERN_SANDBOX_SUBIDS_H

#include <stddef.h>
#include <stdint.h>

#define SUBIDS_RANGES_MAX 32 /* so that the map is one write of less than a page */

struct id_range {
    uint32_t first, count;
};

/* The two programs, users first. */
enum subids_tool { SUBIDS_UIDS, SUBIDS_GIDS, SUBIDS_TOOLS };

struct subids_report {
    enum subids_tool tool; /* the one that failed */
    int status;            /* as waitpid(2) has it; 0: it could not be run */
};

const char *subids_path(enum subids_tool tool);

/*
 * A user namespace, child of the caller's, in which the caller's own uid and
 * gid and the ranges are themselves and nothing else is mapped. The ranges
 * may neither overlap nor hold the caller's ids. What the programs have to say
 * they write to the caller's stderr. Before sandbox_broker(), which takes the
 * right to run them away. Its fd, or -errno: -EPERM with ret->status, they
 * refused; -E2BIG, more than SUBIDS_RANGES_MAX; else they could not be asked.
 */
int subids_userns(const struct id_range *v, size_t n, struct subids_report *ret);

#endif
