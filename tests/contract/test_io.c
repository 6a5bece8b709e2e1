/*
 * Data: READ, WRITE, FSYNC, many at a time, and what a full ring does.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lib/contract.h"

#define MIB (1024u * 1024u)

/* The helper's code in this process calls these for fsync(2) and fdatasync(2);
 * while the gate is shut, they wait. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t turn;
    bool shut;
    unsigned whole, data; /* calls */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .turn = PTHREAD_COND_INITIALIZER};

static void
gate_pass(unsigned *count)
{
    (void)pthread_mutex_lock(&gate.lock);
    (*count)++;
    (void)pthread_cond_broadcast(&gate.turn);
    while (gate.shut)
        (void)pthread_cond_wait(&gate.turn, &gate.lock);
    (void)pthread_mutex_unlock(&gate.lock);
}

int
fsync(int fd)
{
    gate_pass(&gate.whole);
    return (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
    gate_pass(&gate.data);
    return (int)syscall(SYS_fdatasync, fd);
}

static void
gate_shut(bool shut)
{
    (void)pthread_mutex_lock(&gate.lock);
    gate.shut = shut;
    if (shut)
        gate.whole = gate.data = 0;
    (void)pthread_cond_broadcast(&gate.turn);
    (void)pthread_mutex_unlock(&gate.lock);
}

/* Until so many calls wait there. */
static void
gate_await(unsigned n)
{
    struct timespec end;
    int r = 0;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &end), 0);
    end.tv_sec += IPC_CLIENT_DEADLINE_MS / 1000;
    (void)pthread_mutex_lock(&gate.lock);
    while (gate.whole + gate.data < n && r == 0)
        r = pthread_cond_timedwait(&gate.turn, &gate.lock, &end);
    (void)pthread_mutex_unlock(&gate.lock);
    assert_int_equal(r, 0);
}

static void
gate_counted(unsigned whole, unsigned data)
{
    unsigned got[2];

    (void)pthread_mutex_lock(&gate.lock);
    got[0] = gate.whole;
    got[1] = gate.data;
    (void)pthread_mutex_unlock(&gate.lock);
    assert_int_equal(got[0], whole);
    assert_int_equal(got[1], data);
}

static uint64_t
new_file(struct contract *c, const char *name, uint64_t *ret_node)
{
    host_write(c, name, "");
    *ret_node = walk_to(c, NODE_ROOT, name);
    return open_write(c, *ret_node, OPEN_READS);
}

static int
fsync_status(struct contract *c, uint64_t file, uint32_t datasync)
{
    Postern__V1__FsyncReq req = POSTERN__V1__FSYNC_REQ__INIT;

    req.file = file;
    req.datasync = datasync;
    return ask_fsync(&c->client, &req, NULL);
}

static void
what_is_written_is_read_back_at_every_size(void **state)
{
    static const uint32_t sizes[] = {0,   1,      4095, 4096, 4097, 256u * 1024, 256 * 1024 + 1,
                                     MIB, 2 * MIB};
    struct contract *c = *state;
    uint8_t *data = malloc(2 * MIB);
    uint64_t n, f;

    assert_non_null(data);
    for (uint32_t i = 0; i < 2 * MIB; i++)
        data[i] = (uint8_t)(i * 31 + (i >> 11));
    f = new_file(c, "f", &n);
    for (unsigned i = 0; i < COUNT(sizes); i++) {
        assert_int_equal(write_at(c, f, 1234567, data, sizes[i]), sizes[i]);
        memset(c->client.ch.slab, 0xee, 2 * MIB);
        assert_int_equal(read_at(c, f, 1234567, sizes[i]), sizes[i]);
        assert_memory_equal(c->client.ch.slab, data, sizes[i]);
    }
    free(data);
    close_file(c, f);
    forget(c, n, 1);
}

static void
a_read_past_the_end_is_short_and_then_nothing(void **state)
{
    struct contract *c = *state;
    uint64_t n, f;

    f = new_file(c, "f", &n);
    assert_int_equal(write_at(c, f, 0, "0123456789", 10), 10);
    assert_int_equal(read_at(c, f, 4, 100), 6);
    assert_memory_equal(c->client.ch.slab, "456789", 6);
    assert_int_equal(read_at(c, f, 10, 100), 0);
    assert_int_equal(read_at(c, f, 1u << 30, 100), 0);
    close_file(c, f);
    forget(c, n, 1);
}

/* Leave only the first page in memory. Not every file system can say so. */
static void
drop_all_but_a_page(int fd)
{
    char page[4096];

    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0); /* no reading ahead */
    assert_int_equal(pread(fd, page, sizeof(page), 0), sizeof(page));
}

static void
a_read_of_what_is_half_in_memory_is_whole(void **state)
{
    struct contract *c = *state;
    uint8_t *data = malloc(MIB);
    uint64_t n, f;
    int fd;

    assert_non_null(data);
    for (uint32_t i = 0; i < MIB; i++)
        data[i] = (uint8_t)(i * 7 + (i >> 12));
    f = new_file(c, "f", &n);
    assert_int_equal(write_at(c, f, 0, data, MIB), MIB);
    fd = openat(c->root, "f", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (unsigned i = 0; i < 8; i++) {
        drop_all_but_a_page(fd);
        memset(c->client.ch.slab, 0, MIB);
        assert_int_equal(read_at(c, f, 0, 2 * MIB), MIB);
        assert_memory_equal(c->client.ch.slab, data, MIB);
    }
    assert_int_equal(close(fd), 0);
    free(data);
    close_file(c, f);
    forget(c, n, 1);
}

static void
offsets_beyond_what_a_file_can_have_are_refused(void **state)
{
    const uint64_t last = INT64_MAX;
    struct contract *c = *state;
    uint64_t n, f;
    int64_t r;

    f = new_file(c, "f", &n);
    assert_int_equal(read_at(c, f, last, 0), 0);
    assert_int_equal(read_at(c, f, last, 1), -EINVAL);
    assert_int_equal(read_at(c, f, last - 10, 11), -EINVAL);
    assert_int_equal(read_at(c, f, last - 10, 10), 0);
    assert_int_equal(read_at(c, f, UINT64_MAX, 1), -EINVAL);
    assert_int_equal(write_at(c, f, last, "x", 1), -EINVAL);
    assert_int_equal(write_at(c, f, UINT64_MAX, "x", 1), -EINVAL);
    r = write_at(c, f, last - 1, "x", 1); /* the largest file differs with the file system */
    assert_true(r == -EFBIG || r == 1);
    close_file(c, f);
    forget(c, n, 1);
}

static void
directories_are_not_read_as_data(void **state)
{
    struct contract *c = *state;
    uint64_t f = open_read(c, NODE_ROOT);

    assert_int_equal(read_at(c, f, 0, 100), -EISDIR);
    assert_int_equal(write_at(c, f, 0, "x", 1), -EBADF);
    assert_int_equal(fsync_status(c, f, 0), 0);
    close_file(c, f);
}

static void
fsync_takes_both_kinds_and_refuses_a_closed_file(void **state)
{
    struct contract *c = *state;
    uint64_t n, f;

    f = new_file(c, "f", &n);
    assert_int_equal(fsync_status(c, f, 0), 0);
    assert_int_equal(fsync_status(c, f, 1), 0);
    close_file(c, f);
    assert_int_equal(fsync_status(c, f, 0), -EBADF);
    assert_int_equal(write_at(c, f, 0, "x", 1), -EBADF);
    forget(c, n, 1);
}

/* The table of open files says in the teardown whether the close came. */
static void
a_file_closed_while_the_pool_works_on_it_closes_after(void **state)
{
    struct contract *c = *state;
    Postern__V1__WriteReq write = POSTERN__V1__WRITE_REQ__INIT;
    Postern__V1__CloseReq close = POSTERN__V1__CLOSE_REQ__INIT;
    Postern__V1__FsyncReq sync = POSTERN__V1__FSYNC_REQ__INIT;
    uint64_t n, f;

    for (unsigned i = 0; i < 20; i++) {
        unsigned seen[OP_END] = {0};

        f = new_file(c, "f", &n);
        write.file = sync.file = close.file = f;
        write.count = MIB;
        (void)ipc_client_send(&c->client, OP_WRITE, &write.base, 0, MIB);
        (void)ipc_client_send(&c->client, OP_FSYNC, &sync.base, 0, 0);
        (void)ipc_client_send(&c->client, OP_CLOSE, &close.base, 0, 0);
        for (unsigned k = 0; k < 3; k++) {
            assert_int_equal(ipc_client_recv(&c->client, NULL), 0);
            seen[c->client.got.op]++;
        }
        assert_true(seen[OP_WRITE] == 1 && seen[OP_FSYNC] == 1 && seen[OP_CLOSE] == 1);
        forget(c, n, 1);
    }
}

/* A server whose calls wait would not end. */
static int
gate_teardown(void **state)
{
    gate_shut(false);
    return contract_teardown(state);
}

static void
send_fsyncs(struct contract *c, uint64_t file, unsigned n, bool one_is_whole)
{
    Postern__V1__FsyncReq sync = POSTERN__V1__FSYNC_REQ__INIT;

    sync.file = file;
    for (unsigned i = 0; i < n; i++) {
        sync.datasync = !one_is_whole || i != n / 2;
        (void)ipc_client_send(&c->client, OP_FSYNC, &sync.base, 0, 0);
    }
}

/*
 * What comes while a file is being written to the disk waits for that and is
 * then one call: of the stronger kind if one asked for it. Another file does not
 * wait.
 */
static void
fsyncs_of_a_file_that_wait_are_one_call_for_all(void **state)
{
    struct contract *c = *state;
    Postern__V1__GetattrReq get = POSTERN__V1__GETATTR_REQ__INIT;
    uint64_t n[2], f, other;

    if (contract_is_sandboxed())
        return; /* its calls do not pass here */
    f = new_file(c, "f", &n[0]);
    other = new_file(c, "other", &n[1]);
    for (unsigned whole = 0; whole < 2; whole++) {
        gate_shut(true);
        send_fsyncs(c, f, 1, false);
        gate_await(1);
        send_fsyncs(c, f, 20, whole != 0);
        send_fsyncs(c, other, 1, false);
        get.node = n[0];
        (void)ipc_client_send(&c->client, OP_GETATTR, &get.base, 0, 0);
        assert_int_equal(ipc_client_recv(&c->client, NULL), 0);
        assert_int_equal(c->client.got.op, OP_GETATTR); /* so all were taken */
        gate_await(2);
        assert_false(ipc_client_ready(&c->client));
        gate_shut(false);
        for (unsigned i = 0; i < 22; i++) {
            assert_int_equal(ipc_client_recv(&c->client, NULL), 0);
            assert_int_equal(c->client.got.op, OP_FSYNC);
        }
        gate_counted(whole, 3 - whole);
    }
    close_file(c, f);
    close_file(c, other);
    forget(c, n[0], 1);
    forget(c, n[1], 1);
}

static void
slow_and_quick_requests_in_flight_are_all_answered(void **state)
{
    struct contract *c = *state;
    Postern__V1__GetattrReq get = POSTERN__V1__GETATTR_REQ__INIT;
    Postern__V1__FsyncReq sync = POSTERN__V1__FSYNC_REQ__INIT;
    uint64_t n, f;

    f = new_file(c, "f", &n);
    get.node = n;
    sync.file = f;
    for (unsigned i = 0; i < 50; i++)
        (void)ipc_client_send(&c->client, OP_FSYNC, &sync.base, 0, 0);
    for (unsigned i = 0; i < 50; i++)
        (void)ipc_client_send(&c->client, OP_GETATTR, &get.base, 0, 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(ipc_client_recv(&c->client, NULL), 0);
    close_file(c, f);
    forget(c, n, 1);
}

/*
 * As much as is allowed in flight, with replies much larger than requests:
 * the reply ring fills up, and every request still gets its one reply.
 */
static void
a_flood_gets_every_reply_once(void **state)
{
    struct contract *c = *state;
    Postern__V1__ReadlinkReq link = POSTERN__V1__READLINK_REQ__INIT;
    Postern__V1__FsyncReq sync = POSTERN__V1__FSYNC_REQ__INIT;
    static uint8_t seen[8 * IN_FLIGHT_MAX + 100];
    char target[TARGET_LEN_MAX + 1];
    uint64_t n, f;

    memset(seen, 0, sizeof(seen));
    memset(target, 't', TARGET_LEN_MAX);
    target[TARGET_LEN_MAX] = '\0';
    assert_int_equal(symlinkat(target, c->root, "l"), 0);
    link.node = walk_to(c, NODE_ROOT, "l");
    f = new_file(c, "f", &n);
    sync.file = f;
    for (unsigned round = 0; round < 5; round++) {
        for (unsigned i = 0; i < IN_FLIGHT_MAX; i++) {
            if (i % 16 == 0)
                (void)ipc_client_send(&c->client, OP_FSYNC, &sync.base, 0, 0);
            else
                (void)ipc_client_send(&c->client, OP_READLINK, &link.base, 0, 0);
        }
        for (unsigned i = 0; i < IN_FLIGHT_MAX; i++) {
            assert_int_equal(ipc_client_recv(&c->client, NULL), 0);
            assert_true(c->client.got.tag < sizeof(seen));
            assert_int_equal(seen[c->client.got.tag]++, 0);
        }
        assert_false(ipc_client_ready(&c->client));
    }
    close_file(c, f);
    forget(c, link.node, 1);
    forget(c, n, 1);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, contract_setup, contract_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(what_is_written_is_read_back_at_every_size),
        CLAIM(a_read_past_the_end_is_short_and_then_nothing),
        CLAIM(a_read_of_what_is_half_in_memory_is_whole),
        CLAIM(offsets_beyond_what_a_file_can_have_are_refused),
        CLAIM(directories_are_not_read_as_data),
        CLAIM(fsync_takes_both_kinds_and_refuses_a_closed_file),
        CLAIM(a_file_closed_while_the_pool_works_on_it_closes_after),
        cmocka_unit_test_setup_teardown(fsyncs_of_a_file_that_wait_are_one_call_for_all,
                                        contract_setup, gate_teardown),
        CLAIM(slow_and_quick_requests_in_flight_are_all_answered),
        CLAIM(a_flood_gets_every_reply_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
