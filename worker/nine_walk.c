/*
 * Twalk: from one fid to another, name by name.
 *
 * Runs in: worker.   Trusts: nobody: every name is checked before any call.
 * Owns: a walk's names and the node it has come to.
 *
 * A walk is cut at every "..": the stretches between are one WALK each, and
 * ".." is PARENT, which the helper answers from its table, the root's parent
 * being the root. Linux never sends "..", so for Linux a walk is one call.
 * In the older dialects the last name is a call of its own: see worker/place.h.
 * No names at all is a clone: the new fid shares the node, no call is made.
 *
 * From an open fid one may walk to another fid (Linux does, its parent fid
 * may be the one a directory is open by), not onto itself.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/nine.h"

struct walk {
    uint32_t n, at;      /* names; names behind us */
    uint32_t asked;      /* names in the call that is under way */
    struct handle *here; /* owned; where we are; NULL: still at the request's node */
    struct walk_step step[WALK_MAX];
    uint8_t len[WALK_MAX];
    uint8_t name[WALK_MAX][NAME_BUF];
};

size_t
walk_size(void)
{
    return sizeof(struct walk);
}

void
walk_free(struct tenant *t, struct walk *w)
{
    handle_put(w->here);
    pool_put(&t->walks, w);
}

static bool
is_dotdot(const struct walk *w, uint32_t i)
{
    return w->len[i] == 2 && memcmp(w->name[i], "..", 2) == 0;
}

static void
reply_qids(struct request *r)
{
    const struct walk *w = r->walk;
    struct pen p;

    reply_begin(r, &p, NINE_TWALK + 1);
    pen_u16(&p, (uint16_t)w->at);
    for (uint32_t i = 0; i < w->at; i++)
        pen_qid(&p, w->step[i].ino, w->step[i].mode, w->step[i].version);
    reply_end(r, &p);
}

/* The fid that was asked for now names the node we came to. */
static void
walk_ends(struct request *r)
{
    struct walk *w = r->walk;
    struct fid *f = r->newfid != NULL ? r->newfid : r->fid;

    if (f->state == FID_NEW || f->state == FID_CHANGING) {
        handle_put(f->node);
        f->node = w->here;
        w->here = NULL;
        place_put(f->place);
        f->place = r->fresh_place;
        r->fresh_place = NULL;
        f->narrowed = r->call.narrowed;
        f->uid = r->call.uid;
        fid_go(f, FID_WALKED);
    }
    reply_qids(r);
}

/* Not all names were found: the qids so far, or why not even one. */
static void
walk_stops(struct request *r, int status)
{
    if (r->walk->at > 0)
        reply_qids(r);
    else
        reply_error(r, status < 0 ? status : -ENOENT);
}

static int walk_on(struct request *r);

static void
walk_arrives(struct request *r, uint64_t node)
{
    struct walk *w = r->walk;

    r->fresh_node->id = node;
    handle_put(w->here);
    w->here = r->fresh_node;
    r->fresh_node = NULL;
    if (w->at == w->n)
        walk_ends(r);
    else
        request_step(r, walk_on);
}

/* Only the older dialects ask for a fid's name. */
static bool
keeps_names(const struct request *r)
{
    return r->conn->dialect != NINE_L;
}

/* By which name the walk came where it ends. Without memory for it the fid is
 * one without a name, which costs it no more than that. */
static void
note_place(struct request *r, struct handle *dir, struct str name)
{
    const struct walk *w = r->walk;

    r->fresh_place = place_new(&r->conn->tenant->places, dir, name);
    if (r->fresh_place != NULL)
        r->fresh_place->directory = S_ISDIR(w->step[w->n - 1].mode);
}

static void
walked(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__WalkRep *rep = (const Postern__V1__WalkRep *)m;
    struct request *r = request_of(call);
    struct walk *w = r->walk;

    if (status == 0) {
        memcpy(&w->step[w->at], rep->steps.data, rep->steps.len);
        w->at += rep->done;
    }
    if (status < 0 || rep->done < w->asked) {
        walk_stops(r, status);
        return;
    }
    if (w->at == w->n && keeps_names(r)) {
        struct handle *dir = w->here != NULL ? w->here : r->node;

        note_place(r, dir, (struct str){w->name[w->n - 1], w->len[w->n - 1]});
    }
    walk_arrives(r, rep->node);
}

static void
went_up(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__ParentRep *rep = (const Postern__V1__ParentRep *)m;
    struct request *r = request_of(call);
    struct walk *w = r->walk;

    if (status < 0) {
        walk_stops(r, status);
        return;
    }
    w->step[w->at++] = (struct walk_step){
        .ino = rep->attr->ino, .mode = rep->attr->mode, .version = rep->attr->version};
    if (rep->has_name && w->at == w->n && keeps_names(r))
        note_place(r, NULL, (struct str){rep->name.data, rep->name.len});
    walk_arrives(r, rep->node);
}

static const struct {
    size_t has, name;
} name_field[WALK_MAX] = {
#define F(i)                                                                                       \
    {                                                                                              \
        offsetof(Postern__V1__WalkReq, has_name##i), offsetof(Postern__V1__WalkReq, name##i)       \
    }
    F(1), F(2),  F(3),  F(4),  F(5),  F(6),  F(7),  F(8),
    F(9), F(10), F(11), F(12), F(13), F(14), F(15), F(16),
#undef F
};

static void
set_name(Postern__V1__WalkReq *q, uint32_t i, const uint8_t *name, size_t n)
{
    const protobuf_c_boolean yes = 1;
    const ProtobufCBinaryData b = msg_bytes(name, n);

    memcpy((uint8_t *)q + name_field[i].has, &yes, sizeof(yes));
    memcpy((uint8_t *)q + name_field[i].name, &b, sizeof(b));
}

/* How far one call may go: where names are kept, the last one goes by itself,
 * so that the directory it is in is known. */
static uint32_t
stretch_end(const struct request *r)
{
    const struct walk *w = r->walk;
    uint32_t last = w->n - 1;

    return keeps_names(r) && w->at < last ? last : w->n;
}

/* Submit the next stretch. */
static int
walk_on(struct request *r)
{
    Postern__V1__WalkReq walk = POSTERN__V1__WALK_REQ__INIT;
    Postern__V1__ParentReq parent = POSTERN__V1__PARENT_REQ__INIT;
    struct walk *w = r->walk;
    uint64_t from = w->here != NULL ? w->here->id : r->node->id;

    if (r->fresh_node == NULL)
        r->fresh_node = handle_new(r->share, HANDLE_NODE);
    if (r->fresh_node == NULL)
        return -ENOMEM;
    if (is_dotdot(w, w->at)) {
        parent.node = from;
        r->call.done = went_up;
        return fs_parent(r->share->fs, &parent, &r->call);
    }
    walk.node = from;
    w->asked = 0;
    for (uint32_t i = w->at; i < stretch_end(r) && !is_dotdot(w, i); i++)
        set_name(&walk, w->asked++, w->name[i], w->len[i]);
    r->call.done = walked;
    return fs_walk(r->share->fs, &walk, &r->call);
}

/* The names into w, each checked: one component, or "..". */
static int
take_names(struct walk *w, uint16_t n, struct cursor *c)
{
    int bad = 0;

    if (n > WALK_MAX)
        return -EINVAL;
    for (uint16_t i = 0; i < n; i++) {
        struct str s = cur_str(c);
        int e = s.n == 2 && memcmp(s.p, "..", 2) == 0 ? 0 : nine_name(s);

        if (bad == 0)
            bad = e;
        if (bad == 0) {
            memcpy(w->name[i], s.p, s.n);
            w->len[i] = (uint8_t)s.n;
        }
    }
    w->n = n;
    return cur_end(c) ? bad : -EPROTO;
}

static int
walk_new(struct request *r, uint16_t n, struct cursor *c)
{
    struct walk *w = pool_get(&r->conn->tenant->walks);

    if (w == NULL)
        return -ENOMEM;
    w->n = w->at = w->asked = 0;
    w->here = NULL;
    r->walk = w;
    return take_names(w, n, c);
}

static void
clone(struct request *r)
{
    struct fid *f = r->newfid;

    if (f != NULL) {
        f->node = handle_get(r->node);
        f->place = place_get(r->place);
        f->narrowed = r->call.narrowed;
        f->uid = r->call.uid;
        fid_go(f, FID_WALKED);
    }
    reply_qids(r);
}

int
nine_twalk(struct request *r, struct cursor *c)
{
    struct tenant *t = r->conn->tenant;
    uint32_t from = cur_u32(c), to = cur_u32(c);
    int e = walk_new(r, cur_u16(c), c);

    if (e == 0)
        e = request_fid(r, from);
    if (e < 0)
        return e;
    if (to != from) {
        e = fid_add(&r->conn->fids, &t->fids, to, t->limits.fids, &r->newfid);
        if (e == 0)
            (void)fid_get(r->newfid);
    } else if (r->walk->n > 0) {
        e = request_changes_fid(r);
    }
    if (e < 0)
        return e;
    if (r->walk->n > 0)
        return walk_on(r);
    clone(r);
    return 0;
}
