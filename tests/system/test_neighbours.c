/*
 * Guests by the hundred that connect and say nothing, say half of something, send
 * a byte now and then, never take what they asked for, or open FIFOs: who else is
 * there, in the same tenant or in another, is served meanwhile.
 */
#include "tests/lib/test.h"

#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "ipc/limits.h"
#include "tests/lib/server.h"

#define CROWD 290u /* connections of one attack; more than there are slots in flight */
#define CONNECTIONS 320
#define PATIENCE 30 /* seconds */
#define BIG (4 * 1024 * 1024)
#define MANY 64u

enum { ROOT, RW, FID, OPEN };

static const char policy[] = "tenant \"t\" {\n"
                             "    listen \"unix:@/sock\" { protocol = 9p }\n"
                             "    share \"ro\" { path = \"@/ro\" access = read-only }\n"
                             "    share \"rw\" { path = \"@/rw\" access = read-write }\n"
                             "    limits { connections = 320 }\n"
                             "}\n"
                             "tenant \"u\" {\n"
                             "    listen \"unix:@/other\" { protocol = 9p }\n"
                             "    share \"ro\" { path = \"@/ro\" access = read-only }\n"
                             "    share \"rw\" { path = \"@/rw\" access = read-write }\n"
                             "}\n";

static int
setup(void **state)
{
    static struct server s;
    const char *args[2] = {NULL, NULL};

    server_init(&s, false);
    server_file(&s, "both.conf", policy);
    server_file(&s, "rw/kept", "x");
    server_file(&s, "ro/big", "x");
    assert_int_equal(truncate(server_path(&s, "ro/big"), BIG), 0);
    assert_int_equal(mkfifo(server_path(&s, "rw/fifo"), 0666), 0);
    if (geteuid() == 0) {
        assert_int_equal(chown(server_path(&s, "rw/kept"), SERVER_OWNER, SERVER_OWNER), 0);
        assert_int_equal(chown(server_path(&s, "rw/fifo"), SERVER_OWNER, SERVER_OWNER), 0);
    }
    args[0] = server_path(&s, "both.conf");
    server_start(&s, args);
    *state = &s;
    return 0;
}

/* --- the honest ------------------------------------------------------------------ */

static struct nc *
connect_to(const struct server *s, const char *sock)
{
    const struct timeval patience = {.tv_sec = PATIENCE};
    char address[160];
    struct nc *c;

    (void)snprintf(address, sizeof(address), "unix:%s", server_path(s, sock));
    assert_int_equal(nc_connect(address, &c), 0);
    assert_int_equal(setsockopt(nc_fd(c), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(setsockopt(nc_fd(c), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)), 0);
    return c;
}

static struct nc *
session(const struct server *s, const char *sock)
{
    struct nc *c = connect_to(s, sock);

    assert_int_equal(nc_version(c, MSIZE_MAX, "9P2000.L"), 0);
    assert_int_equal(nc_attach(c, ROOT, "", "ro", 0), 0);
    assert_int_equal(nc_attach(c, RW, "", "rw", 0), 0);
    return c;
}

static void
open_file(struct nc *c, uint32_t dir, uint32_t fid, const char *name, uint32_t flags)
{
    size_t n;

    assert_int_equal(nc_walk(c, dir, fid, 1, &name, NULL, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(nc_lopen(c, fid, flags, NULL, NULL), 0);
}

/* A large write and a large read, in as many pieces as it takes. */
static void
reads_and_writes(struct nc *c)
{
    static uint8_t buf[1024 * 1024];

    open_file(c, RW, FID, "kept", NINE_O_RDWR);
    for (uint32_t at = 0; at < sizeof(buf);) {
        ssize_t n = nc_write(c, FID, at, buf + at, (uint32_t)sizeof(buf) - at);

        assert_in_range(n, 1, sizeof(buf) - at);
        at += (uint32_t)n;
    }
    for (uint32_t at = 0; at < sizeof(buf);) {
        ssize_t n = nc_read(c, FID, at, buf + at, (uint32_t)sizeof(buf) - at);

        assert_in_range(n, 1, sizeof(buf) - at);
        at += (uint32_t)n;
    }
    assert_int_equal(nc_clunk(c, FID), 0);
}

struct honest {
    struct nc *same, *other; /* of the attacked tenant, of another */
};

static void
are_served(const struct server *s, const struct honest *h)
{
    struct nc *fresh = session(s, "sock");

    reads_and_writes(h->same);
    reads_and_writes(h->other);
    reads_and_writes(fresh);
    nc_close(fresh);
}

/* --- the others ------------------------------------------------------------------- */

/* T-message of type with tag 1 whose body is body[0..n), the first cut bytes of it. */
static void
send_part(struct nc *c, uint8_t type, const void *body, uint32_t n, uint32_t size, size_t cut)
{
    uint8_t m[64] = {0};
    const uint32_t le = htole32(size);

    assert_true(n + 7 <= sizeof(m) && cut <= sizeof(m));
    memcpy(m, &le, sizeof(le));
    m[4] = type;
    m[5] = 1;
    memcpy(m + 7, body, n);
    assert_int_equal(send(nc_fd(c), m, cut, MSG_NOSIGNAL), cut);
}

static struct nc *
says_nothing(const struct server *s)
{
    return connect_to(s, "sock");
}

static struct nc *
says_half_a_version(const struct server *s)
{
    struct nc *c = connect_to(s, "sock");

    send_part(c, NINE_TVERSION, "", 0, 21, 3);
    return c;
}

struct io { /* Tread and Twrite begin so */
    uint32_t fid;
    uint64_t offset;
    uint32_t count;
} __attribute__((packed));

static struct nc *
sends_half_a_write(const struct server *s)
{
    const struct io w = {htole32(OPEN), 0, htole32(1024 * 1024)};
    struct nc *c = session(s, "sock");

    open_file(c, RW, OPEN, "kept", NINE_O_RDWR);
    send_part(c, NINE_TWRITE, &w, sizeof(w), 23 + 1024 * 1024, 40);
    return c;
}

static struct nc *
takes_no_reply(const struct server *s)
{
    const struct io r = {htole32(OPEN), 0, htole32(1024 * 1024)};
    struct nc *c = session(s, "sock");

    open_file(c, ROOT, OPEN, "big", NINE_O_RDONLY);
    for (int i = 0; i < 4; i++)
        send_part(c, NINE_TREAD, &r, sizeof(r), 23, 23);
    return c;
}

/* Whether a FIFO is opened or refused: nobody waits for its other end. */
static struct nc *
opens_a_fifo(const struct server *s)
{
    const struct {
        uint32_t fid, flags;
    } open = {htole32(FID), htole32(NINE_O_RDONLY)};
    const char *name = "fifo";
    struct nc *c = session(s, "sock");
    size_t n;

    assert_int_equal(nc_walk(c, RW, FID, 1, &name, NULL, &n), 0);
    send_part(c, NINE_TLOPEN, &open, sizeof(open), 15, 15);
    return c;
}

/* One byte more of whatever it was. */
static void
dribbles(struct nc *c)
{
    assert_int_equal(send(nc_fd(c), "", 1, MSG_NOSIGNAL), 1);
}

static const struct {
    const char *name;
    unsigned n;
    struct nc *(*begin)(const struct server *s);
    void (*go_on)(struct nc *c); /* may be NULL */
} attacks[] = {
    {"nothing said", CROWD, says_nothing, NULL},
    {"half a version", CROWD, says_half_a_version, dribbles},
    {"half a write", CROWD, sends_half_a_write, NULL},
    {"a write a byte at a time", CROWD, sends_half_a_write, dribbles},
    {"replies not taken", MANY * 2, takes_no_reply, NULL},
    {"FIFOs", MANY, opens_a_fifo, NULL},
};

static void
the_honest_are_served_whatever_the_others_do(void **state)
{
    static struct nc *crowd[CROWD];
    struct server *s = *state;
    struct honest h = {session(s, "sock"), session(s, "other")};
    struct server_child v[8];
    size_t fds[8], n = server_children(s, v, COUNT(v));

    for (size_t i = 0; i < n; i++)
        fds[i] = server_fds(v[i].pid);
    for (size_t i = 0; i < COUNT(attacks); i++) {
        for (unsigned k = 0; k < attacks[i].n; k++) {
            crowd[k] = attacks[i].begin(s);
            if (k % 97 == 9)
                are_served(s, &h);
        }
        for (unsigned turn = 0; turn < 4; turn++) {
            for (unsigned k = 0; attacks[i].go_on != NULL && k < attacks[i].n; k++)
                attacks[i].go_on(crowd[k]);
            are_served(s, &h);
        }
        for (unsigned k = 0; k < attacks[i].n; k++)
            nc_close(crowd[k]);
        for (size_t k = 0; k < n; k++)
            server_await_fds(v[k].pid, fds[k]);
    }
    nc_close(h.same);
    nc_close(h.other);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* Who is there stays served; who comes is refused until one has gone. */
static void
a_full_house_is_full_for_its_own_tenant_alone(void **state)
{
    static struct nc *crowd[CONNECTIONS];
    struct server *s = *state;
    struct honest h = {session(s, "sock"), session(s, "other")};
    unsigned left = 0;
    int r = -EPIPE;

    for (unsigned k = 0; k < CONNECTIONS - 1; k++)
        crowd[k] = says_nothing(s);
    crowd[CONNECTIONS - 1] = connect_to(s, "sock");
    assert_true(nc_version(crowd[CONNECTIONS - 1], 8192, "9P2000.L") < 0);
    reads_and_writes(h.same);
    reads_and_writes(h.other);
    nc_close(session(s, "other"));
    for (unsigned k = 0; k < CONNECTIONS; k++)
        nc_close(crowd[k]);
    while (r < 0 && server_patience(&left)) { /* the worker hears of it by and by */
        struct nc *c = connect_to(s, "sock");

        r = nc_version(c, 8192, "9P2000.L");
        nc_close(c);
    }
    assert_int_equal(r, 0);
    are_served(s, &h);
    nc_close(h.same);
    nc_close(h.other);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, server_teardown)
    const struct CMUnitTest tests[] = {
        CASE(the_honest_are_served_whatever_the_others_do),
        CASE(a_full_house_is_full_for_its_own_tenant_alone),
    };

    return cmocka_run_group_tests_name("neighbours", tests, NULL, NULL);
}
