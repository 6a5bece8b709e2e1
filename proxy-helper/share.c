/*
 * The share as a whole: its tables, made and unmade.
 *
 * Runs in: helper.   Trusts: the boot message.   Owns: what struct share does.
 */
#include "proxy-helper/share.h"

#include <errno.h>

#include "proxy-helper/path.h"

/* node_rescue: look through the open files. */
static int
open_file_of(void *ctx, uint64_t node)
{
    const struct share *sh = ctx;
    const struct files *t = &sh->files;

    for (uint32_t i = 0; i < t->high; i++)
        if (t->at[i].fd >= 0 && t->at[i].node == node)
            return path_pin(t->at[i].fd);
    return -ESTALE;
}

int
share_open(struct share *sh, int *root_fd, const struct share_limits *limits)
{
    struct statx st;
    int r = path_stat(*root_fd, &st);

    if (r < 0)
        return r;
    r = files_init(&sh->files, limits->files);
    if (r < 0)
        return r;
    r = nodes_init(&sh->nodes, limits->nodes, limits->node_fds, root_fd, &st);
    if (r < 0) {
        files_done(&sh->files);
        return r;
    }
    sh->nodes.rescue = open_file_of;
    sh->nodes.rescue_ctx = sh;
    mounts_root(&sh->mounts, &st);
    arena_init(&sh->arena);
    return 0;
}

void
share_close(struct share *sh)
{
    sh->pool = pool_free(sh->pool); /* first: jobs use files and the slab */
    files_done(&sh->files);
    nodes_done(&sh->nodes);
    channel_close(&sh->ch);
}
