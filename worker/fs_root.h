/*
 * The aggregate root as worker/fs.h: a directory that nobody can change, with
 * one entry for each share that can be attached.
 *
 * It answers for itself alone. What is below an entry is the share's: a walk
 * crosses over (nine_walk.c), and no call for a file of a share comes here.
 */
#ifndef POSTERN_WORKER_FS_ROOT_H
#define POSTERN_WORKER_FS_ROOT_H

#include "worker/fs.h"

struct fs_root;
struct tenant;

/* Qid and inode number of it. Shares' numbers have other upper halves. */
#define ROOT_INO 1u
#define ROOT_MODE (0040000u | 0555u)

/* The directory of t's shares, which outlives it. NULL: no memory. fs_end()
 * of its fs frees it. */
struct fs_root *fs_root_new(struct tenant *t);
struct fs *fs_root_fs(struct fs_root *root);

/* A share came or is not found any more: what is remembered of the listing is
 * out of date. */
void fs_root_changed(struct fs_root *root);
/* Changes with every fs_root_changed(). */
uint32_t fs_root_version(const struct fs_root *root);

/* Answer what can be answered. room: a share may have room that had none.
 * True: there is more to answer at once. */
bool fs_root_poll(struct fs_root *root, bool room);

#endif
