/*
 * From a path to a share: which paths are refused, and what the mount that
 * comes out of it is like.
 *
 * Runs in: tests/escape.   Trusts: nobody.   Owns: nothing.
 */
#include "tests/escape/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "sandbox/share_mount.h"

enum { ROW_OWNER, ROW_CREATE };

long
attack(const struct inmate *in)
{
    struct statx st;
    long fd;

    switch (in->order->row) {
    case ROW_OWNER:
        if (syscall(SYS_statx, in->root, "file", AT_SYMLINK_NOFOLLOW, STATX_UID, &st) < 0)
            return -errno;
        return st.stx_uid;
    case ROW_CREATE:
        fd = syscall(SYS_openat, in->root, "made", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
        return fd < 0 ? -errno : 0;
    default:
        return -EINVAL;
    }
}

static int
try_path(const char *path, size_t *at)
{
    struct stat st;
    int fd = share_root_open(path, SUBMOUNTS_REFUSE, &st, at);

    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

/* base below the fixture's directory, made of the parts given. */
static const char *
below(const char *rest)
{
    static char path[192];

    (void)snprintf(path, sizeof(path), "%s/%s", fx.base, rest);
    return path;
}

static void
refuses(const char *path, int error, const char *fine)
{
    size_t at = 0;
    int r = try_path(path, &at);

    if (r != error || at != strlen(fine))
        print_error("%s: want %s after \"%s\", got %s after %zu\n", path, strerror(-error), fine,
                    strerror(-r), at);
    assert_int_equal(r, error);
    assert_int_equal(at, strlen(fine));
}

static void
a_plain_directory_is_a_share(void **state)
{
    size_t at;

    (void)state;
    assert_int_equal(try_path(fx.share, &at), 0);
    assert_int_equal(try_path(below("share//dir/"), &at), 0);
}

static void
a_path_is_walked_without_symlinks_and_dots(void **state)
{
    char fine[192];

    (void)state;
    assert_int_equal(symlink("share", below("alias")), 0);
    refuses(below("alias"), -ELOOP, fx.base);
    refuses(below("alias/dir"), -ELOOP, fx.base);
    (void)snprintf(fine, sizeof(fine), "%s", fx.share);
    refuses(below("share/link-dir"), -ELOOP, fine);
    refuses(below("share/.."), -EINVAL, fine);
    refuses(below("share/./dir"), -EINVAL, fine);
    refuses(below("share/nothing"), -ENOENT, fine);
    refuses(below("share/file"), -ENOTDIR, fine);
    refuses(below("share/file/x"), -ENOTDIR, fine);
    refuses("share", -EINVAL, "");
    refuses("", -EINVAL, "");
}

static void
a_directory_on_the_way_that_others_may_rewrite_is_refused(void **state)
{
    static const struct {
        mode_t mode;
        bool fine;
    } rows[] = {{0755, true}, {0777, false}, {01777, true}, {0757, false}, {0750, true}};
    char open_dir[192];
    size_t at;

    (void)state;
    (void)snprintf(open_dir, sizeof(open_dir), "%s", below("open"));
    assert_int_equal(mkdir(open_dir, 0755), 0);
    assert_int_equal(mkdir(below("open/in"), 0777), 0);
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(chmod(open_dir, rows[i].mode), 0);
        assert_int_equal(try_path(below("open/in"), &at), rows[i].fine ? 0 : -EPERM);
    }
    assert_int_equal(chmod(open_dir, 0777), 0);
    refuses(below("open/in"), -EPERM, open_dir);
    /* what is in the share is its owner's affair */
    assert_int_equal(try_path(open_dir, &at), 0);
}

static void
a_group_of_others_counts_and_ones_own_does_not(void **state)
{
    char dir[192];
    size_t at;

    (void)state;
    (void)snprintf(dir, sizeof(dir), "%s", below("team"));
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(mkdir(below("team/in"), 0755), 0);
    assert_int_equal(chmod(dir, 0775), 0);
    assert_int_equal(try_path(below("team/in"), &at), 0);
    if (fx.rootless)
        return; /* has no second group to give it to */
    assert_int_equal(chown(dir, 0, 100), 0);
    assert_int_equal(try_path(below("team/in"), &at), -EPERM);
}

static void
the_kernels_own_file_systems_are_refused(void **state)
{
    static const char *const paths[] = {"/proc/sys", "/proc/self/fd", "/sys/kernel", "/dev/pts"};
    size_t at;

    (void)state;
    for (size_t i = 0; i < COUNT(paths); i++) {
        int r = try_path(paths[i], &at);

        /* /proc/self is a symlink already */
        assert_int_equal(r, i == 1 ? -ELOOP : -EXDEV);
    }
}

static void
a_tree_with_a_mount_below_is_refused(void **state)
{
    char dir[192];
    size_t at;

    (void)state;
    (void)snprintf(dir, sizeof(dir), "%s", below("share/dir"));
    assert_int_equal(mount("x", dir, "tmpfs", 0, "size=64k"), 0);
    assert_int_equal(try_path(fx.share, &at), -EBUSY);
    assert_int_equal(try_path(below("share/"), &at), -EBUSY);
    assert_int_equal(try_path(dir, &at), 0);
    assert_int_equal(try_path(below("share/empty"), &at), 0);
    assert_int_equal(umount2(dir, MNT_DETACH), 0);
    assert_int_equal(try_path(fx.share, &at), 0);
    assert_int_equal(try_path("/", &at), -EBUSY);
}

static void
a_mount_below_a_name_with_spaces_is_seen(void **state)
{
    char dir[192];
    size_t at;

    (void)state;
    assert_int_equal(mkdir(below("a b"), 0755), 0);
    (void)snprintf(dir, sizeof(dir), "%s", below("a b/c\\d"));
    assert_int_equal(mkdir(dir, 0755), 0);
    assert_int_equal(mount("x", dir, "tmpfs", 0, "size=64k"), 0);
    assert_int_equal(try_path(below("a b"), &at), -EBUSY);
    assert_int_equal(umount2(dir, MNT_DETACH), 0);
    assert_int_equal(try_path(below("a b"), &at), 0);
}

static void
a_clone_carries_its_flags_from_the_start(void **state)
{
    const long must = 0x2 | 0x4 | 0x8 | 0x2000; /* nosuid nodev noexec nosymfollow */

    (void)state;
    for (int read_only = 0; read_only < 2; read_only++) {
        const struct share_mount m = {.read_only = read_only != 0};
        struct statfs st;
        int fd = share_mount_clone(fx.share_fd, &m);

        assert_true(fd >= 0);
        assert_int_equal(fstatfs(fd, &st), 0);
        assert_int_equal(st.f_flags & must, must);
        assert_int_equal(st.f_flags & 1, read_only);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        close(fd);
    }
}

static void
a_clone_carries_its_flags_onto_what_is_mounted_below(void **state)
{
    const struct share_mount m = {.read_only = true};
    const long must = 0x1 | 0x2 | 0x4 | 0x8 | 0x2000;
    struct statfs st;
    int fd, inside;

    (void)state;
    assert_int_equal(mount("x", below("share/dir"), "tmpfs", 0, "size=64k"), 0);
    fd = share_mount_clone(fx.share_fd, &m);
    assert_true(fd >= 0);
    inside = openat(fd, "dir", O_PATH | O_CLOEXEC);
    assert_true(inside >= 0);
    assert_int_equal(umount2(below("share/dir"), MNT_DETACH), 0);
    assert_int_equal(fstatfs(inside, &st), 0);
    assert_int_equal(st.f_type, 0x01021994);
    assert_int_equal(st.f_flags & must, must);
    assert_int_equal(openat(inside, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644), -1);
    assert_int_equal(errno, EROFS);
    close(inside);
    close(fd);
}

static void
mounts_below_are_listed_once_each_with_a_number_of_their_path(void **state)
{
    static const char *const names[] = {"m/tmp", "m/proc", "m/with \\ blank", "m/twice", "m/away"};
    struct submounts found, again;
    char root[192];
    struct stat st;
    size_t at;
    int fd;

    (void)state;
    assert_int_equal(mkdir(below("m"), 0755), 0);
    for (unsigned i = 0; i < COUNT(names); i++) {
        assert_int_equal(mkdir(below(names[i]), 0755), 0);
        if (i != 1)
            assert_int_equal(mount("x", below(names[i]), "tmpfs", 0, "size=64k"), 0);
    }
    assert_int_equal(mount("x", below("m/twice"), "tmpfs", 0, "size=64k"), 0);
    if (!fx.rootless) /* there, the kernel wants one that is wholly visible */
        assert_int_equal(mount("x", below("m/proc"), "proc", 0, NULL), 0);
    (void)snprintf(root, sizeof(root), "%s", below("m"));
    fd = share_root_open(root, SUBMOUNTS_CROSS, &st, &at);
    assert_true(fd >= 0);
    assert_int_equal(share_submounts(root, fd, &found), 0);
    assert_true(found.any);
    assert_int_equal(found.n, 4);
    assert_int_equal(stat(below("m/away"), &st), 0); /* the first by name */
    assert_int_equal(found.at[0].ino, st.st_ino);
    assert_int_equal(found.at[0].dev, st.st_dev);
    for (unsigned i = 0; i < found.n; i++) {
        assert_in_range(found.at[i].number, 1, SUBMOUNT_NUMBER_MAX);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(found.at[i].number, found.at[j].number);
    }
    assert_int_equal(umount2(below("m/away"), MNT_DETACH), 0);
    assert_int_equal(share_submounts(root, fd, &again), 0);
    assert_int_equal(again.n, 3);
    for (unsigned i = 0; i < again.n; i++)
        assert_int_equal(again.at[i].number, found.at[i + 1].number);
    for (unsigned i = 0; i < COUNT(names); i++)
        while (umount2(below(names[i]), MNT_DETACH) == 0)
            ;
    assert_int_equal(share_submounts(root, fd, &again), 0);
    assert_false(again.any);
    close(fd);
}

/* The share is root's; the helper sees it as its own, and what it makes is
 * root's again on the disk. */
static void
an_idmapped_mount_swaps_owners_both_ways(void **state)
{
    const struct share_mount m = {
        .idmap = true, .disk_uid = 0, .disk_gid = 0, .uid = fx.uid, .gid = fx.gid};
    struct order o = {.kind = JAIL_RW, .row = ROW_OWNER};
    struct outcome out;
    struct stat st;
    struct jail j;
    size_t at;
    int root, fd;

    (void)state;
    if (fx.rootless)
        return; /* an ordinary user has one id: nothing to map */
    assert_int_equal(mkdir(below("roots"), 0700), 0);
    fd = open(below("roots/file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    for (; o.row <= ROW_CREATE; o.row++) {
        root = share_root_open(below("roots"), SUBMOUNTS_REFUSE, &st, &at);
        fd = share_mount_clone(root, &m);
        assert_true(fd >= 0);
        jail_start(&j, &o, fd);
        jail_ready(&j, &out);
        jail_end(&j, &out);
        assert_true(out.survived);
        assert_int_equal(out.value, o.row == ROW_OWNER ? (long)fx.uid : 0);
        close(fd);
        close(root);
    }
    assert_int_equal(stat(below("roots/made"), &st), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(st.st_gid, 0);
}

static void
what_cannot_be_mapped_says_so(void **state)
{
    const struct share_mount m = {.idmap = true, .uid = 64017, .gid = 64017};
    size_t at;
    struct stat st;
    int root, fd;

    (void)state;
    if (fx.rootless)
        return;
    assert_int_equal(mkdir(below("fat"), 0755), 0);
    /* a file system of the kernel that has no ids to map */
    assert_int_equal(mount("ramfs", below("fat"), "ramfs", 0, NULL), 0);
    root = share_root_open(below("fat"), SUBMOUNTS_REFUSE, &st, &at);
    assert_true(root >= 0);
    fd = share_mount_clone(root, &m);
    close(root);
    assert_int_equal(umount2(below("fat"), MNT_DETACH), 0);
    assert_int_equal(fd, -EOPNOTSUPP);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_directory_is_a_share),
        cmocka_unit_test(a_path_is_walked_without_symlinks_and_dots),
        cmocka_unit_test(a_directory_on_the_way_that_others_may_rewrite_is_refused),
        cmocka_unit_test(a_group_of_others_counts_and_ones_own_does_not),
        cmocka_unit_test(the_kernels_own_file_systems_are_refused),
        cmocka_unit_test(a_tree_with_a_mount_below_is_refused),
        cmocka_unit_test(a_mount_below_a_name_with_spaces_is_seen),
        cmocka_unit_test(a_clone_carries_its_flags_from_the_start),
        cmocka_unit_test(a_clone_carries_its_flags_onto_what_is_mounted_below),
        cmocka_unit_test(mounts_below_are_listed_once_each_with_a_number_of_their_path),
        cmocka_unit_test(an_idmapped_mount_swaps_owners_both_ways),
        cmocka_unit_test(what_cannot_be_mapped_says_so),
    };

    jail_main(argc, argv);
    return run_both_ways("from a path to a share", tests, COUNT(tests));
}
