/*
 * Read-only, the layer of the dispatch table alone: the directory behind the
 * share is writable here, and no mount, Landlock or filter helps.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy-helper/dispatch.h"
#include "tests/lib/contract.h"

static void
every_writing_operation_is_refused_before_it_is_decoded(void **state)
{
    static struct share sh = {.read_only = true};
    const ProtobufCMessage *rep = NULL;
    unsigned refused = 0;

    (void)state;
    for (unsigned id = 0; id < 65536; id++) {
        const struct op_info *op = op_info(id);
        struct frame f = {.op = (uint16_t)id};

        if (op == NULL || op->access == OP_READS)
            continue;
        assert_int_equal(dispatch(&sh, &f, (const uint8_t *)"garbage", 7, &rep), -EROFS);
        assert_null(rep);
        refused++;
    }
    assert_true(refused >= 12);
}

static int
setup(void **state)
{
    struct contract *c = contract_open(&(struct contract_options){.read_only = true});

    host_write(c, "f", "hello");
    host_mkdir(c, "d");
    *state = c;
    return 0;
}

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* With ids and names that are right, so that nothing else can be the reason. */
static void
every_writing_operation_on_a_real_file_changes_nothing(void **state)
{
    struct contract *c = *state;
    struct stat root = host_stat(c, "."), file = host_stat(c, "f"), after;
    uint64_t node = walk_to(c, NODE_ROOT, "f"), open = open_read(c, node);
    struct arena arena;

    arena_init(&arena);
    for (unsigned id = 1; id < OP_END; id++) {
        const struct op_info *op = op_info(id);
        ProtobufCMessage *m;

        if (op->access == OP_READS)
            continue;
        arena_reset(&arena);
        m = msg_new(&arena, op->req);
        for (unsigned i = 0; i < op->req->n_fields; i++) {
            const ProtobufCFieldDescriptor *f = &op->req->fields[i];
            uint8_t *at = (uint8_t *)m + f->offset;
            const ProtobufCBinaryData name = msg_bytes("f", 1);
            bool dir = strstr(f->name, "dir") != NULL;

            if (f->type == PROTOBUF_C_TYPE_BYTES)
                memcpy(at, &name, sizeof(name));
            else if (f->type == PROTOBUF_C_TYPE_FIXED64 && dir)
                memcpy(at, &(uint64_t){NODE_ROOT}, sizeof(uint64_t));
            else if (f->type == PROTOBUF_C_TYPE_FIXED64)
                memcpy(at, strcmp(f->name, "file") == 0 ? &open : &node, sizeof(uint64_t));
        }
        assert_int_equal(
            ipc_client_ask(&c->client, id, m, 0, op->payload == PAY_NONE ? 0 : 4096, NULL), -EROFS);
    }
    after = host_stat(c, "f");
    assert_int_equal(after.st_size, file.st_size);
    assert_int_equal(after.st_mode, file.st_mode);
    assert_true(same_time(&after.st_mtim, &file.st_mtim));
    assert_true(same_time(&after.st_ctim, &file.st_ctim));
    after = host_stat(c, ".");
    assert_true(same_time(&after.st_mtim, &root.st_mtim));
    assert_true(same_time(&after.st_ctim, &root.st_ctim));
    close_file(c, open);
    forget(c, node, 1);
}

static void
reading_works(void **state)
{
    struct contract *c = *state;
    Postern__V1__GetattrReq get = POSTERN__V1__GETATTR_REQ__INIT;
    Postern__V1__ReaddirReq list = POSTERN__V1__READDIR_REQ__INIT;
    const Postern__V1__ReaddirRep *rep;
    uint64_t node = walk_to(c, NODE_ROOT, "f"), file = open_read(c, node);

    get.node = node;
    assert_int_equal(ask_getattr(&c->client, &get, NULL), 0);
    assert_int_equal(read_at(c, file, 0, 100), 5);
    close_file(c, file);
    list.file = file = open_read(c, NODE_ROOT);
    list.count = 4096;
    assert_int_equal(ask_readdir(&c->client, &list, &rep), 0);
    assert_true(rep->count > 0);
    close_file(c, file);
    forget(c, node, 1);
}

static void
what_is_not_in_memory_is_read_from_the_disk(void **state)
{
    struct contract *c = *state;
    int fd = openat(c->root, "f", O_RDWR | O_CLOEXEC);
    uint64_t node = walk_to(c, NODE_ROOT, "f"), file = open_read(c, node);

    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    assert_int_equal(read_at(c, file, 0, 100), 5);
    assert_memory_equal(c->client.ch.slab, "hello", 5);
    close(fd);
    close_file(c, file);
    forget(c, node, 1);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, setup, contract_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_writing_operation_is_refused_before_it_is_decoded),
        CLAIM(every_writing_operation_on_a_real_file_changes_nothing),
        CLAIM(reading_works),
        CLAIM(what_is_not_in_memory_is_read_from_the_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
