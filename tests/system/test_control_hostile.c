/*
 * The control socket under those who mean harm, and those who may do little.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/control.h"
#include "ipc/fd.h"
#include "tests/lib/control_peer.h"

#define CHILDREN 3
#define CONNECTIONS 64 /* CONTROL_CONNS_MAX */
#define OF_ONE 8       /* CONTROL_CONNS_OF_ONE */

static char settings[256]; /* of DIR/new */
static uid_t nobody;
static gid_t nogroup;

static const char policy[] = "control \"unix:@/control\" { group = \"games\" }\n"
                             "tenant \"t\" {\n"
                             "    listen \"unix:@/sock\" { protocol = 9p }\n"
                             "    share \"ro\" { path = \"@/ro\" access = read-only }\n"
                             "    share \"rw\" { path = \"@/rw\" access = read-write }\n"
                             "    delegates = { \"nobody\", \"%audio\" }\n"
                             "}\n"
                             "tenant \"other\" {\n"
                             "    listen \"unix:@/other\" { protocol = 9p }\n"
                             "    share \"ro\" { path = \"@/ro\" access = read-only }\n"
                             "}\n";

/* server_file() takes each '@' for the directory; here '%' is one. */
static void
policy_write(const struct server *s)
{
    FILE *f;
    char text[4096];

    server_file(s, "policy.conf", policy);
    (void)snprintf(text, sizeof(text), "%s", server_text(s, "policy.conf"));
    *strchr(text, '%') = '@';
    f = fopen(server_path(s, "policy.conf"), "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int
setup(void **state)
{
    static struct server s;
    const struct passwd *p = getpwnam("nobody");

    assert_non_null(p);
    nobody = p->pw_uid;
    nogroup = p->pw_gid;
    server_init(&s, false);
    policy_write(&s);
    assert_int_equal(mkdir(server_path(&s, "new"), 0700), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(server_path(&s, "new"), nobody, nogroup), 0);
    (void)snprintf(settings, sizeof(settings), "path = \"%s\" access = read-write",
                   server_path(&s, "new"));
    if (geteuid() == 0)
        server_start(&s, NULL);
    *state = &s;
    return 0;
}

static gid_t
group_id(const char *name)
{
    const struct group *g = getgrnam(name);

    assert_non_null(g);
    return g->gr_gid;
}

/* It answers, and all is as it was. */
static void
assert_well(const struct server *s)
{
    int fd = peer_open(s);

    assert_int_equal(peer_share_state(fd, "rw"), POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    assert_int_equal(peer_share_state(fd, "new"), -1);
    assert_int_equal(server_try_attach(s, "rw"), 0);
    server_await_children(s, CHILDREN + 2);
    close(fd);
}

/* --- bytes --------------------------------------------------------------------------- */

static void
what_is_no_request_is_answered_so(void **state)
{
    /* by hand: field, wire type, length, content */
    static const struct {
        const char *bytes;
        size_t n;
        int status;
    } bad[] = {
#define B(literal, status) {literal, sizeof(literal) - 1, status}
        B("garbage", -EPROTO),
        B("\x08", -EPROTO),
        B("\x08\x01", -EPROTO),                         /* nothing asked */
        B("\x08\x02\x32\x00", -EPROTONOSUPPORT),        /* status, of version 2 */
        B("\x08\x01\x32\x00\x3a\x00", -EPROTO),         /* two things */
        B("\x08\x01\x32\x00\x7a\x00", -EPROTO),         /* field 15 */
        B("\x08\x01\x32\x02\x50\x01", -EPROTO),         /* and one inside */
        B("\x08\x01\x08\x01\x32\x00", -EPROTO),         /* the version twice */
        B("\x08\x81\x00\x32\x00", -EPROTO),             /* a number written longer */
        B("\x08\x01\x2a\x05\x0a\x03t\x00x", -EPROTO),   /* share_list of tenant "t\0x" */
        B("\x08\x01\x2a\xff\xff\xff\xff\x0f", -EPROTO), /* a length beyond the end */
        B("\x08\x01\x22\x00", -EPROTO),                 /* remove without anything */
#undef B
    };
    struct server *s = *state;
    int fd;

    if (server_needs_root())
        return;
    fd = peer_open(s);
    for (size_t i = 0; i < COUNT(bad); i++) {
        assert_int_equal(peer_send_bytes(fd, bad[i].bytes, bad[i].n), 0);
        assert_int_equal(peer_status(fd), bad[i].status);
    }
    close(fd);
    assert_well(s);
}

static void
random_bytes_and_great_ones_do_no_harm(void **state)
{
    static uint8_t bytes[CONTROL_BYTES_MAX + 4096];
    struct server *s = *state;
    unsigned seed = 1;
    int fd;

    if (server_needs_root())
        return;
    fd = peer_open(s);
    for (unsigned i = 0; i < 300; i++) {
        size_t n = 1 + (size_t)rand_r(&seed) % (i % 10 == 0 ? sizeof(bytes) : 64);
        int r;

        for (size_t k = 0; k < n; k++)
            bytes[k] = (uint8_t)rand_r(&seed);
        if (i % 2 == 0)
            memcpy(bytes, "\x08\x01\x12", 3); /* as if it were a share_reserve */
        assert_int_equal(peer_send_bytes(fd, bytes, n), 0);
        r = peer_status(fd);
        assert_true(r == (n > CONTROL_BYTES_MAX ? -EMSGSIZE : -EPROTO) || r == -EPROTONOSUPPORT);
    }
    close(fd);
    assert_well(s);
}

static void
fds_that_a_client_sends_are_closed(void **state)
{
    struct server *s = *state;
    int fd, p[2];
    char c;

    if (server_needs_root())
        return;
    fd = peer_open(s);
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    (void)fd_send(fd, "\x08\x01\x32\x00", 4, &p[1], 1); /* a new kernel refuses it itself */
    close(p[1]);
    assert_int_equal(read(p[0], &c, 1), 0); /* nobody else has it, or this waits for ever */
    close(p[0]);
    close(fd);
    assert_well(s);
}

/* --- many ----------------------------------------------------------------------------- */

static void
connections_are_counted(void **state)
{
    struct server *s = *state;
    int fds[CONNECTIONS + 1];
    size_t held;

    if (server_needs_root())
        return;
    held = server_fds(s->pid);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        fds[i] = peer_open(s);
        assert_int_equal(peer_share_state(fds[i], "rw"), POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    }
    fds[CONNECTIONS] = peer_open(s);
    assert_int_equal(peer_status(fds[CONNECTIONS]), -EBUSY);
    assert_int_equal(server_try_attach(s, "rw"), 0);
    for (size_t i = 0; i <= CONNECTIONS; i++)
        close(fds[i]);
    server_await_fds(s->pid, held); /* until it knows, the next may be one too many */
    assert_well(s);
}

static void
others_cannot_keep_an_administrator_out(void **state)
{
    struct server *s = *state;
    int fds[OF_ONE + 1];

    if (server_needs_root())
        return;
    for (size_t i = 0; i <= OF_ONE; i++)
        fds[i] = peer_open_as(s, nobody, nogroup);
    assert_int_equal(peer_status(fds[OF_ONE]), -EBUSY);
    assert_well(s);
    for (size_t i = 0; i <= OF_ONE; i++)
        close(fds[i]);
}

/* Requests without end whose answers nobody takes. */
static void
a_flood_holds_up_nobody_but_itself(void **state)
{
    struct server *s = *state;
    int fd, other;
    size_t sent = 0;

    if (server_needs_root())
        return;
    fd = peer_open(s);
    other = peer_open(s);
    while (send(fd, "\x08\x01\x2a\x00", 4, MSG_DONTWAIT | MSG_NOSIGNAL) == 4 && sent < 1000000)
        sent++;
    assert_true(sent < 1000000); /* it is not read for ever */
    assert_int_equal(peer_add(other, "r1", "new", settings), 0);
    assert_int_equal(server_try_attach(s, "new"), 0);
    assert_int_equal(peer_remove(other, "r1", 0), 0);
    close(fd);
    close(other);
    assert_well(s);
}

/* --- who -------------------------------------------------------------------------------- */

static void
who_is_not_named_may_do_nothing(void **state)
{
    struct server *s = *state;
    int fd;

    if (server_needs_root())
        return;
    fd = peer_open_as(s, SERVER_USER, SERVER_USER);
    assert_int_equal(peer_status(fd), -EACCES);
    assert_null(peer_recv(fd)); /* and is gone */
    close(fd);
    assert_well(s);
}

static void
the_control_group_may_do_everything(void **state)
{
    struct server *s = *state;
    int fd;

    if (server_needs_root())
        return;
    fd = peer_open_as(s, SERVER_USER, group_id("games"));
    assert_int_equal(peer_add(fd, "r1", "new", settings), 0);
    assert_int_equal(peer_reload(fd, true), 0);
    assert_int_equal(peer_remove(fd, "r1", 0), 0);
    close(fd);
    assert_well(s);
}

static void
the_sockets_mode_lets_in_whom_the_policy_names(void **state)
{
    struct server *s = *state;
    struct stat st;

    if (server_needs_root())
        return;
    assert_int_equal(stat(server_path(s, "control"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0666); /* there are delegates */
    assert_int_equal(st.st_gid, group_id("games"));
    assert_int_equal(server_stop(s, SIGTERM), 0);
    assert_int_equal(access(server_path(s, "control"), F_OK), -1);
    server_file(s, "policy.conf",
                "control \"unix:@/control\" { group = \"games\" }\n"
                "tenant \"t\" { listen \"unix:@/sock\" { protocol = 9p }\n"
                "share \"ro\" { path = \"@/ro\" access = read-only } }\n");
    server_start(s, NULL);
    assert_int_equal(stat(server_path(s, "control"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
}

static void
a_delegate_shares_his_own_with_his_tenant(void **state)
{
    struct server *s = *state;
    Postern__V1__ControlReply *all;
    int fd, admin;

    if (server_needs_root())
        return;
    fd = peer_open_as(s, nobody, nogroup);
    admin = peer_open(s);
    assert_int_equal(peer_add(fd, "r1", "new", settings), 0);
    assert_int_equal(server_try_attach(s, "new"), 0);
    all = peer_list(fd, NULL); /* of his tenant alone */
    for (size_t i = 0; i < all->n_shares; i++)
        assert_string_equal(all->shares[i]->tenant, "t");
    assert_int_equal(all->n_shares, 3);
    postern__v1__control_reply__free_unpacked(all, NULL);
    assert_int_equal(peer_reload(fd, true), -EACCES);
    assert_int_equal(peer_remove(fd, "rw", 0), -EPERM);
    assert_int_equal(peer_reserve(admin, "adm", "new", settings), 0);
    assert_int_equal(peer_remove(fd, "adm", 0), -ENOENT); /* another's */
    assert_int_equal(peer_remove(fd, "r1", 0), 0);
    assert_int_equal(server_try_attach(s, "new"), 0);
    assert_int_equal(peer_remove(admin, "adm", 0), 0);
    close(fd);
    close(admin);
    assert_well(s);
}

static void
a_delegate_shares_nothing_that_is_not_his(void **state)
{
    static const struct {
        const char *settings;
        int status;
    } bad[] = {
        {"path = \"@/ro\" access = read-only", -EPERM},             /* root's */
        {"path = \"@/another\" access = read-only", -EPERM},        /* of his group, not his */
        {"path = \"@/closed/his\" access = read-only", -EACCES},    /* he cannot get there */
        {"path = \"@/closed/absent\" access = read-only", -EACCES}, /* nor ask what is there */
        {"path = \"@/mixed\" access = read-only", -EPERM},          /* a group he is not in */
        {"path = \"@/unread\" access = read-only", -EACCES},        /* he may not read it */
        {"path = \"@/new\" access = read-write owner = \"0:0\"", -EPERM},
        {"path = \"@/new\" access = read-write identity = host", -EPERM},
        {"path = \"@/new\" access = read-write identity = map ids = \"100000+65536\"", -EPERM},
        {"path = \"@/new\" access = read-write set-id = allow", -EPERM},
        {"path = \"@/new\" access = read-write submounts = cross", -EPERM},
    };
    struct server *s = *state;
    int fd;

    if (server_needs_root())
        return;
    assert_int_equal(mkdir(server_path(s, "closed"), 0700), 0);
    assert_int_equal(mkdir(server_path(s, "closed/his"), 0755), 0);
    assert_int_equal(chown(server_path(s, "closed/his"), nobody, nogroup), 0);
    assert_int_equal(mkdir(server_path(s, "mixed"), 0755), 0);
    assert_int_equal(chown(server_path(s, "mixed"), nobody, 0), 0);
    assert_int_equal(mkdir(server_path(s, "unread"), 0), 0);
    assert_int_equal(chown(server_path(s, "unread"), nobody, nogroup), 0);
    assert_int_equal(mkdir(server_path(s, "another"), 0755), 0);
    assert_int_equal(chown(server_path(s, "another"), SERVER_USER, nogroup), 0);
    fd = peer_open_as(s, nobody, nogroup);
    for (size_t i = 0; i < COUNT(bad); i++) {
        server_file(s, "settings", bad[i].settings);
        if (peer_add(fd, "r1", "new", server_text(s, "settings")) != bad[i].status)
            fail_msg("%s: %s", bad[i].settings, peer_text());
    }
    assert_int_equal(peer_add(fd, "r1", "new", settings), 0);
    assert_int_equal(peer_remove(fd, "r1", 0), 0);
    close(fd);
    assert_well(s);
}

static void
a_group_may_be_a_delegate(void **state)
{
    struct server *s = *state;
    gid_t audio;
    int fd;

    if (server_needs_root())
        return;
    audio = group_id("audio");
    fd = peer_open_as(s, SERVER_USER, audio);
    assert_int_equal(peer_add(fd, "r1", "new", settings), -EACCES); /* nobody's, 0700 */
    assert_int_equal(chown(server_path(s, "new"), SERVER_USER, audio), 0);
    assert_int_equal(peer_add(fd, "r1", "new", settings), 0);
    assert_int_equal(peer_remove(fd, "r1", 0), 0);
    close(fd);
    assert_well(s);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, server_teardown)
    const struct CMUnitTest tests[] = {
        CASE(what_is_no_request_is_answered_so),
        CASE(random_bytes_and_great_ones_do_no_harm),
        CASE(fds_that_a_client_sends_are_closed),
        CASE(connections_are_counted),
        CASE(others_cannot_keep_an_administrator_out),
        CASE(a_flood_holds_up_nobody_but_itself),
        CASE(who_is_not_named_may_do_nothing),
        CASE(the_control_group_may_do_everything),
        CASE(the_sockets_mode_lets_in_whom_the_policy_names),
        CASE(a_delegate_shares_his_own_with_his_tenant),
        CASE(a_delegate_shares_nothing_that_is_not_his),
        CASE(a_group_may_be_a_delegate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
