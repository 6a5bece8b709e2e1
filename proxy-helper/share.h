/*
 * Everything a helper has: the one share it serves.
 */
#ifndef POSTERN_HELPER_SHARE_H
#define POSTERN_HELPER_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ipc/msg.h"
#include "ipc/share.h"
#include "proxy-helper/file.h"
#include "proxy-helper/identity.h"
#include "proxy-helper/mount.h"
#include "proxy-helper/names.h"
#include "proxy-helper/node.h"
#include "proxy-helper/pool.h"

/* The request at work. */
struct call {
    const struct frame *frame; /* borrowed; a private copy */
    uint8_t *payload;          /* borrowed from the slab: the worker may write
                                  there at any time. NULL without a payload */
};

struct share {
    bool read_only;
    bool allow_set_id;
    unsigned xattrs;      /* enum xattr_share bits: what the guest may use */
    uint32_t present_uid; /* the owner that every file shows */
    uint32_t present_gid;
    struct identity identity;
    struct mounts mounts;
    struct names names; /* which names the guest gets to know */
    struct nodes nodes;
    struct files files;
    struct pool *pool; /* owned; NULL: nothing is handed to threads */
    struct job *syncs; /* FSYNCs of files that are syncing already; linked by group */
    struct channel ch;
    struct arena arena; /* of the request at work */
    struct call call;
};

struct share_limits {
    uint32_t nodes;
    uint32_t node_fds; /* of these have an fd at a time */
    uint32_t files;
};

/*
 * Make the tables, with the share's root in them; *root_fd (O_PATH) is taken
 * over on success. Policy fields, pool and channel are the caller's to set,
 * before or after. 0 or -errno.
 */
int share_open(struct share *sh, int *root_fd, const struct share_limits *limits);
/* End the pool, close files, nodes and channel. */
void share_close(struct share *sh);

#endif
