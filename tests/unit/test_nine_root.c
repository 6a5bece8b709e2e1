/*
 * The root of all shares: attached with an empty name, listed, walked through,
 * and never changed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/rig.h"
#include "tests/lib/test.h"

#define ID_A "00112233445566778899aabbccddeeff"
#define KEY_A ((uint64_t)0x00112233 << 32)
#define ROOT 10u /* fid */
#define BASIC ((uint64_t)0x7ff)
#define QTDIR 0x80

struct qid {
    uint8_t type;
    uint32_t version;
    uint64_t path;
};

static int
setup(void **state)
{
    struct rig *rig = rig_new(&rig_limits);

    for (int i = 0; i < 2; i++) {
        struct synth *s = i == 0 ? rig->rw : rig->ro;

        synth_put_dir(s, "dir");
        synth_put_dir(s, "dir/sub");
        synth_put_file(s, "file", "hello", 5);
    }
    *state = rig;
    return 0;
}

/* A guest with fid ROOT at the root of all shares. */
static struct guest *
guest_at_root(struct rig *rig)
{
    struct guest *g = guest_new(rig);

    assert_int_equal(guest_attach_status(g, ROOT, ""), 0);
    return g;
}

static struct qid
take_qid(struct msg *m)
{
    struct qid q;

    q.type = cur_u8(&m->body);
    q.version = cur_u32(&m->body);
    q.path = cur_u64(&m->body);
    return q;
}

static struct qid
qid_of(struct guest *g, uint32_t fid)
{
    struct msg m = guest_ask(g, TGETATTR, "48", fid, BASIC);

    assert_int_equal(m.type, TGETATTR + 1);
    (void)cur_u64(&m.body);
    return take_qid(&m);
}

/* --- what it is ---------------------------------------------------------------- */

static void
the_root_is_a_directory_that_nobody_may_write(void **state)
{
    struct guest *g = guest_at_root(*state);
    struct msg m = guest_ask(g, TGETATTR, "48", ROOT, (uint64_t)0x3fff);
    struct qid q;

    assert_int_equal(m.type, TGETATTR + 1);
    (void)cur_u64(&m.body);
    q = take_qid(&m);
    assert_int_equal(q.type, QTDIR);
    assert_int_not_equal(q.version, 0);
    assert_int_equal(cur_u32(&m.body), S_IFDIR | 0555);
    assert_int_equal(cur_u32(&m.body), 0); /* uid, gid */
    assert_int_equal(cur_u32(&m.body), 0);
    assert_int_equal(cur_u64(&m.body), 4); /* nlink: two shares */
    m = guest_ask(g, TSTATFS, "4", ROOT);
    assert_int_equal(m.type, TSTATFS + 1);
    assert_int_equal(cur_u32(&m.body), 0x01021997);
}

static void
a_file_system_of_its_own_says_statfs(void **state)
{
    struct guest *g = guest_at_root(*state);
    uint64_t fsid[2];

    guest_walk(g, ROOT, 11, "rw");
    for (uint32_t i = 0; i < 2; i++) {
        struct msg m = guest_ask(g, TSTATFS, "4", ROOT + i);

        assert_int_equal(m.type, TSTATFS + 1);
        (void)cur_take(&m.body, 4 + 4 + 5 * 8);
        fsid[i] = cur_u64(&m.body);
    }
    assert_true(fsid[0] != fsid[1]);
}

static void
the_root_refuses_every_change(void **state)
{
    struct guest *g = guest_at_root(*state);

    guest_walk(g, ROOT, 11, "rw");
    guest_walk(g, ROOT, 12, "rw/file");
    assert_int_equal(guest_does(g, TMKDIR, "4s44", ROOT, "x", 0755u, 0u), EROFS);
    assert_int_equal(guest_does(g, TSYMLINK, "4ss4", ROOT, "x", "y", 0u), EROFS);
    assert_int_equal(guest_does(g, TMKNOD, "4s4444", ROOT, "x", 0100644u, 0u, 0u, 0u), EROFS);
    assert_int_equal(guest_does(g, TLCREATE, "4s444", ROOT, "x", 2u, 0644u, 0u), EROFS);
    assert_int_equal(guest_does(g, TLINK, "44s", ROOT, 12u, "x"), EROFS);
    assert_int_equal(guest_does(g, TUNLINKAT, "4s4", ROOT, "rw", 0x200u), EROFS);
    assert_int_equal(guest_does(g, TUNLINKAT, "4s4", ROOT, "none", 0u), EROFS);
    assert_int_equal(guest_does(g, TRENAMEAT, "4s4s", ROOT, "rw", ROOT, "x"), EROFS);
    assert_int_equal(guest_does(g, TRENAMEAT, "4s4s", ROOT, "rw", 11u, "x"), EROFS);
    assert_int_equal(guest_does(g, TRENAMEAT, "4s4s", 11u, "file", ROOT, "x"), EROFS);
    assert_int_equal(guest_does(g, TRENAME, "44s", 11u, ROOT, "x"), EROFS);
    assert_int_equal(guest_does(g, TSETATTR,
                                "444448"
                                "8888",
                                ROOT, 1u, 0700u, 0u, 0u, (uint64_t)0, (uint64_t)0, (uint64_t)0,
                                (uint64_t)0, (uint64_t)0),
                     EROFS);
    assert_int_equal(guest_does(g, TXATTRCREATE, "4s84", ROOT, "user.a", (uint64_t)1, 0u), EROFS);
    assert_int_equal(guest_does(g, TLOPEN, "44", ROOT, (unsigned)O_WRONLY), EROFS);
    assert_int_equal(guest_does(g, TLOPEN, "44", ROOT, (unsigned)O_RDWR), EROFS);
    assert_int_equal(guest_does(g, TWALK, "442", 11u, 13u, 0u), 0);
    assert_int_equal(guest_does(g, TREMOVE, "4", 13u), EROFS); /* an entry of the root */
    assert_int_equal(guest_does(g, TWALK, "442", ROOT, 13u, 0u), 0);
    assert_int_equal(guest_does(g, TREMOVE, "4", 13u), EROFS);
}

static void
what_a_directory_has_not_the_root_has_not(void **state)
{
    struct guest *g = guest_at_root(*state);
    struct msg m;

    assert_int_equal(guest_does(g, TREADLINK, "4", ROOT), EINVAL);
    assert_int_equal(guest_does(g, TXATTRWALK, "44s", ROOT, 12u, "user.a"), ENODATA);
    assert_int_equal(guest_does(g, TXATTRWALK, "44s", ROOT, 12u, "system.posix_acl_access"),
                     ENODATA);
    m = guest_ask(g, TXATTRWALK, "44s", ROOT, 12u, "");
    assert_int_equal(m.type, TXATTRWALK + 1);
    assert_int_equal(cur_u64(&m.body), 0);
    assert_int_equal(guest_does(g, TCLUNK, "4", 12u), 0);
    assert_int_equal(guest_does(g, TWALK, "442", ROOT, 12u, 0u), 0);
    assert_int_equal(guest_does(g, TLOPEN, "44", 12u, 0u), 0);
    assert_int_equal(guest_does(g, TREAD, "484", 12u, (uint64_t)0, 100u), EISDIR);
    assert_int_equal(guest_does(g, TFSYNC, "44", 12u, 0u), 0);
    assert_int_equal(
        guest_does(g, TLOCK, "414884s", 12u, 0u, 0u, (uint64_t)0, (uint64_t)0, 1u, "h"),
        EOPNOTSUPP);
    assert_int_equal(guest_does(g, TGETLOCK, "41884s", 12u, 0u, (uint64_t)0, (uint64_t)0, 1u, "h"),
                     EOPNOTSUPP);
    assert_int_equal(guest_does(g, TCLUNK, "4", 12u), 0);
}

/* --- walks ---------------------------------------------------------------------------- */

/* Twalk of a path; how many qids came, or -errno. */
static int
walk(struct guest *g, uint32_t from, uint32_t to, const char *path, struct qid *q)
{
    uint8_t names[1024];
    struct pen w;
    struct msg m;
    unsigned n = 0;
    int count;

    pen_init(&w, names, sizeof(names));
    for (; *path != '\0'; n++) {
        size_t len = strcspn(path, "/");

        pen_str(&w, path, len);
        path += len + (path[len] == '/');
    }
    m = guest_ask(g, TWALK, "442r", from, to, n, names, pen_len(&w));
    if (msg_errno(&m) != 0)
        return -msg_errno(&m);
    count = cur_u16(&m.body);
    for (int i = 0; i < count; i++)
        q[i] = take_qid(&m);
    assert_true(cur_end(&m.body));
    return count;
}

static void
a_walk_crosses_into_a_share(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    struct qid q[16], at;

    assert_int_equal(walk(g, ROOT, 11, "rw/dir/sub", q), 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(q[i].type, QTDIR);
    at = qid_of(g, 11);
    assert_true(at.path == q[2].path);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 11u, "new", 0755u, 0u), 0);
    assert_true(synth_exists(rig->rw, "dir/sub/new"));
    assert_int_equal(walk(g, ROOT, 12, "ro", q), 1);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 12u, "new", 0755u, 0u), EROFS);
    assert_int_equal(walk(g, ROOT, ROOT, "rw", q), 1); /* onto itself */
    assert_true(qid_of(g, ROOT).path == q[0].path);
    assert_int_equal(walk(g, ROOT, ROOT, "..", q), 1);
    assert_int_equal(q[0].path, 1);
    assert_int_equal(qid_of(g, ROOT).path, 1);
}

static void
a_walk_that_does_not_arrive_says_how_far_it_came(void **state)
{
    struct guest *g = guest_at_root(*state);
    struct qid q[16];

    assert_int_equal(walk(g, ROOT, 11, "none", q), -ENOENT);
    assert_int_equal(walk(g, ROOT, 11, "none/x", q), -ENOENT);
    assert_int_equal(walk(g, ROOT, 11, "rw/none", q), 1);
    assert_int_equal(walk(g, ROOT, 11, "rw/dir/none/x", q), 2);
    assert_int_equal(walk(g, ROOT, 11, "rw/../none", q), 2);
    assert_int_equal(walk(g, ROOT, 11, "rw/file/..", q), 2); /* a file has no parent to go to */
    assert_int_equal(walk(g, ROOT, 11, "rw/file/x", q), 2);
    assert_int_equal(guest_does(g, TCLUNK, "4", 11u), EBADF);
}

static void
dotdot_of_a_plain_file_is_no_directory(void **state)
{
    struct guest *g = guest_at_root(*state);
    struct qid q[16];

    assert_int_equal(walk(g, 0, 11, "file", q), 1);
    assert_int_equal(walk(g, 11, 12, "..", q), -ENOTDIR);
    assert_int_equal(walk(g, 11, 11, "..", q), -ENOTDIR);
    assert_int_equal(walk(g, 0, 12, "dir/../file/..", q), 3);
    assert_int_equal(guest_does(g, TWALK, "442", 0u, 13u, 0u), 0);
    assert_int_equal(guest_does(g, TLCREATE, "4s444", 13u, "made", 2u, 0644u, 0u), 0);
    assert_int_equal(walk(g, 13, 12, "..", q), -ENOTDIR);
    assert_int_equal(walk(g, 0, 12, "dir/..", q), 2);
}

static void
dotdot_leads_out_of_a_share_and_stops_at_the_top(void **state)
{
    struct guest *g = guest_at_root(*state);
    struct qid q[16];
    uint64_t rw;

    assert_int_equal(walk(g, ROOT, 11, "rw", q), 1);
    rw = q[0].path;
    assert_int_equal(walk(g, ROOT, 12, "rw/dir/../../ro/dir/../../../../rw/file", q), 12);
    assert_true(q[0].path == rw && q[2].path == rw && q[10].path == rw);
    assert_true(q[3].path == 1 && q[7].path == 1 && q[9].path == 1);
    assert_true(q[4].path != rw && q[4].path == q[6].path);
    assert_int_equal(walk(g, ROOT, 13, "../../..", q), 3);
    assert_int_equal(q[2].path, 1);
    assert_int_equal(walk(g, 11, 14, "../ro", q), 2);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 14u, "new", 0755u, 0u), EROFS);
}

static void
who_attached_a_share_stays_in_it(void **state)
{
    struct guest *g = guest_at_root(*state);
    struct qid q[16];

    assert_int_equal(walk(g, 0, 11, "../../dir/../..", q), 5);
    assert_true(q[0].path == q[4].path && q[0].path == qid_of(g, 0).path);
    assert_int_equal(walk(g, 11, 12, "ro", q), -ENOENT);
}

static void
an_id_leads_there_too(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    struct qid q[16];

    (void)rig_add(rig, 2, "late", false, ID_A);
    assert_int_equal(walk(g, ROOT, 11, ID_A, q), 1);
    assert_int_equal(walk(g, ROOT, 12, "late", q), 1);
    assert_true(qid_of(g, 11).path == q[0].path);
}

static void
narrowing_the_root_narrows_all(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    struct qid q[16];

    assert_int_equal(guest_attach_status(g, 20, ";ro"), 0);
    assert_int_equal(walk(g, 20, 21, "rw/dir", q), 2);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 21u, "x", 0755u, 0u), EROFS);
    assert_int_equal(walk(g, 21, 21, "../../rw", q), 3);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 21u, "x", 0755u, 0u), EROFS);
    assert_false(synth_exists(rig->rw, "x"));
}

static void
between_shares_nothing_is_renamed_or_linked(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    struct qid q[16];

    (void)rig_add(rig, 2, "late", false, ID_A);
    assert_int_equal(walk(g, ROOT, 11, "rw", q), 1);
    assert_int_equal(walk(g, ROOT, 12, "late", q), 1);
    assert_int_equal(walk(g, 11, 13, "file", q), 1);
    assert_int_equal(guest_does(g, TLINK, "44s", 12u, 13u, "x"), EXDEV);
    assert_int_equal(guest_does(g, TRENAME, "44s", 13u, 12u, "x"), EXDEV);
    assert_int_equal(guest_does(g, TRENAMEAT, "4s4s", 11u, "file", 12u, "x"), EXDEV);
}

/* --- inode numbers ----------------------------------------------------------------------- */

static void
numbers_of_two_shares_differ_and_those_of_a_direct_attach_are_its_own(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    struct synth *late = rig_add(rig, 2, "late", false, ID_A);
    struct qid a[16], b[16], direct[16];

    synth_put_dir(late, "dir");
    synth_put_dir(late, "dir/sub");
    assert_int_equal(guest_attach_status(g, 20, "late"), 0);
    assert_int_equal(walk(g, ROOT, 11, "late/dir/sub", a), 3);
    assert_int_equal(walk(g, ROOT, 12, "rw/dir/sub", b), 3);
    assert_int_equal(walk(g, 20, 21, "dir/sub", direct), 2);
    for (int i = 0; i < 3; i++)
        assert_true(a[i].path != b[i].path && a[i].path != 1 && b[i].path != 1);
    assert_true(a[1].path == (direct[0].path ^ KEY_A));
    assert_true(a[2].path == (direct[1].path ^ KEY_A));
    assert_true(qid_of(g, 11).path == a[2].path);
    assert_true(qid_of(g, 21).path == direct[1].path);
    assert_true(direct[1].path < 100);
}

static void
numbers_are_the_same_after_a_restart(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    struct qid a[16], b[16];

    (void)rig_add(rig, 2, "late", false, ID_A);
    assert_int_equal(walk(g, ROOT, 11, "late", a), 1);
    assert_int_equal(walk(g, ROOT, 13, "rw", a + 1), 1);
    (void)rig_teardown(state);
    (void)setup(state);
    rig = *state;
    g = guest_at_root(rig);
    (void)rig_add(rig, 30, "late", false, ID_A);
    assert_int_equal(walk(g, ROOT, 11, "late", b), 1);
    assert_int_equal(walk(g, ROOT, 13, "rw", b + 1), 1);
    assert_true(a[0].path == b[0].path && a[1].path == b[1].path);
}

/* --- listing --------------------------------------------------------------------------------- */

struct listing {
    char text[4096]; /* names, each with a space behind it */
    uint64_t last;
    unsigned n;
    uint64_t ino[64];
};

/* One Treaddir more; how many entries came, or -errno. */
static int
list_more(struct guest *g, uint32_t fid, uint32_t count, struct listing *l)
{
    struct msg m = guest_ask(g, TREADDIR, "484", fid, l->last, count);
    int n = 0;
    uint32_t bytes;

    if (msg_errno(&m) != 0)
        return -msg_errno(&m);
    bytes = cur_u32(&m.body);
    assert_true(bytes <= count);
    for (; m.body.at < m.body.end; n++) {
        struct qid q = take_qid(&m);
        struct str name;
        size_t at = strlen(l->text);

        l->last = cur_u64(&m.body);
        assert_int_equal(cur_u8(&m.body), DT_DIR);
        name = cur_str(&m.body);
        assert_int_equal(q.type, QTDIR);
        l->ino[l->n++ % 64] = q.path;
        (void)snprintf(l->text + at, sizeof(l->text) - at, "%.*s ", (int)name.n,
                       (const char *)name.p);
    }
    assert_false(m.body.bad);
    return n;
}

static void
list(struct guest *g, uint32_t count, struct listing *l)
{
    *l = (struct listing){.last = 0};
    assert_int_equal(guest_does(g, TWALK, "442", ROOT, 90u, 0u), 0);
    assert_int_equal(guest_does(g, TLOPEN, "44", 90u, 0u), 0);
    while (list_more(g, 90, count, l) > 0)
        ;
    assert_int_equal(guest_does(g, TCLUNK, "4", 90u), 0);
}

static void
every_share_is_listed_once_by_its_name(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    struct qid q[16];
    struct listing l;

    (void)rig_add(rig, 2, "late", false, ID_A);
    list(g, 4096, &l);
    assert_string_equal(l.text, ". .. rw ro late ");
    for (int i = 0; i < 3; i++) {
        static const char *const names[] = {"rw", "ro", "late"};

        assert_int_equal(walk(g, ROOT, 11, names[i], q), 1);
        assert_true(l.ino[2 + i] == q[0].path);
        assert_int_equal(guest_does(g, TCLUNK, "4", 11u), 0);
    }
    assert_true(l.ino[0] == 1 && l.ino[1] == 1);
    for (uint32_t count = 29; count < 120; count++) {
        list(g, count, &l);
        assert_string_equal(l.text, ". .. rw ro late ");
    }
}

static void
a_count_too_small_for_one_entry_is_no_end(void **state)
{
    struct guest *g = guest_at_root(*state);
    struct listing l = {.last = 0};

    assert_int_equal(guest_does(g, TLOPEN, "44", ROOT, 0u), 0);
    assert_int_equal(list_more(g, ROOT, 24, &l), -EINVAL);
    assert_int_equal(list_more(g, ROOT, 25, &l), 1);
    assert_int_equal(list_more(g, ROOT, 25, &l), -EINVAL);
    assert_int_equal(list_more(g, ROOT, 26, &l), 1);
    assert_string_equal(l.text, ". .. ");
}

static void
the_root_of_a_tenant_without_shares_is_empty(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    struct listing l;

    rig_cut(rig, 0);
    rig_cut(rig, 1);
    list(g, 4096, &l);
    assert_string_equal(l.text, ". .. ");
    assert_int_equal(guest_does(g, TGETATTR, "48", ROOT, BASIC), 0);
}

static void
a_listing_goes_on_where_it_was_while_shares_come_and_go(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    struct listing l = {.last = 0};

    (void)rig_add(rig, 2, "a", false, NULL);
    (void)rig_add(rig, 3, "b", false, NULL);
    assert_int_equal(guest_does(g, TLOPEN, "44", ROOT, 0u), 0);
    while (strstr(l.text, "ro ") == NULL)
        assert_int_equal(list_more(g, ROOT, 26, &l), 1);
    rig_cut(rig, 0); /* behind us */
    rig_cut(rig, 2); /* before us */
    (void)rig_add(rig, 0, "c", false, NULL);
    (void)rig_add(rig, 2, "rw", false, NULL); /* another one */
    assert_int_equal(list_more(g, ROOT, 4096, &l), 3);
    assert_int_equal(list_more(g, ROOT, 4096, &l), 0);
    assert_string_equal(l.text, ". .. rw ro b c rw ");
    l = (struct listing){.last = UINT64_MAX};
    assert_int_equal(list_more(g, ROOT, 4096, &l), 0);
}

static void
a_share_whose_helper_died_or_is_busy_is_listed_all_the_same(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    struct listing l;

    synth_room(rig->ro, 0);
    assert_int_equal(guest_does(g, TLOPEN, "44", ROOT, 0u), 0);
    guest_send(g, TREADDIR, 500, "484", ROOT, (uint64_t)0, 4096u);
    (void)tenant_round(&rig->tenant);
    synth_room(rig->ro, 10);
    synth_gone(rig->rw);
    rig_run(rig);
    {
        struct msg m;

        assert_true(guest_next(g, &m));
        assert_int_equal(m.tag, 500);
        assert_int_equal(m.type, TREADDIR + 1);
    }
    assert_int_equal(guest_attach_status(g, 30, ""), 0);
    assert_int_equal(guest_does(g, TWALK, "442", 30u, 31u, 0u), 0);
    assert_int_equal(guest_does(g, TLOPEN, "44", 31u, 0u), 0);
    l = (struct listing){.last = 0};
    assert_int_equal(list_more(g, 31, 4096, &l), 4);
    assert_string_equal(l.text, ". .. rw ro ");
    assert_int_equal(guest_does(g, TWALK, "442s", 30u, 32u, 1u, "rw"), EIO);
    rig_cut(rig, 0); /* what it held is not ours to count */
}

static void
dotdot_in_a_shares_listing_is_the_root(void **state)
{
    struct guest *g = guest_at_root(*state);
    struct qid q[16];
    struct msg m;

    assert_int_equal(walk(g, ROOT, 11, "rw", q), 1);
    assert_int_equal(guest_does(g, TLOPEN, "44", 11u, 0u), 0);
    m = guest_ask(g, TREADDIR, "484", 11u, (uint64_t)1, 30u);
    assert_int_equal(m.type, TREADDIR + 1);
    (void)cur_u32(&m.body);
    assert_int_equal(take_qid(&m).path, 1);
}

/* --- shares that come and go, from there --------------------------------------------------------
 */

static void
what_comes_and_goes_does_so_at_once(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    uint32_t version = qid_of(g, ROOT).version;
    struct qid q[16];
    struct listing l;

    assert_int_equal(walk(g, ROOT, 11, "rw/dir", q), 2);
    tenant_share_leaves(&rig->tenant, 0);
    assert_int_equal(walk(g, ROOT, 12, "rw", q), -ENOENT);
    assert_int_equal(walk(g, 11, 12, "..", q), 1); /* who is inside goes on */
    assert_int_equal(walk(g, 12, 13, "..", q), 1);
    assert_int_equal(q[0].path, 1);
    list(g, 4096, &l);
    assert_string_equal(l.text, ". .. ro ");
    assert_true(qid_of(g, ROOT).version != version);
    tenant_share_cut(&rig->tenant, 0);
    assert_int_equal(walk(g, 11, 14, "sub", q), -ESTALE);
    assert_int_equal(walk(g, 12, 14, "..", q), -ESTALE);
    assert_int_equal(walk(g, ROOT, 14, "rw", q), -ENOENT);
    assert_int_equal(walk(g, 13, 14, "ro/dir", q), 2);
    (void)rig_add(rig, 0, "rw", false, NULL);
    assert_int_equal(walk(g, ROOT, 15, "rw", q), 1);
    assert_int_equal(walk(g, 15, 16, "dir", q), -ENOENT);
}

static void
a_share_that_goes_while_a_walk_enters_it_is_not_there(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    struct listing l;
    struct msg m;
    unsigned n = 0;

    rig->hold = true;
    guest_send(g, TWALK, 500, "442ss", ROOT, 11u, 2u, "rw", "dir");
    guest_send(g, TWALK, 501, "442sss", ROOT, 12u, 3u, "ro", "..", "rw");
    assert_int_equal(guest_does(g, TWALK, "442", ROOT, 13u, 0u), 0);
    rig_run(rig);
    (void)synth_answer(rig->ro, 1);
    rig_cut(rig, 0);
    rig->hold = false;
    rig_run(rig);
    for (; guest_next(g, &m); n++) {
        if (m.tag == 500)
            assert_int_equal(msg_errno(&m), ENOENT);
        else
            assert_int_equal(cur_u16(&m.body), 2);
    }
    assert_int_equal(n, 2);
    list(g, 4096, &l);
    assert_string_equal(l.text, ". .. ro ");
}

static void
walks_and_listings_wait_for_room_like_all_others(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_at_root(rig);
    struct msg m;
    unsigned n = 0;

    assert_int_equal(guest_does(g, TWALK, "442", ROOT, 11u, 0u), 0);
    assert_int_equal(guest_does(g, TLOPEN, "44", 11u, 0u), 0);
    synth_room(rig->rw, 1);
    rig->hold = true;
    for (uint16_t i = 0; i < 100; i++) {
        guest_send(g, TWALK, (uint16_t)(500 + 2 * i), "442ssss", ROOT, 100u + i, 4u, "ro", "..",
                   "rw", "dir");
        guest_send(g, TREADDIR, (uint16_t)(501 + 2 * i), "484", 11u, (uint64_t)0, 4096u);
    }
    rig_run(rig);
    rig->hold = false;
    rig_run(rig);
    for (; guest_next(g, &m); n++)
        assert_int_equal(msg_errno(&m), 0);
    assert_int_equal(n, 200);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(the_root_is_a_directory_that_nobody_may_write),
        T(a_file_system_of_its_own_says_statfs),
        T(the_root_refuses_every_change),
        T(what_a_directory_has_not_the_root_has_not),
        T(a_walk_crosses_into_a_share),
        T(a_walk_that_does_not_arrive_says_how_far_it_came),
        T(dotdot_of_a_plain_file_is_no_directory),
        T(dotdot_leads_out_of_a_share_and_stops_at_the_top),
        T(who_attached_a_share_stays_in_it),
        T(an_id_leads_there_too),
        T(narrowing_the_root_narrows_all),
        T(between_shares_nothing_is_renamed_or_linked),
        T(numbers_of_two_shares_differ_and_those_of_a_direct_attach_are_its_own),
        T(numbers_are_the_same_after_a_restart),
        T(every_share_is_listed_once_by_its_name),
        T(a_count_too_small_for_one_entry_is_no_end),
        T(the_root_of_a_tenant_without_shares_is_empty),
        T(a_listing_goes_on_where_it_was_while_shares_come_and_go),
        T(a_share_whose_helper_died_or_is_busy_is_listed_all_the_same),
        T(dotdot_in_a_shares_listing_is_the_root),
        T(what_comes_and_goes_does_so_at_once),
        T(a_share_that_goes_while_a_walk_enters_it_is_not_there),
        T(walks_and_listings_wait_for_room_like_all_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
