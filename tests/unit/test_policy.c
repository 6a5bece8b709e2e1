/*
 * Policies: what is refused, word for word, and what comes out of good ones.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/limits.h"
#include "policy/parse.h"
#include "policy/plan.h"
#include "tests/lib/policy.h"

/* A tenant that lacks nothing, around one more thing; that is on line 2. */
#define LISTEN "listen \"unix:/run/t\" { }"
#define SHARE "share \"s\" { path = \"/srv\" access = read-only }"
#define IN_T(more) "tenant \"t\" { " LISTEN " " SHARE "\n" more "\n}\n"
#define IN_S(more) "tenant \"t\" { " LISTEN " share \"s\" {\n" more "\n}}\n"
#define IN_L(address, more) "tenant \"t\" { " SHARE "\nlisten \"" address "\" { " more " } }\n"
#define LIMITS(more) IN_T("limits { " more " }")
#define PATH_OK " path = \"/srv\""
#define RO " access = read-only"
#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X100 X50 X50
#define LONG_NAME X50 X10 "xxxxx" /* 65 */

#define NAME_RULE "expected 1 to 64 of A-Z a-z 0-9 . _ - and no \".\" or \"-\" in front"
#define FORMS                                                                                      \
    "expected unix:/PATH, tcp:IPV4:PORT, tcp:[IPV6]:PORT, vsock:PORT, vsock:CID:PORT, "            \
    "systemd:NAME, or on the command line fd:N"
#define VSOCK_PORT "has no port, expected a number from 0 to 4294967294 at its end"
#define VSOCK_CID "has no CID, expected any, host, local or a number before the port"
#define FDNAME "expected the FileDescriptorName= of a .socket unit"
#define ONE_FD "expected fd:N, one socket for both directions"
#define PLAIN "has an empty, \".\" or \"..\" component, expected a plain path such as \"/srv/x\""
#define LATER(s) s " is not available in this version, expected no " s
#define COUNT_OR "is not a number, expected a count such as 4096, 50k or 1M"
#define BYTES_OR "is not a number, expected bytes such as 65536, 64K or 1M"
#define INCLUDE_OR "expected include(\"FILE\")"

static const struct bad {
    const char *text, *error; /* of a file named p */
} bad[] = {
    /* nothing at all, and things that are missing */
    {"", "p:1: no tenant, expected at least one tenant \"NAME\" { ... }"},
    {"# only words\n", "p:1: no tenant, expected at least one tenant \"NAME\" { ... }"},
    {"defaults { }", "p:1: no tenant, expected at least one tenant \"NAME\" { ... }"},
    {"\ntenant \"t\" { " LISTEN " }", "p:2: tenant \"t\" has no share, expected at least one"},
    {"\n\ntenant \"t\" { " SHARE " }", "p:3: tenant \"t\" has no listen, expected at least one"},
    {"tenant \"t\" {\n}", "p:1: tenant \"t\" has no listen, expected at least one\n"
                          "p:1: tenant \"t\" has no share, expected at least one"},
    {IN_S(PATH_OK), "p:1: share \"s\" has no access, expected access = read-only or read-write"},
    {IN_S(RO), "p:1: share \"s\" has no path, expected path = \"/DIRECTORY\""},

    /* unknown */
    {"tennant \"t\" { }",
     "p:1: unknown setting \"tennant\", expected one of: defaults, tenant, control, include"},
    {IN_T("shares = 1"),
     "p:2: unknown setting \"shares\", expected one of: sandbox, delegates, listen, share, "
     "limits, include"},
    {IN_S("acess = read-only"), "p:2: unknown setting \"acess\", expected one of: path, access, "
                                "identity, ids, groups, owner, present-as, set-id, devices, "
                                "xattrs, submounts, protect, hide, only"},
    {IN_S("Path = \"/srv\""), "p:2: unknown setting \"Path\", expected one of: path, access, "
                              "identity, ids, groups, owner, present-as, set-id, devices, xattrs, "
                              "submounts, protect, hide, only"},
    {IN_L("unix:/x", "mode = 0600"),
     "p:2: unknown setting \"mode\", expected one of: protocol, group, allow-remote"},
    {LIMITS("file = 1"), "p:2: unknown setting \"file\", expected one of: connections, fids, "
                         "in-flight, nodes, open-files, msize, memory, processes, cpu-weight, "
                         "read-rate, write-rate, metadata-rate"},
    {IN_S("include(\"x\")"), "p:2: unknown setting \"include\", expected one of: path, access, "
                             "identity, ids, groups, owner, present-as, set-id, devices, xattrs, "
                             "submounts, protect, hide, only"},

    /* twice */
    {IN_S(PATH_OK RO "\n" RO), "p:3: access is here again, expected it once"},
    {IN_S(PATH_OK RO "\n\naccess = read-write"), "p:4: access is here again, expected it once"},
    {LIMITS("nodes = 1 nodes = 2"), "p:2: nodes is here again, expected it once"},
    {IN_T("sandbox = full\nsandbox = full"), "p:3: sandbox is here again, expected it once"},
    {IN_T("limits { }\nlimits { nodes = 1 }"), "p:3: limits is here again, expected it once"},
    {"defaults { }\ndefaults { }\n" IN_T(""), "p:2: defaults is here again, expected it once"},
    {IN_T(SHARE), "p:2: the name \"s\" is here twice, expected it once"},
    {IN_T("share \"s\" { path = \"/other\" access = read-write }"),
     "p:2: the name \"s\" is here twice, expected it once"},
    {IN_T("listen \"unix:/run/t\" { }"),
     "p:2: the name \"unix:/run/t\" is here twice, expected it once"},
    {IN_T("") IN_T(""), "p:4: the name \"t\" is here twice, expected it once"},

    /* of the design, later */
    {IN_S(PATH_OK RO " submounts = yes"),
     "p:2: submounts = \"yes\", expected cross, hide or refuse"},
    {IN_S(PATH_OK RO " xattrs = { user, system }"),
     "p:2: xattrs = \"system\", expected user, acl or capability"},
    {IN_S(PATH_OK RO " xattrs = { }\nxattrs = { \"acl\" }"),
     "p:3: xattrs is here again, expected it once"},
    {IN_S(PATH_OK RO " xattrs = { user }\nxattrs = { }"),
     "p:3: xattrs is here again, expected it once"},
    {IN_S(PATH_OK RO " xattrs = { user,\nacl, user }"),
     "p:3: xattrs has \"user\" twice, expected it once"},
    {IN_S("path = { }\n" RO), "p:2: unexpected \"{\", expected a setting or its value"},
    {IN_T("workers = 2"), "p:2: " LATER("workers")},
    {IN_L("unix:/x", "tag = \"x\""), "p:2: " LATER("tag")},
    {IN_L("unix:/x", "protocol = virtio-fs"),
     "p:2: protocol = \"virtio-fs\" is not available in this version, expected 9p"},

    /* words */
    {IN_S(PATH_OK "\naccess = rw"), "p:3: access = \"rw\", expected read-only or read-write"},
    {IN_S(PATH_OK " access = \"\""), "p:2: access = \"\", expected read-only or read-write"},
    {IN_S(PATH_OK " access = READ-ONLY"),
     "p:2: access = \"READ-ONLY\", expected read-only or read-write"},
    {IN_S(PATH_OK RO " identity = root"),
     "p:2: identity = \"root\", expected squash, map, stored or host"},
    {IN_S(PATH_OK RO " set-id = yes"), "p:2: set-id = \"yes\", expected allow or refuse"},
    {IN_T("sandbox = none"), "p:2: sandbox = \"none\", expected full or best-effort"},
    {IN_L("unix:/x", "protocol = nfs"), "p:2: protocol = \"nfs\", expected 9p"},
    {IN_L("tcp:127.0.0.1:1", "allow-remote = true"),
     "p:2: allow-remote = \"true\", expected yes or no"},
    {IN_L("unix:/x", "group = \"a b\""), "p:2: group \"a b\", expected the name of a group"},

    /* names */
    {"tenant \"\" { " LISTEN SHARE " }", "p:1: tenant name \"\", " NAME_RULE},
    {"tenant \"a/b\" { " LISTEN SHARE " }", "p:1: tenant name \"a/b\", " NAME_RULE},
    {"tenant \"..\" { " LISTEN SHARE " }", "p:1: tenant name \"..\", " NAME_RULE},
    {"tenant \"-rf\" { " LISTEN SHARE " }", "p:1: tenant name \"-rf\", " NAME_RULE},
    {"tenant \"a,b\" { " LISTEN SHARE " }", "p:1: tenant name \"a,b\", " NAME_RULE},
    {"tenant \"a\\\"b\" { " LISTEN SHARE " }", "p:1: tenant name \"a\\\"b\", " NAME_RULE},
    {"tenant '\"' { " LISTEN SHARE " }", "p:1: tenant name \"\\\"\", " NAME_RULE},
    {"tenant \"\xc3\xa4\" { " LISTEN SHARE " }", "p:1: tenant name \"\\xc3\\xa4\", " NAME_RULE},
    {"tenant \"" LONG_NAME "\" { " LISTEN SHARE " }",
     "p:1: tenant name \"" LONG_NAME "\", " NAME_RULE},
    {IN_T("share \"s t\" {" PATH_OK RO " }"), "p:2: share name \"s t\", " NAME_RULE},
    {IN_T("share \"s;ro\" {" PATH_OK RO " }"), "p:2: share name \"s;ro\", " NAME_RULE},

    /* paths */
    {IN_S(RO " path = \"srv\""),
     "p:2: path \"srv\" is not absolute, expected it to start with \"/\""},
    {IN_S(RO " path = \"\""), "p:2: path \"\" is not absolute, expected it to start with \"/\""},
    {IN_S(RO " path = \"~/x\""),
     "p:2: path \"~/x\" is not absolute, expected it to start with \"/\""},
    {IN_S(RO " path = \"/srv/../etc\""), "p:2: path \"/srv/../etc\" " PLAIN},
    {IN_S(RO " path = \"/srv/.\""), "p:2: path \"/srv/.\" " PLAIN},
    {IN_S(RO " path = \"/srv/\""), "p:2: path \"/srv/\" " PLAIN},
    {IN_S(RO " path = \"//srv\""), "p:2: path \"//srv\" " PLAIN},
    {IN_S(RO " path = \"/" X100 X100 X50 "xxxxxx\""),
     "p:2: path \"/" X100 X50 "xxxx...\" is too long, expected at most 4095 bytes and 255 between "
     "two \"/\""},

    /* ids */
    {IN_S(PATH_OK RO " owner = \"1000\""),
     "p:2: owner = \"1000\", expected \"UID:GID\" in decimal, such as \"1000:1000\""},
    {IN_S(PATH_OK RO " owner = \"me:us\""),
     "p:2: owner = \"me:us\", expected \"UID:GID\" in decimal, such as \"1000:1000\""},
    {IN_S(PATH_OK RO " owner = \"4294967295:0\""),
     "p:2: owner = \"4294967295:0\", expected \"UID:GID\" in decimal, such as \"1000:1000\""},
    {IN_S(PATH_OK RO " present-as = \"1:-1\""),
     "p:2: present-as = \"1:-1\", expected \"UID:GID\" in decimal, such as \"1000:1000\""},
    {IN_S(PATH_OK RO " present-as = \"1:2:3\""),
     "p:2: present-as = \"1:2:3\", expected \"UID:GID\" in decimal, such as \"1000:1000\""},

    /* numbers */
    {LIMITS("nodes = 0"), "p:2: nodes = \"0\" is out of range, expected 1 to 16777216"},
    {LIMITS("nodes = 17M"), "p:2: nodes = \"17M\" is out of range, expected 1 to 16777216"},
    {LIMITS("nodes = 99999999999999999999999999"),
     "p:2: nodes = \"99999999999999999999999999\" is out of range, expected 1 to 16777216"},
    {LIMITS("nodes = 4K"), "p:2: nodes = \"4K\" " COUNT_OR},
    {LIMITS("nodes = -1"), "p:2: nodes = \"-1\" " COUNT_OR},
    {LIMITS("nodes = 0x10"), "p:2: nodes = \"0x10\" " COUNT_OR},
    {LIMITS("nodes = 010"), "p:2: nodes = \"010\" " COUNT_OR},
    {LIMITS("nodes = \"1 \""), "p:2: nodes = \"1 \" " COUNT_OR},
    {LIMITS("nodes = 1kk"), "p:2: nodes = \"1kk\" " COUNT_OR},
    {LIMITS("nodes = many"), "p:2: nodes = \"many\" " COUNT_OR},
    {LIMITS("connections = 65537"),
     "p:2: connections = \"65537\" is out of range, expected 1 to 65536"},
    {LIMITS("in-flight = 513"), "p:2: in-flight = \"513\" is out of range, expected 1 to 512"},
    {LIMITS("msize = 4095"),
     "p:2: msize = \"4095\" is out of range, expected 4096 to 1048600 bytes"},
    {LIMITS("msize = 2M"), "p:2: msize = \"2M\" is out of range, expected 4096 to 1048600 bytes"},
    {LIMITS("msize = 64k"), "p:2: msize = \"64k\" " BYTES_OR},
    {"defaults { limits { fids = no } }\n" IN_T(""), "p:1: fids = \"no\" " COUNT_OR},

    /* addresses */
    {IN_L("/run/x", ""), "p:2: address \"/run/x\", " FORMS},
    {IN_L("", ""), "p:2: address \"\", " FORMS},
    {IN_L("udp:127.0.0.1:1", ""), "p:2: address \"udp:127.0.0.1:1\", " FORMS},
    {IN_L("unix:run/x", ""),
     "p:2: socket \"run/x\" is not absolute, expected it to start with \"/\""},
    {IN_L("unix:@x", ""), "p:2: socket \"@x\" is not absolute, expected it to start with \"/\""},
    {IN_L("unix:/", ""), "p:2: socket \"/\" is the root directory, expected a file's path"},
    {IN_L("unix:/run/../x", ""), "p:2: socket \"/run/../x\" " PLAIN},
    {IN_L("unix:/" X100 "1234567", ""),
     "p:2: socket \"/" X100 "1234567\" has 108 bytes, expected at most 107"},
    {IN_L("tcp:127.0.0.1", ""),
     "p:2: tcp address \"127.0.0.1\" has no port, expected a number from 0 to 65535 at its end"},
    {IN_L("tcp:564", ""),
     "p:2: tcp address \"564\" has no port, expected a number from 0 to 65535 at its end"},
    {IN_L("tcp:127.0.0.1:65536", ""),
     "p:2: tcp address \"127.0.0.1:65536\" has no port, expected a "
     "number from 0 to 65535 at its end"},
    {IN_L("tcp:localhost:564", ""),
     "p:2: tcp address \"localhost:564\" is not numeric, expected IPV4:PORT or [IPV6]:PORT"},
    {IN_L("tcp:::1:564", ""),
     "p:2: tcp address \"::1:564\" is not numeric, expected IPV4:PORT or [IPV6]:PORT"},
    {IN_L("tcp:[127.0.0.1]:564", ""),
     "p:2: tcp address \"[127.0.0.1]:564\" is not numeric, expected IPV4:PORT or [IPV6]:PORT"},
    {IN_L("tcp:127.1:564", ""),
     "p:2: tcp address \"127.1:564\" is not numeric, expected IPV4:PORT or [IPV6]:PORT"},
    {IN_L("tcp:0.0.0.0:564", ""), "p:2: \"tcp:0.0.0.0:564\" can be reached from other machines, "
                                  "expected a loopback address or allow-remote = yes"},
    {IN_L("tcp:128.0.0.1:1", ""), "p:2: \"tcp:128.0.0.1:1\" can be reached from other machines, "
                                  "expected a loopback address or allow-remote = yes"},
    {IN_L("tcp:12.7.0.1:1", ""), "p:2: \"tcp:12.7.0.1:1\" can be reached from other machines, "
                                 "expected a loopback address or allow-remote = yes"},
    {IN_L("tcp:[::]:564", "allow-remote = no"),
     "p:2: \"tcp:[::]:564\" can be reached from other machines, expected a loopback address or "
     "allow-remote = yes"},
    {IN_L("tcp:[::ffff:10.0.0.1]:564", ""),
     "p:2: \"tcp:[::ffff:10.0.0.1]:564\" can be reached from other machines, expected a loopback "
     "address or allow-remote = yes"},

    {IN_L("vsock", ""), "p:2: address \"vsock\", " FORMS},
    {IN_L("vsocks:1", ""), "p:2: address \"vsocks:1\", " FORMS},
    {IN_L("vsock:", ""), "p:2: vsock address \"\" " VSOCK_PORT},
    {IN_L("vsock:x", ""), "p:2: vsock address \"x\" " VSOCK_PORT},
    {IN_L("vsock:2:", ""), "p:2: vsock address \"2:\" " VSOCK_PORT},
    {IN_L("vsock:01", ""), "p:2: vsock address \"01\" " VSOCK_PORT},
    {IN_L("vsock:4294967295", ""), "p:2: vsock address \"4294967295\" " VSOCK_PORT},
    {IN_L("vsock:18446744073709551617", ""),
     "p:2: vsock address \"18446744073709551617\" " VSOCK_PORT},
    {IN_L("vsock:guest:1", ""), "p:2: vsock address \"guest:1\" " VSOCK_CID},
    {IN_L("vsock::1", ""), "p:2: vsock address \":1\" " VSOCK_CID},
    {IN_L("vsock:0:1", ""), "p:2: vsock address \"0:1\" " VSOCK_CID},
    {IN_L("vsock:4294967295:1", ""), "p:2: vsock address \"4294967295:1\" " VSOCK_CID},
    {IN_L("vsock:1:2:3", ""), "p:2: vsock address \"1:2:3\" " VSOCK_CID},
    {IN_L("systemd:", ""), "p:2: systemd name \"\", " FDNAME},
    {IN_L("systemd:a:b", ""), "p:2: systemd name \"a:b\", " FDNAME},
    {IN_L("systemd:a b", ""), "p:2: systemd name \"a b\", " FDNAME},
    {IN_L("systemd:" X100 X100 X50 X10, ""), "p:2: systemd name \"" X100 X50 "xxxxx...\", " FDNAME},
    {IN_L("fd:3", ""), "p:2: \"fd:3\" is for the command line of postern export alone, expected a "
                       "socket of systemd: systemd:NAME"},
    {IN_L("fd:2", ""), "p:2: fd \"2\", expected a number from 3 to 1048575"},

    /* contradictions */
    {IN_L("tcp:127.0.0.1:564", "group = \"kvm\""),
     "p:2: group on a tcp address, expected it with unix alone"},
    {IN_L("unix:/x", "allow-remote = yes"),
     "p:2: allow-remote on a unix address, expected it with tcp or systemd alone"},
    {IN_L("vsock:564", "allow-remote = yes"),
     "p:2: allow-remote on a vsock address, expected it with tcp or systemd alone"},
    {IN_L("vsock:564", "group = \"kvm\""),
     "p:2: group on a vsock address, expected it with unix alone"},
    {IN_L("systemd:x", "group = \"kvm\""),
     "p:2: group on a systemd address, expected it with unix alone"},
    {"tenant \"t\" { " SHARE " listen \"vsock:5\" { }\nlisten \"vsock:any:5\" { } }",
     "p:2: address \"vsock:any:5\" is taken by tenant \"t\" at p:1, expected another"},
    {"tenant \"t\" { " SHARE " listen \"vsock:2:5\" { }\nlisten \"vsock:host:5\" { } }",
     "p:2: address \"vsock:host:5\" is taken by tenant \"t\" at p:1, expected another"},
    {"tenant \"t\" { " SHARE " listen \"systemd:x\" { } }\n"
     "tenant \"u\" { " SHARE " listen \"systemd:x\" { } }",
     "p:2: address \"systemd:x\" is taken by tenant \"t\" at p:1, expected another"},
    {IN_T("") "tenant \"u\" { " SHARE "\n" LISTEN " }", "p:5: address \"unix:/run/t\" is taken by "
                                                        "tenant \"t\" at p:1, expected another"},
    {"tenant \"t\" { " SHARE " listen \"tcp:[::1]:5\" { }\nlisten \"tcp:[0:0::1]:5\" { } }",
     "p:2: address \"tcp:[0:0::1]:5\" is taken by tenant \"t\" at p:1, expected another"},

    /* syntax */
    {"tenant \"t\" {\n" LISTEN, "p:1: \"{\" is never closed, expected \"}\" before the end of the "
                                "file"},
    {"tenant \"t\" {\nshare \"s\" {\n}",
     "p:1: \"{\" is never closed, expected \"}\" before the end "
     "of the file"},
    {"}\n", "p:1: \"}\" closes nothing, expected a \"{\" before it"},
    {IN_T("") "}", "p:4: \"}\" closes nothing, expected a \"{\" before it"},
    {"tenant { }", "p:1: no name after \"tenant\", expected one in quotes"},
    {"tenant \"t\" = 1", "p:1: no \"{\" in \"tenant\", expected a section in { }"},
    {IN_T("sandbox full"), "p:2: no \"=\" after \"sandbox\", expected \"=\" and a value"},
    {IN_T("sandbox = "), "p:3: unexpected \"}\", expected a setting or its value"},
    {"tenant", "p:1: end of file in a setting, expected its value"},
    {IN_T("sandbox = { full }"), "p:2: unexpected \"{\", expected a setting or its value"},
    {IN_T("workers = { }"), "p:2: " LATER("workers")},
    {IN_T("sandbox += full"), "p:2: unexpected \"+\", expected a setting, or a value in quotes"},
    {IN_T("sandbox = full;"), "p:2: unexpected \";\", expected a setting, or a value in quotes"},
    {IN_S("path = /srv"), "p:2: unexpected \"/\", expected quotes around a path"},
    {IN_S("path = \"/srv\nx\""),
     "p:2: string goes over the end of the line, expected \" before it"},
    {IN_S("path = \"/srv"), "p:2: string goes over the end of the line, expected \" before it"},
    {"tenant 't", "p:1: string has no end, expected '"},
    {"tenant \"t\\", "p:1: unknown escape in a string, expected \\\\ or \\\" after \"\\\""},
    {IN_S("path = \"/srv\\x41\""),
     "p:2: unknown escape in a string, expected \\\\ or \\\" after \"\\\""},
    {IN_S("path = \"/a\tb\""), "p:2: byte 0x09 in a string, expected no control characters"},
    {IN_S("path = \"${HOME}\""),
     "p:2: \"${\" in a string, expected plain text: variables are not replaced"},
    {"${x}", "p:1: unexpected \"$\", expected a setting, or a value in quotes"},
    {"\"tenant|share\" \"x\" { }", "p:1: \"|\" in a string, expected a value without it"},
    {"@ = 1", "p:1: unexpected \"@\", expected a setting, or a value in quotes"},
    {IN_T("\"@\" = 1"), "p:2: tenant is here again, expected it once"},
    {"/* tenant", "p:1: comment has no end, expected \"*/\""},
    {"\n/*\n\n/", "p:2: comment has no end, expected \"*/\""},
    {"include", "p:1: end of file in a setting, expected its value"},
    {"include(", "p:1: include is incomplete, " INCLUDE_OR},
    {"include()", "p:1: include is incomplete, " INCLUDE_OR},
    {"include(\"a\"", "p:1: include is incomplete, " INCLUDE_OR},
    {"include(\"a\" \"b\")", "p:1: include is incomplete, " INCLUDE_OR},
    {"include(\"a\", \"b\")", "p:1: include is incomplete, " INCLUDE_OR},
    {"include \"a\"", "p:1: no file after \"include\", expected include(\"FILE\")"},
    {"tenant (\"a\")", "p:1: unexpected \"(\", expected it after include alone"},
    {"include(\"a\")", "p:1: include is not possible here, expected all settings in one text"},
    {"defaults { limits { nodes = { { } } } }",
     "p:1: too many \"{\" within each other, expected a setting or \"}\""},
};

static char *
error_of(const char *text, size_t n)
{
    struct plan *p = NULL;
    char *error = NULL;
    int r = policy_parse_text("p", text, n, &p, &error);

    assert_null(p);
    assert_true(r < 0);
    assert_non_null(error);
    return error;
}

static void
a_bad_policy_is_refused_with_place_fault_and_expectation(void **state)
{
    unsigned wrong = 0;

    (void)state;
    assert_true(COUNT(bad) >= 60);
    for (size_t i = 0; i < COUNT(bad); i++) {
        _clean(clean_free) char *error = error_of(bad[i].text, strlen(bad[i].text));

        if (strcmp(error, bad[i].error) == 0)
            continue;
        print_error("--- row %zu:\n%s\n--- says:\n%s\n--- not:\n%s\n", i, bad[i].text, error,
                    bad[i].error);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void
several_mistakes_are_told_at_once_and_a_flood_is_cut(void **state)
{
    _clean(clean_free) char *error = NULL;
    _clean(clean_free) char *text = NULL;
    size_t n, lines = 1;
    FILE *f = open_memstream(&text, &n);

    (void)state;
    assert_non_null(f);
    for (int i = 0; i < 100; i++)
        fprintf(f, "tenant \"t%d\" { }\n", i);
    assert_int_equal(fclose(f), 0);
    error = error_of(text, n);
    for (const char *p = error; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    assert_int_equal(lines, POLICY_ERRORS_MAX);
}

#define GOOD_TENANT                                                                                \
    "tenant \"blue\" {\n"                                                                          \
    "  listen \"unix:/run/blue\" { protocol = 9p group = \"kvm\" }\n"                              \
    "  listen \"tcp:[0:0::1]:564\" { }\n"                                                          \
    "  listen \"tcp:0.0.0.0:0\" { allow-remote = yes }\n"                                          \
    "  share \"ro\" { path = \"/srv/a\" access = read-only }\n"                                    \
    "  share \"rw\" { path = \"/srv/a\" access = read-write identity = squash\n"                   \
    "    owner = \"7:8\" present-as = 0:4294967294 set-id = allow\n"                               \
    "    xattrs = { \"acl\", user } submounts = cross }\n"                                         \
    "  sandbox = best-effort\n"                                                                    \
    "  limits { fids = 2k nodes = 1M msize = 64K }\n"                                              \
    "}\n"
#define GOOD_DEFAULTS "defaults { limits { fids = 5 in-flight = 7 } }\n"

static void
listens_are_good(const struct plan_tenant *t)
{
    const struct plan_listen *l = t->listens;

    assert_int_equal(t->nlistens, 3);
    assert_string_equal(l[0].address, "unix:/run/blue");
    assert_int_equal(l[0].transport, TRANSPORT_UNIX);
    assert_string_equal(l[0].path, "/run/blue");
    assert_null(l[0].host);
    assert_string_equal(l[0].group, "kvm");
    assert_false(l[0].allow_remote);
    assert_string_equal(l[0].file, "p");
    assert_int_equal(l[0].line, t->line + 1);
    assert_string_equal(l[1].address, "tcp:[0:0::1]:564");
    assert_int_equal(l[1].transport, TRANSPORT_TCP);
    assert_string_equal(l[1].host, "::1");
    assert_int_equal(l[1].port, 564);
    assert_null(l[1].path);
    assert_null(l[1].group);
    assert_string_equal(l[2].host, "0.0.0.0");
    assert_int_equal(l[2].port, 0);
    assert_true(l[2].allow_remote);
}

static void
shares_are_good(const struct plan_tenant *t)
{
    const struct plan_share *sh = t->shares;

    assert_int_equal(t->nshares, 2);
    assert_string_equal(sh[0].name, "ro");
    assert_string_equal(sh[0].path, "/srv/a");
    assert_int_equal(sh[0].access, ACCESS_READ_ONLY);
    assert_false(sh[0].has_owner || sh[0].has_present || sh[0].allow_set_id);
    assert_int_equal(sh[0].xattrs, XATTR_USER);
    assert_int_equal(sh[0].submounts, SUBMOUNTS_REFUSE);
    assert_int_equal(sh[0].line, t->line + 4);
    assert_string_equal(sh[1].name, "rw");
    assert_int_equal(sh[1].access, ACCESS_READ_WRITE);
    assert_true(sh[1].has_owner && sh[1].has_present && sh[1].allow_set_id);
    assert_int_equal(sh[1].owner_uid, 7);
    assert_int_equal(sh[1].owner_gid, 8);
    assert_int_equal(sh[1].present_uid, 0);
    assert_int_equal(sh[1].present_gid, 4294967294);
    assert_int_equal(sh[1].xattrs, XATTR_USER | XATTR_ACL);
    assert_int_equal(sh[1].submounts, SUBMOUNTS_CROSS);
}

static void
plan_is_good(const struct plan *p)
{
    const struct plan_tenant *t = p->tenants;

    assert_int_equal(p->ntenants, 1);
    assert_string_equal(t->name, "blue");
    assert_true(t->best_effort);
    listens_are_good(t);
    shares_are_good(t);
    assert_int_equal(t->limits.fids, 2000);
    assert_int_equal(t->limits.nodes, 1000000);
    assert_int_equal(t->limits.msize, 65536);
    assert_int_equal(t->limits.in_flight, 7); /* of defaults */
    assert_int_equal(t->limits.connections, CONNECTIONS_DEFAULT);
    assert_int_equal(t->limits.open_files, OPEN_FILES_DEFAULT);
}

static void
a_good_policy_becomes_its_plan_whatever_the_order(void **state)
{
    static const char *const texts[] = {
        GOOD_DEFAULTS GOOD_TENANT,
        GOOD_TENANT GOOD_DEFAULTS,
    };

    (void)state;
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct plan *p = plan_of(texts[i]);

        plan_is_good(p);
        plan_free(p);
    }
}

static void
settings_in_any_order_mean_the_same(void **state)
{
    struct plan *p = plan_of("tenant t { limits { nodes = 9 } sandbox = full share s { access = "
                             "read-write owner = 1:2 path = '/a b' } " LISTEN " }");

    (void)state;
    assert_string_equal(p->tenants[0].shares[0].path, "/a b");
    assert_int_equal(p->tenants[0].shares[0].access, ACCESS_READ_WRITE);
    assert_int_equal(p->tenants[0].limits.nodes, 9);
    assert_false(p->tenants[0].best_effort);
    plan_free(p);
}

static void
a_list_may_be_empty_and_go_over_lines(void **state)
{
    struct plan *p = plan_of("tenant t { " LISTEN "\n"
                             "share a { path = '/a' access = read-only xattrs = {/**/} }\n"
                             "share b { path = '/b' access = read-only xattrs = {\ncapability #\n,"
                             "\n'user' } submounts = hide } }");

    (void)state;
    assert_int_equal(p->tenants[0].shares[0].xattrs, 0);
    assert_int_equal(p->tenants[0].shares[1].xattrs, XATTR_USER | XATTR_CAPABILITY);
    assert_int_equal(p->tenants[0].shares[1].submounts, SUBMOUNTS_HIDE);
    plan_free(p);
}

static void
comments_blanks_and_escapes_of_all_sorts_are_fine(void **state)
{
    struct plan *p = plan_of("#\n// x\n/**/ /* \" { \n * ** \n*/tenant \"t\"/*x*/{# }\r\n"
                             "\tlisten 'unix:/run/\\t' { }//\n"
                             "share s{path=\"/a\\\\b\\\"c$d#/e\"access=\"read-only\"} }#end");

    (void)state;
    assert_string_equal(p->tenants[0].shares[0].path, "/a\\b\"c$d#/e");
    plan_free(p);
}

static void
a_comment_of_any_length_is_harmless(void **state)
{
    char text[700];

    (void)state;
    for (size_t n = 0; n < 600; n++) {
        _clean(clean_free) char *error = NULL;

        text[0] = '#';
        memset(text + 1, 'x', n);
        text[n + 1] = '\n';
        error = error_of(text, n + 2);
        assert_string_equal(error, bad[0].error);
    }
}

static void
hostile_bytes_are_refused_without_harm(void **state)
{
    static const char fill[] = "{}()=,\"'#/*\\\0\n a1$|@\x80\xff";
    size_t n = 1024 * 1024;
    _clean(clean_free) char *text = malloc(n);

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < sizeof(fill); i++) {
        _clean(clean_free) char *error = NULL;

        memset(text, fill[i], n);
        error = error_of(text, n);
        assert_true(strncmp(error, "p:", 2) == 0);
        assert_non_null(strstr(error, ", expected "));
        assert_true(strlen(error) < 16384);
    }
}

static void
bytes_after_a_nul_are_not_skipped(void **state)
{
    static const char text[] = IN_T("") "\0 sandbox = none";
    static const char in_string[] = "tenant \"t\0\" { }";
    _clean(clean_free) char *a = error_of(text, sizeof(text) - 1);
    _clean(clean_free) char *b = error_of(in_string, sizeof(in_string) - 1);

    (void)state;
    assert_string_equal(a, "p:4: unexpected \"\\x00\", expected a setting, or a value in quotes");
    assert_string_equal(b, "p:1: byte 0x00 in a string, expected no control characters");
}

static void
every_cut_of_a_good_policy_is_an_error_or_a_plan(void **state)
{
    static const char text[] = GOOD_TENANT GOOD_DEFAULTS;

    (void)state;
    for (size_t n = 0; n < sizeof(text); n++) {
        struct plan *p = NULL;
        char *error = NULL;
        int r = policy_parse_text("p", text, n, &p, &error);

        assert_true((r == 0) == (p != NULL));
        assert_true((r == 0) == (error == NULL));
        plan_free(p);
        free(error);
    }
}

static void
every_byte_of_a_good_policy_may_be_any_other(void **state)
{
    static const char good[] = GOOD_TENANT GOOD_DEFAULTS;
    static const char bytes[] = "{}\"'#=(),/*\n\\ x1\0\xff";
    char text[sizeof(good)];

    (void)state;
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        for (size_t j = 0; j < sizeof(bytes); j++) {
            struct plan *p = NULL;
            char *error = NULL;

            memcpy(text, good, sizeof(good));
            text[i] = bytes[j];
            (void)policy_parse_text("p", text, sizeof(good) - 1, &p, &error);
            assert_true((p == NULL) != (error == NULL));
            plan_free(p);
            free(error);
        }
    }
}

static void
too_many_of_anything_is_refused(void **state)
{
    _clean(clean_free) char *text = NULL;
    _clean(clean_free) char *error = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    (void)state;
    assert_non_null(f);
    fprintf(f, "tenant t {");
    for (int i = 0; i <= SHARES_PER_TENANT_MAX; i++)
        fprintf(f, "share s%d { path = '/' access = read-only }", i);
    for (int i = 0; i <= LISTENERS_PER_TENANT_MAX; i++)
        fprintf(f, "listen 'unix:/%d' { }", i);
    fprintf(f, "}");
    assert_int_equal(fclose(f), 0);
    error = error_of(text, n);
    assert_string_equal(error, "p:1: tenant \"t\" has 17 times listen, expected at most 16\n"
                               "p:1: tenant \"t\" has 49 times share, expected at most 48");
}

static void
a_policy_of_sections_alone_ends_soon(void **state)
{
    _clean(clean_free) char *text = NULL;
    _clean(clean_free) char *error = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    (void)state;
    assert_non_null(f);
    for (int i = 0; i < 50000; i++)
        fprintf(f, "tenant t%d { }", i);
    assert_int_equal(fclose(f), 0);
    error = error_of(text, n);
    assert_string_equal(error, "p:1: too many sections, expected at most 8192");
}

/* --- files --- */

static char dir[] = "/tmp/postern-policy-XXXXXX";

static int
files_setup(void **state)
{
    (void)state;
    umask(022);
    return mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static void
file_write(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void
load_fails(const char *path, int code, const char *expected)
{
    _clean(clean_free) char *error = NULL;
    struct plan *p = NULL;

    assert_int_equal(plan_load(path, &p, &error), code);
    assert_null(p);
    assert_string_equal(error, expected);
}

static void
a_file_loads(void **state)
{
    char *error = NULL;
    struct plan *p = NULL;

    (void)state;
    file_write("p", GOOD_TENANT GOOD_DEFAULTS);
    assert_int_equal(plan_load("p", &p, &error), 0);
    assert_null(error);
    plan_is_good(p);
    plan_free(p);
}

static void
a_file_that_others_may_write_is_refused(void **state)
{
    (void)state;
    file_write("w", GOOD_TENANT);
    assert_int_equal(chmod("w", 0664), 0);
    load_fails("w", -EPERM,
               "w:1: \"w\" has mode 0664, expected nobody but its owner to have write "
               "permission");
    assert_int_equal(chmod("w", 0646), 0);
    load_fails("w", -EPERM,
               "w:1: \"w\" has mode 0646, expected nobody but its owner to have write "
               "permission");
    file_write("includes-w", "\ninclude(\"w\")");
    load_fails("includes-w", -EPERM,
               "includes-w:2: \"w\" has mode 0646, expected nobody but its "
               "owner to have write permission");
}

static void
a_file_of_another_user_is_refused(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("SKIP: giving a file away needs root\n");
        skip();
    }
    file_write("other", GOOD_TENANT);
    assert_int_equal(chown("other", 4711, 0), 0);
    load_fails("other", -EPERM, "other:1: \"other\" belongs to uid 4711, expected uid 0 or 0");
}

static void
what_is_not_a_regular_file_is_refused(void **state)
{
    (void)state;
    load_fails(".", -EPERM, ".:1: \".\" is not a regular file, expected a policy file");
    assert_int_equal(mkfifo("fifo", 0600), 0);
    load_fails("fifo", -EPERM, "fifo:1: \"fifo\" is not a regular file, expected a policy file");
    load_fails("none", -ENOENT,
               "none:1: cannot open \"none\": No such file or directory, expected "
               "a policy file");
}

static void
a_file_too_long_is_refused(void **state)
{
    (void)state;
    file_write("long", "#");
    assert_int_equal(truncate("long", POLICY_FILE_BYTES_MAX + 1), 0);
    load_fails("long", -EFBIG, "long:1: \"long\" is too long, expected at most 1048576 bytes");
}

static void
includes_are_relative_and_errors_name_their_file(void **state)
{
    char *error = NULL;
    struct plan *p = NULL;

    (void)state;
    assert_int_equal(mkdir("d", 0755), 0);
    file_write("d/main", "include('sub.inc')\ntenant t {\n" LISTEN "\ninclude('share.inc') }");
    file_write("d/sub.inc", "\ndefaults { limits { nodes = 3 } }\n");
    file_write("d/share.inc", "\n\n" SHARE);
    assert_int_equal(plan_load("d/main", &p, &error), 0);
    assert_int_equal(p->tenants[0].limits.nodes, 3);
    assert_string_equal(p->tenants[0].shares[0].file, "d/share.inc");
    assert_int_equal(p->tenants[0].shares[0].line, 3);
    assert_string_equal(p->tenants[0].listens[0].file, "d/main");
    assert_int_equal(p->tenants[0].listens[0].line, 3);
    assert_int_equal(p->nfiles, 3);
    plan_free(p);

    file_write("d/share.inc", "\n\nshare s { path = 'x' }\n sandbox = full ");
    file_write("d/main", "tenant t {\ninclude('share.inc')\nsandbox = none\n" LISTEN "}\ninclude('"
                         "sub.inc') defaults { }");
    load_fails("d/main", -EINVAL,
               "d/main:3: sandbox is here again, expected it once\n"
               "d/main:5: defaults is here again, expected it once\n"
               "d/main:3: sandbox = \"none\", expected full or best-effort\n"
               "d/share.inc:3: path \"x\" is not absolute, expected it to start "
               "with \"/\"\n"
               "d/share.inc:3: share \"s\" has no access, expected access = "
               "read-only or read-write");
}

static void
an_included_file_stands_for_itself(void **state)
{
    (void)state;
    file_write("closes", "tenant t { include('brace') ");
    file_write("brace", SHARE LISTEN "\n}");
    load_fails("closes", -EINVAL,
               "closes:1: \"{\" is never closed, expected \"}\" before the end of the file");
    file_write("closes", "tenant t { include('brace') }");
    load_fails("closes", -EINVAL, "brace:2: \"}\" closes nothing, expected a \"{\" before it");
    file_write("opens", "tenant t {");
    file_write("main", "include('opens') }");
    load_fails("main", -EINVAL, "main:1: \"}\" closes nothing, expected a \"{\" before it");
    file_write("main", "\n\ninclude('none')");
    load_fails("main", -ENOENT,
               "main:3: cannot open \"none\": No such file or directory, expected "
               "a policy file");
}

static void
includes_end_at_a_depth_and_at_a_number(void **state)
{
    char *error = NULL;
    struct plan *p = NULL;

    (void)state;
    file_write("loop", "\ninclude('loop')");
    load_fails("loop", -EINVAL, "loop:2: includes too deep, expected at most 8 within each other");
    file_write("empty", "");
    file_write("many4", "include('empty')include('empty')include('empty')include('empty')");
    file_write("many64", "include('many4')include('many4')include('many4')include('many4')\n"
                         "include('many4')include('many4')include('many4')include('many4')\n"
                         "include('many4')include('many4')include('many4')include('many4')\n"
                         "include('many4')include('many4')include('many4')include('many4')");
    file_write("many", "include('many64')include('many64')include('many64')include('many64')\n"
                       "include('many64')include('many64')include('many64')include('many64')\n"
                       "include('many64')include('many64')include('many64')include('many64')\n"
                       "include('many64')include('many64')include('many64')include('many64')");
    load_fails("many", -EINVAL, "many64:3: too many files, expected at most 1024");
    /* after all that, nothing of it is left in libconfuse */
    file_write("p", GOOD_DEFAULTS GOOD_TENANT);
    assert_int_equal(plan_load("p", &p, &error), 0);
    plan_free(p);
}

static void
a_directory_is_included_file_by_file_in_order_of_names(void **state)
{
    char *error = NULL;
    struct plan *p = NULL;

    (void)state;
    assert_int_equal(mkdir("t.d", 0755), 0);
    file_write("t.d/b.conf", "\ntenant b { listen 'unix:/b' { } " SHARE " }");
    file_write("t.d/a.conf", "tenant a { listen 'unix:/a' { } " SHARE " }");
    file_write("t.d/c.conf~", "junk");
    file_write("t.d/.d.conf", "junk");
    file_write("p", "include('t.d/')");
    assert_int_equal(plan_load("p", &p, &error), 0);
    assert_int_equal(p->ntenants, 2);
    assert_string_equal(p->tenants[0].name, "a");
    assert_string_equal(p->tenants[1].file, "t.d/b.conf");
    assert_int_equal(p->tenants[1].line, 2);
    plan_free(p);
    file_write("p", "include('t.d/*.conf')");
    assert_int_equal(plan_load("p", &p, &error), 0);
    assert_int_equal(p->ntenants, 2);
    plan_free(p);
    file_write("p", "include('t.d/a*')\ninclude('t.d/none*')");
    assert_int_equal(plan_load("p", &p, &error), 0);
    assert_int_equal(p->ntenants, 1);
    plan_free(p);
}

static void
a_wrong_included_directory_is_refused(void **state)
{
    (void)state;
    file_write("t.d/b.conf", "\ntenant b { " SHARE " }");
    file_write("p", "\ninclude('t.d/')");
    load_fails("p", -EINVAL, "t.d/b.conf:2: tenant \"b\" has no listen, expected at least one");
    file_write("t.d/b.conf", "tenant a { listen 'unix:/b' { } " SHARE " }");
    load_fails("p", -EINVAL, "t.d/b.conf:1: the name \"a\" is here twice, expected it once");
    assert_int_equal(chmod("t.d/b.conf", 0666), 0);
    load_fails("p", -EPERM,
               "p:2: \"t.d/b.conf\" has mode 0666, expected nobody but its owner to "
               "have write permission");
    assert_int_equal(chmod("t.d", 01777), 0);
    load_fails("p", -EPERM,
               "p:2: \"t.d/\" has mode 1777, expected nobody but its owner to have "
               "write permission");
    file_write("p", "\n\ninclude('none/')");
    load_fails("p", -ENOENT,
               "p:3: cannot open \"none/\": No such file or directory, expected a "
               "directory");
    file_write("p", "include('main/*.conf')");
    load_fails("p", -ENOTDIR, "p:1: cannot open \"main/\": Not a directory, expected a directory");
}

/* Read before the first chdir. */
static struct example {
    const char *name; /* in docs/examples */
    char text[16384];
} examples[] = {{.name = "postern.conf"},
                {.name = "tenants.conf"},
                {.name = "tenants.d/blue.conf"},
                {.name = "tenants.d/green.conf"}};

static void
the_example_policy_loads(void **state)
{
    char *error = NULL;
    struct plan *p = NULL;
    const struct plan_tenant *t;

    (void)state;
    file_write("example", examples[0].text);
    if (plan_load("example", &p, &error) < 0)
        print_error("%s\n", error);
    assert_non_null(p);
    assert_int_equal(p->ntenants, 2);
    t = p->tenants;
    assert_string_equal(t[0].name, "blue");
    assert_int_equal(t[0].nshares, 2);
    assert_int_equal(t[0].shares[0].access, ACCESS_READ_ONLY);
    assert_int_equal(t[0].shares[1].access, ACCESS_READ_WRITE);
    assert_int_equal(t[0].limits.nodes, 256000);
    assert_int_equal(t[0].limits.msize, 524288);
    assert_string_equal(t[1].listens[0].host, "127.0.0.1");
    plan_free(p);
}

static void
the_example_of_a_file_for_each_tenant_loads(void **state)
{
    char *error = NULL;
    struct plan *p = NULL;

    (void)state;
    assert_int_equal(mkdir("tenants.d", 0755), 0);
    for (size_t i = 1; i < COUNT(examples); i++)
        file_write(examples[i].name, examples[i].text);
    if (plan_load("tenants.conf", &p, &error) < 0)
        print_error("%s\n", error);
    assert_non_null(p);
    assert_int_equal(p->ntenants, 2);
    assert_non_null(p->control.path);
    assert_int_equal(p->tenants[0].shares[1].identity, IDENTITY_MAP);
    assert_int_equal(p->tenants[1].shares[0].hide.n, 2);
    plan_free(p);
    for (size_t i = 1; i < COUNT(examples); i++)
        assert_int_equal(unlink(examples[i].name), 0);
    assert_int_equal(rmdir("tenants.d"), 0);
}

/* --- without a file --- */

static struct plan *
plan_of_tenant(void)
{
    struct plan *p = NULL;

    assert_int_equal(plan_new("t", &p), 0);
    assert_int_equal(p->ntenants, 1);
    assert_string_equal(p->tenants[0].name, "t");
    assert_int_equal(p->tenants[0].limits.msize, MSIZE_DEFAULT_LIMIT);
    return p;
}

static void
a_tenant_made_by_hand_has_a_good_name(void **state)
{
    static const char *const names[] = {"", "a/b", ".x", LONG_NAME, "a\nb"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct plan *p = NULL;

        assert_int_equal(plan_new(names[i], &p), -EINVAL);
        assert_null(p);
    }
    plan_free(NULL);
}

static void
a_directory_becomes_a_share(void **state)
{
    static const struct {
        const char *given, *name, *path;
        enum plan_access access;
    } rows[] = {
        {"/srv/tools:ro", "tools", "/srv/tools", ACCESS_READ_ONLY},
        {"/opt/tools", "tools-2", "/opt/tools", ACCESS_READ_WRITE},
        {"/usr//./x/../tools/", "tools-3", "/usr/tools", ACCESS_READ_WRITE},
        {"/", "root", "/", ACCESS_READ_WRITE},
        {"/..:ro", "root-2", "/", ACCESS_READ_ONLY},
        {"/a b,c=d", "a_b_c_d", "/a b,c=d", ACCESS_READ_WRITE},
        {"/.git", "_git", "/.git", ACCESS_READ_WRITE},
        {"/-x", "_x", "/-x", ACCESS_READ_WRITE},
        {"/x:ro/", "x_ro", "/x:ro", ACCESS_READ_WRITE},
        {"/x:rw", "x_rw", "/x:rw", ACCESS_READ_WRITE},
        {"/\xc3\xa4", "__", "/\xc3\xa4", ACCESS_READ_WRITE},
        {"/" X100, X50 X10 "xxxx", "/" X100, ACCESS_READ_WRITE},
        {"/a/" X100, X50 X10 "xx-2", "/a/" X100, ACCESS_READ_WRITE},
    };
    struct plan *p = plan_of_tenant();

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *error = NULL;

        assert_int_equal(plan_add_share(p, rows[i].given, &error), 0);
        assert_null(error);
        assert_int_equal(p->tenants[0].nshares, i + 1);
        assert_string_equal(p->tenants[0].shares[i].name, rows[i].name);
        assert_string_equal(p->tenants[0].shares[i].path, rows[i].path);
        assert_int_equal(p->tenants[0].shares[i].access, rows[i].access);
    }
    plan_free(p);
}

static void
a_relative_directory_counts_from_here(void **state)
{
    struct plan *p = plan_of_tenant();
    char *error = NULL;
    char path[PATH_MAX];

    (void)state;
    assert_int_equal(plan_add_share(p, ".:ro", &error), 0);
    assert_int_equal(p->tenants[0].shares[0].xattrs, XATTR_USER);
    assert_string_equal(p->tenants[0].shares[0].path, dir);
    assert_int_equal(plan_add_share(p, "a/../b", &error), 0);
    (void)snprintf(path, sizeof(path), "%s/b", dir);
    assert_string_equal(p->tenants[0].shares[1].path, path);
    assert_int_equal(plan_add_listen(p, "unix:sock", &error), 0);
    (void)snprintf(path, sizeof(path), "%s/sock", dir);
    assert_string_equal(p->tenants[0].listens[0].path, path);
    plan_free(p);
}

static void
a_bad_directory_is_refused(void **state)
{
    static const struct bad rows[] = {
        {"", "directory \"\", expected DIR or DIR:ro"},
        {":ro", "directory \":ro\", expected DIR or DIR:ro"},
        {"/a\nb", "directory \"/a\\x0ab\" has a control character, expected none"},
        {"/" X100 X100 X50 "xxxxxx",
         "directory \"/" X100 X50 "xxxx...\" is too long, expected at most 4095 bytes and 255 "
         "between two \"/\""},
    };
    struct plan *p = plan_of_tenant();

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        _clean(clean_free) char *error = NULL;

        assert_int_equal(plan_add_share(p, rows[i].text, &error), -EINVAL);
        assert_string_equal(error, rows[i].error);
        assert_int_equal(p->tenants[0].nshares, 0);
    }
    plan_free(p);
}

static void
an_address_becomes_a_listener(void **state)
{
    static const char *const good[] = {
        "unix:/run/x",     "tcp:127.0.0.1:564",      "tcp:[::1]:564", "tcp:127.9.9.9:0",
        "tcp:127.9.9.9:0", "systemd:a@b-c_d.socket", "fd:3",          "fd:1048575"};
    struct plan *p = plan_of_tenant();
    const struct plan_listen *l;
    char *error = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        assert_int_equal(plan_add_listen(p, good[i], &error), 0);
        assert_null(error);
        assert_string_equal(p->tenants[0].listens[i].address, good[i]);
    }
    l = p->tenants[0].listens;
    assert_string_equal(l[0].path, "/run/x");
    assert_string_equal(l[2].host, "::1");
    assert_int_equal(l[2].port, 564);
    assert_int_equal(l[5].transport, TRANSPORT_SYSTEMD);
    assert_string_equal(l[5].name, "a@b-c_d.socket");
    assert_int_equal(l[6].transport, TRANSPORT_FD);
    assert_int_equal(l[6].fd, 3);
    assert_int_equal(l[7].fd, 1048575);
    plan_free(p);
}

static void
a_vsock_address_has_a_port_and_may_have_a_cid(void **state)
{
    static const struct {
        const char *text;
        uint32_t cid, port;
    } rows[] = {
        {"vsock:5640", UINT32_MAX, 5640},
        {"vsock:any:1", UINT32_MAX, 1},
        {"vsock:local:2", 1, 2},
        {"vsock:host:2", 2, 2},
        {"vsock:1:4", 1, 4},
        {"vsock:4294967294:4294967294", 4294967294, 4294967294},
        {"vsock:0", UINT32_MAX, 0},
        {"vsock:any:0", UINT32_MAX, 0},
    };
    struct plan *p = plan_of_tenant();
    char *error = NULL;

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct plan_listen *l;

        assert_int_equal(plan_add_listen(p, rows[i].text, &error), 0);
        l = &p->tenants[0].listens[i];
        assert_int_equal(l->transport, TRANSPORT_VSOCK);
        assert_int_equal(l->cid, rows[i].cid);
        assert_int_equal(l->port, rows[i].port);
        assert_null(l->path);
        assert_null(l->host);
        assert_null(l->name);
    }
    plan_free(p);
}

static void
systemd_sockets_may_be_allowed_to_be_remote(void **state)
{
    struct plan *p =
        plan_of("tenant t { " SHARE
                " listen \"systemd:x\" { allow-remote = yes } listen \"vsock:9\" { } }");

    (void)state;
    assert_string_equal(p->tenants[0].listens[0].name, "x");
    assert_true(p->tenants[0].listens[0].allow_remote);
    assert_int_equal(p->tenants[0].listens[1].port, 9);
    assert_int_equal(p->tenants[0].listens[1].line, 1);
    plan_free(p);
}

static void
a_bad_address_is_refused(void **state)
{
    static const struct bad rows[] = {
        {"", "address \"\", " FORMS},
        {"unix:", "socket \"\" is not absolute, expected it to start with \"/\""},
        {"unix:/run/x", "address \"unix:/run/x\" is here twice, expected it once"},
        {"unix:/run//./x", "address \"unix:/run/x\" is here twice, expected it once"},
        {"tcp:10.0.0.1:564", "\"tcp:10.0.0.1:564\" can be reached from other machines, expected a "
                             "loopback address, or a policy file with allow-remote = yes"},
        {"tcp:128.0.0.1:x",
         "tcp address \"128.0.0.1:x\" has no port, expected a number from 0 to 65535 at its end"},
        {"vsock:any:2", "address \"vsock:any:2\" is here twice, expected it once"},
        {"fd:3", "address \"fd:3\" is here twice, expected it once"},
        {"fd:3,4", "fd \"3,4\" is more than one, " ONE_FD},
        {"fd:", "fd \"\", expected a number from 3 to 1048575"},
        {"fd:1", "fd \"1\", expected a number from 3 to 1048575"},
        {"fd:1048576", "fd \"1048576\", expected a number from 3 to 1048575"},
        {"fd:-3", "fd \"-3\", expected a number from 3 to 1048575"},
        {"systemd:", "systemd name \"\", " FDNAME},
        {"unix:/" X100 "1234567",
         "socket \"/" X100 "1234567\" has 108 bytes, expected at most 107"},
    };
    struct plan *p = plan_of_tenant();
    char *none = NULL;

    (void)state;
    assert_int_equal(plan_add_listen(p, "unix:/run/x", &none), 0);
    assert_int_equal(plan_add_listen(p, "vsock:2", &none), 0);
    assert_int_equal(plan_add_listen(p, "fd:3", &none), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        _clean(clean_free) char *error = NULL;

        assert_int_equal(plan_add_listen(p, rows[i].text, &error), -EINVAL);
        assert_string_equal(error, rows[i].error);
        assert_int_equal(p->tenants[0].nlistens, 3);
    }
    plan_free(p);
}

static void
hands_do_not_get_past_the_counts(void **state)
{
    struct plan *p = plan_of_tenant();
    char *error = NULL;

    (void)state;
    for (int i = 0; i < SHARES_PER_TENANT_MAX; i++)
        assert_int_equal(plan_add_share(p, "/srv", &error), 0);
    assert_int_equal(plan_add_share(p, "/srv", &error), -EINVAL);
    assert_string_equal(error, "one directory too many, expected at most 48");
    free(error);
    for (int i = 0; i < LISTENERS_PER_TENANT_MAX; i++)
        assert_int_equal(plan_add_listen(p, "tcp:127.0.0.1:0", &error), 0);
    assert_int_equal(plan_add_listen(p, "tcp:127.0.0.1:0", &error), -EINVAL);
    assert_string_equal(error, "one address too many, expected at most 16");
    free(error);
    plan_free(p);
}

static int
files_teardown(void **state)
{
    static const char *const names[] = {
        "p",      "w",          "includes-w", "other",       "fifo",       "long",
        "loop",   "empty",      "many4",      "many",        "closes",     "brace",
        "opens",  "main",       "example",    "d/main",      "d/sub.inc",  "d/share.inc",
        "many64", "t.d/a.conf", "t.d/b.conf", "t.d/c.conf~", "t.d/.d.conf"};

    (void)state;
    for (size_t i = 0; i < COUNT(names); i++)
        (void)unlink(names[i]);
    (void)rmdir("d");
    (void)rmdir("t.d");
    return rmdir(dir);
}

static bool
example_read(struct example *x)
{
    char path[128];
    FILE *f;
    size_t n;

    (void)snprintf(path, sizeof(path), "docs/examples/%s", x->name);
    f = fopen(path, "re");
    if (f == NULL)
        return false;
    n = fread(x->text, 1, sizeof(x->text) - 1, f);
    x->text[n] = '\0';
    return fclose(f) == 0 && n > 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_policy_is_refused_with_place_fault_and_expectation),
        cmocka_unit_test(several_mistakes_are_told_at_once_and_a_flood_is_cut),
        cmocka_unit_test(a_good_policy_becomes_its_plan_whatever_the_order),
        cmocka_unit_test(settings_in_any_order_mean_the_same),
        cmocka_unit_test(a_list_may_be_empty_and_go_over_lines),
        cmocka_unit_test(comments_blanks_and_escapes_of_all_sorts_are_fine),
        cmocka_unit_test(a_comment_of_any_length_is_harmless),
        cmocka_unit_test(hostile_bytes_are_refused_without_harm),
        cmocka_unit_test(bytes_after_a_nul_are_not_skipped),
        cmocka_unit_test(every_cut_of_a_good_policy_is_an_error_or_a_plan),
        cmocka_unit_test(every_byte_of_a_good_policy_may_be_any_other),
        cmocka_unit_test(too_many_of_anything_is_refused),
        cmocka_unit_test(a_policy_of_sections_alone_ends_soon),
        cmocka_unit_test(a_file_loads),
        cmocka_unit_test(a_file_that_others_may_write_is_refused),
        cmocka_unit_test(a_file_of_another_user_is_refused),
        cmocka_unit_test(what_is_not_a_regular_file_is_refused),
        cmocka_unit_test(a_file_too_long_is_refused),
        cmocka_unit_test(includes_are_relative_and_errors_name_their_file),
        cmocka_unit_test(an_included_file_stands_for_itself),
        cmocka_unit_test(includes_end_at_a_depth_and_at_a_number),
        cmocka_unit_test(a_directory_is_included_file_by_file_in_order_of_names),
        cmocka_unit_test(a_wrong_included_directory_is_refused),
        cmocka_unit_test(the_example_policy_loads),
        cmocka_unit_test(the_example_of_a_file_for_each_tenant_loads),
        cmocka_unit_test(a_tenant_made_by_hand_has_a_good_name),
        cmocka_unit_test(a_directory_becomes_a_share),
        cmocka_unit_test(a_relative_directory_counts_from_here),
        cmocka_unit_test(a_bad_directory_is_refused),
        cmocka_unit_test(an_address_becomes_a_listener),
        cmocka_unit_test(a_vsock_address_has_a_port_and_may_have_a_cid),
        cmocka_unit_test(systemd_sockets_may_be_allowed_to_be_remote),
        cmocka_unit_test(a_bad_address_is_refused),
        cmocka_unit_test(hands_do_not_get_past_the_counts),
    };

    for (size_t i = 0; i < COUNT(examples); i++) {
        if (!example_read(&examples[i])) {
            (void)fprintf(stderr, "no docs/examples: run from the top of the tree\n");
            return 1;
        }
    }
    return cmocka_run_group_tests(tests, files_setup, files_teardown);
}
