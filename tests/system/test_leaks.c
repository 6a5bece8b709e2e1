/*
 * Operations by the thousand, those that succeed and those that are refused,
 * and connections that come and go, refused ones too: the memory and the fds of
 * worker and helpers are afterwards what they were. Where connections come and go,
 * nodes, open files and fids are limited so tightly that one left behind by each
 * would be one too many.
 *
 * CYCLES=1000000 makes it long; by itself it is as long as a check may be. GUESTS=8
 * shares the cycles among so many connections, each with a process and a directory
 * of its own, which on a machine that is otherwise idle takes a fraction of the time.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "tests/lib/legacy.h"
#include "tests/lib/server.h"

enum { ROOT, RW, FID, OTHER, OPEN };

#define GROWTH_MAX (64u * 1024u) /* bytes; a leak of 48 in each cycle is more */
#define CYCLES_MIN 2000u
#define ROUNDS 24u     /* each may touch another 64 of the 1024 KiB of a helper's hash table */
#define CONNECTIONS 64 /* as the policy says */
#define CONNECTS_MAX 10000u
#define GUESTS_MAX 16u

static const char policy[] =
    "tenant \"t\" {\n"
    "    listen \"unix:@/sock\" { protocol = 9p }\n"
    "    share \"ro\" { path = \"@/ro\" access = read-only }\n"
    "    share \"rw\" { path = \"@/rw\" access = read-write }\n"
    "    limits { connections = 64 fids = 50 nodes = 500 open-files = 200 }\n"
    "}\n";

static const char *const hello[] = {"hello.txt"};

static int
walk(struct nc *c, uint32_t from, uint32_t to, const char *name)
{
    size_t n = 0;
    int r = nc_walk(c, from, to, name != NULL, &name, NULL, &n);

    return r < 0 ? r : n == (name != NULL) ? 0 : -ENOENT;
}

/* --- cycles: each leaves everything as it found it ------------------------------- */

static void
walks_and_clunks(struct nc *c)
{
    assert_int_equal(walk(c, ROOT, FID, "hello.txt"), 0);
    assert_int_equal(nc_clunk(c, FID), 0);
}

static void
walks_to_nothing(struct nc *c)
{
    assert_int_equal(walk(c, ROOT, FID, "none"), -ENOENT);
    assert_int_equal(nc_clunk(c, FID), -EBADF);
}

static void
opens_and_reads(struct nc *c)
{
    char buf[8];

    assert_int_equal(walk(c, ROOT, FID, "hello.txt"), 0);
    assert_int_equal(nc_lopen(c, FID, NINE_O_RDONLY, NULL, NULL), 0);
    assert_int_equal(nc_read(c, FID, 0, buf, sizeof(buf)), sizeof(buf));
    assert_int_equal(nc_clunk(c, FID), 0);
}

static void
is_refused_to_write(struct nc *c)
{
    assert_int_equal(walk(c, ROOT, FID, "hello.txt"), 0);
    assert_int_equal(nc_lopen(c, FID, NINE_O_RDWR, NULL, NULL), -EROFS);
    assert_int_equal(nc_remove(c, FID), -EROFS); /* which clunks it */
    assert_int_equal(nc_mkdir(c, ROOT, "d", 0755, 0, NULL), -EROFS);
}

static void
creates_writes_and_removes(struct nc *c)
{
    assert_int_equal(walk(c, RW, FID, NULL), 0);
    assert_int_equal(nc_lcreate(c, FID, "f", NINE_O_RDWR, 0644, 0, NULL, NULL), 0);
    assert_int_equal(nc_write(c, FID, 0, "x", 1), 1);
    assert_int_equal(nc_fsync(c, FID, 1), 0);
    assert_int_equal(nc_remove(c, FID), 0);
}

static void
makes_and_removes_names(struct nc *c)
{
    assert_int_equal(nc_mkdir(c, RW, "d", 0755, 0, NULL), 0);
    assert_int_equal(nc_mkdir(c, RW, "d", 0755, 0, NULL), -EEXIST);
    assert_int_equal(nc_symlink(c, RW, "s", "target", 0, NULL), 0);
    assert_int_equal(nc_mknod(c, RW, "p", S_IFIFO | 0644, 0, 0, 0, NULL), 0);
    assert_int_equal(nc_renameat(c, RW, "p", RW, "q"), 0);
    assert_int_equal(nc_unlinkat(c, RW, "q", 0), 0);
    assert_int_equal(nc_unlinkat(c, RW, "s", 0), 0);
    assert_int_equal(nc_unlinkat(c, RW, "d", NINE_AT_REMOVEDIR), 0);
    assert_int_equal(nc_unlinkat(c, RW, "d", NINE_AT_REMOVEDIR), -ENOENT);
}

static void
links_and_renames_a_fid(struct nc *c)
{
    assert_int_equal(walk(c, RW, FID, "kept"), 0);
    assert_int_equal(nc_link(c, RW, FID, "l"), 0);
    assert_int_equal(nc_unlinkat(c, RW, "l", 0), 0);
    assert_int_equal(nc_rename(c, FID, RW, "moved"), 0);
    assert_int_equal(nc_rename(c, FID, RW, "kept"), 0);
    assert_int_equal(nc_rename(c, FID, ROOT, "kept"), -EROFS);
    assert_int_equal(nc_clunk(c, FID), 0);
}

static void
sets_and_reads_xattrs(struct nc *c)
{
    uint64_t size = 0;

    assert_int_equal(walk(c, RW, FID, "kept"), 0);
    assert_int_equal(nc_xattrwalk(c, FID, OTHER, "user.none", &size), -ENODATA);
    assert_int_equal(nc_xattrwalk(c, FID, OTHER, "", &size), 0);
    assert_int_equal(nc_clunk(c, OTHER), 0);
    assert_int_equal(nc_xattrcreate(c, FID, "user.tag", 3, 0), 0);
    assert_int_equal(nc_write(c, FID, 0, "abc", 3), 3);
    assert_int_equal(nc_clunk(c, FID), 0);
    assert_int_equal(walk(c, RW, FID, "kept"), 0);
    assert_int_equal(nc_xattrcreate(c, FID, "security.x", 3, 0), 0);
    assert_true(nc_clunk(c, FID) < 0);
}

static void
locks_and_unlocks(struct nc *c)
{
    const struct nc_lock lock = {
        .type = NINE_LOCK_WR, .start = 5, .length = 7, .proc_id = 1, .client_id = "c"};
    struct nc_lock un = lock, found;

    un.type = NINE_LOCK_UN;
    assert_int_equal(walk(c, RW, FID, "kept"), 0);
    assert_int_equal(nc_lopen(c, FID, NINE_O_RDWR, NULL, NULL), 0);
    assert_int_equal(nc_lock(c, FID, &lock), NINE_LOCK_SUCCESS);
    assert_int_equal(nc_getlock(c, FID, &lock, &found), 0);
    assert_int_equal(nc_lock(c, FID, &un), NINE_LOCK_SUCCESS);
    assert_int_equal(nc_lock(c, FID, &lock), NINE_LOCK_SUCCESS); /* the clunk ends it */
    assert_int_equal(nc_clunk(c, FID), 0);
}

static int
ignore(const struct nc_dirent *e, void *ctx)
{
    (void)e;
    (void)ctx;
    return 0;
}

static void
reads_a_directory(struct nc *c)
{
    assert_int_equal(walk(c, ROOT, FID, NULL), 0);
    assert_int_equal(nc_lopen(c, FID, NINE_O_RDONLY, NULL, NULL), 0);
    assert_true(nc_readdir(c, FID, 0, 4096, ignore, NULL) > 0);
    assert_true(nc_readdir(c, FID, 0, 4096, ignore, NULL) > 0); /* from the start again */
    assert_int_equal(nc_clunk(c, FID), 0);
}

static void
asks_about_a_file(struct nc *c)
{
    const struct nc_setattr mode = {.valid = NINE_SET_MODE, .mode = 0640};
    struct nc_statfs sfs;
    struct nc_attr attr;

    assert_int_equal(walk(c, RW, FID, "kept"), 0);
    assert_int_equal(nc_getattr(c, FID, UINT64_MAX, &attr), 0);
    assert_int_equal(nc_setattr(c, FID, &mode), 0);
    assert_int_equal(nc_statfs(c, FID, &sfs), 0);
    assert_int_equal(nc_flush(c, 77), 0);
    assert_int_equal(nc_clunk(c, FID), 0);
}

static void
asks_about_what_is_read_only(struct nc *c)
{
    struct nc_statfs sfs;
    uint64_t size = 0;
    char target[64];

    assert_int_equal(nc_statfs(c, ROOT, &sfs), 0);
    assert_int_equal(walk(c, ROOT, FID, "link"), 0);
    assert_int_equal(nc_readlink(c, FID, target, sizeof(target)), strlen("hello.txt"));
    assert_int_equal(nc_clunk(c, FID), 0);
    assert_int_equal(nc_xattrwalk(c, ROOT, FID, "user.none", &size), -ENODATA);
    assert_int_equal(nc_xattrwalk(c, ROOT, FID, "", &size), 0);
    assert_int_equal(nc_clunk(c, FID), 0);
}

static void
attaches(struct nc *c)
{
    assert_int_equal(nc_attach(c, FID, "u", "rw", 0), 0);
    assert_int_equal(nc_clunk(c, FID), 0);
    assert_int_equal(nc_attach(c, FID, "u", "none", 0), -ENOENT);
}

#define REFUSED(call) assert_true((call) < 0)

static void
is_refused_every_change(struct nc *c)
{
    const struct nc_setattr mode = {.valid = NINE_SET_MODE, .mode = 0600};

    assert_int_equal(walk(c, ROOT, FID, "hello.txt"), 0);
    REFUSED(nc_setattr(c, FID, &mode));
    REFUSED(nc_xattrcreate(c, FID, "user.x", 3, 0));
    REFUSED(nc_link(c, ROOT, FID, "l"));
    REFUSED(nc_rename(c, FID, ROOT, "x"));
    REFUSED(nc_renameat(c, ROOT, "hello.txt", ROOT, "x"));
    REFUSED(nc_unlinkat(c, ROOT, "hello.txt", 0));
    REFUSED(nc_symlink(c, ROOT, "s", "t", 0, NULL));
    REFUSED(nc_mknod(c, ROOT, "n", S_IFIFO | 0644, 0, 0, 0, NULL));
    REFUSED(nc_write(c, FID, 0, "x", 1));
    assert_int_equal(nc_clunk(c, FID), 0);
    assert_int_equal(walk(c, ROOT, FID, NULL), 0);
    REFUSED(nc_lcreate(c, FID, "new", NINE_O_RDWR, 0644, 0, NULL, NULL));
    assert_int_equal(nc_clunk(c, FID), 0);
}

/* All of it well-formed, and allowed. */
static void
is_refused_by_the_helper(struct nc *c)
{
    char target[64];

    assert_int_equal(walk(c, RW, FID, "kept"), 0);
    REFUSED(walk(c, FID, OTHER, "below"));
    REFUSED(nc_lcreate(c, FID, "new", NINE_O_RDWR, 0644, 0, NULL, NULL));
    REFUSED(nc_mkdir(c, FID, "new", 0755, 0, NULL));
    REFUSED(nc_symlink(c, RW, "kept", "t", 0, NULL));
    REFUSED(nc_mknod(c, RW, "kept", S_IFIFO | 0644, 0, 0, 0, NULL));
    REFUSED(nc_mknod(c, RW, "dev", S_IFCHR | 0644, 1, 3, 0, NULL));
    REFUSED(nc_link(c, RW, FID, "kept"));
    REFUSED(nc_rename(c, RW, RW, "x"));
    REFUSED(nc_renameat(c, RW, "none", RW, "x"));
    REFUSED(nc_unlinkat(c, RW, "kept", NINE_AT_REMOVEDIR));
    REFUSED(nc_readlink(c, FID, target, sizeof(target)));
    assert_int_equal(nc_clunk(c, FID), 0);
    assert_int_equal(walk(c, RW, FID, "fifo"), 0);
    REFUSED(nc_lopen(c, FID, NINE_O_RDONLY, NULL, NULL));
    REFUSED(nc_lopen(c, FID, NINE_O_RDWR, NULL, NULL));
    assert_int_equal(nc_clunk(c, FID), 0);
}

static void
uses_fids_that_are_in_use(struct nc *c)
{
    uint64_t size = 0;

    assert_int_equal(walk(c, RW, FID, "kept"), 0);
    assert_int_equal(nc_lopen(c, FID, NINE_O_RDWR, NULL, NULL), 0);
    REFUSED(nc_lopen(c, FID, NINE_O_RDWR, NULL, NULL));
    REFUSED(nc_lcreate(c, FID, "new", NINE_O_RDWR, 0644, 0, NULL, NULL));
    REFUSED(walk(c, RW, FID, "fifo"));
    REFUSED(nc_attach(c, FID, "u", "rw", 0));
    REFUSED(nc_xattrwalk(c, RW, FID, "", &size));
    assert_int_equal(nc_clunk(c, FID), 0);
    REFUSED(nc_clunk(c, FID));
}

/* Announced twice, and then too much, and never all. */
static void
leaves_an_attribute_half_written(struct nc *c)
{
    static const char data[64] = "";
    char buf[64];

    assert_int_equal(walk(c, RW, FID, "kept"), 0);
    assert_int_equal(nc_xattrcreate(c, FID, "user.half", 60, 0), 0);
    REFUSED(nc_xattrcreate(c, FID, "user.half", 60, 0));
    assert_int_equal(nc_write(c, FID, 0, data, 20), 20);
    REFUSED(nc_write(c, FID, 20, data, 41));
    REFUSED(nc_read(c, FID, 0, buf, sizeof(buf)));
    REFUSED(nc_clunk(c, FID));
}

static const struct {
    const char *name;
    void (*run)(struct nc *c);
    bool is_long;
} cycles[] = {
    {"walk, clunk", walks_and_clunks, false},
    {"walk to nothing", walks_to_nothing, false},
    {"open, read", opens_and_reads, false},
    {"refused writes", is_refused_to_write, false},
    {"create, write, fsync, remove", creates_writes_and_removes, false},
    {"mkdir, symlink, mknod, rename, unlink", makes_and_removes_names, false},
    {"link, rename of a fid", links_and_renames_a_fid, false},
    {"xattrs", sets_and_reads_xattrs, false},
    {"locks", locks_and_unlocks, false},
    {"readdir", reads_a_directory, false},
    {"getattr, setattr, statfs, flush", asks_about_a_file, false},
    {"statfs, readlink, xattrs, read-only", asks_about_what_is_read_only, false},
    {"attach", attaches, false},
    {"refused changes", is_refused_every_change, true},
    {"refused by the kernel", is_refused_by_the_helper, true},
    {"fids in use", uses_fids_that_are_in_use, true},
    {"attributes half written", leaves_an_attribute_half_written, true},
};

/* --- the same in the older dialects ------------------------------------------------ */

static struct old old; /* of the connection that a cycle is given */

static void
old_makes_and_removes(struct nc *c)
{
    struct old_stat st = old_stat_blank();
    char buf[8];

    (void)c;
    st.mode = 0600;
    assert_int_equal(old_walk(&old, RW, FID, NULL), 0);
    assert_int_equal(old_create(&old, FID, "o", 0644, OLD_ORDWR, ""), 0);
    assert_int_equal(old_write(&old, FID, 0, "abc", 3), 3);
    assert_int_equal(old_read(&old, FID, 0, buf, sizeof(buf)), 3);
    assert_int_equal(old_wstat(&old, FID, &st), 0);
    assert_int_equal(old_stat(&old, FID, &st), 0);
    st = old_stat_blank();
    (void)snprintf(st.name, sizeof(st.name), "p");
    assert_int_equal(old_wstat(&old, FID, &st), 0);
    assert_int_equal(old_remove(&old, FID), 0);
}

static void
old_reads_a_directory(struct nc *c)
{
    char buf[4096];

    (void)c;
    assert_int_equal(old_walk(&old, ROOT, FID, NULL), 0);
    assert_int_equal(old_open(&old, FID, OLD_OREAD), 0);
    assert_true(old_read(&old, FID, 0, buf, sizeof(buf)) > 0);
    assert_int_equal(old_clunk(&old, FID), 0);
}

static void
old_is_refused(struct nc *c)
{
    struct old_stat st = old_stat_blank();

    (void)c;
    st.length = 0;
    REFUSED(old_walk(&old, ROOT, FID, "none"));
    assert_int_equal(old_walk(&old, ROOT, FID, "hello.txt"), 0);
    REFUSED(old_open(&old, FID, OLD_ORDWR));
    REFUSED(old_open(&old, FID, OLD_OREAD | OLD_ORCLOSE));
    REFUSED(old_create(&old, FID, "new", 0644, OLD_ORDWR, ""));
    REFUSED(old_write(&old, FID, 0, "x", 1));
    REFUSED(old_wstat(&old, FID, &st));
    REFUSED(old_walk(&old, ROOT, FID, "sub"));
    REFUSED(old_remove(&old, FID)); /* and it is gone */
    REFUSED(old_clunk(&old, FID));
}

static const struct {
    const char *name;
    void (*run)(struct nc *c);
} old_cycles[] = {
    {"old: create, write, wstat, remove", old_makes_and_removes},
    {"old: read of a directory", old_reads_a_directory},
    {"old: refused", old_is_refused},
};

/* --- what the processes hold -------------------------------------------------------- */

struct held {
    size_t memory; /* bytes resident */
    size_t fds;
};

static struct held
held_by(const struct server *s)
{
    struct server_child v[8];
    size_t n = server_children(s, v, COUNT(v));
    struct held h = {0};

    assert_int_equal(n, 3);
    for (size_t i = 0; i < n; i++) {
        const char *rss = server_status(v[i].pid, "RssAnon:");

        h.memory += strtoul(rss + strcspn(rss, "0123456789"), NULL, 10) * 1024;
        h.fds += server_fds(v[i].pid);
    }
    return h;
}

/* What is touched for the first time (a thread's stack, a pool's next block, a
 * page of the table that inode numbers are looked up in) stays, and there is an
 * end to it; what leaks grows in every round. */
static void
expect_flat(const struct server *s, void (*round)(const struct server *s, void *ctx), void *ctx,
            const char *what)
{
    struct held was = held_by(s), is = was;

    for (unsigned i = 0; i < ROUNDS; i++) {
        unsigned left = 0;

        was = is;
        round(s, ctx);
        while (server_patience(&left)) { /* what was given back last takes a moment */
            is = held_by(s);
            if (is.fds <= was.fds)
                break;
        }
        if (is.fds > was.fds)
            break;
        if (is.memory <= was.memory + GROWTH_MAX)
            return;
    }
    fail_msg("%s: memory %zu -> %zu bytes, fds %zu -> %zu", what, was.memory, is.memory, was.fds,
             is.fds);
}

static unsigned
how_many(void)
{
    return (unsigned)given("CYCLES", CYCLES_MIN);
}

/* A cycle of many requests runs less often: once for each `of`. */
#define LONG 4u

struct cycle_run {
    struct nc *const *c; /* of each guest */
    unsigned guests;
    void (*run)(struct nc *c);
    unsigned of;
};

static void
run_cycles(const struct cycle_run *r, unsigned guest, unsigned n)
{
    while (n-- > 0)
        r->run(r->c[guest]);
}

/* A guest of many: a process, which a claim that fails ends. */
static pid_t
run_beside(const struct cycle_run *r, unsigned guest, unsigned n)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
    run_cycles(r, guest, n);
    _exit(0);
}

static void
cycle_round(const struct server *s, void *ctx)
{
    const struct cycle_run *r = ctx;
    const unsigned n = how_many() / r->of / r->guests;
    pid_t pids[GUESTS_MAX];
    int status;

    (void)s;
    for (unsigned i = 1; i < r->guests; i++)
        pids[i] = run_beside(r, i, n);
    run_cycles(r, 0, n);
    for (unsigned i = 1; i < r->guests; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
}

static void
expect_flat_cycle(const struct server *s, struct cycle_run r, const char *what)
{
    run_cycles(&r, 0, how_many() / r.guests / 10);
    expect_flat(s, cycle_round, &r, what);
    if (r.guests > 1)
        print_message("flat: %s\n", what);
}

static void
give(const struct server *s, const char *name)
{
    assert_int_equal(chown(server_path(s, name), SERVER_OWNER, SERVER_OWNER), 0);
}

/* What a guest finds in its directory, which is DIR/name. */
static void
furnish(const struct server *s, const char *name)
{
    char kept[32], fifo[32];

    (void)snprintf(kept, sizeof(kept), "%s/kept", name);
    (void)snprintf(fifo, sizeof(fifo), "%s/fifo", name);
    server_file(s, kept, "x");
    assert_int_equal(mkfifo(server_path(s, fifo), 0666), 0);
    give(s, kept);
    give(s, fifo);
}

static void
start(struct server *s)
{
    server_init(s, false);
    furnish(s, "rw");
    server_start(s, NULL);
}

static unsigned
how_many_guests(void)
{
    const unsigned n = (unsigned)given("GUESTS", 1);

    return n < 1 ? 1 : n > GUESTS_MAX ? GUESTS_MAX : n;
}

/* The first has the share's root, the others a directory in it. */
static struct nc *
guest_new(const struct server *s, unsigned guest)
{
    struct nc *c = server_attach(s, "ro");
    char name[16], dir[24];

    assert_int_equal(nc_attach(c, guest == 0 ? RW : FID, "", "rw", 0), 0);
    if (guest == 0)
        return c;
    (void)snprintf(name, sizeof(name), "g%u", guest);
    (void)snprintf(dir, sizeof(dir), "rw/%s", name);
    assert_int_equal(mkdir(server_path(s, dir), 0755), 0);
    give(s, dir);
    furnish(s, dir);
    assert_int_equal(walk(c, FID, RW, name), 0);
    assert_int_equal(nc_clunk(c, FID), 0);
    return c;
}

static void
no_operation_leaves_memory_or_fds_behind(void **state)
{
    const unsigned guests = how_many_guests();
    struct nc *c[GUESTS_MAX];
    struct server s;

    (void)state;
    start(&s);
    for (unsigned i = 0; i < guests; i++)
        c[i] = guest_new(&s, i);
    for (size_t i = 0; i < COUNT(cycles); i++)
        expect_flat_cycle(
            &s, (struct cycle_run){c, guests, cycles[i].run, cycles[i].is_long ? LONG : 1},
            cycles[i].name);
    for (unsigned i = 0; i < guests; i++)
        nc_close(c[i]);
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_done(&s);
}

static void
no_operation_of_the_older_dialects_does(void **state)
{
    static const char *const versions[] = {"9P2000.u", "9P2000"};
    struct server s;

    (void)state;
    start(&s);
    for (size_t v = 0; v < COUNT(versions); v++) {
        old = (struct old){.dotu = v == 0};
        assert_int_equal(nc_connect(s.address, &old.c), 0);
        assert_int_equal(nc_version(old.c, 65536, versions[v]), 0);
        assert_int_equal(old_attach(&old, ROOT, "ro"), 0);
        assert_int_equal(old_attach(&old, RW, "rw"), 0);
        for (size_t i = 0; i < COUNT(old_cycles); i++)
            expect_flat_cycle(&s, (struct cycle_run){&old.c, 1, old_cycles[i].run, LONG},
                              old_cycles[i].name);
        nc_close(old.c);
    }
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_done(&s);
}

static unsigned
how_many_connects(void)
{
    return how_many() < CONNECTS_MAX ? how_many() : CONNECTS_MAX;
}

/* What every process holds when nobody is connected. */
struct calm {
    struct server_child v[8];
    size_t n, fds[8];
};

static void
await_calm(const struct calm *calm)
{
    for (size_t i = 0; i < calm->n; i++) /* the last one's end takes a moment */
        server_await_fds(calm->v[i].pid, calm->fds[i]);
}

/* With a file open and one half known, as connections end in life. */
static void
come_and_go(const struct server *s, void *ctx)
{
    const struct calm *calm = ctx;

    for (unsigned i = 0; i < how_many_connects(); i++) {
        struct nc *c = server_attach(s, "ro");
        size_t got;

        assert_int_equal(nc_walk(c, ROOT, OPEN, 1, hello, NULL, &got), 0);
        assert_int_equal(nc_lopen(c, OPEN, NINE_O_RDONLY, NULL, NULL), 0);
        assert_int_equal(walk(c, ROOT, FID, "sub"), 0);
        nc_close(c);
    }
    await_calm(calm);
}

/* --- connections that are refused, or end in the middle ------------------------------ */

static void
attaches_to_nothing(const struct server *s)
{
    assert_int_equal(server_try_attach(s, "none"), -ENOENT);
}

static void
speaks_another_protocol(const struct server *s)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    struct nc *c;
    char byte;

    assert_int_equal(nc_connect(s->address, &c), 0);
    assert_int_equal(send(nc_fd(c), http, sizeof(http) - 1, MSG_NOSIGNAL), sizeof(http) - 1);
    (void)!recv(nc_fd(c), &byte, 1, 0); /* the server ends it */
    nc_close(c);
}

static void
has_no_version(const struct server *s)
{
    struct nc *c;

    assert_int_equal(nc_connect(s->address, &c), 0);
    assert_int_equal(nc_version(c, 65536, "9P1999"), -EPROTO);
    nc_close(c);
}

/* Head of a Twrite of 1000 bytes to fid OPEN, and a few of them. */
static void
goes_in_the_middle_of_a_write(const struct server *s)
{
    static const char half[40] = {(char)(1023 & 0xff),
                                  1023 >> 8,
                                  0,
                                  0,
                                  NINE_TWRITE,
                                  1,
                                  0,
                                  OPEN,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  0,
                                  (char)(1000 & 0xff),
                                  1000 >> 8};
    static const char *const kept[] = {"kept"};
    struct nc *c = server_attach(s, "rw");
    size_t n;

    assert_int_equal(nc_walk(c, ROOT, OPEN, 1, kept, NULL, &n), 0);
    assert_int_equal(nc_lopen(c, OPEN, NINE_O_RDWR, NULL, NULL), 0);
    assert_int_equal(send(nc_fd(c), half, sizeof(half), MSG_NOSIGNAL), sizeof(half));
    nc_close(c);
}

/* Until the tenant's limit closes one. */
static void
finds_no_room(const struct server *s)
{
    struct nc *c[CONNECTIONS + 1];
    unsigned n = 0;
    int r = 0;

    while (r == 0 && n < COUNT(c)) {
        assert_int_equal(nc_connect(s->address, &c[n]), 0);
        r = nc_version(c[n++], 65536, "9P2000.L");
    }
    assert_true(r < 0);
    while (n > 0)
        nc_close(c[--n]);
}

static void (*const refused[])(const struct server *s) = {
    attaches_to_nothing, speaks_another_protocol, has_no_version, goes_in_the_middle_of_a_write};

static void
come_and_are_refused(const struct server *s, void *ctx)
{
    for (unsigned i = 0; i < how_many_connects(); i++) {
        refused[i % COUNT(refused)](s);
        if (i % 100 == 99) {
            await_calm(ctx); /* or there would be no room for the first either */
            finds_no_room(s);
            await_calm(ctx);
        }
    }
    await_calm(ctx);
}

static void
no_connection_leaves_memory_or_fds_behind(void **state)
{
    struct calm calm;
    struct server s;

    (void)state;
    server_init(&s, false);
    server_file(&s, "policy.conf", policy);
    server_file(&s, "rw/kept", "x");
    assert_int_equal(chown(server_path(&s, "rw/kept"), SERVER_OWNER, SERVER_OWNER), 0);
    server_start(&s, NULL);
    calm.n = server_children(&s, calm.v, COUNT(calm.v));
    for (size_t i = 0; i < calm.n; i++)
        calm.fds[i] = server_fds(calm.v[i].pid);
    expect_flat(&s, come_and_go, &calm, "connections");
    expect_flat(&s, come_and_are_refused, &calm, "refused connections");
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_done(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_operation_leaves_memory_or_fds_behind),
        cmocka_unit_test(no_operation_of_the_older_dialects_does),
        cmocka_unit_test(no_connection_leaves_memory_or_fds_behind),
    };

    return cmocka_run_group_tests_name("leaks", tests, NULL, NULL);
}
