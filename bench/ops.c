/*
 * What is asked: the messages of each workload, and the files they need.
 *
 * Runs in: bench.   Trusts: the server.   Owns: nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "control/nine_wire.h"

static uint8_t zeros[1u << 20];

static void
begin(struct conn *c, uint8_t type, unsigned slot, uint32_t fid)
{
    nc_begin(c->c, type, (uint16_t)slot);
    nc_u32(c->c, fid);
}

static void
text(struct conn *c, const char *s)
{
    nc_str(c->c, s, strlen(s));
}

static void
t_getattr(struct conn *c, unsigned slot)
{
    begin(c, NINE_TGETATTR, slot, FID_FILE);
    nc_u64(c->c, NINE_GETATTR_BASIC);
}

static void
t_getattr_slot(struct conn *c, unsigned slot)
{
    begin(c, NINE_TGETATTR, slot, FID_SLOT + slot);
    nc_u64(c->c, NINE_GETATTR_BASIC);
}

static void
t_statfs(struct conn *c, unsigned slot)
{
    begin(c, NINE_TSTATFS, slot, FID_ROOT);
}

static void
walk(struct conn *c, unsigned slot, uint32_t from, size_t n, const char *const *names)
{
    begin(c, NINE_TWALK, slot, from);
    nc_u32(c->c, FID_SLOT + slot);
    nc_u16(c->c, (uint16_t)n);
    for (size_t i = 0; i < n; i++)
        text(c, names[i]);
}

static void
t_walk1(struct conn *c, unsigned slot)
{
    static const char *const names[] = {"small"};

    walk(c, slot, FID_ROOT, 1, names);
}

static void
t_walk8(struct conn *c, unsigned slot)
{
    static const char *const names[] = {"d", "d", "d", "d", "d", "d", "d", "d"};

    walk(c, slot, FID_ROOT, 8, names);
}

static void
t_walk_none(struct conn *c, unsigned slot)
{
    static const char *const names[] = {"none.h"};

    walk(c, slot, FID_ROOT, 1, names);
}

static void
t_walk0(struct conn *c, unsigned slot)
{
    walk(c, slot, FID_ROOT, 0, NULL);
}

static void
t_walk_many(struct conn *c, unsigned slot)
{
    walk(c, slot, FID_MANY, 0, NULL);
}

static void
t_clunk(struct conn *c, unsigned slot)
{
    begin(c, NINE_TCLUNK, slot, FID_SLOT + slot);
}

static void
t_open(struct conn *c, unsigned slot)
{
    begin(c, NINE_TLOPEN, slot, FID_SLOT + slot);
    nc_u32(c->c, NINE_O_RDONLY);
}

static void
read_at(struct conn *c, unsigned slot, uint32_t fid, uint64_t offset, uint32_t n)
{
    begin(c, NINE_TREAD, slot, fid);
    nc_u64(c->c, offset);
    nc_u32(c->c, n);
    c->bytes += n;
}

/* Offsets hop over the file in an order that is the same for every server. */
static void
t_read_random(struct conn *c, unsigned slot)
{
    uint64_t page = c->slots[slot].number * 2654435761u % (FILE_MIB * 256u);

    read_at(c, slot, FID_OPEN, page * SMALL, SMALL);
}

static uint64_t
sequential(const struct conn *c, unsigned slot)
{
    return c->slots[slot].number % ((FILE_MIB << 20) / c->io) * c->io;
}

static void
t_read_seq(struct conn *c, unsigned slot)
{
    read_at(c, slot, FID_OPEN, sequential(c, slot), c->io);
}

static void
t_read_slot(struct conn *c, unsigned slot)
{
    read_at(c, slot, FID_SLOT + slot, 0, SMALL);
}

static void
write_at(struct conn *c, unsigned slot, uint32_t fid, uint64_t offset, uint32_t n)
{
    begin(c, NINE_TWRITE, slot, fid);
    nc_u64(c->c, offset);
    nc_u32(c->c, n);
    nc_bytes(c->c, zeros, n);
    c->bytes += n;
}

static void
t_write_random(struct conn *c, unsigned slot)
{
    write_at(c, slot, FID_WRITE, c->slots[slot].number * 2654435761u % 4096u * SMALL, SMALL);
}

static void
t_write_seq(struct conn *c, unsigned slot)
{
    write_at(c, slot, FID_WRITE, sequential(c, slot), c->io);
}

static void
t_write_slot(struct conn *c, unsigned slot)
{
    write_at(c, slot, FID_SLOT + slot, 0, SMALL);
}

static void
t_fsync(struct conn *c, unsigned slot)
{
    begin(c, NINE_TFSYNC, slot, FID_WRITE);
    nc_u32(c->c, 1); /* data alone */
}

static void
name_of(const struct conn *c, const char *kind, unsigned slot, char *to, size_t room)
{
    (void)snprintf(to, room, "%s-%p-%u", kind, (const void *)c, slot);
}

static void
t_create(struct conn *c, unsigned slot)
{
    char name[64];

    name_of(c, "new", slot, name, sizeof(name));
    begin(c, NINE_TLCREATE, slot, FID_SLOT + slot);
    text(c, name);
    nc_u32(c->c, NINE_O_RDWR | NINE_O_CREAT | NINE_O_EXCL);
    nc_u32(c->c, 0644);
    nc_u32(c->c, 0);
}

static void
t_remove(struct conn *c, unsigned slot)
{
    begin(c, NINE_TREMOVE, slot, FID_SLOT + slot);
}

static void
t_symlink(struct conn *c, unsigned slot)
{
    char name[64];

    name_of(c, "link", slot, name, sizeof(name));
    begin(c, NINE_TSYMLINK, slot, FID_ROOT);
    text(c, name);
    text(c, "where/it/points");
    nc_u32(c->c, 0);
}

static void
t_walk_link(struct conn *c, unsigned slot)
{
    char name[64];
    const char *names[] = {name};

    name_of(c, "link", slot, name, sizeof(name));
    walk(c, slot, FID_ROOT, 1, names);
}

static void
t_readlink(struct conn *c, unsigned slot)
{
    begin(c, NINE_TREADLINK, slot, FID_SLOT + slot);
}

static void
t_xattrwalk(struct conn *c, unsigned slot)
{
    begin(c, NINE_TXATTRWALK, slot, FID_TAGGED);
    nc_u32(c->c, FID_SLOT + slot);
    text(c, "user.tag");
}

static void
lock(struct conn *c, unsigned slot, uint8_t type)
{
    begin(c, NINE_TLOCK, slot, FID_WRITE);
    nc_u8(c->c, type);
    nc_u32(c->c, 0);
    nc_u64(c->c, slot * 100u);
    nc_u64(c->c, 10);
    nc_u32(c->c, 1);
    text(c, "bench");
}

static void
t_lock(struct conn *c, unsigned slot)
{
    lock(c, slot, NINE_LOCK_WR);
}

static void
t_unlock(struct conn *c, unsigned slot)
{
    lock(c, slot, NINE_LOCK_UN);
}

static void
t_attach(struct conn *c, unsigned slot)
{
    begin(c, NINE_TATTACH, slot, FID_SLOT + slot);
    nc_u32(c->c, NC_NOFID);
    text(c, "root");
    text(c, c->aname);
    nc_u32(c->c, 0);
}

static void
t_readdir(struct conn *c, unsigned slot)
{
    begin(c, NINE_TREADDIR, slot, FID_SLOT + slot);
    nc_u64(c->c, c->slots[slot].cookie);
    nc_u32(c->c, c->io < 65536 ? c->io : 65536);
}

/* Until nothing more comes; the cookie is that of the last entry. */
static bool
more_entries(struct conn *c, unsigned slot, const struct nc_reply *rep)
{
    const uint8_t *at = rep->body + 4, *end = rep->body + rep->size - 7;
    bool any = false;

    if (rep->type != NINE_TREADDIR + 1)
        return false;
    while (end - at >= 24) {
        size_t n = (size_t)at[22] | (size_t)at[23] << 8;

        memcpy(&c->slots[slot].cookie, at + 13, sizeof(uint64_t));
        if ((size_t)(end - at) < 24 + n)
            break;
        at += 24 + n;
        any = true;
    }
    if (!any)
        c->slots[slot].cookie = 0;
    return any;
}

const struct workload workloads[] = {
    {.name = "getattr", 1, {t_getattr}, .many_conns = true, .local = local_getattr},
    {.name = "read 4k", 1, {t_read_random}, .many_conns = true, .local = local_read},
    {.name = "write 4k", 1, {t_write_random}, .many_conns = true, .local = local_write},
    {.name = "read 1m seq", 1, {t_read_seq}, .moves_bytes = true},
    {.name = "write 1m seq", 1, {t_write_seq}, .moves_bytes = true},
    {.name = "write 4k+fsync", 2, {t_write_random, t_fsync}, .local = local_fsync},
    {.name = "walk 1+clunk", 2, {t_walk1, t_clunk}, .local = local_walk1},
    {.name = "walk 8+clunk", 2, {t_walk8, t_clunk}, .local = local_walk8},
    {.name = "walk+open+clunk",
     3,
     {t_walk1, t_open, t_clunk},
     .many_conns = true,
     .local = local_openclose},
    {.name = "create+write+rm",
     4,
     {t_walk0, t_create, t_write_slot, t_remove},
     .local = local_create},
    {.name = "symlink+read+rm",
     4,
     {t_symlink, t_walk_link, t_readlink, t_remove},
     .local = local_symlink},
    {.name = "statfs", 1, {t_statfs}, .local = local_statfs},
    {.name = "xattr get", 2, {t_xattrwalk, t_clunk}, .local = local_xattr},
    {.name = "lock+unlock", 2, {t_lock, t_unlock}, .local = local_lock},
    {.name = "readdir 10000",
     4,
     {t_walk_many, t_open, t_readdir, t_clunk},
     .again = more_entries,
     .slow = true,
     .local = local_readdir},
    {.name = "attach+clunk", 2, {t_attach, t_clunk}},
    /* a header that is not there, one that is, a source file, an object file */
    {.name = "compile mix",
     14,
     {t_walk_none, t_walk8, t_getattr_slot, t_clunk, t_walk1, t_open, t_getattr_slot, t_read_slot,
      t_clunk, t_walk0, t_create, t_write_slot, t_getattr_slot, t_remove},
     .may_fail = true},
};
const size_t nworkloads = sizeof(workloads) / sizeof(workloads[0]);

/* --- the files ---------------------------------------------------------------------- */

static int
walk_to(struct nc *c, uint32_t fid, const char *name)
{
    size_t got = 0;
    int r = nc_walk(c, FID_ROOT, fid, name == NULL ? 0 : 1, &name, &(struct nc_qid){0}, &got);

    return r == 0 && name != NULL && got != 1 ? -ENOENT : r;
}

/* name, made and emptied, as an open fid. */
static int
make_file(struct nc *c, uint32_t fid, const char *name)
{
    int r = walk_to(c, fid, NULL);

    if (r == 0)
        r = nc_lcreate(c, fid, name, NINE_O_RDWR | NINE_O_CREAT | NINE_O_TRUNC, 0666, 0, NULL,
                       NULL);
    return r;
}

static int
fill(struct conn *c, uint32_t fid)
{
    for (uint64_t at = 0; at < (uint64_t)FILE_MIB << 20;) {
        ssize_t n = nc_write(c->c, fid, at, zeros, c->io < 65536 ? c->io : 65536);

        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        at += (uint64_t)n;
    }
    return 0;
}

static int
make_dirs(struct nc *c)
{
    static const char *const names[] = {"d", "d", "d", "d", "d", "d", "d", "d"};
    struct nc_qid q[8];
    size_t got;
    int r = 0;

    for (unsigned i = 0; r == 0 && i < 8; i++) {
        r = nc_walk(c, FID_ROOT, FID_SLOT, i, names, q, &got);
        if (r == 0)
            r = nc_mkdir(c, FID_SLOT, "d", 0755, 0, &q[0]);
        (void)nc_clunk(c, FID_SLOT);
    }
    return r;
}

static int
make_many(struct nc *c)
{
    int r = nc_mkdir(c, FID_ROOT, "many", 0755, 0, NULL);

    if (r == 0)
        r = walk_to(c, FID_SLOT, "many");
    for (unsigned i = 0; r == 0 && i < MANY; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "entry-%u", i);
        r = nc_symlink(c, FID_SLOT, name, "x", 0, NULL);
    }
    (void)nc_clunk(c, FID_SLOT);
    return r;
}

/* Where the server has no such attributes, "xattr get" says so. */
static int
make_tagged(struct nc *c)
{
    int r = make_file(c, FID_SLOT, "tagged");

    (void)nc_clunk(c, FID_SLOT);
    if (r == 0)
        r = walk_to(c, FID_SLOT, "tagged");
    if (r == 0 && nc_xattrcreate(c, FID_SLOT, "user.tag", 5, 0) == 0)
        (void)nc_write(c, FID_SLOT, 0, "value", 5);
    (void)nc_clunk(c, FID_SLOT);
    return r;
}

int
ops_prepare(struct conn *c)
{
    int r = make_file(c->c, FID_SLOT, "big");

    if (r == 0)
        r = fill(c, FID_SLOT);
    (void)nc_clunk(c->c, FID_SLOT);
    if (r == 0)
        r = make_file(c->c, FID_SLOT, "small");
    if (r == 0)
        r = nc_write(c->c, FID_SLOT, 0, zeros, SMALL) == SMALL ? 0 : -EIO;
    (void)nc_clunk(c->c, FID_SLOT);
    if (r == 0)
        r = make_dirs(c->c);
    if (r == 0)
        r = make_many(c->c);
    return r == 0 ? make_tagged(c->c) : r;
}

int
ops_open(struct conn *c)
{
    static const struct {
        uint32_t fid;
        const char *name;
        int flags; /* -1: walked, not opened */
    } all[] = {{FID_FILE, "small", -1},
               {FID_OPEN, "big", NINE_O_RDONLY},
               {FID_WRITE, "big", NINE_O_RDWR},
               {FID_MANY, "many", -1},
               {FID_TAGGED, "tagged", -1}};
    int r = 0;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && r == 0; i++) {
        r = walk_to(c->c, all[i].fid, all[i].name);
        if (r == 0 && all[i].flags >= 0)
            r = nc_lopen(c->c, all[i].fid, (uint32_t)all[i].flags, NULL, NULL);
    }
    return r;
}
