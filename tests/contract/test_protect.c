/*
 * Directories of a writable share that are read-only. The kernel says so, in
 * the helper's own mount namespace: there is nothing here for a server without
 * one, so only the real helper is asked.
 *
 * The tree: releases/ with old/f in it; a/b/hooks/ likewise, of which hooks is
 * protected and a and b are on the way; a/plain, plain; twin, a second name of
 * releases/f.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "tests/lib/contract.h"

#define PROTECTED "releases a/b/hooks"

/* All claims are made for both. */
static enum share_identity identity;

/* What was made at path, and all below, is its owner's: under identity = map the
 * guest's root, who may change what is his and, as on any disk, not what is the
 * host root's. */
static const struct stat *tree_owner;

static int
give_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return lchown(path, tree_owner->st_uid, tree_owner->st_gid);
}

static void
give_tree(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    tree_owner = &st;
    assert_int_equal(nftw(path, give_one, 16, FTW_PHYS), 0);
    tree_owner = NULL;
}

static void
make_tree(const char *path)
{
    static const char *const dirs[] = {"releases",  "releases/old",  "a",       "a/b",
                                       "a/b/hooks", "a/b/hooks/old", "a/b/free"};
    static const char *const files[] = {"releases/f",      "releases/old/f", "a/b/hooks/f",
                                        "a/b/hooks/old/f", "a/plain",        "plain"};
    int at = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    assert_true(at >= 0);
    for (unsigned i = 0; i < COUNT(dirs); i++)
        assert_int_equal(mkdirat(at, dirs[i], 0777), 0);
    for (unsigned i = 0; i < COUNT(files); i++)
        host_put(at, files[i], "as it was");
    assert_int_equal(linkat(at, "releases/f", at, "twin", 0), 0);
    assert_int_equal(symlinkat("b", at, "a/link"), 0);
    clean_fd(&at);
    give_tree(path);
}

static struct contract *
protecting(const char *list)
{
    return contract_open(
        &(struct contract_options){.identity = identity, .protect = list, .prepare = make_tree});
}

static void
end(struct contract *c)
{
    (void)contract_close(c);
}

static int
touch_node(struct contract *c, uint64_t node)
{
    Postern__V1__SetattrReq req = POSTERN__V1__SETATTR_REQ__INIT;

    req.node = node;
    req.has_mtime_now = true;
    req.mtime_now = 1;
    return ask_setattr(&c->client, &req, NULL);
}

static int
setxattr_node(struct contract *c, uint64_t node)
{
    Postern__V1__SetxattrReq req = POSTERN__V1__SETXATTR_REQ__INIT;

    req.node = node;
    req.key = msg_bytes("user.x", 6);
    req.count = 1;
    return ask_setxattr(&c->client, &req, NULL);
}

/* A directory that holds f and old: nothing can be changed in it or of it. */
static void
assert_read_only(struct contract *c, uint64_t dir)
{
    uint64_t f = walk_to(c, dir, "f"), file = open_read(c, f);

    assert_int_equal(read_at(c, file, 0, 100), 9);
    close_file(c, file);
    assert_int_equal(open_write_status(c, f, 0), -EROFS);
    assert_int_equal(open_write_status(c, f, OPEN_READS | OPEN_TRUNC), -EROFS);
    assert_int_equal(create_at(c, dir, "new", 0), -EROFS);
    assert_int_equal(create_at(c, dir, "f", 0), -EROFS);
    assert_int_equal(create_at(c, dir, "new", OPEN_EXCL | OPEN_NOWRITE), -EROFS);
    assert_int_equal(mkdir_at(c, dir, "new", 0777), -EROFS);
    assert_int_equal(mknod_at(c, dir, "new"), -EROFS);
    assert_int_equal(symlink_at(c, dir, "new"), -EROFS);
    assert_int_equal(link_at(c, f, dir, "new"), -EROFS);
    assert_int_equal(unlink_at(c, dir, "f", false), -EROFS);
    assert_int_equal(rename_at(c, dir, "f", dir, "g"), -EROFS);
    assert_int_equal(truncate_node(c, f, 0), -EROFS);
    assert_int_equal(chmod_node(c, f, 0600), -EROFS);
    assert_int_equal(touch_node(c, f), -EROFS);
    assert_int_equal(setxattr_node(c, f), -EROFS);
    assert_int_equal(chmod_node(c, dir, 0700), -EROFS);
    assert_int_equal(touch_node(c, dir), -EROFS);
    assert_int_equal(setxattr_node(c, dir), -EROFS);
    forget(c, f, 1);
}

static void
nothing_below_can_be_changed_in_any_way(void **state)
{
    static const char *const dirs[] = {"releases", "releases/old", "a/b/hooks", "a/b/hooks/old"};
    struct contract *c = protecting(PROTECTED);

    (void)state;
    for (unsigned i = 0; i < COUNT(dirs); i++) {
        uint64_t dir = walk_path(c, dirs[i]);

        assert_read_only(c, dir);
        if (i % 2 == 0)
            assert_int_equal(unlink_at(c, dir, "old", true), -EROFS);
        forget(c, dir, 1);
    }
    end(c);
}

static void
what_lies_beside_is_as_free_as_ever(void **state)
{
    struct contract *c = protecting(PROTECTED);
    uint64_t a = walk_path(c, "a"), b = walk_path(c, "a/b"), free_ = walk_path(c, "a/b/free"),
             f = walk_path(c, "plain");

    (void)state;
    assert_int_equal(create_at(c, NODE_ROOT, "new", OPEN_EXCL), 0);
    assert_int_equal(create_at(c, a, "new", OPEN_EXCL), 0);
    assert_int_equal(create_at(c, b, "new", OPEN_EXCL), 0);
    assert_int_equal(rename_at(c, b, "new", NODE_ROOT, "moved"), 0); /* and not EXDEV */
    assert_int_equal(rename_at(c, NODE_ROOT, "new", b, "moved"), 0);
    assert_int_equal(link_at(c, f, b, "linked"), 0);
    assert_int_equal(rename_at(c, b, "free", NODE_ROOT, "free"), 0);
    assert_int_equal(chmod_node(c, a, 0755), 0);
    assert_int_equal(touch_node(c, b), 0);
    assert_int_equal(unlink_at(c, NODE_ROOT, "free", true), 0);
    forget(c, a, 1);
    forget(c, b, 1);
    forget(c, free_, 1);
    forget(c, f, 1);
    end(c);
}

static void
nothing_is_moved_or_linked_in_or_out(void **state)
{
    struct contract *c = protecting(PROTECTED);
    uint64_t dir = walk_path(c, "releases"), hooks = walk_path(c, "a/b/hooks");
    uint64_t in = walk_to(c, dir, "f"), out = walk_to(c, NODE_ROOT, "plain");

    (void)state;
    assert_int_equal(rename_at(c, dir, "f", NODE_ROOT, "f"), -EXDEV);
    assert_int_equal(rename_at(c, NODE_ROOT, "plain", dir, "f"), -EXDEV);
    assert_int_equal(rename_at(c, dir, "f", hooks, "f"), -EXDEV);
    assert_int_equal(rename_at(c, NODE_ROOT, "a", dir, "a"), -EXDEV);
    assert_int_equal(link_at(c, in, NODE_ROOT, "f"), -EXDEV);
    assert_int_equal(link_at(c, in, hooks, "linked"), -EROFS); /* what the kernel asks first */
    assert_int_equal(link_at(c, out, dir, "plain"), -EROFS);
    forget(c, in, 1);
    forget(c, out, 1);
    forget(c, dir, 1);
    forget(c, hooks, 1);
    end(c);
}

/* Neither it nor anything above it: another could take its place. */
static void
its_path_cannot_be_taken_apart(void **state)
{
    struct contract *c = protecting(PROTECTED);
    uint64_t a = walk_path(c, "a"), b = walk_path(c, "a/b");
    const struct {
        uint64_t dir;
        const char *name;
    } way[] = {{NODE_ROOT, "releases"}, {NODE_ROOT, "a"}, {a, "b"}, {b, "hooks"}};

    (void)state;
    assert_int_equal(mkdir_at(c, NODE_ROOT, "empty", 0777), 0);
    for (unsigned i = 0; i < COUNT(way); i++) {
        assert_int_equal(rename_at(c, way[i].dir, way[i].name, way[i].dir, "x"), -EBUSY);
        assert_int_equal(rename_at(c, way[i].dir, way[i].name, NODE_ROOT, "x"), -EBUSY);
        assert_int_equal(rename_at(c, NODE_ROOT, "empty", way[i].dir, way[i].name), -EBUSY);
        assert_int_equal(unlink_at(c, way[i].dir, way[i].name, true), -EBUSY);
        assert_int_equal(unlink_at(c, way[i].dir, way[i].name, false), -EISDIR);
        assert_int_equal(symlink_at(c, way[i].dir, way[i].name), -EEXIST);
        assert_int_equal(mkdir_at(c, way[i].dir, way[i].name, 0777), -EEXIST);
    }
    forget(c, a, 1);
    forget(c, b, 1);
    end(c);
}

/* The number in the listing, 0 when it is not there. */
static uint64_t
listed_ino(struct contract *c, uint64_t dir, const char *name)
{
    struct listing l;

    listing_of(c, dir, 65536, &l);
    for (unsigned i = 0; i < l.n; i++)
        if (strcmp(l.at[i].name, name) == 0)
            return l.at[i].ino;
    return 0;
}

static void
it_looks_like_a_part_of_one_file_system(void **state)
{
    struct contract *c = protecting(PROTECTED);
    uint64_t b = walk_path(c, "a/b"), hooks = walk_path(c, "a/b/hooks"), f = walk_to(c, hooks, "f");
    uint64_t twin = walk_path(c, "twin"), same = walk_path(c, "releases/f");
    struct stat st;

    (void)state;
    assert_int_equal(fstatat(c->root, "a/b/hooks", &st, 0), 0);
    assert_true(attr_of_node(c, hooks).ino == st.st_ino);
    assert_true(listed_ino(c, b, "hooks") == st.st_ino);
    assert_true(listed_ino(c, hooks, ".") == st.st_ino);
    assert_true(listed_ino(c, hooks, "..") == attr_of_node(c, b).ino);
    assert_int_equal(fstatat(c->root, "a/b/hooks/f", &st, 0), 0);
    assert_true(attr_of_node(c, f).ino == st.st_ino);
    assert_true(listed_ino(c, hooks, "f") == st.st_ino);
    assert_true(attr_of_node(c, twin).ino == attr_of_node(c, same).ino);
    assert_true(parent_of(c, hooks) == b);
    forget(c, b, 2);
    forget(c, hooks, 1);
    forget(c, f, 1);
    forget(c, twin, 1);
    forget(c, same, 1);
    end(c);
}

/* One file of two names, of which one is outside: what is protected is the
 * directory. The two are never mistaken for each other. */
static void
a_file_with_a_name_outside_can_be_written_by_that_name_alone(void **state)
{
    struct contract *c = protecting(PROTECTED);
    uint64_t in = walk_path(c, "releases/f"), out = walk_path(c, "twin");

    (void)state;
    assert_true(in != out);
    assert_int_equal(open_write_status(c, out, 0), 0);
    assert_int_equal(open_write_status(c, in, 0), -EROFS);
    assert_int_equal(chmod_node(c, out, 0640), 0);
    assert_int_equal(chmod_node(c, in, 0600), -EROFS);
    assert_int_equal(link_at(c, out, NODE_ROOT, "third"), 0);
    forget(c, in, 1);
    in = walk_path(c, "releases/f");
    assert_int_equal(open_write_status(c, in, 0), -EROFS);
    assert_int_equal(unlink_at(c, NODE_ROOT, "twin", false), 0);
    forget(c, in, 1);
    forget(c, out, 1);
    end(c);
}

static void
what_the_host_renames_stays_protected_where_it_goes(void **state)
{
    struct contract *c = protecting(PROTECTED);
    uint64_t dir, old = walk_path(c, "a/b/hooks");

    (void)state;
    assert_int_equal(renameat(c->root, "releases", c->root, "elsewhere"), 0);
    assert_int_equal(renameat(c->root, "a/b", c->root, "b"), 0);
    dir = walk_path(c, "elsewhere");
    assert_read_only(c, dir);
    forget(c, dir, 1);
    dir = walk_path(c, "b/hooks");
    assert_true(dir == old);
    assert_read_only(c, dir);
    assert_int_equal(rename_at(c, NODE_ROOT, "b", NODE_ROOT, "c"), -EBUSY);
    assert_int_equal(rename_at(c, NODE_ROOT, "elsewhere", NODE_ROOT, "c"), -EBUSY);
    forget(c, dir, 2);
    end(c);
}

/* The directory of the start is what is protected, not its name. */
static void
what_the_host_puts_in_its_place_is_protected_from_the_next_start_on(void **state)
{
    struct contract *c = protecting(PROTECTED), *again;
    uint64_t dir = walk_path(c, "releases"); /* it serves by now */

    (void)state;
    forget(c, dir, 1);
    assert_int_equal(renameat(c->root, "releases", c->root, "elsewhere"), 0);
    assert_int_equal(mkdirat(c->root, "releases", 0777), 0);
    dir = walk_path(c, "releases");
    assert_int_equal(create_at(c, dir, "f", OPEN_EXCL), 0);
    forget(c, dir, 1);
    again = contract_again(c);
    dir = walk_path(again, "releases");
    assert_int_equal(create_at(again, dir, "g", OPEN_EXCL), -EROFS);
    forget(again, dir, 1);
    (void)contract_close(again);
    end(c);
}

static void
one_within_another_and_one_said_twice_are_fine(void **state)
{
    static const char *const dirs[] = {"a/b/hooks", "a/b/hooks/old", "releases", "releases/old"};
    struct contract *c = protecting("a/b/hooks/old releases a/b/hooks a/b/free releases "
                                    "releases/old a/b/hooks/old");

    (void)state;
    for (unsigned i = 0; i < COUNT(dirs); i++) {
        uint64_t dir = walk_path(c, dirs[i]);

        assert_read_only(c, dir);
        forget(c, dir, 1);
    }
    end(c);
}

static void
what_is_not_there_or_no_directory_does_not_start(void **state)
{
    static const char *const lists[] = {"none",   "releases none/x", "plain", "a/plain/x",
                                        "a/./b",  "a/../releases",   "/a",    "a//b",
                                        "a/link", "a/link/hooks",    "a/"};

    (void)state;
    for (unsigned i = 0; i < COUNT(lists); i++) {
        struct contract *c = protecting(lists[i]);

        assert_int_equal(contract_wait(c), 78);
        end(c);
    }
}

static void
make_mounts(const char *path)
{
    char dir[512];
    int at;

    make_tree(path);
    (void)snprintf(dir, sizeof(dir), "%s/releases/old", path);
    assert_int_equal(mount("none", dir, "tmpfs", 0, "mode=0777"), 0);
    at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    host_put(at, "f", "as it was");
    assert_int_equal(mkdirat(at, "sub", 0777), 0);
    clean_fd(&at);
    (void)snprintf(dir, sizeof(dir), "%s/a", path);
    assert_int_equal(mount("none", dir, "tmpfs", 0, "mode=0777"), 0);
    at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(at, "b", 0777), 0);
    assert_int_equal(mkdirat(at, "b/hooks", 0777), 0);
    host_put(at, "b/hooks/f", "as it was");
    host_put(at, "b/g", "");
    clean_fd(&at);
    give_tree(path);
}

static void
take_mounts_off(struct contract *c)
{
    char dir[512];

    (void)snprintf(dir, sizeof(dir), "%s/a", c->path);
    assert_int_equal(umount2(dir, MNT_DETACH), 0);
    (void)snprintf(dir, sizeof(dir), "%s/releases/old", c->path);
    assert_int_equal(umount2(dir, MNT_DETACH), 0);
}

/* A file system below a protected directory, and one that it lies in. */
static void
other_file_systems_below_and_above_are_fine(void **state)
{
    struct contract *c = contract_open(&(struct contract_options){.identity = identity,
                                                                  .protect = PROTECTED,
                                                                  .prepare = make_mounts,
                                                                  .submounts = SUBMOUNTS_CROSS});
    uint64_t old = walk_path(c, "releases/old"), hooks = walk_path(c, "a/b/hooks"),
             b = walk_path(c, "a/b");

    (void)state;
    assert_read_only(c, old);
    assert_read_only(c, hooks);
    assert_int_equal(create_at(c, b, "new", OPEN_EXCL), 0);
    assert_int_equal(rename_at(c, NODE_ROOT, "a", NODE_ROOT, "x"), -EBUSY);
    assert_true(listed_ino(c, b, "hooks") == attr_of_node(c, hooks).ino);
    assert_true(listed_ino(c, hooks, "..") == attr_of_node(c, b).ino);
    assert_true(attr_of_node(c, hooks).ino >> 48 == attr_of_node(c, b).ino >> 48);
    assert_true(attr_of_node(c, b).ino >> 48 != 0);
    forget(c, old, 1);
    forget(c, hooks, 1);
    forget(c, b, 1);
    take_mounts_off(c);
    end(c);
}

/* All of another file system: not a part of the one it is mounted on. */
static void
a_whole_file_system_can_be_protected(void **state)
{
    struct contract *c = contract_open(&(struct contract_options){.identity = identity,
                                                                  .protect = "a releases/old",
                                                                  .prepare = make_mounts,
                                                                  .submounts = SUBMOUNTS_CROSS});
    uint64_t hooks = walk_path(c, "a/b/hooks"), b = walk_path(c, "a/b"),
             releases = walk_path(c, "releases");
    uint64_t old = walk_path(c, "releases/old");

    (void)state;
    assert_read_only(c, old);
    assert_int_equal(create_at(c, hooks, "new", OPEN_EXCL), -EROFS);
    assert_int_equal(create_at(c, b, "new", OPEN_EXCL), -EROFS);
    assert_int_equal(create_at(c, releases, "new", OPEN_EXCL), 0);
    assert_int_equal(rename_at(c, NODE_ROOT, "a", NODE_ROOT, "x"), -EBUSY);
    assert_int_equal(rename_at(c, NODE_ROOT, "releases", NODE_ROOT, "x"), -EBUSY);
    assert_true(listed_ino(c, b, "hooks") == attr_of_node(c, hooks).ino);
    assert_true(attr_of_node(c, b).ino >> 48 != 0);
    assert_true(attr_of_node(c, old).ino >> 48 != attr_of_node(c, b).ino >> 48);
    assert_true(attr_of_node(c, old).ino >> 48 != 0);
    forget(c, old, 1);
    forget(c, hooks, 1);
    forget(c, b, 1);
    forget(c, releases, 1);
    take_mounts_off(c);
    end(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_below_can_be_changed_in_any_way),
        cmocka_unit_test(what_lies_beside_is_as_free_as_ever),
        cmocka_unit_test(nothing_is_moved_or_linked_in_or_out),
        cmocka_unit_test(its_path_cannot_be_taken_apart),
        cmocka_unit_test(it_looks_like_a_part_of_one_file_system),
        cmocka_unit_test(a_file_with_a_name_outside_can_be_written_by_that_name_alone),
        cmocka_unit_test(what_the_host_renames_stays_protected_where_it_goes),
        cmocka_unit_test(what_the_host_puts_in_its_place_is_protected_from_the_next_start_on),
        cmocka_unit_test(one_within_another_and_one_said_twice_are_fine),
        cmocka_unit_test(what_is_not_there_or_no_directory_does_not_start),
        cmocka_unit_test(other_file_systems_below_and_above_are_fine),
        cmocka_unit_test(a_whole_file_system_can_be_protected),
    };
    int failed;

    if (!contract_is_sandboxed())
        return 0; /* see above */
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        (void)printf("SKIP: only root can mount file systems\n");
        return 0;
    }
    identity = IDENTITY_SQUASH;
    failed = cmocka_run_group_tests_name("test_protect, squash", tests, NULL, NULL);
    identity = IDENTITY_MAP;
    return failed + cmocka_run_group_tests_name("test_protect, map", tests, NULL, NULL);
}
