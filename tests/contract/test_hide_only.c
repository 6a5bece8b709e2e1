/*
 * Names that policy keeps from the guest: hidden by pattern at every depth,
 * or all but a few in the share's root.
 *
 * The tests speak the channel as a worker would that is in a guest's hands.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "tests/lib/contract.h"

#define HIDDEN "*.pem .ssh [xy]? \xff*"

/* In the root and in d the same: what is hidden, what is not. */
static void
make_tree(const char *path)
{
    static const char *const files[] = {"key.pem", ".pem", "x1", "\xff\xfe", "plain", "pem", "x11"};
    int at = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    assert_true(at >= 0);
    for (unsigned depth = 0; depth < 2; depth++) {
        int dir = openat(at, depth == 0 ? "." : "d", O_PATH | O_DIRECTORY | O_CLOEXEC);

        assert_true(dir >= 0);
        for (unsigned i = 0; i < COUNT(files); i++)
            host_put(dir, files[i], "secret");
        assert_int_equal(mkdirat(dir, ".ssh", 0777), 0);
        assert_int_equal(mkdirat(dir, depth == 0 ? "d" : "e", 0777), 0);
        clean_fd(&dir);
    }
    assert_int_equal(mkdirat(at, "full", 0777), 0);
    assert_int_equal(linkat(at, "key.pem", at, "other-name", 0), 0);
    {
        int dir = openat(at, "full", O_PATH | O_DIRECTORY | O_CLOEXEC);

        host_put(dir, "a.pem", "");
        clean_fd(&dir);
    }
    clean_fd(&at);
}

static const char *const hidden[] = {"key.pem", ".pem", ".ssh", "x1", "\xff\xfe", "new.pem", "y9"};

static struct contract *
hiding(bool read_only)
{
    return contract_open(
        &(struct contract_options){.hide = HIDDEN, .prepare = make_tree, .read_only = read_only});
}

static struct contract *
showing_only(const char *only, bool read_only)
{
    return contract_open(
        &(struct contract_options){.only = only, .prepare = make_tree, .read_only = read_only});
}

static void
end(struct contract *c)
{
    struct contract_counts left = contract_close(c);

    assert_true(!left.known || (left.nodes == 1 && left.files == 0));
}

/* Every way to look for a name, and to make one, ends as said. */
static void
assert_not_there(struct contract *c, uint64_t dir, const char *name, int make)
{
    bool ro = make == -EROFS;
    uint64_t plain = walk_to(c, dir, "plain");

    assert_int_equal(walk_status(c, dir, name), -ENOENT);
    assert_int_equal(stat_status(c, dir, name, NULL), -ENOENT);
    assert_int_equal(unlink_at(c, dir, name, false), ro ? make : -ENOENT);
    assert_int_equal(unlink_at(c, dir, name, true), ro ? make : -ENOENT);
    assert_int_equal(rename_at(c, dir, name, dir, "plain2"), ro ? make : -ENOENT);
    assert_int_equal(rename_at(c, dir, "plain", dir, name), make);
    assert_int_equal(rename_node_to(c, plain, dir, name), make);
    assert_int_equal(create_at(c, dir, name, 0), make);
    assert_int_equal(create_at(c, dir, name, OPEN_EXCL), make);
    assert_int_equal(create_at(c, dir, name, OPEN_NOWRITE), make);
    assert_int_equal(mkdir_at(c, dir, name, 0777), make);
    assert_int_equal(mknod_at(c, dir, name), make);
    assert_int_equal(symlink_at(c, dir, name), make);
    assert_int_equal(link_at(c, plain, dir, name), make);
    forget(c, plain, 1);
}

static void
a_hidden_name_is_neither_found_nor_made_at_any_depth(void **state)
{
    struct contract *c = hiding(false);
    uint64_t dir[] = {NODE_ROOT, walk_to(c, NODE_ROOT, "d")};

    (void)state;
    for (unsigned d = 0; d < COUNT(dir); d++)
        for (unsigned i = 0; i < COUNT(hidden); i++)
            assert_not_there(c, dir[d], hidden[i], -EPERM);
    assert_int_equal(walk_status(c, dir[1], "pem"), 0);
    forget(c, walk_to(c, dir[1], "pem"), 2);
    assert_int_equal(create_at(c, dir[1], "x111", OPEN_EXCL), 0);
    forget(c, dir[1], 1);
    assert_int_equal(faccessat(c->root, "d/key.pem", F_OK, 0), 0);
    assert_int_equal(faccessat(c->root, "plain", F_OK, 0), 0);
    end(c);
}

static void
on_a_read_only_share_making_one_is_refused_as_any(void **state)
{
    struct contract *c = hiding(true);

    (void)state;
    assert_not_there(c, NODE_ROOT, ".ssh", -EROFS);
    assert_not_there(c, NODE_ROOT, "y9", -EROFS);
    end(c);
    c = showing_only("plain", true);
    assert_not_there(c, NODE_ROOT, "pem", -EROFS);
    end(c);
}

/* The name in every field that takes one. */
static void
fill(ProtobufCMessage *m, const char *name)
{
    const uint64_t root = NODE_ROOT;
    const ProtobufCBinaryData b = msg_bytes(name, strlen(name));
    const protobuf_c_boolean yes = 1;

    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        uint8_t *at = (uint8_t *)m + f->offset;

        if (f->type == PROTOBUF_C_TYPE_FIXED64)
            memcpy(at, &root, sizeof(root));
        if (msg_field_is_name(f))
            memcpy(at, &b, sizeof(b));
        if (msg_field_is_name(f) && f->label == PROTOBUF_C_LABEL_OPTIONAL)
            memcpy((uint8_t *)m + f->quantifier_offset, &yes, sizeof(yes));
    }
}

static void
no_operation_that_takes_a_name_forgets_to_ask(void **state)
{
    static struct arena arena;
    struct contract *by[] = {hiding(false), showing_only("plain", false)};
    unsigned asked = 0;

    (void)state;
    arena_init(&arena);
    for (unsigned op = 1; op < OP_END * 2u; op++) {
        const struct op_info *info = op_info(op % OP_END);
        struct contract *c = by[op / OP_END];
        const ProtobufCMessage *rep;
        ProtobufCMessage *m;
        int r;

        if (info == NULL)
            continue;
        arena_reset(&arena);
        m = msg_new(&arena, info->req);
        fill(m, ".ssh");
        for (unsigned i = 0; i < info->req->n_fields; i++)
            if (msg_field_is_name(&info->req->fields[i])) {
                r = ipc_client_ask(&c->client, op % OP_END, m, 0, 0, &rep);
                assert_true(r == -ENOENT || r == -EPERM);
                asked++;
                break;
            }
    }
    assert_true(asked >= 2 * 10);
    end(by[0]);
    end(by[1]);
}

static void
a_walk_goes_as_far_as_names_are_shown(void **state)
{
    struct contract *c = hiding(false);
    Postern__V1__WalkReq req = POSTERN__V1__WALK_REQ__INIT;
    const Postern__V1__WalkRep *rep;

    (void)state;
    req.node = NODE_ROOT;
    req.has_name1 = req.has_name2 = req.has_name3 = true;
    req.name1 = msg_bytes("d", 1);
    req.name2 = msg_bytes(".ssh", 4);
    req.name3 = msg_bytes("x", 1);
    assert_int_equal(ask_walk(&c->client, &req, &rep), 0);
    assert_int_equal(rep->done, 1);
    assert_false(rep->has_node);
    req.name2 = msg_bytes("e", 1);
    req.name3 = msg_bytes("a.pem", 5);
    assert_int_equal(ask_walk(&c->client, &req, &rep), 0);
    assert_int_equal(rep->done, 2);
    end(c);
}

/* The same listing from every cookie of it on. */
static void
assert_cookies_hold(struct contract *c, uint64_t file, const struct listing *all)
{
    struct listing rest;

    for (unsigned i = 0; i < all->n; i++) {
        listing_from(c, file, all->at[i].cookie, i % 2 == 0 ? 48 : 65536, &rest);
        assert_int_equal(rest.n, all->n - i - 1);
        assert_memory_equal(rest.at, all->at + i + 1, rest.n * sizeof(rest.at[0]));
    }
}

static void
a_hidden_name_is_not_listed_and_cookies_hold(void **state)
{
    struct contract *c = hiding(false);
    uint64_t dir[] = {NODE_ROOT, walk_to(c, NODE_ROOT, "d")};
    struct listing l;

    (void)state;
    for (unsigned d = 0; d < COUNT(dir); d++) {
        uint64_t file = open_read(c, dir[d]);

        listing_from(c, file, 0, 65536, &l);
        for (unsigned i = 0; i < COUNT(hidden); i++)
            assert_false(listing_count(&l, hidden[i]));
        assert_true(listing_count(&l, ".") && listing_count(&l, "..") &&
                    listing_count(&l, "plain") && listing_count(&l, "pem"));
        assert_int_equal(l.n, d == 0 ? 8 : 6);
        assert_cookies_hold(c, file, &l);
        close_file(c, file);
    }
    forget(c, dir[1], 1);
    end(c);
}

static void
a_directory_of_hidden_names_alone_looks_empty_and_is_not(void **state)
{
    struct contract *c = hiding(false);
    uint64_t dir = walk_to(c, NODE_ROOT, "full"), file = open_read(c, dir);
    struct listing l;

    (void)state;
    listing_from(c, file, 0, 65536, &l);
    assert_int_equal(l.n, 2);
    close_file(c, file);
    assert_int_equal(unlink_at(c, NODE_ROOT, "full", true), -ENOTEMPTY);
    assert_int_equal(attr_of_node(c, dir).nlink, 1);
    assert_int_equal(attr_of_node(c, NODE_ROOT).nlink, 1);
    forget(c, dir, 1);
    end(c);
}

static void
a_hidden_file_is_found_by_a_name_that_is_not_hidden(void **state)
{
    struct contract *c = hiding(false);
    uint64_t node = walk_to(c, NODE_ROOT, "other-name"), file = open_read(c, node);

    (void)state;
    assert_int_equal(read_at(c, file, 0, 100), 6);
    assert_int_equal(attr_of_node(c, node).nlink, 2);
    close_file(c, file);
    assert_int_equal(link_at(c, node, NODE_ROOT, "b.pem"), -EPERM);
    forget(c, node, 1);
    end(c);
}

static void
what_the_host_renames_to_a_hidden_name_is_gone(void **state)
{
    struct contract *c = hiding(false);

    (void)state;
    forget(c, walk_to(c, NODE_ROOT, "plain"), 1);
    assert_int_equal(renameat(c->root, "plain", c->root, "plain.pem"), 0);
    assert_int_equal(walk_status(c, NODE_ROOT, "plain"), -ENOENT);
    assert_int_equal(walk_status(c, NODE_ROOT, "plain.pem"), -ENOENT);
    end(c);
}

static void
the_root_shows_only_what_it_is_told_to(void **state)
{
    struct contract *c = showing_only("plain d later", false);
    static const char *const others[] = {"pem", "x11", "full", ".ssh", "other-name", "nothing"};
    uint64_t file = open_read(c, NODE_ROOT);
    struct listing l;

    (void)state;
    for (unsigned i = 0; i < COUNT(others); i++)
        assert_not_there(c, NODE_ROOT, others[i], -EPERM);
    listing_from(c, file, 0, 65536, &l);
    assert_int_equal(l.n, 4);
    assert_true(listing_count(&l, ".") && listing_count(&l, "..") && listing_count(&l, "plain") &&
                listing_count(&l, "d"));
    assert_cookies_hold(c, file, &l);
    close_file(c, file);
    assert_int_equal(attr_of_node(c, NODE_ROOT).nlink, 1);
    end(c);
}

static void
a_directory_that_is_shown_is_shown_whole(void **state)
{
    struct contract *c = showing_only("d", false);
    uint64_t d = walk_to(c, NODE_ROOT, "d"), file = open_read(c, d);
    struct listing l;

    (void)state;
    listing_from(c, file, 0, 65536, &l);
    assert_int_equal(l.n, 2 + 7 + 2);
    close_file(c, file);
    assert_int_equal(create_at(c, d, "pem2", OPEN_EXCL), 0);
    assert_int_equal(rename_at(c, d, "pem2", NODE_ROOT, "pem2"), -EPERM);
    assert_int_equal(rename_at(c, NODE_ROOT, "pem", d, "pem3"), -ENOENT);
    assert_true(parent_of(c, d) == NODE_ROOT);
    assert_int_equal(walk_status(c, NODE_ROOT, "pem"), -ENOENT);
    forget(c, NODE_ROOT, 1);
    forget(c, d, 1);
    end(c);
}

static uint64_t
text_is(struct contract *c, uint64_t node, const char *text)
{
    uint64_t file = open_read(c, node);

    assert_int_equal(read_at(c, file, 0, 100), strlen(text));
    assert_memory_equal(c->client.ch.slab, text, strlen(text));
    return file;
}

static void
a_file_that_the_host_replaces_is_the_new_one_at_the_next_walk(void **state)
{
    struct contract *c = showing_only("cert", false);
    uint64_t old, new, file;

    (void)state;
    assert_int_equal(walk_status(c, NODE_ROOT, "cert"), -ENOENT); /* not there yet */
    host_write(c, "cert.tmp", "first");
    assert_int_equal(renameat(c->root, "cert.tmp", c->root, "cert"), 0);
    old = walk_to(c, NODE_ROOT, "cert");
    file = text_is(c, old, "first");
    host_write(c, "cert.tmp", "second one");
    assert_int_equal(walk_status(c, NODE_ROOT, "cert.tmp"), -ENOENT);
    assert_int_equal(renameat(c->root, "cert.tmp", c->root, "cert"), 0);
    new = walk_to(c, NODE_ROOT, "cert");
    assert_true(new != old);
    close_file(c, text_is(c, new, "second one"));
    assert_int_equal(read_at(c, file, 0, 100), 5); /* what is open stays */
    assert_memory_equal(c->client.ch.slab, "first", 5);
    close_file(c, file);
    close_file(c, text_is(c, old, "first"));
    forget(c, old, 1);
    forget(c, new, 1);
    end(c);
}

static void
a_file_that_is_shown_can_be_written_made_and_removed(void **state)
{
    struct contract *c = showing_only("one two", false);
    uint64_t node;

    (void)state;
    assert_int_equal(create_at(c, NODE_ROOT, "one", OPEN_EXCL), 0);
    assert_int_equal(rename_at(c, NODE_ROOT, "one", NODE_ROOT, "two"), 0);
    node = walk_to(c, NODE_ROOT, "two");
    assert_int_equal(link_at(c, node, NODE_ROOT, "one"), 0);
    assert_int_equal(link_at(c, node, NODE_ROOT, "three"), -EPERM);
    forget(c, node, 1);
    assert_int_equal(unlink_at(c, NODE_ROOT, "two", false), 0);
    assert_int_equal(unlink_at(c, NODE_ROOT, "one", false), 0);
    end(c);
}

static void
both_lists_must_let_a_name_through(void **state)
{
    struct contract *c = contract_open(
        &(struct contract_options){.hide = "*.pem", .only = "plain key.pem", .prepare = make_tree});

    (void)state;
    assert_int_equal(walk_status(c, NODE_ROOT, "key.pem"), -ENOENT);
    assert_int_equal(walk_status(c, NODE_ROOT, "pem"), -ENOENT);
    forget(c, walk_to(c, NODE_ROOT, "plain"), 1);
    end(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hidden_name_is_neither_found_nor_made_at_any_depth),
        cmocka_unit_test(on_a_read_only_share_making_one_is_refused_as_any),
        cmocka_unit_test(no_operation_that_takes_a_name_forgets_to_ask),
        cmocka_unit_test(a_walk_goes_as_far_as_names_are_shown),
        cmocka_unit_test(a_hidden_name_is_not_listed_and_cookies_hold),
        cmocka_unit_test(a_directory_of_hidden_names_alone_looks_empty_and_is_not),
        cmocka_unit_test(a_hidden_file_is_found_by_a_name_that_is_not_hidden),
        cmocka_unit_test(what_the_host_renames_to_a_hidden_name_is_gone),
        cmocka_unit_test(the_root_shows_only_what_it_is_told_to),
        cmocka_unit_test(a_directory_that_is_shown_is_shown_whole),
        cmocka_unit_test(a_file_that_the_host_replaces_is_the_new_one_at_the_next_walk),
        cmocka_unit_test(a_file_that_is_shown_can_be_written_made_and_removed),
        cmocka_unit_test(both_lists_must_let_a_name_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
