/*
 * The command line's verbs and what they share.
 */
#ifndef POSTERN_CONTROL_CLI_H
#define POSTERN_CONTROL_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define POSTERN_VERSION "0.1"

/* twin: EXIT STATUS in docs/man/postern.1 */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,    /* refused, or it did not work; stderr says why */
    CLI_USAGE = 2,     /* wrong usage; nothing was asked of anybody */
    CLI_NO_SERVER = 3, /* the server cannot be reached; nothing was asked */
    CLI_NO_ANSWER = 4, /* asked, but no (whole) answer came: it may have been done */
};

/* What stands behind a verb, for completion. */
enum cli_word { WORD_NONE, WORD_TENANT, WORD_SHARE, WORD_RESERVATION };
#define CLI_WORDS 3

struct cli_options;

/* One verb: argv[0] is its own name. Returns an exit code of cli_exit. */
struct verb {
    const char *name;       /* one word or two: "check", "share add" */
    const char *args;       /* for the usage line */
    const char *what;       /* one line */
    const char *example;    /* one command line that works as it stands */
    int min_args, max_args; /* behind the verb, without options; -1: no bound */
    int (*run)(int argc, char **argv);
    /* Instead of run, for a verb with options: enum cli_option bits. */
    unsigned options;
    int (*ask)(const struct cli_options *o);
    enum cli_word words[CLI_WORDS];
};

/* cli.c: all verbs. */
extern const struct verb cli_verbs[];
extern const size_t cli_nverbs;

/* The whole program but main(): finds the verb and runs it. */
int cli_run(int argc, char **argv);
/* The verb's usage line on stderr; returns CLI_USAGE. */
int cli_usage(const char *verb);

/*
 * cli_find.c. The verb that argv begins with, *ret_words how many words it has;
 * or NULL. cli_is_group: the first word of verbs of two words. cli_no_verb: say
 * so, with the verb that was perhaps meant; returns CLI_USAGE.
 */
const struct verb *cli_find(int argc, char *const *argv, int *ret_words);
bool cli_is_group(const char *word);
int cli_no_verb(int argc, char *const *argv);

/* cli_run.c: the programs of this package. */
int verb_serve(int argc, char **argv);
int verb_export(int argc, char **argv);
int verb_check(int argc, char **argv);
int verb_explain(int argc, char **argv);
int verb_policy_print(int argc, char **argv);
int verb_show(int argc, char **argv);
/* cli_files.c: the small 9P client. */
int verb_ls(int argc, char **argv);
int verb_cat(int argc, char **argv);
int verb_put(int argc, char **argv);
int verb_stat(int argc, char **argv);
/* cli_share.c, cli_status.c: what a running server is asked (control/ask.h). */
int verb_share_add(const struct cli_options *o);
int verb_share_reserve(const struct cli_options *o);
int verb_share_remove(const struct cli_options *o);
int verb_share_list(const struct cli_options *o);
int verb_share_show(const struct cli_options *o);
int verb_status(const struct cli_options *o);
int verb_ps(const struct cli_options *o);
int verb_reload(const struct cli_options *o);
/* complete.c: words that may stand at the end of argv, for packaging/completion. */
int verb_complete(int argc, char **argv);

/*
 * Print a name that a server sent. On a terminal every byte that could steer
 * it becomes a C escape; elsewhere the bytes go out as they are.
 */
void print_name(FILE *out, const char *s, size_t n);
/* The same with the escapes asked for or not. */
void print_escaped(FILE *out, const char *s, size_t n);

#endif
