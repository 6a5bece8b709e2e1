/*
 * Names that come, go and change: MKDIR, SYMLINK, LINK, MKNOD, UNLINK,
 * REMOVE, RENAME, RENAME_NODE.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/contract.h"

static ProtobufCBinaryData
text(const char *s)
{
    return msg_bytes(s, strlen(s));
}

static int
mkdir_status(struct contract *c, uint64_t dir, const char *name, uint32_t mode)
{
    Postern__V1__MkdirReq req = POSTERN__V1__MKDIR_REQ__INIT;

    req.dir = dir;
    req.name = text(name);
    req.mode = mode;
    return ask_mkdir(&c->client, &req, NULL);
}

static int
symlink_status(struct contract *c, const char *name, ProtobufCBinaryData target)
{
    Postern__V1__SymlinkReq req = POSTERN__V1__SYMLINK_REQ__INIT;

    req.dir = NODE_ROOT;
    req.name = text(name);
    req.target = target;
    return ask_symlink(&c->client, &req, NULL);
}

static int
link_status(struct contract *c, uint64_t node, const char *name)
{
    Postern__V1__LinkReq req = POSTERN__V1__LINK_REQ__INIT;

    req.node = node;
    req.dir = NODE_ROOT;
    req.name = text(name);
    return ask_link(&c->client, &req, NULL);
}

static int
mknod_status(struct contract *c, const char *name, uint32_t mode, uint64_t rdev)
{
    Postern__V1__MknodReq req = POSTERN__V1__MKNOD_REQ__INIT;

    req.dir = NODE_ROOT;
    req.name = text(name);
    req.mode = mode;
    req.rdev = rdev;
    return ask_mknod(&c->client, &req, NULL);
}

static int
unlink_status(struct contract *c, uint64_t dir, const char *name, bool directory)
{
    Postern__V1__UnlinkReq req = POSTERN__V1__UNLINK_REQ__INIT;

    req.dir = dir;
    req.name = text(name);
    req.directory = directory;
    return ask_unlink(&c->client, &req, NULL);
}

static int
rename_status(struct contract *c, uint64_t dir, const char *name, uint64_t new_dir,
              const char *new_name)
{
    Postern__V1__RenameReq req = POSTERN__V1__RENAME_REQ__INIT;

    req.dir = dir;
    req.name = text(name);
    req.new_dir = new_dir;
    req.new_name = text(new_name);
    return ask_rename(&c->client, &req, NULL);
}

static int
rename_node_status(struct contract *c, uint64_t node, uint64_t new_dir, const char *new_name)
{
    Postern__V1__RenameNodeReq req = POSTERN__V1__RENAME_NODE_REQ__INIT;

    req.node = node;
    req.new_dir = new_dir;
    req.new_name = text(new_name);
    return ask_rename_node(&c->client, &req, NULL);
}

static int
getattr_status(struct contract *c, uint64_t node, const Postern__V1__GetattrRep **rep)
{
    Postern__V1__GetattrReq req = POSTERN__V1__GETATTR_REQ__INIT;

    req.node = node;
    return ask_getattr(&c->client, &req, rep);
}

/* The mode of a name of the host, 0 when there is none. */
static mode_t
host_mode(struct contract *c, const char *name)
{
    struct stat st;

    return fstatat(c->root, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_mode : 0;
}

static void
mkdir_makes_a_directory_with_its_mode_and_no_set_id_bits(void **state)
{
    struct contract *c = *state;
    Postern__V1__MkdirReq req = POSTERN__V1__MKDIR_REQ__INIT;
    const Postern__V1__MkdirRep *rep;
    struct stat st;

    req.dir = NODE_ROOT;
    req.name = text("d");
    req.mode = 07750;
    assert_int_equal(ask_mkdir(&c->client, &req, &rep), 0);
    assert_int_equal(msg_attr(rep->attr)->mode, S_IFDIR | 01750);
    assert_int_equal(msg_attr(rep->attr)->uid, 1000);
    assert_int_equal(fstatat(c->root, "d", &st, 0), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 01750);
    assert_int_equal(msg_attr(rep->attr)->ino, st.st_ino);
    assert_int_equal(mkdir_status(c, NODE_ROOT, "d", 0755), -EEXIST);
}

static void
names_of_255_bytes_and_any_bytes_are_made(void **state)
{
    struct contract *c = *state;
    char name[NAME_LEN_MAX + 1];

    memset(name, '\xfe', NAME_LEN_MAX);
    name[NAME_LEN_MAX] = '\0';
    assert_int_equal(mkdir_status(c, NODE_ROOT, name, 0700), 0);
    assert_int_equal(host_mode(c, name), S_IFDIR | 0700);
    assert_int_equal(rename_status(c, NODE_ROOT, name, NODE_ROOT, "\n\"'\\ \x01"), 0);
    assert_int_equal(unlink_status(c, NODE_ROOT, "\n\"'\\ \x01", true), 0);
}

static void
a_symlink_keeps_its_target_byte_for_byte(void **state)
{
    static const char target[] = "../../etc/passwd \xff\n";
    struct contract *c = *state;
    char buf[TARGET_LEN_MAX + 2];

    assert_int_equal(symlink_status(c, "l", text(target)), 0);
    assert_int_equal(readlinkat(c->root, "l", buf, sizeof(buf)), strlen(target));
    assert_memory_equal(buf, target, strlen(target));
    memset(buf, 'x', sizeof(buf));
    assert_int_equal(symlink_status(c, "m", msg_bytes(buf, TARGET_LEN_MAX)), 0);
    assert_int_equal(symlink_status(c, "n", msg_bytes(buf, TARGET_LEN_MAX + 1)), -ENAMETOOLONG);
    assert_int_equal(symlink_status(c, "n", msg_bytes("", 0)), -ENOENT);
    assert_int_equal(symlink_status(c, "n", msg_bytes("a\0b", 3)), -EINVAL);
    assert_int_equal(symlink_status(c, "l", text("again")), -EEXIST);
    assert_int_equal(host_mode(c, "n"), 0);
}

static void
link_takes_files_links_and_fifos_and_no_directory(void **state)
{
    struct contract *c = *state;
    const Postern__V1__GetattrRep *rep;
    uint64_t n;

    host_write(c, "f", "x");
    host_mkdir(c, "d");
    assert_int_equal(symlinkat("f", c->root, "l"), 0);
    assert_int_equal(mkfifoat(c->root, "p", 0644), 0);
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(link_status(c, n, "f2"), 0);
    assert_int_equal(link_status(c, n, "f2"), -EEXIST);
    assert_int_equal(getattr_status(c, n, &rep), 0);
    assert_int_equal(msg_attr(rep->attr)->nlink, 2);
    assert_int_equal(unlinkat(c->root, "f", 0), 0);
    assert_int_equal(unlinkat(c->root, "f2", 0), 0);
    assert_int_equal(link_status(c, n, "f3"), -ENOENT); /* nothing is left to link to */
    forget(c, n, 1);
    n = walk_to(c, NODE_ROOT, "l");
    assert_int_equal(link_status(c, n, "l2"), 0);
    assert_true(S_ISLNK(host_mode(c, "l2"))); /* the link itself, not its target */
    forget(c, n, 1);
    n = walk_to(c, NODE_ROOT, "p");
    assert_int_equal(link_status(c, n, "p2"), 0);
    forget(c, n, 1);
    n = walk_to(c, NODE_ROOT, "d");
    assert_int_equal(link_status(c, n, "d2"), -EPERM);
    assert_int_equal(link_status(c, NODE_ROOT, "d2"), -EPERM);
    forget(c, n, 1);
}

static void
a_node_that_lost_its_name_is_known_by_the_next_it_gets(void **state)
{
    struct contract *c = *state;
    uint64_t n;

    host_write(c, "f", "x");
    assert_int_equal(linkat(c->root, "f", c->root, "other", 0), 0);
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(unlink_status(c, NODE_ROOT, "f", false), 0);
    assert_int_equal(remove_node(c, n), -ENOENT);
    assert_int_equal(link_status(c, n, "again"), 0);
    assert_int_equal(remove_node(c, n), 0);
    assert_int_equal(host_mode(c, "again"), 0);
    assert_int_equal(host_mode(c, "other"), S_IFREG | 0644);
    forget(c, n, 1);
}

static void
mknod_makes_files_fifos_and_sockets_alone(void **state)
{
    struct contract *c = *state;
    const uint32_t devices[] = {S_IFCHR, S_IFBLK, S_IFDIR};

    assert_int_equal(mknod_status(c, "f", S_IFREG | 07644, 0), 0);
    assert_int_equal(host_mode(c, "f"), S_IFREG | 01644);
    assert_int_equal(mknod_status(c, "g", 0600, 0), 0);
    assert_int_equal(host_mode(c, "g"), S_IFREG | 0600);
    assert_int_equal(mknod_status(c, "p", S_IFIFO | 0600, 0), 0);
    assert_int_equal(host_mode(c, "p"), S_IFIFO | 0600);
    assert_int_equal(mknod_status(c, "s", S_IFSOCK | 0600, 0), 0);
    assert_int_equal(host_mode(c, "s"), S_IFSOCK | 0600);
    for (unsigned i = 0; i < COUNT(devices); i++) {
        assert_int_equal(mknod_status(c, "x", devices[i] | 0600, 0), -EPERM);
        assert_int_equal(mknod_status(c, "x", devices[i] | 0600, 0x103), -EPERM);
    }
    assert_int_equal(mknod_status(c, "x", S_IFLNK | 0600, 0), -EINVAL);
    assert_int_equal(mknod_status(c, "x", S_IFMT | 0600, 0), -EINVAL);
    assert_int_equal(mknod_status(c, "x", S_IFIFO | 0600, 1), -EINVAL);
    assert_int_equal(host_mode(c, "x"), 0);
    assert_int_equal(mknod_status(c, "f", S_IFREG | 0600, 0), -EEXIST);
}

static void
unlink_and_rmdir_each_take_their_own_kind(void **state)
{
    struct contract *c = *state;

    host_write(c, "f", "x");
    host_mkdir(c, "d");
    host_write(c, "d/f", "x");
    assert_int_equal(unlink_status(c, NODE_ROOT, "f", true), -ENOTDIR);
    assert_int_equal(unlink_status(c, NODE_ROOT, "d", false), -EISDIR);
    assert_int_equal(unlink_status(c, NODE_ROOT, "d", true), -ENOTEMPTY);
    assert_int_equal(unlink_status(c, NODE_ROOT, "nothing", false), -ENOENT);
    assert_int_equal(unlink_status(c, NODE_ROOT, "f", false), 0);
    assert_int_equal(unlinkat(c->root, "d/f", 0), 0);
    assert_int_equal(unlink_status(c, NODE_ROOT, "d", true), 0);
    assert_int_equal(host_mode(c, "f"), 0);
    assert_int_equal(host_mode(c, "d"), 0);
}

static void
an_unlinked_node_stays_usable(void **state)
{
    struct contract *c = *state;
    Postern__V1__SetattrReq set = POSTERN__V1__SETATTR_REQ__INIT;
    const Postern__V1__GetattrRep *rep;
    uint64_t n, f;

    host_write(c, "f", "hello");
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(unlink_status(c, NODE_ROOT, "f", false), 0);
    host_write(c, "f", "another");
    assert_int_equal(getattr_status(c, n, &rep), 0);
    assert_int_equal(msg_attr(rep->attr)->nlink, 0);
    assert_int_equal(msg_attr(rep->attr)->size, 5);
    set.node = n;
    set.has_mode = set.has_size = true;
    set.mode = 0600;
    set.size = 4;
    assert_int_equal(ask_setattr(&c->client, &set, NULL), 0);
    f = open_write(c, n, OPEN_READS);
    assert_int_equal(read_at(c, f, 0, 100), 4);
    assert_memory_equal(c->client.ch.slab, "hell", 4);
    close_file(c, f);
    assert_int_equal(remove_node(c, n), -ENOENT); /* not the other of that name */
    assert_int_equal(rename_node_status(c, n, NODE_ROOT, "g"), -ENOENT);
    assert_int_equal(host_mode(c, "f"), S_IFREG | 0644);
    forget(c, n, 1);
}

/* Few fds: what was unlinked or replaced must hold on to its own. */
static void
an_unlinked_node_keeps_its_fd_when_fds_are_few(void **state)
{
    struct contract *c;
    const Postern__V1__GetattrRep *rep;
    uint64_t gone, replaced;
    char name[16];

    (void)state;
    c = contract_open(&(struct contract_options){.node_fds = 8});
    host_write(c, "gone", "1");
    host_write(c, "replaced", "22");
    host_write(c, "by", "333");
    gone = walk_to(c, NODE_ROOT, "gone");
    replaced = walk_to(c, NODE_ROOT, "replaced");
    for (unsigned i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "%u", i);
        host_write(c, name, "x");
        (void)walk_to(c, NODE_ROOT, name);
        if (i == 50) {
            assert_int_equal(unlink_status(c, NODE_ROOT, "gone", false), 0);
            assert_int_equal(rename_status(c, NODE_ROOT, "by", NODE_ROOT, "replaced"), 0);
        }
    }
    assert_int_equal(getattr_status(c, gone, &rep), 0);
    assert_int_equal(msg_attr(rep->attr)->size, 1);
    assert_int_equal(getattr_status(c, replaced, &rep), 0);
    assert_int_equal(msg_attr(rep->attr)->size, 2);
    (void)contract_close(c);
}

static void
remove_takes_the_name_the_node_has_now(void **state)
{
    struct contract *c = *state;
    uint64_t d, f;

    host_mkdir(c, "d");
    host_write(c, "d/f", "x");
    d = walk_to(c, NODE_ROOT, "d");
    f = walk_to(c, d, "f");
    assert_int_equal(remove_node(c, d), -ENOTEMPTY);
    assert_int_equal(rename_status(c, d, "f", NODE_ROOT, "g"), 0);
    assert_int_equal(remove_node(c, f), 0);
    assert_int_equal(host_mode(c, "g"), 0);
    assert_int_equal(remove_node(c, f), -ENOENT);
    assert_int_equal(remove_node(c, d), 0);
    assert_int_equal(host_mode(c, "d"), 0);
    assert_int_equal(remove_node(c, NODE_ROOT), -EBUSY);
    forget(c, f, 1);
    forget(c, d, 1);
}

static void
rename_moves_and_replaces_as_the_kernel_does(void **state)
{
    struct contract *c = *state;
    uint64_t d, f;

    host_mkdir(c, "d");
    host_mkdir(c, "d/sub");
    host_write(c, "f", "moved");
    host_write(c, "g", "replaced");
    d = walk_to(c, NODE_ROOT, "d");
    f = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(rename_status(c, NODE_ROOT, "f", NODE_ROOT, "g"), 0);
    assert_int_equal(host_mode(c, "f"), 0);
    assert_int_equal(walk_to(c, NODE_ROOT, "g"), f);
    assert_int_equal(rename_status(c, NODE_ROOT, "g", d, "g"), 0);
    assert_int_equal(walk_to(c, d, "g"), f);
    assert_int_equal(rename_status(c, NODE_ROOT, "nothing", d, "g"), -ENOENT);
    assert_int_equal(rename_status(c, d, "g", d, "sub"), -EISDIR);
    assert_int_equal(rename_status(c, d, "sub", d, "g"), -ENOTDIR);
    assert_int_equal(rename_status(c, NODE_ROOT, "d", d, "inside"), -EINVAL);
    assert_int_equal(rename_status(c, d, "g", f, "x"), -ENOTDIR);
    forget(c, f, 3);
    forget(c, d, 1);
}

static void
rename_node_follows_the_node_and_not_the_name(void **state)
{
    struct contract *c = *state;
    uint64_t d, f;

    host_mkdir(c, "d");
    host_write(c, "f", "x");
    d = walk_to(c, NODE_ROOT, "d");
    f = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(rename_node_status(c, f, d, "f2"), 0);
    assert_int_equal(host_mode(c, "d/f2"), S_IFREG | 0644);
    assert_int_equal(rename_node_status(c, f, NODE_ROOT, "f3"), 0);
    assert_int_equal(host_mode(c, "f3"), S_IFREG | 0644);
    /* the host takes it away and puts another there */
    assert_int_equal(renameat(c->root, "f3", c->root, "elsewhere"), 0);
    host_write(c, "f3", "y");
    assert_int_equal(rename_node_status(c, f, NODE_ROOT, "f4"), -ENOENT);
    assert_int_equal(host_mode(c, "f3"), S_IFREG | 0644);
    assert_int_equal(rename_node_status(c, NODE_ROOT, d, "root"), -EBUSY);
    assert_int_equal(rename_node_status(c, d, d, "inside"), -EINVAL);
    forget(c, f, 1);
    forget(c, d, 1);
}

static void
a_moved_directory_takes_its_nodes_along(void **state)
{
    struct contract *c;
    uint64_t a, b, f;
    char name[16];

    (void)state;
    c = contract_open(&(struct contract_options){.node_fds = 6});
    host_mkdir(c, "a");
    host_mkdir(c, "b");
    host_write(c, "a/f", "x");
    a = walk_to(c, NODE_ROOT, "a");
    b = walk_to(c, NODE_ROOT, "b");
    f = walk_to(c, a, "f");
    assert_int_equal(rename_node_status(c, a, b, "a2"), 0);
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof(name), "%u", i);
        host_write(c, name, "x");
        (void)walk_to(c, NODE_ROOT, name);
    }
    assert_int_equal(remove_node(c, f), 0); /* reopened by way of b/a2 */
    assert_int_equal(host_mode(c, "b/a2"), S_IFDIR | 0755);
    assert_int_equal(host_mode(c, "b/a2/f"), 0);
    (void)contract_close(c);
}

static void
every_operation_with_a_name_needs_a_directory_that_lives(void **state)
{
    struct contract *c = *state;
    uint64_t f;

    host_write(c, "f", "x");
    f = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(mkdir_status(c, f, "x", 0755), -ENOTDIR);
    assert_int_equal(unlink_status(c, f, "x", false), -ENOTDIR);
    assert_int_equal(rename_status(c, f, "x", NODE_ROOT, "y"), -ENOTDIR);
    forget(c, f, 1);
    assert_int_equal(mkdir_status(c, f, "x", 0755), -ESTALE);
    assert_int_equal(unlink_status(c, f, "x", false), -ESTALE);
    assert_int_equal(rename_status(c, f, "x", NODE_ROOT, "y"), -ESTALE);
    assert_int_equal(rename_status(c, NODE_ROOT, "f", f, "y"), -ESTALE);
    assert_int_equal(rename_node_status(c, f, NODE_ROOT, "y"), -ESTALE);
    assert_int_equal(remove_node(c, f), -ESTALE);
    assert_int_equal(link_status(c, f, "y"), -ESTALE);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, contract_setup, contract_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(mkdir_makes_a_directory_with_its_mode_and_no_set_id_bits),
        CLAIM(names_of_255_bytes_and_any_bytes_are_made),
        CLAIM(a_symlink_keeps_its_target_byte_for_byte),
        CLAIM(link_takes_files_links_and_fifos_and_no_directory),
        CLAIM(a_node_that_lost_its_name_is_known_by_the_next_it_gets),
        CLAIM(mknod_makes_files_fifos_and_sockets_alone),
        CLAIM(unlink_and_rmdir_each_take_their_own_kind),
        CLAIM(an_unlinked_node_stays_usable),
        CLAIM(remove_takes_the_name_the_node_has_now),
        CLAIM(rename_moves_and_replaces_as_the_kernel_does),
        CLAIM(rename_node_follows_the_node_and_not_the_name),
        CLAIM(every_operation_with_a_name_needs_a_directory_that_lives),
        cmocka_unit_test(an_unlinked_node_keeps_its_fd_when_fds_are_few),
        cmocka_unit_test(a_moved_directory_takes_its_nodes_along),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
