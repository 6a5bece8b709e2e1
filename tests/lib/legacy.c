/*
 * Stats and calls of the older dialects.
 *
 * Runs in: tests.   Trusts: nothing the server says.   Owns: nothing.
 */
#include "tests/lib/legacy.h"

#include <errno.h>
#include <string.h>

#include "worker/cursor.h"

#define TAG 7
#define RERROR 107

static bool
read_text(struct cursor *c, char *to, size_t room)
{
    struct str s = cur_str(c);

    if (c->bad || s.n >= room)
        return false;
    memcpy(to, s.n == 0 ? (const uint8_t *)"" : s.p, s.n);
    to[s.n] = '\0';
    return true;
}

size_t
old_stat_read(const uint8_t *p, size_t n, bool dotu, struct old_stat *ret)
{
    struct cursor c;
    bool good;

    cur_init(&c, p, n);
    *ret = (struct old_stat){.size = (uint16_t)(cur_u16(&c) + 2u)};
    if (ret->size > n)
        return 0;
    cur_init(&c, p + 2, ret->size - 2u);
    ret->type = cur_u16(&c);
    ret->dev = cur_u32(&c);
    ret->qid_type = cur_u8(&c);
    ret->qid_version = cur_u32(&c);
    ret->qid_path = cur_u64(&c);
    ret->mode = cur_u32(&c);
    ret->atime = cur_u32(&c);
    ret->mtime = cur_u32(&c);
    ret->length = cur_u64(&c);
    good = read_text(&c, ret->name, sizeof(ret->name)) &&
           read_text(&c, ret->uid, sizeof(ret->uid)) && read_text(&c, ret->gid, sizeof(ret->gid)) &&
           read_text(&c, ret->muid, sizeof(ret->muid));
    if (dotu) {
        good = good && read_text(&c, ret->extension, sizeof(ret->extension));
        ret->n_uid = cur_u32(&c);
        ret->n_gid = cur_u32(&c);
        ret->n_muid = cur_u32(&c);
    }
    return good && cur_end(&c) ? ret->size : 0;
}

struct old_stat
old_stat_blank(void)
{
    return (struct old_stat){
        .type = UINT16_MAX,
        .dev = UINT32_MAX,
        .qid_type = UINT8_MAX,
        .qid_version = UINT32_MAX,
        .qid_path = UINT64_MAX,
        .mode = UINT32_MAX,
        .atime = UINT32_MAX,
        .mtime = UINT32_MAX,
        .length = UINT64_MAX,
        .n_uid = UINT32_MAX,
        .n_gid = UINT32_MAX,
        .n_muid = UINT32_MAX,
    };
}

size_t
old_stat_write(const struct old_stat *st, bool dotu, uint8_t *to, size_t room)
{
    struct pen w, size;

    pen_init(&w, to, room);
    pen_u16(&w, 0);
    pen_u16(&w, st->type);
    pen_u32(&w, st->dev);
    pen_u8(&w, st->qid_type);
    pen_u32(&w, st->qid_version);
    pen_u64(&w, st->qid_path);
    pen_u32(&w, st->mode);
    pen_u32(&w, st->atime);
    pen_u32(&w, st->mtime);
    pen_u64(&w, st->length);
    pen_str(&w, st->name, strlen(st->name));
    pen_str(&w, st->uid, strlen(st->uid));
    pen_str(&w, st->gid, strlen(st->gid));
    pen_str(&w, st->muid, strlen(st->muid));
    if (dotu) {
        pen_str(&w, st->extension, strlen(st->extension));
        pen_u32(&w, st->n_uid);
        pen_u32(&w, st->n_gid);
        pen_u32(&w, st->n_muid);
    }
    pen_init(&size, to, 2);
    pen_u16(&size, (uint16_t)(pen_len(&w) - 2));
    return pen_len(&w);
}

/* --- calls ----------------------------------------------------------------- */

static int
rerror(struct old *o, struct cursor *c)
{
    uint32_t e = EREMOTEIO;

    if (!read_text(c, o->error, sizeof(o->error)))
        return -EPROTO;
    if (o->dotu)
        e = cur_u32(c);
    return cur_end(c) && e > 0 && e < 512 ? -(int)e : -EPROTO;
}

/* Send what was begun and take its reply apart. */
static int
ask(struct old *o, uint8_t type, struct cursor *body)
{
    struct nc_reply rep;
    int r;

    nc_end(o->c);
    r = nc_push(o->c);
    if (r == 0)
        r = nc_pull(o->c, &rep);
    if (r < 0)
        return r;
    cur_init(body, rep.body, rep.size - 7u);
    o->error[0] = '\0';
    if (rep.tag != TAG)
        return -EPROTO;
    if (rep.type == RERROR)
        return rerror(o, body);
    return rep.type == type + 1 ? 0 : -EPROTO;
}

static int
ask_exact(struct old *o, uint8_t type, size_t n)
{
    struct cursor c;
    int r = ask(o, type, &c);

    return r == 0 && (cur_take(&c, n) == NULL || !cur_end(&c)) ? -EPROTO : r;
}

static void
put_text(struct old *o, const char *s)
{
    nc_str(o->c, s, strlen(s));
}

int
old_attach(struct old *o, uint32_t fid, const char *aname)
{
    nc_begin(o->c, 104, TAG);
    nc_u32(o->c, fid);
    nc_u32(o->c, NC_NOFID);
    put_text(o, "nobody");
    put_text(o, aname);
    if (o->dotu)
        nc_u32(o->c, UINT32_MAX);
    return ask_exact(o, 104, 13);
}

int
old_walk(struct old *o, uint32_t fid, uint32_t newfid, const char *name)
{
    nc_begin(o->c, 110, TAG);
    nc_u32(o->c, fid);
    nc_u32(o->c, newfid);
    nc_u16(o->c, name == NULL ? 0 : 1);
    if (name != NULL)
        put_text(o, name);
    return ask_exact(o, 110, name == NULL ? 2 : 15);
}

int
old_open(struct old *o, uint32_t fid, uint8_t mode)
{
    nc_begin(o->c, 112, TAG);
    nc_u32(o->c, fid);
    nc_u8(o->c, mode);
    return ask_exact(o, 112, 17);
}

int
old_create(struct old *o, uint32_t fid, const char *name, uint32_t perm, uint8_t mode,
           const char *extension)
{
    nc_begin(o->c, 114, TAG);
    nc_u32(o->c, fid);
    put_text(o, name);
    nc_u32(o->c, perm);
    nc_u8(o->c, mode);
    if (o->dotu)
        put_text(o, extension);
    return ask_exact(o, 114, 17);
}

int
old_read(struct old *o, uint32_t fid, uint64_t offset, void *buf, uint32_t count)
{
    const uint8_t *p;
    struct cursor c;
    uint32_t n;
    int r;

    nc_begin(o->c, 116, TAG);
    nc_u32(o->c, fid);
    nc_u64(o->c, offset);
    nc_u32(o->c, count);
    r = ask(o, 116, &c);
    if (r < 0)
        return r;
    n = cur_u32(&c);
    p = cur_take(&c, n);
    if (p == NULL || !cur_end(&c) || n > count)
        return -EPROTO;
    memcpy(buf, p, n);
    return (int)n;
}

int
old_write(struct old *o, uint32_t fid, uint64_t offset, const void *buf, uint32_t count)
{
    struct cursor c;
    uint32_t n;
    int r;

    nc_begin(o->c, 118, TAG);
    nc_u32(o->c, fid);
    nc_u64(o->c, offset);
    nc_u32(o->c, count);
    nc_bytes(o->c, buf, count);
    r = ask(o, 118, &c);
    n = cur_u32(&c);
    if (r < 0)
        return r;
    return cur_end(&c) && n <= count ? (int)n : -EPROTO;
}

static int
ask_fid(struct old *o, uint8_t type, uint32_t fid)
{
    nc_begin(o->c, type, TAG);
    nc_u32(o->c, fid);
    return ask_exact(o, type, 0);
}

int
old_clunk(struct old *o, uint32_t fid)
{
    return ask_fid(o, 120, fid);
}

int
old_remove(struct old *o, uint32_t fid)
{
    return ask_fid(o, 122, fid);
}

int
old_stat(struct old *o, uint32_t fid, struct old_stat *ret)
{
    const uint8_t *p;
    struct cursor c;
    uint16_t n;
    int r;

    nc_begin(o->c, 124, TAG);
    nc_u32(o->c, fid);
    r = ask(o, 124, &c);
    if (r < 0)
        return r;
    n = cur_u16(&c);
    p = cur_take(&c, n);
    if (p == NULL || !cur_end(&c) || old_stat_read(p, n, o->dotu, ret) != n)
        return -EPROTO;
    return 0;
}

int
old_wstat(struct old *o, uint32_t fid, const struct old_stat *st)
{
    uint8_t bytes[8192];
    size_t n = old_stat_write(st, o->dotu, bytes, sizeof(bytes));

    nc_begin(o->c, 126, TAG);
    nc_u32(o->c, fid);
    nc_u16(o->c, (uint16_t)n);
    nc_bytes(o->c, bytes, n);
    return ask_exact(o, 126, 0);
}
