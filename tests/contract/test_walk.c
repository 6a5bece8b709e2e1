/*
 * Walking, parents, references: what WALK, PARENT, FORGET and GETATTR owe.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/contract.h"

static void
set_name(Postern__V1__WalkReq *req, unsigned i, const char *name)
{
    ProtobufCBinaryData b = msg_bytes(name, strlen(name));

    switch (i) {
#define NAME(n)                                                                                    \
    case n:                                                                                        \
        req->has_name##n = true;                                                                   \
        req->name##n = b;                                                                          \
        break;
        NAME(1)
        NAME(2)
        NAME(3)
        NAME(4)
        NAME(5)
        NAME(6)
        NAME(7)
        NAME(8)
        NAME(9)
        NAME(10)
        NAME(11)
        NAME(12)
        NAME(13)
        NAME(14)
        NAME(15)
        NAME(16)
#undef NAME
    default:
        fail();
    }
}

static int
getattr_status(struct contract *c, uint64_t node, const Postern__V1__GetattrRep **rep)
{
    Postern__V1__GetattrReq req = POSTERN__V1__GETATTR_REQ__INIT;

    req.node = node;
    return ask_getattr(&c->client, &req, rep);
}

static void
a_walk_of_no_names_gives_the_node_once_more(void **state)
{
    struct contract *c = *state;
    Postern__V1__WalkReq req = POSTERN__V1__WALK_REQ__INIT;
    const Postern__V1__WalkRep *rep;

    req.node = NODE_ROOT;
    assert_int_equal(ask_walk(&c->client, &req, &rep), 0);
    assert_int_equal(rep->done, 0);
    assert_true(rep->has_node);
    assert_int_equal(rep->node, NODE_ROOT);
    assert_true(S_ISDIR(msg_attr(rep->attr)->mode));
    forget(c, NODE_ROOT, 1);
}

static void
a_walk_of_sixteen_names_says_what_each_is(void **state)
{
    struct contract *c = *state;
    Postern__V1__WalkReq req = POSTERN__V1__WALK_REQ__INIT;
    const Postern__V1__WalkRep *rep;
    struct walk_step steps[WALK_MAX];
    char path[64] = "", *end = path;
    struct stat st;

    req.node = NODE_ROOT;
    for (unsigned i = 1; i <= WALK_MAX; i++) {
        end = stpcpy(end, i == 1 ? "d" : "/d");
        host_mkdir(c, path);
        set_name(&req, i, "d");
    }
    assert_int_equal(ask_walk(&c->client, &req, &rep), 0);
    assert_int_equal(rep->done, WALK_MAX);
    assert_int_equal(rep->steps.len, sizeof(steps));
    memcpy(steps, rep->steps.data, sizeof(steps));
    assert_int_equal(fstatat(c->root, path, &st, 0), 0);
    assert_int_equal(steps[WALK_MAX - 1].ino, st.st_ino);
    assert_int_equal(msg_attr(rep->attr)->ino, st.st_ino);
    for (unsigned i = 0; i < WALK_MAX; i++) {
        assert_true(S_ISDIR(steps[i].mode));
        assert_int_not_equal(steps[i].version, 0);
    }
    forget(c, rep->node, 1);
}

static void
a_walk_that_ends_early_says_how_far_it_came(void **state)
{
    struct contract *c = *state;
    Postern__V1__WalkReq req = POSTERN__V1__WALK_REQ__INIT;
    const Postern__V1__WalkRep *rep;

    host_mkdir(c, "a");
    req.node = NODE_ROOT;
    set_name(&req, 1, "a");
    set_name(&req, 2, "nothing");
    set_name(&req, 3, "b");
    assert_int_equal(ask_walk(&c->client, &req, &rep), 0);
    assert_int_equal(rep->done, 1);
    assert_int_equal(rep->steps.len, sizeof(struct walk_step));
    assert_false(rep->has_node);
    assert_false(rep->has_attr);
}

static void
a_walk_through_a_file_is_refused_at_the_next_name(void **state)
{
    struct contract *c = *state;
    Postern__V1__WalkReq req = POSTERN__V1__WALK_REQ__INIT;
    const Postern__V1__WalkRep *rep;
    uint64_t file;

    host_write(c, "f", "x");
    req.node = NODE_ROOT;
    set_name(&req, 1, "f");
    set_name(&req, 2, "x");
    assert_int_equal(ask_walk(&c->client, &req, &rep), 0);
    assert_int_equal(rep->done, 1);
    file = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(walk_status(c, file, "x"), -ENOTDIR);
    forget(c, file, 1);
}

static void
a_missing_name_is_enoent(void **state)
{
    assert_int_equal(walk_status(*state, NODE_ROOT, "nothing"), -ENOENT);
}

static void
a_symlink_is_not_followed(void **state)
{
    struct contract *c = *state;
    const Postern__V1__GetattrRep *rep;
    uint64_t link;

    assert_int_equal(symlinkat("/etc", c->root, "l"), 0);
    link = walk_to(c, NODE_ROOT, "l");
    assert_int_equal(getattr_status(c, link, &rep), 0);
    assert_true(S_ISLNK(msg_attr(rep->attr)->mode));
    assert_int_equal(walk_status(c, link, "passwd"), -ENOTDIR);
    forget(c, link, 1);
}

static void
a_file_that_is_a_node_already_stays_that_node(void **state)
{
    struct contract *c = *state;
    uint64_t a, b;

    host_write(c, "f", "x");
    assert_int_equal(linkat(c->root, "f", c->root, "g", 0), 0);
    a = walk_to(c, NODE_ROOT, "f");
    b = walk_to(c, NODE_ROOT, "g");
    assert_int_equal(a, b);
    assert_int_equal(walk_to(c, NODE_ROOT, "f"), a);
    forget(c, a, 3);
    assert_int_equal(getattr_status(c, a, NULL), -ESTALE);
}

static void
a_forgotten_id_stays_dead_when_its_slot_is_used_again(void **state)
{
    struct contract *c = *state;
    uint64_t old, new;

    host_write(c, "f", "x");
    old = walk_to(c, NODE_ROOT, "f");
    forget(c, old, 1);
    new = walk_to(c, NODE_ROOT, "f");
    assert_int_not_equal(old, new);
    assert_int_equal((uint32_t)old, (uint32_t) new);
    assert_int_equal(getattr_status(c, old, NULL), -ESTALE);
    assert_int_equal(getattr_status(c, new, NULL), 0);
    forget(c, new, 1);
}

static void
the_parent_comes_from_the_walk_and_ends_at_the_root(void **state)
{
    struct contract *c = *state;
    uint64_t a, b, p;

    host_mkdir(c, "a");
    host_mkdir(c, "a/b");
    a = walk_to(c, NODE_ROOT, "a");
    b = walk_to(c, a, "b");
    forget(c, a, 1); /* kept by its child, but no longer given out */
    assert_int_equal(getattr_status(c, a, NULL), -ESTALE);
    p = parent_of(c, b);
    assert_int_equal(p, a);
    assert_int_equal(parent_of(c, p), NODE_ROOT);
    assert_int_equal(parent_of(c, NODE_ROOT), NODE_ROOT);
    forget(c, NODE_ROOT, 2);
    forget(c, p, 1);
    forget(c, b, 1);
}

static void
a_parent_that_the_host_moved_below_its_child_makes_no_circle(void **state)
{
    struct contract *c = *state;
    uint64_t a, b, again;

    host_mkdir(c, "a");
    host_mkdir(c, "a/b");
    a = walk_to(c, NODE_ROOT, "a");
    b = walk_to(c, a, "b");
    assert_int_equal(renameat(c->root, "a/b", c->root, "b"), 0);
    assert_int_equal(renameat(c->root, "a", c->root, "b/a"), 0);
    again = walk_to(c, b, "a");
    assert_int_equal(again, a);
    assert_int_equal(parent_of(c, b), a); /* old, but it ends */
    assert_int_equal(parent_of(c, a), NODE_ROOT);
    forget(c, NODE_ROOT, 1);
    forget(c, a, 3);
    forget(c, b, 1);
}

static void
attributes_show_the_one_owner_and_the_exact_times(void **state)
{
    struct contract *c = *state;
    struct timespec ts[2] = {{.tv_sec = -5, .tv_nsec = 7}, {.tv_sec = 3, .tv_nsec = 999999999}};
    const Postern__V1__GetattrRep *rep;
    uint32_t version;
    struct stat st;
    uint64_t f;

    host_write(c, "f", "hello");
    assert_int_equal(utimensat(c->root, "f", ts, 0), 0);
    assert_int_equal(fstatat(c->root, "f", &st, 0), 0);
    f = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(getattr_status(c, f, &rep), 0);
    assert_int_equal(msg_attr(rep->attr)->uid, 1000);
    assert_int_equal(msg_attr(rep->attr)->gid, 1001);
    assert_int_equal(msg_attr(rep->attr)->mode, S_IFREG | 0644);
    assert_int_equal(msg_attr(rep->attr)->size, 5);
    assert_int_equal(msg_attr(rep->attr)->nlink, 1);
    assert_int_equal(msg_attr(rep->attr)->ino, st.st_ino);
    assert_int_equal(msg_attr(rep->attr)->blocks, st.st_blocks);
    assert_int_equal(msg_attr(rep->attr)->atime_sec, -5);
    assert_int_equal(msg_attr(rep->attr)->atime_nsec, 7);
    assert_int_equal(msg_attr(rep->attr)->mtime_sec, 3);
    assert_int_equal(msg_attr(rep->attr)->mtime_nsec, 999999999);
    assert_int_equal(msg_attr(rep->attr)->ctime_nsec, st.st_ctim.tv_nsec);
    version = msg_attr(rep->attr)->version;
    assert_int_not_equal(version, 0);
    host_write(c, "f", "other");
    assert_int_equal(getattr_status(c, f, &rep), 0);
    assert_int_not_equal(msg_attr(rep->attr)->version, version);
    forget(c, f, 1);
}

static void
a_name_may_be_any_bytes_up_to_255(void **state)
{
    struct contract *c = *state;
    char name[NAME_LEN_MAX + 1];

    memset(name, 'n', NAME_LEN_MAX);
    name[NAME_LEN_MAX] = '\0';
    host_write(c, name, "x");
    forget(c, walk_to(c, NODE_ROOT, name), 1);
    host_write(c, "\xff\xfe \n\"\\", "x");
    forget(c, walk_to(c, NODE_ROOT, "\xff\xfe \n\"\\"), 1);
    host_write(c, "...", "x");
    forget(c, walk_to(c, NODE_ROOT, "..."), 1);
}

static void
a_chain_of_3000_directories_holds(void **state)
{
    struct contract *c = *state;
    uint64_t at = NODE_ROOT, next;
    int fd = dup(c->root), below;

    for (unsigned i = 0; i < 3000; i++) {
        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        below = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(below >= 0);
        assert_int_equal(close(fd), 0);
        fd = below;
    }
    assert_int_equal(close(fd), 0);
    for (unsigned i = 0; i < 3000; i++) {
        next = walk_to(c, at, "d");
        if (at != NODE_ROOT)
            forget(c, at, 1);
        at = next;
    }
    assert_int_equal(getattr_status(c, at, NULL), 0);
    forget(c, at, 1); /* and with it go all 3000: the teardown counts */
}

static void
more_nodes_than_fds_work_and_find_their_files_again(void **state)
{
    struct contract *c;
    const Postern__V1__GetattrRep *rep;
    struct contract_counts left;
    uint64_t ids[200], dir;
    char name[16];
    struct stat st;

    (void)state;
    c = contract_open(&(struct contract_options){.node_fds = 8});
    host_mkdir(c, "a");
    host_mkdir(c, "a/b");
    dir = walk_to(c, NODE_ROOT, "a");
    dir = walk_to(c, dir, "b");
    for (unsigned i = 0; i < COUNT(ids); i++) {
        (void)snprintf(name, sizeof(name), "a/b/%u", i);
        host_write(c, name, "x");
        ids[i] = walk_to(c, dir, strrchr(name, '/') + 1);
    }
    for (unsigned i = 0; i < COUNT(ids); i++) {
        (void)snprintf(name, sizeof(name), "a/b/%u", i);
        assert_int_equal(fstatat(c->root, name, &st, 0), 0);
        assert_int_equal(getattr_status(c, ids[i], &rep), 0);
        assert_int_equal(msg_attr(rep->attr)->ino, st.st_ino);
    }
    left = contract_close(c);
    assert_true(!left.known || left.nodes == 3 + COUNT(ids));
    assert_true(!left.known || (left.node_fds >= 2 && left.node_fds <= 8));
}

static void
a_dropped_fd_of_a_file_that_was_replaced_is_stale(void **state)
{
    struct contract *c;
    uint64_t f;
    char name[16];

    (void)state;
    if (!contract_limits_fds())
        return;
    c = contract_open(&(struct contract_options){.node_fds = 4});
    host_write(c, "f", "x");
    f = walk_to(c, NODE_ROOT, "f");
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof(name), "%u", i);
        host_write(c, name, "x");
        (void)walk_to(c, NODE_ROOT, name);
    }
    host_write(c, "new", "y");
    assert_int_equal(renameat(c->root, "new", c->root, "f"), 0);
    assert_int_equal(getattr_status(c, f, NULL), -ESTALE);
    (void)contract_close(c);
}

static void
a_full_node_table_is_enfile_and_recovers(void **state)
{
    struct contract *c;
    uint64_t a;

    (void)state;
    c = contract_open(&(struct contract_options){.nodes = 3});
    host_write(c, "a", "x");
    host_write(c, "b", "x");
    host_write(c, "c", "x");
    a = walk_to(c, NODE_ROOT, "a");
    (void)walk_to(c, NODE_ROOT, "b");
    assert_int_equal(walk_status(c, NODE_ROOT, "c"), -ENFILE);
    assert_int_equal(walk_to(c, NODE_ROOT, "a"), a); /* a known one needs no slot */
    forget(c, a, 2);
    (void)walk_to(c, NODE_ROOT, "c");
    (void)contract_close(c);
}

static void
getattr_tells_a_symlinks_target_to_who_asks(void **state)
{
    struct contract *c = *state;
    Postern__V1__GetattrReq req = POSTERN__V1__GETATTR_REQ__INIT;
    const Postern__V1__GetattrRep *rep;
    char target[TARGET_LEN_MAX + 1];

    memset(target, 't', sizeof(target));
    target[TARGET_LEN_MAX] = '\0';
    host_write(c, "f", "hello");
    assert_int_equal(symlinkat(target, c->root, "l"), 0);
    req.node = walk_to(c, NODE_ROOT, "l");
    assert_int_equal(ask_getattr(&c->client, &req, &rep), 0);
    assert_false(rep->has_target);
    req.has_target = 1;
    req.target = 1;
    assert_int_equal(ask_getattr(&c->client, &req, &rep), 0);
    assert_true(rep->has_target);
    assert_int_equal(rep->target.len, TARGET_LEN_MAX);
    assert_memory_equal(rep->target.data, target, TARGET_LEN_MAX);
    forget(c, req.node, 1);
    req.node = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(ask_getattr(&c->client, &req, &rep), 0);
    assert_false(rep->has_target);
    forget(c, req.node, 1);
}

static void
a_parent_tells_its_own_name_but_for_the_root(void **state)
{
    struct contract *c = *state;
    Postern__V1__ParentReq req = POSTERN__V1__PARENT_REQ__INIT;
    const Postern__V1__ParentRep *rep;
    uint64_t dir;

    host_mkdir(c, "a");
    host_mkdir(c, "a/b");
    dir = walk_to(c, NODE_ROOT, "a");
    req.node = walk_to(c, dir, "b");
    assert_int_equal(ask_parent(&c->client, &req, &rep), 0);
    assert_true(rep->has_name);
    assert_int_equal(rep->name.len, 1);
    assert_memory_equal(rep->name.data, "a", 1);
    forget(c, req.node, 1);
    req.node = dir;
    assert_int_equal(ask_parent(&c->client, &req, &rep), 0);
    assert_int_equal(rep->node, NODE_ROOT);
    assert_false(rep->has_name);
    forget(c, NODE_ROOT, 1);
    forget(c, dir, 2);
}

static void
stat_looks_at_a_name_and_makes_no_node(void **state)
{
    struct contract *c = *state;
    Postern__V1__StatReq req = POSTERN__V1__STAT_REQ__INIT;
    const Postern__V1__StatRep *rep;
    struct stat st;

    host_write(c, "f", "hello");
    assert_int_equal(symlinkat("f", c->root, "l"), 0);
    assert_int_equal(fstatat(c->root, "f", &st, 0), 0);
    req.dir = NODE_ROOT;
    req.name = msg_bytes("f", 1);
    assert_int_equal(ask_stat(&c->client, &req, &rep), 0);
    assert_int_equal(msg_attr(rep->attr)->ino, st.st_ino);
    assert_int_equal(msg_attr(rep->attr)->mode, st.st_mode);
    assert_int_equal(msg_attr(rep->attr)->size, 5);
    assert_int_equal(msg_attr(rep->attr)->uid, 1000); /* contract_setup() */
    assert_false(rep->has_target);
    req.name = msg_bytes("l", 1);
    assert_int_equal(ask_stat(&c->client, &req, &rep), 0);
    assert_true(S_ISLNK(msg_attr(rep->attr)->mode));
    assert_true(rep->has_target);
    assert_int_equal(rep->target.len, 1);
    assert_memory_equal(rep->target.data, "f", 1);
    req.name = msg_bytes("none", 4);
    assert_int_equal(ask_stat(&c->client, &req, NULL), -ENOENT);
    req.dir = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(ask_stat(&c->client, &req, NULL), -ENOTDIR);
    forget(c, req.dir, 1);
    /* contract_teardown() finds a node too many if there is one */
}

static void
statfs_says_what_the_host_says(void **state)
{
    struct contract *c = *state;
    Postern__V1__StatfsReq req = POSTERN__V1__STATFS_REQ__INIT;
    const Postern__V1__StatfsRep *rep;

    req.node = NODE_ROOT;
    assert_int_equal(ask_statfs(&c->client, &req, &rep), 0);
    assert_int_equal(rep->namelen, 255);
    assert_true(rep->bsize >= 512);
    assert_true(rep->blocks >= rep->bavail);
    req.node = NODE_ROOT + ((uint64_t)1 << 32);
    assert_int_equal(ask_statfs(&c->client, &req, NULL), -ESTALE);
}

static void
readlink_gives_the_target_as_it_is(void **state)
{
    struct contract *c = *state;
    Postern__V1__ReadlinkReq req = POSTERN__V1__READLINK_REQ__INIT;
    const Postern__V1__ReadlinkRep *rep;
    char target[TARGET_LEN_MAX + 1];

    memset(target, 't', TARGET_LEN_MAX);
    target[TARGET_LEN_MAX] = '\0';
    assert_int_equal(symlinkat(target, c->root, "l"), 0);
    req.node = walk_to(c, NODE_ROOT, "l");
    assert_int_equal(ask_readlink(&c->client, &req, &rep), 0);
    assert_int_equal(rep->target.len, TARGET_LEN_MAX);
    assert_memory_equal(rep->target.data, target, TARGET_LEN_MAX);
    forget(c, req.node, 1);
    req.node = NODE_ROOT;
    assert_int_equal(ask_readlink(&c->client, &req, NULL), -EINVAL);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, contract_setup, contract_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_walk_of_no_names_gives_the_node_once_more),
        CLAIM(a_walk_of_sixteen_names_says_what_each_is),
        CLAIM(a_walk_that_ends_early_says_how_far_it_came),
        CLAIM(a_walk_through_a_file_is_refused_at_the_next_name),
        CLAIM(a_missing_name_is_enoent),
        CLAIM(a_symlink_is_not_followed),
        CLAIM(a_file_that_is_a_node_already_stays_that_node),
        CLAIM(a_forgotten_id_stays_dead_when_its_slot_is_used_again),
        CLAIM(the_parent_comes_from_the_walk_and_ends_at_the_root),
        CLAIM(a_parent_that_the_host_moved_below_its_child_makes_no_circle),
        CLAIM(attributes_show_the_one_owner_and_the_exact_times),
        CLAIM(a_name_may_be_any_bytes_up_to_255),
        CLAIM(a_chain_of_3000_directories_holds),
        CLAIM(getattr_tells_a_symlinks_target_to_who_asks),
        CLAIM(a_parent_tells_its_own_name_but_for_the_root),
        CLAIM(stat_looks_at_a_name_and_makes_no_node),
        CLAIM(statfs_says_what_the_host_says),
        CLAIM(readlink_gives_the_target_as_it_is),
        cmocka_unit_test(more_nodes_than_fds_work_and_find_their_files_again),
        cmocka_unit_test(a_dropped_fd_of_a_file_that_was_replaced_is_stale),
        cmocka_unit_test(a_full_node_table_is_enfile_and_recovers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
