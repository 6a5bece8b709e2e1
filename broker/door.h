/*
 * Private to broker/: how each kind of door is opened. See door.c.
 */
#ifndef POSTERN_BROKER_DOOR_H
#define POSTERN_BROKER_DOOR_H

#include "broker/broker.h"

#define DOOR_BACKLOG 128

/* Say why the door cannot be, and what to do; returns r. */
int door_refused(int r, const struct plan_listen *plan);

/* Each sets d->fd to a socket as the plan has it. 0, or -errno after saying
 * why; then door_done() still has to come. */
int door_unix(struct door *d);
int door_tcp(struct door *d);
int door_vsock(struct door *d);
int door_inherited(struct door *d); /* inherit.c; also d->connected */

/*
 * Files of sockets. unix_bind: in place of one that nobody serves; *ret is
 * what was made. unix_give: to that group, *ret; -ENOENT: there is none.
 * unix_unlink: idempotent.
 */
int unix_bind(int fd, const char *path, struct unix_file *ret);
/* The path of a door's file. */
const char *door_unix_path(const struct door *d);
int unix_give(const char *path, const char *group, gid_t *ret);
void unix_unlink(const char *path, struct unix_file *f);
/* Who may connect to the file at path, as the plan has it. 0, or -errno after
 * saying why. */
int door_unix_group(const struct plan_listen *plan, const char *path);
/* The file goes to where the plan has it, in place of another. */
void door_unix_place(struct door *d);

/*
 * Another policy gives the address of from to another tenant, whose door d is.
 * 0: nobody comes in by it before door_take_place(), which cannot fail but for
 * what it logs; -errno after saying why. A unix socket is a new one, since
 * others may be let in now, and who waits at the old one is not; of other
 * transports it is the same socket.
 */
int door_open_beside(struct door *d, const struct door *from);
void door_take_place(struct door *d);

/* Unlink the file that door_unix() made. */
void door_unix_done(struct door *d);

#endif
