/*
 * A worker without a process: a tenant with two in-memory shares, "rw" and
 * "ro", and guests that send it bytes over socket pairs. Everything runs in
 * the test's thread, when it says so.
 */
#ifndef POSTERN_TESTS_RIG_H
#define POSTERN_TESTS_RIG_H

#include "tests/lib/synth.h"
#include "worker/conn.h"
#include "worker/cursor.h"
#include "worker/tenant.h"

#define RIG_GUESTS 128
#define RIG_MORE 64
#define GUEST_BUF (8u * 1024u * 1024u)

struct guest {
    struct rig *rig;
    int fd;            /* owned; -1: not connected */
    struct conn *conn; /* borrowed; the other end */
    uint8_t *buf;      /* owned; GUEST_BUF: replies that arrived */
    size_t at, n;
    bool deaf;  /* does not read */
    bool ended; /* the worker closed the connection */
    uint16_t last_tag;
};

struct rig {
    struct tenant tenant;
    struct synth *rw, *ro;        /* owned; shares 0 and 1 */
    struct synth *more[RIG_MORE]; /* owned; those of rig_add() */
    size_t nmore;
    struct guest guest[RIG_GUESTS];
    bool hold;       /* the shares do not answer by themselves */
    unsigned rounds; /* that the last rig_run() took */
};

struct msg {
    uint32_t size;
    uint8_t type;
    uint16_t tag;
    struct cursor body; /* into the guest's buffer, until its next message */
};

extern const struct tenant_limits rig_limits;

struct rig *rig_new(const struct tenant_limits *l);
/* Close everything and check that nothing is left anywhere. */
void rig_free(struct rig *rig);
/* cmocka: the same for the rig that *state is. */
int rig_teardown(void **state);
struct guest *rig_connect(struct rig *rig);
/* One share more, asserted to be taken; id may be NULL. name stays the caller's.
 * It is the rig's until its end, whether it is served until then or not. */
struct synth *rig_add(struct rig *rig, uint32_t number, const char *name, bool read_only,
                      const char *id);
/* Take a share away; what remains is answered ESTALE. */
void rig_cut(struct rig *rig, uint32_t number);
/* Let the worker work until nothing more happens. */
void rig_run(struct rig *rig);

/*
 * Build a message as fmt says: 1 2 4 integers (unsigned), 8 (uint64_t), s
 * (char *), b (const void *, size_t: a counted string), r (const void *,
 * size_t: raw bytes). Size and tag come by themselves. Returns its length.
 */
size_t msg_make(uint8_t *to, size_t room, uint8_t type, uint16_t tag, const char *fmt, ...);
/* Send bytes, as far as the socket takes them; how many. */
size_t guest_bytes(struct guest *g, const void *p, size_t n);
/* Send one message, whole. */
void guest_send(struct guest *g, uint8_t type, uint16_t tag, const char *fmt, ...);
/* The longest reply of that type that a Linux client takes: a longer one ends
 * its connection. */
uint32_t linux_sets_aside(uint8_t type);
/* The next reply that has arrived, which is no longer than that. False: none. */
bool guest_next(struct guest *g, struct msg *m);
/* Send, run, and take the one reply; its tag must be the request's. */
struct msg guest_ask(struct guest *g, uint8_t type, const char *fmt, ...);
/* The same for those who only want to know how it ended: 0 or the errno of an
 * Rlerror. Another reply than the matching R-message fails the test. */
int guest_does(struct guest *g, uint8_t type, const char *fmt, ...);
int msg_errno(const struct msg *m);
/* The guest hangs up. */
void guest_hang_up(struct guest *g);

/* Tversion; then fid 0 attached to a share. */
void guest_version(struct guest *g, uint32_t msize);
void guest_attach(struct guest *g, uint32_t fid, const char *aname);
/* Tattach alone: 0 or the errno of the reply. */
int guest_attach_status(struct guest *g, uint32_t fid, const char *aname);
/* A guest of a new connection with fid 0 at the root of "rw", fid 1 of "ro". */
struct guest *guest_new(struct rig *rig);
/* Twalk of one path from fid 0 to newfid, Tlopen of it; asserted to work. */
void guest_walk(struct guest *g, uint32_t from, uint32_t newfid, const char *path);
void guest_open(struct guest *g, uint32_t from, uint32_t newfid, const char *path, uint32_t flags);

/* Message types. */
enum {
    RLERROR = 7,
    TSTATFS = 8,
    TLOPEN = 12,
    TLCREATE = 14,
    TSYMLINK = 16,
    TMKNOD = 18,
    TRENAME = 20,
    TREADLINK = 22,
    TGETATTR = 24,
    TSETATTR = 26,
    TXATTRWALK = 30,
    TXATTRCREATE = 32,
    TREADDIR = 40,
    TFSYNC = 50,
    TLOCK = 52,
    TGETLOCK = 54,
    TLINK = 70,
    TMKDIR = 72,
    TRENAMEAT = 74,
    TUNLINKAT = 76,
    TVERSION = 100,
    TAUTH = 102,
    TATTACH = 104,
    TFLUSH = 108,
    TWALK = 110,
    TOPEN = 112,
    TCREATE = 114,
    TREAD = 116,
    TWRITE = 118,
    TCLUNK = 120,
    TREMOVE = 122,
    TSTAT = 124,
    TWSTAT = 126,
};
#define NOTAG 0xffff
#define NOFID 0xffffffffu

#endif
