/*
 * devices = allow, which goes with identity = host alone: the guest's root makes
 * device files, as names. Whoever opens one on the host opens a device; nobody
 * does through the share.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/lib/contract.h"

enum { ROOT = 0, ALICE = 1000 };

static const struct {
    const char *name;
    mode_t type;
    unsigned major, minor;
} kinds[] = {{"null", S_IFCHR, 1, 3}, {"disk", S_IFBLK, 7, 300}};

static struct contract *
open_host(bool devices, bool read_only)
{
    struct contract *c = contract_open(&(struct contract_options){
        .identity = IDENTITY_HOST, .devices = devices, .read_only = read_only});

    assert_int_equal(fchmod(c->root, 0777), 0);
    return c;
}

static int
make_node(struct contract *c, const char *name, mode_t mode, dev_t rdev)
{
    Postern__V1__MknodReq req = POSTERN__V1__MKNOD_REQ__INIT;

    req.dir = NODE_ROOT;
    req.name = msg_bytes(name, strlen(name));
    req.mode = mode;
    req.rdev = rdev;
    return ask_mknod(&c->client, &req, NULL);
}

static void
the_host_has(const struct contract *c, unsigned i, const char *name, mode_t mode)
{
    struct stat st = host_stat(c, name);

    assert_int_equal(st.st_mode, kinds[i].type | mode);
    assert_int_equal(st.st_rdev, makedev(kinds[i].major, kinds[i].minor));
    assert_int_equal(st.st_uid, ROOT);
}

/* Set-id bits mean nothing on a device, and are not passed on. */
static void
root_makes_devices_that_are_names_like_others(void **state)
{
    struct contract *c = open_host(true, false);

    (void)state;
    for (unsigned i = 0; i < COUNT(kinds); i++) {
        dev_t rdev = makedev(kinds[i].major, kinds[i].minor);
        uint64_t n;

        assert_int_equal(make_node(c, kinds[i].name, kinds[i].type | 06644, rdev), 0);
        assert_int_equal(make_node(c, kinds[i].name, kinds[i].type | 0644, rdev), -EEXIST);
        the_host_has(c, i, kinds[i].name, 0644);
        n = walk_to(c, NODE_ROOT, kinds[i].name);
        assert_int_equal(attr_of_node(c, n).mode, kinds[i].type | 0644);
        assert_int_equal(attr_of_node(c, n).rdev, rdev);
        assert_int_equal(chmod_node(c, n, 0600), 0);
        assert_int_equal(link_at(c, n, NODE_ROOT, "second"), -EPERM);
        assert_int_equal(rename_at(c, NODE_ROOT, kinds[i].name, NODE_ROOT, "moved"), 0);
        the_host_has(c, i, "moved", 0600);
        assert_int_equal(unlink_at(c, NODE_ROOT, "moved", false), 0);
        forget(c, n, 1);
    }
    contract_done(c);
}

static void
nobody_opens_them_here(void **state)
{
    struct contract *c = open_host(true, false);

    (void)state;
    for (unsigned i = 0; i < COUNT(kinds); i++) {
        uint64_t n;

        assert_int_equal(make_node(c, kinds[i].name, kinds[i].type | 0666,
                                   makedev(kinds[i].major, kinds[i].minor)),
                         0);
        n = walk_to(c, NODE_ROOT, kinds[i].name);
        assert_int_equal(open_read_status(c, n, 0), -ENXIO);
        assert_int_equal(open_write_status(c, n, 0), -ENXIO);
        assert_int_equal(open_write_status(c, n, OPEN_READS | OPEN_TRUNC), -ENXIO);
        assert_int_equal(create_at(c, NODE_ROOT, kinds[i].name, 0), -ENXIO);
        assert_int_equal(truncate_node(c, n, 0), -EINVAL);
        forget(c, n, 1);
    }
    contract_done(c);
}

/* The kernel knows a device by its number, whatever the server's own idea; 0:0
 * is a mere mark of overlay file systems, which it lets anybody make. */
static void
other_users_make_none(void **state)
{
    struct contract *c = open_host(true, false);

    (void)state;
    contract_be(c, ALICE);
    for (unsigned i = 0; i < COUNT(kinds); i++)
        assert_int_equal(make_node(c, kinds[i].name, kinds[i].type | 0644,
                                   makedev(kinds[i].major, kinds[i].minor)),
                         -EPERM);
    assert_int_equal(make_node(c, "mark", S_IFCHR | 0644, 0), 0);
    contract_be(c, ROOT);
    assert_int_equal(unlink_at(c, NODE_ROOT, "mark", false), 0);
    contract_done(c);
}

static void
without_it_or_on_a_read_only_share_root_makes_none_either(void **state)
{
    (void)state;
    for (unsigned read_only = 0; read_only < 2; read_only++) {
        struct contract *c = open_host(read_only != 0, read_only != 0);

        for (unsigned i = 0; i < COUNT(kinds); i++)
            assert_int_equal(make_node(c, kinds[i].name, kinds[i].type | 0644,
                                       makedev(kinds[i].major, kinds[i].minor)),
                             read_only != 0 ? -EROFS : -EPERM);
        assert_int_equal(make_node(c, "mark", S_IFCHR | 0644, 0), read_only != 0 ? -EROFS : -EPERM);
        contract_done(c);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_makes_devices_that_are_names_like_others),
        cmocka_unit_test(nobody_opens_them_here),
        cmocka_unit_test(other_users_make_none),
        cmocka_unit_test(without_it_or_on_a_read_only_share_root_makes_none_either),
    };

    if (geteuid() != 0) {
        (void)printf("SKIP: only root can make devices\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
