/*
 * A worker that was taken over, with the channel's shared memory as its weapon:
 * records and payloads rewritten while they are read, halves of records,
 * floods, memory taken away, fds sent along. The helper ends with a violation
 * or answers; beside its share nothing changes, a read-only share not at all,
 * and the helper of another share goes on.
 *
 * SEED=N repeats the random streams.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/log.h"
#include "tests/lib/contract.h"
#include "tests/lib/random.h"
#include "tests/lib/server.h"
#include "tests/lib/tree.h"

#define BATCH 256        /* records, one behind the other */
#define BATCHES 16       /* of one pair of records, */
#define DEATHS 4         /* or so many helpers */
#define STREAM 20000     /* random requests */
#define DEADLINE_S 30    /* for a helper to answer or to end */
#define FLOODS 4         /* rings full */
#define GROWTH_KIB 16384 /* by which nothing that is flooded grows: less than the slab */

/* Where a hostile name leads: beside the share, which is in /tmp. The harmless
 * one is as long. */
static char evil[32], tame[32], evil_path[64];

/* --- the share and what is beside it --------------------------------------------- */

/* Access times that reading would move, where it can: the mount is to stop it.
 * In this process no mount does. */
static void
age(int root, const char *name)
{
    const struct timespec times[2] = {
        {.tv_sec = contract_is_sandboxed() ? 1000000000 : time(NULL) + 86400},
        {.tv_nsec = UTIME_OMIT}};

    assert_int_equal(utimensat(root, name, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void
fill(struct contract *c)
{
    host_write(c, "f", "hello");
    host_write(c, tame, "tame");
    host_mkdir(c, "d");
    assert_int_equal(symlinkat(evil, c->root, "link"), 0);
    assert_int_equal(mkfifoat(c->root, "fifo", 0644), 0);
    age(c->root, "f");
    age(c->root, tame);
    age(c->root, "d");
    age(c->root, "link");
    age(c->root, ".");
}

static struct contract *
share_of(bool read_only)
{
    struct contract *c = contract_open(&(struct contract_options){
        .forked = true, .read_only = read_only, .nodes = 64, .files = 16});

    fill(c);
    return c;
}

static void
put_canary(void)
{
    int fd;

    (void)remove(evil_path);
    fd = open(evil_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "canary", 6), 6);
    (void)close(fd);
}

/* --- a client that is ready for the other end to go ------------------------------- */

static bool
is_alive(const struct contract *c)
{
    siginfo_t si = {0};

    assert_int_equal(
        waitid(P_PID, (id_t)contract_process(c).pid, &si, WEXITED | WNOHANG | WNOWAIT | __WALL), 0);
    return si.si_pid == 0;
}

/* Take one reply, which may be anything: 1; 0: the helper has ended. */
static int
hear(struct contract *c, struct frame *f, size_t *n)
{
    struct ipc_client *k = &c->client;
    const time_t until = time(NULL) + DEADLINE_S;
    struct pollfd p = {.fd = k->event_fd, .events = POLLIN};
    uint64_t count;

    while (channel_recv(&k->ch, f, k->body, n) != 1) {
        if (!is_alive(c))
            return 0;
        assert_true(time(NULL) < until);
        if (channel_may_sleep(&k->ch) && poll(&p, 1, 1) == 1)
            (void)!read(k->event_fd, &count, sizeof(count));
        channel_awake(&k->ch);
    }
    return 1;
}

/* It serves on until it is told to end, or it found us out: no other end. */
static void
lives_or_violation(struct contract *c, const char *what)
{
    int status = contract_end(c);

    if (status != 0 && status != EXIT_VIOLATION)
        fail_msg("%s: the helper ended with status %d", what, status);
    (void)contract_close(c);
}

static bool
serves(struct contract *c)
{
    Postern__V1__GetattrReq req = POSTERN__V1__GETATTR_REQ__INIT;

    req.node = NODE_ROOT;
    return ask_getattr(&c->client, &req, NULL) == 0;
}

/* --- records that change while they are read -------------------------------------- */

struct image {
    size_t n;
    uint8_t record[FRAME_MAX];
};

static void
image_of(struct image *i, unsigned op, const ProtobufCMessage *req, uint32_t payload_len)
{
    struct frame f = {.op = (uint16_t)op, .tag = 1, .payload_len = payload_len};
    size_t n = protobuf_c_message_get_packed_size(req);

    f.size = (uint32_t)(sizeof(f) + n);
    assert_true(n <= FRAME_BODY_MAX);
    memcpy(i->record, &f, sizeof(f));
    protobuf_c_message_pack(req, i->record + sizeof(f));
    i->n = f.size;
}

/* Two records in turn at one of some places of the shared memory, for as long
 * as it takes: one that the helper comes to next. The second stays for a moment
 * only, so that most go by unharmed. */
#define AHEAD 4u
#define MOMENT 40
#define TAIL_AT 64 /* where the consumer's position is in what a ring shares */
struct flicker {
    pthread_t thread;
    struct image image[2];
    uint32_t step, places;
    struct ring *ring;     /* borrowed; NULL: there is one place */
    uint32_t start;        /* the ring's position of the first */
    _Atomic(uint8_t *) at; /* the first; NULL: rest; the thread follows by itself */
    atomic_uint turns;
    atomic_bool stop;
};

static uint32_t
next_place(const struct flicker *k, unsigned turn)
{
    uint32_t tail;

    if (k->ring == NULL)
        return 0;
    tail =
        __atomic_load_n((uint32_t *)(void *)((uint8_t *)k->ring->sh + TAIL_AT), __ATOMIC_RELAXED);
    return ((tail - k->start) / k->step + turn % AHEAD) % k->places;
}

static void
flicker_over(const struct flicker *k, uint8_t *at, unsigned turn)
{
    at += (size_t)next_place(k, turn) * k->step;
    memcpy(at, k->image[1].record, k->image[1].n);
    for (volatile unsigned i = 0; i < MOMENT; i++)
        ;
    memcpy(at, k->image[0].record, k->image[0].n);
}

static void *
flicker_main(void *arg)
{
    struct flicker *k = arg;

    while (!atomic_load(&k->stop)) {
        uint8_t *at = atomic_load(&k->at);
        unsigned turn = atomic_fetch_add(&k->turns, 1);

        if (at != NULL)
            flicker_over(k, at, turn);
        else
            (void)sched_yield();
    }
    return NULL;
}

static void
flicker_start(struct flicker *k, uint32_t places)
{
    k->step = (uint32_t)((k->image[0].n + 7) & ~(size_t)7);
    k->places = places;
    atomic_store(&k->at, NULL);
    atomic_store(&k->stop, false);
    assert_int_equal(pthread_create(&k->thread, NULL, flicker_main, k), 0);
}

static void
flicker_stop(struct flicker *k)
{
    atomic_store(&k->stop, true);
    assert_int_equal(pthread_join(k->thread, NULL), 0);
}

/* From here on it writes there and nowhere else. */
static void
flicker_to(struct flicker *k, uint8_t *at)
{
    unsigned turn;

    atomic_store(&k->at, at);
    turn = atomic_load(&k->turns);
    while (atomic_load(&k->turns) - turn < 2)
        (void)sched_yield();
}

/* The record that is there becomes the helper's. */
static void
publish(struct contract *c, size_t n)
{
    struct channel *ch = &c->client.ch;

    ch->tx.pos += (uint32_t)((n + 7) & ~(size_t)7);
    __atomic_store_n((uint32_t *)(void *)ch->tx.sh, ch->tx.pos, __ATOMIC_RELEASE);
    ch->dirty = true;
    assert_int_equal(channel_notify(ch), 0);
}

/* A batch more. False: the helper is no more. */
static bool
flicker_batch(struct contract *c, struct flicker *k)
{
    struct ring *tx = &c->client.ch.tx;
    uint8_t *at = tx->data + (tx->pos & (RING_BYTES - 1));
    unsigned answered = 0;
    struct frame f;
    size_t n;

    for (uint32_t i = 0; i < BATCH; i++)
        memcpy(at + (size_t)i * k->step, k->image[0].record, k->image[0].n);
    k->ring = tx;
    k->start = tx->pos;
    flicker_to(k, at);
    publish(c, (size_t)k->step * BATCH);
    while (answered < BATCH && hear(c, &f, &n) == 1)
        answered++;
    flicker_to(k, NULL);
    return answered == BATCH;
}

/* Give the helper that record, and the other, and whatever lies between. */
static void
flicker_at(struct contract *base, struct flicker *k, const char *what)
{
    struct contract *c = contract_again(base);
    unsigned deaths = 0;

    flicker_start(k, BATCH);
    assert_true(serves(c));
    for (unsigned batch = 0; batch < BATCHES && deaths < DEATHS; batch++) {
        if (flicker_batch(c, k))
            continue;
        flicker_stop(k); /* nobody forks beside a thread */
        lives_or_violation(c, what);
        c = contract_again(base);
        flicker_start(k, BATCH);
        deaths++;
    }
    flicker_stop(k);
    lives_or_violation(c, what);
}

static void
a_name_that_becomes_a_path_after_the_check_leads_nowhere(void **state)
{
    static struct flicker k;
    Postern__V1__UnlinkReq unlink_req = POSTERN__V1__UNLINK_REQ__INIT;
    Postern__V1__MkdirReq mkdir_req = POSTERN__V1__MKDIR_REQ__INIT;
    struct contract *base = share_of(false);
    char *canary;

    (void)state;
    put_canary();
    canary = tree_of(evil_path);
    unlink_req.dir = mkdir_req.dir = NODE_ROOT;
    mkdir_req.mode = 0755;
    for (unsigned i = 0; i < 2; i++) {
        unlink_req.name = msg_bytes(i == 0 ? tame : evil, strlen(tame));
        image_of(&k.image[i], OP_UNLINK, &unlink_req.base, 0);
    }
    flicker_at(base, &k, "unlink");
    tree_assert_same(evil_path, canary);
    assert_int_equal(unlink(evil_path), 0);
    for (unsigned i = 0; i < 2; i++) {
        mkdir_req.name = msg_bytes(i == 0 ? tame : evil, strlen(tame));
        image_of(&k.image[i], OP_MKDIR, &mkdir_req.base, 0);
    }
    flicker_at(base, &k, "mkdir");
    assert_int_equal(access(evil_path, F_OK), -1);
    (void)contract_close(base);
}

static void
an_operation_that_becomes_a_writing_one_changes_nothing(void **state)
{
    static struct flicker k;
    Postern__V1__OpenReadReq open_req = POSTERN__V1__OPEN_READ_REQ__INIT;
    Postern__V1__OpenWriteReq trunc_req = POSTERN__V1__OPEN_WRITE_REQ__INIT;
    Postern__V1__MkdirReq mkdir_req = POSTERN__V1__MKDIR_REQ__INIT;
    Postern__V1__StatReq stat_req = POSTERN__V1__STAT_REQ__INIT;
    struct contract *base = share_of(true);
    char *tree = tree_of(base->path);

    (void)state;
    open_req.node = trunc_req.node = (uint64_t)NODE_ROOT;
    trunc_req.flags = OPEN_TRUNC;
    image_of(&k.image[0], OP_OPEN_READ, &open_req.base, 0);
    image_of(&k.image[1], OP_OPEN_WRITE, &trunc_req.base, 0);
    flicker_at(base, &k, "open to truncate");
    stat_req.dir = mkdir_req.dir = NODE_ROOT;
    stat_req.name = mkdir_req.name = msg_bytes("new", 3);
    image_of(&k.image[0], OP_STAT, &stat_req.base, 0);
    image_of(&k.image[1], OP_MKDIR, &mkdir_req.base, 0);
    flicker_at(base, &k, "stat and mkdir");
    tree_assert_same(base->path, tree);
    (void)contract_close(base);
}

/* The size that was checked is the size that is copied. */
static void
a_size_that_grows_after_the_check_is_not_believed(void **state)
{
    static struct flicker k;
    static const uint32_t sizes[] = {0, FRAME_MAX, UINT32_MAX};
    Postern__V1__StatfsReq req = POSTERN__V1__STATFS_REQ__INIT;
    struct contract *base = share_of(false);

    (void)state;
    req.node = NODE_ROOT;
    for (unsigned i = 0; i < COUNT(sizes); i++) {
        image_of(&k.image[0], OP_STATFS, &req.base, 0);
        k.image[1] = k.image[0];
        memcpy(k.image[1].record, &sizes[i], sizeof(sizes[i]));
        flicker_at(base, &k, "size");
    }
    (void)contract_close(base);
}

/* What is in the slab is data of the guest, whenever it changes. */
static void
payloads_that_change_under_way_are_data_and_nothing_else(void **state)
{
    static struct flicker k;
    struct contract *c = share_of(false);
    uint64_t node = walk_to(c, NODE_ROOT, "f"), file = open_write(c, node, OPEN_READS), dir;
    Postern__V1__ReaddirReq list = POSTERN__V1__READDIR_REQ__INIT;
    Postern__V1__SetxattrReq set = POSTERN__V1__SETXATTR_REQ__INIT;

    (void)state;
    dir = list.file = open_read(c, NODE_ROOT);
    list.count = 4096;
    set.node = node;
    set.key = msg_bytes("user.x", 6);
    set.count = 4096;
    for (unsigned i = 0; i < 2; i++) {
        k.image[i].n = 4096;
        memset(k.image[i].record, i == 0 ? 0 : 0xff, 4096);
    }
    flicker_start(&k, 1);
    flicker_to(&k, c->client.ch.slab);
    for (unsigned i = 0; i < 500; i++) {
        Postern__V1__WriteReq put = POSTERN__V1__WRITE_REQ__INIT;

        put.file = file;
        put.count = 4096;
        list.cookie = 0;
        assert_int_equal(ask_write(&c->client, &put, NULL), 0);
        assert_int_equal(ask_readdir(&c->client, &list, NULL), 0);
        (void)ask_setxattr(&c->client, &set, NULL);
        assert_int_equal(read_at(c, file, 0, 4096), 4096);
    }
    flicker_stop(&k);
    close_file(c, dir);
    close_file(c, file);
    forget(c, node, 1);
    (void)contract_close(c);
}

/* --- halves, floods, and memory taken away ----------------------------------------- */

/* Head and tail of a ring are the first words of their cache lines. */
static void
half_records_are_violations(void **state)
{
    static const struct {
        const char *what;
        uint32_t size, head;
    } cases[] = {
        {"less than a head", sizeof(struct frame), 8},
        {"a head without its message", 4096, sizeof(struct frame)},
        {"no size at all", 0, 64},
        {"smaller than its head", sizeof(struct frame) - 1, 64},
        {"larger than any", FRAME_MAX + 1, RING_BYTES / 2},
        {"larger than the number's half", 0x80000000u, 64},
        {"as large as a number can be", UINT32_MAX, 64},
        {"so large that padding wraps", UINT32_MAX - 6, 64},
        {"unaligned", sizeof(struct frame), sizeof(struct frame) + 1},
    };
    struct contract *base = share_of(true);

    (void)state;
    for (unsigned i = 0; i < COUNT(cases); i++) {
        struct contract *c = contract_again(base);
        struct frame f = {.size = cases[i].size, .op = OP_STATFS};
        int status;

        memcpy(c->client.ch.tx.data, &f, sizeof(f));
        c->client.ch.tx.pos = cases[i].head;
        publish(c, 0);
        status = contract_wait(c);
        if (status != EXIT_VIOLATION)
            fail_msg("%s: status %d", cases[i].what, status);
        (void)contract_close(c);
    }
    (void)contract_close(base);
}

/* Bytes in the ring that no head covers are nobody's: the helper sleeps. */
static void
a_record_never_finished_costs_nothing(void **state)
{
    struct contract *c = share_of(true);
    const uint64_t one = 1;

    (void)state;
    assert_true(serves(c));
    memset(c->client.ch.tx.data + c->client.ch.tx.pos, 0xff, FRAME_MAX);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(write(c->client.ch.wake_fd, &one, sizeof(one)), sizeof(one));
    assert_true(serves(c));
    (void)contract_close(c); /* asserts a peaceful end: the half record is no work */
}

static unsigned long
memory_of(pid_t pid)
{
    const char *line = server_status(pid, "RssAnon:");

    return strtoul(line + strlen("RssAnon:"), NULL, 10);
}

/* As many as the rings take, at most so many; nobody reads an answer. */
static unsigned
flood(struct contract *c, unsigned most, unsigned op, const ProtobufCMessage *req, uint32_t payload)
{
    struct frame f = {.op = (uint16_t)op, .payload_len = payload};
    uint8_t body[256];
    size_t n = protobuf_c_message_pack(req, body);
    unsigned sent = 0;
    int r = 0;

    /* the helper takes some more until the reply ring is full as well */
    for (unsigned idle = 0; idle < 50 && sent < most; idle = r == 0 ? 0 : idle + 1) {
        f.tag = sent;
        r = channel_send(&c->client.ch, &f, body, n);
        assert_true(r == 0 || r == -EAGAIN);
        assert_int_equal(channel_notify(&c->client.ch), 0);
        if (r == 0)
            sent++;
        else
            (void)usleep(2000);
    }
    return sent;
}

/* Each has one answer, none more. */
static void
drain(struct contract *c, unsigned sent)
{
    uint8_t *seen = calloc(sent, 1);
    struct frame f;
    size_t n;

    assert_non_null(seen);
    for (unsigned i = 0; i < sent; i++) {
        assert_int_equal(hear(c, &f, &n), 1);
        assert_true(f.tag < sent && seen[f.tag] == 0);
        seen[f.tag] = 1;
    }
    assert_false(ipc_client_ready(&c->client));
    free(seen);
}

/* Operations that are answered at once, and those that go to the pool, which
 * has room for as many as a worker may have under way. */
static void
a_flood_whose_answers_nobody_reads_is_bounded_and_disturbs_no_one(void **state)
{
    Postern__V1__GetattrReq get = POSTERN__V1__GETATTR_REQ__INIT;
    Postern__V1__FsyncReq sync_req = POSTERN__V1__FSYNC_REQ__INIT;
    struct contract *c = share_of(false), *other = share_of(true);
    const pid_t pid = contract_process(c).pid;
    unsigned long before;
    size_t fds;

    (void)state;
    assert_true(serves(c));
    before = memory_of(pid);
    fds = server_fds(pid);
    get.node = walk_to(c, NODE_ROOT, "f");
    sync_req.file = open_write(c, get.node, 0);
    for (unsigned i = 0; i < FLOODS; i++) {
        unsigned sent = flood(c, UINT32_MAX, OP_GETATTR, &get.base, 0);

        assert_true(sent > IN_FLIGHT_MAX);
        assert_true(serves(other));
        drain(c, sent);
        assert_int_equal(flood(c, IN_FLIGHT_MAX, OP_FSYNC, &sync_req.base, 0), IN_FLIGHT_MAX);
        assert_true(serves(other));
        drain(c, IN_FLIGHT_MAX);
    }
    assert_true(memory_of(pid) < before + GROWTH_KIB);
    close_file(c, sync_req.file);
    forget(c, get.node, 1);
    server_await_fds(pid, fds);
    (void)contract_close(other);
    (void)contract_close(c);
}

static void
more_in_the_pool_than_a_worker_may_have_is_a_violation_at_most(void **state)
{
    Postern__V1__WriteReq put = POSTERN__V1__WRITE_REQ__INIT;
    struct contract *c = share_of(false);

    (void)state;
    put.file = open_write(c, walk_to(c, NODE_ROOT, "f"), 0);
    put.count = 65536;
    for (unsigned n = flood(c, IN_FLIGHT_MAX * 4, OP_WRITE, &put.base, 65536); n > 0; n--) {
        struct frame f;
        size_t len;

        if (hear(c, &f, &len) == 0)
            break;
    }
    lives_or_violation(c, "pool");
}

/* A file that is closed while the pool still works on it is not another's fd. */
static void
requests_that_outlive_their_file_touch_no_other(void **state)
{
    struct contract *c = share_of(false);
    uint64_t node = walk_to(c, NODE_ROOT, "f"), other = walk_to(c, NODE_ROOT, tame);
    struct stat st;

    (void)state;
    memset(c->client.ch.slab, 'Z', 65536);
    for (unsigned round = 0; round < 200; round++) {
        Postern__V1__WriteReq put = POSTERN__V1__WRITE_REQ__INIT;
        Postern__V1__CloseReq shut = POSTERN__V1__CLOSE_REQ__INIT;
        Postern__V1__OpenWriteReq open_req = POSTERN__V1__OPEN_WRITE_REQ__INIT;
        struct frame f;
        uint64_t got = 0;
        size_t n;

        put.file = shut.file = open_write(c, node, 0);
        put.count = 65536;
        open_req.node = other;
        for (unsigned i = 0; i < 8; i++)
            (void)ipc_client_send(&c->client, OP_WRITE, &put.base, 0, 65536);
        (void)ipc_client_send(&c->client, OP_CLOSE, &shut.base, 0, 0);
        (void)ipc_client_send(&c->client, OP_OPEN_WRITE, &open_req.base, 0, 0);
        for (unsigned i = 0; i < 10; i++) {
            assert_int_equal(hear(c, &f, &n), 1);
            assert_true(f.status == 0 || f.op == OP_WRITE || f.op == OP_CLOSE);
            if (f.op == OP_OPEN_WRITE) {
                struct arena a;
                const Postern__V1__OpenWriteRep *rep;

                arena_init(&a);
                rep = (const Postern__V1__OpenWriteRep *)msg_unpack(&a, op_info(f.op)->rep,
                                                                    c->client.body, n);
                assert_non_null(rep);
                got = rep->file;
            }
        }
        assert_true(got != 0);
        close_file(c, got);
        (void)ask_close(&c->client, &shut, NULL); /* if it was busy before */
    }
    assert_int_equal(fstatat(c->root, tame, &st, 0), 0);
    assert_int_equal(st.st_size, 4);
    forget(c, node, 1);
    forget(c, other, 1);
    (void)contract_close(c);
}

static void
the_memory_can_be_neither_cut_off_nor_made_longer(void **state)
{
    struct contract *c = share_of(false);
    int fd = contract_channel(c).memfd;
    struct stat st;

    (void)state;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, st.st_size - 4096), -1);
    assert_int_equal(ftruncate(fd, st.st_size + 4096), -1);
    assert_int_equal(fallocate(fd, 0, st.st_size, 4096), -1);
    assert_int_equal(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
    assert_true(serves(c));
    (void)contract_close(c);
}

/* Pages taken away read as zero: no SIGBUS, at most a ring that cannot be. */
static void
holes_in_the_memory_kill_nobody(void **state)
{
    static const struct {
        const char *what;
        off_t at, len;
    } holes[] = {
        {"slab", 4096 + 2 * (off_t)RING_BYTES, SLAB_BYTES},
        {"request ring", 4096, RING_BYTES},
        {"reply ring", 4096 + (off_t)RING_BYTES, RING_BYTES},
        {"positions", 0, 4096},
        {"all of it", 0, 4096 + 2 * (off_t)RING_BYTES + SLAB_BYTES},
    };
    struct contract *base = share_of(false);

    (void)state;
    for (unsigned i = 0; i < COUNT(holes); i++) {
        struct contract *c = contract_again(base);
        uint64_t node = walk_to(c, NODE_ROOT, "f"), file = open_write(c, node, OPEN_READS);
        Postern__V1__WriteReq put = POSTERN__V1__WRITE_REQ__INIT;
        const int memfd = contract_channel(c).memfd;

        put.file = file;
        put.count = 1024 * 1024;
        for (unsigned n = 0; n < 16; n++)
            (void)ipc_client_send(&c->client, OP_WRITE, &put.base, 0, put.count);
        assert_int_equal(
            fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, holes[i].at, holes[i].len),
            0);
        for (unsigned n = 0; n < 100 && is_alive(c); n++) {
            struct frame f = {.op = OP_STATFS};

            (void)channel_send(&c->client.ch, &f, (const uint8_t *)"", 0);
            (void)channel_notify(&c->client.ch);
            (void)usleep(1000);
        }
        lives_or_violation(c, holes[i].what);
    }
    (void)contract_close(base);
}

/* The counter of an eventfd has an end; who writes to it then must not wait. */
static void
an_eventfd_that_is_full_blocks_nobody(void **state)
{
    struct contract *c = share_of(true);
    const uint64_t nearly = UINT64_MAX - 1;

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        (void)!write(contract_channel(c).to_worker, &nearly, sizeof(nearly));
        assert_true(serves(c));
    }
    (void)contract_close(c);
}

/* --- fds --------------------------------------------------------------------------- */

/* A worker has no socket to its helper: the channel is all. The broker's, which
 * only the broker has, takes no fds in either. */
static void
no_fd_gets_in_once_the_helper_serves(void **state)
{
    struct contract *c = share_of(true);
    const struct contract_process p = contract_process(c);
    size_t fds;
    int pipes[2];

    (void)state;
    assert_true(serves(c));
    fds = server_fds(p.pid);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    for (unsigned i = 0; i < 20; i++) {
        const int kinds[] = {pipes[0], pipes[1], c->root, contract_channel(c).memfd, p.boot};

        assert_int_equal(fd_send(p.boot, "x", 1, kinds, COUNT(kinds)), 0);
        assert_true(serves(c));
    }
    server_await_fds(p.pid, fds);
    assert_true(serves(c));
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    (void)contract_close(c);
}

/* --- numbers ----------------------------------------------------------------------- */

static const uint64_t numbers[] = {0,
                                   1,
                                   4096,
                                   65536,
                                   (1ull << 31) - 1,
                                   1ull << 31,
                                   UINT32_MAX - 10,
                                   UINT32_MAX,
                                   1ull << 32,
                                   (1ull << 62),
                                   INT64_MAX - 1,
                                   INT64_MAX,
                                   1ull << 63,
                                   UINT64_MAX - 1,
                                   UINT64_MAX};

static void
every_offset_of_a_read_only_file_is_answered(void **state)
{
    struct contract *c = share_of(true);
    uint64_t node = walk_to(c, NODE_ROOT, "f"), file = open_read(c, node);
    uint64_t dir = open_read(c, NODE_ROOT);

    (void)state;
    for (unsigned i = 0; i < COUNT(numbers); i++)
        for (unsigned j = 0; j < COUNT(numbers); j++) {
            Postern__V1__ReadReq get = POSTERN__V1__READ_REQ__INIT;
            Postern__V1__ReaddirReq list = POSTERN__V1__READDIR_REQ__INIT;
            Postern__V1__LockReq lock = POSTERN__V1__LOCK_REQ__INIT;

            get.file = lock.file = file;
            get.offset = list.cookie = lock.start = numbers[i];
            lock.length = numbers[j];
            list.file = dir;
            get.count = list.count = numbers[j] < 65536 ? (uint32_t)numbers[j] : 65536;
            (void)ask_read(&c->client, &get, NULL);
            (void)ask_readdir(&c->client, &list, NULL);
            (void)ask_lock(&c->client, &lock, NULL);
        }
    assert_int_equal(read_at(c, file, 0, 100), 5);
    close_file(c, file);
    close_file(c, dir);
    forget(c, node, 1);
    (void)contract_close(c);
}

/* An id is a number of this helper's own tables: given back, it is nobody's,
 * and at another share's helper it never was the same file. */
static void
ids_given_back_or_of_another_share_are_no_files(void **state)
{
    struct contract *c = share_of(true), *other = share_of(true);
    uint64_t node = walk_to(c, NODE_ROOT, "f"), file = open_read(c, node);
    Postern__V1__ReadReq get = POSTERN__V1__READ_REQ__INIT;
    Postern__V1__GetattrReq look = POSTERN__V1__GETATTR_REQ__INIT;

    (void)state;
    get.file = file;
    get.count = 16;
    look.node = node;
    assert_int_equal(ask_read(&other->client, &get, NULL), -EBADF);
    assert_int_equal(ask_getattr(&other->client, &look, NULL), -ESTALE);
    close_file(c, file);
    forget(c, node, 1);
    assert_int_equal(ask_read(&c->client, &get, NULL), -EBADF);
    assert_int_equal(ask_getattr(&c->client, &look, NULL), -ESTALE);
    (void)contract_close(other);
    (void)contract_close(c);
}

/* --- a stream of anything ------------------------------------------------------------ */

static uint64_t seed;

static uint32_t
any(uint32_t below)
{
    return random_below(&seed, below);
}

/* Ids that may be right, names that are names: what is wrong ends the helper. */
static void
fill_any(ProtobufCMessage *m, const uint64_t *ids, unsigned nids)
{
    static const char *const names[] = {"f", "d", "link", "fifo", "new", "user.a"};

    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        uint8_t *base = (uint8_t *)m;
        const char *s = names[any(COUNT(names))];
        const ProtobufCBinaryData name = msg_bytes(s, strlen(s));
        const uint64_t wide =
            f->type == PROTOBUF_C_TYPE_FIXED64 ? ids[any(nids)] : numbers[any(COUNT(numbers))];
        const bool flags = strcmp(f->name, "flags") == 0;
        const uint32_t narrow = any(200) == 0 ? (uint32_t)wide : any(flags ? 200 : 2) == 1;

        if (f->label == PROTOBUF_C_LABEL_OPTIONAL) {
            if (i > 1 || any(2) == 0)
                continue;
            *(protobuf_c_boolean *)(void *)(base + f->quantifier_offset) = 1;
        }
        if (f->type == PROTOBUF_C_TYPE_BYTES)
            memcpy(base + f->offset, &name, sizeof(name));
        else if (f->type == PROTOBUF_C_TYPE_UINT32)
            memcpy(base + f->offset, &narrow, sizeof(narrow));
        else
            memcpy(base + f->offset, &wide, sizeof(wide));
    }
}

/* What the helper gives out, the next requests use. */
static void
learn(const ProtobufCMessage *rep, uint64_t *ids, unsigned room, unsigned *nids)
{
    for (unsigned i = 0; i < rep->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &rep->descriptor->fields[i];
        unsigned at = *nids < room ? (*nids)++ : 1 + any(room - 1);

        if (f->type == PROTOBUF_C_TYPE_FIXED64)
            memcpy(&ids[at], (const uint8_t *)rep + f->offset, sizeof(ids[at]));
    }
}

struct stream {
    unsigned served, refused, violations;
};

/* One helper's life: until it ends, or the stream does. */
static unsigned
stream_into(struct contract *c, unsigned most, bool read_only, struct stream *st)
{
    uint64_t ids[24] = {NODE_ROOT};
    unsigned nids = 1, i;
    struct arena *a = calloc(2, sizeof(*a));

    assert_non_null(a);
    arena_init(&a[0]);
    arena_init(&a[1]);
    for (i = 0; i < most && is_alive(c); i++) {
        const unsigned id = 1 + any(OP_END - 1);
        const struct op_info *op = op_info(id);
        ProtobufCMessage *m;
        struct frame f;
        size_t n;

        arena_reset(&a[0]);
        m = msg_new(&a[0], op->req);
        fill_any(m, ids, nids);
        (void)ipc_client_send(&c->client, id, m, 0, op->payload == PAY_NONE ? 0 : 65536);
        if (hear(c, &f, &n) == 0)
            break;
        assert_true(f.status <= 0 && f.status > -4096);
        assert_true(!read_only || op->access == OP_READS || f.status == -EROFS);
        st->served += f.status == 0;
        st->refused += f.status < 0;
        arena_reset(&a[1]);
        if (f.status == 0 && op->rep->n_fields > 0)
            learn(msg_unpack(&a[1], op->rep, c->client.body, n), ids, COUNT(ids), &nids);
    }
    st->violations += !is_alive(c);
    free(a);
    return i + 1;
}

static void
a_stream_of_requests_changes_nothing_outside(bool read_only)
{
    struct contract *base = share_of(read_only);
    char *tree = tree_of(base->path), *canary;
    struct stream st = {0};

    seed = random_seed();
    put_canary();
    canary = tree_of(evil_path);
    for (unsigned sent = 0; sent < STREAM;) {
        struct contract *c = contract_again(base);

        sent += stream_into(c, STREAM - sent, read_only, &st);
        lives_or_violation(c, "stream");
    }
    print_message("%u served, %u refused, %u violations\n", st.served, st.refused, st.violations);
    assert_true(st.served > STREAM / 100);
    tree_assert_same(evil_path, canary);
    if (read_only)
        tree_assert_same(base->path, tree);
    else
        free(tree);
    assert_int_equal(unlink(evil_path), 0);
    (void)contract_close(base);
}

static void
a_stream_of_requests_leaves_a_read_only_share_as_it_is(void **state)
{
    (void)state;
    a_stream_of_requests_changes_nothing_outside(true);
}

static void
a_stream_of_requests_stays_inside_a_writable_share(void **state)
{
    (void)state;
    a_stream_of_requests_changes_nothing_outside(false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_becomes_a_path_after_the_check_leads_nowhere),
        cmocka_unit_test(an_operation_that_becomes_a_writing_one_changes_nothing),
        cmocka_unit_test(a_size_that_grows_after_the_check_is_not_believed),
        cmocka_unit_test(payloads_that_change_under_way_are_data_and_nothing_else),
        cmocka_unit_test(half_records_are_violations),
        cmocka_unit_test(a_record_never_finished_costs_nothing),
        cmocka_unit_test(a_flood_whose_answers_nobody_reads_is_bounded_and_disturbs_no_one),
        cmocka_unit_test(more_in_the_pool_than_a_worker_may_have_is_a_violation_at_most),
        cmocka_unit_test(requests_that_outlive_their_file_touch_no_other),
        cmocka_unit_test(the_memory_can_be_neither_cut_off_nor_made_longer),
        cmocka_unit_test(holes_in_the_memory_kill_nobody),
        cmocka_unit_test(an_eventfd_that_is_full_blocks_nobody),
        cmocka_unit_test(no_fd_gets_in_once_the_helper_serves),
        cmocka_unit_test(every_offset_of_a_read_only_file_is_answered),
        cmocka_unit_test(ids_given_back_or_of_another_share_are_no_files),
        cmocka_unit_test(a_stream_of_requests_leaves_a_read_only_share_as_it_is),
        cmocka_unit_test(a_stream_of_requests_stays_inside_a_writable_share),
    };

    (void)snprintf(evil, sizeof(evil), "../pst-%08x", (unsigned)getpid());
    (void)snprintf(tame, sizeof(tame), "aa-pst-%08x", (unsigned)getpid());
    (void)snprintf(evil_path, sizeof(evil_path), "/tmp/pst-%08x", (unsigned)getpid());
    return cmocka_run_group_tests_name("a hostile worker's memory", tests, NULL, NULL);
}
