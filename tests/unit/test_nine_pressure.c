/*
 * Too much, too slow, too late: what a session does when there is no room,
 * when the other side does not read, and when somebody dies.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"
#include "worker/request.h"
#include "worker/slab.h"

static uint8_t big[2 * 1024 * 1024];

static int
setup_with(void **state, const struct tenant_limits *l)
{
    struct rig *rig = rig_new(l);

    for (size_t i = 0; i < sizeof(big); i++)
        big[i] = (uint8_t)(i * 13 + i / 4096);
    synth_put_dir(rig->rw, "dir");
    synth_put_file(rig->rw, "file", "hello", 5);
    synth_put_file(rig->rw, "big", big, sizeof(big));
    synth_put_file(rig->ro, "big", big, sizeof(big));
    *state = rig;
    return 0;
}

static int
setup(void **state)
{
    return setup_with(state, &rig_limits);
}

static int
setup_few_slots(void **state)
{
    const struct tenant_limits l = {.connections = 4, .fids = 100, .in_flight = 3, .msize = 65536};

    return setup_with(state, &l);
}

/* Take n replies; each tag of [0, n) once, none an error. */
static void
expect_all(struct guest *g, unsigned n)
{
    static bool seen[65536];
    struct msg m;

    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < n; i++) {
        assert_true(guest_next(g, &m));
        assert_int_equal(msg_errno(&m), 0);
        assert_true(m.tag < n);
        assert_false(seen[m.tag]);
        seen[m.tag] = true;
    }
    assert_false(guest_next(g, &m));
}

/* n getattrs of fid 0 in one piece, tags from 0. */
static void
send_getattrs(struct guest *g, unsigned n)
{
    static uint8_t buf[400000];
    size_t len = 0, at = 0;

    for (unsigned i = 0; i < n; i++)
        len += msg_make(buf + len, sizeof(buf) - len, TGETATTR, (uint16_t)i, "48", 0u,
                        (uint64_t)0x7ff);
    while (at < len) {
        at += guest_bytes(g, buf + at, len - at);
        if (at < len)
            rig_run(g->rig);
    }
}

static void
two_hundred_requests_in_one_piece_are_all_answered(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    send_getattrs(g, 200);
    rig_run(rig);
    expect_all(g, 200);
    assert_in_range(rig->rounds, 1, 20); /* and in few turns */
}

static void
more_than_the_input_buffer_holds_is_answered_too(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    guest_send(g, TFLUSH, 20000, "2", 999u); /* or the border would fall on like bytes */
    send_getattrs(g, 20000);
    rig_run(rig);
    expect_all(g, 20001);
}

static void
requests_wait_for_a_slot_and_none_is_lost(void **state)
{
    struct rig *rig = *state; /* three slots */
    struct guest *g = guest_new(rig), *h = guest_new(rig);

    send_getattrs(g, 200);
    send_getattrs(h, 200);
    rig_run(rig);
    expect_all(g, 200);
    expect_all(h, 200);
}

static void
nobody_takes_more_slots_than_there_are(void **state)
{
    struct rig *rig = *state; /* three slots */
    struct guest *g = guest_new(rig);

    rig->hold = true;
    send_getattrs(g, 100);
    rig_run(rig);
    assert_int_equal(synth_pending(rig->rw), 3);
    assert_int_equal(rig->tenant.requests.live, 3);
    assert_in_range(rig->rounds, 1, 10); /* it waits, it does not spin */
    rig->hold = false;
    rig_run(rig);
    expect_all(g, 100);
}

static void
calls_wait_for_the_helper_to_have_room(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig), *h = guest_new(rig);

    synth_room(rig->rw, 1);
    send_getattrs(g, 100);
    send_getattrs(h, 100);
    rig_run(rig);
    expect_all(g, 100);
    expect_all(h, 100);
}

static void
every_kind_of_request_survives_no_room_at_its_first_try(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;
    uint16_t tag = 100;

    guest_walk(g, 0, 2, "dir");
    guest_walk(g, 0, 3, "file");
    guest_open(g, 0, 4, "file", O_RDWR);
    guest_open(g, 0, 5, "dir", O_RDONLY);
    guest_walk(g, 0, 6, "file");
    rig->hold = true;
    guest_send(g, TGETATTR, 99, "48", 0u, (uint64_t)0); /* takes the only place */
    rig_run(rig);
    synth_room(rig->rw, 1);
    guest_send(g, TWALK, tag++, "442ssss", 0u, 10u, 4u, "dir", "..", "..", "file");
    guest_send(g, TATTACH, tag++, "44ss4", 11u, NOFID, "", "rw", 0u);
    guest_send(g, TLCREATE, tag++, "4s444", 2u, "new", (uint32_t)O_RDWR, 0644u, 0u);
    guest_send(g, TLOPEN, tag++, "44", 3u, (uint32_t)O_RDONLY);
    guest_send(g, TREAD, tag++, "484", 4u, (uint64_t)0, 100u);
    guest_send(g, TWRITE, tag++, "484r", 4u, (uint64_t)0, 5u, "HELLO", (size_t)5);
    guest_send(g, TREADDIR, tag++, "484", 5u, (uint64_t)0, 4096u);
    guest_send(g, TMKDIR, tag++, "4s44", 0u, "d", 0755u, 0u);
    guest_send(g, TRENAMEAT, tag++, "4s4s", 0u, "d", 0u, "e");
    guest_send(g, TREMOVE, tag++, "4", 6u);
    guest_send(g, TCLUNK, tag++, "4", 4u);
    guest_send(g, TSTATFS, tag++, "4", 0u);
    rig_run(rig);
    assert_int_equal(synth_pending(rig->rw), 1);
    assert_in_range(rig->rounds, 1, 10);
    rig->hold = false;
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 99);
    for (uint16_t i = 100; i < tag; i++) {
        assert_true(guest_next(g, &m));
        assert_int_equal(msg_errno(&m), 0);
    }
    synth_room(rig->rw, 100);
}

static void
while_a_request_waits_for_room_its_guest_is_not_read(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig), *other = guest_new(rig);
    struct msg m;

    guest_open(g, 0, 2, "file", O_RDWR);
    synth_room(rig->rw, 1);
    rig->hold = true;
    guest_send(g, TGETATTR, 0, "48", 0u, (uint64_t)0); /* takes the only place */
    guest_send(g, TWRITE, 1, "484r", 2u, (uint64_t)0, 5u, "HELLO", (size_t)5);
    guest_send(g, TFLUSH, 2, "2", 999u);
    guest_send(other, TFLUSH, 2, "2", 999u);
    rig_run(rig);
    assert_false(guest_next(g, &m));
    assert_int_equal(rig->tenant.requests.live, 2);
    assert_true(guest_next(other, &m));
    rig->hold = false;
    rig_run(rig);
    expect_all(g, 3);
}

static void
reads_wait_for_pages_of_the_slab(void **state)
{
    struct rig *rig = *state;
    struct guest *g;
    struct msg m;
    unsigned n = 0;

    synth_pages(rig->rw, 16); /* two reads of 32 KiB */
    g = guest_new(rig);
    guest_open(g, 0, 2, "big", O_RDONLY);
    rig->hold = true;
    for (uint16_t tag = 100; tag < 110; tag++)
        guest_send(g, TREAD, tag, "484", 2u, (uint64_t)tag * 1000, 32768u);
    rig_run(rig);
    assert_int_equal(synth_pending(rig->rw), 2);
    rig->hold = false;
    rig_run(rig);
    while (guest_next(g, &m)) {
        assert_int_equal(m.type, TREAD + 1);
        assert_memory_equal(m.body.at + 4, big + (size_t)m.tag * 1000, 32768);
        n++;
    }
    assert_int_equal(n, 10);
}

static void
a_guest_that_does_not_read_is_not_read_and_gets_everything_later(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig), *other = guest_new(rig);
    size_t held;

    g->deaf = true;
    send_getattrs(g, 0);
    for (unsigned i = 0; i < 20; i++) { /* far more than all buffers hold */
        uint8_t buf[19 * 1000];
        size_t len = 0;

        for (unsigned k = 0; k < 1000; k++)
            len += msg_make(buf + len, sizeof(buf) - len, TGETATTR, (uint16_t)(i * 1000 + k), "48",
                            0u, (uint64_t)0x7ff);
        held = guest_bytes(g, buf, len);
        rig_run(rig);
        if (held < len)
            break;
    }
    assert_true(g->conn->out_end <= OUT_BYTES);
    assert_int_equal(guest_does(other, TSTATFS, "4", 0u), 0);
    assert_in_range(rig->rounds, 1, 10);
    g->deaf = false;
    rig_run(rig);
    for (unsigned i = 0; guest_next(g, &(struct msg){.size = 0}); i++)
        assert_true(i < 20000);
    assert_int_equal(g->at, g->n);
    g->at = g->n = 0;
    assert_int_equal(rig->tenant.requests.live, 0);
}

static void
large_reads_to_a_guest_that_does_not_read_hold_a_bounded_part_of_the_slab(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig), *other = guest_new(rig);
    struct msg m;
    unsigned n = 0;

    guest_version(g, MSIZE_MAX);
    guest_attach(g, 0, "rw");
    guest_open(g, 0, 2, "big", O_RDONLY);
    guest_open(other, 0, 2, "big", O_RDONLY);
    g->deaf = true;
    for (uint16_t tag = 0; tag < 100; tag++)
        guest_send(g, TREAD, tag, "484", 2u, (uint64_t)0, 1024u * 1024u);
    rig_run(rig);
    assert_in_range(synth_pages_used(rig->rw) * SLAB_PAGE, 1, OUT_PAYLOAD_MAX);
    m = guest_ask(other, TREAD, "484", 2u, (uint64_t)0, 65000u);
    assert_int_equal(m.size, 11 + 65000);
    g->deaf = false;
    while (n < 100) {
        rig_run(rig);
        while (guest_next(g, &m)) {
            assert_int_equal(m.tag, n++);
            assert_memory_equal(m.body.at + 4, big, 1024 * 1024);
        }
        memmove(g->buf, g->buf + g->at, g->n - g->at);
        g->n -= g->at;
        g->at = 0;
    }
    assert_int_equal(synth_pages_used(rig->rw), 0);
}

static void
four_guests_that_do_not_read_leave_half_of_the_slab(void **state)
{
    struct rig *rig = *state;
    struct guest *other = guest_new(rig);
    struct msg m;

    guest_version(other, MSIZE_MAX);
    guest_attach(other, 0, "rw");
    guest_open(other, 0, 2, "big", O_RDWR);
    for (int i = 0; i < 4; i++) {
        struct guest *g = guest_new(rig);

        guest_version(g, MSIZE_MAX);
        guest_attach(g, 0, "rw");
        guest_open(g, 0, 2, "big", O_RDONLY);
        g->deaf = true;
        for (uint16_t tag = 0; tag < 20; tag++)
            guest_send(g, TREAD, tag, "484", 2u, (uint64_t)0, 1024u * 1024u);
        rig_run(rig);
    }
    assert_in_range(synth_pages_used(rig->rw) * SLAB_PAGE, 1, SLAB_BYTES / 2 + 3 * 1024 * 1024);
    for (int i = 0; i < 20; i++) {
        m = guest_ask(other, TREAD, "484", 2u, (uint64_t)0, 1024u * 1024u);
        assert_in_range(m.size, 11 + 64 * 1024, 11 + 1024 * 1024);
    }
}

/* The head of a Twrite of n bytes and the first of them, then nothing. */
static void
send_half(struct guest *g, uint32_t n, uint32_t first)
{
    static uint8_t buf[64 + 1024 * 1024];

    (void)msg_make(buf, sizeof(buf), TWRITE, 7, "484r", 2u, (uint64_t)0, n, big, (size_t)n);
    assert_int_equal(guest_bytes(g, buf, 23 + first), 23 + first);
    rig_run(g->rig);
}

/* A guest with the largest messages and fid 2 open. */
static struct guest *
large_guest(struct rig *rig, const char *file)
{
    struct guest *g = guest_new(rig);

    guest_version(g, MSIZE_MAX);
    guest_attach(g, 0, "rw");
    guest_open(g, 0, 2, file, O_RDWR);
    return g;
}

static struct guest *
half_sender(struct rig *rig)
{
    struct guest *g = large_guest(rig, "file");

    send_half(g, 1024 * 1024, 1);
    return g;
}

/* A Twrite of n bytes of big at the start of fid 2, whole. */
static void
expect_write(struct guest *g, uint32_t n)
{
    struct msg m;

    guest_send(g, TWRITE, 9, "484r", 2u, (uint64_t)0, n, big, (size_t)n);
    rig_run(g->rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.type, TWRITE + 1);
    assert_int_equal(cur_u32(&m.body), n);
}

static uint32_t
read_got(struct guest *g, uint32_t n)
{
    struct msg m = guest_ask(g, TREAD, "484", 2u, (uint64_t)0, n);

    assert_int_equal(m.type, TREAD + 1);
    assert_memory_equal(m.body.at + 4, big, m.size - 11);
    return m.size - 11;
}

static void
who_sends_half_messages_holds_up_nobody_in_any_number(void **state)
{
    struct rig *rig = *state;
    struct guest *other = large_guest(rig, "big"), *late = NULL;
    struct msg m;

    for (unsigned i = 0; i < RIG_GUESTS - 10; i++) {
        late = half_sender(rig);
        if (i % 8 == 7) {
            unsigned calls = synth_calls(rig->rw, OP_WRITE);

            expect_write(other, 1024 * 1024);
            calls = synth_calls(rig->rw, OP_WRITE) - calls;
            assert_in_range(calls, 1, i < 64 ? 16 : 256); /* in parts, as small as need be */
            assert_in_range(read_got(other, 65000), i < 64 ? 65000 : SLAB_PAGE, 65000);
        }
    }
    assert_in_range(synth_pages_used(rig->rw), SLAB_PAGES / 2, SLAB_PAGES / 4 * 3 + RIG_GUESTS);
    for (size_t at = 1; at < 1024 * 1024;) { /* the last goes on where it stopped */
        at += guest_bytes(late, big + at, 1024 * 1024 - at);
        rig_run(rig);
    }
    assert_true(guest_next(late, &m));
    assert_int_equal(cur_u32(&m.body), 1024 * 1024);
}

static void
half_sent_writes_take_no_slot_from_others(void **state)
{
    struct rig *rig = *state; /* three slots, four connections */
    struct guest *other = guest_new(rig);

    for (int i = 0; i < 3; i++) {
        struct guest *g = guest_new(rig);

        guest_open(g, 0, 2, "file", O_RDWR);
        send_half(g, 1000, 1);
    }
    assert_int_equal(rig->tenant.requests.live, 3);
    send_getattrs(other, 100);
    rig_run(rig);
    expect_all(other, 100);
}

static void
replies_that_nobody_takes_hold_up_nobody_in_any_number(void **state)
{
    struct rig *rig = *state;
    struct guest *other = large_guest(rig, "big");

    for (unsigned i = 0; i < RIG_GUESTS - 10; i++) {
        struct guest *g = large_guest(rig, "big");

        g->deaf = true;
        for (uint16_t tag = 0; tag < 20; tag++)
            guest_send(g, TREAD, tag, "484", 2u, (uint64_t)0, 1024u * 1024u);
        rig_run(rig);
        if (i % 8 == 7) {
            assert_in_range(read_got(other, 65000), i < 64 ? 65000 : SLAB_PAGE, 65000);
            expect_write(other, 1024 * 1024);
        }
    }
}

static void
small_replies_that_nobody_takes_count_by_the_page(void **state)
{
    struct rig *rig = *state;
    struct guest *other = large_guest(rig, "big");

    for (unsigned i = 0; i < 20; i++) {
        struct guest *g = large_guest(rig, "big");

        g->deaf = true;
        guest_send(g, TREAD, 500, "484", 2u, (uint64_t)0, 300000u); /* its socket is full */
        for (uint16_t tag = 0; tag < 400; tag++)
            guest_send(g, TREAD, tag, "484", 2u, (uint64_t)0, 1u);
        rig_run(rig);
    }
    assert_in_range(synth_pages_used(rig->rw), 1, SLAB_PAGES / 2 + RIG_GUESTS);
    assert_int_equal(read_got(other, 65000), 65000);
}

static void
a_write_in_parts_says_how_much_of_it_was_written(void **state)
{
    struct rig *rig = *state;
    struct guest *g;
    struct msg m;

    for (int i = 0; i < 8; i++)
        (void)half_sender(rig);
    g = large_guest(rig, "file");
    synth_fail(rig->rw, OP_WRITE, -ENOSPC); /* the first part: all of it failed */
    guest_send(g, TWRITE, 5, "484r", 2u, (uint64_t)0, 200000u, big, (size_t)200000);
    guest_send(g, TGETATTR, 6, "48", 2u, (uint64_t)0x7ff); /* what follows is found again */
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(msg_errno(&m), ENOSPC);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 6);
    rig->hold = true;
    guest_send(g, TWRITE, 5, "484r", 2u, (uint64_t)0, 100000u, big, (size_t)100000);
    rig_run(rig);
    assert_int_equal(synth_answer(rig->rw, 1), 1); /* the second part */
    synth_fail(rig->rw, OP_WRITE, -ENOSPC);
    rig->hold = false;
    guest_send(g, TGETATTR, 6, "48", 2u, (uint64_t)0x7ff);
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.type, TWRITE + 1);
    assert_int_equal(cur_u32(&m.body), 65536);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 6);
}

static void
a_guest_that_hangs_up_in_the_middle_of_a_write_in_parts_leaves_nothing(void **state)
{
    struct rig *rig = *state;
    struct guest *half[8], *g;

    for (int i = 0; i < 8; i++)
        half[i] = half_sender(rig);
    for (int turn = 0; turn < 2; turn++) {
        g = large_guest(rig, "file");
        rig->hold = turn == 0; /* while a part is with the helper; while one arrives */
        send_half(g, 200000, 70000);
        guest_hang_up(g);
        rig_run(rig);
        rig->hold = false;
        rig_run(rig);
    }
    for (int i = 0; i < 8; i++)
        guest_hang_up(half[i]);
    rig_run(rig);
    rig_run(rig);
    assert_true(tenant_is_idle(&rig->tenant));
    assert_int_equal(synth_pages_used(rig->rw), 0);
    assert_int_equal(rig->tenant.expecting, 0);
}

static void
a_write_that_arrives_in_pieces_is_one_write(void **state)
{
    static uint8_t buf[200000];
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    size_t n, at = 0, step = 1;
    struct msg m;

    guest_version(g, 300000);
    guest_attach(g, 0, "rw");
    guest_open(g, 0, 2, "file", O_RDWR);
    n = msg_make(buf, sizeof(buf), TWRITE, 5, "484r", 2u, (uint64_t)0, 150000u, big,
                 (size_t)150000);
    n += msg_make(buf + n, sizeof(buf) - n, TGETATTR, 6, "48", 2u, (uint64_t)0x7ff);
    while (at < n) { /* 1, 2, 3, ... bytes at a time */
        size_t len = step < n - at ? step : n - at;

        assert_int_equal(guest_bytes(g, buf + at, len), len);
        at += len;
        step++;
        rig_run(rig);
    }
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 5);
    assert_int_equal(cur_u32(&m.body), 150000);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 6);
    assert_int_equal(synth_calls(rig->rw, OP_WRITE), 1);
    assert_memory_equal(synth_data(rig->rw, "file", &n), big, 150000);
}

static void
many_small_writes_in_one_piece_keep_their_data_apart(void **state)
{
    static uint8_t buf[200 * 1100];
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    size_t n = 0;

    guest_open(g, 0, 2, "file", O_RDWR);
    for (unsigned i = 0; i < 200; i++)
        n += msg_make(buf + n, sizeof(buf) - n, TWRITE, (uint16_t)i, "484r", 2u, (uint64_t)i * 1000,
                      1000u, big + (size_t)i * 1000, (size_t)1000);
    for (size_t at = 0; at < n;) {
        at += guest_bytes(g, buf + at, n - at);
        rig_run(rig);
    }
    expect_all(g, 200);
    assert_memory_equal(synth_data(rig->rw, "file", &n), big, 200000);
}

static void
a_guest_that_hangs_up_leaves_nothing_behind_at_any_byte(void **state)
{
    static uint8_t buf[4096];
    struct rig *rig = *state;
    size_t n = 0;

    n += msg_make(buf + n, sizeof(buf) - n, TVERSION, NOTAG, "4s", 8192u, "9P2000.L");
    n += msg_make(buf + n, sizeof(buf) - n, TATTACH, 1, "44ss4", 0u, NOFID, "u", "rw", 0u);
    for (size_t cut = 0; cut < n + 700; cut++) {
        struct guest *g = cut <= n ? rig_connect(rig) : guest_new(rig);

        if (cut > n) {
            guest_open(g, 0, 2, "file", O_RDWR);
            guest_walk(g, 0, 3, "dir");
            n = 0;
            n += msg_make(buf + n, sizeof(buf) - n, TREAD, 1, "484", 2u, (uint64_t)0, 100u);
            n += msg_make(buf + n, sizeof(buf) - n, TWALK, 2, "442sss", 0u, 7u, 3u, "dir", "..",
                          "file");
            n += msg_make(buf + n, sizeof(buf) - n, TLCREATE, 3, "4s444", 3u, "x", (uint32_t)O_RDWR,
                          0644u, 0u);
            n += msg_make(buf + n, sizeof(buf) - n, TWRITE, 4, "484r", 2u, (uint64_t)0, 100u, big,
                          (size_t)100);
            n += msg_make(buf + n, sizeof(buf) - n, TCLUNK, 5, "4", 2u);
            n += msg_make(buf + n, sizeof(buf) - n, TFLUSH, 6, "2", 5u);
            if (cut > 2 * n)
                break;
        }
        rig->hold = cut % 2 == 0;
        (void)guest_bytes(g, buf, cut <= n ? cut : cut - n);
        rig_run(rig);
        guest_hang_up(g);
        rig_run(rig);
        rig->hold = false;
        rig_run(rig);
        rig_run(rig);
        assert_int_equal(rig->tenant.nconns, 0);
        assert_true(tenant_is_idle(&rig->tenant));
        assert_int_equal(synth_files(rig->rw), 0);
        assert_int_equal(synth_node_refs(rig->rw), 0);
        assert_int_equal(synth_pages_used(rig->rw), 0);
    }
}

static void
thousands_of_open_fids_go_with_their_connection(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);

    for (uint32_t i = 0; i < 400; i++) {
        guest_open(g, 0, 100 + 2 * i, "file", O_RDONLY);
        guest_walk(g, 0, 101 + 2 * i, "dir");
    }
    assert_int_equal(synth_files(rig->rw), 400);
    synth_room(rig->rw, 7); /* and the helper takes them only slowly */
    guest_hang_up(g);
    rig_run(rig);
    assert_int_equal(synth_files(rig->rw), 0);
    assert_int_equal(synth_node_refs(rig->rw), 0);
    assert_true(tenant_is_idle(&rig->tenant));
}

static void
connections_are_limited_and_each_end_makes_room(void **state)
{
    struct rig *rig = *state; /* four connections */
    struct conn *c;
    int fds[2];

    for (int turn = 0; turn < 2000; turn++) {
        struct guest *g = guest_new(rig);

        guest_hang_up(g);
        rig_run(rig);
        assert_int_equal(rig->tenant.nconns, 0);
    }
    for (int i = 0; i < 4; i++)
        (void)guest_new(rig);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(conn_new(&rig->tenant, fds[0], &c), -EMFILE);
    close(fds[0]);
    close(fds[1]);
    guest_hang_up(&rig->guest[2]);
    rig_run(rig);
    (void)guest_new(rig);
}

static void
a_fid_too_many_is_emfile_a_hundred_thousand_times_at_no_cost(void **state)
{
    struct rig *rig = *state; /* a hundred fids */
    struct guest *g = guest_new(rig);
    const struct pool_chunk *chunks;
    unsigned calls;

    for (uint32_t i = 2; i < 100; i++)
        guest_walk(g, 0, i, "dir");
    assert_int_equal(guest_does(g, TWALK, "442s", 0u, 100u, 1u, "dir"), EMFILE);
    calls = synth_calls(rig->rw, 0);
    chunks = rig->tenant.handles.chunks;
    for (int i = 0; i < 100000; i++)
        assert_int_equal(guest_does(g, TWALK, "442s", 0u, 100u, 1u, "dir"), EMFILE);
    assert_int_equal(synth_calls(rig->rw, 0), calls);
    assert_ptr_equal(rig->tenant.handles.chunks, chunks);
    assert_int_equal(rig->tenant.fids.live, 100);
    assert_int_equal(guest_does(g, TCLUNK, "4", 99u), 0);
    guest_walk(g, 0, 100, "dir");
}

static void
when_the_helper_is_gone_all_is_eio_and_the_other_share_goes_on(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;
    uint16_t tag = 100;

    guest_open(g, 0, 2, "file", O_RDWR);
    guest_walk(g, 0, 3, "file");
    guest_open(g, 1, 4, "big", O_RDONLY);
    rig->hold = true;
    guest_send(g, TREAD, tag++, "484", 2u, (uint64_t)0, 100u);
    guest_send(g, TWRITE, tag++, "484r", 2u, (uint64_t)0, 5u, "12345", (size_t)5);
    guest_send(g, TWALK, tag++, "442ss", 0u, 7u, 2u, "dir", "..");
    guest_send(g, TLOPEN, tag++, "44", 3u, (uint32_t)O_RDONLY);
    guest_send(g, TCLUNK, tag++, "4", 2u);
    rig_run(rig);
    synth_gone(rig->rw);
    rig->hold = false;
    rig_run(rig);
    for (uint16_t i = 100; i < tag; i++) {
        assert_true(guest_next(g, &m));
        assert_int_equal(msg_errno(&m), EIO);
    }
    assert_int_equal(guest_does(g, TGETATTR, "48", 0u, (uint64_t)0), EIO);
    assert_int_equal(guest_does(g, TATTACH, "44ss4", 9u, NOFID, "", "rw", 0u), EIO);
    assert_int_equal(guest_does(g, TCLUNK, "4", 3u), 0);
    assert_int_equal(guest_does(g, TREAD, "484", 4u, (uint64_t)0, 100u), 0);
    guest_hang_up(g);
    rig_run(rig);
    assert_true(tenant_is_idle(&rig->tenant));
    assert_int_equal(synth_pages_used(rig->rw), 0);
    rig_cut(rig, 0); /* what a dead helper held is not ours to count */
}

static void
a_helper_that_dies_under_a_full_queue_lets_everybody_go(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig), *h = guest_new(rig);
    struct msg m;
    unsigned n = 0;

    synth_room(rig->rw, 1);
    rig->hold = true;
    send_getattrs(g, 50);
    send_getattrs(h, 50);
    rig_run(rig);
    synth_gone(rig->rw);
    rig_run(rig);
    while (guest_next(g, &m) || guest_next(h, &m)) {
        assert_int_equal(msg_errno(&m), EIO);
        n++;
    }
    assert_int_equal(n, 100);
}

static void
hanging_up_while_waiting_for_room_is_noticed(void **state)
{
    struct rig *rig = *state; /* three slots */
    struct guest *g = guest_new(rig), *h = guest_new(rig);

    rig->hold = true;
    send_getattrs(g, 50);
    rig_run(rig);
    send_getattrs(h, 50); /* no slot for any of them */
    rig_run(rig);
    guest_hang_up(h);
    rig_run(rig);
    assert_int_equal(rig->tenant.nconns, 1);
    rig->hold = false;
    rig_run(rig);
    expect_all(g, 50);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
#define FEW(name) cmocka_unit_test_setup_teardown(name, setup_few_slots, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(two_hundred_requests_in_one_piece_are_all_answered),
        T(more_than_the_input_buffer_holds_is_answered_too),
        FEW(requests_wait_for_a_slot_and_none_is_lost),
        FEW(nobody_takes_more_slots_than_there_are),
        T(calls_wait_for_the_helper_to_have_room),
        T(every_kind_of_request_survives_no_room_at_its_first_try),
        T(while_a_request_waits_for_room_its_guest_is_not_read),
        T(reads_wait_for_pages_of_the_slab),
        T(a_guest_that_does_not_read_is_not_read_and_gets_everything_later),
        T(large_reads_to_a_guest_that_does_not_read_hold_a_bounded_part_of_the_slab),
        T(four_guests_that_do_not_read_leave_half_of_the_slab),
        T(who_sends_half_messages_holds_up_nobody_in_any_number),
        FEW(half_sent_writes_take_no_slot_from_others),
        T(replies_that_nobody_takes_hold_up_nobody_in_any_number),
        T(small_replies_that_nobody_takes_count_by_the_page),
        T(a_write_in_parts_says_how_much_of_it_was_written),
        T(a_guest_that_hangs_up_in_the_middle_of_a_write_in_parts_leaves_nothing),
        T(a_write_that_arrives_in_pieces_is_one_write),
        T(many_small_writes_in_one_piece_keep_their_data_apart),
        T(a_guest_that_hangs_up_leaves_nothing_behind_at_any_byte),
        T(thousands_of_open_fids_go_with_their_connection),
        FEW(connections_are_limited_and_each_end_makes_room),
        FEW(a_fid_too_many_is_emfile_a_hundred_thousand_times_at_no_cost),
        T(when_the_helper_is_gone_all_is_eio_and_the_other_share_goes_on),
        T(a_helper_that_dies_under_a_full_queue_lets_everybody_go),
        FEW(hanging_up_while_waiting_for_room_is_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
