/*
 * Byte-range locks over 9P: Tlock, Tgetlock, those who wait, and Tflush of
 * them, against shares in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"
#include "worker/lock.h"

enum { RD = 0, WR = 1, UN = 2 };
enum { SUCCESS = 0, BLOCKED = 1, ERROR = 2 };
#define BLOCK 1u
#define RECLAIM 2u
#define LOCK_FMT "414884s"

static const struct tenant_limits four_slots = {
    .connections = 8, .fids = 1000, .in_flight = 4, .msize = 65536};

static int
setup_with(void **state, const struct tenant_limits *l)
{
    struct rig *rig = rig_new(l);

    synth_put_dir(rig->rw, "dir");
    synth_put_file(rig->rw, "file", "hello", 5);
    synth_put_file(rig->rw, "other", "hello", 5);
    synth_put_file(rig->ro, "file", "hello", 5);
    *state = rig;
    return 0;
}

static int
setup(void **state)
{
    return setup_with(state, &rig_limits);
}

static int
setup_four_slots(void **state)
{
    return setup_with(state, &four_slots);
}

/* The status, or -errno. */
static int
status_of(struct msg *m)
{
    int status;

    if (msg_errno(m) != 0)
        return -msg_errno(m);
    assert_int_equal(m->type, TLOCK + 1);
    assert_int_equal(m->size, 8);
    status = cur_u8(&m->body);
    return status;
}

static int
lock(struct guest *g, uint32_t fid, unsigned type, uint64_t start, uint64_t length, uint32_t pid)
{
    struct msg m = guest_ask(g, TLOCK, LOCK_FMT, fid, type, 0u, start, length, pid, "host");

    return status_of(&m);
}

/* Sends one that waits. */
static void
lock_wait(struct guest *g, uint16_t tag, uint32_t fid, unsigned type, uint64_t start,
          uint64_t length, uint32_t pid)
{
    guest_send(g, TLOCK, tag, LOCK_FMT, fid, type, BLOCK, start, length, pid, "host");
    rig_run(g->rig);
}

static bool
nothing_came(struct guest *g)
{
    struct msg m;

    return !guest_next(g, &m);
}

static void
assert_granted(struct guest *g, uint16_t tag)
{
    struct msg m;

    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, tag);
    assert_int_equal(status_of(&m), SUCCESS);
}

struct found {
    unsigned type;
    uint64_t start, length;
    uint32_t pid;
    char client[256];
};

static struct found
getlock(struct guest *g, uint32_t fid, unsigned type, uint64_t start, uint64_t length, uint32_t pid)
{
    struct msg m = guest_ask(g, TGETLOCK, "41884s", fid, type, start, length, pid, "host");
    struct found f = {.type = 99};
    struct str s;

    assert_int_equal(m.type, TGETLOCK + 1);
    f.type = cur_u8(&m.body);
    f.start = cur_u64(&m.body);
    f.length = cur_u64(&m.body);
    f.pid = cur_u32(&m.body);
    s = cur_str(&m.body);
    assert_true(cur_end(&m.body));
    memcpy(f.client, s.p, s.n);
    return f;
}

/* --- who excludes whom ------------------------------------------------------ */

static void
two_processes_of_one_guest_exclude_each_other_and_one_never_itself(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_open(g, 0, 3, "file", O_RDWR);
    assert_int_equal(lock(g, 2, WR, 0, 0, 1), SUCCESS);
    assert_int_equal(lock(g, 3, WR, 0, 0, 1), SUCCESS); /* through another fid */
    assert_int_equal(lock(g, 3, WR, 0, 1, 2), BLOCKED);
    assert_int_equal(lock(g, 2, RD, 5, 1, 2), BLOCKED);
    assert_int_equal(lock(g, 3, UN, 0, 0, 1), SUCCESS);
    assert_int_equal(lock(g, 2, RD, 0, 1, 2), SUCCESS);
    assert_int_equal(lock(g, 2, RD, 0, 1, 1), SUCCESS);
    assert_int_equal(lock(g, 2, WR, 0, 1, 1), BLOCKED);
    assert_int_equal(lock(g, 2, WR, 1, 1, 1), SUCCESS);
}

static void
the_same_process_number_of_another_guest_or_host_is_another(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig), *h = guest_new(rig);
    struct msg m;

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_open(h, 0, 2, "file", O_RDWR);
    assert_int_equal(lock(g, 2, WR, 0, 10, 1), SUCCESS);
    assert_int_equal(lock(h, 2, WR, 0, 10, 1), BLOCKED);
    m = guest_ask(g, TLOCK, LOCK_FMT, 2u, WR, 0u, (uint64_t)0, (uint64_t)1, 1u, "hos");
    assert_int_equal(status_of(&m), BLOCKED);
    m = guest_ask(g, TLOCK, LOCK_FMT, 2u, WR, 0u, (uint64_t)0, (uint64_t)1, 1u, "");
    assert_int_equal(status_of(&m), BLOCKED);
    assert_int_equal(lock(h, 2, WR, 10, 10, 1), SUCCESS);
}

static void
locks_of_one_file_are_none_of_another_and_links_are_the_same_file(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_open(g, 0, 3, "other", O_RDWR);
    assert_int_equal(lock(g, 2, WR, 0, 0, 1), SUCCESS);
    assert_int_equal(lock(g, 3, WR, 0, 0, 2), SUCCESS);
    guest_walk(g, 0, 4, "file");
    assert_int_equal(guest_does(g, TLINK, "44s", 0u, 4u, "name2"), 0);
    guest_open(g, 0, 5, "name2", O_RDWR);
    assert_int_equal(lock(g, 5, WR, 0, 0, 2), BLOCKED);
    assert_int_equal(lock(g, 5, UN, 0, 0, 1), SUCCESS);
    assert_int_equal(lock(g, 5, WR, 0, 0, 2), SUCCESS);
}

static void
what_is_let_go_of_leaves_no_open_file_behind(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    unsigned files;

    guest_open(g, 0, 2, "file", O_RDONLY);
    files = synth_files(rig->rw);
    assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS); /* of nothing: no call either */
    assert_int_equal(synth_calls(rig->rw, OP_LOCK), 0);
    for (uint32_t pid = 1; pid <= 100; pid++)
        assert_int_equal(lock(g, 2, RD, pid, 1, pid), SUCCESS);
    assert_int_equal(synth_files(rig->rw), files + 100);
    for (uint32_t pid = 1; pid <= 50; pid++)
        assert_int_equal(lock(g, 2, UN, 0, 0, pid), SUCCESS);
    for (uint32_t pid = 51; pid <= 100; pid++)
        assert_int_equal(lock(g, 2, UN, pid, 1, pid), SUCCESS);
    assert_int_equal(synth_files(rig->rw), files);
    assert_int_equal(rig->tenant.owners.live, 0);
    assert_int_equal(rig->tenant.ranges.live, 0);
    assert_int_equal(lock(g, 2, WR, 0, 0, 1), SUCCESS);
    assert_int_equal(lock(g, 2, WR, 0, 0, 2), BLOCKED);
    assert_int_equal(synth_files(rig->rw), files + 1); /* who got nothing keeps nothing */
}

static void
who_locks_again_through_a_fid_that_writes_opens_nothing_again(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    unsigned files, opened;

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_open(g, 0, 3, "file", O_RDWR);
    files = synth_files(rig->rw);
    assert_int_equal(lock(g, 2, WR, 0, 0, 1), SUCCESS);
    opened = synth_calls(rig->rw, OP_OPEN_WRITE);
    for (unsigned i = 1; i <= 10; i++) {
        assert_int_equal(lock(g, 3, RD, 0, 0, 2), BLOCKED);
        assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS);
        assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS); /* holds nothing: no call */
        assert_int_equal(synth_calls(rig->rw, OP_LOCK), 3 * i);
        assert_int_equal(lock(g, 2, WR, 0, 0, 1), SUCCESS);
    }
    assert_int_equal(synth_calls(rig->rw, OP_OPEN_WRITE), opened + 1); /* the other's */
    assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS);
    assert_int_equal(synth_files(rig->rw), files + 2);
    assert_int_equal(guest_does(g, TCLUNK, "4", 3u), 0);
    assert_int_equal(synth_files(rig->rw), files); /* one fid and one that rests */
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);
    assert_int_equal(synth_files(rig->rw), files - 2);
    assert_int_equal(rig->tenant.owners.live, 0);
}

/* Through a fid that only reads the host would be kept from executing the file. */
static void
who_locked_last_through_a_fid_that_only_reads_leaves_nothing(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    unsigned files;

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_open(g, 0, 3, "file", O_RDONLY);
    files = synth_files(rig->rw);
    assert_int_equal(lock(g, 2, WR, 0, 1, 1), SUCCESS);
    assert_int_equal(lock(g, 2, UN, 0, 1, 1), SUCCESS);
    assert_int_equal(synth_files(rig->rw), files + 1);
    assert_int_equal(lock(g, 3, RD, 0, 1, 1), SUCCESS);
    assert_int_equal(lock(g, 3, UN, 0, 1, 1), SUCCESS);
    assert_int_equal(synth_files(rig->rw), files);
    assert_int_equal(rig->tenant.owners.live, 0);
}

static void
few_files_stay_open_for_who_may_lock_again(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    unsigned files;

    guest_open(g, 0, 2, "file", O_RDWR);
    files = synth_files(rig->rw);
    for (unsigned turn = 0; turn < 2; turn++) {
        for (uint32_t pid = 1; pid <= LOCK_OWNERS_MAX; pid++)
            assert_int_equal(lock(g, 2, RD, 0, 1, pid), SUCCESS);
        for (uint32_t pid = 1; pid <= LOCK_OWNERS_MAX; pid++)
            assert_int_equal(lock(g, 2, UN, 0, 1, pid), SUCCESS);
        assert_int_equal(synth_files(rig->rw), files + LOCK_RESTING_MAX);
        assert_int_equal(rig->tenant.owners.live, LOCK_RESTING_MAX);
    }
    for (uint32_t pid = 1; pid <= LOCK_OWNERS_MAX; pid++) /* others: who rests makes room */
        assert_int_equal(lock(g, 2, RD, 0, 1, 5000 + pid), SUCCESS);
    assert_int_equal(synth_files(rig->rw), files + LOCK_OWNERS_MAX);
    assert_int_equal(lock(g, 2, RD, 0, 1, 1), ERROR);
}

static void
a_clunk_or_remove_of_the_last_fid_it_locked_through_ends_a_lock(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    for (unsigned turn = 0; turn < 2; turn++) {
        guest_open(g, 0, 2, "file", O_RDWR);
        guest_open(g, 0, 3, "file", O_RDWR);
        guest_open(g, 0, 4, "file", O_RDWR);
        assert_int_equal(lock(g, 2, WR, 0, 1, 1), SUCCESS);
        assert_int_equal(lock(g, 3, WR, 1, 1, 1), SUCCESS);
        assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);
        assert_int_equal(lock(g, 4, WR, 0, 2, 2), BLOCKED);
        assert_int_equal(guest_does(g, turn == 0 ? TCLUNK : TREMOVE, "4", 3u), 0);
        assert_int_equal(lock(g, 4, WR, 0, 2, 2), SUCCESS);
        assert_int_equal(lock(g, 4, UN, 0, 0, 2), SUCCESS);
        assert_int_equal(guest_does(g, TCLUNK, "4", 4u), 0);
        assert_int_equal(rig->tenant.owners.live, 0);
    }
}

static void
the_end_of_a_connection_or_session_ends_its_locks(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig), *h = guest_new(rig);

    guest_open(h, 0, 2, "file", O_RDWR);
    for (unsigned turn = 0; turn < 2; turn++) {
        guest_open(g, 0, 2, "file", O_RDWR);
        assert_int_equal(lock(g, 2, WR, 0, 0, 1), SUCCESS);
        assert_int_equal(lock(h, 2, WR, 0, 0, 1), BLOCKED);
        if (turn == 0) {
            guest_version(g, 65536);
            guest_attach(g, 0, "rw");
        } else {
            guest_hang_up(g);
        }
        rig_run(rig);
        assert_int_equal(lock(h, 2, WR, 0, 0, 1), SUCCESS);
        assert_int_equal(lock(h, 2, UN, 0, 0, 1), SUCCESS);
    }
}

/* --- arguments ---------------------------------------------------------------- */

static void
ranges_that_are_none_are_einval(void **state)
{
    static const struct {
        uint64_t start, length;
        int want;
    } t[] = {
        {0, 0, SUCCESS},
        {INT64_MAX, 0, SUCCESS},
        {INT64_MAX, 1, SUCCESS},
        {INT64_MAX, 2, -EINVAL},
        {0, (uint64_t)INT64_MAX + 1, SUCCESS},
        {0, (uint64_t)INT64_MAX + 2, -EINVAL},
        {1, INT64_MAX, SUCCESS},
        {1, (uint64_t)INT64_MAX + 1, -EINVAL},
        {(uint64_t)INT64_MAX + 1, 0, -EINVAL},
        {UINT64_MAX, 1, -EINVAL},
        {1, UINT64_MAX, -EINVAL},
        {UINT64_MAX, UINT64_MAX, -EINVAL},
    };
    struct guest *g = guest_new(*state);

    guest_open(g, 0, 2, "file", O_RDWR);
    for (size_t i = 0; i < COUNT(t); i++) {
        struct msg m;

        assert_int_equal(lock(g, 2, WR, t[i].start, t[i].length, 1), t[i].want);
        m = guest_ask(g, TGETLOCK, "41884s", 2u, WR, t[i].start, t[i].length, 2u, "host");
        assert_int_equal(-msg_errno(&m), t[i].want);
        assert_int_equal(lock(g, 2, UN, t[i].start, t[i].length, 1), t[i].want);
    }
}

static void
types_flags_fids_and_names_are_checked(void **state)
{
    static const uint8_t xs[300] = {'x'};
    const uint64_t zero = 0;
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_walk(g, 0, 3, "file");
    for (unsigned type = 3; type < 256; type++) {
        assert_int_equal(lock(g, 2, type, 0, 0, 1), -EINVAL);
        assert_int_equal(guest_does(g, TGETLOCK, "41884s", 2u, type, zero, zero, 1u, "h"), EINVAL);
    }
    for (uint32_t flag = 4; flag != 0; flag <<= 1)
        assert_int_equal(guest_does(g, TLOCK, LOCK_FMT, 2u, WR, flag, zero, zero, 1u, "h"), EINVAL);
    assert_int_equal(lock(g, 3, RD, 0, 0, 1), -EBADF); /* not open */
    assert_int_equal(lock(g, 77, RD, 0, 0, 1), -EBADF);
    assert_int_equal(guest_does(g, TGETLOCK, "41884s", 3u, WR, zero, zero, 1u, "h"), EBADF);
    assert_int_equal(guest_does(g, TLOCK, "414884b", 2u, WR, 0u, zero, zero, 1u, xs, (size_t)256),
                     EINVAL);
    m = guest_ask(g, TLOCK, "414884b", 2u, WR, RECLAIM, zero, zero, 1u, xs, (size_t)255);
    assert_int_equal(status_of(&m), SUCCESS);
    m = guest_ask(g, TGETLOCK, "41884s", 2u, WR, zero, zero, 1u, "h");
    assert_int_equal(m.size, 7 + 21 + 2 + 255);
    assert_int_equal(guest_does(g, TLOCK, "41488", 2u, WR, 0u, zero, zero), EPROTO);
}

static void
a_share_or_attach_that_is_read_only_takes_read_locks(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_attach(g, 5, "rw;ro");
    guest_open(g, 5, 2, "file", O_RDONLY);
    guest_open(g, 1, 3, "file", O_RDONLY);
    for (uint32_t fid = 2; fid <= 3; fid++) {
        assert_int_equal(lock(g, fid, RD, 0, 0, 1), SUCCESS);
        assert_int_equal(lock(g, fid, WR, 0, 0, 1), -EBADF);
        assert_int_equal(lock(g, fid, WR, 0, 0, 2), -EBADF);
        assert_int_equal(lock(g, fid, RD, 0, 0, 2), SUCCESS);
    }
    assert_int_equal(synth_calls(rig->rw, OP_OPEN_WRITE), 0);
    assert_int_equal(synth_calls(rig->ro, OP_OPEN_WRITE), 0);
}

static void
a_file_that_cannot_be_opened_for_both_is_opened_for_what_was_asked(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", O_RDONLY);
    synth_fail(rig->rw, OP_OPEN_WRITE, -EACCES);
    assert_int_equal(lock(g, 2, RD, 0, 1, 1), SUCCESS);
    assert_int_equal(lock(g, 2, WR, 0, 1, 1), -EBADF); /* its file is for reading */
    synth_fail(rig->rw, OP_OPEN_WRITE, -ETXTBSY);
    assert_int_equal(lock(g, 2, WR, 1, 1, 2), SUCCESS); /* the second try: for writing alone */
    assert_int_equal(lock(g, 2, RD, 2, 1, 2), -EBADF);
    assert_int_equal(lock(g, 2, WR, 3, 1, 3), SUCCESS); /* flock(2) of a file open for reading */
    guest_open(g, 0, 3, "dir", O_RDONLY | O_DIRECTORY);
    assert_int_equal(lock(g, 3, RD, 0, 0, 4), SUCCESS);
    synth_fail(rig->rw, OP_OPEN_WRITE, -EACCES);
    synth_fail(rig->rw, OP_OPEN_READ, -EMFILE);
    assert_int_equal(lock(g, 2, RD, 4, 1, 5), ERROR);
    synth_fail(rig->rw, OP_LOCK, -ENOLCK);
    assert_int_equal(lock(g, 2, RD, 4, 1, 5), ERROR);
    synth_fail(rig->rw, OP_LOCK, -EIO);
    assert_int_equal(lock(g, 2, RD, 4, 1, 5), -EIO);
}

/* --- Tgetlock ------------------------------------------------------------------- */

static void
getlock_names_the_process_that_is_in_the_way(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig), *h = guest_new(rig);
    struct found f;
    struct msg m;

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_open(h, 0, 2, "file", O_RDWR);
    m = guest_ask(g, TLOCK, LOCK_FMT, 2u, WR, 0u, (uint64_t)4, (uint64_t)6, 111u, "guest-g");
    assert_int_equal(status_of(&m), SUCCESS);
    assert_int_equal(lock(h, 2, RD, 20, 0, 222), SUCCESS);
    f = getlock(h, 2, UN, 0, 0, 333); /* what Linux sends, whatever was asked */
    assert_int_equal(f.type, WR);
    assert_int_equal(f.start, 4);
    assert_int_equal(f.length, 6);
    assert_int_equal(f.pid, 111);
    assert_string_equal(f.client, "guest-g");
    f = getlock(g, 2, UN, 15, 0, 1);
    assert_int_equal(f.type, RD);
    assert_int_equal(f.start, 20);
    assert_int_equal(f.length, 0);
    assert_int_equal(f.pid, 222);
    assert_string_equal(f.client, "host");
    f = getlock(g, 2, RD, 15, 0, 1); /* a reader would get it */
    assert_int_equal(f.type, UN);
    f = getlock(h, 2, UN, 15, 0, 222); /* one's own is not in the way */
    assert_int_equal(f.type, UN);
    assert_int_equal(f.start, 15);
    assert_int_equal(f.length, 0);
    assert_int_equal(f.pid, 222);
    assert_string_equal(f.client, "host");
    f = getlock(g, 2, UN, 0, 4, 1);
    assert_int_equal(f.type, UN);
    assert_int_equal(f.length, 4);
    assert_int_equal(rig->tenant.owners.live, 2); /* to ask makes no owner */
}

static void
getlock_of_a_lock_of_the_host_names_nobody(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct found f;

    guest_open(g, 0, 2, "file", O_RDONLY);
    synth_host_locks(rig->rw, "file", LOCK_FOR_READ, 3, 2);
    f = getlock(g, 2, UN, 0, 0, 1);
    assert_int_equal(f.type, RD);
    assert_int_equal(f.start, 3);
    assert_int_equal(f.length, 2);
    assert_int_equal(f.pid, 0);
    assert_string_equal(f.client, "");
}

static void
a_helper_that_answers_getlock_with_nonsense_lies(void **state)
{
    static const struct {
        uint32_t type;
        uint64_t start, length;
        bool lie;
    } t[] = {
        {LOCK_UNLOCK, 0, 0, false},
        {LOCK_FOR_WRITE, INT64_MAX, 1, false},
        {3, 0, 0, true},
        {UINT32_MAX, 0, 0, true},
        {LOCK_FOR_READ, (uint64_t)INT64_MAX + 1, 0, true},
        {LOCK_FOR_READ, INT64_MAX, 2, true},
        {LOCK_FOR_READ, 1, UINT64_MAX, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(t); i++) {
        Postern__V1__GetlockRep rep = POSTERN__V1__GETLOCK_REP__INIT;

        rep.type = t[i].type;
        rep.start = t[i].start;
        rep.length = t[i].length;
        assert_int_equal(fs_reply_lies(OP_GETLOCK, 0, &rep.base) != NULL, t[i].lie);
    }
}

/* --- waiting ---------------------------------------------------------------------- */

static void
who_waits_gets_it_when_it_is_let_go_of_first_come_first_served(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig), *h = guest_new(rig);

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_open(h, 0, 2, "file", O_RDWR);
    assert_int_equal(lock(g, 2, WR, 0, 0, 1), SUCCESS);
    for (uint16_t i = 1; i <= 3; i++) {
        lock_wait(h, 100 + i, 2, WR, 0, 0, 10u + i);
        lock_wait(g, 100 + i, 2, WR, 0, 0, 20u + i);
    }
    assert_true(nothing_came(g) && nothing_came(h));
    assert_int_equal(synth_pending(rig->rw), 0); /* nobody waits in the helper */
    assert_int_equal(rig->tenant.locks_waiting, 6);
    assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS);
    for (uint16_t i = 1; i <= 3; i++) {
        assert_granted(h, 100 + i);
        assert_true(nothing_came(g) && nothing_came(h));
        assert_int_equal(lock(h, 2, UN, 0, 0, 10u + i), SUCCESS);
        assert_granted(g, 100 + i);
        assert_true(nothing_came(g) && nothing_came(h));
        assert_int_equal(lock(g, 2, UN, 0, 0, 20u + i), SUCCESS);
    }
    assert_int_equal(rig->tenant.locks_waiting, 0);
    assert_int_equal(g->conn->locks.waiting + h->conn->locks.waiting, 0);
}

static void
a_connection_goes_on_while_some_of_its_requests_wait(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    unsigned before;

    guest_open(g, 0, 2, "file", O_RDWR);
    assert_int_equal(lock(g, 2, WR, 0, 1, 1), SUCCESS);
    lock_wait(g, 100, 2, WR, 0, 1, 2);
    before = synth_calls(rig->rw, OP_LOCK);
    assert_int_equal(guest_does(g, TGETATTR, "48", 0u, (uint64_t)0), 0);
    assert_int_equal(lock(g, 2, WR, 1, 1, 2), SUCCESS); /* even for the same process */
    rig_run(rig);
    assert_int_equal(synth_calls(rig->rw, OP_LOCK), before + 1); /* and it does not spin */
    assert_int_equal(lock(g, 2, UN, 5, 1, 1), SUCCESS);          /* that frees nothing */
    assert_int_equal(synth_calls(rig->rw, OP_LOCK), before + 2);
    assert_int_equal(lock(g, 2, RD, 0, 1, 1), SUCCESS); /* this does, though not enough */
    assert_int_equal(synth_calls(rig->rw, OP_LOCK), before + 4);
    assert_true(nothing_came(g));
    assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS);
    assert_granted(g, 100);
}

static void
whatever_ends_a_lock_wakes_who_waits(void **state)
{
    struct rig *rig = *state;
    struct guest *h = guest_new(rig);
    uint16_t tag = 100;

    guest_open(h, 0, 2, "file", O_RDWR);
    for (unsigned how = 0; how < 5; how++, tag++) {
        struct guest *g = guest_new(rig);

        guest_open(g, 0, 2, "file", O_RDWR);
        assert_int_equal(lock(g, 2, WR, 0, 10, 1), SUCCESS);
        lock_wait(h, tag, 2, RD, 4, 1, 2);
        assert_true(nothing_came(h));
        if (how == 0)
            assert_int_equal(lock(g, 2, UN, 4, 1, 1), SUCCESS);
        else if (how == 1)
            assert_int_equal(lock(g, 2, RD, 0, 0, 1), SUCCESS);
        else if (how == 2)
            assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);
        else if (how == 3)
            guest_version(g, 8192);
        guest_hang_up(g);
        rig_run(rig);
        assert_granted(h, tag);
        assert_int_equal(lock(h, 2, UN, 0, 0, 2), SUCCESS);
    }
}

static void
locks_of_the_host_are_asked_for_again_after_pauses_that_grow(void **state)
{
    static const int pauses[] = {50, 100, 200, 400, 800, 1000, 1000, 1000};
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    uint64_t now = 5000;
    unsigned before;

    assert_int_equal(tenant_pause(&rig->tenant, now), -1);
    guest_open(g, 0, 2, "file", O_RDWR);
    synth_host_locks(rig->rw, "file", LOCK_FOR_WRITE, 0, 1);
    lock_wait(g, 100, 2, WR, 0, 0, 1);
    for (size_t i = 0; i < COUNT(pauses); i++) {
        before = synth_calls(rig->rw, OP_LOCK);
        assert_int_equal(tenant_pause(&rig->tenant, now), pauses[i]);
        now += (unsigned)pauses[i] - 1;
        assert_int_equal(tenant_pause(&rig->tenant, now++), 1);
        rig_run(rig);
        assert_int_equal(synth_calls(rig->rw, OP_LOCK), before);
        assert_int_equal(tenant_pause(&rig->tenant, now), 0);
        rig_run(rig);
        assert_int_equal(synth_calls(rig->rw, OP_LOCK), before + 1);
    }
    lock_wait(g, 101, 2, WR, 0, 0, 2); /* somebody new: short pauses again */
    assert_int_equal(tenant_pause(&rig->tenant, now), 50);
    synth_host_locks(rig->rw, "file", LOCK_UNLOCK, 0, 1);
    assert_true(nothing_came(g));
    assert_int_equal(tenant_pause(&rig->tenant, now + 50), 0);
    rig_run(rig);
    assert_granted(g, 100);
    assert_true(nothing_came(g));
    assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS);
    assert_granted(g, 101);
    assert_int_equal(tenant_pause(&rig->tenant, now + 60), -1);
}

static void
new_ones_do_not_put_off_the_next_try_for_ever(void **state)
{
    static const int wants[] = {50, 40, 30, 20, 10, 0, 50, 40, 30, 20, 10, 0};
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", O_RDWR);
    synth_host_locks(rig->rw, "file", LOCK_FOR_WRITE, 0, 1);
    for (uint32_t i = 0; i < COUNT(wants); i++) {
        lock_wait(g, (uint16_t)(100 + i), 2, WR, 0, 0, i);
        assert_int_equal(tenant_pause(&rig->tenant, 10 * (uint64_t)i), wants[i]);
        rig_run(rig);
    }
}

static void
waiting_is_bounded_for_a_connection(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    guest_open(g, 0, 2, "file", O_RDWR);
    assert_int_equal(lock(g, 2, WR, 0, 0, 1), SUCCESS);
    for (uint16_t i = 0; i < 64; i++)
        lock_wait(g, 100 + i, 2, WR, 0, 0, 2u + i);
    assert_true(nothing_came(g));
    lock_wait(g, 200, 2, WR, 0, 0, 99);
    assert_true(guest_next(g, &m));
    assert_int_equal(status_of(&m), BLOCKED); /* as if it had not wanted to wait */
    assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS);
    assert_granted(g, 100);
    assert_true(nothing_came(g));
}

static void
who_waits_leaves_slots_for_those_who_will_unlock(void **state)
{
    struct rig *rig = *state; /* four slots */
    struct guest *g = guest_new(rig), *h = guest_new(rig);
    struct msg m;

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_open(h, 0, 2, "file", O_RDWR);
    assert_int_equal(lock(g, 2, WR, 0, 0, 1), SUCCESS);
    lock_wait(h, 100, 2, WR, 0, 0, 1);
    lock_wait(h, 101, 2, WR, 0, 0, 2);
    assert_true(nothing_came(h));
    lock_wait(h, 102, 2, WR, 0, 0, 3);
    assert_true(guest_next(h, &m));
    assert_int_equal(status_of(&m), BLOCKED);
    assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS);
    assert_granted(h, 100);
}

static void
owners_and_ranges_are_bounded(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", O_RDWR);
    for (uint32_t pid = 1; pid <= LOCK_OWNERS_MAX; pid++)
        assert_int_equal(lock(g, 2, RD, 0, 1, pid), SUCCESS);
    assert_int_equal(lock(g, 2, RD, 0, 1, 9999), ERROR);
    assert_int_equal(
        guest_does(g, TGETLOCK, "41884s", 2u, WR, (uint64_t)0, (uint64_t)0, 9999u, "h"), ENOLCK);
    assert_int_equal(lock(g, 2, UN, 0, 0, 7), SUCCESS);
    assert_int_equal(lock(g, 2, RD, 0, 1, 9999), SUCCESS);
    guest_version(g, 65536);
    guest_attach(g, 0, "rw");
    guest_open(g, 0, 2, "file", O_RDWR);
    for (uint64_t i = 0; i < LOCK_RANGES_MAX; i++)
        assert_int_equal(lock(g, 2, RD, 3 * i, 2, 1), SUCCESS);
    assert_int_equal(lock(g, 2, RD, 3 * (uint64_t)LOCK_RANGES_MAX, 2, 1), ERROR);
    assert_int_equal(lock(g, 2, UN, 3, 1, 1), SUCCESS); /* less of one, not two of it */
    assert_int_equal(lock(g, 2, UN, 0, 2, 1), SUCCESS);
    assert_int_equal(lock(g, 2, RD, INT64_MAX - 9, 9, 1), SUCCESS);
    assert_int_equal(lock(g, 2, UN, INT64_MAX - 5, 1, 1), ERROR); /* this would make two */
    assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS);
    assert_int_equal(rig->tenant.ranges.live, 0);
}

/* --- flush and other ends ------------------------------------------------------------ */

static void
a_flush_ends_the_wait_at_once_and_the_lock_is_never_answered(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    guest_open(g, 0, 2, "file", O_RDWR);
    assert_int_equal(lock(g, 2, WR, 0, 0, 1), SUCCESS);
    lock_wait(g, 100, 2, WR, 0, 0, 2);
    lock_wait(g, 101, 2, WR, 0, 0, 3);
    guest_send(g, TFLUSH, 200, "2", 100u);
    guest_send(g, TFLUSH, 201, "2", 100u); /* gone already: double flush */
    guest_send(g, TFLUSH, 202, "2", 200u); /* of a flush that is answered */
    rig_run(rig);
    for (uint16_t tag = 200; tag <= 202; tag++) {
        assert_true(guest_next(g, &m));
        assert_int_equal(m.tag, tag);
        assert_int_equal(m.type, TFLUSH + 1);
    }
    assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS);
    assert_granted(g, 101); /* not 100 */
    assert_int_equal(lock(g, 2, UN, 0, 0, 3), SUCCESS);
    assert_int_equal(rig->tenant.ranges.live, 0);
    lock_wait(g, 100, 2, WR, 0, 0, 2); /* the tag is free */
    assert_granted(g, 100);
}

static void
a_flush_of_a_lock_that_is_being_tried_waits_for_the_answer(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    guest_open(g, 0, 2, "file", O_RDWR);
    for (unsigned turn = 0; turn < 2; turn++) {
        assert_int_equal(lock(g, 2, WR, 0, 1, 1), SUCCESS);
        lock_wait(g, 100, 2, WR, 0, 1, 2);
        if (turn == 1)
            synth_host_locks(rig->rw, "file", LOCK_FOR_READ, 0, 1);
        rig->hold = true;
        guest_send(g, TLOCK, 50, LOCK_FMT, 2u, UN, 0u, (uint64_t)0, (uint64_t)0, 1u, "host");
        rig_run(rig);
        assert_int_equal(synth_answer(rig->rw, 1), 1); /* wakes tag 100 */
        rig_run(rig);
        assert_true(synth_pending(rig->rw) >= 1);
        guest_send(g, TFLUSH, 200, "2", 100u);
        rig_run(rig);
        assert_true(guest_next(g, &m));
        assert_int_equal(m.tag, 50);
        assert_true(nothing_came(g));
        rig->hold = false;
        rig_run(rig);
        assert_true(guest_next(g, &m));
        assert_int_equal(m.tag, 100);
        assert_int_equal(status_of(&m), turn == 0 ? SUCCESS : BLOCKED);
        assert_true(guest_next(g, &m));
        assert_int_equal(m.tag, 200);
        assert_int_equal(m.type, TFLUSH + 1);
        assert_int_equal(lock(g, 2, UN, 0, 0, 2), SUCCESS);
        assert_int_equal(rig->tenant.locks_waiting, 0);
    }
}

static void
a_guest_that_goes_while_it_waits_or_locks_leaves_nothing(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", O_RDWR);
    for (unsigned answers = 0; answers < 12; answers++) {
        struct guest *h = guest_new(rig);
        bool version = answers % 2 == 0;

        guest_open(h, 0, 2, "file", O_RDWR);
        assert_int_equal(lock(g, 2, WR, 0, 1, 1), SUCCESS);
        lock_wait(h, 100, 2, WR, 0, 1, 2);
        rig->hold = true;
        lock_wait(h, 101, 2, WR, 0, 1, 3); /* is under way */
        lock_wait(h, 102, 2, WR, 9, 1, 4);
        guest_send(h, TGETLOCK, 103, "41884s", 2u, 2u, (uint64_t)0, (uint64_t)0, 5u, "host");
        guest_send(g, TLOCK, 104, LOCK_FMT, 2u, UN, 0u, (uint64_t)0, (uint64_t)0, 1u, "host");
        for (unsigned i = 0; i < answers; i++) {
            rig_run(rig);
            (void)synth_answer(rig->rw, 1);
        }
        if (version)
            guest_send(h, TVERSION, NOTAG, "4s", 8192u, "9P2000.L");
        else
            guest_hang_up(h);
        rig_run(rig);
        rig->hold = false;
        rig_run(rig);
        rig_run(rig);
        assert_granted(g, 104);
        assert_int_equal(rig->tenant.locks_waiting, 0);
        assert_int_equal(rig->tenant.owners.live, 1); /* g's */
        assert_int_equal(rig->tenant.ranges.live, 0);
        assert_int_equal(rig->tenant.requests.live, 0);
        assert_int_equal(synth_files(rig->rw), 2); /* g's */
        guest_hang_up(h);
        rig_run(rig);
    }
}

static void
two_first_locks_of_one_process_at_once_share_a_file(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", O_RDWR);
    rig->hold = true;
    lock_wait(g, 100, 2, WR, 0, 1, 1);
    lock_wait(g, 101, 2, WR, 1, 1, 1);
    lock_wait(g, 102, 2, WR, 1, 1, 1);
    rig->hold = false;
    rig_run(rig);
    for (uint16_t tag = 100; tag <= 102; tag++)
        assert_granted(g, tag);
    assert_int_equal(synth_files(rig->rw), 2);
    assert_int_equal(lock(g, 2, WR, 0, 2, 2), BLOCKED);
    assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS);
    assert_int_equal(lock(g, 2, WR, 0, 2, 2), SUCCESS);
}

static void
a_lock_that_is_granted_after_its_fid_went_is_given_back(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    for (unsigned answers = 0; answers < 3; answers++) {
        struct msg m;
        unsigned refused = 0;

        guest_open(g, 0, 2, "file", O_RDWR);
        guest_open(g, 0, 3, "file", O_RDWR);
        rig->hold = true;
        lock_wait(g, 100, 2, WR, 0, 1, 1);
        for (unsigned i = 0; i < answers; i++) {
            (void)synth_answer(rig->rw, 1);
            rig_run(rig);
        }
        guest_send(g, TCLUNK, 101, "4", 2u);
        rig_run(rig);
        rig->hold = false;
        rig_run(rig);
        while (guest_next(g, &m))
            refused += m.tag == 100 && msg_errno(&m) == EBADF;
        assert_int_equal(refused, answers < 2 ? 1 : 0);
        assert_int_equal(lock(g, 3, WR, 0, 0, 2), SUCCESS);
        assert_int_equal(guest_does(g, TCLUNK, "4", 3u), 0);
        assert_int_equal(synth_files(rig->rw), 0);
    }
}

static void
who_waits_through_a_fid_that_goes_is_told(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    for (unsigned turn = 0; turn < 2; turn++) {
        guest_open(g, 0, 2, "file", O_RDWR);
        guest_open(g, 0, 3, "file", O_RDWR);
        assert_int_equal(lock(g, 3, WR, 0, 1, 1), SUCCESS);
        rig->hold = turn == 1; /* gone before, or after it was tried in vain */
        lock_wait(g, 100, 2, WR, 0, 1, 2);
        if (turn == 1) {
            assert_int_equal(synth_answer(rig->rw, 1), 1); /* its file is open */
            rig_run(rig);
        }
        guest_send(g, TCLUNK, 101, "4", 2u);
        rig_run(rig);
        rig->hold = false;
        rig_run(rig);
        for (unsigned n = 0; n < 2; n++) {
            assert_true(guest_next(g, &m));
            if (m.tag == 100)
                assert_int_equal(status_of(&m), turn == 0 ? -EBADF : BLOCKED);
        }
        assert_int_equal(rig->tenant.locks_waiting, 0);
        assert_int_equal(lock(g, 3, UN, 0, 0, 1), SUCCESS);
        assert_int_equal(guest_does(g, TCLUNK, "4", 3u), 0);
    }
}

static void
locks_wait_for_room_in_the_ring_and_none_is_lost(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig), *h = guest_new(rig);

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_open(h, 0, 2, "file", O_RDWR);
    assert_int_equal(lock(g, 2, WR, 0, 0, 1), SUCCESS);
    synth_room(rig->rw, 1);
    for (uint16_t i = 0; i < 20; i++)
        lock_wait(h, 100 + i, 2, RD, 0, 0, i);
    assert_true(nothing_came(h));
    rig->hold = true;
    guest_send(g, TGETATTR, 99, "48", 0u, (uint64_t)0); /* takes the only place */
    lock_wait(h, 150, 2, RD, 0, 0, 50);
    assert_in_range(rig->rounds, 1, 10);
    rig->hold = false;
    rig_run(rig);
    assert_false(nothing_came(g));
    assert_int_equal(lock(g, 2, UN, 0, 0, 1), SUCCESS);
    for (uint16_t i = 0; i < 20; i++)
        assert_granted(h, 100 + i);
    assert_granted(h, 150);
    synth_room(rig->rw, 100);
}

static void
when_the_helper_is_gone_who_waits_is_told(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    guest_open(g, 0, 2, "file", O_RDWR);
    assert_int_equal(lock(g, 2, WR, 0, 0, 1), SUCCESS);
    lock_wait(g, 100, 2, WR, 0, 0, 2);
    synth_gone(rig->rw);
    (void)tenant_pause(&rig->tenant, 1000);
    assert_int_equal(tenant_pause(&rig->tenant, 2000), 0);
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 100);
    assert_int_equal(msg_errno(&m), EIO);
    assert_int_equal(lock(g, 2, WR, 0, 0, 3), -EIO);
    guest_hang_up(g);
    rig_run(rig);
    assert_true(tenant_is_idle(&rig->tenant));
    rig_cut(rig, 0); /* what a dead helper held is not ours to count */
}

/* --- ranges against a model that cannot be wrong --------------------------------------- */

#define BYTES 24

/* [0, n), the same sequence each time. */
static int
chance(int n)
{
    static uint64_t x = 1;

    x = x * 6364136223846793005u + 1442695040888963407u;
    return (int)((x >> 33) % (uint64_t)n);
}

static void
ranges_are_like(const struct lock_owner *o, const int *model)
{
    const struct lock_range *r = o->ranges;
    uint32_t n = 0;

    for (int i = 0; i < BYTES; i++) {
        while (r != NULL && r->last < (uint64_t)i) {
            assert_true(r->next == NULL || r->next->start > r->last);
            assert_false(r->next != NULL && r->next->start == r->last + 1 &&
                         r->next->type == r->type); /* merged */
            r = r->next;
        }
        assert_int_equal(model[i],
                         r != NULL && r->start <= (uint64_t)i ? (int)r->type : LOCK_UNLOCK);
    }
    for (r = o->ranges; r != NULL; r = r->next)
        n++;
    assert_int_equal(o->conn->locks.nranges, n);
}

static void
ranges_are_noted_as_the_kernel_does(void **state)
{
    struct tenant t = {.shares = NULL};
    struct conn c = {.tenant = &t};
    struct handle node = {.refs = 100, .pinned = true};
    struct lock_owner *o;
    int model[BYTES];

    (void)state;
    pool_init(&t.owners, sizeof(struct lock_owner));
    pool_init(&t.ranges, sizeof(struct lock_range));
    assert_int_equal(lock_owner_new(&c, &node, (struct str){(const uint8_t *)"", 0}, 1, &o), 0);
    for (int i = 0; i < BYTES; i++)
        model[i] = LOCK_UNLOCK;
    for (int turn = 0; turn < 200000; turn++) {
        enum lock_type type = (enum lock_type)chance(3);
        int start = chance(BYTES), last = start + chance(BYTES - start);
        struct lock_range *spare = NULL;
        bool freed = false;

        for (int i = start; i <= last; i++) {
            freed |= model[i] != LOCK_UNLOCK && model[i] != (int)type && type != LOCK_FOR_WRITE;
            model[i] = (int)type;
        }
        assert_int_equal(lock_spare(&t.ranges, &spare), 0);
        assert_int_equal(lock_note(o, type, (uint64_t)start, (uint64_t)last, &spare), freed);
        lock_spare_free(&t.ranges, spare);
        ranges_are_like(o, model);
    }
    lock_owner_forsake(o);
    lock_owner_put(o);
    assert_int_equal(t.owners.live + t.ranges.live, 0);
    assert_int_equal(node.refs, 100);
    pool_done(&t.owners);
    pool_done(&t.ranges);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
#define FEW(name) cmocka_unit_test_setup_teardown(name, setup_four_slots, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(two_processes_of_one_guest_exclude_each_other_and_one_never_itself),
        T(the_same_process_number_of_another_guest_or_host_is_another),
        T(locks_of_one_file_are_none_of_another_and_links_are_the_same_file),
        T(what_is_let_go_of_leaves_no_open_file_behind),
        T(who_locks_again_through_a_fid_that_writes_opens_nothing_again),
        T(who_locked_last_through_a_fid_that_only_reads_leaves_nothing),
        T(few_files_stay_open_for_who_may_lock_again),
        T(a_clunk_or_remove_of_the_last_fid_it_locked_through_ends_a_lock),
        T(the_end_of_a_connection_or_session_ends_its_locks),
        T(ranges_that_are_none_are_einval),
        T(types_flags_fids_and_names_are_checked),
        T(a_share_or_attach_that_is_read_only_takes_read_locks),
        T(a_file_that_cannot_be_opened_for_both_is_opened_for_what_was_asked),
        T(getlock_names_the_process_that_is_in_the_way),
        T(getlock_of_a_lock_of_the_host_names_nobody),
        T(a_helper_that_answers_getlock_with_nonsense_lies),
        T(who_waits_gets_it_when_it_is_let_go_of_first_come_first_served),
        T(a_connection_goes_on_while_some_of_its_requests_wait),
        T(whatever_ends_a_lock_wakes_who_waits),
        T(locks_of_the_host_are_asked_for_again_after_pauses_that_grow),
        T(new_ones_do_not_put_off_the_next_try_for_ever),
        T(waiting_is_bounded_for_a_connection),
        FEW(who_waits_leaves_slots_for_those_who_will_unlock),
        T(owners_and_ranges_are_bounded),
        T(a_flush_ends_the_wait_at_once_and_the_lock_is_never_answered),
        T(a_flush_of_a_lock_that_is_being_tried_waits_for_the_answer),
        T(a_guest_that_goes_while_it_waits_or_locks_leaves_nothing),
        T(two_first_locks_of_one_process_at_once_share_a_file),
        T(a_lock_that_is_granted_after_its_fid_went_is_given_back),
        T(who_waits_through_a_fid_that_goes_is_told),
        T(locks_wait_for_room_in_the_ring_and_none_is_lost),
        T(when_the_helper_is_gone_who_waits_is_told),
        T(ranges_are_noted_as_the_kernel_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
