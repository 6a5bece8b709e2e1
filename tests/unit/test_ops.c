/*
 * The operation table and the schema of its messages.
 */
#include "tests/lib/test.h"

#include <string.h>

#include "ipc/msg.h"
#include "ipc/ops.h"

static void
every_row_is_complete_and_no_other_number_is_known(void **state)
{
    unsigned rows = 0;

    (void)state;
    for (unsigned id = 0; id < 70000; id++) {
        const struct op_info *op = op_info(id);

        if (op == NULL)
            continue;
        rows++;
        assert_true(id > 0 && id < OP_END);
        assert_non_null(op->name);
        assert_non_null(op->req);
        assert_non_null(op->rep);
    }
    assert_int_equal(rows, OP_END - 1);
}

static void
what_nobody_classified_counts_as_writing(void **state)
{
    static const struct op_info unclassified;

    (void)state;
    assert_int_equal(unclassified.access, OP_WRITES);
    assert_int_equal(OP_WRITES, 0);
}

static void
descriptors_belong_to_their_row(void **state)
{
    (void)state;
    for (unsigned id = 1; id < OP_END; id++) {
        const struct op_info *op = op_info(id);
        char want[64];
        size_t at = 0;

        for (const char *c = op->name; *c != '\0'; c++)
            if (*c != '_')
                want[at++] = *c;
        want[at] = '\0';
        assert_int_equal(strncasecmp(op->req->short_name, want, at), 0);
        assert_string_equal(op->req->short_name + at, "Req");
        assert_int_equal(strncasecmp(op->rep->short_name, want, at), 0);
        assert_string_equal(op->rep->short_name + at, "Rep");
    }
}

static bool
type_is_flat(ProtobufCType t)
{
    return t == PROTOBUF_C_TYPE_UINT32 || t == PROTOBUF_C_TYPE_UINT64 ||
           t == PROTOBUF_C_TYPE_INT64 || t == PROTOBUF_C_TYPE_FIXED32 ||
           t == PROTOBUF_C_TYPE_FIXED64 || t == PROTOBUF_C_TYPE_BYTES;
}

static void
requests_are_flat(void **state)
{
    (void)state;
    for (unsigned id = 1; id < OP_END; id++) {
        const ProtobufCMessageDescriptor *d = op_info(id)->req;

        for (unsigned i = 0; i < d->n_fields; i++) {
            assert_true(type_is_flat(d->fields[i].type));
            assert_int_not_equal(d->fields[i].label, PROTOBUF_C_LABEL_REPEATED);
            assert_int_equal(d->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF, 0);
        }
    }
}

/* Every bytes field of a request is a name or a key, checked before any
 * handler, but for these, which are data and stored as they are. */
static void
bytes_of_requests_are_names_or_keys_or_listed_here(void **state)
{
    (void)state;
    for (unsigned id = 1; id < OP_END; id++) {
        const ProtobufCMessageDescriptor *d = op_info(id)->req;

        for (unsigned i = 0; i < d->n_fields; i++) {
            const ProtobufCFieldDescriptor *f = &d->fields[i];

            if (f->type == PROTOBUF_C_TYPE_BYTES && !msg_field_is_name(f) && !msg_field_is_key(f))
                assert_true(id == OP_SYMLINK && strcmp(f->name, "target") == 0);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_complete_and_no_other_number_is_known),
        cmocka_unit_test(what_nobody_classified_counts_as_writing),
        cmocka_unit_test(descriptors_belong_to_their_row),
        cmocka_unit_test(requests_are_flat),
        cmocka_unit_test(bytes_of_requests_are_names_or_keys_or_listed_here),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
