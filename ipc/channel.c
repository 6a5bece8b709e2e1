/*
 * Two rings and a slab in a sealed memfd.
 *
 * Runs in: worker and helper (the broker only makes the memfd).
 * Trusts: nothing in the shared memory: positions are checked against private
 * copies, records are copied before they are read.
 * Owns: the mapping.
 *
 * Each ring is mapped twice in a row, so that a record that runs over the end
 * of the ring is contiguous in memory and nobody handles a wrap.
 */
#include "ipc/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/record.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define CACHE_LINE 64

/* What the two sides share of one ring; each word on a cache line of its own. */
struct ring_shared {
    _Alignas(CACHE_LINE) _Atomic uint32_t head;     /* written by the producer */
    _Alignas(CACHE_LINE) _Atomic uint32_t tail;     /* written by the consumer */
    _Alignas(CACHE_LINE) _Atomic uint32_t sleeping; /* the consumer waits for its eventfd */
};

/* The memfd: a page of ring_shared, the rings, the slab. */
#define HEAD_BYTES 4096u
#define FILE_BYTES ((size_t)HEAD_BYTES + 2 * (size_t)RING_BYTES + SLAB_BYTES)
/* The mapping: the same with each ring twice. */
#define MAP_BYTES ((size_t)HEAD_BYTES + 4 * (size_t)RING_BYTES + SLAB_BYTES)
#define MAP_RING(i) ((size_t)HEAD_BYTES + 2 * (size_t)(i)*RING_BYTES)
#define MAP_SLAB ((size_t)HEAD_BYTES + 4 * (size_t)RING_BYTES)

_Static_assert((RING_BYTES & (RING_BYTES - 1)) == 0, "ring positions wrap with the type");
_Static_assert(FRAME_MAX < RING_BYTES / 4, "several of the largest records fit");
_Static_assert(2 * sizeof(struct ring_shared) <= HEAD_BYTES, "one page holds both");

int
channel_create(void)
{
    _clean(clean_fd) int fd =
        memfd_create("postern-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

    if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
        fd = memfd_create("postern-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)FILE_BYTES) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        return -errno;
    return take_fd(&fd);
}

static int
check_memfd(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    off_t size = lseek(fd, 0, SEEK_END); /* a worker may not stat(2): that takes a path */

    if (size < 0)
        return -errno;
    if (seals < 0 || (seals & SEALS) != SEALS || size != (off_t)FILE_BYTES)
        return -EINVAL;
    return 0;
}

static int
map_part(uint8_t *at, size_t n, int fd, size_t off)
{
    void *p = mmap(at, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, (off_t)off);

    return p == MAP_FAILED ? -errno : 0;
}

static int
map_all(uint8_t *map, int fd)
{
    int r = map_part(map, HEAD_BYTES, fd, 0);

    for (unsigned i = 0; r == 0 && i < 2; i++) {
        size_t off = HEAD_BYTES + (size_t)i * RING_BYTES;

        r = map_part(map + MAP_RING(i), RING_BYTES, fd, off);
        if (r == 0)
            r = map_part(map + MAP_RING(i) + RING_BYTES, RING_BYTES, fd, off);
    }
    if (r == 0)
        r = map_part(map + MAP_SLAB, SLAB_BYTES, fd, HEAD_BYTES + 2 * (size_t)RING_BYTES);
    return r;
}

int
channel_open(struct channel *ch, enum channel_side side, int memfd, int wake_fd)
{
    unsigned tx = side == CHANNEL_WORKER ? 0 : 1;
    struct ring_shared *sh;
    void *map;
    int r = check_memfd(memfd);

    if (r < 0)
        return r;
    map = mmap(NULL, MAP_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return -errno;
    r = map_all(map, memfd);
    if (r < 0) {
        munmap(map, MAP_BYTES);
        return r;
    }
    *ch = (struct channel){.map = map, .slab = (uint8_t *)map + MAP_SLAB, .wake_fd = wake_fd};
    sh = map;
    ch->tx = (struct ring){.sh = &sh[tx], .data = ch->map + MAP_RING(tx)};
    ch->rx = (struct ring){.sh = &sh[1 - tx], .data = ch->map + MAP_RING(1 - tx)};
    return 0;
}

void
channel_close(struct channel *ch)
{
    if (ch->map != NULL)
        munmap(ch->map, MAP_BYTES);
    *ch = (struct channel){.wake_fd = -1};
}

/* Bytes free for the producer. -EBADMSG when the consumer's tail cannot be. */
static int
ring_has_room(struct ring *r, uint32_t need)
{
    if (RING_BYTES - (r->pos - r->peer) >= need)
        return 0;
    r->peer = atomic_load_explicit(&r->sh->tail, memory_order_acquire);
    if (r->pos - r->peer > RING_BYTES)
        return -EBADMSG;
    return RING_BYTES - (r->pos - r->peer) >= need ? 0 : -EAGAIN;
}

static uint8_t *
ring_at(const struct ring *r)
{
    return r->data + (r->pos & (RING_BYTES - 1));
}

int
channel_reserve(struct channel *ch, uint8_t **ret_body)
{
    int r = ring_has_room(&ch->tx, FRAME_MAX);

    if (r < 0)
        return r;
    *ret_body = ring_at(&ch->tx) + sizeof(struct frame);
    return 0;
}

void
channel_commit(struct channel *ch, const struct frame *f, size_t n)
{
    struct frame head = *f;

    head.size = (uint32_t)(sizeof(head) + n);
    memcpy(ring_at(&ch->tx), &head, sizeof(head));
    ch->tx.pos += record_room(head.size);
    atomic_store_explicit(&ch->tx.sh->head, ch->tx.pos, memory_order_release);
    ch->dirty = true;
}

int
channel_send(struct channel *ch, const struct frame *f, const uint8_t *body, size_t n)
{
    int r;

    if (n > FRAME_BODY_MAX)
        return -EMSGSIZE;
    r = ring_has_room(&ch->tx, record_room((uint32_t)(sizeof(*f) + n)));
    if (r < 0)
        return r;
    if (n > 0)
        memcpy(ring_at(&ch->tx) + sizeof(*f), body, n);
    channel_commit(ch, f, n);
    return 0;
}

/* Whether the ring has something: 1, 0, or -EBADMSG for a head that cannot be. */
static int
ring_has_data(struct ring *r)
{
    if (r->peer == r->pos)
        r->peer = atomic_load_explicit(&r->sh->head, memory_order_acquire);
    if (r->peer - r->pos > RING_BYTES)
        return -EBADMSG;
    return r->peer != r->pos;
}

int
channel_recv(struct channel *ch, struct frame *f, uint8_t *body, size_t *n)
{
    struct ring *r = &ch->rx;
    int got = ring_has_data(r);

    if (got <= 0)
        return got;
    if (record_take(r->data, r->pos, r->peer - r->pos, f, body, n) < 0)
        return -EBADMSG;
    r->pos += record_room(f->size);
    atomic_store_explicit(&r->sh->tail, r->pos, memory_order_release);
    return 1;
}

/* Not inlined: where it is, gcc's thread sanitizer sees a fence that it has to
 * warn of. */
__attribute__((noinline)) bool
channel_must_wake(struct channel *ch)
{
    if (!ch->dirty)
        return false;
    ch->dirty = false;
    /* Pairs with channel_may_sleep(): either we see the flag or it our head. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&ch->tx.sh->sleeping, memory_order_relaxed) == 0)
        return false;
    atomic_store_explicit(&ch->tx.sh->sleeping, 0, memory_order_relaxed);
    return true;
}

int
channel_wake(const struct channel *ch)
{
    static const uint64_t one = 1;

    return write(ch->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN ? -errno : 0;
}

int
channel_notify(struct channel *ch)
{
    return channel_must_wake(ch) ? channel_wake(ch) : 0;
}

bool
channel_may_sleep(struct channel *ch)
{
    struct ring *r = &ch->rx;

    atomic_store_explicit(&r->sh->sleeping, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    if (ring_has_data(r) == 0)
        return true;
    channel_awake(ch);
    return false;
}

void
channel_awake(struct channel *ch)
{
    atomic_store_explicit(&ch->rx.sh->sleeping, 0, memory_order_relaxed);
}

uint8_t *
channel_payload(const struct channel *ch, uint32_t off, uint32_t len)
{
    if (off % SLAB_PAGE != 0 || off >= SLAB_BYTES || len > SLAB_BYTES - off)
        return NULL;
    return ch->slab + off;
}
