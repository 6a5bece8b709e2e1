/*
 * Walking to a name that was walked to before: the answer is the file's that
 * the name means now, whatever is known of it.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/contract.h"

/* A name that leads to a node each time: the next name in that directory is
 * looked for among the nodes first. */
static uint64_t
walk_often(struct contract *c, uint64_t dir, const char *name)
{
    uint64_t node = walk_to(c, dir, name);

    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(walk_to(c, dir, name), node);
    forget(c, node, 3);
    return node;
}

/* What a walk of one name says of it; its reference is given back. */
static struct attr
walk_attr(struct contract *c, uint64_t dir, const char *name, uint64_t *ret_node)
{
    const Postern__V1__WalkRep *rep;
    struct attr a;

    assert_int_equal(walk_one(c, dir, name, &rep), 0);
    assert_int_equal(rep->done, 1);
    a = *msg_attr(rep->attr);
    *ret_node = rep->node;
    return a;
}

static void
host_rename(struct contract *c, const char *from, const char *to)
{
    assert_int_equal(renameat(c->root, from, c->root, to), 0);
}

static void
expect_below(struct contract *c, uint64_t node, uint64_t dir)
{
    assert_int_equal(parent_of(c, node), dir);
    forget(c, dir, 1);
}

static void
the_answer_is_the_files_of_now(void **state)
{
    struct contract *c = *state;
    uint64_t f, again;
    struct attr a;

    host_write(c, "f", "x");
    f = walk_often(c, NODE_ROOT, "f");
    host_write(c, "f", "longer");
    assert_int_equal(fchmodat(c->root, "f", 0600, 0), 0);
    a = walk_attr(c, NODE_ROOT, "f", &again);
    assert_int_equal(again, f);
    assert_int_equal(a.size, 6);
    assert_int_equal(a.mode, S_IFREG | 0600);
    forget(c, f, 2);
}

static void
a_name_that_is_gone_is_enoent(void **state)
{
    struct contract *c = *state;
    uint64_t f;

    host_write(c, "f", "x");
    f = walk_often(c, NODE_ROOT, "f");
    host_rename(c, "f", "g");
    assert_int_equal(walk_status(c, NODE_ROOT, "f"), -ENOENT);
    assert_int_equal(walk_to(c, NODE_ROOT, "g"), f);
    assert_int_equal(unlinkat(c->root, "g", 0), 0);
    assert_int_equal(walk_status(c, NODE_ROOT, "g"), -ENOENT);
    assert_int_equal(attr_of_node(c, f).nlink, 0);
    forget(c, f, 2);
}

static void
a_file_put_in_the_place_of_another_is_another_node(void **state)
{
    struct contract *c = *state;
    uint64_t old, new;
    struct attr a;

    host_write(c, "f", "old");
    old = walk_often(c, NODE_ROOT, "f");
    host_write(c, "other", "the new");
    host_rename(c, "other", "f");
    a = walk_attr(c, NODE_ROOT, "f", &new);
    assert_int_not_equal(new, old);
    assert_int_equal(a.ino, host_stat(c, "f").st_ino);
    assert_int_equal(a.size, 7);
    assert_int_equal(attr_of_node(c, new).size, 7);
    assert_int_equal(attr_of_node(c, old).size, 3);
    forget(c, old, 1);
    forget(c, new, 1);
}

/* Names that are exchanged: each leads to the other's file, which is a node. */
static void
names_that_change_places_lead_to_each_others_files(void **state)
{
    struct contract *c = *state;
    uint64_t a, b;

    host_mkdir(c, "a");
    host_mkdir(c, "b");
    host_write(c, "a/in", "a");
    host_write(c, "b/in", "bb");
    a = walk_often(c, NODE_ROOT, "a");
    b = walk_often(c, NODE_ROOT, "b");
    host_rename(c, "a", "t");
    host_rename(c, "b", "a");
    host_rename(c, "t", "b");
    assert_int_equal(walk_to(c, NODE_ROOT, "a"), b);
    assert_int_equal(walk_to(c, NODE_ROOT, "b"), a);
    forget(c, walk_path(c, "a/in"), 1);
    assert_int_equal(stat_status(c, a, "in", NULL), 0);
    assert_int_equal(remove_node(c, b), -ENOTEMPTY);
    assert_int_equal(unlinkat(c->root, "a/in", 0), 0);
    assert_int_equal(remove_node(c, b), 0); /* by the name it has now */
    assert_int_equal(faccessat(c->root, "a", F_OK, 0), -1);
    assert_int_equal(faccessat(c->root, "b/in", F_OK, 0), 0);
    forget(c, a, 2);
    forget(c, b, 2);
}

static void
a_directory_that_became_a_symlink_is_not_followed(void **state)
{
    struct contract *c = *state;
    uint64_t d, f, link;
    struct attr a;

    host_mkdir(c, "d");
    host_write(c, "d/f", "inside");
    d = walk_often(c, NODE_ROOT, "d");
    f = walk_often(c, d, "f");
    host_rename(c, "d", "was");
    assert_int_equal(symlinkat("/etc", c->root, "d"), 0);
    a = walk_attr(c, NODE_ROOT, "d", &link);
    assert_true(S_ISLNK(a.mode));
    assert_int_not_equal(link, d);
    assert_int_equal(walk_status(c, link, "passwd"), -ENOTDIR);
    assert_int_equal(walk_status(c, d, "passwd"), -ENOENT);
    assert_int_equal(walk_to(c, d, "f"), f); /* who is in it stays in it */
    assert_int_equal(walk_often(c, NODE_ROOT, "d"), link);
    forget(c, link, 2);
    forget(c, d, 1);
    forget(c, f, 2);
}

static void
a_symlink_that_became_its_target_is_another_node(void **state)
{
    struct contract *c = *state;
    uint64_t link, f, again;
    struct attr a;

    host_write(c, "f", "hello");
    assert_int_equal(symlinkat("f", c->root, "l"), 0);
    f = walk_often(c, NODE_ROOT, "f");
    link = walk_often(c, NODE_ROOT, "l");
    assert_int_not_equal(link, f);
    host_rename(c, "f", "l");
    a = walk_attr(c, NODE_ROOT, "l", &again);
    assert_true(S_ISREG(a.mode));
    assert_int_equal(again, f);
    assert_int_equal(walk_status(c, NODE_ROOT, "f"), -ENOENT);
    forget(c, f, 2);
    forget(c, link, 1);
}

static void
a_file_of_two_names_is_known_by_the_one_it_was_last_found_by(void **state)
{
    struct contract *c = *state;
    uint64_t f, d;

    host_mkdir(c, "d");
    host_write(c, "f", "x");
    assert_int_equal(linkat(c->root, "f", c->root, "d/g", 0), 0);
    d = walk_often(c, NODE_ROOT, "d");
    f = walk_often(c, NODE_ROOT, "f");
    expect_below(c, f, NODE_ROOT);
    assert_int_equal(walk_often(c, d, "g"), f);
    expect_below(c, f, d);
    assert_int_equal(walk_often(c, NODE_ROOT, "f"), f);
    expect_below(c, f, NODE_ROOT);
    assert_int_equal(walk_often(c, d, "g"), f);
    assert_int_equal(remove_node(c, f), 0);
    assert_int_equal(faccessat(c->root, "d/g", F_OK, 0), -1);
    assert_int_equal(faccessat(c->root, "f", F_OK, 0), 0);
    forget(c, f, 4);
    forget(c, d, 1);
}

static void
names_that_are_known_and_new_in_turn_are_all_found(void **state)
{
    struct contract *c = *state;
    uint64_t known, new;
    char name[16];

    host_write(c, "known", "x");
    known = walk_often(c, NODE_ROOT, "known");
    for (unsigned i = 0; i < 50; i++) {
        (void)snprintf(name, sizeof(name), "%u", i);
        host_write(c, name, "x");
        new = walk_to(c, NODE_ROOT, name);
        assert_int_not_equal(new, known);
        assert_int_equal(attr_of_node(c, new).ino, host_stat(c, name).st_ino);
        assert_int_equal(walk_to(c, NODE_ROOT, "known"), known);
        if (i % 3 == 0)
            assert_int_equal(walk_often(c, NODE_ROOT, name), new);
        forget(c, new, i % 3 == 0 ? 2 : 1);
    }
    forget(c, known, 51);
}

/* Into the ring without a word to the helper: what it is woken for later
 * comes in one batch with it, as from a worker. */
static void
say(struct contract *c, unsigned op, const ProtobufCMessage *m)
{
    const struct frame f = {.op = (uint16_t)op, .tag = ++c->client.last_tag};
    uint8_t body[128];

    assert_true(protobuf_c_message_get_packed_size(m) <= sizeof(body));
    assert_int_equal(channel_send(&c->client.ch, &f, body, protobuf_c_message_pack(m, body)), 0);
}

static void
say_forget(struct contract *c, uint64_t node)
{
    Postern__V1__ForgetReq req = POSTERN__V1__FORGET_REQ__INIT;

    req.node = node;
    req.count = 1;
    say(c, OP_FORGET, &req.base);
}

static Postern__V1__WalkReq
walk_req(const char *first, const char *second)
{
    Postern__V1__WalkReq req = POSTERN__V1__WALK_REQ__INIT;

    req.node = NODE_ROOT;
    req.has_name1 = true;
    req.name1 = msg_bytes(first, strlen(first));
    req.has_name2 = second != NULL;
    if (second != NULL)
        req.name2 = msg_bytes(second, strlen(second));
    return req;
}

/* The answer to a walk that was said: the node. */
static uint64_t
heard_node(struct contract *c)
{
    const ProtobufCMessage *rep;

    assert_int_equal(ipc_client_recv(&c->client, &rep), 0);
    assert_int_equal(c->client.got.op, OP_WALK);
    return ((const Postern__V1__WalkRep *)rep)->node;
}

static void
heard_forget(struct contract *c)
{
    const ProtobufCMessage *rep;

    assert_int_equal(ipc_client_recv(&c->client, &rep), 0);
    assert_int_equal(c->client.got.op, OP_FORGET);
}

static void
what_is_let_go_and_wanted_again_at_once_has_a_new_id(void **state)
{
    struct contract *c = *state;
    Postern__V1__WalkReq walk = walk_req("f", NULL);
    Postern__V1__GetattrReq look = POSTERN__V1__GETATTR_REQ__INIT;
    const ProtobufCMessage *rep;
    uint64_t new;

    host_write(c, "f", "x");
    look.node = walk_to(c, NODE_ROOT, "f");
    for (unsigned i = 0; i < 200; i++) {
        say_forget(c, look.node);
        say(c, OP_WALK, &walk.base);
        (void)ipc_client_send(&c->client, OP_GETATTR, &look.base, 0, 0);
        heard_forget(c);
        new = heard_node(c);
        assert_int_not_equal(new, look.node);
        assert_int_equal(ipc_client_recv(&c->client, &rep), -ESTALE);
        look.node = new;
    }
    forget(c, new, 1);
}

/* A directory that nobody holds leads to a file that then is found elsewhere:
 * with that the directory goes, and at the end of the batch it is no more. */
static void
what_is_let_go_may_go_before_the_batch_ends(void **state)
{
    struct contract *c = *state;
    Postern__V1__WalkReq below = walk_req("d", "f"), above = walk_req("g", NULL);
    uint64_t d, f;

    host_mkdir(c, "d");
    host_write(c, "d/f", "x");
    assert_int_equal(linkat(c->root, "d/f", c->root, "g", 0), 0);
    for (unsigned i = 0; i < 200; i++) {
        d = walk_to(c, NODE_ROOT, "d");
        say_forget(c, d);
        say(c, OP_WALK, &below.base);
        (void)ipc_client_send(&c->client, OP_WALK, &above.base, 0, 0);
        heard_forget(c);
        f = heard_node(c);
        assert_int_equal(heard_node(c), f);
        forget(c, f, 2);
    }
}

/* More than are remembered until then; that none is left is the teardown's claim. */
static void
everything_is_let_go_of_in_one_batch(void **state)
{
    struct contract *c = *state;
    uint64_t ids[200];
    char name[16];

    for (unsigned i = 0; i < COUNT(ids); i++) {
        (void)snprintf(name, sizeof(name), "%u", i);
        host_write(c, name, "x");
        ids[i] = walk_to(c, NODE_ROOT, name);
    }
    for (unsigned i = 0; i < COUNT(ids); i++)
        say_forget(c, ids[i]);
    assert_int_equal(channel_notify(&c->client.ch), 0);
    for (unsigned i = 0; i < COUNT(ids); i++)
        heard_forget(c);
}

/* Places in the table that nobody holds are free at once. */
static void
a_full_table_has_room_for_what_comes_with_a_forget(void **state)
{
    struct contract *c = contract_open(&(struct contract_options){.nodes = 2});
    Postern__V1__WalkReq walk[] = {walk_req("f", NULL), walk_req("g", NULL)};
    uint64_t at;

    (void)state;
    host_write(c, "f", "x");
    host_write(c, "g", "x");
    at = walk_to(c, NODE_ROOT, "f");
    for (unsigned i = 1; i < 200; i++) {
        say_forget(c, at);
        (void)ipc_client_send(&c->client, OP_WALK, &walk[i % 2].base, 0, 0);
        heard_forget(c);
        at = heard_node(c);
    }
    for (unsigned i = 0; i < 200; i++) {
        Postern__V1__CreateReq make = POSTERN__V1__CREATE_REQ__INIT;
        const ProtobufCMessage *rep;

        make.dir = NODE_ROOT;
        make.name = msg_bytes("g", 1);
        say_forget(c, at);
        (void)ipc_client_send(&c->client, OP_CREATE, &make.base, 0, 0);
        heard_forget(c);
        assert_int_equal(ipc_client_recv(&c->client, &rep), 0);
        at = ((const Postern__V1__CreateRep *)rep)->node;
        close_file(c, ((const Postern__V1__CreateRep *)rep)->file);
    }
    forget(c, at, 1);
    contract_done(c);
}

/* The whole way down is let go of and walked again in one breath, the most
 * names that there can be. */
static void
a_way_that_is_let_go_is_walked_again(void **state)
{
    struct contract *c = *state;
    char path[2 * WALK_MAX] = "", *end = path;
    uint64_t at;

    for (unsigned i = 0; i < WALK_MAX; i++) {
        end = stpcpy(end, i == 0 ? "d" : "/d");
        host_mkdir(c, path);
    }
    for (unsigned i = 0; i < 200; i++) {
        at = walk_path(c, path);
        assert_int_equal(attr_of_node(c, at).ino, host_stat(c, path).st_ino);
        forget(c, at, 1);
    }
}

static void
churn(struct contract *c, unsigned n)
{
    char name[16];

    for (unsigned i = 0; i < n; i++) {
        (void)snprintf(name, sizeof(name), "churn%u", i);
        host_write(c, name, "x");
        (void)walk_to(c, NODE_ROOT, name);
    }
}

static void
find_dropped(enum share_identity identity)
{
    struct contract *c =
        contract_open(&(struct contract_options){.node_fds = 4, .identity = identity});
    struct contract_counts left;
    uint64_t f;

    host_write(c, "f", "x");
    f = walk_often(c, NODE_ROOT, "f");
    for (unsigned i = 0; i < 5; i++) {
        churn(c, 20);
        churn(c, 1); /* known, and has its fd: the next name is looked at first */
        assert_int_equal(walk_to(c, NODE_ROOT, "f"), f);
        assert_int_equal(walk_often(c, NODE_ROOT, "f"), f);
        assert_int_equal(attr_of_node(c, f).ino, host_stat(c, "f").st_ino);
    }
    left = contract_close(c);
    assert_true(!left.known || left.node_fds <= 4);
    assert_true(!left.known || left.nodes == 2 + 20);
}

static void
a_node_whose_fd_was_dropped_is_found_again(void **state)
{
    (void)state;
    find_dropped(IDENTITY_SQUASH);
    find_dropped(IDENTITY_STORED);
}

/* The number of a file that is gone may be given to the next one. Where none
 * holds it by an fd, the time of birth tells. */
static void
a_new_file_with_an_old_ones_number_is_another_node(void **state)
{
    struct contract *c;
    uint64_t old, new;
    ino_t ino;

    (void)state;
    if (!contract_limits_fds())
        return;
    c = contract_open(&(struct contract_options){.node_fds = 4});
    host_write(c, "f", "x");
    ino = host_stat(c, "f").st_ino;
    old = walk_often(c, NODE_ROOT, "f");
    churn(c, 20);
    churn(c, 1);
    assert_int_equal(unlinkat(c->root, "f", 0), 0);
    for (unsigned i = 0; i < 100; i++) {
        host_write(c, "f", "y");
        if (host_stat(c, "f").st_ino == ino)
            break;
        assert_int_equal(unlinkat(c->root, "f", 0), 0);
        host_write(c, "f", "y");
    }
    new = walk_to(c, NODE_ROOT, "f");
    assert_int_not_equal(new, old);
    assert_int_equal(walk_often(c, NODE_ROOT, "f"), new);
    assert_int_equal(attr_of_node(c, new).ino, host_stat(c, "f").st_ino);
    (void)contract_close(c);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, contract_setup, contract_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(the_answer_is_the_files_of_now),
        CLAIM(a_name_that_is_gone_is_enoent),
        CLAIM(a_file_put_in_the_place_of_another_is_another_node),
        CLAIM(names_that_change_places_lead_to_each_others_files),
        CLAIM(a_directory_that_became_a_symlink_is_not_followed),
        CLAIM(a_symlink_that_became_its_target_is_another_node),
        CLAIM(a_file_of_two_names_is_known_by_the_one_it_was_last_found_by),
        CLAIM(names_that_are_known_and_new_in_turn_are_all_found),
        CLAIM(what_is_let_go_and_wanted_again_at_once_has_a_new_id),
        CLAIM(what_is_let_go_may_go_before_the_batch_ends),
        CLAIM(everything_is_let_go_of_in_one_batch),
        CLAIM(a_way_that_is_let_go_is_walked_again),
        cmocka_unit_test(a_full_table_has_room_for_what_comes_with_a_forget),
        cmocka_unit_test(a_node_whose_fd_was_dropped_is_found_again),
        cmocka_unit_test(a_new_file_with_an_old_ones_number_is_another_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
