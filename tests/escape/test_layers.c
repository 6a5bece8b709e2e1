/*
 * Read-only is said by three layers of the kernel. Here each stands alone
 * with the other two taken away, and then none does, which proves that the
 * attack is one. What is "success" in a column is why that layer is not
 * enough.
 *
 * Runs in: tests/escape.   Trusts: nobody.   Owns: nothing.
 */
#include "tests/escape/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "sandbox/steps.h"

#define NR_fchmodat2 452
#define NR_setxattrat 463
#define NR_file_setattr 469

#define D DIES
#define A_ROOT 0x5eed0001L
#define A_FILE 0x5eed0002L
#define P(x) ((long)(uintptr_t)(x))
#define CLO O_CLOEXEC

enum column { SECCOMP, MOUNT, LANDLOCK, LANDLOCK_2, NONE, COLUMNS };

static const struct {
    const char *name;
    unsigned skip, abi;
} columns[COLUMNS] = {
    [SECCOMP] = {"seccomp alone", LAYER_SHARE_READ_ONLY | LAYER_LANDLOCK, 0},
    [MOUNT] = {"read-only mount alone", LAYER_LANDLOCK | LAYER_SECCOMP, 0},
    [LANDLOCK] = {"Landlock alone", LAYER_SHARE_READ_ONLY | LAYER_SECCOMP, 0},
    [LANDLOCK_2] = {"Landlock of Linux 6.1 alone", LAYER_SHARE_READ_ONLY | LAYER_SECCOMP, 2},
    [NONE] = {"no layer", LAYER_SHARE_READ_ONLY | LAYER_LANDLOCK | LAYER_SECCOMP, 0},
};

static const uint64_t how_create[3] = {O_WRONLY | O_CREAT | CLO, 0644, 0};
static const struct {
    unsigned bytes;
    int type;
    unsigned char id[8];
} handle = {8, 1, {1}}; /* of inode 1 */
static const struct timespec times[2] = {{1, 0}, {1, 0}};
static const struct {
    uint64_t value;
    uint32_t size, flags;
} xattr_args = {(uintptr_t) "v", 1, 0};
static const uint64_t file_attr[3] = {FS_XFLAG_NODUMP};
static const struct sockaddr_un addr = {.sun_family = AF_UNIX, .sun_path = "/s/sock"};
static struct mount_attr attr_rw = {.attr_clr = MOUNT_ATTR_RDONLY};

static long
raw(long nr, long a, long b, long c, long d, long e, long f)
{
    long r = syscall(nr, a, b, c, d, e, f);

    return r < 0 ? -errno : r;
}

/* Somebody at the other end listens: see the fixture. */
static long
connect_to_socket_file(const struct inmate *in)
{
    long s = raw(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, 0, 0, 0);

    (void)in;
    return s < 0 ? s : raw(SYS_connect, s, P(&addr), sizeof(addr), 0, 0, 0);
}

/* One more to those it has: without its own, ext4 would have to lay the file's
 * blocks out anew, which it refuses while they are still on their way to disk. */
static long
set_file_flags(const struct inmate *in)
{
    int flags = 0;

    (void)raw(SYS_ioctl, in->file, (long)FS_IOC_GETFLAGS, P(&flags), 0, 0, 0);
    flags |= FS_NODUMP_FL;
    return raw(SYS_ioctl, in->file, (long)FS_IOC_SETFLAGS, P(&flags), 0, 0, 0);
}

/* Root again in namespaces of its own, take the mount's flag away, write. */
static long
chain(int dir)
{
    long r = raw(SYS_unshare, CLONE_NEWUSER | CLONE_NEWNS, 0, 0, 0, 0, 0);

    if (r < 0)
        return r;
    (void)raw(SYS_mount_setattr, dir, P(""), AT_EMPTY_PATH, P(&attr_rw), sizeof(attr_rw), 0);
    (void)raw(SYS_mount_setattr, AT_FDCWD, P("/s"), 0, P(&attr_rw), sizeof(attr_rw), 0);
    r = raw(SYS_openat, AT_FDCWD, P("/s/victim"), O_WRONLY | CLO, 0, 0, 0);
    if (r >= 0)
        return r;
    return raw(SYS_openat, dir, P("victim"), O_WRONLY | CLO, 0, 0, 0);
}

static long
chain_on_the_share(const struct inmate *in)
{
    return chain(in->root);
}

static long
chain_on_a_detached_mount(const struct inmate *in)
{
    return chain(in->spare);
}

/* One call, or run. Columns as in enum column. */
static const struct row {
    const char *name;
    long nr;
    long arg[6];
    int want[COLUMNS];
    long (*run)(const struct inmate *in);
} rows[] = {
    {"open to write",
     SYS_openat,
     {A_ROOT, P("victim"), O_WRONLY | CLO},
     {D, EROFS, EACCES, EACCES, 0},
     NULL},
    {"create",
     SYS_openat,
     {A_ROOT, P("n1"), O_WRONLY | O_CREAT | CLO, 0644},
     {D, EROFS, EACCES, EACCES, 0},
     NULL},
    {"create to read",
     SYS_openat,
     {A_ROOT, P("n2"), O_CREAT | CLO, 0644},
     {D, EROFS, EACCES, EACCES, 0},
     NULL},
    {"tmpfile",
     SYS_openat,
     {A_ROOT, P("."), O_RDWR | O_TMPFILE | CLO, 0644},
     {D, EROFS, EACCES, EACCES, 0},
     NULL},
    {"openat2 to create",
     SYS_openat2,
     {A_ROOT, P("n3"), P(how_create), 24},
     {D, EROFS, EACCES, EACCES, 0},
     NULL},
    {"open to read, truncate",
     SYS_openat,
     {A_ROOT, P("victim"), O_TRUNC | CLO},
     {D, EROFS, EACCES, 0, 0},
     NULL},
    {"truncate", SYS_truncate, {P("/s/victim"), 0}, {D, EROFS, EACCES, 0, 0}, NULL},
    {"mkdir", SYS_mkdirat, {A_ROOT, P("m"), 0755}, {D, EROFS, EACCES, EACCES, 0}, NULL},
    {"symlink", SYS_symlinkat, {P("x"), A_ROOT, P("l")}, {D, EROFS, EACCES, EACCES, 0}, NULL},
    {"mknod FIFO",
     SYS_mknodat,
     {A_ROOT, P("f"), S_IFIFO | 0644},
     {D, EROFS, EACCES, EACCES, 0},
     NULL},
    {"mknod socket",
     SYS_mknodat,
     {A_ROOT, P("k"), S_IFSOCK | 0644},
     {D, EROFS, EACCES, EACCES, 0},
     NULL},
    {"link",
     SYS_linkat,
     {A_ROOT, P("file"), A_ROOT, P("h"), 0},
     {D, EROFS, EACCES, EACCES, 0},
     NULL},
    {"rename",
     SYS_renameat2,
     {A_ROOT, P("prog"), A_ROOT, P("prog2"), 0},
     {D, EROFS, EACCES, EACCES, 0},
     NULL},
    {"unlink", SYS_unlinkat, {A_ROOT, P("link-file"), 0}, {D, EROFS, EACCES, EACCES, 0}, NULL},
    {"rmdir",
     SYS_unlinkat,
     {A_ROOT, P("empty"), AT_REMOVEDIR},
     {D, EROFS, EACCES, EACCES, 0},
     NULL},
    {"chmod", SYS_fchmodat, {A_ROOT, P("victim"), 0600}, {D, EROFS, 0, 0, 0}, NULL},
    {"chmod set-uid", SYS_fchmodat, {A_ROOT, P("victim"), 04755}, {D, EROFS, 0, 0, 0}, NULL},
    {"fchmod", SYS_fchmod, {A_FILE, 0600}, {D, EROFS, 0, 0, 0}, NULL},
    {"fchmodat2", NR_fchmodat2, {A_ROOT, P("victim"), 0600, 0}, {D, EROFS, 0, 0, 0}, NULL},
    {"chown to itself", SYS_fchownat, {A_ROOT, P("victim"), -1, -1, 0}, {D, EROFS, 0, 0, 0}, NULL},
    {"utimes", SYS_utimensat, {A_ROOT, P("victim"), P(times), 0}, {D, EROFS, 0, 0, 0}, NULL},
    {"setxattr",
     SYS_setxattr,
     {P("/s/victim"), P("user.x"), P("v"), 1, 0},
     {D, EROFS, 0, 0, 0},
     NULL},
    {"fsetxattr", SYS_fsetxattr, {A_FILE, P("user.x"), P("v"), 1, 0}, {D, EROFS, 0, 0, 0}, NULL},
    {"setxattrat",
     NR_setxattrat,
     {A_ROOT, P("victim"), 0, P("user.x"), P(&xattr_args), 16},
     {D, EROFS, 0, 0, 0},
     NULL},
    {"set file flags", 0, {0}, {D, EROFS, 0, 0, 0}, set_file_flags},
    {"file_setattr",
     NR_file_setattr,
     {A_ROOT, P("victim"), P(file_attr), 24, 0},
     {D, EROFS, 0, 0, 0},
     NULL},
    {"FIFO to write",
     SYS_openat,
     {A_ROOT, P("fifo"), O_WRONLY | O_NONBLOCK | CLO},
     {D, 0, EACCES, EACCES, 0},
     NULL},
    {"connect to a socket file", 0, {0}, {D, 0, 0, 0, 0}, connect_to_socket_file},
    {"unshare, clear read-only, write", 0, {0}, {D, EROFS, EACCES, EACCES, 0}, chain_on_the_share},
};

/* Without seccomp, what is left of the sandbox still stops these. */
enum { BARE_MDWE }; /* the one that takes a kernel newer than 6.1 */
static const struct row bare[] = {
    [BARE_MDWE] = {"C24 mmap RWX",
                   SYS_mmap,
                   {0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0},
                   {EACCES},
                   NULL},
    {"C8 execve", SYS_execve, {P("/proc/self/exe"), 0, 0}, {ENOENT}, NULL},
    {"C8 execveat", SYS_execveat, {A_ROOT, P("prog"), 0, 0, 0}, {EACCES}, NULL},
    {"C9 fork", SYS_fork, {0}, {EAGAIN}, NULL},
    {"C10 ptrace", SYS_ptrace, {PTRACE_ATTACH, 2}, {ESRCH}, NULL},
    {"C10 pidfd_open", SYS_pidfd_open, {2, 0}, {ESRCH}, NULL},
    {"C11 kill all", SYS_kill, {-1, SIGKILL}, {ESRCH}, NULL},
    {"C19 remount", SYS_mount, {0, P("/s"), 0, MS_REMOUNT | MS_BIND, 0}, {EPERM}, NULL},
    {"C19 mount", SYS_mount, {P("x"), P("/s"), P("tmpfs"), 0, 0}, {EPERM}, NULL},
    {"C19 mount_setattr",
     SYS_mount_setattr,
     {A_ROOT, P(""), AT_EMPTY_PATH, P(&attr_rw), 32},
     {EPERM},
     NULL},
    {"C19 umount", SYS_umount2, {P("/s"), MNT_DETACH}, {EPERM}, NULL},
    {"C19 chroot", SYS_chroot, {P("/s")}, {EPERM}, NULL},
    {"C23 open by handle", SYS_open_by_handle_at, {A_FILE, P(&handle), 0}, {EPERM}, NULL},
    {"C28 TIOCSTI", SYS_ioctl, {0, 0x5412, P("x")}, {EBADF}, NULL},
};

enum { ROW_BARE = 1000, ROW_DETACHED = 2000, ROW_SUBMOUNT };

static long
run_row(const struct inmate *in, const struct row *r)
{
    long a[6], v;

    if (r->run != NULL)
        return r->run(in);
    for (int i = 0; i < 6; i++)
        a[i] = r->arg[i] == A_ROOT ? in->root : r->arg[i] == A_FILE ? in->file : r->arg[i];
    v = raw(r->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (r->nr == SYS_fork && v == 0)
        syscall(SYS_exit_group, 0);
    return v;
}

long
attack(const struct inmate *in)
{
    unsigned row = in->order->row;

    if (row == ROW_DETACHED)
        return chain_on_a_detached_mount(in);
    if (row == ROW_SUBMOUNT)
        return raw(SYS_openat, in->root, P("dir/new"), O_PATH | O_NOFOLLOW | CLO, 0, 0, 0);
    if (row < COUNT(rows))
        return run_row(in, &rows[row]);
    return run_row(in, &bare[(row - ROW_BARE) % COUNT(bare)]);
}

static int
try_row(const char *column, const char *name, const struct order *o, int want)
{
    struct outcome out;
    int got;

    jail_run(o, &out);
    got = outcome_verdict(&out);
    /* a call that this kernel has not got neither proves nor harms */
    if (got == want || (got == ENOSYS && want != DIES))
        return 0;
    print_error("%s: %s: want %s, got %s (step \"%s\", error %d)\n", column, name,
                verdict_name(want), verdict_name(got), out.step, out.error);
    return 1;
}

/* What the kernel has not got cannot be expected of it. */
static bool
has_mdwe(void)
{
    return raw(SYS_prctl, 66 /* PR_GET_MDWE, Linux 6.3 */, 0, 0, 0, 0, 0) >= 0;
}

static void
column_holds(enum column c)
{
    /* The newest Landlock of the kernel below may be that of 6.1. */
    const enum column as = c == LANDLOCK && landlock_abi() < 3 ? LANDLOCK_2 : c;
    char fifo[96];
    int wrong = 0, reader;

    (void)snprintf(fifo, sizeof(fifo), "%s/fifo", fx.share);
    reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    for (unsigned i = 0; i < COUNT(rows); i++) {
        const struct order o = {
            .kind = JAIL_RO, .skip = columns[c].skip, .landlock_abi = columns[c].abi, .row = i};

        wrong += try_row(columns[c].name, rows[i].name, &o, rows[i].want[as]);
    }
    close(reader);
    assert_int_equal(wrong, 0);
}

static void
seccomp_alone_stops_every_change(void **state)
{
    (void)state;
    column_holds(SECCOMP);
}

static void
the_mount_alone_stops_all_but_fifo_and_socket(void **state)
{
    (void)state;
    column_holds(MOUNT);
}

static void
landlock_alone_stops_opens_and_names_but_no_attributes(void **state)
{
    (void)state;
    column_holds(LANDLOCK);
}

static void
landlock_of_debian_12_alone_also_lets_truncate(void **state)
{
    (void)state;
    column_holds(LANDLOCK_2);
}

/* Last: it changes the share. */
static void
without_any_layer_every_attack_works(void **state)
{
    (void)state;
    column_holds(NONE);
}

static void
without_seccomp_the_rest_still_holds(void **state)
{
    int wrong = 0;

    (void)state;
    for (unsigned i = 0; i < COUNT(bare); i++) {
        const struct order o = {.kind = JAIL_RO, .skip = LAYER_SECCOMP, .row = ROW_BARE + i};
        const bool works = i == BARE_MDWE && !has_mdwe();

        wrong += try_row("without seccomp", bare[i].name, &o, works ? 0 : bare[i].want[0]);
    }
    assert_int_equal(wrong, 0);
}

/* The reason for "attach share" in the sandbox's list of steps. If a kernel
 * ever closes this, the row may go. */
static void
a_detached_mount_would_not_stay_read_only(void **state)
{
    const struct order o = {.kind = JAIL_RO,
                            .skip = LAYER_SECCOMP | LAYER_LANDLOCK,
                            .spare_mount = true,
                            .row = ROW_DETACHED};

    (void)state;
    assert_int_equal(try_row("detached", "unshare, clear read-only, write", &o, 0), 0);
}

static void
a_mount_made_below_later_is_not_seen(void **state)
{
    const struct order o = {.kind = JAIL_RO, .row = ROW_SUBMOUNT};
    char dir[96], file[112];
    struct outcome out;
    struct jail j;
    int fd;

    (void)state;
    (void)snprintf(dir, sizeof(dir), "%s/dir", fx.share);
    (void)snprintf(file, sizeof(file), "%s/new", dir);
    jail_start(&j, &o, -1);
    jail_ready(&j, &out);
    assert_int_equal(mount("x", dir, "tmpfs", 0, "size=64k"), 0);
    fd = open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    jail_end(&j, &out);
    assert_int_equal(umount2(dir, MNT_DETACH), 0);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(outcome_verdict(&out), ENOENT);
}

/* ---- nothing changed, not even a time ------------------------------------ */

static uint64_t print_of_tree;

static void
mix(const void *p, size_t n)
{
    const unsigned char *b = p;

    for (size_t i = 0; i < n; i++)
        print_of_tree = (print_of_tree ^ b[i]) * 0x100000001b3ULL;
}

static int
mix_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)type;
    (void)at;
    mix(path, strlen(path));
    mix(&st->st_mode, sizeof(st->st_mode));
    mix(&st->st_nlink, sizeof(st->st_nlink));
    mix(&st->st_uid, sizeof(st->st_uid));
    mix(&st->st_gid, sizeof(st->st_gid));
    mix(&st->st_size, sizeof(st->st_size));
    mix(&st->st_mtim, sizeof(st->st_mtim));
    mix(&st->st_ctim, sizeof(st->st_ctim));
    /* reading a directory here to walk it may set its own */
    if (!S_ISDIR(st->st_mode))
        mix(&st->st_atim, sizeof(st->st_atim));
    return 0;
}

static uint64_t
fingerprint(void)
{
    print_of_tree = 0xcbf29ce484222325ULL;
    assert_int_equal(nftw(fx.share, mix_file, 8, FTW_PHYS), 0);
    return print_of_tree;
}

static void
all_attacks_together_change_nothing(void **state)
{
    uint64_t before = fingerprint();

    (void)state;
    for (unsigned skip = 0; skip <= LAYER_SECCOMP; skip += LAYER_SECCOMP)
        for (unsigned i = 0; i < COUNT(rows); i++) {
            const struct order o = {.kind = JAIL_RO, .skip = skip, .row = i};
            struct outcome out;

            jail_run(&o, &out);
            assert_true(out.ready);
        }
    assert_true(fingerprint() == before);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_attacks_together_change_nothing),
        cmocka_unit_test(seccomp_alone_stops_every_change),
        cmocka_unit_test(the_mount_alone_stops_all_but_fifo_and_socket),
        cmocka_unit_test(landlock_alone_stops_opens_and_names_but_no_attributes),
        cmocka_unit_test(landlock_of_debian_12_alone_also_lets_truncate),
        cmocka_unit_test(without_seccomp_the_rest_still_holds),
        cmocka_unit_test(a_detached_mount_would_not_stay_read_only),
        cmocka_unit_test(a_mount_made_below_later_is_not_seen),
        cmocka_unit_test(without_any_layer_every_attack_works),
    };

    jail_main(argc, argv);
    return run_both_ways("each layer of read-only alone", tests, COUNT(tests));
}
