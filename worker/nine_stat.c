/*
 * The bytes of a stat.
 *
 * Runs in: worker.   Trusts: nobody.   Owns: nothing.
 *
 * Owners are decimal numbers as text: names of users are nobody's business
 * here. What a dialect cannot say, it leaves out: a symlink or FIFO is in
 * 9P2000 a plain file that cannot be opened.
 */
#include "worker/nine_stat.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define ASIS32 UINT32_MAX /* "leave it as it is" */
#define ASIS64 UINT64_MAX

static const struct {
    uint32_t type; /* S_IFMT */
    uint32_t dm;
} kinds[] = {
    {S_IFLNK, DM_SYMLINK}, {S_IFIFO, DM_NAMEDPIPE}, {S_IFSOCK, DM_SOCKET},
    {S_IFBLK, DM_DEVICE},  {S_IFCHR, DM_DEVICE},
};
static const struct {
    uint32_t mode, dm;
} bits[] = {{S_ISUID, DM_SETUID}, {S_ISGID, DM_SETGID}, {S_ISVTX, DM_SETVTX}};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

uint32_t
dm_known(unsigned dialect)
{
    uint32_t known =
        (uint32_t)DM_DIR | (uint32_t)DM_APPEND | (uint32_t)DM_EXCL | (uint32_t)DM_TMP | 0777;

    if (dialect == NINE_U)
        known |= DM_KINDS | (uint32_t)DM_SETUID | (uint32_t)DM_SETGID | (uint32_t)DM_SETVTX;
    return known;
}

uint32_t
dm_of_mode(unsigned dialect, uint32_t mode)
{
    uint32_t dm = mode & 0777;

    if (S_ISDIR(mode))
        dm |= (uint32_t)DM_DIR;
    if (dialect != NINE_U)
        return dm;
    for (size_t i = 0; i < COUNT(kinds); i++)
        dm |= (mode & S_IFMT) == kinds[i].type ? kinds[i].dm : 0;
    for (size_t i = 0; i < COUNT(bits); i++)
        dm |= (mode & bits[i].mode) != 0 ? bits[i].dm : 0;
    return dm;
}

uint32_t
dm_perm(unsigned dialect, uint32_t dm)
{
    uint32_t mode = dm & 0777;

    for (size_t i = 0; dialect == NINE_U && i < COUNT(bits); i++)
        mode |= (dm & bits[i].dm) != 0 ? bits[i].mode : 0;
    return mode;
}

static void
pen_number(struct pen *w, uint32_t n)
{
    char text[16];

    pen_str(w, text, (size_t)snprintf(text, sizeof(text), "%" PRIu32, n));
}

/* Seconds that fit; the largest number is no time but "as it is". */
static uint32_t
seconds(int64_t t)
{
    if (t < 0)
        return 0;
    return t >= (int64_t)ASIS32 ? ASIS32 - 1 : (uint32_t)t;
}

/* Where a symlink points, which device it is; of others how many names they
 * have, as Linux looks for it. */
static void
pen_extension(struct pen *w, const struct attr *a, struct str target)
{
    char text[64] = "";

    if (S_ISLNK(a->mode)) {
        pen_str(w, target.p, target.n);
        return;
    }
    if (S_ISBLK(a->mode) || S_ISCHR(a->mode))
        (void)snprintf(text, sizeof(text), "%c %u %u", S_ISBLK(a->mode) ? 'b' : 'c',
                       major((dev_t)a->rdev), minor((dev_t)a->rdev));
    else if ((S_ISREG(a->mode) || S_ISDIR(a->mode)) && a->nlink != 1)
        (void)snprintf(text, sizeof(text), "HARDLINKCOUNT %" PRIu32, a->nlink);
    pen_str(w, text, strlen(text));
}

void
pen_stat(struct pen *w, const struct request *r, const struct attr *a, struct str name,
         struct str target)
{
    const unsigned dialect = r->conn->dialect;
    uint8_t *size = pen_take(w, 2), *start = w->at;
    size_t n;

    pen_u16(w, 0); /* type and dev: the server's own */
    pen_u32(w, 0);
    pen_attr_qid(w, r, a);
    pen_u32(w, dm_of_mode(dialect, a->mode));
    pen_u32(w, seconds(a->atime_sec));
    pen_u32(w, seconds(a->mtime_sec));
    pen_u64(w, S_ISDIR(a->mode) ? 0 : a->size);
    pen_str(w, name.p, name.n);
    pen_number(w, a->uid);
    pen_number(w, a->gid);
    pen_number(w, a->uid); /* who changed it last: the owner, as far as we know */
    if (dialect == NINE_U) {
        pen_extension(w, a, target);
        pen_u32(w, a->uid);
        pen_u32(w, a->gid);
        pen_u32(w, a->uid);
    }
    if (w->full)
        return;
    n = (size_t)(w->at - start);
    size[0] = (uint8_t)n;
    size[1] = (uint8_t)(n >> 8);
}

/* An owner: nothing at all, or a number as text. */
static int
cur_owner(struct cursor *c, uint32_t *ret)
{
    struct str s = cur_str(c);
    uint64_t v = 0;

    *ret = ASIS32;
    if (s.n == 0)
        return 0;
    if (s.n > 10)
        return -EINVAL;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return -EINVAL;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *ret = (uint32_t)v;
    return v < ASIS32 ? 0 : -EINVAL;
}

/* The numbers of 9P2000.u say more than the texts beside them. */
static void
cur_extension(struct cursor *c, struct legacy *ret)
{
    uint32_t uid, gid;

    (void)cur_str(c); /* extension */
    uid = cur_u32(c);
    gid = cur_u32(c);
    (void)cur_u32(c); /* n_muid */
    if (uid != ASIS32)
        ret->uid = uid;
    if (gid != ASIS32)
        ret->gid = gid;
}

static uint32_t
asked(const struct legacy *l, struct str name)
{
    return (l->mode != ASIS32 ? (uint32_t)WSTAT_MODE : 0) |
           (l->atime != ASIS32 ? (uint32_t)WSTAT_ATIME : 0) |
           (l->mtime != ASIS32 ? (uint32_t)WSTAT_MTIME : 0) |
           (l->length != ASIS64 ? (uint32_t)WSTAT_LENGTH : 0) |
           (name.n > 0 ? (uint32_t)WSTAT_NAME : 0) | (l->uid != ASIS32 ? (uint32_t)WSTAT_UID : 0) |
           (l->gid != ASIS32 ? (uint32_t)WSTAT_GID : 0);
}

int
cur_wstat(struct cursor *c, unsigned dialect, struct legacy *ret, struct str *ret_name)
{
    uint16_t outer = cur_u16(c), inner;
    int bad_uid, bad_gid;

    if (c->bad || outer != c->end - c->at)
        return -EPROTO;
    inner = cur_u16(c);
    if (c->bad || inner != c->end - c->at)
        return -EPROTO;
    (void)cur_u16(c); /* type */
    (void)cur_u32(c); /* dev */
    (void)cur_take(c, 13);
    ret->mode = cur_u32(c);
    ret->atime = cur_u32(c);
    ret->mtime = cur_u32(c);
    ret->length = cur_u64(c);
    *ret_name = cur_str(c);
    bad_uid = cur_owner(c, &ret->uid);
    bad_gid = cur_owner(c, &ret->gid);
    (void)cur_str(c); /* muid */
    if (dialect == NINE_U)
        cur_extension(c, ret);
    if (!cur_end(c))
        return -EPROTO;
    ret->set = asked(ret, *ret_name);
    ret->set |= bad_uid < 0 ? (uint32_t)WSTAT_UID : 0;
    ret->set |= bad_gid < 0 ? (uint32_t)WSTAT_GID : 0;
    return bad_uid < 0 ? bad_uid : bad_gid;
}
