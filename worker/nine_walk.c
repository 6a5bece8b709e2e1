/*
 * Twalk: from one fid to another, name by name.
 *
 * Runs in: worker.   Trusts: nobody: every name is checked before any call.
 * Owns: a walk's names and the node it has come to.
 *
 * A walk is cut at every "..": the stretches between are one WALK each, and
 * ".." is PARENT, which the helper answers from its table, the root's parent
 * being the root. Linux never sends "..", so for Linux a walk is one call.
 * Below the aggregate root the first name leads into a share, and ".." of a
 * share's root out of it: this is the one place where a request crosses over.
 * In the older dialects the last name is a call of its own: see worker/place.h.
 * No names at all is a clone: the new fid shares the node, no call is made.
 *
 * From an open fid one may walk to another fid (Linux does, its parent fid
 * may be the one a directory is open by), not onto itself.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/fs_root.h"
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
        request_begets(r, f);
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

/* Where we are. */
static struct handle *
here(const struct request *r)
{
    return r->walk->here != NULL ? r->walk->here : r->node;
}

static void
walk_arrives(struct request *r, uint64_t node, uint32_t mode)
{
    struct walk *w = r->walk;

    handle_fill(r->fresh_node, node, mode);
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

/* The walk has come to its end by the last of its names. */
static void
note_last(struct request *r)
{
    const struct walk *w = r->walk;

    if (w->at == w->n && keeps_names(r))
        note_place(r, here(r), (struct str){w->name[w->n - 1], w->len[w->n - 1]});
}

/* One step to a file of r->share. */
static void
stepped(struct request *r, const struct attr *a)
{
    struct walk *w = r->walk;

    w->step[w->at++] =
        (struct walk_step){.ino = nine_ino(r, a->ino), .mode = a->mode, .version = a->version};
}

static void
walked(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__WalkRep *rep = (const Postern__V1__WalkRep *)m;
    struct request *r = request_of(call);
    struct walk *w = r->walk;

    if (status == 0) {
        memcpy(&w->step[w->at], rep->steps.data, rep->steps.len);
        for (uint32_t end = w->at + rep->done; w->at < end; w->at++)
            w->step[w->at].ino = nine_ino(r, w->step[w->at].ino);
    }
    if (status < 0 || rep->done < w->asked) {
        walk_stops(r, status);
        return;
    }
    note_last(r);
    walk_arrives(r, rep->node, msg_attr(rep->attr)->mode);
}

/* The name of a directory that PARENT led to; a share's root has it from the
 * aggregate root, if that is above it. */
static struct str
parent_name(const struct request *r, const Postern__V1__ParentRep *rep)
{
    const char *share = r->share->fs->name;

    if (rep->has_name)
        return (struct str){rep->name.data, rep->name.len};
    return (struct str){(const uint8_t *)share, r->aggregate ? strlen(share) : 0};
}

static void
went_up(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__ParentRep *rep = (const Postern__V1__ParentRep *)m;
    struct request *r = request_of(call);
    struct str name;

    if (status < 0) {
        walk_stops(r, status);
        return;
    }
    stepped(r, msg_attr(rep->attr));
    name = parent_name(r, rep);
    if (name.n > 0 && r->walk->at == r->walk->n && keeps_names(r))
        note_place(r, NULL, name);
    walk_arrives(r, rep->node, msg_attr(rep->attr)->mode);
}

/* Into a share, by its entry of the aggregate root. */
static void
went_in(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__GetattrRep *rep = (const Postern__V1__GetattrRep *)m;
    struct request *r = request_of(call);

    if (status < 0) {
        walk_stops(r, status == -ESTALE ? -ENOENT : status);
        return;
    }
    stepped(r, msg_attr(rep->attr));
    note_last(r);
    walk_arrives(r, NODE_ROOT, S_IFDIR);
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

/* A handle of the share where the next step leads. */
static int
fresh_in(struct request *r, struct share *sh)
{
    if (r->fresh_node != NULL && r->fresh_node->share != sh) {
        handle_put(r->fresh_node);
        r->fresh_node = NULL;
    }
    if (r->fresh_node == NULL)
        r->fresh_node = handle_new(sh, HANDLE_NODE);
    return r->fresh_node == NULL ? -ENOMEM : 0;
}

/* It stops here, with an error only if it has not come anywhere. */
static int
stop(struct request *r, int status)
{
    walk_stops(r, status);
    return 0;
}

/* Nobody has to be asked what the aggregate root is. */
static int
to_the_root(struct request *r)
{
    struct tenant *t = r->conn->tenant;
    struct walk *w = r->walk;
    int e = fresh_in(r, t->root);

    if (e < 0)
        return e;
    r->fresh_node->pinned = true;
    r->share = t->root;
    w->step[w->at++] = (struct walk_step){
        .ino = ROOT_INO, .mode = ROOT_MODE, .version = fs_root_version(t->root_fs)};
    walk_arrives(r, NODE_ROOT, ROOT_MODE);
    return 0;
}

static int
step_up(struct request *r)
{
    Postern__V1__ParentReq q = POSTERN__V1__PARENT_REQ__INIT;
    const struct handle *from = here(r);
    int e;

    if (!from->directory)
        return stop(r, -ENOTDIR);
    if (r->aggregate && from->id == NODE_ROOT)
        return to_the_root(r);
    e = fresh_in(r, r->share);
    if (e < 0)
        return e;
    q.node = from->id;
    r->call.done = went_up;
    return fs_parent(r->share->fs, &q, &r->call);
}

static int
step_in(struct request *r)
{
    Postern__V1__GetattrReq q = POSTERN__V1__GETATTR_REQ__INIT;
    const struct walk *w = r->walk;
    struct share *sh = tenant_share(r->conn->tenant, w->name[w->at], w->len[w->at]);
    int e;

    if (sh == NULL)
        return stop(r, -ENOENT);
    e = fresh_in(r, sh);
    if (e < 0)
        return e;
    r->fresh_node->pinned = true;
    r->share = sh;
    q.node = NODE_ROOT;
    r->call.done = went_in;
    return fs_getattr(sh->fs, &q, &r->call);
}

static int
step_down(struct request *r)
{
    Postern__V1__WalkReq q = POSTERN__V1__WALK_REQ__INIT;
    struct walk *w = r->walk;
    int e = fresh_in(r, r->share);

    if (e < 0)
        return e;
    q.node = here(r)->id;
    w->asked = 0;
    for (uint32_t i = w->at; i < stretch_end(r) && !is_dotdot(w, i); i++)
        set_name(&q, w->asked++, w->name[i], w->len[i]);
    r->call.done = walked;
    return fs_walk(r->share->fs, &q, &r->call);
}

/* Submit the next stretch. */
static int
walk_on(struct request *r)
{
    r->share = here(r)->share;
    if (is_dotdot(r->walk, r->walk->at))
        return step_up(r);
    return r->share == r->conn->tenant->root ? step_in(r) : step_down(r);
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
        request_begets(r, f);
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
