/*
 * The names of a share that the guest gets to know: policy's `hide` and
 * `only`. Every name that a worker sends passes names_check() in dispatch, or
 * names_show() in a walk, and so does every entry of a listing; so the kernel
 * is never given a name that is not shown, and a guest is never given one.
 *
 * Names are bytes. Nothing here knows of case or of Unicode's many ways to
 * write a letter: on a file system that does, a hidden file has other names.
 */
#ifndef POSTERN_HELPER_NAMES_H
#define POSTERN_HELPER_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "ipc/limits.h"

struct names {
    size_t nhide, nonly;
    char hide[HIDE_MAX][NAME_BUF]; /* globs of fnmatch(3), at every depth */
    char only[ONLY_MAX][NAME_BUF]; /* in the root nothing else is shown; none: everything is */
};

/* One more pattern or name; before any of the following. false: there are too
 * many, or it is too long. */
bool names_hide(struct names *f, const char *pattern);
bool names_only(struct names *f, const char *name);

/* True when something may not be shown. */
bool names_filter(const struct names *f);
/* True when the guest may know of a file called name, in the root or below;
 * "." and ".." are not asked about. */
bool names_show(const struct names *f, bool in_root, const char *name);

/*
 * The names of a request that passed msg_check(). -ENOENT: one that is looked
 * for is not shown; -EPERM: one that is to be made; else 0. Not those of a
 * walk, which goes as far as it gets.
 */
int names_check(const struct names *f, uint32_t op, const ProtobufCMessage *req);

#endif
