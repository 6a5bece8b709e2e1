/*
 * The helper of identity = map, from inside: root, but of a user namespace
 * that has no id of the host beyond the tenant's range, whoever runs its code
 * and with the filter taken away as well. Then the same where posternd is an
 * ordinary user whom the system lends that range.
 *
 * Runs in: tests/escape.   Trusts: nobody.   Owns: nothing.
 */
#include "tests/escape/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/log.h"
#include "tests/lib/lent.h"

#define OUTSIDE 70000u /* to the namespace no id at all */
#define USER 1000u

enum row {
    READ_FOREIGN,
    CHOWN_FOREIGN,
    CHMOD_FOREIGN,
    WRITE_FOREIGN,
    GIVE_OUTSIDE,
    GIVE_GROUP_OUTSIDE,
    BE_OUTSIDE,
    BE_GROUP_OUTSIDE,
    CREATE_AFTER_TRYING,
    CREATE_AS_USER,
    GROUPS_OUTSIDE,
    RESUID_OUTSIDE,
    RESUID_USER,
    ALL_CAPS,
    MAKE_DEVICE,
    SETUID_FOREIGN_COPY,
};

/* By its number in the clone of /proc/self/fd, as the helper does. */
static long
opened(const struct inmate *in, const char *name, int flags)
{
    long fd = syscall(SYS_openat, in->root, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    char number[4] = {(char)('0' + fd / 10), (char)('0' + fd % 10)};

    if (fd < 0)
        return -errno;
    fd = syscall(SYS_openat, AT_FDCWD, fd > 9 ? number : number + 1,
                 flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static long
chown_of(const struct inmate *in, const char *name, uint32_t uid, uint32_t gid)
{
    long fd = syscall(SYS_openat, in->root, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    return syscall(SYS_fchownat, fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static long
chmod_of(const struct inmate *in, const char *name, mode_t mode)
{
    long fd = syscall(SYS_openat, in->root, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    char number[4] = {(char)('0' + fd / 10), (char)('0' + fd % 10)};

    if (fd < 0)
        return -errno;
    return syscall(SYS_fchmodat, AT_FDCWD, fd > 9 ? number : number + 1, mode) < 0 ? -errno : 0;
}

static long
create(const struct inmate *in, const char *name)
{
    long fd = syscall(SYS_openat, in->root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

    return fd < 0 ? -errno : 0;
}

static long
or_errno(long r)
{
    return r < 0 ? -errno : r;
}

static long
all_caps(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct data[2] = {{~0u, ~0u, 0}, {0x1ff, 0x1ff, 0}};

    return or_errno(syscall(SYS_capset, &head, data));
}

long
attack(const struct inmate *in)
{
    static const uint32_t outside[] = {OUTSIDE};

    switch ((enum row)in->order->row) {
    case READ_FOREIGN:
        return opened(in, "secret", O_RDONLY);
    case WRITE_FOREIGN:
        return opened(in, "secret", O_WRONLY);
    case CHOWN_FOREIGN:
        return chown_of(in, "secret", 0, 0);
    case CHMOD_FOREIGN:
        return chmod_of(in, "secret", 0666);
    case GIVE_OUTSIDE:
        return chown_of(in, "victim", OUTSIDE, USER);
    case GIVE_GROUP_OUTSIDE:
        return chown_of(in, "victim", USER, OUTSIDE);
    case BE_OUTSIDE:
        (void)syscall(SYS_setfsuid, OUTSIDE);
        return syscall(SYS_setfsuid, -1);
    case BE_GROUP_OUTSIDE:
        (void)syscall(SYS_setfsgid, OUTSIDE);
        return syscall(SYS_setfsgid, -1);
    case CREATE_AFTER_TRYING:
        (void)syscall(SYS_setfsgid, OUTSIDE);
        (void)syscall(SYS_setfsuid, OUTSIDE);
        return create(in, "made-outside");
    case CREATE_AS_USER:
        (void)syscall(SYS_setfsgid, USER);
        (void)syscall(SYS_setfsuid, USER);
        return create(in, "made-by-user");
    case GROUPS_OUTSIDE:
        return or_errno(syscall(SYS_setgroups, 1, outside));
    case RESUID_OUTSIDE:
        return or_errno(syscall(SYS_setresuid, OUTSIDE, OUTSIDE, OUTSIDE));
    case RESUID_USER:
        return or_errno(syscall(SYS_setresuid, USER, USER, USER));
    case ALL_CAPS:
        return all_caps();
    case MAKE_DEVICE:
        return or_errno(syscall(SYS_mknodat, in->root, "dev", S_IFCHR | 0666, makedev(1, 3)));
    case SETUID_FOREIGN_COPY:
        return chmod_of(in, "prog", 06755); /* of an owner in the range: that it may */
    default:
        return -EINVAL;
    }
}

static const struct {
    enum row row;
    const char *what;
    int with, without; /* seccomp: success is the value itself */
} table[] = {
    {READ_FOREIGN, "read root's file", EACCES, EACCES},
    {WRITE_FOREIGN, "write root's file", EACCES, EACCES},
    {CHOWN_FOREIGN, "take root's file", EPERM, EPERM},
    {CHMOD_FOREIGN, "open root's file up", EPERM, EPERM},
    {GIVE_OUTSIDE, "give to an id outside", EINVAL, EINVAL},
    {GIVE_GROUP_OUTSIDE, "give to a group outside", EINVAL, EINVAL},
    {BE_OUTSIDE, "setfsuid outside", 0, 0},
    {BE_GROUP_OUTSIDE, "setfsgid outside", 0, 0},
    {CREATE_AFTER_TRYING, "create after setfsuid outside", 0, 0},
    {CREATE_AS_USER, "create as a user", 0, 0},
    {GROUPS_OUTSIDE, "setgroups outside", EINVAL, EINVAL},
    {RESUID_OUTSIDE, "setresuid outside", DIES, EINVAL},
    {RESUID_USER, "setresuid", DIES, 0},
    {ALL_CAPS, "capset of everything", DIES, EPERM},
    {MAKE_DEVICE, "a device", DIES, EACCES},
    {SETUID_FOREIGN_COPY, "set-id bits within the range", 0, 0},
};

/* Root's file, in the ids of whoever looks: an ordinary user has none for it. */
static struct stat secret;

static void
look_at_secret(void)
{
    assert_int_equal(fstatat(fx.share_fd, "secret", &secret, AT_SYMLINK_NOFOLLOW), 0);
}

static void
owned_by(const char *name, uint32_t id)
{
    struct stat st;

    assert_int_equal(fstatat(fx.share_fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, JAIL_MAP_FIRST + id);
    assert_int_equal(st.st_gid, JAIL_MAP_FIRST + id);
    assert_int_equal(unlinkat(fx.share_fd, name, 0), 0);
}

static void
root_is_as_it_was(void)
{
    struct stat st;

    assert_int_equal(fstatat(fx.share_fd, "secret", &st, AT_SYMLINK_NOFOLLOW), 0);
    assert_int_equal(st.st_uid, secret.st_uid);
    assert_int_equal(st.st_gid, secret.st_gid);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(st.st_size, 7);
}

static void
its_root_has_no_power_beyond_the_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(table) * 2; i++) {
        const struct order o = {.kind = JAIL_MAP,
                                .row = table[i / 2].row,
                                .skip = i % 2 == 0 ? 0 : (unsigned)LAYER_SECCOMP};
        int want = i % 2 == 0 ? table[i / 2].with : table[i / 2].without, got;
        struct outcome out;

        jail_run(&o, &out);
        got = outcome_verdict(&out);
        if (got != want)
            print_error("%s%s: %s, expected %s (%s: %s)\n", table[i / 2].what,
                        o.skip != 0 ? " without seccomp" : "", verdict_name(got),
                        verdict_name(want), out.step, strerror(-out.error));
        assert_int_equal(got, want);
        if (out.survived && (o.row == BE_OUTSIDE || o.row == BE_GROUP_OUTSIDE))
            assert_int_equal(out.value, 0); /* who it was */
        if (o.row == CREATE_AFTER_TRYING)
            owned_by("made-outside", 0);
        if (o.row == CREATE_AS_USER)
            owned_by("made-by-user", USER);
        root_is_as_it_was();
    }
}

static void
its_capabilities_are_those_of_files_and_ids(void **state)
{
    const struct order o = {.kind = JAIL_MAP, .row = BE_OUTSIDE};
    const unsigned want = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH |
                          1u << CAP_FOWNER | 1u << CAP_FSETID | 1u << CAP_SETUID | 1u << CAP_SETGID;
    char path[64], text[8192], line[64];
    struct outcome out;
    struct jail j;
    size_t n;
    FILE *f;

    (void)state;
    jail_start(&j, &o, -1);
    jail_ready(&j, &out);
    assert_true(out.ready);
    assert_true((out.layers & LAYER_FEW_CAPS) != 0 && (out.layers & LAYER_NO_CAPS) == 0);
    (void)snprintf(path, sizeof(path), "/proc/%d/status", j.pid);
    f = fopen(path, "r");
    assert_non_null(f);
    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    (void)snprintf(line, sizeof(line), "\nCapEff:\t%016x\nCapBnd:\t%016x\n", want, 0);
    assert_non_null(strstr(text, line));
    (void)snprintf(line, sizeof(line), "\nCapPrm:\t%016x\n", want);
    assert_non_null(strstr(text, line));
    assert_non_null(strstr(text, "\nNoNewPrivs:\t1\n"));
    assert_non_null(strstr(text, "\nGroups:\t \n"));
    (void)snprintf(line, sizeof(line), "\nUid:\t%u\t%u\t%u\t%u\n", JAIL_MAP_FIRST, JAIL_MAP_FIRST,
                   JAIL_MAP_FIRST, JAIL_MAP_FIRST);
    assert_non_null(strstr(text, line));
    jail_end(&j, &out);
}

static void
no_step_of_it_may_fail(void **state)
{
    (void)state;
    faults_try(JAIL_MAP);
}

static void
put_secret(void)
{
    int fd = openat(fx.share_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), file;

    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, 0777), 0); /* to be created in by any user */
    file = openat(fd, "secret", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, "secret\n", 7), 7);
    (void)close(file);
    (void)close(fd);
}

/* In a process of its own, for it never becomes root again. */
static int
run_lent(const struct CMUnitTest *tests, size_t n)
{
    int status;
    pid_t pid;

    (void)fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (!lent_begin(JAIL_UID))
            exit(0);
        lent_set("600000:65536", "600000:65536");
        become_lent();
        look_at_secret();
        exit(_cmocka_run_group_tests("test_ids, rootless", tests, n, NULL, NULL));
    }
    return pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_root_has_no_power_beyond_the_range),
        cmocka_unit_test(its_capabilities_are_those_of_files_and_ids),
        cmocka_unit_test(no_step_of_it_may_fail),
    };
    int failed;

    jail_main(argc, argv);
    if (geteuid() != 0) {
        printf("SKIP: only root can give a range of ids away\n");
        return 0;
    }
    fx = (struct fixture){.uid = JAIL_MAP_FIRST, .gid = JAIL_MAP_FIRST};
    fixture_make();
    put_secret();
    look_at_secret();
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    failed += run_lent(tests, COUNT(tests));
    fixture_remove();
    return failed;
}
