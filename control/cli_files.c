/*
 * The verbs that work on files of a running server.
 *
 * Runs in: the command line.   Trusts: the caller; nothing the server says.
 * Owns: nothing beyond a verb.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "control/cli.h"
#include "control/nine_wire.h"
#include "control/remote.h"

#define TARGET_ROOM 4096

/* Bytes that one read or write of an open file may carry. */
static uint32_t
io_size(const struct nc *c, uint32_t iounit)
{
    uint32_t most = nc_msize(c) - NINE_IO_HEAD;

    return iounit != 0 && iounit < most ? iounit : most;
}

/* --- ls ---------------------------------------------------------------------- */

struct name {
    char *s; /* owned, ends with a NUL */
    size_t n;
};

struct names {
    struct name *v; /* owned */
    size_t n, room;
    uint64_t cookie; /* of the last entry seen */
};

static void
names_done(struct names *ns)
{
    for (size_t i = 0; i < ns->n; i++)
        free(ns->v[i].s);
    free(ns->v);
}

static int
names_grow(struct names *ns)
{
    size_t room = ns->room == 0 ? 64 : ns->room * 2;
    struct name *v = reallocarray(ns->v, room, sizeof(*v));

    if (v == NULL)
        return -ENOMEM;
    ns->v = v;
    ns->room = room;
    return 0;
}

static int
names_add(const struct nc_dirent *e, void *ctx)
{
    struct names *ns = ctx;
    char *s;

    ns->cookie = e->offset;
    if (memchr(e->name, '\0', e->name_len) != NULL)
        return -EPROTO;
    if ((e->name_len == 1 && e->name[0] == '.') ||
        (e->name_len == 2 && memcmp(e->name, "..", 2) == 0))
        return 0;
    if (ns->n == ns->room && names_grow(ns) < 0)
        return -ENOMEM;
    s = strndup(e->name, e->name_len);
    if (s == NULL)
        return -ENOMEM;
    ns->v[ns->n++] = (struct name){.s = s, .n = e->name_len};
    return 0;
}

static int
by_bytes(const void *a, const void *b)
{
    const struct name *x = a, *y = b;

    return strcmp(x->s, y->s);
}

static int
names_read(struct nc *c, struct names *ns)
{
    int r = nc_walk(c, FID_FILE, FID_OPEN, 0, NULL, NULL, NULL);

    if (r == 0)
        r = nc_lopen(c, FID_OPEN, NINE_O_RDONLY | NINE_O_DIRECTORY, NULL, NULL);
    if (r < 0)
        return r;
    do
        r = nc_readdir(c, FID_OPEN, ns->cookie, nc_msize(c) - NINE_IO_HEAD, names_add, ns);
    while (r > 0);
    if (r == 0 && ns->n > 0)
        qsort(ns->v, ns->n, sizeof(*ns->v), by_bytes);
    return r;
}

static void
mode_text(uint32_t mode, char out[11])
{
    static const char types[16] = {
        [S_IFIFO >> 12] = 'p', [S_IFCHR >> 12] = 'c', [S_IFDIR >> 12] = 'd', [S_IFBLK >> 12] = 'b',
        [S_IFREG >> 12] = '-', [S_IFLNK >> 12] = 'l', [S_IFSOCK >> 12] = 's'};
    char t = types[(mode & S_IFMT) >> 12];

    out[0] = t == '\0' ? '?' : t;
    for (unsigned i = 0; i < 9; i++)
        out[1 + i] = (mode & (0400u >> i)) != 0 ? "rwx"[i % 3] : '-';
    if ((mode & S_ISUID) != 0)
        out[3] = (mode & 0100) != 0 ? 's' : 'S';
    if ((mode & S_ISGID) != 0)
        out[6] = (mode & 0010) != 0 ? 's' : 'S';
    if ((mode & S_ISVTX) != 0)
        out[9] = (mode & 0001) != 0 ? 't' : 'T';
    out[10] = '\0';
}

static const char *
time_text(uint64_t sec, char *out, size_t room)
{
    time_t t = (time_t)sec;
    struct tm tm;

    if (localtime_r(&t, &tm) == NULL || strftime(out, room, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        snprintf(out, room, "%llu", (unsigned long long)sec);
    return out;
}

static int
print_target(struct nc *c, uint32_t fid)
{
    char target[TARGET_ROOM];
    int n = nc_readlink(c, fid, target, sizeof(target));

    if (n < 0)
        return n;
    fputs(" -> ", stdout);
    print_name(stdout, target, (size_t)n);
    return 0;
}

static int
print_long(struct nc *c, uint32_t fid, const struct name *name)
{
    char mode[11], when[32];
    struct nc_attr a;
    int r = nc_getattr(c, fid, NINE_GETATTR_BASIC, &a);

    if (r < 0)
        return r;
    mode_text(a.mode, mode);
    printf("%s %3llu %5u %5u %10llu %s ", mode, (unsigned long long)a.nlink, a.uid, a.gid,
           (unsigned long long)a.size, time_text(a.mtime_sec, when, sizeof(when)));
    print_name(stdout, name->s, name->n);
    if (S_ISLNK(a.mode))
        r = print_target(c, fid);
    putchar('\n');
    return r;
}

static int
print_entry_long(struct nc *c, const struct name *name)
{
    const char *s = name->s;
    size_t got = 0;
    int r = nc_walk(c, FID_FILE, FID_ENTRY, 1, &s, NULL, &got);

    if (r == -ENOENT || (r == 0 && got != 1))
        return 0; /* gone since it was listed */
    if (r < 0)
        return r;
    r = print_long(c, FID_ENTRY, name);
    (void)nc_clunk(c, FID_ENTRY);
    return r;
}

static int
print_names(struct nc *c, const struct names *ns, bool longer)
{
    int r = 0;

    for (size_t i = 0; i < ns->n && r == 0; i++) {
        if (longer) {
            r = print_entry_long(c, &ns->v[i]);
            continue;
        }
        print_name(stdout, ns->v[i].s, ns->v[i].n);
        putchar('\n');
    }
    return r;
}

static int
list_file(struct remote *rm, bool longer)
{
    char *last = rm->names[rm->n - 1];
    struct name name = {.s = last, .n = strlen(last)};

    if (longer)
        return print_long(rm->c, FID_FILE, &name);
    print_name(stdout, name.s, name.n);
    putchar('\n');
    return 0;
}

static int
list(struct remote *rm, bool longer)
{
    struct names ns = {0};
    struct nc_attr a;
    int r = nc_getattr(rm->c, FID_FILE, NINE_GETATTR_BASIC, &a);

    if (r < 0)
        return r;
    if (!S_ISDIR(a.mode) && rm->n > 0)
        return list_file(rm, longer);
    r = names_read(rm->c, &ns);
    if (r == 0)
        r = print_names(rm->c, &ns, longer);
    names_done(&ns);
    return r;
}

int
verb_ls(int argc, char **argv)
{
    bool longer = argc > 1 && strcmp(argv[1], "-l") == 0;
    struct remote rm;
    int at = longer ? 2 : 1, r;

    if (argc - at < 1 || argc - at > 2 || argv[at][0] == '-')
        return cli_usage("ls");
    r = remote_open(&rm, "ls", argv[at], argc - at == 2 ? argv[at + 1] : "/", 0);
    if (r == 0) {
        r = list(&rm, longer);
        if (r < 0)
            (void)remote_error(&rm, r);
    }
    remote_close(&rm);
    return rm.exit_code;
}

/* --- cat ---------------------------------------------------------------------- */

static int
copy_out(struct nc *c)
{
    uint32_t unit = 0;
    uint64_t off = 0;
    char *buf = NULL;
    ssize_t n;
    int r = nc_lopen(c, FID_FILE, NINE_O_RDONLY, NULL, &unit);

    if (r < 0)
        return r;
    unit = io_size(c, unit);
    buf = malloc(unit);
    if (buf == NULL)
        return -ENOMEM;
    while ((n = nc_read(c, FID_FILE, off, buf, unit)) > 0) {
        if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
            break;
        off += (uint64_t)n;
    }
    free(buf);
    if (n > 0 || (n == 0 && fflush(stdout) != 0))
        return -errno;
    return (int)n;
}

int
verb_cat(int argc, char **argv)
{
    struct remote rm;
    int r = remote_open(&rm, "cat", argv[1], argv[2], 0);

    (void)argc;
    if (r == 0) {
        r = copy_out(rm.c);
        if (r < 0)
            (void)remote_error(&rm, r);
    }
    remote_close(&rm);
    return rm.exit_code;
}

/* --- put ---------------------------------------------------------------------- */

static int
write_all(struct nc *c, uint64_t off, const char *buf, size_t n)
{
    while (n > 0) {
        ssize_t w = nc_write(c, FID_FILE, off, buf, (uint32_t)n);

        if (w <= 0)
            return w < 0 ? (int)w : -EIO;
        off += (uint64_t)w;
        buf += w;
        n -= (size_t)w;
    }
    return 0;
}

static int
copy_in(struct remote *rm, int from)
{
    const char *name = rm->names[rm->n - 1];
    uint32_t unit = 0;
    uint64_t off = 0;
    char *buf = NULL;
    ssize_t n;
    int r = nc_lcreate(rm->c, FID_FILE, name, NINE_O_WRONLY | NINE_O_CREAT | NINE_O_TRUNC, 0644,
                       (uint32_t)getegid(), NULL, &unit);

    if (r < 0)
        return r;
    unit = io_size(rm->c, unit);
    buf = malloc(unit);
    if (buf == NULL)
        return -ENOMEM;
    while (r == 0 && (n = read(from, buf, unit)) != 0) {
        r = n < 0 ? -errno : write_all(rm->c, off, buf, (size_t)n);
        off += n < 0 ? 0 : (uint64_t)n;
    }
    free(buf);
    return r < 0 ? r : nc_clunk(rm->c, FID_FILE);
}

int
verb_put(int argc, char **argv)
{
    int from = argc > 3 ? open(argv[3], O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    struct remote rm;
    int r;

    if (from < 0) {
        fprintf(stderr, "postern: %s: %s\n", argv[3], strerror(errno));
        return CLI_FAILED;
    }
    r = remote_open(&rm, "put", argv[1], argv[2], 1);
    if (r == 0) {
        r = copy_in(&rm, from);
        if (r < 0)
            (void)remote_error(&rm, r);
    }
    remote_close(&rm);
    if (argc > 3)
        close(from);
    return rm.exit_code;
}

/* --- stat --------------------------------------------------------------------- */

static void
print_time(const char *label, uint64_t sec, uint64_t nsec)
{
    char when[32];

    printf("%-8s %s.%09llu\n", label, time_text(sec, when, sizeof(when)), (unsigned long long)nsec);
}

static int
print_stat(struct remote *rm)
{
    char mode[11];
    struct nc_attr a;
    int r = nc_getattr(rm->c, FID_FILE, NINE_GETATTR_BASIC, &a);

    if (r < 0)
        return r;
    mode_text(a.mode, mode);
    printf("path     %s", rm->path);
    if (S_ISLNK(a.mode))
        r = print_target(rm->c, FID_FILE);
    printf("\nmode     %04o %s\n", a.mode & 07777, mode);
    printf("owner    %u:%u\n", a.uid, a.gid);
    printf("links    %llu\n", (unsigned long long)a.nlink);
    printf("size     %llu\n", (unsigned long long)a.size);
    printf("blocks   %llu of 512\n", (unsigned long long)a.blocks);
    printf("device   %llu\n", (unsigned long long)a.rdev);
    printf("qid      %02x.%08x.%016llx\n", a.qid.type, a.qid.version,
           (unsigned long long)a.qid.path);
    print_time("atime", a.atime_sec, a.atime_nsec);
    print_time("mtime", a.mtime_sec, a.mtime_nsec);
    print_time("ctime", a.ctime_sec, a.ctime_nsec);
    return r;
}

int
verb_stat(int argc, char **argv)
{
    struct remote rm;
    int r = remote_open(&rm, "stat", argv[1], argv[2], 0);

    (void)argc;
    if (r == 0) {
        r = print_stat(&rm);
        if (r < 0)
            (void)remote_error(&rm, r);
    }
    remote_close(&rm);
    return rm.exit_code;
}
