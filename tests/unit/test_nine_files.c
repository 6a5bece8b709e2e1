/*
 * Files and directories over 9P2000.L: what each message does, and what a
 * read-only share refuses.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

static int
setup(void **state)
{
    struct rig *rig = rig_new(&rig_limits);

    for (int i = 0; i < 2; i++) {
        struct synth *s = i == 0 ? rig->rw : rig->ro;

        synth_put_dir(s, "dir");
        synth_put_file(s, "file", "hello", 5);
        synth_put_link(s, "link", "../../etc/passwd");
    }
    *state = rig;
    return 0;
}

static bool
holds(struct synth *s, const char *path, const char *text)
{
    size_t n;
    const uint8_t *p = synth_data(s, path, &n);

    return p != NULL && n == strlen(text) && memcmp(p, text, n) == 0;
}

/* Tread into buf; the count or -errno. */
static int
read_at(struct guest *g, uint32_t fid, uint64_t offset, uint32_t count, char *buf)
{
    struct msg m = guest_ask(g, TREAD, "484", fid, offset, count);
    int e = msg_errno(&m);
    uint32_t n;

    if (e != 0)
        return -e;
    n = cur_u32(&m.body);
    assert_int_equal(m.size, 11 + n);
    memcpy(buf, m.body.at, n);
    return (int)n;
}

static int
write_at(struct guest *g, uint32_t fid, uint64_t offset, const void *p, size_t n)
{
    struct msg m = guest_ask(g, TWRITE, "484r", fid, offset, (uint32_t)n, p, n);
    int e = msg_errno(&m);

    return e != 0 ? -e : (int)cur_u32(&m.body);
}

/* --- open, read, write ------------------------------------------------------ */

static void
what_is_written_is_read_back(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    char buf[100];

    guest_open(g, 0, 2, "file", O_RDWR);
    assert_int_equal(write_at(g, 2, 5, " world", 6), 6);
    assert_int_equal(read_at(g, 2, 0, 100, buf), 11);
    assert_memory_equal(buf, "hello world", 11);
    assert_int_equal(read_at(g, 2, 11, 100, buf), 0);
    assert_int_equal(read_at(g, 2, 0, 0, buf), 0);
    assert_int_equal(write_at(g, 2, 0, "", 0), 0);
    assert_true(holds(rig->rw, "file", "hello world"));
}

static void
a_megabyte_goes_through_in_one_message(void **state)
{
    static uint8_t data[1024 * 1024];
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;
    size_t n;

    guest_version(g, MSIZE_MAX);
    guest_attach(g, 0, "rw");
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 7 + i / 4096);
    guest_open(g, 0, 2, "file", O_RDWR);
    assert_int_equal(write_at(g, 2, 0, data, sizeof(data)), sizeof(data));
    assert_memory_equal(synth_data(rig->rw, "file", &n), data, sizeof(data));
    m = guest_ask(g, TREAD, "484", 2u, (uint64_t)0, 0xffffffffu);
    assert_int_equal(m.type, TREAD + 1);
    assert_int_equal(m.size, 11 + sizeof(data));
    assert_int_equal(cur_u32(&m.body), sizeof(data));
    assert_memory_equal(m.body.at, data, sizeof(data));
    assert_int_equal(synth_pages_used(rig->rw), 0);
}

static void
a_read_never_exceeds_what_the_client_set_aside(void **state)
{
    static const uint8_t data[20000];
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    synth_put_file(rig->rw, "big", data, sizeof(data));
    guest_version(g, 4096);
    guest_attach(g, 0, "rw");
    guest_open(g, 0, 2, "big", O_RDONLY);
    m = guest_ask(g, TREAD, "484", 2u, (uint64_t)0, 20000u);
    assert_int_equal(cur_u32(&m.body), 4096 - 24);
    m = guest_ask(g, TREAD, "484", 2u, (uint64_t)0, 4096u - 24u);
    assert_int_equal(cur_u32(&m.body), 4096 - 24);
}

static void
an_open_gives_what_was_asked_for_and_no_more(void **state)
{
    static const struct {
        uint32_t flags;
        bool reads, writes, trunc;
        int e;
    } t[] = {
        {O_RDONLY, true, false, false, 0},
        {O_WRONLY, false, true, false, 0},
        {O_RDWR, true, true, false, 0},
        {3, false, false, false, EINVAL},
        {O_RDONLY | O_TRUNC, true, false, true, 0},
        {O_WRONLY | O_TRUNC, false, true, true, 0},
        {O_RDONLY | O_APPEND, true, false, false, 0},
        {O_RDONLY | O_CREAT, true, false, false, 0}, /* v9fs, of a file that exists */
        {O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY | O_NONBLOCK | 0100000 /* O_LARGEFILE */, false,
         true, false, 0},
        {O_RDONLY | 040000 /* O_DIRECT */ | 0400000 /* O_NOFOLLOW */ | O_CLOEXEC, true, false,
         false, 0},
        {O_RDONLY | O_DIRECTORY, false, false, false, ENOTDIR},
        {O_RDONLY | 01000000 /* O_NOATIME */, true, false, false, 0},
        {O_RDONLY | 0x40000000, true, false, false, 0},
    };
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    char buf[100];

    for (size_t i = 0; i < COUNT(t); i++) {
        guest_walk(g, 0, 2, "file");
        assert_int_equal(guest_does(g, TLOPEN, "44", 2u, t[i].flags), t[i].e);
        assert_int_equal(read_at(g, 2, 0, 1, buf) >= 0, t[i].reads);
        assert_int_equal(write_at(g, 2, 0, "hello", 5) == 5, t[i].writes);
        assert_true(holds(rig->rw, "file", t[i].trunc && !t[i].writes ? "" : "hello"));
        assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);
        guest_open(g, 0, 2, "file", O_WRONLY | O_TRUNC);
        assert_int_equal(write_at(g, 2, 0, "hello", 5), 5);
        assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);
    }
}

static void
an_open_fid_is_not_opened_or_created_on_again(void **state)
{
    struct guest *g = guest_new(*state);

    guest_open(g, 0, 2, "dir", O_RDONLY);
    assert_int_equal(guest_does(g, TLOPEN, "44", 2u, (uint32_t)O_RDONLY), EINVAL);
    assert_int_equal(guest_does(g, TLCREATE, "4s444", 2u, "x", (uint32_t)O_RDWR, 0644u, 0u),
                     EINVAL);
    assert_int_equal(guest_does(g, TUNLINKAT, "4s4", 2u, "x", 0u), ENOENT); /* may be open */
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 2u, "x", 0755u, 0u), 0);
    assert_int_equal(guest_does(g, TWALK, "442s", 2u, 3u, 1u, "x"), 0);
}

static void
a_failed_open_leaves_the_fid_as_it_was(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_walk(g, 0, 2, "file");
    synth_fail(rig->rw, OP_OPEN_READ, -EMFILE);
    assert_int_equal(guest_does(g, TLOPEN, "44", 2u, (uint32_t)O_RDONLY), EMFILE);
    assert_int_equal(guest_does(g, TREAD, "484", 2u, (uint64_t)0, 1u), EBADF);
    assert_int_equal(guest_does(g, TLOPEN, "44", 2u, (uint32_t)O_RDONLY), 0);
    assert_int_equal(guest_does(g, TREAD, "484", 2u, (uint64_t)0, 1u), 0);
    guest_walk(g, 0, 3, "link");
    assert_int_equal(guest_does(g, TLOPEN, "44", 3u, (uint32_t)O_RDONLY), ELOOP);
    guest_walk(g, 0, 4, "dir");
    assert_int_equal(guest_does(g, TLOPEN, "44", 4u, (uint32_t)O_RDWR), EISDIR);
}

static void
a_created_file_is_what_the_fid_is_then(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    char buf[10];

    guest_walk(g, 0, 2, "dir");
    assert_int_equal(guest_does(g, TLCREATE, "4s444", 2u, "new", (uint32_t)O_RDWR, 0100644u, 0u),
                     0);
    assert_int_equal(write_at(g, 2, 0, "x", 1), 1);
    assert_int_equal(read_at(g, 2, 0, 10, buf), 1);
    assert_true(holds(rig->rw, "dir/new", "x"));
    assert_int_equal(guest_does(g, TRENAME, "44s", 2u, 0u, "moved"), 0); /* just created */
    assert_true(holds(rig->rw, "moved", "x"));
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);

    guest_walk(g, 0, 2, "dir");
    assert_int_equal(guest_does(g, TLCREATE, "4s444", 2u, "r", (uint32_t)O_RDONLY, 0444u, 0u), 0);
    assert_int_equal(write_at(g, 2, 0, "x", 1), -EBADF);
    assert_int_equal(read_at(g, 2, 0, 10, buf), 0);
    guest_walk(g, 0, 3, "dir");
    assert_int_equal(
        guest_does(g, TLCREATE, "4s444", 3u, "r", (uint32_t)(O_RDWR | O_EXCL), 0444u, 0u), EEXIST);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 3u, "still-a-dir", 0755u, 0u), 0);
}

/* --- clunk and remove ------------------------------------------------------- */

static void
a_clunk_answers_what_close_said(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", O_WRONLY);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);
    assert_int_equal(synth_calls(rig->rw, OP_CLOSE), 1);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), EBADF);
    assert_int_equal(synth_node_refs(rig->rw), 0);
}

/* Whoever waits for the answer may run the file from then on. */
static void
a_clunk_of_a_file_open_to_write_is_answered_by_its_close(void **state)
{
    static const uint32_t flags[] = {O_WRONLY, O_RDWR, O_RDONLY | O_TRUNC};
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    for (size_t i = 0; i < COUNT(flags); i++) {
        guest_open(g, 0, 2, "file", flags[i]);
        rig->hold = true;
        guest_send(g, TCLUNK, 100, "4", 2u);
        rig_run(rig);
        assert_false(guest_next(g, &m));
        rig->hold = false;
        rig_run(rig);
        assert_true(guest_next(g, &m));
        assert_int_equal(m.type, TCLUNK + 1);
        assert_int_equal(synth_files(rig->rw), 0);
    }
}

static void
a_clunk_of_a_file_open_to_read_waits_for_nothing(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    guest_open(g, 0, 2, "file", O_RDONLY);
    guest_walk(g, 0, 3, "file");
    rig->hold = true;
    guest_send(g, TCLUNK, 100, "4", 2u);
    guest_send(g, TLOPEN, 101, "44", 3u, (uint32_t)O_RDONLY);
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 100);
    assert_int_equal(m.type, TCLUNK + 1);
    assert_int_equal(synth_files(rig->rw), 1);
    assert_int_equal(synth_answer(rig->rw, 1), 1);
    assert_int_equal(synth_files(rig->rw), 0); /* before the next is opened */
    rig->hold = false;
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.type, TLOPEN + 1);
}

static void
a_close_that_finds_no_room_goes_before_what_was_asked_after_it(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", O_RDONLY);
    guest_walk(g, 0, 3, "file");
    rig->hold = true;
    synth_room(rig->rw, 1);
    guest_send(g, TGETATTR, 100, "48", 3u, (uint64_t)0x7ff);
    guest_send(g, TCLUNK, 101, "4", 2u);
    guest_send(g, TLOPEN, 102, "44", 3u, (uint32_t)O_RDONLY);
    rig_run(rig);
    assert_int_equal(synth_files(rig->rw), 1);
    for (unsigned i = 0; i < 2; i++) { /* the getattr; the close */
        assert_int_equal(synth_answer(rig->rw, 1), 1);
        rig_run(rig);
    }
    assert_int_equal(synth_files(rig->rw), 0);
    rig->hold = false;
    rig_run(rig);
    assert_int_equal(synth_files(rig->rw), 1);
}

/* Nor is a file opened before those are closed that were clunked before it. */
static void
a_clunk_waits_when_too_much_is_being_closed(void **state)
{
    enum { FILES = CHORES + 2 };
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    unsigned answered = 0;
    struct msg m;

    for (uint32_t i = 0; i < FILES; i++)
        guest_open(g, 0, 10 + i, "file", O_RDONLY);
    rig->hold = true;
    for (uint32_t i = 0; i < FILES; i++)
        guest_send(g, TCLUNK, (uint16_t)i, "4", 10 + i);
    rig_run(rig);
    while (guest_next(g, &m))
        answered++;
    assert_in_range(answered, 1, CHORES);
    rig->hold = false;
    rig_run(rig);
    while (guest_next(g, &m))
        answered++;
    assert_int_equal(answered, FILES);
    assert_int_equal(synth_files(rig->rw), 0);
}

static void
a_clunk_waits_for_the_reads_before_it(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    guest_open(g, 0, 2, "file", O_RDONLY);
    rig->hold = true;
    guest_send(g, TREAD, 100, "484", 2u, (uint64_t)0, 5u);
    guest_send(g, TREAD, 101, "484", 2u, (uint64_t)0, 5u);
    guest_send(g, TCLUNK, 102, "4", 2u);
    guest_send(g, TREAD, 103, "484", 2u, (uint64_t)0, 5u);
    rig_run(rig);
    assert_int_equal(synth_pending(rig->rw), 2); /* no CLOSE yet */
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 103);
    assert_int_equal(msg_errno(&m), EBADF);
    assert_true(synth_answer_newest(rig->rw)); /* 101 */
    rig_run(rig);
    assert_int_equal(synth_pending(rig->rw), 1);
    rig->hold = false;
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 101);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 100);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 102);
    assert_int_equal(m.type, TCLUNK + 1);
}

static void
a_fid_clunked_while_it_opens_is_closed_when_it_is_open(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    guest_walk(g, 0, 2, "file");
    guest_walk(g, 0, 3, "dir");
    rig->hold = true;
    guest_send(g, TLOPEN, 100, "44", 2u, (uint32_t)O_RDONLY);
    guest_send(g, TLCREATE, 101, "4s444", 3u, "new", (uint32_t)O_RDWR, 0644u, 0u);
    guest_send(g, TLOPEN, 102, "44", 2u, (uint32_t)O_RDONLY); /* is under way */
    guest_send(g, TCLUNK, 103, "4", 2u);
    guest_send(g, TCLUNK, 104, "4", 3u);
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 102);
    assert_int_equal(msg_errno(&m), EINVAL);
    for (uint16_t tag = 103; tag <= 104; tag++) {
        assert_true(guest_next(g, &m));
        assert_int_equal(m.tag, tag);
        assert_int_equal(m.type, TCLUNK + 1);
    }
    rig->hold = false;
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.type, TLOPEN + 1);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.type, TLCREATE + 1);
    assert_int_equal(synth_files(rig->rw), 0);
    assert_int_equal(synth_node_refs(rig->rw), 0);
}

static void
a_remove_takes_the_fid_also_when_it_fails(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", O_RDONLY);
    assert_int_equal(guest_does(g, TREMOVE, "4", 2u), 0);
    assert_false(synth_exists(rig->rw, "file"));
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), EBADF);
    synth_put_file(rig->rw, "dir/f", "", 0);
    guest_walk(g, 0, 2, "dir");
    assert_int_equal(guest_does(g, TREMOVE, "4", 2u), ENOTEMPTY);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), EBADF);
    guest_walk(g, 1, 2, "file");
    assert_int_equal(guest_does(g, TREMOVE, "4", 2u), EROFS);
    assert_int_equal(guest_does(g, TCLUNK, "4", 2u), EBADF);
    assert_true(synth_exists(rig->ro, "file"));
    assert_int_equal(synth_files(rig->rw), 0);
    assert_int_equal(synth_node_refs(rig->rw) + synth_node_refs(rig->ro), 0);
}

/* --- directories ------------------------------------------------------------ */

struct listing {
    unsigned entries;
    uint64_t last;
    size_t len;
    char names[64 * 1024];
};

/* One Treaddir; how many entries came. */
static unsigned
list(struct guest *g, uint32_t fid, uint32_t count, struct listing *l)
{
    struct msg m = guest_ask(g, TREADDIR, "484", fid, l->last, count);
    unsigned n = 0;

    assert_int_equal(m.type, TREADDIR + 1);
    assert_int_equal(cur_u32(&m.body), m.size - 11);
    assert_true(m.size - 11 <= count);
    while (m.body.at < m.body.end) {
        struct str name;
        uint8_t qtype = cur_u8(&m.body), dtype;

        (void)cur_u32(&m.body);
        assert_int_not_equal(cur_u64(&m.body), 0);
        l->last = cur_u64(&m.body);
        dtype = cur_u8(&m.body);
        name = cur_str(&m.body);
        assert_false(m.body.bad);
        assert_int_equal(qtype, dtype == 4 ? 0x80 : dtype == 10 ? 0x02 : 0);
        assert_true(sizeof(l->names) - l->len > name.n + 2);
        memcpy(l->names + l->len, name.p, name.n);
        l->len += name.n;
        l->names[l->len++] = ' ';
        l->entries++;
        n++;
    }
    return n;
}

static void
a_directory_is_listed_whole_whatever_the_count(void **state)
{
    static const uint32_t counts[] = {30, 31, 60, 100, 4096, 65536, 0xffffffff};
    static struct listing l;
    struct guest *g = guest_new(*state);

    guest_open(g, 0, 2, "", O_RDONLY | O_DIRECTORY);
    for (size_t i = 0; i < COUNT(counts); i++) {
        memset(&l, 0, sizeof(l));
        while (list(g, 2, counts[i], &l) > 0)
            assert_true(l.entries <= 5);
        assert_string_equal(l.names, ". .. dir file link ");
    }
    assert_int_equal(guest_does(g, TREADDIR, "484", 2u, (uint64_t)0, 24u), EINVAL);
    assert_int_equal(guest_does(g, TREADDIR, "484", 2u, (uint64_t)0, 0u), EINVAL);
    memset(&l, 0, sizeof(l));
    assert_int_equal(list(g, 2, 60, &l), 2); /* and again from the start */
}

static void
a_large_directory_comes_in_bounded_replies(void **state)
{
    static struct listing l;
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    char path[300];

    guest_version(g, MSIZE_MAX);
    guest_attach(g, 0, "rw");
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(path, sizeof(path), "dir/%0*d", i % 30 + 4, i);
        synth_put_file(rig->rw, path, "", 0);
    }
    guest_open(g, 0, 2, "dir", O_RDONLY);
    memset(&l, 0, sizeof(l));
    while (list(g, 2, MSIZE_MAX, &l) > 0)
        ;
    assert_int_equal(l.entries, 1002);
}

/* The helper's next question to the kernel goes on where the last one ended. */
static void
what_was_read_of_a_directory_is_told_and_never_read_again(void **state)
{
    static const uint32_t counts[] = {1200, 2000, 3000};
    static struct listing l;
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    char path[64];

    guest_version(g, MSIZE_MAX);
    guest_attach(g, 0, "rw");
    for (int len = 4; len < 12; len++) {
        (void)snprintf(path, sizeof(path), "dir/%d", len);
        guest_walk(g, 0, 1, "dir");
        assert_int_equal(guest_does(g, TMKDIR, "4s44", 1u, path + 4, 0755u, 0u), 0);
        assert_int_equal(guest_does(g, TCLUNK, "4", 1u), 0);
        for (int i = 0; i < 120; i++) {
            (void)snprintf(path, sizeof(path), "dir/%d/%0*d", len, len, i);
            synth_put_file(rig->rw, path, "", 0);
        }
        (void)snprintf(path, sizeof(path), "dir/%d", len);
        guest_open(g, 0, 2, path, O_RDONLY);
        for (size_t i = 0; i < COUNT(counts); i++) {
            memset(&l, 0, sizeof(l));
            while (list(g, 2, counts[i], &l) > 0)
                assert_int_equal(l.last, synth_listed_to(rig->rw));
            assert_int_equal(l.entries, 122);
        }
        assert_int_equal(guest_does(g, TCLUNK, "4", 2u), 0);
    }
}

static void
readdir_wants_an_open_directory(void **state)
{
    struct guest *g = guest_new(*state);

    guest_walk(g, 0, 2, "dir");
    assert_int_equal(guest_does(g, TREADDIR, "484", 2u, (uint64_t)0, 4096u), EBADF);
    guest_open(g, 0, 3, "file", O_RDONLY);
    assert_int_equal(guest_does(g, TREADDIR, "484", 3u, (uint64_t)0, 4096u), ENOTDIR);
    guest_open(g, 0, 4, "dir", O_RDONLY);
    assert_int_equal(guest_does(g, TREAD, "484", 4u, (uint64_t)0, 4096u), EISDIR);
}

static void
records_of_a_helper_that_are_none_close_the_share(void **state)
{
    static const struct {
        const char *bytes;
        uint32_t n;
    } t[] = {
        {"", 1},
        {"\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\30\0\4a\0\0\0", 23},      /* size beyond the end */
        {"\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\4a\0\0\0\0", 24},     /* size 0: no progress */
        {"\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\24\0\4a\0\0\0\0", 24},    /* name without its end */
        {"\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\30\0\4abcde", 24},        /* the same */
        {"\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\30\0\4\0\0\0\0\0", 24},   /* no name */
        {"\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\30\0\4a/b\0\0", 24},      /* a path */
        {"\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\377\377\4a\0\0\0\0", 24}, /* size beyond the end */
    };
    char buf[10];

    for (size_t i = 0; i < COUNT(t); i++) {
        struct rig *rig;
        struct guest *g;

        if (i > 0) {
            (void)rig_teardown(state);
            (void)setup(state);
        }
        rig = *state;
        g = guest_new(rig);
        guest_open(g, 0, 2, "dir", O_RDONLY);
        guest_open(g, 1, 3, "file", O_RDONLY);
        synth_readdir_says(rig->rw, t[i].bytes, t[i].n);
        assert_int_equal(guest_does(g, TREADDIR, "484", 2u, (uint64_t)0, 4096u), EIO);
        assert_true(synth_blamed(rig->rw));
        assert_int_equal(guest_does(g, TGETATTR, "48", 0u, (uint64_t)0), EIO);
        assert_int_equal(read_at(g, 3, 0, 5, buf), 5); /* the other share goes on */
        guest_hang_up(g);
        rig_run(rig);
        assert_true(tenant_is_idle(&rig->tenant));
        rig_cut(rig, 0); /* what a dead helper held is not ours to count */
    }
}

/* --- names --------------------------------------------------------------- */

static void
names_are_made_moved_linked_and_removed(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    assert_int_equal(guest_does(g, TMKDIR, "4s44", 0u, "d2", 0755u, 0u), 0);
    assert_int_equal(guest_does(g, TSYMLINK, "4ss4", 0u, "l2", "any/thing", 0u), 0);
    assert_int_equal(guest_does(g, TMKNOD, "4s4444", 0u, "fifo", 0010644u, 0u, 0u, 0u), 0);
    assert_int_equal(guest_does(g, TMKNOD, "4s4444", 0u, "sock", 0140644u, 0u, 0u, 0u), 0);
    assert_int_equal(guest_does(g, TMKNOD, "4s4444", 0u, "reg", 0100644u, 0u, 0u, 0u), 0);
    assert_int_equal(guest_does(g, TMKNOD, "4s4444", 0u, "reg2", 0644u, 0u, 0u, 0u), 0);
    assert_int_equal(guest_does(g, TMKNOD, "4s4444", 0u, "c", 0020644u, 1u, 3u, 0u), EPERM);
    assert_int_equal(guest_does(g, TMKNOD, "4s4444", 0u, "b", 0060644u, 8u, 0u, 0u), EPERM);
    assert_int_equal(guest_does(g, TMKNOD, "4s4444", 0u, "d", 0040755u, 0u, 0u, 0u), EINVAL);
    guest_walk(g, 0, 2, "file");
    guest_walk(g, 0, 3, "dir");
    assert_int_equal(guest_does(g, TLINK, "44s", 3u, 2u, "hard"), 0);
    assert_true(holds(rig->rw, "dir/hard", "hello"));
    assert_int_equal(guest_does(g, TRENAMEAT, "4s4s", 3u, "hard", 0u, "harder"), 0);
    assert_int_equal(guest_does(g, TRENAME, "44s", 2u, 3u, "file2"), 0);
    assert_true(holds(rig->rw, "dir/file2", "hello"));
    assert_int_equal(guest_does(g, TUNLINKAT, "4s4", 0u, "harder", 0x200u), ENOTDIR);
    assert_int_equal(guest_does(g, TUNLINKAT, "4s4", 0u, "harder", 1u), EINVAL);
    assert_int_equal(guest_does(g, TUNLINKAT, "4s4", 0u, "harder", 0u), 0);
    assert_int_equal(guest_does(g, TUNLINKAT, "4s4", 0u, "d2", 0u), EISDIR);
    assert_int_equal(guest_does(g, TUNLINKAT, "4s4", 0u, "d2", 0x200u), 0);
    assert_int_equal(guest_does(g, TUNLINKAT, "4s4", 0u, "dir", 0x200u), ENOTEMPTY);
    guest_walk(g, 0, 4, "l2");
    m = guest_ask(g, TREADLINK, "4", 4u);
    assert_int_equal(m.size, 9 + 9);
    assert_memory_equal(m.body.at, "\11\0any/thing", 11);
    assert_int_equal(guest_does(g, TREADLINK, "4", 0u), EINVAL);
}

static void
symlink_targets_are_kept_as_they_are_and_bounded(void **state)
{
    static uint8_t target[5000];
    struct guest *g = guest_new(*state);
    struct msg m;

    memset(target, 't', sizeof(target));
    assert_int_equal(guest_does(g, TSYMLINK, "4sb4", 0u, "a", target, (size_t)4096, 0u),
                     ENAMETOOLONG);
    assert_int_equal(guest_does(g, TSYMLINK, "4sb4", 0u, "a", target, (size_t)0, 0u), ENOENT);
    assert_int_equal(guest_does(g, TSYMLINK, "4sb4", 0u, "a", "x\0y", (size_t)3, 0u), EINVAL);
    assert_int_equal(guest_does(g, TSYMLINK, "4sb4", 0u, "a", target, (size_t)4095, 0u), 0);
    guest_walk(g, 0, 2, "a");
    m = guest_ask(g, TREADLINK, "4", 2u);
    assert_int_equal(m.size, 9 + 4095);
    guest_version(g, 4096); /* where such a reply does not fit */
    guest_attach(g, 0, "rw");
    guest_walk(g, 0, 2, "a");
    assert_int_equal(guest_does(g, TREADLINK, "4", 2u), ENAMETOOLONG);
}

static void
two_shares_are_two_file_systems(void **state)
{
    struct rig *rig = *state;
    struct synth *other = synth_new("other", false);
    struct fs *fs[] = {synth_fs(rig->rw), synth_fs(other)};
    struct guest *g;

    tenant_done(&rig->tenant);
    assert_int_equal(tenant_init(&rig->tenant, &rig_limits, fs, 2), 0);
    synth_free(rig->ro);
    rig->ro = other;
    g = rig_connect(rig);
    guest_version(g, 8192);
    guest_attach(g, 0, "rw");
    guest_attach(g, 1, "other");
    guest_walk(g, 0, 2, "file");
    assert_int_equal(guest_does(g, TLINK, "44s", 1u, 2u, "x"), EXDEV);
    assert_int_equal(guest_does(g, TRENAME, "44s", 2u, 1u, "x"), EXDEV);
    assert_int_equal(guest_does(g, TRENAMEAT, "4s4s", 0u, "file", 1u, "x"), EXDEV);
}

/* --- attributes ------------------------------------------------------------- */

static void
getattr_answers_the_basic_set_and_what_is_known_beyond(void **state)
{
    static const struct {
        uint64_t asked, valid;
    } t[] = {{0, 0x7ff}, {0x7ff, 0x7ff}, {0x17ff, 0x7ff}, {0x3fff, 0x2fff}, {UINT64_MAX, 0x2fff}};
    struct guest *g = guest_new(*state);

    guest_walk(g, 0, 2, "file");
    for (size_t i = 0; i < COUNT(t); i++) {
        struct msg m = guest_ask(g, TGETATTR, "48", 2u, t[i].asked);

        assert_int_equal(m.size, 160);
        assert_int_equal(cur_u64(&m.body), t[i].valid);
        assert_int_equal(cur_u8(&m.body), 0); /* qid */
        (void)cur_take(&m.body, 12);
        assert_int_equal(cur_u32(&m.body), S_IFREG | 0644);
        assert_int_equal(cur_u32(&m.body), 1000);
        assert_int_equal(cur_u32(&m.body), 1000);
        assert_int_equal(cur_u64(&m.body), 1); /* nlink */
        assert_int_equal(cur_u64(&m.body), 0); /* rdev */
        assert_int_equal(cur_u64(&m.body), 5); /* size */
    }
}

/* Tsetattr with that valid, all values in place. */
static int
setattr(struct guest *g, uint32_t fid, uint32_t valid, uint32_t mode, uint64_t size, uint64_t sec,
        uint64_t nsec)
{
    return guest_does(g, TSETATTR,
                      "44444"
                      "88888",
                      fid, valid, mode, 7u, 8u, size, sec, nsec, sec, nsec);
}

static void
setattr_sets_what_is_valid_and_nothing_else(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    guest_walk(g, 0, 2, "file");
    assert_int_equal(setattr(g, 2, 0x8, 0, 3, 0, 0), 0);
    assert_true(holds(rig->rw, "file", "hel"));
    assert_int_equal(setattr(g, 2, 0x1 | 0x40, 0100600, 0, 0, 0), 0);
    assert_int_equal(setattr(g, 2, 0x20 | 0x100, 0, 0, 1234, 999999999), 0);
    m = guest_ask(g, TGETATTR, "48", 2u, (uint64_t)0x7ff);
    (void)cur_take(&m.body, 8 + 13);
    assert_int_equal(cur_u32(&m.body), S_IFREG | 0600);
    (void)cur_take(&m.body, 8 + 5 * 8);
    assert_int_equal(cur_u64(&m.body), 0); /* atime as it was */
    (void)cur_u64(&m.body);
    assert_int_equal(cur_u64(&m.body), 1234);
    assert_true(holds(rig->rw, "file", "hel"));
    assert_int_equal(setattr(g, 2, 0x2, 0, 0, 0, 0), EPERM);
    assert_int_equal(setattr(g, 2, 0x4, 0, 0, 0, 0), EPERM);
    assert_int_equal(setattr(g, 2, 0, 0, 0, 0, UINT64_MAX), 0);
    assert_int_equal(setattr(g, 2, 0x30, 0, 0, 0, UINT64_MAX), 0); /* now: the rest is unread */
}

static void
setattr_refuses_what_a_kernel_would_take_for_something_else(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    unsigned before;

    guest_walk(g, 0, 2, "file");
    before = synth_calls(rig->rw, OP_SETATTR);
    assert_int_equal(setattr(g, 2, 0x110 | 0x20, 0, 0, 0, 1000000000), EINVAL);
    assert_int_equal(setattr(g, 2, 0x120, 0, 0, 0, 0x3fffffff), EINVAL); /* UTIME_NOW */
    assert_int_equal(setattr(g, 2, 0x090, 0, 0, 0, 0x3ffffffe), EINVAL); /* UTIME_OMIT */
    assert_int_equal(setattr(g, 2, 0x090, 0, 0, 0, 0x100000000), EINVAL);
    assert_int_equal(setattr(g, 2, 0x8, 0, (uint64_t)INT64_MAX + 1, 0, 0), EINVAL);
    assert_int_equal(setattr(g, 2, 0x8, 0, UINT64_MAX, 0, 0), EINVAL);
    assert_int_equal(setattr(g, 2, 0x200, 0, 0, 0, 0), EINVAL);
    assert_int_equal(setattr(g, 2, 0x80000000, 0, 0, 0, 0), EINVAL);
    assert_int_equal(synth_calls(rig->rw, OP_SETATTR), before);
}

static void
statfs_says_what_the_file_system_said(void **state)
{
    struct guest *g = guest_new(*state);
    struct msg m = guest_ask(g, TSTATFS, "4", 0u);

    assert_int_equal(m.type, TSTATFS + 1);
    assert_int_equal(m.size, 7 + 4 + 4 + 6 * 8 + 4);
    assert_int_equal(cur_u32(&m.body), 0x01021994);
    assert_int_equal(cur_u32(&m.body), 4096);
    assert_int_equal(cur_u64(&m.body), 1000);
}

/* --- read-only ----------------------------------------------------------- */

/* Everything that may change something, with fid root as the share's root and
 * fid file as "file" in it; each must say e. */
static void
everything_that_writes_says(struct guest *g, uint32_t root, int e)
{
    guest_walk(g, root, 50, "file");
    for (unsigned bit = 0; bit < 32; bit++) {
        const uint32_t flag = 1u << bit;
        static const uint32_t writish = 1 | 2 | 0100 | 01000 | 02000;
        int got = guest_does(g, TLOPEN, "44", 50u, flag);

        if ((flag & writish) != 0)
            assert_int_equal(got, e);
        if (got == 0) {
            assert_int_equal(write_at(g, 50, 0, "x", 1), -e);
            assert_int_equal(write_at(g, 50, 0, "", 0), -e);
            assert_int_equal(guest_does(g, TCLUNK, "4", 50u), 0);
            guest_walk(g, root, 50, "file");
        }
    }
    assert_int_equal(guest_does(g, TLOPEN, "44", 50u, 3u), e);
    assert_int_equal(guest_does(g, TLOPEN, "44", 50u, 0xffffffffu), e);
    assert_int_equal(write_at(g, 50, 0, "x", 1), -e); /* not even open */
    guest_walk(g, root, 51, "dir");
    for (uint32_t flags = 0; flags < 4; flags++)
        assert_int_equal(guest_does(g, TLCREATE, "4s444", 51u, "n", flags, 0644u, 0u), e);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", root, "n", 0755u, 0u), e);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", root, "..", 0755u, 0u), e);
    assert_int_equal(guest_does(g, TSYMLINK, "4ss4", root, "n", "t", 0u), e);
    assert_int_equal(guest_does(g, TSYMLINK, "4ss4", root, "n", "", 0u), e);
    assert_int_equal(guest_does(g, TMKNOD, "4s4444", root, "n", 0100644u, 0u, 0u, 0u), e);
    assert_int_equal(guest_does(g, TMKNOD, "4s4444", root, "n", 0020644u, 1u, 3u, 0u), e);
    assert_int_equal(guest_does(g, TLINK, "44s", root, 50u, "n"), e);
    assert_int_equal(guest_does(g, TRENAME, "44s", 50u, root, "n"), e);
    assert_int_equal(guest_does(g, TRENAMEAT, "4s4s", root, "file", root, "n"), e);
    assert_int_equal(guest_does(g, TUNLINKAT, "4s4", root, "file", 0u), e);
    assert_int_equal(guest_does(g, TUNLINKAT, "4s4", root, "dir", 0x200u), e);
    for (unsigned bit = 0; bit < 32; bit++)
        assert_int_equal(setattr(g, 50, 1u << bit, 0600, 0, 0, 0), e);
    assert_int_equal(setattr(g, 50, 0, 0, 0, 0, 0), e);
    assert_int_equal(guest_does(g, TREMOVE, "4", 50u), e);
    assert_int_equal(guest_does(g, TREMOVE, "4", 51u), e);
}

static void
a_read_only_share_refuses_everything_with_erofs(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    everything_that_writes_says(g, 1, EROFS); /* the share stops the test if a call comes through */
    assert_true(holds(rig->ro, "file", "hello"));
}

static void
a_narrowed_attach_is_as_good_as_a_read_only_share(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    unsigned writes = 0;

    guest_attach(g, 5, "rw;ro");
    everything_that_writes_says(g, 5, EROFS);
    for (unsigned op = 1; op < OP_END; op++) {
        if (op_info(op)->access != OP_READS)
            writes += synth_calls(rig->rw, op);
    }
    assert_int_equal(writes, 0);
    /* also by a fid that was walked through "..", and not by the other attach */
    guest_walk(g, 5, 6, "dir/../file");
    assert_int_equal(guest_does(g, TLOPEN, "44", 6u, 1u), EROFS);
    guest_open(g, 0, 7, "file", O_WRONLY);
}

static void
two_fids_with_one_foot_in_a_read_only_share_are_erofs(void **state)
{
    struct guest *g = guest_new(*state);

    guest_walk(g, 0, 2, "file");
    guest_walk(g, 1, 3, "file");
    assert_int_equal(guest_does(g, TLINK, "44s", 1u, 2u, "x"), EROFS);
    assert_int_equal(guest_does(g, TLINK, "44s", 0u, 3u, "x"), EROFS);
    assert_int_equal(guest_does(g, TRENAME, "44s", 2u, 1u, "x"), EROFS);
    assert_int_equal(guest_does(g, TRENAME, "44s", 3u, 0u, "x"), EROFS);
    assert_int_equal(guest_does(g, TRENAMEAT, "4s4s", 0u, "file", 1u, "x"), EROFS);
    assert_int_equal(guest_does(g, TRENAMEAT, "4s4s", 1u, "file", 0u, "x"), EROFS);
}

static void
fsync_works_also_where_nothing_can_be_written(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_open(g, 1, 3, "file", O_RDONLY);
    assert_int_equal(guest_does(g, TFSYNC, "44", 2u, 0u), 0);
    assert_int_equal(guest_does(g, TFSYNC, "44", 2u, 1u), 0);
    assert_int_equal(synth_calls(rig->rw, OP_FSYNC), 2);
    assert_int_equal(guest_does(g, TFSYNC, "44", 3u, 0u), 0);
    assert_int_equal(guest_does(g, TFSYNC, "44", 0u, 0u), EBADF);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_written_is_read_back),
        T(a_megabyte_goes_through_in_one_message),
        T(a_read_never_exceeds_what_the_client_set_aside),
        T(an_open_gives_what_was_asked_for_and_no_more),
        T(an_open_fid_is_not_opened_or_created_on_again),
        T(a_failed_open_leaves_the_fid_as_it_was),
        T(a_created_file_is_what_the_fid_is_then),
        T(a_clunk_answers_what_close_said),
        T(a_clunk_of_a_file_open_to_write_is_answered_by_its_close),
        T(a_clunk_of_a_file_open_to_read_waits_for_nothing),
        T(a_close_that_finds_no_room_goes_before_what_was_asked_after_it),
        T(a_clunk_waits_when_too_much_is_being_closed),
        T(a_clunk_waits_for_the_reads_before_it),
        T(a_fid_clunked_while_it_opens_is_closed_when_it_is_open),
        T(a_remove_takes_the_fid_also_when_it_fails),
        T(a_directory_is_listed_whole_whatever_the_count),
        T(a_large_directory_comes_in_bounded_replies),
        T(what_was_read_of_a_directory_is_told_and_never_read_again),
        T(readdir_wants_an_open_directory),
        T(records_of_a_helper_that_are_none_close_the_share),
        T(names_are_made_moved_linked_and_removed),
        T(symlink_targets_are_kept_as_they_are_and_bounded),
        T(two_shares_are_two_file_systems),
        T(getattr_answers_the_basic_set_and_what_is_known_beyond),
        T(setattr_sets_what_is_valid_and_nothing_else),
        T(setattr_refuses_what_a_kernel_would_take_for_something_else),
        T(statfs_says_what_the_file_system_said),
        T(a_read_only_share_refuses_everything_with_erofs),
        T(a_narrowed_attach_is_as_good_as_a_read_only_share),
        T(two_fids_with_one_foot_in_a_read_only_share_are_erofs),
        T(fsync_works_also_where_nothing_can_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
