/*
 * protect, hide and only: from the policy file to what a guest gets, as root
 * and as an ordinary user.
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

#define SANDBOX_EXIT 78

static const char policy[] = "tenant \"t\" {\n"
                             "    listen \"unix:@/sock\" {}\n"
                             "    share \"work\" { path = \"@/rw\" access = read-write\n"
                             "                   protect = { \"releases\", \"a/b\" }\n"
                             "                   hide = { \"*.pem\", \".ssh\" } }\n"
                             "    share \"cert\" { path = \"@/rw\" access = read-only\n"
                             "                   only = { \"ca.pem\", \"later\" } }\n"
                             "}\n";

static void
make(const struct server *s, const char *name)
{
    unsigned id = s->as_user ? SERVER_USER : SERVER_OWNER;

    assert_int_equal(mkdir(server_path(s, name), 0755), 0);
    if (geteuid() == 0)
        assert_int_equal(chown(server_path(s, name), id, id), 0);
}

static void
set_up(struct server *s, bool as_user)
{
    static const char *const dirs[] = {"rw/releases", "rw/a", "rw/a/b", "rw/.ssh"};

    server_init(s, as_user);
    for (unsigned i = 0; i < COUNT(dirs); i++)
        make(s, dirs[i]);
    server_file(s, "rw/ca.pem", "first");
    server_file(s, "rw/key", "secret");
    server_file(s, "policy.conf", policy);
    if (as_user && geteuid() == 0)
        assert_int_equal(chown(server_path(s, "policy.conf"), SERVER_USER, SERVER_USER), 0);
}

static int
as_root(void **state)
{
    static struct server s;

    set_up(&s, false);
    *state = &s;
    return 0;
}

static int
as_user(void **state)
{
    static struct server s;

    set_up(&s, true);
    *state = &s;
    return 0;
}

static int
teardown(void **state)
{
    server_done(*state);
    return 0;
}

/* Walk from fid 0, as far as that goes; 0 when all the way. */
static int
walk(struct nc *c, uint32_t fid, const char *one, const char *two)
{
    const char *const names[] = {one, two};
    size_t want = two == NULL ? 1 : 2, n = 0;
    int r = nc_walk(c, 0, fid, want, names, NULL, &n);

    return r < 0 ? r : n < want ? -ENOENT : 0;
}

static void
names_of_the_work_share(const struct server *s)
{
    struct nc *c = server_attach(s, "work");

    assert_int_equal(walk(c, 1, "ca.pem", NULL), -ENOENT);
    assert_int_equal(walk(c, 1, ".ssh", NULL), -ENOENT);
    assert_int_equal(nc_mkdir(c, 0, ".ssh", 0755, 0, NULL), -EPERM);
    assert_int_equal(nc_renameat(c, 0, "key", 0, "key.pem"), -EPERM);
    assert_int_equal(nc_unlinkat(c, 0, "ca.pem", 0), -ENOENT);
    assert_int_equal(walk(c, 1, "releases", NULL), 0);
    assert_int_equal(nc_mkdir(c, 1, "new", 0755, 0, NULL), -EROFS);
    assert_int_equal(walk(c, 2, "a", "b"), 0);
    assert_int_equal(nc_mkdir(c, 2, "new", 0755, 0, NULL), -EROFS);
    assert_int_equal(nc_renameat(c, 0, "a", 0, "x"), -EBUSY);
    assert_int_equal(nc_renameat(c, 0, "releases", 0, "x"), -EBUSY);
    assert_int_equal(nc_remove(c, 1), -EBUSY);
    assert_int_equal(nc_mkdir(c, 0, "new", 0755, 0, NULL), 0);
    nc_close(c);
}

static void
text_is(struct nc *c, uint32_t fid, const char *text)
{
    char got[32] = "";

    assert_int_equal(nc_read(c, fid, 0, got, sizeof(got) - 1), (ssize_t)strlen(text));
    assert_string_equal(got, text);
}

static void
names_of_the_cert_share(const struct server *s)
{
    struct nc *c = server_attach(s, "cert");

    assert_int_equal(walk(c, 1, "key", NULL), -ENOENT);
    assert_int_equal(walk(c, 1, "a", "b"), -ENOENT);
    assert_int_equal(walk(c, 1, "later", NULL), -ENOENT);
    assert_int_equal(walk(c, 1, "ca.pem", NULL), 0);
    assert_int_equal(nc_lopen(c, 1, NINE_O_RDONLY, NULL, NULL), 0);
    text_is(c, 1, "first");
    server_file(s, "rw/ca.tmp", "the second");
    assert_int_equal(rename(server_path(s, "rw/ca.tmp"), server_path(s, "rw/ca.pem")), 0);
    server_file(s, "rw/later", "");
    assert_int_equal(walk(c, 2, "ca.pem", NULL), 0);
    assert_int_equal(nc_lopen(c, 2, NINE_O_RDONLY, NULL, NULL), 0);
    text_is(c, 2, "the second");
    text_is(c, 1, "first");
    assert_int_equal(walk(c, 3, "later", NULL), 0);
    assert_int_equal(nc_unlinkat(c, 0, "key", 0), -EROFS);
    nc_close(c);
}

static void
a_guest_gets_what_the_policy_says(void **state)
{
    struct server *s = *state;

    if (!s->as_user && server_needs_root())
        return;
    server_start(s, NULL);
    names_of_the_work_share(s);
    names_of_the_cert_share(s);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
a_protected_directory_that_is_not_there_is_named_and_nothing_starts(void **state)
{
    struct server *s = *state;
    const char *args[] = {server_path(s, "policy.conf"), NULL};

    if (!s->as_user && server_needs_root())
        return;
    assert_int_equal(rmdir(server_path(s, "rw/a/b")), 0);
    assert_int_equal(server_run(s, "posternd", args), SANDBOX_EXIT);
    assert_non_null(strstr(server_text(s, "err"), "t/work: protect: \"a/b\" does not exist: "));
    assert_int_equal(symlink("../releases", server_path(s, "rw/a/b")), 0);
    assert_int_equal(server_run(s, "posternd", args), SANDBOX_EXIT);
    assert_non_null(strstr(server_text(s, "err"), "t/work: protect: \"a/b\" is a symbolic link "));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_guest_gets_what_the_policy_says, as_root, teardown),
        cmocka_unit_test_setup_teardown(a_guest_gets_what_the_policy_says, as_user, teardown),
        cmocka_unit_test_setup_teardown(
            a_protected_directory_that_is_not_there_is_named_and_nothing_starts, as_root, teardown),
        cmocka_unit_test_setup_teardown(
            a_protected_directory_that_is_not_there_is_named_and_nothing_starts, as_user, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
