/*
 * The control socket: who connects, one request at a time from each, and its
 * answer. Nothing here waits: what cannot be sent is kept, and a client that
 * does not take it is let go.
 *
 * Runs in: broker.   Trusts: the kernel about who a client is; nothing that a
 * client sends.
 * Owns: the socket, its connections and the answers on their way.
 */
#include "broker/control.h"

#include <errno.h>
#include <grp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#include "broker/door.h"
#include "ipc/fd.h"
#include "ipc/log.h"

#define PART_BYTES (CONTROL_BYTES_MAX / 2) /* then the next part begins */
#define ACCEPTS_PER_TURN 16

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

struct control {
    struct broker *b; /* borrowed */
    struct unix_file file;
    char *path;                 /* owned */
    int fd;                     /* owned */
    struct event *accepts;      /* owned */
    struct control_conn *conns; /* owned, a list */
    bool has_group;             /* who may do everything, beside root and ourselves */
    gid_t group;
};

static void conn_close(struct control_conn *c);

struct broker *
control_broker(const struct control_conn *c)
{
    return c->ct->b;
}

/* --- who ---------------------------------------------------------------------------- */

static bool
in_group(const struct caller *who, gid_t group)
{
    if (who->gid == group)
        return true;
    for (size_t i = 0; i < who->ngroups; i++)
        if (who->groups[i] == group)
            return true;
    return false;
}

static int
caller_read(const struct control *ct, int fd, struct caller *who)
{
    struct ucred cred;
    socklen_t n = sizeof(cred), ngroups = sizeof(who->groups);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
        return -errno;
    *who = (struct caller){.uid = cred.uid, .gid = cred.gid};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, who->groups, &ngroups) == 0)
        who->ngroups = ngroups / sizeof(who->groups[0]);
    who->admin = who->uid == geteuid() || (!ct->b->rootless && who->uid == 0) ||
                 (ct->has_group && in_group(who, ct->group));
    return 0;
}

/* --- out ---------------------------------------------------------------------------- */

/* 0: all is sent; -EAGAIN; -errno. */
static int
send_queued(struct control_conn *c)
{
    while (c->queue != NULL) {
        struct packet *p = c->queue;

        if (send(c->fd, p->bytes, p->n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return -errno;
        LL_DELETE(c->queue, p);
        free(p);
    }
    return 0;
}

/* Send what can be sent; the next request is read when nothing is left. */
static void
conn_flush(struct control_conn *c)
{
    const struct timeval stall = {.tv_sec = CONTROL_STALL_SECONDS};
    int r = send_queued(c);

    if (r == 0) {
        event_del(c->writes);
        if (c->waits_for == NULL)
            r = event_add(c->reads, NULL) < 0 ? -ENOMEM : 0;
    } else if (r == -EAGAIN) {
        r = event_add(c->writes, &stall) < 0 ? -ENOMEM : 0;
    }
    if (r < 0)
        conn_close(c);
}

static struct packet *
packet_last(const struct control_conn *c)
{
    struct packet *p = c->queue;

    while (p != NULL && p->next != NULL)
        p = p->next;
    return p;
}

/* Behind the last packet, or joined to it: the bytes of two messages one behind
 * the other are the message that has the lists of both. */
static void
packet_add(struct control_conn *c, const Postern__V1__ControlReply *m, bool may_join)
{
    size_t n = postern__v1__control_reply__get_packed_size(m);
    struct packet *last = packet_last(c), *p;
    bool join =
        may_join && last != NULL && last->may_join && n <= PART_BYTES && last->n <= PART_BYTES - n;
    size_t before = join ? last->n : 0;

    if (n > CONTROL_BYTES_MAX)
        bug("control: a part of %zu bytes", n);
    if (join)
        LL_DELETE(c->queue, last);
    p = realloc(join ? last : NULL, sizeof(*p) + before + n);
    if (p == NULL)
        die("control: an answer");
    postern__v1__control_reply__pack(m, p->bytes + before);
    p->n = before + n;
    p->may_join = may_join;
    p->next = NULL;
    LL_APPEND(c->queue, p);
}

void
answer_part(struct answer *a)
{
    a->part.has_more = true;
    a->part.more = 1;
    packet_add(a->c, &a->part, true);
    a->part = (Postern__V1__ControlReply)POSTERN__V1__CONTROL_REPLY__INIT;
}

int
answer_why(struct answer *a, int r, const char *fmt, ...)
{
    va_list ap;

    free(a->text);
    a->text = NULL;
    va_start(ap, fmt);
    if (vasprintf(&a->text, fmt, ap) < 0)
        a->text = NULL;
    va_end(ap);
    return r;
}

static void
answer_end(struct answer *a, int status)
{
    if (a->text != NULL && strlen(a->text) > PART_BYTES)
        a->text[PART_BYTES] = '\0';
    a->part.status = status;
    a->part.message = a->text;
    packet_add(a->c, &a->part, false);
    free(a->text);
}

static void
answer_simple(struct control_conn *c, int status, const char *text)
{
    struct answer a = {.c = c, .part = POSTERN__V1__CONTROL_REPLY__INIT};

    if (text != NULL)
        (void)answer_why(&a, status, "%s", text);
    answer_end(&a, status);
}

void
control_outcome(const struct offer *o, int status, bool gone)
{
    if (o->t->b->control == NULL)
        return;
    for (struct control_conn *c = o->t->b->control->conns; c != NULL; c = c->next) {
        if (c->waits_for != o || (c->waits_for_end && !gone))
            continue;
        c->waits_for = NULL;
        if (c->waits_for_end)
            answer_simple(c, 0, NULL);
        else
            answer_simple(c, status, status < 0 ? o->why : NULL);
        event_active(c->writes, EV_WRITE, 1); /* not here: it may be at work below us */
    }
}

/* --- in ----------------------------------------------------------------------------- */

static bool
is_known(const ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;

    if (m->n_unknown_fields > 0)
        return false;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        ProtobufCMessage *sub;

        if (f->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        memcpy(&sub, (const char *)m + f->offset, sizeof(void *));
        if (sub != NULL && !is_known(sub))
            return false;
    }
    return true;
}

/*
 * Written as every encoder does and with nothing that we do not know: a NUL in
 * a string, a field given twice or one of a later version make it another size
 * when it is packed again, or are seen as unknown.
 */
Postern__V1__ControlRequest *
control_unpack(const uint8_t *bytes, size_t n)
{
    Postern__V1__ControlRequest *req = postern__v1__control_request__unpack(NULL, n, bytes);

    if (req == NULL)
        return NULL;
    if (is_known(&req->base) && postern__v1__control_request__get_packed_size(req) == n)
        return req;
    postern__v1__control_request__free_unpacked(req, NULL);
    return NULL;
}

static void
conn_do(struct control_conn *c, const uint8_t *bytes, size_t n)
{
    struct answer a = {.c = c, .part = POSTERN__V1__CONTROL_REPLY__INIT};
    Postern__V1__ControlRequest *req = control_unpack(bytes, n);
    int r;

    if (req == NULL)
        r = answer_why(&a, -EPROTO, "not a request of this version, or one with unknown fields");
    else if (req->version != CONTROL_VERSION)
        r = answer_why(&a, -EPROTONOSUPPORT, "version %u is not spoken here, but %u", req->version,
                       CONTROL_VERSION);
    else
        r = control_do(c, req, &a);
    if (r != ANSWER_LATER)
        answer_end(&a, r);
    else
        free(a.text);
    if (req != NULL)
        postern__v1__control_request__free_unpacked(req, NULL);
}

/* One request, and no other before its answer is taken. */
static void
on_reads(evutil_socket_t fd, short what, void *ctx)
{
    static uint8_t bytes[CONTROL_BYTES_MAX]; /* too large for a stack */
    struct control_conn *c = ctx;
    ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_TRUNC);

    (void)what;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_close(c);
        return;
    }
    event_del(c->reads);
    if ((size_t)n > sizeof(bytes))
        answer_simple(c, -EMSGSIZE, "the request is too long");
    else
        conn_do(c, bytes, (size_t)n);
    conn_flush(c);
}

static void
on_writes(evutil_socket_t fd, short what, void *ctx)
{
    struct control_conn *c = ctx;

    (void)fd;
    if ((what & EV_TIMEOUT) != 0)
        conn_close(c);
    else
        conn_flush(c);
}

/* --- connections ----------------------------------------------------------------------- */

static void
conn_close(struct control_conn *c)
{
    LL_DELETE(c->ct->conns, c);
    if (c->reads != NULL)
        event_free(c->reads);
    if (c->writes != NULL)
        event_free(c->writes);
    while (c->queue != NULL) {
        struct packet *p = c->queue;

        LL_DELETE(c->queue, p);
        free(p);
    }
    close(c->fd);
    free(c);
}

/* Others cannot keep an administrator out. */
static bool
has_room(const struct control *ct, const struct caller *who)
{
    size_t all = 0, others = 0, own = 0;

    for (const struct control_conn *c = ct->conns; c != NULL; c = c->next) {
        all++;
        others += !c->who.admin;
        own += c->who.uid == who->uid;
    }
    if (who->admin)
        return all < CONTROL_CONNS_MAX;
    return others < CONTROL_CONNS_OF_OTHERS && own < CONTROL_CONNS_OF_ONE;
}

/* A word of farewell, if there is room for it. */
static void
turn_away(int fd, int status, const char *text)
{
    Postern__V1__ControlReply m = POSTERN__V1__CONTROL_REPLY__INIT;
    uint8_t bytes[256];
    char copy[128];

    (void)snprintf(copy, sizeof(copy), "%s", text);
    m.status = status;
    m.message = copy;
    (void)send(fd, bytes, postern__v1__control_reply__pack(&m, bytes), MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

static int
conn_open(struct control *ct, int fd, const struct caller *who)
{
    struct control_conn *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return -ENOMEM;
    c->ct = ct;
    c->fd = fd;
    c->who = *who;
    LL_APPEND(ct->conns, c);
    c->reads = event_new(ct->b->base, fd, EV_READ | EV_PERSIST, on_reads, c);
    c->writes = event_new(ct->b->base, fd, EV_WRITE, on_writes, c);
    if (c->reads == NULL || c->writes == NULL || event_add(c->reads, NULL) < 0)
        conn_close(c);
    return 0;
}

static bool
may_anything(const struct broker *b, const struct caller *who)
{
    bool may = who->admin;

    for (const struct tenant *t = b->tenants; t != NULL && !may; t = t->next)
        may = control_may(who, t);
    return may;
}

static void
take_in(struct control *ct, int fd)
{
    struct caller who;
    int zero = 0;

    /* older kernels do not know it: recv(2) without room for fds takes none */
    (void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &zero, sizeof(zero));
    if (caller_read(ct, fd, &who) < 0) {
        close(fd);
        return;
    }
    if (!may_anything(ct->b, &who))
        turn_away(fd, -EACCES, "you may do nothing here: see control and delegates in the policy");
    else if (!has_room(ct, &who))
        turn_away(fd, -EBUSY, "too many connections: try again");
    else if (conn_open(ct, fd, &who) < 0)
        close(fd);
}

static void
on_accepts(evutil_socket_t fd, short what, void *ctx)
{
    struct control *ct = ctx;

    (void)what;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int got = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (got < 0)
            return;
        take_in(ct, got);
    }
}

/* --- the socket -------------------------------------------------------------------------- */

/* Delegates have to reach it too; who may do what is looked up for each
 * connection and each request, and not left to the file's mode. */
static mode_t
file_mode(const struct broker *b)
{
    for (size_t i = 0; i < b->plan->ntenants; i++)
        if (b->plan->tenants[i].delegates.n > 0)
            return 0666;
    return b->plan->control.group != NULL ? 0660 : 0600;
}

static int
refused(int r, const struct plan_control *plan)
{
    static const struct {
        int err;
        const char *what;
    } reasons[] = {
        {EADDRINUSE, "in use by another server: stop that one, or choose another path"},
        {EEXIST, "there is a file of that name which is no socket: move it away"},
        {ENOENT, "its directory does not exist: create it"},
        {ENAMETOOLONG, "the path is longer than a socket's may be: choose a shorter one"},
        {EACCES, "this user may not: choose another path, or run posternd as root"},
    };
    const char *what = strerror(-r);

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].err == -r)
            what = reasons[i].what;
    return broker_refuse(r, plan->file, plan->line, "control unix:%s: %s", plan->path, what);
}

static int
group_refused(int r, const struct plan_control *plan)
{
    return broker_refuse(r, plan->file, plan->line, "control: group \"%s\": %s", plan->group,
                         r == -ENOENT ? "there is no such group" : strerror(-r));
}

int
control_check(const struct plan_control *plan)
{
    if (plan->path == NULL || plan->group == NULL || getgrnam(plan->group) != NULL)
        return 0;
    return group_refused(-ENOENT, plan);
}

static int
group_set(struct control *ct, const struct plan_control *plan)
{
    int r;

    if (plan->group == NULL)
        return 0;
    if (ct->b->rootless)
        return broker_refuse(-EPERM, plan->file, plan->line,
                             "control: group = \"%s\" needs posternd to run as root: an ordinary "
                             "user's posternd cannot tell who is in it",
                             plan->group);
    r = unix_give(plan->path, plan->group, &ct->group);
    ct->has_group = r == 0;
    return r < 0 ? group_refused(r, plan) : 0;
}

static int
socket_make(struct control *ct, const struct plan_control *plan)
{
    int r;

    ct->path = strdup(plan->path);
    ct->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (ct->path == NULL || ct->fd < 0)
        return refused(-errno, plan);
    r = unix_bind(ct->fd, ct->path, &ct->file);
    if (r < 0)
        return refused(r, plan);
    r = group_set(ct, plan);
    if (r < 0)
        return r;
    if (chmod(ct->path, file_mode(ct->b)) < 0 || listen(ct->fd, DOOR_BACKLOG) < 0)
        return refused(-errno, plan);
    return 0;
}

int
control_open(struct broker *b)
{
    struct control *ct;
    int r;

    if (b->plan->control.path == NULL)
        return 0;
    ct = calloc(1, sizeof(*ct));
    if (ct == NULL)
        return -ENOMEM;
    ct->b = b;
    ct->fd = -1;
    b->control = ct;
    r = socket_make(ct, &b->plan->control);
    if (r < 0)
        return r;
    ct->accepts = event_new(b->base, ct->fd, EV_READ | EV_PERSIST, on_accepts, ct);
    return ct->accepts == NULL || event_add(ct->accepts, NULL) < 0 ? -ENOMEM : 0;
}

void
control_reloaded(struct broker *b)
{
    const struct control *ct = b->control;

    if (ct != NULL && chmod(ct->path, file_mode(b)) < 0)
        (void)log_errno(-errno, "control unix:%s: its mode", ct->path);
}

void
control_close(struct broker *b)
{
    struct control *ct = b->control;

    if (ct == NULL)
        return;
    while (ct->conns != NULL)
        conn_close(ct->conns);
    if (ct->accepts != NULL)
        event_free(ct->accepts);
    clean_fd(&ct->fd);
    unix_unlink(ct->path, &ct->file);
    free(ct->path);
    free(ct);
    b->control = NULL;
}
