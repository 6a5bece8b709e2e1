/*
 * A real posternd for tests; see server.h.
 *
 * Runs in: tests.   Trusts: nobody; every wait is bounded.
 * Owns: the temporary directory and the posternd it started.
 */
#include "tests/lib/server.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/limits.h"
#include "tests/lib/test.h"

#define PATIENCE_MS 15000u
#define BREATH_MS 10u
#define CHILDREN_MAX 64
#define TEXT_ROOM 65536
#define PASS_MAX 8
#define PATHS 64

static const char policy[] = "tenant \"t\" {\n"
                             "    listen \"unix:@/sock\" { protocol = 9p }\n"
                             "    share \"ro\" { path = \"@/ro\" access = read-only }\n"
                             "    share \"rw\" { path = \"@/rw\" access = read-write }\n"
                             "}\n";

bool
server_patience(unsigned *left)
{
    const struct timespec breath = {.tv_nsec = BREATH_MS * 1000000L};

    if (*left == 0)
        *left = PATIENCE_MS / BREATH_MS;
    else if (--*left == 0)
        return false;
    nanosleep(&breath, NULL);
    return true;
}

bool
server_needs_root(void)
{
    if (geteuid() == 0)
        return false;
    puts("SKIP: needs root");
    return true;
}

/* --- the directory -------------------------------------------------------------- */

/* The same path is always the same string: who asks for one again and again
 * while it waits takes nobody else's away. */
const char *
server_path(const struct server *s, const char *name)
{
    static char path[PATHS][512];
    static unsigned at;
    char p[sizeof(path[0])];

    assert_true(snprintf(p, sizeof(p), "%s/%s", s->dir, name) < (int)sizeof(p));
    for (unsigned i = 0; i < PATHS; i++)
        if (strcmp(path[i], p) == 0)
            return path[i];
    at = (at + 1) % PATHS;
    memcpy(path[at], p, sizeof(p));
    return path[at];
}

void
server_file(const struct server *s, const char *name, const char *text)
{
    FILE *f = fopen(server_path(s, name), "we");

    assert_non_null(f);
    for (; *text != '\0'; text++)
        if (*text == '@')
            fputs(s->dir, f);
        else
            fputc(*text, f);
    assert_int_equal(fclose(f), 0);
}

const char *
server_text(const struct server *s, const char *name)
{
    static char text[TEXT_ROOM];
    FILE *f = fopen(server_path(s, name), "re");
    size_t n = 0;

    if (f != NULL) {
        n = fread(text, 1, sizeof(text) - 1, f);
        fclose(f);
    }
    text[n] = '\0';
    return text;
}

static void
give(const struct server *s, const char *name, unsigned id)
{
    if (geteuid() == 0)
        assert_int_equal(lchown(server_path(s, name), id, id), 0);
}

void
server_install(const struct server *s, const char *from, const char *name)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    int out = open(server_path(s, name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    struct stat st;

    assert_true(in >= 0);
    assert_true(out >= 0);
    assert_int_equal(fstat(in, &st), 0);
    while (st.st_size > 0) {
        ssize_t n = sendfile(out, in, NULL, (size_t)st.st_size);

        assert_true(n > 0);
        st.st_size -= n;
    }
    close(in);
    close(out);
}

void
server_install_ours(struct server *s, const char *name)
{
    char from[sizeof(s->bin) + 32];

    (void)snprintf(from, sizeof(from), "%s/%s", s->bin, name);
    server_install(s, from, name);
}

/* The build directory may be closed to SERVER_USER. */
static void
copy_programs(struct server *s)
{
    server_install_ours(s, "posternd");
    server_install_ours(s, "postern-worker");
    server_install_ours(s, "postern-helper");
    server_install_ours(s, "postern");
    (void)snprintf(s->bin, sizeof(s->bin), "%s", s->dir);
}

static void
tree_make(struct server *s)
{
    assert_int_equal(chmod(s->dir, 0755), 0);
    assert_int_equal(mkdir(server_path(s, "ro"), 0755), 0);
    assert_int_equal(mkdir(server_path(s, "ro/sub"), 0755), 0);
    assert_int_equal(mkdir(server_path(s, "rw"), 0755), 0);
    assert_int_equal(symlink("hello.txt", server_path(s, "ro/link")), 0);
    server_file(s, "ro/hello.txt", SERVER_HELLO);
    server_file(s, "policy.conf", policy);
    give(s, "rw", s->as_user ? SERVER_USER : SERVER_OWNER);
}

void
server_init(struct server *s, bool as_user)
{
    const char *bin = getenv("POSTERN_BIN");

    *s = (struct server){.as_user = as_user, .inherit_fd = -1, .pid = -1};
    assert_non_null(bin);
    assert_non_null(realpath(bin, s->bin));
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/postern-test-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->address, sizeof(s->address), "unix:%s/sock", s->dir);
    umask(022);
    tree_make(s);
    if (as_user) {
        copy_programs(s);
        give(s, "", SERVER_USER);
        give(s, "policy.conf", SERVER_USER);
    }
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

void
server_done(struct server *s)
{
    if (s->pid > 0)
        (void)server_stop(s, SIGKILL);
    (void)nftw(s->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- running ---------------------------------------------------------------------- */

static void
become_user(gid_t group)
{
    if (geteuid() == 0 && (setgroups(group != 0, &group) < 0 ||
                           setresgid(SERVER_USER, SERVER_USER, SERVER_USER) < 0 ||
                           setresuid(SERVER_USER, SERVER_USER, SERVER_USER) < 0))
        _exit(126);
}

static void
output_to(const struct server *s, const char *name, int fd)
{
    int file = open(server_path(s, name), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0644);

    if (file < 0 || dup2(file, fd) < 0)
        _exit(126);
    close(file);
}

/* sd_listen_fds(3), the other side of it. */
static void
pass_sockets(const struct server *s)
{
    char text[16];
    int high[PASS_MAX];

    for (size_t i = 0; i < s->npass && i < PASS_MAX; i++)
        high[i] = fcntl(s->pass_fds[i], F_DUPFD_CLOEXEC, 64);
    for (size_t i = 0; i < s->npass && i < PASS_MAX; i++)
        if (dup2(high[i], 3 + (int)i) < 0)
            _exit(126);
    (void)snprintf(text, sizeof(text), "%zu", s->npass);
    (void)setenv("LISTEN_FDS", text, 1);
    (void)snprintf(text, sizeof(text), "%d", s->pass_to_another ? 1 : getpid());
    (void)setenv("LISTEN_PID", text, 1);
    (void)setenv("LISTEN_FDNAMES", s->pass_names, 1);
}

__attribute__((noreturn)) static void
child_main(const struct server *s, const char *program, const char *const *args)
{
    char path[4200];
    const char *argv[16] = {program};
    size_t n = 1;

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that dies leaves nothing */
    (void)snprintf(path, sizeof(path), "%s/%s", s->bin, program);
    while (args != NULL && args[n - 1] != NULL && n < 15) {
        argv[n] = args[n - 1];
        n++;
    }
    output_to(s, "out", STDOUT_FILENO);
    output_to(s, "err", STDERR_FILENO);
    if (s->inherit_fd >= 0 && fcntl(s->inherit_fd, F_SETFD, 0) < 0)
        _exit(126);
    if (s->pass_names != NULL)
        pass_sockets(s);
    if (s->as_user)
        become_user(s->group);
    execv(path, (char *const *)(uintptr_t)argv);
    _exit(126);
}

static pid_t
start(const struct server *s, const char *program, const char *const *args)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        child_main(s, program, args);
    return pid;
}

static int
await_end(const struct server *s, pid_t pid)
{
    unsigned left = 0;
    int status = 0;

    while (server_patience(&left))
        if (waitpid(pid, &status, WNOHANG) == pid)
            return status;
    kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
    fail_msg("pid %d did not end; it said:\n%s", pid, server_text(s, "err"));
    return -1;
}

int
server_run(struct server *s, const char *program, const char *const *args)
{
    int status = await_end(s, start(s, program, args));

    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void
server_start(struct server *s, const char *const *args)
{
    const char *const usual[] = {server_path(s, "policy.conf"), NULL};
    unsigned left = 0;
    int status;

    (void)unlink(server_path(s, "out"));
    s->pid = start(s, "posternd", args != NULL ? args : usual);
    while (server_patience(&left)) {
        if (strstr(server_text(s, "out"), "Ctrl-C ends") != NULL)
            return;
        if (waitpid(s->pid, &status, WNOHANG) == s->pid) {
            s->pid = -1;
            break;
        }
    }
    fail_msg("posternd does not serve; it said:\n%s", server_text(s, "err"));
}

int
server_stop(struct server *s, int sig)
{
    pid_t pid = s->pid;

    s->pid = -1;
    if (sig != 0)
        assert_int_equal(kill(pid, sig), 0);
    return await_end(s, pid);
}

/* --- watching ---------------------------------------------------------------------- */

static size_t
proc_text(pid_t pid, const char *name, char *buf, size_t room)
{
    char path[64];
    size_t n = 0;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    f = fopen(path, "re");
    if (f != NULL) {
        n = fread(buf, 1, room - 1, f);
        fclose(f);
    }
    buf[n] = '\0';
    return n;
}

static pid_t
parent_of(pid_t pid)
{
    char buf[1024];
    const char *p;

    (void)proc_text(pid, "stat", buf, sizeof(buf));
    p = strrchr(buf, ')'); /* the name before it may hold anything */
    return p == NULL || p[1] == '\0' || p[2] == 'Z' ? -1 : (pid_t)strtol(p + 3, NULL, 10);
}

/* In the order they were started: counted from their parent's pid, because
 * the kernel begins again from below when it has given out the last. */
static int
by_start(const void *a, const void *b, void *parent)
{
    const struct server_child *x = a, *y = b;
    const pid_t *from = parent;
    const uint32_t i = (uint32_t)x->pid - (uint32_t)*from, j = (uint32_t)y->pid - (uint32_t)*from;

    return i < j ? -1 : i > j;
}

size_t
server_children(const struct server *s, struct server_child *v, size_t room)
{
    DIR *d = opendir("/proc");
    const struct dirent *e;
    pid_t parent = s->pid;
    size_t n = 0;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        char name[64];

        if (pid <= 0 || parent_of(pid) != parent || n == room)
            continue;
        (void)proc_text(pid, "cmdline", name, sizeof(name));
        v[n++] = (struct server_child){.pid = pid,
                                       .worker = strcmp(name, "postern-worker") == 0,
                                       .helper = strcmp(name, "postern-helper") == 0};
    }
    closedir(d);
    qsort_r(v, n, sizeof(*v), by_start, &parent);
    return n;
}

void
server_await_children(const struct server *s, size_t n)
{
    struct server_child v[CHILDREN_MAX];
    unsigned left = 0;

    while (server_patience(&left))
        if (server_children(s, v, CHILDREN_MAX) == n)
            return;
    fail_msg("there are not %zu children; posternd said:\n%s", n, server_text(s, "err"));
}

void
server_await_log(const struct server *s, const char *text)
{
    unsigned left = 0;

    while (server_patience(&left))
        if (strstr(server_text(s, "err"), text) != NULL)
            return;
    fail_msg("\"%s\" is not in:\n%s", text, server_text(s, "err"));
}

void
server_await_gone(pid_t pid)
{
    unsigned left = 0;

    while (server_patience(&left))
        if (parent_of(pid) < 0) /* gone, or a zombie that is not ours to reap */
            return;
    fail_msg("pid %d is still there", pid);
}

const char *
server_status(pid_t pid, const char *key)
{
    static char line[256];
    char path[64];
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
    f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            break;
    fclose(f);
    return line;
}

void
server_assert_sealed(pid_t pid)
{
    static const char *const lines[] = {
        "CapInh:\t0000000000000000\n",
        "CapPrm:\t0000000000000000\n",
        "CapEff:\t0000000000000000\n",
        "CapBnd:\t0000000000000000\n",
        "CapAmb:\t0000000000000000\n",
        "NoNewPrivs:\t1\n",
        "Seccomp:\t2\n",
    };

    for (size_t i = 0; i < COUNT(lines); i++) {
        char key[16] = "";

        memcpy(key, lines[i], strcspn(lines[i], "\t"));
        assert_string_equal(server_status(pid, key), lines[i]);
    }
}

size_t
server_fds(pid_t pid)
{
    char path[64];
    size_t n = 0;
    DIR *d;

    (void)snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    d = opendir(path);
    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n - 2;
}

void
server_await_fds(pid_t pid, size_t n)
{
    unsigned left = 0;

    while (server_patience(&left))
        if (server_fds(pid) == n)
            return;
    assert_int_equal(server_fds(pid), n);
}

struct nc *
server_connect(const struct server *s)
{
    const struct timeval most = {.tv_sec = PATIENCE_MS / 1000};
    struct nc *c = NULL;

    assert_int_equal(nc_connect(s->address, &c), 0);
    /* a server that does not answer fails the test and does not hold it up */
    assert_int_equal(setsockopt(nc_fd(c), SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)), 0);
    assert_int_equal(nc_version(c, MSIZE_MAX, "9P2000.L"), 0);
    return c;
}

struct nc *
server_attach(const struct server *s, const char *share)
{
    struct nc *c = server_connect(s);

    assert_int_equal(nc_attach(c, 0, "", share, 0), 0);
    return c;
}

int
server_try_attach(const struct server *s, const char *share)
{
    struct nc *c = server_connect(s);
    int r = nc_attach(c, 0, "", share, 0);

    nc_close(c);
    return r;
}

int
server_setup(void **state)
{
    static struct server s;

    server_init(&s, false);
    *state = &s;
    return 0;
}

int
server_setup_started(void **state)
{
    (void)server_setup(state);
    server_start(*state, NULL);
    return 0;
}

int
server_teardown(void **state)
{
    server_done(*state);
    return 0;
}
