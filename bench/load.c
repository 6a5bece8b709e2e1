/*
 * Keeping requests in flight on some connections to one server.
 *
 * Runs in: bench.   Trusts: the server, but checks every reply's type.
 * Owns: the connections.
 *
 * Requests in flight slide: for every batch of replies that one receive
 * brought, as many new requests go out with one send, as a kernel client's
 * many processes would.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "bench/bench.h"
#include "control/nine_wire.h"

static int
conn_open(struct conn *c, const char *address, const char *aname, uint32_t msize)
{
    int r = nc_connect(address, &c->c);

    c->aname = aname;
    if (r == 0)
        r = nc_version(c->c, msize, "9P2000.L");
    if (r == 0)
        r = nc_attach(c->c, FID_ROOT, "root", aname, 0);
    if (r == 0)
        c->io = nc_msize(c->c) - NINE_IO_HEAD;
    if (r == 0 && c->io > 1u << 20)
        c->io = 1u << 20;
    return r;
}

int
load_open(struct load *l, const char *address, const char *aname, uint32_t msize,
          enum load_mode mode)
{
    const size_t n = mode == LOAD_BARE ? 1 : CONNS_MAX;
    int r = 0;

    memset(l, 0, sizeof(*l));
    while (l->nconns < n && r == 0) {
        struct conn *c = &l->conns[l->nconns++];

        r = conn_open(c, address, aname, msize);
        if (r == 0 && mode == LOAD_FIRST && l->nconns == 1)
            r = ops_prepare(c);
        if (r == 0 && mode != LOAD_BARE)
            r = ops_open(c);
    }
    return r;
}

void
load_close(struct load *l)
{
    for (size_t i = 0; i < l->nconns; i++)
        nc_close(l->conns[i].c);
    l->nconns = 0;
}

static void
start(struct load *l, const struct workload *w, struct conn *c, unsigned slot)
{
    if (c->slots[slot].step == 0)
        c->slots[slot].number = l->seq++;
    w->send[c->slots[slot].step](c, slot);
    nc_end(c->c);
}

/* How far a run has come. */
struct run {
    struct load *l;
    const struct workload *w;
    unsigned depth;
    uint64_t ops, begun, done;
};

/* The next message of the slot whose reply this is, if there is one. */
static int
take(struct run *u, struct conn *c, const struct nc_reply *rep)
{
    struct slot *s = &c->slots[rep->tag];

    if (rep->tag >= u->depth || (rep->type == NINE_RLERROR && !u->w->may_fail))
        return -EPROTO;
    if (u->w->again == NULL || !u->w->again(c, rep->tag, rep))
        s->step = (s->step + 1) % (unsigned)u->w->steps;
    if (s->step == 0) {
        u->done++;
        if (u->begun == u->ops)
            return 0;
        u->begun++;
    }
    start(u->l, u->w, c, rep->tag);
    return 0;
}

/* Everything that has come on this connection; then what it leads to goes out. */
static int
turn(struct run *u, struct conn *c)
{
    int r = 0;

    do {
        struct nc_reply rep;

        r = nc_pull(c->c, &rep);
        if (r == 0)
            r = take(u, c, &rep);
    } while (r == 0 && nc_has_reply(c->c));
    return r == 0 ? nc_push(c->c) : r;
}

static int
wait_turns(struct run *u, size_t nconns)
{
    struct pollfd p[CONNS_MAX];
    int r = 0;

    for (size_t i = 0; i < nconns; i++)
        p[i] = (struct pollfd){.fd = nc_fd(u->l->conns[i].c), .events = POLLIN};
    if (poll(p, nconns, 10000) <= 0)
        return -ETIMEDOUT;
    for (size_t i = 0; i < nconns && r == 0; i++)
        if (p[i].revents != 0)
            r = turn(u, &u->l->conns[i]);
    return r;
}

int
load_run(struct load *l, const struct workload *w, size_t nconns, unsigned depth, uint64_t ops)
{
    struct run u = {.l = l, .w = w, .depth = depth, .ops = ops};
    int r = 0;

    for (size_t i = 0; i < nconns && r == 0; i++) {
        struct conn *c = &l->conns[i];

        for (unsigned slot = 0; slot < depth && u.begun < ops; slot++, u.begun++) {
            c->slots[slot].step = 0;
            start(l, w, c, slot);
        }
        r = nc_push(c->c);
    }
    while (u.done < ops && r == 0) /* one connection: no call but its own */
        r = nconns == 1 ? turn(&u, &l->conns[0]) : wait_turns(&u, nconns);
    l->bytes = 0;
    for (size_t i = 0; i < l->nconns; i++)
        l->bytes += l->conns[i].bytes;
    return r;
}
