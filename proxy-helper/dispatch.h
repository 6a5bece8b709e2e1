/*
 * From a request frame to its handler.
 */
#ifndef POSTERN_HELPER_DISPATCH_H
#define POSTERN_HELPER_DISPATCH_H

#include <stddef.h>
#include <stdint.h>

#include "proxy-helper/share.h"

/*
 * Check and carry out one request: frame f, message body[0..n), both private
 * copies. 0 and *ret_rep, which lives in sh->arena until the next request;
 * OP_LATER; or the -errno to answer. A request that no honest worker sends
 * is a violation.
 */
int dispatch(struct share *sh, const struct frame *f, const uint8_t *body, size_t n,
             const ProtobufCMessage **ret_rep);

#endif
