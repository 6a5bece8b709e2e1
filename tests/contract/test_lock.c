/*
 * Byte-range locks: LOCK, GETLOCK.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "tests/lib/contract.h"

static int
lock(struct contract *c, uint64_t file, uint32_t type, uint64_t start, uint64_t length)
{
    Postern__V1__LockReq req = POSTERN__V1__LOCK_REQ__INIT;

    req.file = file;
    req.type = type;
    req.start = start;
    req.length = length;
    return ask_lock(&c->client, &req, NULL);
}

static int
getlock(struct contract *c, uint64_t file, uint32_t type, uint64_t start, uint64_t length,
        struct flock *ret)
{
    Postern__V1__GetlockReq req = POSTERN__V1__GETLOCK_REQ__INIT;
    const Postern__V1__GetlockRep *rep;
    int r;

    req.file = file;
    req.type = type;
    req.start = start;
    req.length = length;
    r = ask_getlock(&c->client, &req, &rep);
    if (r == 0)
        *ret = (struct flock){
            .l_type = (short)rep->type, .l_start = (off_t)rep->start, .l_len = (off_t)rep->length};
    return r;
}

/* Two open files of one file: two owners. */
struct pair {
    struct contract *c;
    uint64_t node, a, b;
};

static struct pair
pair_open(void **state)
{
    struct pair p = {.c = *state};

    host_write(p.c, "f", "0123456789");
    p.node = walk_to(p.c, NODE_ROOT, "f");
    p.a = open_write(p.c, p.node, OPEN_READS);
    p.b = open_write(p.c, p.node, OPEN_READS);
    return p;
}

static void
pair_close(struct pair *p)
{
    close_file(p->c, p->a);
    close_file(p->c, p->b);
    forget(p->c, p->node, 1);
}

static void
a_lock_keeps_others_out_of_its_range_alone(void **state)
{
    struct pair p = pair_open(state);

    assert_int_equal(lock(p.c, p.a, LOCK_FOR_WRITE, 2, 3), 0);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_WRITE, 4, 1), -EAGAIN);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_READ, 0, 0), -EAGAIN);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_WRITE, 0, 2), 0);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_WRITE, 5, 0), 0);
    assert_int_equal(lock(p.c, p.a, LOCK_FOR_WRITE, 1, 1), -EAGAIN);
    assert_int_equal(lock(p.c, p.a, LOCK_UNLOCK, 3, 1), 0); /* a hole in the middle */
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_WRITE, 3, 1), 0);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_WRITE, 2, 1), -EAGAIN);
    pair_close(&p);
}

static void
readers_share_and_one_owner_may_change_its_mind(void **state)
{
    struct pair p = pair_open(state);

    assert_int_equal(lock(p.c, p.a, LOCK_FOR_READ, 0, 0), 0);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_READ, 0, 0), 0);
    assert_int_equal(lock(p.c, p.a, LOCK_FOR_WRITE, 0, 0), -EAGAIN);
    assert_int_equal(lock(p.c, p.b, LOCK_UNLOCK, 0, 0), 0);
    assert_int_equal(lock(p.c, p.a, LOCK_FOR_WRITE, 0, 0), 0);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_READ, 1000000, 1), -EAGAIN);
    pair_close(&p);
}

static void
closing_the_file_ends_its_locks_and_no_others(void **state)
{
    struct pair p = pair_open(state);
    uint64_t third = open_write(p.c, p.node, OPEN_READS);

    assert_int_equal(lock(p.c, p.a, LOCK_FOR_WRITE, 0, 1), 0);
    assert_int_equal(lock(p.c, third, LOCK_FOR_WRITE, 1, 1), 0);
    close_file(p.c, third); /* POSIX locks would lose the first one, too */
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_WRITE, 0, 1), -EAGAIN);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_WRITE, 1, 1), 0);
    pair_close(&p);
}

static void
getlock_says_what_stands_in_the_way(void **state)
{
    struct pair p = pair_open(state);
    struct flock fl;

    assert_int_equal(getlock(p.c, p.b, LOCK_FOR_WRITE, 0, 0, &fl), 0);
    assert_int_equal(fl.l_type, LOCK_UNLOCK);
    assert_int_equal(lock(p.c, p.a, LOCK_FOR_READ, 4, 0), 0);
    assert_int_equal(getlock(p.c, p.b, LOCK_FOR_READ, 0, 0, &fl), 0);
    assert_int_equal(fl.l_type, LOCK_UNLOCK);
    assert_int_equal(getlock(p.c, p.b, LOCK_FOR_WRITE, 0, 4, &fl), 0);
    assert_int_equal(fl.l_type, LOCK_UNLOCK);
    assert_int_equal(getlock(p.c, p.b, LOCK_FOR_WRITE, 0, 0, &fl), 0);
    assert_int_equal(fl.l_type, LOCK_FOR_READ);
    assert_int_equal(fl.l_start, 4);
    assert_int_equal(fl.l_len, 0);
    assert_int_equal(lock(p.c, p.a, LOCK_FOR_WRITE, 4, 6), 0);
    assert_int_equal(lock(p.c, p.a, LOCK_UNLOCK, 10, 0), 0);
    assert_int_equal(getlock(p.c, p.b, LOCK_FOR_READ, 9, 1, &fl), 0);
    assert_int_equal(fl.l_type, LOCK_FOR_WRITE);
    assert_int_equal(fl.l_start, 4);
    assert_int_equal(fl.l_len, 6);
    assert_int_equal(getlock(p.c, p.a, LOCK_FOR_WRITE, 0, 0, &fl), 0); /* its own is no obstacle */
    assert_int_equal(fl.l_type, LOCK_UNLOCK);
    assert_int_equal(getlock(p.c, p.b, LOCK_UNLOCK, 0, 0, &fl), -EINVAL);
    pair_close(&p);
}

static void
programs_of_the_host_see_the_locks_and_are_seen(void **state)
{
    struct pair p = pair_open(state);
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 5};
    int fd = openat(p.c->root, "f", O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(lock(p.c, p.a, LOCK_FOR_WRITE, 5, 5), 0);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_READ, 0, 1), -EAGAIN);
    fl.l_len = 6;
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), -1);
    assert_int_equal(errno, EAGAIN);
    clean_fd(&fd);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_READ, 0, 1), 0);
    pair_close(&p);
}

static void
a_lock_needs_a_file_open_for_what_it_does(void **state)
{
    struct contract *c = *state;
    uint64_t node, r, w;

    host_write(c, "f", "x");
    node = walk_to(c, NODE_ROOT, "f");
    r = open_read(c, node);
    w = open_write(c, node, 0);
    assert_int_equal(lock(c, r, LOCK_FOR_WRITE, 0, 0), -EBADF);
    assert_int_equal(lock(c, w, LOCK_FOR_READ, 0, 0), -EBADF);
    assert_int_equal(lock(c, r, LOCK_FOR_READ, 0, 0), 0);
    assert_int_equal(lock(c, w, LOCK_FOR_WRITE, 0, 0), -EAGAIN);
    close_file(c, r);
    assert_int_equal(lock(c, w, LOCK_FOR_WRITE, 0, 0), 0);
    close_file(c, w);
    assert_int_equal(lock(c, w, LOCK_UNLOCK, 0, 0), -EBADF);
    forget(c, node, 1);
}

static void
ranges_end_at_the_last_possible_byte(void **state)
{
    static const struct {
        uint64_t start, length;
        int want;
    } cases[] = {
        {INT64_MAX, 0, 0},
        {INT64_MAX, 1, 0},
        {INT64_MAX - 1, 2, 0},
        {0, INT64_MAX, 0},
        {1, INT64_MAX, 0},
        {2, INT64_MAX, -EINVAL},
        {INT64_MAX, 2, -EINVAL},
        {(uint64_t)INT64_MAX + 1, 0, -EINVAL},
        {0, (uint64_t)INT64_MAX + 1, -EINVAL},
        {UINT64_MAX, UINT64_MAX, -EINVAL},
        {1, UINT64_MAX, -EINVAL},
    };
    struct pair p = pair_open(state);
    struct flock fl;

    for (unsigned i = 0; i < COUNT(cases); i++) {
        assert_int_equal(lock(p.c, p.a, LOCK_FOR_WRITE, cases[i].start, cases[i].length),
                         cases[i].want);
        assert_int_equal(getlock(p.c, p.a, LOCK_FOR_WRITE, cases[i].start, cases[i].length, &fl),
                         cases[i].want);
    }
    pair_close(&p);
}

static void
a_lock_survives_the_files_name(void **state)
{
    struct pair p = pair_open(state);

    assert_int_equal(lock(p.c, p.a, LOCK_FOR_WRITE, 0, 1), 0);
    assert_int_equal(renameat(p.c->root, "f", p.c->root, "g"), 0);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_WRITE, 0, 1), -EAGAIN);
    assert_int_equal(unlinkat(p.c->root, "g", 0), 0);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_WRITE, 0, 1), -EAGAIN);
    assert_int_equal(lock(p.c, p.a, LOCK_UNLOCK, 0, 0), 0);
    assert_int_equal(lock(p.c, p.b, LOCK_FOR_WRITE, 0, 1), 0);
    pair_close(&p);
}

static void
a_read_only_share_has_read_locks(void **state)
{
    struct contract *c = contract_open(&(struct contract_options){.read_only = true});
    uint64_t node, f;

    (void)state;
    host_write(c, "f", "x");
    node = walk_to(c, NODE_ROOT, "f");
    f = open_read(c, node);
    assert_int_equal(lock(c, f, LOCK_FOR_READ, 0, 0), 0);
    assert_int_equal(lock(c, f, LOCK_FOR_WRITE, 0, 0), -EBADF);
    assert_int_equal(lock(c, f, LOCK_UNLOCK, 0, 0), 0);
    close_file(c, f);
    forget(c, node, 1);
    (void)contract_close(c);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, contract_setup, contract_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_lock_keeps_others_out_of_its_range_alone),
        CLAIM(readers_share_and_one_owner_may_change_its_mind),
        CLAIM(closing_the_file_ends_its_locks_and_no_others),
        CLAIM(getlock_says_what_stands_in_the_way),
        CLAIM(programs_of_the_host_see_the_locks_and_are_seen),
        CLAIM(a_lock_needs_a_file_open_for_what_it_does),
        CLAIM(ranges_end_at_the_last_possible_byte),
        CLAIM(a_lock_survives_the_files_name),
        cmocka_unit_test(a_read_only_share_has_read_locks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
