/*
 * A file of a running server, named as SHARE/dir/file.
 */
#ifndef POSTERN_CONTROL_REMOTE_H
#define POSTERN_CONTROL_REMOTE_H

#include <stddef.h>

#include "control/nine_client.h"

enum remote_fid { FID_ROOT, FID_FILE, FID_OPEN, FID_ENTRY };

struct remote {
    const char *verb, *address, *path; /* borrowed, for messages */
    struct nc *c;                      /* owned */
    char *text;                        /* owned; what names point into */
    char **names;                      /* owned array; the path's components */
    size_t n;                          /* the first is the share */
    int exit_code;                     /* enum cli_exit: what went wrong so far */
};

/*
 * Connect, attach the share that path begins with and walk to all but the
 * last `keep` components: FID_FILE is there. "/" is the root of all shares.
 * 0, or -errno after saying what failed. remote_close() in both cases.
 */
int remote_open(struct remote *rm, const char *verb, const char *address, const char *path,
                size_t keep);
void remote_close(struct remote *rm);

/* Say "postern: VERB PATH: why" and return r. */
int remote_error(struct remote *rm, int r);

#endif
