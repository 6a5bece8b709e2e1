/*
 * A storm: connections that send everything at once at the same few files and
 * fids, in all three dialects, while the host swaps directories and a file of the
 * share for symlinks that lead out of it, to a canary.
 *
 * No byte of the canary may come back and none may change, whatever is asked;
 * every request has one answer, of its type or an error that a file system
 * could give. Seeded: STORM_SEED in the environment repeats one. SECONDS there makes
 * it longer.
 */
#ifndef POSTERN_TESTS_STORM_H
#define POSTERN_TESTS_STORM_H

#include <stdbool.h>
#include <stdint.h>

#include "control/nine_client.h"

struct storm {
    const char *share; /* borrowed; the host's path of a share that may be written */
    /* A new connection, without a version, or NULL; called in threads. */
    struct nc *(*connect)(void *ctx);
    void *ctx;
    const char *aname;
    unsigned clients, seconds;
    bool few_fds; /* the server may run out of those for files without a name: ENFILE */
    bool each;    /* it goes on, but not for ever, until each message has succeeded */
};

struct storm_counts {
    uint64_t requests, refused; /* of these answered with an error */
    uint64_t swaps;             /* of one of these and its symlink */
    uint64_t links_met;         /* answers that showed the symlink in its place */
    uint64_t locks, waits;      /* granted; of these to who had asked to wait */
    unsigned in_vain;           /* messages that in one dialect never succeeded; said on stdout */
};

/* Run it and check all of the above with cmocka's asserts. Afterwards every
 * connection is closed, and the share holds whatever it came to hold. */
struct storm_counts storm_run(const struct storm *s);

#endif
