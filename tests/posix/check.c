/*
 * The checks of the conformance suite, other identities, and what claims make
 * and look at.
 *
 * Runs in: tests, in the process of a claim.   Trusts: the claims.
 * Owns: nothing but the working directory of the claim.
 */
#include "tests/posix/posix.h"

#include "tests/posix/report.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

struct who alice, bob, carol, dave;
char *volatile nowhere = (char *)8;

static const char *
base(const char *file)
{
    const char *slash = strrchr(file, '/');

    return slash == NULL ? file : slash + 1;
}

static const char *
error_name(int error)
{
    const char *name = error == 0 ? "success" : strerrorname_np(error);

    return name == NULL ? "an unknown error" : name;
}

long long
check_ok(const char *file, int line, const char *what, long long r)
{
    if (r == -1)
        report_failure("%s:%d: %s: %s, expected success", base(file), line, what,
                       error_name(errno));
    return r;
}

void
check_fails(const char *file, int line, const char *what, long long r, int want)
{
    int error = errno;

    if (r != -1)
        report_failure("%s:%d: %s: %lld, expected %s", base(file), line, what, r, error_name(want));
    if (error != want)
        report_failure("%s:%d: %s: %s, expected %s", base(file), line, what, error_name(error),
                       error_name(want));
}

bool
check_gives(const char *file, int line, const char *what, long long r, int want)
{
    if (want == 0)
        check_ok(file, line, what, r);
    else
        check_fails(file, line, what, r, want);
    return want == 0;
}

void
check_eq(const char *file, int line, const char *what, long long got, long long want)
{
    if (got != want)
        report_failure("%s:%d: %s: %lld, expected %lld", base(file), line, what, got, want);
}

void
check_octal(const char *file, int line, const char *what, unsigned got, unsigned want)
{
    if (got != want)
        report_failure("%s:%d: %s: %04o, expected %04o", base(file), line, what, got, want);
}

void
check_true(const char *file, int line, const char *what, bool holds)
{
    if (!holds)
        report_failure("%s:%d: not so: %s", base(file), line, what);
}

void
check_time(const char *file, int line, const char *what, struct timespec got, struct timespec want)
{
    if (!same_time(got, want))
        report_failure("%s:%d: %s: %lld.%09ld, expected %lld.%09ld", base(file), line, what,
                       (long long)got.tv_sec, got.tv_nsec, (long long)want.tv_sec, want.tv_nsec);
}

void
check_needs(bool there, const char *what)
{
    if (!there)
        report_lack(what);
}

void
check_holds(const char *file, int line, const char *path, const char *text)
{
    char got[4096];
    int fd = open(path, O_RDONLY);
    ssize_t n;

    check_ok(file, line, path, fd);
    n = read(fd, got, sizeof(got) - 1);
    check_ok(file, line, path, n);
    got[n] = '\0';
    if ((size_t)n != strlen(text) || memcmp(got, text, (size_t)n) != 0)
        report_failure("%s:%d: content of %s: \"%.60s\", expected \"%.60s\"", base(file), line,
                       path, got, text);
    OK(close(fd));
}

// --- other identities ---------------------------------------------------------

pid_t
as_begin(const struct who *who)
{
    pid_t pid = fork();

    OK(pid);
    if (pid == 0 && who != NULL) {
        OK(setgroups(who->also == 0 ? 0 : 1, &who->also));
        OK(setresgid(who->gid, who->gid, who->gid));
        OK(setresuid(who->uid, who->uid, who->uid));
    }
    return pid;
}

bool
as_wait(pid_t pid)
{
    int status;

    OK(waitpid(pid, &status, 0));
    if (WIFSIGNALED(status))
        report_failure("a child ended by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        _exit(WEXITSTATUS(status)); /* it has reported */
    return false;
}

_Noreturn void
as_end(void)
{
    _exit(0);
}

// --- making and looking ---------------------------------------------------------

int
fd_of(const char *path, int flags)
{
    int fd = open(path, flags, 0644);

    if (fd < 0)
        report_failure("open %.80s: %s, expected success", path, error_name(errno));
    return fd;
}

void
file_new(const char *path, mode_t mode)
{
    OK(close(fd_of(path, O_CREAT | O_EXCL | O_WRONLY)));
    OK(chmod(path, mode));
}

void
file_with(const char *path, const char *text)
{
    int fd = fd_of(path, O_CREAT | O_TRUNC | O_WRONLY);
    size_t n = strlen(text);

    EQ(write(fd, text, n), n);
    OK(close(fd));
}

void
dir_new(const char *path, mode_t mode)
{
    OK(mkdir(path, 0700));
    OK(chmod(path, mode));
}

void
give(const char *path, const struct who *to)
{
    OK(lchown(path, to->uid, to->gid));
}

struct stat
st_of(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        report_failure("lstat %.80s: %s, expected success", path, error_name(errno));
    return st;
}

struct stat
st_fd(int fd)
{
    struct stat st;

    OK(fstat(fd, &st));
    return st;
}

mode_t
mode_of(const char *path)
{
    return st_of(path).st_mode & 07777;
}

bool
exists(const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0)
        return true;
    if (errno != ENOENT)
        report_failure("lstat %.80s: %s, expected success or ENOENT", path, error_name(errno));
    return false;
}

DIR *
dir_of(const char *path)
{
    DIR *d = opendir(path);

    if (d == NULL)
        report_failure("opendir %.80s: %s, expected success", path, error_name(errno));
    return d;
}

void *
memory(size_t n)
{
    void *p = calloc(1, n);

    if (p == NULL)
        report_failure("no memory");
    return p;
}

char *
repeat(char c, size_t n)
{
    char *s = memory(n + 1);

    memset(s, c, n);
    return s;
}

bool
later(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec > b.tv_sec : a.tv_nsec > b.tv_nsec;
}

bool
same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* A file system stamps with a clock of its own, which moves in steps: this one asks it. */
void
tick(void)
{
    struct timespec first = {0}, pause = {.tv_nsec = 1000000};

    for (int n = 0; n < 10000; n++) {
        struct timespec now;
        int fd = fd_of("../tick", O_CREAT | O_WRONLY);

        EQ(write(fd, "x", 1), 1);
        OK(fchmod(fd, n % 2 == 0 ? 0600 : 0644));
        OK(close(fd));
        now = st_of("../tick").st_ctim;
        if (n == 0)
            first = now;
        else if (later(now, first))
            return;
        nanosleep(&pause, NULL);
    }
    report_failure("the clock of the file system stands still");
}

static void
make_socket(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    OK(fd);
    TRUE(strlen(name) < sizeof(address.sun_path));
    memcpy(address.sun_path, name, strlen(name));
    OK(bind(fd, (struct sockaddr *)&address, sizeof(address)));
    OK(close(fd));
}

/* A FULL directory holds "in"; links lead to NAME.to. */
void
make(const char *name, enum kind kind)
{
    char to[300];

    snprintf(to, sizeof(to), "%s.to", name);
    if (kind == K_FILE)
        file_with(name, "text");
    if (kind == K_DIR || kind == K_FULL)
        OK(mkdir(name, 0755));
    if (kind == K_FULL) {
        snprintf(to, sizeof(to), "%s/in", name);
        file_with(to, "inner");
    }
    if (kind == K_LINK)
        file_with(to, "text");
    if (kind == K_DIRLINK)
        OK(mkdir(to, 0755));
    if (kind == K_LINK || kind == K_DIRLINK || kind == K_DANGLING)
        OK(symlink(to, name));
    if (kind == K_LOOP)
        OK(symlink(name, name));
    if (kind == K_FIFO)
        OK(mkfifo(name, 0644));
    if (kind == K_SOCKET)
        make_socket(name);
}
