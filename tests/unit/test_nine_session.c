/*
 * A 9P2000.L session: version, attach, walk, fids, tags, flush, over socket
 * pairs against shares in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

static int
setup(void **state)
{
    struct rig *rig = rig_new(&rig_limits);

    synth_put_dir(rig->rw, "dir");
    synth_put_dir(rig->rw, "dir/sub");
    synth_put_file(rig->rw, "file", "hello", 5);
    synth_put_file(rig->rw, "dir/sub/deep", "deep", 4);
    synth_put_link(rig->rw, "link", "../../etc/passwd");
    synth_put_file(rig->ro, "file", "hello", 5);
    *state = rig;
    return 0;
}

/* --- version ------------------------------------------------------------- */

static void
version_strings_are_matched_up_to_the_dot(void **state)
{
    static const struct {
        const char *sent, *answer;
    } t[] = {
        {"9P2000.L", "9P2000.L"},   {"9P2000.L.Google.7", "9P2000.L"},
        {"9P2000.L.", "9P2000.L"},  {"9P2000.u", "9P2000.u"},
        {"9P2000", "9P2000"},       {"9P2000.Lx", "9P2000"},
        {"9P2001.L", "unknown"},    {"", "unknown"},
        {"9p2000.l", "unknown"},    {"9P2000.", "9P2000"},
        {"unknown", "unknown"},     {"9P2000L", "unknown"},
        {"9P2000.u.x", "9P2000.u"}, {"9P2000.ux", "9P2000"},
        {"9P200", "unknown"},       {"9P2000.e", "9P2000"},
    };
    struct guest *g = rig_connect(*state);

    for (size_t i = 0; i < COUNT(t); i++) {
        struct msg m = guest_ask(g, TVERSION, "4s", 8192u, t[i].sent);
        struct str s;

        assert_int_equal(m.type, TVERSION + 1);
        assert_int_equal(cur_u32(&m.body), 8192);
        s = cur_str(&m.body);
        assert_true(cur_end(&m.body));
        assert_int_equal(s.n, strlen(t[i].answer));
        assert_memory_equal(s.p, t[i].answer, s.n);
    }
}

static void
msize_is_the_smaller_of_both_and_at_least_4096(void **state)
{
    static const struct {
        uint32_t offered, answer;
    } t[] = {
        {4096, 4096},
        {4097, 4097},
        {MSIZE_MAX, MSIZE_MAX},
        {MSIZE_MAX + 1, MSIZE_MAX},
        {0x7fffffff, MSIZE_MAX},
        {0xffffffff, MSIZE_MAX},
    };
    static const uint32_t bad[] = {0, 1, 7, 24, 4095};
    struct guest *g = rig_connect(*state);

    for (size_t i = 0; i < COUNT(t); i++) {
        struct msg m = guest_ask(g, TVERSION, "4s", t[i].offered, "9P2000.L");

        assert_int_equal(m.type, TVERSION + 1);
        assert_int_equal(cur_u32(&m.body), t[i].answer);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(guest_does(g, TVERSION, "4s", bad[i], "9P2000.L"), EMSGSIZE);
    assert_false(g->ended);
}

static void
before_a_version_anything_else_ends_the_connection(void **state)
{
    for (unsigned type = 0; type < 256; type++) {
        struct guest *g;

        if (type == TVERSION)
            continue;
        g = rig_connect(*state);
        guest_send(g, (uint8_t)type, 1, "4", 0u);
        rig_run(*state);
        assert_true(g->ended);
        guest_hang_up(g);
        rig_run(*state);
    }
}

static void
an_unknown_version_is_no_session(void **state)
{
    struct guest *g = rig_connect(*state);

    assert_int_equal(guest_does(g, TVERSION, "4s", 8192u, "9P3000.u"), 0);
    guest_send(g, TATTACH, 1, "44ss4", 0u, NOFID, "", "rw", 0u);
    rig_run(*state);
    assert_true(g->ended);
}

static void
a_version_in_mid_session_lets_everything_go(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    guest_open(g, 0, 2, "file", O_RDONLY);
    rig->hold = true;
    guest_send(g, TREAD, 50, "484", 2u, (uint64_t)0, 5u);
    guest_send(g, TFLUSH, 51, "2", 50u);
    guest_send(g, TVERSION, NOTAG, "4s", 8192u, "9P2000.L");
    guest_send(g, TCLUNK, 52, "4", 2u); /* belongs to the new session */
    rig_run(rig);
    assert_false(guest_next(g, &m)); /* the read is still in flight */
    rig->hold = false;
    rig_run(rig);
    assert_true(guest_next(g, &m)); /* and was never answered */
    assert_int_equal(m.type, TVERSION + 1);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 52);
    assert_int_equal(msg_errno(&m), EBADF);
    assert_false(guest_next(g, &m));
    assert_int_equal(synth_files(rig->rw), 0);
    assert_int_equal(synth_node_refs(rig->rw), 0);
    guest_attach(g, 0, "rw");
}

/* --- attach -------------------------------------------------------------- */

static void
attach_takes_exact_share_names_and_nothing_else(void **state)
{
    static const char *const good[] = {"rw", "ro", "rw;ro", "ro;ro", "", ";ro"};
    static const char *const bad[] = {
        "r",   "rwx", "RW",     "rw/",      "/rw",   "rw/..", "../rw",   ";",
        ".",   "..",  "/",      "/etc",     "rw;rw", "rw;",   "rw;r",    ";ro;ro",
        "rw ", " rw", "rw;ro ", "rw;ro;ro", "ro;rw", "rw,ro", "rw;ro=0", "nobody",
    };
    struct guest *g = rig_connect(*state);

    guest_version(g, 8192);
    for (uint32_t i = 0; i < COUNT(good); i++)
        guest_attach(g, i, good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(guest_does(g, TATTACH, "44ss4", 9u, NOFID, "root", bad[i], 0u), ENOENT);
    assert_int_equal(guest_does(g, TATTACH, "44sb4", 9u, NOFID, "root", "rw\0", (size_t)3, 0u),
                     ENOENT);
}

static void
a_name_finds_the_share_that_is_called_so(void **state)
{
    struct synth *s = synth_new("only", false);
    struct fs *fs = synth_fs(s);
    struct tenant t;

    (void)state;
    assert_int_equal(tenant_init(&t, &rig_limits, &fs, 1), 0);
    assert_non_null(tenant_share(&t, "only", 4));
    assert_null(tenant_share(&t, "onl", 3));
    assert_null(tenant_share(&t, "", 0));
    tenant_done(&t);
    synth_free(s);
}

static void
attach_wants_no_auth_and_a_fresh_fid(void **state)
{
    struct guest *g = guest_new(*state);

    assert_int_equal(guest_does(g, TAUTH, "4ss4", 5u, "root", "rw", 0u), ENOENT);
    assert_int_equal(guest_does(g, TATTACH, "44ss4", 9u, 5u, "root", "rw", 0u), EOPNOTSUPP);
    assert_int_equal(guest_does(g, TATTACH, "44ss4", 0u, NOFID, "root", "rw", 0u), EBADF);
    assert_int_equal(guest_does(g, TATTACH, "44ss4", NOFID, NOFID, "root", "rw", 0u), EBADF);
    assert_int_equal(guest_does(g, TATTACH, "44ss4", 9u, NOFID, "", "rw", 0xffffffffu), 0);
}

/* --- walk ---------------------------------------------------------------- */

/* Rwalk's qid count, or the negative errno. */
static int
walk(struct guest *g, uint32_t from, uint32_t to, unsigned n, const void *names, size_t len)
{
    struct msg m = guest_ask(g, TWALK, "442r", from, to, n, names, len);
    int e = msg_errno(&m);
    unsigned got;

    if (e != 0)
        return -e;
    got = cur_u16(&m.body);
    assert_int_equal(m.size, 9 + 13 * got);
    return (int)got;
}

#define NAMES(lit) lit, sizeof(lit) - 1

static void
a_walk_returns_the_qids_that_worked(void **state)
{
    struct guest *g = guest_new(*state);

    assert_int_equal(walk(g, 0, 2, 3, NAMES("\3\0dir\3\0sub\4\0deep")), 3);
    assert_int_equal(walk(g, 0, 3, 3, NAMES("\3\0dir\3\0nil\4\0deep")), 1);
    assert_int_equal(guest_does(g, TCLUNK, "4", 3u), EBADF); /* was not made */
    assert_int_equal(walk(g, 0, 3, 2, NAMES("\3\0nil\3\0dir")), -ENOENT);
    assert_int_equal(walk(g, 0, 3, 2, NAMES("\4\0file\3\0dir")), 1);
    assert_int_equal(walk(g, 2, 3, 1, NAMES("\3\0dir")), -ENOTDIR);
    assert_int_equal(walk(g, 0, 3, 0, NAMES("")), 0);
    assert_int_equal(guest_does(g, TCLUNK, "4", 3u), 0);
}

static void
dotdot_is_clamped_at_the_root(void **state)
{
    struct guest *g = guest_new(*state);
    struct msg m;
    uint64_t root;

    m = guest_ask(g, TGETATTR, "48", 0u, (uint64_t)0x7ff);
    (void)cur_take(&m.body, 8 + 5);
    root = cur_u64(&m.body);
    assert_int_equal(walk(g, 0, 2, 3, NAMES("\2\0..\2\0..\3\0dir")), 3);
    assert_int_equal(walk(g, 2, 3, 4, NAMES("\3\0sub\2\0..\2\0..\4\0file")), 4);
    assert_int_equal(walk(g, 2, 4, 2, NAMES("\3\0nil\2\0..")), -ENOENT);
    assert_int_equal(walk(g, 2, 4, 3, NAMES("\3\0sub\2\0..\3\0nil")), 2);
    m = guest_ask(g, TWALK, "442ssss", 2u, 4u, 4u, "..", "..", "..", "..");
    assert_int_equal(m.type, TWALK + 1);
    assert_int_equal(cur_u16(&m.body), 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(cur_u8(&m.body), 0x80);
        (void)cur_u32(&m.body);
        assert_int_equal(cur_u64(&m.body), root);
    }
}

static void
bad_names_are_refused_without_a_call(void **state)
{
    static const struct {
        const char *name;
        size_t n;
        int e;
    } t[] = {
        {"", 0, EINVAL},
        {".", 1, EINVAL},
        {"/", 1, EINVAL},
        {"a/b", 3, EINVAL},
        {"../x", 4, EINVAL},
        {"/etc", 4, EINVAL},
        {"a\0b", 3, EINVAL},
        {"\0", 1, EINVAL},
        {NULL, 256, ENAMETOOLONG},
        {NULL, 300, ENAMETOOLONG},
        {NULL, 32000, ENAMETOOLONG},
        {NULL, 65535, ENAMETOOLONG},
    };
    static uint8_t xs[65535];
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    unsigned before;

    memset(xs, 'x', sizeof(xs));
    guest_version(g, 200000);
    guest_attach(g, 0, "rw");
    before = synth_calls(rig->rw, 0);
    for (size_t i = 0; i < COUNT(t); i++) {
        const void *p = t[i].name != NULL ? (const void *)t[i].name : xs;
        const size_t n = t[i].n;
        const int e = t[i].e;

        assert_int_equal(guest_does(g, TWALK, "442b", 0u, 9u, 1u, p, n), e);
        assert_int_equal(guest_does(g, TWALK, "442sb", 0u, 9u, 2u, "dir", p, n), e);
        assert_int_equal(guest_does(g, TLCREATE, "4b444", 0u, p, n, 1u, 0644u, 0u), e);
        assert_int_equal(guest_does(g, TMKDIR, "4b44", 0u, p, n, 0755u, 0u), e);
        assert_int_equal(guest_does(g, TSYMLINK, "4bs4", 0u, p, n, "t", 0u), e);
        assert_int_equal(guest_does(g, TMKNOD, "4b4444", 0u, p, n, 0100644u, 0u, 0u, 0u), e);
        assert_int_equal(guest_does(g, TLINK, "44b", 0u, 0u, p, n), e);
        assert_int_equal(guest_does(g, TRENAME, "44b", 0u, 0u, p, n), e);
        assert_int_equal(guest_does(g, TRENAMEAT, "4b4s", 0u, p, n, 0u, "x"), e);
        assert_int_equal(guest_does(g, TRENAMEAT, "4s4b", 0u, "file", 0u, p, n), e);
        assert_int_equal(guest_does(g, TUNLINKAT, "4b4", 0u, p, n, 0u), e);
    }
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 0u, "..", 0755u, 0u), EINVAL);
    assert_int_equal(guest_does(g, TUNLINKAT, "4s4", 0u, "..", 0x200u), EINVAL);
    assert_int_equal(synth_calls(rig->rw, 0), before);
    assert_int_equal(rig->tenant.fids.live, 1);
}

static void
names_of_any_other_bytes_and_255_of_them_pass(void **state)
{
    struct guest *g = guest_new(*state);
    uint8_t name[255];

    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = (uint8_t)(i + 1 == '/' ? 'x' : i + 1);
    assert_int_equal(guest_does(g, TMKDIR, "4b44", 0u, name, sizeof(name), 0755u, 0u), 0);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 0u, "...", 0755u, 0u), 0);
    assert_int_equal(guest_does(g, TWALK, "442b", 0u, 2u, 1u, name, sizeof(name)), 0);
}

static void
a_walk_has_at_most_sixteen_names(void **state)
{
    struct guest *g = guest_new(*state);
    uint8_t names[17 * 4];

    for (size_t i = 0; i < 17; i++)
        memcpy(names + i * 4, "\2\0..", 4);
    assert_int_equal(walk(g, 0, 2, 16, names, 64), 16);
    assert_int_equal(walk(g, 0, 3, 17, names, 68), -EINVAL);
    assert_int_equal(walk(g, 0, 3, 0xffff, names, 68), -EINVAL);
}

static void
a_walk_may_end_where_it_began(void **state)
{
    struct guest *g = guest_new(*state);
    struct msg m;

    assert_int_equal(walk(g, 0, 2, 0, NAMES("")), 0);
    assert_int_equal(walk(g, 2, 2, 2, NAMES("\3\0dir\3\0sub")), 2);
    assert_int_equal(walk(g, 2, 2, 1, NAMES("\4\0deep")), 1);
    assert_int_equal(walk(g, 2, 2, 1, NAMES("\4\0deep")), -ENOTDIR); /* stays what it was */
    assert_int_equal(walk(g, 2, 2, 0, NAMES("")), 0);
    assert_int_equal(guest_does(g, TLOPEN, "44", 2u, (uint32_t)O_RDONLY), 0);
    m = guest_ask(g, TREAD, "484", 2u, (uint64_t)0, 100u);
    assert_int_equal(cur_u32(&m.body), 4);
    assert_int_equal(walk(g, 2, 2, 1, NAMES("\2\0..")), -EINVAL); /* it is open */
    assert_int_equal(walk(g, 2, 3, 0, NAMES("")), 0);             /* a clone is not */
    assert_int_equal(guest_does(g, TREAD, "484", 3u, (uint64_t)0, 1u), EBADF);
}

static void
fids_in_use_and_unknown_fids_are_refused(void **state)
{
    struct guest *g = guest_new(*state);

    assert_int_equal(walk(g, 0, 1, 1, NAMES("\3\0dir")), -EBADF);
    assert_int_equal(walk(g, 7, 8, 1, NAMES("\3\0dir")), -EBADF);
    assert_int_equal(walk(g, 0, (uint32_t)NOFID, 1, NAMES("\3\0dir")), -EBADF);
    assert_int_equal(walk(g, (uint32_t)NOFID, 8, 0, NAMES("")), -EBADF);
    assert_int_equal(guest_does(g, TCLUNK, "4", 0u), 0);
    assert_int_equal(guest_does(g, TCLUNK, "4", 0u), EBADF);
}

static void
every_message_that_takes_a_fid_wants_a_known_one(void **state)
{
    static const uint8_t zeros[64];
    static const struct {
        uint8_t type;
        const char *fmt;
    } t[] = {
        {TSTATFS, "4"}, {TGETATTR, "48"}, {TREADLINK, "4"},      {TCLUNK, "4"},
        {TREMOVE, "4"}, {TLOPEN, "44"},   {TREAD, "484"},        {TREADDIR, "484"},
        {TFSYNC, "44"}, {TWRITE, "484"},  {TSETATTR, "444448r"}, {TUNLINKAT, "4s4"},
    };
    struct guest *g = guest_new(*state);

    (void)zeros;
    for (size_t i = 0; i < COUNT(t); i++) {
        int e;

        if (strcmp(t[i].fmt, "4") == 0)
            e = guest_does(g, t[i].type, "4", 77u);
        else if (strcmp(t[i].fmt, "44") == 0)
            e = guest_does(g, t[i].type, "44", 77u, 0u);
        else if (strcmp(t[i].fmt, "48") == 0)
            e = guest_does(g, t[i].type, "48", 77u, (uint64_t)0);
        else if (strcmp(t[i].fmt, "484") == 0)
            e = guest_does(g, t[i].type, "484", 77u, (uint64_t)0, 0u);
        else if (strcmp(t[i].fmt, "4s4") == 0)
            e = guest_does(g, t[i].type, "4s4", 77u, "x", 0u);
        else
            e = guest_does(g, t[i].type, "4r", 77u, zeros, (size_t)56);
        assert_int_equal(e, EBADF);
    }
}

static void
a_fid_that_a_walk_is_making_does_not_exist_yet(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    rig->hold = true;
    guest_send(g, TWALK, 10, "442s", 0u, 5u, 1u, "dir");
    guest_send(g, TCLUNK, 11, "4", 5u);
    guest_send(g, TWALK, 12, "442s", 0u, 5u, 1u, "file");
    guest_send(g, TGETATTR, 13, "48", 5u, (uint64_t)0);
    rig_run(rig);
    for (uint16_t tag = 11; tag <= 13; tag++) {
        assert_true(guest_next(g, &m));
        assert_int_equal(m.tag, tag);
        assert_int_equal(msg_errno(&m), EBADF);
    }
    rig->hold = false;
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 10);
    assert_int_equal(m.type, TWALK + 1);
    assert_int_equal(guest_does(g, TCLUNK, "4", 5u), 0);
}

static void
fids_are_limited_and_the_limit_is_not_the_end(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    uint32_t made = 2;

    for (uint32_t i = 0; i < 10 * rig_limits.fids; i++) {
        int e = guest_does(g, TWALK, "442", 0u, 100u + i, 0u);

        if (e == 0)
            made++;
        else
            assert_int_equal(e, EMFILE);
    }
    assert_int_equal(made, rig_limits.fids);
    assert_int_equal(rig->tenant.fids.live, rig_limits.fids);
    assert_int_equal(guest_does(g, TCLUNK, "4", 100u), 0);
    assert_int_equal(guest_does(g, TWALK, "442", 0u, 100u, 0u), 0);
}

static void
refused_walks_cost_nothing(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    size_t fids = rig->tenant.fids.live, handles = rig->tenant.handles.live;

    for (int i = 0; i < 20000; i++)
        assert_int_equal(guest_does(g, TWALK, "442s", 0u, 9u, 1u, "nil"), ENOENT);
    assert_int_equal(rig->tenant.fids.live, fids);
    assert_int_equal(rig->tenant.handles.live, handles);
    assert_int_equal(rig->tenant.requests.live, 0);
    assert_int_equal(synth_node_refs(rig->rw), 0);
}

/* --- tags and flush ------------------------------------------------------ */

static void
a_tag_in_flight_is_refused_and_its_request_goes_on(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    rig->hold = true;
    guest_send(g, TGETATTR, 7, "48", 0u, (uint64_t)0x7ff);
    guest_send(g, TCLUNK, 7, "4", 0u);
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, 7);
    assert_int_equal(msg_errno(&m), EINVAL);
    rig->hold = false;
    rig_run(rig);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.type, TGETATTR + 1);
    assert_int_equal(guest_does(g, TCLUNK, "4", 0u), 0);
}

static void
notag_is_for_version_alone(void **state)
{
    struct guest *g = guest_new(*state);
    struct msg m;

    guest_send(g, TGETATTR, NOTAG, "48", 0u, (uint64_t)0x7ff);
    rig_run(*state);
    assert_true(guest_next(g, &m));
    assert_int_equal(m.tag, NOTAG);
    assert_int_equal(msg_errno(&m), EINVAL);
}

static void
flush_of_an_unknown_tag_is_answered_at_once(void **state)
{
    struct guest *g = guest_new(*state);
    uint16_t own;

    assert_int_equal(guest_does(g, TFLUSH, "2", 999u), 0);
    assert_int_equal(guest_does(g, TFLUSH, "2", (unsigned)NOTAG), 0);
    own = (uint16_t)(g->last_tag + 1);
    assert_int_equal(guest_does(g, TFLUSH, "2", (unsigned)own), 0); /* itself */
}

static void
a_flushed_request_is_answered_first_and_its_flushes_in_order(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    static const uint16_t order[] = {20, 30, 31, 32, 33, 40};
    struct msg m;

    rig->hold = true;
    guest_send(g, TGETATTR, 20, "48", 0u, (uint64_t)0x7ff);
    guest_send(g, TFLUSH, 30, "2", 20u);
    guest_send(g, TFLUSH, 31, "2", 20u);
    guest_send(g, TFLUSH, 32, "2", 20u);
    guest_send(g, TFLUSH, 33, "2", 20u);
    guest_send(g, TFLUSH, 40, "2", 31u); /* of a flush */
    rig_run(rig);
    assert_false(guest_next(g, &m));
    rig->hold = false;
    rig_run(rig);
    for (size_t i = 0; i < COUNT(order); i++) {
        assert_true(guest_next(g, &m));
        assert_int_equal(m.tag, order[i]);
        assert_int_equal(m.type, i == 0 ? TGETATTR + 1 : TFLUSH + 1);
    }
    assert_false(guest_next(g, &m));
}

static void
a_chain_of_flushes_as_long_as_all_requests_ends(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    static uint8_t buf[1000 * 9];
    unsigned n = 0;
    size_t len = 0;
    struct msg m;

    rig->hold = true;
    guest_send(g, TGETATTR, 0, "48", 0u, (uint64_t)0x7ff);
    for (unsigned i = 1; i < 1000; i++)
        len += msg_make(buf + len, sizeof(buf) - len, TFLUSH, (uint16_t)i, "2", i - 1);
    assert_int_equal(guest_bytes(g, buf, len), len);
    rig_run(rig);
    rig->hold = false;
    rig_run(rig);
    while (guest_next(g, &m))
        assert_int_equal(m.tag, n++);
    assert_int_equal(n, 1000);
}

static void
answers_may_come_in_any_order(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_new(rig);
    struct msg m;

    rig->hold = true;
    for (uint16_t tag = 0; tag < 50; tag++)
        guest_send(g, TWALK, tag, "442s", 0u, 100u + tag, 1u, "dir");
    rig_run(rig);
    assert_int_equal(synth_pending(rig->rw), 50);
    while (synth_answer_newest(rig->rw))
        ;
    rig_run(rig);
    for (uint16_t tag = 50; tag-- > 0;) {
        assert_true(guest_next(g, &m));
        assert_int_equal(m.tag, tag);
        assert_int_equal(m.type, TWALK + 1);
    }
    rig->hold = false;
    for (uint32_t fid = 100; fid < 150; fid++)
        assert_int_equal(guest_does(g, TCLUNK, "4", fid), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(version_strings_are_matched_up_to_the_dot),
        T(msize_is_the_smaller_of_both_and_at_least_4096),
        T(before_a_version_anything_else_ends_the_connection),
        T(an_unknown_version_is_no_session),
        T(a_version_in_mid_session_lets_everything_go),
        T(attach_takes_exact_share_names_and_nothing_else),
        T(a_name_finds_the_share_that_is_called_so),
        T(attach_wants_no_auth_and_a_fresh_fid),
        T(a_walk_returns_the_qids_that_worked),
        T(dotdot_is_clamped_at_the_root),
        T(bad_names_are_refused_without_a_call),
        T(names_of_any_other_bytes_and_255_of_them_pass),
        T(a_walk_has_at_most_sixteen_names),
        T(a_walk_may_end_where_it_began),
        T(fids_in_use_and_unknown_fids_are_refused),
        T(every_message_that_takes_a_fid_wants_a_known_one),
        T(a_fid_that_a_walk_is_making_does_not_exist_yet),
        T(fids_are_limited_and_the_limit_is_not_the_end),
        T(refused_walks_cost_nothing),
        T(a_tag_in_flight_is_refused_and_its_request_goes_on),
        T(notag_is_for_version_alone),
        T(flush_of_an_unknown_tag_is_answered_at_once),
        T(a_flushed_request_is_answered_first_and_its_flushes_in_order),
        T(a_chain_of_flushes_as_long_as_all_requests_ends),
        T(answers_may_come_in_any_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
