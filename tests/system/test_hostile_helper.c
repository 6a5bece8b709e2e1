/*
 * A helper that was taken over, against the real worker in its sandbox: in its
 * place stands a liar with an honest helper behind it, who passes requests on
 * and forges the answers. Whatever comes back, the worker lives on; the guest
 * is told EIO, and the share beside it is served.
 *
 * SEED=N repeats the random lies.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "ipc/fd.h"
#include "tests/lib/legacy.h"
#include "tests/lib/lone_worker.h"
#include "tests/lib/random.h"

#define GOOD 0u
#define EVIL 1u
#define LIES_EACH 2u /* of each operation, in turn */
#define ROUNDS 12u   /* of guests whose share lies at random */
#define HEAR_MS 20   /* between looks at whether it is over */

struct liar;

/* An answer under way. A lie changes it, or sends what it likes by itself and
 * returns false. */
struct answer {
    struct frame f;
    size_t n;
    uint8_t body[FRAME_BODY_MAX];
};
typedef bool lie(struct liar *l, struct answer *a);

struct liar {
    struct channel ch;                /* the helper's end, towards the worker */
    struct contract_channel fds;      /* owned */
    struct contract *honest;          /* owned; in a process of its own */
    const struct lone_worker *worker; /* borrowed */
    unsigned op;                      /* the operation whose first answer is a lie; 0: any, */
    lie *tell;                        /* and which */
    uint64_t random;
    pthread_t thread;
    atomic_bool stop;
    atomic_uint told;
};

/* --- between worker and helper ------------------------------------------------------- */

static bool
is_over(const struct liar *l)
{
    siginfo_t si = {0};

    return atomic_load(&l->stop) ||
           waitid(P_PID, (id_t)contract_process(l->honest).pid, &si,
                  WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 ||
           si.si_pid != 0;
}

static void
await(struct channel *ch, int event_fd)
{
    struct pollfd p = {.fd = event_fd, .events = POLLIN};
    uint64_t count;

    if (channel_may_sleep(ch) && poll(&p, 1, HEAR_MS) == 1)
        (void)!read(event_fd, &count, sizeof(count));
    channel_awake(ch);
}

/* What the honest helper says to that. False: it is over. */
static bool
ask_honest(struct liar *l, const struct frame *req, const uint8_t *body, size_t n, struct answer *a)
{
    struct ipc_client *k = &l->honest->client;
    const size_t len = req->payload_len;

    if (len > 0)
        memcpy(k->ch.slab + req->payload, l->ch.slab + req->payload, len);
    if (channel_send(&k->ch, req, body, n) < 0 || channel_notify(&k->ch) < 0)
        return false;
    while (channel_recv(&k->ch, &a->f, a->body, &a->n) != 1) {
        if (is_over(l))
            return false;
        await(&k->ch, k->event_fd);
    }
    if (len > 0)
        memcpy(l->ch.slab + req->payload, k->ch.slab + req->payload, len);
    return true;
}

static void
send_answer(struct liar *l, const struct answer *a)
{
    (void)channel_send(&l->ch, &a->f, a->body, a->n);
    (void)channel_notify(&l->ch);
}

static void *
liar_main(void *arg)
{
    static struct answer a; /* one liar at a time */
    struct liar *l = arg;

    while (!is_over(l)) {
        struct frame f;
        size_t n;
        uint8_t body[FRAME_BODY_MAX];
        bool lies;

        if (channel_recv(&l->ch, &f, body, &n) != 1) {
            await(&l->ch, l->fds.to_helper);
            continue;
        }
        if (!ask_honest(l, &f, body, n, &a))
            break;
        lies = l->tell != NULL && (l->op == 0 || (l->op == f.op && atomic_load(&l->told) == 0));
        if (lies)
            atomic_fetch_add(&l->told, 1);
        if (!lies || l->tell(l, &a))
            send_answer(l, &a);
    }
    if (!atomic_load(&l->stop)) /* the broker would see its end */
        lone_worker_helper_gone(l->worker, EVIL);
    return NULL;
}

static void
liar_start(struct liar *l, const struct lone_worker *w, struct contract *base)
{
    l->worker = w;
    l->honest = contract_again(base);
    l->fds.memfd = channel_create();
    l->fds.to_helper = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    l->fds.to_worker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    atomic_store(&l->stop, false);
    atomic_store(&l->told, 0);
    assert_int_equal(channel_open(&l->ch, CHANNEL_HELPER, l->fds.memfd, l->fds.to_worker), 0);
    lone_worker_add(w, EVIL, "evil", NULL, &l->fds);
    lone_worker_served(w, EVIL);
    assert_int_equal(pthread_create(&l->thread, NULL, liar_main, l), 0);
}

static void
liar_stop(struct liar *l)
{
    atomic_store(&l->stop, true);
    assert_int_equal(pthread_join(l->thread, NULL), 0);
    lone_worker_leave(l->worker, EVIL, 0);
    lone_worker_over(l->worker, EVIL);
    channel_close(&l->ch);
    clean_fd(&l->fds.memfd);
    clean_fd(&l->fds.to_helper);
    clean_fd(&l->fds.to_worker);
    (void)contract_end(l->honest); /* it may have found the worker's ids strange */
    (void)contract_close(l->honest);
}

/* So many bytes more are the worker's, whatever they are. */
static void
publish(struct liar *l, size_t n)
{
    l->ch.tx.pos += (uint32_t)n;
    __atomic_store_n((uint32_t *)(void *)l->ch.tx.sh, l->ch.tx.pos, __ATOMIC_RELEASE);
    l->ch.dirty = true;
    (void)channel_notify(&l->ch);
}

/* --- lies that a worker can tell from the truth -------------------------------------- */

static bool
another_tag(struct liar *l, struct answer *a)
{
    (void)l;
    a->f.tag ^= 1;
    return true;
}

static bool
an_old_tag(struct liar *l, struct answer *a)
{
    (void)l;
    a->f.tag -= 1u << 16;
    return true;
}

static bool
a_tag_beyond_all(struct liar *l, struct answer *a)
{
    (void)l;
    a->f.tag = UINT32_MAX;
    return true;
}

static bool
another_operation(struct liar *l, struct answer *a)
{
    (void)l;
    a->f.op = (uint16_t)(a->f.op % (OP_END - 1) + 1);
    return true;
}

static bool
no_operation(struct liar *l, struct answer *a)
{
    (void)l;
    a->f.op = UINT16_MAX;
    return true;
}

static bool
success_with_a_number(struct liar *l, struct answer *a)
{
    (void)l;
    a->f.status = 7;
    return true;
}

static bool
an_error_beyond_all(struct liar *l, struct answer *a)
{
    (void)l;
    a->f.status = INT32_MIN;
    return true;
}

static bool
junk(struct liar *l, struct answer *a)
{
    (void)l;
    a->f.status = 0;
    memset(a->body, 0xff, a->n = 64);
    return true;
}

static bool
twice(struct liar *l, struct answer *a)
{
    send_answer(l, a);
    return true;
}

static bool
a_size_beyond_all(struct liar *l, struct answer *a)
{
    a->f.size = UINT32_MAX;
    memcpy(l->ch.tx.data + (l->ch.tx.pos & (RING_BYTES - 1)), &a->f, sizeof(a->f));
    publish(l, sizeof(a->f));
    return false;
}

static bool
a_head_beyond_all(struct liar *l, struct answer *a)
{
    (void)a;
    publish(l, (size_t)0 - 8);
    return false;
}

static bool
half_an_answer(struct liar *l, struct answer *a)
{
    memcpy(l->ch.tx.data + (l->ch.tx.pos & (RING_BYTES - 1)), &a->f, sizeof(a->f));
    publish(l, 8);
    return false;
}

/* Nothing at all, and then an end. */
static bool
silence_and_death(struct liar *l, struct answer *a)
{
    (void)a;
    lone_worker_helper_gone(l->worker, EVIL);
    return false;
}

static const struct {
    const char *name;
    lie *tell;
} lies[] = {
    {"another tag", another_tag},
    {"an old tag", an_old_tag},
    {"a tag beyond all", a_tag_beyond_all},
    {"another operation", another_operation},
    {"no operation", no_operation},
    {"success with a number", success_with_a_number},
    {"an error beyond all", an_error_beyond_all},
    {"junk", junk},
    {"twice", twice},
    {"a size beyond all", a_size_beyond_all},
    {"a head beyond all", a_head_beyond_all},
    {"half an answer", half_an_answer},
    {"silence and death", silence_and_death},
};

/* --- lies that may be true ----------------------------------------------------------- */

static uint32_t
any(struct liar *l, uint32_t below)
{
    return random_below(&l->random, below);
}

static void
forge_fields(struct liar *l, ProtobufCMessage *m)
{
    static const uint64_t some[] = {0,         1,          2,          0xffff,
                                    1u << 31,  UINT32_MAX, 1ull << 32, 1ull << 62,
                                    INT64_MAX, 1ull << 63, UINT64_MAX};
    const ProtobufCFieldDescriptor *f;
    const uint64_t v = some[any(l, COUNT(some))];

    if (m->descriptor->n_fields == 0)
        return;
    f = &m->descriptor->fields[any(l, m->descriptor->n_fields)];
    if (f->type == PROTOBUF_C_TYPE_MESSAGE) {
        ProtobufCMessage *below = *(ProtobufCMessage **)(void *)((uint8_t *)m + f->offset);

        if (below != NULL)
            forge_fields(l, below);
    } else if (f->type == PROTOBUF_C_TYPE_UINT32 || f->type == PROTOBUF_C_TYPE_FIXED32 ||
               f->type == PROTOBUF_C_TYPE_INT32) {
        memcpy((uint8_t *)m + f->offset, &v, sizeof(uint32_t));
    } else if (f->type != PROTOBUF_C_TYPE_BYTES) {
        memcpy((uint8_t *)m + f->offset, &v, sizeof(v));
    }
}

/* Now and then one number of the message, a byte of the payload, or the status. */
static bool
something(struct liar *l, struct answer *a)
{
    static struct arena arena;
    ProtobufCMessage *m;

    if (any(l, 6) != 0)
        return true;
    for (unsigned i = 0; a->f.payload_len > 0 && i < 4; i++)
        l->ch.slab[a->f.payload + any(l, a->f.payload_len < 256 ? a->f.payload_len : 256)] =
            (uint8_t)any(l, 256);
    if (any(l, 8) == 0) {
        a->f.status = -(int32_t)any(l, 200);
        a->n = a->f.status < 0 ? 0 : a->n;
    }
    if (a->f.status != 0)
        return true;
    arena_init(&arena);
    m = msg_unpack(&arena, op_info(a->f.op)->rep, a->body, a->n);
    if (m == NULL)
        return true;
    forge_fields(l, m);
    if (protobuf_c_message_get_packed_size(m) <= sizeof(a->body))
        a->n = protobuf_c_message_pack(m, a->body);
    return true;
}

/* Records that change while the worker reads them. */
static bool
entries_that_change(struct liar *l, struct answer *a)
{
    uint8_t *p = l->ch.slab + a->f.payload;

    send_answer(l, a);
    for (unsigned i = 0; a->f.payload_len > 256 && i < 20000; i++)
        p[16 + any(l, 240)] ^= (uint8_t)any(l, 256); /* sizes and names */
    return false;
}

/* --- guests ------------------------------------------------------------------------------------
 */

static int
ignore(const struct nc_dirent *e, void *ctx)
{
    (void)ctx;
    return e->name == NULL;
}

/* Names and what is made of them. */
static void
make_and_unmake(struct nc *c)
{
    struct nc_qid q[2];
    size_t n = 0;

    (void)nc_mkdir(c, 0, "d", 0755, 0, q);
    (void)nc_symlink(c, 0, "l", "f", 0, q);
    (void)nc_mknod(c, 0, "p", S_IFIFO | 0644, 0, 0, 0, q);
    if (nc_walk(c, 0, 1, 1, (const char *const[]){"f"}, q, &n) == 0)
        (void)nc_link(c, 0, 1, "f2");
    (void)nc_rename(c, 1, 0, "f3");
    (void)nc_renameat(c, 0, "f3", 0, "f");
    (void)nc_clunk(c, 1);
    (void)nc_unlinkat(c, 0, "f2", 0);
    (void)nc_unlinkat(c, 0, "p", 0);
    (void)nc_unlinkat(c, 0, "d", 0x200);
    if (nc_walk(c, 0, 1, 1, (const char *const[]){"l"}, q, &n) == 0) {
        char target[64];

        (void)nc_readlink(c, 1, target, sizeof(target));
        (void)nc_remove(c, 1);
    }
}

/* A file and a directory, open. */
static void
use_files(struct nc *c)
{
    const struct nc_setattr times = {.valid = 0x10 | 0x20};
    struct nc_lock lock = {.type = 0, .length = 10, .client_id = "x"};
    struct nc_attr a;
    struct nc_qid q[2];
    char buf[4096];
    size_t n = 0;
    uint64_t size;
    struct nc_statfs fs;

    (void)nc_getattr(c, 0, 0x7ff, &a);
    (void)nc_statfs(c, 0, &fs);
    (void)nc_walk(c, 0, 2, 0, NULL, q, &n);
    (void)nc_lcreate(c, 2, "new", 2, 0644, 0, q, NULL);
    (void)nc_write(c, 2, 0, "hello", 5);
    (void)nc_read(c, 2, 0, buf, sizeof(buf));
    (void)nc_fsync(c, 2, 0);
    (void)nc_lock(c, 2, &lock);
    (void)nc_getlock(c, 2, &lock, &lock);
    (void)nc_setattr(c, 2, &times);
    (void)nc_clunk(c, 2);
    for (uint32_t flags = 0; flags < 2; flags++) {
        (void)nc_walk(c, 0, 3, 1, (const char *const[]){"f"}, q, &n);
        (void)nc_lopen(c, 3, flags, q, NULL);
        (void)nc_clunk(c, 3);
    }
    (void)nc_walk(c, 0, 4, 0, NULL, q, &n);
    (void)nc_lopen(c, 4, 0, q, NULL);
    (void)nc_readdir(c, 4, 0, sizeof(buf), ignore, NULL);
    (void)nc_clunk(c, 4);
    (void)nc_walk(c, 0, 5, 1, (const char *const[]){"f"}, q, &n);
    if (nc_xattrcreate(c, 5, "user.x", 1, 0) == 0)
        (void)nc_write(c, 5, 0, "v", 1);
    (void)nc_clunk(c, 5);
    (void)nc_walk(c, 0, 5, 1, (const char *const[]){"f"}, q, &n);
    if (nc_xattrwalk(c, 5, 6, "user.x", &size) == 0)
        (void)nc_clunk(c, 6);
    if (nc_xattrwalk(c, 5, 6, "", &size) == 0)
        (void)nc_clunk(c, 6);
    if (nc_xattrcreate(c, 5, "user.x", 0, 2) == 0)
        (void)nc_clunk(c, 5);
    else
        (void)nc_remove(c, 5);
}

/* In a dialect that asks for the names of files and of what is above them. */
static void
use_old(struct old *o)
{
    struct old_stat st, name = old_stat_blank();
    char buf[4096];

    (void)old_walk(o, 0, 1, NULL);
    (void)old_create(o, 1, "old", OLD_DMDIR | 0755, OLD_OREAD, "");
    (void)old_clunk(o, 1);
    (void)old_walk(o, 0, 1, "old");
    (void)old_walk(o, 1, 2, "..");
    (void)old_stat(o, 1, &st);
    (void)snprintf(name.name, sizeof(name.name), "older");
    (void)old_wstat(o, 1, &name);
    (void)old_remove(o, 1);
    (void)old_open(o, 2, OLD_OREAD);
    (void)old_read(o, 2, 0, buf, sizeof(buf));
    (void)old_clunk(o, 2);
}

static void
give_up_in_time(struct nc *c)
{
    const struct timeval tv = {.tv_sec = 20};

    assert_int_equal(setsockopt(nc_fd(c), SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
}

static struct nc *
guest(const struct lone_worker *w)
{
    struct nc *c = lone_worker_guest(w);

    give_up_in_time(c);
    return c;
}

/* Whoever waits for one lie has seen it. */
static bool
is_told(const struct liar *l)
{
    return l->op != 0 && atomic_load(&l->told) > 0;
}

static void
be_old_guest(const struct lone_worker *w)
{
    struct old o = {.dotu = true};
    char address[sizeof(w->address.sun_path) + 8];

    (void)snprintf(address, sizeof(address), "unix:%s", w->address.sun_path);
    assert_int_equal(nc_connect(address, &o.c), 0);
    give_up_in_time(o.c);
    assert_int_equal(nc_version(o.c, 65536, "9P2000.u"), 0);
    if (old_attach(&o, 0, "evil") == 0)
        use_old(&o);
    nc_close(o.c);
}

/* One who does all that there is, and one more of another dialect. What the
 * first was told at its attach. */
static int
be_guests(const struct lone_worker *w, const struct liar *l)
{
    struct nc *c = guest(w);
    int r = nc_attach(c, 0, "", "evil", 0);

    if (r == 0 && !is_told(l)) {
        use_files(c);
        if (!is_told(l))
            make_and_unmake(c);
    }
    if (!is_told(l))
        be_old_guest(w);
    nc_close(c);
    return r;
}

/* --- the tests ----------------------------------------------------------------------- */

struct world {
    struct contract *good, *evil; /* owned; the directory of the second is all it gives */
    struct nc *neighbour;         /* owned; of the good share */
    struct lone_worker w;
    struct liar liar;
    pid_t pid;
};

static int
setup(void **state)
{
    static struct world w;
    char path[96];
    struct contract_channel ch;

    w = (struct world){0};
    w.good = contract_open(&(struct contract_options){.forked = true, .for_worker = true});
    w.evil = contract_open(&(struct contract_options){.forked = true});
    host_write(w.evil, "f", "hello");
    (void)snprintf(path, sizeof(path), "%s-sock", w.good->path);
    lone_worker_start(&w.w, path);
    w.pid = w.w.pid;
    ch = contract_channel(w.good);
    lone_worker_add(&w.w, GOOD, "good", NULL, &ch);
    lone_worker_served(&w.w, GOOD);
    w.neighbour = guest(&w.w);
    assert_int_equal(nc_attach(w.neighbour, 0, "", "good", 0), 0);
    *state = &w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    nc_close(w->neighbour);
    lone_worker_stop(&w->w);       /* in peace, and only now */
    (void)contract_close(w->evil); /* who came later holds what those before it had open */
    (void)contract_close(w->good);
    return 0;
}

static void
neighbour_is_served(const struct world *w)
{
    struct nc_attr a;
    struct nc_qid q;

    assert_int_equal(nc_getattr(w->neighbour, 0, 0x7ff, &a), 0);
    assert_int_equal(nc_mkdir(w->neighbour, 0, "n", 0755, 0, &q), 0);
    assert_int_equal(nc_unlinkat(w->neighbour, 0, "n", 0x200), 0);
}

/* What a guest of the liar's share is told from now on. */
static void
guests_see_eio(const struct world *w, const char *what)
{
    unsigned left = 0;
    int r = 0;

    while (r != -EIO && server_patience(&left)) {
        struct nc *c = guest(&w->w);

        r = nc_attach(c, 0, "", "evil", 0);
        nc_close(c);
    }
    if (r != -EIO)
        fail_msg("%s, %s: %d", op_info(w->liar.op)->name, what, r);
}

/* Whether there was a question to lie to. */
static bool
tell(struct world *w, unsigned op, unsigned number)
{
    bool told;
    int r;

    w->liar.op = op;
    w->liar.tell = lies[number % COUNT(lies)].tell;
    liar_start(&w->liar, &w->w, w->evil);
    r = be_guests(&w->w, &w->liar);
    told = atomic_load(&w->liar.told) > 0;
    if (op == OP_GETATTR) /* the first of an attach */
        assert_int_equal(r, w->liar.tell == twice ? 0 : -EIO);
    if (told)
        guests_see_eio(w, lies[number % COUNT(lies)].name);
    neighbour_is_served(w);
    liar_stop(&w->liar);
    return told;
}

static void
any_lie_costs_that_share_alone(void **state)
{
    struct world *w = *state;
    size_t fds;

    assert_true(tell(w, OP_GETATTR, 0));
    fds = server_fds(w->pid);
    for (unsigned i = 1; i < COUNT(lies); i++)
        assert_true(tell(w, OP_GETATTR, i));
    server_await_fds(w->pid, fds);
}

static void
a_lie_about_any_operation_costs_that_share_alone(void **state)
{
    for (unsigned op = 1; op < OP_END; op++)
        for (unsigned i = 0; i < LIES_EACH; i++)
            if (!tell(*state, op, op * LIES_EACH + i))
                fail_msg("nobody asked for %s", op_info(op)->name);
}

static void
lies_that_may_be_true_end_nothing_but_their_share(void **state)
{
    struct world *w = *state;

    w->liar.random = random_seed();
    w->liar.op = 0;
    w->liar.tell = something;
    for (unsigned i = 0; i < ROUNDS; i++) {
        liar_start(&w->liar, &w->w, w->evil);
        for (unsigned j = 0; j < 3; j++)
            (void)be_guests(&w->w, &w->liar);
        neighbour_is_served(w);
        liar_stop(&w->liar);
    }
}

static void
entries_that_change_while_they_are_read_do_no_harm(void **state)
{
    struct world *w = *state;

    w->liar.random = 1;
    w->liar.op = OP_READDIR;
    w->liar.tell = entries_that_change;
    for (unsigned i = 0; i < ROUNDS; i++) {
        liar_start(&w->liar, &w->w, w->evil);
        (void)be_guests(&w->w, &w->liar);
        assert_true(atomic_load(&w->liar.told) > 0);
        neighbour_is_served(w);
        liar_stop(&w->liar);
    }
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(any_lie_costs_that_share_alone),
        CASE(a_lie_about_any_operation_costs_that_share_alone),
        CASE(lies_that_may_be_true_end_nothing_but_their_share),
        CASE(entries_that_change_while_they_are_read_do_no_harm),
    };

    if (server_needs_root())
        return 0;
    if (lone_worker_find() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
