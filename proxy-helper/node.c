/*
 * The node table. See node.h.
 *
 * Runs in: helper, main thread alone.   Trusts: nobody's ids.
 * Owns: the nodes' O_PATH fds.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/log.h"
#include "proxy-helper/identity.h"
#include "proxy-helper/node.h"
#include "proxy-helper/path.h"

static uint32_t
index_of(const struct nodes *t, const struct node *n)
{
    return (uint32_t)(n - t->at);
}

static uint32_t *
bucket_of(const struct nodes *t, uint64_t ino, uint32_t dev_major, uint32_t dev_minor)
{
    uint64_t h = (ino ^ ((uint64_t)dev_major << 52) ^ ((uint64_t)dev_minor << 32)) *
                 UINT64_C(0x9e3779b97f4a7c15);

    return &t->buckets[(h >> 32) & t->mask];
}

static void
fill(struct node *n, const struct statx *st)
{
    n->ino = st->stx_ino;
    n->mnt_id = st->stx_mnt_id;
    n->dev_major = st->stx_dev_major;
    n->dev_minor = st->stx_dev_minor;
    n->btime_sec = st->stx_btime.tv_sec;
    n->btime_nsec = st->stx_btime.tv_nsec;
    n->type = st->stx_mode & S_IFMT;
}

static void
hash_in(struct nodes *t, struct node *n)
{
    uint32_t *head = bucket_of(t, n->ino, n->dev_major, n->dev_minor);

    n->next = *head;
    *head = index_of(t, n) + 1; /* 0 ends a chain: fresh memory is empty */
}

static void
hash_out(struct nodes *t, const struct node *n)
{
    uint32_t *at = bucket_of(t, n->ino, n->dev_major, n->dev_minor);

    while (*at != 0 && *at != index_of(t, n) + 1)
        at = &t->at[*at - 1].next;
    if (*at == 0)
        bug("node %u is in no chain", index_of(t, n));
    *at = n->next;
}

/* One mapping, touched as it is used: nodes, names, buckets. */
static int
map_table(struct nodes *t, uint32_t limit)
{
    size_t buckets = 1;
    uint8_t *p;

    while (buckets < limit)
        buckets *= 2;
    t->bytes = limit * (sizeof(*t->at) + sizeof(*t->names)) + buckets * sizeof(*t->buckets);
    p = mmap(NULL, t->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
             -1, 0);
    if (p == MAP_FAILED)
        return -errno;
    t->at = (struct node *)(void *)p;
    t->buckets = (uint32_t *)(void *)(p + limit * sizeof(*t->at));
    t->names = (char(*)[NAME_BUF])(void *)(t->buckets + buckets);
    t->mask = (uint32_t)buckets - 1;
    t->limit = limit;
    return 0;
}

int
nodes_init(struct nodes *t, uint32_t limit, uint32_t fd_limit, int *root_fd,
           const struct statx *root)
{
    int r;

    if (limit == 0 || limit > INT32_MAX || fd_limit == 0)
        return -EINVAL;
    *t = (struct nodes){.free = NODE_NONE, .fd_limit = fd_limit, .high = 1, .used = 1, .fds = 1};
    r = map_table(t, limit);
    if (r < 0)
        return r;
    t->at[0].fd = take_fd(root_fd);
    t->at[0].refs = 1;
    t->at[0].generation = 1;
    fill(&t->at[0], root);
    hash_in(t, &t->at[0]);
    return 0;
}

void
nodes_done(struct nodes *t)
{
    for (uint32_t i = 0; i < t->high; i++) {
        if (t->at[i].type != 0 && t->at[i].fd >= 0)
            (void)close(t->at[i].fd);
    }
    if (t->at != NULL)
        (void)munmap(t->at, t->bytes);
    *t = (struct nodes){0};
}

void
nodes_next_request(struct nodes *t)
{
    t->stamp++;
}

static void
make_room(struct nodes *t)
{
    if (t->used == t->limit || t->fds == t->fd_limit)
        nodes_let_go(t);
}

bool
nodes_full(struct nodes *t)
{
    make_room(t);
    return t->used == t->limit;
}

uint64_t
node_id(const struct nodes *t, const struct node *n)
{
    return (uint64_t)n->generation << 32 | index_of(t, n);
}

const char *
node_name(const struct nodes *t, const struct node *n)
{
    return t->names[index_of(t, n)];
}

struct node *
node_parent(const struct nodes *t, const struct node *n)
{
    return &t->at[n->parent];
}

bool
node_is_root(const struct nodes *t, const struct node *n)
{
    return n == t->at;
}

/* Let go of one fd to make room for another: the first the clock finds that
 * was not used lately, is not needed by this request and can be made again. */
static int
drop_one_fd(struct nodes *t)
{
    for (uint64_t i = 0; i < 2 * (uint64_t)t->high; i++) {
        struct node *n = &t->at[t->hand];

        t->hand = (t->hand + 1) % t->high;
        if (n->type == 0 || n->fd < 0 || n->pinned || n->stamp == t->stamp || n == t->at)
            continue;
        if (n->recent) {
            n->recent = false;
            continue;
        }
        (void)close(n->fd);
        n->fd = -1;
        t->fds--;
        return 0;
    }
    return -ENFILE;
}

/* Hand an fd to a node. On failure it stays the caller's. */
static int
adopt_fd(struct nodes *t, struct node *n, int *fd)
{
    int r = t->fds < t->fd_limit ? 0 : drop_one_fd(t);

    if (r < 0)
        return r;
    n->fd = take_fd(fd);
    t->fds++;
    return 0;
}

bool
node_is(const struct node *n, const struct statx *st)
{
    if (n->ino != st->stx_ino || n->mnt_id != st->stx_mnt_id || n->dev_major != st->stx_dev_major ||
        n->dev_minor != st->stx_dev_minor || n->type != (st->stx_mode & S_IFMT))
        return false;
    /* An fd keeps the inode number from being given to another file. */
    return n->fd >= 0 ||
           (n->btime_sec == st->stx_btime.tv_sec && n->btime_nsec == st->stx_btime.tv_nsec);
}

static int
reopen_below(struct nodes *t, const struct node *parent, struct node *n)
{
    _clean(clean_fd) int fd = -1;
    struct statx st;
    int r;

    fd = path_walk(parent->fd, node_name(t, n));
    if (fd < 0)
        return fd == -ENOENT || fd == -ENOTDIR ? -ESTALE : fd;
    r = path_stat(fd, &st);
    if (r < 0)
        return r;
    if (!node_is(n, &st))
        return -ESTALE;
    return adopt_fd(t, n, &fd);
}

/* Up to the first ancestor that has an fd, remembering the way, and down
 * again. The root has one, and node_moved() lets no circle arise. */
static int
reopen(struct nodes *t, struct node *n)
{
    struct node *p = n;

    while (p->fd < 0) {
        node_parent(t, p)->down = index_of(t, p);
        p = node_parent(t, p);
    }
    while (p != n) {
        struct node *child = &t->at[p->down];
        uint32_t stamp = p->stamp;
        int r;

        p->stamp = t->stamp; /* not to be dropped while its child is opened */
        r = reopen_below(t, p, child);
        p->stamp = stamp;
        if (r < 0)
            return r;
        p = child;
    }
    return 0;
}

/* Its name leads elsewhere since its fd was dropped; an open file may still
 * be it. Then the fd stays. */
static int
rescue(struct nodes *t, struct node *n)
{
    _clean(clean_fd) int fd = t->rescue == NULL ? -ESTALE : t->rescue(t->rescue_ctx, node_id(t, n));
    struct statx st;
    int r;

    if (fd < 0)
        return -ESTALE;
    r = path_stat(fd, &st);
    if (r < 0)
        return r;
    if (!node_is(n, &st))
        return -ESTALE;
    r = adopt_fd(t, n, &fd);
    if (r == 0)
        n->pinned = true;
    return r;
}

/* The guest's user came here once: that we dropped the fd is not his to pay
 * for, whoever may search the directories on the way by now. */
static int
make_fd(struct nodes *t, struct node *n)
{
    struct identity_was was = identity_root_begin();
    int r = reopen(t, n);

    if (r == -ESTALE)
        r = rescue(t, n);
    identity_root_end(&was);
    return r;
}

int
node_fd(struct nodes *t, struct node *n)
{
    int r = n->fd >= 0 ? 0 : make_fd(t, n);

    if (r < 0)
        return r;
    identity_used(n->fd);
    n->stamp = t->stamp;
    n->recent = true;
    return n->fd;
}

int
node_get(struct nodes *t, uint64_t id, struct node **ret)
{
    uint32_t i = (uint32_t)id;

    if (i >= t->limit)
        violation("worker named node %u of %u", i, t->limit);
    if (i >= t->high || t->at[i].type == 0 || t->at[i].generation != id >> 32)
        return -ESTALE;
    if (t->at[i].refs == 0)
        return -ESTALE; /* kept for its children alone: nobody was given it */
    *ret = &t->at[i];
    return 0;
}

int
node_use(struct nodes *t, uint64_t id, struct node **ret)
{
    int r = node_get(t, id, ret);

    return r < 0 ? r : node_fd(t, *ret);
}

struct node *
node_find(struct nodes *t, const struct statx *st)
{
    uint32_t at = *bucket_of(t, st->stx_ino, st->stx_dev_major, st->stx_dev_minor);

    while (at != 0 && !node_is(&t->at[at - 1], st))
        at = t->at[at - 1].next;
    return at == 0 ? NULL : &t->at[at - 1];
}

static struct node *
slot_take(struct nodes *t)
{
    struct node *n;

    if (t->free != NODE_NONE) {
        n = &t->at[t->free];
        t->free = n->next;
    } else if (t->high < t->limit) {
        n = &t->at[t->high++];
        n->generation = 1;
    } else {
        return NULL;
    }
    t->used++;
    *n = (struct node){.generation = n->generation, .fd = -1, .stamp = t->stamp, .recent = true};
    return n;
}

static void
next_generation(struct node *n)
{
    n->generation = n->generation == UINT32_MAX ? 1 : n->generation + 1;
}

static void
slot_give(struct nodes *t, struct node *n)
{
    if (n->fd >= 0) {
        (void)close(n->fd);
        t->fds--;
    }
    n->fd = -1;
    n->type = 0;
    n->leaving = false;
    next_generation(n);
    n->next = t->free;
    t->free = index_of(t, n);
    t->used--;
}

/* Free a node that nobody holds, and then the parents it held. */
static void
settle(struct nodes *t, struct node *n)
{
    while (n->refs == 0 && n->children == 0) {
        struct node *parent = node_parent(t, n);

        hash_out(t, n);
        slot_give(t, n);
        parent->children--;
        n = parent;
    }
}

void
nodes_let_go(struct nodes *t)
{
    for (uint32_t i = 0; i < t->nleaving; i++) {
        struct node *n = &t->at[t->leaving[i]];

        if (!n->leaving)
            continue; /* gone by another way, or listed twice */
        n->leaving = false;
        settle(t, n);
    }
    t->nleaving = 0;
}

static void
leave(struct nodes *t, struct node *n)
{
    if (n->refs > 0 || n->children > 0 || n->leaving)
        return;
    if (t->nleaving == NODES_LEAVING_MAX)
        nodes_let_go(t);
    t->leaving[t->nleaving++] = index_of(t, n);
    n->leaving = true;
}

/* True when a is on the way from n to the root, or is n. */
static bool
leads_through(const struct nodes *t, const struct node *n, const struct node *a)
{
    while (n != a && !node_is_root(t, n))
        n = node_parent(t, n);
    return n == a;
}

void
node_moved(struct nodes *t, struct node *n, struct node *parent, const char *name)
{
    struct node *old = node_parent(t, n);

    if (node_is_root(t, n))
        return;
    if (old != parent) {
        /* The host may have moved directories behind our back so that the
         * table still has the parent below its child: keep what we had. */
        if (S_ISDIR(n->type) && leads_through(t, parent, n))
            return;
        n->parent = index_of(t, parent);
        parent->children++;
        old->children--;
        settle(t, old);
    }
    (void)memcpy(t->names[index_of(t, n)], name, strnlen(name, NAME_LEN_MAX) + 1);
    n->pinned = false;
}

void
node_unlinked(struct nodes *t, struct node *n, const struct node *parent, const char *name,
              uint32_t nlink)
{
    if (nlink <= 1 || S_ISDIR(n->type) ||
        (node_parent(t, n) == parent && strcmp(node_name(t, n), name) == 0))
        n->pinned = true;
}

/* One more reference. Who was given one before and gave it back has a dead id. */
static void
hold(struct node *n)
{
    if (n->leaving && n->refs == 0 && n->children == 0)
        next_generation(n);
    n->refs++;
}

int
node_add(struct nodes *t, struct node *parent, const char *name, int *fd, const struct statx *st,
         struct node **ret)
{
    struct node *n;
    bool known;
    int r = 0;

    make_room(t);
    n = node_find(t, st);
    known = n != NULL;
    if (!known)
        n = slot_take(t);
    if (n == NULL)
        return -ENFILE;
    if (n->fd < 0)
        r = adopt_fd(t, n, fd);
    if (r < 0 && !known)
        slot_give(t, n);
    if (r < 0)
        return r;
    hold(n);
    if (!known) {
        fill(n, st);
        hash_in(t, n);
        n->parent = index_of(t, parent);
        parent->children++;
    }
    node_moved(t, n, parent, name);
    *ret = n;
    return 0;
}

struct node *
node_again(struct nodes *t, struct node *parent, const char *name, const struct statx *st)
{
    struct node *n = node_find(t, st);

    if (n == NULL || n->fd < 0)
        return NULL;
    hold(n);
    node_moved(t, n, parent, name);
    return n;
}

void
node_ref(struct node *n)
{
    n->refs++;
}

bool
node_unref(struct nodes *t, struct node *n, uint64_t count)
{
    uint64_t own = node_is_root(t, n) ? 1 : 0;

    if (count > n->refs - own)
        return false;
    n->refs -= count;
    leave(t, n);
    return true;
}
