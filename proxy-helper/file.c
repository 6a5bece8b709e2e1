/*
 * The table of open files. See file.h.
 *
 * Runs in: helper, main thread alone.   Trusts: nobody's ids.
 * Owns: the fds of open files. A pool thread uses one only between
 * file_job_begin() and file_job_end().
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/log.h"
#include "proxy-helper/file.h"

#define NO_SLOT UINT32_MAX

int
files_init(struct files *t, uint32_t limit)
{
    void *p;

    if (limit == 0 || limit > INT32_MAX)
        return -EINVAL;
    p = mmap(NULL, limit * sizeof(*t->at), PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return -errno;
    *t = (struct files){.at = p, .limit = limit, .free = NO_SLOT};
    return 0;
}

void
files_done(struct files *t)
{
    for (uint32_t i = 0; i < t->high; i++) {
        if (t->at[i].fd >= 0)
            (void)close(t->at[i].fd);
    }
    if (t->at != NULL)
        (void)munmap(t->at, t->limit * sizeof(*t->at));
    *t = (struct files){0};
}

bool
files_full(const struct files *t)
{
    return t->used == t->limit;
}

static uint32_t
index_of(const struct files *t, const struct file *f)
{
    return (uint32_t)(f - t->at);
}

int
file_add(struct files *t, int *fd, uint64_t node, bool writable, uint64_t *ret_id)
{
    struct file *f;

    if (t->free != NO_SLOT) {
        f = &t->at[t->free];
        t->free = f->next;
    } else if (t->high < t->limit) {
        f = &t->at[t->high++];
        f->generation = 1;
    } else {
        return -EMFILE;
    }
    t->used++;
    *f = (struct file){.node = node,
                       .fd = take_fd(fd),
                       .generation = f->generation,
                       .writable = writable,
                       .set_id = writable}; /* the first write looks */
    *ret_id = (uint64_t)f->generation << 32 | index_of(t, f);
    return 0;
}

int
file_get(struct files *t, uint64_t id, struct file **ret)
{
    uint32_t i = (uint32_t)id;

    if (i >= t->limit)
        violation("worker named file %u of %u", i, t->limit);
    if (i >= t->high || t->at[i].fd < 0 || t->at[i].closing || t->at[i].generation != id >> 32)
        return -EBADF;
    *ret = &t->at[i];
    return 0;
}

/* What close(2) said; the fd is gone either way. */
static int
slot_give(struct files *t, struct file *f)
{
    int r = close(f->fd) < 0 && errno != EINTR ? -errno : 0;

    f->fd = -1;
    f->generation = f->generation == UINT32_MAX ? 1 : f->generation + 1;
    f->next = t->free;
    t->free = index_of(t, f);
    t->used--;
    return r;
}

int
file_close(struct files *t, struct file *f)
{
    f->closing = true;
    return f->jobs == 0 ? slot_give(t, f) : 0;
}

void
files_set_id(struct files *t, uint64_t node)
{
    for (uint32_t i = 0; i < t->high; i++)
        if (t->at[i].fd >= 0 && t->at[i].node == node)
            t->at[i].set_id = true;
}

void
file_job_begin(struct file *f)
{
    f->jobs++;
}

void
file_job_end(struct files *t, struct file *f)
{
    if (f->jobs == 0)
        bug("file %u has no job to end", index_of(t, f));
    f->jobs--;
    if (f->jobs == 0 && f->closing)
        (void)slot_give(t, f); /* its CLOSE was answered */
}
