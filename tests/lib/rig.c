/*
 * Guests and a worker in one thread.
 *
 * Runs in: tests, the fuzzer.   Trusts: its test.   Owns: everything.
 */
#include "tests/lib/rig.h"

#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/test.h"

#define ROUNDS_MAX 100000u

const struct tenant_limits rig_limits = {
    .connections = RIG_GUESTS, .fids = 1000, .in_flight = 256, .msize = MSIZE_MAX};

struct rig *
rig_new(const struct tenant_limits *l)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    struct fs *fs[2];

    assert_non_null(rig);
    (void)signal(SIGPIPE, SIG_IGN);
    rig->rw = synth_new("rw", false);
    rig->ro = synth_new("ro", true);
    fs[0] = synth_fs(rig->rw);
    fs[1] = synth_fs(rig->ro);
    assert_int_equal(tenant_init(&rig->tenant, l, fs, 2), 0);
    for (size_t i = 0; i < RIG_GUESTS; i++)
        rig->guest[i].fd = -1;
    return rig;
}

struct synth *
rig_add(struct rig *rig, uint32_t number, const char *name, bool read_only, const char *id)
{
    struct synth *s = synth_new(name, read_only);

    assert_true(rig->nmore < RIG_MORE);
    rig->more[rig->nmore++] = s;
    assert_int_equal(tenant_share_add(&rig->tenant, number, synth_fs(s), id), 0);
    return s;
}

void
rig_cut(struct rig *rig, uint32_t number)
{
    tenant_share_leaves(&rig->tenant, number);
    tenant_share_cut(&rig->tenant, number);
}

static bool
guest_hear(struct guest *g)
{
    ssize_t n;

    if (g->fd < 0 || g->deaf || g->ended)
        return false;
    if (g->at == g->n)
        g->at = g->n = 0;
    if (g->n == GUEST_BUF)
        return false; /* until the test takes some */
    n = recv(g->fd, g->buf + g->n, GUEST_BUF - g->n, MSG_DONTWAIT);
    if (n > 0)
        g->n += (size_t)n;
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        g->ended = true;
    return n > 0;
}

static bool
conn_lives(const struct rig *rig, const struct conn *c)
{
    const struct conn *at = rig->tenant.conns;

    while (at != NULL && at != c)
        at = at->next;
    return at != NULL && c->fd >= 0;
}

/* As epoll would say, though more often. */
static void
events(struct rig *rig)
{
    for (size_t i = 0; i < RIG_GUESTS; i++) {
        struct guest *g = &rig->guest[i];
        bool gone = g->fd < 0;

        if (g->conn == NULL || !conn_lives(rig, g->conn))
            g->conn = NULL;
        else
            conn_event(g->conn, true, true, gone);
    }
}

void
rig_run(struct rig *rig)
{
    bool more = true;

    for (rig->rounds = 0; more; rig->rounds++) {
        assert_true(rig->rounds < ROUNDS_MAX); /* it spins */
        events(rig);
        more = tenant_round(&rig->tenant);
        if (!rig->hold) {
            more |= synth_answer(rig->rw, 1000) > 0;
            more |= synth_answer(rig->ro, 1000) > 0;
            for (size_t i = 0; i < rig->nmore; i++)
                more |= synth_answer(rig->more[i], 1000) > 0;
        }
        for (size_t i = 0; i < RIG_GUESTS; i++)
            more |= guest_hear(&rig->guest[i]);
    }
}

void
rig_free(struct rig *rig)
{
    for (size_t i = 0; i < RIG_GUESTS; i++)
        guest_hang_up(&rig->guest[i]);
    rig->hold = false;
    rig_run(rig);
    rig_run(rig);
    assert_int_equal(rig->tenant.nconns, 0);
    assert_true(tenant_is_idle(&rig->tenant));
    assert_int_equal(synth_node_refs(rig->rw) + synth_node_refs(rig->ro), 0);
    assert_int_equal(synth_files(rig->rw) + synth_files(rig->ro), 0);
    assert_int_equal(synth_pages_used(rig->ro), 0);
    tenant_done(&rig->tenant);
    for (size_t i = 0; i < rig->nmore; i++) {
        assert_int_equal(synth_node_refs(rig->more[i]) + synth_files(rig->more[i]), 0);
        assert_true(synth_ended(rig->more[i]));
        synth_free(rig->more[i]);
    }
    synth_free(rig->rw);
    synth_free(rig->ro);
    free(rig);
}

int
rig_teardown(void **state)
{
    rig_free(*state);
    return 0;
}

struct guest *
rig_connect(struct rig *rig)
{
    struct guest *g = rig->guest;
    int fds[2];

    while (g->fd >= 0 || g->conn != NULL)
        g++;
    assert_true(g < rig->guest + RIG_GUESTS);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    *g = (struct guest){
        .rig = rig,
        .fd = fds[0],
    };
    g->buf = mmap(NULL, GUEST_BUF, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    assert_ptr_not_equal(g->buf, MAP_FAILED);
    assert_int_equal(conn_new(&rig->tenant, fds[1], &g->conn), 0);
    return g;
}

void
guest_hang_up(struct guest *g)
{
    if (g->fd >= 0)
        close(g->fd);
    g->fd = -1;
    if (g->buf != NULL)
        munmap(g->buf, GUEST_BUF);
    g->buf = NULL;
}

static void
put_arg(struct pen *w, char kind, va_list *ap)
{
    const void *p;
    uint8_t *to;
    size_t n;

    switch (kind) {
    case '1':
        pen_u8(w, (uint8_t)va_arg(*ap, unsigned));
        break;
    case '2':
        pen_u16(w, (uint16_t)va_arg(*ap, unsigned));
        break;
    case '4':
        pen_u32(w, va_arg(*ap, unsigned));
        break;
    case '8':
        pen_u64(w, va_arg(*ap, uint64_t));
        break;
    case 's':
        p = va_arg(*ap, const char *);
        pen_str(w, p, strlen(p));
        break;
    case 'b':
        p = va_arg(*ap, const void *);
        pen_str(w, p, va_arg(*ap, size_t));
        break;
    case 'r':
        p = va_arg(*ap, const void *);
        n = va_arg(*ap, size_t);
        to = pen_take(w, n);
        if (to != NULL && n > 0)
            memcpy(to, p, n);
        break;
    default:
        fail();
    }
}

static size_t
make(uint8_t *to, size_t room, uint8_t type, uint16_t tag, const char *fmt, va_list *ap)
{
    struct pen w, head;

    pen_init(&w, to, room);
    pen_u32(&w, 0);
    pen_u8(&w, type);
    pen_u16(&w, tag);
    for (; *fmt != '\0'; fmt++)
        put_arg(&w, *fmt, ap);
    assert_false(w.full);
    pen_init(&head, to, 4);
    pen_u32(&head, (uint32_t)pen_len(&w));
    return pen_len(&w);
}

size_t
msg_make(uint8_t *to, size_t room, uint8_t type, uint16_t tag, const char *fmt, ...)
{
    va_list ap;
    size_t n;

    va_start(ap, fmt);
    n = make(to, room, type, tag, fmt, &ap);
    va_end(ap);
    return n;
}

size_t
guest_bytes(struct guest *g, const void *p, size_t n)
{
    ssize_t r = send(g->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);

    return r < 0 ? 0 : (size_t)r;
}

static void
send_all(struct guest *g, uint8_t type, uint16_t tag, const char *fmt, va_list *ap)
{
    static uint8_t buf[2u * 1024u * 1024u];
    size_t n = make(buf, sizeof(buf), type, tag, fmt, ap), at = 0;
    unsigned stuck = 0;

    while (at < n) {
        size_t sent = guest_bytes(g, buf + at, n - at);

        at += sent;
        stuck = sent > 0 ? 0 : stuck + 1;
        assert_true(stuck < 1000); /* nobody reads it */
        if (at < n)
            rig_run(g->rig);
        if (g->ended)
            return;
    }
}

void
guest_send(struct guest *g, uint8_t type, uint16_t tag, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    send_all(g, type, tag, fmt, &ap);
    va_end(ap);
}

uint32_t
linux_sets_aside(uint8_t type)
{
    switch (type) {
    case TREAD + 1:
        return MSIZE_MAX; /* 11 and what was asked for; the other too */
    case TREADDIR + 1:
        return ROOM_READDIR;
    case TREADLINK + 1:
    case TSTAT + 1:
        return 8192;
    default:
        return 4096;
    }
}

bool
guest_next(struct guest *g, struct msg *m)
{
    struct cursor c;

    cur_init(&c, g->buf + g->at, g->n - g->at);
    m->size = cur_u32(&c);
    m->type = cur_u8(&c);
    m->tag = cur_u16(&c);
    if (c.bad || m->size > g->n - g->at)
        return false;
    assert_true(m->size >= 7);
    assert_true(m->size <= linux_sets_aside(m->type));
    cur_init(&m->body, c.at, m->size - 7);
    g->at += m->size;
    return true;
}

static struct msg
ask(struct guest *g, uint8_t type, const char *fmt, va_list *ap)
{
    uint16_t tag = NOTAG;
    struct msg m;

    if (type != TVERSION && ++g->last_tag == NOTAG)
        g->last_tag = 1;
    if (type != TVERSION)
        tag = g->last_tag;
    send_all(g, type, tag, fmt, ap);
    rig_run(g->rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, tag);
    return m;
}

struct msg
guest_ask(struct guest *g, uint8_t type, const char *fmt, ...)
{
    va_list ap;
    struct msg m;

    va_start(ap, fmt);
    m = ask(g, type, fmt, &ap);
    va_end(ap);
    return m;
}

int
msg_errno(const struct msg *m)
{
    struct cursor c = m->body;
    uint32_t e;

    if (m->type != RLERROR)
        return 0;
    e = cur_u32(&c);
    assert_true(cur_end(&c));
    assert_in_range(e, 1, 4095);
    return (int)e;
}

int
guest_does(struct guest *g, uint8_t type, const char *fmt, ...)
{
    va_list ap;
    struct msg m;
    int e;

    va_start(ap, fmt);
    m = ask(g, type, fmt, &ap);
    va_end(ap);
    e = msg_errno(&m);
    if (e == 0)
        assert_int_equal(m.type, type + 1);
    return e;
}

void
guest_version(struct guest *g, uint32_t msize)
{
    struct msg m = guest_ask(g, TVERSION, "4s", msize, "9P2000.L");

    assert_int_equal(m.type, TVERSION + 1);
    assert_int_equal(cur_u32(&m.body), msize);
}

void
guest_attach(struct guest *g, uint32_t fid, const char *aname)
{
    assert_int_equal(guest_does(g, TATTACH, "44ss4", fid, NOFID, "nobody", aname, 0u), 0);
}

int
guest_attach_status(struct guest *g, uint32_t fid, const char *aname)
{
    return guest_does(g, TATTACH, "44ss4", fid, NOFID, "", aname, 0u);
}

struct guest *
guest_new(struct rig *rig)
{
    struct guest *g = rig_connect(rig);

    guest_version(g, 65536);
    guest_attach(g, 0, "rw");
    guest_attach(g, 1, "ro");
    return g;
}

void
guest_walk(struct guest *g, uint32_t from, uint32_t newfid, const char *path)
{
    uint8_t names[4096];
    struct pen w;
    unsigned n = 0;

    pen_init(&w, names, sizeof(names));
    while (*path != '\0') {
        size_t len = strcspn(path, "/");

        pen_str(&w, path, len);
        n++;
        path += len + (path[len] == '/');
    }
    {
        struct msg m = guest_ask(g, TWALK, "442r", from, newfid, n, names, pen_len(&w));

        assert_int_equal(m.type, TWALK + 1);
        assert_int_equal(cur_u16(&m.body), n);
    }
}

void
guest_open(struct guest *g, uint32_t from, uint32_t newfid, const char *path, uint32_t flags)
{
    guest_walk(g, from, newfid, path);
    assert_int_equal(guest_does(g, TLOPEN, "44", newfid, flags), 0);
}
