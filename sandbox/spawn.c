/*
 * Children of the broker: new namespaces, fd 3, exec.
 *
 * Runs in: broker, and in the child between clone and exec, where only
 * async-signal-safe calls are made.
 * Trusts: nobody.
 * Owns: the pipe by which a child says why it could not exec.
 */
#include "sandbox/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "sandbox/idmap.h"

#define FD_HIGH 16 /* above every number that has a meaning for the child */

struct ids {
    uid_t uid;
    gid_t gid;
};

/* What a child needs until its exec, at FD_HIGH and above. */
struct child_fds {
    int exe, boot, report, go;
};

/*
 * A child with a user namespace of its own is root there until its sandbox
 * drops that: mapped to anything else, exec would drop the capabilities that
 * the sandbox needs to be built.
 */
static int
child_userns(const struct ids *ids)
{
    return idmap_self(0, ids->uid, 0, ids->gid);
}

/* Once the parent has written the maps: their root, whom exec leaves all
 * capabilities. Raw calls: this is no thread that the C library knows. */
static int
child_range(int report_fd, int go_fd)
{
    const int mappable = 0;
    char go;

    if (write(report_fd, &mappable, sizeof(mappable)) < 0 || read(go_fd, &go, 1) != 1)
        return -ECANCELED;
    if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
        return -errno;
    return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0; /* the change took it away */
}

/* 0, 1: /dev/null; 2: as it is; 3: the boot socket; others close at exec. */
static int
child_stdio(int boot_fd)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return -errno;
    null = fcntl(null, F_DUPFD_CLOEXEC, FD_HIGH);
    if (null < 0)
        return -errno;
    if (dup2(null, 0) < 0 || dup2(null, 1) < 0)
        return -errno;
    if (fcntl(2, F_GETFD) < 0 && dup2(null, 2) < 0)
        return -errno;
    if (dup2(boot_fd, BOOT_FD) < 0)
        return -errno;
    if (close_range(BOOT_FD + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
        return -errno;
    return 0;
}

static int
child_exec(const struct spawn *s, const struct ids *ids, const struct child_fds *fds)
{
    char *const env[] = {NULL};
    const char *argv[] = {s->name, NULL};
    int r;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    if (s->own_userns) {
        /* The /proc directory of a process that is not dumpable belongs to
         * root: nobody else could write its maps. This is the child's copy;
         * exec sets it anyway, and the sandbox clears it. */
        if (prctl(PR_SET_DUMPABLE, 1) < 0)
            return -errno;
        r = s->ids_count != 0 ? child_range(fds->report, fds->go) : child_userns(ids);
        if (r < 0)
            return r;
    }
    r = child_stdio(fds->boot);
    if (r < 0)
        return r;
    (void)syscall(SYS_execveat, fds->exe, "", argv, env, AT_EMPTY_PATH);
    return -errno;
}

__attribute__((noreturn)) static void
child_main(const struct spawn *s, const struct ids *ids, int report_fd, int go_fd)
{
    const struct child_fds fds = {.exe = fcntl(s->exe_fd, F_DUPFD_CLOEXEC, FD_HIGH),
                                  .boot = fcntl(s->boot_fd, F_DUPFD_CLOEXEC, FD_HIGH),
                                  .report = fcntl(report_fd, F_DUPFD_CLOEXEC, FD_HIGH),
                                  .go = go_fd};
    int r = fds.exe < 0 || fds.boot < 0 || fds.report < 0 ? -errno : child_exec(s, ids, &fds);

    (void)!write(fds.report < 0 ? report_fd : fds.report, &r, sizeof(r));
    _exit(127);
}

/* Wait until the child's exec closed the pipe, or for its reason not to. */
static int
child_wait(int fd)
{
    ssize_t n;
    int r;

    do
        n = read(fd, &r, sizeof(r));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return 0;
    return n == (ssize_t)sizeof(r) ? r : -EIO;
}

/* It never was: nobody else will hear of it or reap it. */
static void
child_end(int pidfd)
{
    siginfo_t si;

    (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    while (waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED) < 0 && errno == EINTR)
        ;
}

/* Maps are the parent's to write: a child may map itself alone. It says first
 * that they can be, as a word of child_wait() that is no end. */
static int
give_range(const struct spawn *s, pid_t pid, int from_fd, int go_fd)
{
    int r;

    if (s->ids_count == 0)
        return 0;
    r = child_wait(from_fd);
    if (r == 0)
        r = idmap_child(pid, s->ids_first, s->ids_count);
    if (r < 0)
        return r;
    return write(go_fd, "", 1) == 1 ? 0 : -errno;
}

int
spawn_child(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd)
{
    const struct ids ids = {geteuid(), getegid()}; /* a new user namespace knows neither */
    _clean(clean_fd) int pidfd = -1, from = -1, to = -1, go_from = -1, go_to = -1;
    struct clone_args args = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                 CLONE_NEWCGROUP | CLONE_PIDFD | (s->own_userns ? CLONE_NEWUSER : 0) |
                 (s->into_cgroup ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = s->into_cgroup ? (unsigned)s->cgroup_fd : 0,
    };
    int p[2], go[2], r;
    pid_t pid;

    if (pipe2(p, O_CLOEXEC) < 0)
        return -errno;
    from = p[0];
    to = p[1];
    if (pipe2(go, O_CLOEXEC) < 0)
        return -errno;
    go_from = go[0];
    go_to = go[1];
    pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (pid < 0)
        return -errno;
    if (pid == 0)
        child_main(s, &ids, to, go_from);
    clean_fd(&to);
    r = give_range(s, pid, from, go_to);
    if (r == 0)
        r = child_wait(from);
    if (r < 0) {
        child_end(pidfd);
        return r;
    }
    *ret_pid = pid;
    *ret_pidfd = take_fd(&pidfd);
    return 0;
}

/* Where others' ids are lent too, groups can be dropped: those that nobody
 * lent stay out of reach of whatever is started from here on. */
static int
enter_lent(int ns)
{
    if (setns(ns, CLONE_NEWUSER) < 0 || unshare(CLONE_NEWNS) < 0)
        return -errno;
    return setgroups(0, NULL) < 0 ? -errno : 0;
}

int
spawn_enter_userns(int ns)
{
    const struct ids ids = {geteuid(), getegid()};
    int r;

    if (ns >= 0)
        r = enter_lent(ns);
    else if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        r = -errno;
    else
        r = idmap_self(ids.uid, ids.uid, ids.gid, ids.gid);
    if (r < 0)
        return r;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    return 0;
}
