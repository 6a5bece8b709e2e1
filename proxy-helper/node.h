/*
 * The node table: every file the worker holds a reference to, and the
 * directories that lead there.
 *
 * A node is plain data addressed by index, so that a successor of this
 * process can take the table over. Its fd is a cache: it may be dropped and
 * made again from the recipe (parent, name), verified to be the same file.
 * Node 0 is the share's root and always there.
 */
#ifndef POSTERN_HELPER_NODE_H
#define POSTERN_HELPER_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "ipc/limits.h"

#define NODE_NONE UINT32_MAX
#define NODES_LEAVING_MAX 16

struct node {
    uint64_t refs; /* given to the worker; the root has one of its own */
    uint64_t ino;
    uint64_t mnt_id; /* two mounts of one file system are two trees */
    int64_t btime_sec;
    uint32_t btime_nsec;
    uint32_t dev_major, dev_minor;
    uint32_t generation; /* of the id; changes when the slot is freed */
    uint32_t parent;     /* index; the root's is itself */
    uint32_t children;   /* nodes that name me as parent: they keep me */
    uint32_t next;       /* in the hash chain, or in the free list */
    uint32_t down;       /* scratch of node_use(): the way back down */
    uint32_t stamp;      /* the request that last used the fd */
    int32_t fd;          /* O_PATH, owned; -1: dropped */
    uint16_t type;       /* S_IFMT bits; 0: the slot is free */
    bool pinned;         /* no name leads here any more: the fd must stay */
    bool recent;         /* used since the clock last came by */
    bool leaving;        /* in the table's list of those that nobody holds */
    bool revisited; /* the last name walked to here was a node with an fd; so may the next be */
};

/* An O_PATH fd of an open file of that node, the caller's, or -ESTALE. */
typedef int node_rescue(void *ctx, uint64_t id);

struct nodes {
    struct node *at;         /* owned; slots [0, limit) */
    char (*names)[NAME_BUF]; /* owned; the name in the parent, by index */
    uint32_t *buckets;       /* owned; heads of the hash chains */
    size_t bytes;            /* of the mapping that holds all three */
    uint32_t mask;           /* number of buckets less one */
    uint32_t limit, high;    /* slots; slots ever used */
    uint32_t free, used;     /* head of the free list; nodes alive */
    uint32_t fd_limit, fds;  /* fds that nodes may hold; and do */
    uint32_t hand;           /* of the clock that drops fds */
    uint32_t stamp;          /* of the request at work */
    uint32_t nleaving;       /* nodes that go at the end of the batch */
    uint32_t leaving[NODES_LEAVING_MAX];
    node_rescue *rescue; /* asked when no name leads to a node; NULL: nobody */
    void *rescue_ctx;    /* borrowed */
};

/*
 * A table of at most limit nodes of which at most fd_limit hold fds, with the root in it. *root_fd
 * is taken over. 0 or -errno.
 */
int nodes_init(struct nodes *t, uint32_t limit, uint32_t fd_limit, int *root_fd,
               const struct statx *root);
/* Close and unmap everything; safe on a zeroed table. */
void nodes_done(struct nodes *t);

/* A new request: what it uses from here on keeps its fd until the next. */
void nodes_next_request(struct nodes *t);
/* The end of a batch of requests: what nobody holds goes. Until then it can be walked to without
 * being opened again, since who lets a file go often asks for it, or its directory, next. */
void nodes_let_go(struct nodes *t);
/* There is no place for another, what nobody holds being gone. */
bool nodes_full(struct nodes *t);

/* The id that the worker knows the node by. */
uint64_t node_id(const struct nodes *t, const struct node *n);
const char *node_name(const struct nodes *t, const struct node *n);
struct node *node_parent(const struct nodes *t, const struct node *n);
bool node_is_root(const struct nodes *t, const struct node *n);

/*
 * The node of an id. -ESTALE: there is no such node (any more), or its fd was
 * dropped, its name no longer leads to it and no file of it is open. An index
 * beyond the table is a violation. node_use() also has its O_PATH fd: the
 * return value, the table's, good until the next request.
 */
int node_get(struct nodes *t, uint64_t id, struct node **ret);
int node_use(struct nodes *t, uint64_t id, struct node **ret);
int node_fd(struct nodes *t, struct node *n);

/*
 * The node of what parent calls name, described by st and pinned by *fd, with
 * one more reference. A file that is a node already stays that node and is
 * known by the new name from now on. *fd is taken over if the table wants it.
 * 0, or -ENFILE: too many nodes.
 */
int node_add(struct nodes *t, struct node *parent, const char *name, int *fd,
             const struct statx *st, struct node **ret);
/*
 * The same by st alone, with no fd: NULL unless the file is a node that holds its fd now. That fd
 * keeps the inode number from being given to another file, so the node is the very file that st
 * describes; whatever the name means by now, as after an open, what is used is the fd.
 */
struct node *node_again(struct nodes *t, struct node *parent, const char *name,
                        const struct statx *st);
void node_ref(struct node *n);
/* Give count references back: false when there were not so many. A node without any is nobody's at
 * once, its id dead, and goes with nodes_let_go(). */
bool node_unref(struct nodes *t, struct node *n, uint64_t count);

/* The node of that file, NULL when it is none. */
struct node *node_find(struct nodes *t, const struct statx *st);
bool node_is(const struct node *n, const struct statx *st);
/* The node is now called name in parent. */
void node_moved(struct nodes *t, struct node *n, struct node *parent, const char *name);
/* What parent called name is gone; nlink is what it had before. */
void node_unlinked(struct nodes *t, struct node *n, const struct node *parent, const char *name,
                   uint32_t nlink);

#endif
