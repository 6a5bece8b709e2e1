/*
 * Answers as tables and as JSON.
 *
 * Runs in: the command line.   Trusts: nothing in a cell.   Owns: nothing
 * beyond a call.
 */
#include "control/table.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <libsmartcols/libsmartcols.h>

#include "control/cli.h"
#include "ipc/fd.h"

/* --- which columns ---------------------------------------------------------------- */

static size_t
column_find(const struct table_def *d, const char *key, size_t n)
{
    size_t i = 0;

    while (i < d->ncolumns &&
           (strlen(d->columns[i].key) != n || memcmp(d->columns[i].key, key, n) != 0))
        i++;
    return i;
}

const char *
table_unknown(const struct table_def *d, const char *columns, size_t *ret_n)
{
    for (const char *s = columns;; s += *ret_n + 1) {
        *ret_n = strcspn(s, ",");
        if (column_find(d, s, *ret_n) == d->ncolumns)
            return s;
        if (s[*ret_n] == '\0')
            return NULL;
    }
}

/* Indices of the columns to print, in their order; each at most once. */
static size_t
columns_wanted(const struct table_def *d, const struct table_style *style, size_t *ret)
{
    bool have[COLUMNS_MAX] = {false};
    size_t count = 0;

    if (style->columns == NULL) {
        for (size_t i = 0; i < d->ncolumns; i++)
            if (style->json || style->one_a_line || !d->columns[i].on_request)
                ret[count++] = i;
        return count;
    }
    for (const char *s = style->columns;;) {
        size_t n = strcspn(s, ","), i = column_find(d, s, n);

        if (i < d->ncolumns && !have[i])
            ret[count++] = i;
        if (i < d->ncolumns)
            have[i] = true;
        if (s[n] == '\0')
            return count;
        s += n + 1;
    }
}

/* --- for a person ----------------------------------------------------------------- */

static void
put_bytes(FILE *out, uint64_t v)
{
    static const char units[] = "BKMGTPE";
    uint64_t rest = 0;
    size_t u = 0;

    for (; v >= 1024; u++) {
        rest = v % 1024;
        v /= 1024;
    }
    fprintf(out, "%" PRIu64, v);
    if (u > 0 && v < 100)
        fprintf(out, ".%u", (unsigned)(rest * 10 / 1024));
    fputc(units[u], out);
}

static void
put_seconds(FILE *out, uint64_t s)
{
    if (s < 60)
        fprintf(out, "%" PRIu64 "s", s);
    else if (s < 3600)
        fprintf(out, "%" PRIu64 "m%02us", s / 60, (unsigned)(s % 60));
    else if (s < 86400)
        fprintf(out, "%" PRIu64 "h%02um", s / 3600, (unsigned)(s % 3600 / 60));
    else
        fprintf(out, "%" PRIu64 "d%02uh", s / 86400, (unsigned)(s % 86400 / 3600));
}

static void
put_list(FILE *out, const struct cell *c)
{
    for (size_t i = 0; i < c->n; i++) {
        if (i > 0)
            fputc(' ', out);
        print_escaped(out, c->list[i], strlen(c->list[i]));
    }
}

static void
put_cell(FILE *out, enum cell_kind kind, const struct cell *c)
{
    if (kind == CELL_LIST)
        put_list(out, c);
    else if (kind == CELL_TEXT && c->text != NULL)
        print_escaped(out, c->text, strlen(c->text));
    else if (kind == CELL_TEXT || c->none)
        fputc('-', out);
    else if (kind == CELL_BYTES)
        put_bytes(out, c->number);
    else if (kind == CELL_SECONDS)
        put_seconds(out, c->number);
    else if (kind == CELL_USEC)
        fprintf(out, "%" PRIu64 ".%02us", c->number / 1000000,
                (unsigned)(c->number % 1000000 / 10000));
    else if (kind == CELL_BOOL)
        fputs(c->number != 0 ? "yes" : "no", out);
    else
        fprintf(out, "%" PRIu64, c->number);
}

static char *
cell_text(enum cell_kind kind, const struct cell *c)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    if (out == NULL)
        return NULL;
    put_cell(out, kind, c);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

static bool
is_number(enum cell_kind kind)
{
    return kind == CELL_NUMBER || kind == CELL_BYTES || kind == CELL_SECONDS || kind == CELL_USEC;
}

/* The key in capitals, without its unit where the cells have theirs. */
static void
heading(const struct column *c, char *out, size_t room)
{
    const char *unit = strrchr(c->key, '_');
    bool cut = is_number(c->kind) && c->kind != CELL_NUMBER && unit != NULL;
    size_t n = cut ? (size_t)(unit - c->key) : strlen(c->key), i = 0;

    for (; i < n && i + 1 < room; i++)
        out[i] = c->key[i] == '_' ? '-' : (char)toupper((unsigned char)c->key[i]);
    out[i] = '\0';
}

static int
table_columns(struct libscols_table *tb, const struct table_def *d, const size_t *want, size_t n,
              bool no_headings)
{
    for (size_t i = 0; i < n; i++) {
        const struct column *c = &d->columns[want[i]];
        char name[32] = "";

        if (!no_headings) /* else they would still have their width */
            heading(c, name, sizeof(name));
        if (scols_table_new_column(tb, name, 0, is_number(c->kind) ? SCOLS_FL_RIGHT : 0) == NULL)
            return -ENOMEM;
    }
    return 0;
}

static int
table_line(struct libscols_table *tb, const struct table_def *d, const void *item,
           const size_t *want, size_t n)
{
    struct cell cells[COLUMNS_MAX] = {0};
    struct libscols_line *ln = scols_table_new_line(tb, NULL);

    if (ln == NULL)
        return -ENOMEM;
    d->cells(item, cells);
    for (size_t i = 0; i < n; i++) {
        char *text = cell_text(d->columns[want[i]].kind, &cells[want[i]]);

        if (text == NULL || scols_line_refer_data(ln, i, text) < 0) {
            free(text);
            return -ENOMEM;
        }
    }
    return 0;
}

static int
print_table(FILE *out, const struct table_def *d, const void *const *items, size_t n,
            const struct table_style *style)
{
    struct libscols_table *tb = scols_new_table();
    size_t want[COLUMNS_MAX], nwant = columns_wanted(d, style, want);
    int r;

    if (tb == NULL)
        return -ENOMEM;
    /* Cells are printable already, all of them: without its own encoding the
     * library would not end on what is no character. */
    scols_table_enable_noencoding(tb, 1);
    scols_table_enable_noheadings(tb, style->no_headings);
    scols_table_set_stream(tb, out);
    r = table_columns(tb, d, want, nwant, style->no_headings);
    for (size_t i = 0; i < n && r == 0; i++)
        r = table_line(tb, d, items[i], want, nwant);
    if (r == 0 && scols_print_table(tb) < 0)
        r = -ENOMEM;
    scols_unref_table(tb);
    return r;
}

static int
print_lines(FILE *out, const struct table_def *d, const void *const *items, size_t n,
            const struct table_style *style)
{
    size_t want[COLUMNS_MAX], nwant = columns_wanted(d, style, want);

    for (size_t i = 0; i < n; i++) {
        struct cell cells[COLUMNS_MAX] = {0};

        if (i > 0)
            fputc('\n', out);
        d->cells(items[i], cells);
        for (size_t k = 0; k < nwant; k++) {
            const struct column *c = &d->columns[want[k]];

            if (!style->no_headings)
                fprintf(out, "%-13s", c->key);
            put_cell(out, c->kind, &cells[want[k]]);
            fputc('\n', out);
        }
    }
    return 0;
}

/* --- for a program ---------------------------------------------------------------- */

/* Not UTF-8: no locale's business. */
static json_t *
escaped_string(const char *s)
{
    _clean(clean_free) char *text = malloc(strlen(s) * 4 + 1);
    char *at = text;

    if (text == NULL)
        return NULL;
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;

        if (c == '\\')
            *at++ = '\\';
        if (c >= 0x20 && c < 0x7f)
            *at++ = (char)c;
        else
            at += snprintf(at, 5, "\\%03o", c);
    }
    *at = '\0';
    return json_string(text);
}

static json_t *
json_text(const char *s, bool *escaped)
{
    json_t *j = s == NULL ? json_null() : json_string(s);

    if (j != NULL || s == NULL)
        return j;
    *escaped = true;
    return escaped_string(s);
}

static json_t *
json_list(const struct cell *c, bool *escaped)
{
    json_t *list = json_array();

    for (size_t i = 0; i < c->n && list != NULL; i++) {
        if (json_array_append_new(list, json_text(c->list[i], escaped)) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static json_t *
json_cell(enum cell_kind kind, const struct cell *c, bool *escaped)
{
    if (kind == CELL_LIST)
        return json_list(c, escaped);
    if (kind == CELL_TEXT)
        return json_text(c->text, escaped);
    if (c->none)
        return json_null();
    if (kind == CELL_BOOL)
        return json_boolean(c->number != 0);
    return json_integer(c->number > INT64_MAX ? INT64_MAX : (json_int_t)c->number);
}

/* 0 or -1, as jansson has it. */
static int
json_fill(json_t *row, const struct table_def *d, const void *item, const size_t *want, size_t n)
{
    struct cell cells[COLUMNS_MAX] = {0};
    json_t *escaped = json_array();
    int r = escaped == NULL ? -1 : 0;

    d->cells(item, cells);
    for (size_t i = 0; i < n && r == 0; i++) {
        const struct column *c = &d->columns[want[i]];
        bool odd = false;

        r = json_object_set_new(row, c->key, json_cell(c->kind, &cells[want[i]], &odd));
        if (r == 0 && odd)
            r = json_array_append_new(escaped, json_string(c->key));
    }
    if (r == 0 && json_array_size(escaped) > 0)
        r = json_object_set(row, "escaped", escaped);
    json_decref(escaped);
    return r;
}

static int
print_json(FILE *out, const struct table_def *d, const void *const *items, size_t n,
           const struct table_style *style)
{
    size_t want[COLUMNS_MAX], nwant = columns_wanted(d, style, want);
    json_t *rows = json_array(), *all = json_object();
    int r = rows == NULL || all == NULL ? -1 : json_object_set(all, d->name, rows);

    for (size_t i = 0; i < n && r == 0; i++) {
        json_t *row = json_object();

        r = json_array_append(rows, row);
        if (r == 0)
            r = json_fill(row, d, items[i], want, nwant);
        json_decref(row);
    }
    if (r == 0)
        r = json_dumpf(all, out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
    if (r == 0)
        fputc('\n', out);
    json_decref(rows);
    json_decref(all);
    return r < 0 ? -ENOMEM : 0;
}

int
table_print(FILE *out, const struct table_def *d, const void *const *items, size_t n,
            const struct table_style *style)
{
    if (style->json)
        return print_json(out, d, items, n, style);
    return (style->one_a_line ? print_lines : print_table)(out, d, items, n, style);
}
