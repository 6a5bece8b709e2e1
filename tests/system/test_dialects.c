/*
 * 9P2000.u and 9P2000 against a real posternd with its real children.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/legacy.h"
#include "tests/lib/server.h"

#define MSIZE 65536

static const char *const versions[] = {"9P2000.u", "9P2000"};

/* A connection with fid 0 at the root of a share. */
static struct old
guest(const struct server *s, size_t version, const char *share)
{
    struct old o = {.dotu = version == 0};

    assert_int_equal(nc_connect(s->address, &o.c), 0);
    assert_int_equal(nc_version(o.c, MSIZE, versions[version]), 0);
    assert_int_equal(old_attach(&o, 0, share), 0);
    return o;
}

/* The errno of a call, where there is one; the text tells it in 9P2000. */
static void
assert_refused(const struct old *o, int r, int e, const char *text)
{
    assert_int_equal(r, o->dotu ? -e : -EREMOTEIO);
    assert_string_equal(o->error, text);
}

static const char *
rw_path(const struct server *s, const char *name)
{
    static char path[256];

    (void)snprintf(path, sizeof(path), "rw/%s", name);
    return server_path(s, path);
}

static void
a_file_is_made_written_renamed_and_removed(void **state)
{
    const struct server *s = *state;

    for (size_t v = 0; v < COUNT(versions); v++) {
        struct old o = guest(s, v, "rw");
        struct old_stat st;
        struct stat host;
        char buf[64];

        assert_int_equal(old_walk(&o, 0, 1, NULL), 0);
        assert_int_equal(old_create(&o, 1, "file", 0640, OLD_ORDWR, ""), 0);
        assert_int_equal(old_write(&o, 1, 0, "hello", 5), 5);
        assert_int_equal(old_read(&o, 1, 1, buf, sizeof(buf)), 4);
        assert_memory_equal(buf, "ello", 4);
        st = old_stat_blank();
        assert_int_equal(old_wstat(&o, 1, &st), 0); /* fsync */
        st.length = 3;
        st.mtime = 1000000000;
        st.mode = 0600;
        assert_int_equal(old_wstat(&o, 1, &st), 0);
        st = old_stat_blank();
        (void)snprintf(st.name, sizeof(st.name), "renamed");
        assert_int_equal(old_wstat(&o, 1, &st), 0);
        assert_int_equal(stat(rw_path(s, "renamed"), &host), 0);
        assert_int_equal(host.st_size, 3);
        assert_int_equal(host.st_mtime, 1000000000);
        assert_int_equal(host.st_mode, S_IFREG | 0600);
        assert_int_equal(old_stat(&o, 1, &st), 0);
        assert_string_equal(st.name, "renamed");
        assert_int_equal(st.length, 3);
        assert_int_equal(st.mode, 0600);
        assert_int_equal(old_remove(&o, 1), 0);
        assert_int_equal(access(rw_path(s, "renamed"), F_OK), -1);
        assert_refused(&o, old_walk(&o, 0, 1, "renamed"), ENOENT, "No such file or directory");
        nc_close(o.c);
    }
}

static void
a_directory_of_many_names_comes_whole(void **state)
{
    enum { N = 1000 };
    const struct server *s = *state;
    static char buf[MSIZE];

    assert_int_equal(mkdir(rw_path(s, "many"), 0755), 0);
    for (unsigned i = 0; i < N; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "rw/many/%u", i);
        server_file(s, name, "");
    }
    for (size_t v = 0; v < COUNT(versions); v++) {
        struct old o = guest(s, v, "rw");
        bool seen[N] = {false};
        uint64_t offset = 0;
        unsigned found = 0;
        int n;

        assert_int_equal(old_walk(&o, 0, 1, "many"), 0);
        assert_int_equal(old_open(&o, 1, OLD_OREAD), 0);
        while ((n = old_read(&o, 1, offset, buf, v == 0 ? 5000 : MSIZE - 24)) > 0) {
            struct old_stat st;

            for (size_t at = 0; at < (size_t)n; found++) {
                size_t size = old_stat_read((uint8_t *)buf + at, (size_t)n - at, o.dotu, &st);

                assert_true(size > 0);
                at += size;
                assert_false(seen[strtoul(st.name, NULL, 10) % N]);
                seen[strtoul(st.name, NULL, 10) % N] = true;
            }
            offset += (uint64_t)n;
        }
        assert_int_equal(n, 0);
        assert_int_equal(found, N);
        nc_close(o.c);
    }
}

static void
links_and_special_files_are_made_in_dotu(void **state)
{
    const struct server *s = *state;
    struct old o = guest(s, 0, "rw");
    struct old_stat st;
    struct stat host;
    char target[64];

    assert_int_equal(old_walk(&o, 0, 1, NULL), 0);
    assert_int_equal(old_create(&o, 1, "l", OLD_DMSYMLINK | 0777, OLD_OREAD, "../../etc"), 0);
    assert_int_equal(old_stat(&o, 1, &st), 0);
    assert_string_equal(st.extension, "../../etc");
    assert_int_equal(readlink(rw_path(s, "l"), target, sizeof(target)), 9);
    assert_int_equal(old_clunk(&o, 1), 0);
    assert_int_equal(old_walk(&o, 0, 1, NULL), 0);
    assert_int_equal(old_create(&o, 1, "p", OLD_DMNAMEDPIPE | 0600, OLD_OREAD, ""), 0);
    assert_int_equal(stat(rw_path(s, "p"), &host), 0);
    assert_true(S_ISFIFO(host.st_mode));
    assert_int_equal(old_clunk(&o, 1), 0);
    assert_int_equal(old_walk(&o, 0, 1, NULL), 0);
    assert_refused(&o, old_create(&o, 1, "d", OLD_DMDEVICE | 0600, OLD_OREAD, "c 1 3"), EPERM,
                   "Operation not permitted");
    assert_int_equal(old_create(&o, 1, "dir", OLD_DMDIR | 0755, OLD_OREAD, ""), 0);
    assert_int_equal(old_read(&o, 1, 0, target, sizeof(target)), 0);
    nc_close(o.c);
}

/* What the helper knows the file by is the last name that anybody walked by. */
static void
a_file_of_two_names_loses_the_right_one(void **state)
{
    const struct server *s = *state;
    struct old o = guest(s, 0, "rw"), other = guest(s, 1, "rw");
    char link[16];

    assert_int_equal(old_walk(&o, 0, 1, NULL), 0);
    assert_int_equal(old_create(&o, 1, "one", 0644, OLD_OWRITE, ""), 0);
    assert_int_equal(old_clunk(&o, 1), 0);
    assert_int_equal(old_walk(&o, 0, 1, "one"), 0);
    assert_int_equal(old_walk(&o, 0, 2, NULL), 0);
    (void)snprintf(link, sizeof(link), "%u\n", 1u);
    assert_int_equal(old_create(&o, 2, "two", OLD_DMLINK | 0644, OLD_OREAD, link), 0);
    assert_int_equal(old_walk(&other, 0, 1, "two"), 0);
    assert_int_equal(old_remove(&o, 1), 0);
    assert_int_equal(access(rw_path(s, "one"), F_OK), -1);
    assert_int_equal(access(rw_path(s, "two"), F_OK), 0);
    assert_int_equal(old_remove(&other, 1), 0);
    assert_int_equal(access(rw_path(s, "two"), F_OK), -1);
    nc_close(o.c);
    nc_close(other.c);
}

static void
no_mode_byte_changes_a_read_only_share(void **state)
{
    const struct server *s = *state;
    struct stat before, after;

    assert_int_equal(stat(server_path(s, "ro/hello.txt"), &before), 0);
    for (size_t v = 0; v < COUNT(versions); v++) {
        struct old o = guest(s, v, "ro");
        struct old_stat st = old_stat_blank();

        for (unsigned mode = 0; mode < 256; mode++) {
            int r;

            assert_int_equal(old_walk(&o, 0, 1, "hello.txt"), 0);
            r = old_open(&o, 1, (uint8_t)mode);
            if ((mode & 3) == OLD_OWRITE || (mode & 3) == OLD_ORDWR || (mode & 0xd0) != 0)
                assert_refused(&o, r, EROFS, "Read-only file system");
            assert_refused(&o, old_create(&o, 1, "new", 0644, (uint8_t)mode, ""), EROFS,
                           "Read-only file system");
            assert_int_equal(old_clunk(&o, 1), 0);
        }
        assert_int_equal(old_walk(&o, 0, 1, "hello.txt"), 0);
        assert_int_equal(old_wstat(&o, 1, &st), 0);
        st.length = 0;
        assert_refused(&o, old_wstat(&o, 1, &st), EROFS, "Read-only file system");
        assert_refused(&o, old_remove(&o, 1), EROFS, "Read-only file system");
        nc_close(o.c);
    }
    assert_int_equal(stat(server_path(s, "ro/hello.txt"), &after), 0);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_string_equal(server_text(s, "ro/hello.txt"), SERVER_HELLO);
}

static void
the_three_dialects_are_served_side_by_side(void **state)
{
    const struct server *s = *state;
    struct old u = guest(s, 0, "rw"), plain = guest(s, 1, "rw");
    struct nc *l = server_attach(s, "rw");
    const char *name = "shared";
    char buf[16];
    size_t n = 0;

    assert_int_equal(old_walk(&u, 0, 1, NULL), 0);
    assert_int_equal(old_create(&u, 1, name, 0644, OLD_ORDWR, ""), 0);
    assert_int_equal(old_write(&u, 1, 0, "u", 1), 1);
    assert_int_equal(nc_walk(l, 0, 1, 1, &name, NULL, &n), 0);
    assert_int_equal(nc_lopen(l, 1, 2, NULL, NULL), 0);
    assert_int_equal(nc_write(l, 1, 1, "l", 1), 1);
    assert_int_equal(old_walk(&plain, 0, 1, name), 0);
    assert_int_equal(old_open(&plain, 1, OLD_OREAD), 0);
    assert_int_equal(old_read(&plain, 1, 0, buf, sizeof(buf)), 2);
    assert_memory_equal(buf, "ul", 2);
    nc_close(u.c);
    nc_close(plain.c);
    nc_close(l);
}

#define T(name) cmocka_unit_test_setup_teardown(name, server_setup_started, server_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_file_is_made_written_renamed_and_removed),
        T(a_directory_of_many_names_comes_whole),
        T(links_and_special_files_are_made_in_dotu),
        T(a_file_of_two_names_loses_the_right_one),
        T(no_mode_byte_changes_a_read_only_share),
        T(the_three_dialects_are_served_side_by_side),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
