/*
 * Extended attributes: GETXATTR, LISTXATTR, SETXATTR, REMOVEXATTR, and which
 * of them a share shows.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "tests/lib/contract.h"

/* How many bytes the reply may have at most; what came is in the slab. */
static int
get(struct contract *c, uint64_t node, const char *key, uint32_t count)
{
    Postern__V1__GetxattrReq req = POSTERN__V1__GETXATTR_REQ__INIT;
    const Postern__V1__GetxattrRep *rep;
    int r;

    req.node = node;
    req.key = msg_bytes(key, strlen(key));
    req.count = count;
    r = ask_getxattr(&c->client, &req, &rep);
    return r < 0 ? r : (int)rep->size;
}

static int
list(struct contract *c, uint64_t node, uint32_t count)
{
    Postern__V1__ListxattrReq req = POSTERN__V1__LISTXATTR_REQ__INIT;
    const Postern__V1__ListxattrRep *rep;
    int r;

    req.node = node;
    req.count = count;
    r = ask_listxattr(&c->client, &req, &rep);
    return r < 0 ? r : (int)rep->size;
}

static int
set(struct contract *c, uint64_t node, const char *key, const void *value, uint32_t n,
    uint32_t flags)
{
    Postern__V1__SetxattrReq req = POSTERN__V1__SETXATTR_REQ__INIT;

    req.node = node;
    req.key = msg_bytes(key, strlen(key));
    req.count = n;
    req.flags = flags;
    if (n > 0)
        (void)memcpy(c->client.ch.slab, value, n);
    return ask_setxattr(&c->client, &req, NULL);
}

static int
drop(struct contract *c, uint64_t node, const char *key)
{
    Postern__V1__RemovexattrReq req = POSTERN__V1__REMOVEXATTR_REQ__INIT;

    req.node = node;
    req.key = msg_bytes(key, strlen(key));
    return ask_removexattr(&c->client, &req, NULL);
}

static bool
slab_is(struct contract *c, const char *text)
{
    return memcmp(c->client.ch.slab, text, strlen(text)) == 0;
}

/* What a list holds of one key. */
static unsigned
listed(struct contract *c, uint64_t node, const char *key)
{
    int n = list(c, node, 65536);
    unsigned found = 0;

    assert_true(n >= 0);
    for (int at = 0; at < n; at += (int)strlen((char *)c->client.ch.slab + at) + 1)
        found += strcmp((char *)c->client.ch.slab + at, key) == 0;
    return found;
}

/* As the host sees it, to set what no guest may. */
static void
host_set(struct contract *c, const char *name, const char *key, const char *value)
{
    int fd = openat(c->root, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fsetxattr(fd, key, value, strlen(value), 0), 0);
    clean_fd(&fd);
}

static void
a_value_set_is_the_value_got(void **state)
{
    struct contract *c = *state;
    uint64_t n;

    host_write(c, "f", "x");
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(get(c, n, "user.a", 100), -ENODATA);
    assert_int_equal(set(c, n, "user.a", "hello", 5, 0), 0);
    assert_int_equal(get(c, n, "user.a", 0), 5);
    assert_int_equal(get(c, n, "user.a", 4), -ERANGE);
    c->client.ch.slab[5] = 'z';
    assert_int_equal(get(c, n, "user.a", 5), 5);
    assert_true(slab_is(c, "helloz"));
    assert_int_equal(set(c, n, "user.a", "x", 1, XATTR_FLAG_CREATE), -EEXIST);
    assert_int_equal(set(c, n, "user.b", "x", 1, XATTR_FLAG_REPLACE), -ENODATA);
    assert_int_equal(set(c, n, "user.a", "new", 3, XATTR_FLAG_REPLACE), 0);
    assert_int_equal(get(c, n, "user.a", 100), 3);
    assert_int_equal(set(c, n, "user.a", NULL, 0, 0), 0);
    assert_int_equal(get(c, n, "user.a", 100), 0);
    assert_int_equal(drop(c, n, "user.a"), 0);
    assert_int_equal(drop(c, n, "user.a"), -ENODATA);
    assert_int_equal(get(c, n, "user.a", 0), -ENODATA);
    forget(c, n, 1);
}

static void
keys_are_bytes_of_up_to_255(void **state)
{
    static const char odd[] = "user.a/b\xff\x01 ..";
    struct contract *c = *state;
    char longest[XATTR_KEY_MAX + 1];
    uint64_t n;

    host_write(c, "f", "x");
    n = walk_to(c, NODE_ROOT, "f");
    memset(longest, 'k', sizeof(longest));
    memcpy(longest, "user.", 5);
    longest[XATTR_KEY_MAX] = '\0';
    assert_int_equal(set(c, n, odd, "1", 1, 0), 0);
    assert_int_equal(set(c, n, longest, "2", 1, 0), 0);
    assert_int_equal(listed(c, n, odd), 1);
    assert_int_equal(listed(c, n, longest), 1);
    assert_int_equal(get(c, n, longest, 10), 1);
    assert_int_equal(set(c, n, "user.", "x", 1, 0), -EINVAL); /* the kernel's own answer */
    forget(c, n, 1);
}

static void
values_have_up_to_64_kib(void **state)
{
    struct contract *c = *state;
    uint8_t *big = malloc(XATTR_SIZE_MAX + 1);
    uint64_t n;
    int r;

    assert_non_null(big);
    host_write(c, "f", "x");
    n = walk_to(c, NODE_ROOT, "f");
    for (unsigned i = 0; i <= XATTR_SIZE_MAX; i++)
        big[i] = (uint8_t)(i * 7 + i / 256);
    r = set(c, n, "user.big", big, XATTR_SIZE_MAX, 0);
    if (r == -ENOSPC) {
        /* ext4 without its feature "ea_inode": a block is all there is */
        r = set(c, n, "user.big", big, 3000, 0);
        assert_int_equal(r, 0);
        assert_int_equal(get(c, n, "user.big", XATTR_SIZE_MAX), 3000);
        assert_memory_equal(c->client.ch.slab, big, 3000);
    } else {
        assert_int_equal(r, 0);
        assert_int_equal(get(c, n, "user.big", XATTR_SIZE_MAX), XATTR_SIZE_MAX);
        assert_memory_equal(c->client.ch.slab, big, XATTR_SIZE_MAX);
    }
    assert_int_equal(set(c, n, "user.big", big, XATTR_SIZE_MAX + 1, 0), -E2BIG);
    forget(c, n, 1);
    free(big);
}

static void
a_list_has_what_is_offered_and_nothing_else(void **state)
{
    struct contract *c = *state;
    uint64_t n;

    host_write(c, "f", "x");
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(list(c, n, 1000), 0);
    host_set(c, "f", "user.virtfs.uid", "\0\0\0");
    host_set(c, "f", "user.one", "1");
    host_set(c, "f", "user.postern.x", "1");
    if (geteuid() == 0) {
        host_set(c, "f", "trusted.secret", "1");
        host_set(c, "f", "security.odd", "1");
    }
    host_set(c, "f", "user.two", "2");
    host_set(c, "f", "user.virtfs", "3"); /* only the names below it are taken */
    assert_int_equal(list(c, n, 0), 9 + 9 + 12);
    assert_int_equal(list(c, n, 9 + 9 + 12), 9 + 9 + 12);
    assert_int_equal(list(c, n, 9 + 9 + 11), -ERANGE);
    assert_int_equal(listed(c, n, "user.one"), 1);
    assert_int_equal(listed(c, n, "user.two"), 1);
    assert_int_equal(listed(c, n, "user.virtfs"), 1);
    forget(c, n, 1);
}

/* What the Linux client takes for "no such thing here" when it asks for an
 * inode's ACLs: anything but EOPNOTSUPP, ENODATA and ENOSYS would end as EIO
 * on every file. */
static void
names_that_are_not_offered_do_not_exist(void **state)
{
    static const char *const not_offered[] = {
        "system.posix_acl_access",
        "system.posix_acl_default",
        "security.capability",
        "security.selinux",
        "security.odd",
        "trusted.secret",
        "trusted.overlay.opaque",
        "system.nfs4_acl",
        "system.posix_acl_access.x",
        "security.capability2",
        "user",
        "users.a",
        "USER.a",
        "odd",
        "os2.x",
    };
    struct contract *c = *state;
    uint64_t n;

    host_write(c, "f", "x");
    if (geteuid() == 0) {
        host_set(c, "f", "trusted.secret", "1");
        host_set(c, "f", "security.odd", "1");
    }
    n = walk_to(c, NODE_ROOT, "f");
    for (unsigned i = 0; i < COUNT(not_offered); i++) {
        assert_int_equal(get(c, n, not_offered[i], 0), -EOPNOTSUPP);
        assert_int_equal(get(c, n, not_offered[i], 100), -EOPNOTSUPP);
        assert_int_equal(set(c, n, not_offered[i], "x", 1, 0), -EOPNOTSUPP);
        assert_int_equal(drop(c, n, not_offered[i]), -EOPNOTSUPP);
    }
    forget(c, n, 1);
}

/* CVE-2017-7493: whoever may set these decides who owns a file. */
static void
what_servers_keep_there_is_hidden_and_cannot_be_forged(void **state)
{
    static const char *const reserved[] = {"user.virtfs.uid", "user.virtfs.mode", "user.virtfs.",
                                           "user.virtfs.x.y", "user.postern.id"};
    struct contract *c = *state;
    char value[10];
    uint64_t n;

    host_write(c, "f", "x");
    host_set(c, "f", "user.virtfs.uid", "host");
    n = walk_to(c, NODE_ROOT, "f");
    for (unsigned i = 0; i < COUNT(reserved); i++) {
        assert_int_equal(get(c, n, reserved[i], 100), -ENODATA);
        assert_int_equal(set(c, n, reserved[i], "mine", 4, 0), -EPERM);
        assert_int_equal(drop(c, n, reserved[i]), -EPERM);
    }
    assert_int_equal(list(c, n, 0), 0);
    {
        int fd = openat(c->root, "f", O_RDONLY | O_CLOEXEC);

        assert_int_equal(fgetxattr(fd, "user.virtfs.uid", value, sizeof(value)), 4);
        assert_memory_equal(value, "host", 4);
        clean_fd(&fd);
    }
    forget(c, n, 1);
}

static void
a_symlink_and_a_fifo_answer_as_the_kernel_does(void **state)
{
    struct contract *c = *state;
    uint64_t n;

    host_write(c, "victim", "x");
    assert_int_equal(symlinkat("victim", c->root, "l"), 0);
    n = walk_to(c, NODE_ROOT, "l");
    assert_int_equal(set(c, n, "user.a", "x", 1, 0), -EPERM);
    assert_int_equal(get(c, n, "user.a", 10), -ENODATA);
    assert_int_equal(drop(c, n, "user.a"), -EPERM);
    assert_int_equal(list(c, n, 10), 0);
    forget(c, n, 1);
    n = walk_to(c, NODE_ROOT, "victim");
    assert_int_equal(list(c, n, 10), 0); /* nothing went through the link */
    forget(c, n, 1);
    assert_int_equal(mkfifoat(c->root, "p", 0666), 0);
    n = walk_to(c, NODE_ROOT, "p");
    assert_int_equal(set(c, n, "user.a", "x", 1, 0), -EPERM);
    forget(c, n, 1);
}

static void
a_directory_has_them_too(void **state)
{
    struct contract *c = *state;
    uint64_t n;

    host_mkdir(c, "d");
    n = walk_to(c, NODE_ROOT, "d");
    assert_int_equal(set(c, n, "user.a", "dir", 3, 0), 0);
    assert_int_equal(get(c, n, "user.a", 10), 3);
    assert_int_equal(set(c, NODE_ROOT, "user.a", "root", 4, 0), 0);
    assert_int_equal(get(c, NODE_ROOT, "user.a", 10), 4);
    forget(c, n, 1);
}

static void
they_stay_with_a_file_that_lost_or_changed_its_name(void **state)
{
    struct contract *c = *state;
    uint64_t gone, moved;

    host_write(c, "gone", "x");
    host_write(c, "moved", "x");
    gone = walk_to(c, NODE_ROOT, "gone");
    moved = walk_to(c, NODE_ROOT, "moved");
    assert_int_equal(unlinkat(c->root, "gone", 0), 0);
    assert_int_equal(renameat(c->root, "moved", c->root, "gone"), 0);
    assert_int_equal(set(c, gone, "user.a", "gone", 4, 0), 0);
    assert_int_equal(set(c, moved, "user.a", "moved", 5, 0), 0);
    assert_int_equal(get(c, gone, "user.a", 10), 4);
    assert_int_equal(get(c, moved, "user.a", 10), 5);
    assert_int_equal(drop(c, gone, "user.a"), 0);
    assert_int_equal(get(c, moved, "user.a", 10), 5);
    forget(c, gone, 1);
    forget(c, moved, 1);
}

/* user::rw-, group::r--, other::r-- and a default ACL of the same. */
static const uint8_t acl[] = {2,    0,    0, 0, 1,    0,    6,    0,    0xff, 0xff,
                              0xff, 0xff, 4, 0, 4,    0,    0xff, 0xff, 0xff, 0xff,
                              0x20, 0,    4, 0, 0xff, 0xff, 0xff, 0xff};

static void
acls_are_offered_where_policy_says_so(void **state)
{
    struct contract *c = contract_open(
        &(struct contract_options){.xattrs = XATTR_ACL, .present_uid = 1000, .present_gid = 1001});
    uint64_t n;
    int r;

    (void)state;
    host_mkdir(c, "d");
    n = walk_to(c, NODE_ROOT, "d");
    assert_int_equal(set(c, n, "user.a", "x", 1, 0), -EOPNOTSUPP); /* not that one */
    assert_int_equal(get(c, n, "system.posix_acl_access", 100), -ENODATA);
    r = set(c, n, "system.posix_acl_default", acl, sizeof(acl), 0);
    assert_int_equal(r, 0);
    assert_int_equal(get(c, n, "system.posix_acl_default", 100), sizeof(acl));
    assert_memory_equal(c->client.ch.slab, acl, sizeof(acl));
    assert_int_equal(listed(c, n, "system.posix_acl_default"), 1);
    assert_int_equal(set(c, n, "system.posix_acl_access", acl, 11, 0), -EINVAL); /* half an entry */
    assert_int_equal(drop(c, n, "system.posix_acl_default"), 0);
    assert_int_equal(list(c, n, 0), 0);
    forget(c, n, 1);
    (void)contract_close(c);
}

static void
a_share_without_any_has_none(void **state)
{
    struct contract *c = contract_open(&(struct contract_options){.no_xattrs = true});
    uint64_t n;

    (void)state;
    host_write(c, "f", "x");
    host_set(c, "f", "user.a", "1");
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(get(c, n, "user.a", 10), -EOPNOTSUPP);
    assert_int_equal(set(c, n, "user.a", "2", 1, 0), -EOPNOTSUPP);
    assert_int_equal(drop(c, n, "user.a"), -EOPNOTSUPP);
    assert_int_equal(list(c, n, 0), -EOPNOTSUPP);
    forget(c, n, 1);
    (void)contract_close(c);
}

static void
a_capability_can_be_seen_where_policy_says_so(void **state)
{
    static const uint8_t cap[20] = {0, 0, 0, 2, 0, 4}; /* revision 2, net_bind_service */
    struct contract *c = contract_open(&(struct contract_options){.xattrs = XATTR_CAPABILITY});
    uint64_t n;
    int fd;

    (void)state;
    if (geteuid() != 0) {
        (void)contract_close(c);
        print_message("SKIP: only root can give a file a capability\n");
        return;
    }
    host_write(c, "f", "x");
    fd = openat(c->root, "f", O_RDWR | O_CLOEXEC);
    assert_int_equal(fsetxattr(fd, "security.capability", cap, sizeof(cap), 0), 0);
    n = walk_to(c, NODE_ROOT, "f");
    assert_true(get(c, n, "security.capability", 100) >= (int)sizeof(cap)); /* or with whose root */
    assert_int_equal(listed(c, n, "security.capability"), 1);
    assert_int_equal(get(c, n, "security.capability2", 100), -EOPNOTSUPP);
    {
        /* and falls when the file is written */
        uint64_t f = open_write(c, n, 0);

        assert_int_equal(write_at(c, f, 0, "y", 1), 1);
        close_file(c, f);
        assert_int_equal(get(c, n, "security.capability", 100), -ENODATA);
    }
    clean_fd(&fd);
    forget(c, n, 1);
    (void)contract_close(c);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, contract_setup, contract_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_value_set_is_the_value_got),
        CLAIM(keys_are_bytes_of_up_to_255),
        CLAIM(values_have_up_to_64_kib),
        CLAIM(a_list_has_what_is_offered_and_nothing_else),
        CLAIM(names_that_are_not_offered_do_not_exist),
        CLAIM(what_servers_keep_there_is_hidden_and_cannot_be_forged),
        CLAIM(a_symlink_and_a_fifo_answer_as_the_kernel_does),
        CLAIM(a_directory_has_them_too),
        CLAIM(they_stay_with_a_file_that_lost_or_changed_its_name),
        cmocka_unit_test(acls_are_offered_where_policy_says_so),
        cmocka_unit_test(a_share_without_any_has_none),
        cmocka_unit_test(a_capability_can_be_seen_where_policy_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
