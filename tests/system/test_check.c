/*
 * The verbs that look at a policy and serve nothing: check and its warnings,
 * explain, policy print.
 */
#include "tests/lib/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/server.h"

static void
assert_says(const struct server *s, const char *name, const char *text)
{
    if (strstr(server_text(s, name), text) == NULL)
        fail_msg("\"%s\" is not in:\n%s", text, server_text(s, name));
}

static int
check(struct server *s, const char *option, const char *policy)
{
    const char *args[] = {"check", option != NULL ? option : policy, option != NULL ? policy : NULL,
                          NULL};

    return server_run(s, "postern", args);
}

#define TENANT(more) "tenant \"t\" { listen \"unix:@/sock\" { }\n" more "\n}\n"
#define SHARE(name, path, more) "share \"" name "\" { path = \"@/" path "\" " more " }\n"
#define RO "access = read-only "
#define RW "access = read-write owner = \"1000:1000\" "
#define OPPOSITE ": what one cannot change may change through the other\n"

static const struct {
    const char *policy, *line, *said; /* ":LINE: warning: ..." */
} rows[] = {
    {TENANT(SHARE("s", "rw", "access = read-write\nidentity = host")), ":3", "identity = host"},
    {TENANT(SHARE("s", "rw", RW "\nset-id = allow")), ":3", "set-id = allow"},
    {TENANT(SHARE("s", "rw", "access = read-write identity = host\ndevices = allow")), ":3",
     "devices = allow"},
    {TENANT(SHARE("s", "rw", RW "\nxattrs = { capability }")), ":3", "xattrs has capability"},
    {TENANT(SHARE("s", "rw", RW "\nhide = { a }")), ":3",
     "renaming on this machine uncovers a file"},
    {TENANT(SHARE("s", "rw", RW "protect = { \"no\", \n \"not\" }")), ":3",
     "protect \"not\": there is no such directory"},
    {TENANT(SHARE("s", "open", RW)), ":2", "every user of this machine may write to"},
    {TENANT(SHARE("a", "rw", RO) SHARE("b", "rw", RW)), ":3", "is the same tree as share a"},
    {TENANT(SHARE("a", "rw", RO) SHARE("b", "rw", RW)), ":3", OPPOSITE},
    {TENANT(SHARE("a", "ro", RW) SHARE("b", "ro/sub", RO)), ":3", "lies inside share a"},
    {TENANT(SHARE("a", "ro/sub", RW) SHARE("b", "ro", RO)), ":3", "has inside it share a"},
    {TENANT(SHARE("a", "ro", RO) SHARE("b", "ro/sub", RO)), ":3", "lies inside share a"},
    {TENANT(SHARE("a", "ro", RO)) "tenant u { listen \"unix:@/u\" { }\n" SHARE("b", "ro", RW) "}",
     ":6", "is the same tree as share a of tenant t"},
    {TENANT(SHARE("a", "rw", RW) "\nsandbox = best-effort"), ":4", "sandbox = best-effort"},
    {TENANT(SHARE("a", "rw", RW) "\ndelegates = { root }"), ":4",
     "root may show its guests directories of their own"},
    {TENANT(SHARE("a", "rw", RW) "listen \"tcp:0.0.0.0:0\" { allow-remote = yes }"), ":3",
     "other machines can reach it"},
    {TENANT(SHARE("s", "rw", "access = read-write identity = map\nids = \"7777+2\"")), ":3",
     "which is none of ids 7777+2"},
    {TENANT(SHARE("s", "rw", "access = read-write\nowner = \"0:0\"")), ":3",
     "belongs to root, so what guests make there will too"},
};

static void
dangerous_settings_are_warned_about_in_their_line(void **state)
{
    struct server *s = *state;
    char want[256];

    if (server_needs_root())
        return;
    assert_int_equal(mkdir(server_path(s, "open"), 0777), 0);
    assert_int_equal(chmod(server_path(s, "open"), 01777), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        server_file(s, "p.conf", rows[i].policy);
        (void)check(s, NULL, server_path(s, "p.conf"));
        (void)snprintf(want, sizeof(want), "p.conf%s: warning: ", rows[i].line);
        assert_says(s, "err", want);
        assert_says(s, "err", rows[i].said);
    }
}

static void
a_control_group_that_does_not_exist_is_an_error(void **state)
{
    struct server *s = *state;

    server_file(
        s, "p.conf",
        TENANT(SHARE("s", "ro", RO)) "control \"unix:@/c\" { group = \"no-such-group\" }\n");
    assert_int_equal(check(s, NULL, server_path(s, "p.conf")), 1);
    assert_says(s, "err", "p.conf:5: control: group \"no-such-group\": there is no such group");
    assert_string_equal(server_text(s, "out"), "");
    server_file(s, "p.conf",
                TENANT(SHARE("s", "ro", RO)) "control \"unix:@/c\" { group = \"daemon\" }\n");
    assert_int_equal(check(s, NULL, server_path(s, "p.conf")), 0);
}

static void
warnings_fail_a_strict_check_alone(void **state)
{
    struct server *s = *state;
    const char *const p = "p.conf";

    server_file(s, p, TENANT(SHARE("s", "ro", RO) "sandbox = best-effort"));
    assert_int_equal(check(s, NULL, server_path(s, p)), 0);
    assert_says(s, "out", "ok: 1 tenant, 1 share\n");
    assert_int_equal(check(s, "--strict", server_path(s, p)), 1);
    server_file(s, p, TENANT(SHARE("s", "ro", RO)));
    assert_int_equal(check(s, "--strict", server_path(s, p)), 0);
    assert_string_equal(server_text(s, "err"), "");
    server_file(s, p, TENANT(SHARE("s", "none", RO)));
    assert_int_equal(check(s, NULL, server_path(s, p)), 1);
    assert_says(s, "err", "p.conf:2: ");
    assert_says(s, "err", "does not exist");
    assert_int_equal(check(s, "--loose", server_path(s, p)), 2);
}

static int
explain(struct server *s, const char *op, const char *path, const char *option, const char *value)
{
    const char *args[] = {"explain",  server_path(s, "policy.conf"),
                          "--tenant", "t",
                          "--share",  "ro",
                          "--op",     op,
                          "--path",   path,
                          option,     value,
                          NULL};

    return server_run(s, "postern", args);
}

static void
explain_answers_with_its_exit_code(void **state)
{
    struct server *s = *state;
    const char *const no_policy[] = {"explain", "/none", "--tenant", "t", "--share", "s",
                                     "--op",    "read",  "--path",   "x", NULL};

    assert_int_equal(explain(s, "read", "x", NULL, NULL), 0);
    assert_says(s, "out", "allowed: share ro is read-only");
    assert_says(s, "out", "policy.conf:");
    assert_int_equal(explain(s, "write", "x", "--uid", "5"), 1);
    assert_says(s, "out", "refused EROFS: share ro is read-only\n");
    assert_int_equal(explain(s, "setxattr", "x", NULL, NULL), 2);
    assert_says(s, "err", "expected --xattr NAME");
    assert_int_equal(explain(s, "getxattr", "x", "--xattr", "trusted.x"), 1);
    assert_says(s, "out", "refused EOPNOTSUPP: ");
    assert_int_equal(explain(s, "read", "x", "--uid", "-1"), 2);
    assert_int_equal(explain(s, "read", "x", "--uid", "4294967295"), 2);
    assert_int_equal(explain(s, "read", "x", "--tenant", "t"), 2);
    assert_int_equal(explain(s, "read", "x", "--what", "t"), 2);
    assert_int_equal(explain(s, "read", "x", "--uid", NULL), 2);
    assert_int_equal(server_run(s, "postern", no_policy), 2);
}

static void
policy_print_prints_what_it_reads_the_same(void **state)
{
    struct server *s = *state;
    const char *first[] = {"policy", "print", server_path(s, "policy.conf"), NULL};
    const char *second[] = {"policy", "print", server_path(s, "once.conf"), NULL};
    const char *wrong[] = {"policy", "draw", server_path(s, "policy.conf"), NULL};
    const char *none[] = {"policy", "print", "/none", NULL};
    char once[65536];

    assert_int_equal(server_run(s, "postern", first), 0);
    (void)snprintf(once, sizeof(once), "%s", server_text(s, "out"));
    assert_non_null(strstr(once, "    sandbox = full\n"));
    server_file(s, "once.conf", once);
    assert_int_equal(server_run(s, "postern", second), 0);
    assert_string_equal(server_text(s, "out"), once);
    assert_int_equal(server_run(s, "postern", wrong), 2);
    assert_int_equal(server_run(s, "postern", none), 1);
    assert_says(s, "err", "/none:1: cannot open");
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, server_setup, server_teardown)
    const struct CMUnitTest tests[] = {
        CASE(dangerous_settings_are_warned_about_in_their_line),
        CASE(a_control_group_that_does_not_exist_is_an_error),
        CASE(warnings_fail_a_strict_check_alone),
        CASE(explain_answers_with_its_exit_code),
        CASE(policy_print_prints_what_it_reads_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
