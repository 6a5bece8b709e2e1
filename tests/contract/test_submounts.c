/*
 * Other file systems mounted below the share's root: refused, hidden or
 * crossed.
 *
 * The tree: a/m is a tmpfs, and so is twin, which is the same one bound once
 * more; one is a file bound over a file, loop the share itself, proc what it
 * says.
 */
#include "tests/lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proxy-helper/mount.h"
#include "tests/lib/contract.h"

static const char *const points[] = {"a/m", "twin", "one", "loop", "proc"};

static const char *
below(const char *path, const char *name)
{
    static char text[2][512];
    static unsigned turn;

    turn ^= 1;
    (void)snprintf(text[turn], sizeof(text[turn]), "%s/%s", path, name);
    return text[turn];
}

static void
touch(const char *path, const char *name, const char *content)
{
    host_put(AT_FDCWD, below(path, name), content);
}

static void
make_plain(const char *path)
{
    static const char *const dirs[] = {"a", "a/m", "twin", "loop", "proc"};

    for (unsigned i = 0; i < COUNT(dirs); i++)
        assert_int_equal(mkdir(below(path, dirs[i]), 0777), 0);
    touch(path, "plain", "host");
    touch(path, "one", "covered");
    touch(path, "a/m/covered", "");
    assert_int_equal(mount("none", below(path, "a/m"), "tmpfs", 0, "mode=0777"), 0);
    touch(path, "a/m/f", "inside");
    assert_int_equal(mkdir(below(path, "a/m/d"), 0777), 0);
    assert_int_equal(mount(below(path, "a/m"), below(path, "twin"), NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(below(path, "a/m/f"), below(path, "one"), NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(path, below(path, "loop"), NULL, MS_BIND, NULL), 0);
}

static void
make_all(const char *path)
{
    make_plain(path);
    assert_int_equal(chmod(path, 0755), 0); /* nobody's ids are mapped with this below */
    assert_int_equal(mount("none", below(path, "proc"), "proc", 0, NULL), 0);
}

static struct contract *
serve(enum share_submounts mode, void (*prepare)(const char *path))
{
    return contract_open(&(struct contract_options){.submounts = mode, .prepare = prepare});
}

static void
end(struct contract *c)
{
    struct contract_counts left;

    for (unsigned i = 0; i < COUNT(points); i++)
        (void)umount2(below(c->path, points[i]), MNT_DETACH);
    left = contract_close(c);
    assert_true(!left.known || (left.nodes == 1 && left.files == 0));
}

static uint64_t
ino_of(struct contract *c, uint64_t node)
{
    return attr_of_node(c, node).ino;
}

static void
where_none_are_expected_they_are_not_entered(void **state)
{
    struct contract *c = serve(SUBMOUNTS_REFUSE, make_plain);
    uint64_t a;

    (void)state;
    if (contract_is_sandboxed()) { /* the real one would not have started */
        assert_int_equal(contract_wait(c), 78);
        end(c);
        return;
    }
    a = walk_path(c, "a");
    assert_int_equal(walk_status(c, a, "m"), -EXDEV);
    assert_int_equal(walk_status(c, NODE_ROOT, "one"), -EXDEV);
    assert_int_equal(walk_status(c, NODE_ROOT, "loop"), -EXDEV);
    assert_int_equal(stat_status(c, a, "m", NULL), -EXDEV);
    assert_int_equal(create_at(c, NODE_ROOT, "one", 0), -EXDEV);
    forget(c, a, 1);
    end(c);
}

static void
what_is_hidden_is_not_there_and_cannot_be_made(void **state)
{
    struct contract *c = serve(SUBMOUNTS_HIDE, make_all);
    static const uint32_t counts[] = {65536, 48};
    struct listing l;
    uint64_t a = walk_path(c, "a");

    (void)state;
    for (unsigned i = 0; i < COUNT(points); i++) {
        bool in_a = strncmp(points[i], "a/", 2) == 0;
        uint64_t dir = in_a ? a : NODE_ROOT;
        const char *name = points[i] + (in_a ? 2 : 0);
        bool directory = strcmp(name, "one") != 0;

        assert_int_equal(walk_status(c, dir, name), -ENOENT);
        assert_int_equal(stat_status(c, dir, name, NULL), -ENOENT);
        assert_int_equal(mkdir_at(c, dir, name, 0777), -EEXIST);
        assert_int_equal(create_at(c, dir, name, 0), -EEXIST);
        assert_int_equal(create_at(c, dir, name, OPEN_EXCL), -EEXIST);
        assert_int_equal(unlink_at(c, dir, name, directory), -EBUSY);
        assert_int_equal(rename_at(c, dir, name, dir, "else"), -EBUSY);
    }
    for (unsigned i = 0; i < COUNT(counts); i++) {
        listing_of(c, NODE_ROOT, counts[i], &l);
        assert_int_equal(l.n, 4);
        assert_int_equal(listing_count(&l, "a") + listing_count(&l, "plain"), 2);
        listing_of(c, a, counts[i], &l); /* nothing but a mount in it */
        assert_int_equal(l.n, 2);
    }
    forget(c, a, 1);
    end(c);
}

static void
what_is_crossed_is_part_of_the_share(void **state)
{
    struct contract *c = serve(SUBMOUNTS_CROSS, make_plain);
    uint64_t a = walk_path(c, "a"), m = walk_path(c, "a/m"), node, file;

    (void)state;
    assert_int_equal(walk_status(c, m, "covered"), -ENOENT);
    node = walk_to(c, m, "f");
    file = open_read(c, node);
    assert_int_equal(read_at(c, file, 0, 100), 6);
    assert_memory_equal(c->client.ch.slab, "inside", 6);
    close_file(c, file);
    forget(c, node, 1);
    assert_int_equal(create_at(c, m, "new", OPEN_EXCL), 0);
    assert_int_equal(access(below(c->path, "twin/new"), F_OK), 0);
    assert_true(parent_of(c, m) == a);
    forget(c, a, 1);
    node = walk_to(c, NODE_ROOT, "one");
    file = open_read(c, node);
    assert_int_equal(read_at(c, file, 0, 100), 6);
    close_file(c, file);
    forget(c, node, 1);
    forget(c, a, 1);
    forget(c, m, 1);
    end(c);
}

static void
nothing_is_moved_or_linked_across(void **state)
{
    struct contract *c = serve(SUBMOUNTS_CROSS, make_plain);
    Postern__V1__LinkReq link = POSTERN__V1__LINK_REQ__INIT;
    uint64_t m = walk_path(c, "a/m"), twin = walk_path(c, "twin");

    (void)state;
    assert_int_equal(rename_at(c, m, "f", NODE_ROOT, "f"), -EXDEV);
    assert_int_equal(rename_at(c, NODE_ROOT, "plain", m, "f"), -EXDEV);
    assert_int_equal(rename_at(c, m, "f", twin, "g"), -EXDEV); /* as the kernel has it */
    assert_int_equal(rename_at(c, NODE_ROOT, "twin", NODE_ROOT, "x"), -EBUSY);
    assert_int_equal(unlink_at(c, NODE_ROOT, "twin", true), -EBUSY);
    assert_int_equal(rename_at(c, m, "f", m, "g"), 0);
    link.node = walk_to(c, m, "g");
    link.dir = NODE_ROOT;
    link.name = msg_bytes("l", 1);
    assert_int_equal(ask_link(&c->client, &link, NULL), -EXDEV);
    forget(c, link.node, 1);
    forget(c, m, 1);
    forget(c, twin, 1);
    end(c);
}

/* Every entry of a directory has the number and type that a walk to it finds;
 * all are added to seen, "." and ".." apart. */
static void
check_numbers(struct contract *c, uint64_t dir, uint64_t above, struct listing *seen)
{
    struct listing l;

    listing_of(c, dir, 65536, &l);
    for (unsigned i = 0; i < l.n; i++) {
        struct attr attr;

        if (strcmp(l.at[i].name, ".") == 0) {
            assert_true(l.at[i].ino == ino_of(c, dir));
        } else if (strcmp(l.at[i].name, "..") == 0) {
            assert_true(l.at[i].ino == above);
        } else {
            uint64_t node = walk_to(c, dir, l.at[i].name);

            assert_int_equal(stat_status(c, dir, l.at[i].name, &attr), 0);
            assert_true(l.at[i].ino == attr.ino);
            assert_true(l.at[i].ino == ino_of(c, node));
            assert_int_equal(l.at[i].type, IFTODT(attr.mode));
            forget(c, node, 1);
            assert_true(seen->n < LISTING_MOST);
            seen->at[seen->n++] = l.at[i];
        }
    }
}

/* All directories there are, each with the number of the one above. */
static void
all_numbers(struct contract *c, struct listing *seen)
{
    static const struct {
        const char *path;
        unsigned above;
    } dirs[] = {{"", 0},     {"a", 0},      {"a/m", 1},  {"a/m/d", 2},
                {"twin", 0}, {"twin/d", 4}, {"loop", 0}, {"loop/a", 6}};
    uint64_t ino[COUNT(dirs)];

    *seen = (struct listing){0};
    for (unsigned i = 0; i < COUNT(dirs); i++) {
        uint64_t node = walk_path(c, dirs[i].path);

        ino[i] = ino_of(c, node);
        check_numbers(c, node, ino[dirs[i].above], seen);
        if (node != NODE_ROOT)
            forget(c, node, 1);
    }
}

static void
numbers_differ_everywhere_and_stay_over_a_restart(void **state)
{
    struct contract *c = serve(SUBMOUNTS_CROSS, make_plain), *again;
    struct listing first, second;

    (void)state;
    all_numbers(c, &first);
    for (unsigned i = 0; i < first.n; i++)
        for (unsigned j = 0; j < i; j++)
            assert_true(first.at[i].ino != first.at[j].ino);
    all_numbers(c, &second);
    assert_memory_equal(&first, &second, sizeof(first));
    again = contract_again(c);
    all_numbers(again, &second);
    assert_memory_equal(&first, &second, sizeof(first));
    (void)contract_close(again);
    end(c);
}

static void
make_two(const char *path)
{
    static const char *const dirs[] = {"a", "a/m", "twin", "loop"};

    for (unsigned i = 0; i < COUNT(dirs); i++)
        assert_int_equal(mkdir(below(path, dirs[i]), 0777), 0);
    assert_int_equal(mount("none", below(path, "a/m"), "tmpfs", 0, "mode=0777"), 0);
    assert_int_equal(mkdir(below(path, "a/m/1"), 0777), 0);
    assert_int_equal(mkdir(below(path, "a/m/2"), 0777), 0);
    assert_int_equal(mount(below(path, "a/m/1"), below(path, "twin"), NULL, MS_BIND, NULL), 0);
    assert_int_equal(mount(below(path, "a/m/2"), below(path, "loop"), NULL, MS_BIND, NULL), 0);
}

static uint64_t
ino_at(struct contract *c, const char *path)
{
    uint64_t node = walk_path(c, path), ino = ino_of(c, node);

    forget(c, node, 1);
    return ino;
}

static void
numbers_do_not_depend_on_who_is_met_first(void **state)
{
    struct contract *c = serve(SUBMOUNTS_CROSS, make_two), *again = contract_again(c);
    uint64_t twin = ino_at(c, "twin"), loop = ino_at(c, "loop"), m = ino_at(c, "a/m");

    (void)state;
    assert_true(ino_at(again, "a/m") == m);
    assert_true(ino_at(again, "loop") == loop);
    assert_true(ino_at(again, "twin") == twin);
    (void)contract_close(again);
    end(c);
}

/* As btrfs's subvolumes: no mounts, but numbers of their own. */
static void
devices_that_are_no_mounts_have_other_numbers_too(void **state)
{
    const struct statx root = {.stx_mnt_id = 7, .stx_dev_minor = 3, .stx_ino = 256};
    struct statx st = root;
    struct mounts m = {.mode = SUBMOUNTS_CROSS};

    (void)state;
    mounts_root(&m, &root);
    assert_true(mounts_ino_of(&m, &root) == 256);
    st.stx_dev_minor = 4;
    assert_int_equal(mounts_enter(&m, &st), 0);
    assert_true(mounts_ino_of(&m, &st) != 256);
    assert_true(mounts_ino_of(&m, &st) << 16 == (uint64_t)256 << 16);
    st.stx_dev_minor = 5;
    assert_true(mounts_ino_of(&m, &st) != mounts_ino(&m, 7, 4, 256));
    st.stx_mnt_id = 8; /* a mount that nobody named */
    assert_int_equal(mounts_enter(&m, &st), -ENOENT);
}

static void
the_kernels_own_file_systems_are_never_crossed(void **state)
{
    struct contract *c = serve(SUBMOUNTS_CROSS, make_all);
    struct listing l;
    uint64_t m;

    (void)state;
    assert_int_equal(walk_status(c, NODE_ROOT, "proc"), -ENOENT);
    assert_int_equal(stat_status(c, NODE_ROOT, "proc", NULL), -ENOENT);
    listing_of(c, NODE_ROOT, 65536, &l);
    assert_int_equal(listing_count(&l, "proc"), 0);
    assert_int_equal(listing_count(&l, "twin"), 1);
    m = walk_path(c, "a/m");
    forget(c, m, 1);
    end(c);
}

static void
a_mount_made_later_is_not_seen(void **state)
{
    struct contract *c;
    uint64_t d;

    (void)state;
    if (!contract_is_sandboxed()) /* the helper's own mount namespace is what keeps it out */
        return;
    c = serve(SUBMOUNTS_CROSS, make_plain);
    d = walk_path(c, "a");
    assert_int_equal(mkdir(below(c->path, "a/late"), 0777), 0);
    assert_int_equal(mount("none", below(c->path, "a/late"), "tmpfs", 0, NULL), 0);
    touch(c->path, "a/late/x", "");
    forget(c, d, 1);
    d = walk_path(c, "a/late");
    assert_int_equal(walk_status(c, d, "x"), -ENOENT);
    forget(c, d, 1);
    assert_int_equal(umount2(below(c->path, "a/late"), MNT_DETACH), 0);
    end(c);
}

/* Where mounts made later do come through. */
static void
a_mount_over_a_directory_that_is_known_is_another(void **state)
{
    static const struct {
        enum share_submounts mode;
        int want;
    } rows[] = {{SUBMOUNTS_REFUSE, -EXDEV}, {SUBMOUNTS_HIDE, -ENOENT}, {SUBMOUNTS_CROSS, -ENOENT}};

    (void)state;
    if (contract_is_sandboxed())
        return;
    for (unsigned i = 0; i < COUNT(rows); i++) {
        struct contract *c = serve(rows[i].mode, make_plain);
        uint64_t d;

        host_mkdir(c, "d");
        d = walk_path(c, "d");
        assert_int_equal(walk_path(c, "d"), d); /* from here on looked for among the nodes first */
        assert_int_equal(mount("none", below(c->path, "d"), "tmpfs", 0, NULL), 0);
        assert_int_equal(walk_status(c, NODE_ROOT, "d"), rows[i].want);
        assert_int_equal(umount2(below(c->path, "d"), MNT_DETACH), 0);
        assert_int_equal(walk_path(c, "d"), d);
        forget(c, d, 3);
        end(c);
    }
}

/* One file system in two places, and the share in itself: one number, other nodes. */
static void
what_is_mounted_twice_is_walked_to_where_it_is(void **state)
{
    struct contract *c = serve(SUBMOUNTS_CROSS, make_plain);
    uint64_t at[2][3];

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        static const char *const paths[2] = {"a/m/d", "twin/d"};

        at[i % 2][i / 2] = walk_path(c, paths[i % 2]);
        assert_int_equal(at[i % 2][i / 2], at[i % 2][0]);
    }
    assert_int_not_equal(at[0][0], at[1][0]);
    forget(c, at[0][0], 3);
    forget(c, at[1][0], 3);
    end(c);
}

static void
the_fds_of_nodes_below_can_be_dropped_and_found_again(void **state)
{
    struct contract *c = contract_open(&(struct contract_options){
        .submounts = SUBMOUNTS_CROSS, .prepare = make_plain, .nodes = 200, .node_fds = 8});
    uint64_t m = walk_path(c, "a/m"), d = walk_path(c, "twin/d"), nodes[100];
    char name[16];

    (void)state;
    for (unsigned i = 0; i < COUNT(nodes); i++) {
        (void)snprintf(name, sizeof(name), "n%u", i);
        assert_int_equal(create_at(c, m, name, OPEN_EXCL), 0);
        nodes[i] = walk_to(c, m, name);
    }
    for (unsigned i = 0; i < COUNT(nodes); i++) {
        (void)ino_of(c, nodes[i]);
        forget(c, nodes[i], 1);
    }
    (void)ino_of(c, d);
    forget(c, d, 1);
    forget(c, m, 1);
    end(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_none_are_expected_they_are_not_entered),
        cmocka_unit_test(what_is_hidden_is_not_there_and_cannot_be_made),
        cmocka_unit_test(what_is_crossed_is_part_of_the_share),
        cmocka_unit_test(nothing_is_moved_or_linked_across),
        cmocka_unit_test(numbers_differ_everywhere_and_stay_over_a_restart),
        cmocka_unit_test(numbers_do_not_depend_on_who_is_met_first),
        cmocka_unit_test(devices_that_are_no_mounts_have_other_numbers_too),
        cmocka_unit_test(the_kernels_own_file_systems_are_never_crossed),
        cmocka_unit_test(a_mount_made_later_is_not_seen),
        cmocka_unit_test(a_mount_over_a_directory_that_is_known_is_another),
        cmocka_unit_test(what_is_mounted_twice_is_walked_to_where_it_is),
        cmocka_unit_test(the_fds_of_nodes_below_can_be_dropped_and_found_again),
    };

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        (void)printf("SKIP: only root can mount file systems\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
