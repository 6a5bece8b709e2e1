/*
 * Arena, unpacking, name checks.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <string.h>

#include "ipc/msg.h"
#include "ipc/ops.h"

static struct arena arena;

static void
the_arena_hands_out_zeroed_aligned_memory_and_never_too_much(void **state)
{
    (void)state;
    arena_init(&arena);
    memset(arena.mem, 0xaa, sizeof(arena.mem));
    for (size_t n = 1; n < 300; n += 7) {
        uint8_t *p = arena_alloc(&arena, n);

        if (p == NULL)
            break;
        assert_int_equal((uintptr_t)p % 16, 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
    }
    assert_null(arena_alloc(&arena, sizeof(arena.mem)));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 15));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, sizeof(arena.mem) - 16));
    assert_null(arena_alloc(&arena, 1));
}

static const struct {
    const char *s;
    size_t n;
    bool ok;
} names[] = {
    {"", 0, false},         {".", 1, false},    {"..", 2, false},      {"/", 1, false},
    {"a/b", 3, false},      {"../x", 4, false}, {"/etc", 4, false},    {"a\0b", 3, false},
    {"\0", 1, false},       {"a", 1, true},     {"...", 3, true},      {".a", 2, true},
    {"..a", 3, true},       {"a.", 2, true},    {"\xff\xfe", 2, true}, {" ", 1, true},
    {"new\nline", 8, true},
};

static void
a_name_is_one_component(void **state)
{
    uint8_t longest[NAME_LEN_MAX + 1];

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        assert_int_equal(name_ok((const uint8_t *)names[i].s, names[i].n), names[i].ok);
    memset(longest, 'x', sizeof(longest));
    assert_true(name_ok(longest, 255));
    assert_false(name_ok(longest, 256));
    assert_false(name_ok(longest, 65535));
}

/* Fills every bytes field of m with the given bytes. */
static void
fill_bytes(ProtobufCMessage *m, const void *p, size_t n)
{
    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        ProtobufCBinaryData b = msg_bytes(p, n);

        if (f->type != PROTOBUF_C_TYPE_BYTES)
            continue;
        memcpy((uint8_t *)m + f->offset, &b, sizeof(b));
        if (f->label == PROTOBUF_C_LABEL_OPTIONAL)
            memcpy((uint8_t *)m + f->quantifier_offset, &(protobuf_c_boolean){1},
                   sizeof(protobuf_c_boolean));
    }
}

static bool
has(const ProtobufCMessageDescriptor *d, bool (*kind)(const ProtobufCFieldDescriptor *f))
{
    for (unsigned i = 0; i < d->n_fields; i++)
        if (kind(&d->fields[i]))
            return true;
    return false;
}

static void
a_key_is_any_bytes_but_nul(void **state)
{
    static const uint8_t longest[256] = {[0 ... 255] = 'k'};

    (void)state;
    assert_true(key_ok((const uint8_t *)"user.a/../b\xff", 12));
    assert_true(key_ok((const uint8_t *)"..", 2));
    assert_true(key_ok(longest, 255));
    assert_false(key_ok(longest, 256));
    assert_false(key_ok(longest, 0));
    assert_false(key_ok((const uint8_t *)"user.\0", 6));
}

static void
a_bad_name_or_key_in_any_field_of_any_request_is_found(void **state)
{
    (void)state;
    for (unsigned id = 1; id < OP_END; id++) {
        const ProtobufCMessageDescriptor *d = op_info(id)->req;

        for (size_t i = 0; i < COUNT(names); i++) {
            ProtobufCMessage *m;
            bool bad;

            arena_init(&arena);
            m = msg_new(&arena, d);
            fill_bytes(m, names[i].s, names[i].n);
            bad = (has(d, msg_field_is_name) && !names[i].ok) ||
                  (has(d, msg_field_is_key) && !key_ok((const uint8_t *)names[i].s, names[i].n));
            assert_int_equal(msg_check(m), bad ? -EINVAL : 0);
        }
    }
}

static void
absent_names_are_not_checked(void **state)
{
    Postern__V1__WalkReq req = POSTERN__V1__WALK_REQ__INIT;

    (void)state;
    assert_int_equal(msg_check(&req.base), 0);
    req.has_name16 = 1;
    assert_int_equal(msg_check(&req.base), -EINVAL);
}

static void
every_request_survives_packing_and_truncation_at_every_byte(void **state)
{
    static uint8_t buf[FRAME_MAX];

    (void)state;
    for (unsigned id = 1; id < OP_END; id++) {
        const ProtobufCMessageDescriptor *d = op_info(id)->req;
        ProtobufCMessage *m;
        size_t n;

        arena_init(&arena);
        m = msg_new(&arena, d);
        fill_bytes(m, "name", 4);
        n = protobuf_c_message_pack(m, buf);
        arena_reset(&arena);
        assert_non_null(msg_unpack(&arena, d, buf, n));
        for (size_t cut = 0; cut < n; cut++) {
            arena_reset(&arena);
            (void)msg_unpack(&arena, d, buf, cut);
        }
    }
}

static void
unknown_fields_and_garbage_are_refused(void **state)
{
    static const uint8_t unknown[] = {0x09, 1, 0, 0, 0, 1, 0, 0, 0, 0x98, 0x06, 1};
    static const uint8_t huge_len[] = {0x12, 0xff, 0xff, 0xff, 0xff, 0x0f};
    uint8_t noise[256];
    uint32_t x = 1;

    (void)state;
    arena_init(&arena);
    assert_non_null(msg_unpack(&arena, &postern__v1__getattr_req__descriptor, unknown, 9));
    assert_null(msg_unpack(&arena, &postern__v1__getattr_req__descriptor, unknown, 12));
    assert_null(msg_unpack(&arena, &postern__v1__mkdir_req__descriptor, huge_len, 6));
    for (unsigned round = 0; round < 20000; round++) {
        for (size_t i = 0; i < sizeof(noise); i++)
            noise[i] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
        arena_reset(&arena);
        (void)msg_unpack(&arena, op_info(1 + round % (OP_END - 1))->req, noise, x % 256);
    }
}

static void
a_copied_name_always_ends(void **state)
{
    char dst[NAME_BUF];
    uint8_t src[400] = {0};
    ProtobufCBinaryData b = msg_bytes(src, sizeof(src));

    (void)state;
    memset(src, 'y', sizeof(src));
    name_copy(dst, &b);
    assert_int_equal(strlen(dst), NAME_LEN_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_arena_hands_out_zeroed_aligned_memory_and_never_too_much),
        cmocka_unit_test(a_name_is_one_component),
        cmocka_unit_test(a_key_is_any_bytes_but_nul),
        cmocka_unit_test(a_bad_name_or_key_in_any_field_of_any_request_is_found),
        cmocka_unit_test(absent_names_are_not_checked),
        cmocka_unit_test(every_request_survives_packing_and_truncation_at_every_byte),
        cmocka_unit_test(unknown_fields_and_garbage_are_refused),
        cmocka_unit_test(a_copied_name_always_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
