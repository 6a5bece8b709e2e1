/*
 * Names that a server sent, shown on a terminal: nothing in them steers it.
 */
#include "tests/lib/test.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/cli.h"

#define ROW(in, out) in, sizeof(in) - 1, out
static const struct {
    const char *in;
    size_t n;
    const char *out;
} rows[] = {
    {ROW("plain name.txt", "plain name.txt")},
    {ROW("", "")},
    {ROW("a\nb", "a\\012b")},
    {ROW("\x1b[31mred", "\\033[31mred")},
    {ROW("back\\slash", "back\\\\slash")},
    {ROW("nul\0byte", "nul\\000byte")},
    {ROW("\x7f", "\\177")},
    {ROW("c1 \xc2\x9b", "c1 \\302\\233")}, /* a control sequence begins so in UTF-8 too */
    {ROW("\xff\xfe", "\\377\\376")},
    {ROW("cut \xc3", "cut \\303")},
};

static void
bytes_that_steer_a_terminal_are_escaped(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char *text = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&text, &n);

        assert_non_null(f);
        print_escaped(f, rows[i].in, rows[i].n);
        assert_int_equal(fclose(f), 0);
        assert_string_equal(text, rows[i].out);
        free(text);
    }
}

static void
letters_of_any_language_are_not(void **state)
{
    static const char name[] = "gr\xc3\xbc\xc3\x9f";
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    (void)state;
    assert_non_null(f);
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    print_escaped(f, name, sizeof(name) - 1);
    assert_int_equal(fclose(f), 0);
    assert_string_equal(text, name);
    free(text);
    bytes_that_steer_a_terminal_are_escaped(NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_steer_a_terminal_are_escaped),
        cmocka_unit_test(letters_of_any_language_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
