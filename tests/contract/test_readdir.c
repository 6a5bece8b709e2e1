/*
 * Listing directories: READDIR.
 */
#include "tests/lib/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/contract.h"

#define MANY 5000

static int
readdir_status(struct contract *c, uint64_t file, uint64_t cookie, uint32_t count,
               const Postern__V1__ReaddirRep **rep)
{
    Postern__V1__ReaddirReq req = POSTERN__V1__READDIR_REQ__INIT;

    req.file = file;
    req.cookie = cookie;
    req.count = count;
    return ask_readdir(&c->client, &req, rep);
}

/* Hand every entry of one reply to each(); the last cookie, or 0 at the end. */
static uint64_t
list_some(struct contract *c, uint64_t file, uint64_t cookie, uint32_t count,
          void (*each)(const struct dirent64 *d, void *ctx), void *ctx)
{
    const Postern__V1__ReaddirRep *rep;
    uint64_t last = 0;

    assert_int_equal(readdir_status(c, file, cookie, count, &rep), 0);
    assert_true(rep->count <= count);
    for (uint32_t at = 0; at < rep->count;) {
        struct dirent64 d;
        uint32_t left = rep->count - at;

        assert_true(left > offsetof(struct dirent64, d_name));
        memcpy(&d, c->client.ch.slab + at, left < sizeof(d) ? left : sizeof(d));
        assert_true(d.d_reclen <= left);
        assert_non_null(memchr(d.d_name, '\0', d.d_reclen - offsetof(struct dirent64, d_name)));
        each(&d, ctx);
        last = (uint64_t)d.d_off;
        at += d.d_reclen;
    }
    return last;
}

struct seen {
    unsigned times[MANY]; /* of the names "e0" to "e4999" */
    unsigned others, dots;
    unsigned left; /* stop being called after so many; list_n() */
    uint64_t cookie;
};

static void
count_entry(const struct dirent64 *d, void *ctx)
{
    unsigned long i = strtoul(d->d_name + 1, NULL, 10);
    struct seen *s = ctx;

    if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
        s->dots++;
    else if (d->d_name[0] == 'e' && i < MANY)
        s->times[i]++;
    else
        s->others++;
}

static void
make_many(struct contract *c, unsigned from, unsigned to)
{
    char name[16];

    for (unsigned i = from; i < to; i++) {
        (void)snprintf(name, sizeof(name), "e%u", i);
        host_write(c, name, "");
    }
}

static void
every_entry_of_5000_comes_once_at_every_reply_size(void **state)
{
    static const uint32_t sizes[] = {32, 300, 4096, 65536, 1u << 20};
    struct contract *c = *state;
    struct seen *s = malloc(sizeof(*s));
    uint64_t f;

    assert_non_null(s);
    make_many(c, 0, MANY);
    f = open_read(c, NODE_ROOT);
    for (unsigned k = 0; k < COUNT(sizes); k++) {
        uint64_t cookie = 0;

        memset(s, 0, sizeof(*s));
        while ((cookie = list_some(c, f, cookie, sizes[k], count_entry, s)) != 0)
            ;
        assert_int_equal(s->others, 0);
        assert_int_equal(s->dots, 2);
        for (unsigned i = 0; i < MANY; i++)
            assert_int_equal(s->times[i], 1);
    }
    close_file(c, f);
    free(s);
}

static void
entries_that_stay_come_once_while_others_come_and_go(void **state)
{
    struct contract *c = *state;
    struct seen *s = calloc(1, sizeof(*s));
    uint64_t f, cookie = 0;
    unsigned round = 0;
    char name[24];

    assert_non_null(s);
    make_many(c, 0, 2000);
    f = open_read(c, NODE_ROOT);
    while ((cookie = list_some(c, f, cookie, 1500, count_entry, s)) != 0) {
        (void)snprintf(name, sizeof(name), "e%u", 1999 - round % 1000);
        (void)unlinkat(c->root, name, 0);
        (void)snprintf(name, sizeof(name), "new%u", round++);
        host_write(c, name, "");
    }
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(s->times[i], 1);
    for (unsigned i = 1000; i < 2000; i++)
        assert_true(s->times[i] <= 1);
    close_file(c, f);
    free(s);
}

static void
remember_cookie(const struct dirent64 *d, void *ctx)
{
    struct seen *s = ctx;

    if (s->left > 0) {
        s->left--;
        s->cookie = (uint64_t)d->d_off;
        count_entry(d, ctx);
    }
}

static void
any_cookie_continues_after_its_entry_in_any_order(void **state)
{
    struct contract *c = *state;
    struct seen *a = calloc(1, sizeof(*a)), *b = calloc(1, sizeof(*b));
    uint64_t f, cookie;

    assert_non_null(a);
    assert_non_null(b);
    make_many(c, 0, 300);
    f = open_read(c, NODE_ROOT);
    a->left = 100;
    (void)list_some(c, f, 0, 65536, remember_cookie, a);
    (void)list_some(c, f, 0, 1000, count_entry, b); /* the position is elsewhere now */
    cookie = a->cookie;
    while ((cookie = list_some(c, f, cookie, 777, count_entry, a)) != 0)
        ;
    for (unsigned i = 0; i < 300; i++)
        assert_int_equal(a->times[i], 1);
    close_file(c, f);
    free(a);
    free(b);
}

struct types {
    unsigned char of[4]; /* dir, file, link, fifo */
    ino_t ino;           /* of "file" */
};

static void
note_type(const struct dirent64 *d, void *ctx)
{
    static const char *const names[] = {"dir", "file", "link", "fifo"};
    struct types *t = ctx;

    for (unsigned i = 0; i < COUNT(names); i++)
        if (strcmp(d->d_name, names[i]) == 0)
            t->of[i] = d->d_type;
    if (strcmp(d->d_name, "file") == 0)
        t->ino = (ino_t)d->d_ino;
}

static void
entries_have_their_type_and_number(void **state)
{
    struct contract *c = *state;
    struct types t = {0};
    struct stat st;
    uint64_t f;

    host_mkdir(c, "dir");
    host_write(c, "file", "");
    assert_int_equal(symlinkat("x", c->root, "link"), 0);
    assert_int_equal(mkfifoat(c->root, "fifo", 0644), 0);
    f = open_read(c, NODE_ROOT);
    (void)list_some(c, f, 0, 4096, note_type, &t);
    assert_int_equal(t.of[0], DT_DIR);
    assert_int_equal(t.of[1], DT_REG);
    assert_int_equal(t.of[2], DT_LNK);
    assert_int_equal(t.of[3], DT_FIFO);
    assert_int_equal(fstatat(c->root, "file", &st, 0), 0);
    assert_int_equal(t.ino, st.st_ino);
    close_file(c, f);
}

struct dots {
    uint64_t self, above;
    unsigned n;
};

static void
note_dots(const struct dirent64 *d, void *ctx)
{
    struct dots *t = ctx;

    t->n++;
    if (strcmp(d->d_name, ".") == 0)
        t->self = d->d_ino;
    else if (strcmp(d->d_name, "..") == 0)
        t->above = d->d_ino;
}

static void
the_root_shows_nothing_of_what_is_above_it(void **state)
{
    struct contract *c = *state;
    struct dots t = {0};
    struct stat st;
    uint64_t f, d;

    assert_int_equal(fstat(c->root, &st), 0);
    f = open_read(c, NODE_ROOT);
    (void)list_some(c, f, 0, 4096, note_dots, &t);
    assert_int_equal(t.n, 2);
    assert_int_equal(t.self, st.st_ino);
    assert_int_equal(t.above, st.st_ino);
    close_file(c, f);
    host_mkdir(c, "d");
    d = walk_to(c, NODE_ROOT, "d");
    f = open_read(c, d);
    (void)list_some(c, f, 0, 4096, note_dots, &t);
    assert_int_not_equal(t.self, st.st_ino);
    assert_int_equal(t.above, st.st_ino);
    close_file(c, f);
    forget(c, d, 1);
}

static void
what_comes_after_the_end_is_seen_from_the_start_again(void **state)
{
    struct contract *c = *state;
    struct seen *s = calloc(1, sizeof(*s));
    uint64_t f = open_read(c, NODE_ROOT), end;

    assert_non_null(s);
    end = list_some(c, f, 0, 4096, count_entry, s);
    assert_int_equal(list_some(c, f, end, 4096, count_entry, s), 0);
    assert_int_equal(s->dots, 2);
    make_many(c, 0, 1);
    (void)list_some(c, f, 0, 4096, count_entry, s);
    assert_int_equal(s->dots, 4);
    assert_int_equal(s->times[0], 1);
    close_file(c, f);
    free(s);
}

static void
what_cannot_be_listed_is_refused(void **state)
{
    struct contract *c = *state;
    uint64_t n, f;

    host_write(c, "f", "x");
    n = walk_to(c, NODE_ROOT, "f");
    f = open_read(c, n);
    assert_int_equal(readdir_status(c, f, 0, 4096, NULL), -ENOTDIR);
    close_file(c, f);
    assert_int_equal(readdir_status(c, f, 0, 4096, NULL), -EBADF);
    forget(c, n, 1);
    f = open_read(c, NODE_ROOT);
    assert_int_equal(readdir_status(c, f, UINT64_MAX, 4096, NULL), -EINVAL);
    assert_int_equal(readdir_status(c, f, 0, 10, NULL), -EINVAL); /* no record fits */
    close_file(c, f);
}

#define CLAIM(f) cmocka_unit_test_setup_teardown(f, contract_setup, contract_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        CLAIM(every_entry_of_5000_comes_once_at_every_reply_size),
        CLAIM(entries_that_stay_come_once_while_others_come_and_go),
        CLAIM(any_cookie_continues_after_its_entry_in_any_order),
        CLAIM(entries_have_their_type_and_number),
        CLAIM(the_root_shows_nothing_of_what_is_above_it),
        CLAIM(what_comes_after_the_end_is_seen_from_the_start_again),
        CLAIM(what_cannot_be_listed_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
