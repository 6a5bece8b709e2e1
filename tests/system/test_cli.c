/*
 * The command line as a person uses it: what it prints, and its exit codes.
 */
#include "tests/lib/test.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/server.h"

/* Run postern with up to four arguments; its output is in "out" and "err". */
static int
postern(struct server *s, const char *a, const char *b, const char *c, const char *d)
{
    const char *args[] = {a, b, c, d, NULL};

    return server_run(s, "postern", args);
}

static void
assert_says(const struct server *s, const char *name, const char *text)
{
    if (strstr(server_text(s, name), text) == NULL)
        fail_msg("\"%s\" is not in:\n%s", text, server_text(s, name));
}

static int
postern_says(struct server *s, const char *out, const char *a, const char *b, const char *c,
             const char *d)
{
    int r = postern(s, a, b, c, d);

    assert_string_equal(server_text(s, "err"), "");
    assert_string_equal(server_text(s, "out"), out);
    return r;
}

static void
files_can_be_listed_read_written_and_looked_at(void **state)
{
    struct server daemon = *(struct server *)*state, *s = *state;

    server_start(&daemon, NULL);
    s->pid = -1;
    assert_int_equal(postern_says(s, "hello.txt\nlink\nsub\n", "ls", s->address, "ro", NULL), 0);
    assert_int_equal(postern_says(s, "", "ls", s->address, "ro/sub", NULL), 0);
    assert_int_equal(postern_says(s, "hello.txt\n", "ls", s->address, "ro/hello.txt", NULL), 0);
    assert_int_equal(postern_says(s, SERVER_HELLO, "cat", s->address, "ro/hello.txt", NULL), 0);
    assert_int_equal(postern(s, "ls", "-l", s->address, "ro"), 0);
    assert_says(s, "out", "-rw-r--r--   1 ");
    assert_says(s, "out", " link -> hello.txt\n");
    assert_says(s, "out", "drwxr-xr-x ");
    assert_int_equal(postern(s, "stat", s->address, "ro/hello.txt", NULL), 0);
    assert_says(s, "out", "mode     0644 -rw-r--r--\n");
    assert_says(s, "out", "size     20\n");
    server_file(s, "from", "put here\n");
    assert_int_equal(postern_says(s, "", "put", s->address, "rw/new", server_path(s, "from")), 0);
    assert_string_equal(server_text(s, "rw/new"), "put here\n");
    server_file(s, "from", "less\n");
    assert_int_equal(postern_says(s, "", "put", s->address, "rw/new", server_path(s, "from")), 0);
    assert_string_equal(server_text(s, "rw/new"), "less\n");
    assert_int_equal(server_stop(&daemon, SIGTERM), 0);
}

#define BIG 5000001u

static uint8_t
pattern(size_t i)
{
    return (uint8_t)(i * 2654435761u >> 13);
}

static void
a_large_file_comes_back_as_it_went(void **state)
{
    struct server daemon = *(struct server *)*state, *s = *state;
    FILE *f = fopen(server_path(s, "big"), "we");

    assert_non_null(f);
    for (size_t i = 0; i < BIG; i++)
        (void)putc(pattern(i), f);
    assert_int_equal(fclose(f), 0);
    server_start(&daemon, NULL);
    assert_int_equal(postern(s, "put", s->address, "rw/big", server_path(s, "big")), 0);
    assert_int_equal(postern(s, "cat", s->address, "rw/big", NULL), 0);
    f = fopen(server_path(s, "out"), "re");
    assert_non_null(f);
    for (size_t i = 0; i < BIG; i++)
        if (getc(f) != pattern(i))
            fail_msg("byte %zu differs", i);
    assert_int_equal(getc(f), EOF);
    (void)fclose(f);
    assert_int_equal(server_stop(&daemon, SIGTERM), 0);
}

static void
failures_have_exit_codes_and_say_why(void **state)
{
    static const struct {
        const char *verb, *path, *says;
    } rows[] = {
        {"cat", "rw/x", "postern: cat rw/x: No such file or directory\n"},
        {"cat", "ro/hello.txt/x", "postern: cat ro/hello.txt/x: Not a directory\n"},
        {"ls", "none", "postern: ls none: "},
        {"put", "ro/x", "postern: put ro/x: Read-only file system\n"},
        {"put", "rw", "postern: put rw: Is a directory\n"},
        {"cat", "ro/sub", "postern: cat ro/sub: "},
    };
    struct server daemon = *(struct server *)*state, *s = *state;

    assert_int_equal(postern(s, "ls", s->address, "ro", NULL), 3);
    assert_says(s, "err", "is the server running?\n");
    assert_int_equal(postern(s, "ls", "somewhere", "ro", NULL), 2);
    assert_says(s, "err", "an address is unix:PATH, tcp:HOST:PORT or vsock:CID:PORT\n");
    server_start(&daemon, NULL);
    server_file(s, "from", "x");
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *from = strcmp(rows[i].verb, "put") == 0 ? server_path(s, "from") : NULL;

        assert_int_equal(postern(s, rows[i].verb, s->address, rows[i].path, from), 1);
        assert_says(s, "err", rows[i].says);
        assert_string_equal(server_text(s, "out"), "");
    }
    assert_int_equal(server_stop(&daemon, SIGTERM), 0);
}

static void
wrong_usage_is_exit_code_2_with_an_example(void **state)
{
    static const char *const rows[][4] = {{"cat"},        {"cat", "unix:/x"}, {"put", "unix:/x"},
                                          {"ls", "-z"},   {"serve"},          {"show"},
                                          {"show", "me"}, {"check"},          {"serve", "--x"}};
    struct server *s = *state;

    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(postern(s, rows[i][0], rows[i][1], rows[i][2], rows[i][3]), 2);
        assert_says(s, "err", "usage: postern ");
        assert_says(s, "err", "  example: ");
    }
    assert_int_equal(postern(s, "wat", NULL, NULL, NULL), 2);
    assert_says(s, "err", "no verb \"wat\"");
}

static void
help_names_every_verb(void **state)
{
    static const char *const verbs[] = {"serve", "export", "check", "explain", "policy", "ls",
                                        "cat",   "put",    "stat",  "show",    "help",   "version"};
    struct server *s = *state;

    assert_int_equal(postern(s, "--help", NULL, NULL, NULL), 0);
    for (size_t i = 0; i < COUNT(verbs); i++) {
        char want[32];

        (void)snprintf(want, sizeof(want), "  %s ", verbs[i]);
        assert_says(s, "out", want);
    }
    for (size_t i = 0; i < COUNT(verbs); i++) {
        assert_int_equal(postern(s, "help", verbs[i], NULL, NULL), 0);
        assert_says(s, "out", "example: ");
    }
    assert_int_equal(postern(s, "--version", NULL, NULL, NULL), 0);
    assert_says(s, "out", "postern ");
}

static void
check_and_serve_run_posternd(void **state)
{
    struct server *s = *state;

    assert_int_equal(postern(s, "check", server_path(s, "policy.conf"), NULL, NULL), 0);
    assert_says(s, "out", "ok: 1 tenant, 2 shares\n");
    assert_int_equal(postern(s, "check", server_path(s, "none.conf"), NULL, NULL), 1);
    assert_int_equal(postern(s, "serve", server_path(s, "none.conf"), NULL, NULL), 1);
    assert_int_equal(postern(s, "export", s->dir, NULL, NULL), 2);
}

static void
show_sandbox_prints_the_rows_of_every_process(void **state)
{
    struct server *s = *state;

    assert_int_equal(postern(s, "show", "sandbox", NULL, NULL), 0);
    assert_says(s, "out", "posternd: ");
    assert_says(s, "out", "  dac_read_search   # ");
    assert_says(s, "out", "  ptrace            # ");
    assert_says(s, "out", "worker");
    assert_says(s, "out", "helper-ro");
    assert_says(s, "out", "helper-rw");
    assert_says(s, "out", "openat");
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, server_setup, server_teardown)
    const struct CMUnitTest tests[] = {
        CASE(files_can_be_listed_read_written_and_looked_at),
        CASE(a_large_file_comes_back_as_it_went),
        CASE(failures_have_exit_codes_and_say_why),
        CASE(wrong_usage_is_exit_code_2_with_an_example),
        CASE(help_names_every_verb),
        CASE(check_and_serve_run_posternd),
        CASE(show_sandbox_prints_the_rows_of_every_process),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
