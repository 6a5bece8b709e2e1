/*
 * Reads a policy file, after a look at who may have written it: whoever can
 * write the policy decides what guests see of this machine.
 *
 * Runs in: broker.   Trusts: root and the user it runs as.
 * Owns: nothing beyond a call.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "policy/parse.h"

static int
file_check(struct errors *e, struct where at, const char *path, const struct stat *st)
{
    if (!S_ISREG(st->st_mode)) {
        errors_add(e, at, "%s is not a regular file, expected a policy file", Q(path));
        return -EPERM;
    }
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
