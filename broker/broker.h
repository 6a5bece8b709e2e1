/*
 * posternd: what it keeps of every tenant, and which file does what with it.
 *
 * All state is here as plain data; a tenant's life is the table in tenant.c.
 */
#ifndef POSTERN_BROKER_BROKER_H
#define POSTERN_BROKER_BROKER_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "ipc/boot.h"
#include "ipc/limits.h"
#include "policy/plan.h"
#include "sandbox/cgroup.h"
#include "sandbox/spawn.h"
#include "sandbox/subids.h"

#define POSTERND_VERSION "0.1"
#define LOG_LINE_ROOM 900
#define CHILD_SAID 256 /* of a child's last line, kept */

/* The ids of children in root mode: this base, a block for each running
 * posternd, a slot for each child. Nobody's files on a disk: a helper's mount
 * maps them back to the share's owner. */
#define CHILD_ID_BASE 0x70000000u
#define CHILD_ID_BLOCK 0x1000u
#define CHILD_ID_BLOCKS 0xff00u

/* Tenants that start at once: enough to keep the machine busy, and few enough
 * that each has its children ready long before START_SECONDS are over. */
#define TENANTS_STARTING_MAX 8

enum broker_times {                         /* seconds */
                    START_SECONDS = 10,     /* a child has to say that it is ready */
                    LATE_SECONDS = 3,       /* then a tenant starts without a run-time share */
                    STOP_SECONDS = 5,       /* killed children have to be gone */
                    BACKOFF_FIRST = 1,      /* before a tenant starts again, doubling ... */
                    BACKOFF_MOST = 30,      /* ... up to this ... */
                    BACKOFF_FORGOTTEN = 60, /* ... until it served that long */
                    LOG_WINDOW = 10,        /* of a child's lines, in which ... */
                    LOG_LINES = 100,        /* ... so many are printed */
};

/* One process: the worker, or the helper of one offer. */
struct child {
    struct tenant *t;    /* borrowed */
    struct offer *offer; /* borrowed; NULL: the worker */
    unsigned slot;       /* its number for ids */
    pid_t pid;           /* for people to read; the pidfd is what counts */
    int pidfd;           /* owned; -1: no process */
    int sock;            /* owned; the boot socket; -1: closed */
    struct event *ended; /* owned */
    struct event *spoke; /* owned */
    bool ready;
    unsigned landlock_abi, layers; /* of its Ready */
    bool unwanted;                 /* we killed it: nothing to report */
    int verdict;                   /* or for this exit code, which its own end then is; 0: not */
    int64_t window;                /* when the current LOG_WINDOW began, seconds */
    unsigned lines, dropped;
    char said[CHILD_SAID]; /* its last line */
};

#define SHARE_STATES(X)                                                                            \
    X(RESERVED) /* its directory is checked and held; no process */                                \
    X(HELPER)   /* helper spawned, not ready */                                                    \
    X(READY)    /* helper ready; the worker, which may start, knows nothing yet */                 \
    X(JOINING)  /* helper ready; the worker was told, and does not serve it yet */                 \
    X(ADDED)    /* guests are served */                                                            \
    X(FAILED)   /* its helper ended; guests get EIO */                                             \
    X(DRAINING) /* the worker was told to let it go */                                             \
    X(ENDING)   /* helper killed, not reaped */

enum share_state {
#define STATE(name) SHARE_##name,
    SHARE_STATES(STATE)
#undef STATE
        SHARE_STATES_END
};

/* A share of a tenant: a checked directory, who its helper will be, and where
 * it is in its life, which is the table in share.c. */
struct offer {
    struct offer *next;            /* of its tenant's */
    struct tenant *t;              /* borrowed */
    const struct plan_share *plan; /* borrowed from the plan */
    char id[SHARE_ID_LEN + 1];     /* the other name to attach by */
    int root_fd;                   /* owned; O_PATH */
    struct stat st;                /* of the root, in the host's ids */
    uid_t owner_uid;               /* files belong to on the disk */
    gid_t owner_gid;
    uid_t uid; /* the helper's */
    gid_t gid;
    bool idmap;                    /* the mount shows owner as uid:gid */
    bool acts;                     /* identity = map, host: as the guest's users, not as one */
    uint32_t ids_first, ids_count; /* map: of the host, those of its user namespace; else 0 */
    /* The channel to the worker, from the helper's start until the worker has
     * it; owned, else -1. */
    int channel_fd, to_helper_fd, to_worker_fd;
    struct child helper;
    enum share_state state;
    bool wanted;             /* served whenever its tenant is */
    int number;              /* by which the worker knows it, place in t->numbered; else -1 */
    bool leaving;            /* the worker was told to let it go */
    bool late;               /* made at run time; its tenant, which starts, waits no longer */
    struct event *timer;     /* owned; of a state that has to end */
    struct plan_share *own;  /* owned; of a share made at run time; NULL: the policy has it */
    char *settings;          /* owned; as it was asked for; NULL: the policy has it */
    unsigned holders;        /* reservations of it, those that are removed not counted */
    int result;              /* -errno of what why says */
    char why[LOG_LINE_ROOM]; /* it failed: for a person */
};

/* A socket's file that we made, so that no other is unlinked; ino 0: none. */
struct unix_file {
    dev_t dev;
    ino_t ino;
};

/* Where guests come in: a listening socket, or one connection. */
struct door {
    struct door *next;              /* of its tenant's */
    struct tenant *t;               /* borrowed */
    const struct plan_listen *plan; /* borrowed from the plan */
    int fd;                         /* owned; -1: not yet, or no more */
    struct sockaddr_storage at;     /* its own address */
    bool connected;                 /* one connection */
    int hangup_fd;                  /* owned; of a connection that the worker has; else -1 */
    struct event *hangup;           /* owned */
    struct unix_file file;
    char *aside; /* owned; where the file is until door_take_place(); else NULL */
};

#define TENANT_STATES(X)                                                                           \
    X(DOWN)    /* no children */                                                                   \
    X(WAITING) /* no children; its turn to start comes when fewer others start */                  \
    X(HELPERS) /* helpers spawned, not all ready */                                                \
    X(WORKER)  /* helpers ready, worker spawned, not ready */                                      \
    X(SERVING) /* guest traffic flows */                                                           \
    X(ENDING)  /* children killed, not all reaped */                                               \
    X(RESTING) /* no children; the back-off timer runs */

enum tenant_state {
#define STATE(name) TENANT_##name,
    TENANT_STATES(STATE)
#undef STATE
        TENANT_STATES_END
};

struct tenant {
    struct tenant *next;
    struct broker *b;               /* borrowed */
    const struct plan_tenant *plan; /* borrowed from the plan */
    enum tenant_state state;
    struct offer *offers; /* owned, a list in the policy's order */
    size_t noffers;
    /* By the number that the worker knows; borrowed from offers. A number is
     * free again when the worker says so, or ends. */
    struct offer *numbered[SHARES_PER_TENANT_MAX];
    struct door *doors;               /* owned, a list in the policy's order */
    struct reservation *reservations; /* owned, a list; control.h */
    struct child worker;
    struct event *timer; /* owned; start-up limit, or back-off */
    unsigned backoff;    /* seconds to rest next time */
    unsigned restarts;
    bool renew;     /* starts again as soon as it has ended */
    bool leaving;   /* the policy has it no more: freed when it is down */
    int64_t since;  /* seconds; when it began to serve */
    uint64_t turn;  /* while it waits to start: who waits longest has the least */
    int cgroup_fd;  /* owned; -1: none */
    bool no_cgroup; /* it needs one, and goes without */
};

struct broker {
    struct plan *plan; /* owned */
    bool rootless;
    int host_root;                           /* owned; rootless: "/" as others see it */
    struct id_range lent[SUBIDS_RANGES_MAX]; /* rootless: guests' ids, from the system */
    size_t nlent;
    int worker_exe, helper_exe;                        /* owned; O_PATH */
    struct spawn_room room;                            /* owned */
    struct tenant *tenants;                            /* owned, a list in the policy's order */
    struct cgroup_base cgroups;                        /* owned */
    bool slots[CHILD_ID_BLOCK];                        /* whether a child has this number */
    struct old_plan *old_plans;                        /* owned, a list; reload.c */
    struct event *sweep, *turn;                        /* owned; by the loop, before long */
    struct control *control;                           /* owned; NULL: none */
    struct event_base *base;                           /* owned */
    struct event *sigint, *sigterm, *sighup, *overdue; /* owned */
    unsigned starting;                                 /* tenants whose children start */
    uint64_t turns;                                    /* given out to tenants that wait */
    bool up;                                           /* every tenant has served once */
    bool stopping;
    int exit_code;
};

/* args.c: the whole program but main(). */
int broker_main(int argc, char **argv);

/*
 * broker.c: the order of set-up and the loop. The plan becomes the broker's.
 * check_only: look at everything, start nothing. Returns the exit code.
 */
int broker_run(struct plan *plan, bool check_only);
/* Say that something of the plan cannot be, as "FILE:LINE: ..." where a policy
 * file says it (else file is NULL), and return r. */
__attribute__((format(printf, 4, 5))) int broker_refuse(int r, const char *file, unsigned line,
                                                        const char *fmt, ...);
/* From now on, what is refused goes there and not to the log; NULL: no more. */
void broker_refuse_into(char *text, size_t room);
/* End everything, with this exit code. Idempotent; the first code counts. */
void broker_stop(struct broker *b, int exit_code);
/* Make overdue, sweep and turn, for which its base is there; none runs yet. 0
 * or -ENOMEM; what was made is the broker's either way. */
int broker_timers(struct broker *b);
/* Something has left: what is to be freed is freed before long, by the loop. */
void broker_sweep_soon(struct broker *b);
/* Something of a tenant changed: announce when all serve, leave when all are
 * down. */
void broker_look(struct broker *b);
/* A tenant is over (tenant_over): end when all are. */
void broker_tenant_over(struct broker *b, int exit_code);
/* Seconds of the monotonic clock. */
int64_t broker_now(void);

/*
 * offer.c. Failures are said there with what to do, and returned as -errno.
 * offer_init: no directory yet. offer_open: the host's directory, checked. offer_reopen: rootless,
 * after the user namespace was entered. offer_identity: owner and helper ids; slot is the helper's.
 * offer_mount: a fresh mount for one helper, the caller's fd.
 */
void offer_init(struct offer *o, const struct plan_share *plan);
int offer_open(struct offer *o);
int offer_reopen(struct offer *o);
/* The path still leads to that directory. */
int offer_recheck(const struct offer *o);
/* Rootless, at run time: the path leads there from host_root too, so nothing
 * was mounted on the way that we cannot see. */
int offer_host_check(const struct offer *o, int host_root);
/* What an ordinary user can lend; of map, lent_check(). */
int offer_lend(const struct offer *o);
int offer_identity(struct offer *o, bool rootless, unsigned slot);
int offer_mount(const struct offer *o);
int offer_channel(struct offer *o);
void offer_channel_close(struct offer *o);
void offer_done(struct offer *o);

/*
 * lent.c: of an ordinary user's posternd, the ids of its shares with identity =
 * map. Failures are said there with what to do, and returned as -errno.
 * lent_check: the share may have its ids. Until lent_enter() that asks the
 * system, and they count as lent; after it nothing can be lent any more.
 * lent_enter: into the user namespace, with all that were lent.
 */
int lent_check(struct broker *b, const struct plan_share *p);
int lent_enter(const struct broker *b);

/*
 * door.c. Failures are said there with what to do, and returned as -errno.
 * door_init: no socket yet. door_handed_over: a worker has it. Where it is a
 * connection, its end is then waited for, and so comes tenant_door_closed().
 * door_worker_ended: that worker is no more. door_done: closed, and the file
 * we made unlinked; idempotent.
 */
void door_init(struct door *d, struct tenant *t, const struct plan_listen *plan);
int door_open(struct door *d);
bool door_is_open(const struct door *d);
int door_handed_over(struct door *d);
void door_worker_ended(struct door *d);
void door_done(struct door *d);
#define DOOR_REMOTE_WARNING                                                                        \
    "listen %s: other machines can reach it, and 9P is neither encrypted nor authenticated: "      \
    "whoever connects is the tenant's guest"
void door_warn_remote(const struct plan_listen *plan);

/*
 * inherit.c. inherit_stdio: 0, 1 and 2 are open; before anything else is
 * opened. inherit_only: what the plan names of the fds that posternd was
 * started with stays open, all others are closed; before anything else is
 * kept open. 0, or -errno after saying why.
 */
int inherit_stdio(void);
int inherit_only(const struct plan *plan);

/* notify.c: "READY=1", "STOPPING=1" to the service manager, if there is one. */
void notify(const char *what);

/*
 * child.c. child_init: no process yet. child_spawn: 0, or -errno after
 * logging it, and there is none. child_kill: with its tenant; its end comes
 * later as tenant_child_ended().
 */
void child_init(struct child *c, struct tenant *t, struct offer *o, unsigned slot);
int child_spawn(struct child *c);
void child_kill(struct child *c);
bool child_lives(const struct child *c);
/* "blue/worker", "blue/tools"; valid until the next call. */
const char *child_name(const struct child *c);
uid_t child_id(unsigned slot);
uid_t child_uid(const struct child *c);
/* "worker", "helper-ro", "helper-rw" */
const char *child_profile(const struct child *c);

/* A number for a child's ids that no other has, or -1; and its return, when
 * the child that had it was reaped. */
int slot_take(struct broker *b);
void slot_put(struct broker *b, unsigned slot);

/* boot.c: the Boot message of a child with its fds. 0 or -errno. */
int boot_child(const struct child *c);
/* What a worker has to know of a share, at its boot or later. */
void share_boot_fill(Postern__V1__ShareBoot *m, struct offer *o);

/*
 * share.c: the life of one share. share_new: of that tenant, without a
 * directory; NULL: no memory or no number left, after saying so. share_free:
 * it has no process and the worker does not know it.
 */
struct offer *share_new(struct tenant *t, const struct plan_share *plan);
void share_free(struct offer *o);
/* Spawn its helper. Where its tenant serves, the rest follows by itself; else
 * it waits for the worker. 0, or -errno after logging it: nothing changed. */
int share_start(struct offer *o);
/* Its tenant starts, and so do all that are wanted. Those made at run time
 * fail by themselves; 0, or -errno for another, after logging it. */
int shares_start(struct tenant *t);
/* Its path still leads to the directory that was reserved; 0, or -errno and
 * why not. */
int share_recheck(const struct offer *o, char why[LOG_LINE_ROOM]);
/* Its tenant ends: the helper is killed, the worker's number is void. */
void share_stop(struct offer *o);
/* Never again: at once, or after so many milliseconds that guests have. It is
 * freed as soon as nothing is left of it. */
void share_leave(struct offer *o, uint32_t drain_ms);
/* It could not be started, and is wanted all the same: FAILED. */
void share_broken(struct offer *o, const char *what);
/* All that are wanted are ready, or failed. */
bool shares_ready(const struct tenant *t);
bool shares_dead(const struct tenant *t);
/* For the worker's boot: those that are ready get numbers from 0 on. */
size_t shares_number(struct tenant *t);
/* The worker is ready: these it serves. */
void shares_join(struct tenant *t);
/* What child.c has to say of a helper, and of what a worker said; false: it
 * may not say that. */
void share_helper_ready(struct offer *o);
void share_helper_ended(struct offer *o, int code);
bool share_served(struct tenant *t, uint32_t number);
bool share_over(struct tenant *t, uint32_t number);

/*
 * limits.c: the cgroup of a tenant, where its limits need one. limits_begin:
 * 0, or -errno after saying why; again before each start. limits_end: its processes are
 * reaped. limits_oom: how it says so, when the tenant's memory is used up.
 */
int limits_begin(struct tenant *t);
void limits_end(struct tenant *t);
bool limits_oom(struct tenant *t);

/* tenant.c. tenant_load: 0 or -errno after saying why; then tenant_done() has
 * to come all the same. */
int tenant_load(struct tenant *t, struct broker *b, const struct plan_tenant *plan);
/* As soon as fewer than TENANTS_STARTING_MAX others start. */
void tenant_start(struct tenant *t);
/* One that waits begins, if it may. */
void tenants_turn(struct broker *b);
/* End it, to start at once with what has changed. */
void tenant_renew(struct tenant *t);
/* Kill its children; it starts again after a rest unless the broker stops. */
void tenant_end(struct tenant *t);
void tenant_done(struct tenant *t);
/* What child.c and share.c have to say. code: enum exit_code, also for an end
 * by signal. */
void tenant_child_ready(struct tenant *t);
void tenant_child_ended(struct tenant *t, const struct child *c, int code);
/* It could not start; at the broker's own start nothing is served by halves. */
void tenant_start_failed(struct tenant *t, int code);

/* A guest hung up, and its connection was a door. */
void tenant_door_closed(struct tenant *t);
/* Nobody can come in any more, ever. */
bool tenant_over(const struct tenant *t);

/*
 * control.c. control_open: as the plan has it; 0 or -errno after saying why.
 * control_check: what of the plan's can be told wrong without a socket.
 * control_reloaded: the plan is another. control_outcome: a share is served
 * (status 0), could not be (-errno, o->why), or is gone.
 */
int control_open(struct broker *b);
int control_check(const struct plan_control *plan);
void control_reloaded(struct broker *b);
void control_close(struct broker *b);
void control_outcome(const struct offer *o, int status, bool gone);

/* announce.c: the mount commands, on standard output. */
void announce(const struct broker *b);
/* "unix:PATH", "tcp:HOST:PORT" with the real port, as a client writes it; valid
 * until the next call. */
const char *door_address(const struct door *d);

#endif
