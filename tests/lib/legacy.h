/*
 * 9P2000.u and 9P2000 for tests: the stat as a struct, and blocking calls over
 * the raw interface of the command line's client. Decodes and encodes by
 * itself, so that the worker is not checked against its own code.
 */
#ifndef POSTERN_TESTS_LEGACY_H
#define POSTERN_TESTS_LEGACY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "control/nine_client.h"

#define OLD_NAME 256
#define OLD_EXTENSION 4200

struct old_stat {
    uint16_t size; /* of the whole entry, its size field included */
    uint16_t type;
    uint32_t dev;
    uint8_t qid_type;
    uint32_t qid_version;
    uint64_t qid_path;
    uint32_t mode, atime, mtime;
    uint64_t length;
    char name[OLD_NAME], uid[16], gid[16], muid[16];
    char extension[OLD_EXTENSION];
    uint32_t n_uid, n_gid, n_muid;
};

/* One stat at p[0..n): how long it is, 0 when that is not one. dotu: with the
 * fields of 9P2000.u. */
size_t old_stat_read(const uint8_t *p, size_t n, bool dotu, struct old_stat *ret);
/* A stat that leaves everything as it is. */
struct old_stat old_stat_blank(void);
/* Its bytes, size in front; how many. */
size_t old_stat_write(const struct old_stat *st, bool dotu, uint8_t *to, size_t room);

/* --- a connection ---------------------------------------------------------- */

struct old {
    struct nc *c; /* borrowed */
    bool dotu;
    char error[256]; /* the text of the last Rerror */
};

/* The calls: 0 or a count; -errno: of an Rerror in 9P2000.u its number, in
 * 9P2000 always -EREMOTEIO, see o->error. -EPROTO: no proper answer. */
int old_attach(struct old *o, uint32_t fid, const char *aname);
/* One name, or none for NULL. */
int old_walk(struct old *o, uint32_t fid, uint32_t newfid, const char *name);
int old_open(struct old *o, uint32_t fid, uint8_t mode);
int old_create(struct old *o, uint32_t fid, const char *name, uint32_t perm, uint8_t mode,
               const char *extension);
int old_read(struct old *o, uint32_t fid, uint64_t offset, void *buf, uint32_t count);
int old_write(struct old *o, uint32_t fid, uint64_t offset, const void *buf, uint32_t count);
int old_clunk(struct old *o, uint32_t fid);
int old_remove(struct old *o, uint32_t fid);
int old_stat(struct old *o, uint32_t fid, struct old_stat *ret);
int old_wstat(struct old *o, uint32_t fid, const struct old_stat *st);

/* Numbers. */
enum {
    OLD_OREAD = 0,
    OLD_OWRITE = 1,
    OLD_ORDWR = 2,
    OLD_OEXEC = 3,
    OLD_OTRUNC = 0x10,
    OLD_ORCLOSE = 0x40,
    OLD_OAPPEND = 0x80,
};
#define OLD_DMDIR 0x80000000u
#define OLD_DMAPPEND 0x40000000u
#define OLD_DMEXCL 0x20000000u
#define OLD_DMTMP 0x04000000u
#define OLD_DMSYMLINK 0x02000000u
#define OLD_DMLINK 0x01000000u
#define OLD_DMDEVICE 0x00800000u
#define OLD_DMNAMEDPIPE 0x00200000u
#define OLD_DMSOCKET 0x00100000u
#define OLD_DMSETUID 0x00080000u
#define OLD_DMSETGID 0x00040000u
#define OLD_DMSETVTX 0x00010000u

#endif
