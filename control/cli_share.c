/*
 * share add, reserve, remove, list, show: shares that come and go while the
 * server runs.
 *
 * Runs in: the command line.   Trusts: the caller; nothing the server says.
 * Owns: nothing beyond a verb.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "control/ask.h"
#include "control/settings.h"
#include "ipc/control.h"
#include "ipc/fd.h"

static const char *
state_name(Postern__V1__ShareState state)
{
    static const char *const names[] = {
        [POSTERN__V1__SHARE_STATE__SHARE_RESERVED] = "reserved",
        [POSTERN__V1__SHARE_STATE__SHARE_ADDED] = "added",
        [POSTERN__V1__SHARE_STATE__SHARE_DRAINING] = "draining",
        [POSTERN__V1__SHARE_STATE__SHARE_REMOVED] = "removed",
        [POSTERN__V1__SHARE_STATE__SHARE_FAILED] = "failed",
    };
    size_t i = (size_t)state; /* protobuf-c lets unknown numbers of an enum through */

    return i < sizeof(names) / sizeof(names[0]) ? names[i] : "unknown";
}

/* twin: docs/man/postern.1; these keys do not change */
static const struct column columns[] = {
    {"tenant", CELL_TEXT, false},   {"share", CELL_TEXT, false},        {"state", CELL_TEXT, false},
    {"access", CELL_TEXT, false},   {"identity", CELL_TEXT, false},     {"path", CELL_TEXT, false},
    {"in_policy", CELL_BOOL, true}, {"reservations", CELL_LIST, false}, {"id", CELL_TEXT, true},
    {"message", CELL_TEXT, true},
};

static void
share_cells(const void *item, struct cell *cells)
{
    const Postern__V1__ShareInfo *s = item;
    const struct cell v[] = {
        {.text = s->tenant},
        {.text = s->name},
        {.text = state_name(s->state)},
        {.text = s->read_only != 0 ? "read-only" : "read-write"},
        {.text = s->identity},
        {.text = s->path},
        {.number = s->in_policy},
        {.list = s->reservations, .n = s->n_reservations},
        {.text = s->id},
        {.text = s->message},
    };

    memcpy(cells, v, sizeof(v));
}

static const struct table_def shares_table = {
    .name = "shares",
    .columns = columns,
    .ncolumns = sizeof(columns) / sizeof(columns[0]),
    .cells = share_cells,
};

/* protobuf-c's fields are not const; nothing writes there. */
static char *
text(const char *s)
{
    char *ret;

    memcpy(&ret, &s, sizeof(ret));
    return ret;
}

/* Without one of its own a reservation is called as the share: ids belong to a
 * tenant, so the same command again is the same reservation. */
static char *
reservation(const struct cli_options *o)
{
    return text(o->reservation != NULL ? o->reservation : o->args[1]);
}

/* A path as it goes into the settings: what is relative here is nothing to the
 * server, and a shell completes directories with a "/" that a policy has not. */
static char *
absolute(const char *path)
{
    char *ret = path[0] == '/' ? strdup(path) : realpath(path, NULL);

    for (size_t n = ret == NULL ? 0 : strlen(ret); n > 1 && ret[n - 1] == '/'; n--)
        ret[n - 1] = '\0';
    return ret;
}

/* The settings that the arguments say; CLI_OK, or an exit code after saying
 * what is wrong. *ret_text is the caller's. */
static int
settings_of(const struct cli_options *o, char **ret_text)
{
    _clean(clean_free) char *path = NULL;
    const char *why = "";
    int which = -1, r;

    if (o->access == NULL)
        return ask_failed(o, CLI_USAGE, "may guests write? expected --ro or --rw");
    path = absolute(o->args[2]);
    if (path == NULL)
        r = -errno;
    else
        r = settings_text(path, o->access, o->sets, o->nsets, ret_text, &why, &which);
    if (r == 0)
        return CLI_OK;
    fprintf(stderr, "postern: %s: %s", o->verb->name, which < 0 ? "" : "--set ");
    why = r == -EINVAL && path != NULL ? why : strerror(-r);
    print_escaped(stderr, which < 0 ? o->args[2] : o->sets[which],
                  strlen(which < 0 ? o->args[2] : o->sets[which]));
    fprintf(stderr, ": %s\n", why);
    return path == NULL || r != -EINVAL ? CLI_FAILED : CLI_USAGE;
}

/* --- what was asked for, done -------------------------------------------------------- */

static void
print_share(const Postern__V1__ShareInfo *s)
{
    print_escaped(stdout, s->tenant, strlen(s->tenant));
    putchar('/');
    print_escaped(stdout, s->name, strlen(s->name));
    printf(": %s, %s ", state_name(s->state), s->read_only != 0 ? "read-only" : "read-write");
    print_escaped(stdout, s->path, strlen(s->path));
    fputs(", id ", stdout);
    print_escaped(stdout, s->id, strlen(s->id));
    putchar('\n');
}

static int
print_shares(const struct cli_options *o, const struct control_answer *a)
{
    struct rows rows;
    int r = CLI_OK;

    if (rows_shares(a, &rows) < 0)
        return ask_failed(o, CLI_FAILED, strerror(ENOMEM));
    if (o->style.json)
        r = ask_print(o, &shares_table, &rows);
    for (size_t i = 0; i < rows.n && !o->style.json; i++)
        print_share(rows.at[i]);
    free(rows.at);
    return r;
}

/* The share as it is now. */
static int
ask_share(const struct cli_options *o, struct control_answer *ret)
{
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    Postern__V1__ShareQuery m = POSTERN__V1__SHARE_QUERY__INIT;

    m.tenant = text(o->args[0]);
    m.share = text(o->args[1]);
    req.version = CONTROL_VERSION;
    req.share_list = &m;
    return ask(o, &req, 0, ret);
}

/* Ask for it, and then for what came of it. */
static int
ask_done(const struct cli_options *o, const Postern__V1__ControlRequest *req)
{
    struct control_answer a;
    int r = ask(o, req, 0, &a);

    control_answer_done(&a);
    if (r != CLI_OK)
        return r;
    r = ask_share(o, &a);
    if (r == CLI_OK)
        r = print_shares(o, &a);
    control_answer_done(&a);
    return r;
}

int
verb_share_reserve(const struct cli_options *o)
{
    _clean(clean_free) char *settings = NULL;
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    Postern__V1__ShareReserve m = POSTERN__V1__SHARE_RESERVE__INIT;
    int r = settings_of(o, &settings);

    if (r != CLI_OK)
        return r;
    m.tenant = text(o->args[0]);
    m.share = text(o->args[1]);
    m.reservation = reservation(o);
    m.settings = settings;
    req.version = CONTROL_VERSION;
    req.share_reserve = &m;
    return ask_done(o, &req);
}

int
verb_share_add(const struct cli_options *o)
{
    _clean(clean_free) char *settings = NULL;
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    Postern__V1__ShareAdd m = POSTERN__V1__SHARE_ADD__INIT;
    int r = CLI_OK;

    if (o->nargs == 3)
        r = settings_of(o, &settings);
    else if (o->access != NULL || o->nsets > 0)
        r = ask_failed(o, CLI_USAGE,
                       "settings without a PATH; what was reserved is added as it is");
    if (r != CLI_OK)
        return r;
    m.tenant = text(o->args[0]);
    m.reservation = reservation(o);
    m.settings = settings;
    if (settings != NULL)
        m.share = text(o->args[1]);
    req.version = CONTROL_VERSION;
    req.share_add = &m;
    return ask_done(o, &req);
}

int
verb_share_remove(const struct cli_options *o)
{
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    Postern__V1__ShareRemove m = POSTERN__V1__SHARE_REMOVE__INIT;
    struct control_answer a;
    int r;

    m.tenant = text(o->args[0]);
    m.reservation = text(o->args[1]);
    m.has_drain_ms = o->drain_ms > 0;
    m.drain_ms = (uint32_t)o->drain_ms;
    req.version = CONTROL_VERSION;
    req.share_remove = &m;
    r = ask(o, &req, o->drain_ms, &a);
    if (r == CLI_OK && o->style.json)
        r = print_shares(o, &a);
    control_answer_done(&a);
    return r;
}

static int
query(const struct cli_options *o, const char *share)
{
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    Postern__V1__ShareQuery m = POSTERN__V1__SHARE_QUERY__INIT;
    struct rows rows = {0};
    struct control_answer a;
    int r = ask_columns(o, &shares_table);

    if (r != CLI_OK)
        return r;
    m.tenant = text(o->args[0]);
    m.share = text(share);
    req.version = CONTROL_VERSION;
    req.share_list = &m;
    r = ask(o, &req, 0, &a);
    if (r == CLI_OK && rows_shares(&a, &rows) < 0)
        r = ask_failed(o, CLI_FAILED, strerror(ENOMEM));
    if (r == CLI_OK && share != NULL && rows.n == 0)
        r = ask_failed(o, CLI_FAILED, "there is no such share");
    if (r == CLI_OK)
        r = ask_print(o, &shares_table, &rows);
    free(rows.at);
    control_answer_done(&a);
    return r;
}

int
verb_share_list(const struct cli_options *o)
{
    return query(o, NULL);
}

int
verb_share_show(const struct cli_options *o)
{
    struct cli_options one = *o;

    one.style.one_a_line = true;
    return query(&one, o->args[1]);
}
