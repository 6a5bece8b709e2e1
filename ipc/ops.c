/*
 * The operation table, made from ipc/ops.def.
 *
 * Runs in: every program.   Trusts: nobody.   Owns: constant data.
 */
#include "ipc/ops.h"

#include "ipc/fs.pb-c.h"

static const struct op_info table[OP_END] = {
#define OP(id, upper, lower, camel, acc, blk, pay)                                                 \
    [OP_##upper] = {                                                                               \
        .name = #lower,                                                                            \
        .access = (acc),                                                                           \
        .block = (blk),                                                                            \
        .payload = (pay),                                                                          \
        .req = &postern__v1__##lower##_req__descriptor,                                            \
        .rep = &postern__v1__##lower##_rep__descriptor,                                            \
    },
#include "ipc/ops.def"
#undef OP
};

const struct op_info *
op_info(unsigned id)
{
    if (id >= OP_END || table[id].name == NULL)
        return NULL;
    return &table[id];
}
