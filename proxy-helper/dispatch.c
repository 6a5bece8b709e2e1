/*
 * Dispatch, in an order that no handler can get around: is the operation
 * known, does the share's access allow it, is it a message, are its names
 * names and the guest's to know, and only then the handler.
 *
 * Runs in: helper.   Trusts: nothing that the worker sends.   Owns: nothing.
 */
#include "proxy-helper/dispatch.h"

#include <errno.h>

#include "ipc/log.h"
#include "ipc/ops.h"
#include "proxy-helper/op.h"

typedef int op_call(struct share *sh, const ProtobufCMessage *req, ProtobufCMessage *rep);

/* One caller for each row, so that a handler keeps its own types and one that
 * is missing does not link. */
#define OP(id, upper, lower, camel, access, block, payload)                                        \
    static int call_##lower(struct share *sh, const ProtobufCMessage *req, ProtobufCMessage *rep)  \
    {                                                                                              \
        return op_##lower(sh, (const Postern__V1__##camel##Req *)req,                              \
                          (Postern__V1__##camel##Rep *)rep);                                       \
    }
#include "ipc/ops.def"
#undef OP

static op_call *const calls[OP_END] = {
#define OP(id, upper, lower, camel, access, block, payload) [OP_##upper] = call_##lower,
#include "ipc/ops.def"
#undef OP
};

static uint8_t *
payload_of(struct share *sh, const struct op_info *op, const struct frame *f)
{
    uint8_t *p;

    if (f->payload_len == 0)
        return NULL;
    p = channel_payload(&sh->ch, f->payload, f->payload_len);
    if (p == NULL || op->payload == PAY_NONE)
        violation("worker sent %s with a payload of %u at %u", op->name, f->payload_len,
                  f->payload);
    return p;
}

static ProtobufCMessage *
reply_new(struct share *sh, const struct op_info *op)
{
    ProtobufCMessage *rep = msg_new(&sh->arena, op->rep);

    if (rep == NULL)
        bug("no room in the arena for the reply of %s", op->name);
    return rep;
}

/* As the user whose request it is; and where groups of his that only his
 * kernel knows may make a difference, once more with them. A handler that was
 * refused has changed nothing that it would not do again. */
static int
run(struct share *sh, const struct op_info *op, const ProtobufCMessage *req, ProtobufCMessage **rep)
{
    const struct frame *f = sh->call.frame;
    bool lends = identity_may_lend(&sh->identity, f->uid);
    int r;

    identity_be(&sh->identity, f->uid, f->gid);
    if (!lends || !identity_wants_groups(f->op, req)) {
        r = calls[f->op](sh, req, *rep);
        if (!lends || !identity_was_refused(f->op, r, *rep))
            return r;
        *rep = reply_new(sh, op);
    }
    identity_lend_begin(&sh->identity, f->op, req);
    r = calls[f->op](sh, req, *rep);
    identity_lend_end();
    return r;
}

int
dispatch(struct share *sh, const struct frame *f, const uint8_t *body, size_t n,
         const ProtobufCMessage **ret_rep)
{
    const struct op_info *op = op_info(f->op);
    ProtobufCMessage *req;
    ProtobufCMessage *rep;
    int r;

    if (op == NULL)
        return -EOPNOTSUPP;
    if (sh->read_only && op->access != OP_READS)
        return -EROFS; /* the only place that says so; the mount and Landlock say it again */
    arena_reset(&sh->arena);
    req = msg_unpack(&sh->arena, op->req, body, n);
    if (req == NULL)
        violation("worker sent a malformed %s", op->name);
    if (msg_check(req) < 0)
        violation("worker sent %s with a bad name or key", op->name);
    if (!identity_has(&sh->identity, f->uid, f->gid))
        violation("worker sent %s of user %u, group %u", op->name, f->uid, f->gid);
    rep = reply_new(sh, op);
    sh->call = (struct call){.frame = f, .payload = payload_of(sh, op, f)};
    nodes_next_request(&sh->nodes);
    r = names_check(&sh->names, f->op, req);
    if (r == 0)
        r = run(sh, op, req, &rep);
    *ret_rep = rep;
    return r;
}
