/*
 * Groups of processes and what they may use together, by the files of cgroup2.
 *
 * Runs in: broker.   Trusts: the kernel and who started the broker.
 * Owns: the groups it makes, in the file system.
 *
 * A group that gives controllers to groups below holds no process itself (but
 * for the first of all). So the broker goes into a leaf before the first one.
 */
#include "sandbox/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ipc/fd.h"

#define LEAF "broker"
#define TEXT_MAX 4096

bool
cgroup_needed(const struct cgroup_limits *l)
{
    return l->memory > 0 || l->processes > 0 || l->cpu_weight > 0;
}

/* The content of a small file, ended by a NUL. 0 or -errno. */
static int
text_read(int dir, const char *name, char *to, size_t room)
{
    _clean(clean_fd) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return -errno;
    n = read(fd, to, room - 1);
    if (n < 0)
        return -errno;
    to[n] = '\0';
    return 0;
}

static int
text_write(int dir, const char *name, const char *text)
{
    _clean(clean_fd) int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

__attribute__((format(printf, 3, 4))) static int
because(struct cgroup_base *b, int r, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(b->why, sizeof(b->why), fmt, ap);
    va_end(ap);
    if (r != 0 && n >= 0 && (size_t)n < sizeof(b->why))
        (void)snprintf(b->why + n, sizeof(b->why) - (size_t)n, ": %s", strerror(-r));
    return r == 0 ? -ENOENT : r;
}

/* Where the caller is, as the line "0::/PATH" of /proc/self/cgroup says. */
static int
own_path(char *text, const char **ret)
{
    int r = text_read(AT_FDCWD, "/proc/self/cgroup", text, TEXT_MAX);
    char *at, *end;

    if (r < 0)
        return r;
    at = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
    if (at == NULL)
        return -ENOENT;
    at = strstr(at, "::") + 2;
    end = strchr(at, '\n');
    if (end != NULL)
        *end = '\0';
    *ret = at;
    return strncmp(at, "/..", 3) == 0 ? -EXDEV : 0; /* outside of what we see */
}

static int
base_open(struct cgroup_base *b)
{
    static const char *const roots[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    char text[TEXT_MAX];
    const char *own;
    int r = own_path(text, &own);

    if (r < 0)
        return because(b, 0, "this process is in no cgroup (version 2)");
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        struct statfs fs;
        struct stat st;

        if (statfs(roots[i], &fs) < 0 || fs.f_type != CGROUP2_SUPER_MAGIC)
            continue;
        (void)snprintf(b->path, sizeof(b->path), "%s%s", roots[i], own[1] == '\0' ? "" : own);
        b->fd = open(b->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (b->fd < 0)
            return because(b, -errno, "open %s", b->path);
        /* nobody's, and without CAP_DAC_OVERRIDE nothing in it could be removed */
        if (fstat(b->fd, &st) < 0 || (st.st_mode & S_IWUSR) == 0) {
            clean_fd(&b->fd);
            return because(b, 0, "%s is the cgroup of the whole machine", b->path);
        }
        return 0;
    }
    return because(b, 0, "no cgroup2 is mounted at %s", roots[0]);
}

static bool
has_word(const char *text, const char *word)
{
    size_t n = strlen(word);

    for (const char *at = text; (at = strstr(at, word)) != NULL; at += n) {
        bool begins = at == text || at[-1] == ' ';

        if (begins && strchr(" \n", at[n]) != NULL) /* or the NUL */
            return true;
    }
    return false;
}

/* Out of the group itself, which then may give controllers on. */
static int
move_down(struct cgroup_base *b)
{
    int r;

    if (b->moved)
        return 0;
    if (mkdirat(b->fd, LEAF, 0755) < 0 && errno != EEXIST)
        return because(b, -errno, "make %s/" LEAF, b->path);
    r = text_write(b->fd, LEAF "/cgroup.procs", "0");
    if (r < 0) {
        (void)unlinkat(b->fd, LEAF, AT_REMOVEDIR);
        return because(b, r, "move to %s/" LEAF, b->path);
    }
    b->moved = true;
    return 0;
}

static int
enable(struct cgroup_base *b, const char *controller)
{
    char text[TEXT_MAX], word[16];
    size_t n = strlen(b->enabled);
    int r;

    if (strchr(b->enabled, controller[0]) != NULL)
        return 0;
    r = text_read(b->fd, "cgroup.controllers", text, sizeof(text));
    if (r < 0)
        return because(b, r, "read %s/cgroup.controllers", b->path);
    if (!has_word(text, controller))
        return because(b, 0, "%s does not offer the controller \"%s\"", b->path, controller);
    r = move_down(b);
    if (r < 0)
        return r;
    (void)snprintf(word, sizeof(word), "+%s", controller);
    r = text_write(b->fd, "cgroup.subtree_control", word);
    if (r == -EBUSY)
        return because(b, r, "%s holds other processes, too", b->path);
    if (r < 0)
        return because(b, r, "give \"%s\" on in %s", controller, b->path);
    b->enabled[n] = controller[0];
    b->enabled[n + 1] = '\0';
    return 0;
}

int
cgroup_base(struct cgroup_base *b, const struct cgroup_limits *l)
{
    int r = b->fd < 0 ? base_open(b) : 0;

    if (r == 0 && l->memory > 0)
        r = enable(b, "memory");
    if (r == 0 && l->processes > 0)
        r = enable(b, "pids");
    if (r == 0 && l->cpu_weight > 0)
        r = enable(b, "cpu");
    return r;
}

void
cgroup_base_done(struct cgroup_base *b)
{
    static const char *const all[] = {"-memory", "-pids", "-cpu"};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && b->moved; i++)
        if (strchr(b->enabled, all[i][1]) != NULL)
            (void)text_write(b->fd, "cgroup.subtree_control", all[i]);
    if (b->moved && text_write(b->fd, "cgroup.procs", "0") == 0)
        (void)unlinkat(b->fd, LEAF, AT_REMOVEDIR);
    clean_fd(&b->fd);
}

/* One file of the group; 0 is not written. */
static int
set(struct cgroup_base *b, int fd, const char *name, uint64_t n)
{
    char text[24];
    int r;

    if (n == 0)
        return 0;
    (void)snprintf(text, sizeof(text), "%" PRIu64, n);
    r = text_write(fd, name, text);
    return r < 0 ? because(b, r, "write %s to %s", text, name) : 0;
}

static int
set_all(struct cgroup_base *b, int fd, const struct cgroup_limits *l)
{
    int r = set(b, fd, "memory.max", l->memory);

    if (r == 0)
        r = set(b, fd, "memory.oom.group", l->memory > 0);
    if (r == 0 && l->memory > 0) { /* not there where nothing is swapped */
        r = text_write(fd, "memory.swap.max", "0");
        r = r == -ENOENT ? 0 : r;
        if (r < 0)
            (void)because(b, r, "write 0 to memory.swap.max");
    }
    if (r == 0)
        r = set(b, fd, "pids.max", l->processes);
    return r == 0 ? set(b, fd, "cpu.weight", l->cpu_weight) : r;
}

int
cgroup_make(struct cgroup_base *b, const char *name, const struct cgroup_limits *l)
{
    _clean(clean_fd) int fd = -1;
    int r;

    (void)unlinkat(b->fd, name, AT_REMOVEDIR); /* left by one that was killed */
    if (mkdirat(b->fd, name, 0755) < 0)
        return because(b, -errno, "make %s/%s", b->path, name);
    fd = openat(b->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = fd < 0 ? because(b, -errno, "open %s/%s", b->path, name) : set_all(b, fd, l);
    if (r == 0)
        return take_fd(&fd);
    (void)unlinkat(b->fd, name, AT_REMOVEDIR);
    return r;
}

uint64_t
cgroup_oom_kills(int fd)
{
    char text[TEXT_MAX];
    const char *at;

    if (text_read(fd, "memory.events", text, sizeof(text)) < 0)
        return 0;
    at = strstr(text, "oom_kill ");
    return at == NULL ? 0 : strtoull(at + strlen("oom_kill "), NULL, 10);
}

int
cgroup_memory(int fd, uint64_t *ret)
{
    char text[TEXT_MAX];
    int r = text_read(fd, "memory.current", text, sizeof(text));

    if (r == 0)
        *ret = strtoull(text, NULL, 10);
    return r;
}

int
cgroup_remove(const struct cgroup_base *b, const char *name)
{
    return unlinkat(b->fd, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}
