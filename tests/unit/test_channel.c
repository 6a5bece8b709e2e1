/*
 * The channel between two ends that trust nothing of one another.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "ipc/fd.h"

struct pair {
    struct channel worker, helper;
    int memfd, to_helper, to_worker;
    uint8_t *raw; /* a third mapping: what a hostile peer can scribble on */
};

/* Where channel.c keeps what it shares: the words of ring 0 (requests). */
enum { RAW_HEAD = 0, RAW_TAIL = 64, RAW_SLEEPING = 128, RAW_RING0 = 4096 };

static int
pair_open(void **state)
{
    static struct pair p;

    p.memfd = channel_create();
    assert_true(p.memfd >= 0);
    p.to_helper = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    p.to_worker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(channel_open(&p.worker, CHANNEL_WORKER, p.memfd, p.to_helper), 0);
    assert_int_equal(channel_open(&p.helper, CHANNEL_HELPER, p.memfd, p.to_worker), 0);
    p.raw = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, p.memfd, 0);
    assert_ptr_not_equal(p.raw, MAP_FAILED);
    *state = &p;
    return 0;
}

static int
pair_close(void **state)
{
    struct pair *p = *state;

    channel_close(&p->worker);
    channel_close(&p->helper);
    munmap(p->raw, 65536);
    close(p->memfd);
    close(p->to_helper);
    close(p->to_worker);
    return 0;
}

static void
poke(struct pair *p, size_t at, uint32_t v)
{
    memcpy(p->raw + at, &v, sizeof(v));
}

static void
records_arrive_whole_and_in_order_around_the_ring(void **state)
{
    struct pair *p = *state;
    uint8_t out[FRAME_BODY_MAX], in[FRAME_BODY_MAX];

    for (uint32_t i = 0; i < 20000; i++) {
        struct frame f = {.op = 3, .tag = i, .status = -(int)(i % 100)}, g;
        size_t n = (i * 37) % sizeof(out), got;

        memset(out, (int)i, n);
        assert_int_equal(channel_send(&p->worker, &f, out, n), 0);
        assert_int_equal(channel_recv(&p->helper, &g, in, &got), 1);
        assert_int_equal(g.tag, i);
        assert_int_equal(g.status, f.status);
        assert_int_equal(got, n);
        assert_memory_equal(in, out, n);
    }
    assert_int_equal(channel_recv(&p->helper, &(struct frame){0}, in, &(size_t){0}), 0);
}

static void
a_full_ring_says_again_until_the_consumer_took_something(void **state)
{
    struct pair *p = *state;
    uint8_t body[FRAME_BODY_MAX] = {0};
    struct frame f = {.op = 1}, g;
    unsigned sent = 0;
    size_t n;

    while (channel_send(&p->worker, &f, body, sizeof(body)) == 0)
        sent++;
    assert_int_equal(sent, RING_BYTES / FRAME_MAX);
    assert_int_equal(channel_send(&p->worker, &f, body, sizeof(body)), -EAGAIN);
    assert_int_equal(channel_recv(&p->helper, &g, body, &n), 1);
    assert_int_equal(channel_send(&p->worker, &f, body, sizeof(body)), 0);
    assert_int_equal(channel_send(&p->worker, &f, body, sizeof(body) + 1), -EMSGSIZE);
}

static void
a_record_may_be_packed_in_place(void **state)
{
    struct pair *p = *state;
    struct frame f = {.op = 9, .tag = 7}, g;
    uint8_t *body, in[FRAME_BODY_MAX];
    size_t n;

    assert_int_equal(channel_reserve(&p->helper, &body), 0);
    memcpy(body, "hello", 5);
    channel_commit(&p->helper, &f, 5);
    assert_int_equal(channel_recv(&p->worker, &g, in, &n), 1);
    assert_int_equal(n, 5);
    assert_memory_equal(in, "hello", 5);
}

static bool
readable(int fd)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};

    return poll(&pfd, 1, 0) == 1;
}

static void
the_peer_is_woken_once_per_batch_and_only_when_it_sleeps(void **state)
{
    struct pair *p = *state;
    struct frame f = {.op = 1}, g;
    uint8_t body[FRAME_BODY_MAX];
    uint64_t count;
    size_t n;

    assert_int_equal(channel_send(&p->worker, &f, NULL, 0), 0);
    assert_int_equal(channel_notify(&p->worker), 0);
    assert_false(readable(p->to_helper)); /* it never said that it sleeps */
    assert_false(channel_may_sleep(&p->helper));
    assert_int_equal(channel_recv(&p->helper, &g, body, &n), 1);
    assert_true(channel_may_sleep(&p->helper));
    for (int i = 0; i < 5; i++)
        assert_int_equal(channel_send(&p->worker, &f, NULL, 0), 0);
    assert_int_equal(channel_notify(&p->worker), 0);
    assert_int_equal(channel_notify(&p->worker), 0);
    assert_int_equal(read(p->to_helper, &count, sizeof(count)), sizeof(count));
    assert_int_equal(count, 1);
}

static void
positions_that_cannot_be_are_a_broken_peer(void **state)
{
    struct pair *p = *state;
    static const uint32_t heads[] = {1,           7,          8, 27, RING_BYTES + 1, RING_BYTES * 2,
                                     0x80000000u, 0xffffffffu};
    struct frame f = {.op = 1};
    uint8_t body[FRAME_BODY_MAX];
    size_t n;

    for (size_t i = 0; i < COUNT(heads); i++) {
        poke(p, RAW_HEAD, heads[i]);
        assert_int_equal(channel_recv(&p->helper, &f, body, &n), -EBADMSG);
        p->helper.rx.peer = p->helper.rx.pos; /* as if just opened */
    }
    p->worker.tx.peer = p->worker.tx.pos - RING_BYTES; /* full, so that it looks */
    poke(p, RAW_TAIL, 12345);
    assert_int_equal(channel_send(&p->worker, &f, NULL, 0), -EBADMSG);
}

static void
sizes_that_cannot_be_are_a_broken_peer(void **state)
{
    struct pair *p = *state;
    static const uint32_t sizes[] = {0,  1,           23,          FRAME_MAX + 1,
                                     65, 0x7fffffffu, 0xfffffff9u, 0xffffffffu};
    uint8_t body[FRAME_BODY_MAX];
    struct frame f;
    size_t n;

    poke(p, RAW_HEAD, 64);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        poke(p, RAW_RING0, sizes[i]);
        assert_int_equal(channel_recv(&p->helper, &f, body, &n), -EBADMSG);
    }
}

static void
payloads_lie_wholly_in_the_slab_on_a_page(void **state)
{
    struct pair *p = *state;
    static const struct {
        uint32_t off, len;
        bool ok;
    } rows[] = {
        {0, 0, true},
        {0, SLAB_BYTES, true},
        {SLAB_PAGE, SLAB_BYTES - SLAB_PAGE, true},
        {SLAB_PAGE, SLAB_BYTES - SLAB_PAGE + 1, false},
        {0, SLAB_BYTES + 1, false},
        {1, 1, false},
        {SLAB_PAGE - 1, 1, false},
        {SLAB_BYTES, 0, false},
        {SLAB_BYTES - SLAB_PAGE, SLAB_PAGE, true},
        {SLAB_BYTES - SLAB_PAGE, SLAB_PAGE + 1, false},
        {0xfffff000u, 0x1000, false},
        {SLAB_PAGE, 0xffffffffu, false},
    };

    for (size_t i = 0; i < COUNT(rows); i++)
        assert_int_equal(channel_payload(&p->helper, rows[i].off, rows[i].len) != NULL, rows[i].ok);
}

static void
payload_bytes_are_shared_not_copied(void **state)
{
    struct pair *p = *state;
    uint8_t *w = channel_payload(&p->worker, SLAB_PAGE, 4), *h;

    memcpy(w, "slab", 4);
    h = channel_payload(&p->helper, SLAB_PAGE, 4);
    assert_memory_equal(h, "slab", 4);
}

static void
a_memfd_of_another_size_or_without_seals_is_refused(void **state)
{
    struct channel ch;
    int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct pair *p = *state;

    assert_int_equal(channel_open(&ch, CHANNEL_WORKER, fd, -1), -EINVAL);
    assert_int_equal(ftruncate(fd, lseek(p->memfd, 0, SEEK_END)), 0);
    assert_int_equal(channel_open(&ch, CHANNEL_WORKER, fd, -1), -EINVAL);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
    assert_int_equal(channel_open(&ch, CHANNEL_WORKER, fd, -1), 0);
    channel_close(&ch);
    close(fd);
    assert_true(ftruncate(p->memfd, 1) < 0);
}

#define PINGS 20000

static void *
echo(void *arg)
{
    struct pair *p = arg;
    uint8_t body[FRAME_BODY_MAX];

    for (unsigned done = 0; done < PINGS;) {
        struct frame f;
        size_t n;
        int r = channel_recv(&p->helper, &f, body, &n);

        if (r == 1) {
            if (channel_send(&p->helper, &f, body, n) == 0)
                done++;
            continue;
        }
        (void)channel_notify(&p->helper);
        if (r == 0 && channel_may_sleep(&p->helper)) {
            struct pollfd pfd = {.fd = p->to_helper, .events = POLLIN};
            uint64_t v;

            (void)poll(&pfd, 1, 20000);
            (void)!read(p->to_helper, &v, sizeof(v));
            channel_awake(&p->helper);
        }
    }
    (void)channel_notify(&p->helper);
    return NULL;
}

/* A lost wake-up would run into the poll's time limit: then got stays short. */
static void
no_wakeup_is_ever_lost(void **state)
{
    struct pair *p = *state;
    uint8_t body[FRAME_BODY_MAX];
    unsigned sent = 0, got = 0, waits = 0;
    pthread_t t;

    assert_int_equal(pthread_create(&t, NULL, echo, p), 0);
    while (got < PINGS && waits < 3) {
        struct frame f = {.op = 1, .tag = sent};
        size_t n;

        for (unsigned burst = sent % 5 + 1; burst > 0 && sent < PINGS && sent - got < 64; burst--) {
            f.tag = sent++;
            assert_int_equal(channel_send(&p->worker, &f, (const uint8_t *)"x", 1), 0);
        }
        assert_int_equal(channel_notify(&p->worker), 0);
        while (channel_recv(&p->worker, &f, body, &n) == 1)
            assert_int_equal(f.tag, got++);
        if (got < sent && channel_may_sleep(&p->worker)) {
            struct pollfd pfd = {.fd = p->to_worker, .events = POLLIN};
            uint64_t v;

            waits += poll(&pfd, 1, 20000) == 0;
            (void)!read(p->to_worker, &v, sizeof(v));
            channel_awake(&p->worker);
        }
    }
    pthread_join(t, NULL);
    assert_int_equal(got, PINGS);
    assert_int_equal(waits, 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, pair_open, pair_close)
    const struct CMUnitTest tests[] = {
        T(records_arrive_whole_and_in_order_around_the_ring),
        T(a_full_ring_says_again_until_the_consumer_took_something),
        T(a_record_may_be_packed_in_place),
        T(the_peer_is_woken_once_per_batch_and_only_when_it_sleeps),
        T(positions_that_cannot_be_are_a_broken_peer),
        T(sizes_that_cannot_be_are_a_broken_peer),
        T(payloads_lie_wholly_in_the_slab_on_a_page),
        T(payload_bytes_are_shared_not_copied),
        T(a_memfd_of_another_size_or_without_seals_is_refused),
        T(no_wakeup_is_ever_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
