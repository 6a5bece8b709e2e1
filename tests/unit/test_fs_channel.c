/*
 * The worker's end of the channel, with a helper that lies: the test plays
 * the helper's end itself.
 */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/log.h"
#include "tests/lib/test.h"
#include "worker/fs_channel.h"

struct side {
    struct fs_channel *fc;
    struct fs *fs;
    struct channel helper;
    int to_helper, to_worker;
    struct arena arena;
};

struct call {
    struct fs_call call; /* first */
    unsigned answers;
    int status;
    uint32_t count; /* of a ReadRep */
};

static int
setup(void **state)
{
    static struct side s;
    _clean(clean_fd) int memfd = channel_create();

    log_level(LOG_CRIT);
    assert_true(memfd >= 0);
    memset(&s, 0, sizeof(s));
    arena_init(&s.arena);
    s.to_helper = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s.to_worker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(fs_channel_new("share", false, memfd, s.to_helper, &s.fc), 0);
    assert_int_equal(channel_open(&s.helper, CHANNEL_HELPER, memfd, s.to_worker), 0);
    s.fs = fs_channel_fs(s.fc);
    *state = &s;
    return 0;
}

static int
teardown(void **state)
{
    struct side *s = *state;

    fs_channel_gone(s->fc);
    assert_int_equal(fs_channel_in_flight(s->fc), 0);
    assert_int_equal(fs_channel_pages(s->fc), 0);
    fs_channel_free(s->fc);
    channel_close(&s->helper);
    close(s->to_helper);
    close(s->to_worker);
    return 0;
}

static void
done(struct fs_call *call, int status, const ProtobufCMessage *rep)
{
    struct call *c = (struct call *)call;

    c->answers++;
    c->status = status;
    assert_int_equal(status == 0, rep != NULL);
    if (rep != NULL && rep->descriptor == &postern__v1__read_rep__descriptor)
        c->count = ((const Postern__V1__ReadRep *)rep)->count;
}

static int
submit_read(struct side *s, struct call *c, uint32_t count)
{
    Postern__V1__ReadReq q = POSTERN__V1__READ_REQ__INIT;
    int r;

    *c = (struct call){.call = {.done = done, .payload_len = count}};
    c->call.payload = fs_payload_get(s->fs, count);
    assert_non_null(c->call.payload);
    q.file = 77;
    q.count = count;
    r = fs_read(s->fs, &q, &c->call);
    assert_int_equal(c->answers, 0); /* never from within */
    return r;
}

static void
drop_payload(struct side *s, struct call *c)
{
    fs_payload_put(s->fs, c->call.payload, c->call.payload_len);
}

/* The helper takes one request. */
static struct frame
take(struct side *s)
{
    static uint8_t body[FRAME_BODY_MAX];
    struct frame f;
    size_t n;

    assert_int_equal(channel_recv(&s->helper, &f, body, &n), 1);
    return f;
}

static void
reply(struct side *s, const struct frame *f, const ProtobufCMessage *rep)
{
    uint8_t body[FRAME_BODY_MAX];
    size_t n = rep == NULL ? 0 : protobuf_c_message_pack(rep, body);

    assert_int_equal(channel_send(&s->helper, f, body, n), 0);
}

static void
reply_read(struct side *s, struct frame f, uint32_t count)
{
    Postern__V1__ReadRep rep = POSTERN__V1__READ_REP__INIT;

    rep.count = count;
    f.payload = f.payload_len = 0;
    reply(s, &f, &rep.base);
}

static void
a_call_is_answered_once_with_what_the_helper_said(void **state)
{
    struct side *s = *state;
    struct frame f[3];
    struct call c[3];

    for (int i = 0; i < 3; i++) {
        assert_int_equal(submit_read(s, &c[i], 5000), 0);
        f[i] = take(s);
        assert_int_equal(f[i].op, OP_READ);
        assert_int_equal(f[i].status, 0);
        assert_int_equal(f[i].payload_len, 5000);
        assert_non_null(channel_payload(&s->helper, f[i].payload, f[i].payload_len));
    }
    assert_int_equal(f[1].payload - f[0].payload, 2 * SLAB_PAGE);
    assert_false(fs_channel_poll(s->fc, &s->arena));
    reply_read(s, f[2], 5000); /* in any order */
    f[0].status = -EISDIR;
    reply(s, &f[0], NULL);
    assert_true(fs_channel_poll(s->fc, &s->arena));
    assert_int_equal(c[2].answers, 1);
    assert_int_equal(c[2].status, 0);
    assert_int_equal(c[2].count, 5000);
    assert_int_equal(c[0].answers, 1);
    assert_int_equal(c[0].status, -EISDIR);
    assert_int_equal(c[1].answers, 0);
    assert_int_equal(fs_channel_in_flight(s->fc), 1);
    fs_channel_gone(s->fc);
    assert_int_equal(c[1].answers, 1);
    assert_int_equal(c[1].status, -EIO);
    for (int i = 0; i < 3; i++)
        drop_payload(s, &c[i]);
}

static void
there_is_a_limit_of_calls_and_no_room_is_eagain(void **state)
{
    static struct call c[IN_FLIGHT_MAX + 1];
    struct side *s = *state;
    unsigned n = 0;

    while (n < COUNT(c) && submit_read(s, &c[n], 1) == 0)
        n++;
    drop_payload(s, &c[n]);
    assert_int_equal(n, IN_FLIGHT_MAX);
    for (unsigned i = 0; i < n; i++)
        reply_read(s, take(s), 1);
    assert_true(fs_channel_poll(s->fc, &s->arena));
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(c[i].answers, 1);
        drop_payload(s, &c[i]);
    }
    assert_false(fs_channel_is_gone(s->fc));
}

static void
a_full_ring_is_eagain(void **state)
{
    static struct call c[IN_FLIGHT_MAX + 1];
    static const uint8_t target[TARGET_LEN_MAX] = {'t'};
    Postern__V1__SymlinkReq q = POSTERN__V1__SYMLINK_REQ__INIT;
    struct side *s = *state;
    unsigned n = 0;

    q.name = msg_bytes("name", 4);
    q.target = msg_bytes(target, sizeof(target));
    while (n < IN_FLIGHT_MAX) {
        c[n] = (struct call){.call = {.done = done}};
        if (fs_symlink(s->fs, &q, &c[n].call) != 0)
            break;
        n++;
    }
    assert_in_range(n, RING_BYTES / FRAME_MAX / 2, IN_FLIGHT_MAX - 1);
    for (int i = 0; i < 3; i++)
        (void)take(s);
    assert_int_equal(fs_symlink(s->fs, &q, &c[n].call), 0);
}

static void
the_largest_requests_fit_a_frame(void **state)
{
    Postern__V1__WalkReq walk = POSTERN__V1__WALK_REQ__INIT;
    static struct call c; /* answered by the teardown */
    uint8_t name[NAME_LEN_MAX];
    struct side *s = *state;

    memset(name, 0xff, sizeof(name));
    walk.node = UINT64_MAX;
#define SET(i)                                                                                     \
    walk.has_name##i = 1;                                                                          \
    walk.name##i = msg_bytes(name, sizeof(name))
    SET(1);
    SET(2);
    SET(3);
    SET(4);
    SET(5);
    SET(6);
    SET(7);
    SET(8);
    SET(9);
    SET(10);
    SET(11);
    SET(12);
    SET(13);
    SET(14);
    SET(15);
    SET(16);
#undef SET
    c = (struct call){.call = {.done = done}};
    assert_int_equal(fs_bound(OP_WALK, &walk.base), 16);
    assert_int_equal(fs_walk(s->fs, &walk, &c.call), 0);
    assert_int_equal(take(s).op, OP_WALK);
}

static void
a_read_only_share_gets_no_writing_call(void **state)
{
    struct side *s = *state;
    struct call c = {.call = {.done = done}};
    ProtobufCMessage req; /* is not looked at */

    memset(&req, 0, sizeof(req));
    s->fs->read_only = true;
    for (unsigned op = 0; op < OP_END + 3; op++) {
        const struct op_info *info = op_info(op);

        if (info == NULL)
            assert_int_equal(fs_submit(s->fs, op, &req, &c.call), -EOPNOTSUPP);
        else if (info->access != OP_READS)
            assert_int_equal(fs_submit(s->fs, op, &req, &c.call), -EROFS);
    }
    s->fs->read_only = false;
    c.call.narrowed = true;
    for (unsigned op = 1; op < OP_END; op++) {
        if (op_info(op)->access != OP_READS)
            assert_int_equal(fs_submit(s->fs, op, &req, &c.call), -EROFS);
    }
    assert_int_equal(fs_channel_in_flight(s->fc), 0);
}

/* --- lies ---------------------------------------------------------------- */

/* One read of 100 bytes is in flight and *f is its request: answer it. */
typedef void lie(struct side *s, struct frame *f);

static void
says_more_than_asked(struct side *s, struct frame *f)
{
    reply_read(s, *f, 101);
}

static void
says_four_gigabytes(struct side *s, struct frame *f)
{
    reply_read(s, *f, UINT32_MAX);
}

static void
answers_another_operation(struct side *s, struct frame *f)
{
    f->op = OP_WRITE;
    reply_read(s, *f, 1);
}

static void
answers_a_tag_beyond_the_table(struct side *s, struct frame *f)
{
    f->tag |= 0xffff;
    reply_read(s, *f, 1);
}

static void
answers_a_tag_not_in_flight(struct side *s, struct frame *f)
{
    f->tag ^= 2;
    reply_read(s, *f, 1);
}

static void
answers_an_earlier_use_of_the_tag(struct side *s, struct frame *f)
{
    f->tag -= 1u << 16;
    reply_read(s, *f, 1);
}

static void
says_a_positive_status(struct side *s, struct frame *f)
{
    f->status = 1;
    reply(s, f, NULL);
}

static void
says_a_status_that_is_no_errno(struct side *s, struct frame *f)
{
    f->status = INT32_MIN;
    reply(s, f, NULL);
}

static void
says_nothing_where_a_message_must_be(struct side *s, struct frame *f)
{
    reply(s, f, NULL);
}

static void
says_junk(struct side *s, struct frame *f)
{
    static const uint8_t junk[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    assert_int_equal(channel_send(&s->helper, f, junk, sizeof(junk)), 0);
}

static void
answers_twice(struct side *s, struct frame *f)
{
    f->status = -ENOENT;
    reply(s, f, NULL);
    reply(s, f, NULL);
}

static void
a_lie_closes_the_share_and_nothing_else(void **state)
{
    static lie *const lies[] = {
        says_more_than_asked,
        says_four_gigabytes,
        answers_another_operation,
        answers_a_tag_beyond_the_table,
        answers_a_tag_not_in_flight,
        answers_an_earlier_use_of_the_tag,
        says_a_positive_status,
        says_a_status_that_is_no_errno,
        says_nothing_where_a_message_must_be,
        says_junk,
        answers_twice,
    };

    for (size_t i = 0; i < COUNT(lies); i++) {
        struct side *s;
        struct call c, other;
        struct frame f;

        if (i > 0) {
            (void)teardown(state);
            (void)setup(state);
        }
        s = *state;
        assert_int_equal(submit_read(s, &c, 100), 0);
        assert_int_equal(submit_read(s, &other, 100), 0);
        f = take(s);
        lies[i](s, &f);
        assert_true(fs_channel_poll(s->fc, &s->arena));
        assert_true(fs_channel_is_gone(s->fc));
        assert_int_equal(c.answers, 1);
        assert_int_equal(c.status, lies[i] == answers_twice ? -ENOENT : -EIO);
        assert_int_equal(other.answers, 1);
        assert_int_equal(other.status, -EIO);
        drop_payload(s, &c);
        drop_payload(s, &other);
        assert_int_equal(submit_read(s, &c, 100), -EIO);
        drop_payload(s, &c);
        assert_false(fs_channel_poll(s->fc, &s->arena));
        assert_true(fs_channel_may_sleep(s->fc));
    }
}

/* A walk of two names is in flight; the reply is done, steps, node, attr. */
static const struct {
    uint32_t done, steps;
    bool node, attr;
    bool lie;
} walks[] = {
    {2, 2, true, true, false},         {1, 1, false, false, false},
    {0, 0, false, false, false},       {3, 3, true, true, true},
    {UINT32_MAX, 2, true, true, true}, {2, 1, true, true, true},
    {2, 3, true, true, true},          {2, 2, false, true, true},
    {2, 2, true, false, true},         {1, 1, true, true, true},
    {1, 1, true, false, true},         {1, 1, false, true, true},
    {0x10000000, 0, true, true, true},
};

static void
a_walk_reply_must_agree_with_itself_and_the_request(void **state)
{
    static const uint8_t bytes[64 * sizeof(struct walk_step)];

    for (size_t i = 0; i < COUNT(walks); i++) {
        Postern__V1__WalkReq q = POSTERN__V1__WALK_REQ__INIT;
        Postern__V1__WalkRep rep = POSTERN__V1__WALK_REP__INIT;
        struct attr attr = {0};
        struct call c = {.call = {.done = done}};
        struct frame f;
        struct side *s;

        (void)teardown(state);
        (void)setup(state);
        s = *state;
        q.has_name1 = q.has_name2 = 1;
        q.name1 = q.name2 = msg_bytes("x", 1);
        assert_int_equal(fs_walk(s->fs, &q, &c.call), 0);
        f = take(s);
        rep.done = walks[i].done;
        rep.steps = msg_bytes(bytes, walks[i].steps * sizeof(struct walk_step));
        rep.has_node = walks[i].node;
        rep.has_attr = walks[i].attr;
        rep.attr = msg_bytes(&attr, sizeof(attr));
        reply(s, &f, &rep.base);
        assert_true(fs_channel_poll(s->fc, &s->arena));
        assert_int_equal(fs_channel_is_gone(s->fc), walks[i].lie);
        assert_int_equal(c.answers, 1);
        assert_int_equal(c.status, walks[i].lie ? -EIO : 0);
    }
}

/* Of whatever operation, as its descriptor says. */
static void
a_reply_with_attributes_of_another_size_is_a_lie(void **state)
{
    static const struct attr attrs[2];
    unsigned seen = 0;

    (void)state;
    for (unsigned op = 1; op < OP_END; op++) {
        const ProtobufCMessageDescriptor *d = op_info(op)->rep;
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field_by_name(d, "attr");
        _Alignas(16) uint8_t room[512] = {0};
        ProtobufCMessage *m = (ProtobufCMessage *)room;
        const size_t sizes[] = {0, sizeof(attrs[0]) - 1, sizeof(attrs[0]) + 1, sizeof(attrs)};

        if (f == NULL)
            continue;
        seen++;
        assert_true(d->sizeof_message <= sizeof(room));
        protobuf_c_message_init(d, m);
        if (op == OP_WALK)
            ((Postern__V1__WalkRep *)m)->has_attr = ((Postern__V1__WalkRep *)m)->has_node = 1;
        for (size_t i = 0; i <= COUNT(sizes); i++) { /* at last of the right one */
            size_t n = i < COUNT(sizes) ? sizes[i] : sizeof(attrs[0]);
            ProtobufCBinaryData b = msg_bytes(attrs, n);

            memcpy(room + f->offset, &b, sizeof(b));
            assert_true((fs_reply_lies(op, 0, m) != NULL) == (i < COUNT(sizes)));
        }
    }
    assert_true(seen > 10);
}

static void
a_ring_position_that_cannot_be_closes_the_share(void **state)
{
    struct side *s = *state;
    struct call c;

    assert_int_equal(submit_read(s, &c, 100), 0);
    /* the first word of the second ring's head, in the helper's own mapping */
    memset(s->helper.tx.sh, 0x7f, sizeof(uint32_t));
    assert_true(fs_channel_poll(s->fc, &s->arena));
    assert_true(fs_channel_is_gone(s->fc));
    assert_int_equal(c.status, -EIO);
    drop_payload(s, &c);
}

static void
blame_takes_effect_with_the_next_poll_not_within(void **state)
{
    struct side *s = *state;
    struct call c;

    assert_int_equal(submit_read(s, &c, 100), 0);
    fs_blame(s->fs, "test");
    assert_int_equal(c.answers, 0);
    assert_false(fs_channel_may_sleep(s->fc));
    assert_true(fs_channel_poll(s->fc, &s->arena));
    assert_int_equal(c.status, -EIO);
    drop_payload(s, &c);
}

/* --- waking ---------------------------------------------------------------- */

static uint64_t
woken(int fd)
{
    uint64_t n = 0;

    return read(fd, &n, sizeof(n)) < 0 ? 0 : n;
}

static void
a_helper_that_sleeps_is_woken_once_for_a_batch(void **state)
{
    struct side *s = *state;
    static struct call c[3]; /* answered by the teardown */

    assert_true(channel_may_sleep(&s->helper));
    for (int i = 0; i < 3; i++)
        assert_int_equal(submit_read(s, &c[i], 1), 0);
    assert_int_equal(woken(s->to_helper), 0);
    assert_false(fs_channel_notify(s->fc, false));
    assert_false(fs_channel_notify(s->fc, false));
    assert_int_equal(woken(s->to_helper), 1);
    for (int i = 0; i < 3; i++)
        drop_payload(s, &c[i]);
}

static int
submit_forget(struct side *s, struct call *c)
{
    Postern__V1__ForgetReq q = POSTERN__V1__FORGET_REQ__INIT;

    *c = (struct call){.call = {.done = done, .unawaited = true}};
    q.node = 7;
    q.count = 1;
    return fs_forget(fs_channel_fs(s->fc), &q, &c->call);
}

static void
a_helper_is_not_woken_for_a_few_calls_that_nobody_awaits(void **state)
{
    struct side *s = *state;
    static struct call c[100]; /* answered by the teardown */
    unsigned n = 0;

    assert_false(fs_channel_notify(s->fc, false)); /* there are none */
    assert_true(channel_may_sleep(&s->helper));
    assert_int_equal(submit_forget(s, &c[n++]), 0);
    assert_true(fs_channel_notify(s->fc, false));
    assert_int_equal(woken(s->to_helper), 0);
    assert_false(fs_channel_notify(s->fc, true)); /* it was long enough */
    assert_int_equal(woken(s->to_helper), 1);

    (void)take(s);
    assert_true(channel_may_sleep(&s->helper));
    assert_int_equal(submit_forget(s, &c[n++]), 0);
    assert_int_equal(submit_read(s, &c[n++], 1), 0); /* it takes them along */
    assert_false(fs_channel_notify(s->fc, false));
    assert_int_equal(woken(s->to_helper), 1);
    drop_payload(s, &c[n - 1]);

    (void)take(s);
    (void)take(s);
    assert_true(channel_may_sleep(&s->helper));
    do { /* until they are too many */
        assert_true(n < COUNT(c));
        assert_int_equal(submit_forget(s, &c[n++]), 0);
    } while (fs_channel_notify(s->fc, false));
    assert_int_equal(woken(s->to_helper), 1);
}

static void
the_worker_is_woken_only_when_it_said_it_sleeps(void **state)
{
    struct side *s = *state;
    struct call c;

    assert_true(fs_channel_may_sleep(s->fc)); /* nothing is owed */
    assert_int_equal(submit_read(s, &c, 1), 0);
    assert_true(fs_channel_may_sleep(s->fc));
    reply_read(s, take(s), 1);
    assert_int_equal(channel_notify(&s->helper), 0);
    assert_int_equal(woken(s->to_worker), 1);
    fs_channel_awake(s->fc);
    assert_false(fs_channel_may_sleep(s->fc)); /* there is something to do */
    assert_true(fs_channel_poll(s->fc, &s->arena));
    drop_payload(s, &c);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_call_is_answered_once_with_what_the_helper_said),
        T(there_is_a_limit_of_calls_and_no_room_is_eagain),
        T(a_full_ring_is_eagain),
        T(the_largest_requests_fit_a_frame),
        T(a_read_only_share_gets_no_writing_call),
        T(a_lie_closes_the_share_and_nothing_else),
        T(a_walk_reply_must_agree_with_itself_and_the_request),
        T(a_reply_with_attributes_of_another_size_is_a_lie),
        T(a_ring_position_that_cannot_be_closes_the_share),
        T(blame_takes_effect_with_the_next_poll_not_within),
        T(a_helper_that_sleeps_is_woken_once_for_a_batch),
        T(a_helper_is_not_woken_for_a_few_calls_that_nobody_awaits),
        T(the_worker_is_woken_only_when_it_said_it_sleeps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
