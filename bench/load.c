/*
 * The load: what is asked, and keeping a number of requests in flight.
 *
 * Runs in: bench.   Trusts: the server, but checks every reply's type.
 * Owns: the connection.
 *
 * Requests in flight slide: for every batch of replies that one receive
 * brought, as many new requests go out with one send, as a kernel client's
 * many processes would.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "control/nine_wire.h"

#define FILE_MIB 64u
#define SMALL 4096u

static uint8_t zeros[1u << 20];

static void
t_getattr(struct load *l, unsigned slot)
{
    nc_begin(l->c, NINE_TGETATTR, (uint16_t)slot);
    nc_u32(l->c, FID_FILE);
    nc_u64(l->c, NINE_GETATTR_BASIC);
}

static void
t_statfs(struct load *l, unsigned slot)
{
    nc_begin(l->c, NINE_TSTATFS, (uint16_t)slot);
    nc_u32(l->c, FID_ROOT);
}

static void
walk(struct load *l, unsigned slot, size_t n, const char *const *names)
{
    nc_begin(l->c, NINE_TWALK, (uint16_t)slot);
    nc_u32(l->c, FID_ROOT);
    nc_u32(l->c, FID_SLOT + slot);
    nc_u16(l->c, (uint16_t)n);
    for (size_t i = 0; i < n; i++)
        nc_str(l->c, names[i], strlen(names[i]));
}

static void
t_walk1(struct load *l, unsigned slot)
{
    static const char *const names[] = {"small"};

    walk(l, slot, 1, names);
}

static void
t_walk8(struct load *l, unsigned slot)
{
    static const char *const names[] = {"d", "d", "d", "d", "d", "d", "d", "d"};

    walk(l, slot, 8, names);
}

static void
t_walk0(struct load *l, unsigned slot)
{
    walk(l, slot, 0, NULL);
}

static void
t_clunk(struct load *l, unsigned slot)
{
    nc_begin(l->c, NINE_TCLUNK, (uint16_t)slot);
    nc_u32(l->c, FID_SLOT + slot);
}

static void
t_open(struct load *l, unsigned slot)
{
    nc_begin(l->c, NINE_TLOPEN, (uint16_t)slot);
    nc_u32(l->c, FID_SLOT + slot);
    nc_u32(l->c, NINE_O_RDONLY);
}

static void
read_at(struct load *l, unsigned slot, uint64_t offset, uint32_t n)
{
    nc_begin(l->c, NINE_TREAD, (uint16_t)slot);
    nc_u32(l->c, FID_OPEN);
    nc_u64(l->c, offset);
    nc_u32(l->c, n);
    l->bytes += n;
}

/* Offsets hop over the file in an order that is the same for every server. */
static void
t_read_random(struct load *l, unsigned slot)
{
    uint64_t page = l->number[slot] * 2654435761u % (FILE_MIB * 256u);

    read_at(l, slot, page * SMALL, SMALL);
}

static uint64_t
sequential(const struct load *l, unsigned slot)
{
    return l->number[slot] % ((FILE_MIB << 20) / l->io) * l->io;
}

static void
t_read_seq(struct load *l, unsigned slot)
{
    read_at(l, slot, sequential(l, slot), l->io);
}

static void
write_at(struct load *l, unsigned slot, uint64_t offset, uint32_t n)
{
    nc_begin(l->c, NINE_TWRITE, (uint16_t)slot);
    nc_u32(l->c, FID_WRITE);
    nc_u64(l->c, offset);
    nc_u32(l->c, n);
    nc_bytes(l->c, zeros, n);
    l->bytes += n;
}

static void
t_write_random(struct load *l, unsigned slot)
{
    write_at(l, slot, l->number[slot] * 2654435761u % 4096u * SMALL, SMALL);
}

static void
t_write_seq(struct load *l, unsigned slot)
{
    write_at(l, slot, sequential(l, slot), l->io);
}

static void
t_create(struct load *l, unsigned slot)
{
    char name[32];
    int n = snprintf(name, sizeof(name), "new-%u", slot);

    nc_begin(l->c, NINE_TLCREATE, (uint16_t)slot);
    nc_u32(l->c, FID_SLOT + slot);
    nc_str(l->c, name, (size_t)n);
    nc_u32(l->c, NINE_O_RDWR | NINE_O_CREAT | NINE_O_EXCL);
    nc_u32(l->c, 0644);
    nc_u32(l->c, 0);
}

static void
t_remove(struct load *l, unsigned slot)
{
    nc_begin(l->c, NINE_TREMOVE, (uint16_t)slot);
    nc_u32(l->c, FID_SLOT + slot);
}

const struct workload workloads[] = {
    {"getattr", 1, {t_getattr}, false},
    {"read 4k", 1, {t_read_random}, false},
    {"read 1m seq", 1, {t_read_seq}, true},
    {"write 4k", 1, {t_write_random}, false},
    {"write 1m seq", 1, {t_write_seq}, true},
    {"walk 1+clunk", 2, {t_walk1, t_clunk}, false},
    {"walk 8+clunk", 2, {t_walk8, t_clunk}, false},
    {"walk+open+clunk", 3, {t_walk1, t_open, t_clunk}, false},
    {"create+remove", 3, {t_walk0, t_create, t_remove}, false},
    {"statfs", 1, {t_statfs}, false},
};
const size_t nworkloads = sizeof(workloads) / sizeof(workloads[0]);

static int
walk_to(struct nc *c, uint32_t fid, const char *name)
{
    size_t got = 0;
    int r = nc_walk(c, FID_ROOT, fid, name == NULL ? 0 : 1, &name, &(struct nc_qid){0}, &got);

    return r == 0 && name != NULL && got != 1 ? -ENOENT : r;
}

/* name as an open fid for writing, emptied. */
static int
make_file(struct nc *c, uint32_t fid, const char *name)
{
    struct nc_qid q;
    uint32_t iounit;
    int r = walk_to(c, fid, NULL);

    if (r == 0)
        r = nc_lcreate(c, fid, name, NINE_O_RDWR | NINE_O_CREAT | NINE_O_TRUNC, 0666, 0, &q,
                       &iounit);
    return r;
}

static int
fill(struct load *l, uint32_t fid)
{
    for (uint64_t at = 0; at < (uint64_t)FILE_MIB << 20;) {
        ssize_t n = nc_write(l->c, fid, at, zeros, l->io < 65536 ? l->io : 65536);

        if (n <= 0)
            return n < 0 ? (int)n : -EIO;
        at += (uint64_t)n;
    }
    return 0;
}

static int
make_dirs(struct nc *c)
{
    struct nc_qid q[8];
    size_t got;
    int r = 0;

    for (unsigned i = 0; r == 0 && i < 8; i++) {
        static const char *const names[] = {"d", "d", "d", "d", "d", "d", "d", "d"};

        r = nc_walk(c, FID_ROOT, FID_SLOT, i, names, q, &got);
        if (r == 0)
            r = nc_mkdir(c, FID_SLOT, "d", 0755, 0, &q[0]);
        if (r == -EEXIST)
            r = 0;
        (void)nc_clunk(c, FID_SLOT);
    }
    return r;
}

static int
prepare(struct load *l)
{
    struct nc_qid q;
    uint32_t iounit;
    int r = make_file(l->c, FID_WRITE, "big");

    if (r == 0)
        r = fill(l, FID_WRITE);
    if (r == 0)
        r = walk_to(l->c, FID_OPEN, "big");
    if (r == 0)
        r = nc_lopen(l->c, FID_OPEN, NINE_O_RDONLY, &q, &iounit);
    if (r == 0)
        r = make_file(l->c, FID_FILE, "small");
    if (r == 0)
        r = nc_clunk(l->c, FID_FILE);
    if (r == 0)
        r = walk_to(l->c, FID_FILE, "small");
    return r == 0 ? make_dirs(l->c) : r;
}

int
load_open(struct load *l, const char *address, const char *aname, uint32_t msize)
{
    int r;

    *l = (struct load){.c = NULL};
    r = nc_connect(address, &l->c);
    if (r == 0)
        r = nc_version(l->c, msize, "9P2000.L");
    if (r == 0)
        r = nc_attach(l->c, FID_ROOT, "root", aname, 0);
    if (r < 0)
        return r;
    l->io = nc_msize(l->c) - NINE_IO_HEAD;
    if (l->io > sizeof(zeros))
        l->io = sizeof(zeros);
    return prepare(l);
}

void
load_close(struct load *l)
{
    nc_close(l->c);
    l->c = NULL;
}

static void
start(struct load *l, const struct workload *w, unsigned slot)
{
    if (l->step[slot] == 0)
        l->number[slot] = l->seq++;
    w->send[l->step[slot]](l, slot);
    nc_end(l->c);
}

int
load_run(struct load *l, const struct workload *w, unsigned depth, uint64_t ops)
{
    uint64_t done = 0, begun = 0;

    for (unsigned slot = 0; slot < depth && begun < ops; slot++, begun++) {
        l->step[slot] = 0;
        start(l, w, slot);
    }
    while (done < ops) {
        int r = nc_push(l->c);

        do {
            struct nc_reply rep;

            r = r == 0 ? nc_pull(l->c, &rep) : r;
            if (r < 0)
                return r;
            if (rep.type == NINE_RLERROR || rep.tag >= depth)
                return -EPROTO;
            l->step[rep.tag] = (l->step[rep.tag] + 1) % (unsigned)w->steps;
            if (l->step[rep.tag] == 0) {
                done++;
                if (begun == ops)
                    continue;
                begun++;
            }
            start(l, w, rep.tag);
        } while (nc_has_reply(l->c));
    }
    return 0;
}
