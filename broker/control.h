/*
 * Private to broker/: the control socket. What passes there is
 * ipc/control.proto; the rules for those who speak it are in docs/CONTROL.md.
 *
 *   control.c        the socket, its connections, messages in and out
 *   control_verbs.c  which request does what, and who may
 *   control_info.c   lists: shares, tenants, processes
 *   reservation.c    whose shares these are
 *   delegate.c       what somebody who is not an administrator may share
 */
#ifndef POSTERN_BROKER_CONTROL_H
#define POSTERN_BROKER_CONTROL_H

#include "broker/broker.h"
#include "ipc/control.h"
#include "ipc/control.pb-c.h"

#define CONTROL_CONNS_MAX 64       /* of all */
#define CONTROL_CONNS_OF_OTHERS 32 /* of those who are no administrators, together */
#define CONTROL_CONNS_OF_ONE 8     /* of one such user */
#define CONTROL_STALL_SECONDS 30   /* a client that does not take its answer */
#define CONTROL_GROUPS_MAX 256     /* of one client; the rest does not count */

#define RESERVATIONS_MAX 256 /* of one tenant, those that are removed included */
#define RESERVATION_ID_MAX 64

/* Who is at the other end, as the kernel has it. */
struct caller {
    uid_t uid;
    gid_t gid;
    gid_t groups[CONTROL_GROUPS_MAX];
    size_t ngroups;
    bool admin; /* may do everything */
};

/* A caller's hold on a share. */
struct reservation {
    struct reservation *next; /* of its tenant's */
    uid_t uid;
    char id[RESERVATION_ID_MAX + 1];
    struct offer *offer; /* borrowed; NULL: it is no more */
    bool fresh;          /* made by an add that is not done: goes when that fails */
    bool removed;        /* known so that a removal may be asked for again */
};

/* A packed message on its way out. */
struct packet {
    struct packet *next;
    size_t n;
    bool may_join; /* more of the same answer */
    uint8_t bytes[];
};

struct control_conn {
    struct control_conn *next;
    struct control *ct;           /* borrowed */
    int fd;                       /* owned */
    struct event *reads, *writes; /* owned */
    struct caller who;
    const struct offer *waits_for; /* its request is answered when this share ... */
    bool waits_for_end;            /* ... is gone, else when it is served */
    struct packet *queue;          /* owned; no longer than what a tenant may have */
};

/* One answer while it is made. */
struct answer {
    struct control_conn *c;
    char *text; /* owned; why not */
    Postern__V1__ControlReply part;
};

/* --- control.c: the answer ------------------------------------------------------- */

/* What was added so far goes out, and more will follow. */
void answer_part(struct answer *a);
/* Why not, for a person; returns r. */
__attribute__((format(printf, 3, 4))) int answer_why(struct answer *a, int r, const char *fmt, ...);
/* Its request is answered later, by control_outcome(). */
enum { ANSWER_LATER = 1 };
/* A request, freed by the caller, or NULL: not exactly one. */
Postern__V1__ControlRequest *control_unpack(const uint8_t *bytes, size_t n);
struct broker *control_broker(const struct control_conn *c);

/* --- control_verbs.c --------------------------------------------------------------- */

/* A status (0 or -errno), or ANSWER_LATER. */
int control_do(struct control_conn *c, const Postern__V1__ControlRequest *req, struct answer *a);
bool control_may(const struct caller *who, const struct tenant *t);

/* --- control_info.c ------------------------------------------------------------------ */

int info_shares(struct control_conn *c, const void *query, struct answer *a);
int info_tenants(struct control_conn *c, const void *query, struct answer *a);
int info_processes(struct control_conn *c, const void *query, struct answer *a);

/* --- reservation.c -------------------------------------------------------------------- */

bool reservation_id_is_good(const char *id);
struct reservation *reservation_find(struct tenant *t, uid_t uid, const char *id);
/* 0 and *ret, or -ENOSPC, -ENOMEM. One of that id that is removed is replaced. */
int reservation_new(struct tenant *t, uid_t uid, const char *id, struct offer *o,
                    struct reservation **ret);
/* That share is served; could not be, so what was fresh goes; is freed; and
 * all of a tenant. */
void reservations_served(struct offer *o);
void reservations_failed(struct offer *o);
void reservations_forget(struct offer *o);
void reservations_done(struct tenant *t);
/* As if it had never been. The share, when nobody else has it, is not touched. */
void reservation_drop(struct tenant *t, struct reservation *r);

/* --- delegate.c ------------------------------------------------------------------------ */

/* By the ids that the policy's names had when it was read: name services are
 * slow, and nothing here may wait for them. */
bool delegate_of(const struct caller *who, const struct plan_tenant *t);
/* Nothing of that share would give away more than who has himself. 0 with the
 * directory as he finds it, or -errno and the reason. */
int delegate_check(const struct caller *who, const struct plan_share *sh, struct stat *ret,
                   struct answer *a);

#endif
