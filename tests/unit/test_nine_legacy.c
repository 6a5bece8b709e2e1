/*
 * 9P2000.u and 9P2000: their messages, errors, stats and directories, over the
 * same fids as 9P2000.L.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/legacy.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"
#include "worker/nine.h"

#define RERROR 107
#define MSIZE 65536u

static const struct {
    unsigned dialect;
    const char *version;
} dialects[] = {{NINE_2000, "9P2000"}, {NINE_U, "9P2000.u"}, {NINE_L, "9P2000.L"}};
#define OLD_DIALECTS 2 /* the first of them */

static int
setup(void **state)
{
    struct rig *rig = rig_new(&rig_limits);
    struct synth *both[] = {rig->rw, rig->ro};

    for (size_t i = 0; i < COUNT(both); i++) {
        synth_put_file(both[i], "file", "hello", 5);
        synth_put_dir(both[i], "dir");
        synth_put_file(both[i], "dir/in", "inner", 5);
        synth_put_link(both[i], "link", "dir/in");
    }
    *state = rig;
    return 0;
}

static bool
dotu(const struct guest *g)
{
    return g->conn->dialect == NINE_U;
}

static void
speak(struct guest *g, const char *version, uint32_t msize)
{
    struct msg m = guest_ask(g, TVERSION, "4s", msize, version);

    assert_int_equal(m.type, TVERSION + 1);
    assert_int_equal(cur_u32(&m.body), msize);
    assert_int_equal(cur_str(&m.body).n, strlen(version));
}

/* 0, or the errno that an Rerror means to its client: the number, or what has
 * that text. An Rlerror or any other reply fails the test. */
static int
how_it_ended(const struct guest *g, struct msg m, uint8_t type)
{
    struct str text;
    int e = 0;

    if (m.type == type + 1 && m.type != RERROR)
        return 0;
    assert_int_equal(m.type, RERROR);
    text = cur_str(&m.body);
    if (dotu(g)) {
        e = (int)cur_u32(&m.body);
    } else {
        for (int i = 1; i < 200 && e == 0; i++) {
            const char *have = nine_error_text(-i);

            if (strlen(have) == text.n && memcmp(have, text.p, text.n) == 0 &&
                (i == EIO || strcmp(have, nine_error_text(-EIO)) != 0))
                e = i;
        }
    }
    assert_true(cur_end(&m.body));
    assert_in_range(e, 1, 511);
    return e;
}
#define DOES(g, type, ...) how_it_ended(g, guest_ask(g, type, __VA_ARGS__), type)

static int
attaches(struct guest *g, uint32_t fid, const char *aname)
{
    if (g->conn->dialect == NINE_2000)
        return DOES(g, TATTACH, "44ss", fid, NOFID, "nobody", aname);
    return DOES(g, TATTACH, "44ss4", fid, NOFID, "nobody", aname, UINT32_MAX);
}

/* Fid 0 at the root of "rw", fid 1 of "ro". */
static struct guest *
old_guest(struct rig *rig, const char *version)
{
    struct guest *g = rig_connect(rig);

    speak(g, version, MSIZE);
    assert_int_equal(attaches(g, 0, "rw"), 0);
    assert_int_equal(attaches(g, 1, "ro"), 0);
    return g;
}

static int
creates(struct guest *g, uint32_t fid, const char *name, uint32_t perm, uint8_t mode,
        const char *extension)
{
    if (dotu(g))
        return DOES(g, TCREATE, "4s41s", fid, name, perm, (unsigned)mode, extension);
    return DOES(g, TCREATE, "4s41", fid, name, perm, (unsigned)mode);
}

static int
clunks(struct guest *g, uint32_t fid)
{
    return DOES(g, TCLUNK, "4", fid);
}

static struct old_stat
stat_of(struct guest *g, uint32_t fid)
{
    struct msg m = guest_ask(g, TSTAT, "4", fid);
    struct old_stat st = {0};
    struct str s;

    assert_int_equal(m.type, TSTAT + 1);
    assert_true(m.size <= 8192); /* what Linux sets aside */
    s = cur_str(&m.body);
    assert_true(cur_end(&m.body));
    assert_int_equal(old_stat_read(s.p, s.n, dotu(g), &st), s.n);
    return st;
}

static int
wstats(struct guest *g, uint32_t fid, const struct old_stat *st)
{
    uint8_t bytes[8192];
    size_t n = old_stat_write(st, dotu(g), bytes, sizeof(bytes));

    return DOES(g, TWSTAT, "4b", fid, bytes, n);
}

static bool
holds(struct synth *s, const char *path, const char *data)
{
    size_t n = 0;
    const uint8_t *p = synth_data(s, path, &n);

    return synth_exists(s, path) && n == strlen(data) && (n == 0 || memcmp(p, data, n) == 0);
}

/* Everybody hangs up; what a dead helper held is not ours to count. */
static void
forget_dead_share(struct rig *rig)
{
    for (size_t i = 0; i < RIG_GUESTS; i++)
        guest_hang_up(&rig->guest[i]);
    rig_run(rig);
    assert_true(tenant_is_idle(&rig->tenant));
    assert_int_equal(synth_pages_used(rig->rw), 0);
    rig_cut(rig, 0); /* what a dead helper held is not ours to count */
}

/* --- which messages there are --------------------------------------------- */

static const uint8_t only_l[] = {TSTATFS,      TLOPEN,    TLCREATE,  TSYMLINK, TMKNOD,
                                 TRENAME,      TREADLINK, TGETATTR,  TSETATTR, TXATTRWALK,
                                 TXATTRCREATE, TREADDIR,  TFSYNC,    TLOCK,    TGETLOCK,
                                 TLINK,        TMKDIR,    TRENAMEAT, TUNLINKAT};
static const uint8_t only_old[] = {TOPEN, TCREATE, TSTAT, TWSTAT};

static bool
is_in(uint8_t type, const uint8_t *list, size_t n)
{
    return memchr(list, type, n) != NULL;
}

static void
every_message_belongs_to_its_dialects(void **state)
{
    struct rig *rig = *state;

    for (size_t d = 0; d < COUNT(dialects); d++) {
        bool old = dialects[d].dialect != NINE_L;
        struct guest *g = rig_connect(rig);

        speak(g, dialects[d].version, MSIZE);
        for (unsigned type = 0; type < 256; type++) {
            bool other = old ? is_in((uint8_t)type, only_l, sizeof(only_l))
                             : is_in((uint8_t)type, only_old, sizeof(only_old));
            struct msg m;

            if (type == TVERSION)
                continue;
            if (other)
                assert_null(nine_row((uint8_t)type, dialects[d].dialect));
            if (nine_row((uint8_t)type, dialects[d].dialect) != NULL)
                continue;
            m = guest_ask(g, (uint8_t)type, "");
            assert_int_equal(m.type, old ? RERROR : RLERROR);
            assert_int_equal(old ? how_it_ended(g, m, (uint8_t)type) : msg_errno(&m), EOPNOTSUPP);
        }
        assert_false(g->ended);
        guest_hang_up(g);
    }
}

static void
the_dialect_is_whatever_the_last_version_said(void **state)
{
    struct rig *rig = *state;
    struct guest *g = rig_connect(rig);

    for (unsigned turn = 0; turn < 9; turn++) {
        size_t d = turn * 2 % COUNT(dialects);

        speak(g, dialects[d].version, MSIZE - turn);
        if (dialects[d].dialect == NINE_L) {
            guest_attach(g, 0, "rw");
            assert_int_equal(guest_does(g, TLOPEN, "44", 0u, 0u), 0);
            assert_int_equal(guest_does(g, TOPEN, "41", 0u, 0u), EOPNOTSUPP);
        } else {
            assert_int_equal(attaches(g, 0, "rw"), 0);
            assert_int_equal(DOES(g, TLOPEN, "44", 0u, 0u), EOPNOTSUPP);
            assert_int_equal(DOES(g, TOPEN, "41", 0u, 0u), 0);
        }
    }
    assert_int_equal(synth_files(rig->rw), 1); /* those before went */
}

static void
a_version_too_small_is_refused_in_its_own_words(void **state)
{
    for (size_t d = 0; d < COUNT(dialects); d++) {
        struct guest *g = rig_connect(*state);
        struct msg m = guest_ask(g, TVERSION, "4s", 4095u, dialects[d].version);
        struct str text;

        assert_int_equal(m.type, dialects[d].dialect == NINE_L ? RLERROR : RERROR);
        if (dialects[d].dialect == NINE_L)
            continue;
        text = cur_str(&m.body);
        assert_int_equal(text.n, strlen("Message too long"));
        assert_memory_equal(text.p, "Message too long", text.n);
        if (dialects[d].dialect == NINE_U)
            assert_int_equal(cur_u32(&m.body), EMSGSIZE);
        assert_true(cur_end(&m.body));
    }
}

/* --- shapes ----------------------------------------------------------------- */

/* None of them succeeds (fid 99 is not there), but all are well-formed. */
static size_t
example(uint8_t *to, size_t room, uint8_t type, bool u)
{
    const unsigned f = 99;
    uint8_t st[256];
    struct old_stat blank = old_stat_blank();
    size_t n = old_stat_write(&blank, u, st, sizeof(st));

    switch (type) {
    case TAUTH:
        return msg_make(to, room, type, 1, u ? "4ss4" : "4ss", f, "uname", "nil", 0u);
    case TATTACH:
        return msg_make(to, room, type, 1, u ? "44ss4" : "44ss", f, NOFID, "uname", "nil", 0u);
    case TFLUSH:
        return msg_make(to, room, type, 1, "2", 77u);
    case TWALK:
        return msg_make(to, room, type, 1, "442ss", f, 100u, 2u, "dir", "name");
    case TOPEN:
        return msg_make(to, room, type, 1, "41", f, 0u);
    case TCREATE:
        return msg_make(to, room, type, 1, u ? "4s41s" : "4s41", f, "name", 0644u, 0u, "ext");
    case TREAD:
        return msg_make(to, room, type, 1, "484", f, (uint64_t)0, 100u);
    case TWRITE:
        return msg_make(to, room, type, 1, "484r", f, (uint64_t)0, 5u, "hello", (size_t)5);
    case TCLUNK:
    case TREMOVE:
    case TSTAT:
        return msg_make(to, room, type, 1, "4", f);
    case TWSTAT:
        return msg_make(to, room, type, 1, "4b", f, st, n);
    default:
        return 0;
    }
}

/* n bytes in memory of exactly that size, as one message. */
static int
offer(struct rig *rig, struct guest *g, const uint8_t *msg, uint32_t n)
{
    uint8_t *p = malloc(n), type = msg[4];
    struct msg m;

    assert_non_null(p);
    memcpy(p, msg, n);
    if (type == TWRITE && n >= NINE_WRITE_HEAD)
        assert_int_equal(nine_message(g->conn, p, NINE_WRITE_HEAD, n), 0);
    else
        assert_int_equal(nine_message(g->conn, p, n, n), 0);
    free(p);
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 1);
    return how_it_ended(g, m, type);
}

static void
a_message_cut_at_any_byte_or_a_byte_too_long_is_eproto(void **state)
{
    struct rig *rig = *state;
    uint8_t buf[512];

    for (size_t d = 0; d < OLD_DIALECTS; d++) {
        struct guest *g = old_guest(rig, dialects[d].version);

        for (unsigned type = 0; type < 256; type++) {
            size_t n = example(buf, sizeof(buf) - 1, (uint8_t)type, dotu(g));

            assert_int_equal(nine_row((uint8_t)type, dialects[d].dialect) != NULL, n != 0);
            for (uint32_t cut = 7; cut < n; cut++)
                assert_int_equal(offer(rig, g, buf, cut), EPROTO);
            if (n == 0)
                continue;
            buf[n] = 0;
            assert_int_equal(offer(rig, g, buf, (uint32_t)n + 1), EPROTO);
            if (type != TFLUSH)
                assert_int_not_equal(offer(rig, g, buf, (uint32_t)n), EPROTO);
        }
        guest_hang_up(g);
    }
}

static void
a_length_in_a_stat_that_is_any_other_is_eproto(void **state)
{
    static const uint16_t claims[] = {0,   1,   2,      46,     47,     48,
                                      255, 256, 0x7fff, 0x8000, 0xfffe, 0xffff};
    static const size_t at[] = {11, 13, 54, 56, 58, 60}; /* n, size, name, uid, gid, muid */
    struct rig *rig = *state;
    uint8_t buf[512];

    for (size_t d = 0; d < OLD_DIALECTS; d++) {
        struct guest *g = old_guest(rig, dialects[d].version);

        for (size_t i = 0; i < COUNT(at); i++) {
            for (size_t c = 0; c < COUNT(claims); c++) {
                size_t n = example(buf, sizeof(buf), TWSTAT, dotu(g));

                if ((uint16_t)(buf[at[i]] | buf[at[i] + 1] << 8) == claims[c])
                    continue;
                buf[at[i]] = (uint8_t)claims[c];
                buf[at[i] + 1] = (uint8_t)(claims[c] >> 8);
                assert_int_equal(offer(rig, g, buf, (uint32_t)n), EPROTO);
            }
        }
        guest_hang_up(g);
    }
}

static void
an_error_is_a_text_and_in_dotu_a_number(void **state)
{
    struct guest *u = old_guest(*state, "9P2000.u"), *plain = old_guest(*state, "9P2000");
    struct msg m = guest_ask(u, TSTAT, "4", 99u);
    struct str text;

    assert_int_equal(m.type, RERROR);
    text = cur_str(&m.body);
    assert_int_equal(text.n, strlen("Bad file descriptor"));
    assert_memory_equal(text.p, "Bad file descriptor", text.n);
    assert_int_equal(cur_u32(&m.body), EBADF);
    assert_true(cur_end(&m.body));
    m = guest_ask(plain, TSTAT, "4", 99u);
    assert_int_equal(m.type, RERROR);
    text = cur_str(&m.body);
    assert_memory_equal(text.p, "Bad file descriptor", text.n);
    assert_true(cur_end(&m.body));
}

static void
every_errno_has_a_short_text_and_keeps_its_number(void **state)
{
    struct rig *rig = *state;
    struct guest *u = old_guest(rig, "9P2000.u");

    for (int e = 1; e < 134; e++) {
        assert_in_range(strlen(nine_error_text(-e)), 4, 60);
        synth_fail(rig->rw, OP_GETATTR, -e);
        assert_int_equal(DOES(u, TSTAT, "4", 0u), e);
    }
    assert_string_equal(nine_error_text(-EROFS), "Read-only file system");
    assert_string_equal(nine_error_text(-4095), "Input/output error");
}

/* --- open ------------------------------------------------------------------- */

static bool
counts_as_writing(uint8_t mode)
{
    return (mode & 3) == OLD_OWRITE || (mode & 3) == OLD_ORDWR ||
           (mode & (OLD_OTRUNC | OLD_ORCLOSE | OLD_OAPPEND)) != 0;
}

static bool
is_no_mode(const struct guest *g, uint8_t mode)
{
    return (mode & (dotu(g) ? 0x0c : 0x8c)) != 0;
}

static void
every_mode_byte_that_may_change_anything_is_erofs_on_a_read_only_share(void **state)
{
    static const char *const targets[] = {"file", "dir"};
    struct rig *rig = *state;

    for (size_t d = 0; d < OLD_DIALECTS; d++) {
        struct guest *g = old_guest(rig, dialects[d].version);

        assert_int_equal(attaches(g, 5, "rw;ro"), 0);
        for (unsigned i = 0; i < 256 * COUNT(targets) * 2; i++) {
            uint8_t mode = (uint8_t)i;
            uint32_t root = i & 256 ? 5 : 1;
            int e;

            assert_int_equal(DOES(g, TWALK, "442s", root, 9u, 1u, targets[i >> 9]), 0);
            e = DOES(g, TOPEN, "41", 9u, (unsigned)mode);
            if (counts_as_writing(mode))
                assert_int_equal(e, EROFS);
            else
                assert_int_equal(e, is_no_mode(g, mode) ? EINVAL : 0);
            assert_int_equal(clunks(g, 9), 0);
            assert_int_equal(creates(g, root, "new", 0644, mode, ""), EROFS);
            assert_int_equal(creates(g, root, "new", OLD_DMDIR | 0755, mode, ""), EROFS);
        }
        guest_hang_up(g);
    }
    assert_int_equal(synth_calls(rig->rw, OP_OPEN_WRITE), 0);
    assert_true(holds(rig->rw, "file", "hello"));
}

static void
check_open_file(struct guest *g, uint8_t mode)
{
    bool reads = (mode & 3) != OLD_OWRITE;
    bool writes = (mode & 3) == OLD_OWRITE || (mode & 3) == OLD_ORDWR;
    struct rig *rig = g->rig;

    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)0, 1u), reads ? 0 : EBADF);
    assert_true(holds(rig->rw, "victim", (mode & OLD_OTRUNC) != 0 ? "" : "data"));
    assert_int_equal(DOES(g, TWRITE, "484r", 9u, (uint64_t)0, 2u, "XY", (size_t)2),
                     writes ? 0 : EBADF);
    if (writes && (mode & OLD_OTRUNC) != 0)
        assert_true(holds(rig->rw, "victim", "XY"));
    else if (writes)
        assert_true(holds(rig->rw, "victim", (mode & OLD_OAPPEND) != 0 ? "dataXY" : "XYta"));
}

static void
every_mode_byte_does_what_it_says_on_a_writable_share(void **state)
{
    struct rig *rig = *state;

    for (size_t d = 0; d < OLD_DIALECTS; d++) {
        struct guest *g = old_guest(rig, dialects[d].version);

        for (unsigned mode = 0; mode < 256; mode++) {
            int e;

            synth_put_file(rig->rw, "victim", "data", 4);
            assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "victim"), 0);
            e = DOES(g, TOPEN, "41", 9u, mode);
            assert_int_equal(e, is_no_mode(g, (uint8_t)mode) ? EINVAL : 0);
            if (e == 0)
                check_open_file(g, (uint8_t)mode);
            else
                assert_true(holds(rig->rw, "victim", "data"));
            assert_int_equal(clunks(g, 9), 0);
            assert_int_equal(synth_exists(rig->rw, "victim"), e != 0 || (mode & OLD_ORCLOSE) == 0);
            if (synth_exists(rig->rw, "victim")) {
                assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "victim"), 0);
                assert_int_equal(DOES(g, TREMOVE, "4", 9u), 0);
            }
        }
        guest_hang_up(g);
    }
}

static void
a_directory_is_opened_only_to_read(void **state)
{
    struct guest *g = old_guest(*state, "9P2000.u");

    for (unsigned mode = 1; mode < 4; mode++) {
        assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "dir"), 0);
        assert_int_equal(DOES(g, TOPEN, "41", 9u, mode), mode == OLD_OEXEC ? 0 : EISDIR);
        assert_int_equal(clunks(g, 9), 0);
    }
}

static void
a_connection_that_ends_removes_nothing(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000");

    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "file"), 0);
    assert_int_equal(DOES(g, TOPEN, "41", 9u, (unsigned)OLD_ORCLOSE), 0);
    speak(g, "9P2000", MSIZE);
    assert_int_equal(attaches(g, 0, "rw"), 0);
    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "file"), 0);
    assert_int_equal(DOES(g, TOPEN, "41", 9u, (unsigned)OLD_ORCLOSE), 0);
    guest_hang_up(g);
    rig_run(rig);
    assert_true(synth_exists(rig->rw, "file"));
    assert_int_equal(synth_files(rig->rw), 0);
}

/* --- names ------------------------------------------------------------------- */

static void
clone(struct guest *g, uint32_t from, uint32_t to)
{
    assert_int_equal(DOES(g, TWALK, "442", from, to, 0u), 0);
}

static void
a_create_makes_what_its_bits_say(void **state)
{
    static const struct {
        const char *name;
        uint32_t perm;
        const char *extension;
        int u, plain;
        const char *shows; /* extension in its stat */
        bool open;
    } t[] = {
        {"f", 0644, "", 0, 0, "", true},
        {"a", OLD_DMAPPEND | 0644, "", 0, 0, "", true},
        {"t", OLD_DMTMP | 0600, "", 0, 0, "", true},
        {"d", OLD_DMDIR | 0755, "", 0, 0, "", true},
        {"l", OLD_DMSYMLINK | 0777, "any/where", 0, EINVAL, "any/where", false},
        {"p", OLD_DMNAMEDPIPE | 0600, "", 0, EINVAL, "", false},
        {"s", OLD_DMSOCKET | 0600, "", 0, EINVAL, "", false},
        {"h", OLD_DMLINK | 0644, "3\n", 0, EINVAL, "HARDLINKCOUNT 2", false},
        {"h2", OLD_DMLINK | 0644, "3", 0, EINVAL, "HARDLINKCOUNT 3", false},
        {"x", OLD_DMLINK | 0644, "77", EBADF, EINVAL, NULL, false},
        {"x", OLD_DMLINK | 0644, "1", EROFS, EINVAL, NULL, false},
        {"x", OLD_DMLINK | 0644, "", EINVAL, EINVAL, NULL, false},
        {"x", OLD_DMLINK | 0644, "0x3", EINVAL, EINVAL, NULL, false},
        {"x", OLD_DMLINK | 0644, "4294967299", EINVAL, EINVAL, NULL, false},
        {"x", OLD_DMLINK | 0644, "-1\n", EINVAL, EINVAL, NULL, false},
        {"x", OLD_DMDEVICE | 0644, "c 1 3", EPERM, EINVAL, NULL, false},
        {"x", OLD_DMDEVICE | 0644, "b 8 0", EPERM, EINVAL, NULL, false},
        {"x", OLD_DMSYMLINK | 0777, "", ENOENT, EINVAL, NULL, false},
        {"x", OLD_DMEXCL | 0644, "", EOPNOTSUPP, EOPNOTSUPP, NULL, false},
        {"x", OLD_DMDIR | OLD_DMSYMLINK | 0777, "y", EINVAL, EINVAL, NULL, false},
        {"x", OLD_DMLINK | OLD_DMSYMLINK | 0777, "3", EINVAL, EINVAL, NULL, false},
        {"x", 0x10000000 | 0644, "", EINVAL, EINVAL, NULL, false}, /* DMMOUNT */
        {"x", 0x08000000 | 0644, "", EINVAL, EINVAL, NULL, false}, /* DMAUTH */
        {"x", 01000 | 0644, "", EINVAL, EINVAL, NULL, false},
        {"file", 0644, "", EEXIST, EEXIST, NULL, false},
        {"file", OLD_DMDIR | 0755, "", EEXIST, EEXIST, NULL, false},
        {"dir", 0644, "", EEXIST, EEXIST, NULL, false},
        {"link", 0644, "", EEXIST, EEXIST, NULL, false},
        {"..", 0644, "", EINVAL, EINVAL, NULL, false},
        {".", OLD_DMDIR | 0755, "", EINVAL, EINVAL, NULL, false},
        {"a/b", OLD_DMDIR | 0755, "", EINVAL, EINVAL, NULL, false},
        {"", 0644, "", EINVAL, EINVAL, NULL, false},
    };

    for (size_t i = 0; i < COUNT(t) * OLD_DIALECTS; i++) {
        size_t k = i % COUNT(t), d = i / COUNT(t);
        struct guest *g = old_guest(*state, dialects[d].version);
        int want = dotu(g) ? t[k].u : t[k].plain;
        char name[16];

        if (want == 0)
            (void)snprintf(name, sizeof(name), "%s%zu", t[k].name, d);
        else
            (void)snprintf(name, sizeof(name), "%s", t[k].name);
        assert_int_equal(DOES(g, TWALK, "442s", 0u, 3u, 1u, "file"), 0);
        clone(g, 0, 9);
        assert_int_equal(creates(g, 9, name, t[k].perm, OLD_OREAD, t[k].extension), want);
        if (want == 0) {
            struct old_stat st = stat_of(g, 9);

            assert_string_equal(st.name, name);
            if (dotu(g))
                assert_string_equal(st.extension, t[k].shows);
            assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)0, 99u), t[k].open ? 0 : EBADF);
        } else {
            assert_int_equal(DOES(g, TSTAT, "4", 9u), 0); /* still the directory */
            assert_string_equal(stat_of(g, 9).name, "/");
        }
        assert_int_equal(clunks(g, 9), 0);
        guest_hang_up(g);
        rig_run(*state);
    }
}

static void
what_is_made_without_being_open_cannot_go_at_its_close(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000.u");

    clone(g, 0, 9);
    assert_int_equal(creates(g, 9, "l", OLD_DMSYMLINK | 0777, OLD_ORCLOSE, "x"), EINVAL);
    assert_int_equal(creates(g, 9, "p", OLD_DMNAMEDPIPE | 0666, OLD_ORCLOSE, ""), EINVAL);
    assert_int_equal(creates(g, 9, "h", OLD_DMLINK | 0666, OLD_ORCLOSE, "0"), EINVAL);
    assert_false(synth_exists(rig->rw, "l"));
}

static void
a_new_directory_cannot_be_open_to_write(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000");

    clone(g, 0, 9);
    assert_int_equal(creates(g, 9, "d", OLD_DMDIR | 0755, OLD_OWRITE, ""), EISDIR);
    assert_int_equal(creates(g, 9, "d", OLD_DMDIR | 0755, OLD_ORDWR, ""), EISDIR);
    assert_int_equal(creates(g, 9, "d", OLD_DMDIR | 0755, OLD_OTRUNC, ""), EISDIR);
    assert_false(synth_exists(rig->rw, "d"));
    assert_int_equal(creates(g, 9, "d", OLD_DMDIR | 0755, OLD_ORCLOSE, ""), 0);
    assert_true(synth_exists(rig->rw, "d"));
    assert_int_equal(clunks(g, 9), 0);
    assert_false(synth_exists(rig->rw, "d"));
}

static void
a_file_of_two_names_loses_the_one_that_the_fid_came_by(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000.u");
    struct old_stat st = old_stat_blank();

    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(DOES(g, TWALK, "442s", 0u, 3u, 1u, "file"), 0);
        clone(g, 0, 9);
        assert_int_equal(creates(g, 9, "second", OLD_DMLINK | 0644, OLD_OREAD, "3\n"), 0);
        assert_int_equal(clunks(g, 9), 0);
        assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "second"), 0); /* the last known */
        if (i == 0)
            assert_int_equal(DOES(g, TREMOVE, "4", 3u), 0);
        if (i == 1) {
            assert_int_equal(DOES(g, TOPEN, "41", 3u, (unsigned)OLD_ORCLOSE), 0);
            assert_int_equal(clunks(g, 3), 0);
        }
        if (i == 2) {
            (void)snprintf(st.name, sizeof(st.name), "third");
            assert_int_equal(wstats(g, 3, &st), 0);
            assert_true(synth_exists(rig->rw, "third"));
            assert_string_equal(stat_of(g, 3).name, "third");
        }
        assert_false(synth_exists(rig->rw, "file"));
        assert_true(holds(rig->rw, "second", "hello"));
        if (i == 2)
            break;
        (void)snprintf(st.name, sizeof(st.name), "file"); /* as it was, for the next turn */
        assert_int_equal(wstats(g, 9, &st), 0);
        assert_int_equal(clunks(g, 9), 0);
    }
}

static void
a_fid_knows_the_name_it_came_by(void **state)
{
    struct guest *g = old_guest(*state, "9P2000");
    struct old_stat st;

    assert_string_equal(stat_of(g, 0).name, "/");
    assert_int_equal(DOES(g, TWALK, "442ss", 0u, 9u, 2u, "dir", "in"), 0);
    assert_string_equal(stat_of(g, 9).name, "in");
    clone(g, 9, 10);
    assert_string_equal(stat_of(g, 10).name, "in");
    st = old_stat_blank();
    (void)snprintf(st.name, sizeof(st.name), "out");
    assert_int_equal(wstats(g, 10, &st), 0);
    assert_string_equal(stat_of(g, 10).name, "out");
    assert_string_equal(stat_of(g, 9).name, "out"); /* a clone of it */
    assert_int_equal(DOES(g, TWALK, "442ssss", 0u, 11u, 4u, "dir", "..", "dir", "out"), 0);
    assert_string_equal(stat_of(g, 11).name, "out");
}

static void
what_a_dotdot_leads_to_has_its_name_too(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000");

    synth_put_dir(rig->rw, "dir/sub");
    assert_int_equal(DOES(g, TWALK, "442sss", 0u, 9u, 3u, "dir", "sub", ".."), 0);
    assert_string_equal(stat_of(g, 9).name, "dir");
    assert_int_equal(DOES(g, TWALK, "442s", 9u, 9u, 1u, ".."), 0);
    assert_string_equal(stat_of(g, 9).name, "/");
    assert_int_equal(DOES(g, TWALK, "442s", 9u, 9u, 1u, ".."), 0);
    assert_string_equal(stat_of(g, 9).name, "/");
}

/* --- stat ---------------------------------------------------------------------- */

static void
a_stat_says_what_the_dialect_can_say(void **state)
{
    struct rig *rig = *state;

    for (size_t d = 0; d < OLD_DIALECTS; d++) {
        struct guest *g = old_guest(rig, dialects[d].version);
        struct old_stat st = stat_of(g, 0);

        assert_int_equal(st.mode, OLD_DMDIR | 0755);
        assert_int_equal(st.length, 0);
        assert_int_equal(st.qid_type, 0x80);
        assert_string_equal(st.uid, "1000");
        assert_string_equal(st.gid, "1000");
        assert_int_equal(st.n_uid, dotu(g) ? 1000 : 0);
        assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "file"), 0);
        st = stat_of(g, 9);
        assert_int_equal(st.mode, 0644);
        assert_int_equal(st.length, 5);
        assert_int_equal(st.qid_type, 0);
        assert_int_equal(DOES(g, TWALK, "442s", 0u, 10u, 1u, "link"), 0);
        st = stat_of(g, 10);
        assert_int_equal(st.mode, dotu(g) ? OLD_DMSYMLINK | 0777 : 0777);
        if (dotu(g))
            assert_string_equal(st.extension, "dir/in");
        guest_hang_up(g);
    }
}

static void
set_id_bits_go_both_ways_in_dotu(void **state)
{
    struct guest *g = old_guest(*state, "9P2000.u");
    struct old_stat st = old_stat_blank();

    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "file"), 0);
    st.mode = OLD_DMSETUID | OLD_DMSETGID | OLD_DMSETVTX | 0755;
    assert_int_equal(wstats(g, 9, &st), 0);
    assert_int_equal(stat_of(g, 9).mode, st.mode);
}

static void
a_stat_beyond_msize_is_an_error_and_no_end(void **state)
{
    struct rig *rig = *state;
    struct guest *g = rig_connect(rig);
    char target[TARGET_LEN_MAX + 1];
    struct old_stat st;

    memset(target, 't', sizeof(target));
    target[TARGET_LEN_MAX] = '\0';
    synth_put_link(rig->rw, "long", target);
    speak(g, "9P2000.u", 4096);
    assert_int_equal(attaches(g, 0, "rw"), 0);
    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "long"), 0);
    assert_int_equal(DOES(g, TSTAT, "4", 9u), ENAMETOOLONG);
    speak(g, "9P2000.u", 8192);
    assert_int_equal(attaches(g, 0, "rw"), 0);
    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "long"), 0);
    st = stat_of(g, 9);
    assert_string_equal(st.extension, target);
}

/* --- reading a directory --------------------------------------------------------- */

#define MANY 300

static void
put_many(struct synth *s)
{
    char name[NAME_BUF + 8];

    synth_put_dir(s, "many");
    for (unsigned i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "many/%0*u", (int)(4 + i % 200), i);
        synth_put_file(s, name, "", 0);
    }
}

/* Read the whole of a directory in pieces of count bytes; how many entries,
 * each seen once, or -errno. */
static int
list(struct guest *g, uint32_t fid, uint32_t count, bool seen[MANY])
{
    uint64_t offset = 0;
    int entries = 0;

    memset(seen, 0, MANY * sizeof(*seen));
    for (;;) {
        struct msg m = guest_ask(g, TREAD, "484", fid, offset, count);
        struct old_stat st;
        uint32_t n;

        if (m.type == RERROR)
            return -how_it_ended(g, m, TREAD);
        n = cur_u32(&m.body);
        assert_true(n <= count && n == (size_t)(m.body.end - m.body.at));
        if (n == 0)
            return entries;
        offset += n;
        for (; m.body.at < m.body.end; entries++) {
            size_t size = old_stat_read(m.body.at, (size_t)(m.body.end - m.body.at), dotu(g), &st);

            assert_true(size > 0); /* whole entries only */
            m.body.at += size;
            assert_string_not_equal(st.name, ".");
            assert_string_not_equal(st.name, "..");
            assert_in_range(strtoul(st.name, NULL, 10), 0, MANY - 1);
            assert_false(seen[strtoul(st.name, NULL, 10)]);
            seen[strtoul(st.name, NULL, 10)] = true;
            assert_int_equal(st.mode, 0644);
        }
    }
}

static void
a_directory_comes_whole_in_pieces_of_any_size(void **state)
{
    static const uint32_t counts[] = {400,  500,  511,  512,   1000,  1023,      4072,
                                      4096, 8168, 9000, 32768, 65512, UINT32_MAX};
    struct rig *rig = *state;
    bool seen[MANY];

    put_many(rig->rw);
    for (size_t d = 0; d < OLD_DIALECTS; d++) {
        struct guest *g = old_guest(rig, dialects[d].version);

        assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "many"), 0);
        assert_int_equal(DOES(g, TOPEN, "41", 9u, 0u), 0);
        for (size_t i = 0; i < COUNT(counts); i++) {
            uint32_t count = counts[i] > MSIZE - 24 ? MSIZE - 24 : counts[i];

            assert_int_equal(list(g, 9, count, seen), MANY);
        }
        for (uint32_t count = 1; count < 400; count += 7) {
            int r = list(g, 9, count, seen);

            assert_true(r == MANY || r == -EINVAL); /* an entry is up to 280 bytes */
            if (count < 70)
                assert_int_equal(r, -EINVAL);
            if (count > 300)
                assert_int_equal(r, MANY);
        }
        guest_hang_up(g);
        rig_run(rig);
    }
}

static void
an_offset_is_the_start_or_where_the_last_read_ended(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000.u");
    uint32_t n;
    struct msg m;

    put_many(rig->rw);
    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "many"), 0);
    assert_int_equal(DOES(g, TOPEN, "41", 9u, 0u), 0);
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)1, 1000u), EINVAL);
    m = guest_ask(g, TREAD, "484", 9u, (uint64_t)0, 1000u);
    n = cur_u32(&m.body);
    assert_in_range(n, 100, 1000);
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)n - 1, 1000u), EINVAL);
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)n + 1, 1000u), EINVAL);
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)INT64_MAX + 1, 1000u), EINVAL);
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)n, 1000u), 0);
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)n, 1000u), EINVAL); /* not twice */
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)0, 1000u), 0);
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)n, 1000u), 0);
    assert_int_equal(DOES(g, TWRITE, "484r", 9u, (uint64_t)0, 1u, "x", (size_t)1), EBADF);
}

/* Linux fills a buffer to its last byte. */
static void
a_rest_too_small_for_an_entry_is_no_error_and_no_end(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000.u");
    uint64_t offset = 0;
    unsigned entries = 0;

    put_many(rig->rw);
    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "many"), 0);
    assert_int_equal(DOES(g, TOPEN, "41", 9u, 0u), 0);
    for (bool more = true; more;) {
        uint32_t left = 2000;

        more = false;
        for (uint32_t n = 1; n > 0 && left > 0;) {
            struct msg m = guest_ask(g, TREAD, "484", 9u, offset, left);
            struct old_stat st;

            assert_int_equal(m.type, TREAD + 1);
            n = cur_u32(&m.body);
            offset += n;
            left -= n;
            for (more |= n > 0; m.body.at < m.body.end; entries++)
                m.body.at += old_stat_read(m.body.at, (size_t)(m.body.end - m.body.at), true, &st);
        }
    }
    assert_int_equal(entries, MANY);
}

static void
names_that_go_meanwhile_or_cannot_be_looked_at_stop_nothing(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000.u");
    struct old_stat st;
    struct msg m;

    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "dir"), 0);
    assert_int_equal(DOES(g, TOPEN, "41", 9u, 0u), 0);
    synth_fail(rig->rw, OP_STAT, -ENOENT);
    m = guest_ask(g, TREAD, "484", 9u, (uint64_t)0, 4096u);
    assert_int_equal(m.type, TREAD + 1);
    assert_int_equal(cur_u32(&m.body), 0);
    synth_fail(rig->rw, OP_STAT, -EXDEV);
    m = guest_ask(g, TREAD, "484", 9u, (uint64_t)0, 4096u);
    assert_int_equal(m.type, TREAD + 1);
    assert_true(cur_u32(&m.body) > 0);
    assert_true(old_stat_read(m.body.at, (size_t)(m.body.end - m.body.at), true, &st) > 0);
    assert_string_equal(st.name, "in");
    assert_int_equal(st.mode, 0);
    synth_fail(rig->rw, OP_STAT, -EIO);
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)0, 4096u), EIO);
    synth_fail(rig->rw, OP_READDIR, -EACCES);
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)0, 4096u), EACCES);
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)0, 4096u), 0);
}

static void
a_failure_halfway_tells_what_came_before(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000");
    struct msg m;
    uint32_t n;

    put_many(rig->rw);
    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "many"), 0);
    assert_int_equal(DOES(g, TOPEN, "41", 9u, 0u), 0);
    rig->hold = true;
    guest_send(g, TREAD, 5, "484", 9u, (uint64_t)0, 60000u);
    rig_run(rig);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(synth_answer(rig->rw, 1), 1);
        rig_run(rig);
    }
    synth_fail(rig->rw, OP_STAT, -EIO);
    rig->hold = false;
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.type, TREAD + 1);
    n = cur_u32(&m.body);
    assert_in_range(n, 9 * 60, 9 * 90);
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)n, 60000u), 0); /* it goes on */
}

static void
a_target_that_does_not_fit_is_left_out_of_a_directory(void **state)
{
    struct rig *rig = *state;
    struct guest *g = rig_connect(rig);
    char target[TARGET_LEN_MAX + 1];
    struct old_stat st;
    struct msg m;

    memset(target, 't', sizeof(target));
    target[TARGET_LEN_MAX] = '\0';
    synth_put_dir(rig->rw, "d");
    synth_put_link(rig->rw, "d/long", target);
    for (uint32_t msize = 4096; msize <= 8192; msize += 4096) {
        speak(g, "9P2000.u", msize);
        assert_int_equal(attaches(g, 0, "rw"), 0);
        assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "d"), 0);
        assert_int_equal(DOES(g, TOPEN, "41", 9u, 0u), 0);
        m = guest_ask(g, TREAD, "484", 9u, (uint64_t)0, msize - 24);
        assert_int_equal(m.type, TREAD + 1);
        (void)cur_u32(&m.body);
        assert_true(old_stat_read(m.body.at, (size_t)(m.body.end - m.body.at), true, &st) > 0);
        assert_int_equal(st.mode, OLD_DMSYMLINK | 0777);
        assert_string_equal(st.extension, msize == 4096 ? "" : target);
    }
}

static void
records_that_are_none_end_the_share(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000.u");
    uint8_t junk[64];

    memset(junk, 0xff, sizeof(junk));
    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "dir"), 0);
    assert_int_equal(DOES(g, TOPEN, "41", 9u, 0u), 0);
    synth_readdir_says(rig->rw, junk, sizeof(junk));
    assert_int_equal(DOES(g, TREAD, "484", 9u, (uint64_t)0, 4096u), EIO);
    assert_true(synth_blamed(rig->rw));
    assert_int_equal(DOES(g, TSTAT, "4", 1u), 0); /* the other share goes on */
    forget_dead_share(rig);
}

static void
directories_are_read_with_hardly_any_room(void **state)
{
    struct rig *rig = *state;
    struct guest *g[3];
    bool seen[MANY];

    put_many(rig->rw);
    synth_pages(rig->rw, 6);
    synth_room(rig->rw, 1);
    for (size_t i = 0; i < COUNT(g); i++) {
        g[i] = old_guest(rig, dialects[i % OLD_DIALECTS].version);
        assert_int_equal(DOES(g[i], TWALK, "442s", 0u, 9u, 1u, "many"), 0);
        assert_int_equal(DOES(g[i], TOPEN, "41", 9u, 0u), 0);
    }
    for (size_t i = 0; i < COUNT(g); i++)
        guest_send(g[i], TREAD, 5, "484", 9u, (uint64_t)0, 4000u);
    rig_run(rig);
    for (size_t i = 0; i < COUNT(g); i++) {
        struct msg m;

        assert_true(guest_next(g[i], &m));
        assert_int_equal(m.type, TREAD + 1);
        assert_int_equal(list(g[i], 9, 4000, seen), MANY);
    }
    assert_int_equal(synth_pages_used(rig->rw), SLAB_BYTES / SLAB_PAGE - 6);
}

static void
a_guest_that_goes_while_it_reads_a_directory_leaves_nothing(void **state)
{
    struct rig *rig = *state;

    put_many(rig->rw);
    for (unsigned answers = 0; answers < 20; answers++) {
        struct guest *g = old_guest(rig, "9P2000.u");

        assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "many"), 0);
        assert_int_equal(DOES(g, TOPEN, "41", 9u, 0u), 0);
        rig->hold = true;
        guest_send(g, TREAD, 5, "484", 9u, (uint64_t)0, 60000u);
        rig_run(rig);
        for (unsigned i = 0; i < answers; i++) {
            (void)synth_answer(rig->rw, 1);
            rig_run(rig);
        }
        guest_hang_up(g);
        rig->hold = false;
        rig_run(rig);
        rig_run(rig);
        assert_int_equal(synth_files(rig->rw), 0);
        assert_int_equal(synth_pages_used(rig->rw), 0);
    }
}

/* --- wstat -------------------------------------------------------------------------- */

enum field { MODE, ATIME, MTIME, LENGTH, NAME, UID, GID, N_UID, N_GID, FIELDS };

static void
set_field(struct old_stat *st, enum field f, uint64_t v, const char *text)
{
    uint32_t *const numbers[FIELDS] = {
        [MODE] = &st->mode,   [ATIME] = &st->atime, [MTIME] = &st->mtime,
        [N_UID] = &st->n_uid, [N_GID] = &st->n_gid,
    };

    if (numbers[f] != NULL)
        *numbers[f] = (uint32_t)v;
    else if (f == LENGTH)
        st->length = v;
    else if (f == NAME)
        (void)snprintf(st->name, sizeof(st->name), "%s", text);
    else
        (void)snprintf(f == UID ? st->uid : st->gid, sizeof(st->uid), "%s", text);
}

static const struct {
    const char *path;
    struct {
        enum field f;
        uint64_t v;
        const char *text;
    } set[3];
    size_t n;
    int e;
} changes[] = {
    {"file", {{MODE, 0600, NULL}}, 1, 0},
    {"file", {{MODE, 0600, NULL}, {MTIME, 5, NULL}, {LENGTH, 2, NULL}}, 3, 0},
    {"file", {{LENGTH, 0, NULL}, {MTIME, 77, NULL}}, 2, 0}, /* ftruncate(2) of Linux */
    {"file", {{ATIME, 0, NULL}}, 1, 0},
    {"file", {{NAME, 0, "other"}}, 1, 0},
    {"file", {{NAME, 0, "file"}}, 1, 0}, /* no change */
    {"file", {{NAME, 0, "other"}, {MODE, 0644, NULL}, {LENGTH, 5, NULL}}, 3, 0},
    {"file", {{NAME, 0, "other"}, {MODE, 0600, NULL}}, 2, EPERM},
    {"file", {{NAME, 0, "other"}, {LENGTH, 4, NULL}}, 2, EPERM},
    {"file", {{NAME, 0, "other"}, {MTIME, 4, NULL}}, 2, EPERM},
    {"file", {{NAME, 0, "dir/other"}}, 1, EINVAL},
    {"file", {{NAME, 0, ".."}}, 1, EINVAL},
    {"file", {{NAME, 0, "."}, {MODE, 0600, NULL}}, 2, EINVAL},
    {"file", {{NAME, 0, "dir"}}, 1, EISDIR},
    {"file", {{MODE, OLD_DMDIR | 0644, NULL}, {LENGTH, 1, NULL}}, 2, EPERM},
    {"file", {{MODE, OLD_DMEXCL | 0644, NULL}, {LENGTH, 1, NULL}}, 2, EOPNOTSUPP},
    {"file", {{MODE, OLD_DMAPPEND | 0644, NULL}}, 1, EOPNOTSUPP},
    {"file", {{MODE, 0x08000000 | 0644, NULL}, {LENGTH, 1, NULL}}, 2, EINVAL},
    {"file", {{LENGTH, 1, NULL}, {UID, 0, "0"}}, 2, EPERM},
    {"file", {{LENGTH, 1, NULL}, {GID, 0, "7"}}, 2, EPERM},
    {"file", {{LENGTH, 1, NULL}, {UID, 0, "root"}}, 2, EINVAL},
    {"file", {{LENGTH, 1, NULL}, {GID, 0, "4294967295"}}, 2, EINVAL},
    {"file", {{LENGTH, 1, NULL}, {GID, 0, "99999999999"}}, 2, EINVAL},
    {"file", {{LENGTH, (uint64_t)INT64_MAX + 1, NULL}, {MODE, 0600, NULL}}, 2, EINVAL},
    {"dir", {{LENGTH, 0, NULL}}, 1, 0},
    {"dir", {{LENGTH, 0, NULL}, {MODE, OLD_DMDIR | 0700, NULL}}, 2, 0},
    {"dir", {{LENGTH, 1, NULL}, {MODE, OLD_DMDIR | 0700, NULL}}, 2, EISDIR},
    {"dir", {{MODE, 0755, NULL}}, 1, EPERM},
    {"dir", {{NAME, 0, "folder"}}, 1, 0},
    {"link", {{NAME, 0, "pointer"}}, 1, 0},
    {"", {{NAME, 0, "other"}}, 1, EBUSY},
    {"", {{NAME, 0, "/"}}, 1, 0},
};

/* What the row asked for is undone, whether it was done or not. */
static void
as_it_was(struct guest *g, uint32_t fid, const char *path, const struct old_stat *before)
{
    struct old_stat st = old_stat_blank();

    if (path[0] != '\0') {
        (void)snprintf(st.name, sizeof(st.name), "%s", path);
        assert_int_equal(wstats(g, fid, &st), 0);
    }
    if (strcmp(path, "link") == 0)
        return;
    st = old_stat_blank();
    st.mode = before->mode;
    st.mtime = before->mtime;
    st.atime = before->atime;
    st.length = before->length;
    assert_int_equal(wstats(g, fid, &st), 0);
    if (strcmp(path, "file") != 0)
        return;
    assert_int_equal(DOES(g, TOPEN, "41", fid, (unsigned)OLD_OWRITE), 0);
    assert_int_equal(DOES(g, TWRITE, "484r", fid, (uint64_t)0, 5u, "hello", (size_t)5), 0);
}

static unsigned
changing_calls(const struct synth *s)
{
    return synth_calls(s, OP_SETATTR) + synth_calls(s, OP_RENAME_NODE);
}

static void
a_wstat_does_all_or_nothing(void **state)
{
    struct rig *rig = *state;

    for (size_t i = 0; i < COUNT(changes) * OLD_DIALECTS; i++) {
        size_t k = i % COUNT(changes);
        struct guest *g = old_guest(rig, dialects[i / COUNT(changes)].version);
        struct old_stat st = old_stat_blank(), before, after;
        unsigned calls = changing_calls(rig->rw);

        if (changes[k].path[0] == '\0')
            clone(g, 0, 9);
        else
            assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, changes[k].path), 0);
        before = stat_of(g, 9);
        for (size_t f = 0; f < changes[k].n; f++)
            set_field(&st, changes[k].set[f].f, changes[k].set[f].v, changes[k].set[f].text);
        (void)snprintf(st.muid, sizeof(st.muid), "nobody"); /* as Linux does */
        assert_int_equal(wstats(g, 9, &st), changes[k].e);
        after = stat_of(g, 9);
        if (changes[k].e != 0) {
            after.qid_version = before.qid_version;
            assert_memory_equal(&before, &after, sizeof(before));
            assert_true(synth_exists(rig->rw, changes[k].path) || changes[k].path[0] == '\0');
        }
        assert_true(changing_calls(rig->rw) - calls <= 1); /* nothing to leave a part of */
        as_it_was(g, 9, changes[k].path, &before);
        guest_hang_up(g);
        rig_run(rig);
    }
}

static void
the_numbers_of_dotu_say_who_owns(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000.u");
    struct old_stat st = old_stat_blank();
    unsigned tries = synth_calls(rig->rw, OP_SETATTR);

    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "file"), 0);
    st.n_uid = 0;
    st.length = 1;
    assert_int_equal(wstats(g, 9, &st), EPERM);
    st.n_uid = UINT32_MAX;
    st.n_gid = 5;
    assert_int_equal(wstats(g, 9, &st), EPERM);
    assert_int_equal(synth_calls(rig->rw, OP_SETATTR), tries + 2);
    assert_true(holds(rig->rw, "file", "hello"));
}

static void
a_stat_sent_back_as_it_came_with_another_name_is_a_rename(void **state)
{
    struct rig *rig = *state;

    for (size_t d = 0; d < OLD_DIALECTS; d++) {
        struct guest *g = old_guest(rig, dialects[d].version);
        struct old_stat st;

        assert_int_equal(DOES(g, TWALK, "442ss", 0u, 9u, 2u, "dir", "in"), 0);
        st = stat_of(g, 9);
        (void)snprintf(st.name, sizeof(st.name), "%s", "new");
        assert_int_equal(wstats(g, 9, &st), 0);
        assert_true(holds(rig->rw, "dir/new", "inner"));
        assert_false(synth_exists(rig->rw, "dir/in"));
        (void)snprintf(st.name, sizeof(st.name), "%s", "in");
        assert_int_equal(wstats(g, 9, &st), 0);
        guest_hang_up(g);
    }
}

static void
a_rename_replaces_and_a_file_moved_by_others_stays_where_it_is(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000"), *l = guest_new(rig);
    struct old_stat st = old_stat_blank();

    synth_put_file(rig->rw, "old", "old", 3);
    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "file"), 0);
    (void)snprintf(st.name, sizeof(st.name), "old");
    assert_int_equal(wstats(g, 9, &st), 0);
    assert_true(holds(rig->rw, "old", "hello"));
    guest_walk(l, 0, 5, "dir");
    assert_int_equal(guest_does(l, TRENAMEAT, "4s4s", 0u, "old", 5u, "moved"), 0);
    (void)snprintf(st.name, sizeof(st.name), "again");
    assert_int_equal(wstats(g, 9, &st), 0); /* in the directory where it is now */
    assert_true(holds(rig->rw, "dir/again", "hello"));
    assert_int_equal(DOES(g, TREMOVE, "4", 9u), 0);
    assert_false(synth_exists(rig->rw, "dir/again"));
}

static void
a_wstat_of_nothing_is_an_fsync(void **state)
{
    struct rig *rig = *state;

    for (size_t d = 0; d < OLD_DIALECTS; d++) {
        struct guest *g = old_guest(rig, dialects[d].version);
        struct old_stat st = old_stat_blank();
        unsigned syncs = synth_calls(rig->rw, OP_FSYNC);

        assert_int_equal(wstats(g, 0, &st), 0); /* not open: nothing to do */
        assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "file"), 0);
        assert_int_equal(DOES(g, TOPEN, "41", 9u, (unsigned)OLD_ORDWR), 0);
        assert_int_equal(wstats(g, 9, &st), 0);
        assert_int_equal(synth_calls(rig->rw, OP_FSYNC), syncs + 1);
        synth_fail(rig->rw, OP_FSYNC, -ENOSPC);
        assert_int_equal(wstats(g, 9, &st), ENOSPC);
        assert_int_equal(DOES(g, TWALK, "442s", 1u, 10u, 1u, "file"), 0);
        assert_int_equal(DOES(g, TOPEN, "41", 10u, 0u), 0);
        assert_int_equal(wstats(g, 10, &st), 0); /* also on a read-only share */
        guest_hang_up(g);
        rig_run(rig);
    }
}

static void
every_change_is_erofs_on_a_read_only_share(void **state)
{
    struct rig *rig = *state;

    for (size_t d = 0; d < OLD_DIALECTS; d++) {
        struct guest *g = old_guest(rig, dialects[d].version);

        assert_int_equal(DOES(g, TWALK, "442s", 1u, 9u, 1u, "file"), 0);
        for (enum field f = 0; f < FIELDS; f++) {
            struct old_stat st = old_stat_blank();

            if (f >= N_UID && !dotu(g))
                continue;
            set_field(&st, f, 0, f == NAME ? "file" : "what"); /* wrong or not */
            assert_int_equal(wstats(g, 9, &st), EROFS);
        }
        for (uint32_t bit = 0; bit < 32; bit++)
            assert_int_equal(creates(g, 1, bit % 2 ? "x" : "..", 1u << bit | 0644, 0, "3"), EROFS);
        assert_int_equal(DOES(g, TREMOVE, "4", 9u), EROFS);
        assert_int_equal(DOES(g, TSTAT, "4", 9u), EBADF); /* the fid went all the same */
        guest_hang_up(g);
    }
}

/* --- when there is little room, or no helper ------------------------------------------ */

/* One of each, on the writable share. */
static void
work(struct guest *g, unsigned turn)
{
    struct old_stat st = old_stat_blank();
    char name[32];

    (void)snprintf(name, sizeof(name), "w%u", turn);
    clone(g, 0, 9);
    (void)creates(g, 9, name, OLD_DMDIR | 0755, OLD_OREAD, "");
    (void)DOES(g, TREAD, "484", 9u, (uint64_t)0, 4096u);
    (void)clunks(g, 9);
    if (DOES(g, TWALK, "442s", 0u, 9u, 1u, name) == 0) {
        (void)snprintf(st.name, sizeof(st.name), "%sx", name);
        (void)wstats(g, 9, &st);
        clone(g, 9, 10);
        (void)creates(g, 10, "f", 0644, OLD_ORDWR | OLD_ORCLOSE, "");
        (void)DOES(g, TSTAT, "4", 10u);
        (void)clunks(g, 10);
        (void)DOES(g, TREMOVE, "4", 9u);
    }
    clone(g, 0, 11);
    (void)creates(g, 11, name, OLD_DMSYMLINK | 0777, OLD_OREAD, "target");
    (void)DOES(g, TREMOVE, "4", 11u);
}

static void
everything_works_with_room_for_one_call(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000.u");

    synth_room(rig->rw, 1);
    for (unsigned i = 0; i < 20; i++)
        work(g, i);
    for (unsigned i = 0; i < 20; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "w%u", i);
        assert_false(synth_exists(rig->rw, name));
        (void)snprintf(name, sizeof(name), "w%ux", i);
        assert_false(synth_exists(rig->rw, name));
    }
}

static void
any_call_may_fail_and_nothing_is_left(void **state)
{
    struct rig *rig = *state;

    for (unsigned op = 1; op < OP_END; op++) {
        struct guest *g;

        if (op == OP_FORGET || op == OP_CLOSE)
            continue; /* those cannot */
        g = old_guest(rig, "9P2000.u");
        for (unsigned turn = 0; turn < 3; turn++) {
            synth_fail(rig->rw, op, -EACCES);
            work(g, op * 10 + turn);
        }
        assert_false(g->ended);
        guest_hang_up(g);
        rig_run(rig);
        rig_run(rig);
        assert_int_equal(synth_files(rig->rw), 0);
        assert_int_equal(synth_node_refs(rig->rw), 0);
    }
}

static void
a_helper_that_dies_ends_calls_not_connections(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000.u");

    assert_int_equal(DOES(g, TWALK, "442s", 0u, 9u, 1u, "file"), 0);
    assert_int_equal(DOES(g, TOPEN, "41", 9u, (unsigned)OLD_ORCLOSE), 0);
    assert_int_equal(DOES(g, TWALK, "442s", 0u, 10u, 1u, "dir"), 0);
    assert_int_equal(DOES(g, TOPEN, "41", 10u, 0u), 0);
    synth_gone(rig->rw);
    assert_int_equal(DOES(g, TREAD, "484", 10u, (uint64_t)0, 4096u), EIO);
    assert_int_equal(clunks(g, 9), EIO);
    assert_int_equal(DOES(g, TSTAT, "4", 10u), EIO);
    assert_int_equal(DOES(g, TSTAT, "4", 1u), 0);
    assert_false(g->ended);
    forget_dead_share(rig);
}

static void
a_flushed_request_of_many_calls_is_answered_first(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest(rig, "9P2000.u");
    struct msg m;

    rig->hold = true;
    clone(g, 0, 9);
    guest_send(g, TCREATE, 5, "4s41s", 9u, "d", OLD_DMDIR | 0755u, 0u, "");
    guest_send(g, TFLUSH, 6, "2", 5u);
    rig_run(rig);
    assert_false(guest_next(g, &m));
    rig->hold = false;
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.type, TCREATE + 1);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.type, TFLUSH + 1);
}

/* --- the root of all shares ------------------------------------------------------- */

/* A guest with fid 5 there. */
static struct guest *
old_guest_at_root(struct rig *rig, const char *version)
{
    struct guest *g = old_guest(rig, version);

    assert_int_equal(attaches(g, 5, ""), 0);
    return g;
}

/* The names that one Tread after the other gives, each with a space behind it. */
static void
list_names(struct guest *g, uint32_t fid, uint32_t count, char *names, size_t room)
{
    uint64_t offset = 0;
    uint32_t n = 1;

    for (names[0] = '\0'; n > 0; offset += n) {
        struct msg m = guest_ask(g, TREAD, "484", fid, offset, count);
        struct old_stat st;

        assert_int_equal(m.type, TREAD + 1);
        n = cur_u32(&m.body);
        while (m.body.at < m.body.end) {
            size_t at = strlen(names);
            size_t size = old_stat_read(m.body.at, (size_t)(m.body.end - m.body.at), dotu(g), &st);

            assert_true(size > 0);
            m.body.at += size;
            assert_true((st.mode & OLD_DMDIR) != 0);
            (void)snprintf(names + at, room - at, "%s ", st.name);
        }
    }
}

static void
the_root_lists_shares_as_stats(void **state)
{
    struct rig *rig = *state;

    for (size_t d = 0; d < OLD_DIALECTS; d++) {
        struct guest *g = old_guest_at_root(rig, dialects[d].version);
        struct old_stat st;
        char names[256];

        assert_int_equal(DOES(g, TOPEN, "41", 5u, 0u), 0);
        for (uint32_t count = 200; count < 600; count += 50) {
            list_names(g, 5, count, names, sizeof(names));
            assert_string_equal(names, "rw ro ");
        }
        assert_int_equal(attaches(g, 6, ""), 0);
        st = stat_of(g, 6);
        assert_string_equal(st.name, "/");
        assert_int_equal(st.mode, OLD_DMDIR | 0555);
        assert_int_equal(st.qid_path, 1);
        assert_int_equal(DOES(g, TWALK, "442ss", 6u, 7u, 2u, "rw", "dir"), 0);
        assert_string_equal(stat_of(g, 7).name, "dir");
        assert_int_equal(DOES(g, TWALK, "442s", 7u, 7u, 1u, ".."), 0);
        st = stat_of(g, 7);
        assert_string_equal(st.name, "rw");
        assert_int_equal(DOES(g, TWALK, "442s", 6u, 8u, 1u, "rw"), 0);
        assert_string_equal(stat_of(g, 8).name, "rw");
        assert_true(stat_of(g, 8).qid_path == st.qid_path);
        assert_int_equal(DOES(g, TWALK, "442s", 8u, 8u, 1u, ".."), 0);
        assert_string_equal(stat_of(g, 8).name, "/");
        guest_hang_up(g);
        rig_run(rig);
    }
}

static void
the_root_and_its_entries_stay_as_they_are(void **state)
{
    struct rig *rig = *state;

    for (size_t d = 0; d < OLD_DIALECTS; d++) {
        struct guest *g = old_guest_at_root(rig, dialects[d].version);
        struct old_stat st = old_stat_blank();

        assert_int_equal(creates(g, 5, "x", 0644, 0, ""), EROFS);
        assert_int_equal(creates(g, 5, "x", OLD_DMDIR | 0755, 0, ""), EROFS);
        assert_int_equal(DOES(g, TOPEN, "41", 5u, 1u), EROFS);
        assert_int_equal(DOES(g, TOPEN, "41", 5u, 0x40u), EROFS); /* ORCLOSE */
        (void)snprintf(st.name, sizeof(st.name), "new");
        assert_int_equal(wstats(g, 5, &st), EROFS);
        assert_int_equal(DOES(g, TWALK, "442s", 5u, 7u, 1u, "rw"), 0);
        assert_int_equal(wstats(g, 7, &st), EROFS);
        assert_int_equal(wstats(g, 0, &st), EBUSY); /* as before, where it is not an entry */
        assert_int_equal(DOES(g, TREMOVE, "4", 7u), EROFS);
        assert_int_equal(DOES(g, TREMOVE, "4", 5u), EROFS);
        guest_hang_up(g);
        rig_run(rig);
    }
}

static void
a_dead_share_does_not_spoil_the_listing_of_the_others(void **state)
{
    struct rig *rig = *state;
    struct guest *g = old_guest_at_root(rig, "9P2000.u");
    char names[256];

    (void)rig_add(rig, 2, "late", false, NULL);
    synth_gone(rig->ro);
    assert_int_equal(DOES(g, TOPEN, "41", 5u, 0u), 0);
    list_names(g, 5, 4000, names, sizeof(names));
    assert_string_equal(names, "rw ro late ");
    rig_cut(rig, 1);
    list_names(g, 5, 4000, names, sizeof(names));
    assert_string_equal(names, "rw late ");
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(every_message_belongs_to_its_dialects),
        T(the_dialect_is_whatever_the_last_version_said),
        T(a_version_too_small_is_refused_in_its_own_words),
        T(a_message_cut_at_any_byte_or_a_byte_too_long_is_eproto),
        T(a_length_in_a_stat_that_is_any_other_is_eproto),
        T(an_error_is_a_text_and_in_dotu_a_number),
        T(every_errno_has_a_short_text_and_keeps_its_number),
        T(every_mode_byte_that_may_change_anything_is_erofs_on_a_read_only_share),
        T(every_mode_byte_does_what_it_says_on_a_writable_share),
        T(a_directory_is_opened_only_to_read),
        T(a_connection_that_ends_removes_nothing),
        T(a_create_makes_what_its_bits_say),
        T(what_is_made_without_being_open_cannot_go_at_its_close),
        T(a_new_directory_cannot_be_open_to_write),
        T(a_file_of_two_names_loses_the_one_that_the_fid_came_by),
        T(a_fid_knows_the_name_it_came_by),
        T(what_a_dotdot_leads_to_has_its_name_too),
        T(a_stat_says_what_the_dialect_can_say),
        T(set_id_bits_go_both_ways_in_dotu),
        T(a_stat_beyond_msize_is_an_error_and_no_end),
        T(a_directory_comes_whole_in_pieces_of_any_size),
        T(an_offset_is_the_start_or_where_the_last_read_ended),
        T(a_rest_too_small_for_an_entry_is_no_error_and_no_end),
        T(names_that_go_meanwhile_or_cannot_be_looked_at_stop_nothing),
        T(a_failure_halfway_tells_what_came_before),
        T(a_target_that_does_not_fit_is_left_out_of_a_directory),
        T(records_that_are_none_end_the_share),
        T(directories_are_read_with_hardly_any_room),
        T(a_guest_that_goes_while_it_reads_a_directory_leaves_nothing),
        T(a_wstat_does_all_or_nothing),
        T(the_numbers_of_dotu_say_who_owns),
        T(a_stat_sent_back_as_it_came_with_another_name_is_a_rename),
        T(a_rename_replaces_and_a_file_moved_by_others_stays_where_it_is),
        T(a_wstat_of_nothing_is_an_fsync),
        T(every_change_is_erofs_on_a_read_only_share),
        T(everything_works_with_room_for_one_call),
        T(any_call_may_fail_and_nothing_is_left),
        T(a_helper_that_dies_ends_calls_not_connections),
        T(a_flushed_request_of_many_calls_is_answered_first),
        T(the_root_lists_shares_as_stats),
        T(the_root_and_its_entries_stay_as_they_are),
        T(a_dead_share_does_not_spoil_the_listing_of_the_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
