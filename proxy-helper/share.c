/*
 * The share as a whole: its tables, made and unmade.
 *
 * Runs in: helper.   Trusts: the boot message.   Owns: what struct share does.
 */
#include "proxy-helper/share.h"
#include "proxy-helper/path.h"

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
