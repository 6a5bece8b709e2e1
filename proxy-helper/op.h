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

/* Only rows that say MAY_BLOCK: a pool thread is at it, the reply comes
 * through io_finish(). */
#define OP_LATER 1

#define OP(id, upper, lower, camel, access, block, payload)                                        \
    int op_##lower(struct share *sh, const Postern__V1__##camel##Req *req,                         \
                   Postern__V1__##camel##Rep *rep);
#include "ipc/ops.def"
#undef OP

/* The outcome of a job that came back from the pool, for all of its group: 0 and
 * *ret_rep, or -errno. The file that it kept open may be closed by this. */
int io_finish(struct share *sh, const struct job *j, const ProtobufCMessage **ret_rep);

#endif
