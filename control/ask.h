/*
 * What the verbs that ask a running server share.
 */
#ifndef POSTERN_CONTROL_ASK_H
#define POSTERN_CONTROL_ASK_H

#include "control/control_client.h"
#include "control/options.h"

/* Rows of all parts of an answer. */
struct rows {
    const void **at; /* owned array of borrowed rows */
    size_t n;
};

/*
 * Ask, for at most the timeout and so many milliseconds more. CLI_OK: the
 * server says 0; else an exit code, after saying what went wrong.
 * control_answer_done() in all cases.
 */
int ask(const struct cli_options *o, const Postern__V1__ControlRequest *req, uint64_t more_ms,
        struct control_answer *ret);
/* The same over a socket that is connected already: for tests too. */
int ask_over(const struct cli_options *o, int fd, const Postern__V1__ControlRequest *req,
             uint64_t more_ms, struct control_answer *ret);

/* Print what the server sent, as the options say. An exit code. */
int ask_print(const struct cli_options *o, const struct table_def *d, const struct rows *rows);
/* CLI_USAGE, after saying so, when --columns names what the table has not. */
int ask_columns(const struct cli_options *o, const struct table_def *d);

/* All shares, tenants, processes or lines of the report in an answer; at is freed
 * by the caller. 0 or -ENOMEM. */
int rows_shares(const struct control_answer *a, struct rows *ret);
int rows_tenants(const struct control_answer *a, struct rows *ret);
int rows_processes(const struct control_answer *a, struct rows *ret);
int rows_report(const struct control_answer *a, struct rows *ret);

/* "postern: VERB: WHAT" for each line of what, every byte that could steer a
 * terminal escaped; returns code. */
int ask_failed(const struct cli_options *o, int code, const char *what);

#endif
