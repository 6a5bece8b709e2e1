/*
 * Tables and JSON of whatever a server may send: rows stay rows, types stay
 * types, and no byte steers a terminal.
 */
#include "tests/lib/test.h"

#include <locale.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "control/table.h"

struct thing {
    const char *name;
    uint64_t n;
    bool flag, unknown;
    char *words[3];
    size_t nwords;
};

static const struct column columns[] = {
    {"name", CELL_TEXT, false},    {"count", CELL_NUMBER, false}, {"some_bytes", CELL_BYTES, false},
    {"since", CELL_SECONDS, true}, {"flag", CELL_BOOL, true},     {"words", CELL_LIST, false},
};

static void
thing_cells(const void *item, struct cell *cells)
{
    const struct thing *t = item;

    cells[0].text = t->name;
    cells[1].number = t->n;
    cells[2].number = t->n;
    cells[2].none = t->unknown;
    cells[3].number = t->n;
    cells[4].number = t->flag;
    cells[5].list = t->words;
    cells[5].n = t->nwords;
}

static const struct table_def def = {"things", columns, COUNT(columns), thing_cells};

static char *
printed(const struct thing *t, size_t n, const struct table_style *style)
{
    const void *items[8];
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    assert_non_null(f);
    assert_true(n <= COUNT(items));
    for (size_t i = 0; i < n; i++)
        items[i] = &t[i];
    assert_int_equal(table_print(f, &def, items, n, style), 0);
    assert_int_equal(fclose(f), 0);
    return text;
}

static char word_a[] = "a b", word_b[] = "c\nd", word_odd[] = "\xff";
static const struct thing things[] = {
    {.name = "one", .n = 1536, .flag = true, .words = {word_a, word_b}, .nwords = 2},
    {.name = "tw\033[2Jo\n\"x\\", .n = 3, .unknown = true},
    {.name = NULL, .n = UINT64_MAX},
};

static void
a_row_is_a_line_whatever_is_in_it(void **state)
{
    const struct table_style style = {0};
    char *text = printed(things, 3, &style);

    (void)state;
    assert_string_equal(text, "NAME                              COUNT  SOME WORDS\n"
                              "one                                1536  1.5K a b c\\012d\n"
                              "tw\\033[2Jo\\012\"x\\\\                    3     - \n"
                              "-                  18446744073709551615 15.9E \n");
    free(text);
}

static void
columns_can_be_chosen_and_put_in_order(void **state)
{
    const struct table_style style = {.columns = "flag,name,flag", .no_headings = true};
    const struct table_style all = {.columns = "since", .one_a_line = true};
    char *text = printed(things, 1, &style);
    size_t n = 0;

    (void)state;
    assert_string_equal(text, "yes one\n");
    free(text);
    text = printed(things, 2, &all);
    assert_string_equal(text, "since        25m36s\n\nsince        3s\n");
    free(text);
    assert_null(table_unknown(&def, "name,count", &n));
    assert_string_equal(table_unknown(&def, "name,wat,count", &n), "wat,count");
    assert_int_equal(n, 3);
    assert_string_equal(table_unknown(&def, "", &n), "");
    assert_string_equal(table_unknown(&def, "name,", &n), "");
}

static void
json_keeps_types_and_is_ascii(void **state)
{
    const struct table_style style = {.json = true};
    char *text = printed(things, 3, &style);
    json_t *all = json_loads(text, 0, NULL), *row;

    (void)state;
    for (const char *s = text; *s != '\0'; s++)
        assert_true(*s == '\n' || (*s >= 0x20 && *s < 0x7f));
    row = json_array_get(json_object_get(all, "things"), 0);
    assert_int_equal(json_array_size(json_object_get(all, "things")), 3);
    assert_int_equal(json_integer_value(json_object_get(row, "count")), 1536);
    assert_true(json_is_true(json_object_get(row, "flag")));
    assert_int_equal(json_array_size(json_object_get(row, "words")), 2);
    assert_null(json_object_get(row, "escaped"));
    row = json_array_get(json_object_get(all, "things"), 1);
    assert_string_equal(json_string_value(json_object_get(row, "name")), things[1].name);
    assert_true(json_is_null(json_object_get(row, "some_bytes")));
    row = json_array_get(json_object_get(all, "things"), 2);
    assert_true(json_is_null(json_object_get(row, "name")));
    assert_int_equal(json_integer_value(json_object_get(row, "count")), INT64_MAX);
    json_decref(all);
    free(text);
}

static void
what_is_not_utf8_is_escaped_and_said_to_be(void **state)
{
    const struct thing odd[] = {
        {.name = "a\\b\xff\n", .words = {word_odd, word_a}, .nwords = 2},
        {.name = "a\\b", .words = {word_a}, .nwords = 1},
    };
    const struct table_style style = {.json = true, .columns = "name,words"};
    char *text = printed(odd, 2, &style);
    json_t *all = json_loads(text, 0, NULL), *row;

    (void)state;
    row = json_array_get(json_object_get(all, "things"), 0);
    assert_string_equal(json_string_value(json_object_get(row, "name")), "a\\\\b\\377\\012");
    assert_int_equal(json_array_size(json_object_get(row, "escaped")), 2);
    row = json_array_get(json_object_get(all, "things"), 1);
    assert_string_equal(json_string_value(json_object_get(row, "name")), "a\\b");
    assert_null(json_object_get(row, "escaped"));
    json_decref(all);
    free(text);
}

static void
no_rows_are_an_empty_array_and_no_text(void **state)
{
    const struct table_style json = {.json = true}, plain = {0};
    char *text = printed(NULL, 0, &json);

    (void)state;
    assert_string_equal(text, "{\n  \"things\": []\n}\n");
    free(text);
    text = printed(NULL, 0, &plain);
    assert_string_equal(text, "");
    free(text);
}

/* Also where letters are more than one byte, or none at all. */
static void
every_byte_ends_in_either_locale(void **state)
{
    static const char *const locales[] = {"C", "C.UTF-8"};
    const struct table_style plain = {0};
    char name[] = "x\xc3\xa4\xe6\xbc\xa2y";
    const struct thing wide = {.name = name};

    (void)state;
    for (size_t i = 0; i < COUNT(locales); i++) {
        assert_non_null(setlocale(LC_CTYPE, locales[i]));
        for (unsigned c = 1; c < 256; c++) {
            char *text;

            name[0] = (char)c;
            text = printed(&wide, 1, &plain);
            for (const char *s = text; *s != '\0'; s++)
                assert_true((unsigned char)*s >= 0x20 || *s == '\n');
            free(text);
        }
    }
    assert_non_null(setlocale(LC_CTYPE, "C"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_is_a_line_whatever_is_in_it),
        cmocka_unit_test(columns_can_be_chosen_and_put_in_order),
        cmocka_unit_test(json_keeps_types_and_is_ascii),
        cmocka_unit_test(what_is_not_utf8_is_escaped_and_said_to_be),
        cmocka_unit_test(no_rows_are_an_empty_array_and_no_text),
        cmocka_unit_test(every_byte_ends_in_either_locale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
