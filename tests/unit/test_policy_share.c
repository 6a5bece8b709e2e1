/*
 * Policies, the settings that make tenants differ: identities and their ids,
 * what is protected and hidden, delegates, big limits, the control socket, and
 * defaults for all of it; and one share given at run time.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/fd.h"
#include "ipc/limits.h"
#include "policy/parse.h"
#include "policy/plan.h"
#include "tests/lib/policy.h"

/* A share that lacks nothing but what is on line 2. */
#define LISTEN "listen \"unix:/run/t\" { }"
#define RO " path = \"/srv\" access = read-only "
#define RW " path = \"/srv\" access = read-write "
#define SHARE "share \"s\" { " RO " }"
#define IN_S(more) "tenant \"t\" { " LISTEN " share \"s\" {\n" more "\n}}\n"
#define IN_T(more) "tenant \"t\" { " LISTEN " " SHARE "\n" more "\n}\n"
#define LIMITS(more) IN_T("limits { " more " }")
#define HEX32 "0123456789abcdef0123456789ABCDEF"
#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X100 X50 X50
#define X256 X100 X100 X50 "xxxxxx"
#define CUT X100 X50 /* of a quoted value */

#define IDS_FORM "expected \"FIRST+COUNT\" in decimal, such as \"100000+65536\""
#define GROUPS_FORM "expected \"UID:GID,GID,...\" in decimal, such as \"1000:27,100\""
#define PART "has an empty, \".\" or \"..\" part, expected a plain name"
#define WHO "expected a user of this machine, or \"@\" and a group of it"
#define COUNT_OR "is not a number, expected a count such as 4096, 50k or 1M"

static const struct bad {
    const char *text, *error; /* of a file named p */
} bad[] = {
    /* identity = map and its ids */
    {IN_S(RO "identity = guest"),
     "p:2: identity = \"guest\", expected squash, map, stored or host"},
    {IN_S(RW "identity = map"),
     "p:1: share \"s\" has identity = map and no ids, expected ids = \"FIRST+COUNT\""},
    {IN_S(RW "ids = \"100000+1\""), "p:2: ids with identity = squash, expected it with map alone"},
    {IN_S(RW "ids = \"100000+1\" identity = stored"),
     "p:2: ids with identity = stored, expected it with map alone"},
    {IN_S(RW "identity = host ids = \"100000+1\""),
     "p:2: ids with identity = host, expected it with map alone"},
    {IN_S(RW "identity = map ids = 100000"), "p:2: ids = \"100000\", " IDS_FORM},
    {IN_S(RW "identity = map ids = \"100000+\""), "p:2: ids = \"100000+\", " IDS_FORM},
    {IN_S(RW "identity = map ids = \"1+2+3\""), "p:2: ids = \"1+2+3\", " IDS_FORM},
    {IN_S(RW "identity = map ids = \"1-65536\""), "p:2: ids = \"1-65536\", " IDS_FORM},
    {IN_S(RW "identity = map ids = \"-1+2\""), "p:2: ids = \"-1+2\", " IDS_FORM},
    {IN_S(RW "identity = map ids = \"01+2\""), "p:2: ids = \"01+2\", " IDS_FORM},
    {IN_S(RW "identity = map ids = \"4294967295+1\""), "p:2: ids = \"4294967295+1\", " IDS_FORM},
    {IN_S(RW "identity = map ids = \"18446744073709551617+1\""),
     "p:2: ids = \"18446744073709551617+1\", " IDS_FORM},
    {IN_S(RW "identity = map ids = \"0+65536\""),
     "p:2: ids = \"0+65536\" has root of this machine, expected FIRST above 0"},
    {IN_S(RW "identity = map ids = \"1+0\""),
     "p:2: ids = \"1+0\" has 0 ids, expected 1 to 1048576"},
    {IN_S(RW "identity = map ids = \"1+1048577\""),
     "p:2: ids = \"1+1048577\" has 1048577 ids, expected 1 to 1048576"},
    {IN_S(RW "identity = map ids = \"1879048191+2\""),
     "p:2: ids = \"1879048191+2\" ends too high, expected FIRST+COUNT up to 1879048192"},
    {IN_S(RW "identity = map ids = \"4294967294+1\""),
     "p:2: ids = \"4294967294+1\" ends too high, expected FIRST+COUNT up to 1879048192"},
    {"tenant a { listen \"unix:/a\" { }\n share s { " RW
     "identity = map ids = \"200000+65536\" } }\n"
     "tenant b { listen \"unix:/b\" { }\n share s { " RW "identity = map ids = \"265535+10\" } }\n",
     "p:4: ids 265535+10 overlap 200000+65536 of tenant \"a\" at p:2, expected ranges apart"},
    {"tenant a { listen \"unix:/a\" { }\n share s { " RW "identity = map ids = \"200000+6\" } }\n"
     "tenant b { listen \"unix:/b\" { }\n share s { " RW "identity = map ids = \"199999+2\" } }\n",
     "p:4: ids 199999+2 overlap 200000+6 of tenant \"a\" at p:2, expected ranges apart"},

    /* who is in which group */
    {IN_S(RW "groups = { \"1000:27\" }"),
     "p:2: groups with identity = squash, expected it with map or host alone"},
    {IN_S(RW "identity = host groups = { 1000 }"), "p:2: groups has \"1000\", " GROUPS_FORM},
    {IN_S(RW "identity = host groups = { \"1000:\" }"), "p:2: groups has \"1000:\", " GROUPS_FORM},
    {IN_S(RW "identity = host groups = { \"1000:2,\" }"),
     "p:2: groups has \"1000:2,\", " GROUPS_FORM},
    {IN_S(RW "identity = host groups = { \"1000:2:3\" }"),
     "p:2: groups has \"1000:2:3\", " GROUPS_FORM},
    {IN_S(RW "identity = host groups = { \"me:users\" }"),
     "p:2: groups has \"me:users\", " GROUPS_FORM},
    {IN_S(RW "identity = host groups = { \"1:4294967295\" }"),
     "p:2: groups has \"1:4294967295\", " GROUPS_FORM},
    {IN_S(RW "identity = host groups = { \"1:2\",\n\"2:3\", \"1:4\" }"),
     "p:3: groups has uid 1 twice, expected it once"},
    {IN_S(RW "identity = map ids = \"100000+100\" groups = { \"99:3\", \"98:100\" }"),
     "p:2: groups has id 100, expected ids of the guest below 100, as ids has"},

    /* owners where the model has others */
    {IN_S(RW "identity = host owner = \"1:1\""),
     "p:2: owner with identity = host, expected it with squash or stored alone"},
    {IN_S(RW "identity = map ids = \"1+1\" present-as = \"1:1\""),
     "p:2: present-as with identity = map, expected it with squash or stored alone"},

    /* devices */
    {IN_S(RW "devices = refuse"),
     "p:2: devices with identity = squash, expected it with host alone"},
    {IN_S(RW "identity = stored devices = allow"),
     "p:2: devices with identity = stored, expected it with host alone"},
    {IN_S(RW "identity = map ids = \"1+1\" devices = allow"),
     "p:2: devices with identity = map, expected it with host alone"},
    {IN_S(RW "identity = host devices = yes"), "p:2: devices = \"yes\", expected allow or refuse"},

    /* protect */
    {IN_S(RO "protect = { a }"),
     "p:2: protect with access = read-only, expected it with read-write alone"},
    {IN_S(RW "protect = { \"/a\" }"), "p:2: protect \"/a\" is absolute, expected a directory below "
                                      "the share's root, such as \"a/b\""},
    {IN_S(RW "protect = { \"\" }"), "p:2: protect \"\" " PART},
    {IN_S(RW "protect = { \"a//b\" }"), "p:2: protect \"a//b\" " PART},
    {IN_S(RW "protect = { \"a/\" }"), "p:2: protect \"a/\" " PART},
    {IN_S(RW "protect = { \"a/../b\" }"), "p:2: protect \"a/../b\" " PART},
    {IN_S(RW "protect = { . }"), "p:2: protect \".\" " PART},
    {IN_S(RW "protect = { \"" X256 "\" }"),
     "p:2: protect \"" CUT "xxxxx...\" is too long, expected at most 255 bytes between two \"/\""},
    {IN_S(RW "protect = { \"" X100 "/" X100 "/" X100 "/" X100 "/" X100 "/1234567\" }"),
     "p:2: protect \"" X100 "/" X50 "xxxx...\" is too long, expected at most 511 bytes"},
    {IN_S(RW "protect = { a, b,\na }"), "p:3: protect has \"a\" twice, expected it once"},
    {IN_S(RW "protect = { \"a/b\", \"a\" }"),
     "p:2: protect has \"a/b\" and \"a\", expected no directory inside another"},
    {IN_S(RW "protect = { a, \"a/b\" }"),
     "p:2: protect has \"a\" and \"a/b\", expected no directory inside another"},
    {IN_S(RW "protect = { a } protect = { b }"), "p:2: protect is here again, expected it once"},

    /* hide, only */
    {IN_S(RO "hide = { \"\" }"), "p:2: hide \"\" " PART},
    {IN_S(RO "hide = { .. }"), "p:2: hide \"..\" " PART},
    {IN_S(RO "hide = { \"a/*\" }"),
     "p:2: hide \"a/*\" has a \"/\", expected one name without directories"},
    {IN_S(RO "hide = { \"*.pem\", \"*.pem\" }"), "p:2: hide has \"*.pem\" twice, expected it once"},
    {IN_S(RO "only = { }"), "p:2: only is empty, expected a name"},
    {IN_S(RO "only = { \"\" }"), "p:2: only \"\" " PART},
    {IN_S(RO "only = { . }"), "p:2: only \".\" " PART},
    {IN_S(RO "only = { \"d/ca.pem\" }"),
     "p:2: only \"d/ca.pem\" has a \"/\", expected one name without directories"},
    {IN_S(RO "only = { a, a }"), "p:2: only has \"a\" twice, expected it once"},
    {IN_S(RO "hide = { b }\nonly = { a }"),
     "p:3: only and hide in share \"s\", expected one of them"},

    /* names that look like ids */
    {"tenant t { " LISTEN "\nshare " HEX32 " { " RO " } }",
     "p:2: share name \"" HEX32 "\" has 32 hex digits like a share's id, expected another"},

    /* delegates */
    {IN_T("delegates = { \"no.such.user\" }"), "p:2: delegates \"no.such.user\", " WHO},
    {IN_T("delegates = { \"@no.such.group\" }"), "p:2: delegates \"@no.such.group\", " WHO},
    {IN_T("delegates = { \"@\" }"), "p:2: delegates \"@\", " WHO},
    {IN_T("delegates = { \"\" }"), "p:2: delegates \"\", " WHO},
    {IN_T("delegates = { root, root }"), "p:2: delegates has \"root\" twice, expected it once"},

    /* limits */
    {LIMITS("memory = 1M"),
     "p:2: memory = \"1M\" is out of range, expected 8388608 to 17592186044416 bytes"},
    {LIMITS("memory = 16385G"),
     "p:2: memory = \"16385G\" is out of range, expected 8388608 to 17592186044416 bytes"},
    {LIMITS("memory = 99999999999999999999G"), "p:2: memory = \"99999999999999999999G\" is out of "
                                               "range, expected 8388608 to 17592186044416 bytes"},
    {LIMITS("memory = 17179869185G"), "p:2: memory = \"17179869185G\" is out of range, expected "
                                      "8388608 to 17592186044416 bytes"},
    {LIMITS("memory = all"),
     "p:2: memory = \"all\" is not a number, expected bytes such as 65536, 64K or 1M"},
    {LIMITS("processes = 0"), "p:2: processes = \"0\" is out of range, expected 1 to 65536"},
    {LIMITS("processes = few"), "p:2: processes = \"few\" " COUNT_OR},
    {LIMITS("cpu-weight = 0"), "p:2: cpu-weight = \"0\" is out of range, expected 1 to 10000"},
    {LIMITS("cpu-weight = 10001"),
     "p:2: cpu-weight = \"10001\" is out of range, expected 1 to 10000"},
    {LIMITS("read-rate = 4095"),
     "p:2: read-rate = \"4095\" is out of range, expected 4096 to 1099511627776 bytes"},
    {LIMITS("write-rate = 1025G"),
     "p:2: write-rate = \"1025G\" is out of range, expected 4096 to 1099511627776 bytes"},
    {LIMITS("metadata-rate = 0"),
     "p:2: metadata-rate = \"0\" is out of range, expected 1 to 100000000"},
    {LIMITS("metadata-rate = 1K"), "p:2: metadata-rate = \"1K\" " COUNT_OR},

    /* control */
    {IN_T("control \"unix:/c\" { }"),
     "p:2: unknown setting \"control\", expected one of: sandbox, delegates, listen, share, "
     "limits, include"},
    {"control \"tcp:127.0.0.1:1\" { }\n" IN_T(""),
     "p:1: control on a tcp address, expected it with unix alone"},
    {"control \"/run/c\" { }\n" IN_T(""),
     "p:1: address \"/run/c\", expected unix:/PATH, tcp:IPV4:PORT, tcp:[IPV6]:PORT, vsock:PORT, "
     "vsock:CID:PORT, systemd:NAME, or on the command line fd:N"},
    {"control \"unix:/c\" { mode = 1 }\n" IN_T(""),
     "p:1: unknown setting \"mode\", expected one of: group"},
    {"control \"unix:/c\" { group = \"a b\" }\n" IN_T(""),
     "p:1: group \"a b\", expected the name of a group"},
    {"control \"unix:/c\" { }\ncontrol \"unix:/d\" { }\n" IN_T(""),
     "p:2: control is here again, expected it once"},
    {"control \"unix:/c\" { }\ncontrol \"unix:/c\" { }\n" IN_T(""),
     "p:2: the name \"unix:/c\" is here twice, expected it once"},
    {"control \"unix:/run/t\" { }\n" IN_T(""),
     "p:2: address \"unix:/run/t\" is taken by control at p:1, expected another"},

    /* defaults */
    {"defaults { path = \"/srv\" }\n" IN_T(""),
     "p:1: unknown setting \"path\", expected one of: access, identity, ids, groups, owner, "
     "present-as, set-id, devices, xattrs, submounts, protect, hide, only, sandbox, delegates, "
     "limits"},
    {"defaults {\nset-id = yes }\n" IN_T("share u { " RO " }"),
     "p:2: set-id = \"yes\", expected allow or refuse"},
    {"defaults { workers = 2 }\n" IN_T(""),
     "p:1: workers is not available in this version, expected no workers"},
    {"defaults { delegates = { nobody.here } }\n" IN_T("delegates = { }"),
     "p:1: delegates \"nobody.here\", " WHO},
    {"defaults { identity = map }\n" IN_T(""),
     "p:2: share \"s\" has identity = map and no ids, expected ids = \"FIRST+COUNT\""},
    {"defaults { hide = { a } }\n" IN_S(RO "only = { b }"),
     "p:3: only and hide in share \"s\", expected one of them"},
    {"defaults { identity = map ids = \"1+1\" }\n" IN_T(
         "") "tenant u { listen \"unix:/u\" { }\n" SHARE " }",
     "p:6: ids 1+1 overlap 1+1 of tenant \"t\" at p:2, expected ranges apart"},
};

static void
a_bad_setting_is_refused_with_place_fault_and_expectation(void **state)
{
    unsigned wrong = 0;

    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        _clean(clean_free) char *error = NULL;
        struct plan *p = NULL;
        int r = policy_parse_text("p", bad[i].text, strlen(bad[i].text), &p, &error);

        plan_free(p);
        if (r == -EINVAL && error != NULL && strcmp(error, bad[i].error) == 0)
            continue;
        print_error("--- row %zu:\n%s\n--- says:\n%s\n--- not:\n%s\n", i, bad[i].text,
                    error != NULL ? error : "nothing", bad[i].error);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void
a_mapped_share_has_its_ids_and_groups(void **state)
{
    struct plan *p = plan_of(
        IN_S(RW "groups = { \"1000:27,100\", \"0:0\" } ids = \"100000+65536\" identity = map"));
    const struct plan_share *sh = &p->tenants[0].shares[0];

    (void)state;
    assert_int_equal(sh->identity, IDENTITY_MAP);
    assert_true(sh->has_ids && sh->has_groups);
    assert_int_equal(sh->ids_first, 100000);
    assert_int_equal(sh->ids_count, 65536);
    assert_int_equal(sh->ngroups, 2);
    assert_int_equal(sh->groups[0].uid, 1000);
    assert_int_equal(sh->groups[0].ngids, 2);
    assert_int_equal(sh->groups[0].gids[0], 27);
    assert_int_equal(sh->groups[0].gids[1], 100);
    assert_int_equal(sh->groups[1].uid, 0);
    assert_int_equal(sh->groups[1].gids[0], 0);
    plan_free(p);
}

static void
shares_of_one_tenant_may_have_the_same_ids(void **state)
{
    struct plan *p = plan_of("tenant t { " LISTEN " share a { " RW "identity = map ids = \"9+9\" }"
                             " share b { " RW "identity = map ids = \"9+9\" } }"
                             "tenant u { listen \"unix:/u\" { }"
                             " share a { " RW "identity = map ids = \"18+9\" } }");

    (void)state;
    assert_true(plan_ids_overlap(&p->tenants[0].shares[0], &p->tenants[0].shares[1]));
    assert_false(plan_ids_overlap(&p->tenants[0].shares[0], &p->tenants[1].shares[0]));
    assert_false(plan_ids_overlap(&p->tenants[1].shares[0], &p->tenants[0].shares[0]));
    plan_free(p);
}

static void
the_other_identities_have_their_settings(void **state)
{
    struct plan *p = plan_of("tenant t { " LISTEN " share h { " RW
                             "identity = host devices = allow groups = { } }"
                             " share o { " RW "identity = stored owner = \"7:8\" } }");
    const struct plan_share *sh = p->tenants[0].shares;

    (void)state;
    assert_int_equal(sh[0].identity, IDENTITY_HOST);
    assert_true(sh[0].allow_devices && sh[0].has_groups && sh[0].ngroups == 0);
    assert_int_equal(sh[1].identity, IDENTITY_STORED);
    assert_false(sh[1].allow_devices || sh[1].has_groups);
    assert_int_equal(sh[1].owner_gid, 8);
    assert_string_equal(share_identity_name(sh[1].identity), "stored");
    plan_free(p);
}

static void
names_are_protected_hidden_and_singled_out(void **state)
{
    struct plan *p = plan_of("tenant t { " LISTEN " share w { " RW
                             "protect = { releases, \".git/hooks\", \"ab\", a }"
                             "   hide = { \"*.pem\", .ssh, \"[\" } }"
                             " share o { " RO "only = { \"ca.pem\", \"a b\" } hide = { } } }");
    const struct plan_share *sh = p->tenants[0].shares;

    (void)state;
    assert_int_equal(sh[0].protect.n, 4);
    assert_string_equal(sh[0].protect.at[1], ".git/hooks");
    assert_int_equal(sh[0].hide.n, 3);
    assert_string_equal(sh[0].hide.at[0], "*.pem");
    assert_int_equal(sh[0].only.n, 0);
    assert_int_equal(sh[1].only.n, 2);
    assert_string_equal(sh[1].only.at[1], "a b");
    assert_int_equal(sh[1].hide.n + sh[1].protect.n, 0);
    plan_free(p);
}

static void
delegates_are_known_by_their_ids(void **state)
{
    const struct passwd *nobody = getpwnam("nobody");
    struct plan *p;

    (void)state;
    assert_non_null(nobody);
    p = plan_of(IN_T("delegates = { nobody, \"@root\", root }"));
    assert_int_equal(p->tenants[0].delegates.n, 3);
    assert_int_equal(p->tenants[0].delegate_ids[0], nobody->pw_uid);
    assert_int_equal(p->tenants[0].delegate_ids[1], 0);
    assert_int_equal(p->tenants[0].delegate_ids[2], 0);
    plan_free(p);
}

static void
limits_have_no_ceiling_of_32_bits(void **state)
{
    struct plan *p = plan_of(LIMITS("memory = 6G processes = 100 cpu-weight = 50 read-rate = 5G "
                                    "write-rate = 4096 metadata-rate = 50k"));
    const struct plan_limits *l = &p->tenants[0].limits;

    (void)state;
    assert_true(l->memory == 6ull << 30);
    assert_int_equal(l->processes, 100);
    assert_int_equal(l->cpu_weight, 50);
    assert_true(l->read_rate == 5ull << 30);
    assert_int_equal(l->write_rate, 4096);
    assert_int_equal(l->metadata_rate, 50000);
    plan_free(p);
}

static void
without_settings_nothing_is_limited_or_delegated(void **state)
{
    struct plan *p = plan_of(IN_T(""));
    const struct plan_tenant *t = &p->tenants[0];

    (void)state;
    assert_true(t->limits.memory == 0 && t->limits.processes == 0 && t->limits.cpu_weight == 0);
    assert_true(t->limits.read_rate == 0 && t->limits.write_rate == 0);
    assert_int_equal(t->limits.metadata_rate, 0);
    assert_int_equal(t->delegates.n, 0);
    assert_null(p->control.path);
    assert_int_equal(t->shares[0].identity, IDENTITY_SQUASH);
    plan_free(p);
}

static void
control_and_delegates_are_read(void **state)
{
    struct plan *p = plan_of(
        IN_T("delegates = { root, \"@root\" }") "\ncontrol \"unix:/run/c\" { group = \"kvm\" }");

    (void)state;
    assert_string_equal(p->control.path, "/run/c");
    assert_string_equal(p->control.group, "kvm");
    assert_string_equal(p->control.file, "p");
    assert_int_equal(p->control.line, 5);
    assert_int_equal(p->tenants[0].delegates.n, 2);
    assert_string_equal(p->tenants[0].delegates.at[1], "@root");
    plan_free(p);
}

#define DEFAULTS                                                                                   \
    "defaults { access = read-write set-id = allow xattrs = { acl } protect = { p } hide = { h } " \
    "identity = map ids = \"5+6\" groups = { \"1:2\" } sandbox = best-effort delegates = { root "  \
    "} "                                                                                           \
    "limits { memory = 64M } }\n"

static void
defaults_stand_where_a_share_says_nothing(void **state)
{
    struct plan *p = plan_of("tenant t { " LISTEN " share a { path = \"/a\" }"
                             " share b { path = \"/b\" access = read-only identity = stored"
                             "   set-id = refuse xattrs = { } hide = { } }"
                             " sandbox = full delegates = { } limits { processes = 9 } }"
                             "tenant u { listen \"unix:/u\" { } "
                             " share a { path = \"/a\" identity = squash } }" DEFAULTS);
    const struct plan_tenant *t = p->tenants;
    const struct plan_share *sh = t[0].shares;

    (void)state;
    assert_int_equal(sh[0].access, ACCESS_READ_WRITE);
    assert_true(sh[0].allow_set_id && sh[0].has_ids && sh[0].ids_first == 5);
    assert_int_equal(sh[0].xattrs, XATTR_ACL);
    assert_int_equal(sh[0].identity, IDENTITY_MAP);
    assert_true(sh[0].protect.n == 1 && sh[0].hide.n == 1 && sh[0].ngroups == 1);
    assert_int_equal(sh[1].identity, IDENTITY_STORED);
    assert_false(sh[1].allow_set_id || sh[1].has_ids);
    assert_true(sh[1].protect.n == 0 && sh[1].hide.n == 0 && sh[1].ngroups == 0);
    assert_int_equal(sh[1].xattrs, 0);
    assert_false(t[0].best_effort);
    assert_true(t[1].best_effort);
    assert_int_equal(t[0].delegates.n, 0);
    assert_int_equal(t[1].delegates.n, 1);
    assert_true(t[0].limits.memory == 64u << 20 && t[0].limits.processes == 9);
    plan_free(p);
}

/* --- one share at run time --- */

static char *
share_error(const struct plan *p, const char *name, const char *text, size_t n)
{
    struct plan_share *sh = NULL;
    char *error = NULL;

    assert_int_equal(plan_parse_share(p, &p->tenants[0], name, text, n, &sh, &error), -EINVAL);
    assert_null(sh);
    assert_non_null(error);
    return error;
}

static void
a_share_at_run_time_is_read_like_one_in_the_file(void **state)
{
    static const char text[] = "path = \"/x\" # comment\n protect = { a } identity = squash";
    struct plan *p = plan_of(IN_T("") DEFAULTS);
    struct plan_share *sh = NULL;
    char *error = NULL;

    (void)state;
    assert_int_equal(
        plan_parse_share(p, &p->tenants[0], "new", text, sizeof(text) - 1, &sh, &error), 0);
    assert_null(error);
    assert_string_equal(sh->name, "new");
    assert_string_equal(sh->path, "/x");
    assert_int_equal(sh->access, ACCESS_READ_WRITE); /* of defaults */
    assert_string_equal(sh->protect.at[0], "a");
    assert_true(sh->allow_set_id);
    assert_string_equal(sh->file, "control");
    assert_int_equal(sh->line, 1);
    plan_share_free(sh);
    plan_share_free(NULL);
    plan_free(p);
}

static void
where(const struct plan *p, const struct plan_share *sh, const char *setting, unsigned line)
{
    const char *file;
    unsigned at;

    plan_where(p, &p->tenants[0], sh, setting, NULL, &file, &at);
    assert_string_equal(file, "p");
    assert_int_equal(at, line);
}

/* As posternd serves it. */
static void
a_settled_plan_forgets_lines_but_no_default(void **state)
{
    static const char text[] = "path = \"/x\"";
    struct plan *p =
        plan_of("tenant \"t\" {\nlisten \"unix:/s\" {}\nshare \"a\" {\npath = \"/a\"\n}\n"
                "}\ndefaults { access = read-write }\n");
    struct plan_share *sh = NULL;
    char *error = NULL;

    (void)state;
    where(p, &p->tenants[0].shares[0], "path", 4);
    for (int i = 0; i < 2; i++)
        plan_settle(p);
    where(p, &p->tenants[0].shares[0], "path", 3);
    where(p, NULL, "best-effort", 1);
    assert_string_equal(p->tenants[0].shares[0].path, "/a");
    assert_int_equal(plan_parse_share(p, &p->tenants[0], "b", text, sizeof(text) - 1, &sh, &error),
                     0);
    assert_int_equal(sh->access, ACCESS_READ_WRITE);
    plan_share_free(sh);
    plan_free(p);
    assert_int_equal(plan_new("t", &p), 0);
    plan_settle(p); /* there is nothing to forget */
    plan_free(p);
}

static void
a_share_joins_a_plan_without_a_file_too(void **state)
{
    static const char text[] = "access = read-only path = \"/x\"";
    struct plan_share *sh = NULL;
    struct plan *p = NULL;
    char *error = NULL;

    (void)state;
    assert_int_equal(plan_new("t", &p), 0);
    assert_int_equal(plan_parse_share(p, &p->tenants[0], "n", text, sizeof(text) - 1, &sh, &error),
                     0);
    assert_int_equal(sh->xattrs, XATTR_USER);
    plan_share_free(sh);
    plan_free(p);
}

static void
a_bad_share_at_run_time_is_refused_by_the_same_words(void **state)
{
    static const struct {
        const char *name, *text, *error;
    } rows[] = {
        {"n", "",
         "control:1: share \"n\" has no path, expected path = \"/DIRECTORY\"\n"
         "control:1: share \"n\" has no access, expected access = read-only or "
         "read-write"},
        {"n", RO "\nowner = me",
         "control:2: owner = \"me\", expected \"UID:GID\" in decimal, such "
         "as \"1000:1000\""},
        {"n", RO "} share \"m\" {", "control:1: \"}\" closes nothing, expected a \"{\" before it"},
        {"n", RO "share \"m\" { }",
         "control:1: unknown setting \"share\", expected one of: path, "
         "access, identity, ids, groups, owner, present-as, set-id, "
         "devices, xattrs, submounts, protect, hide, only"},
        {"n", "include(\"x\")",
         "control:1: unknown setting \"include\", expected one of: path, "
         "access, identity, ids, groups, owner, present-as, set-id, "
         "devices, xattrs, submounts, protect, hide, only"},
        {"n", RO "hide = {",
         "control:1: \"{\" is never closed, expected \"}\" before the end of "
         "the file"},
        {"a/b", RO,
         "control:1: share name \"a/b\", expected 1 to 64 of A-Z a-z 0-9 . _ - and no \".\" or "
         "\"-\" in front"},
        {HEX32, RO,
         "control:1: share name \"" HEX32 "\" has 32 hex digits like a share's id, "
         "expected another"},
        {"n", RW "identity = map ids = \"12+9\"",
         "control:1: ids 12+9 overlap 20+9 of tenant \"u\" at p:2, expected ranges apart"},
        {"n", RW "protect = { a, \"a/b\" }",
         "control:1: protect has \"a\" and \"a/b\", expected no directory inside another"},
    };
    struct plan *p =
        plan_of("tenant t { " LISTEN " share a { " RW "identity = map ids = \"9+9\" } }"
                "\ntenant u { listen \"unix:/u\" { }"
                " share a { " RW "identity = map ids = \"20+9\" } }");

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        _clean(clean_free) char *error =
            share_error(p, rows[i].name, rows[i].text, strlen(rows[i].text));

        assert_string_equal(error, rows[i].error);
    }
    plan_free(p);
}

static void
a_nul_in_a_share_at_run_time_hides_nothing(void **state)
{
    static const char text[] = RO "\0 set-id = allow";
    struct plan *p = plan_of(IN_T(""));
    _clean(clean_free) char *error = share_error(p, "n", text, sizeof(text) - 1);

    (void)state;
    assert_string_equal(
        error, "control:1: unexpected \"\\x00\", expected a setting, or a value in quotes");
    plan_free(p);
}

/* --- ids of shares --- */

static void
a_share_id_is_the_documented_digest(void **state)
{
    char id[SHARE_ID_LEN + 1], other[SHARE_ID_LEN + 1];

    (void)state;
    /* printf 'postern-share-v1\0blue\0work' | sha256sum | cut -c1-32 */
    share_id("blue", "work", id);
    assert_string_equal(id, "ded9fe0aded32a4d5a7687d173958899");
    share_id("bluew", "ork", other);
    assert_string_not_equal(id, other);
}

static void
a_directory_named_like_an_id_gets_another_name(void **state)
{
    struct plan *p = NULL;
    char *error = NULL;

    (void)state;
    assert_int_equal(plan_new("t", &p), 0);
    assert_int_equal(plan_add_share(p, "/srv/" HEX32, &error), 0);
    assert_string_equal(p->tenants[0].shares[0].name, HEX32 "-2");
    plan_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_setting_is_refused_with_place_fault_and_expectation),
        cmocka_unit_test(a_mapped_share_has_its_ids_and_groups),
        cmocka_unit_test(shares_of_one_tenant_may_have_the_same_ids),
        cmocka_unit_test(the_other_identities_have_their_settings),
        cmocka_unit_test(names_are_protected_hidden_and_singled_out),
        cmocka_unit_test(delegates_are_known_by_their_ids),
        cmocka_unit_test(limits_have_no_ceiling_of_32_bits),
        cmocka_unit_test(without_settings_nothing_is_limited_or_delegated),
        cmocka_unit_test(control_and_delegates_are_read),
        cmocka_unit_test(defaults_stand_where_a_share_says_nothing),
        cmocka_unit_test(a_share_at_run_time_is_read_like_one_in_the_file),
        cmocka_unit_test(a_settled_plan_forgets_lines_but_no_default),
        cmocka_unit_test(a_share_joins_a_plan_without_a_file_too),
        cmocka_unit_test(a_bad_share_at_run_time_is_refused_by_the_same_words),
        cmocka_unit_test(a_nul_in_a_share_at_run_time_hides_nothing),
        cmocka_unit_test(a_share_id_is_the_documented_digest),
        cmocka_unit_test(a_directory_named_like_an_id_gets_another_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
