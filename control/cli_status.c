/*
 * status, ps, reload: what a running server does, and its policy read again.
 *
 * Runs in: the command line.   Trusts: the caller; nothing the server says.
 * Owns: nothing beyond a verb.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/ask.h"
#include "ipc/control.h"
#include "sandbox/sandbox.h"

static char *
text(const char *s)
{
    char *ret;

    memcpy(&ret, &s, sizeof(ret));
    return ret;
}

/* Ask, and print rows of this kind. */
static int
ask_rows(const struct cli_options *o, const Postern__V1__ControlRequest *req,
         const struct table_def *d,
         int (*rows_of)(const struct control_answer *a, struct rows *ret))
{
    struct control_answer a;
    struct rows rows = {0};
    int r = ask_columns(o, d);

    if (r != CLI_OK)
        return r;
    r = ask(o, req, 0, &a);
    if (r == CLI_OK && rows_of(&a, &rows) < 0)
        r = ask_failed(o, CLI_FAILED, strerror(ENOMEM));
    if (r == CLI_OK)
        r = ask_print(o, d, &rows);
    free(rows.at);
    control_answer_done(&a);
    return r;
}

/* --- status ----------------------------------------------------------------------- */

/* twin: docs/man/postern.1; these keys do not change */
static const struct column tenant_columns[] = {
    {"tenant", CELL_TEXT, false},
    {"state", CELL_TEXT, false},
    {"shares", CELL_NUMBER, false},
    {"restarts", CELL_NUMBER, false},
    {"serving_seconds", CELL_SECONDS, false},
    {"memory_bytes", CELL_BYTES, false},
    {"addresses", CELL_LIST, false},
};

static void
tenant_cells(const void *item, struct cell *cells)
{
    const Postern__V1__TenantInfo *t = item;
    const struct cell v[] = {
        {.text = t->name},
        {.text = t->state},
        {.number = t->shares},
        {.number = t->restarts},
        {.number = t->serving_seconds},
        {.number = t->memory_bytes, .none = !t->has_memory_bytes},
        {.list = t->addresses, .n = t->n_addresses},
    };

    memcpy(cells, v, sizeof(v));
}

int
verb_status(const struct cli_options *o)
{
    static const struct table_def d = {
        .name = "tenants",
        .columns = tenant_columns,
        .ncolumns = sizeof(tenant_columns) / sizeof(tenant_columns[0]),
        .cells = tenant_cells,
    };
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    Postern__V1__StatusQuery m = POSTERN__V1__STATUS_QUERY__INIT;

    m.tenant = text(o->args[0]);
    req.version = CONTROL_VERSION;
    req.status = &m;
    return ask_rows(o, &req, &d, rows_tenants);
}

/* --- ps --------------------------------------------------------------------------- */

/* What a process has locked itself in with. */
static const struct {
    enum layer bit;
    const char *name;
} layers[] = {
    {LAYER_NAMESPACES, "namespaces"},
    {LAYER_EMPTY_ROOT, "empty-root"},
    {LAYER_SHARE_READ_ONLY, "read-only-mount"},
    {LAYER_NO_CAPS, "no-capabilities"},
    {LAYER_NO_NEW_PRIVS, "no-new-privileges"},
    {LAYER_LANDLOCK, "landlock"},
    {LAYER_SECCOMP, "seccomp"},
};
#define NLAYERS (sizeof(layers) / sizeof(layers[0]))

static const struct column process_columns[] = {
    {"tenant", CELL_TEXT, false},   {"share", CELL_TEXT, false},
    {"pid", CELL_NUMBER, false},    {"profile", CELL_TEXT, false},
    {"uid", CELL_NUMBER, false},    {"rss_bytes", CELL_BYTES, false},
    {"cpu_usec", CELL_USEC, false}, {"landlock_abi", CELL_NUMBER, true},
    {"layers", CELL_LIST, false},
};

static void
process_cells(const void *item, struct cell *cells)
{
    static char *has[NLAYERS]; /* until the next row */
    const Postern__V1__ProcessInfo *p = item;
    size_t n = 0;

    for (size_t i = 0; i < NLAYERS; i++)
        if ((p->layers & layers[i].bit) != 0)
            has[n++] = text(layers[i].name);
    const struct cell v[] = {
        {.text = p->tenant},
        {.text = p->share},
        {.number = p->pid < 0 ? 0 : (uint64_t)p->pid},
        {.text = p->profile},
        {.number = p->uid},
        {.number = p->rss_bytes},
        {.number = p->cpu_usec},
        {.number = p->landlock_abi},
        {.list = has, .n = n},
    };

    memcpy(cells, v, sizeof(v));
}

int
verb_ps(const struct cli_options *o)
{
    static const struct table_def d = {
        .name = "processes",
        .columns = process_columns,
        .ncolumns = sizeof(process_columns) / sizeof(process_columns[0]),
        .cells = process_cells,
    };
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    Postern__V1__ProcessQuery m = POSTERN__V1__PROCESS_QUERY__INIT;

    m.tenant = text(o->args[0]);
    req.version = CONTROL_VERSION;
    req.processes = &m;
    return ask_rows(o, &req, &d, rows_processes);
}

/* --- reload ----------------------------------------------------------------------- */

static const struct column line_columns[] = {{"line", CELL_TEXT, false}};

static void
line_cells(const void *item, struct cell *cells)
{
    cells[0].text = item;
}

static const struct table_def lines_table = {
    .name = "report",
    .columns = line_columns,
    .ncolumns = 1,
    .cells = line_cells,
};

int
verb_reload(const struct cli_options *o)
{
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    Postern__V1__ReloadRequest m = POSTERN__V1__RELOAD_REQUEST__INIT;
    struct cli_options lines = *o;

    lines.style.no_headings = true;
    m.has_only_show = o->only_show;
    m.only_show = o->only_show;
    req.version = CONTROL_VERSION;
    req.reload = &m;
    return ask_rows(&lines, &req, &lines_table, rows_report);
}
