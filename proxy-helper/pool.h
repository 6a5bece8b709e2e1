/*
 * The few threads that wait for the disk so that the main thread need not.
 *
 * Only the main thread has the tables and takes requests. It fills a job, hands it
 * over, and gets it back done; in between the job, its fd and its payload are
 * the pool's. The thread that did it also puts the replies into the ring, if
 * there is room, and wakes the worker: the main thread need not wake up for
 * that. So while jobs are under way, who sends a reply holds pool_lock().
 */
#ifndef POSTERN_HELPER_POOL_H
#define POSTERN_HELPER_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "ipc/channel.h"
#include "ipc/limits.h"
#include "proxy-helper/identity.h"

#define POOL_THREADS HELPER_THREADS
#define POOL_BATCH_MAX 32u /* requests that the main thread takes before it looks for done jobs */

struct pool;

struct job {
    /* What to do; owns nothing. It sets done or status. */
    void (*run)(struct job *j);
    /* The message of its reply, at most FRAME_BODY_MAX bytes; how many. */
    size_t (*pack)(const struct job *j, uint8_t *body);
    struct frame frame;              /* of the request, and so of its user */
    const struct identity *identity; /* borrowed; how a thread becomes him */
    uint64_t file;                   /* index into the table of open files */
    uint64_t offset;
    uint8_t *buf;   /* borrowed from the slab */
    uint32_t count; /* bytes wanted */
    uint32_t done;  /* bytes so far */
    int fd;         /* borrowed from the file, which waits for us */
    int status;     /* 0 or -errno */
    struct job *next;
    struct job *group; /* more requests that this job answers, linked by group */
    bool answered;     /* all of them were; the main thread has only to clear up */
};

/* Start the threads and wait until all of them run; they reply through ch, and write wake_fd when
 * the main thread sleeps and is wanted. Both must outlive the pool. 0 or -errno. */
int pool_new(int wake_fd, struct channel *ch, struct pool **ret);
/* Finish what was handed over, end the threads. NULL is fine; returns NULL. */
struct pool *pool_free(struct pool *p);

/* An empty job, or NULL when more than IN_FLIGHT_MAX are under way. */
struct job *pool_job_get(struct pool *p);
void pool_submit(struct pool *p, struct job *j);
/* The main thread waits for the end of a job that is under way: wake it for that. */
void pool_await(struct pool *p);
/* Before the main thread sends a reply or tells the worker, and after it: no thread does. */
void pool_lock(struct pool *p);
void pool_unlock(struct pool *p);
/* A finished job, or NULL. Given back with pool_job_put(). */
struct job *pool_collect(struct pool *p);
void pool_job_put(struct pool *p, struct job *j);
/* The main thread is about to sleep. false: a job is done, do not. */
bool pool_may_sleep(struct pool *p);

#endif
