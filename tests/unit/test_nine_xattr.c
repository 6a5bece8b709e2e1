/*
 * Extended attributes over 9P: Txattrwalk, Txattrcreate, and what the fids
 * that they make are good for, against a share in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define CREATE 1u
#define REPLACE 2u
#define ZERO ((uint64_t)0)

static uint8_t big[XATTR_SIZE_MAX + 1];

static int
setup(void **state)
{
    struct rig *rig = rig_new(&rig_limits);

    synth_put_dir(rig->rw, "dir");
    synth_put_file(rig->rw, "file", "hello", 5);
    synth_put_file(rig->ro, "file", "hello", 5);
    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (uint8_t)(i * 7 + i / 251);
    *state = rig;
    return 0;
}

/* Txattrwalk: the size, or -errno. */
static int64_t
walk(struct guest *g, uint32_t fid, uint32_t newfid, const char *key)
{
    struct msg m = guest_ask(g, TXATTRWALK, "44s", fid, newfid, key);
    int64_t size;

    if (msg_errno(&m) != 0)
        return -msg_errno(&m);
    assert_int_equal(m.type, TXATTRWALK + 1);
    size = (int64_t)cur_u64(&m.body);
    assert_true(cur_end(&m.body));
    return size;
}

static int
create(struct guest *g, uint32_t fid, const char *key, uint64_t size, uint32_t flags)
{
    return guest_does(g, TXATTRCREATE, "4s84", fid, key, size, flags);
}

static int
write_at(struct guest *g, uint32_t fid, uint64_t offset, const void *p, size_t n)
{
    return guest_does(g, TWRITE, "484r", fid, offset, (uint32_t)n, p, n);
}

/* As Linux does it: clone, create, write, clunk. */
static int
set(struct guest *g, const char *path, const char *key, const void *p, size_t n, uint32_t flags)
{
    guest_walk(g, 0, 50, path);
    assert_int_equal(create(g, 50, key, n, flags), 0);
    if (n > 0)
        assert_int_equal(write_at(g, 50, 0, p, n), 0);
    return guest_does(g, TCLUNK, "4", 50u);
}

static void
value_is(struct rig *rig, const char *key, const void *p, size_t n)
{
    uint32_t have;
    const uint8_t *v = synth_xattr(rig->rw, "file", key, &have);

    assert_non_null(v);
    assert_int_equal(have, n);
    assert_memory_equal(v, p, n);
}

static void
a_value_is_written_and_set_by_its_clunk(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    uint32_t n;

    guest_walk(g, 0, 2, "file");
    assert_int_equal(create(g, 2, "user.a", 10, 0), 0);
    assert_int_equal(write_at(g, 2, 0, "01234", 5), 0);
    assert_int_equal(write_at(g, 2, 5, "56789", 5), 0);
    assert_int_equal(write_at(g, 2, 0, "X", 1), 0); /* what is there may be written again */
    assert_null(synth_xattr(rig->rw, "file", "user.a", &n));
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);
    value_is(rig, "user.a", "X123456789", 10);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), EBADF);
}

static void
a_value_is_read_by_a_fid_of_its_own(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    assert_int_equal(set(g, "file", "user.a", "0123456789", 10, 0), 0);
    guest_walk(g, 0, 2, "file");
    assert_int_equal(walk(g, 2, 3, "user.a"), 10);
    assert_int_equal(set(g, "file", "user.a", "other", 5, REPLACE), 0);
    m = guest_ask(g, TREAD, "484", 3u, (uint64_t)3, 4u); /* what was there at the walk */
    assert_int_equal(m.size, 11 + 4);
    assert_int_equal(cur_u32(&m.body), 4);
    assert_memory_equal(m.body.at, "3456", 4);
    assert_int_equal(guest_does(g, TCLUNK, "4", 3u), 0);
    assert_int_equal(guest_does(g, TGETATTR, "48", 2u, (uint64_t)0x7ff), 0); /* still a file */
}

static void
the_empty_name_lists_all_names(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    guest_walk(g, 0, 2, "file");
    assert_int_equal(walk(g, 2, 3, ""), 0);
    m = guest_ask(g, TREAD, "484", 3u, ZERO, 100u);
    assert_int_equal(cur_u32(&m.body), 0);
    assert_int_equal(set(g, "file", "user.a", "1", 1, 0), 0);
    assert_int_equal(set(g, "file", "user.bc", "2", 1, 0), 0);
    assert_int_equal(walk(g, 2, 4, ""), 15);
    m = guest_ask(g, TREAD, "484", 4u, ZERO, 100u);
    assert_int_equal(cur_u32(&m.body), 15);
    assert_memory_equal(m.body.at, "user.a\0user.bc", 15);
}

static void
what_is_not_there_and_what_is_not_offered_are_told_apart(void **state)
{
    struct guest *g = guest_new(*state);

    guest_walk(g, 0, 2, "file");
    assert_int_equal(walk(g, 2, 3, "user.a"), -ENODATA);
    assert_int_equal(walk(g, 2, 3, "trusted.a"), -EOPNOTSUPP);
    assert_int_equal(guest_does(g, TCLUNK, "4", 3u), EBADF); /* was not made */
    assert_int_equal(set(g, "file", "trusted.a", "1", 1, 0), EOPNOTSUPP);
    assert_int_equal(set(g, "file", "user.a", "1", 1, REPLACE), ENODATA);
    assert_int_equal(set(g, "file", "user.a", "1", 1, CREATE), 0);
    assert_int_equal(set(g, "file", "user.a", "1", 1, CREATE), EEXIST);
}

static void
an_empty_replacement_removes_and_an_empty_value_is_a_value(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    uint32_t n;

    assert_int_equal(set(g, "file", "user.a", NULL, 0, REPLACE), ENODATA);
    assert_int_equal(set(g, "file", "user.a", "1", 1, 0), 0);
    assert_int_equal(set(g, "file", "user.a", NULL, 0, REPLACE), 0);
    assert_null(synth_xattr(rig->rw, "file", "user.a", &n));
    assert_int_equal(synth_calls(rig->rw, OP_REMOVEXATTR), 2);
    assert_int_equal(set(g, "file", "user.a", NULL, 0, 0), 0);
    value_is(rig, "user.a", "", 0);
    assert_int_equal(set(g, "file", "user.b", NULL, 0, CREATE), 0);
    guest_walk(g, 0, 2, "file");
    assert_int_equal(walk(g, 2, 3, "user.b"), 0);
}

static void
a_value_has_at_most_64_kib(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    guest_version(g, 200000);
    guest_attach(g, 0, "rw");
    assert_int_equal(set(g, "file", "user.a", big, XATTR_SIZE_MAX, 0), 0);
    value_is(rig, "user.a", big, XATTR_SIZE_MAX);
    guest_walk(g, 0, 2, "file");
    assert_int_equal(walk(g, 2, 3, "user.a"), XATTR_SIZE_MAX);
    m = guest_ask(g, TREAD, "484", 3u, ZERO, 200000u);
    assert_int_equal(cur_u32(&m.body), XATTR_SIZE_MAX);
    assert_memory_equal(m.body.at, big, XATTR_SIZE_MAX);
    assert_int_equal(create(g, 2, "user.b", XATTR_SIZE_MAX + 1, 0), E2BIG);
    assert_int_equal(create(g, 2, "user.b", UINT32_MAX, 0), E2BIG);
    assert_int_equal(create(g, 2, "user.b", (uint64_t)1 << 32, 0), E2BIG);
    assert_int_equal(create(g, 2, "user.b", UINT64_MAX, 0), E2BIG);
    assert_int_equal(guest_does(g, TLOPEN, "44", 2u, (uint32_t)O_RDONLY), 0); /* still a file */
}

static void
a_read_is_never_longer_than_msize_allows(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    assert_int_equal(set(g, "file", "user.a", big, 60000, 0), 0);
    guest_version(g, 4096);
    guest_attach(g, 0, "rw");
    guest_walk(g, 0, 2, "file");
    assert_int_equal(walk(g, 2, 3, "user.a"), 60000);
    m = guest_ask(g, TREAD, "484", 3u, ZERO, UINT32_MAX);
    assert_int_equal(m.size, 4096 - 24 + 11);
    for (uint64_t at = 0; at < 60000;) {
        uint32_t n;

        m = guest_ask(g, TREAD, "484", 3u, at, 4072u);
        n = cur_u32(&m.body);
        assert_in_range(n, 1, 4072);
        assert_memory_equal(m.body.at, big + at, n);
        at += n;
    }
}

static const uint64_t edges[] = {
    0, 1, 9, 10, 11, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX, (uint64_t)1 << 63, UINT64_MAX};

static void
no_offset_and_count_read_beyond_a_value(void **state)
{
    static const char digits[] = "0123456789";
    struct guest *g = guest_new(*state);

    assert_int_equal(set(g, "file", "user.a", "0123456789", 10, 0), 0);
    guest_walk(g, 0, 2, "file");
    assert_int_equal(walk(g, 2, 3, "user.a"), 10);
    for (size_t i = 0; i < COUNT(edges); i++) {
        for (size_t k = 0; k < COUNT(edges); k++) {
            uint32_t count = (uint32_t)edges[k];
            uint64_t left = edges[i] < 10 ? 10 - edges[i] : 0, want = left < count ? left : count;
            struct msg m = guest_ask(g, TREAD, "484", 3u, edges[i], count);

            assert_int_equal(m.type, TREAD + 1);
            assert_int_equal(cur_u32(&m.body), want);
            assert_int_equal(m.size, 11 + want);
            assert_memory_equal(m.body.at, &digits[want > 0 ? edges[i] : 0], want);
        }
    }
}

static void
no_offset_and_count_write_beyond_what_was_announced(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    static const uint32_t counts[] = {0, 1, 10, 11, 40000};

    for (size_t i = 0; i < COUNT(edges); i++) {
        for (size_t k = 0; k < COUNT(counts); k++) {
            bool beyond = edges[i] > 10 || counts[k] > 10 - edges[i];
            int e = edges[i] > 0 ? EINVAL : 0; /* behind a gap */

            guest_walk(g, 0, 2, "file");
            assert_int_equal(create(g, 2, "user.a", 10, 0), 0);
            assert_int_equal(write_at(g, 2, edges[i], big, counts[k]), beyond ? ENOSPC : e);
            e = edges[i] == 0 && counts[k] == 10 ? 0 : EINVAL;
            assert_int_equal(guest_does(g, TCLUNK, "4", 2u), e);
        }
    }
    guest_walk(g, 0, 2, "file");
    assert_int_equal(create(g, 2, "user.a", 10, 0), 0);
    assert_int_equal(write_at(g, 2, 0, "0123456789", 10), 0);
    assert_int_equal(write_at(g, 2, 10, "", 0), 0);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);
    value_is(rig, "user.a", "0123456789", 10);
}

static void
too_few_bytes_set_nothing(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    uint32_t n;

    for (size_t written = 0; written < 10; written++) {
        guest_walk(g, 0, 2, "file");
        assert_int_equal(create(g, 2, "user.a", 10, 0), 0);
        if (written > 0)
            assert_int_equal(write_at(g, 2, 0, big, written), 0);
        assert_int_equal(guest_does(g, TCLUNK, "4", 2u), EINVAL);
        assert_int_equal(guest_does(g, TCLUNK, "4", 2u), EBADF); /* it is gone all the same */
    }
    assert_null(synth_xattr(rig->rw, "file", "user.a", &n));
    assert_int_equal(synth_calls(rig->rw, OP_SETXATTR), 0);
}

static void
a_fid_of_an_attribute_is_no_file(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    static const uint8_t zeros[56];

    assert_int_equal(set(g, "file", "user.a", "1", 1, 0), 0);
    guest_walk(g, 0, 2, "file");
    assert_int_equal(walk(g, 2, 3, "user.a"), 1);
    assert_int_equal(create(g, 2, "user.b", 10, 0), 0);
    for (uint32_t fid = 2; fid <= 3; fid++) {
        assert_int_equal(guest_does(g, TGETATTR, "48", fid, ZERO), EBADF);
        assert_int_equal(guest_does(g, TSETATTR, "4r", fid, zeros, sizeof(zeros)), EBADF);
        assert_int_equal(guest_does(g, TSTATFS, "4", fid), EBADF);
        assert_int_equal(guest_does(g, TLOPEN, "44", fid, 0u), EBADF);
        assert_int_equal(guest_does(g, TLCREATE, "4s444", fid, "x", 2u, 0644u, 0u), EBADF);
        assert_int_equal(guest_does(g, TWALK, "442", fid, 9u, 0u), EBADF);
        assert_int_equal(guest_does(g, TREADDIR, "484", fid, ZERO, 100u), EBADF);
        assert_int_equal(guest_does(g, TREADLINK, "4", fid), EBADF);
        assert_int_equal(guest_does(g, TFSYNC, "44", fid, 0u), EBADF);
        assert_int_equal(guest_does(g, TMKDIR, "4s44", fid, "x", 0755u, 0u), EBADF);
        assert_int_equal(guest_does(g, TLINK, "44s", 0u, fid, "x"), EBADF);
        assert_int_equal(guest_does(g, TLINK, "44s", fid, 0u, "x"), EBADF);
        assert_int_equal(walk(g, fid, 9, "user.a"), -EBADF);
        assert_int_equal(create(g, fid, "user.a", 1, 0), EBADF);
        assert_int_equal(guest_does(g, TLOCK,
                                    "41488"
                                    "4s",
                                    fid, 1u, 0u, ZERO, ZERO, 1u, "c"),
                         EBADF);
    }
    assert_int_equal(guest_does(g, TREAD, "484", 2u, ZERO, 10u), EBADF); /* half written */
    assert_int_equal(write_at(g, 3, 0, "2", 1), EBADF);
    assert_int_equal(guest_does(g, TREMOVE, "4", 3u), EBADF);
    assert_int_equal(guest_does(g, TREMOVE, "4", 2u), EBADF);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), EBADF); /* gone, as after any Tremove */
    assert_int_equal(guest_does(g, TCLUNK, "4", 3u), EBADF);
    assert_true(synth_exists(rig->rw, "file"));
    assert_int_equal(synth_calls(rig->rw, OP_SETXATTR), 1);
}

static void
fids_in_use_names_and_flags_are_checked_before_anything_is_made(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    unsigned before;

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_walk(g, 0, 3, "file");
    assert_int_equal(walk(g, 3, 2, "user.a"), -EBADF);
    assert_int_equal(walk(g, 3, 3, "user.a"), -EBADF);
    assert_int_equal(walk(g, 3, NOFID, "user.a"), -EBADF);
    assert_int_equal(walk(g, 77, 9, "user.a"), -EBADF);
    assert_int_equal(create(g, 77, "user.a", 1, 0), EBADF);
    assert_int_equal(create(g, 2, "user.a", 1, 0), EINVAL); /* it is open */
    assert_int_equal(create(g, 3, "", 1, 0), ERANGE);
    assert_int_equal(create(g, 3, "user.a", 1, 4), EINVAL);
    assert_int_equal(create(g, 3, "user.a", 1, UINT32_MAX), EINVAL);
    guest_version(g, 100000);
    guest_attach(g, 0, "rw");
    guest_walk(g, 0, 3, "file");
    before = synth_calls(rig->rw, 0);
    for (size_t n = 256; n < 65536; n += 9000) {
        assert_int_equal(guest_does(g, TXATTRWALK, "44b", 3u, 9u, big, n), ERANGE);
        assert_int_equal(guest_does(g, TXATTRCREATE, "4b84", 3u, big, n, ZERO, 0u), ERANGE);
    }
    assert_int_equal(guest_does(g, TXATTRWALK, "44b", 3u, 9u, "user.\0a", (size_t)7), EINVAL);
    assert_int_equal(guest_does(g, TXATTRCREATE, "4b84", 3u, "\0", (size_t)1, ZERO, 0u), EINVAL);
    assert_int_equal(synth_calls(rig->rw, 0), before);
    assert_int_equal(g->conn->fids.xattr_bytes, 0);
}

static void
a_read_only_share_and_a_narrowed_attach_refuse_at_once(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    assert_int_equal(set(g, "file", "user.a", "1", 1, 0), 0);
    guest_attach(g, 5, "rw;ro");
    guest_walk(g, 5, 6, "file");
    guest_walk(g, 1, 7, "file");
    for (uint32_t fid = 6; fid <= 7; fid++) {
        assert_int_equal(create(g, fid, "user.a", 1, 0), EROFS);
        assert_int_equal(create(g, fid, "user.a", 0, REPLACE), EROFS);
        assert_int_equal(create(g, fid, "", UINT64_MAX, 99), EROFS);
    }
    assert_int_equal(walk(g, 6, 8, "user.a"), 1);
    assert_int_equal(walk(g, 7, 9, "user.a"), -ENODATA);
    assert_int_equal(write_at(g, 8, 0, "2", 1), EROFS);
}

static void
an_error_at_the_clunk_is_its_answer(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    synth_fail(rig->rw, OP_SETXATTR, -EDQUOT);
    assert_int_equal(set(g, "file", "user.a", "1", 1, 0), EDQUOT);
    assert_int_equal(guest_does(g, TCLUNK, "4", 50u), EBADF);
    synth_fail(rig->rw, OP_REMOVEXATTR, -EPERM);
    assert_int_equal(set(g, "file", "user.a", NULL, 0, REPLACE), EPERM);
    assert_int_equal(guest_does(g, TCLUNK, "4", 50u), EBADF);
}

static void
what_a_connection_holds_of_them_is_bounded(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig), *other = guest_new(rig);
    unsigned made = 0, walked = 0;
    int e = 0;

    assert_int_equal(set(g, "file", "user.a", big, 65000, 0), 0);
    for (uint32_t fid = 100; fid < 200 && e == 0; fid++) {
        guest_walk(g, 0, fid, "file");
        e = create(g, fid, "user.b", XATTR_SIZE_MAX, 0);
        made += e == 0;
    }
    assert_int_equal(e, ENOSPC);
    assert_int_equal(made, XATTR_BYTES_MAX / XATTR_SIZE_MAX - 1);
    assert_int_equal(walk(g, 0, 300, ""), 0);
    while (e == ENOSPC && walked < 1000) { /* small ones count, too */
        e = walk(g, 0, 301 + walked++, "") == 0 ? ENOSPC : 0;
    }
    assert_in_range(walked, 1, 999);
    assert_int_equal(walk(other, 0, 300, ""), 0);
    assert_int_equal(guest_does(g, TCLUNK, "4", 100u), EINVAL);
    assert_int_equal(walk(g, 0, 2000, ""), 0);
    assert_in_range(g->conn->fids.xattr_bytes, 1, XATTR_BYTES_MAX);
    guest_version(g, 8192);
    assert_int_equal(g->conn->fids.xattr_bytes, 0);
}

static void
create_and_clunk_a_hundred_thousand_times_costs_nothing(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    size_t fids = rig->tenant.fids.live, handles = rig->tenant.handles.live;

    for (unsigned i = 0; i < 100000; i++) {
        assert_int_equal(guest_does(g, TWALK, "442", 0u, 9u, 0u), 0);
        assert_int_equal(create(g, 9, "user.a", 1 + i % 60000, 0), 0);
        assert_int_equal(guest_does(g, TCLUNK, "4", 9u), EINVAL);
    }
    assert_int_equal(rig->tenant.fids.live, fids);
    assert_int_equal(rig->tenant.handles.live, handles);
    assert_int_equal(g->conn->fids.xattr_bytes, 0);
    assert_int_equal(synth_pages_used(rig->rw), 0);
}

static void
walks_and_clunks_wait_for_room_and_are_carried_out_once(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    static const uint16_t order[] = {99, 100, 102, 101};
    struct msg m;

    guest_walk(g, 0, 2, "file");
    guest_walk(g, 0, 3, "file");
    assert_int_equal(create(g, 2, "user.a", 3, CREATE), 0);
    assert_int_equal(write_at(g, 2, 0, "abc", 3), 0);
    rig->hold = true;
    guest_send(g, TGETATTR, 99, "48", 0u, ZERO); /* takes the only place */
    rig_run(rig);
    synth_room(rig->rw, 1);
    guest_send(g, TCLUNK, 100, "4", 2u);
    guest_send(g, TXATTRWALK, 101, "44s", 3u, 4u, "user.a");
    guest_send(g, TREAD, 102, "484", 4u, ZERO, 100u);
    rig_run(rig);
    assert_int_equal(synth_pending(rig->rw), 1);
    assert_in_range(rig->rounds, 1, 10);
    rig->hold = false;
    rig_run(rig);
    for (size_t i = 0; i < COUNT(order); i++) {
        assert_true(guest_next(g, &m));
        assert_int_equal(m.tag, order[i]);
        /* the read came while the walk was under way */
        assert_int_equal(msg_errno(&m), m.tag == 102 ? EBADF : 0);
    }
    synth_room(rig->rw, 100);
    value_is(rig, "user.a", "abc", 3);
}

static void
a_guest_that_vanishes_on_the_way_leaves_nothing(void **state)
{
    static uint8_t buf[4096];
    struct rig *rig = *state;
    size_t n = 0;

    n += msg_make(buf + n, sizeof(buf) - n, TWALK, 1, "442s", 0u, 2u, 1u, "file");
    n += msg_make(buf + n, sizeof(buf) - n, TWALK, 2, "442", 0u, 3u, 0u);
    n += msg_make(buf + n, sizeof(buf) - n, TXATTRCREATE, 3, "4s84", 3u, "user.a", (uint64_t)100,
                  0u);
    n += msg_make(buf + n, sizeof(buf) - n, TWRITE, 4, "484r", 3u, ZERO, 100u, big, (size_t)100);
    n += msg_make(buf + n, sizeof(buf) - n, TCLUNK, 5, "4", 3u);
    n += msg_make(buf + n, sizeof(buf) - n, TXATTRWALK, 6, "44s", 0u, 4u, "user.a");
    n += msg_make(buf + n, sizeof(buf) - n, TREAD, 7, "484", 4u, ZERO, 100u);
    for (size_t cut = 0; cut <= 2 * n; cut++) {
        struct guest *g = guest_new(rig);

        rig->hold = cut % 2 == 0;
        assert_int_equal(guest_bytes(g, buf, cut / 2), cut / 2);
        rig_run(rig);
        guest_hang_up(g);
        rig_run(rig);
        rig->hold = false;
        rig_run(rig);
        rig_run(rig);
        assert_int_equal(rig->tenant.nconns, 0);
        assert_true(tenant_is_idle(&rig->tenant));
        assert_int_equal(synth_node_refs(rig->rw), 0);
        assert_int_equal(synth_pages_used(rig->rw), 0);
    }
}

static void
when_the_helper_is_gone_all_is_eio_but_what_was_read_already(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    assert_int_equal(set(g, "file", "user.a", "1", 1, 0), 0);
    guest_walk(g, 0, 2, "file");
    guest_walk(g, 0, 4, "file");
    assert_int_equal(walk(g, 2, 3, "user.a"), 1);
    assert_int_equal(create(g, 2, "user.b", 1, 0), 0);
    assert_int_equal(write_at(g, 2, 0, "2", 1), 0);
    synth_gone(rig->rw);
    assert_int_equal(guest_does(g, TREAD, "484", 3u, ZERO, 1u), 0);
    assert_int_equal(guest_does(g, TCLUNK, "4", 3u), 0);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), EIO);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), EBADF);
    assert_int_equal(walk(g, 4, 9, "user.a"), -EIO);
    guest_hang_up(g);
    rig_run(rig);
    assert_true(tenant_is_idle(&rig->tenant));
    assert_int_equal(synth_pages_used(rig->rw), 0);
    rig_cut(rig, 0); /* what a dead helper held is not ours to count */
}

static void
a_helper_that_gives_more_than_was_asked_for_lies(void **state)
{
    static const uint32_t counts[] = {0, 1, 4096, XATTR_SIZE_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT(counts); i++) {
        Postern__V1__GetxattrReq get = POSTERN__V1__GETXATTR_REQ__INIT;
        Postern__V1__ListxattrReq list = POSTERN__V1__LISTXATTR_REQ__INIT;
        Postern__V1__GetxattrRep got = POSTERN__V1__GETXATTR_REP__INIT;
        Postern__V1__ListxattrRep listed = POSTERN__V1__LISTXATTR_REP__INIT;
        uint32_t most = counts[i] == 0 ? XATTR_SIZE_MAX : counts[i];

        get.count = list.count = counts[i];
        assert_int_equal(fs_bound(OP_GETXATTR, &get.base), most);
        assert_int_equal(fs_bound(OP_LISTXATTR, &list.base), most);
        got.size = listed.size = most;
        assert_null(fs_reply_lies(OP_GETXATTR, most, &got.base));
        assert_null(fs_reply_lies(OP_LISTXATTR, most, &listed.base));
        got.size = listed.size = most + 1;
        assert_non_null(fs_reply_lies(OP_GETXATTR, most, &got.base));
        assert_non_null(fs_reply_lies(OP_LISTXATTR, most, &listed.base));
    }
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_value_is_written_and_set_by_its_clunk),
        T(a_value_is_read_by_a_fid_of_its_own),
        T(the_empty_name_lists_all_names),
        T(what_is_not_there_and_what_is_not_offered_are_told_apart),
        T(an_empty_replacement_removes_and_an_empty_value_is_a_value),
        T(a_value_has_at_most_64_kib),
        T(a_read_is_never_longer_than_msize_allows),
        T(no_offset_and_count_read_beyond_a_value),
        T(no_offset_and_count_write_beyond_what_was_announced),
        T(too_few_bytes_set_nothing),
        T(a_fid_of_an_attribute_is_no_file),
        T(fids_in_use_names_and_flags_are_checked_before_anything_is_made),
        T(a_read_only_share_and_a_narrowed_attach_refuse_at_once),
        T(an_error_at_the_clunk_is_its_answer),
        T(what_a_connection_holds_of_them_is_bounded),
        T(create_and_clunk_a_hundred_thousand_times_costs_nothing),
        T(walks_and_clunks_wait_for_room_and_are_carried_out_once),
        T(a_guest_that_vanishes_on_the_way_leaves_nothing),
        T(when_the_helper_is_gone_all_is_eio_but_what_was_read_already),
        T(a_helper_that_gives_more_than_was_asked_for_lies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
