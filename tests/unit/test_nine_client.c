/*
 * The 9P client against a peer whose every byte is written down: what goes
 * out is the protocol's, and whatever else comes in is -EPROTO.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/nine_client.h"
#include "control/nine_wire.h"

struct link {
    struct nc *c;
    int peer;
};

static void
link_open(struct link *l, int type)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, type, 0, pair), 0);
    assert_int_equal(nc_open_fd(pair[0], &l->c), 0);
    l->peer = pair[1];
}

static void
link_close(struct link *l)
{
    nc_close(l->c);
    if (l->peer >= 0)
        close(l->peer);
}

static void
say(const struct link *l, const void *p, size_t n)
{
    assert_int_equal(write(l->peer, p, n), (ssize_t)n);
}

/* One reply with its size filled in, tag 1 unless said otherwise. */
static void
reply(const struct link *l, uint8_t type, uint16_t tag, const void *body, size_t n)
{
    uint8_t buf[512] = {(uint8_t)(n + 7), (uint8_t)((n + 7) >> 8), 0, 0, type,
                        (uint8_t)tag,     (uint8_t)(tag >> 8)};

    assert_true(n <= sizeof(buf) - 7);
    memcpy(buf + 7, body, n);
    say(l, buf, n + 7);
}

static void
request_is(const struct link *l, const char *want, size_t n)
{
    char got[512];

    assert_int_equal(read(l->peer, got, sizeof(got)), (ssize_t)n);
    assert_memory_equal(got, want, n);
}
#define REQUEST_IS(l, s) request_is(l, s, sizeof(s) - 1)

static const uint8_t qid[13] = {0x80, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static void
requests_are_laid_out_as_the_protocol_says(void **state)
{
    const char *names[] = {"ab", "c"};
    struct nc_qid q[2];
    struct link l;
    size_t n = 0;
    uint8_t walk[2 + 26] = {2};

    (void)state;
    link_open(&l, SOCK_STREAM);
    reply(&l, NINE_TATTACH + 1, 1, qid, 13);
    assert_int_equal(nc_attach(l.c, 7, "me", "work", 1000), 0);
    REQUEST_IS(&l, "\x1d\0\0\0\x68\1\0\7\0\0\0\xff\xff\xff\xff\2\0me\4\0work\xe8\3\0\0");
    memcpy(walk + 2, qid, 13);
    memcpy(walk + 15, qid, 13);
    reply(&l, NINE_TWALK + 1, 1, walk, sizeof(walk));
    assert_int_equal(nc_walk(l.c, 7, 8, 2, names, q, &n), 0);
    REQUEST_IS(&l, "\x18\0\0\0\x6e\1\0\7\0\0\0\x8\0\0\0\2\0\2\0ab\1\0c");
    assert_int_equal(n, 2);
    assert_int_equal(q[1].type, 0x80);
    assert_int_equal(q[1].version, 0x04030201);
    assert_true(q[1].path == 0x0c0b0a0908070605ull);
    reply(&l, NINE_TWRITE + 1, 1, "\3\0\0\0", 4);
    assert_int_equal(nc_write(l.c, 8, 0x102, "xyz", 3), 3);
    REQUEST_IS(&l, "\x1a\0\0\0\x76\1\0\x8\0\0\0\2\1\0\0\0\0\0\0\3\0\0\0xyz");
    reply(&l, NINE_TUNLINKAT + 1, 1, "", 0);
    assert_int_equal(nc_unlinkat(l.c, 7, "d", 0x200), 0);
    REQUEST_IS(&l, "\x12\0\0\0\x4c\1\0\7\0\0\0\1\0d\0\2\0\0");
    link_close(&l);
}

static void
extended_attributes_and_locks_are_laid_out_as_the_protocol_says(void **state)
{
    const struct nc_lock l = {.type = NINE_LOCK_WR,
                              .flags = NINE_LOCK_BLOCK,
                              .start = 2,
                              .length = 3,
                              .proc_id = 4,
                              .client_id = "me"};
    struct nc_lock found;
    struct link lk;
    uint64_t size = 0;

    (void)state;
    link_open(&lk, SOCK_STREAM);
    reply(&lk, NINE_TXATTRWALK + 1, 1, "\5\1\0\0\0\0\0\0", 8);
    assert_int_equal(nc_xattrwalk(lk.c, 7, 8, "u.a", &size), 0);
    REQUEST_IS(&lk, "\x14\0\0\0\x1e\1\0\7\0\0\0\x8\0\0\0\3\0u.a");
    assert_int_equal(size, 0x105);
    reply(&lk, NINE_TXATTRCREATE + 1, 1, "", 0);
    assert_int_equal(nc_xattrcreate(lk.c, 7, "u.a", 6, NINE_XATTR_REPLACE), 0);
    REQUEST_IS(&lk, "\x1c\0\0\0\x20\1\0\7\0\0\0\3\0u.a\6\0\0\0\0\0\0\0\2\0\0\0");
    reply(&lk, NINE_TLOCK + 1, 1, "\1", 1);
    assert_int_equal(nc_lock(lk.c, 7, &l), NINE_LOCK_BLOCKED);
    REQUEST_IS(&lk, "\x28\0\0\0\x34\1\0\7\0\0\0\1\1\0\0\0\2\0\0\0\0\0\0\0"
                    "\3\0\0\0\0\0\0\0\4\0\0\0\2\0me");
    reply(&lk, NINE_TGETLOCK + 1, 1, "\0\5\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0\7\0\0\0\2\0it", 25);
    assert_int_equal(nc_getlock(lk.c, 7, &l, &found), 0);
    REQUEST_IS(&lk, "\x24\0\0\0\x36\1\0\7\0\0\0\1\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0"
                    "\4\0\0\0\2\0me");
    assert_int_equal(found.type, NINE_LOCK_RD);
    assert_int_equal(found.start, 5);
    assert_int_equal(found.length, 6);
    assert_int_equal(found.proc_id, 7);
    reply(&lk, NINE_TLOCK + 1, 1, "\4", 1); /* no such status */
    assert_int_equal(nc_lock(lk.c, 7, &l), -EPROTO);
    link_close(&lk);
}

static void
attributes_are_read_field_by_field(void **state)
{
    uint8_t body[153] = {0xff, 7};
    struct nc_attr a;
    struct link l;

    (void)state;
    memcpy(body + 8, qid, 13);
    for (size_t i = 21; i < sizeof(body); i++)
        body[i] = (uint8_t)i;
    link_open(&l, SOCK_STREAM);
    reply(&l, NINE_TGETATTR + 1, 1, body, sizeof(body));
    assert_int_equal(nc_getattr(l.c, 1, NINE_GETATTR_BASIC, &a), 0);
    assert_true(a.valid == 0x7ff);
    assert_int_equal(a.mode, 0x18171615);
    assert_int_equal(a.gid, 0x201f1e1d);
    assert_int_equal(a.nlink & 0xff, 33);
    assert_int_equal(a.size & 0xff, 49);
    assert_int_equal(a.ctime_nsec & 0xff, 113);
    link_close(&l);
}

static void
an_rlerror_becomes_its_errno(void **state)
{
    static const struct {
        const char *ecode;
        size_t n;
        int want;
    } rows[] = {
        {"\2\0\0\0", 4, -ENOENT}, {"\x1e\0\0\0", 4, -EROFS},  {"\xff\x0f\0\0", 4, -4095},
        {"\0\0\0\0", 4, -EPROTO}, {"\0\x10\0\0", 4, -EPROTO}, {"\xff\xff\xff\xff", 4, -EPROTO},
        {"\2\0\0", 3, -EPROTO},   {"\2\0\0\0\0", 5, -EPROTO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct link l;

        link_open(&l, SOCK_STREAM);
        reply(&l, NINE_RLERROR, 1, rows[i].ecode, rows[i].n);
        assert_int_equal(nc_clunk(l.c, 1), rows[i].want);
        link_close(&l);
    }
}

static int
count_entries(const struct nc_dirent *e, void *ctx)
{
    (void)e;
    ++*(int *)ctx;
    return 0;
}

/* --- what a hostile server may answer: each is -EPROTO ----------------------- */

static int
do_clunk(struct nc *c)
{
    return nc_clunk(c, 1);
}

static int
do_read(struct nc *c)
{
    char buf[4];

    return (int)nc_read(c, 1, 0, buf, sizeof(buf));
}

static int
do_write(struct nc *c)
{
    return (int)nc_write(c, 1, 0, "abcd", 4);
}

static int
do_walk(struct nc *c)
{
    const char *name = "x";
    struct nc_qid q;
    size_t n;

    return nc_walk(c, 1, 2, 1, &name, &q, &n);
}

static int
do_readdir(struct nc *c)
{
    int n = 0;

    return nc_readdir(c, 1, 0, 64, count_entries, &n);
}

static int
do_readlink(struct nc *c)
{
    char buf[16];

    return nc_readlink(c, 1, buf, sizeof(buf));
}

static int
do_lopen(struct nc *c)
{
    return nc_lopen(c, 1, 0, NULL, NULL);
}

static int
do_version(struct nc *c)
{
    return nc_version(c, 8192, "9P2000.L");
}

#define RAW(s) s, sizeof(s) - 1
static const struct {
    const char *what;
    int (*ask)(struct nc *c);
    const char *bytes;
    size_t n;
} malformed[] = {
    {"a size below the header's", do_clunk, RAW("\6\0\0\0\x79\1\0")},
    {"a size of nothing", do_clunk, RAW("\0\0\0\0\x79\1\0")},
    {"a size above msize", do_clunk, RAW("\1\x20\0\0\x79\1\0")},
    {"a size of everything", do_clunk, RAW("\xff\xff\xff\xff\x79\1\0")},
    {"another type", do_clunk, RAW("\7\0\0\0\x7b\1\0")},
    {"a request", do_clunk, RAW("\7\0\0\0\x78\1\0")},
    {"another tag", do_clunk, RAW("\7\0\0\0\x79\2\0")},
    {"a byte too many", do_clunk, RAW("\x8\0\0\0\x79\1\0!")},
    {"a read without its count", do_read, RAW("\xa\0\0\0\x75\1\0\4\0\0")},
    {"a read of more than asked", do_read, RAW("\x10\0\0\0\x75\1\0\5\0\0\0abcde")},
    {"a read shorter than its count", do_read, RAW("\xe\0\0\0\x75\1\0\4\0\0\0abc")},
    {"a read longer than its count", do_read, RAW("\xe\0\0\0\x75\1\0\2\0\0\0abc")},
    {"a write of more than sent", do_write, RAW("\xb\0\0\0\x77\1\0\5\0\0\0")},
    {"more qids than names", do_walk, RAW("\x23\0\0\0\x6f\1\0\2\0aaaaaaaaaaaaabbbbbbbbbbbbb")},
    {"half a qid", do_walk, RAW("\x10\0\0\0\x6f\1\0\1\0aaaaaaa")},
    {"a directory count beyond the reply", do_readdir, RAW("\xb\0\0\0\x29\1\0\1\0\0\0")},
    {"a directory count of everything", do_readdir, RAW("\xb\0\0\0\x29\1\0\xff\xff\xff\xff")},
    {"a directory entry cut short", do_readdir, RAW("\x10\0\0\0\x29\1\0\5\0\0\0abcde")},
    {"a name beyond its entry", do_readdir,
     RAW("\x24\0\0\0\x29\1\0\x19\0\0\0"
         "aaaaaaaaaaaaa"
         "oooooooo"
         "t"
         "\x9\0"
         "n")},
    {"a target beyond its reply", do_readlink, RAW("\xb\0\0\0\x17\1\0\3\0ab")},
    {"an open without iounit", do_lopen, RAW("\x14\0\0\0\xd\1\0aaaaaaaaaaaaa")},
    {"version unknown", do_version, RAW("\x14\0\0\0\x65\xff\xff\0\x20\0\0\7\0unknown")},
    {"version with a suffix", do_version,
     RAW("\x16\0\0\0\x65\xff\xff\0\x20\0\0\x9\0"
         "9P2000.LX")},
    {"msize above what was asked", do_version,
     RAW("\x15\0\0\0\x65\xff\xff\1\x20\0\0\x8\0"
         "9P2000.L")},
    {"msize too small for a byte", do_version,
     RAW("\x15\0\0\0\x65\xff\xff\x18\0\0\0\x8\0"
         "9P2000.L")},
};

static void
a_malformed_reply_is_a_protocol_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        struct link l;
        int r;

        link_open(&l, SOCK_STREAM);
        say(&l, malformed[i].bytes, malformed[i].n);
        r = malformed[i].ask(l.c);
        if (r != -EPROTO)
            fail_msg("%s: %d", malformed[i].what, r);
        link_close(&l);
    }
}

static void
a_target_that_does_not_fit_is_not_cut(void **state)
{
    struct link l;

    (void)state;
    link_open(&l, SOCK_STREAM);
    reply(&l, NINE_TREADLINK + 1, 1, "\x11\0aaaaaaaaaaaaaaaaa", 19);
    assert_int_equal(do_readlink(l.c), -ENAMETOOLONG);
    link_close(&l);
}

static void
a_connection_that_ends_is_a_broken_pipe(void **state)
{
    static const size_t cuts[] = {0, 1, 6, 7, 9};

    (void)state;
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct link l;

        link_open(&l, SOCK_STREAM);
        say(&l, "\x0b\0\0\0\x77\1\0\4\0\0\0", cuts[i]);
        assert_int_equal(shutdown(l.peer, SHUT_WR), 0);
        assert_int_equal(do_write(l.c), -EPIPE);
        close(l.peer);
        l.peer = -1;
        assert_int_equal(do_clunk(l.c), -EPIPE);
        link_close(&l);
    }
}

/* SEQPACKET hands over one packet a receive: every boundary is tried. */
static void
replies_may_come_in_any_pieces(void **state)
{
    static const char bytes[] = "\x0b\0\0\0\x77\1\0\4\0\0\0"
                                "\x0b\0\0\0\x77\1\0\3\0\0\0";

    (void)state;
    for (size_t cut = 1; cut < sizeof(bytes) - 1; cut++) {
        struct link l;

        link_open(&l, SOCK_SEQPACKET);
        say(&l, bytes, cut);
        say(&l, bytes + cut, sizeof(bytes) - 1 - cut);
        assert_int_equal(do_write(l.c), 4);
        assert_int_equal(do_write(l.c), 3);
        link_close(&l);
    }
}

static void
many_requests_go_out_at_once_and_many_replies_come_in(void **state)
{
    enum { MANY = 1000 };
    static uint8_t buf[MANY * 11];
    struct nc_reply rep;
    struct link l;

    (void)state;
    link_open(&l, SOCK_STREAM);
    for (unsigned i = 0; i < MANY; i++) {
        nc_begin(l.c, NINE_TCLUNK, (uint16_t)i);
        nc_u32(l.c, i);
        nc_end(l.c);
    }
    assert_int_equal(nc_push(l.c), 0);
    assert_int_equal(recv(l.peer, buf, sizeof(buf), MSG_WAITALL), sizeof(buf));
    for (size_t i = 0; i < MANY; i++) {
        buf[i * 7] = 7;
        memset(buf + i * 7 + 1, 0, 3);
        buf[i * 7 + 4] = NINE_TCLUNK + 1;
        buf[i * 7 + 5] = (uint8_t)i;
        buf[i * 7 + 6] = (uint8_t)(i >> 8);
    }
    say(&l, buf, MANY * 7);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(nc_pull(l.c, &rep), 0);
        assert_int_equal(rep.tag, i);
        assert_int_equal(rep.size, 7);
    }
    link_close(&l);
}

static void
a_string_that_9p_cannot_hold_is_not_sent(void **state)
{
    static char big[65536];
    struct link l;

    (void)state;
    link_open(&l, SOCK_STREAM);
    memset(big, 'a', sizeof(big));
    nc_begin(l.c, NINE_TWALK, 1);
    nc_str(l.c, big, sizeof(big));
    nc_end(l.c);
    assert_int_equal(nc_push(l.c), -EMSGSIZE);
    assert_int_equal(recv(l.peer, big, 1, MSG_DONTWAIT), -1);
    reply(&l, NINE_TCLUNK + 1, 1, "", 0);
    assert_int_equal(do_clunk(l.c), 0);
    link_close(&l);
}

/* Answers Tversion, then one Tread of all that msize allows, as 0, 1, 2, ... */
static void *
big_peer(void *ctx)
{
    int fd = *(int *)ctx;
    uint32_t n = 1u << 20, size = n + 11, done = 0;
    uint8_t ask[32], *buf = malloc(size);
    static const char version[] = "\x15\0\0\0\x65\xff\xff\x18\0\x10\0\x8\0"
                                  "9P2000.L";

    if (buf == NULL || recv(fd, ask, 21, MSG_WAITALL) != 21 || write(fd, version, 21) != 21)
        abort();
    if (recv(fd, ask, 23, MSG_WAITALL) != 23)
        abort();
    memcpy(buf, &size, 4);
    memcpy(buf + 4, "\x75\1\0", 3);
    memcpy(buf + 7, &n, 4);
    for (uint32_t i = 0; i < n; i++)
        buf[11 + i] = (uint8_t)i;
    while (done < size) {
        ssize_t w = write(fd, buf + done, size - done);

        if (w < 0)
            abort();
        done += (uint32_t)w;
    }
    free(buf);
    return NULL;
}

static void
a_reply_may_be_as_large_as_was_agreed(void **state)
{
    uint8_t *buf = malloc(1u << 20);
    struct link l;
    pthread_t th;

    (void)state;
    assert_non_null(buf);
    link_open(&l, SOCK_STREAM);
    assert_int_equal(pthread_create(&th, NULL, big_peer, &l.peer), 0);
    assert_int_equal(nc_version(l.c, (1u << 20) + 24, "9P2000.L"), 0);
    assert_int_equal(nc_msize(l.c), (1u << 20) + 24);
    assert_int_equal(nc_read(l.c, 1, 0, buf, 1u << 20), 1 << 20);
    assert_int_equal(buf[0x54321], 0x21);
    assert_int_equal(pthread_join(th, NULL), 0);
    link_close(&l);
    free(buf);
}

static void
an_address_is_unix_tcp_or_vsock(void **state)
{
    static const char *const bad[] = {
        "",           "unix",          "unix:",       "tcp:",      "tcp:host",
        "tcp::1",     "/run/x",        "vsock",       "vsock:",    "tcp:127.0.0.1:",
        "vsock:5640", "vsock:2:",      "vsock::5640", "vsock:2:x", "vsock:any:5640",
        "vsock:2:-1", "vsock:2:1:",    "fd:3",        "systemd:x", "vsock:2:4294967295",
        "vsock:2x:1", "vsock:hosts:1",
    };
    struct nc *c = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(nc_connect(bad[i], &c), -EINVAL);
    assert_int_equal(nc_connect("unix:/nonexistent/socket", &c), -ENOENT);
    assert_int_equal(nc_connect("tcp:127.0.0.1:1", &c), -ECONNREFUSED);
    assert_int_not_equal(nc_connect("vsock:local:1", &c), -EINVAL); /* nobody is there */
    assert_int_not_equal(nc_connect("vsock:1:4294967294", &c), -EINVAL);
    assert_null(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_laid_out_as_the_protocol_says),
        cmocka_unit_test(extended_attributes_and_locks_are_laid_out_as_the_protocol_says),
        cmocka_unit_test(attributes_are_read_field_by_field),
        cmocka_unit_test(an_rlerror_becomes_its_errno),
        cmocka_unit_test(a_malformed_reply_is_a_protocol_error),
        cmocka_unit_test(a_target_that_does_not_fit_is_not_cut),
        cmocka_unit_test(a_connection_that_ends_is_a_broken_pipe),
        cmocka_unit_test(replies_may_come_in_any_pieces),
        cmocka_unit_test(many_requests_go_out_at_once_and_many_replies_come_in),
        cmocka_unit_test(a_string_that_9p_cannot_hold_is_not_sent),
        cmocka_unit_test(a_reply_may_be_as_large_as_was_agreed),
        cmocka_unit_test(an_address_is_unix_tcp_or_vsock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
