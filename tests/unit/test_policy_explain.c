/*
 * What a policy says to "may this guest do that": the answer, and the line
 * that gives it.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/fd.h"
#include "policy/plan.h"
#include "tests/lib/policy.h"

static const char policy[] = "defaults { submounts = hide\n"                                /* 1 */
                             "hide = { \"*.pem\",\n"                                        /* 2 */
                             "\".ssh\" } }\n"                                               /* 3 */
                             "tenant t { listen 'unix:/t' { }\n"                            /* 4 */
                             "share ro { path = '/ro'\n"                                    /* 5 */
                             "access = read-only }\n"                                       /* 6 */
                             "share rw { path = '/rw' owner = 7:8\n"                        /* 7 */
                             "access = read-write xattrs = { acl }\n"                       /* 8 */
                             "protect = { a,\n"                                             /* 9 */
                             "\"b/c\" } }\n"                                                /* 10 */
                             "share only { path = '/o' access = read-write hide = { }\n"    /* 11 */
                             "only = { \"ca.crt\" } }\n"                                    /* 12 */
                             "share map { path = '/m' access = read-write identity = map\n" /* 13 */
                             "ids = \"1000+10\" }\n"                                        /* 14 */
                             "share host { path = '/h' access = read-write\n"               /* 15 */
                             "identity = host }\n"                                          /* 16 */
                             "share dev { path = '/h' access = read-write\n"                /* 17 */
                             "identity = host devices = allow }\n"                          /* 18 */
                             "share st { path = '/s' access = read-write identity = stored }\n"
                             "share id { path = '/s' access = read-write set-id = allow\n" /* 20 */
                             "xattrs = { user } } }\n";

static const struct {
    const char *share, *op, *path, *xattr;
    int uid; /* -1: nobody */
    int err;
    unsigned line;
    const char *why; /* a part of it */
} rows[] = {
    /* access */
    {"ro", "read", "x", NULL, -1, 0, 6, "share ro is read-only, as the owner of /ro"},
    {"ro", "write", "x", NULL, -1, EROFS, 6, "share ro is read-only"},
    {"ro", "create", "x", NULL, -1, EROFS, 6, "read-only"},
    {"ro", "delete", "x", NULL, -1, EROFS, 6, "read-only"},
    {"ro", "chmod", "", NULL, -1, EROFS, 6, "read-only"},
    {"ro", "fsync", "x", NULL, -1, EROFS, 6, "read-only"},
    {"ro", "write", "x.pem", NULL, -1, EROFS, 6, "read-only"}, /* before hide */
    {"rw", "write", "/x", NULL, -1, 0, 8, "share rw is read-write, as uid 7 of this machine"},
    {"rw", "list", "/", NULL, -1, 0, 8, "read-write"},

    /* hide */
    {"ro", "read", "d/x.pem", NULL, -1, ENOENT, 2, "\"x.pem\" is hidden by \"*.pem\""},
    {"rw", "read", ".ssh/id", NULL, -1, ENOENT, 3, "\".ssh\" is hidden by \".ssh\""},
    {"rw", "create", "x.pem", NULL, -1, EPERM, 2, "hidden"},
    {"rw", "create", ".ssh/x", NULL, -1, ENOENT, 3, "hidden"},
    {"rw", "rename", "x.pem", NULL, -1, ENOENT, 2, "hidden"},
    {"rw", "create", "x.pe", NULL, -1, 0, 8, "read-write"},

    /* only */
    {"only", "read", "ca.crt", NULL, -1, 0, 11, "read-write"},
    {"only", "read", "", NULL, -1, 0, 11, "read-write"},
    {"only", "read", "ca.crt2", NULL, -1, ENOENT, 12, "\"ca.crt2\" is not among"},
    {"only", "read", "c", NULL, -1, ENOENT, 12, "\"c\" is not among"},
    {"only", "create", "new", NULL, -1, EPERM, 12, "\"new\" is not among"},
    {"only", "read", "d/x", NULL, -1, ENOENT, 12, "\"d\" is not among"},

    /* protect */
    {"rw", "write", "a/x/y", NULL, -1, EROFS, 9, "\"a\" is protected with all below it"},
    {"rw", "chmod", "a", NULL, -1, EROFS, 9, "protected with all"},
    {"rw", "read", "a/x", NULL, -1, 0, 8, "read-write"},
    {"rw", "create", "b/c/x", NULL, -1, EROFS, 10, "\"b/c\" is protected"},
    {"rw", "create", "b/x", NULL, -1, 0, 8, "read-write"},
    {"rw", "create", "ab", NULL, -1, 0, 8, "read-write"},
    {"rw", "rename", "b", NULL, -1, EBUSY, 10, "\"b/c\" is protected and stays"},
    {"rw", "delete", "a", NULL, -1, EBUSY, 9, "\"a\" is protected and stays"},

    /* identity */
    {"rw", "chown", "x", NULL, -1, EPERM, 7, "every file has the same owner"},
    {"st", "chown", "x", NULL, -1, 0, 19, "as the owner of /s"},
    {"map", "chown", "x", NULL, -1, 0, 13, "read-write"},
    {"map", "read", "x", NULL, 9, 0, 13, "as uid 1009 of this machine"},
    {"map", "read", "x", NULL, 10, EPERM, 14, "uid 10 is none of the 10 ids"},
    {"host", "write", "x", NULL, 5, 0, 15, "as uid 5 of this machine"},

    /* set-id, devices */
    {"rw", "setuid", "x", NULL, -1, EPERM, 7, "set-id = refuse"},
    {"id", "setuid", "x", NULL, -1, 0, 20, "read-write"},
    {"st", "setuid", "x", NULL, -1, 0, 19, "read-write"},
    {"rw", "device", "x", NULL, -1, EPERM, 7, "device files are made under"},
    {"host", "device", "x", NULL, -1, EPERM, 15, "device files are made under"},
    {"dev", "device", "x", NULL, -1, 0, 17, "read-write"},
    {"st", "device", "x", NULL, -1, 0, 19, "read-write"},
    {"rw", "mknod", "x", NULL, -1, 0, 8, "read-write"},

    /* xattrs */
    {"id", "setxattr", "x", "user.a", -1, 0, 20, "read-write"},
    {"id", "setxattr", "x", "user.virtfs.uid", -1, EPERM, 21, "user.virtfs. is kept for servers"},
    {"id", "getxattr", "x", "user.postern.x", -1, ENODATA, 21, "kept for servers"},
    {"id", "getxattr", "x", "security.capability", -1, EOPNOTSUPP, 21,
     "does not have the name space of \"security.capability\""},
    {"rw", "getxattr", "x", "system.posix_acl_access", -1, 0, 8, "read-write"},
    {"rw", "removexattr", "x", "user.a", -1, EOPNOTSUPP, 8, "does not have the name space"},
    {"rw", "getxattr", "x", "user.virtfs.uid", -1, EOPNOTSUPP, 8, "does not have the name space"},
    {"ro", "setxattr", "x", "user.a", -1, EROFS, 6, "read-only"},
};

static void
each_answer_has_its_errno_reason_and_line(void **state)
{
    struct plan *p = plan_of(policy);
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct plan_question q = {
            "t",           rows[i].share,    rows[i].op,           rows[i].path,
            rows[i].xattr, rows[i].uid >= 0, (uint32_t)rows[i].uid};
        struct plan_answer a = {.err = -1};
        char *error = NULL;

        assert_int_equal(plan_explain(p, &q, &a, &error), 0);
        assert_null(error);
        assert_string_equal(a.file, "p");
        if (a.err == rows[i].err && a.line == rows[i].line && strstr(a.why, rows[i].why) != NULL)
            continue;
        print_error("row %zu: %s %s %s: %d p:%u: %s\n", i, rows[i].share, rows[i].op, rows[i].path,
                    a.err, a.line, a.why);
        wrong++;
    }
    assert_int_equal(wrong, 0);
    plan_free(p);
}

#define OPS                                                                                        \
    "expected read, write, create, delete, rename, chmod, chown, setuid, device, list, setxattr "  \
    "or another of ipc/ops.def"
#define PART "has an empty, \".\" or \"..\" part, expected a plain name"

static void
what_is_no_question_is_told_so(void **state)
{
    static const struct {
        struct plan_question q;
        const char *error;
    } bad[] = {
        {{"x", "rw", "read", "a", NULL, false, 0}, "no tenant \"x\", expected one of the policy"},
        {{"t", "x", "read", "a", NULL, false, 0},
         "tenant t has no share \"x\", expected one that it has"},
        {{"t", "rw", "fly", "a", NULL, false, 0}, "no operation \"fly\", " OPS},
        {{"t", "rw", "", "a", NULL, false, 0}, "no operation \"\", " OPS},
        {{"t", "rw", "setxattr", "a", NULL, false, 0},
         "setxattr of no attribute, expected --xattr NAME"},
        {{"t", "rw", "read", "a/../b", NULL, false, 0}, "path \"a/../b\" " PART},
        {{"t", "rw", "read", "//a", NULL, false, 0},
         "path \"/a\" is absolute, expected a directory below the share's root, such as \"a/b\""},
    };
    struct plan *p = plan_of(policy);

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        _clean(clean_free) char *error = NULL;
        struct plan_answer a = {.err = -1};

        assert_int_equal(plan_explain(p, &bad[i].q, &a, &error), -EINVAL);
        assert_string_equal(error, bad[i].error);
        assert_int_equal(a.err, -1);
    }
    plan_free(p);
}

static void
a_share_made_by_hand_is_its_own_rule(void **state)
{
    struct plan_question q = {"t", "srv", "write", "x", NULL, false, 0};
    struct plan_answer a = {.err = -1};
    struct plan *p = NULL;
    char *error = NULL;

    (void)state;
    assert_int_equal(plan_new("t", &p), 0);
    assert_int_equal(plan_add_share(p, "/srv:ro", &error), 0);
    assert_int_equal(plan_explain(p, &q, &a, &error), 0);
    assert_int_equal(a.err, EROFS);
    assert_null(a.file);
    plan_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_has_its_errno_reason_and_line),
        cmocka_unit_test(what_is_no_question_is_told_so),
        cmocka_unit_test(a_share_made_by_hand_is_its_own_rule),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
