/*
 * The storm's clients, its host process, and its canary; see storm.h.
 *
 * Runs in: tests, one thread a client and one that is the host's.
 * Trusts: nobody.   Owns: the canary's directory, beside the share.
 *
 * A client sends a batch without waiting, flushes among it, and then takes the
 * answers in whatever order they come. Threads may not assert: each notes what
 * went wrong and ends, and storm_run() asserts.
 */
#include "tests/lib/test.h"

#include "tests/lib/storm.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "tests/lib/legacy.h"
#include "tests/lib/random.h"
#include "tests/lib/tree.h"

#define CLIENTS_MAX 8
#define FIDS 12u /* of a client; 0 is the root */
#define BATCH 24u
#define TAGS (2u * BATCH + 1u) /* each may be flushed behind it; from 1 */
#define PATH_ROOM 256
#define PATIENCE_S 30
#define SWAPS_MIN 100
#define MORE_S 90        /* for what chance has not brought yet: the machine may be busy */
#define REPAIR 16        /* rounds of the host */
#define MAGIC "CANARY! " /* nothing else holds it */
#define RERROR 107
#define INODE_MASK 0xffffffffffffull

static const char *const dirs[] = {"x", "y", "swap"};
static const char *const names[] = {"a", "b", "c", "sub"};
/* What the host has outside, under names that a walk through the link finds. */
static const char *const canary[] = {"", "a", "b", "sub", "sub/a", "sub/sub"};
#define CANARIES (sizeof(canary) / sizeof(canary[0]))

/* Messages of the older dialects. */
enum { TOPEN = 112, TCREATE = 114, TSTAT = 124, TWSTAT = 126 };

enum speaks { SPEAKS_L = 1, SPEAKS_U = 2, SPEAKS_2000 = 4 };
#define SPEAKS_OLD ((unsigned)(SPEAKS_U | SPEAKS_2000))
#define SPEAKS_ALL (SPEAKS_L | SPEAKS_OLD)
static const struct {
    unsigned bit;
    const char *version;
} dialects[] = {{SPEAKS_L, "9P2000.L"}, {SPEAKS_U, "9P2000.u"}, {SPEAKS_2000, "9P2000"}};

enum pending { NONE, ASKED, FLUSHED };

struct client {
    const struct storm *s;
    const struct canaries *kept;
    pthread_t thread;
    unsigned number;
    uint64_t random;
    struct nc *c; /* owned */
    unsigned speaks;
    uint8_t type[TAGS];
    uint16_t flushes[TAGS]; /* a Tflush: the tag it calls off */
    bool waits[TAGS];       /* a Tlock that may wait */
    enum pending pending[TAGS];
    uint16_t sent, open;
    uint64_t requests, refused, locks;
    _Atomic uint64_t links_met, waited; /* read while it blows, as is the next */
    atomic_bool seen[256];              /* types that succeeded */
    char wrong[256];
};

/* The canary and the inodes that no answer may show. */
struct canaries {
    char path[PATH_ROOM];
    struct stat before[CANARIES];
};

static atomic_bool stop;

__attribute__((format(printf, 2, 3))) static void
wrong(struct client *k, const char *fmt, ...)
{
    va_list ap;

    if (k->wrong[0] != '\0')
        return;
    va_start(ap, fmt);
    (void)vsnprintf(k->wrong, sizeof(k->wrong), fmt, ap);
    va_end(ap);
    atomic_store(&stop, true);
}

/* --- chance ---------------------------------------------------------------------- */

static uint32_t
below(struct client *k, uint32_t n)
{
    return (uint32_t)(random_next(&k->random) >> 33) % n;
}

static uint32_t
a_fid(struct client *k)
{
    return below(k, FIDS);
}

static void
put_name(struct client *k)
{
    const char *s = names[below(k, COUNT(names))];

    nc_str(k->c, s, strlen(s));
}

/* --- requests: each writes the body of one -------------------------------------------- */

static void
walk(struct client *k)
{
    const char *s = dirs[below(k, COUNT(dirs))];
    uint32_t n = below(k, 4);

    nc_u32(k->c, below(k, 3) == 0 ? a_fid(k) : 0);
    nc_u32(k->c, 1 + below(k, FIDS - 1));
    nc_u16(k->c, (uint16_t)n);
    for (uint32_t i = 0; i < n; i++) {
        if (below(k, 16) == 0)
            nc_str(k->c, "..", 2);
        else if (i == 0)
            nc_str(k->c, s, strlen(s));
        else
            put_name(k);
    }
}

static void
fid_only(struct client *k)
{
    nc_u32(k->c, 1 + below(k, FIDS - 1));
}

static void
any_fid(struct client *k)
{
    nc_u32(k->c, a_fid(k));
}

static void
lopen(struct client *k)
{
    static const uint32_t flags[] = {NINE_O_RDONLY,
                                     NINE_O_RDONLY,
                                     NINE_O_WRONLY,
                                     NINE_O_RDWR,
                                     NINE_O_RDWR | NINE_O_TRUNC,
                                     NINE_O_WRONLY | NINE_O_APPEND};

    fid_only(k);
    nc_u32(k->c, flags[below(k, COUNT(flags))]);
}

static void
lcreate(struct client *k)
{
    fid_only(k);
    put_name(k);
    nc_u32(k->c, NINE_O_RDWR | NINE_O_CREAT | (below(k, 2) ? NINE_O_EXCL : 0));
    nc_u32(k->c, 0666);
    nc_u32(k->c, 0);
}

static void
make_dir(struct client *k)
{
    any_fid(k);
    put_name(k);
    nc_u32(k->c, 0777);
    nc_u32(k->c, 0);
}

static void
make_link(struct client *k)
{
    any_fid(k);
    put_name(k);
    nc_str(k->c, k->kept->path, strlen(k->kept->path));
    nc_u32(k->c, 0);
}

static void
make_node(struct client *k)
{
    any_fid(k);
    put_name(k);
    nc_u32(k->c, S_IFIFO | 0666);
    nc_u32(k->c, 0);
    nc_u32(k->c, 0);
    nc_u32(k->c, 0);
}

static void
two_fids_and_a_name(struct client *k)
{
    any_fid(k);
    any_fid(k);
    put_name(k);
}

static void
rename_at(struct client *k)
{
    any_fid(k);
    put_name(k);
    any_fid(k);
    put_name(k);
}

static void
unlink_at(struct client *k)
{
    any_fid(k);
    put_name(k);
    nc_u32(k->c, below(k, 2) ? NINE_AT_REMOVEDIR : 0);
}

static void
read_some(struct client *k)
{
    any_fid(k);
    nc_u64(k->c, below(k, 4) * 4096u);
    nc_u32(k->c, 1 + below(k, 8192));
}

static void
write_some(struct client *k)
{
    static const uint8_t data[4096] = {1, 2, 3};
    uint32_t n = 1 + below(k, sizeof(data));

    any_fid(k);
    nc_u64(k->c, below(k, 4) * 4096u);
    nc_u32(k->c, n);
    nc_bytes(k->c, data, n);
}

static void
get_attr(struct client *k)
{
    any_fid(k);
    nc_u64(k->c, NINE_GETATTR_BASIC);
}

static void
set_attr(struct client *k)
{
    static const uint32_t sets[] = {NINE_SET_MODE, NINE_SET_SIZE, NINE_SET_MTIME,
                                    NINE_SET_ATIME | NINE_SET_ATIME_SET};

    any_fid(k);
    nc_u32(k->c, sets[below(k, COUNT(sets))]);
    nc_u32(k->c, 0777);
    nc_u32(k->c, 0);
    nc_u32(k->c, 0);
    nc_u64(k->c, below(k, 10000));
    for (int i = 0; i < 4; i++)
        nc_u64(k->c, 1);
}

static void
sync_it(struct client *k)
{
    any_fid(k);
    nc_u32(k->c, 1);
}

static void
flush(struct client *k)
{
    uint16_t old = (uint16_t)(1 + below(k, k->sent + 1u)); /* of before, or itself */

    k->flushes[k->sent + 1] = old;
    nc_u16(k->c, old);
}

/* --- extended attributes and locks ---------------------------------------------------- */

static void
put_key(struct client *k)
{
    static const char *const keys[] = {"user.a", "user.b", "trusted.a", "system.posix_acl_access"};
    const char *s = keys[below(k, 8) == 0 ? 2 + below(k, 2) : below(k, 2)];

    nc_str(k->c, s, strlen(s));
}

static void
xattr_walk(struct client *k)
{
    any_fid(k);
    fid_only(k);
    if (below(k, 3) == 0)
        nc_str(k->c, "", 0); /* the list */
    else
        put_key(k);
}

static void
xattr_create(struct client *k)
{
    fid_only(k);
    put_key(k);
    nc_u64(k->c, below(k, 3) * 50u); /* 0 and REPLACE: remove it */
    nc_u32(k->c, below(k, 3));
}

/* Values are this long at most; whatever fid it is. */
static void
xattr_write(struct client *k)
{
    static const uint8_t data[50] = {4, 5, 6};

    fid_only(k);
    nc_u64(k->c, below(k, 2) * 50u);
    nc_u32(k->c, sizeof(data));
    nc_bytes(k->c, data, sizeof(data));
}

static void
put_range(struct client *k)
{
    char who[16];
    int n = snprintf(who, sizeof(who), "storm-%u", k->number);

    nc_u64(k->c, below(k, 4) * 16u);
    nc_u64(k->c, below(k, 4) * 16u);
    nc_u32(k->c, below(k, 3));
    nc_str(k->c, who, (size_t)n);
}

static void
lock(struct client *k)
{
    const bool waits = below(k, 2) == 0;

    fid_only(k);
    nc_u8(k->c, (uint8_t)below(k, 3));
    nc_u32(k->c, waits ? NINE_LOCK_BLOCK : 0);
    put_range(k);
    k->waits[k->sent + 1] = waits;
}

static void
get_lock(struct client *k)
{
    fid_only(k);
    nc_u8(k->c, (uint8_t)below(k, 3));
    put_range(k);
}

/* --- the older dialects -------------------------------------------------------------- */

static uint8_t
a_mode(struct client *k)
{
    static const uint8_t modes[] = {OLD_OREAD,
                                    OLD_OREAD,
                                    OLD_OWRITE,
                                    OLD_ORDWR,
                                    OLD_OEXEC,
                                    OLD_ORDWR | OLD_OTRUNC,
                                    OLD_OREAD | OLD_ORCLOSE};

    return modes[below(k, COUNT(modes))];
}

static void
open_old(struct client *k)
{
    fid_only(k);
    nc_u8(k->c, a_mode(k));
}

static void
create_old(struct client *k)
{
    static const uint32_t kinds[] = {
        0, 0, 0, OLD_DMDIR, OLD_DMEXCL, OLD_DMLINK, OLD_DMSYMLINK, OLD_DMNAMEDPIPE, OLD_DMDEVICE};
    const size_t known = k->speaks == SPEAKS_U ? COUNT(kinds) : 5;
    const uint32_t kind = kinds[below(k, (uint32_t)known)];
    const char *target = k->kept->path;
    char number[16];
    int n;

    fid_only(k);
    put_name(k);
    nc_u32(k->c, kind | 0666u | (kind == OLD_DMDIR ? 0111u : 0));
    nc_u8(k->c, kind == 0 ? a_mode(k) : OLD_OREAD);
    n = snprintf(number, sizeof(number), "%u", a_fid(k));
    if (k->speaks == SPEAKS_U && kind == OLD_DMSYMLINK)
        nc_str(k->c, target, strlen(target));
    else if (k->speaks == SPEAKS_U)
        nc_str(k->c, number, kind == OLD_DMLINK ? (size_t)n : 0);
}

static void
wstat(struct client *k)
{
    struct old_stat st = old_stat_blank();
    uint8_t bytes[512];
    size_t n;

    switch (below(k, 5)) {
    case 0:
        st.mode = 0777;
        break;
    case 1:
        st.length = below(k, 10000);
        break;
    case 2:
        st.mtime = st.atime = 1;
        break;
    case 3:
        (void)snprintf(st.name, sizeof(st.name), "%s", names[below(k, COUNT(names))]);
        break;
    default: /* an fsync */
        break;
    }
    n = old_stat_write(&st, k->speaks == SPEAKS_U, bytes, sizeof(bytes));
    any_fid(k);
    nc_u16(k->c, (uint16_t)n);
    nc_bytes(k->c, bytes, n);
}

static const struct {
    uint8_t type, weight, speaks;
    void (*body)(struct client *k);
} requests[] = {
    {NINE_TWALK, 30, SPEAKS_ALL, walk},
    {NINE_TLOPEN, 14, SPEAKS_L, lopen},
    {NINE_TLCREATE, 8, SPEAKS_L, lcreate},
    {TOPEN, 14, SPEAKS_OLD, open_old},
    {TCREATE, 14, SPEAKS_OLD, create_old},
    {NINE_TREAD, 10, SPEAKS_ALL, read_some},
    {NINE_TREADDIR, 6, SPEAKS_L, read_some},
    {NINE_TWRITE, 8, SPEAKS_ALL, write_some},
    {NINE_TGETATTR, 6, SPEAKS_L, get_attr},
    {NINE_TSETATTR, 4, SPEAKS_L, set_attr},
    {TSTAT, 6, SPEAKS_OLD, any_fid},
    {TWSTAT, 10, SPEAKS_OLD, wstat},
    {NINE_TREADLINK, 4, SPEAKS_L, any_fid},
    {NINE_TSTATFS, 1, SPEAKS_L, any_fid},
    {NINE_TFSYNC, 1, SPEAKS_L, sync_it},
    {NINE_TXATTRWALK, 6, SPEAKS_L, xattr_walk},
    {NINE_TXATTRCREATE, 4, SPEAKS_L, xattr_create},
    {NINE_TWRITE, 8, SPEAKS_L, xattr_write},
    {NINE_TLOCK, 10, SPEAKS_L, lock},
    {NINE_TGETLOCK, 3, SPEAKS_L, get_lock},
    {NINE_TMKDIR, 4, SPEAKS_L, make_dir},
    {NINE_TSYMLINK, 2, SPEAKS_L, make_link},
    {NINE_TMKNOD, 1, SPEAKS_L, make_node},
    {NINE_TLINK, 4, SPEAKS_L, two_fids_and_a_name},
    {NINE_TRENAME, 4, SPEAKS_L, two_fids_and_a_name},
    {NINE_TRENAMEAT, 8, SPEAKS_L, rename_at},
    {NINE_TUNLINKAT, 8, SPEAKS_L, unlink_at},
    {NINE_TREMOVE, 3, SPEAKS_ALL, fid_only},
    {NINE_TCLUNK, 10, SPEAKS_ALL, fid_only},
    {NINE_TFLUSH, 6, SPEAKS_ALL, flush},
};

static uint32_t
weight(const struct client *k, size_t i)
{
    return (requests[i].speaks & k->speaks) != 0 ? requests[i].weight : 0;
}

static void
sent(struct client *k, uint8_t type)
{
    nc_end(k->c);
    k->sent++;
    k->type[k->sent] = type;
    k->pending[k->sent] = ASKED;
    k->open++;
}

static void
send_one(struct client *k)
{
    uint32_t all = 0, at;
    size_t i = 0;

    for (size_t r = 0; r < COUNT(requests); r++)
        all += weight(k, r);
    for (at = below(k, all); at >= weight(k, i); i++)
        at -= weight(k, i);
    nc_begin(k->c, requests[i].type, (uint16_t)(k->sent + 1));
    requests[i].body(k);
    sent(k, requests[i].type);
}

/* Who may wait for a lock may wait for us: nobody waits beyond the batch. */
static void
call_off_waiting(struct client *k)
{
    const uint16_t n = k->sent;

    for (uint16_t tag = 1; tag <= n; tag++) {
        if (!k->waits[tag])
            continue;
        k->flushes[k->sent + 1] = tag;
        nc_begin(k->c, NINE_TFLUSH, (uint16_t)(k->sent + 1));
        nc_u16(k->c, tag);
        sent(k, NINE_TFLUSH);
    }
}

/* --- answers ------------------------------------------------------------------------ */

static const uint32_t usual[] = {ENOENT, EEXIST, ENOTDIR, EISDIR, ENOTEMPTY, EBADF, EINVAL,
                                 ELOOP,  ESTALE, EPERM,   ENXIO,  EBUSY,     EXDEV};
static const struct {
    uint8_t type;
    uint32_t err;
} unusual[] = {
    {NINE_TSETATTR, EOPNOTSUPP},   /* the mode of a symlink */
    {TWSTAT, EOPNOTSUPP},          /* the same */
    {TCREATE, EOPNOTSUPP},         /* DMEXCL */
    {NINE_TXATTRWALK, ENODATA},    /* no such attribute */
    {NINE_TXATTRWALK, EOPNOTSUPP}, /* or not offered */
    {NINE_TCLUNK, EOPNOTSUPP},     /* as its Txattrcreate has it */
    {NINE_TWRITE, ENOSPC},         /* beyond what Txattrcreate announced */
    {NINE_TCLUNK, ENODATA},        /* that was to be replaced */
};

static bool
may_be(uint8_t type, uint32_t err)
{
    for (size_t i = 0; i < COUNT(usual); i++) {
        if (err == usual[i])
            return true;
    }
    for (size_t i = 0; i < COUNT(unusual); i++) {
        if (type == unusual[i].type && err == unusual[i].err)
            return true;
    }
    return false;
}

/* Of these a text is one; 0: of none. */
static uint32_t
errno_of_text(const char *s, size_t n)
{
    static const char gone[] = "file has been removed"; /* what Linux knows ESTALE by */

    if (n == strlen(gone) && memcmp(s, gone, n) == 0)
        return ESTALE;
    for (uint32_t e = 1; e < 200; e++) {
        const char *text = strerrordesc_np((int)e);

        if (text != NULL && strlen(text) == n && memcmp(s, text, n) == 0)
            return e;
    }
    return 0;
}

static uint32_t
le(const uint8_t *p, unsigned n)
{
    uint32_t v = 0;

    while (n-- > 0)
        v = v << 8 | p[n];
    return v;
}

/* The errno of a reply that is an error of the dialect; 0: it is none. */
static uint32_t
refusal(struct client *k, const struct nc_reply *r)
{
    const size_t n = r->size - NINE_HEAD;
    size_t text;

    if (r->type == NINE_RLERROR && k->speaks == SPEAKS_L && n == 4)
        return le(r->body, 4);
    if (r->type != RERROR || k->speaks == SPEAKS_L || n < 2)
        return 0;
    text = le(r->body, 2);
    if (n != 2 + text + (k->speaks == SPEAKS_U ? 4 : 0)) {
        wrong(k, "an Rerror of %zu bytes with a text of %zu", n, text);
        return EINVAL;
    }
    if (k->speaks == SPEAKS_U)
        return le(r->body + 2 + text, 4);
    return errno_of_text((const char *)r->body + 2, text);
}

static void
look_at_qid(struct client *k, const uint8_t *p)
{
    uint64_t path = 0;

    for (int i = 7; i >= 0; i--)
        path = path << 8 | p[5 + i];
    if (p[0] == 0x02) /* a symlink */
        k->links_met++;
    for (size_t i = 0; i < CANARIES; i++) {
        if ((path & INODE_MASK) == (k->kept->before[i].st_ino & INODE_MASK))
            wrong(k, "the canary's \"%s\" was reached", canary[i]);
    }
}

static void
look(struct client *k, const struct nc_reply *r)
{
    const size_t n = r->size - NINE_HEAD;

    switch (r->type - 1) {
    case NINE_TREAD:
    case NINE_TREADDIR:
        if (memmem(r->body, n, MAGIC, strlen(MAGIC)) != NULL)
            wrong(k, "the canary was read");
        break;
    case NINE_TWALK:
        for (size_t at = 2; at + 13 <= n; at += 13)
            look_at_qid(k, r->body + at);
        break;
    case NINE_TGETATTR:
        look_at_qid(k, r->body + 8);
        break;
    case NINE_TLOPEN:
    case NINE_TLCREATE:
    case TOPEN:
    case TCREATE:
        look_at_qid(k, r->body);
        break;
    case TSTAT: /* n[2] size[2] type[2] dev[4] qid[13] */
        look_at_qid(k, r->body + 10);
        break;
    case NINE_TLOCK:
        k->locks += r->body[0] == NINE_LOCK_SUCCESS;
        k->waited += r->body[0] == NINE_LOCK_SUCCESS && k->waits[r->tag];
        break;
    default:
        break;
    }
}

static void
answered(struct client *k, const struct nc_reply *r)
{
    uint32_t err;

    if (r->tag == 0 || r->tag > k->sent || k->pending[r->tag] != ASKED) {
        wrong(k, "type %u for tag %u, which waits for nothing", r->type, r->tag);
        return;
    }
    k->pending[r->tag] = NONE;
    k->open--;
    k->requests++;
    err = refusal(k, r);
    if (err != 0) {
        k->refused++;
        if (!may_be(k->type[r->tag], err) && !(k->s->few_fds && err == ENFILE))
            wrong(k, "type %u refused with %s", k->type[r->tag], strerrordesc_np((int)err));
        return;
    }
    if (r->type != k->type[r->tag] + 1) {
        wrong(k, "type %u in answer to %u", r->type, k->type[r->tag]);
        return;
    }
    k->seen[k->type[r->tag]] = true;
    look(k, r);
    /* Called off: no answer will come if none has come. */
    if (r->type == NINE_TFLUSH + 1 && k->pending[k->flushes[r->tag]] == ASKED) {
        k->pending[k->flushes[r->tag]] = FLUSHED;
        k->open--;
    }
}

/* --- a client's life -------------------------------------------------------------------- */

static bool
begin(struct client *k)
{
    const struct timeval most = {.tv_sec = PATIENCE_S};
    struct old o = {.dotu = k->speaks == SPEAKS_U};
    int r;

    k->c = o.c = k->s->connect(k->s->ctx);
    if (k->c == NULL) {
        wrong(k, "no connection");
        return false;
    }
    (void)setsockopt(nc_fd(k->c), SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
    r = nc_version(k->c, 65536, dialects[k->number % COUNT(dialects)].version);
    if (r == 0 && k->speaks == SPEAKS_L)
        r = nc_attach(k->c, 0, "", k->s->aname, 0);
    else if (r == 0)
        r = old_attach(&o, 0, k->s->aname);
    if (r < 0)
        wrong(k, "attach: %s", strerror(-r));
    return r == 0;
}

/* True: all answers are there. False: it hung up in the middle. */
static bool
one_batch(struct client *k)
{
    const uint32_t n = 1 + below(k, BATCH);
    const bool hang_up = below(k, 200) == 0;
    struct nc_reply r;
    int e;

    k->sent = k->open = 0;
    memset(k->pending, 0, sizeof(k->pending));
    memset(k->waits, 0, sizeof(k->waits));
    while (k->sent < n)
        send_one(k);
    call_off_waiting(k);
    e = nc_push(k->c);
    if (hang_up)
        return false;
    while (e == 0 && k->open > 0 && k->wrong[0] == '\0') {
        e = nc_pull(k->c, &r);
        if (e == 0)
            answered(k, &r);
    }
    if (e < 0)
        wrong(k, "%u answers are missing: %s", k->open, strerror(-e));
    return true;
}

static void *
client_main(void *arg)
{
    struct client *k = arg;

    while (!atomic_load(&stop) && begin(k)) {
        while (!atomic_load(&stop) && one_batch(k))
            ;
        nc_close(k->c);
        k->c = NULL;
    }
    nc_close(k->c);
    return NULL;
}

/* --- the host --------------------------------------------------------------------------- */

/* A name of the share that is one moment what it should be, the next a link to that
 * name of the canary: at the top, a file in a directory, a directory in one. */
static const struct {
    const char *dir, *name, *leads;
    mode_t kind;
} swaps[] = {{".", "swap", "", S_IFDIR}, {"x", "a", "a", S_IFREG}, {"y", "sub", "sub", S_IFDIR}};

struct host {
    pthread_t thread;
    int root;           /* owned; the share's */
    struct stat owner;  /* of it */
    const char *target; /* borrowed; the canary */
    unsigned moved;
    uint64_t rounds;
    _Atomic uint64_t swaps; /* read while it blows */
};

static bool
is_kind(int dir, const char *name, mode_t kind)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & S_IFMT) == kind;
}

static bool
is_there(int dir, const char *name)
{
    return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Put what lies at "new", which no guest names, into its place, if that is
 * free: never is anything there that belongs to nobody in the share. */
static void
place(struct host *h, int dir, const char *name)
{
    if (fchownat(h->root, "new", h->owner.st_uid, h->owner.st_gid, AT_SYMLINK_NOFOLLOW) == 0)
        (void)renameat2(h->root, "new", dir, name, RENAME_NOREPLACE);
    (void)unlinkat(h->root, "new", 0);
    (void)unlinkat(h->root, "new", AT_REMOVEDIR);
}

static void
make(struct host *h, int dir, const char *name, mode_t kind)
{
    if (is_there(dir, name))
        return;
    if ((kind == S_IFDIR ? mkdirat(h->root, "new", 0777)
                         : mknodat(h->root, "new", S_IFREG | 0666, 0)) == 0)
        place(h, dir, name);
}

/* Where the link is while it is not in its place: no guest names that. */
static const char *
aside_of(size_t i)
{
    static const char *const asides[] = {"other-0", "other-1", "other-2"};

    return asides[i];
}

/* One of the two is to be the link. */
static void
repair_link(struct host *h, size_t i, int dir)
{
    const char *name = swaps[i].name, *aside = aside_of(i);
    char target[PATH_ROOM + 16], moved[32];

    make(h, dir, name, swaps[i].kind);
    if (is_kind(dir, name, S_IFLNK) != is_kind(h->root, aside, S_IFLNK))
        return;
    if (is_there(h->root, aside) && !is_kind(h->root, aside, S_IFLNK)) {
        (void)snprintf(moved, sizeof(moved), "aside-%u", h->moved++);
        (void)renameat(h->root, aside, h->root, moved);
    }
    if (is_kind(dir, name, S_IFLNK))
        (void)unlinkat(dir, name, 0);
    (void)snprintf(target, sizeof(target), "%s/%s", h->target, swaps[i].leads);
    if (!is_there(h->root, aside) && symlinkat(target, h->root, "new") == 0)
        place(h, h->root, aside);
}

/* Guests make links of their own: the host, who follows them, must not walk by names. */
static int
dir_of(const struct host *h, size_t i)
{
    return openat(h->root, swaps[i].dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Guests carry off, remove and replace these; what is in the way moves aside. */
static void
repair(struct host *h)
{
    for (size_t i = 0; i < COUNT(dirs); i++)
        make(h, h->root, dirs[i], S_IFDIR);
    for (size_t i = 0; i < COUNT(swaps); i++) {
        int dir = dir_of(h, i);

        if (dir < 0)
            continue;
        repair_link(h, i, dir);
        (void)close(dir);
    }
}

/* The name is always there: one moment the one, the next the other. */
static void *
host_main(void *arg)
{
    struct host *h = arg;

    while (!atomic_load(&stop)) {
        const size_t i =
            h->rounds % (2 * COUNT(swaps)) < COUNT(swaps) ? 0 : h->rounds % COUNT(swaps);
        const int dir = dir_of(h, i);

        if (dir >= 0 && renameat2(dir, swaps[i].name, h->root, aside_of(i), RENAME_EXCHANGE) == 0)
            h->swaps++;
        if (dir >= 0)
            (void)close(dir);
        if (++h->rounds % REPAIR == 0)
            repair(h);
        sched_yield();
    }
    return NULL;
}

static void
make_canary(struct canaries *k)
{
    const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1100000000}};
    char path[PATH_ROOM + 16];

    for (size_t i = 0; i < CANARIES; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", k->path, canary[i]);
        if (canary[i][0] == '\0' || strcmp(canary[i], "sub") == 0) {
            assert_int_equal(mkdir(path, 0777), 0);
        } else {
            FILE *f = fopen(path, "we");

            assert_non_null(f);
            for (int n = 0; n < 2000; n++)
                (void)fputs(MAGIC, f);
            assert_int_equal(fclose(f), 0);
        }
        assert_int_equal(chmod(path, 0777), 0); /* nothing but us protects it */
    }
    for (size_t i = CANARIES; i-- > 0;) { /* access times that any reader would move */
        (void)snprintf(path, sizeof(path), "%s/%s", k->path, canary[i]);
        assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
        assert_int_equal(stat(path, &k->before[i]), 0);
    }
}

static void
remove_canary(const struct canaries *k)
{
    char path[PATH_ROOM + 16];

    for (size_t i = CANARIES; i-- > 0;) {
        (void)snprintf(path, sizeof(path), "%s/%s", k->path, canary[i]);
        assert_int_equal(remove(path), 0);
    }
}

static uint64_t
seed(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return given("STORM_SEED", (uint64_t)now.tv_nsec * 2 + 1);
}

static unsigned
how_long(const struct storm *s)
{
    return (unsigned)given("SECONDS", s->seconds);
}

/* Messages that no client of a dialect, if there is one, ever saw succeed. */
static unsigned
in_vain(const struct client *clients, unsigned n, bool say)
{
    unsigned never = 0;

    for (size_t i = 0; i < COUNT(requests) * COUNT(dialects); i++) {
        const unsigned speaks = dialects[i % COUNT(dialects)].bit;
        const uint8_t type = requests[i / COUNT(dialects)].type;
        bool asked = false, seen = false;

        for (unsigned c = 0; c < n; c++) {
            if ((clients[c].speaks & speaks & requests[i / COUNT(dialects)].speaks) == 0)
                continue;
            asked = true;
            seen |= clients[c].seen[type];
        }
        if (asked && !seen) {
            if (say)
                printf("%s: type %u never succeeded\n", dialects[i % COUNT(dialects)].version,
                       type);
            never++;
        }
    }
    return never;
}

/* All that is left to chance came about. */
static bool
enough(const struct storm *s, const struct client *clients, const struct host *h)
{
    uint64_t links_met = 0, waited = 0;

    for (unsigned i = 0; i < s->clients; i++) {
        links_met += clients[i].links_met;
        waited += clients[i].waited;
    }
    return h->swaps > SWAPS_MIN && links_met > 0 && waited > 0 &&
           (!s->each || in_vain(clients, s->clients, false) == 0);
}

static void
blow(const struct storm *s, struct client *clients, struct host *h)
{
    const struct timespec breath = {.tv_nsec = 50 * 1000 * 1000};
    const unsigned least = how_long(s) * 20, n = s->clients;

    atomic_store(&stop, false);
    assert_int_equal(pthread_create(&h->thread, NULL, host_main, h), 0);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(pthread_create(&clients[i].thread, NULL, client_main, &clients[i]), 0);
    for (unsigned i = 0; i < least + MORE_S * 20 && !atomic_load(&stop); i++) {
        if (i >= least && enough(s, clients, h))
            break;
        nanosleep(&breath, NULL);
    }
    atomic_store(&stop, true);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(pthread_join(clients[i].thread, NULL), 0);
    assert_int_equal(pthread_join(h->thread, NULL), 0);
}

struct storm_counts
storm_run(const struct storm *s)
{
    struct client clients[CLIENTS_MAX] = {0};
    struct storm_counts all = {0};
    struct canaries kept;
    struct host host = {0};
    const uint64_t from = seed();
    char *whole;

    assert_true(s->clients <= CLIENTS_MAX);
    printf("STORM_SEED=%llu\n", (unsigned long long)from);
    assert_true(snprintf(kept.path, sizeof(kept.path), "%s-canary", s->share) < PATH_ROOM);
    make_canary(&kept);
    whole = tree_of(kept.path);
    host.target = kept.path;
    host.root = open(s->share, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(host.root >= 0);
    assert_int_equal(fstat(host.root, &host.owner), 0);
    repair(&host);
    for (unsigned i = 0; i < s->clients; i++)
        clients[i] = (struct client){.s = s,
                                     .kept = &kept,
                                     .number = i,
                                     .speaks = dialects[i % COUNT(dialects)].bit,
                                     .random = from * 2654435761u + i * 97 + 1};
    blow(s, clients, &host);
    for (unsigned i = 0; i < s->clients; i++) {
        if (clients[i].wrong[0] != '\0')
            fail_msg("client %u: %s", i, clients[i].wrong);
        all.requests += clients[i].requests;
        all.refused += clients[i].refused;
        all.links_met += clients[i].links_met;
        all.locks += clients[i].locks;
        all.waits += clients[i].waited;
    }
    all.swaps = host.swaps;
    all.in_vain = in_vain(clients, s->clients, true);
    tree_assert_same(kept.path, whole);
    remove_canary(&kept);
    (void)close(host.root);
    return all;
}
