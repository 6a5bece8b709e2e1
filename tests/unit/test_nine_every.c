/*
 * Every message of nine.def in every dialect that has it: once with success,
 * once refused, once with an error of the helper's. A line there without a row
 * here fails. And every way in which agreeing on a version can end.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/legacy.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"
#include "worker/nine.h"

#define RERROR 107
#define MSIZE 8192u
#define QUOTA EDQUOT /* an errno that the worker never gives by itself */

static const struct {
    unsigned dialect;
    const char *version;
} dialects[] = {{NINE_2000, "9P2000"}, {NINE_U, "9P2000.u"}, {NINE_L, "9P2000.L"}};

/* What every guest here has. NONE is a fid that it has not, NEW as well. */
enum { ROOT, FILE_FID, OPEN_FILE, DIR_FID, OPEN_DIR, LINK, NEW = 50, NONE = 99 };

static int
setup(void **state)
{
    struct rig *rig = rig_new(&rig_limits);

    synth_put_file(rig->rw, "file", "hello", 5);
    synth_put_dir(rig->rw, "dir");
    synth_put_file(rig->rw, "dir/in", "inner", 5);
    synth_put_link(rig->rw, "link", "dir/in");
    *state = rig;
    return 0;
}

static bool
is_l(const struct guest *g)
{
    return g->conn->dialect == NINE_L;
}

/* --- one of each: good is one that succeeds, else it is refused ------------- */

#define ASK(...) guest_ask(g, type, __VA_ARGS__)

static struct msg
fid_alone(struct guest *g, uint8_t type, bool good)
{
    return ASK("4", good ? FILE_FID : NONE);
}

static struct msg
lopen(struct guest *g, uint8_t type, bool good)
{
    return ASK("44", good ? FILE_FID : NONE, (unsigned)O_RDWR);
}

static struct msg
lcreate(struct guest *g, uint8_t type, bool good)
{
    return ASK("4s444", good ? DIR_FID : NONE, "new", (unsigned)O_RDWR, 0644u, 0u);
}

static struct msg
symlink_new(struct guest *g, uint8_t type, bool good)
{
    return ASK("4ss4", good ? DIR_FID : NONE, "new", "target", 0u);
}

static struct msg
mknod_new(struct guest *g, uint8_t type, bool good)
{
    return ASK("4s4444", good ? DIR_FID : NONE, "new", (unsigned)S_IFIFO | 0644u, 0u, 0u, 0u);
}

static struct msg
file_to_new(struct guest *g, uint8_t type, bool good)
{
    if (type == TLINK)
        return ASK("44s", DIR_FID, good ? FILE_FID : NONE, "new");
    return ASK("44s", good ? FILE_FID : NONE, DIR_FID, "new");
}

static struct msg
readlink_of(struct guest *g, uint8_t type, bool good)
{
    return ASK("4", good ? LINK : NONE);
}

static struct msg
getattr(struct guest *g, uint8_t type, bool good)
{
    return ASK("48", good ? FILE_FID : NONE, (uint64_t)0x7ff);
}

static struct msg
setattr(struct guest *g, uint8_t type, bool good)
{
    static const uint8_t zeros[64];

    return ASK("444r", good ? FILE_FID : NONE, 1u, 0600u, zeros, (size_t)48);
}

static struct msg
xattrwalk(struct guest *g, uint8_t type, bool good)
{
    return ASK("44s", good ? FILE_FID : NONE, NEW, "user.there");
}

static struct msg
xattrcreate(struct guest *g, uint8_t type, bool good)
{
    return ASK("4s84", good ? FILE_FID : NONE, "user.new", (uint64_t)1, 0u);
}

static struct msg
readdir(struct guest *g, uint8_t type, bool good)
{
    return ASK("484", good ? OPEN_DIR : NONE, (uint64_t)0, 1000u);
}

static struct msg
fsync_of(struct guest *g, uint8_t type, bool good)
{
    return ASK("44", good ? OPEN_FILE : NONE, 1u);
}

static struct msg
lock(struct guest *g, uint8_t type, bool good)
{
    return ASK("414884s", good ? OPEN_FILE : NONE, 1u, 0u, (uint64_t)0, (uint64_t)9, 7u, "me");
}

static struct msg
getlock(struct guest *g, uint8_t type, bool good)
{
    return ASK("41884s", good ? OPEN_FILE : NONE, 1u, (uint64_t)0, (uint64_t)9, 7u, "me");
}

static struct msg
mkdir_new(struct guest *g, uint8_t type, bool good)
{
    return ASK("4s44", good ? DIR_FID : NONE, "new", 0755u, 0u);
}

static struct msg
renameat_new(struct guest *g, uint8_t type, bool good)
{
    return ASK("4s4s", good ? ROOT : NONE, "file", DIR_FID, "new");
}

static struct msg
unlinkat_file(struct guest *g, uint8_t type, bool good)
{
    return ASK("4s4", good ? ROOT : NONE, "file", 0u);
}

/* There is nothing to authenticate with, ever. */
static struct msg
auth(struct guest *g, uint8_t type, bool good)
{
    (void)good;
    if (g->conn->dialect == NINE_2000)
        return ASK("4ss", NEW, "nobody", "rw");
    return ASK("4ss4", NEW, "nobody", "rw", 0u);
}

static struct msg
attach(struct guest *g, uint8_t type, bool good)
{
    if (g->conn->dialect == NINE_2000)
        return ASK("44ss", NEW, NOFID, "nobody", good ? "rw" : "nil");
    return ASK("44ss4", NEW, NOFID, "nobody", good ? "rw" : "nil", 0u);
}

static struct msg
flush(struct guest *g, uint8_t type, bool good)
{
    return good ? ASK("2", 77u) : ASK("1", 77u);
}

static struct msg
walk(struct guest *g, uint8_t type, bool good)
{
    return ASK("442ss", good ? ROOT : NONE, NEW, 2u, "dir", "in");
}

static struct msg
open_old(struct guest *g, uint8_t type, bool good)
{
    return ASK("41", good ? FILE_FID : NONE, (unsigned)OLD_ORDWR);
}

static struct msg
create_old(struct guest *g, uint8_t type, bool good)
{
    if (g->conn->dialect == NINE_2000)
        return ASK("4s41", good ? DIR_FID : NONE, "new", 0644u, (unsigned)OLD_ORDWR);
    return ASK("4s41s", good ? DIR_FID : NONE, "new", 0644u, (unsigned)OLD_ORDWR, "");
}

static struct msg
read_file(struct guest *g, uint8_t type, bool good)
{
    return ASK("484", good ? OPEN_FILE : NONE, (uint64_t)0, 100u);
}

static struct msg
write_file(struct guest *g, uint8_t type, bool good)
{
    return ASK("484r", good ? OPEN_FILE : NONE, (uint64_t)0, 2u, "by", (size_t)2);
}

static struct msg
clunk_file(struct guest *g, uint8_t type, bool good)
{
    return ASK("4", good ? OPEN_FILE : NONE);
}

static struct msg
wstat(struct guest *g, uint8_t type, bool good)
{
    struct old_stat st = old_stat_blank();
    uint8_t bytes[256];
    size_t n;

    st.mode = 0600;
    n = old_stat_write(&st, g->conn->dialect == NINE_U, bytes, sizeof(bytes));
    return ASK("4b", good ? FILE_FID : NONE, bytes, n);
}

static const struct row {
    struct msg (*send)(struct guest *g, uint8_t type, bool good);
    int refused; /* how it ends if it is not good */
    unsigned op; /* a call that it makes; 0: none */
    bool always; /* even a good one is refused */
} table[256] = {
    [TSTATFS] = {fid_alone, EBADF, OP_STATFS, false},
    [TLOPEN] = {lopen, EBADF, OP_OPEN_WRITE, false},
    [TLCREATE] = {lcreate, EBADF, OP_CREATE, false},
    [TSYMLINK] = {symlink_new, EBADF, OP_SYMLINK, false},
    [TMKNOD] = {mknod_new, EBADF, OP_MKNOD, false},
    [TRENAME] = {file_to_new, EBADF, OP_RENAME_NODE, false},
    [TREADLINK] = {readlink_of, EBADF, OP_READLINK, false},
    [TGETATTR] = {getattr, EBADF, OP_GETATTR, false},
    [TSETATTR] = {setattr, EBADF, OP_SETATTR, false},
    [TXATTRWALK] = {xattrwalk, EBADF, OP_GETXATTR, false},
    [TXATTRCREATE] = {xattrcreate, EBADF, 0, false},
    [TREADDIR] = {readdir, EBADF, OP_READDIR, false},
    [TFSYNC] = {fsync_of, EBADF, OP_FSYNC, false},
    [TLOCK] = {lock, EBADF, OP_LOCK, false},
    [TGETLOCK] = {getlock, EBADF, OP_GETLOCK, false},
    [TLINK] = {file_to_new, EBADF, OP_LINK, false},
    [TMKDIR] = {mkdir_new, EBADF, OP_MKDIR, false},
    [TRENAMEAT] = {renameat_new, EBADF, OP_RENAME, false},
    [TUNLINKAT] = {unlinkat_file, EBADF, OP_UNLINK, false},
    [TAUTH] = {auth, ENOENT, 0, true},
    [TATTACH] = {attach, ENOENT, OP_GETATTR, false},
    [TFLUSH] = {flush, EPROTO, 0, false},
    [TWALK] = {walk, EBADF, OP_WALK, false},
    [TOPEN] = {open_old, EBADF, OP_OPEN_WRITE, false},
    [TCREATE] = {create_old, EBADF, OP_CREATE, false},
    [TREAD] = {read_file, EBADF, OP_READ, false},
    [TWRITE] = {write_file, EBADF, OP_WRITE, false},
    [TCLUNK] = {clunk_file, EBADF, OP_CLOSE, false},
    [TREMOVE] = {fid_alone, EBADF, OP_REMOVE, false},
    [TSTAT] = {fid_alone, EBADF, OP_GETATTR, false},
    [TWSTAT] = {wstat, EBADF, OP_SETATTR, false},
};

/* --- what came ---------------------------------------------------------------- */

static bool
is_text_of(struct str text, int err)
{
    const char *have = nine_error_text(-err);

    return strlen(have) == text.n && memcmp(have, text.p, text.n) == 0;
}

/* The whole reply is that error, in the words of the dialect. */
static void
assert_is_error(unsigned dialect, struct msg m, int err)
{
    assert_int_equal(m.type, dialect == NINE_L ? RLERROR : RERROR);
    if (dialect != NINE_L)
        assert_true(is_text_of(cur_str(&m.body), err));
    if (dialect != NINE_2000)
        assert_int_equal(cur_u32(&m.body), err);
    assert_true(cur_end(&m.body));
}

static void
assert_is_version(struct msg m, uint32_t msize, const char *version)
{
    struct str s;

    assert_int_equal(m.type, TVERSION + 1);
    assert_int_equal(cur_u32(&m.body), msize);
    s = cur_str(&m.body);
    assert_int_equal(s.n, strlen(version));
    assert_memory_equal(s.p, version, s.n);
    assert_true(cur_end(&m.body));
}

static void
opens(struct guest *g, uint32_t fid, bool directory)
{
    struct msg m;

    if (is_l(g))
        m = guest_ask(g, TLOPEN, "44", fid, (unsigned)(directory ? O_RDONLY : O_RDWR));
    else
        m = guest_ask(g, TOPEN, "41", fid, (unsigned)(directory ? OLD_OREAD : OLD_ORDWR));
    assert_int_equal(m.type, is_l(g) ? TLOPEN + 1 : TOPEN + 1);
}

static struct guest *
guest_of(struct rig *rig, size_t d)
{
    struct guest *g = rig_connect(rig);
    struct msg m;

    m = guest_ask(g, TVERSION, "4s", MSIZE, dialects[d].version);
    assert_is_version(m, MSIZE, dialects[d].version);
    if (dialects[d].dialect == NINE_2000)
        m = guest_ask(g, TATTACH, "44ss", ROOT, NOFID, "nobody", "rw");
    else
        m = guest_ask(g, TATTACH, "44ss4", ROOT, NOFID, "nobody", "rw", 0u);
    assert_int_equal(m.type, TATTACH + 1);
    guest_walk(g, ROOT, FILE_FID, "file");
    guest_walk(g, ROOT, OPEN_FILE, "file");
    guest_walk(g, ROOT, DIR_FID, "dir");
    guest_walk(g, ROOT, OPEN_DIR, "dir");
    guest_walk(g, ROOT, LINK, "link");
    opens(g, OPEN_FILE, false);
    opens(g, OPEN_DIR, true);
    return g;
}

/* A share as it was, for each. */
static void
start(void **state)
{
    setup(state);
}

static void
give_it_an_attribute(struct rig *rig)
{
    struct guest *g = guest_of(rig, 2);

    assert_int_equal(guest_does(g, TXATTRCREATE, "4s84", FILE_FID, "user.there", (uint64_t)3, 0u),
                     0);
    assert_int_equal(guest_does(g, TWRITE, "484r", FILE_FID, (uint64_t)0, 3u, "abc", (size_t)3), 0);
    assert_int_equal(guest_does(g, TCLUNK, "4", FILE_FID), 0);
    guest_hang_up(g);
    rig_run(rig);
}

enum how { GOOD, REFUSED, BY_THE_HELPER };

static void
try_one(uint8_t type, size_t d, enum how how)
{
    const struct row *row = &table[type];
    void *state = NULL;
    struct rig *rig;
    struct guest *g;
    struct msg m;

    start(&state);
    rig = state;
    give_it_an_attribute(rig);
    g = guest_of(rig, d);
    if (how == BY_THE_HELPER)
        synth_fail(rig->rw, row->op, -QUOTA);
    m = row->send(g, type, how != REFUSED);
    if (how == BY_THE_HELPER && row->op != 0)
        assert_is_error(dialects[d].dialect, m, QUOTA);
    else if (how == REFUSED || row->always)
        assert_is_error(dialects[d].dialect, m, row->refused);
    else
        assert_int_equal(m.type, type + 1);
    assert_false(guest_next(g, &m)); /* one answer */
    assert_false(g->ended);
    rig_teardown(&state);
}

static void
every_message_in_every_dialect_succeeds_is_refused_and_passes_an_error_on(void **state)
{
    unsigned pairs = 0;

    (void)state;
    for (unsigned type = 0; type < 256; type++) {
        bool served = false;

        for (size_t d = 0; d < COUNT(dialects); d++) {
            if (nine_row((uint8_t)type, dialects[d].dialect) == NULL)
                continue;
            served = true;
            pairs++;
            if (table[type].send == NULL)
                fail_msg("type %u of nine.def has no row here", type);
            try_one((uint8_t)type, d, GOOD);
            try_one((uint8_t)type, d, REFUSED);
            try_one((uint8_t)type, d, BY_THE_HELPER);
        }
        if (!served)
            assert_null(table[type].send);
    }
    assert_int_equal(pairs, 19 + 2 * 4 + 3 * 8);
}

/* --- version -------------------------------------------------------------------- */

static void
every_dialect_takes_an_msize_between_its_bounds(void **state)
{
    static const struct {
        uint32_t offered, agreed; /* 0: refused */
    } t[] = {
        {0, 0},
        {24, 0},
        {4095, 0},
        {4096, 4096},
        {4097, 4097},
        {MSIZE_MAX - 1, MSIZE_MAX - 1},
        {1u << 20, 1u << 20},
        {MSIZE_MAX + 1, MSIZE_MAX},
        {UINT32_MAX, MSIZE_MAX},
    };

    assert_true(MSIZE_MAX >= 1u << 20);
    for (size_t d = 0; d < COUNT(dialects); d++) {
        struct guest *g = rig_connect(*state);

        for (size_t i = 0; i < COUNT(t); i++) {
            struct msg m = guest_ask(g, TVERSION, "4s", t[i].offered, dialects[d].version);

            if (t[i].agreed == 0)
                assert_is_error(dialects[d].dialect, m, EMSGSIZE);
            else
                assert_is_version(m, t[i].agreed, dialects[d].version);
        }
        assert_false(g->ended);
    }
}

/* Whoever offers what nobody knows is told that, whatever else is wrong. */
static void
an_unknown_version_is_answered_unknown_at_any_msize(void **state)
{
    static const uint32_t sizes[] = {0, 100, 4095, 4096, 8192, UINT32_MAX};
    static const char *const unknown[] = {"", "9P", "8P2000", "9P2000L", "9p2000.L", "unknown"};
    struct guest *g = rig_connect(*state);

    for (size_t i = 0; i < COUNT(unknown); i++) {
        for (size_t s = 0; s < COUNT(sizes); s++) {
            uint32_t most = sizes[s] < MSIZE_MAX ? sizes[s] : MSIZE_MAX;

            assert_is_version(guest_ask(g, TVERSION, "4s", sizes[s], unknown[i]), most, "unknown");
        }
    }
    assert_false(g->ended);
    assert_is_version(guest_ask(g, TVERSION, "4s", MSIZE, "9P2000"), MSIZE, "9P2000");
}

/* From each dialect to each, with files open and a request in flight. */
static void
a_new_version_resets_the_session_whatever_was_and_comes(void **state)
{
    struct rig *rig = *state;

    give_it_an_attribute(rig);
    for (size_t from = 0; from < COUNT(dialects); from++) {
        for (size_t to = 0; to < COUNT(dialects); to++) {
            struct guest *g = guest_of(rig, from);
            struct msg m;

            rig->hold = true;
            guest_send(g, TREAD, 9, "484", OPEN_FILE, (uint64_t)0, 100u);
            guest_send(g, TVERSION, NOTAG, "4s", 4096u, dialects[to].version);
            rig_run(rig);
            assert_false(guest_next(g, &m));
            rig->hold = false;
            rig_run(rig);
            assert_true(guest_next(g, &m)); /* the read is never answered */
            assert_is_version(m, 4096, dialects[to].version);
            for (uint32_t fid = ROOT; fid <= LINK; fid++)
                assert_is_error(dialects[to].dialect, guest_ask(g, TCLUNK, "4", fid), EBADF);
            assert_int_equal(synth_files(rig->rw), 0);
            guest_hang_up(g);
            rig_run(rig);
        }
    }
}

static void
a_version_that_is_malformed_ends_what_is_no_session_yet_and_no_other(void **state)
{
    struct rig *rig = *state;
    struct guest *g;

    for (size_t d = 0; d < COUNT(dialects); d++) {
        g = guest_of(rig, d);
        assert_is_error(dialects[d].dialect, guest_ask(g, TVERSION, "4", MSIZE), EPROTO);
        assert_is_error(dialects[d].dialect, guest_ask(g, TVERSION, "4s1", MSIZE, "9P2000", 0u),
                        EPROTO);
        assert_int_equal(guest_ask(g, TCLUNK, "4", OPEN_FILE).type, TCLUNK + 1); /* it goes on */
        assert_false(g->ended);
    }
    g = rig_connect(rig);
    guest_send(g, TVERSION, NOTAG, "4", MSIZE);
    rig_run(rig);
    assert_true(g->ended);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_in_every_dialect_succeeds_is_refused_and_passes_an_error_on),
        T(every_dialect_takes_an_msize_between_its_bounds),
        T(an_unknown_version_is_answered_unknown_at_any_msize),
        T(a_new_version_resets_the_session_whatever_was_and_comes),
        T(a_version_that_is_malformed_ends_what_is_no_session_yet_and_no_other),
    };

    return cmocka_run_group_tests_name("every message in every dialect", tests, NULL, NULL);
}
