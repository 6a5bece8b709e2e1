/*
 * What the kernel says about a confined process, seen from outside; and that
 * no step of building the sandbox may fail and be passed over.
 *
 * Runs in: tests/escape.   Trusts: /proc.   Owns: nothing.
 */
#include "tests/escape/faults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/log.h"
#include "sandbox/share_mount.h"
#include "sandbox/steps.h"

enum { ROW_NOTHING, ROW_HANG };

long
attack(const struct inmate *in)
{
    static const uint32_t never;

    if (in->order->row == ROW_HANG)
        return syscall(SYS_futex, &never, 128 /* FUTEX_WAIT_PRIVATE */, 0, NULL, NULL, 0);
    return 0;
}

static void
start(struct jail *j, const struct order *o, struct outcome *out)
{
    jail_start(j, o, -1);
    jail_ready(j, out);
    if (!out->ready)
        print_error("no sandbox: %s: %s\n", out->step, strerror(-out->error));
    assert_true(out->ready);
}

static void
slurp(const char *path, char *buf, size_t room)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n, len = 0;

    if (fd < 0)
        print_error("%s: %s\n", path, strerror(errno));
    assert_true(fd >= 0);
    while ((n = read(fd, buf + len, room - 1 - (size_t)len)) > 0)
        len += n;
    close(fd);
    buf[len] = '\0';
}

/* ---- /proc/PID/status ------------------------------------------------------ */

static void
has_line(const char *status, const char *line)
{
    char with_ends[96];

    (void)snprintf(with_ends, sizeof(with_ends), "\n%s\n", line);
    if (strstr(status, with_ends) == NULL)
        print_error("no line \"%s\" in\n%s", line, status);
    assert_non_null(strstr(status, with_ends));
}

static void
check_status(const char *path)
{
    static const char *const lines[] = {
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "CapInh:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "CapAmb:\t0000000000000000",
    };
    char text[8192], ids[96];
    const char *nspid;

    slurp(path, text, sizeof(text));
    for (size_t i = 0; i < COUNT(lines); i++)
        has_line(text, lines[i]);
    (void)snprintf(ids, sizeof(ids), "Uid:\t%u\t%u\t%u\t%u", fx.uid, fx.uid, fx.uid, fx.uid);
    has_line(text, ids);
    (void)snprintf(ids, sizeof(ids), "Gid:\t%u\t%u\t%u\t%u", fx.gid, fx.gid, fx.gid, fx.gid);
    has_line(text, ids);
    if (!fx.rootless)
        has_line(text, "Groups:\t ");
    /* a number here and one in its own pid namespace: no third */
    nspid = strstr(text, "\nNSpid:\t");
    assert_non_null(nspid);
    nspid = strchr(nspid + strlen("\nNSpid:\t"), '\t');
    assert_non_null(nspid);
    assert_int_equal(nspid[1 + strcspn(nspid + 1, "\t\n")], '\n');
}

static unsigned
check_tasks(pid_t pid)
{
    char path[300];
    struct dirent *e;
    unsigned n = 0;
    DIR *d;

    (void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
    d = opendir(path);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, e->d_name);
        check_status(path);
        n++;
    }
    (void)closedir(d);
    return n;
}

static void
every_thread_of_every_process_is_powerless(void **state)
{
    (void)state;
    for (enum jail_kind k = JAIL_WORKER; k < JAIL_KINDS; k++) {
        const struct order o = {.kind = k, .threads = k != JAIL_WORKER};
        struct outcome out;
        struct jail j;

        start(&j, &o, &out);
        assert_int_equal(check_tasks(j.pid), o.threads ? 3 : 1);
        jail_end(&j, &out);
        assert_true(out.survived);
    }
}

static void
the_report_says_what_was_reached(void **state)
{
    const unsigned all = LAYER_NAMESPACES | LAYER_EMPTY_ROOT | LAYER_NO_CAPS | LAYER_NO_NEW_PRIVS |
                         LAYER_LANDLOCK | LAYER_SECCOMP;

    (void)state;
    for (enum jail_kind k = JAIL_WORKER; k < JAIL_KINDS; k++) {
        const struct order o = {.kind = k};
        struct outcome out;

        jail_run(&o, &out);
        if (!out.ready)
            print_error("%s: %s\n", out.step, strerror(-out.error));
        assert_true(out.ready);
        assert_int_equal(out.layers, all | (k == JAIL_RO ? LAYER_SHARE_READ_ONLY : 0));
        assert_true(out.abi >= 2);
    }
}

static void
every_namespace_is_its_own(void **state)
{
    static const char *const names[] = {"mnt", "pid", "net", "ipc", "uts", "cgroup", "user"};
    const struct order o = {.kind = JAIL_RO};
    struct outcome out;
    struct jail j;

    (void)state;
    start(&j, &o, &out);
    for (size_t i = 0; i < COUNT(names); i++) {
        char path[64], mine[64] = "", its[64] = "";

        (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", names[i]);
        assert_true(readlink(path, mine, sizeof(mine) - 1) > 0);
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", j.pid, names[i]);
        assert_true(readlink(path, its, sizeof(its) - 1) > 0);
        if (strcmp(names[i], "user") != 0 || fx.rootless)
            assert_string_not_equal(mine, its);
    }
    jail_end(&j, &out);
}

/* ---- /proc/PID/mountinfo ---------------------------------------------------- */

struct want_mount {
    const char *point, *options, *fs; /* fs NULL: the share's */
};

static void
check_mount(const char *line, const struct want_mount *want, size_t n)
{
    char point[64], options[128], fs[64];

    assert_int_equal(sscanf(line, "%*s %*s %*s %*s %63s %127s - %63s", point, options, fs), 3);
    for (size_t i = 0; i < n; i++, want++)
        if (strcmp(point, want->point) == 0) {
            /* how access times are kept follows the host's mount */
            if (strncmp(options, want->options, strlen(want->options)) != 0)
                assert_string_equal(options, want->options);
            if (want->fs != NULL)
                assert_string_equal(fs, want->fs);
            return;
        }
    print_error("%s\n", line);
    fail();
}

static void
check_mounts(enum jail_kind kind, const struct want_mount *want, size_t n)
{
    const struct order o = {.kind = kind};
    char path[64], text[4096], *save = NULL, *line;
    struct outcome out;
    struct jail j;
    size_t i = 0;

    start(&j, &o, &out);
    (void)snprintf(path, sizeof(path), "/proc/%d/mountinfo", j.pid);
    slurp(path, text, sizeof(text));
    for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
        check_mount(line, want, n);
        i++;
    }
    assert_int_equal(i, n);
    jail_end(&j, &out);
}

static void
a_process_sees_its_own_mounts_and_no_other(void **state)
{
    static const struct want_mount root = {"/", "ro,nosuid,nodev,noexec", "tmpfs"};
    static const struct want_mount ro[] = {
        {"/", "ro,nosuid,nodev,noexec", "tmpfs"},
        {"/s", "ro,nosuid,nodev,noexec", NULL},
        {"/fd", "ro,nosuid,nodev,noexec", "proc"},
    };
    static const struct want_mount rw[] = {
        {"/", "ro,nosuid,nodev,noexec", "tmpfs"},
        {"/s", "rw,nosuid,nodev,noexec", NULL},
        {"/fd", "ro,nosuid,nodev,noexec", "proc"},
    };

    (void)state;
    check_mounts(JAIL_WORKER, &root, 1);
    check_mounts(JAIL_RO, ro, COUNT(ro));
    check_mounts(JAIL_RW, rw, COUNT(rw));
}

static void
no_process_leaves_a_core(void **state)
{
    const struct order o = {.kind = JAIL_RW};
    char path[64], text[4096];
    struct outcome out;
    struct jail j;

    (void)state;
    start(&j, &o, &out);
    (void)snprintf(path, sizeof(path), "/proc/%d/limits", j.pid);
    slurp(path, text, sizeof(text));
    assert_non_null(strstr(text, "Max core file size        0                    0 "));
    assert_non_null(strstr(text, "Max processes             0                    0 "));
    jail_end(&j, &out);
}

/* ---- nothing may fail and be passed over --------------------------------------- */

static void
no_step_of_any_process_may_fail(void **state)
{
    (void)state;
    faults_try(JAIL_WORKER);
    faults_try(JAIL_RO);
    faults_try(JAIL_RW);
}

/* Linux 6.3 has it; the filter says the same. */
static void
only_mdwe_may_be_missing(void **state)
{
    const struct order o = {.kind = JAIL_RO, .fault = PRCTL(65)};
    struct outcome out;

    (void)state;
    jail_run(&o, &out);
    assert_true(out.ready);
}

static void
assert_only_best_effort_goes_on(struct order o, int abi)
{
    struct outcome out;

    jail_run(&o, &out);
    faults_assert_refused(&out, "landlock");
    o.best_effort = true;
    jail_run(&o, &out);
    assert_true(out.ready);
    assert_int_equal(out.abi, abi);
    assert_int_equal((out.layers & LAYER_LANDLOCK) != 0, abi > 0);
    assert_int_not_equal(out.layers & LAYER_SECCOMP, 0);
}

static void
without_landlock_only_best_effort_goes_on(void **state)
{
    (void)state;
    assert_only_best_effort_goes_on(
        (struct order){.kind = JAIL_RO, .fault = FAULT(landlock_create_ruleset)}, 0);
}

static void
a_landlock_that_is_too_old_is_used_by_best_effort_alone(void **state)
{
    (void)state;
    assert_only_best_effort_goes_on((struct order){.kind = JAIL_RW, .landlock_abi = 1}, 1);
}

static void
what_an_older_kernel_leaves_to_fewer_layers_is_named(void **state)
{
    (void)state;
    sandbox_test_landlock_abi = 2;
    assert_ptr_equal(strstr(sandbox_kernel_weaker(), "truncation, TCP, ioctl of devices, signals"),
                     sandbox_kernel_weaker());
    sandbox_test_landlock_abi = 0;
    if (landlock_abi() >= 6)
        assert_string_equal(sandbox_kernel_weaker(), "");
}

static void
run_with_mount(int mount_fd, struct outcome *out)
{
    const struct order o = {.kind = JAIL_RO};
    struct jail j;

    jail_start(&j, &o, mount_fd);
    jail_ready(&j, out);
    jail_end(&j, out);
}

static void
a_share_that_is_not_what_was_said_is_refused(void **state)
{
    const struct share_mount writable = {.read_only = false};
    const struct share_mount with_one_below = {.read_only = true};
    struct outcome out;
    char dir[96];
    int fd;

    (void)state;
    fd = share_mount_clone(fx.share_fd, &writable);
    assert_true(fd >= 0);
    run_with_mount(fd, &out);
    close(fd);
    faults_assert_refused(&out, "check mounts");
    (void)snprintf(dir, sizeof(dir), "%s/dir", fx.share);
    assert_int_equal(mount("x", dir, "tmpfs", 0, "size=64k"), 0);
    fd = share_mount_clone(fx.share_fd, &with_one_below);
    assert_int_equal(umount2(dir, MNT_DETACH), 0);
    assert_true(fd >= 0);
    run_with_mount(fd, &out); /* the profile does not say submounts */
    close(fd);
    faults_assert_refused(&out, "check mounts");
    run_with_mount(fx.share_fd, &out); /* a directory, not a mount */
    faults_assert_refused(&out, "attach share");
}

/* ---- the broker ------------------------------------------------------------------ */

static void
no_child_outlives_the_broker(void **state)
{
    struct pollfd p = {.events = POLLIN};
    siginfo_t si;
    pid_t broker, child;
    int pipefd[2];

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
    broker = fork();
    if (broker == 0) {
        const struct order o = {.kind = JAIL_RW, .row = ROW_HANG};
        struct outcome out;
        struct jail j;

        start(&j, &o, &out);
        (void)send(j.sock, "", 1, MSG_NOSIGNAL); /* so that it does not see the socket's end */
        (void)!write(pipefd[1], &j.pid, sizeof(j.pid));
        for (;;)
            (void)pause();
    }
    assert_int_equal(read(pipefd[0], &child, sizeof(child)), sizeof(child));
    p.fd = (int)syscall(SYS_pidfd_open, child, 0);
    assert_true(p.fd >= 0);
    assert_int_equal(kill(broker, SIGKILL), 0);
    assert_int_equal(waitid(P_PID, (id_t)broker, &si, WEXITED), 0);
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(waitid(P_PIDFD, (id_t)p.fd, &si, WEXITED), 0);
    assert_int_equal(si.si_status, SIGKILL);
    close(p.fd);
    close(pipefd[0]);
    close(pipefd[1]);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
}

static void
the_broker_keeps_what_it_needs_and_no_more(void **state)
{
    char text[8192];

    (void)state;
    slurp("/proc/thread-self/status", text, sizeof(text));
    has_line(text, "NoNewPrivs:\t1");
    has_line(text, "Seccomp:\t2");
    /* SYS_ADMIN, and as root SETUID SETGID SETPCAP DAC_READ_SEARCH KILL */
    has_line(text, fx.rootless ? "CapPrm:\t0000000000200000" : "CapPrm:\t00000000002001e4");
    has_line(text, fx.rootless ? "CapBnd:\t0000000000200000" : "CapBnd:\t00000000002001e4");
    has_line(text, "CapAmb:\t0000000000000000");
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
}

static void
the_broker_cannot_call_what_it_denied_itself(void **state)
{
    static const long calls[] = {SYS_ptrace,      SYS_bpf,        SYS_io_uring_setup,
                                 SYS_keyctl,      SYS_kexec_load, SYS_add_key,
                                 SYS_userfaultfd, SYS_setns,      SYS_perf_event_open};

    (void)state;
    for (size_t i = 0; i < COUNT(calls); i++) {
        errno = 0;
        assert_int_equal(syscall(calls[i], -1, 0, 0, 0, 0), -1);
        assert_int_equal(errno, EPERM);
    }
}

/* The whole chain once more, below it. */
static void
its_children_reach_every_layer(void **state)
{
    the_report_says_what_was_reached(state);
    every_thread_of_every_process_is_powerless(state);
}

static void
a_mount_can_show_other_owners_from_a_reduced_broker(void **state)
{
    const struct share_mount m = {
        .idmap = true, .disk_uid = fx.uid, .disk_gid = fx.gid, .uid = 64100, .gid = 64100};
    int fd;

    (void)state;
    fd = share_mount_clone(fx.share_fd, &m);
    if (fx.rootless)
        assert_true(fd < 0); /* no second id to show */
    else
        assert_true(fd >= 0);
    clean_fd(&fd);
}

/* In a process of its own: what it gives up is gone. */
static void
a_reduced_broker_still_makes_children(void **state)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_broker_keeps_what_it_needs_and_no_more),
        cmocka_unit_test(the_broker_cannot_call_what_it_denied_itself),
        cmocka_unit_test(its_children_reach_every_layer),
        cmocka_unit_test(a_mount_can_show_other_owners_from_a_reduced_broker),
    };
    int status;
    pid_t pid;

    (void)state;
    pid = fork();
    if (pid == 0) {
        struct sandbox_report rep;
        int r = sandbox_broker(fx.rootless ? BROKER_ROOTLESS : BROKER_ROOT, 0, &rep);

        if (r < 0)
            print_error("sandbox_broker: %s: %s\n", rep.step, strerror(-r));
        _exit(r < 0 ? 99
                    : _cmocka_run_group_tests("reduced broker", tests, COUNT(tests), NULL, NULL));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void
this_kernel_lacks_nothing(void **state)
{
    const char *lacks = sandbox_kernel_lacks(fx.rootless);

    (void)state;
    if (lacks != NULL)
        print_error("%s\n", lacks);
    assert_null(lacks);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_kernel_lacks_nothing),
        cmocka_unit_test(every_thread_of_every_process_is_powerless),
        cmocka_unit_test(the_report_says_what_was_reached),
        cmocka_unit_test(every_namespace_is_its_own),
        cmocka_unit_test(a_process_sees_its_own_mounts_and_no_other),
        cmocka_unit_test(no_process_leaves_a_core),
        cmocka_unit_test(no_step_of_any_process_may_fail),
        cmocka_unit_test(only_mdwe_may_be_missing),
        cmocka_unit_test(without_landlock_only_best_effort_goes_on),
        cmocka_unit_test(a_landlock_that_is_too_old_is_used_by_best_effort_alone),
        cmocka_unit_test(what_an_older_kernel_leaves_to_fewer_layers_is_named),
        cmocka_unit_test(a_share_that_is_not_what_was_said_is_refused),
        cmocka_unit_test(no_child_outlives_the_broker),
        cmocka_unit_test(a_reduced_broker_still_makes_children),
    };

    jail_main(argc, argv);
    return run_both_ways("a confined process", tests, COUNT(tests));
}
