/*
 * Shares added to and taken from a real server by the command line, while a
 * guest is connected.
 */
#include "tests/lib/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/server.h"

static const char policy[] = "control \"unix:@/control\" { }\n"
                             "tenant \"t\" {\n"
                             "    listen \"unix:@/sock\" { }\n"
                             "    share \"ro\" { path = \"@/ro\"  access = read-only }\n"
                             "}\n";

static struct server daemon_of_all;

static int
setup(void **state)
{
    static struct server s;

    server_init(&s, false);
    server_file(&s, "policy.conf", policy);
    daemon_of_all = s;
    server_start(&daemon_of_all, NULL);
    s.pid = -1;
    *state = &s;
    return 0;
}

static int
teardown(void **state)
{
    assert_int_equal(server_stop(&daemon_of_all, SIGTERM), 0);
    server_done(*state);
    return 0;
}

/* postern WORD... with --control; output in "out" and "err". */
static int
ask(struct server *s, const char *const *words)
{
    const char *args[16] = {NULL};
    size_t n = 0;

    for (; n < 12 && words[n] != NULL; n++)
        args[n] = words[n];
    args[n++] = "--control";
    args[n] = server_path(s, "control");
    return server_run(s, "postern", args);
}
#define ASK(s, ...) ask(s, (const char *const[]){__VA_ARGS__, NULL})

static void
assert_says(const struct server *s, const char *name, const char *text)
{
    if (strstr(server_text(s, name), text) == NULL)
        fail_msg("\"%s\" is not in:\n%s", text, server_text(s, name));
}

static int
cat(struct server *s, const char *path)
{
    const char *args[] = {"cat", s->address, path, NULL};

    return server_run(s, "postern", args);
}

static void
a_share_comes_is_seen_and_goes(void **state)
{
    struct server *s = *state;

    server_file(s, "rw/file", "of the new share\n");
    assert_int_equal(cat(s, "new/file"), 1);
    assert_int_equal(ASK(s, "share", "add", "t", "new", server_path(s, "rw"), "--ro"), 0);
    assert_says(s, "out", "t/new: added, read-only ");
    assert_int_equal(cat(s, "new/file"), 0);
    assert_string_equal(server_text(s, "out"), "of the new share\n");
    assert_int_equal(ASK(s, "share", "list", "t", "--columns", "share,state,access,reservations",
                         "--no-headings"),
                     0);
    assert_string_equal(server_text(s, "out"), "ro  added read-only \n"
                                               "new added read-only new\n");
    assert_int_equal(ASK(s, "share", "remove", "t", "new"), 0);
    assert_int_equal(cat(s, "new/file"), 1);
}

static void
the_same_command_again_is_the_same_reservation(void **state)
{
    struct server *s = *state;
    const char *path = server_path(s, "rw");

    for (int i = 0; i < 3; i++)
        assert_int_equal(ASK(s, "share", "add", "t", "x", path, "--rw"), 0);
    assert_int_equal(ASK(s, "share", "add", "t", "x", path, "--ro"), 1);
    assert_says(s, "err", "postern: share add: ");
    for (int i = 0; i < 3; i++)
        assert_int_equal(ASK(s, "share", "remove", "t", "x"), 0);
    assert_int_equal(cat(s, "x/none"), 1);
}

static void
what_is_reserved_is_not_seen_until_it_is_added(void **state)
{
    struct server *s = *state;

    assert_int_equal(ASK(s, "share", "reserve", "t", "x", server_path(s, "ro"), "--ro"), 0);
    assert_says(s, "out", "t/x: reserved, read-only ");
    assert_int_equal(cat(s, "x/hello.txt"), 1);
    assert_int_equal(ASK(s, "share", "add", "t", "x"), 0);
    assert_int_equal(cat(s, "x/hello.txt"), 0);
    assert_int_equal(ASK(s, "share", "show", "t", "x", "--json", "--columns", "state,in_policy"),
                     0);
    assert_says(s, "out", "\"state\": \"added\",\n      \"in_policy\": false\n");
    assert_int_equal(ASK(s, "share", "remove", "t", "x"), 0);
}

/* Byte for byte, or refused with a reason; never another directory. */
static void
paths_with_odd_bytes_are_that_path_or_refused(void **state)
{
    static const struct {
        const char *name;
        int exit;
    } rows[] = {
        {"a b", 0},
        {"a\"b", 0},
        {"a\\b", 0},
        {"a\\", 0},
        {"a,b", 0},
        {"'a'", 0},
        {"{a}", 0},
        {"#a", 0},
        {"\xff", 0},
        {"$(a)", 0},
        {"\" access = read-write path = \"", 0},
        {"a\nb", 2},
        {"a|b", 2},
        {"${HOME}", 2},
        {"\033[2J", 2},
    };
    struct server *s = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        char name[96];
        const char *dir;

        (void)snprintf(name, sizeof(name), "rw/%s", rows[i].name);
        dir = server_path(s, name);
        assert_int_equal(mkdir(dir, 0755), 0);
        if (geteuid() == 0)
            assert_int_equal(chown(dir, SERVER_OWNER, SERVER_OWNER), 0);
        (void)snprintf(name, sizeof(name), "rw/%s/which", rows[i].name);
        server_file(s, name, rows[i].name);
        assert_int_equal(ASK(s, "share", "add", "t", "odd", dir, "--ro"), rows[i].exit);
        if (rows[i].exit != 0)
            continue;
        assert_int_equal(cat(s, "odd/which"), 0);
        assert_string_equal(server_text(s, "out"), rows[i].name);
        assert_int_equal(ASK(s, "share", "remove", "t", "odd"), 0);
    }
}

static void
refusals_are_exit_code_1_and_leave_nothing(void **state)
{
    struct server *s = *state;
    const char *rw = server_path(s, "rw");

    assert_int_equal(ASK(s, "share", "add", "none", "x", rw, "--ro"), 1);
    assert_int_equal(ASK(s, "share", "add", "t", "ro", rw, "--ro"), 1);
    assert_int_equal(ASK(s, "share", "add", "t", "x", server_path(s, "none"), "--ro"), 1);
    assert_int_equal(ASK(s, "share", "add", "t", "../x", rw, "--ro"), 1);
    assert_int_equal(ASK(s, "share", "add", "t", "x", rw, "--ro", "--set", "wat = 1"), 1);
    assert_says(s, "err", "unknown setting \"wat\"");
    assert_int_equal(ASK(s, "share", "add", "t", "x"), 1);
    assert_int_equal(ASK(s, "share", "remove", "t", "ro"), 1);
    assert_int_equal(ASK(s, "share", "show", "t", "x"), 1);
    assert_int_equal(ASK(s, "share", "list", "--no-headings", "--columns", "share"), 0);
    assert_string_equal(server_text(s, "out"), "ro\n");
    assert_int_equal(cat(s, "ro/hello.txt"), 0);
}

static void
status_ps_and_completion_know_the_server(void **state)
{
    struct server *s = *state;

    assert_int_equal(ASK(s, "status", "--no-headings", "--columns", "tenant,state,shares"), 0);
    assert_string_equal(server_text(s, "out"), "t serving 1\n");
    assert_int_equal(ASK(s, "ps", "t", "--no-headings", "--columns", "profile,share"), 0);
    assert_string_equal(server_text(s, "out"), "worker    -\nhelper-ro ro\n");
    assert_int_equal(ASK(s, "ps", "--json"), 0);
    assert_says(s, "out", "\"seccomp\"");
    assert_int_equal(
        server_run(s, "postern",
                   (const char *const[]){"complete", "--", "share", "show", "--control",
                                         server_path(s, "control"), "t", "", NULL}),
        0);
    assert_string_equal(server_text(s, "out"), "ro\n");
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_share_comes_is_seen_and_goes),
        CASE(the_same_command_again_is_the_same_reservation),
        CASE(what_is_reserved_is_not_seen_until_it_is_added),
        CASE(paths_with_odd_bytes_are_that_path_or_refused),
        CASE(refusals_are_exit_code_1_and_leave_nothing),
        CASE(status_ps_and_completion_know_the_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
