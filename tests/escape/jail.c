/*
 * Both ends of a jail: the process inside and the test that looks at it.
 *
 * Runs in: tests/escape.   Trusts: nobody inside to end in time.
 * Owns: the fixture's directory and the jail that runs.
 */
#include "tests/escape/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/log.h"
#include "sandbox/share_mount.h"
#include "sandbox/subids.h"
#include "tests/escape/profiles.h"
#include "worker/sandbox.h"

#define PROBE "postern-probe" /* argv[0] of the process inside */
#define DEADLINE_MS 20000

struct fixture fx;

/* What the process inside says on fd 3. */
struct word {
    enum { SAYS_READY, SAYS_FAILED, SAYS_RESULT } kind;
    unsigned layers, abi;
    int error;
    char step[32];
    long value;
};

/* ---- inside ---------------------------------------------------------- */

static void
say(const struct word *w)
{
    /* exactly the call that the filters allow, and ipc/boot.c makes */
    if (syscall(SYS_sendto, BOOT_FD, w, sizeof(*w), MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0) < 0)
        _exit(EXIT_WORLD);
}

static void
load_fault(const struct fault *f)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    struct scmp_arg_cmp cmp = LONG_IS(f->at, f->arg);

    if (seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EIO), f->nr, f->has_arg, &cmp) != 0 ||
        seccomp_load(ctx) != 0)
        _exit(EXIT_WORLD);
    seccomp_release(ctx);
}

__attribute__((noreturn)) static void
give_up(int error, const char *step)
{
    struct word w = {.kind = SAYS_FAILED, .error = error};

    (void)snprintf(w.step, sizeof(w.step), "%s", step);
    say(&w);
    _exit(EXIT_SANDBOX);
}

static void *
idle_thread(void *arg)
{
    static uint32_t never;

    /* a thread that has not come this far still makes calls of its own */
    (void)pthread_barrier_wait(arg);
    (void)syscall(SYS_futex, &never, 128 /* FUTEX_WAIT_PRIVATE */, 0, NULL, NULL, 0);
    return NULL;
}

static void
make_threads(void)
{
    pthread_barrier_t started;
    pthread_t t;

    (void)pthread_barrier_init(&started, NULL, 3);
    for (int i = 0; i < 2; i++)
        if (pthread_create(&t, NULL, idle_thread, &started) != 0)
            _exit(EXIT_WORLD);
    (void)pthread_barrier_wait(&started);
}

/* The file is opened as the helper does it: pinned, then by its number. */
static int
open_file(int root)
{
    int fd = (int)syscall(SYS_openat, root, "file", O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    char name[4] = {(char)('0' + fd / 10), (char)('0' + fd % 10)};

    if (fd < 0 || fd > 99)
        _exit(EXIT_WORLD);
    return (int)syscall(SYS_openat, AT_FDCWD, fd > 9 ? name : name + 1,
                        O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
}

struct identity {
    uid_t uid;
    gid_t gid;
    bool rootless;
};

__attribute__((noreturn)) static void
probe(const struct order *o, const struct identity *id, const int *fds, size_t nfds)
{
    const int *events = fds + nfds - 2;
    struct inmate in = {.order = o, .root = -1, .file = -1, .wake = events[0], .spare = -1};
    struct sandbox_report rep;
    struct sandbox_profile p;
    struct word w = {.kind = SAYS_READY};
    char go;
    int r;

    profile_of(&p, o->kind, events, 2);
    p.mount_fd = nfds > 2 ? fds[0] : -1;
    in.spare = nfds > 3 ? fds[1] : -1;
    p.uid = id->uid;
    p.gid = id->gid;
    p.own_userns = id->rootless || o->kind == JAIL_MAP;
    p.best_effort = o->best_effort;
    p.protect = (const char *const[]){FIXTURE_PROTECT};
    p.nprotect = o->protect;
    sandbox_test_skip = o->skip;
    sandbox_test_landlock_abi = o->landlock_abi;
    if (o->fault.nr != 0)
        load_fault(&o->fault);
    r = sandbox_confine(&p, &rep);
    if (r < 0)
        give_up(r, rep.step);
    if (o->kind == JAIL_WORKER) /* its place, as the worker has it */
        in.wake = dup3(events[0], HELPER_FD_BASE, O_CLOEXEC);
    if (o->threads)
        make_threads();
    r = sandbox_seal(&p, &rep);
    if (r < 0)
        give_up(r, rep.step);
    w.layers = rep.layers;
    w.abi = rep.landlock_abi;
    say(&w);
    if (syscall(SYS_recvfrom, BOOT_FD, &go, 1, 0, NULL, NULL) != 1)
        syscall(SYS_exit_group, 0);
    in.root = rep.root_fd;
    if (in.root >= 0)
        in.file = open_file(in.root);
    w = (struct word){.kind = SAYS_RESULT, .value = attack(&in)};
    say(&w);
    syscall(SYS_exit_group, 0);
    __builtin_unreachable();
}

/* Whatever the broker had open and forgot to mark, a child has fd 3. */
static void
check_inherited(void)
{
    for (long fd = BOOT_FD + 1; fd < sysconf(_SC_OPEN_MAX); fd++)
        if (fcntl((int)fd, F_GETFD) >= 0)
            give_up(-EBADFD, "inherited fds");
}

void
jail_main(int argc, char **argv)
{
    struct {
        struct order order;
        struct identity id;
    } m;
    int fds[4];
    size_t nfds;

    if (argc != 1 || strcmp(argv[0], PROBE) != 0)
        return;
    check_inherited();
    if (fd_recv(BOOT_FD, &m, sizeof(m), fds, COUNT(fds), &nfds) != (ssize_t)sizeof(m) || nfds < 2)
        _exit(EXIT_WORLD);
    probe(&m.order, &m.id, fds, nfds);
}

/* ---- outside --------------------------------------------------------- */

static int
clone_share(const struct order *o)
{
    const struct share_mount m = {.read_only =
                                      o->kind == JAIL_RO && (o->skip & LAYER_SHARE_READ_ONLY) == 0};
    int fd = share_mount_clone(fx.share_fd, &m);

    assert_true(fd >= 0);
    return fd;
}

void
jail_start(struct jail *j, const struct order *o, int mount_fd)
{
    struct {
        struct order order;
        struct identity id;
    } m = {*o, {fx.uid, fx.gid, fx.rootless}};
    _clean(clean_fd) int exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    _clean(clean_fd) int mine = -1, spare = -1;
    struct spawn s = {.room = fx.room, .exe_fd = exe, .name = PROBE, .own_userns = fx.rootless};
    int sv[2], fds[4];
    size_t n = 0;

    if (o->kind == JAIL_MAP) {
        s.own_userns = true;
        s.ids_first = JAIL_MAP_FIRST;
        s.ids_count = JAIL_MAP_IDS;
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
    s.boot_fd = sv[1];
    j->sock = sv[0];
    assert_int_equal(spawn_child(&s, &j->pid, &j->pidfd), 0);
    close(sv[1]);
    if (mount_fd < 0 && o->kind != JAIL_WORKER)
        mine = clone_share(o);
    if (o->kind != JAIL_WORKER)
        fds[n++] = mount_fd < 0 ? mine : mount_fd;
    if (o->spare_mount) {
        spare = clone_share(o);
        fds[n++] = spare;
    }
    for (int i = 0; i < 2; i++)
        fds[n++] = j->wake[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_int_equal(fd_send(j->sock, &m, sizeof(m), fds, n), 0);
}

/* 1: a word; 0: it is gone. */
static int
hear(struct jail *j, struct word *w)
{
    struct pollfd p = {.fd = j->sock, .events = POLLIN};

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    return recv(j->sock, w, sizeof(*w), 0) == (ssize_t)sizeof(*w);
}

void
jail_ready(struct jail *j, struct outcome *out)
{
    struct word w;

    *out = (struct outcome){0};
    if (!hear(j, &w))
        return;
    out->ready = w.kind == SAYS_READY;
    out->layers = w.layers;
    out->abi = w.abi;
    out->error = w.error;
    memcpy(out->step, w.step, sizeof(out->step));
}

void
jail_end(struct jail *j, struct outcome *out)
{
    struct pollfd p = {.fd = j->pidfd, .events = POLLIN};
    struct word w;
    siginfo_t si;

    (void)send(j->sock, "", 1, MSG_NOSIGNAL);
    if (out->ready && hear(j, &w)) {
        out->survived = true;
        out->value = w.value;
    }
    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    assert_int_equal(waitid(P_PIDFD, (id_t)j->pidfd, &si, WEXITED), 0);
    out->code = si.si_code;
    out->status = si.si_status;
    close(j->sock);
    close(j->pidfd);
    close(j->wake[0]);
    close(j->wake[1]);
}

void
jail_run(const struct order *o, struct outcome *out)
{
    struct jail j;

    jail_start(&j, o, -1);
    jail_ready(&j, out);
    jail_end(&j, out);
}

int
outcome_verdict(const struct outcome *out)
{
    if (!out->ready)
        return NEVER_READY;
    if (out->survived)
        return out->value < 0 ? (int)-out->value : 0;
    if ((out->code == CLD_KILLED || out->code == CLD_DUMPED) && out->status == SIGSYS)
        return DIES;
    return DIES_OTHER;
}

const char *
verdict_name(int verdict)
{
    switch (verdict) {
    case 0:
        return "success";
    case DIES:
        return "SIGSYS";
    case DIES_OTHER:
        return "another death";
    case NEVER_READY:
        return "no sandbox";
    default:
        return strerrorname_np(verdict);
    }
}

/* ---- the host's files -------------------------------------------------- */

static void
put(int dir, const char *name, const char *text, mode_t mode)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void
put_socket(void)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* listens until the process ends */

    (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/sock", fx.share);
    assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(chmod(sa.sun_path, 0777), 0);
    assert_int_equal(listen(fd, 64), 0);
}

static void
put_files(int dir)
{
    put(dir, "file", "content\n", 0644);
    put(dir, "victim", "content\n", 0644);
    put(dir, "prog", "#!/bin/sh\n", 0755);
    assert_int_equal(mkdirat(dir, "dir", 0755), 0);
    assert_int_equal(mkdirat(dir, "empty", 0755), 0);
    assert_int_equal(mkdirat(dir, "deep", 0755), 0);
    assert_int_equal(mkdirat(dir, FIXTURE_PROTECT, 0755), 0);
    put(dir, FIXTURE_PROTECT "/file", "content\n", 0644);
    assert_int_equal(symlinkat("/etc/passwd", dir, "link-file"), 0);
    assert_int_equal(symlinkat("/etc", dir, "link-dir"), 0);
    assert_int_equal(mkfifoat(dir, "fifo", 0666), 0);
    if (!fx.rootless)
        assert_int_equal(mknodat(dir, "null", S_IFCHR | 0666, makedev(1, 3)), 0);
}

static void
give(const char *path)
{
    char cmd[160];

    (void)snprintf(cmd, sizeof(cmd), "chown -hR %u:%u %s", fx.uid, fx.gid, path);
    assert_int_equal(system(cmd), 0); /* NOLINT: fixed text */
}

void
fixture_make(void)
{
    struct stat st;
    size_t at;
    int dir;

    (void)umask(0);
    (void)snprintf(fx.base, sizeof(fx.base), "/tmp/postern-escape-XXXXXX");
    assert_non_null(mkdtemp(fx.base));
    assert_int_equal(chmod(fx.base, 0755), 0);
    (void)snprintf(fx.share, sizeof(fx.share), "%s/share", fx.base);
    assert_int_equal(mkdir(fx.share, 0755), 0);
    dir = open(fx.share, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(dir >= 0);
    put_files(dir);
    put_socket();
    close(dir);
    if (!fx.rootless)
        give(fx.share);
    fx.share_fd = share_root_open(fx.share, SUBMOUNTS_REFUSE, &st, &at);
    assert_true(fx.share_fd >= 0);
}

void
fixture_remove(void)
{
    char cmd[96];

    close(fx.share_fd);
    (void)snprintf(cmd, sizeof(cmd), "rm -rf %s", fx.base);
    assert_int_equal(system(cmd), 0); /* NOLINT: fixed text */
}

/* ---- as root and as anybody -------------------------------------------- */

static int
run_here(const char *name, const struct CMUnitTest *tests, size_t n)
{
    int failed;

    fixture_make();
    failed = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
    fixture_remove();
    return failed;
}

static int
run_rootless(const char *name, const struct CMUnitTest *tests, size_t n)
{
    char title[96];
    int r;

    fx = (struct fixture){.uid = getuid(), .gid = getgid(), .rootless = true};
    r = spawn_enter_userns(-1);
    if (r < 0) {
        printf("SKIP: no user namespace for an ordinary user: %s\n", strerror(-r));
        return 0;
    }
    (void)snprintf(title, sizeof(title), "%s, rootless", name);
    return run_here(title, tests, n);
}

static void
become_ordinary(void)
{
    if (setgroups(0, NULL) < 0 || setresgid(JAIL_UID, JAIL_UID, JAIL_UID) < 0 ||
        setresuid(JAIL_UID, JAIL_UID, JAIL_UID) < 0)
        _exit(EXIT_WORLD);
    /* as a program that such a user started */
    (void)prctl(PR_SET_DUMPABLE, 1);
}

void
become_lent(void)
{
    const struct id_range range = {JAIL_MAP_FIRST, JAIL_MAP_IDS};
    struct subids_report rep;
    struct stat st;
    size_t at;
    int ns;

    become_ordinary();
    ns = subids_userns(&range, 1, &rep);
    assert_true(ns >= 0);
    assert_int_equal(spawn_enter_userns(ns), 0);
    close(ns);
    close(fx.share_fd); /* of the mount namespace that was left */
    fx.share_fd = share_root_open(fx.share, SUBMOUNTS_REFUSE, &st, &at);
    assert_true(fx.share_fd >= 0);
}

int
run_both_ways(const char *name, const struct CMUnitTest *tests, size_t n)
{
    int failed, status;
    pid_t pid;

    if (geteuid() != 0) {
        printf("SKIP: the root half of %s needs root\n", name);
        return run_rootless(name, tests, n);
    }
    fx = (struct fixture){.uid = JAIL_UID, .gid = JAIL_UID};
    failed = run_here(name, tests, n);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        become_ordinary();
        exit(run_rootless(name, tests, n));
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return failed + 1;
    return failed + WEXITSTATUS(status);
}
