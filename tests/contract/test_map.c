/*
 * identity = map: every request is its user's, and the kernel does the rest.
 * Ids here are the guest's; contract_id() says what the host sees.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/ops.h"
#include "tests/lib/contract.h"

enum { ROOT = 0, ALICE = 1000, BOB = 1001, STAFF = 50 };

static const struct contract_options map = {.identity = IDENTITY_MAP,
                                            .xattrs = XATTR_USER | XATTR_ACL};

static struct contract *
open_map(void)
{
    return contract_open(&map);
}

static void
host_is(const struct contract *c, const char *name, uint32_t uid, uint32_t gid, mode_t mode)
{
    struct stat st = host_stat(c, name);

    assert_int_equal(st.st_uid, contract_id(c, uid));
    assert_int_equal(st.st_gid, contract_id(c, gid));
    assert_int_equal(st.st_mode & 07777, mode);
}

static void
host_give(const struct contract *c, const char *name, uint32_t uid, uint32_t gid, mode_t mode)
{
    assert_int_equal(fchownat(c->root, name, contract_id(c, uid), contract_id(c, gid), 0), 0);
    assert_int_equal(fchmodat(c->root, name, mode, 0), 0);
}

static int
make_file(struct contract *c, uint32_t uid, uint32_t gid, uint64_t dir, const char *name,
          uint32_t mode)
{
    Postern__V1__CreateReq q = POSTERN__V1__CREATE_REQ__INIT;
    const Postern__V1__CreateRep *rep;
    int r;

    contract_be(c, uid);
    c->client.gid = gid;
    q.dir = dir;
    q.name = msg_bytes(name, strlen(name));
    q.mode = mode;
    q.flags = OPEN_EXCL;
    r = ask_create(&c->client, &q, &rep);
    if (r == 0) {
        uint64_t node = rep->node;

        close_file(c, rep->file);
        forget(c, node, 1);
    }
    return r;
}

static int
chown_node(struct contract *c, uint64_t node, uint32_t uid, uint32_t gid)
{
    Postern__V1__SetattrReq q = POSTERN__V1__SETATTR_REQ__INIT;

    q.node = node;
    q.has_uid = uid != ID_NONE;
    q.uid = uid;
    q.has_gid = gid != ID_NONE;
    q.gid = gid;
    return ask_setattr(&c->client, &q, NULL);
}

static int
open_status(struct contract *c, uint64_t node)
{
    Postern__V1__OpenReadReq q = POSTERN__V1__OPEN_READ_REQ__INIT;
    const Postern__V1__OpenReadRep *rep;
    int r;

    q.node = node;
    r = ask_open_read(&c->client, &q, &rep);
    if (r == 0)
        close_file(c, rep->file);
    return r;
}

static void
what_is_made_belongs_to_who_made_it(void **state)
{
    struct contract *c = open_map();
    Postern__V1__SymlinkReq link = POSTERN__V1__SYMLINK_REQ__INIT;
    Postern__V1__MknodReq node = POSTERN__V1__MKNOD_REQ__INIT;
    struct attr a;
    uint64_t n;

    (void)state;
    assert_int_equal(make_file(c, ALICE, STAFF, NODE_ROOT, "file", 0640), 0);
    assert_int_equal(mkdir_at(c, NODE_ROOT, "dir", 0750), 0);
    link.dir = node.dir = NODE_ROOT;
    link.name = msg_bytes("link", 4);
    link.target = msg_bytes("to", 2);
    assert_int_equal(ask_symlink(&c->client, &link, NULL), 0);
    node.name = msg_bytes("fifo", 4);
    node.mode = S_IFIFO | 0600;
    assert_int_equal(ask_mknod(&c->client, &node, NULL), 0);
    host_is(c, "file", ALICE, STAFF, 0640);
    host_is(c, "dir", ALICE, STAFF, 0750);
    host_is(c, "link", ALICE, STAFF, 0777);
    host_is(c, "fifo", ALICE, STAFF, 0600);
    n = walk_to(c, NODE_ROOT, "file");
    a = attr_of_node(c, n);
    assert_int_equal(a.uid, ALICE);
    assert_int_equal(a.gid, STAFF);
    forget(c, n, 1);
    contract_done(c);
}

static void
other_users_are_kept_out_and_root_is_not(void **state)
{
    struct contract *c = open_map();
    uint64_t file, dir;

    (void)state;
    host_write(c, "secret", "x");
    host_give(c, "secret", ALICE, ALICE, 0600);
    host_mkdir(c, "private");
    host_give(c, "private", ALICE, ALICE, 0700);
    host_write(c, "private/in", "x");
    host_give(c, "private/in", BOB, BOB, 0666);
    file = walk_to(c, NODE_ROOT, "secret");
    dir = walk_to(c, NODE_ROOT, "private");
    contract_be(c, BOB);
    assert_int_equal(open_status(c, file), -EACCES);
    assert_int_equal(walk_status(c, dir, "in"), -EACCES);
    assert_int_equal(chmod_node(c, file, 0666), -EPERM);
    assert_int_equal(truncate_node(c, file, 0), -EACCES);
    assert_int_equal(make_file(c, BOB, BOB, dir, "new", 0644), -EACCES);
    contract_be(c, ALICE);
    assert_int_equal(open_status(c, file), 0);
    assert_int_equal(walk_status(c, dir, "in"), 0);
    contract_be(c, ROOT);
    assert_int_equal(open_status(c, file), 0);
    assert_int_equal(chmod_node(c, file, 0640), 0);
    forget(c, file, 1);
    forget(c, dir, 1);
    contract_done(c);
}

static void
a_sticky_directory_protects_each_from_the_others(void **state)
{
    struct contract *c = open_map();
    uint64_t tmp;

    (void)state;
    host_mkdir(c, "tmp");
    host_give(c, "tmp", ROOT, ROOT, 01777);
    tmp = walk_to(c, NODE_ROOT, "tmp");
    assert_int_equal(make_file(c, ALICE, ALICE, tmp, "a", 0666), 0);
    contract_be(c, BOB);
    assert_int_equal(unlink_at(c, tmp, "a", false), -EPERM);
    assert_int_equal(rename_at(c, tmp, "a", tmp, "b"), -EPERM);
    contract_be(c, ALICE);
    assert_int_equal(unlink_at(c, tmp, "a", false), 0);
    contract_be(c, ROOT);
    forget(c, tmp, 1);
    contract_done(c);
}

static void
a_setgid_directory_gives_its_group_and_its_bit(void **state)
{
    struct contract *c = open_map();
    uint64_t dir;

    (void)state;
    host_mkdir(c, "team");
    host_give(c, "team", ROOT, STAFF, 02777);
    dir = walk_to(c, NODE_ROOT, "team");
    assert_int_equal(make_file(c, ALICE, ALICE, dir, "f", 0644), 0);
    assert_int_equal(mkdir_at(c, dir, "d", 0755), 0);
    host_is(c, "team/f", ALICE, STAFF, 0644);
    host_is(c, "team/d", ALICE, STAFF, 02755);
    contract_be(c, ROOT);
    forget(c, dir, 1);
    contract_done(c);
}

/* u::rwx, u:BOB:rwx, g::---, m::rwx, o::--- */
static void
put_default_acl(const struct contract *c, const char *name)
{
    struct {
        uint32_t version;
        struct {
            uint16_t tag, perm;
            uint32_t id;
        } e[5];
    } acl = {2,
             {{1, 7, ID_NONE},
              {2, 7, contract_id(c, BOB)},
              {4, 0, ID_NONE},
              {16, 7, ID_NONE},
              {32, 0, ID_NONE}}};
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", c->path, name);
    assert_int_equal(setxattr(path, "system.posix_acl_default", &acl, sizeof(acl), 0), 0);
}

static void
a_default_acl_is_inherited_with_the_guests_ids(void **state)
{
    struct contract *c = open_map();
    uint64_t dir, f;

    (void)state;
    host_mkdir(c, "acl");
    put_default_acl(c, "acl");
    host_give(c, "acl", ALICE, ALICE, 0755);
    dir = walk_to(c, NODE_ROOT, "acl");
    assert_int_equal(make_file(c, ALICE, ALICE, dir, "f", 0660), 0);
    host_is(c, "acl/f", ALICE, ALICE, 0660);
    f = walk_to(c, dir, "f");
    contract_be(c, BOB); /* whom the ACL names */
    assert_int_equal(open_status(c, f), 0);
    contract_be(c, BOB + 1);
    assert_int_equal(open_status(c, f), -EACCES);
    contract_be(c, ROOT);
    forget(c, f, 1);
    forget(c, dir, 1);
    contract_done(c);
}

static void
set_id_bits_are_the_guests_own_and_fall_as_on_a_disk(void **state)
{
    struct contract *c = open_map();
    uint64_t n, file;

    (void)state;
    assert_int_equal(make_file(c, ALICE, ALICE, NODE_ROOT, "s", 06755), 0);
    host_is(c, "s", ALICE, ALICE, 06755);
    n = walk_to(c, NODE_ROOT, "s");
    file = open_write(c, n, 0);
    assert_int_equal(write_at(c, file, 0, "x", 1), 1);
    host_is(c, "s", ALICE, ALICE, 0755);
    assert_int_equal(chmod_node(c, n, 06755), 0);
    contract_be(c, ROOT);
    assert_int_equal(write_at(c, file, 0, "y", 1), 1);
    /* a host's root leaves them; to the kernel that of a user namespace is no such root */
    host_is(c, "s", ALICE, ALICE, contract_is_sandboxed() ? 0755 : 06755);
    assert_int_equal(chmod_node(c, n, 06755), 0);
    assert_int_equal(chown_node(c, n, BOB, ID_NONE), 0);
    host_is(c, "s", BOB, ALICE, 0755);
    close_file(c, file);
    forget(c, n, 1);
    contract_done(c);
}

/* So a client does before its user's write. */
static void
who_may_write_may_take_set_id_bits_away_and_nothing_else(void **state)
{
    struct contract *c = open_map();
    uint64_t n;

    (void)state;
    assert_int_equal(make_file(c, ALICE, ALICE, NODE_ROOT, "s", 06757), 0);
    n = walk_to(c, NODE_ROOT, "s");
    contract_be(c, BOB);
    assert_int_equal(chmod_node(c, n, 0777), -EPERM);
    assert_int_equal(chmod_node(c, n, 0756), -EPERM);
    assert_int_equal(chmod_node(c, n, 0757), 0);
    host_is(c, "s", ALICE, ALICE, 0757);
    contract_be(c, ALICE);
    assert_int_equal(chmod_node(c, n, 06755), 0);
    contract_be(c, BOB);
    assert_int_equal(chmod_node(c, n, 0755), -EPERM); /* whom a write would be refused */
    host_is(c, "s", ALICE, ALICE, 06755);
    contract_be(c, ROOT);
    forget(c, n, 1);
    contract_done(c);
}

static void
only_root_gives_files_away_and_only_to_ids_of_the_guest(void **state)
{
    struct contract *c = open_map();
    uint64_t n;

    (void)state;
    assert_int_equal(make_file(c, ALICE, ALICE, NODE_ROOT, "f", 0644), 0);
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(chown_node(c, n, BOB, ID_NONE), -EPERM);
    contract_be(c, ROOT);
    assert_int_equal(chown_node(c, n, BOB, STAFF), 0);
    host_is(c, "f", BOB, STAFF, 0644);
    assert_int_equal(chown_node(c, n, CONTRACT_IDS, ID_NONE), -EINVAL);
    assert_int_equal(chown_node(c, n, ID_NONE, CONTRACT_IDS), -EINVAL);
    host_is(c, "f", BOB, STAFF, 0644);
    forget(c, n, 1);
    contract_done(c);
}

/* --- groups ---------------------------------------------------------------------- */

static void
team_dir(const struct contract *c)
{
    assert_int_equal(mkdirat(c->root, "team", 0755), 0);
    host_give(c, "team", ROOT, STAFF, 0770);
    assert_int_equal(mkdirat(c->root, "team/in", 0755), 0);
    host_give(c, "team/in", ROOT, STAFF, 0770);
}

static int
walk_two(struct contract *c, const char *a, const char *b)
{
    Postern__V1__WalkReq q = POSTERN__V1__WALK_REQ__INIT;
    const Postern__V1__WalkRep *rep;
    int r;

    q.node = NODE_ROOT;
    q.has_name1 = q.has_name2 = 1;
    q.name1 = msg_bytes(a, strlen(a));
    q.name2 = msg_bytes(b, strlen(b));
    r = ask_walk(&c->client, &q, &rep);
    if (r == 0 && rep->has_node)
        forget(c, rep->node, 1);
    return r < 0 ? r : (int)rep->done;
}

/* Linux asks only for what its own check of the user's groups allowed. */
static void
without_a_table_the_guests_word_for_groups_is_taken(void **state)
{
    struct contract *c = open_map();
    uint64_t dir, n;

    (void)state;
    team_dir(c);
    dir = walk_to(c, NODE_ROOT, "team");
    assert_int_equal(make_file(c, ALICE, ALICE, dir, "f", 0660), 0);
    host_is(c, "team/f", ALICE, ALICE, 0660);
    assert_int_equal(walk_two(c, "team", "in"), 2);
    n = walk_to(c, dir, "f");
    assert_int_equal(chown_node(c, n, ID_NONE, STAFF), 0);
    assert_int_equal(chmod_node(c, n, 02770), 0);
    host_is(c, "team/f", ALICE, STAFF, 02770);
    contract_be(c, BOB); /* the file's group is now his, too */
    assert_int_equal(open_status(c, n), 0);
    assert_int_equal(chmod_node(c, n, 0600), -EPERM); /* but he owns nothing */
    contract_be(c, ROOT);
    forget(c, n, 1);
    forget(c, dir, 1);
    contract_done(c);
}

/* Else a file that only its group may not read could be read by nobody else. */
static void
no_group_is_lent_that_would_take_something_away(void **state)
{
    struct contract *c = open_map();
    uint64_t n;

    (void)state;
    host_write(c, "f", "x");
    host_give(c, "f", ROOT, STAFF, 0604);
    n = walk_to(c, NODE_ROOT, "f");
    contract_be(c, ALICE);
    assert_int_equal(open_status(c, n), 0);
    assert_int_equal(truncate_node(c, n, 0), -EACCES);
    contract_be(c, ROOT);
    forget(c, n, 1);
    contract_done(c);
}

static void
with_a_table_nobody_is_in_other_groups(void **state)
{
    static const struct contract_groups groups[] = {{ALICE, {ALICE, STAFF}, 2}, {BOB, {BOB}, 1}};
    struct contract_options o = map;
    struct contract *c;
    uint64_t dir;

    (void)state;
    o.groups = groups;
    o.ngroups = COUNT(groups);
    c = contract_open(&o);
    team_dir(c);
    dir = walk_to(c, NODE_ROOT, "team");
    assert_int_equal(make_file(c, ALICE, ALICE, dir, "f", 0644), 0);
    assert_int_equal(make_file(c, BOB, BOB, dir, "g", 0644), -EACCES);
    assert_int_equal(make_file(c, BOB, STAFF, dir, "g", 0644), -EACCES); /* he says so */
    assert_int_equal(make_file(c, BOB + 1, STAFF, dir, "g", 0644), -EACCES);
    assert_int_equal(make_file(c, ALICE, STAFF, NODE_ROOT, "h", 0644), 0);
    host_is(c, "h", ALICE, STAFF, 0644);
    assert_int_equal(make_file(c, BOB, STAFF, NODE_ROOT, "i", 0644), 0);
    host_is(c, "i", BOB, BOB, 0644);
    contract_be(c, ROOT);
    forget(c, dir, 1);
    contract_done(c);
}

/* --- what is the helper's own, not the user's ---------------------------------------- */

static void
a_node_whose_fd_was_dropped_is_found_again_for_any_user(void **state)
{
    struct contract_options o = map;
    char name[16];
    struct contract *c;
    uint64_t dir, in, many[40];

    (void)state;
    o.node_fds = 16;
    c = contract_open(&o);
    host_mkdir(c, "closed");
    host_write(c, "closed/in", "x");
    host_give(c, "closed/in", BOB, BOB, 0600);
    host_give(c, "closed", ALICE, ALICE, 0700);
    dir = walk_to(c, NODE_ROOT, "closed");
    in = walk_to(c, dir, "in");
    for (size_t i = 0; i < COUNT(many); i++) {
        (void)snprintf(name, sizeof(name), "f%zu", i);
        host_write(c, name, "");
        many[i] = walk_to(c, NODE_ROOT, name);
    }
    contract_be(c, BOB); /* who was let in once, through his guest's root */
    assert_int_equal(open_status(c, in), 0);
    contract_be(c, ROOT);
    for (size_t i = 0; i < COUNT(many); i++)
        forget(c, many[i], 1);
    forget(c, in, 1);
    forget(c, dir, 1);
    contract_done(c);
}

static void
large_writes_are_their_users_too(void **state)
{
    struct contract *c = open_map();
    static uint8_t data[512 * 1024];
    uint64_t n, file;

    (void)state;
    assert_int_equal(make_file(c, ALICE, ALICE, NODE_ROOT, "s", 04755), 0);
    n = walk_to(c, NODE_ROOT, "s");
    file = open_write(c, n, 0);
    assert_int_equal(write_at(c, file, 0, data, sizeof(data)), sizeof(data));
    host_is(c, "s", ALICE, ALICE, 0755);
    close_file(c, file);
    forget(c, n, 1);
    contract_done(c);
}

static int
ends_with(uint32_t uid, uint32_t gid)
{
    struct contract_options o = map;
    struct contract *c;
    Postern__V1__GetattrReq q = POSTERN__V1__GETATTR_REQ__INIT;
    int status;

    o.forked = true;
    c = contract_open(&o);
    c->client.uid = uid;
    c->client.gid = gid;
    q.node = NODE_ROOT;
    (void)ipc_client_send(&c->client, OP_GETATTR, &q.base, 0, 0);
    status = contract_wait(c);
    (void)contract_close(c);
    return status;
}

static void
an_id_that_the_worker_must_have_refused_ends_the_helper(void **state)
{
    (void)state;
    assert_int_equal(ends_with(CONTRACT_IDS, 0), EXIT_VIOLATION);
    assert_int_equal(ends_with(0, CONTRACT_IDS), EXIT_VIOLATION);
    assert_int_equal(ends_with(ID_NONE, ID_NONE), EXIT_VIOLATION);
}

/* identity = host: the same without a range. */
static void
under_host_ids_are_the_hosts_own(void **state)
{
    static const struct contract_options host = {.identity = IDENTITY_HOST};
    struct contract *c = contract_open(&host);
    Postern__V1__MknodReq dev = POSTERN__V1__MKNOD_REQ__INIT;
    uint64_t n;

    (void)state;
    assert_int_equal(fchmod(c->root, 0777), 0);
    assert_int_equal(make_file(c, 100000, STAFF, NODE_ROOT, "f", 0640), 0);
    host_is(c, "f", 100000, STAFF, 0640);
    n = walk_to(c, NODE_ROOT, "f");
    contract_be(c, BOB);
    assert_int_equal(chmod_node(c, n, 0666), -EPERM);
    contract_be(c, ROOT);
    assert_int_equal(chown_node(c, n, BOB, 70000), 0);
    host_is(c, "f", BOB, 70000, 0640);
    dev.dir = NODE_ROOT;
    dev.name = msg_bytes("dev", 3);
    dev.mode = S_IFCHR | 0600;
    dev.rdev = 0x103;
    assert_int_equal(ask_mknod(&c->client, &dev, NULL), -EPERM); /* devices = refuse */
    forget(c, n, 1);
    contract_done(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_made_belongs_to_who_made_it),
        cmocka_unit_test(other_users_are_kept_out_and_root_is_not),
        cmocka_unit_test(a_sticky_directory_protects_each_from_the_others),
        cmocka_unit_test(a_setgid_directory_gives_its_group_and_its_bit),
        cmocka_unit_test(a_default_acl_is_inherited_with_the_guests_ids),
        cmocka_unit_test(set_id_bits_are_the_guests_own_and_fall_as_on_a_disk),
        cmocka_unit_test(who_may_write_may_take_set_id_bits_away_and_nothing_else),
        cmocka_unit_test(only_root_gives_files_away_and_only_to_ids_of_the_guest),
        cmocka_unit_test(without_a_table_the_guests_word_for_groups_is_taken),
        cmocka_unit_test(no_group_is_lent_that_would_take_something_away),
        cmocka_unit_test(with_a_table_nobody_is_in_other_groups),
        cmocka_unit_test(a_node_whose_fd_was_dropped_is_found_again_for_any_user),
        cmocka_unit_test(large_writes_are_their_users_too),
        cmocka_unit_test(under_host_ids_are_the_hosts_own),
        cmocka_unit_test(an_id_that_the_worker_must_have_refused_ends_the_helper),
    };

    if (geteuid() != 0) {
        printf("SKIP: only root can be other users\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
