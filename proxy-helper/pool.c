/*
 * The pool of threads. See pool.h.
 *
 * Runs in: helper, its own threads and the main one.   Trusts: the main
 * thread; sees no message of the worker.   Owns: its threads and jobs.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy-helper/pool.h"

struct queue {
    struct job *first, **end;
};

struct pool {
    pthread_mutex_t lock; /* all below but jobs and free */
    pthread_cond_t work;
    struct queue todo, done;
    bool stop;
    bool main_sleeps;
    int wake_fd; /* borrowed */
    pthread_cond_t begun;
    unsigned running; /* threads that reached our code */
    unsigned nthreads;
    pthread_t threads[POOL_THREADS];
    struct job *free; /* the main thread's */
    struct job jobs[IN_FLIGHT_MAX];
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

static void *
pool_thread(void *arg)
{
    struct pool *p = arg;
    struct job *j;
    bool wake;

    (void)pthread_mutex_lock(&p->lock);
    p->running++;
    (void)pthread_cond_signal(&p->begun);
    for (;;) {
        while (p->todo.first == NULL && !p->stop)
            (void)pthread_cond_wait(&p->work, &p->lock);
        j = queue_get(&p->todo);
        if (j == NULL)
            break;
        (void)pthread_mutex_unlock(&p->lock);
        identity_be(j->identity, j->frame.uid, j->frame.gid);
        j->run(j);
        (void)pthread_mutex_lock(&p->lock);
        queue_put(&p->done, j);
        wake = p->main_sleeps;
        p->main_sleeps = false;
        if (wake)
            wake_main(p);
    }
    (void)pthread_mutex_unlock(&p->lock);
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
pool_new(int wake_fd, struct pool **ret)
{
    struct pool *p = calloc(1, sizeof(*p));
    int r = 0;

    if (p == NULL)
        return -ENOMEM;
    p->wake_fd = wake_fd;
    queue_init(&p->todo);
    queue_init(&p->done);
    for (unsigned i = 0; i < IN_FLIGHT_MAX; i++)
        pool_job_put(p, &p->jobs[i]);
    (void)pthread_mutex_init(&p->lock, NULL);
    (void)pthread_cond_init(&p->work, NULL);
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
    (void)pthread_mutex_lock(&p->lock);
    p->stop = true;
    (void)pthread_cond_broadcast(&p->work);
    (void)pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->nthreads; i++)
        (void)pthread_join(p->threads[i], NULL);
    (void)pthread_cond_destroy(&p->begun);
    (void)pthread_cond_destroy(&p->work);
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
    (void)pthread_cond_signal(&p->work);
    (void)pthread_mutex_unlock(&p->lock);
}

struct job *
pool_collect(struct pool *p)
{
    struct job *j;

    (void)pthread_mutex_lock(&p->lock);
    j = queue_get(&p->done);
    p->main_sleeps = false;
    (void)pthread_mutex_unlock(&p->lock);
    return j;
}

bool
pool_may_sleep(struct pool *p)
{
    bool may;

    (void)pthread_mutex_lock(&p->lock);
    may = p->done.first == NULL;
    p->main_sleeps = may;
    (void)pthread_mutex_unlock(&p->lock);
    return may;
}
