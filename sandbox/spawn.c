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
#include <poll.h>
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

/* What has a place in struct spawn_room. */
enum { FD_EXE, FD_BOOT, FD_REPORT, FD_GO };

struct ids {
    uid_t uid;
    gid_t gid;
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
child_range(int go_fd)
{
    char go;

    if (read(go_fd, &go, 1) != 1)
        return -ECANCELED;
    if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
        return -errno;
    return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? -errno : 0; /* the change took it away */
}

/*
 * Until here the table of fds is the parent's: nothing may be opened or
 * closed. Only what lies below the end of the room is copied, however many
 * others there are, and exec has that much less to close.
 */
static int
child_table(const struct spawn_room *room)
{
    int end = 0;

    for (size_t i = 0; i < SPAWN_ROOM; i++)
        end = room->at[i] >= end ? room->at[i] + 1 : end;
    return close_range((unsigned)end, ~0u, CLOSE_RANGE_UNSHARE) < 0 ? -errno : 0;
}

/* The first word: the parent may take back the room, and write maps. */
static int
child_begins(const struct spawn *s, int report_fd)
{
    const int begun = 0;

    /* The /proc directory of a process that is not dumpable belongs to
     * root: nobody else could write its maps. This is the child's copy;
     * exec sets it anyway, and the sandbox clears it. */
    if (s->own_userns && prctl(PR_SET_DUMPABLE, 1) < 0)
        return -errno;
    return write(report_fd, &begun, sizeof(begun)) < 0 ? -errno : 0;
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
child_exec(const struct spawn *s, const struct ids *ids)
{
    const int *fds = s->room->at;
    char *const env[] = {NULL};
    const char *argv[] = {s->name, NULL};
    int r;

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    r = child_table(s->room);
    if (r == 0)
        r = child_begins(s, fds[FD_REPORT]);
    if (r == 0 && s->own_userns)
        r = s->ids_count != 0 ? child_range(fds[FD_GO]) : child_userns(ids);
    if (r == 0)
        r = child_stdio(fds[FD_BOOT]);
    if (r < 0)
        return r;
    (void)syscall(SYS_execveat, fds[FD_EXE], "", argv, env, AT_EMPTY_PATH);
    return -errno;
}

__attribute__((noreturn)) static void
child_main(const struct spawn *s, const struct ids *ids)
{
    int r = child_exec(s, ids);

    (void)!write(s->room->at[FD_REPORT], &r, sizeof(r));
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

/* While the other end of the pipe is in the room too, its death does not show
 * there. */
static int
child_begun(int fd, int pidfd)
{
    struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
    int n;

    do
        n = poll(p, sizeof(p) / sizeof(p[0]), -1);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (p[0].revents & POLLIN) != 0 ? child_wait(fd) : -EIO;
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

int
spawn_room_init(struct spawn_room *room)
{
    _clean(clean_fd) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int r = null < 0 ? -errno : 0;

    for (size_t i = 0; i < SPAWN_ROOM; i++) {
        room->at[i] = r < 0 ? -1 : fcntl(null, F_DUPFD_CLOEXEC, FD_HIGH);
        if (r == 0 && room->at[i] < 0)
            r = -errno;
    }
    if (r < 0)
        spawn_room_done(room);
    return r;
}

void
spawn_room_done(struct spawn_room *room)
{
    for (size_t i = 0; i < SPAWN_ROOM; i++)
        clean_fd(&room->at[i]);
}

static int
room_fill(const struct spawn_room *room, const int fds[SPAWN_ROOM])
{
    for (size_t i = 0; i < SPAWN_ROOM; i++)
        if (dup3(fds[i], room->at[i], O_CLOEXEC) < 0)
            return -errno;
    return 0;
}

/* Maps are the parent's to write: a child may map itself alone. */
static int
give_range(const struct spawn *s, pid_t pid, int go_fd)
{
    int r;

    if (s->ids_count == 0)
        return 0;
    r = idmap_child(pid, s->ids_first, s->ids_count);
    if (r < 0)
        return r;
    return write(go_fd, "", 1) == 1 ? 0 : -errno;
}

static int
clone_child(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd)
{
    const struct ids ids = {geteuid(), getegid()}; /* a new user namespace knows neither */
    struct clone_args args = {
        .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
                 CLONE_NEWCGROUP | CLONE_PIDFD | CLONE_FILES | (s->own_userns ? CLONE_NEWUSER : 0) |
                 (s->into_cgroup ? CLONE_INTO_CGROUP : 0),
        .pidfd = (uintptr_t)ret_pidfd,
        .exit_signal = SIGCHLD,
        .cgroup = s->into_cgroup ? (unsigned)s->cgroup_fd : 0,
    };

    *ret_pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
    if (*ret_pid == 0)
        child_main(s, &ids);
    return *ret_pid < 0 ? -errno : 0;
}

static int
spawn_in_room(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd)
{
    _clean(clean_fd) int pidfd = -1, from = -1, to = -1, go_from = -1, go_to = -1;
    int p[2], go[2], r, emptied;

    if (pipe2(p, O_CLOEXEC) < 0)
        return -errno;
    from = p[0];
    to = p[1];
    if (pipe2(go, O_CLOEXEC) < 0)
        return -errno;
    go_from = go[0];
    go_to = go[1];
    r = room_fill(s->room, (const int[]){s->exe_fd, s->boot_fd, to, go_from});
    clean_fd(&to);
    clean_fd(&go_from);
    if (r == 0)
        r = clone_child(s, ret_pid, &pidfd);
    if (r == 0)
        r = child_begun(from, pidfd);
    /* nothing stays there but the binary, which the caller has open anyway */
    emptied = room_fill(s->room, (const int[]){s->exe_fd, s->exe_fd, s->exe_fd, s->exe_fd});
    if (r == 0)
        r = emptied;
    if (r == 0)
        r = give_range(s, *ret_pid, go_to);
    if (r == 0)
        r = child_wait(from);
    if (r < 0 && pidfd >= 0)
        child_end(pidfd);
    if (r == 0)
        *ret_pidfd = take_fd(&pidfd);
    return r;
}

int
spawn_child(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd)
{
    struct spawn with = *s;
    struct spawn_room room;
    int r;

    if (s->room != NULL)
        return spawn_in_room(s, ret_pid, ret_pidfd);
    r = spawn_room_init(&room);
    if (r < 0)
        return r;
    with.room = &room;
    r = spawn_in_room(&with, ret_pid, ret_pidfd);
    spawn_room_done(&room);
    return r;
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
