/*
 * Extended attributes and locks between guests and programs of the host,
 * through the real servers.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "tests/lib/server.h"

#define PATIENCE 15 /* seconds until what does not come counts as never */

static struct nc *
attach(const struct server *s, const char *share)
{
    static const struct timeval patience = {.tv_sec = PATIENCE};
    struct nc *c = server_attach(s, share);

    assert_int_equal(setsockopt(nc_fd(c), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    return c;
}

static void
walk_to(struct nc *c, uint32_t fid, const char *name)
{
    size_t n = 0;

    assert_int_equal(nc_walk(c, 0, fid, 1, &name, NULL, &n), 0);
    assert_int_equal(n, 1);
}

/* A file in rw/ that belongs to whom it should, made by a guest. */
static void
make_file(struct nc *c, const char *name)
{
    assert_int_equal(nc_walk(c, 0, 9, 0, NULL, NULL, NULL), 0);
    assert_int_equal(nc_lcreate(c, 9, name, NINE_O_RDWR, 0644, 0, NULL, NULL), 0);
    assert_int_equal(nc_write(c, 9, 0, "0123456789", 10), 10);
    assert_int_equal(nc_clunk(c, 9), 0);
}

/* As Linux does it. 0 or -errno. */
static int
guest_sets(struct nc *c, const char *name, const char *key, const void *p, uint32_t n,
           uint32_t flags)
{
    int r;

    walk_to(c, 8, name);
    r = nc_xattrcreate(c, 8, key, n, flags);
    if (r < 0) {
        assert_int_equal(nc_clunk(c, 8), 0);
        return r;
    }
    if (n > 0)
        assert_int_equal(nc_write(c, 8, 0, p, n), n);
    return nc_clunk(c, 8);
}

/* The size, or -errno. */
static ssize_t
guest_gets(struct nc *c, const char *name, const char *key, char *buf, uint32_t room)
{
    uint64_t size = 0;
    ssize_t n;
    int r;

    walk_to(c, 7, name);
    r = nc_xattrwalk(c, 7, 8, key, &size);
    assert_int_equal(nc_clunk(c, 7), 0);
    if (r < 0)
        return r;
    n = nc_read(c, 8, 0, buf, room);
    assert_int_equal(n, size);
    assert_int_equal(nc_clunk(c, 8), 0);
    return n;
}

/* --- extended attributes ------------------------------------------------------ */

static void
attributes_are_the_hosts_own(void **state)
{
    struct server *s = *state;
    char path[256], buf[4096];
    struct nc *c;

    (void)snprintf(path, sizeof(path), "%s", server_path(s, "rw/f"));
    server_start(s, NULL);
    c = attach(s, "rw");
    make_file(c, "f");
    assert_int_equal(guest_sets(c, "f", "user.guest", "from the guest", 14, 0), 0);
    assert_int_equal(getxattr(path, "user.guest", buf, sizeof(buf)), 14);
    assert_memory_equal(buf, "from the guest", 14);
    assert_int_equal(setxattr(path, "user.host", "from the host", 13, 0), 0);
    assert_int_equal(guest_gets(c, "f", "user.host", buf, sizeof(buf)), 13);
    assert_memory_equal(buf, "from the host", 13);
    assert_int_equal(guest_gets(c, "f", "", buf, sizeof(buf)), 21);
    assert_non_null(memmem(buf, 21, "user.guest", 11));
    assert_non_null(memmem(buf, 21, "user.host", 10));
    assert_int_equal(guest_sets(c, "f", "user.guest", "", 0, NINE_XATTR_REPLACE), 0);
    assert_int_equal(getxattr(path, "user.guest", buf, sizeof(buf)), -1);
    assert_int_equal(errno, ENODATA);
    assert_int_equal(guest_gets(c, "f", "user.guest", buf, sizeof(buf)), -ENODATA);
    assert_int_equal(guest_sets(c, "f", "user.empty", "", 0, 0), 0);
    assert_int_equal(getxattr(path, "user.empty", buf, sizeof(buf)), 0);
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
flags_and_names_mean_what_they_do_on_the_host(void **state)
{
    static char big[65536];
    struct server *s = *state;
    char path[256], buf[64];
    struct nc *c;
    int e;

    (void)snprintf(path, sizeof(path), "%s", server_path(s, "rw/f"));
    server_start(s, NULL);
    c = attach(s, "rw");
    make_file(c, "f");
    assert_int_equal(guest_sets(c, "f", "user.a", "1", 1, NINE_XATTR_REPLACE), -ENODATA);
    assert_int_equal(guest_sets(c, "f", "user.a", "1", 1, NINE_XATTR_CREATE), 0);
    assert_int_equal(guest_sets(c, "f", "user.a", "1", 1, NINE_XATTR_CREATE), -EEXIST);
    assert_int_equal(guest_sets(c, "f", "trusted.a", "1", 1, 0), -EOPNOTSUPP);
    assert_int_equal(guest_sets(c, "f", "security.capability", "1", 1, 0), -EOPNOTSUPP);
    assert_int_equal(guest_gets(c, "f", "system.posix_acl_access", buf, sizeof(buf)), -EOPNOTSUPP);
    e = setxattr(path, "user.big", big, sizeof(big), 0) < 0 ? -errno : 0;
    assert_int_equal(removexattr(path, "user.big") < 0, e < 0);
    assert_int_equal(guest_sets(c, "f", "user.big", big, sizeof(big), 0), e);
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
a_read_only_share_shows_attributes_and_takes_none(void **state)
{
    struct server *s = *state;
    char path[256], buf[64];
    struct nc *c;

    (void)snprintf(path, sizeof(path), "%s", server_path(s, "ro/hello.txt"));
    assert_int_equal(setxattr(path, "user.a", "value", 5, 0), 0);
    server_start(s, NULL);
    c = attach(s, "ro");
    assert_int_equal(guest_gets(c, "hello.txt", "user.a", buf, sizeof(buf)), 5);
    assert_int_equal(guest_sets(c, "hello.txt", "user.a", "other", 5, 0), -EROFS);
    assert_int_equal(guest_sets(c, "hello.txt", "user.a", "", 0, NINE_XATTR_REPLACE), -EROFS);
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
    assert_int_equal(getxattr(path, "user.a", buf, sizeof(buf)), 5);
    assert_memory_equal(buf, "value", 5);
}

/* --- locks ----------------------------------------------------------------------- */

static struct nc_lock
range(uint8_t type, uint64_t start, uint64_t length, uint32_t pid)
{
    return (struct nc_lock){
        .type = type, .start = start, .length = length, .proc_id = pid, .client_id = "guest"};
}

static int
guest_locks(struct nc *c, uint8_t type, uint64_t start, uint64_t length, uint32_t pid)
{
    struct nc_lock l = range(type, start, length, pid);

    return nc_lock(c, 5, &l);
}

/* One that waits: sent, not answered yet. */
static void
guest_waits(struct nc *c, uint16_t tag, uint8_t type, uint64_t start, uint64_t length, uint32_t pid)
{
    nc_begin(c, NINE_TLOCK, tag);
    nc_u32(c, 5);
    nc_u8(c, type);
    nc_u32(c, NINE_LOCK_BLOCK);
    nc_u64(c, start);
    nc_u64(c, length);
    nc_u32(c, pid);
    nc_str(c, "guest", 5);
    nc_end(c);
    assert_int_equal(nc_push(c), 0);
}

static void
assert_granted(struct nc *c, uint16_t tag)
{
    struct nc_reply rep;

    assert_int_equal(nc_pull(c, &rep), 0);
    assert_int_equal(rep.tag, tag);
    assert_int_equal(rep.type, NINE_TLOCK + 1);
    assert_int_equal(rep.body[0], NINE_LOCK_SUCCESS);
}

static int
host_locks(int fd, short type, off_t start, off_t length)
{
    struct flock fl = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};

    return fcntl(fd, F_SETLK, &fl) < 0 ? -errno : 0;
}

static struct nc *
attach_open(const struct server *s)
{
    struct nc *c = attach(s, "rw");

    walk_to(c, 5, "f");
    assert_int_equal(nc_lopen(c, 5, NINE_O_RDWR, NULL, NULL), 0);
    return c;
}

/* Two guests with rw/f open as fid 5, and the host. */
struct three {
    struct nc *a, *b;
    int host;
};

static struct three
three_begin(struct server *s)
{
    struct three t;
    struct nc *c;

    server_start(s, NULL);
    c = attach(s, "rw");
    make_file(c, "f");
    nc_close(c);
    t.a = attach_open(s);
    t.b = attach_open(s);
    t.host = open(server_path(s, "rw/f"), O_RDWR | O_CLOEXEC);
    assert_true(t.host >= 0);
    return t;
}

static void
three_end(struct server *s, struct three *t)
{
    nc_close(t->a);
    nc_close(t->b);
    close(t->host);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
guests_and_host_exclude_each_other_to_the_byte(void **state)
{
    struct three t = three_begin(*state);

    assert_int_equal(guest_locks(t.a, NINE_LOCK_WR, 2, 3, 1), NINE_LOCK_SUCCESS);
    assert_int_equal(guest_locks(t.b, NINE_LOCK_WR, 4, 1, 1), NINE_LOCK_BLOCKED);
    assert_int_equal(guest_locks(t.a, NINE_LOCK_RD, 4, 1, 2), NINE_LOCK_BLOCKED);
    assert_int_equal(host_locks(t.host, F_RDLCK, 4, 1), -EAGAIN);
    assert_int_equal(host_locks(t.host, F_WRLCK, 5, 5), 0);
    assert_int_equal(host_locks(t.host, F_RDLCK, 0, 2), 0);
    assert_int_equal(guest_locks(t.b, NINE_LOCK_RD, 0, 2, 1), NINE_LOCK_SUCCESS);
    assert_int_equal(guest_locks(t.b, NINE_LOCK_WR, 0, 2, 1), NINE_LOCK_BLOCKED);
    assert_int_equal(guest_locks(t.b, NINE_LOCK_WR, 10, 0, 1), NINE_LOCK_SUCCESS);
    assert_int_equal(guest_locks(t.b, NINE_LOCK_WR, 9, 1, 1), NINE_LOCK_BLOCKED);
    assert_int_equal(guest_locks(t.a, NINE_LOCK_UN, 0, 0, 1), NINE_LOCK_SUCCESS);
    assert_int_equal(host_locks(t.host, F_WRLCK, 2, 3), 0);
    three_end(*state, &t);
}

static void
getlock_tells_guests_from_the_host(void **state)
{
    struct three t = three_begin(*state);
    struct nc_lock probe = range(NINE_LOCK_UN, 0, 0, 9), found;

    assert_int_equal(nc_getlock(t.b, 5, &probe, &found), 0);
    assert_int_equal(found.type, NINE_LOCK_UN);
    assert_int_equal(host_locks(t.host, F_RDLCK, 3, 4), 0);
    assert_int_equal(nc_getlock(t.b, 5, &probe, &found), 0);
    assert_int_equal(found.type, NINE_LOCK_RD);
    assert_int_equal(found.start, 3);
    assert_int_equal(found.length, 4);
    assert_int_equal(found.proc_id, 0);
    assert_int_equal(host_locks(t.host, F_UNLCK, 0, 0), 0);
    assert_int_equal(guest_locks(t.a, NINE_LOCK_WR, 0, 2, 77), NINE_LOCK_SUCCESS);
    assert_int_equal(nc_getlock(t.b, 5, &probe, &found), 0);
    assert_int_equal(found.type, NINE_LOCK_WR);
    assert_int_equal(found.start, 0);
    assert_int_equal(found.length, 2);
    assert_int_equal(found.proc_id, 77);
    three_end(*state, &t);
}

static bool
silent(const struct nc *c)
{
    struct pollfd p = {.fd = nc_fd(c), .events = POLLIN};

    return !nc_has_reply(c) && poll(&p, 1, 0) == 0;
}

static void
who_waits_is_served_when_a_guest_or_the_host_lets_go(void **state)
{
    struct three t = three_begin(*state);
    struct nc_attr attr;

    assert_int_equal(guest_locks(t.a, NINE_LOCK_WR, 0, 0, 1), NINE_LOCK_SUCCESS);
    guest_waits(t.b, 40, NINE_LOCK_WR, 0, 0, 1);
    assert_int_equal(nc_getattr(t.b, 5, NINE_GETATTR_BASIC, &attr), 0); /* goes on meanwhile */
    assert_true(silent(t.b));
    assert_int_equal(guest_locks(t.a, NINE_LOCK_UN, 0, 0, 1), NINE_LOCK_SUCCESS);
    assert_granted(t.b, 40);
    assert_int_equal(guest_locks(t.b, NINE_LOCK_UN, 0, 0, 1), NINE_LOCK_SUCCESS);

    assert_int_equal(host_locks(t.host, F_WRLCK, 0, 0), 0);
    guest_waits(t.b, 41, NINE_LOCK_WR, 0, 0, 1);
    assert_int_equal(nc_getattr(t.b, 5, NINE_GETATTR_BASIC, &attr), 0);
    assert_true(silent(t.b));
    assert_int_equal(host_locks(t.host, F_UNLCK, 0, 0), 0); /* nobody is told */
    assert_granted(t.b, 41);

    /* Only now: of two that wait for the host, whichever is tried first after
     * it let go has the lock, and that is for the kernel to say. */
    guest_waits(t.a, 42, NINE_LOCK_RD, 0, 0, 1);
    assert_int_equal(nc_getattr(t.a, 5, NINE_GETATTR_BASIC, &attr), 0);
    assert_true(silent(t.a));
    nc_close(t.b); /* with its lock */
    assert_granted(t.a, 42);
    t.b = attach_open(*state);
    three_end(*state, &t);
}

static void
a_flush_takes_a_waiting_request_back(void **state)
{
    struct three t = three_begin(*state);
    struct nc_reply rep;

    assert_int_equal(guest_locks(t.a, NINE_LOCK_WR, 0, 0, 1), NINE_LOCK_SUCCESS);
    guest_waits(t.b, 40, NINE_LOCK_WR, 0, 0, 1);
    nc_begin(t.b, NINE_TFLUSH, 41);
    nc_u16(t.b, 40);
    nc_end(t.b);
    assert_int_equal(nc_push(t.b), 0);
    assert_int_equal(nc_pull(t.b, &rep), 0);
    if (rep.tag == 40) { /* it was just being tried: then that is answered first */
        assert_int_equal(rep.type, NINE_TLOCK + 1);
        assert_int_equal(rep.body[0], NINE_LOCK_BLOCKED);
        assert_int_equal(nc_pull(t.b, &rep), 0);
    }
    assert_int_equal(rep.tag, 41);
    assert_int_equal(rep.type, NINE_TFLUSH + 1);
    assert_int_equal(guest_locks(t.a, NINE_LOCK_UN, 0, 0, 1), NINE_LOCK_SUCCESS);
    assert_int_equal(host_locks(t.host, F_WRLCK, 0, 0), 0);
    assert_true(silent(t.b));
    three_end(*state, &t);
}

static void
locks_and_those_who_wait_leave_no_fd_behind(void **state)
{
    struct server_child v[3];
    struct server *s = *state;
    struct three t = three_begin(s);
    size_t fds;

    assert_int_equal(server_children(s, v, COUNT(v)), COUNT(v));
    fds = server_fds(v[1].pid);
    for (uint32_t pid = 1; pid <= 50; pid++)
        assert_int_equal(guest_locks(t.a, NINE_LOCK_RD, pid, 1, pid), NINE_LOCK_SUCCESS);
    assert_int_equal(server_fds(v[1].pid), fds + 50);
    for (uint16_t i = 0; i < 10; i++)
        guest_waits(t.b, 100 + i, NINE_LOCK_WR, 0, 0, i);
    for (uint32_t pid = 1; pid <= 25; pid++)
        assert_int_equal(guest_locks(t.a, NINE_LOCK_UN, 0, 0, pid), NINE_LOCK_SUCCESS);
    nc_close(t.b);
    nc_close(t.a);
    t.a = attach_open(s);
    t.b = attach_open(s);
    server_await_fds(v[1].pid, fds);
    assert_int_equal(host_locks(t.host, F_WRLCK, 0, 0), 0);
    three_end(s, &t);
}

#define T(name) cmocka_unit_test_setup_teardown(name, server_setup, server_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(attributes_are_the_hosts_own),
        T(flags_and_names_mean_what_they_do_on_the_host),
        T(a_read_only_share_shows_attributes_and_takes_none),
        T(guests_and_host_exclude_each_other_to_the_byte),
        T(getlock_tells_guests_from_the_host),
        T(who_waits_is_served_when_a_guest_or_the_host_lets_go),
        T(a_flush_takes_a_waiting_request_back),
        T(locks_and_those_who_wait_leave_no_fd_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
