/*
 * The pool of threads. See pool.h.
 *
 * Runs in: helper, its own threads and the main one.   Trusts: the main
 * thread; sees no message of the worker.   Owns: its threads and jobs.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "ipc/log.h"
#include "proxy-helper/pool.h"

struct queue {
    struct job *first, **end;
};

/* Jobs whose reply is sent count no longer for the worker, but do for us until
 * they are collected; it may send so many requests between two looks. */
#define JOBS (IN_FLIGHT_MAX + POOL_BATCH_MAX)

struct pool {
    pthread_mutex_t lock; /* all below but what is the main thread's; and sending in ch */
    sem_t work;           /* jobs in todo; when all is over, one for each thread */
    struct queue todo, done;
    bool main_sleeps;
    bool awaited;       /* the main thread wants to know of jobs that are answered, too */
    int wake_fd;        /* borrowed */
    struct channel *ch; /* borrowed */
    pthread_cond_t begun;
    unsigned running; /* threads that reached our code */
    unsigned nthreads;
    pthread_t threads[POOL_THREADS];
    unsigned under_way; /* the main thread's, as all below: jobs not yet collected */
    struct job *free;
    struct job jobs[JOBS];
};

static void
queue_init(struct queue *q)
{
    q->first = NULL;
    q->end = &q->first;
}

static void
queue_put(struct queue *q, struct job *j)
{
    j->next = NULL;
    *q->end = j;
    q->end = &j->next;
}

static struct job *
queue_get(struct queue *q)
{
    struct job *j = q->first;

    if (j != NULL)
        q->first = j->next;
    if (q->first == NULL)
        q->end = &q->first;
    return j;
}

static void
wake_main(const struct pool *p)
{
    static const uint64_t one = 1;
    ssize_t n = write(p->wake_fd, &one, sizeof(one));

    (void)n; /* EAGAIN: the counter is full, so there is an edge to come */
}

/* Reply, unless the main thread has to wake up anyway, or to wait for room. */
static void
answer(const struct pool *p, struct job *j)
{
    struct frame f = j->frame;
    uint8_t *body;

    if (p->awaited || j->group != NULL || channel_reserve(p->ch, &body) < 0)
        return;
    f.status = j->status;
    channel_commit(p->ch, &f, f.status == 0 ? j->pack(j, body) : 0);
    j->answered = true;
}

/* Whoever is woken may want the lock at once, so we let go of it before that. */
static void
hand_back(struct pool *p, struct job *j)
{
    bool main_wakes, worker_wakes;

    (void)pthread_mutex_lock(&p->lock);
    answer(p, j);
    worker_wakes = channel_must_wake(p->ch);
    main_wakes = p->main_sleeps && !j->answered;
    if (main_wakes)
        p->main_sleeps = false;
    queue_put(&p->done, j);
    (void)pthread_mutex_unlock(&p->lock);
    if (worker_wakes && channel_wake(p->ch) < 0)
        die("eventfd of the worker");
    if (main_wakes)
        wake_main(p);
}

/* NULL: it is over. */
static struct job *
next_job(struct pool *p)
{
    struct job *j;

    while (sem_wait(&p->work) < 0)
        ; /* EINTR */
    (void)pthread_mutex_lock(&p->lock);
    j = queue_get(&p->todo);
    (void)pthread_mutex_unlock(&p->lock);
    return j;
}

static void *
pool_thread(void *arg)
{
    struct pool *p = arg;
    struct job *j;

    (void)pthread_mutex_lock(&p->lock);
    p->running++;
    (void)pthread_cond_signal(&p->begun);
    (void)pthread_mutex_unlock(&p->lock);
    while ((j = next_job(p)) != NULL) {
        identity_be(j->identity, j->frame.uid, j->frame.gid);
        j->run(j);
        hand_back(p, j);
    }
    return NULL;
}

/* A thread's first steps belong to the C library, which makes system calls
 * that the filter will not know: nobody may seal before they are over. */
static void
wait_until_all_run(struct pool *p)
{
    (void)pthread_mutex_lock(&p->lock);
    while (p->running < p->nthreads)
        (void)pthread_cond_wait(&p->begun, &p->lock);
    (void)pthread_mutex_unlock(&p->lock);
}

int
pool_new(int wake_fd, struct channel *ch, struct pool **ret)
{
    struct pool *p = calloc(1, sizeof(*p));
    int r = 0;

    if (p == NULL)
        return -ENOMEM;
    p->wake_fd = wake_fd;
    p->ch = ch;
    queue_init(&p->todo);
    queue_init(&p->done);
    for (unsigned i = 0; i < JOBS; i++)
        pool_job_put(p, &p->jobs[i]);
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)sem_init(&p->work, 0, 0);
    (void)pthread_cond_init(&p->begun, NULL);
    while (r == 0 && p->nthreads < POOL_THREADS) {
        r = -pthread_create(&p->threads[p->nthreads], NULL, pool_thread, p);
        if (r == 0)
            p->nthreads++;
    }
    wait_until_all_run(p);
    if (r < 0) {
        (void)pool_free(p);
        return r;
    }
    *ret = p;
    return 0;
}

struct pool *
pool_free(struct pool *p)
{
    if (p == NULL)
        return NULL;
    for (unsigned i = 0; i < p->nthreads; i++)
        (void)sem_post(&p->work);
    for (unsigned i = 0; i < p->nthreads; i++)
        (void)pthread_join(p->threads[i], NULL);
    (void)pthread_cond_destroy(&p->begun);
    (void)sem_destroy(&p->work);
    (void)pthread_mutex_destroy(&p->lock);
    free(p);
    return NULL;
}

struct job *
pool_job_get(struct pool *p)
{
    struct job *j = p->free;

    if (j == NULL)
        return NULL;
    p->free = j->next;
    *j = (struct job){.fd = -1};
    return j;
}

void
pool_job_put(struct pool *p, struct job *j)
{
    j->next = p->free;
    p->free = j;
}

void
pool_submit(struct pool *p, struct job *j)
{
    (void)pthread_mutex_lock(&p->lock);
    queue_put(&p->todo, j);
    (void)pthread_mutex_unlock(&p->lock);
    (void)sem_post(&p->work); /* who wakes up finds the lock free */
    p->under_way++;
}

void
pool_await(struct pool *p)
{
    (void)pthread_mutex_lock(&p->lock);
    p->awaited = true;
    (void)pthread_mutex_unlock(&p->lock);
}

void
pool_lock(struct pool *p)
{
    if (p->under_way > 0)
        (void)pthread_mutex_lock(&p->lock);
}

void
pool_unlock(struct pool *p)
{
    if (p->under_way > 0)
        (void)pthread_mutex_unlock(&p->lock);
}

struct job *
pool_collect(struct pool *p)
{
    struct job *j;

    if (p->under_way == 0)
        return NULL;
    (void)pthread_mutex_lock(&p->lock);
    j = queue_get(&p->done);
    p->main_sleeps = false;
    if (j != NULL && --p->under_way == 0)
        p->awaited = false;
    (void)pthread_mutex_unlock(&p->lock);
    return j;
}

bool
pool_may_sleep(struct pool *p)
{
    bool may;

    if (p->under_way == 0)
        return true;
    (void)pthread_mutex_lock(&p->lock);
    may = p->done.first == NULL;
    p->main_sleeps = may;
    (void)pthread_mutex_unlock(&p->lock);
    return may;
}
