/*
 * A policy that changes while posternd runs: the difference is applied, and
 * nobody else notices.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "tests/lib/control_peer.h"

#define CONTROL "control \"unix:@/control\" { }\n"
#define SHARE(name, dir, access) "share \"" name "\" { path = \"@/" dir "\" access = " access " }\n"
#define RO SHARE("ro", "ro", "read-only")
#define RW SHARE("rw", "rw", "read-write")
#define NEW SHARE("new", "new", "read-write")
#define SOCK "listen \"unix:@/sock\" { protocol = 9p }\n"
#define OTHER_SOCK "listen \"unix:@/other\" { protocol = 9p }\n"
#define TCP "listen \"tcp:127.0.0.1:0\" { protocol = 9p }\n"
#define TENANT(content) "tenant \"t\" {\n" content "}\n"
#define OTHER(more)                                                                                \
    "tenant \"other\" {\n listen \"unix:@/other\" { protocol = 9p }\n" SHARE(                      \
        "new", "new", "read-write") more "}\n"

static void
give(const struct server *s, const char *name)
{
    unsigned id = s->as_user ? SERVER_USER : SERVER_OWNER;

    if (geteuid() == 0)
        assert_int_equal(chown(server_path(s, name), id, id), 0);
}

static void
policy_set(const struct server *s, const char *text)
{
    server_file(s, "policy.conf", text);
    if (s->as_user)
        give(s, "policy.conf");
}

static void
prepare(struct server *s, bool as_user)
{
    server_init(s, as_user);
    assert_int_equal(mkdir(server_path(s, "new"), 0755), 0);
    give(s, "new");
    policy_set(s, CONTROL TENANT(SOCK RO RW) OTHER(""));
    server_start(s, NULL);
}

static int
setup(void **state)
{
    static struct server s;

    prepare(&s, false);
    *state = &s;
    return 0;
}

static int
setup_rootless(void **state)
{
    static struct server s;

    prepare(&s, true);
    *state = &s;
    return 0;
}

/* A connection that it knows. */
static int
open_peer(const struct server *s)
{
    int fd =
        s->as_user && geteuid() == 0 ? peer_open_as(s, SERVER_USER, SERVER_USER) : peer_open(s);

    assert_int_equal(peer_share_state(fd, "ro"), POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    return fd;
}

/* The report of a reload that succeeds. */
static const char *
reload_with(const struct server *s, int fd, const char *text)
{
    policy_set(s, text);
    if (peer_reload(fd, false) != 0)
        fail_msg("reload: %s", peer_text());
    return peer_report();
}

static void
await_attach(const struct server *s, const char *share, int status)
{
    unsigned left = 0;

    while (server_patience(&left))
        if (server_try_attach(s, share) == status)
            return;
    assert_int_equal(server_try_attach(s, share), status);
}

static void
assert_alive(struct nc *c, const char *name)
{
    assert_int_equal(nc_mkdir(c, 0, name, 0755, 0, NULL), 0);
}

static void
shares_come_and_go_and_change(struct server *s)
{
    int fd = open_peer(s);
    struct nc *rw = server_attach(s, "rw"), *ro = server_attach(s, "ro");
    struct nc_attr a;

    assert_string_equal(reload_with(s, fd, CONTROL TENANT(SOCK RO RW NEW) OTHER("")),
                        "tenant t: share new added\n");
    await_attach(s, "new", 0);
    assert_alive(rw, "one");
    assert_string_equal(
        reload_with(s, fd, CONTROL TENANT(SOCK SHARE("ro", "ro", "read-write") RW NEW) OTHER("")),
        "tenant t: share ro changed: access\n");
    assert_int_equal(nc_getattr(ro, 0, NINE_GETATTR_BASIC, &a), -ESTALE);
    await_attach(s, "ro", 0);
    assert_alive(rw, "two");
    assert_string_equal(reload_with(s, fd, CONTROL TENANT(SOCK RW) OTHER("")),
                        "tenant t: share ro removed\ntenant t: share new removed\n");
    assert_int_equal(server_try_attach(s, "ro"), -ENOENT);
    assert_int_equal(server_try_attach(s, "new"), -ENOENT);
    assert_alive(rw, "three");
    server_await_children(s, 4);
    assert_string_equal(reload_with(s, fd, CONTROL TENANT(SOCK RW) OTHER("")), "");
    nc_close(rw);
    nc_close(ro);
    close(fd);
}

static void
shares_change_and_the_others_go_on(void **state)
{
    shares_come_and_go_and_change(*state);
}

static void
an_ordinary_user_reloads_too(void **state)
{
    shares_come_and_go_and_change(*state);
}

static void
a_bad_policy_changes_nothing(void **state)
{
    static const struct {
        const char *policy, *text;
    } bad[] = {
        {"tenant {", "policy.conf:"},
        {CONTROL TENANT(SOCK RO RW SHARE("x", "absent", "read-only")) OTHER(""),
         "\"@/absent\" does not exist"},
        {CONTROL TENANT(SOCK "listen \"unix:@/absent/s\" { protocol = 9p }\n" RO RW) OTHER(""),
         "its directory does not exist"},
        {CONTROL TENANT(SOCK RO RW NEW)
             OTHER("") "tenant \"third\" { listen \"unix:@/third\" { "
                       "protocol = 9p } " SHARE("x", "ro/link", "read-only") "}\n",
         "is a symbolic link"},
    };
    struct server *s = *state;
    int fd = open_peer(s);
    struct nc *c = server_attach(s, "rw");
    size_t fds = server_fds(s->pid);

    for (size_t i = 0; i < COUNT(bad); i++) {
        policy_set(s, bad[i].policy);
        assert_true(peer_reload(fd, false) < 0);
        server_file(s, "expected", bad[i].text);
        assert_non_null(strstr(peer_text(), server_text(s, "expected")));
        assert_int_equal(server_fds(s->pid), fds);
        assert_int_equal(truncate(server_path(s, "err"), 0), 0); /* what it said before */
        assert_int_equal(kill(s->pid, SIGHUP), 0);
        server_await_log(s, "reload: nothing changed");
    }
    server_await_children(s, 5);
    assert_int_equal(access(server_path(s, "third"), F_OK), -1);
    assert_int_equal(server_try_attach(s, "new"), -ENOENT);
    assert_alive(c, "d");
    nc_close(c);
    close(fd);
}

static void
show_only_says_what_would_change(void **state)
{
    struct server *s = *state;
    int fd = open_peer(s);

    policy_set(s, CONTROL TENANT(SOCK RO NEW));
    assert_int_equal(peer_reload(fd, true), 0);
    assert_string_equal(peer_report(), "tenant other removed\n"
                                       "tenant t: share rw removed\ntenant t: share new added\n");
    server_await_children(s, 5);
    assert_int_equal(server_try_attach(s, "rw"), 0);
    close(fd);
}

static void
tenants_come_and_go(void **state)
{
    struct server *s = *state;
    int fd = open_peer(s);
    struct nc *c = server_attach(s, "rw");
    size_t fds = server_fds(s->pid);

    for (int i = 0; i < 3; i++) {
        assert_string_equal(reload_with(s, fd, CONTROL TENANT(SOCK RO RW)),
                            "tenant other removed\n");
        assert_int_equal(access(server_path(s, "other"), F_OK), -1);
        server_await_children(s, 3);
        assert_string_equal(reload_with(s, fd, CONTROL TENANT(SOCK RO RW) OTHER("")),
                            "tenant other added\n");
        server_await_children(s, 5);
    }
    assert_alive(c, "d");
    server_await_fds(s->pid, fds);
    nc_close(c);
    close(fd);
}

static void
other_addresses_or_limits_restart_that_tenant_alone(void **state)
{
    struct server *s = *state, there = *s;
    int fd = open_peer(s);
    struct nc *c = server_attach(s, "rw");

    assert_string_equal(
        reload_with(s, fd, CONTROL TENANT(SOCK RO RW) OTHER("limits { fids = 100 }\n")),
        "tenant other: limits changed: fids\n");
    server_await_log(s, "tenant other: starts anew");
    server_await_children(s, 5);
    (void)snprintf(there.address, sizeof(there.address), "unix:%s/moved", s->dir);
    assert_non_null(strstr(
        reload_with(s, fd,
                    CONTROL TENANT(SOCK RO RW) "tenant \"other\" { listen \"unix:@/moved\" { "
                                               "protocol = 9p }\n" NEW "}\n"),
        "tenant other: addresses changed\n"));
    assert_int_equal(access(server_path(s, "other"), F_OK), -1);
    await_attach(&there, "new", 0);
    assert_alive(c, "d");
    nc_close(c);
    close(fd);
}

/* Where a tenant serves over TCP, as posternd said it last. */
static void
tcp_address(const struct server *s, struct server *ret)
{
    const char *at = server_text(s, "err"), *next;

    for (next = strstr(at, "tcp:"); next != NULL; next = strstr(at + 1, "tcp:"))
        at = next;
    *ret = *s;
    (void)snprintf(ret->address, sizeof(ret->address), "%.*s", (int)strcspn(at, ",\n"), at);
}

static void
an_address_moves_from_one_tenant_to_another(void **state)
{
    struct server *s = *state, other = *s, tcp;
    int fd = open_peer(s);
    size_t fds;

    (void)reload_with(s, fd, CONTROL TENANT(SOCK TCP RO RW) OTHER(""));
    server_await_log(s, ", tcp:127.0.0.1:");
    server_await_children(s, 5);
    tcp_address(s, &tcp);
    await_attach(&tcp, "rw", 0);
    fds = server_fds(s->pid);
    (void)snprintf(other.address, sizeof(other.address), "unix:%s/other", s->dir);
    /* not while something else cannot be */
    policy_set(s, CONTROL TENANT(OTHER_SOCK RO RW) "tenant \"other\" { " SOCK TCP NEW SHARE(
                      "none", "none", "read-only") "}\n");
    assert_int_equal(peer_reload(fd, false), -ENOENT);
    assert_int_equal(server_try_attach(s, "rw"), 0);
    assert_int_equal(server_try_attach(&other, "new"), 0);
    assert_int_equal(access(server_path(s, "sock.new"), F_OK), -1);
    assert_string_equal(
        reload_with(s, fd,
                    CONTROL TENANT(OTHER_SOCK RO RW) "tenant \"other\" { " SOCK TCP NEW "}\n"),
        "tenant t: addresses changed\ntenant other: addresses changed\n");
    await_attach(s, "new", 0);
    await_attach(&tcp, "new", 0);
    await_attach(&other, "rw", 0);
    assert_int_equal(server_try_attach(s, "rw"), -ENOENT);
    assert_int_equal(server_try_attach(&other, "new"), -ENOENT);
    assert_int_equal(access(server_path(s, "sock.new"), F_OK), -1);
    server_await_fds(s->pid, fds);
    (void)reload_with(s, fd, CONTROL TENANT(OTHER_SOCK SOCK TCP RO RW)); /* the other goes */
    await_attach(s, "rw", 0);
    await_attach(&tcp, "rw", 0);
    (void)reload_with(s, fd,
                      CONTROL TENANT(OTHER_SOCK RO RW) "tenant \"third\" { " SOCK TCP NEW "}\n");
    await_attach(s, "new", 0);
    await_attach(&tcp, "new", 0);
    close(fd);
}

static void
shares_of_run_time_stay(void **state)
{
    struct server *s = *state;
    int fd = open_peer(s);
    char settings[256];

    (void)snprintf(settings, sizeof(settings), "path = \"%s\" access = read-write",
                   server_path(s, "new"));
    assert_int_equal(peer_add(fd, "r1", "new", settings), 0);
    policy_set(s, CONTROL TENANT(SOCK RO RW NEW) OTHER(""));
    assert_int_equal(peer_reload(fd, false), -EEXIST);
    assert_non_null(strstr(peer_text(), "was added at run time"));
    assert_string_equal(reload_with(s, fd, CONTROL TENANT(SOCK RO) OTHER("")),
                        "tenant t: share rw removed\n");
    assert_int_equal(server_try_attach(s, "new"), 0);
    assert_int_equal(peer_remove(fd, "r1", 0), 0);
    assert_non_null(
        strstr(reload_with(s, fd, CONTROL TENANT(SOCK RO NEW) OTHER("")), "share new added"));
    await_attach(s, "new", 0);
    assert_int_equal(server_stop(s, SIGTERM), 0);
    close(fd);
}

static void
a_hangup_reloads_and_says_so(void **state)
{
    struct server *s = *state;
    struct nc *c = server_attach(s, "rw");

    policy_set(s, CONTROL TENANT(SOCK RO RW NEW) OTHER(""));
    assert_int_equal(kill(s->pid, SIGHUP), 0);
    server_await_log(s, "reload: tenant t: share new added");
    await_attach(s, "new", 0);
    assert_alive(c, "d");
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, server_teardown)
    const struct CMUnitTest tests[] = {
        CASE(shares_change_and_the_others_go_on),
        CASE(a_bad_policy_changes_nothing),
        CASE(show_only_says_what_would_change),
        CASE(tenants_come_and_go),
        CASE(other_addresses_or_limits_restart_that_tenant_alone),
        CASE(an_address_moves_from_one_tenant_to_another),
        CASE(shares_of_run_time_stay),
        CASE(a_hangup_reloads_and_says_so),
        cmocka_unit_test_setup_teardown(an_ordinary_user_reloads_too, setup_rootless,
                                        server_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
