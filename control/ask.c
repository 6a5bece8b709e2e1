/*
 * Asking a running server, and saying what went wrong.
 *
 * Runs in: the command line.   Trusts: nothing the server says.
 * Owns: nothing beyond a call.
 */
#include "control/ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/fd.h"

int
ask_failed(const struct cli_options *o, int code, const char *what)
{
    for (const char *line = what;; line++) {
        size_t n = strcspn(line, "\n");

        fprintf(stderr, "postern: %s: ", o->verb->name);
        print_escaped(stderr, line, n);
        fputc('\n', stderr);
        line += n;
        if (*line == '\0')
            return code;
    }
}

static int
not_reached(const struct cli_options *o, int r)
{
    fprintf(stderr, "postern: %s: cannot reach the server at ", o->verb->name);
    print_escaped(stderr, o->control, strlen(o->control));
    fprintf(stderr, ": %s", strerror(-r));
    if (r == -ENOENT || r == -ECONNREFUSED)
        fputs("; is posternd running, with control = in its policy?", stderr);
    else if (r == -EACCES)
        fputs("; who may is said by control { group = } in its policy", stderr);
    fputc('\n', stderr);
    return CLI_NO_SERVER;
}

static int
not_answered(const struct cli_options *o, int r)
{
    static const char again[] = "; it may have been done: ask again";
    const char *why = strerror(-r);

    if (r == -EMSGSIZE)
        return ask_failed(o, CLI_FAILED, "too long for one request");
    if (r == -ETIMEDOUT)
        why = "no answer in time";
    else if (r == -EPIPE)
        why = "the server closed the connection before its answer";
    else if (r == -EPROTO)
        why = "what came is no answer of this version's server";
    fprintf(stderr, "postern: %s: %s%s\n", o->verb->name, why, again);
    return CLI_NO_ANSWER;
}

int
ask_over(const struct cli_options *o, int fd, const Postern__V1__ControlRequest *req,
         uint64_t more_ms, struct control_answer *ret)
{
    int64_t deadline = control_now() + (int64_t)(o->timeout_ms + more_ms);
    int r = control_ask(fd, req, deadline, ret);

    if (r < 0)
        return not_answered(o, r);
    if (ret->status == 0)
        return CLI_OK;
    return ask_failed(o, CLI_FAILED,
                      ret->message != NULL && *ret->message != '\0' ? ret->message
                                                                    : strerror(-ret->status));
}

int
ask(const struct cli_options *o, const Postern__V1__ControlRequest *req, uint64_t more_ms,
    struct control_answer *ret)
{
    _clean(clean_fd) int fd = control_connect(o->control, control_now() + (int64_t)o->timeout_ms);

    *ret = (struct control_answer){0};
    return fd < 0 ? not_reached(o, fd) : ask_over(o, fd, req, more_ms, ret);
}

int
ask_columns(const struct cli_options *o, const struct table_def *d)
{
    const char *columns = o->style.columns;
    size_t n = 0;
    const char *bad = columns == NULL ? NULL : table_unknown(d, columns, &n);

    if (bad == NULL)
        return CLI_OK;
    fprintf(stderr, "postern: %s: --columns: there is no \"", o->verb->name);
    print_escaped(stderr, bad, n);
    fputs("\", expected some of ", stderr);
    for (size_t i = 0; i < d->ncolumns; i++)
        fprintf(stderr, "%s%s", i > 0 ? "," : "", d->columns[i].key);
    fputc('\n', stderr);
    return CLI_USAGE;
}

int
ask_print(const struct cli_options *o, const struct table_def *d, const struct rows *rows)
{
    int r = table_print(stdout, d, rows->at, rows->n, &o->style);

    if (r == 0 && (fflush(stdout) != 0 || ferror(stdout) != 0))
        r = -EIO;
    return r == 0 ? CLI_OK : ask_failed(o, CLI_FAILED, strerror(-r));
}

#define ROWS(field)                                                                                \
    int rows_##field(const struct control_answer *a, struct rows *ret)                             \
    {                                                                                              \
        size_t n = 0;                                                                              \
                                                                                                   \
        for (size_t i = 0; i < a->n; i++)                                                          \
            n += a->parts[i]->n_##field;                                                           \
        *ret = (struct rows){.at = calloc(n + 1, sizeof(*ret->at))};                               \
        if (ret->at == NULL)                                                                       \
            return -ENOMEM;                                                                        \
        for (size_t i = 0; i < a->n; i++)                                                          \
            for (size_t k = 0; k < a->parts[i]->n_##field; k++)                                    \
                ret->at[ret->n++] = a->parts[i]->field[k];                                         \
        return 0;                                                                                  \
    }
ROWS(shares)
ROWS(tenants)
ROWS(processes)
ROWS(report)
