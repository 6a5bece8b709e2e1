/*
 * posix DIR [-u UID:GID] [-l EXPECTED] [FILTER]...: what a POSIX file system
 * must do, claim by claim, in a directory that this makes in DIR. Runs as root.
 *
 *   -u UID:GID    the first of the ordinary users that claims are made for; they
 *                 take three numbers from there on (default 2001:2001)
 *   -l EXPECTED   claims that may fail here, as lines NAME<TAB>REASON. One that
 *                 is listed and holds is a failure as well: the list is stale; unless its
 *                 reason begins with "sometimes: ".
 *   FILTER        only claims whose name begins with one of these
 *
 * Runs in: tests.   Trusts: the user.
 * Owns: the directory it made, a process per claim.
 */
#include "tests/posix/posix.h"

#include "tests/posix/report.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define CLAIM_SECONDS 120u

/* Made by the linker: all entries of the section "claims". */
extern const struct claim *const __start_claims[];
extern const struct claim *const __stop_claims[];

struct expected {
    char *name;
    char *reason;
    bool seen;
};

const char *base_dir;
static int report_fds[2];
static struct expected expected[4096];
static size_t n_expected;
static bool have_list;
static size_t passed, failed, differ, lacking;

void
report_failure(const char *format, ...)
{
    char text[1024];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n >= (int)sizeof(text))
        n = sizeof(text) - 1;
    if (write(report_fds[1], text, (size_t)n) < 0)
        _exit(EXIT_FAILED);
    _exit(EXIT_FAILED);
}

void
report_lack(const char *what)
{
    if (write(report_fds[1], what, strlen(what)) < 0)
        _exit(EXIT_FAILED);
    _exit(EXIT_LACKS);
}

// --- one claim ------------------------------------------------------------------

/* Everything below, also where a mode forbids it to the one who serves it. */
static int
remove_below(int dir, const char *name)
{
    int fd, r = 0;
    DIR *d;

    if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (fchmodat(dir, name, 0700, 0) < 0)
        return -1;
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL)
        return -1;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r |= remove_below(dirfd(d), e->d_name);
    }
    closedir(d);
    return unlinkat(dir, name, AT_REMOVEDIR) < 0 ? -1 : r;
}

static _Noreturn void
run_claim(const struct claim *c, const void *row, const char *dir)
{
    setpgid(0, 0);
    alarm(CLAIM_SECONDS);
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    umask(022);
    if (mkdir(dir, 0755) < 0 || chdir(dir) < 0)
        report_failure("cannot make a directory: %s", strerror(errno));
    c->run(row);
    _exit(0);
}

/* The text that it left goes to `text`. Returns the exit status. */
static int
try_claim(const struct claim *c, const void *row, char *text, size_t cap)
{
    static unsigned number;
    char dir[32];
    ssize_t n;
    int status;
    pid_t pid;

    snprintf(dir, sizeof(dir), "%u", number++);
    pid = fork();
    if (pid < 0)
        exit(EXIT_FAILURE);
    if (pid == 0)
        run_claim(c, row, dir);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        continue;
    kill(-pid, SIGKILL); /* what it may have left behind */
    n = read(report_fds[0], text, cap - 1);
    text[n < 0 ? 0 : n] = '\0';
    if (remove_below(AT_FDCWD, dir) < 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        snprintf(text, cap, "what it made cannot be removed: %s", strerror(errno));
        return EXIT_FAILED;
    }
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    if (WTERMSIG(status) == SIGALRM)
        snprintf(text, cap, "no end after %u s", CLAIM_SECONDS);
    else
        snprintf(text, cap, "ended by signal %d", WTERMSIG(status));
    return EXIT_FAILED;
}

static struct expected *
expected_find(const char *name)
{
    for (size_t i = 0; i < n_expected; i++) {
        if (strcmp(expected[i].name, name) == 0)
            return &expected[i];
    }
    return NULL;
}

static void
claim_row(const struct claim *c, const void *row, const char *name)
{
    struct expected *e = expected_find(name);
    char text[1100];
    int status = try_claim(c, row, text, sizeof(text));

    if (e != NULL)
        e->seen = true;
    if (status == 0 && e != NULL && strncmp(e->reason, "sometimes: ", 11) != 0) {
        failed++;
        printf("FAILED %s: stale: it holds, but is listed: %s\n", name, e->reason);
    } else if (status == 0) {
        passed++;
        printf("ok %s\n", name);
    } else if (e != NULL) {
        differ++;
        printf("differs %s: %s (%s)\n", name, text, e->reason);
    } else if (status == EXIT_LACKS && !have_list) {
        lacking++;
        printf("lacks %s: %s\n", name, text);
    } else {
        failed++;
        printf("FAILED %s: %s%s\n", name, status == EXIT_LACKS ? "this lacks " : "", text);
    }
}

// --- all of them -----------------------------------------------------------------

static void
claim_name(const struct claim *c, const void *row, char *name, size_t cap)
{
    const char *area = strrchr(c->file, '/');

    area = area == NULL ? c->file : area + 1;
    snprintf(name, cap, "%.*s/%s%s%s", (int)strcspn(area, "."), area, c->name,
             row == NULL ? "" : ".", row == NULL ? "" : *(const char *const *)row);
}

static bool
wanted(const char *name, char **filters)
{
    if (*filters == NULL)
        return true;
    for (; *filters != NULL; filters++) {
        if (strncmp(name, *filters, strlen(*filters)) == 0)
            return true;
    }
    return false;
}

static void
claim_all_rows(const struct claim *c, char **filters)
{
    for (size_t i = 0; i < c->n_rows; i++) {
        const void *row = c->rows == NULL ? NULL : (const char *)c->rows + i * c->row_size;
        char name[256];

        claim_name(c, row, name, sizeof(name));
        if (wanted(name, filters))
            claim_row(c, row, name);
    }
}

static int
claim_order(const void *a, const void *b)
{
    const struct claim *x = *(const struct claim *const *)a, *y = *(const struct claim *const *)b;
    int r = strcmp(x->file, y->file);

    return r != 0 ? r : (x->line > y->line) - (x->line < y->line);
}

static void
expected_load(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[1024];

    if (f == NULL) {
        fprintf(stderr, "posix: cannot read %s: %s\n", path, strerror(errno));
        exit(2);
    }
    have_list = true;
    while (fgets(line, sizeof(line), f) != NULL && n_expected < COUNT(expected)) {
        size_t name = strcspn(line, "\t\n");

        if (line[0] == '#' || line[0] == '\n')
            continue;
        line[strcspn(line, "\n")] = '\0';
        expected[n_expected].name = strndup(line, name);
        expected[n_expected++].reason = strdup(line + name + strspn(line + name, "\t"));
    }
    fclose(f);
}

static void
expected_all_seen(void)
{
    for (size_t i = 0; i < n_expected; i++) {
        if (expected[i].seen)
            continue;
        failed++;
        printf("FAILED %s: listed as a difference, but there is no such claim\n", expected[i].name);
    }
}

static void
people(const char *ids)
{
    char *end = NULL;
    uid_t uid = (uid_t)strtoul(ids, &end, 10);
    gid_t gid = (gid_t)strtoul(*end == '\0' ? ids : end + 1, &end, 10);

    if (uid == 0 || gid == 0 || *end != '\0') {
        fprintf(stderr, "posix: -u %s: not UID:GID\n", ids);
        exit(2);
    }
    alice = (struct who){uid, gid, 0};
    bob = (struct who){uid + 1, gid + 1, 0};
    carol = (struct who){uid + 2, gid + 2, gid};
    dave = (struct who){uid + 3, gid, 0};
}

/* A directory of our own, so that anything may be there already. */
static void
base_enter(char *name, size_t cap)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max < 4096 ? files.rlim_max : 4096;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    snprintf(name, cap, "posix.%d", (int)getpid());
    if (chdir(base_dir) < 0 || mkdir(name, 0755) < 0 || chdir(name) < 0 || chmod(".", 0755) < 0 ||
        pipe2(report_fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        fprintf(stderr, "posix: cannot begin in %s: %s\n", base_dir, strerror(errno));
        exit(2);
    }
}

int
main(int argc, char **argv)
{
    // cppcheck-suppress comparePointers
    size_t n = (size_t)(__stop_claims - __start_claims);
    const struct claim **claims = malloc((n + 1) * sizeof(const struct claim *));
    const char *ids = "2001:2001";
    char name[32];
    int opt;

    while ((opt = getopt(argc, argv, "u:l:")) != -1) {
        if (opt == 'u')
            ids = optarg;
        else if (opt == 'l')
            expected_load(optarg);
        else
            return 2;
    }
    if (optind == argc || claims == NULL || geteuid() != 0) {
        fprintf(stderr, "usage, as root: posix DIR [-u UID:GID] [-l EXPECTED] [FILTER]...\n");
        return 2;
    }
    base_dir = argv[optind++];
    people(ids);
    setvbuf(stdout, NULL, _IOLBF, 0);
    base_enter(name, sizeof(name));
    memcpy(claims, __start_claims, n * sizeof(const struct claim *));
    qsort(claims, n, sizeof(const struct claim *), claim_order);
    for (size_t i = 0; i < n; i++)
        claim_all_rows(claims[i], argv + optind);
    if (argv[optind] == NULL)
        expected_all_seen();
    if (chdir("..") < 0 || remove_below(AT_FDCWD, name) < 0) {
        failed++;
        printf("FAILED at the end: %s cannot be removed: %s\n", name, strerror(errno));
    }
    if (differ > 0)
        printf("%zu differ as listed\n", differ);
    if (lacking > 0)
        printf("%zu are about what this file system lacks\n", lacking);
    printf("posix: %zu passed, %zu failed\n", passed, failed);
    free(claims);
    return failed == 0 ? 0 : 1;
}
