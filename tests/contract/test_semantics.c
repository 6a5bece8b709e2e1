/*
 * What a program expects of a file system and seldom says: files that lost
 * their name while open, directories that are gone, sticky and set-id bits,
 * holes, very long names, very deep and very full directories.
 */
#include "tests/lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "tests/lib/contract.h"

#define OTHER_ID 64099 /* nobody's in particular */

/* Of work, ours and the helper's in a thread; what others do on a busy machine
 * does not count. */
static double
seconds(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ---- files without their name ------------------------------------------------ */

static void
we_unlink(struct contract *c)
{
    assert_int_equal(unlink_at(c, NODE_ROOT, "f", false), 0);
}

static void
host_unlinks(struct contract *c)
{
    assert_int_equal(unlinkat(c->root, "f", 0), 0);
}

static void
we_rename(struct contract *c)
{
    assert_int_equal(rename_at(c, NODE_ROOT, "f", NODE_ROOT, "g"), 0);
}

static void
host_renames(struct contract *c)
{
    assert_int_equal(renameat(c->root, "f", c->root, "g"), 0);
}

static void
we_replace(struct contract *c)
{
    assert_int_equal(rename_at(c, NODE_ROOT, "new", NODE_ROOT, "f"), 0);
}

static void
host_replaces(struct contract *c)
{
    assert_int_equal(renameat(c->root, "new", c->root, "f"), 0);
}

static const struct {
    void (*happens)(struct contract *c);
    uint32_t nlink; /* afterwards */
} losses[] = {{we_unlink, 0},    {host_unlinks, 0}, {we_rename, 1},
              {host_renames, 1}, {we_replace, 0},   {host_replaces, 0}};

/* Everything that goes through a node or an open file goes on. */
static void
use_after(struct contract *c, uint64_t n, uint64_t f, uint32_t nlink)
{
    Postern__V1__SetxattrReq set = POSTERN__V1__SETXATTR_REQ__INIT;
    Postern__V1__GetattrReq get = POSTERN__V1__GETATTR_REQ__INIT;
    const Postern__V1__GetattrRep *rep;
    uint64_t again;

    get.node = n;
    get.file = f;
    get.has_file = true;
    assert_int_equal(ask_getattr(&c->client, &get, &rep), 0);
    assert_int_equal(msg_attr(rep->attr)->nlink, nlink);
    assert_int_equal(msg_attr(rep->attr)->size, 5);
    assert_int_equal(write_at(c, f, 0, "JELLO", 5), 5);
    assert_int_equal(truncate_node(c, n, 3), 0);
    assert_int_equal(chmod_node(c, n, 0600), 0);
    set.node = n;
    set.key = msg_bytes("user.k", 6);
    set.count = 1;
    assert_int_equal(ask_setxattr(&c->client, &set, NULL), 0);
    again = open_read(c, n);
    assert_int_equal(read_at(c, again, 0, 100), 3);
    assert_memory_equal(c->client.ch.slab, "JEL", 3);
    close_file(c, again);
    assert_int_equal(attr_of_node(c, n).mode, S_IFREG | 0600);
    assert_int_equal(attr_of_node(c, n).nlink, nlink);
}

static void
a_file_stays_itself_whatever_happens_to_its_name(void **state)
{
    (void)state;
    for (unsigned i = 0; i < COUNT(losses); i++) {
        struct contract *c = contract_open(&(struct contract_options){0});
        uint64_t n, f;

        host_write(c, "f", "hello");
        host_write(c, "new", "not this");
        n = walk_to(c, NODE_ROOT, "f");
        f = open_write(c, n, OPEN_READS);
        losses[i].happens(c);
        use_after(c, n, f, losses[i].nlink);
        if (losses[i].nlink == 0 && host_stat(c, ".").st_nlink > 0 &&
            faccessat(c->root, "f", F_OK, 0) == 0)
            assert_int_equal(host_stat(c, "f").st_size, 8); /* the one that took its place */
        close_file(c, f);
        forget(c, n, 1);
        (void)contract_close(c);
    }
}

/* The same when the node's fd is long gone, and only the open file is left. */
static void
an_open_file_keeps_its_node_alive_when_fds_are_few(void **state)
{
    struct contract *c;
    uint64_t n, f;
    char name[16];

    (void)state;
    c = contract_open(&(struct contract_options){.node_fds = 4});
    host_write(c, "f", "hello");
    n = walk_to(c, NODE_ROOT, "f");
    f = open_write(c, n, OPEN_READS);
    for (unsigned i = 0; i < 20; i++) {
        (void)snprintf(name, sizeof(name), "%u", i);
        host_write(c, name, "x");
        (void)walk_to(c, NODE_ROOT, name);
    }
    host_unlinks(c);
    use_after(c, n, f, 0);
    (void)contract_close(c);
}

static void
a_removed_directory_is_empty_for_good(void **state)
{
    struct contract *c = *state;
    Postern__V1__ReaddirReq list = POSTERN__V1__READDIR_REQ__INIT;
    uint64_t d[2];

    host_mkdir(c, "d0");
    host_mkdir(c, "d1");
    host_write(c, "f", "x");
    d[0] = walk_to(c, NODE_ROOT, "d0");
    d[1] = walk_to(c, NODE_ROOT, "d1");
    list.file = open_read(c, d[0]);
    list.count = 4096;
    assert_int_equal(unlink_at(c, NODE_ROOT, "d0", true), 0);
    assert_int_equal(unlinkat(c->root, "d1", AT_REMOVEDIR), 0);
    host_mkdir(c, "d0"); /* another of that name */
    host_write(c, "d0/x", "x");
    for (unsigned i = 0; i < COUNT(d); i++) {
        assert_int_equal(walk_status(c, d[i], "x"), -ENOENT);
        assert_int_equal(create_at(c, d[i], "x", 0), -ENOENT);
        assert_int_equal(create_at(c, d[i], "x", OPEN_EXCL), -ENOENT);
        assert_int_equal(mkdir_at(c, d[i], "x", 0755), -ENOENT);
        assert_int_equal(unlink_at(c, d[i], "x", false), -ENOENT);
        assert_int_equal(rename_at(c, NODE_ROOT, "f", d[i], "x"), -ENOENT);
        assert_int_equal(attr_of_node(c, d[i]).nlink, 0);
        assert_int_equal(chmod_node(c, d[i], 0700), 0);
        forget(c, d[i], 1);
    }
    assert_int_equal(ask_readdir(&c->client, &list, NULL), -ENOENT); /* as getdents64(2) */
    close_file(c, list.file);
}

/* ---- modes ---------------------------------------------------------------------- */

static void
let_in(const char *path)
{
    assert_int_equal(chmod(path, 0755), 0);
}

static void
what_is_made_in_a_setgid_directory_gets_its_group(void **state)
{
    struct contract *c =
        contract_open(&(struct contract_options){.no_idmap = true, .prepare = let_in});
    struct stat st;
    uint64_t d;

    (void)state;
    host_mkdir(c, "d");
    if (geteuid() == 0) /* of a group that is not the helper's own */
        assert_int_equal(fchownat(c->root, "d", 0, OTHER_ID, 0), 0);
    assert_int_equal(fchmodat(c->root, "d", 02777, 0), 0);
    st = host_stat(c, "d");
    d = walk_to(c, NODE_ROOT, "d");
    assert_int_equal(mkdir_at(c, d, "sub", 0750), 0);
    assert_int_equal(create_at(c, d, "f", 0), 0);
    assert_int_equal(host_stat(c, "d/sub").st_mode, S_IFDIR | 02750);
    assert_int_equal(host_stat(c, "d/sub").st_gid, st.st_gid);
    assert_int_equal(host_stat(c, "d/f").st_gid, st.st_gid);
    assert_int_equal(host_stat(c, "d/f").st_mode, S_IFREG | 0666);
    forget(c, d, 1);
    (void)contract_close(c);
}

/* Who runs it would be of a group that its maker is not in, wherever policy lets
 * guests set such bits. */
static void
no_setgid_program_of_a_foreign_group_is_made(void **state)
{
    struct contract *c = contract_open(
        &(struct contract_options){.no_idmap = true, .allow_set_id = true, .prepare = let_in});
    Postern__V1__CreateReq req = POSTERN__V1__CREATE_REQ__INIT;
    Postern__V1__MknodReq node = POSTERN__V1__MKNOD_REQ__INIT;
    const Postern__V1__CreateRep *rep;
    uint64_t n, f;

    (void)state;
    if (!contract_is_sandboxed()) { /* root is in every group */
        (void)contract_close(c);
        return;
    }
    host_mkdir(c, "d");
    assert_int_equal(fchownat(c->root, "d", 0, OTHER_ID, 0), 0);
    assert_int_equal(fchmodat(c->root, "d", 02777, 0), 0);
    req.dir = node.dir = walk_to(c, NODE_ROOT, "d");
    req.name = msg_bytes("f", 1);
    node.name = msg_bytes("n", 1);
    req.mode = 02775;
    node.mode = S_IFREG | 02775;
    assert_int_equal(ask_create(&c->client, &req, &rep), 0);
    n = rep->node;
    f = rep->file;
    assert_int_equal(host_stat(c, "d/f").st_gid, OTHER_ID);
    assert_int_equal(host_stat(c, "d/f").st_mode, S_IFREG | 0775);
    (void)chmod_node(c, n, 02775);
    assert_int_equal(host_stat(c, "d/f").st_mode, S_IFREG | 0775);
    close_file(c, f);
    forget(c, n, 1);
    assert_int_equal(ask_mknod(&c->client, &node, NULL), 0);
    assert_int_equal(host_stat(c, "d/n").st_mode, S_IFREG | 0775);
    forget(c, req.dir, 1);
    (void)contract_close(c);
}

static void
setgid_and_sticky_can_be_set_on_directories(void **state)
{
    struct contract *c = *state;
    uint64_t d;

    host_mkdir(c, "d");
    d = walk_to(c, NODE_ROOT, "d");
    assert_int_equal(chmod_node(c, d, 03775), 0);
    assert_int_equal(host_stat(c, "d").st_mode, S_IFDIR | 03775);
    assert_int_equal(attr_of_node(c, d).mode, S_IFDIR | 03775);
    forget(c, d, 1);
}

static void
in_a_sticky_directory_only_the_owner_removes(void **state)
{
    struct contract *c;
    uint64_t d;

    (void)state;
    if (!contract_is_sandboxed())
        return; /* root may */
    c = contract_open(&(struct contract_options){.no_idmap = true, .prepare = let_in});
    host_mkdir(c, "d");
    host_write(c, "d/theirs", "x");
    assert_int_equal(fchownat(c->root, "d/theirs", OTHER_ID, OTHER_ID, 0), 0);
    assert_int_equal(fchownat(c->root, "d", OTHER_ID, OTHER_ID, 0), 0);
    assert_int_equal(fchmodat(c->root, "d", 01777, 0), 0);
    d = walk_to(c, NODE_ROOT, "d");
    assert_int_equal(create_at(c, d, "ours", 0), 0);
    assert_int_equal(unlink_at(c, d, "theirs", false), -EPERM);
    assert_int_equal(rename_at(c, d, "theirs", d, "x"), -EPERM);
    assert_int_equal(rename_at(c, d, "ours", d, "theirs"), -EPERM);
    assert_int_equal(unlink_at(c, d, "ours", false), 0);
    forget(c, d, 1);
    (void)contract_close(c);
}

static void
set_id_bits_fall_when_a_file_is_changed(void **state)
{
    struct contract *c = *state;
    uint64_t n, f;

    if (!contract_is_sandboxed())
        return; /* root keeps them */
    host_write(c, "f", "hello");
    n = walk_to(c, NODE_ROOT, "f");
    assert_int_equal(fchmodat(c->root, "f", 06775, 0), 0);
    f = open_write(c, n, 0);
    assert_int_equal(host_stat(c, "f").st_mode & 07777, 06775); /* not by opening it */
    assert_int_equal(write_at(c, f, 0, "J", 1), 1);
    assert_int_equal(host_stat(c, "f").st_mode & 07777, 0775);
    assert_int_equal(fchmodat(c->root, "f", 06775, 0), 0);
    assert_int_equal(truncate_node(c, n, 2), 0);
    assert_int_equal(host_stat(c, "f").st_mode & 07777, 0775);
    assert_int_equal(fchmodat(c->root, "f", 06775, 0), 0);
    close_file(c, f);
    f = open_write(c, n, OPEN_TRUNC);
    assert_int_equal(host_stat(c, "f").st_mode & 07777, 0775);
    close_file(c, f);
    forget(c, n, 1);
}

/* ---- sizes and offsets ------------------------------------------------------------ */

static void
holes_are_zeros_and_take_no_room(void **state)
{
    const uint64_t far = (uint64_t)1 << 32;
    struct contract *c = *state;
    uint64_t n, f;

    host_write(c, "f", "");
    n = walk_to(c, NODE_ROOT, "f");
    f = open_write(c, n, OPEN_READS);
    assert_int_equal(write_at(c, f, far, "end", 3), 3);
    assert_int_equal(attr_of_node(c, n).size, far + 3);
    assert_true(attr_of_node(c, n).blocks < 1000);
    memset(c->client.ch.slab, 'x', 8192);
    assert_int_equal(read_at(c, f, far - 4096, 8192), 4099);
    for (unsigned i = 0; i < 4096; i++)
        assert_int_equal(c->client.ch.slab[i], 0);
    assert_memory_equal(c->client.ch.slab + 4096, "end", 3);
    assert_int_equal(truncate_node(c, n, far * 2), 0);
    assert_int_equal(read_at(c, f, far * 2 - 10, 100), 10);
    assert_int_equal(read_at(c, f, far * 2, 100), 0);
    close_file(c, f);
    forget(c, n, 1);
}

static int
host_truncate(struct contract *c, const char *name, off_t size)
{
    _clean(clean_fd) int fd = openat(c->root, name, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return ftruncate(fd, size) < 0 ? -errno : 0;
}

static void
the_largest_size_is_that_of_the_file_system(void **state)
{
    static const uint64_t sizes[] = {INT64_MAX,
                                     INT64_MAX - 1,
                                     INT64_MAX - 4096,
                                     (uint64_t)1 << 44,
                                     ((uint64_t)1 << 44) - 4096,
                                     ((uint64_t)1 << 43)};
    struct contract *c = *state;
    uint64_t n;

    host_write(c, "host", "");
    host_write(c, "f", "");
    n = walk_to(c, NODE_ROOT, "f");
    for (unsigned i = 0; i < COUNT(sizes); i++)
        assert_int_equal(truncate_node(c, n, sizes[i]), host_truncate(c, "host", (off_t)sizes[i]));
    assert_int_equal(truncate_node(c, n, (uint64_t)INT64_MAX + 1), -EINVAL);
    forget(c, n, 1);
}

static void
appending_files_take_turns(void **state)
{
    struct contract *c = *state;
    uint64_t n, a, b;

    host_write(c, "f", "0");
    n = walk_to(c, NODE_ROOT, "f");
    a = open_write(c, n, OPEN_APPEND);
    b = open_write(c, n, OPEN_APPEND | OPEN_READS);
    for (unsigned i = 0; i < 50; i++) { /* whatever offset a client has in mind */
        assert_int_equal(write_at(c, a, 0, "a", 1), 1);
        assert_int_equal(write_at(c, b, 1000000, "b", 1), 1);
    }
    assert_int_equal(read_at(c, b, 0, 1000), 101);
    assert_memory_equal(c->client.ch.slab, "0ababab", 7);
    close_file(c, a);
    close_file(c, b);
    forget(c, n, 1);
}

/* ---- names ------------------------------------------------------------------------- */

static void
names_of_any_bytes_go_everywhere(void **state)
{
    static const char odd[] = "\xff\xfe\x01 \n\"\\*?\xc3\x28";
    struct contract *c = *state;
    char longest[NAME_LEN_MAX + 1];
    const char *names[] = {odd, longest};

    memset(longest, '\xe9', sizeof(longest));
    longest[NAME_LEN_MAX] = '\0';
    host_mkdir(c, "d");
    for (unsigned i = 0; i < COUNT(names); i++) {
        uint64_t d = walk_to(c, NODE_ROOT, "d"), n;

        assert_int_equal(create_at(c, NODE_ROOT, names[i], OPEN_EXCL), 0);
        assert_int_equal(rename_at(c, NODE_ROOT, names[i], d, names[i]), 0);
        n = walk_to(c, d, names[i]);
        assert_int_equal(faccessat(c->root, names[i], F_OK, 0), -1);
        forget(c, n, 1);
        assert_int_equal(unlink_at(c, d, names[i], false), 0);
        assert_int_equal(mkdir_at(c, d, names[i], 0700), 0);
        assert_int_equal(unlink_at(c, d, names[i], true), 0);
        forget(c, d, 1);
    }
}

static void
special_files_are_names_like_others(void **state)
{
    static const struct {
        const char *name;
        mode_t type;
    } kinds[] = {{"fifo", S_IFIFO}, {"sock", S_IFSOCK}, {"null", S_IFCHR}, {"disk", S_IFBLK}};
    struct contract *c = *state;

    for (unsigned i = 0; i < COUNT(kinds); i++) {
        Postern__V1__OpenReadReq open = POSTERN__V1__OPEN_READ_REQ__INIT;
        Postern__V1__LinkReq link = POSTERN__V1__LINK_REQ__INIT;
        bool device = S_ISCHR(kinds[i].type) || S_ISBLK(kinds[i].type), stays;

        if (device && geteuid() != 0)
            continue;
        assert_int_equal(mknodat(c->root, kinds[i].name, kinds[i].type | 0644, makedev(1, 3)), 0);
        open.node = link.node = walk_to(c, NODE_ROOT, kinds[i].name);
        assert_int_equal(ask_open_read(&c->client, &open, NULL), -ENXIO);
        assert_int_equal(chmod_node(c, open.node, 0600), 0);
        assert_int_equal(truncate_node(c, open.node, 0), -EINVAL);
        assert_int_equal(attr_of_node(c, open.node).mode, kinds[i].type | 0600);
        assert_int_equal(attr_of_node(c, open.node).rdev, device ? makedev(1, 3) : 0);
        link.dir = NODE_ROOT;
        link.name = msg_bytes("l", 1);
        assert_int_equal(ask_link(&c->client, &link, NULL), device ? -EPERM : 0);
        assert_int_equal(unlink_at(c, NODE_ROOT, "l", false), device ? -ENOENT : 0);
        /* Landlock takes the new name of a device for a new device */
        stays = device && contract_is_sandboxed();
        assert_int_equal(rename_at(c, NODE_ROOT, kinds[i].name, NODE_ROOT, "moved"),
                         stays ? -EACCES : 0);
        assert_int_equal(unlink_at(c, NODE_ROOT, stays ? kinds[i].name : "moved", false), 0);
        forget(c, open.node, 1);
    }
}

#define DEEP 5000

static void
a_chain_of_5000_directories_is_walked_and_climbed(void **state)
{
    struct contract *c = contract_open(&(struct contract_options){.node_fds = 64});
    double start = seconds();
    uint64_t at = NODE_ROOT;

    (void)state;
    for (unsigned i = 0; i < DEEP; i++) {
        uint64_t next;

        assert_int_equal(mkdir_at(c, at, "d", 0755), 0);
        next = walk_to(c, at, "d");
        if (at != NODE_ROOT)
            forget(c, at, 1);
        at = next;
    }
    assert_int_equal(create_at(c, at, "f", OPEN_EXCL), 0);
    for (unsigned i = 0; i < DEEP; i++) {
        uint64_t up = parent_of(c, at);

        forget(c, at, 1);
        at = up;
    }
    assert_true(at == NODE_ROOT);
    forget(c, at, 1);
    assert_true(seconds() - start < 60);
    (void)contract_close(c);
}

#define FULL 100000u
#define LINKS 25000u /* names of one file; file systems have limits */

struct full {
    uint8_t *times; /* of "s0" to "s99999" */
    uint64_t cookie;
    unsigned entries;
};

static void
count_reply(struct contract *c, uint32_t bytes, struct full *s)
{
    for (uint32_t at = 0; at < bytes; s->entries++) {
        const struct dirent64 *d = (const void *)(c->client.ch.slab + at);

        if (d->d_name[0] == 's')
            s->times[strtoul(d->d_name + 1, NULL, 10)]++;
        s->cookie = (uint64_t)d->d_off;
        at += d->d_reclen;
    }
}

static void
a_directory_of_100000_is_read_while_it_changes(void **state)
{
    struct contract *c = *state;
    Postern__V1__ReaddirReq req = POSTERN__V1__READDIR_REQ__INIT;
    const Postern__V1__ReaddirRep *rep;
    struct full s = {.times = calloc(FULL, 1)};
    uint32_t bytes;
    unsigned round = 0;
    char name[16], first[16];
    double start;

    assert_non_null(s.times);
    for (unsigned i = 0; i < FULL; i++) {
        (void)snprintf(name, sizeof(name), "s%u", i);
        (void)snprintf(first, sizeof(first), "s%u", i - i % LINKS);
        if (i % LINKS == 0) /* names are what counts, and links are quick to make */
            host_write(c, name, "");
        else
            assert_int_equal(linkat(c->root, first, c->root, name, 0), 0);
    }
    start = seconds();
    req.file = open_read(c, NODE_ROOT);
    req.count = 32768;
    do {
        req.cookie = s.cookie;
        assert_int_equal(ask_readdir(&c->client, &req, &rep), 0);
        bytes = rep->count;
        count_reply(c, bytes, &s);
        for (unsigned i = 0; i < 20; i++) { /* by both sides, new names and old */
            (void)snprintf(name, sizeof(name), "new%u", round++);
            assert_int_equal(i % 2 == 0 ? create_at(c, NODE_ROOT, name, OPEN_EXCL)
                                        : mknodat(c->root, name, S_IFREG | 0600, 0),
                             0);
            (void)snprintf(name, sizeof(name), "new%u", round / 2);
            (void)unlinkat(c->root, name, 0);
        }
    } while (bytes > 0 && round < FULL);
    assert_true(round < FULL); /* what is added does not keep it from ending */
    for (unsigned i = 0; i < FULL; i++)
        assert_int_equal(s.times[i], 1);
    assert_true(seconds() - start < 60);
    close_file(c, req.file);
    free(s.times);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, contract_setup, contract_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_stays_itself_whatever_happens_to_its_name),
        cmocka_unit_test(an_open_file_keeps_its_node_alive_when_fds_are_few),
        CLAIM(a_removed_directory_is_empty_for_good),
        cmocka_unit_test(what_is_made_in_a_setgid_directory_gets_its_group),
        cmocka_unit_test(no_setgid_program_of_a_foreign_group_is_made),
        CLAIM(setgid_and_sticky_can_be_set_on_directories),
        cmocka_unit_test(in_a_sticky_directory_only_the_owner_removes),
        CLAIM(set_id_bits_fall_when_a_file_is_changed),
        CLAIM(holes_are_zeros_and_take_no_room),
        CLAIM(the_largest_size_is_that_of_the_file_system),
        CLAIM(appending_files_take_turns),
        CLAIM(names_of_any_bytes_go_everywhere),
        CLAIM(special_files_are_names_like_others),
        cmocka_unit_test(a_chain_of_5000_directories_is_walked_and_climbed),
        CLAIM(a_directory_of_100000_is_read_while_it_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
