/*
 * The stat of 9P2000 and 9P2000.u: its bytes, its mode bits.
 */
#ifndef POSTERN_WORKER_NINE_STAT_H
#define POSTERN_WORKER_NINE_STAT_H

#include <stdint.h>

#include "worker/nine.h"

enum nine_dm { /* beside the permission bits 0777 */
               DM_DIR = 0x80000000,
               DM_APPEND = 0x40000000,
               DM_EXCL = 0x20000000,
               DM_TMP = 0x04000000,
               /* 9P2000.u */
               DM_SYMLINK = 0x02000000,
               DM_LINK = 0x01000000,
               DM_DEVICE = 0x00800000,
               DM_NAMEDPIPE = 0x00200000,
               DM_SOCKET = 0x00100000,
               DM_SETUID = 0x00080000,
               DM_SETGID = 0x00040000,
               DM_SETVTX = 0x00010000,
};
/* What a file is, at most one of them. */
#define DM_KINDS                                                                                   \
    ((uint32_t)DM_DIR | (uint32_t)DM_SYMLINK | (uint32_t)DM_LINK | (uint32_t)DM_DEVICE |           \
     (uint32_t)DM_NAMEDPIPE | (uint32_t)DM_SOCKET)

/* The bits that a dialect has, permission bits included. */
uint32_t dm_known(unsigned dialect);
/* Host mode into the dialect's and back: the latter only permission bits and,
 * in 9P2000.u, set-id and sticky. */
uint32_t dm_of_mode(unsigned dialect, uint32_t mode);
uint32_t dm_perm(unsigned dialect, uint32_t dm);

/* One stat of a file of r->share, its own size in front. w->full: it does not
 * fit. target: of a symlink, for 9P2000.u. */
void pen_stat(struct pen *w, const struct request *r, const struct attr *a, struct str name,
              struct str target);

enum wstat_bit {
    WSTAT_MODE = 1 << 0,
    WSTAT_ATIME = 1 << 1,
    WSTAT_MTIME = 1 << 2,
    WSTAT_LENGTH = 1 << 3,
    WSTAT_NAME = 1 << 4,
    WSTAT_UID = 1 << 5,
    WSTAT_GID = 1 << 6,
};

/*
 * What a Twstat's stat asks to be set: into *ret, and its name, which is
 * borrowed from the message. Type, dev, qid, muid and extension are what a
 * server says of a file; they are read and let go (Linux names itself in muid
 * when it renames). 0; -EINVAL: an owner that is no number, said in ret->set
 * all the same; -EPROTO: not a stat.
 */
int cur_wstat(struct cursor *c, unsigned dialect, struct legacy *ret, struct str *ret_name);

#endif
