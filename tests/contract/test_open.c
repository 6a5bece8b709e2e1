/*
 * Open, create, close: OPEN_READ, OPEN_WRITE, CREATE, CLOSE.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/lib/contract.h"

static int
create(struct contract *c, uint64_t dir, const char *name, uint32_t mode, uint32_t flags,
       const Postern__V1__CreateRep **rep)
{
    Postern__V1__CreateReq req = POSTERN__V1__CREATE_REQ__INIT;

    req.dir = dir;
    req.name = msg_bytes(name, strlen(name));
    req.mode = mode;
    req.flags = flags;
    return ask_create(&c->client, &req, rep);
}

static void
a_file_opens_for_reading_and_closes(void **state)
{
    struct contract *c = *state;
    Postern__V1__GetattrReq get = POSTERN__V1__GETATTR_REQ__INIT;
    const Postern__V1__GetattrRep *rep;
    uint64_t n;

    host_write(c, "f", "hello");
    n = walk_to(c, NODE_ROOT, "f");
    get.node = n;
    get.file = open_read(c, n);
    get.has_file = true;
    assert_int_equal(ask_getattr(&c->client, &get, &rep), 0);
    assert_int_equal(msg_attr(rep->attr)->size, 5);
    assert_int_equal(read_at(c, get.file, 0, 100), 5);
    assert_memory_equal(c->client.ch.slab, "hello", 5);
    assert_int_equal(write_at(c, get.file, 0, "x", 1), -EBADF);
    get.node = NODE_ROOT; /* not a file of that node */
    assert_int_equal(ask_getattr(&c->client, &get, NULL), -EBADF);
    close_file(c, get.file);
    assert_int_equal(read_at(c, get.file, 0, 100), -EBADF);
    forget(c, n, 1);
}

static void
only_regular_files_and_directories_are_ever_opened(void **state)
{
    struct contract *c = *state;
    const struct {
        const char *name;
        mode_t type;
        int err;
    } kinds[] = {{"fifo", S_IFIFO, -ENXIO},
                 {"sock", S_IFSOCK, -ENXIO},
                 {"link", 0, -ELOOP},
                 {"null", S_IFCHR, -ENXIO}};
    unsigned nkinds = COUNT(kinds);

    if (geteuid() != 0) /* who cannot make a device has none */
        nkinds--;
    assert_int_equal(symlinkat("fifo", c->root, "link"), 0);
    for (unsigned i = 0; i < nkinds; i++) {
        uint64_t n;

        if (kinds[i].type != 0)
            assert_int_equal(mknodat(c->root, kinds[i].name, kinds[i].type | 0666, makedev(1, 3)),
                             0);
        n = walk_to(c, NODE_ROOT, kinds[i].name);
        assert_int_equal(open_read_status(c, n, 0), kinds[i].err);
        assert_int_equal(open_read_status(c, n, OPEN_DIRECTORY), -ENOTDIR);
        assert_int_equal(open_write_status(c, n, 0), kinds[i].err);
        assert_int_equal(open_write_status(c, n, OPEN_READS | OPEN_TRUNC), kinds[i].err);
        assert_int_equal(create(c, NODE_ROOT, kinds[i].name, 0644, 0, NULL), kinds[i].err);
        forget(c, n, 1);
    }
}

static void
a_directory_opens_for_reading_alone(void **state)
{
    struct contract *c = *state;

    close_file(c, open_read(c, NODE_ROOT));
    assert_int_equal(open_write_status(c, NODE_ROOT, 0), -EISDIR);
    assert_int_equal(open_write_status(c, NODE_ROOT, OPEN_READS), -EISDIR);
    host_mkdir(c, "d");
    assert_int_equal(create(c, NODE_ROOT, "d", 0644, 0, NULL), -EISDIR);
    assert_int_equal(create(c, NODE_ROOT, "d", 0644, OPEN_NOWRITE, NULL), -EISDIR);
}

static void
every_open_mode_does_what_it_says(void **state)
{
    struct contract *c = *state;
    uint64_t n, f;

    host_write(c, "f", "hello");
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(open_read_status(c, n, OPEN_DIRECTORY), -ENOTDIR);

    f = open_write(c, n, 0);
    assert_int_equal(read_at(c, f, 0, 1), -EBADF);
    assert_int_equal(write_at(c, f, 0, "J", 1), 1);
    close_file(c, f);

    f = open_write(c, n, OPEN_READS | OPEN_APPEND);
    assert_int_equal(write_at(c, f, 0, "!", 1), 1);
    assert_int_equal(read_at(c, f, 0, 100), 6);
    assert_memory_equal(c->client.ch.slab, "Jello!", 6);
    close_file(c, f);

    f = open_write(c, n, OPEN_READS | OPEN_TRUNC | OPEN_SYNC | OPEN_DSYNC);
    assert_int_equal(read_at(c, f, 0, 100), 0);
    close_file(c, f);
    forget(c, n, 1);
}

static void
reading_without_a_trace_is_for_the_owner(void **state)
{
    const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1100000000}};
    struct contract *c = *state;
    Postern__V1__OpenReadReq req = POSTERN__V1__OPEN_READ_REQ__INIT;
    const Postern__V1__OpenReadRep *rep;
    struct stat st;
    uint64_t f;

    host_write(c, "f", "hello");
    assert_int_equal(utimensat(c->root, "f", old, 0), 0);
    req.node = walk_to(c, NODE_ROOT, "f");
    req.flags = OPEN_NOATIME;
    assert_int_equal(ask_open_read(&c->client, &req, &rep), 0);
    f = rep->file;
    assert_int_equal(read_at(c, f, 0, 100), 5);
    assert_int_equal(fstatat(c->root, "f", &st, 0), 0);
    assert_int_equal(st.st_atim.tv_sec, old[0].tv_sec);
    close_file(c, f);
    forget(c, req.node, 1);
    if (!contract_is_sandboxed())
        return; /* as root everything is ours */
    assert_int_equal(fchownat(c->root, "f", 54321, 54321, 0), 0);
    req.node = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(ask_open_read(&c->client, &req, NULL), -EPERM);
    forget(c, req.node, 1);
}

static void
a_node_opens_after_its_name_is_gone_or_changed(void **state)
{
    struct contract *c = *state;
    uint64_t n, f;

    host_write(c, "f", "old");
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(renameat(c->root, "f", c->root, "g"), 0);
    host_write(c, "f", "not this");
    f = open_write(c, n, OPEN_READS);
    assert_int_equal(read_at(c, f, 0, 100), 3);
    assert_memory_equal(c->client.ch.slab, "old", 3);
    close_file(c, f);
    assert_int_equal(unlinkat(c->root, "g", 0), 0);
    f = open_write(c, n, OPEN_READS);
    assert_int_equal(write_at(c, f, 3, "er", 2), 2);
    assert_int_equal(read_at(c, f, 0, 100), 5);
    close_file(c, f);
    forget(c, n, 1);
}

static void
a_file_outlives_its_node(void **state)
{
    struct contract *c = *state;
    uint64_t n, f;

    host_write(c, "f", "hello");
    n = walk_to(c, NODE_ROOT, "f");
    f = open_read(c, n);
    forget(c, n, 1);
    assert_int_equal(read_at(c, f, 0, 100), 5);
    close_file(c, f);
}

static void
create_makes_a_file_and_opens_it(void **state)
{
    struct contract *c = *state;
    const Postern__V1__CreateRep *rep;
    uint64_t n, f;

    assert_int_equal(create(c, NODE_ROOT, "f", 0640, OPEN_READS, &rep), 0);
    n = rep->node;
    f = rep->file;
    assert_int_equal(msg_attr(rep->attr)->mode, S_IFREG | 0640);
    assert_int_equal(msg_attr(rep->attr)->uid, 1000);
    assert_int_equal(host_stat(c, "f").st_mode, S_IFREG | 0640);
    assert_int_equal(write_at(c, f, 0, "abc", 3), 3);
    assert_int_equal(read_at(c, f, 0, 100), 3);
    close_file(c, f);
    assert_int_equal(walk_to(c, NODE_ROOT, "f"), n);
    forget(c, n, 2);
}

static void
create_for_reading_of_a_file_that_may_not_be_written_works(void **state)
{
    struct contract *c = *state;
    const Postern__V1__CreateRep *rep;
    uint64_t f, n;

    assert_int_equal(create(c, NODE_ROOT, "f", 0, OPEN_NOWRITE | OPEN_EXCL, &rep), 0);
    f = rep->file;
    n = rep->node;
    assert_int_equal(read_at(c, f, 0, 10), 0);
    assert_int_equal(write_at(c, f, 0, "x", 1), -EBADF);
    close_file(c, f);
    forget(c, n, 1);
}

static void
create_drops_set_id_bits_and_keeps_the_sticky_one(void **state)
{
    struct contract *c = *state;
    const Postern__V1__CreateRep *rep;

    assert_int_equal(create(c, NODE_ROOT, "f", 07755, 0, &rep), 0);
    assert_int_equal(host_stat(c, "f").st_mode, S_IFREG | 01755);
    close_file(c, rep->file);
    forget(c, walk_to(c, NODE_ROOT, "f"), 2);
}

static void
create_keeps_set_id_bits_where_policy_allows_them(void **state)
{
    struct contract *c;
    const Postern__V1__CreateRep *rep;

    (void)state;
    c = contract_open(&(struct contract_options){.allow_set_id = true});
    assert_int_equal(create(c, NODE_ROOT, "f", 06755, 0, &rep), 0);
    assert_int_equal(msg_attr(rep->attr)->mode, S_IFREG | 06755);
    assert_int_equal(host_stat(c, "f").st_mode, S_IFREG | 06755);
    (void)contract_close(c);
}

static void
create_of_a_taken_name_fails_or_opens_what_is_there(void **state)
{
    struct contract *c = *state;
    const Postern__V1__CreateRep *rep;
    uint64_t n, f;

    host_write(c, "f", "hello");
    assert_int_equal(create(c, NODE_ROOT, "f", 0600, OPEN_EXCL, NULL), -EEXIST);
    assert_int_equal(create(c, NODE_ROOT, "f", 0600, OPEN_READS, &rep), 0);
    n = rep->node;
    f = rep->file;
    assert_int_equal(msg_attr(rep->attr)->size, 5);
    assert_int_equal(host_stat(c, "f").st_mode, S_IFREG | 0644);
    close_file(c, f);
    assert_int_equal(create(c, NODE_ROOT, "f", 0600, OPEN_TRUNC, &rep), 0);
    assert_int_equal(rep->node, n);
    assert_int_equal(msg_attr(rep->attr)->size, 0);
    close_file(c, rep->file);
    forget(c, n, 2);
}

static void
create_through_a_symlink_makes_nothing(void **state)
{
    struct contract *c = *state;
    struct stat st;

    assert_int_equal(symlinkat("target", c->root, "l"), 0);
    assert_int_equal(create(c, NODE_ROOT, "l", 0644, 0, NULL), -ELOOP);
    assert_int_equal(create(c, NODE_ROOT, "l", 0644, OPEN_EXCL, NULL), -EEXIST);
    assert_int_equal(fstatat(c->root, "target", &st, AT_SYMLINK_NOFOLLOW), -1);
}

static void
create_where_there_is_no_directory_fails(void **state)
{
    struct contract *c = *state;
    uint64_t n;

    host_write(c, "f", "x");
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(create(c, n, "g", 0644, 0, NULL), -ENOTDIR);
    forget(c, n, 1);
    assert_int_equal(create(c, n, "g", 0644, 0, NULL), -ESTALE);
    host_mkdir(c, "d");
    n = walk_to(c, NODE_ROOT, "d");
    assert_int_equal(unlinkat(c->root, "d", AT_REMOVEDIR), 0);
    assert_int_equal(create(c, n, "g", 0644, 0, NULL), -ENOENT);
    forget(c, n, 1);
}

static void
too_many_open_files_are_emfile_and_harm_nothing(void **state)
{
    struct contract *c;
    const Postern__V1__CreateRep *rep;
    struct contract_counts left;
    uint64_t n, f;
    struct stat st;

    (void)state;
    c = contract_open(&(struct contract_options){.files = 2});
    host_write(c, "f", "keep");
    n = walk_to(c, NODE_ROOT, "f");
    f = open_read(c, n);
    (void)open_read(c, n);
    assert_int_equal(open_read_status(c, n, 0), -EMFILE);
    assert_int_equal(open_write_status(c, n, OPEN_TRUNC), -EMFILE);
    assert_int_equal(create(c, NODE_ROOT, "new", 0644, 0, NULL), -EMFILE);
    assert_int_equal(fstatat(c->root, "new", &st, 0), -1);
    assert_int_equal(fstatat(c->root, "f", &st, 0), 0);
    assert_int_equal(st.st_size, 4);
    close_file(c, f);
    assert_int_equal(create(c, NODE_ROOT, "new", 0644, 0, &rep), 0);
    left = contract_close(c);
    assert_true(!left.known || (left.files == 2 && left.nodes == 3));
}

static void
no_room_for_a_node_creates_no_file(void **state)
{
    struct contract *c;
    struct stat st;

    (void)state;
    c = contract_open(&(struct contract_options){.nodes = 1});
    assert_int_equal(create(c, NODE_ROOT, "new", 0644, 0, NULL), -ENFILE);
    assert_int_equal(fstatat(c->root, "new", &st, 0), -1);
    (void)contract_close(c);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, contract_setup, contract_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(a_file_opens_for_reading_and_closes),
        CLAIM(only_regular_files_and_directories_are_ever_opened),
        CLAIM(a_directory_opens_for_reading_alone),
        CLAIM(every_open_mode_does_what_it_says),
        CLAIM(reading_without_a_trace_is_for_the_owner),
        CLAIM(a_node_opens_after_its_name_is_gone_or_changed),
        CLAIM(a_file_outlives_its_node),
        CLAIM(create_makes_a_file_and_opens_it),
        CLAIM(create_for_reading_of_a_file_that_may_not_be_written_works),
        CLAIM(create_drops_set_id_bits_and_keeps_the_sticky_one),
        CLAIM(create_of_a_taken_name_fails_or_opens_what_is_there),
        CLAIM(create_through_a_symlink_makes_nothing),
        CLAIM(create_where_there_is_no_directory_fails),
        cmocka_unit_test(create_keeps_set_id_bits_where_policy_allows_them),
        cmocka_unit_test(too_many_open_files_are_emfile_and_harm_nothing),
        cmocka_unit_test(no_room_for_a_node_creates_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
