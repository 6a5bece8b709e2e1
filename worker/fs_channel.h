/*
 * worker/fs.h over the channel to one helper.
 */
#ifndef POSTERN_WORKER_FS_CHANNEL_H
#define POSTERN_WORKER_FS_CHANNEL_H

#include "ipc/channel.h"
#include "worker/fs.h"
#include "worker/slab.h"

struct fs_channel;

/*
 * Map memfd, whose fd is not needed afterwards. wake_fd (to wake the helper)
 * stays the caller's and must outlive it, or fs_revoke(). name is copied. 0 and
 * *ret, or -errno.
 */
int fs_channel_new(const char *name, bool read_only, int memfd, int wake_fd,
                   struct fs_channel **ret);
/* NULL is fine. No call may be in flight: fs_channel_gone() first. fs_end() of
 * its fs is the same. */
void fs_channel_free(struct fs_channel *fc);

struct fs *fs_channel_fs(struct fs_channel *fc);

/* Answer what has come back; arena is for the duration of the call. True
 * when a call was answered. */
bool fs_channel_poll(struct fs_channel *fc, struct arena *arena);
/*
 * Tell the helper of everything submitted since the last time. A few FORGETs
 * alone, which nobody waits for, are kept until there is something else to say,
 * or until all is wanted. True: some were.
 */
bool fs_channel_notify(struct fs_channel *fc, bool all);
/* True: nothing to wait for or the helper will wake us; false: poll again. */
bool fs_channel_may_sleep(struct fs_channel *fc);
/* Call after waiting. */
void fs_channel_awake(struct fs_channel *fc);
/* The helper is no more: answer every call -EIO, those in flight now. */
void fs_channel_gone(struct fs_channel *fc);

/* For statistics and tests. */
unsigned fs_channel_in_flight(const struct fs_channel *fc);
bool fs_channel_is_gone(const struct fs_channel *fc);
uint32_t fs_channel_pages(const struct fs_channel *fc);

#endif
