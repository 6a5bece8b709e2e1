/*
 * What a process carries with it besides files and ids: signals, namespaces,
 * standard fds, limits, the no-new-privs family of switches.
 *
 * Runs in: worker, helper.   Trusts: the broker, its parent.
 * Owns: nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "sandbox/steps.h"

#ifndef PR_SET_MDWE /* Linux 6.3 */
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

/* exec keeps what was ignored or blocked. glibc hides the two signals that it
 * uses itself, which never are: EINVAL. */
static int
signals_default(void)
{
    const struct sigaction dfl = {.sa_handler = SIG_DFL};
    const struct sigaction ign = {.sa_handler = SIG_IGN};
    sigset_t none;

    for (int s = 1; s < _NSIG; s++) {
        /* a full disk quota or a peer that left is an errno, not a death */
        const struct sigaction *sa = s == SIGPIPE || s == SIGXFSZ ? &ign : &dfl;

        if (s == SIGKILL || s == SIGSTOP)
            continue;
        if (sigaction(s, sa, NULL) < 0 && errno != EINVAL)
            return -errno;
    }
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        return -errno;
    return 0;
}

int
step_signals(struct confine *c)
{
    int r;

    (void)umask(0); /* modes come from requests, masked where they are checked */
    r = signals_default();
    if (r < 0)
        return r;
    /* The broker may be gone already: then the boot socket says so. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    /* execveat(2) left a number as the name that ps(1) and the kernel's log show */
    if (prctl(PR_SET_NAME, c->p->name) < 0)
        return -errno;
    return 0;
}

/* Just so many numbers on one line. */
static bool
take_numbers(const char *text, unsigned long *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *end;

        v[i] = strtoul(text, &end, 10);
        if (end == text)
            return false;
        text = end;
    }
    return strcmp(text, "\n") == 0;
}

/* The map of a user namespace of our own: one line "inside outside count". A
 * range begins at 0. */
static int
check_id_map(const char *path, uint32_t ids)
{
    enum { INSIDE, OUTSIDE, COUNT, NUMBERS };
    _clean(clean_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned long v[NUMBERS];
    char text[256];
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, text, sizeof(text) - 1);
    if (n < 0)
        return -errno;
    text[n] = '\0';
    if (!take_numbers(text, v, NUMBERS))
        return -EPERM;
    if (ids == 0)
        return v[COUNT] == 1 ? 0 : -EPERM;
    return v[COUNT] == ids && v[INSIDE] == 0 ? 0 : -EPERM;
}

/*
 * Process 1 and without a visible parent: the pid namespace is ours, and the
 * broker asks for all of them in one call. Without this test a wrong caller
 * would take away the mounts of the whole host.
 */
int
step_namespaces(struct confine *c)
{
    int r;

    if (getpid() != 1 || getppid() != 0)
        return -EPERM;
    if (!c->p->own_userns)
        return 0;
    r = check_id_map("/proc/self/uid_map", c->p->ids);
    if (r < 0)
        return r;
    return check_id_map("/proc/self/gid_map", c->p->ids);
}

/* stdin, stdout and stderr are numbers that others may not get: an O_PATH fd
 * can be neither read nor written. */
int
step_stdio(struct confine *c)
{
    _clean(clean_fd) int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)c;
    if (fd < 0)
        return -errno;
    for (int i = 0; i < 3; i++)
        if (dup3(fd, i, O_CLOEXEC) < 0)
            return -errno;
    return 0;
}

static int
limit(enum __rlimit_resource what, rlim_t n)
{
    struct rlimit rl;

    if (getrlimit(what, &rl) < 0)
        return -errno;
    if (n < rl.rlim_max) /* more than the hard limit is not ours to have */
        rl.rlim_max = n;
    rl.rlim_cur = rl.rlim_max;
    if (setrlimit(what, &rl) < 0)
        return -errno;
    return 0;
}

int
step_limits(struct confine *c)
{
    const struct {
        enum __rlimit_resource what;
        rlim_t n;
    } limits[] = {
        {RLIMIT_CORE, 0},   {RLIMIT_MEMLOCK, 0},           {RLIMIT_MSGQUEUE, 0},
        {RLIMIT_RTPRIO, 0}, {RLIMIT_STACK, 1024 * 1024},   {RLIMIT_SIGPENDING, 64},
        {RLIMIT_LOCKS, 0},  {RLIMIT_NOFILE, c->p->nofile}, {RLIMIT_FSIZE, c->p->file_size},
    };

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        int r = limit(limits[i].what, limits[i].n);

        if (r < 0)
            return r;
    }
    return 0;
}

int
step_no_new_privs(struct confine *c)
{
    (void)c;
    /* the change of ids took it away */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return -errno;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        return -errno;
    /* since Linux 6.3; the filter's tests of mmap and mprotect say the same */
    (void)prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
    return 0;
}
