/*
 * The open files of the worker: generation and index as for nodes, an fd,
 * and what the kernel's file position of a directory is.
 */
#ifndef POSTERN_HELPER_FILE_H
#define POSTERN_HELPER_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILE_POS_UNKNOWN (-1)

struct file {
    uint64_t node;       /* its id; may be gone before the file is */
    int64_t pos;         /* directory: the kernel's position, or FILE_POS_UNKNOWN */
    int32_t fd;          /* owned; -1: the slot is free */
    uint32_t generation; /* of the id */
    uint32_t next;       /* free list */
    uint32_t jobs;       /* of the pool, at work on fd */
    bool closing;        /* closed by the worker while jobs > 0 */
    bool writable;
    bool set_id;    /* its mode may have set-id bits that a write takes away; IDENTITY_STORED */
    bool syncing;   /* one of the jobs is an fsync(2) */
    bool may_block; /* reads cannot be tried without waiting here */
};

struct files {
    struct file *at;      /* owned; slots [0, limit) */
    uint32_t limit, high; /* slots; slots ever used */
    uint32_t free, used;  /* head of the free list; files open */
};

/* 0 or -errno. */
int files_init(struct files *t, uint32_t limit);
/* Close everything; no job may be at work. Safe on a zeroed table. */
void files_done(struct files *t);
bool files_full(const struct files *t);

/* Take *fd over as an open file of that node. 0 and its id, or -EMFILE. */
int file_add(struct files *t, int *fd, uint64_t node, bool writable, uint64_t *ret_id);
/* -EBADF: no such file, or closed. An index beyond the table is a violation. */
int file_get(struct files *t, uint64_t id, struct file **ret);
/* Close it, now or when its last job is done. What close(2) says now, or 0: file
 * systems that write behind tell there, as of a quota, what they could not keep. */
int file_close(struct files *t, struct file *f);
/* The files of a node that got set-id bits. */
void files_set_id(struct files *t, uint64_t node);
/* A job begins and ends; after file_job_end() the file may be gone. */
void file_job_begin(struct file *f);
void file_job_end(struct files *t, struct file *f);

#endif
