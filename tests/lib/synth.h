/*
 * worker/fs.h in memory: a small file system that answers when it is told
 * to, in the order it is told to, and can run out of room on demand.
 *
 * It plays the helper for tests of the front-ends, and insists on what the
 * front-ends promise: names that are one component, counts within the
 * payload, ids it gave out; anything else ends the test program.
 */
#ifndef POSTERN_TESTS_SYNTH_H
#define POSTERN_TESTS_SYNTH_H

#include "worker/fs.h"

struct synth;

/* An empty root directory. name is borrowed. Never NULL. */
struct synth *synth_new(const char *name, bool read_only);
/* Nothing may be pending. */
void synth_free(struct synth *s);
struct fs *synth_fs(struct synth *s);

/* Put something there, below the root; parents must exist. */
void synth_put_dir(struct synth *s, const char *path);
void synth_put_file(struct synth *s, const char *path, const void *data, size_t n);
void synth_put_link(struct synth *s, const char *path, const char *target);
/* What is there. NULL and 0: no such file. */
const uint8_t *synth_data(struct synth *s, const char *path, size_t *ret_n);
bool synth_exists(struct synth *s, const char *path);

/* The value of an extended attribute; NULL: there is none. Keys of "user." are
 * all there are. */
const uint8_t *synth_xattr(struct synth *s, const char *path, const char *key, uint32_t *ret_n);
/* A program of the host locks (LOCK_UNLOCK: unlocks) n of the first 64 bytes of
 * that file, if there is one. What lies behind those is one byte here. */
void synth_host_locks(struct synth *s, const char *path, unsigned type, unsigned start, unsigned n);

/* Calls that were submitted and not answered yet. */
unsigned synth_pending(const struct synth *s);
/* Carry out and answer the oldest ones, at most max. How many. */
unsigned synth_answer(struct synth *s, unsigned max);
/* Carry out and answer the newest one. False: there is none. */
bool synth_answer_newest(struct synth *s);
/* The helper died: answer everything -EIO, now and from now on. */
void synth_gone(struct synth *s);

/* Accept a call only while fewer than this are pending (-EAGAIN). */
void synth_room(struct synth *s, unsigned calls);
/* Leave only this many pages of the slab. Before any payload was taken. */
void synth_pages(struct synth *s, uint32_t pages);
/* The next call of that operation is answered so, and not carried out, unless
 * it is a CLOSE. */
void synth_fail(struct synth *s, unsigned op, int status);
/* The next READDIR is answered with these bytes, records or not. */
void synth_readdir_says(struct synth *s, const void *bytes, uint32_t n);
/* The cookie of the last record of the last READDIR; 0: there was none. */
uint64_t synth_listed_to(const struct synth *s);

/* How many calls of an operation were accepted so far; op 0: of all. */
unsigned synth_calls(const struct synth *s, unsigned op);
/* Who asked for the last call of that operation. */
struct synth_asker {
    uint32_t uid, gid;
} synth_asker(const struct synth *s, unsigned op);
/* References to nodes, the root's own not counted; open files; slab pages. */
unsigned synth_node_refs(const struct synth *s);
unsigned synth_files(const struct synth *s);
uint32_t synth_pages_used(const struct synth *s);
/* Whether fs_end() was called. */
bool synth_ended(const struct synth *s);
/* Whether fs_blame() was called. */
bool synth_blamed(const struct synth *s);

#endif
