/*
 * A directory that grows: reading it with and without each entry's
 * attributes, and walking to every file and holding it.
 *
 * Runs in: bench.   Trusts: the server, but checks every reply's type.
 * Owns: the connections while they run; the files stay for whoever made dir.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/scale.h"
#include "control/nine_wire.h"

#define FID_DIR 2u
#define FID_LISTED 3u
#define FID_SLOT 10u    /* + tag: of one entry that is looked at */
#define FID_HELD 1000u  /* + number of the file */
#define OLD_ASKED 20000 /* getattrs on files that were held before */
#define NAME_ROOM 32u
#define LIST_BYTES 32000u
#define LIST_MAX (LIST_BYTES / 24)

struct files {
    const struct scale_at *at; /* borrowed */
    struct nc *c;              /* owned; holds the files */
    int dir;                   /* owned */
    uint64_t made, held;
    double server0; /* PSS of worker and helpers before any was held */
};

/* Of one item: wall time, and CPU of all the server's processes. */
struct cost {
    double us, cpu_us;
};

static struct cost
cost_begin(const struct files *f)
{
    double cpu = (double)scale_cpu(f->at->broker);

    return (struct cost){scale_now(), cpu};
}

static struct cost
cost_end(const struct files *f, struct cost from, uint64_t n)
{
    double t = scale_now();

    return (struct cost){(t - from.us) * 1e6 / (double)n,
                         ((double)scale_cpu(f->at->broker) - from.cpu_us) / 1e3 / (double)n};
}

static void
name_of(char name[NAME_ROOM], uint64_t i)
{
    (void)snprintf(name, NAME_ROOM, "file-%07llu", (unsigned long long)i);
}

static int
make_files(struct files *f, uint64_t n)
{
    for (; f->made < n; f->made++) {
        char name[NAME_ROOM];
        int fd;

        name_of(name, f->made);
        fd = openat(f->dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (fd < 0)
            return -errno;
        close(fd);
    }
    return 0;
}

static double
server_bytes(const struct files *f)
{
    return (double)scale_memory(f->at->broker, "worker") +
           (double)scale_memory(f->at->broker, "helper");
}

/* --- listing ------------------------------------------------------------------------------ */

struct listing {
    char names[LIST_MAX][NAME_ROOM];
    size_t n;
    uint64_t cookie;
};

static int
list_entry(const struct nc_dirent *e, void *ctx)
{
    struct listing *l = ctx;

    l->cookie = e->offset;
    if (e->name[0] == '.')
        return 0; /* and what is above it */
    if (e->name_len < NAME_ROOM && l->n < LIST_MAX) {
        memcpy(l->names[l->n], e->name, e->name_len);
        l->names[l->n++][e->name_len] = '\0';
    }
    return 0;
}

static void
send_walk(struct nc *c, uint16_t tag, uint32_t fid, const char *name)
{
    nc_begin(c, NINE_TWALK, tag);
    nc_u32(c, FID_DIR);
    nc_u32(c, fid);
    nc_u16(c, 1);
    nc_str(c, name, strlen(name));
}

static void
send_getattr(struct nc *c, uint16_t tag, uint32_t fid)
{
    nc_begin(c, NINE_TGETATTR, tag);
    nc_u32(c, fid);
    nc_u64(c, NINE_GETATTR_BASIC);
}

static void
send_clunk(struct nc *c, uint16_t tag, uint32_t fid)
{
    nc_begin(c, NINE_TCLUNK, tag);
    nc_u32(c, fid);
}

static void
look_at(struct nc *c, uint16_t tag, uint64_t i, unsigned step, void *ctx)
{
    const struct listing *l = ctx;

    if (step == 0)
        send_walk(c, tag, FID_SLOT + tag, l->names[i]);
    else if (step == 1)
        send_getattr(c, tag, FID_SLOT + tag);
    else
        send_clunk(c, tag, FID_SLOT + tag);
}

/* All of the directory; what each entry costs. */
static int
list_all(const struct files *f, uint64_t expected, bool attributes, struct cost *ret)
{
    static struct listing l;
    const struct scale_pipe look = {look_at, &l, 3, SCALE_DEPTH};
    struct cost from = cost_begin(f);
    struct nc *c = f->c;
    uint64_t seen = 0;
    int r = nc_walk(c, FID_DIR, FID_LISTED, 0, NULL, NULL, &(size_t){0});

    if (r == 0)
        r = nc_lopen(c, FID_LISTED, NINE_O_RDONLY, NULL, NULL);
    l.cookie = 0;
    while (r >= 0) {
        l.n = 0;
        r = nc_readdir(c, FID_LISTED, l.cookie, LIST_BYTES, list_entry, &l);
        if (r <= 0)
            break;
        seen += (uint64_t)r;
        r = attributes ? scale_run(c, &look, l.n) : r;
    }
    *ret = cost_end(f, from, expected);
    (void)nc_clunk(c, FID_LISTED);
    return r < 0 ? r : seen < expected ? -ENOENT : 0;
}

/* --- holding ------------------------------------------------------------------------------ */

static void
hold(struct nc *c, uint16_t tag, uint64_t i, unsigned step, void *ctx)
{
    const uint64_t *from = ctx;
    char name[NAME_ROOM];

    (void)step;
    name_of(name, *from + i);
    send_walk(c, tag, FID_HELD + (uint32_t)(*from + i), name);
}

/* In an order that jumps about: most have lost their fd in the helper. */
static void
ask_old(struct nc *c, uint16_t tag, uint64_t i, unsigned step, void *ctx)
{
    const uint64_t *held = ctx;

    (void)step;
    send_getattr(c, tag, FID_HELD + (uint32_t)(i * 2654435761u % *held));
}

static void
let_go(struct nc *c, uint16_t tag, uint64_t i, unsigned step, void *ctx)
{
    (void)step;
    (void)ctx;
    send_clunk(c, tag, FID_HELD + (uint32_t)i);
}

static int
timed(const struct files *f, const struct scale_pipe *p, uint64_t n, struct cost *ret)
{
    struct cost from = cost_begin(f);
    int r = scale_run(f->c, p, n);

    *ret = cost_end(f, from, n);
    return r;
}

static int
grow(struct files *f, uint64_t n)
{
    const struct scale_pipe walks = {hold, &f->held, 1, SCALE_DEPTH},
                            deep = {ask_old, &n, 1, SCALE_DEPTH}, one = {ask_old, &n, 1, 1};
    struct cost plain, attrs, walk, old, old_one;
    int r = make_files(f, n);

    if (r == 0)
        r = list_all(f, n, false, &plain);
    if (r == 0)
        r = list_all(f, n, true, &attrs);
    if (r == 0)
        r = timed(f, &walks, n - f->held, &walk);
    f->held = n;
    if (r == 0)
        r = timed(f, &deep, OLD_ASKED, &old);
    if (r == 0)
        r = timed(f, &one, OLD_ASKED / 4, &old_one);
    if (r < 0)
        return r;
    scale_row(json_pack("{s:s, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "what",
                        "files", "n", (json_int_t)n, "readdir_us", plain.us, "readdir_cpu_us",
                        plain.cpu_us, "attrs_us", attrs.us, "attrs_cpu_us", attrs.cpu_us, "walk_us",
                        walk.us, "walk_cpu_us", walk.cpu_us, "old_getattr_us", old.us,
                        "old_getattr_cpu_us", old.cpu_us, "old_getattr_alone_us", old_one.us,
                        "old_getattr_alone_cpu_us", old_one.cpu_us, "bytes_per_held_file",
                        (server_bytes(f) - f->server0) / (double)n));
    return 0;
}

static int
run(struct files *f, uint64_t most)
{
    const struct scale_pipe clunks = {let_go, NULL, 1, SCALE_DEPTH};
    const char *name = "many";
    struct cost clunk;
    size_t got = 0;
    int r = nc_walk(f->c, SCALE_ROOT, FID_DIR, 1, &name, &(struct nc_qid){0}, &got);

    if (r == 0 && got != 1)
        return -ENOENT;
    f->server0 = server_bytes(f);
    for (uint64_t n = 1000; n <= most && r == 0; n *= 10)
        r = grow(f, n);
    if (r == 0)
        r = timed(f, &clunks, f->held, &clunk);
    if (r == 0)
        scale_row(json_pack("{s:s, s:I, s:f, s:f}", "what", "released", "n", (json_int_t)f->held,
                            "clunk_us", clunk.us, "server_kib_kept",
                            (server_bytes(f) - f->server0) / 1024));
    return r;
}

int
scale_files(const struct scale_at *at, const char *dir, uint64_t most)
{
    struct files f = {.at = at, .dir = -1};
    char path[4096];
    int r = scale_connect(at, &f.c);

    (void)snprintf(path, sizeof(path), "%s/many", dir);
    if (r == 0 && mkdir(path, 0755) < 0)
        r = -errno;
    if (r == 0)
        f.dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r == 0 && f.dir < 0)
        r = -errno;
    if (r == 0)
        r = run(&f, most);
    if (r < 0)
        fprintf(stderr, "bench: %llu files, %llu of them held: %s\n", (unsigned long long)f.made,
                (unsigned long long)f.held, strerror(-r));
    if (f.dir >= 0)
        close(f.dir);
    if (f.c != NULL)
        nc_close(f.c);
    return r;
}
