/*
 * Changing attributes: SETATTR.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/contract.h"

static Postern__V1__SetattrReq
of(uint64_t node)
{
    Postern__V1__SetattrReq req = POSTERN__V1__SETATTR_REQ__INIT;

    req.node = node;
    return req;
}

static void
mode_is_set_on_everything_but_a_symlink(void **state)
{
    struct contract *c = *state;
    uint64_t n;

    host_write(c, "f", "x");
    host_mkdir(c, "d");
    assert_int_equal(mkfifoat(c->root, "p", 0644), 0);
    assert_int_equal(symlinkat("f", c->root, "l"), 0);
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(chmod_node(c, n, 01641), 0);
    assert_int_equal(host_stat(c, "f").st_mode, S_IFREG | 01641);
    forget(c, n, 1);
    n = walk_to(c, NODE_ROOT, "d");
    assert_int_equal(chmod_node(c, n, 03711), 0); /* setgid is kept on directories */
    assert_int_equal(host_stat(c, "d").st_mode, S_IFDIR | 03711);
    forget(c, n, 1);
    n = walk_to(c, NODE_ROOT, "p");
    assert_int_equal(chmod_node(c, n, 0600), 0);
    assert_int_equal(host_stat(c, "p").st_mode, S_IFIFO | 0600);
    forget(c, n, 1);
    n = walk_to(c, NODE_ROOT, "l");
    assert_int_equal(chmod_node(c, n, 0600), -EOPNOTSUPP);
    assert_int_equal(host_stat(c, "f").st_mode, S_IFREG | 01641);
    forget(c, n, 1);
}

static void
set_id_bits_are_refused_and_change_nothing(void **state)
{
    struct contract *c = *state;
    uint64_t n;

    host_write(c, "f", "x");
    host_mkdir(c, "d");
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(chmod_node(c, n, 04755), -EPERM);
    assert_int_equal(chmod_node(c, n, 02755), -EPERM);
    assert_int_equal(host_stat(c, "f").st_mode, S_IFREG | 0644);
    forget(c, n, 1);
    n = walk_to(c, NODE_ROOT, "d");
    assert_int_equal(chmod_node(c, n, 04755), -EPERM);
    forget(c, n, 1);
}

static void
set_id_bits_are_set_where_policy_allows_them(void **state)
{
    struct contract *c;
    uint64_t n;

    (void)state;
    c = contract_open(&(struct contract_options){.allow_set_id = true});
    host_write(c, "f", "x");
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(chmod_node(c, n, 06755), 0);
    assert_int_equal(host_stat(c, "f").st_mode, S_IFREG | 06755);
    (void)contract_close(c);
}

/* Until a change would bear another time than those made so far. */
static void
tick(void)
{
    struct timespec then, now;

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &then);
    do
        (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    while (now.tv_sec == then.tv_sec && now.tv_nsec == then.tv_nsec);
}

static void
ctime_moves_with_an_owner_or_mode_that_stays(void **state)
{
    static const enum share_identity models[] = {IDENTITY_SQUASH, IDENTITY_STORED};

    (void)state;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        struct contract *c = contract_open(&(struct contract_options){
            .identity = models[i], .xattrs = XATTR_USER, .present_uid = 77, .present_gid = 77});
        Postern__V1__SetattrReq req;
        struct stat was;
        uint64_t n;

        host_write(c, "f", "x");
        n = walk_to(c, NODE_ROOT, "f");
        assert_int_equal(chmod_node(c, n, 0600), 0);
        was = host_stat(c, "f");
        tick();
        assert_int_equal(chmod_node(c, n, 0600), 0);
        assert_true(host_stat(c, "f").st_ctim.tv_nsec != was.st_ctim.tv_nsec);
        was = host_stat(c, "f");
        tick();
        req = of(n);
        req.has_uid = req.has_gid = true;
        req.uid = req.gid = 77;
        assert_int_equal(ask_setattr(&c->client, &req, NULL), 0);
        assert_true(host_stat(c, "f").st_ctim.tv_nsec != was.st_ctim.tv_nsec);
        assert_int_equal(host_stat(c, "f").st_uid, was.st_uid);
        (void)contract_close(c);
    }
}

static void
the_owner_shown_may_be_set_and_no_other(void **state)
{
    struct contract *c = *state;
    Postern__V1__SetattrReq req;
    const Postern__V1__SetattrRep *rep;
    uid_t uid;
    uint64_t n;

    host_write(c, "f", "x");
    uid = host_stat(c, "f").st_uid;
    n = walk_to(c, NODE_ROOT, "f");
    req = of(n);
    req.has_uid = req.has_gid = true;
    req.uid = 1000;
    req.gid = 1001;
    assert_int_equal(ask_setattr(&c->client, &req, &rep), 0);
    assert_int_equal(msg_attr(rep->attr)->uid, 1000);
    assert_int_equal(host_stat(c, "f").st_uid, uid);
    req.uid = 0;
    req.has_size = true; /* and nothing else is done either */
    assert_int_equal(ask_setattr(&c->client, &req, NULL), -EPERM);
    req.uid = 1000;
    req.gid = 0;
    assert_int_equal(ask_setattr(&c->client, &req, NULL), -EPERM);
    assert_int_equal(host_stat(c, "f").st_size, 1);
    forget(c, n, 1);
}

static void
size_is_set_by_node_and_by_open_file(void **state)
{
    struct contract *c = *state;
    Postern__V1__SetattrReq req;
    const Postern__V1__SetattrRep *rep;
    uint64_t n, f;

    host_write(c, "f", "hello");
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(truncate_node(c, n, 2), 0);
    assert_int_equal(host_stat(c, "f").st_size, 2);
    f = open_write(c, n, 0);
    assert_int_equal(unlinkat(c->root, "f", 0), 0);
    req = of(n);
    req.has_file = req.has_size = true;
    req.file = f;
    req.size = 1u << 20;
    assert_int_equal(ask_setattr(&c->client, &req, &rep), 0);
    assert_int_equal(msg_attr(rep->attr)->size, 1u << 20);
    assert_int_equal(truncate_node(c, n, 7), 0); /* it has no name, but it is there */
    close_file(c, f);
    assert_int_equal(ask_setattr(&c->client, &req, NULL), -EBADF);
    req.file = open_read(c, n);
    assert_int_equal(ask_setattr(&c->client, &req, NULL), -EBADF);
    close_file(c, req.file);
    forget(c, n, 1);
}

static void
size_is_refused_where_there_is_none(void **state)
{
    struct contract *c = *state;
    uint64_t n;

    assert_int_equal(truncate_node(c, NODE_ROOT, 0), -EISDIR);
    assert_int_equal(mkfifoat(c->root, "p", 0644), 0);
    n = walk_to(c, NODE_ROOT, "p");
    assert_int_equal(truncate_node(c, n, 0), -EINVAL);
    forget(c, n, 1);
    host_write(c, "f", "x");
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(truncate_node(c, n, (uint64_t)INT64_MAX + 1), -EINVAL);
    assert_int_equal(truncate_node(c, n, UINT64_MAX), -EINVAL);
    assert_int_equal(host_stat(c, "f").st_size, 1);
    forget(c, n, 1);
}

static void
times_are_exact_and_those_not_named_stay(void **state)
{
    struct contract *c = *state;
    const struct timespec old[2] = {{.tv_sec = 100, .tv_nsec = 1}, {.tv_sec = 200, .tv_nsec = 2}};
    Postern__V1__SetattrReq req;
    struct stat st;
    uint64_t n;

    assert_int_equal(symlinkat("x", c->root, "l"), 0);
    host_write(c, "f", "x");
    assert_int_equal(utimensat(c->root, "f", old, 0), 0);
    n = walk_to(c, NODE_ROOT, "f");
    req = of(n);
    req.has_mtime_sec = req.has_mtime_nsec = true;
    req.mtime_sec = -1;
    req.mtime_nsec = 999999999;
    assert_int_equal(ask_setattr(&c->client, &req, NULL), 0);
    st = host_stat(c, "f");
    assert_int_equal(st.st_mtim.tv_sec, -1);
    assert_int_equal(st.st_mtim.tv_nsec, 999999999);
    assert_int_equal(st.st_atim.tv_sec, 100);
    assert_int_equal(st.st_atim.tv_nsec, 1);
    req = of(n);
    req.has_atime_now = true;
    req.atime_now = 1;
    assert_int_equal(ask_setattr(&c->client, &req, NULL), 0);
    st = host_stat(c, "f");
    assert_true(st.st_atim.tv_sec >= time(NULL) - 60);
    assert_int_equal(st.st_mtim.tv_sec, -1);
    forget(c, n, 1);

    n = walk_to(c, NODE_ROOT, "l"); /* of the link, not of what it names */
    req = of(n);
    req.has_mtime_sec = req.has_mtime_nsec = true;
    req.mtime_sec = 77;
    assert_int_equal(ask_setattr(&c->client, &req, NULL), 0);
    assert_int_equal(host_stat(c, "l").st_mtim.tv_sec, 77);
    forget(c, n, 1);
}

static void
times_that_make_no_sense_are_refused(void **state)
{
    struct contract *c = *state;
    Postern__V1__SetattrReq req = of(NODE_ROOT);

    req.has_mtime_sec = req.has_mtime_nsec = true;
    req.mtime_nsec = 1000000000;
    assert_int_equal(ask_setattr(&c->client, &req, NULL), -EINVAL);
    req.mtime_nsec = UINT32_MAX;
    assert_int_equal(ask_setattr(&c->client, &req, NULL), -EINVAL);
    req.mtime_nsec = 0;
    req.has_mtime_now = true;
    req.mtime_now = 1;
    assert_int_equal(ask_setattr(&c->client, &req, NULL), -EINVAL);
    req.has_mtime_now = req.has_mtime_sec = false;
    assert_int_equal(ask_setattr(&c->client, &req, NULL), -EINVAL);
}

static void
all_at_once_ends_with_all_of_it(void **state)
{
    struct contract *c = *state;
    Postern__V1__SetattrReq req;
    struct stat st;
    uint64_t n;

    host_write(c, "f", "hello");
    n = walk_to(c, NODE_ROOT, "f");
    req = of(n);
    req.has_size = req.has_mode = req.has_mtime_sec = req.has_mtime_nsec = true;
    req.size = 3;
    req.mode = 0400; /* must not be in the way of size */
    req.mtime_sec = 5;
    assert_int_equal(ask_setattr(&c->client, &req, NULL), 0);
    st = host_stat(c, "f");
    assert_int_equal(st.st_size, 3);
    assert_int_equal(st.st_mode, S_IFREG | 0400);
    assert_int_equal(st.st_mtim.tv_sec, 5);
    forget(c, n, 1);
    req.node = n;
    assert_int_equal(ask_setattr(&c->client, &req, NULL), -ESTALE);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, contract_setup, contract_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(mode_is_set_on_everything_but_a_symlink),
        CLAIM(set_id_bits_are_refused_and_change_nothing),
        CLAIM(ctime_moves_with_an_owner_or_mode_that_stays),
        CLAIM(the_owner_shown_may_be_set_and_no_other),
        CLAIM(size_is_set_by_node_and_by_open_file),
        CLAIM(size_is_refused_where_there_is_none),
        CLAIM(times_are_exact_and_those_not_named_stay),
        CLAIM(times_that_make_no_sense_are_refused),
        CLAIM(all_at_once_ends_with_all_of_it),
        cmocka_unit_test(set_id_bits_are_set_where_policy_allows_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
