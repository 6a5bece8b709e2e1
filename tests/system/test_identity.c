/*
 * Whose files they are: on the host, for the helper, and for the guest.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "tests/lib/server.h"

#define CHILDREN 2 /* one helper and the worker */

static int
setup(void **state)
{
    static struct server s;

    server_init(&s, false);
    *state = &s;
    return 0;
}

static int
teardown(void **state)
{
    struct server *s = *state;

    (void)umount2(server_path(s, "over/below"), MNT_DETACH);
    (void)umount2(server_path(s, "over"), MNT_DETACH);
    (void)umount2(server_path(s, "mem"), MNT_DETACH);
    server_done(s);
    return 0;
}

static void
dir_make(const struct server *s, const char *name, unsigned owner)
{
    assert_int_equal(mkdir(server_path(s, name), 0755), 0);
    assert_int_equal(chown(server_path(s, name), owner, owner), 0);
}

/* An overlay file system cannot map ids; its layers lie on a tmpfs, because
 * an overlay may not lie on every file system. */
static void
overlay_make(const struct server *s, unsigned owner)
{
    char options[1024];

    dir_make(s, "mem", 0);
    dir_make(s, "over", 0);
    assert_int_equal(mount("tmpfs", server_path(s, "mem"), "tmpfs", 0, "mode=755"), 0);
    dir_make(s, "mem/lower", owner);
    dir_make(s, "mem/upper", owner);
    dir_make(s, "mem/work", 0);
    (void)snprintf(options, sizeof(options), "lowerdir=%s,upperdir=%s,workdir=%s",
                   server_path(s, "mem/lower"), server_path(s, "mem/upper"),
                   server_path(s, "mem/work"));
    assert_int_equal(mount("overlay", server_path(s, "over"), "overlay", 0, options), 0);
}

/* Serve one directory read-write with further settings of its share. */
static void
policy(const struct server *s, const char *dir, const char *more)
{
    char text[512];

    (void)snprintf(text, sizeof(text),
                   "tenant \"t\" { listen \"unix:@/sock\" { protocol = 9p }\n"
                   "share \"d\" { path = \"@/%s\" access = read-write %s } }\n",
                   dir, more);
    server_file(s, "policy.conf", text);
}

/* Make a directory through the server; whose it is here and there. */
static void
made_by_a_guest(struct server *s, const char *dir, unsigned here, unsigned there)
{
    struct nc *c = server_attach(s, "d");
    const char *name = "made";
    struct nc_attr a;
    char path[128];
    struct stat st;

    assert_int_equal(nc_mkdir(c, 0, name, 0755, 0, NULL), 0);
    assert_int_equal(nc_walk(c, 0, 1, 1, &name, NULL, NULL), 0);
    assert_int_equal(nc_getattr(c, 1, NINE_GETATTR_BASIC, &a), 0);
    (void)snprintf(path, sizeof(path), "%s/made", dir);
    assert_int_equal(stat(server_path(s, path), &st), 0);
    assert_int_equal(st.st_uid, here);
    assert_int_equal(st.st_gid, here);
    assert_int_equal(a.uid, there);
    assert_int_equal(a.gid, there);
    nc_close(c);
}

static unsigned long
helper_uid(const struct server *s)
{
    struct server_child v[CHILDREN];

    assert_int_equal(server_children(s, v, CHILDREN), CHILDREN);
    return strtoul(server_status(v[0].pid, "Uid:") + strlen("Uid:"), NULL, 10);
}

static const struct {
    unsigned root; /* owner of the share's root */
    const char *more;
    unsigned here, there;
} rows[] = {
    {SERVER_OWNER, "", SERVER_OWNER, SERVER_OWNER},
    {0, "", 0, 0},
    {SERVER_OWNER, "owner = \"1000:1000\"", 1000, 1000},
    {SERVER_OWNER, "present-as = \"7:7\"", SERVER_OWNER, 7},
    {2000, "owner = \"2000:2000\" present-as = \"0:0\"", 2000, 0},
};

static void
files_belong_to_the_owner_and_the_helper_to_nobody(void **state)
{
    struct server *s = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        char dir[16];

        (void)snprintf(dir, sizeof(dir), "d%zu", i);
        dir_make(s, dir, rows[i].root);
        policy(s, dir, rows[i].more);
        server_start(s, NULL);
        made_by_a_guest(s, dir, rows[i].here, rows[i].there);
        assert_true(helper_uid(s) >= 0x70000000ul);
        assert_int_equal(server_stop(s, SIGTERM), 0);
    }
}

static void
where_ids_cannot_be_mapped_the_helper_is_the_owner(void **state)
{
    struct server *s = *state;

    overlay_make(s, SERVER_OWNER);
    policy(s, "over", "");
    server_start(s, NULL);
    made_by_a_guest(s, "over", SERVER_OWNER, SERVER_OWNER);
    assert_int_equal(helper_uid(s), SERVER_OWNER);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
but_never_root(void **state)
{
    struct server *s = *state;
    const char *args[] = {server_path(s, "policy.conf"), NULL};

    overlay_make(s, 0);
    policy(s, "over", "");
    assert_int_equal(server_run(s, "posternd", args), 1);
    assert_non_null(strstr(server_text(s, "err"), "policy.conf:2: share d: "));
    assert_non_null(strstr(server_text(s, "err"), "set owner = \"UID:GID\""));
    assert_int_equal(access(server_path(s, "sock"), F_OK), -1);
}

static void
what_is_mounted_below_is_refused(void **state)
{
    struct server *s = *state;
    const char *args[] = {server_path(s, "policy.conf"), NULL};

    dir_make(s, "over", 0);
    dir_make(s, "over/below", 0);
    assert_int_equal(mount("tmpfs", server_path(s, "over/below"), "tmpfs", 0, "mode=755"), 0);
    policy(s, "over", "");
    assert_int_equal(server_run(s, "posternd", args), 1);
    assert_non_null(strstr(server_text(s, "err"), "has other file systems mounted below it"));
    assert_non_null(strstr(server_text(s, "err"), "set submounts = cross or hide"));
}

static int
walk(struct nc *c, uint32_t fid, const char *first, const char *second)
{
    const char *names[] = {first, second};
    size_t n = 0;
    int r = nc_walk(c, 0, fid, second == NULL ? 1 : 2, names, NULL, &n);

    return r == 0 && n < (second == NULL ? 1u : 2u) ? -ENOENT : r;
}

static void
what_is_mounted_below_is_hidden_or_crossed_as_policy_says(void **state)
{
    struct server *s = *state;
    struct nc_attr top, below;
    struct nc *c;

    dir_make(s, "over", SERVER_OWNER);
    dir_make(s, "over/below", SERVER_OWNER);
    assert_int_equal(mount("tmpfs", server_path(s, "over/below"), "tmpfs", 0, "mode=755"), 0);
    dir_make(s, "over/below/in", SERVER_OWNER);
    assert_int_equal(chown(server_path(s, "over/below"), SERVER_OWNER, SERVER_OWNER), 0);
    policy(s, "over", "submounts = hide");
    server_start(s, NULL);
    c = server_attach(s, "d");
    assert_int_equal(walk(c, 1, "below", NULL), -ENOENT);
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
    policy(s, "over", "submounts = cross");
    server_start(s, NULL);
    c = server_attach(s, "d");
    assert_int_equal(walk(c, 1, "below", "in"), 0);
    assert_int_equal(nc_getattr(c, 0, NINE_GETATTR_BASIC, &top), 0);
    assert_int_equal(nc_getattr(c, 1, NINE_GETATTR_BASIC, &below), 0);
    assert_true(top.qid.path >> 48 == 0 && below.qid.path >> 48 != 0);
    assert_int_equal(nc_lcreate(c, 1, "made", NINE_O_RDWR, 0644, 0, NULL, NULL), 0);
    assert_int_equal(access(server_path(s, "over/below/in/made"), F_OK), 0);
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
has_caps(const struct server *s, const char *permitted)
{
    char line[64];

    (void)snprintf(line, sizeof(line), "CapPrm:\t%s\n", permitted);
    assert_string_equal(server_status(s->pid, "CapPrm:"), line);
    assert_string_equal(server_status(s->pid, "CapEff:"), "CapEff:\t00000000002001e4\n");
}

/* posternd has the capabilities that takes for its helper alone, and only where
 * the policy that it starts with has such a share. */
static void
under_host_guests_are_the_hosts_own_users(void **state)
{
    const struct nc_setattr give = {.valid = NINE_SET_UID, .uid = SERVER_OWNER};
    struct server *s = *state;
    const char *name = "made";
    struct stat st;
    struct nc *c;

    dir_make(s, "d", SERVER_OWNER);
    policy(s, "d", "identity = host");
    server_start(s, NULL);
    has_caps(s, "00000000002001ff");
    made_by_a_guest(s, "d", 0, 0);
    c = server_attach(s, "d");
    assert_int_equal(nc_walk(c, 0, 1, 1, &name, NULL, NULL), 0);
    assert_int_equal(nc_setattr(c, 1, &give), 0);
    assert_int_equal(stat(server_path(s, "d/made"), &st), 0);
    assert_int_equal(st.st_uid, SERVER_OWNER);
    nc_close(c);
    c = server_connect(s);
    assert_int_equal(nc_attach(c, 0, "", "d", SERVER_OWNER + 1), 0);
    assert_int_equal(nc_mkdir(c, 0, "not", 0755, 0, NULL), -EACCES);
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
    policy(s, "d", "");
    server_start(s, NULL);
    has_caps(s, "00000000002001e4");
    policy(s, "d", "identity = host");
    assert_int_equal(kill(s->pid, SIGHUP), 0);
    server_await_log(s, "share d: identity = host takes CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, "
                        "CAP_FSETID and for devices CAP_MKNOD, which posternd has not: it keeps "
                        "them when the policy that it starts with has such a share");
    assert_int_equal(server_try_attach(s, "d"), 0);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* From the policy to the disk and, for who would open it, no further. */
static void
devices_are_made_where_policy_says_so(void **state)
{
    struct server *s = *state;
    const char *name = "null";

    dir_make(s, "dev", 0);
    for (unsigned allowed = 0; allowed < 2; allowed++) {
        struct nc *c;
        struct stat st;

        policy(s, "dev", allowed != 0 ? "identity = host devices = allow" : "identity = host");
        server_start(s, NULL);
        has_caps(s, allowed != 0 ? "00000000082001ff" : "00000000002001ff");
        c = server_attach(s, "d");
        assert_int_equal(nc_mknod(c, 0, name, S_IFCHR | 0666, 1, 3, 0, NULL),
                         allowed != 0 ? 0 : -EPERM);
        if (allowed != 0) {
            assert_int_equal(stat(server_path(s, "dev/null"), &st), 0);
            assert_true(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
            assert_int_equal(nc_walk(c, 0, 1, 1, &name, NULL, NULL), 0);
            assert_int_equal(nc_lopen(c, 1, NINE_O_RDONLY, NULL, NULL), -ENXIO);
        }
        nc_close(c);
        assert_int_equal(server_stop(s, SIGTERM), 0);
    }
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(files_belong_to_the_owner_and_the_helper_to_nobody),
        CASE(under_host_guests_are_the_hosts_own_users),
        CASE(devices_are_made_where_policy_says_so),
        CASE(where_ids_cannot_be_mapped_the_helper_is_the_owner),
        CASE(but_never_root),
        CASE(what_is_mounted_below_is_refused),
        CASE(what_is_mounted_below_is_hidden_or_crossed_as_policy_says),
    };

    if (server_needs_root())
        return 0;
    /* what is mounted here is nobody else's */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        perror("a mount namespace for the test");
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
