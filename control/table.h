/*
 * Rows of an answer for a person (aligned columns, or one thing a line) or for
 * a program (JSON). One description serves all three.
 */
#ifndef POSTERN_CONTROL_TABLE_H
#define POSTERN_CONTROL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define COLUMNS_MAX 12

enum cell_kind {
    CELL_TEXT,    /* .text; NULL: there is none */
    CELL_NUMBER,  /* .number */
    CELL_BYTES,   /* .number, for a person with K, M, G */
    CELL_SECONDS, /* .number, for a person as 1h02m */
    CELL_USEC,    /* .number, for a person in seconds */
    CELL_BOOL,    /* .number, for a person yes or no */
    CELL_LIST,    /* .list, .n */
};

struct column {
    const char *key; /* in JSON and for --columns; the heading is made of it */
    enum cell_kind kind;
    bool on_request; /* for a person only with --columns */
};

/* All borrowed. */
struct cell {
    const char *text;
    uint64_t number;
    bool none; /* a number that is not known: null, "-" */
    char *const *list;
    size_t n;
};

struct table_def {
    const char *name; /* of the array in JSON */
    const struct column *columns;
    size_t ncolumns;                                     /* at most COLUMNS_MAX */
    void (*cells)(const void *item, struct cell *cells); /* cells[ncolumns], zeroed */
};

struct table_style {
    bool json, no_headings;
    bool one_a_line;     /* KEY VALUE lines, an empty line between rows; JSON is the same */
    const char *columns; /* "key,key"; NULL: all that are not on request */
};

/* The first word of columns that is none of the table's, or NULL; *ret_n its
 * length. */
const char *table_unknown(const struct table_def *d, const char *columns, size_t *ret_n);

/*
 * In text every byte that is not a printable character is a C escape, so a row
 * is a line and steers no terminal. JSON is ASCII; a text in it that is not
 * UTF-8 has C escapes instead, and its key is in the row's "escaped".
 * 0 or -ENOMEM.
 */
int table_print(FILE *out, const struct table_def *d, const void *const *items, size_t n,
                const struct table_style *style);

#endif
