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

/* Unlink the file that door_unix() made. */
void door_unix_done(struct door *d);

#endif
