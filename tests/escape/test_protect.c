/*
 * A protected directory of a writable share, with an attacker inside who has
 * got rid of the helper's code, of seccomp and of Landlock: the mounts alone
 * must hold. In the other column nothing is protected, which proves that the
 * attack is one.
 *
 * Runs in: tests/escape.   Trusts: nobody.   Owns: nothing.
 */
#include "tests/escape/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROOT 0x5eed0001L
#define P(x) ((long)(uintptr_t)(x))
#define CLO O_CLOEXEC
#define KEPT "/s/" FIXTURE_PROTECT
#define VICTIM FIXTURE_PROTECT "/file"

static const struct timespec times[2] = {{1, 0}, {1, 0}};
static struct mount_attr attr_rw = {.attr_clr = MOUNT_ATTR_RDONLY};

static long
raw(long nr, long a, long b, long c, long d, long e)
{
    long r = syscall(nr, a, b, c, d, e, 0L);

    return r < 0 ? -errno : r;
}

static long
open_to_write(long dir, const char *path)
{
    return raw(SYS_openat, dir, P(path), O_WRONLY | CLO, 0, 0);
}

/* Root again, in a mount namespace of its own with a copy of these mounts. */
static long
root_again(void)
{
    return raw(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS, 0, 0, 0, 0);
}

static long
make_it_writable_again(const struct inmate *in)
{
    long r = root_again();

    if (r < 0)
        return r;
    (void)raw(SYS_mount_setattr, AT_FDCWD, P(KEPT), 0, P(&attr_rw), sizeof(attr_rw));
    (void)raw(SYS_mount_setattr, AT_FDCWD, P("/s"), AT_RECURSIVE, P(&attr_rw), sizeof(attr_rw));
    (void)raw(SYS_mount, P(NULL), P(KEPT), P(NULL), MS_REMOUNT | MS_BIND, P(NULL));
    return open_to_write(in->root, VICTIM);
}

static long
take_the_mount_off(const struct inmate *in)
{
    long r = root_again();

    if (r < 0)
        return r;
    (void)raw(SYS_umount2, P(KEPT), MNT_DETACH, 0, 0, 0);
    return open_to_write(in->root, VICTIM);
}

/* A copy of the share's mount without what is mounted upon it; then one with
 * it, from which that is taken off. */
static long
look_below_the_mount(const struct inmate *in)
{
    long r = root_again(), copy;

    if (r < 0)
        return r;
    copy = raw(SYS_open_tree, in->root, P(""), OPEN_TREE_CLONE | AT_EMPTY_PATH | CLO, 0, 0);
    if (copy >= 0 && (r = open_to_write(copy, VICTIM)) >= 0)
        return r;
    copy = raw(SYS_open_tree, in->root, P(""), OPEN_TREE_CLONE | AT_EMPTY_PATH | AT_RECURSIVE | CLO,
               0, 0);
    if (copy >= 0) {
        (void)raw(SYS_mount_setattr, copy, P(""), AT_EMPTY_PATH | AT_RECURSIVE, P(&attr_rw),
                  sizeof(attr_rw));
        (void)raw(SYS_move_mount, copy, P(""), AT_FDCWD, P("/s"), MOVE_MOUNT_F_EMPTY_PATH);
        (void)raw(SYS_umount2, P(KEPT), MNT_DETACH, 0, 0, 0);
        return open_to_write(copy, VICTIM);
    }
    return open_to_write(in->root, VICTIM);
}

static long
rename_the_way_in_a_namespace_of_its_own(const struct inmate *in)
{
    long r = root_again();

    return r < 0 ? r : raw(SYS_renameat2, in->root, P("deep"), in->root, P("moved"), 0);
}

/* By another name of the mount that pins the way. */
static long
go_by_the_pins(const struct inmate *in)
{
    long fd = raw(SYS_openat, AT_FDCWD, P("/p/s"), O_PATH | CLO, 0, 0);

    if (!in->order->protect)
        return 0; /* there are none */
    return fd < 0 ? fd : open_to_write(fd, "file");
}

static long
go_by_the_pins_as_root_again(const struct inmate *in)
{
    static const char map[] = "0 0 1";
    long r = in->order->protect ? root_again() : 0, fd;

    if (r < 0)
        return r;
    fd = raw(SYS_openat, AT_FDCWD, P("/proc/self/uid_map"), O_WRONLY | CLO, 0, 0);
    if (fd >= 0)
        (void)raw(SYS_write, fd, P(map), sizeof(map) - 1, 0, 0);
    return go_by_the_pins(in);
}

/* One call, or run. want: with nothing protected, and with. */
static const struct row {
    const char *name;
    long nr;
    long arg[5];
    int want[2];
    long (*run)(const struct inmate *in);
} rows[] = {
    {"open to write", SYS_openat, {ROOT, P(VICTIM), O_WRONLY | CLO}, {0, EROFS}, NULL},
    {"open to truncate", SYS_openat, {ROOT, P(VICTIM), O_TRUNC | CLO}, {0, EROFS}, NULL},
    {"create", SYS_openat, {ROOT, P(FIXTURE_PROTECT "/n"), O_CREAT | CLO, 0600}, {0, EROFS}, NULL},
    {"tmpfile",
     SYS_openat,
     {ROOT, P(FIXTURE_PROTECT), O_TMPFILE | O_RDWR | CLO, 0600},
     {0, EROFS},
     NULL},
    {"mkdir", SYS_mkdirat, {ROOT, P(FIXTURE_PROTECT "/d"), 0700}, {0, EROFS}, NULL},
    {"symlink", SYS_symlinkat, {P("x"), ROOT, P(FIXTURE_PROTECT "/l")}, {0, EROFS}, NULL},
    {"chmod", SYS_fchmodat, {ROOT, P(VICTIM), 0600}, {0, EROFS}, NULL},
    {"chmod of it", SYS_fchmodat, {ROOT, P(FIXTURE_PROTECT), 0755}, {0, EROFS}, NULL},
    {"utimes", SYS_utimensat, {ROOT, P(VICTIM), P(times), 0}, {0, EROFS}, NULL},
    {"setxattr", SYS_setxattr, {P(KEPT), P("user.x"), P("v"), 1, 0}, {0, EROFS}, NULL},
    {"link in", SYS_linkat, {ROOT, P("file"), ROOT, P(FIXTURE_PROTECT "/h"), 0}, {0, EROFS}, NULL},
    {"link out", SYS_linkat, {ROOT, P(VICTIM), ROOT, P("h-out"), 0}, {0, EXDEV}, NULL},
    {"rename out", SYS_renameat2, {ROOT, P(VICTIM), ROOT, P("r-out"), 0}, {0, EXDEV}, NULL},
    {"rename of the way", SYS_renameat2, {ROOT, P("deep"), ROOT, P("away"), 0}, {0, EBUSY}, NULL},
    {"rename of it",
     SYS_renameat2,
     {ROOT, P(FIXTURE_PROTECT), ROOT, P("away"), 0},
     {0, EBUSY},
     NULL},
    {"exchange of the way",
     SYS_renameat2,
     {ROOT, P("deep"), ROOT, P("dir"), RENAME_EXCHANGE},
     {0, EBUSY},
     NULL},
    {"exchange of it",
     SYS_renameat2,
     {ROOT, P(FIXTURE_PROTECT), ROOT, P("dir"), RENAME_EXCHANGE},
     {0, EBUSY},
     NULL},
    {"rmdir of it",
     SYS_unlinkat,
     {ROOT, P(FIXTURE_PROTECT), AT_REMOVEDIR},
     {ENOTEMPTY, EBUSY},
     NULL},
    {"make it writable again", 0, {0}, {0, EROFS}, make_it_writable_again},
    {"take the mount off", 0, {0}, {0, EROFS}, take_the_mount_off},
    {"look below the mount", 0, {0}, {0, EROFS}, look_below_the_mount},
    {"rename of the way in a namespace of its own",
     0,
     {0},
     {0, EBUSY},
     rename_the_way_in_a_namespace_of_its_own},
    {"by the pins", 0, {0}, {0, EACCES}, go_by_the_pins},
    {"by the pins as root again", 0, {0}, {0, EACCES}, go_by_the_pins_as_root_again},
};

long
attack(const struct inmate *in)
{
    const struct row *w = &rows[in->order->row];
    long a[5];

    if (w->run != NULL)
        return w->run(in);
    for (unsigned i = 0; i < 5; i++)
        a[i] = w->arg[i] == ROOT ? in->root : w->arg[i];
    return raw(w->nr, a[0], a[1], a[2], a[3], a[4]);
}

/* The share as it was. */
static void
again(void)
{
    fixture_remove();
    fixture_make();
}

static void
the_mounts_alone_keep_a_protected_directory(void **state)
{
    unsigned wrong = 0;

    (void)state;
    for (unsigned i = 0; i < COUNT(rows) * 2; i++) {
        const struct order o = {.kind = JAIL_RW,
                                .skip = LAYER_LANDLOCK | LAYER_SECCOMP,
                                .protect = i % 2 == 1,
                                .row = i / 2};
        struct outcome out;
        int got;

        again();
        jail_run(&o, &out);
        got = outcome_verdict(&out);
        if (got != rows[o.row].want[o.protect]) {
            print_error("%s, %s: want %s, got %s (%s)\n", rows[o.row].name,
                        o.protect ? "protected" : "not protected",
                        verdict_name(rows[o.row].want[o.protect]), verdict_name(got), out.step);
            wrong++;
        }
    }
    again();
    assert_int_equal(wrong, 0);
}

static void
with_all_layers_it_is_built_as_well(void **state)
{
    const struct order o = {.kind = JAIL_RW, .protect = true, .row = 0};
    struct outcome out;

    (void)state;
    jail_run(&o, &out);
    assert_int_equal(outcome_verdict(&out), EROFS);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_mounts_alone_keep_a_protected_directory),
        cmocka_unit_test(with_all_layers_it_is_built_as_well),
    };

    jail_main(argc, argv);
    return run_both_ways("a protected directory", tests, COUNT(tests));
}
