/*
 * A worker that was taken over: what no honest one sends ends the helper with
 * EXIT_VIOLATION, and what is merely stale is an errno.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipc/log.h"
#include "tests/lib/contract.h"

#define STALE ((uint64_t)77 << 32)

static struct contract *
victim(void)
{
    return contract_open(&(struct contract_options){.forked = true, .nodes = 64, .files = 16});
}

static void
expect_violation(struct contract *c, const char *what)
{
    int status = contract_wait(c);

    if (status != EXIT_VIOLATION)
        fail_msg("%s: the server ended with status %d", what, status);
    (void)contract_close(c);
}

static void
set_bytes(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, ProtobufCBinaryData v)
{
    uint8_t *base = (uint8_t *)m;

    if (f->label == PROTOBUF_C_LABEL_OPTIONAL)
        *(protobuf_c_boolean *)(void *)(base + f->quantifier_offset) = 1;
    memcpy(base + f->offset, &v, sizeof(v));
}

typedef bool is_kind(const ProtobufCFieldDescriptor *f);

/* A request of that operation in which every name and key is fine but number
 * bad of that kind. */
static ProtobufCMessage *
request_with(struct arena *a, const struct op_info *op, is_kind *kind, unsigned bad,
             ProtobufCBinaryData v)
{
    ProtobufCMessage *m = msg_new(a, op->req);
    unsigned n = 0;

    assert_non_null(m);
    for (unsigned i = 0; i < op->req->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &op->req->fields[i];

        if (kind(f) && n++ == bad)
            set_bytes(m, f, v);
        else if (msg_field_is_name(f))
            set_bytes(m, f, msg_bytes("fine", 4));
        else if (msg_field_is_key(f))
            set_bytes(m, f, msg_bytes("user.fine", 9));
    }
    return m;
}

static unsigned
count_of(const struct op_info *op, is_kind *kind)
{
    unsigned n = 0;

    for (unsigned i = 0; i < op->req->n_fields; i++)
        n += kind(&op->req->fields[i]);
    return n;
}

/* Each bad value in each field of that kind, of every operation. */
static void
expect_violations(is_kind *kind, const ProtobufCBinaryData *bad, unsigned nbad)
{
    struct arena arena;
    unsigned tried = 0;

    arena_init(&arena);
    for (unsigned id = 1; id < OP_END; id++) {
        const struct op_info *op = op_info(id);
        unsigned fields = count_of(op, kind);

        for (unsigned k = 0; k < fields * nbad; k++) {
            unsigned field = k / nbad;
            struct contract *c;

            if (field > 1 && field < fields - 1)
                continue; /* of a walk's sixteen: the first two and the last */
            c = victim();
            arena_reset(&arena);
            (void)ipc_client_send(&c->client, id,
                                  request_with(&arena, op, kind, field, bad[k % nbad]), 0, 0);
            expect_violation(c, op->name);
            tried++;
        }
    }
    assert_true(tried >= nbad);
}

static void
a_name_that_is_no_component_is_a_violation_in_every_operation(void **state)
{
    static char long_name[NAME_LEN_MAX + 1];
    const ProtobufCBinaryData bad[] = {
        msg_bytes("", 0),     msg_bytes(".", 1),   msg_bytes("..", 2),
        msg_bytes("/", 1),    msg_bytes("a/b", 3), msg_bytes("../x", 4),
        msg_bytes("a\0b", 3), msg_bytes("\0", 1),  msg_bytes(long_name, sizeof(long_name)),
    };

    (void)state;
    memset(long_name, 'n', sizeof(long_name));
    expect_violations(msg_field_is_name, bad, COUNT(bad));
}

static void
a_key_that_can_be_none_is_a_violation_in_every_operation(void **state)
{
    static char long_key[XATTR_KEY_MAX + 1];
    const ProtobufCBinaryData bad[] = {msg_bytes("", 0), msg_bytes("user.\0x", 7),
                                       msg_bytes(long_key, sizeof(long_key))};

    (void)state;
    memset(long_key, 'k', sizeof(long_key));
    expect_violations(msg_field_is_key, bad, COUNT(bad));
}

static void
send_body(struct contract *c, unsigned op, const void *body, size_t n)
{
    struct frame f = {.op = (uint16_t)op, .tag = 1};

    assert_true(ipc_client_send_raw(&c->client, &f, body, n));
}

static void
a_message_that_does_not_parse_is_a_violation(void **state)
{
    static const struct {
        const char *what;
        unsigned op;
        const char *body;
        size_t n;
    } cases[] = {
        {"empty where fields are required", OP_GETATTR, "", 0},
        {"cut off", OP_GETATTR, "\x09\x01\x02", 3},
        {"garbage", OP_WALK, "\xff\xff\xff\xff\xff\xff\xff\xff", 8},
        {"unknown field", OP_CLOSE, "\x09\x00\x00\x00\x00\x01\x00\x00\x00\x78\x01", 11},
        {"wrong type", OP_CLOSE, "\x08\x01", 2},
        {"bytes longer than the rest", OP_UNLINK, "\x12\xff\xff\xff\xff\x07xx", 8},
    };

    (void)state;
    for (unsigned i = 0; i < COUNT(cases); i++) {
        struct contract *c = victim();

        send_body(c, cases[i].op, cases[i].body, cases[i].n);
        expect_violation(c, cases[i].what);
    }
}

static void
ids_beyond_the_tables_are_violations(void **state)
{
    Postern__V1__GetattrReq node = POSTERN__V1__GETATTR_REQ__INIT;
    Postern__V1__CloseReq file = POSTERN__V1__CLOSE_REQ__INIT;
    struct contract *c = victim();

    (void)state;
    node.node = NODE_ROOT + 64; /* victim() has as many */
    (void)ipc_client_send(&c->client, OP_GETATTR, &node.base, 0, 0);
    expect_violation(c, "node");
    c = victim();
    node.node = UINT64_MAX;
    (void)ipc_client_send(&c->client, OP_GETATTR, &node.base, 0, 0);
    expect_violation(c, "node");
    c = victim();
    file.file = ((uint64_t)1 << 32) + 16;
    (void)ipc_client_send(&c->client, OP_CLOSE, &file.base, 0, 0);
    expect_violation(c, "file");
}

/* Fill the ids of a request with some that were never given out. */
static void
set_ids(ProtobufCMessage *m, uint64_t node, uint64_t file)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;

    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        bool is_file = strcmp(f->name, "file") == 0;

        if (f->type != PROTOBUF_C_TYPE_FIXED64)
            continue;
        if (f->label == PROTOBUF_C_LABEL_OPTIONAL)
            *(protobuf_c_boolean *)(void *)((uint8_t *)m + f->quantifier_offset) = 1;
        memcpy((uint8_t *)m + f->offset, is_file ? &file : &node, sizeof(node));
    }
}

static void
a_stale_id_is_an_errno_in_every_operation(void **state)
{
    struct contract *c = *state;
    struct arena arena;
    int r;

    arena_init(&arena);
    for (unsigned id = 1; id < OP_END; id++) {
        const struct op_info *op = op_info(id);
        const uint64_t ids[] = {STALE, STALE + 5, 0, 1};

        for (unsigned i = 0; i < COUNT(ids); i++) {
            ProtobufCMessage *m;

            arena_reset(&arena);
            m = request_with(&arena, op, msg_field_is_name, UINT32_MAX, msg_bytes("", 0));
            set_ids(m, ids[i], ids[i]);
            r = ipc_client_ask(&c->client, id, m, 0, op->payload == PAY_NONE ? 0 : 4096, NULL);
            if (r != -ESTALE && r != -EBADF)
                fail_msg("%s: status %d", op->name, r);
        }
    }
}

static void
an_operation_nobody_knows_is_eopnotsupp(void **state)
{
    static const unsigned ops[] = {0, OP_END, 255, 256, 65535};
    struct contract *c = *state;

    for (unsigned i = 0; i < COUNT(ops); i++) {
        send_body(c, ops[i], "whatever", 8);
        assert_int_equal(ipc_client_recv(&c->client, NULL), -EOPNOTSUPP);
        assert_int_equal(c->client.got.op, ops[i]);
    }
}

static void
a_walk_with_a_gap_is_a_violation(void **state)
{
    Postern__V1__WalkReq req = POSTERN__V1__WALK_REQ__INIT;
    struct contract *c = victim();

    (void)state;
    req.node = NODE_ROOT;
    req.has_name2 = true;
    req.name2 = msg_bytes("x", 1);
    (void)ipc_client_send(&c->client, OP_WALK, &req.base, 0, 0);
    expect_violation(c, "gap");
}

static void
giving_back_more_than_was_given_is_a_violation(void **state)
{
    Postern__V1__ForgetReq req = POSTERN__V1__FORGET_REQ__INIT;
    struct contract *c = victim();

    (void)state;
    req.node = NODE_ROOT;
    req.count = 1; /* the root's own reference is not the worker's */
    (void)ipc_client_send(&c->client, OP_FORGET, &req.base, 0, 0);
    expect_violation(c, "the root");
    c = victim();
    host_write(c, "f", "x");
    req.node = walk_to(c, NODE_ROOT, "f");
    req.count = 2;
    (void)ipc_client_send(&c->client, OP_FORGET, &req.base, 0, 0);
    expect_violation(c, "a file");
}

static void
open_flags_nobody_knows_are_violations(void **state)
{
    Postern__V1__OpenReadReq read = POSTERN__V1__OPEN_READ_REQ__INIT;
    Postern__V1__OpenWriteReq write = POSTERN__V1__OPEN_WRITE_REQ__INIT;
    Postern__V1__CreateReq create = POSTERN__V1__CREATE_REQ__INIT;
    struct contract *c = victim();

    (void)state;
    read.node = write.node = create.dir = NODE_ROOT;
    read.flags = OPEN_TRUNC; /* known, but never when reading */
    (void)ipc_client_send(&c->client, OP_OPEN_READ, &read.base, 0, 0);
    expect_violation(c, "open_read");
    c = victim();
    write.flags = OPEN_EXCL;
    (void)ipc_client_send(&c->client, OP_OPEN_WRITE, &write.base, 0, 0);
    expect_violation(c, "open_write");
    c = victim();
    create.name = msg_bytes("x", 1);
    create.flags = 1u << 31;
    (void)ipc_client_send(&c->client, OP_CREATE, &create.base, 0, 0);
    expect_violation(c, "create");
}

static void
set_count(ProtobufCMessage *m, uint32_t count)
{
    const ProtobufCFieldDescriptor *f =
        protobuf_c_message_descriptor_get_field_by_name(m->descriptor, "count");

    if (f != NULL)
        memcpy((uint8_t *)m + f->offset, &count, sizeof(count));
}

static void
flags_and_types_nobody_knows_are_violations(void **state)
{
    Postern__V1__SetxattrReq set = POSTERN__V1__SETXATTR_REQ__INIT;
    Postern__V1__LockReq lock = POSTERN__V1__LOCK_REQ__INIT;
    Postern__V1__GetlockReq getlock = POSTERN__V1__GETLOCK_REQ__INIT;
    struct contract *c = victim();

    (void)state;
    set.node = NODE_ROOT;
    set.key = msg_bytes("user.x", 6);
    set.flags = 4;
    (void)ipc_client_send(&c->client, OP_SETXATTR, &set.base, 0, 0);
    expect_violation(c, "setxattr");
    lock.type = getlock.type = LOCK_UNLOCK + 1;
    c = victim();
    (void)ipc_client_send(&c->client, OP_LOCK, &lock.base, 0, 0);
    expect_violation(c, "lock");
    c = victim();
    (void)ipc_client_send(&c->client, OP_GETLOCK, &getlock.base, 0, 0);
    expect_violation(c, "getlock");
}

static void
a_payload_outside_of_the_slab_is_a_violation(void **state)
{
    static const struct {
        const char *what;
        unsigned op;
        uint32_t off, len, count;
    } cases[] = {
        {"unaligned", OP_READ, 8, 4096, 1},
        {"at the end", OP_READ, SLAB_BYTES, 4096, 1},
        {"over the end", OP_READ, SLAB_BYTES - 4096, 4097, 1},
        {"far away", OP_WRITE, 0xfffff000, 0xfffff000, 1},
        {"less than asked", OP_READ, 0, 4096, 4097},
        {"none", OP_WRITE, 0, 0, 1},
        {"less than asked", OP_READDIR, 0, 4096, 4097},
        {"where none belongs", OP_FSYNC, 0, 4096, 0},
        {"none", OP_GETXATTR, 0, 0, 1},
        {"less than asked", OP_LISTXATTR, 0, 4096, 4097},
        {"less than said", OP_SETXATTR, 0, 100, 101},
        {"where none belongs", OP_REMOVEXATTR, 0, 4096, 0},
        {"where none belongs", OP_LOCK, 0, 4096, 0},
    };
    struct arena arena;

    (void)state;
    arena_init(&arena);
    for (unsigned i = 0; i < COUNT(cases); i++) {
        struct contract *c = victim();
        ProtobufCMessage *m = request_with(&arena, op_info(cases[i].op), msg_field_is_name,
                                           UINT32_MAX, msg_bytes("", 0));

        set_count(m, cases[i].count);
        (void)ipc_client_send(&c->client, cases[i].op, m, cases[i].off, cases[i].len);
        expect_violation(c, cases[i].what);
    }
}

static void
a_frame_that_is_no_request_is_a_violation(void **state)
{
    static const struct frame frames[] = {
        {.op = OP_GETATTR, .reserved = 1},
        {.op = OP_GETATTR, .status = -EIO},
        {.op = 0, .status = 1},
    };

    (void)state;
    for (unsigned i = 0; i < COUNT(frames); i++) {
        struct contract *c = victim();

        assert_true(ipc_client_send_raw(&c->client, &frames[i], "", 0));
        expect_violation(c, "frame");
    }
}

/* Positions in shared memory are the peer's to write: head and tail are the
 * first words of their cache lines. */
static void
a_ring_that_cannot_be_is_a_violation(void **state)
{
    static const uint32_t heads[] = {UINT32_MAX, RING_BYTES + 8, 4};

    (void)state;
    for (unsigned i = 0; i < COUNT(heads); i++) {
        struct contract *c = victim();
        volatile uint32_t *head = (volatile uint32_t *)(void *)c->client.ch.tx.sh;

        *head = heads[i];
        c->client.ch.dirty = true;
        assert_int_equal(channel_notify(&c->client.ch), 0);
        expect_violation(c, "head");
    }
}

static void
a_broker_that_goes_away_ends_the_helper_in_peace(void **state)
{
    (void)state;
    (void)contract_close(victim()); /* asserts exit status 0 */
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, contract_setup, contract_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_is_no_component_is_a_violation_in_every_operation),
        cmocka_unit_test(a_key_that_can_be_none_is_a_violation_in_every_operation),
        cmocka_unit_test(a_message_that_does_not_parse_is_a_violation),
        cmocka_unit_test(ids_beyond_the_tables_are_violations),
        cmocka_unit_test(a_walk_with_a_gap_is_a_violation),
        cmocka_unit_test(giving_back_more_than_was_given_is_a_violation),
        cmocka_unit_test(open_flags_nobody_knows_are_violations),
        cmocka_unit_test(flags_and_types_nobody_knows_are_violations),
        cmocka_unit_test(a_payload_outside_of_the_slab_is_a_violation),
        cmocka_unit_test(a_frame_that_is_no_request_is_a_violation),
        cmocka_unit_test(a_ring_that_cannot_be_is_a_violation),
        cmocka_unit_test(a_broker_that_goes_away_ends_the_helper_in_peace),
        CLAIM(a_stale_id_is_an_errno_in_every_operation),
        CLAIM(an_operation_nobody_knows_is_eopnotsupp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
