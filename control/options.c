/*
 * Options of the verbs that ask a running server.
 *
 * Runs in: the command line.   Trusts: the caller.   Owns: nothing.
 */
#include "control/options.h"

#include <inttypes.h>
#include <string.h>

#include "ipc/control.h"

#define TIMEOUT_MS 30000u /* twin: the row of --timeout */
#define TIME_MS_MAX (24u * 3600u * 1000u)

/* "30", "30s", "500ms", "2m": milliseconds. */
static bool
parse_time(const char *s, uint64_t *ret)
{
    static const struct {
        const char *unit;
        unsigned ms;
    } units[] = {{"", 1000}, {"s", 1000}, {"ms", 1}, {"m", 60000}, {"h", 3600000}};
    uint64_t v = 0;

    if (*s < '0' || *s > '9')
        return false;
    for (; *s >= '0' && *s <= '9'; s++)
        v = v > TIME_MS_MAX ? v : v * 10 + (uint64_t)(*s - '0');
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(units[i].unit, s) == 0) {
            *ret = v * units[i].ms;
            return *ret <= TIME_MS_MAX;
        }
    }
    return false;
}

/* "unix:PATH" is how the policy writes it. */
static const char *
set_control(struct cli_options *o, const char *value)
{
    bool prefixed = strncmp(value, "unix:", strlen("unix:")) == 0;

    o->control = prefixed ? value + strlen("unix:") : value;
    return NULL;
}

static const char *
set_timeout(struct cli_options *o, const char *value)
{
    return parse_time(value, &o->timeout_ms) && o->timeout_ms > 0
               ? NULL
               : "expected a time such as 30s or 500ms, at most 24h";
}

static const char *
set_json(struct cli_options *o, const char *value)
{
    (void)value;
    o->style.json = true;
    return NULL;
}

static const char *
set_no_headings(struct cli_options *o, const char *value)
{
    (void)value;
    o->style.no_headings = true;
    return NULL;
}

static const char *
set_columns(struct cli_options *o, const char *value)
{
    o->style.columns = value;
    return NULL;
}

static const char *
set_access(struct cli_options *o, const char *access)
{
    if (o->access != NULL)
        return "expected either --ro or --rw, once";
    o->access = access;
    return NULL;
}

static const char *
set_ro(struct cli_options *o, const char *value)
{
    (void)value;
    return set_access(o, "read-only");
}

static const char *
set_rw(struct cli_options *o, const char *value)
{
    (void)value;
    return set_access(o, "read-write");
}

static const char *
set_set(struct cli_options *o, const char *value)
{
    if (o->nsets == CLI_SETS_MAX)
        return "expected fewer of them";
    o->sets[o->nsets++] = value;
    return NULL;
}

static const char *
set_reservation(struct cli_options *o, const char *value)
{
    o->reservation = value;
    return NULL;
}

static const char *
set_drain(struct cli_options *o, const char *value)
{
    return parse_time(value, &o->drain_ms) ? NULL : "expected a time such as 30s, at most 24h";
}

static const char *
set_show(struct cli_options *o, const char *value)
{
    (void)value;
    o->only_show = true;
    return NULL;
}

/* twin: docs/man/postern.1 */
const struct option_row option_rows[] = {
    {"--ro", NULL, "guests may read", OPT_SHARE, set_ro},
    {"--rw", NULL, "guests may read and write", OPT_SHARE, set_rw},
    {"--set", "'SETTING = VALUE'", "a setting of postern.conf(5); may be repeated", OPT_SHARE,
     set_set},
    {"--reservation", "ID", "what to call this reservation; else the share's name", OPT_RESERVATION,
     set_reservation},
    {"--drain", "TIME", "what is open may go on for so long; else it ends at once", OPT_DRAIN,
     set_drain},
    {"--show", NULL, "say what would change, and change nothing", OPT_SHOW, set_show},
    {"--columns", "KEY,...", "these columns, by the keys of --json", OPT_TABLE, set_columns},
    {"--no-headings", NULL, "rows alone", OPT_TABLE, set_no_headings},
    {"--json", NULL, "JSON instead of text", OPT_JSON, set_json},
    {"--control", "PATH", "the server's control socket; else " CONTROL_PATH, OPT_CONTROL,
     set_control},
    {"--timeout", "TIME", "how long to wait for the answer; else 30s", OPT_TIMEOUT, set_timeout},
};
const size_t noption_rows = sizeof(option_rows) / sizeof(option_rows[0]);

const struct option_row *
option_find(unsigned options, const char *arg)
{
    size_t n = strcspn(arg, "=");

    for (size_t i = 0; i < noption_rows; i++) {
        const struct option_row *row = &option_rows[i];

        if ((options & row->bit) != 0 && strlen(row->name) == n && memcmp(row->name, arg, n) == 0)
            return row;
    }
    return NULL;
}

static int
wrong(const struct verb *v, const char *what, const char *why)
{
    fprintf(stderr, "postern: %s: ", v->name);
    print_escaped(stderr, what, strlen(what));
    fprintf(stderr, ": %s\n", why);
    return cli_usage(v->name);
}

/* The option at argv[*i]; *i is then at the last word of it. */
static int
take_option(struct cli_options *o, int argc, char **argv, int *i)
{
    const char *arg = argv[*i], *value = strchr(arg, '='), *why = NULL;
    const struct option_row *row = option_find(o->verb->options, arg);

    if (row == NULL)
        return wrong(o->verb, arg, "there is no such option here");
    if (value != NULL)
        value++;
    if (row->arg == NULL && value != NULL)
        why = "expected no value";
    else if (row->arg != NULL && value == NULL && ++*i < argc)
        value = argv[*i];
    if (row->arg != NULL && value == NULL)
        why = "expected a value behind it";
    if (why == NULL)
        why = row->set(o, value);
    return why == NULL ? CLI_OK : wrong(o->verb, arg, why);
}

int
options_parse(const struct verb *v, int argc, char **argv, const char **sets,
              struct cli_options *ret)
{
    bool only_args = false;
    int r = CLI_OK;

    *ret = (struct cli_options){
        .verb = v, .control = CONTROL_PATH, .timeout_ms = TIMEOUT_MS, .sets = sets};
    for (int i = 0; i < argc && r == CLI_OK; i++) {
        if (!only_args && strcmp(argv[i], "--") == 0)
            only_args = true;
        else if (!only_args && argv[i][0] == '-' && argv[i][1] != '\0')
            r = take_option(ret, argc, argv, &i);
        else if (ret->nargs == v->max_args || ret->nargs == CLI_ARGS_MAX)
            r = wrong(v, argv[i], "there is nothing for this to be");
        else
            ret->args[ret->nargs++] = argv[i];
    }
    return r == CLI_OK && ret->nargs < v->min_args ? cli_usage(v->name) : r;
}

void
options_print(FILE *out, const struct verb *v)
{
    for (size_t i = 0; i < noption_rows; i++) {
        const struct option_row *row = &option_rows[i];
        char name[40];

        if ((v->options & row->bit) == 0)
            continue;
        (void)snprintf(name, sizeof(name), "%s%s%s", row->name, row->arg != NULL ? " " : "",
                       row->arg != NULL ? row->arg : "");
        fprintf(out, "  %-24s %s\n", name, row->what);
    }
}
