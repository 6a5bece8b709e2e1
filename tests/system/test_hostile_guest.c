/*
 * A guest that wants out, in each dialect, through the real servers: names that
 * lead elsewhere, links that the host has in the tree, special files, set-id bits,
 * devices, other shares, the root itself. Beside the shares lies what it wants,
 * writable for all; it stays as it was to the last access time.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "tests/lib/forms.h"
#include "tests/lib/legacy.h"
#include "tests/lib/server.h"
#include "tests/lib/tree.h"

#define MSIZE 200000u
#define PATIENCE_S 15
#define FIRST 100u /* of fids that nobody else uses */

static const struct {
    unsigned bit; /* as in worker/nine.def */
    const char *version;
} dialects[] = {{1, "9P2000.L"}, {2, "9P2000.u"}, {4, "9P2000"}};

struct guest {
    struct nc *c; /* owned */
    size_t d;     /* of dialects */
    struct old old;
};

/* --- guests ------------------------------------------------------------------------ */

static struct guest
attach(const struct server *s, size_t d, const char *share)
{
    static const struct timeval patience = {.tv_sec = PATIENCE_S};
    struct guest g = {.d = d, .old = {.dotu = d == 1}};

    assert_int_equal(nc_connect(s->address, &g.c), 0);
    assert_int_equal(setsockopt(nc_fd(g.c), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)),
                     0);
    g.old.c = g.c;
    assert_int_equal(nc_version(g.c, MSIZE, dialects[d].version), 0);
    if (d == 0)
        assert_int_equal(nc_attach(g.c, FORM_ROOT, "", share, 0), 0);
    else
        assert_int_equal(old_attach(&g.old, FORM_ROOT, share), 0);
    return g;
}

/* 0, or -ENOENT when it did not get there. */
static int
walk(struct guest *g, uint32_t from, uint32_t to, const char *name)
{
    size_t n = 0;
    int r;

    if (g->d > 0)
        return old_walk(&g->old, from, to, name);
    r = nc_walk(g->c, from, to, name != NULL, &name, NULL, &n);
    return r < 0 ? r : n == (name != NULL) ? 0 : -ENOENT;
}

static int
opens(struct guest *g, uint32_t fid, bool to_write)
{
    if (g->d > 0)
        return old_open(&g->old, fid, to_write ? OLD_ORDWR : OLD_OREAD);
    return nc_lopen(g->c, fid, to_write ? NINE_O_RDWR : NINE_O_RDONLY, NULL, NULL);
}

static void
clunk(struct guest *g, uint32_t fid)
{
    assert_int_equal(g->d > 0 ? old_clunk(&g->old, fid) : nc_clunk(g->c, fid), 0);
}

/* The form, forged: what the answer's type is less the request's; 1: done. */
static int
send_form(struct guest *g, const struct form *f, const struct forged *x)
{
    static uint8_t message[FORM_ROOM];
    const size_t n = form_write(f, dialects[g->d].bit, x, 1, message);
    struct nc_reply rep;

    assert_int_equal(send(nc_fd(g->c), message, n, MSG_NOSIGNAL), n);
    assert_int_equal(nc_pull(g->c, &rep), 0);
    assert_int_equal(rep.tag, 1);
    return rep.type - f->type;
}

/* --- the host ------------------------------------------------------------------------ */

/* Of what the guest may own. */
static void
give(const struct server *s, const char *name)
{
    if (geteuid() == 0)
        assert_int_equal(lchown(server_path(s, name), SERVER_OWNER, SERVER_OWNER), 0);
}

static void
put_file(const struct server *s, const char *name, const char *text)
{
    server_file(s, name, text);
    give(s, name);
}

static void
put_dir(const struct server *s, const char *name)
{
    assert_int_equal(mkdir(server_path(s, name), 0755), 0);
    give(s, name);
}

static void
put_link(const struct server *s, const char *name, const char *target)
{
    assert_int_equal(symlink(target, server_path(s, name)), 0);
    give(s, name);
}

/* What the guest wants, and where it starts from. Access times are such that any
 * look would move them. */
static char *
furnish(const struct server *s)
{
    static const char *const wanted[] = {"outside", "outside/file", "outside/in",
                                         "outside/in/file"};
    static const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_nsec = UTIME_OMIT}};

    put_file(s, "rw/file", "hello");
    put_dir(s, "rw/dir");
    put_file(s, "rw/dir/in", "inner");
    put_link(s, "rw/link", "dir/in");
    assert_int_equal(mkdir(server_path(s, "outside"), 0777), 0);
    assert_int_equal(mkdir(server_path(s, "outside/in"), 0777), 0);
    server_file(s, "outside/file", "secret");
    server_file(s, "outside/in/file", "secret");
    for (size_t i = 0; i < COUNT(wanted); i++) {
        assert_int_equal(chmod(server_path(s, wanted[i]), 0777), 0); /* only we keep it */
        assert_int_equal(utimensat(AT_FDCWD, server_path(s, wanted[i]), old, 0), 0);
    }
    return tree_of(server_path(s, "outside"));
}

static char *wanted; /* as it was */

static int
setup(void **state)
{
    struct server *s = test_calloc(1, sizeof(*s));

    server_init(s, false);
    wanted = furnish(s);
    server_start(s, NULL);
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    struct server *s = *state;

    tree_assert_same(server_path(s, "outside"), wanted);
    assert_int_equal(server_stop(s, SIGTERM), 0);
    server_done(s);
    test_free(s);
    return 0;
}

/* --- names ------------------------------------------------------------------------------ */

static void
no_name_of_any_message_leads_out(void **state)
{
    const struct server *s = *state;
    const char *absolute = server_path(s, "outside/file");
    const char *const bad[] = {"..",      ".",       "",           "/",
                               "a/b",     "../x",    "../outside", "../outside/file",
                               "dir/in",  "dir/..",  "./file",     "../../../../../../etc/passwd",
                               "..\0x/y", "file/..", absolute};
    char *was = tree_of(server_path(s, "rw"));

    for (size_t d = 0; d < COUNT(dialects); d++) {
        struct guest g = attach(s, d, "rw");

        assert_int_equal(walk(&g, FORM_ROOT, FORM_FILE, "file"), 0);
        assert_int_equal(walk(&g, FORM_ROOT, FORM_DIR, "dir"), 0);
        for (size_t k = 0; k < nforms * COUNT(bad); k++) {
            const struct form *f = &forms[k / COUNT(bad)];
            const char *name = bad[k % COUNT(bad)];
            const size_t n = k % COUNT(bad) == 12 ? 6 : strlen(name); /* one has a NUL */

            if ((f->dialects & dialects[d].bit) == 0 || (f->type == NINE_TWALK && n == 2) ||
                (f->type == 126 && n == 0))
                continue; /* up, and "leave the name", are meant so */
            for (int i = 0; f->fields[i] != '\0'; i++) {
                const struct forged x = {.field = i, .bytes = name, .n = n, .claims = (uint32_t)n};

                if (form_kind(f->fields[i]) == FORM_NAME && send_form(&g, f, &x) == 1)
                    fail_msg("%s: type %u took \"%s\"", dialects[d].version, f->type, name);
            }
        }
        nc_close(g.c);
    }
    tree_assert_same(server_path(s, "rw"), was);
}

/* Up and up is the root, whatever comes then. */
static void
up_and_up_is_the_root(void **state)
{
    static const char *const ups[] = {"..", "..", "..", "..", "..", "..", "..", "..",
                                      "..", "..", "..", "..", "..", "..", "..", "outside"};
    struct guest g = attach(*state, 0, "rw");
    struct nc_qid q[16];
    size_t n = 0;

    assert_int_equal(walk(&g, FORM_ROOT, FORM_DIR, "dir"), 0);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(nc_walk(g.c, FORM_DIR, FORM_NEW, 16, ups, q, &n), 0);
        assert_int_equal(n, 15);
        assert_int_equal(q[14].path, q[0].path);
    }
    assert_int_equal(walk(&g, FORM_ROOT, FORM_NEW, "outside"), -ENOENT);
    nc_close(g.c);
    for (size_t d = 1; d < COUNT(dialects); d++) {
        g = attach(*state, d, "rw");
        assert_int_equal(walk(&g, FORM_ROOT, FORM_DIR, "dir"), 0);
        for (unsigned i = 0; i < 20; i++)
            assert_int_equal(walk(&g, FORM_DIR, FORM_DIR, ".."), 0);
        assert_true(walk(&g, FORM_DIR, FORM_NEW, "outside") < 0);
        assert_int_equal(walk(&g, FORM_DIR, FORM_NEW, "dir"), 0);
        nc_close(g.c);
    }
}

/* --- links ------------------------------------------------------------------------------- */

static const char *const links[] = {"evil", "proc", "abs", "rel", "dirlink", "loop", "chain"};

static void
put_links(const struct server *s)
{
    put_link(s, "rw/evil", "/");
    put_link(s, "rw/proc", "/proc/self/root");
    put_link(s, "rw/abs", server_path(s, "outside/file"));
    put_link(s, "rw/rel", "../outside/file");
    put_link(s, "rw/dirlink", "../outside");
    put_link(s, "rw/loop", "loop");
    put_link(s, "rw/chain", "dirlink/in");
}

/* All that a guest can do with a file, to the link: whatever is done, is done to it. */
static void
abuse(struct guest *g, const char *name)
{
    const struct nc_setattr sets[] = {
        {.valid = NINE_SET_MODE, .mode = 0777},
        {.valid = NINE_SET_SIZE, .size = 0},
        {.valid = NINE_SET_ATIME | NINE_SET_MTIME},
        {.valid = NINE_SET_UID | NINE_SET_GID, .uid = 0, .gid = 0},
    };
    struct old_stat st = old_stat_blank();

    assert_int_equal(walk(g, FORM_ROOT, FORM_LINK, name), 0);
    assert_true(walk(g, FORM_LINK, FORM_NEW, "file") < 0);
    assert_true(walk(g, FORM_LINK, FORM_NEW, "etc") < 0);
    assert_true(opens(g, FORM_LINK, false) < 0);
    assert_true(opens(g, FORM_LINK, true) < 0);
    if (g->d > 0) {
        st.length = 0;
        assert_true(old_wstat(&g->old, FORM_LINK, &st) < 0);
        assert_true(old_create(&g->old, FORM_LINK, "new", 0644, OLD_ORDWR, "") < 0);
        return;
    }
    for (size_t i = 0; i < COUNT(sets); i++)
        (void)nc_setattr(g->c, FORM_LINK, &sets[i]);
    assert_true(nc_lcreate(g->c, FORM_LINK, "new", NINE_O_RDWR, 0644, 0, NULL, NULL) < 0);
    assert_true(nc_mkdir(g->c, FORM_LINK, "new", 0755, 0, NULL) < 0);
    assert_true(nc_symlink(g->c, FORM_LINK, "new", "x", 0, NULL) < 0);
    assert_true(nc_mknod(g->c, FORM_LINK, "new", S_IFIFO | 0644, 0, 0, 0, NULL) < 0);
    assert_true(nc_renameat(g->c, FORM_LINK, "file", FORM_ROOT, "got") < 0);
    assert_true(nc_renameat(g->c, FORM_ROOT, "file", FORM_LINK, "file") < 0);
    assert_true(nc_unlinkat(g->c, FORM_LINK, "file", 0) < 0);
    assert_true(nc_link(g->c, FORM_LINK, FORM_FILE, "new") < 0);
    assert_int_equal(nc_xattrcreate(g->c, FORM_LINK, "user.x", 1, 0), 0);
    (void)nc_write(g->c, FORM_LINK, 0, "x", 1);
    assert_true(nc_clunk(g->c, FORM_LINK) < 0); /* the kernel has none for links */
}

static void
a_link_is_a_link_wherever_it_leads(void **state)
{
    const struct server *s = *state;

    put_links(s);
    for (size_t d = 0; d < COUNT(dialects); d++) {
        for (size_t i = 0; i < COUNT(links); i++) {
            struct guest g = attach(s, d, "rw");

            assert_int_equal(walk(&g, FORM_ROOT, FORM_FILE, "file"), 0);
            abuse(&g, links[i]);
            nc_close(g.c);
        }
    }
    for (size_t i = 0; i < COUNT(links); i++) { /* it goes, its target stays */
        struct guest g = attach(s, i % COUNT(dialects), "rw");

        assert_int_equal(walk(&g, FORM_ROOT, FORM_LINK, links[i]), 0);
        assert_int_equal(g.d > 0 ? old_remove(&g.old, FORM_LINK) : nc_remove(g.c, FORM_LINK), 0);
        assert_true(walk(&g, FORM_ROOT, FORM_LINK, links[i]) < 0);
        nc_close(g.c);
    }
}

/* Its target is a text. */
static void
a_link_that_a_guest_makes_leads_the_server_nowhere(void **state)
{
    const struct server *s = *state;

    for (size_t d = 0; d < 2; d++) { /* 9P2000 has none */
        const char *name = d == 0 ? "mine-l" : "mine-u";
        struct guest g = attach(s, d, "rw"), other;

        if (d == 0) {
            assert_int_equal(nc_symlink(g.c, FORM_ROOT, name, "../outside/file", 0, NULL), 0);
        } else {
            assert_int_equal(walk(&g, FORM_ROOT, FORM_NEW, NULL), 0);
            assert_int_equal(old_create(&g.old, FORM_NEW, name, OLD_DMSYMLINK | 0777, OLD_OREAD,
                                        "../outside/file"),
                             0);
        }
        for (size_t e = 0; e < COUNT(dialects); e++) {
            other = attach(s, e, "rw");
            assert_int_equal(walk(&other, FORM_ROOT, FORM_LINK, name), 0);
            assert_true(opens(&other, FORM_LINK, false) < 0);
            nc_close(other.c);
        }
        nc_close(g.c);
    }
}

/* --- special files -------------------------------------------------------------------------- */

enum { FIFOS = 64 };

/* All opens under way at once; a helper that waited in one would serve nobody. */
static void
fifos_opened_in_parallel_hold_up_nobody(void **state)
{
    const struct server *s = *state;

    assert_int_equal(mkfifo(server_path(s, "rw/fifo"), 0666), 0);
    give(s, "rw/fifo");
    for (size_t d = 0; d < COUNT(dialects); d++) {
        struct guest g = attach(s, d, "rw"), neighbour = attach(s, d, "rw");
        struct nc_reply rep;

        for (uint32_t i = 0; i < FIFOS; i++)
            assert_int_equal(walk(&g, FORM_ROOT, FIRST + i, "fifo"), 0);
        for (uint32_t i = 0; i < FIFOS; i++) {
            nc_begin(g.c, d == 0 ? NINE_TLOPEN : 112, (uint16_t)i);
            nc_u32(g.c, FIRST + i);
            if (d == 0)
                nc_u32(g.c, i % 3);
            else
                nc_u8(g.c, (uint8_t)(i % 3));
            nc_end(g.c);
        }
        assert_int_equal(nc_push(g.c), 0);
        assert_int_equal(walk(&neighbour, FORM_ROOT, FORM_FILE, "file"), 0);
        assert_int_equal(opens(&neighbour, FORM_FILE, true), 0);
        for (uint32_t i = 0; i < FIFOS; i++) {
            assert_int_equal(nc_pull(g.c, &rep), 0);
            assert_int_equal(rep.type, d == 0 ? 7 : 107);
        }
        clunk(&neighbour, FORM_FILE);
        nc_close(g.c);
        nc_close(neighbour.c);
    }
}

static void
no_device_is_made(void **state)
{
    static const uint32_t modes[] = {S_IFCHR | 0666, S_IFBLK | 0666, S_IFCHR};
    const struct server *s = *state;
    char *was = tree_of(server_path(s, "rw"));

    for (size_t i = 0; i < COUNT(modes); i++) { /* the last is what a whiteout is */
        struct guest g = attach(s, 0, "rw");

        assert_int_equal(
            nc_mknod(g.c, FORM_ROOT, "dev", modes[i], i == 2 ? 0 : 1, i == 2 ? 0 : 3, 0, NULL),
            -EPERM);
        nc_close(g.c);
    }
    for (size_t d = 1; d < COUNT(dialects); d++) {
        struct guest g = attach(s, d, "rw");

        assert_int_equal(walk(&g, FORM_ROOT, FORM_NEW, NULL), 0);
        assert_true(old_create(&g.old, FORM_NEW, "dev", OLD_DMDEVICE | 0666, OLD_OREAD, "c 1 3") <
                    0);
        assert_true(old_create(&g.old, FORM_NEW, "dev", OLD_DMDEVICE | 0666, OLD_OREAD, "b 8 0") <
                    0);
        nc_close(g.c);
    }
    tree_assert_same(server_path(s, "rw"), was);
}

/* --- modes ------------------------------------------------------------------------------------ */

static void
assert_no_set_id(const struct server *s, const char *name)
{
    char path[64];
    struct stat st;

    (void)snprintf(path, sizeof(path), "rw/%s", name);
    if (lstat(server_path(s, path), &st) < 0)
        return;
    assert_int_equal(st.st_mode & S_ISUID, 0);
    assert_true(S_ISDIR(st.st_mode) || (st.st_mode & S_ISGID) == 0);
}

static void
try_set_id(struct guest *g)
{
    const uint32_t bits = OLD_DMSETUID | OLD_DMSETGID | OLD_DMSETVTX | 0777;
    const struct nc_setattr a = {.valid = NINE_SET_MODE, .mode = 07777};
    struct old_stat st = old_stat_blank();

    st.mode = bits;
    assert_int_equal(walk(g, FORM_ROOT, FORM_NEW, NULL), 0);
    if (g->d == 0) {
        assert_int_equal(nc_lcreate(g->c, FORM_NEW, "made", NINE_O_RDWR, 07777, 0, NULL, NULL), 0);
        (void)nc_mkdir(g->c, FORM_ROOT, "made-dir", 07777, 0, NULL);
        (void)nc_mknod(g->c, FORM_ROOT, "made-node", S_IFREG | 07777, 0, 0, 0, NULL);
        assert_int_equal(nc_setattr(g->c, FORM_NEW, &a), -EPERM);
    } else {
        /* 9P2000 knows no such bits and refuses them */
        assert_int_equal(old_create(&g->old, FORM_NEW, "made", bits, OLD_ORDWR, "") == 0,
                         g->d == 1);
        (void)old_wstat(&g->old, FORM_NEW, &st);
        assert_int_equal(walk(g, FORM_ROOT, FORM_DIR, NULL), 0);
        (void)old_create(&g->old, FORM_DIR, "made-dir", OLD_DMDIR | bits, OLD_OREAD, "");
    }
}

static void
no_set_id_bit_reaches_the_host(void **state)
{
    static const char *const made[] = {"made", "made-dir", "made-node"};
    const struct server *s = *state;

    for (size_t d = 0; d < COUNT(dialects); d++) {
        struct guest g = attach(s, d, "rw");

        try_set_id(&g);
        assert_int_equal(access(server_path(s, "rw/made"), F_OK), d < 2 ? 0 : -1);
        for (size_t i = 0; i < COUNT(made); i++) {
            char path[64];

            assert_no_set_id(s, made[i]);
            (void)snprintf(path, sizeof(path), "rw/%s", made[i]);
            (void)remove(server_path(s, path));
        }
        nc_close(g.c);
    }
}

/* --- what belongs to nobody in the share ---------------------------------------------------------
 */

static void
no_attribute_of_the_hosts_is_set(void **state)
{
    static const char *const keys[] = {
        "security.capability",  "security.selinux",  "trusted.x",
        "user.postern.uid",     "user.virtfs.uid",   "user.virtfs.mode",
        "system.sockprotoname", "btrfs.compression", "user"};
    const struct server *s = *state;
    struct guest g = attach(s, 0, "rw");
    const char *path = server_path(s, "rw/file");
    char list[256];

    for (size_t i = 0; i < COUNT(keys); i++) {
        int r;

        assert_int_equal(walk(&g, FORM_ROOT, FORM_FILE, "file"), 0);
        r = nc_xattrcreate(g.c, FORM_FILE, keys[i], 1, 0);
        if (r == 0)
            (void)nc_write(g.c, FORM_FILE, 0, "x", 1);
        assert_true(nc_clunk(g.c, FORM_FILE) < 0 || r < 0);
    }
    assert_int_equal(listxattr(path, list, sizeof(list)), 0);
    nc_close(g.c);
}

static void
the_root_is_neither_moved_nor_removed(void **state)
{
    const struct server *s = *state;

    for (size_t d = 0; d < COUNT(dialects); d++) {
        struct guest g = attach(s, d, "rw");
        struct old_stat st = old_stat_blank();

        (void)snprintf(st.name, sizeof(st.name), "outside");
        assert_int_equal(walk(&g, FORM_ROOT, FORM_DIR, "dir"), 0);
        if (d > 0) {
            assert_true(old_wstat(&g.old, FORM_ROOT, &st) < 0);
            assert_true(old_remove(&g.old, FORM_ROOT) < 0);
        } else {
            assert_true(nc_rename(g.c, FORM_ROOT, FORM_DIR, "x") < 0);
            assert_true(nc_link(g.c, FORM_DIR, FORM_ROOT, "x") < 0);
            assert_true(nc_unlinkat(g.c, FORM_ROOT, "rw", NINE_AT_REMOVEDIR) < 0);
            assert_true(nc_remove(g.c, FORM_ROOT) < 0);
        }
        nc_close(g.c);
    }
    assert_int_equal(access(server_path(s, "rw/dir"), F_OK), 0);
}

static void
nothing_is_linked_or_moved_from_share_to_share(void **state)
{
    const struct server *s = *state;
    char *was = tree_of(server_path(s, "rw")), *ro = tree_of(server_path(s, "ro"));

    for (size_t d = 0; d < 2; d++) { /* 9P2000 has no message of two fids */
        struct guest g = attach(s, d, "rw");
        char fid[16];

        (void)snprintf(fid, sizeof(fid), "%u", (unsigned)FORM_FILE);
        assert_int_equal(
            d == 0 ? nc_attach(g.c, FORM_NEW, "", "ro", 0) : old_attach(&g.old, FORM_NEW, "ro"), 0);
        assert_int_equal(walk(&g, FORM_NEW, FORM_FILE, "hello.txt"), 0);
        if (d == 0) {
            assert_true(nc_link(g.c, FORM_ROOT, FORM_FILE, "got") < 0);
            assert_true(nc_rename(g.c, FORM_FILE, FORM_ROOT, "got") < 0);
            assert_true(nc_renameat(g.c, FORM_NEW, "hello.txt", FORM_ROOT, "got") < 0);
            assert_true(nc_renameat(g.c, FORM_ROOT, "file", FORM_NEW, "got") < 0);
        } else {
            assert_true(old_create(&g.old, FORM_ROOT, "got", OLD_DMLINK | 0644, OLD_OREAD, fid) <
                        0);
            clunk(&g, FORM_FILE);
            assert_int_equal(walk(&g, FORM_ROOT, FORM_FILE, "file"), 0);
            assert_true(old_create(&g.old, FORM_NEW, "got", OLD_DMLINK | 0644, OLD_OREAD, fid) < 0);
        }
        nc_close(g.c);
    }
    tree_assert_same(server_path(s, "rw"), was);
    tree_assert_same(server_path(s, "ro"), ro);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(no_name_of_any_message_leads_out),
        T(up_and_up_is_the_root),
        T(a_link_is_a_link_wherever_it_leads),
        T(a_link_that_a_guest_makes_leads_the_server_nowhere),
        T(fifos_opened_in_parallel_hold_up_nobody),
        T(no_device_is_made),
        T(no_set_id_bit_reaches_the_host),
        T(no_attribute_of_the_hosts_is_set),
        T(the_root_is_neither_moved_nor_removed),
        T(nothing_is_linked_or_moved_from_share_to_share),
    };

    return cmocka_run_group_tests_name("a guest that wants out", tests, NULL, NULL);
}
