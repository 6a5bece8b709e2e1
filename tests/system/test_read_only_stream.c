/*
 * A guest that sends anything: a hundred thousand random requests of each
 * dialect at a read-only share, with fids of a writable share among them.
 * Afterwards the read-only tree is what it was: names, contents, sizes, modes,
 * owners, all four times, extended attributes.
 *
 * SEED=N repeats a stream.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/legacy.h"
#include "tests/lib/random.h"
#include "tests/lib/server.h"
#include "tests/lib/tree.h"

#define REQUESTS 100000u
#define WINDOW 64u /* requests without an answer */
#define MSIZE 8192u
#define FIDS 8u

/* --- random requests -------------------------------------------------------------- */

static uint64_t seed;

static uint32_t
any(uint32_t below)
{
    return random_below(&seed, below);
}

/*
 * What follows the head of each T-message: f a fid, s a name, w names of a
 * walk, 1 2 4 8 a number of so many bytes, d data with its length, t a stat.
 */
struct form {
    uint8_t type;
    const char *body;
};
static const struct form forms_l[] = {
    {8, "f"},    {12, "f4"},   {14, "fs444"},      {16, "fss4"}, {18, "fs4444"}, {20, "ffs"},
    {22, "f"},   {24, "f8"},   {26, "f444488888"}, {30, "ffs"},  {32, "fs84"},   {40, "f8c"},
    {50, "f4"},  {52, "fl"},   {54, "f1884s"},     {70, "ffs"},  {72, "fs44"},   {74, "fsfs"},
    {76, "fs4"}, {108, "2"},   {110, "ffw"},       {116, "f8c"}, {118, "f8d"},   {120, "f"},
    {122, "f"},  {110, "ffw"}, {110, "ffw"},       {12, "fo"},   {12, "fo"},
};
static const struct form forms_old[] = {
    {108, "2"},  {110, "ffw"},   {110, "ffw"}, {110, "ffw"}, {112, "f1"},
    {112, "f1"}, {114, "fs41e"}, {116, "f8c"}, {118, "f8d"}, {120, "f"},
    {122, "f"},  {124, "f"},     {126, "ft"},  {126, "ft"},
};

struct pen {
    uint8_t buf[MSIZE];
    size_t n;
    bool dotu;
};

static void
put(struct pen *p, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        p->buf[p->n++] = (uint8_t)(v >> (8 * i));
}

static uint64_t
number(unsigned bytes)
{
    static const uint64_t some[] = {0,       1,          2,        3,          0100,
                                    01000,   02000,      04000,    0644,       04755,
                                    0100644, 0xffffffff, 1u << 31, 1ull << 62, UINT64_MAX};

    if (any(3) == 0)
        return bytes == 8 ? (uint64_t)any(UINT32_MAX) << 8 : any(UINT32_MAX);
    return some[any(COUNT(some))];
}

static void
put_string(struct pen *p, const char *s)
{
    size_t n = strlen(s);

    put(p, n, 2);
    memcpy(p->buf + p->n, s, n);
    p->n += n;
}

static const char *
name(void)
{
    static const char *const some[] = {"hello.txt",
                                       "sub",
                                       "link",
                                       "inner",
                                       "fifo",
                                       "new",
                                       "newer",
                                       "..",
                                       "",
                                       "a/b",
                                       "user.a",
                                       "user.tag",
                                       "user.virtfs.uid",
                                       "system.posix_acl_access",
                                       "system.posix_acl_default",
                                       "security.capability"};

    return some[any(COUNT(some))];
}

static void
put_stat(struct pen *p)
{
    struct old_stat st = old_stat_blank();
    size_t at = p->n;

    if (any(3) == 0)
        st.mode = (uint32_t)number(4);
    if (any(3) == 0)
        st.length = number(8);
    if (any(3) == 0)
        st.mtime = (uint32_t)number(4);
    if (any(3) == 0)
        (void)snprintf(st.name, sizeof(st.name), "%s", name());
    p->n += 2;
    p->n += old_stat_write(&st, p->dotu, p->buf + p->n, 512);
    p->buf[at] = (uint8_t)(p->n - at - 2);
    p->buf[at + 1] = (uint8_t)((p->n - at - 2) >> 8);
}

static void
put_field(struct pen *p, char what)
{
    uint32_t n;

    switch (what) {
    case 'f':
        put(p, any(FIDS), 4);
        break;
    case 's':
        put_string(p, name());
        break;
    case 'w':
        n = any(3);
        put(p, n, 2);
        for (; n > 0; n--)
            put_string(p, name());
        break;
    case 'd':
        n = any(64);
        put(p, n, 4);
        memset(p->buf + p->n, 'x', n);
        p->n += n;
        break;
    case 'c': /* a count that leaves room for others */
        put(p, any(4096), 4);
        break;
    case 'o': /* to read */
        put(p, 0, 4);
        break;
    case 'e': /* the extension of Tcreate */
        if (p->dotu)
            put_string(p, name());
        break;
    case 'l': /* a lock that does not wait */
        put(p, any(3), 1);
        put(p, 0, 4);
        put(p, any(100), 8);
        put(p, any(100), 8);
        put(p, any(4), 4);
        put_string(p, "client");
        break;
    case 't':
        put_stat(p);
        break;
    default:
        put(p, number((unsigned)(what - '0')), (unsigned)(what - '0'));
        break;
    }
}

/* --- a connection that keeps a window of them under way ------------------------------ */

struct guest {
    int fd;
    struct pen out;
    uint32_t waiting; /* requests without an answer */
    bool busy[WINDOW];
    uint16_t flushes[WINDOW]; /* Tflush: whose */
};

static void
send_out(struct guest *g)
{
    const size_t n = g->out.n;

    g->out.buf[0] = (uint8_t)n;
    g->out.buf[1] = (uint8_t)(n >> 8);
    g->out.buf[2] = g->out.buf[3] = 0;
    assert_int_equal(send(g->fd, g->out.buf, n, MSG_NOSIGNAL), n);
}

static void
begin(struct guest *g, uint8_t type, uint16_t tag)
{
    g->out.n = 4;
    put(&g->out, type, 1);
    put(&g->out, tag, 2);
}

static uint32_t
le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The next answer: its tag; *ret_type. What we send may be refused for many reasons,
 * but is never malformed. */
static uint16_t
take(struct guest *g, uint8_t *ret_type)
{
    static uint8_t in[MSIZE];
    uint32_t size;

    assert_int_equal(recv(g->fd, in, 4, MSG_WAITALL), 4);
    size = le32(in);
    assert_in_range(size, 7, MSIZE);
    assert_int_equal(recv(g->fd, in + 4, size - 4, MSG_WAITALL), size - 4);
    *ret_type = in[4];
    if (in[4] == 7 || (in[4] == 107 && g->out.dotu))
        assert_int_not_equal(le32(in + size - 4), EPROTO);
    return (uint16_t)(in[5] | in[6] << 8);
}

static void
settled(struct guest *g, uint16_t tag)
{
    if (tag < WINDOW && g->busy[tag]) {
        g->busy[tag] = false;
        g->waiting--;
    }
}

static unsigned done_well; /* requests that were not refused */

static void
await(struct guest *g)
{
    uint8_t type;
    uint16_t tag = take(g, &type);

    done_well += type != 7 && type != 107;
    assert_true(tag < WINDOW && g->busy[tag]);
    if (type == 109) /* Rflush: of what it names nothing more comes */
        settled(g, g->flushes[tag]);
    settled(g, tag);
}

/* A tag is taken as long as a Tflush of it has no answer. */
static bool
tag_free(const struct guest *g, uint16_t tag)
{
    for (unsigned i = 0; i < WINDOW; i++)
        if (g->busy[i] && (i == tag || g->flushes[i] == tag))
            return false;
    return true;
}

static void
ask(struct guest *g, const struct form *form)
{
    uint16_t tag = 0;

    while (g->waiting >= WINDOW / 3)
        await(g);
    while (!tag_free(g, tag))
        tag++;
    begin(g, form->type, tag);
    g->flushes[tag] = UINT16_MAX;
    for (const char *f = form->body; *f != '\0'; f++)
        put_field(&g->out, *f);
    if (form->type == 108) {
        g->flushes[tag] = (uint16_t)any(WINDOW);
        g->out.buf[7] = (uint8_t)g->flushes[tag];
        g->out.buf[8] = 0;
        if (g->flushes[tag] == tag)
            g->flushes[tag] = UINT16_MAX;
    }
    g->busy[tag] = true;
    g->waiting++;
    send_out(g);
}

/* One message, answered. */
static void
must(struct guest *g)
{
    uint8_t type;

    send_out(g);
    (void)take(g, &type);
    assert_int_equal(type, g->out.buf[4] + 1);
}

static void
attach(struct guest *g, uint32_t fid, const char *share, bool numbers)
{
    begin(g, 104, 0);
    put(&g->out, fid, 4);
    put(&g->out, UINT32_MAX, 4);
    put_string(&g->out, "");
    put_string(&g->out, share);
    if (numbers)
        put(&g->out, 0, 4);
    must(g);
}

static void
connect_to(struct guest *g, const struct server *s, const char *version)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const bool numbers = strcmp(version, "9P2000") != 0;

    *g = (struct guest){.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
                        .out = {.dotu = strcmp(version, "9P2000.u") == 0}};
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", server_path(s, "sock"));
    assert_int_equal(connect(g->fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    begin(g, 100, UINT16_MAX);
    put(&g->out, MSIZE, 4);
    put_string(&g->out, version);
    must(g);
    attach(g, 0, "ro", numbers);
    attach(g, 1, "rw", numbers);
    attach(g, 2, "rw;ro", numbers);
}

/* Fid 0 may be lost to a Tclunk or a Tremove, so it is made anew now and then. */
static void
stream(const struct server *s, const char *version, const struct form *forms, size_t nforms)
{
    struct guest g;

    for (unsigned done = 0; done < REQUESTS;) {
        connect_to(&g, s, version);
        for (unsigned i = 0; i < 500; i++, done++)
            ask(&g, &forms[any((uint32_t)nforms)]);
        while (g.waiting > 0)
            await(&g);
        close(g.fd);
    }
}

/* Whatever a tree can have. An ACL is not for every file system. */
static void
furnish(const struct server *s)
{
    static const uint8_t acl[] = {2, 0, 0,   0,   1,   0,   7,  0, 255, 255, 255, 255, 2,   0,  5,
                                  0, 1, 0,   0,   0,   4,   0,  5, 0,   255, 255, 255, 255, 16, 0,
                                  5, 0, 255, 255, 255, 255, 32, 0, 5,   0,   255, 255, 255, 255};
    const char *file = server_path(s, "ro/hello.txt");

    server_file(s, "ro/sub/inner", "inner");
    assert_int_equal(mkfifo(server_path(s, "ro/fifo"), 0666), 0);
    (void)setxattr(file, "user.tag", "kept", 4, 0);
    (void)setxattr(file, "system.posix_acl_access", acl, sizeof(acl), 0);
    (void)setxattr(server_path(s, "ro/sub"), "system.posix_acl_default", acl, sizeof(acl), 0);
    server_file(s, "policy.conf",
                "tenant \"t\" {\n"
                "    listen \"unix:@/sock\" { protocol = 9p }\n"
                "    share \"ro\" { path = \"@/ro\" access = read-only\n"
                "                 xattrs = { user, acl, capability } }\n"
                "    share \"rw\" { path = \"@/rw\" access = read-write\n"
                "                 xattrs = { user, acl } }\n"
                "}\n");
}

/* An access time before the last change is one that the next reader moves,
 * where it can. */
static void
age(const struct server *s)
{
    static const char *const all[] = {"ro",           "ro/hello.txt", "ro/sub",
                                      "ro/sub/inner", "ro/link",      "ro/fifo"};
    static const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_nsec = UTIME_OMIT}};

    for (size_t i = 0; i < COUNT(all); i++)
        assert_int_equal(utimensat(AT_FDCWD, server_path(s, all[i]), old, AT_SYMLINK_NOFOLLOW), 0);
}

static void
nothing_that_a_guest_sends_changes_a_read_only_tree(void **state)
{
    static const char *const versions[] = {"9P2000.L", "9P2000.u", "9P2000"};
    struct server s;
    char *before;

    (void)state;
    seed = random_seed();
    server_init(&s, false);
    furnish(&s);
    age(&s);
    before = tree_of(server_path(&s, "ro"));
    server_start(&s, NULL);
    for (unsigned i = 0; i < COUNT(versions); i++)
        stream(&s, versions[i], i == 0 ? forms_l : forms_old,
               i == 0 ? COUNT(forms_l) : COUNT(forms_old));
    tree_assert_same(server_path(&s, "ro"), before);
    print_message("%u of %u were not refused\n", done_well, 3 * REQUESTS);
    assert_true(done_well > REQUESTS / 20); /* the stream is no mere noise */
    assert_int_equal(server_stop(&s, SIGTERM), 0);
    server_done(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_that_a_guest_sends_changes_a_read_only_tree),
    };

    return cmocka_run_group_tests_name("a read-only share and any stream", tests, NULL, NULL);
}
