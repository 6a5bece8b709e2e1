/*
 * Settings that the command line writes, read back by the policy parser: a
 * path arrives byte for byte or is refused, and no value becomes a setting.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/settings.h"
#include "policy/plan.h"

static struct plan *plan;

static int
setup(void **state)
{
    (void)state;
    return plan_new("t", &plan);
}

static int
teardown(void **state)
{
    (void)state;
    plan_free(plan);
    return 0;
}

/* The share of these settings, as the server reads them; or NULL when it refuses
 * them. */
static struct plan_share *
load(const char *text)
{
    struct plan_share *sh = NULL;
    char *why = NULL;

    (void)plan_parse_share(plan, &plan->tenants[0], "x", text, strlen(text), &sh, &why);
    free(why);
    return sh;
}

static void
assert_share_is(const struct plan_share *sh, const char *path)
{
    assert_string_equal(sh->name, "x");
    assert_string_equal(sh->path, path);
    assert_int_equal(sh->access, ACCESS_READ_ONLY);
}

static int
settings(const char *path, const char *set, char **ret)
{
    const char *why = NULL;
    int which = -2, r;

    *ret = NULL;
    r = settings_text(path, "read-only", &set, set == NULL ? 0 : 1, ret, &why, &which);
    if (r == -EINVAL) {
        assert_non_null(why);
        assert_in_range(which + 1, 0, 1);
        assert_null(*ret);
    }
    return r;
}

static void
every_path_arrives_byte_for_byte(void **state)
{
    static const char *const paths[] = {
        "/",
        "/srv/a b",
        "/srv/a\"b",
        "/srv/\"",
        "/srv/a\\b",
        "/srv/a\\",
        "/srv/\\\"",
        "/srv/\\\\\"\\",
        "/srv/a,b",
        "/srv/a;b",
        "/srv/'a'",
        "/srv/{a}",
        "/srv/a}",
        "/srv/# no comment",
        "/srv/a$b",
        "/srv/a$",
        "/srv/$(a)`b`",
        "/srv/a\" access = read-write path = \"b",
        "/srv/x\" } share \"evil\" { path = \"/etc\" access = read-write",
        "/srv/x\\\" } share \\\"evil",
        "/srv/include(\"b\")",
        "/srv/gr\xc3\xbc\xc3\x9f",
        "/srv/\xff\xfe\x80",
        "/srv/a = b",
        "/srv/ ",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        struct plan_share *sh;
        char *text;

        assert_int_equal(settings(paths[i], NULL, &text), 0);
        sh = load(text);
        if (sh == NULL) {
            fail_msg("%s is not read as a path", paths[i]);
            return;
        }
        assert_share_is(sh, paths[i]);
        plan_share_free(sh);
        free(text);
    }
}

static void
paths_that_a_policy_cannot_hold_are_refused(void **state)
{
    static const char *const paths[] = {"/a\nb",    "/a\n}", "/\n",  "/a\tb",     "/a\rb",
                                        "/a\x1b[m", "/\x7f", "/a|b", "/a${HOME}", "/\x01"};
    char *text;

    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++)
        assert_int_equal(settings(paths[i], NULL, &text), -EINVAL);
}

static void
a_plain_value_gets_its_quotes_and_others_stay(void **state)
{
    static const struct {
        const char *set, *text;
    } rows[] = {
        {"owner = 1000:1000", "owner = \"1000:1000\"\n"},
        {"owner=1000:1000", "owner = \"1000:1000\"\n"},
        {"  owner =  1 ", "owner = \"1\"\n"},
        {"ids = 100000+65536", "ids = \"100000+65536\"\n"},
        {"owner = \"1:1\"", "owner = \"1:1\"\n"},
        {"owner = '1:1'", "owner = '1:1'\n"},
        {"hide = { \"*.pem\", '.ssh' , a }", "hide = { \"*.pem\", '.ssh' , a }\n"},
        {"hide = {}", "hide = {}\n"},
        {"hide = { }", "hide = { }\n"},
        {"hide = { \"}\" }", "hide = { \"}\" }\n"},
        {"x = a\"b\\c", "x = \"a\\\"b\\\\c\"\n"},
        {"x = a path = /etc", "x = \"a path = /etc\"\n"},
    };
    static const char before[] = "path = \"/p\"\naccess = read-only\n";
    char *text;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(settings("/p", rows[i].set, &text), 0);
        assert_int_equal(strncmp(text, before, sizeof(before) - 1), 0);
        assert_string_equal(text + sizeof(before) - 1, rows[i].text);
        free(text);
    }
}

static void
a_set_that_is_more_or_less_than_one_setting_is_refused(void **state)
{
    static const char *const sets[] = {
        "",
        "=",
        "owner",
        "owner =",
        "owner = ",
        "= 1:1",
        "owner \"1:1\"",
        "Owner = 1:1",
        "own er = 1:1",
        "owner } = 1",
        "owner = \"1:1\" path = \"/etc\"",
        "owner = \"1:1\"path = \"/etc\"",
        "owner = \"1:1\" }",
        "owner = \"1:1\" # a",
        "owner = \"1:1",
        "owner = \"1:1\\\"",
        "owner = '1:1",
        "owner = \"",
        "owner = \"a\nb\"",
        "owner = 1:1\npath = /etc",
        "owner = \"${HOME}\"",
        "hide = { \"a\" } path = \"/etc\"",
        "hide = { \"a\" } }",
        "hide = { \"a\"",
        "hide = {",
        "hide = { \"a }",
        "hide = { { \"a\" } }",
        "hide = { \"a\" \"b\" }",
        "hide = { \"a\", # }",
        "hide = { /* } */ }",
        "hide = { a = b }",
        "} share \"evil\" { path = \"/etc\"",
        "include(\"/etc/x\")",
        "path = { \"/a\" } access = read-write",
    };
    char *text;

    (void)state;
    for (size_t i = 0; i < COUNT(sets); i++)
        if (settings("/p", sets[i], &text) != -EINVAL)
            fail_msg("not refused: %s", sets[i]);
}

/* Pieces that mean something to one scanner or the other, in all threes: what
 * passes is one share with its path and access, or the policy refuses it. */
static void
no_value_becomes_another_setting(void **state)
{
    static const char *const pieces[] = {
        "\"",
        "'",
        "\\",
        "{",
        "}",
        ",",
        "=",
        "#",
        "//",
        "/*",
        "*/",
        " ",
        "owner",
        "1:1",
        "a",
        "(",
        ")",
        "$",
        "{ \"",
        "\" }",
        "\" path = \"/etc\" a = \"",
        "} share \"evil\" { path = \"/e\" access = read-write",
    };
    size_t n = COUNT(pieces), read = 0;

    (void)state;
    for (size_t i = 0; i < n * n * n; i++) {
        char set[256], *text;
        struct plan_share *sh;

        (void)snprintf(set, sizeof(set), "owner = %s%s%s", pieces[i / n / n], pieces[i / n % n],
                       pieces[i % n]);
        if (settings("/p", set, &text) != 0)
            continue;
        sh = load(text);
        free(text);
        if (sh == NULL)
            continue;
        assert_share_is(sh, "/p");
        plan_share_free(sh);
        read++;
    }
    assert_true(read > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_path_arrives_byte_for_byte),
        cmocka_unit_test(paths_that_a_policy_cannot_hold_are_refused),
        cmocka_unit_test(a_plain_value_gets_its_quotes_and_others_stay),
        cmocka_unit_test(a_set_that_is_more_or_less_than_one_setting_is_refused),
        cmocka_unit_test(no_value_becomes_another_setting),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
