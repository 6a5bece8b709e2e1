/*
 * A read-only share through the real processes: every message that would
 * write is EROFS, and the host's tree is as it was, atimes included.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "tests/lib/server.h"

enum { ROOT, HELLO, SUB, LINK, OPEN, RW, SPARE };

static const char *const watched[] = {"ro", "ro/hello.txt", "ro/sub", "ro/link"};
#define NWATCHED (sizeof(watched) / sizeof(watched[0]))

static void
look(const struct server *s, struct stat *st)
{
    for (size_t i = 0; i < NWATCHED; i++)
        assert_int_equal(lstat(server_path(s, watched[i]), &st[i]), 0);
}

static void
assert_untouched(const struct server *s, const struct stat *was)
{
    struct stat is[NWATCHED];

    look(s, is);
    for (size_t i = 0; i < NWATCHED; i++)
        assert_memory_equal(&is[i], &was[i], sizeof(is[i]));
    assert_string_equal(server_text(s, "ro/hello.txt"), SERVER_HELLO);
}

static void
go(struct nc *c, uint32_t fid, const char *name)
{
    size_t n = 0;

    assert_int_equal(nc_walk(c, ROOT, fid, 1, &name, NULL, &n), 0);
    assert_int_equal(n, 1);
}

/* The fids that the rows use; HELLO is opened for reading as OPEN. */
static struct nc *
prepare(struct server *s)
{
    struct nc *c = server_attach(s, "ro");

    go(c, HELLO, "hello.txt");
    go(c, SUB, "sub");
    go(c, LINK, "link");
    go(c, OPEN, "hello.txt");
    assert_int_equal(nc_lopen(c, OPEN, NINE_O_RDONLY, NULL, NULL), 0);
    assert_int_equal(nc_attach(c, RW, "", "rw", 0), 0);
    return c;
}

#define SETATTR(name, ...)                                                                         \
    static int name(struct nc *c)                                                                  \
    {                                                                                              \
        const struct nc_setattr a = {__VA_ARGS__};                                                 \
                                                                                                   \
        return nc_setattr(c, HELLO, &a);                                                           \
    }
SETATTR(do_chmod, .valid = NINE_SET_MODE, .mode = 0600)
SETATTR(do_chown, .valid = NINE_SET_UID | NINE_SET_GID, .uid = 1, .gid = 1)
SETATTR(do_truncate, .valid = NINE_SET_SIZE, .size = 0)
SETATTR(do_touch, .valid = NINE_SET_ATIME | NINE_SET_MTIME)
SETATTR(do_utimes, .valid = NINE_SET_MTIME | NINE_SET_MTIME_SET, .mtime_sec = 1)
SETATTR(do_ctime, .valid = NINE_SET_CTIME)

#define DO(name, call)                                                                             \
    static int name(struct nc *c)                                                                  \
    {                                                                                              \
        return (int)(call);                                                                        \
    }
DO(do_mkdir, nc_mkdir(c, ROOT, "d", 0755, 0, NULL))
DO(do_mkdir_there, nc_mkdir(c, ROOT, "sub", 0755, 0, NULL))
DO(do_symlink, nc_symlink(c, ROOT, "s", "hello.txt", 0, NULL))
DO(do_link, nc_link(c, ROOT, HELLO, "h2"))
DO(do_mknod, nc_mknod(c, ROOT, "n", S_IFREG | 0644, 0, 0, 0, NULL))
DO(do_mkfifo, nc_mknod(c, ROOT, "n", S_IFIFO | 0644, 0, 0, 0, NULL))
DO(do_mkdev, nc_mknod(c, ROOT, "n", S_IFCHR | 0644, 1, 3, 0, NULL))
DO(do_rename, nc_rename(c, HELLO, ROOT, "x"))
DO(do_renameat, nc_renameat(c, ROOT, "hello.txt", ROOT, "x"))
DO(do_unlink, nc_unlinkat(c, ROOT, "hello.txt", 0))
DO(do_unlink_none, nc_unlinkat(c, ROOT, "none", 0))
DO(do_rmdir, nc_unlinkat(c, ROOT, "sub", NINE_AT_REMOVEDIR))
DO(do_write, nc_write(c, OPEN, 0, "x", 1))

/* These use up their fid, so it is one of its own. */
static int
with_spare(struct nc *c, const char *name, int (*f)(struct nc *c, uint32_t flags), uint32_t flags)
{
    int r;

    if (name == NULL)
        assert_int_equal(nc_walk(c, ROOT, SPARE, 0, NULL, NULL, NULL), 0);
    else
        go(c, SPARE, name);
    r = f(c, flags);
    (void)nc_clunk(c, SPARE);
    return r;
}

static int
create_spare(struct nc *c, uint32_t flags)
{
    return nc_lcreate(c, SPARE, "new", flags, 0644, 0, NULL, NULL);
}

static int
create_spare_there(struct nc *c, uint32_t flags)
{
    return nc_lcreate(c, SPARE, "hello.txt", flags, 0644, 0, NULL, NULL);
}

static int
open_spare(struct nc *c, uint32_t flags)
{
    return nc_lopen(c, SPARE, flags, NULL, NULL);
}

static int
remove_spare(struct nc *c, uint32_t flags)
{
    (void)flags;
    return nc_remove(c, SPARE);
}

DO(do_create, with_spare(c, NULL, create_spare, NINE_O_RDWR))
DO(do_create_read, with_spare(c, NULL, create_spare, NINE_O_RDONLY))
DO(do_create_there, with_spare(c, NULL, create_spare_there, NINE_O_RDONLY))
DO(do_open_write, with_spare(c, "hello.txt", open_spare, NINE_O_WRONLY))
DO(do_open_rdwr, with_spare(c, "hello.txt", open_spare, NINE_O_RDWR))
DO(do_open_trunc, with_spare(c, "hello.txt", open_spare, NINE_O_RDONLY | NINE_O_TRUNC))
DO(do_open_wtrunc, with_spare(c, "hello.txt", open_spare, NINE_O_WRONLY | NINE_O_TRUNC))
DO(do_open_append, with_spare(c, "hello.txt", open_spare, NINE_O_WRONLY | NINE_O_APPEND))
DO(do_remove, with_spare(c, "hello.txt", remove_spare, 0))
DO(do_remove_dir, with_spare(c, "sub", remove_spare, 0))

static const struct {
    const char *what;
    int (*f)(struct nc *c);
    int also; /* another answer that is as good: the fid was never open for it */
} rows[] = {
    {"chmod", do_chmod, 0},
    {"chown", do_chown, 0},
    {"truncate", do_truncate, 0},
    {"touch", do_touch, 0},
    {"utimes", do_utimes, 0},
    {"ctime", do_ctime, 0},
    {"mkdir", do_mkdir, 0},
    {"mkdir of what exists", do_mkdir_there, 0},
    {"symlink", do_symlink, 0},
    {"link", do_link, 0},
    {"mknod", do_mknod, 0},
    {"mkfifo", do_mkfifo, 0},
    {"mknod of a device", do_mkdev, 0},
    {"rename", do_rename, 0},
    {"renameat", do_renameat, 0},
    {"unlink", do_unlink, 0},
    {"unlink of nothing", do_unlink_none, 0},
    {"rmdir", do_rmdir, 0},
    {"write", do_write, -EBADF},
    {"create", do_create, 0},
    {"create for reading", do_create_read, 0},
    {"create of what exists", do_create_there, 0},
    {"open for writing", do_open_write, 0},
    {"open for both", do_open_rdwr, 0},
    {"open for reading, truncating", do_open_trunc, 0},
    {"open for writing, truncating", do_open_wtrunc, 0},
    {"open for appending", do_open_append, 0},
    {"remove", do_remove, 0},
    {"remove of a directory", do_remove_dir, 0},
};

static void
every_writing_message_is_erofs(void **state)
{
    struct server *s = *state;
    struct stat was[NWATCHED];
    struct nc *c;

    server_start(s, NULL);
    look(s, was);
    c = prepare(s);
    for (size_t i = 0; i < COUNT(rows); i++) {
        int r = rows[i].f(c);

        if (r != -EROFS && (rows[i].also == 0 || r != rows[i].also))
            fail_msg("%s: %d", rows[i].what, r);
    }
    nc_close(c);
    assert_untouched(s, was);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* Every bit that Tlopen's flags have, alone and with each access mode. */
static void
no_open_flag_opens_a_way_to_write(void **state)
{
    struct server *s = *state;
    struct stat was[NWATCHED];
    struct nc *c;

    server_start(s, NULL);
    look(s, was);
    c = prepare(s);
    for (uint32_t acc = 0; acc < 4; acc++)
        for (unsigned bit = 2; bit < 32; bit++) {
            int r;

            go(c, SPARE, "hello.txt");
            r = nc_lopen(c, SPARE, acc | 1u << bit, NULL, NULL);
            if (acc != NINE_O_RDONLY || (1u << bit) == NINE_O_TRUNC)
                assert_true(r < 0);
            if (r == 0)
                assert_true(nc_write(c, SPARE, 0, "x", 1) < 0);
            assert_int_equal(nc_clunk(c, SPARE), 0);
        }
    nc_close(c);
    assert_untouched(s, was);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* One foot in a share that may be written. */
static void
nothing_crosses_between_shares(void **state)
{
    struct server *s = *state;
    struct stat was[NWATCHED];
    struct nc *c;

    server_start(s, NULL);
    look(s, was);
    c = prepare(s);
    assert_true(nc_link(c, RW, HELLO, "h") < 0);
    assert_true(nc_rename(c, HELLO, RW, "h") < 0);
    assert_true(nc_renameat(c, ROOT, "hello.txt", RW, "h") < 0);
    assert_int_equal(nc_mkdir(c, RW, "d", 0755, 0, NULL), 0);
    assert_true(nc_renameat(c, RW, "d", ROOT, "d") < 0);
    assert_int_equal(access(server_path(s, "rw/h"), F_OK), -1);
    assert_int_equal(access(server_path(s, "rw/d"), F_OK), 0);
    nc_close(c);
    assert_untouched(s, was);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static int
no_entry(const struct nc_dirent *e, void *ctx)
{
    (void)e;
    (void)ctx;
    return 0;
}

static void
reading_leaves_no_trace(void **state)
{
    struct server *s = *state;
    struct stat was[NWATCHED];
    char buf[64];
    struct nc *c;

    server_start(s, NULL);
    look(s, was);
    c = prepare(s);
    assert_int_equal(nc_read(c, OPEN, 0, buf, sizeof(buf)), strlen(SERVER_HELLO));
    assert_int_equal(nc_readlink(c, LINK, buf, sizeof(buf)), strlen("hello.txt"));
    assert_int_equal(nc_lopen(c, SUB, NINE_O_RDONLY, NULL, NULL), 0);
    assert_true(nc_readdir(c, SUB, 0, 4096, no_entry, NULL) >= 0);
    nc_close(c);
    assert_untouched(s, was);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, server_setup, server_teardown)
    const struct CMUnitTest tests[] = {
        CASE(every_writing_message_is_erofs),
        CASE(no_open_flag_opens_a_way_to_write),
        CASE(nothing_crosses_between_shares),
        CASE(reading_leaves_no_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
