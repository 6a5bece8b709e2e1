/*
 * identity = map of an ordinary user's posternd: with ids that the system lends
 * him, with no others, and with a reason where it lends none.
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
#include "tests/lib/lent.h"

#define FIRST 200000u
#define COUNT_OF 65536u
#define LENT "200000:65536"
#define OTHER_GROUP 4321u
#define CHILDREN 3
enum { GUEST_ROOT = 0, ALICE = 1000 };

#define SHARE(name, dir, more)                                                                     \
    "share \"" name "\" { path = \"@/" dir "\" access = read-write " more " }\n"
#define MAPPED(name, ids) SHARE(name, "map", "identity = map ids = \"" ids "\"")
#define POLICY(shares)                                                                             \
    "control \"unix:@/control\" { }\n"                                                             \
    "tenant \"t\" { listen \"unix:@/sock\" { protocol = 9p }\n" shares "}\n"
#define BOTH MAPPED("map", "200000+65536") SHARE("rw", "rw", "")

static void
policy(const struct server *s, const char *text)
{
    server_file(s, "policy.conf", text);
    assert_int_equal(chown(server_path(s, "policy.conf"), SERVER_USER, SERVER_USER), 0);
}

static int
setup(void **state)
{
    static struct server s;

    server_init(&s, true);
    s.group = OTHER_GROUP;
    assert_int_equal(mkdir(server_path(&s, "map"), 0755), 0);
    assert_int_equal(chown(server_path(&s, "map"), FIRST, FIRST), 0);
    server_file(&s, "map/secret", "the host root's");
    assert_int_equal(chmod(server_path(&s, "map/secret"), 0600), 0);
    lent_set(LENT, LENT);
    policy(&s, POLICY(BOTH));
    *state = &s;
    return 0;
}

static int
teardown(void **state)
{
    lent_tool_back();
    server_done(*state);
    return 0;
}

static struct nc *
attach_as(const struct server *s, const char *share, uint32_t uid)
{
    struct nc *c = server_connect(s);

    assert_int_equal(nc_attach(c, 0, "", share, uid), 0);
    return c;
}

static void
host_has(const struct server *s, const char *name, uint32_t uid, uint32_t gid)
{
    struct stat st;

    assert_int_equal(lstat(server_path(s, name), &st), 0);
    assert_int_equal(st.st_uid, uid);
    assert_int_equal(st.st_gid, gid);
}

static int
chown_to(struct nc *c, uint32_t fid, uint32_t uid)
{
    const struct nc_setattr a = {.valid = NINE_SET_UID, .uid = uid};

    return nc_setattr(c, fid, &a);
}

static void
guests_have_the_ids_that_he_was_lent(void **state)
{
    struct server *s = *state;
    const char *dir = "dir", *secret = "secret";
    struct nc_attr a;
    struct nc *c;

    server_start(s, NULL);
    c = attach_as(s, "map", ALICE);
    assert_int_equal(nc_mkdir(c, 0, "hers", 0755, ALICE, NULL), -EACCES);
    nc_close(c);
    c = attach_as(s, "map", GUEST_ROOT);
    assert_int_equal(nc_mkdir(c, 0, dir, 0755, 0, NULL), 0);
    host_has(s, "map/dir", FIRST, FIRST);
    assert_int_equal(nc_walk(c, 0, 1, 1, &dir, NULL, NULL), 0);
    assert_int_equal(chown_to(c, 1, ALICE), 0);
    host_has(s, "map/dir", FIRST + ALICE, FIRST);
    assert_int_equal(nc_getattr(c, 1, NINE_GETATTR_BASIC, &a), 0);
    assert_int_equal(a.uid, ALICE);
    assert_int_equal(chown_to(c, 1, COUNT_OF), -EINVAL);
    assert_int_equal(chown_to(c, 1, SERVER_USER), 0); /* FIRST + SERVER_USER, not posternd's */
    host_has(s, "map/dir", FIRST + SERVER_USER, FIRST);
    assert_int_equal(nc_walk(c, 0, 2, 1, &secret, NULL, NULL), 0);
    assert_int_equal(nc_lopen(c, 2, NINE_O_RDONLY, NULL, NULL), -EACCES);
    assert_int_equal(chown_to(c, 2, 0), -EPERM);
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* Not even those of the user's groups that could not be dropped otherwise. */
static void
nobody_has_ids_besides_his_own(void **state)
{
    struct server *s = *state;
    struct server_child v[CHILDREN];
    char line[64];

    server_start(s, NULL);
    assert_int_equal(server_children(s, v, CHILDREN), CHILDREN);
    for (size_t i = 0; i < CHILDREN; i++) {
        uint32_t id = i == 0 ? FIRST : SERVER_USER; /* the first is the helper of map */

        (void)snprintf(line, sizeof(line), "Uid:\t%u\t%u\t%u\t%u\n", id, id, id, id);
        assert_string_equal(server_status(v[i].pid, "Uid:"), line);
        (void)snprintf(line, sizeof(line), "Gid:\t%u\t%u\t%u\t%u\n", id, id, id, id);
        assert_string_equal(server_status(v[i].pid, "Gid:"), line);
        assert_string_equal(server_status(v[i].pid, "Groups:"), "Groups:\t \n");
    }
    assert_string_equal(server_status(s->pid, "Groups:"), "Groups:\t \n");
    server_assert_sealed(v[1].pid);
    server_assert_sealed(v[2].pid);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

#define IN_MAP(first_line) "policy.conf:3: share map: identity = map with ids = " first_line

static const struct {
    const char *uids, *gids, *shares, *text;
} refusals[] = {
    {NULL, NULL, BOTH,
     IN_MAP("\"200000+65536\": /etc/subuid grants lent-user no ids: have an administrator run "
            "\"usermod --add-subuids 200000-265535 lent-user\", or run posternd as root\n")},
    {"200000:65535", LENT, BOTH,
     IN_MAP("\"200000+65536\": /etc/subuid grants lent-user 200000+65535: have an administrator ")},
    {LENT, "200001:65536", BOTH,
     IN_MAP("\"200000+65536\": /etc/subgid grants lent-user 200001+65536: have an administrator "
            "run \"usermod --add-subgids 200000-265535 lent-user\", or ")},
    {LENT, LENT, MAPPED("map", "12000+1000"),
     IN_MAP("\"12000+1000\": 12345 is this user's own, which no guest may be: choose others\n")},
    {LENT, LENT, SHARE("map", "map", "identity = host"),
     "policy.conf:3: share map: identity = host needs posternd to run as root: use squash, stored "
     "or map\n"},
};

static void
assert_refused(struct server *s, const char *text)
{
    static const char *const verbs[] = {"check", "serve"};

    for (size_t i = 0; i < COUNT(verbs); i++) {
        const char *args[] = {verbs[i], server_path(s, "policy.conf"), NULL};

        assert_int_equal(server_run(s, "postern", args), 1);
        if (strstr(server_text(s, "err"), text) == NULL)
            fail_msg("%s says\n%s and not\n%s", verbs[i], server_text(s, "err"), text);
        assert_int_equal(access(server_path(s, "sock"), F_OK), -1);
    }
}

static void
what_is_not_lent_is_refused_with_what_to_do(void **state)
{
    struct server *s = *state;

    for (size_t i = 0; i < COUNT(refusals); i++) {
        char text[1024];

        lent_set(refusals[i].uids, refusals[i].gids);
        (void)snprintf(text, sizeof(text), POLICY("%s"), refusals[i].shares);
        policy(s, text);
        assert_refused(s, refusals[i].text);
    }
}

static void
a_machine_that_cannot_lend_is_named(void **state)
{
    struct server *s = *state;

    lent_tool(NULL);
    assert_refused(s, IN_MAP("\"200000+65536\": there is no /usr/bin/newuidmap, which lends an "
                             "ordinary user its ids: install it (Debian's package uidmap), or run "
                             "posternd as root\n"));
    lent_tool_back();
    lent_tool("/usr/bin/false");
    assert_refused(s, IN_MAP("\"200000+65536\": /usr/bin/newuidmap failed with exit status 1, "
                             "although /etc/subuid grants lent-user 200000+65536\n"));
}

/* Two that touch, by the user's number, and shares that overlap. */
static void
ranges_may_come_in_pieces(void **state)
{
    struct server *s = *state;
    const char *args[] = {"check", server_path(s, "policy.conf"), NULL};

    lent_set("200000:1000\n12345:201000:70000", "200000:500\n12345:200500:70500");
    policy(s, POLICY(MAPPED("map", "200000+65536") MAPPED("b", "200100+20")
                         MAPPED("c", "260000+10000") MAPPED("d", "270000+1000")));
    (void)server_run(s, "postern", args);
    assert_string_equal(server_text(s, "out"), "ok: 1 tenant, 4 shares\n");
    policy(s, POLICY(BOTH MAPPED("b", "200100+20")));
    server_start(s, NULL);
    nc_close(attach_as(s, "map", GUEST_ROOT));
    nc_close(attach_as(s, "b", GUEST_ROOT));
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static int
add(const struct server *s, int fd, const char *name, const char *settings)
{
    char text[512];

    (void)snprintf(text, sizeof(text), "path = \"%s\" access = read-write identity = map %s",
                   server_path(s, "map"), settings);
    return peer_add(fd, name, name, text);
}

static void
while_it_runs_it_lends_what_it_has_and_no_more(void **state)
{
    struct server *s = *state;
    int fd;

    lent_set("200000:100000", "200000:100000");
    server_start(s, NULL);
    fd = peer_open_as(s, SERVER_USER, SERVER_USER);
    assert_int_equal(add(s, fd, "in", "ids = \"200100+65436\""), 0);
    nc_close(attach_as(s, "in", GUEST_ROOT));
    assert_int_equal(add(s, fd, "out", "ids = \"200100+65437\""), -EPERM);
    assert_non_null(strstr(peer_text(), "share out: identity = map with ids = \"200100+65437\": an "
                                        "ordinary user's posternd can have no more ids than it "
                                        "asked for when it started (200000+65536): start it "
                                        "again with this share in its policy"));
    policy(s, POLICY(BOTH MAPPED("more", "290000+1000")));
    assert_int_not_equal(peer_reload(fd, false), 0);
    assert_non_null(strstr(peer_text(), "can have no more ids than it asked for"));
    policy(s, POLICY(BOTH MAPPED("more", "201000+1000")));
    assert_int_equal(peer_reload(fd, false), 0);
    close(fd);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(guests_have_the_ids_that_he_was_lent),
        CASE(nobody_has_ids_besides_his_own),
        CASE(what_is_not_lent_is_refused_with_what_to_do),
        CASE(a_machine_that_cannot_lend_is_named),
        CASE(ranges_may_come_in_pieces),
        CASE(while_it_runs_it_lends_what_it_has_and_no_more),
    };

    if (!lent_begin(SERVER_USER))
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
