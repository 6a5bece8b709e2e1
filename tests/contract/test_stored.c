/*
 * identity = stored: one owner on the disk, the guest's in user.virtfs.*, byte
 * for byte as QEMU's mapped-xattr model keeps them.
 */
#include "tests/lib/test.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ipc/ops.h"
#include "tests/lib/contract.h"

enum { ROOT = 0, ALICE = 1000, BOB = 1001, STAFF = 50, SHOWN = 77 };

static struct contract *
open_stored(void)
{
    const struct contract_options o = {.identity = IDENTITY_STORED,
                                       .xattrs = XATTR_USER | XATTR_ACL,
                                       .present_uid = SHOWN,
                                       .present_gid = SHOWN};

    return contract_open(&o);
}

static void
end(struct contract *c)
{
    (void)contract_close(c);
}

static const char *
path_of(const struct contract *c, const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", c->path, name);
    return path;
}

static void
host_attr(const struct contract *c, const char *name, const char *key, const void *v, size_t n)
{
    assert_int_equal(lsetxattr(path_of(c, name), key, v, n, 0), 0);
}

/* As QEMU writes it. */
static void
host_own(const struct contract *c, const char *name, uint32_t uid, uint32_t gid, uint32_t mode)
{
    uid = htole32(uid);
    gid = htole32(gid);
    mode = htole32(mode);
    host_attr(c, name, "user.virtfs.uid", &uid, sizeof(uid));
    host_attr(c, name, "user.virtfs.gid", &gid, sizeof(gid));
    host_attr(c, name, "user.virtfs.mode", &mode, sizeof(mode));
}

static uint32_t
host_u32(const struct contract *c, const char *name, const char *key)
{
    uint32_t v = 0;

    assert_int_equal(lgetxattr(path_of(c, name), key, &v, sizeof(v)), sizeof(v));
    return le32toh(v);
}

static void
disk_is(const struct contract *c, const char *name, mode_t mode)
{
    struct stat st = host_stat(c, name);

    assert_int_equal(st.st_mode, mode);
    assert_int_equal(st.st_uid, 0); /* who runs the test, or whom the mount makes of the helper */
}

static void
stored_is_there(const struct contract *c, const char *name, uint32_t uid, uint32_t gid,
                uint32_t mode)
{
    assert_int_equal(host_u32(c, name, "user.virtfs.uid"), uid);
    assert_int_equal(host_u32(c, name, "user.virtfs.gid"), gid);
    assert_int_equal(host_u32(c, name, "user.virtfs.mode"), mode);
}

static struct attr
seen(struct contract *c, const char *name)
{
    uint64_t n = walk_to(c, NODE_ROOT, name);
    struct attr a = attr_of_node(c, n);

    forget(c, n, 1);
    return a;
}

static void
shows(struct contract *c, const char *name, uint32_t uid, uint32_t gid, uint32_t mode)
{
    struct attr a = seen(c, name);

    assert_int_equal(a.uid, uid);
    assert_int_equal(a.gid, gid);
    assert_int_equal(a.mode, mode);
}

static void
make_all(struct contract *c)
{
    Postern__V1__SymlinkReq link = POSTERN__V1__SYMLINK_REQ__INIT;
    Postern__V1__MknodReq node = POSTERN__V1__MKNOD_REQ__INIT;

    contract_be(c, ALICE);
    c->client.gid = STAFF;
    assert_int_equal(create_at(c, NODE_ROOT, "file", OPEN_EXCL), 0);
    assert_int_equal(mkdir_at(c, NODE_ROOT, "dir", 0750), 0);
    link.dir = node.dir = NODE_ROOT;
    link.name = msg_bytes("link", 4);
    link.target = msg_bytes("../to", 5);
    assert_int_equal(ask_symlink(&c->client, &link, NULL), 0);
    node.name = msg_bytes("fifo", 4);
    node.mode = S_IFIFO | 0600;
    assert_int_equal(ask_mknod(&c->client, &node, NULL), 0);
    node.name = msg_bytes("dev", 3);
    node.mode = S_IFCHR | 0660;
    node.rdev = makedev(4, 65);
    assert_int_equal(ask_mknod(&c->client, &node, NULL), 0);
}

static void
what_is_made_is_closed_on_the_disk_and_written_as_qemu_does(void **state)
{
    struct contract *c = open_stored();
    uint64_t rdev = 0;
    char text[16];

    (void)state;
    make_all(c);
    disk_is(c, "file", S_IFREG | 0600);
    disk_is(c, "dir", S_IFDIR | 0700);
    disk_is(c, "link", S_IFREG | 0600);
    disk_is(c, "fifo", S_IFREG | 0600);
    disk_is(c, "dev", S_IFREG | 0600);
    stored_is_there(c, "dir", ALICE, STAFF, S_IFDIR | 0750);
    stored_is_there(c, "link", ALICE, STAFF, S_IFLNK | 0777);
    stored_is_there(c, "fifo", ALICE, STAFF, S_IFIFO | 0600);
    stored_is_there(c, "dev", ALICE, STAFF, S_IFCHR | 0660);
    assert_int_equal(lgetxattr(path_of(c, "dev"), "user.virtfs.rdev", &rdev, sizeof(rdev)), 8);
    assert_int_equal(le64toh(rdev), makedev(4, 65));
    {
        int fd = openat(c->root, "link", O_RDONLY | O_CLOEXEC);

        assert_int_equal(read(fd, text, sizeof(text)), 5);
        assert_memory_equal(text, "../to", 5);
        (void)close(fd);
    }
    shows(c, "dir", ALICE, STAFF, S_IFDIR | 0750);
    shows(c, "fifo", ALICE, STAFF, S_IFIFO | 0600);
    assert_int_equal(seen(c, "dev").rdev, makedev(4, 65));
    end(c);
}

static void
a_tree_that_qemu_wrote_is_read(void **state)
{
    struct contract *c = open_stored();
    Postern__V1__ReadlinkReq rl = POSTERN__V1__READLINK_REQ__INIT;
    Postern__V1__OpenReadReq op = POSTERN__V1__OPEN_READ_REQ__INIT;
    const Postern__V1__ReadlinkRep *rep;
    uint64_t rdev = htole64(makedev(8, 1)), n;

    (void)state;
    host_write(c, "file", "x");
    host_own(c, "file", ALICE, STAFF, S_IFREG | 04755);
    host_write(c, "link", "/etc/passwd");
    host_own(c, "link", BOB, BOB, S_IFLNK | 0777);
    host_write(c, "disk", "");
    host_own(c, "disk", ROOT, 6, S_IFBLK | 0660);
    host_attr(c, "disk", "user.virtfs.rdev", &rdev, sizeof(rdev));
    host_write(c, "plain", "x");
    assert_int_equal(fchmodat(c->root, "plain", 0640, 0), 0);
    shows(c, "file", ALICE, STAFF, S_IFREG | 04755);
    shows(c, "link", BOB, BOB, S_IFLNK | 0777);
    shows(c, "disk", ROOT, 6, S_IFBLK | 0660);
    shows(c, "plain", SHOWN, SHOWN, S_IFREG | 0640);
    assert_int_equal(seen(c, "disk").rdev, makedev(8, 1));
    n = walk_to(c, NODE_ROOT, "link");
    rl.node = op.node = n;
    assert_int_equal(ask_readlink(&c->client, &rl, &rep), 0);
    assert_int_equal(rep->target.len, 11);
    assert_memory_equal(rep->target.data, "/etc/passwd", 11);
    assert_int_equal(ask_open_read(&c->client, &op, NULL), -ELOOP); /* the content is no file's */
    forget(c, n, 1);
    n = walk_to(c, NODE_ROOT, "disk");
    op.node = n;
    assert_int_equal(ask_open_read(&c->client, &op, NULL), -ENXIO);
    forget(c, n, 1);
    end(c);
}

static int
chown_node(struct contract *c, uint64_t node, uint32_t uid, uint32_t gid)
{
    Postern__V1__SetattrReq q = POSTERN__V1__SETATTR_REQ__INIT;

    q.node = node;
    q.has_uid = q.has_gid = true;
    q.uid = uid;
    q.gid = gid;
    return ask_setattr(&c->client, &q, NULL);
}

static void
owner_and_mode_change_where_they_are_kept(void **state)
{
    struct contract *c = open_stored();
    uint64_t n, file;

    (void)state;
    make_all(c);
    n = walk_to(c, NODE_ROOT, "file");
    assert_int_equal(chmod_node(c, n, 06755), 0);
    stored_is_there(c, "file", ALICE, STAFF, S_IFREG | 06755);
    file = open_write(c, n, 0);
    assert_int_equal(write_at(c, file, 0, "x", 1), 1);
    stored_is_there(c, "file", ALICE, STAFF, S_IFREG | 0755); /* as on a disk */
    assert_int_equal(chmod_node(c, n, 06755), 0);
    assert_int_equal(write_at(c, file, 0, "x", 1), 1); /* through a file that was open already */
    stored_is_there(c, "file", ALICE, STAFF, S_IFREG | 0755);
    assert_int_equal(chmod_node(c, n, 06755), 0);
    assert_int_equal(truncate_node(c, n, 0), 0);
    stored_is_there(c, "file", ALICE, STAFF, S_IFREG | 0755);
    contract_be(c, ROOT);
    assert_int_equal(chmod_node(c, n, 06755), 0);
    assert_int_equal(write_at(c, file, 0, "x", 1), 1); /* root's writes leave them */
    stored_is_there(c, "file", ALICE, STAFF, S_IFREG | 06755);
    assert_int_equal(chown_node(c, n, BOB, BOB), 0);
    stored_is_there(c, "file", BOB, BOB, S_IFREG | 0755);
    disk_is(c, "file", S_IFREG | 0600);
    assert_int_equal(chown_node(c, n, ID_NONE, BOB), -EINVAL);
    close_file(c, file);
    forget(c, n, 1);
    end(c);
}

static void
a_setgid_directory_gives_its_group_and_its_bit(void **state)
{
    struct contract *c = open_stored();
    uint64_t dir;

    (void)state;
    host_mkdir(c, "team");
    host_own(c, "team", ROOT, STAFF, S_IFDIR | 02775);
    dir = walk_to(c, NODE_ROOT, "team");
    contract_be(c, ALICE);
    assert_int_equal(create_at(c, dir, "f", OPEN_EXCL), 0);
    assert_int_equal(mkdir_at(c, dir, "d", 0755), 0);
    assert_int_equal(host_u32(c, "team/f", "user.virtfs.gid"), STAFF);
    stored_is_there(c, "team/d", ALICE, STAFF, S_IFDIR | 02755);
    forget(c, dir, 1);
    end(c);
}

static int
set_attr(struct contract *c, uint64_t node, const char *key)
{
    Postern__V1__SetxattrReq q = POSTERN__V1__SETXATTR_REQ__INIT;

    (void)memcpy(c->client.ch.slab, "\0\0\0\0", 4);
    q.node = node;
    q.key = msg_bytes(key, strlen(key));
    q.count = 4;
    return ask_setxattr(&c->client, &q, NULL);
}

static void
the_guest_can_neither_see_nor_forge_them(void **state)
{
    static const char *const keys[] = {"user.virtfs.uid", "user.virtfs.gid", "user.virtfs.mode",
                                       "user.virtfs.rdev"};
    struct contract *c = open_stored();
    Postern__V1__ListxattrReq list = POSTERN__V1__LISTXATTR_REQ__INIT;
    const Postern__V1__ListxattrRep *rep;
    uint64_t n;

    (void)state;
    make_all(c);
    contract_be(c, ROOT);
    n = walk_to(c, NODE_ROOT, "file");
    for (size_t i = 0; i < COUNT(keys); i++) {
        Postern__V1__RemovexattrReq rm = POSTERN__V1__REMOVEXATTR_REQ__INIT;
        Postern__V1__GetxattrReq get = POSTERN__V1__GETXATTR_REQ__INIT;

        rm.node = get.node = n;
        rm.key = get.key = msg_bytes(keys[i], strlen(keys[i]));
        assert_int_equal(set_attr(c, n, keys[i]), -EPERM);
        assert_int_equal(ask_removexattr(&c->client, &rm, NULL), -EPERM);
        assert_int_equal(ask_getxattr(&c->client, &get, NULL), -ENODATA);
    }
    list.node = n;
    assert_int_equal(ask_listxattr(&c->client, &list, &rep), 0);
    assert_int_equal(rep->size, 0);
    assert_int_equal(set_attr(c, n, "user.mine"), 0);
    assert_int_equal(ask_listxattr(&c->client, &list, &rep), 0);
    assert_int_equal(rep->size, sizeof("user.mine"));
    forget(c, n, 1);
    end(c);
}

static void
acls_are_the_guests_and_not_the_hosts(void **state)
{
    struct contract *c = open_stored();
    Postern__V1__ListxattrReq list = POSTERN__V1__LISTXATTR_REQ__INIT;
    const Postern__V1__ListxattrRep *rep;
    uint64_t n;

    (void)state;
    make_all(c);
    n = walk_to(c, NODE_ROOT, "file");
    assert_int_equal(set_attr(c, n, "system.posix_acl_access"), 0);
    assert_int_equal(lgetxattr(path_of(c, "file"), "user.virtfs.system.posix_acl_access", NULL, 0),
                     4);
    assert_true(lgetxattr(path_of(c, "file"), "system.posix_acl_access", NULL, 0) < 0);
    list.node = n;
    list.count = 100;
    assert_int_equal(ask_listxattr(&c->client, &list, &rep), 0);
    assert_int_equal(rep->size, sizeof("system.posix_acl_access"));
    assert_string_equal((const char *)c->client.ch.slab, "system.posix_acl_access");
    forget(c, n, 1);
    end(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_made_is_closed_on_the_disk_and_written_as_qemu_does),
        cmocka_unit_test(a_tree_that_qemu_wrote_is_read),
        cmocka_unit_test(owner_and_mode_change_where_they_are_kept),
        cmocka_unit_test(a_setgid_directory_gives_its_group_and_its_bit),
        cmocka_unit_test(the_guest_can_neither_see_nor_forge_them),
        cmocka_unit_test(acls_are_the_guests_and_not_the_hosts),
    };

    if (geteuid() != 0) {
        printf("SKIP: the owner on the disk is looked at as root\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
