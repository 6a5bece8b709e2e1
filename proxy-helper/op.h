/*
 * The handlers: op_mkdir() and its sisters, one for each row of ipc/ops.def.
 *
 * A handler gets a request whose names are checked and that the share's
 * access allows, fills in the reply, and returns 0 or the -errno that the
 * guest will see. What it puts into the reply lives in sh->arena.
 * docs/OPERATIONS.md says what each does and may return.
 */
#ifndef POSTERN_HELPER_OP_H
#define POSTERN_HELPER_OP_H

#include "proxy-helper/share.h"

/* Only rows that say MAY_BLOCK: a pool thread is at it, and what it packs is the
 * reply. */
#define OP_LATER 1

#define OP(id, upper, lower, camel, access, block, payload)                                        \
    int op_##lower(struct share *sh, const Postern__V1__##camel##Req *req,                         \
                   Postern__V1__##camel##Rep *rep);
#include "ipc/ops.def"
#undef OP

/* A job and its group came back from the pool: what waited for that goes on. The
 * file that they kept open may be closed by this. */
void io_finish(struct share *sh, const struct job *j);

#endif
