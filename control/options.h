/*
 * Options of the verbs that ask a running server, as one table.
 */
#ifndef POSTERN_CONTROL_OPTIONS_H
#define POSTERN_CONTROL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "control/cli.h"
#include "control/table.h"

#define CLI_ARGS_MAX 3
#define CLI_SETS_MAX 64

/* Which a verb takes. */
enum cli_option {
    OPT_CONTROL = 1 << 0,
    OPT_TIMEOUT = 1 << 1,
    OPT_JSON = 1 << 2,
    OPT_TABLE = 1 << 3, /* --no-headings, --columns */
    OPT_SHARE = 1 << 4, /* --ro, --rw, --set */
    OPT_RESERVATION = 1 << 5,
    OPT_DRAIN = 1 << 6,
    OPT_SHOW = 1 << 7,
};
#define OPT_ASK (OPT_CONTROL | OPT_TIMEOUT | OPT_JSON)

/* What was given; all text borrowed from the arguments. */
struct cli_options {
    const struct verb *verb;
    const char *control;      /* the socket's path */
    uint64_t timeout_ms;      /* for the whole answer */
    struct table_style style; /* how to print it */
    const char *access;       /* "read-only", "read-write"; NULL: not given */
    const char **sets;        /* borrowed array */
    size_t nsets;
    const char *reservation; /* NULL: not given */
    uint64_t drain_ms;
    bool only_show;
    const char *args[CLI_ARGS_MAX]; /* what is no option; NULL behind the last */
    int nargs;
};

/* A row of the table of options, for help and completion. */
struct option_row {
    const char *name; /* "--json" */
    const char *arg;  /* "PATH"; NULL: none */
    const char *what;
    enum cli_option bit;
    /* Store it; why it cannot be, or NULL. */
    const char *(*set)(struct cli_options *o, const char *value);
};
extern const struct option_row option_rows[];
extern const size_t noption_rows;

/* The row that arg names, "--name" or "--name=...", of those that a verb takes. */
const struct option_row *option_find(unsigned options, const char *arg);

/*
 * Read what stands behind the verb. sets: room for CLI_SETS_MAX. CLI_OK, or
 * CLI_USAGE after saying why.
 */
int options_parse(const struct verb *v, int argc, char **argv, const char **sets,
                  struct cli_options *ret);
/* The verb's options, one a line. */
void options_print(FILE *out, const struct verb *v);

#endif
