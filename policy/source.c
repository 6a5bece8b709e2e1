/*
 * Reads a policy file, after a look at who may have written it: whoever can
 * write the policy decides what guests see of this machine.
 *
 * Runs in: broker.   Trusts: root and the user it runs as.
 * Owns: nothing beyond a call.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "policy/parse.h"

static int
writers_check(struct errors *e, struct where at, const char *path, const struct stat *st)
{
    if (st->st_uid != 0 && st->st_uid != geteuid()) {
        errors_add(e, at, "%s belongs to uid %u, expected uid 0 or %u", Q(path), st->st_uid,
                   geteuid());
        return -EPERM;
    }
    if ((st->st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        errors_add(e, at,
                   "%s has mode %04o, expected nobody but its owner to have write permission",
                   Q(path), st->st_mode & 07777);
        return -EPERM;
    }
    return 0;
}

static int
file_check(struct errors *e, struct where at, const char *path, const struct stat *st)
{
    if (!S_ISREG(st->st_mode)) {
        errors_add(e, at, "%s is not a regular file, expected a policy file", Q(path));
        return -EPERM;
    }
    return writers_check(e, at, path, st);
}

/* Up to room bytes; fewer only at the end of the file. */
static ssize_t
read_all(int fd, char *buf, size_t room)
{
    size_t at = 0;

    while (at < room) {
        ssize_t n = read(fd, buf + at, room - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        at += (size_t)n;
    }
    return (ssize_t)at;
}

int
source_read(struct errors *e, struct where at, const char *path, char **ret, size_t *ret_n)
{
    _clean(clean_free) char *text = NULL;
    _clean(clean_fd) int fd = -1;
    struct stat st;
    ssize_t n;
    int r;

    /* O_NONBLOCK: a fifo in the place of the file must not hold us up. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0) {
        r = -errno;
        errors_add(e, at, "cannot open %s: %s, expected a policy file", Q(path), strerror(-r));
        return r;
    }
    r = file_check(e, at, path, &st);
    if (r < 0)
        return r;
    text = malloc(POLICY_FILE_BYTES_MAX + 1);
    if (text == NULL) {
        e->no_memory = true;
        return -ENOMEM;
    }
    n = read_all(fd, text, POLICY_FILE_BYTES_MAX + 1);
    if (n < 0) {
        errors_add(e, at, "cannot read %s: %s, expected a policy file", Q(path), strerror((int)-n));
        return (int)n;
    }
    if ((size_t)n > POLICY_FILE_BYTES_MAX) {
        errors_add(e, at, "%s is too long, expected at most %u bytes", Q(path),
                   POLICY_FILE_BYTES_MAX);
        return -EFBIG;
    }
    *ret = take_ptr(&text);
    *ret_n = (size_t)n;
    return 0;
}

/* --- directories ------------------------------------------------------------------- */

static const char *
last_part(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? slash + 1 : path;
}

bool
source_is_list(const char *path)
{
    const char *last = last_part(path);

    return last[0] == '\0' || strchr(last, '*') != NULL;
}

/* Whoever may make files there may add to the policy. */
static DIR *
dir_open(struct errors *e, struct where at, const char *path, int *ret_r)
{
    _clean(clean_fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    DIR *d;

    if (fd < 0 || fstat(fd, &st) < 0) {
        *ret_r = -errno;
        errors_add(e, at, "cannot open %s: %s, expected a directory", Q(path), strerror(-*ret_r));
        return NULL;
    }
    *ret_r = writers_check(e, at, path, &st);
    if (*ret_r < 0)
        return NULL;
    d = fdopendir(fd);
    if (d == NULL)
        *ret_r = -errno;
    else
        (void)take_fd(&fd);
    return d;
}

static int
name_add(struct errors *e, struct plan_list *list, const char *dir, const char *name)
{
    char **more = errors_grow(e, list->at, list->n, sizeof(*more));

    if (more == NULL)
        return -ENOMEM;
    list->at = more;
    if (asprintf(&more[list->n], "%s%s", dir, name) < 0) {
        e->no_memory = true;
        return -ENOMEM;
    }
    list->n++;
    return 0;
}

static int
by_name(const void *a, const void *b)
{
    const char *const *sa = a, *const *sb = b;

    return strcmp(*sa, *sb);
}

int
source_list(struct errors *e, struct where at, const char *path, struct plan_list *ret)
{
    const char *last = last_part(path), *glob = last[0] != '\0' ? last : "*.conf";
    _clean(clean_free) char *dir = strndup(path, (size_t)(last - path));
    const struct dirent *entry;
    DIR *d;
    int r = 0;

    if (dir == NULL) {
        e->no_memory = true;
        return -ENOMEM;
    }
    d = dir_open(e, at, dir[0] != '\0' ? dir : ".", &r);
    if (d == NULL)
        return r;
    while (r == 0 && (entry = readdir(d)) != NULL) {
        if (fnmatch(glob, entry->d_name, FNM_PERIOD) == 0)
            r = ret->n < POLICY_FILES_MAX ? name_add(e, ret, dir, entry->d_name) : -E2BIG;
    }
    (void)closedir(d);
    if (r == -E2BIG)
        errors_add(e, at, "too many files in %s, expected at most %d", Q(dir), POLICY_FILES_MAX);
    if (r < 0)
        list_done(ret);
    else if (ret->n > 0)
        qsort(ret->at, ret->n, sizeof(*ret->at), by_name);
    return r;
}
