/*
 * Whose request is it: what the helper is told of the guest's users, in each
 * dialect, against a share in memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "ipc/ops.h"
#include "ipc/share.h"
#include "tests/lib/rig.h"
#include "tests/lib/test.h"

enum { ALICE = 1000, BOB = 1001, STAFF = 50 };

static int
setup(void **state)
{
    struct rig *rig = rig_new(&rig_limits);

    synth_put_dir(rig->rw, "dir");
    synth_put_file(rig->rw, "file", "hello", 5);
    *state = rig;
    return 0;
}

static int
attaches(struct guest *g, uint32_t fid, uint32_t uid)
{
    return guest_does(g, TATTACH, "44ss4", fid, NOFID, "", "rw", uid);
}

static struct guest *
guest_of(struct rig *rig, uint32_t uid)
{
    struct guest *g = rig_connect(rig);

    guest_version(g, 65536);
    assert_int_equal(attaches(g, 0, uid), 0);
    return g;
}

static void
asked_by(const struct rig *rig, unsigned op, uint32_t uid, uint32_t gid)
{
    struct synth_asker a = synth_asker(rig->rw, op);

    assert_int_equal(a.uid, uid);
    assert_int_equal(a.gid, gid);
}

static void
a_fid_acts_for_the_user_it_was_attached_for(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_of(rig, ALICE);

    asked_by(rig, OP_GETATTR, ALICE, ALICE);
    assert_int_equal(attaches(g, 1, BOB), 0);
    guest_walk(g, 0, 2, "file");
    asked_by(rig, OP_WALK, ALICE, ALICE);
    guest_walk(g, 1, 3, "file");
    asked_by(rig, OP_WALK, BOB, BOB);
    guest_walk(g, 2, 4, ""); /* a clone of a walk */
    assert_int_equal(guest_does(g, TLOPEN, "44", 4u, (unsigned)O_RDWR), 0);
    asked_by(rig, OP_OPEN_WRITE, ALICE, ALICE);
    assert_int_equal(guest_does(g, TCLUNK, "4", 4u), 0);
    asked_by(rig, OP_CLOSE, ALICE, ALICE);
    assert_int_equal(guest_does(g, TREMOVE, "4", 3u), 0);
    asked_by(rig, OP_REMOVE, BOB, BOB);
}

static void
what_is_made_is_of_the_group_that_the_message_names(void **state)
{
    struct rig *rig = *state;
    struct guest *g = guest_of(rig, ALICE);

    assert_int_equal(guest_does(g, TMKDIR, "4s44", 0u, "d", 0755u, STAFF), 0);
    asked_by(rig, OP_MKDIR, ALICE, STAFF);
    assert_int_equal(guest_does(g, TSYMLINK, "4ss4", 0u, "l", "to", STAFF), 0);
    asked_by(rig, OP_SYMLINK, ALICE, STAFF);
    assert_int_equal(guest_does(g, TMKNOD, "4s4444", 0u, "p", 0010644u, 0u, 0u, STAFF), 0);
    asked_by(rig, OP_MKNOD, ALICE, STAFF);
    guest_walk(g, 0, 1, "dir");
    assert_int_equal(guest_does(g, TLCREATE, "4s444", 1u, "f", 0101u, 0644u, STAFF), 0);
    asked_by(rig, OP_CREATE, ALICE, STAFF);
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 0u, "e", 0755u, UINT32_MAX), 0);
    asked_by(rig, OP_MKDIR, ALICE, ALICE);
}

static void
who_says_nothing_is_nobody(void **state)
{
    static const uint32_t none[] = {UINT32_MAX, UINT32_MAX - 1};
    struct rig *rig = *state;

    for (size_t i = 0; i < COUNT(none); i++) {
        (void)guest_of(rig, none[i]);
        asked_by(rig, OP_GETATTR, ID_NOBODY, ID_NOBODY);
    }
}

static void
the_oldest_dialect_knows_nobody_else(void **state)
{
    struct rig *rig = *state;
    struct guest *g = rig_connect(rig);
    struct msg m = guest_ask(g, TVERSION, "4s", 8192u, "9P2000");

    assert_int_equal(m.type, TVERSION + 1);
    assert_int_equal(guest_ask(g, TATTACH, "44ss", 0u, NOFID, "root", "rw").type, TATTACH + 1);
    asked_by(rig, OP_GETATTR, ID_NOBODY, ID_NOBODY);
}

static void
an_id_that_is_none_of_the_share_is_refused_before_any_call(void **state)
{
    struct rig *rig = *state;
    struct guest *g;
    unsigned calls;

    synth_fs(rig->rw)->ids = ALICE + 1;
    g = guest_of(rig, ALICE);
    calls = synth_calls(rig->rw, 0);
    assert_int_equal(attaches(g, 1, ALICE + 1), EPERM);
    assert_int_equal(attaches(g, 1, UINT32_MAX), EPERM); /* nobody is none of them, either */
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 0u, "d", 0755u, ALICE + 1), EPERM);
    assert_int_equal(synth_calls(rig->rw, 0), calls);
    assert_false(synth_exists(rig->rw, "d"));
    assert_int_equal(guest_does(g, TMKDIR, "4s44", 0u, "d", 0755u, ALICE), 0);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        T(a_fid_acts_for_the_user_it_was_attached_for),
        T(what_is_made_is_of_the_group_that_the_message_names),
        T(who_says_nothing_is_nobody),
        T(the_oldest_dialect_knows_nobody_else),
        T(an_id_that_is_none_of_the_share_is_refused_before_any_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
