/*
 * posternd as an ordinary user: the same service and the same walls.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "tests/lib/server.h"

#define CHILDREN 3

static int
setup(void **state)
{
    static struct server s;

    server_init(&s, true);
    *state = &s;
    return 0;
}

static unsigned
user(void)
{
    return geteuid() == 0 ? SERVER_USER : (unsigned)geteuid();
}

static void
an_ordinary_user_serves_its_own_files(void **state)
{
    struct server *s = *state;
    struct nc_attr a;
    struct stat st;
    struct nc *c;

    server_start(s, NULL);
    c = server_attach(s, "rw");
    assert_int_equal(nc_mkdir(c, 0, "d", 0755, 0, NULL), 0);
    assert_int_equal(nc_getattr(c, 0, NINE_GETATTR_BASIC, &a), 0);
    assert_int_equal(a.uid, user());
    assert_int_equal(stat(server_path(s, "rw/d"), &st), 0);
    assert_int_equal(st.st_uid, user());
    nc_close(c);
    c = server_attach(s, "ro");
    assert_int_equal(nc_mkdir(c, 0, "d", 0755, 0, NULL), -EROFS);
    assert_int_equal(nc_unlinkat(c, 0, "hello.txt", 0), -EROFS);
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
    assert_int_equal(access(server_path(s, "sock"), F_OK), -1);
}

static void
groups_that_stay_are_warned_about(void **state)
{
    static const char text[] = "an ordinary user cannot drop its supplementary groups";
    struct server *s = *state;

    if (geteuid() != 0)
        return; /* its groups are what they are */
    server_start(s, NULL);
    assert_null(strstr(server_text(s, "err"), text));
    assert_int_equal(server_stop(s, SIGTERM), 0);
    s->group = 4242;
    server_start(s, NULL);
    server_await_log(s, text);
    assert_int_equal(server_stop(s, SIGTERM), 0);
    s->group = 0;
}

static void
export_needs_neither_root_nor_a_policy(void **state)
{
    struct server *s = *state;
    const char *args[] = {"export", server_path(s, "rw"), "--listen", s->address, NULL};
    struct nc *c;

    server_start(s, args);
    c = server_attach(s, "rw");
    assert_int_equal(nc_mkdir(c, 0, "e", 0755, 0, NULL), 0);
    nc_close(c);
    assert_int_equal(server_stop(s, SIGINT), 0);
}

static void
children_are_sealed_in_their_own_user_namespace(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];
    char ours[64] = "", theirs[64] = "", path[64];

    if (server_needs_root()) /* only root may look at such a process */
        return;
    server_start(s, NULL);
    assert_int_equal(server_children(s, v, CHILDREN), CHILDREN);
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", s->pid);
    assert_true(readlink(path, ours, sizeof(ours) - 1) > 0);
    for (size_t i = 0; i < CHILDREN; i++) {
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", v[i].pid);
        assert_true(readlink(path, theirs, sizeof(theirs) - 1) > 0);
        assert_string_not_equal(ours, theirs);
        server_assert_sealed(v[i].pid);
    }
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
another_owner_is_refused_with_a_reason(void **state)
{
    struct server *s = *state;
    const char *args[] = {server_path(s, "owner.conf"), NULL};

    server_file(s, "owner.conf",
                "tenant \"t\" { listen \"unix:@/sock\" { protocol = 9p }\n"
                "share \"rw\" { path = \"@/rw\" access = read-write owner = \"1:1\" } }\n");
    if (geteuid() == 0)
        assert_int_equal(chown(server_path(s, "owner.conf"), SERVER_USER, SERVER_USER), 0);
    assert_int_equal(server_run(s, "posternd", args), 1);
    assert_non_null(strstr(server_text(s, "err"), "owner.conf:2: share rw: owner = \"1:1\" needs"));
    assert_int_equal(access(server_path(s, "sock"), F_OK), -1);
}

static void
a_killed_posternd_takes_its_children_along(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];

    server_start(s, NULL);
    assert_int_equal(server_children(s, v, CHILDREN), CHILDREN);
    (void)server_stop(s, SIGKILL);
    for (size_t i = 0; i < CHILDREN; i++)
        server_await_gone(v[i].pid);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, server_teardown)
    const struct CMUnitTest tests[] = {
        CASE(an_ordinary_user_serves_its_own_files),
        CASE(groups_that_stay_are_warned_about),
        CASE(export_needs_neither_root_nor_a_policy),
        CASE(children_are_sealed_in_their_own_user_namespace),
        CASE(another_owner_is_refused_with_a_reason),
        CASE(a_killed_posternd_takes_its_children_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
