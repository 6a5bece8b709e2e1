/*
 * Data: read, write, fsync. What would wait for the disk goes to the pool.
 *
 * The payload lies in memory that the worker writes too. It is only ever the
 * kernel's source or target here, never looked at.
 *
 * Runs in: helper; the job_* functions in its pool threads.
 * Trusts: dispatch for access.   Owns: nothing.
 */
#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utlist.h>

#include "ipc/log.h"
#include "ipc/ops.h"
#include "proxy-helper/op.h"
#include "proxy-helper/stored.h"

#define WRITE_INLINE_MAX (256u * 1024u)

/* The file of a data request and whether its range can be. */
static int
io_begin(struct share *sh, uint64_t id, uint64_t offset, uint32_t count, struct file **ret)
{
    int r;

    if (count > sh->call.frame->payload_len)
        violation("worker asked for %u bytes with room for %u", count, sh->call.frame->payload_len);
    r = file_get(&sh->files, id, ret);
    if (r < 0)
        return r;
    return offset > (uint64_t)INT64_MAX - count ? -EINVAL : 0;
}

static void
job_read(struct job *j)
{
    ssize_t n = pread(j->fd, j->buf + j->done, j->count - j->done, (off_t)(j->offset + j->done));

    if (n >= 0)
        j->done += (uint32_t)n;
    else if (j->done == 0)
        j->status = -errno; /* else: short, and the next read meets the error */
}

static void
job_write(struct job *j)
{
    ssize_t n = pwrite(j->fd, j->buf, j->count, (off_t)j->offset);

    if (n >= 0)
        j->done = (uint32_t)n;
    else
        j->status = -errno;
}

static void
job_fsync(struct job *j)
{
    j->status = fsync(j->fd) < 0 ? -errno : 0;
}

static void
job_fdatasync(struct job *j)
{
    j->status = fdatasync(j->fd) < 0 ? -errno : 0;
}

static size_t
pack_read(const struct job *j, uint8_t *body)
{
    Postern__V1__ReadRep rep = POSTERN__V1__READ_REP__INIT;

    rep.count = j->done;
    return protobuf_c_message_pack(&rep.base, body);
}

static size_t
pack_write(const struct job *j, uint8_t *body)
{
    Postern__V1__WriteRep rep = POSTERN__V1__WRITE_REP__INIT;

    rep.count = j->done;
    return protobuf_c_message_pack(&rep.base, body);
}

static size_t
pack_fsync(const struct job *j, uint8_t *body)
{
    const Postern__V1__FsyncRep rep = POSTERN__V1__FSYNC_REP__INIT;

    (void)j;
    return protobuf_c_message_pack(&rep.base, body);
}

/* A job of the request at work, which keeps its file open. */
static struct job *
io_job(struct share *sh, struct file *f, const struct job *what)
{
    struct job *j;

    j = pool_job_get(sh->pool);
    if (j == NULL)
        violation("worker has more than %d requests in flight", IN_FLIGHT_MAX);
    *j = *what;
    j->frame = *sh->call.frame;
    j->identity = &sh->identity;
    j->buf = sh->call.payload;
    j->fd = f->fd;
    j->file = (uint64_t)(f - sh->files.at);
    file_job_begin(f);
    return j;
}

/* Hand a job to the pool; a thread answers it. */
static int
io_start(struct share *sh, struct file *f, const struct job *what)
{
    pool_submit(sh->pool, io_job(sh, f, what));
    return OP_LATER;
}

/*
 * Read what is in the page cache. The bytes read into *done; -EAGAIN: the
 * rest, or all, has to come from the disk. A short count is made sure to be
 * the end of the file: a client may believe it.
 */
static int
read_cached(struct file *f, uint8_t *buf, uint32_t count, uint64_t offset, uint32_t *done)
{
    while (*done < count) {
        struct iovec iov = {.iov_base = buf + *done, .iov_len = count - *done};
        ssize_t n = preadv2(f->fd, &iov, 1, (off_t)(offset + *done), f->may_block ? 0 : RWF_NOWAIT);

        if (n < 0 && errno == EOPNOTSUPP && !f->may_block) {
            f->may_block = true; /* this file system cannot say; wait for it here */
            continue;
        }
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        *done += (uint32_t)n;
    }
    return 0;
}

int
op_read(struct share *sh, const Postern__V1__ReadReq *req, Postern__V1__ReadRep *rep)
{
    struct file *f;
    uint32_t done = 0;
    int r = io_begin(sh, req->file, req->offset, req->count, &f);

    if (r < 0)
        return r;
    r = read_cached(f, sh->call.payload, req->count, req->offset, &done);
    if (r == -EAGAIN)
        return io_start(sh, f,
                        &(struct job){.run = job_read,
                                      .pack = pack_read,
                                      .offset = req->offset,
                                      .count = req->count,
                                      .done = done});
    if (r < 0 && done == 0)
        return r;
    rep->count = done;
    return 0;
}

/* As the kernel does where it has the modes: what others write has no set-id
 * bits afterwards. */
static int
before_write(const struct share *sh, struct file *f)
{
    if (!f->set_id || !stored_is(sh) || sh->call.frame->uid == 0)
        return 0;
    f->set_id = false;
    return stored_drop_set_id(sh, f->fd);
}

int
op_write(struct share *sh, const Postern__V1__WriteReq *req, Postern__V1__WriteRep *rep)
{
    struct file *f;
    ssize_t n;
    int r = io_begin(sh, req->file, req->offset, req->count, &f);

    if (r == 0)
        r = before_write(sh, f);
    if (r < 0)
        return r;
    if (req->count > WRITE_INLINE_MAX)
        return io_start(
            sh, f,
            &(struct job){
                .run = job_write, .pack = pack_write, .offset = req->offset, .count = req->count});
    n = pwrite(f->fd, sh->call.payload, req->count, (off_t)req->offset);
    if (n < 0)
        return -errno;
    rep->count = (uint32_t)n;
    return 0;
}

/*
 * One fsync(2) at a time on a file: what comes meanwhile may be about data that
 * it did not see, and waits for the next, which is one call for all of them.
 */
int
op_fsync(struct share *sh, const Postern__V1__FsyncReq *req, Postern__V1__FsyncRep *rep)
{
    struct file *f;
    struct job *j;
    int r = file_get(&sh->files, req->file, &f);

    (void)rep;
    if (r < 0)
        return r;
    j = io_job(
        sh, f,
        &(struct job){.run = req->datasync != 0 ? job_fdatasync : job_fsync, .pack = pack_fsync});
    if (f->syncing) {
        LL_PREPEND2(sh->syncs, j, group);
        pool_await(sh->pool);
        return OP_LATER;
    }
    f->syncing = true;
    pool_submit(sh->pool, j);
    return OP_LATER;
}

/* The waiting FSYNCs of a file as one job, or NULL. One of them that wants more
 * than the data has it for all. */
static struct job *
take_syncs(struct share *sh, uint64_t file)
{
    struct job *group = NULL, **at = &sh->syncs;

    while (*at != NULL) {
        struct job *j = *at;

        if (j->file != file) {
            at = &j->group;
            continue;
        }
        *at = j->group;
        if (group != NULL && group->run == job_fsync)
            j->run = job_fsync;
        LL_PREPEND2(group, j, group);
    }
    return group;
}

static void
sync_ended(struct share *sh, const struct job *j)
{
    struct job *next = take_syncs(sh, j->file);

    sh->files.at[j->file].syncing = next != NULL;
    if (next != NULL)
        pool_submit(sh->pool, next);
}

void
io_finish(struct share *sh, const struct job *j)
{
    if (j->frame.op == OP_FSYNC)
        sync_ended(sh, j);
    for (; j != NULL; j = j->group)
        file_job_end(&sh->files, &sh->files.at[j->file]);
}
