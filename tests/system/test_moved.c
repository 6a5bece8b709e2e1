/*
 * Fids of files that are renamed, replaced or removed under them: by their own
 * client, by another, by the host. What was opened stays what it was.
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

/* Fids: the open file, one that names it, a clone for its attributes. */
enum { ROOT, OPEN, NAMED, CLONE, MAKER };

struct parties {
    const struct server *s;
    struct nc *own, *other; /* owned; connections to the same share */
};

static const char *
at(const struct parties *p, const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "rw/%s", name);
    return server_path(p->s, path);
}

static void
make(struct nc *c, const char *name, const char *text)
{
    const uint32_t n = (uint32_t)strlen(text);

    assert_int_equal(nc_walk(c, ROOT, MAKER, 0, NULL, NULL, NULL), 0);
    assert_int_equal(nc_lcreate(c, MAKER, name, NINE_O_RDWR, 0644, 0, NULL, NULL), 0);
    assert_int_equal(nc_write(c, MAKER, 0, text, n), n);
    assert_int_equal(nc_clunk(c, MAKER), 0);
}

/* --- what happens to the name, and by whom ------------------------------------------ */

enum what { RENAMED, REPLACED, REMOVED };

static void
by_a_client(struct nc *c, enum what what)
{
    if (what == RENAMED)
        assert_int_equal(nc_renameat(c, ROOT, "file", ROOT, "moved"), 0);
    else if (what == REPLACED)
        assert_int_equal(nc_renameat(c, ROOT, "another", ROOT, "file"), 0);
    else
        assert_int_equal(nc_unlinkat(c, ROOT, "file", 0), 0);
}

static void
by_its_own_client(const struct parties *p, enum what what)
{
    by_a_client(p->own, what);
}

static void
by_another_client(const struct parties *p, enum what what)
{
    by_a_client(p->other, what);
}

static void
by_the_host(const struct parties *p, enum what what)
{
    if (what == RENAMED)
        assert_int_equal(rename(at(p, "file"), at(p, "moved")), 0);
    else if (what == REPLACED)
        assert_int_equal(rename(at(p, "another"), at(p, "file")), 0);
    else
        assert_int_equal(unlink(at(p, "file")), 0);
}

/* --- what must still work ------------------------------------------------------------ */

static void
assert_attr(struct nc *c, uint32_t fid, const struct nc_attr *was, uint64_t size, uint32_t mode,
            uint64_t nlink)
{
    struct nc_attr now;

    assert_int_equal(nc_getattr(c, fid, NINE_GETATTR_BASIC, &now), 0);
    assert_int_equal(now.qid.path, was->qid.path);
    assert_int_equal(now.size, size);
    assert_int_equal(now.mode & 07777, mode);
    assert_int_equal(now.nlink, nlink);
}

static void
assert_xattrs_work(struct nc *c)
{
    uint64_t size = 0;
    char value[8];

    assert_int_equal(nc_walk(c, OPEN, CLONE, 0, NULL, NULL, NULL), 0);
    assert_int_equal(nc_xattrcreate(c, CLONE, "user.late", 4, 0), 0);
    assert_int_equal(nc_write(c, CLONE, 0, "late", 4), 4);
    assert_int_equal(nc_clunk(c, CLONE), 0);
    assert_int_equal(nc_xattrwalk(c, OPEN, CLONE, "user.late", &size), 0);
    assert_int_equal(size, 4);
    assert_int_equal(nc_read(c, CLONE, 0, value, sizeof(value)), 4);
    assert_memory_equal(value, "late", 4);
    assert_int_equal(nc_clunk(c, CLONE), 0);
}

static void
assert_it_lives(struct nc *c, const struct nc_attr *was, uint64_t nlink)
{
    const struct nc_setattr shorter = {.valid = NINE_SET_SIZE, .size = 6};
    const struct nc_setattr mode = {.valid = NINE_SET_MODE, .mode = 0600};
    char buf[16];

    assert_int_equal(nc_read(c, OPEN, 0, buf, sizeof(buf)), 7);
    assert_memory_equal(buf, "content", 7);
    assert_int_equal(nc_write(c, OPEN, 7, "!!", 2), 2);
    assert_attr(c, OPEN, was, 9, 0644, nlink);
    assert_int_equal(nc_setattr(c, OPEN, &shorter), 0);
    assert_int_equal(nc_setattr(c, NAMED, &mode), 0); /* also by the fid that is not open */
    assert_attr(c, OPEN, was, 6, 0600, nlink);
    assert_attr(c, NAMED, was, 6, 0600, nlink);
    assert_int_equal(nc_fsync(c, OPEN, 0), 0);
    assert_xattrs_work(c);
    assert_int_equal(nc_clunk(c, OPEN), 0);
    assert_int_equal(nc_lopen(c, NAMED, NINE_O_RDWR, NULL, NULL), 0); /* and again */
    assert_int_equal(nc_read(c, NAMED, 0, buf, sizeof(buf)), 6);
    assert_memory_equal(buf, "conten", 6);
    assert_int_equal(nc_clunk(c, NAMED), 0);
}

/* The name is what it became, not the file that had it. */
static void
assert_host_has(const struct parties *p, enum what what)
{
    struct stat st;

    if (what == REPLACED) {
        assert_int_equal(stat(at(p, "file"), &st), 0);
        assert_int_equal(st.st_size, 5);
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(unlink(at(p, "file")), 0);
    } else {
        assert_int_equal(access(at(p, "file"), F_OK), -1);
        assert_int_equal(unlink(at(p, "another")), 0);
    }
    if (what == RENAMED) {
        assert_int_equal(stat(at(p, "moved"), &st), 0);
        assert_int_equal(st.st_size, 6);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(unlink(at(p, "moved")), 0);
    }
}

static void
a_fid_stays_its_file_whoever_renames_replaces_or_removes_it(void **state)
{
    static void (*const who[])(const struct parties *,
                               enum what) = {by_its_own_client, by_another_client, by_the_host};
    static const char *const name = "file";
    struct server *s = *state;
    struct parties p = {.s = s};
    struct nc_attr was;

    server_start(s, NULL);
    p.own = server_attach(s, "rw");
    p.other = server_attach(s, "rw");
    for (size_t i = 0; i < COUNT(who); i++) {
        for (enum what what = RENAMED; what <= REMOVED; what++) {
            make(p.own, "file", "content");
            make(p.own, "another", "other");
            assert_int_equal(nc_walk(p.own, ROOT, NAMED, 1, &name, NULL, NULL), 0);
            assert_int_equal(nc_walk(p.own, ROOT, OPEN, 1, &name, NULL, NULL), 0);
            assert_int_equal(nc_lopen(p.own, OPEN, NINE_O_RDWR, NULL, NULL), 0);
            assert_int_equal(nc_getattr(p.own, OPEN, NINE_GETATTR_BASIC, &was), 0);
            who[i](&p, what);
            assert_it_lives(p.own, &was, what == RENAMED ? 1 : 0);
            assert_host_has(&p, what);
        }
    }
    nc_close(p.own);
    nc_close(p.other);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, server_setup, server_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_fid_stays_its_file_whoever_renames_replaces_or_removes_it),
    };

    return cmocka_run_group_tests_name("files that move", tests, NULL, NULL);
}
