/*
 * The 9P2000.L front-end: what is common to its messages.
 *
 * A handler decodes its message with the cursor, checks it, takes what it
 * needs into the request and submits one call. It returns 0 when the request
 * is answered or will be by the call's done function, -EAGAIN when there was
 * no room (the message is offered again, so nothing may have changed but what
 * the request holds), or another -errno, which becomes its Rlerror.
 */
#ifndef POSTERN_WORKER_NINE_H
#define POSTERN_WORKER_NINE_H

#include <stddef.h>
#include <stdint.h>

#include "worker/cursor.h"
#include "worker/request.h"

#define NINE_RLERROR 7
#define NINE_TVERSION 100
#define NINE_RVERSION 101
#define NINE_NOTAG 0xffffu
#define NINE_NOFID 0xffffffffu
#define NINE_IO_HEAD 24u /* what a client sets aside of msize beside file data */

enum nine_type {
#define NINE(type, upper, lower, min, room, too_long) NINE_T##upper = (type),
#include "worker/nine.def"
#undef NINE
};

#define NINE(type, upper, lower, min, room, too_long)                                              \
    int nine_t##lower(struct request *r, struct cursor *c);
#include "worker/nine.def"
#undef NINE

struct nine_row {
    const char *name; /* "lopen" */
    int (*handle)(struct request *r, struct cursor *c);
    uint32_t min, room;
    int too_long; /* -errno */
};
/* The row of a T-message, NULL: not served. */
const struct nine_row *nine_row(uint8_t type);

/* 13 bytes. */
void pen_qid(struct pen *w, uint64_t ino, uint32_t mode, uint32_t version);
void pen_attr_qid(struct pen *w, const Postern__V1__Attr *a);

/* 0; -ENAMETOOLONG; -EINVAL: not one component. */
int nine_name(struct str name);

/* For calls whose reply is the header alone. */
void nine_done_empty(struct fs_call *call, int status, const ProtobufCMessage *m);

/* nine_walk.c */
size_t walk_size(void);
void walk_free(struct tenant *t, struct walk *w);

#endif
