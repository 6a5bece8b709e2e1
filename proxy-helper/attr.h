/*
 * A file's attributes as the worker gets them.
 */
#ifndef POSTERN_HELPER_ATTR_H
#define POSTERN_HELPER_ATTR_H

#include <stdint.h>
#include <sys/stat.h>

#include "proxy-helper/share.h"

/* path_stat() and path_stat_name(), as the guest sees it. */
int attr_look(const struct share *sh, int fd, struct statx *st);
int attr_look_name(const struct share *sh, int dir, const char *name, struct statx *st);
/* What the node behind fd is to the guest: S_IFMT bits. */
mode_t attr_type(const struct share *sh, int fd, const struct node *n);

/* What st, which is as the guest sees it, says; owners by the share's identity model shows it; in
 * the arena. */
ProtobufCBinaryData attr_new(struct share *sh, const struct statx *st);
/* The same of what is behind an fd. 0 or -errno. */
int attr_of(struct share *sh, int fd, ProtobufCBinaryData *ret);

/* A number that changes when the file does; never 0, which a client takes
 * for "do not cache". */
uint32_t attr_version(const struct statx *st);

#endif
