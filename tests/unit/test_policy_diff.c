/*
 * Policies as one canonical text, and what is different between two of them.
 */
#include "tests/lib/test.h"

#include <stdlib.h>
#include <string.h>

#include "ipc/fd.h"
#include "policy/plan.h"
#include "tests/lib/policy.h"

#define L(name) " listen \"unix:/run/" name "\" { } "
#define S(name, more) " share \"" name "\" { path = \"/srv\" access = read-write " more " } "
#define T(name, more) "tenant \"" name "\" { " L(name) S("s", "") more " }\n"

static char *
printed(const char *text)
{
    struct plan *p = plan_of(text);
    char *out = NULL;
    size_t n;
    FILE *f = open_memstream(&out, &n);

    assert_non_null(f);
    assert_int_equal(plan_print(p, f), 0);
    assert_int_equal(fclose(f), 0);
    plan_free(p);
    return out;
}

static const char messy[] =
    "defaults { xattrs = { acl, user } limits { memory = 64M } }\n"
    "tenant b { listen 'tcp:[0:0::1]:564' { } listen \"vsock:any:5\" { } "
    "  listen \"systemd:x\" { allow-remote = yes } " S(
        "s", "") "}\n"
                 "tenant \"a\" { sandbox = best-effort delegates = { root, '@root' }\n"
                 " share z { access = read-only path = '/a\\b\"c' hide = { b, a } }\n"
                 " share m { identity = map path = \"/m\" access = read-write ids = \"9+9\""
                 "   groups = { \"8:3,1\", \"0:2\" } protect = { \"x/y\", a } }\n"
                 " share h { identity = host devices = allow path = \"/h\" access = read-only "
                 "groups = { } "
                 "   only = { \"ca.pem\" } xattrs = { } }\n"
                 " share d { owner = 1:2 present-as = 3:4 path = \"/d\" access = read-only set-id "
                 "= allow }\n"
                 " listen \"unix:/run/a\" { group = \"kvm\" } limits { cpu-weight = 7 read-rate = "
                 "1M } }\n"
                 "control \"unix:/run/c\" { group = \"adm\" }\n";

#define DEFAULT_LIMITS                                                                             \
    "        connections = 1024\n"                                                                 \
    "        fids = 65536\n"                                                                       \
    "        in-flight = 256\n"                                                                    \
    "        nodes = 262144\n"                                                                     \
    "        open-files = 4096\n"                                                                  \
    "        msize = 1048600\n"                                                                    \
    "        memory = 67108864\n"

static const char neat[] = "control \"unix:/run/c\" {\n"
                           "    group = \"adm\"\n"
                           "}\n"
                           "tenant \"a\" {\n"
                           "    sandbox = best-effort\n"
                           "    delegates = { \"@root\", \"root\" }\n"
                           "    listen \"unix:/run/a\" {\n"
                           "        protocol = 9p\n"
                           "        group = \"kvm\"\n"
                           "    }\n"
                           "    share \"d\" {\n"
                           "        path = \"/d\"\n"
                           "        access = read-only\n"
                           "        identity = squash\n"
                           "        owner = \"1:2\"\n"
                           "        present-as = \"3:4\"\n"
                           "        set-id = allow\n"
                           "        xattrs = { user, acl }\n"
                           "        submounts = refuse\n"
                           "    }\n"
                           "    share \"h\" {\n"
                           "        path = \"/h\"\n"
                           "        access = read-only\n"
                           "        identity = host\n"
                           "        groups = { }\n"
                           "        set-id = refuse\n"
                           "        devices = allow\n"
                           "        xattrs = { }\n"
                           "        submounts = refuse\n"
                           "        only = { \"ca.pem\" }\n"
                           "    }\n"
                           "    share \"m\" {\n"
                           "        path = \"/m\"\n"
                           "        access = read-write\n"
                           "        identity = map\n"
                           "        ids = \"9+9\"\n"
                           "        groups = { \"0:2\", \"8:1,3\" }\n"
                           "        set-id = refuse\n"
                           "        xattrs = { user, acl }\n"
                           "        submounts = refuse\n"
                           "        protect = { \"a\", \"x/y\" }\n"
                           "    }\n"
                           "    share \"z\" {\n"
                           "        path = \"/a\\\\b\\\"c\"\n"
                           "        access = read-only\n"
                           "        identity = squash\n"
                           "        set-id = refuse\n"
                           "        xattrs = { user, acl }\n"
                           "        submounts = refuse\n"
                           "        hide = { \"a\", \"b\" }\n"
                           "    }\n"
                           "    limits {\n" DEFAULT_LIMITS "        cpu-weight = 7\n"
                           "        read-rate = 1048576\n"
                           "    }\n"
                           "}\n"
                           "tenant \"b\" {\n"
                           "    sandbox = full\n"
                           "    listen \"systemd:x\" {\n"
                           "        protocol = 9p\n"
                           "        allow-remote = yes\n"
                           "    }\n"
                           "    listen \"tcp:[::1]:564\" {\n"
                           "        protocol = 9p\n"
                           "        allow-remote = no\n"
                           "    }\n"
                           "    listen \"vsock:5\" {\n"
                           "        protocol = 9p\n"
                           "    }\n"
                           "    share \"s\" {\n"
                           "        path = \"/srv\"\n"
                           "        access = read-write\n"
                           "        identity = squash\n"
                           "        set-id = refuse\n"
                           "        xattrs = { user, acl }\n"
                           "        submounts = refuse\n"
                           "    }\n"
                           "    limits {\n" DEFAULT_LIMITS "    }\n"
                           "}\n";

static void
a_plan_is_printed_sorted_with_its_defaults(void **state)
{
    _clean(clean_free) char *text = printed(messy);

    (void)state;
    assert_string_equal(text, neat);
}

static void
what_is_printed_prints_the_same(void **state)
{
    static const char *const texts[] = {
        messy, neat, T("t", ""),
        /* sorted one way as written, another way as printed */
        "tenant t { listen \"vsock:2:5\" { } listen \"vsock:host:4\" { } " S("s", "") "}",
        "tenant t { listen \"tcp:127.0.0.1:1\" { } listen \"tcp:127.0.0.1:0\" { }"
        " listen \"tcp:[::]:0\" { allow-remote = yes } listen \"vsock:host:2\" { } " S("s",
                                                                                       "") "}"};

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        _clean(clean_free) char *once = printed(texts[i]);
        _clean(clean_free) char *twice = printed(once);

        assert_string_equal(once, twice);
    }
}

/* --- differences --- */

static const struct {
    const char *old, *new;
    const char *said; /* a line for each change */
} rows[] = {
    {messy, neat, ""},
    {T("t", ""), T("t", "sandbox = full limits { nodes = 262144 }"), ""},
    {T("a", "") T("b", ""), T("b", "") T("a", ""), ""},
    {T("t", S("w", "hide = { a, b }")), T("t", S("w", "hide = { b, a }")), ""},
    {T("a", ""), T("b", ""), "tenant a removed\ntenant b added\n"},
    {T("a", "") T("c", ""), T("c", S("x", "")) T("b", ""),
     "tenant a removed\ntenant c: share x added\ntenant b added\n"},
    {T("t", S("w", "")), T("t", ""), "tenant t: share w removed\n"},
    {T("t", S("w", "") S("x", "")), T("t", S("x", "set-id = allow hide = { a }") S("y", "")),
     "tenant t: share w removed\ntenant t: share x changed: set-id, hide\n"
     "tenant t: share y added\n"},
    {T("t", ""), "defaults { submounts = hide }\n" T("t", ""),
     "tenant t: share s changed: submounts\n"},
    {T("t", S("w", "identity = map ids = \"9+9\"")), T("t", S("w", "identity = map ids = \"8+9\"")),
     "tenant t: share w changed: ids\n"},
    {T("t", ""), T("t", "sandbox = best-effort limits { memory = 1G fids = 3 }"),
     "tenant t: settings changed: sandbox\ntenant t: limits changed: fids, memory\n"},
    {T("t", ""), T("t", "delegates = { root }"), "tenant t: settings changed: delegates\n"},
    {T("t", ""), T("t", L("u")), "tenant t: addresses changed\n"},
    {T("t", L("u")), T("t", ""), "tenant t: addresses changed\n"},
    {T("t", L("u")), T("t", L("v")), "tenant t: addresses changed\n"},
    {T("t", "listen \"unix:/x\" { }"), T("t", "listen \"unix:/x\" { group = kvm }"),
     "tenant t: addresses changed\n"},
    {T("t", "listen \"tcp:[::1]:5\" { }"), T("t", "listen \"tcp:[0::1]:5\" { }"), ""},
    {T("t", "listen \"vsock:host:0\" { }"), T("t", "listen \"vsock:2:0\" { }"), ""},
    {T("t", ""), T("t", "") "control \"unix:/c\" { }", "control changed\n"},
    {T("t", "") "control \"unix:/c\" { }", T("t", ""), "control changed\n"},
    {T("t", "") "control \"unix:/c\" { }", T("t", "") "control \"unix:/d\" { }",
     "control changed\n"},
    {T("t", "") "control \"unix:/c\" { }", T("t", "") "control \"unix:/c\" { group = adm }",
     "control changed\n"},
};

static void
differences_are_told_and_nothing_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct plan *old = plan_of(rows[i].old), *new = plan_of(rows[i].new);
        struct plan_diff diff = {0};
        char said[1024] = "", line[256];

        assert_int_equal(plan_diff(old, new, &diff), 0);
        for (size_t k = 0; k < diff.n; k++) {
            size_t at = strlen(said);

            plan_change_text(&diff.at[k], line, sizeof(line));
            (void)snprintf(said + at, sizeof(said) - at, "%s\n", line);
        }
        if (strcmp(said, rows[i].said) != 0)
            print_error("row %zu\n", i);
        assert_string_equal(said, rows[i].said);
        plan_diff_done(&diff);
        plan_free(old);
        plan_free(new);
    }
}

static void
a_change_has_both_sides_of_it(void **state)
{
    struct plan *old = plan_of(T("t", S("w", ""))), *new = plan_of(T("t", S("w", "hide = { a }")));
    struct plan_diff diff = {0};

    (void)state;
    assert_int_equal(plan_diff(old, new, &diff), 0);
    assert_int_equal(diff.n, 1);
    assert_int_equal(diff.at[0].kind, CHANGE_SHARE_CHANGED);
    assert_ptr_equal(diff.at[0].old_tenant, &old->tenants[0]);
    assert_ptr_equal(diff.at[0].new_tenant, &new->tenants[0]);
    assert_ptr_equal(diff.at[0].old_share, &old->tenants[0].shares[1]);
    assert_ptr_equal(diff.at[0].new_share, &new->tenants[0].shares[1]);
    plan_diff_done(&diff);
    plan_free(old);
    plan_free(new);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_is_printed_sorted_with_its_defaults),
        cmocka_unit_test(what_is_printed_prints_the_same),
        cmocka_unit_test(differences_are_told_and_nothing_else),
        cmocka_unit_test(a_change_has_both_sides_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
