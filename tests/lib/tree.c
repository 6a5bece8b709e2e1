/*
 * A tree as text; see tree.h.
 *
 * Runs in: tests.   Trusts: the host.   Owns: nothing.
 */
#include "tests/lib/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/lib/test.h"

/* No other file may be opened: a FIFO would wait, a device do who knows what. */
static void
put_content(FILE *to, const char *path)
{
    int fd = open(path, O_RDONLY | O_NOATIME | O_NOFOLLOW | O_CLOEXEC);
    unsigned char buf[4096];
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    ssize_t n;

    assert_true(fd >= 0);
    while ((n = read(fd, buf, sizeof(buf))) > 0)
        for (ssize_t i = 0; i < n; i++)
            hash = (hash ^ buf[i]) * 1099511628211u;
    assert_int_equal(n, 0);
    (void)fprintf(to, " %llx", (unsigned long long)hash);
    close(fd);
}

static void
put_xattrs(FILE *to, const char *path)
{
    char list[4096], value[4096];
    ssize_t n = llistxattr(path, list, sizeof(list));

    for (ssize_t at = 0; at < n; at += (ssize_t)strlen(list + at) + 1) {
        ssize_t len = lgetxattr(path, list + at, value, sizeof(value));

        (void)fprintf(to, " %s=", list + at);
        for (ssize_t i = 0; i < len; i++)
            (void)fprintf(to, "%02x", (unsigned char)value[i]);
    }
}

/* Not a link's target: readlink(2) moves its access time. */
static void
put_stat(FILE *to, const char *path, const struct statx *st)
{
    const struct statx_timestamp times[] = {st->stx_atime, st->stx_mtime, st->stx_ctime,
                                            st->stx_btime};

    (void)fprintf(to, "%s %llu %o %u:%u %u %llu", path, (unsigned long long)st->stx_ino,
                  st->stx_mode, st->stx_uid, st->stx_gid, st->stx_nlink,
                  (unsigned long long)st->stx_size);
    for (size_t i = 0; i < COUNT(times); i++)
        (void)fprintf(to, " %lld.%09u", (long long)times[i].tv_sec, times[i].tv_nsec);
}

static void put_tree(FILE *to, const char *path);

static void
put_below(FILE *to, const char *path)
{
    DIR *d = fdopendir(open(path, O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC));
    char below[1024];
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        assert_true(snprintf(below, sizeof(below), "%s/%s", path, e->d_name) < (int)sizeof(below));
        put_tree(to, below);
    }
    closedir(d);
}

static void
put_tree(FILE *to, const char *path)
{
    struct statx st;

    assert_int_equal(
        statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &st), 0);
    put_stat(to, path, &st);
    if (S_ISREG(st.stx_mode))
        put_content(to, path);
    put_xattrs(to, path);
    (void)fputc('\n', to);
    if (S_ISDIR(st.stx_mode))
        put_below(to, path);
}

char *
tree_of(const char *path)
{
    char *text = NULL;
    size_t n;
    FILE *to = open_memstream(&text, &n);

    assert_non_null(to);
    put_tree(to, path);
    assert_int_equal(fclose(to), 0);
    return text;
}

void
tree_assert_same(const char *path, char *was)
{
    char *is = tree_of(path);

    assert_string_equal(is, was);
    free(is);
    free(was);
}
