/*
 * A guest that wants all there is, in each dialect: fids, open files, known files,
 * connections, and listings of a large directory that the host rewrites meanwhile.
 * It gets what its limits say, another tenant notices nothing, and when it is gone
 * all is there again. ENTRIES makes the directory larger.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "tests/lib/legacy.h"
#include "tests/lib/server.h"

#define MSIZE 65536u
#define PATIENCE_S 15
#define FIDS 60
#define NODES 50
#define FILES 20
#define CONNECTIONS 8
#define TIMES 10u
#define TEXT(n) TEXT_OF(n)
#define TEXT_OF(n) #n
#define ENTRIES 2000u
#define MEMORY (4096u * 1024u) /* that a listing may take, whatever its length */

static const char *const versions[] = {"9P2000.L", "9P2000.u", "9P2000"};

struct guest {
    struct nc *c; /* owned */
    bool old;
    struct old o;
};

static const char *
address(const struct server *s, const char *name)
{
    static char text[256];

    (void)snprintf(text, sizeof(text), "unix:%s", server_path(s, name));
    return text;
}

/* 0 and a guest with fid 0 at the root of that share; -errno: not let in. */
static int
attach(const struct server *s, const char *socket, size_t version, const char *share,
       struct guest *g)
{
    static const struct timeval patience = {.tv_sec = PATIENCE_S};
    int r;

    *g = (struct guest){.old = version > 0, .o = {.dotu = version == 1}};
    r = nc_connect(address(s, socket), &g->c);
    if (r < 0)
        return r;
    (void)setsockopt(nc_fd(g->c), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    g->o.c = g->c;
    r = nc_version(g->c, MSIZE, versions[version]);
    if (r == 0)
        r = g->old ? old_attach(&g->o, 0, share) : nc_attach(g->c, 0, "", share, 0);
    return r;
}

/* -EREMOTEIO: any error of 9P2000. */
static int
walk(struct guest *g, uint32_t to, const char *name)
{
    size_t n = 0;
    int r;

    if (g->old)
        return old_walk(&g->o, 0, to, name);
    r = nc_walk(g->c, 0, to, 1, &name, NULL, &n);
    return r < 0 ? r : n == 1 ? 0 : -ENOENT;
}

static int
opens(struct guest *g, uint32_t fid)
{
    return g->old ? old_open(&g->o, fid, OLD_OREAD)
                  : nc_lopen(g->c, fid, NINE_O_RDONLY, NULL, NULL);
}

static int
clunk(struct guest *g, uint32_t fid)
{
    return g->old ? old_clunk(&g->o, fid) : nc_clunk(g->c, fid);
}

/* Well-behaved: this always works. */
static void
assert_served(struct guest *g, const char *name)
{
    char buf[64];

    assert_int_equal(walk(g, 1, name), 0);
    assert_int_equal(opens(g, 1), 0);
    if (g->old)
        assert_true(old_read(&g->o, 1, 0, buf, sizeof(buf)) >= 0);
    else
        assert_true(nc_read(g->c, 1, 0, buf, sizeof(buf)) >= 0);
    assert_int_equal(clunk(g, 1), 0);
}

/* --- limits ------------------------------------------------------------------------- */

static void
file_name(char name[32], unsigned i)
{
    (void)snprintf(name, 32, "f%u", i);
}

static void
start(struct server *s)
{
    char name[32], path[64];

    server_init(s, false);
    server_file(
        s, "policy.conf",
        "tenant \"t\" {\n"
        "    listen \"unix:@/sock\" { protocol = 9p }\n"
        "    limits { fids = " TEXT(FIDS) " nodes = " TEXT(
            NODES) "\n"
                   "             open-files = " TEXT(FILES) " connections = " TEXT(
                       CONNECTIONS) " }\n"
                                    "    share \"rw\" { path = \"@/rw\" access = read-write }\n"
                                    "}\n"
                                    "tenant \"u\" {\n"
                                    "    listen \"unix:@/other\" { protocol = 9p }\n"
                                    "    share \"ro\" { path = \"@/ro\" access = read-only }\n"
                                    "}\n");
    for (unsigned i = 0; i < NODES * TIMES; i++) {
        file_name(name, i);
        (void)snprintf(path, sizeof(path), "rw/%s", name);
        server_file(s, path, "content");
    }
    server_start(s, NULL);
}

/* Of the guest's, at TIMES as many as may be: how many it got. Whatever is refused
 * is refused with one of the two. */
static unsigned
take_all(struct guest *g, struct guest *neighbour, unsigned tries, unsigned different, bool open)
{
    unsigned got = 0;

    for (unsigned i = 0; i < tries; i++) {
        char name[32];
        int r;

        file_name(name, i % different);
        r = walk(g, 10 + i, name);
        if (r == 0 && open) {
            r = opens(g, 10 + i);
            if (r < 0)
                assert_int_equal(clunk(g, 10 + i), 0);
        }
        if (r < 0)
            assert_true(r == -EMFILE || r == -ENFILE || r == -EREMOTEIO);
        got += r == 0;
        if (i % 50 == 0)
            assert_served(neighbour, "hello.txt");
    }
    return got;
}

static void
assert_all_is_there_again(const struct server *s, size_t version)
{
    struct guest g;
    unsigned left = 0;
    int r = -1;

    while (r < 0 && server_patience(&left)) {
        r = attach(s, "sock", version, "rw", &g);
        if (r == 0)
            r = walk(&g, 10, "f0");
        if (r == 0)
            r = opens(&g, 10);
        nc_close(g.c);
        g.c = NULL;
    }
    assert_int_equal(r, 0);
}

static void
ten_times_too_much_of_anything_harms_nobody(void **state)
{
    static const struct {
        unsigned tries, different, may_have;
        bool open;
    } rows[] = {
        {FIDS * TIMES, 1, FIDS - 1, false},               /* the attach has one */
        {NODES * TIMES, NODES * TIMES, NODES - 1, false}, /* the root is one */
        {FILES * TIMES, 1, FILES, true},
    };
    struct guest neighbour, g;
    struct server_child before[8], after[8];
    struct server s;
    size_t n;

    (void)state;
    start(&s);
    n = server_children(&s, before, COUNT(before));
    for (size_t v = 0; v < COUNT(versions); v++) {
        assert_int_equal(attach(&s, "other", v, "ro", &neighbour), 0);
        for (size_t i = 0; i < COUNT(rows); i++) {
            unsigned got;

            assert_int_equal(attach(&s, "sock", v, "rw", &g), 0);
            got = take_all(&g, &neighbour, rows[i].tries, rows[i].different, rows[i].open);
            assert_in_range(got, 1, rows[i].may_have);
            assert_served(&neighbour, "hello.txt");
            nc_close(g.c);
            assert_all_is_there_again(&s, v);
        }
        nc_close(neighbour.c);
    }
    assert_int_equal(server_children(&s, after, COUNT(after)), n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(after[i].pid, before[i].pid);
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_done(&s);
}

static void
connections_beyond_the_limit_are_closed_and_the_others_served(void **state)
{
    struct guest many[CONNECTIONS * TIMES], neighbour;
    unsigned served = 0;
    struct server s;

    (void)state;
    start(&s);
    assert_int_equal(attach(&s, "other", 0, "ro", &neighbour), 0);
    for (unsigned i = 0; i < COUNT(many); i++)
        served += attach(&s, "sock", i % COUNT(versions), "rw", &many[i]) == 0;
    assert_int_equal(served, CONNECTIONS);
    assert_served(&many[0], "f0");
    assert_served(&neighbour, "hello.txt");
    for (unsigned i = 0; i < COUNT(many); i++)
        nc_close(many[i].c);
    for (size_t v = 0; v < COUNT(versions); v++)
        assert_all_is_there_again(&s, v);
    nc_close(neighbour.c);
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_done(&s);
}

/* --- a directory that the host rewrites -------------------------------------------------- */

static unsigned
entries(void)
{
    return (unsigned)given("ENTRIES", ENTRIES);
}

/* As long as a name can be. */
static void
long_name(char name[256], char first, unsigned i)
{
    (void)snprintf(name, 256, "%c%0254u", first, i);
}

struct rewriter {
    pthread_t thread;
    int dir; /* owned by the test */
    atomic_bool stop;
    atomic_uint changes;
};

static void *
rewrite(void *arg)
{
    struct rewriter *w = arg;
    char name[256], other[256];

    for (unsigned i = 0; !atomic_load(&w->stop); i++) {
        long_name(name, 'x', i % 500);
        long_name(other, 'y', i % 500);
        (void)mknodat(w->dir, name, S_IFREG | 0644, 0);
        (void)renameat(w->dir, name, w->dir, other);
        (void)unlinkat(w->dir, other, 0);
        (void)atomic_fetch_add(&w->changes, 1);
    }
    return NULL;
}

static int
count_stays(const struct nc_dirent *e, void *ctx)
{
    struct {
        unsigned stays;
        uint64_t cookie;
    } *seen = ctx;

    seen->stays += e->name_len == 255 && e->name[0] == 's';
    seen->cookie = e->offset;
    return 0;
}

/* How many of those that stay it lists. */
static unsigned
list(struct guest *g)
{
    static char buf[MSIZE];
    struct {
        unsigned stays;
        uint64_t cookie;
    } seen = {0};
    struct old_stat st;
    int n;

    while (!g->old && (n = nc_readdir(g->c, 1, seen.cookie, MSIZE - 24, count_stays, &seen)) > 0)
        ;
    while (g->old && (n = old_read(&g->o, 1, seen.cookie, buf, MSIZE - 24)) > 0) {
        for (size_t at = 0, size; at < (size_t)n; at += size) {
            size = old_stat_read((uint8_t *)buf + at, (size_t)n - at, g->o.dotu, &st);
            assert_true(size > 0);
            seen.stays += strlen(st.name) == 255 && st.name[0] == 's';
        }
        seen.cookie += (unsigned)n;
    }
    assert_int_equal(n, 0);
    return seen.stays;
}

static size_t
memory_of_all(const struct server *s)
{
    struct server_child v[8];
    const size_t n = server_children(s, v, COUNT(v));
    size_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        const char *rss = server_status(v[i].pid, "RssAnon:");

        sum += strtoul(rss + strcspn(rss, "0123456789"), NULL, 10) * 1024;
    }
    return sum;
}

static void
fill(const struct server *s, struct rewriter *w)
{
    char name[256];

    assert_int_equal(mkdir(server_path(s, "rw/large"), 0755), 0);
    w->dir = open(server_path(s, "rw/large"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(w->dir >= 0);
    for (unsigned i = 0; i < entries(); i++) {
        long_name(name, 's', i);
        assert_int_equal(mknodat(w->dir, name, S_IFREG | 0644, 0), 0);
    }
    assert_int_equal(pthread_create(&w->thread, NULL, rewrite, w), 0);
}

static void
a_directory_that_is_rewritten_is_listed_whole_in_little_memory(void **state)
{
    struct rewriter w = {0};
    struct server s;
    size_t before = 0;

    (void)state;
    server_init(&s, false);
    server_start(&s, NULL);
    fill(&s, &w);
    for (unsigned round = 0; round < 2; round++) { /* what is touched once stays */
        for (size_t v = 0; v < COUNT(versions); v++) {
            struct guest g;

            assert_int_equal(attach(&s, "sock", v, "rw", &g), 0);
            assert_int_equal(walk(&g, 1, "large"), 0);
            assert_int_equal(opens(&g, 1), 0);
            assert_int_equal(list(&g), entries());
            nc_close(g.c);
        }
        if (round == 0)
            before = memory_of_all(&s);
    }
    assert_true(memory_of_all(&s) < before + MEMORY);
    assert_true(before < 64u * 1024u * 1024u);
    atomic_store(&w.stop, true);
    assert_int_equal(pthread_join(w.thread, NULL), 0);
    assert_true(atomic_load(&w.changes) > 0);
    close(w.dir);
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_done(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_times_too_much_of_anything_harms_nobody),
        cmocka_unit_test(connections_beyond_the_limit_are_closed_and_the_others_served),
        cmocka_unit_test(a_directory_that_is_rewritten_is_listed_whole_in_little_memory),
    };

    return cmocka_run_group_tests_name("a guest that wants all there is", tests, NULL, NULL);
}
