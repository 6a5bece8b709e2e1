/*
 * The 9P session: version, tags, dispatch, attach, flush.
 *
 * Runs in: worker.   Trusts: nobody: every byte here is a guest's.
 * Owns: nothing; requests own what they hold.
 *
 * Decisions that the protocol leaves open:
 *   a version is "9P2000.L", "9P2000.u" or "9P2000", with any suffix after a
 *   dot; another suffix of 9P2000 is answered "9P2000";
 *   before a version is agreed on, anything but Tversion ends the connection;
 *   a Tversion in mid-session clunks all fids, waits for what is in flight,
 *   leaves it unanswered, and is then answered itself;
 *   an msize below MSIZE_MIN is EMSGSIZE and no session begins; but who offers
 *   an unknown version is answered "unknown", whatever the msize;
 *   a tag that is in flight already, or NOTAG on anything but Tversion, is
 *   EINVAL under that tag; the request in flight is not touched;
 *   a body that is too short or too long for its type is EPROTO.
 */
#include "worker/nine.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "ipc/log.h"

#define QTDIR 0x80
#define QTSYMLINK 0x02
#define HEAD_BYTES 7u       /* size[4] type[1] tag[2] */
#define NINE_READ_BYTES 23u /* of a Tread, whose last four are the count */

static const struct nine_row rows[256] = {
#define NINE(type, upper, lower, spoken_in, minimum, out_room, counted, long_error)                \
    [NINE_T##upper] = {.name = #lower,                                                             \
                       .handle = nine_t##lower,                                                    \
                       .dialects = (spoken_in),                                                    \
                       .min = (minimum),                                                           \
                       .room = (out_room),                                                         \
                       .pays = PAYS_##counted,                                                     \
                       .too_long = -(long_error)},
#include "worker/nine.def"
#undef NINE
};

const struct nine_row *
nine_row(uint8_t type, unsigned dialect)
{
    return (rows[type].dialects & dialect) == 0 ? NULL : &rows[type];
}

void
pen_qid(struct pen *w, uint64_t ino, uint32_t mode, uint32_t version)
{
    uint8_t type = 0;

    if (S_ISDIR(mode))
        type = QTDIR;
    else if (S_ISLNK(mode))
        type = QTSYMLINK;
    pen_u8(w, type);
    pen_u32(w, version);
    pen_u64(w, ino);
}

uint64_t
nine_ino(const struct request *r, uint64_t ino)
{
    return r->aggregate ? ino ^ r->share->ino_key : ino;
}

void
pen_attr_qid(struct pen *w, const struct request *r, const struct attr *a)
{
    pen_qid(w, nine_ino(r, a->ino), a->mode, a->version);
}

int
nine_name(struct str name)
{
    if (name.n > NAME_LEN_MAX)
        return -ENAMETOOLONG;
    return name_ok(name.p, name.n) ? 0 : -EINVAL;
}

int
nine_fid(struct request *r, const struct cursor *c, uint32_t num)
{
    return cur_end(c) ? request_fid(r, num) : -EPROTO;
}

int
nine_fid_to_write(struct request *r, const struct cursor *c, uint32_t num, unsigned op)
{
    return cur_end(c) ? request_fid_to_write(r, num, op) : -EPROTO;
}

void
nine_done_empty(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    (void)m;
    if (status < 0)
        reply_error(request_of(call), status);
    else
        reply_empty(request_of(call));
}

/* A reply without a request: there is always room for one. */
static void
answer(struct conn *c, struct pen *w)
{
    uint32_t n = (uint32_t)pen_len(w), size = htole32(n);

    memcpy(w->start, &size, sizeof(size));
    conn_output(c, n, NULL, 0);
}

static void
answer_begin(struct conn *c, struct pen *w, uint8_t type, uint16_t tag)
{
    pen_init(w, c->out + c->out_end, ROOM_SMALL);
    pen_u32(w, 0);
    pen_u8(w, type);
    pen_u16(w, tag);
}

static void
answer_error(struct conn *c, unsigned dialect, uint16_t tag, int err)
{
    struct pen w;

    answer_begin(c, &w, nine_error_type(dialect), tag);
    pen_error(&w, dialect, err);
    answer(c, &w);
}

/* In the order in which they are tried: the longest that the offer is, or is
 * with a suffix after a dot. */
static const struct {
    unsigned dialect;
    const char *text;
} versions[] = {{NINE_L, "9P2000.L"}, {NINE_U, "9P2000.u"}, {NINE_2000, "9P2000"}};

static unsigned
version_dialect(struct str v)
{
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        size_t n = strlen(versions[i].text);

        if (v.n >= n && memcmp(v.p, versions[i].text, n) == 0 && (v.n == n || v.p[n] == '.'))
            return versions[i].dialect;
    }
    return 0;
}

static const char *
version_text(unsigned dialect)
{
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (versions[i].dialect == dialect)
            return versions[i].text;
    }
    return "unknown";
}

void
nine_version_now(struct conn *c)
{
    const char *text = version_text(c->version.dialect);
    struct pen w;

    c->resetting = false;
    if (c->version.dialect != 0 && c->version.msize < MSIZE_MIN) {
        answer_error(c, c->version.dialect, c->version.tag, -EMSGSIZE);
        return;
    }
    c->dialect = c->version.dialect;
    if (c->dialect != 0)
        c->msize = c->version.msize;
    answer_begin(c, &w, NINE_RVERSION, c->version.tag);
    pen_u32(&w, c->version.msize);
    pen_str(&w, text, strlen(text));
    answer(c, &w);
}

static int
version(struct conn *c, uint16_t tag, struct cursor *body)
{
    uint32_t msize = cur_u32(body);
    struct str text = cur_str(body);

    if (!cur_end(body)) {
        if (c->dialect == 0)
            return -EPROTO;
        answer_error(c, c->dialect, tag, -EPROTO);
        return 0;
    }
    if (msize > c->tenant->limits.msize)
        msize = c->tenant->limits.msize;
    c->version.tag = tag;
    c->version.msize = msize;
    c->version.dialect = version_dialect(text);
    c->dialect = 0;
    c->msize = MSIZE_MIN;
    c->resetting = true;
    fid_clear(&c->fids, &c->tenant->fids);
    nine_lock_end(c);
    pace_end(c);
    if (c->in_flight == 0)
        nine_version_now(c);
    return 0;
}

void
nine_too_long(struct conn *c, const uint8_t *head)
{
    const struct nine_row *row = nine_row(head[4], c->dialect);
    struct cursor cur;
    int e = row != NULL ? row->too_long : -EOPNOTSUPP;

    cur_init(&cur, head + 5, 2);
    answer_error(c, c->dialect, cur_u16(&cur), head[4] == NINE_TVERSION ? -EPROTO : e);
}

static int
dispatch(struct request *r, const struct nine_row *row, struct cursor *body)
{
    if (row == NULL)
        return -EOPNOTSUPP;
    if (row->min > (size_t)(body->end - body->at))
        return -EPROTO;
    return row->handle(r, body);
}

/* What it pays before anything is looked up. The data of a Twrite pays when
 * it is there. */
static uint64_t
price(const struct conn *c, const struct nine_row *row, const uint8_t *p, uint32_t n)
{
    uint32_t room = c->msize - NINE_IO_HEAD, count;

    if (row->pays == PAYS_WRITE || row->pays == PAYS_NOT)
        return 0;
    if (row->pays == PAYS_OP || n < NINE_READ_BYTES)
        return 1;
    memcpy(&count, p + NINE_READ_BYTES - sizeof(count), sizeof(count));
    count = le32toh(count);
    return count < room ? count : room;
}

/* Its turn has come: as if the message had come now. */
static int
held_go(struct request *r)
{
    struct pool *pool = &r->conn->tenant->held;
    struct held *h = r->held;
    struct cursor body;
    int e;

    cur_init(&body, h->p + HEAD_BYTES, h->n - HEAD_BYTES);
    r->held = NULL; /* r may end */
    e = dispatch(r, nine_row(r->type, r->conn->dialect), &body);
    if (e == -EAGAIN) {
        request_again(r);
        r->held = h;
    } else {
        pool_put(pool, h);
    }
    return e;
}

/* The connection goes on reading meanwhile: a Tflush may come. */
static void
hold(struct request *r, const uint8_t *p, uint32_t n)
{
    r->held = pool_get(&r->conn->tenant->held);
    if (r->held == NULL) {
        reply_error(r, -ENOMEM);
        return;
    }
    r->held->n = n;
    memcpy(r->held->p, p, n);
}

int
nine_message(struct conn *c, const uint8_t *p, uint32_t n, uint32_t size)
{
    const struct nine_row *row = nine_row(p[4], c->dialect);
    struct cursor body;
    struct request *r;
    uint16_t tag;
    int e;

    cur_init(&body, p + 5, n - 5);
    tag = cur_u16(&body);
    if (p[4] == NINE_TVERSION)
        return version(c, tag, &body);
    if (c->dialect == 0)
        return -EPROTO;
    if (tag == NINE_NOTAG || request_by_tag(c, tag) != NULL) {
        answer_error(c, c->dialect, tag, -EINVAL);
        return 0;
    }
    r = request_new(c, tag, p[4], row != NULL ? row->room : ROOM_SMALL);
    if (r == NULL) {
        conn_stall(c, &c->tenant->stalled);
        return -EAGAIN;
    }
    r->data = size - n;
    if (c->tenant->paced && row != NULL && !pace_pay(r, row->pays, price(c, row, p, n), held_go)) {
        hold(r, p, n);
        return 0;
    }
    e = dispatch(r, row, &body);
    if (e == -EAGAIN) {
        conn_stall(c, &r->share->stalled);
        request_undo(r);
        return e;
    }
    if (e < 0)
        reply_error(r, e);
    return 0;
}

int
nine_tflush(struct request *r, struct cursor *c)
{
    uint16_t tag = cur_u16(c);
    struct request *old = request_by_tag(r->conn, tag);

    if (!cur_end(c))
        return -EPROTO;
    /* v9fs sends Tflush for a tag we may have answered already: no error. */
    if (old == NULL || old == r)
        reply_empty(r);
    else
        request_flush(old, r);
    return 0;
}

static void
attach_done(struct fs_call *call, int status, const ProtobufCMessage *m)
{
    const Postern__V1__GetattrRep *rep = (const Postern__V1__GetattrRep *)m;
    struct request *r = request_of(call);
    struct fid *f = r->newfid;
    struct pen w;

    if (status < 0) {
        reply_error(r, status);
        return;
    }
    if (f->state == FID_NEW) {
        handle_fill(r->fresh_node, NODE_ROOT, S_IFDIR);
        r->fresh_node->pinned = true;
        f->node = r->fresh_node;
        request_begets(r, f);
        r->fresh_node = NULL;
        fid_go(f, FID_WALKED);
    }
    reply_begin(r, &w, NINE_TATTACH + 1);
    pen_attr_qid(&w, r, msg_attr(rep->attr));
    reply_end(r, &w);
}

/* A share's name or id, or "" for the root of them all; ";ro" behind it narrows.
 * Whatever is wrong, the answer is the same. */
static int
attach_share(struct request *r, struct str aname)
{
    static const char narrow[] = ";ro";
    static const size_t n = sizeof(narrow) - 1;
    const struct tenant *t = r->conn->tenant;

    if (aname.n >= n && memcmp(aname.p + aname.n - n, narrow, n) == 0) {
        aname.n -= n;
        r->call.narrowed = true;
    }
    r->aggregate = aname.n == 0;
    r->share = r->aggregate ? t->root : tenant_share(t, aname.p, aname.n);
    return r->share == NULL ? -ENOENT : 0;
}

/* Who the fid is for: a number that 9P2000 has not, and that Linux leaves out
 * when all users share one fid. */
static uint32_t
take_n_uname(const struct request *r, struct cursor *c)
{
    uint32_t uid = r->conn->dialect != NINE_2000 ? cur_u32(c) : ID_NONE;

    return uid >= ID_NONE - 1 ? ID_NOBODY : uid;
}

/* There is nothing to authenticate with: who may connect is the tenant. diod's
 * client library takes ENOENT, and no other error, to mean that. */
int
nine_tauth(struct request *r, struct cursor *c)
{
    (void)r;
    (void)cur_u32(c); /* afid */
    (void)cur_str(c); /* uname */
    (void)cur_str(c); /* aname */
    (void)take_n_uname(r, c);
    return cur_end(c) ? -ENOENT : -EPROTO;
}

int
nine_tattach(struct request *r, struct cursor *c)
{
    Postern__V1__GetattrReq q = POSTERN__V1__GETATTR_REQ__INIT;
    struct conn *conn = r->conn;
    uint32_t num = cur_u32(c), afid = cur_u32(c);
    struct str aname;
    int e;

    (void)cur_str(c); /* uname: data, never looked up */
    aname = cur_str(c);
    r->call.uid = r->call.gid = take_n_uname(r, c);
    if (!cur_end(c))
        return -EPROTO;
    if (afid != NINE_NOFID)
        return -EOPNOTSUPP;
    e = attach_share(r, aname);
    if (e == 0)
        e = fid_add(&conn->fids, &conn->tenant->fids, num, conn->tenant->limits.fids, &r->newfid);
    if (e < 0)
        return e;
    (void)fid_get(r->newfid);
    r->fresh_node = handle_new(r->share, HANDLE_NODE);
    if (r->fresh_node == NULL)
        return -ENOMEM;
    q.node = NODE_ROOT;
    r->call.done = attach_done;
    return fs_getattr(r->share->fs, &q, &r->call);
}
