/*
 * The command line's verbs and what they share.
 */
#ifndef POSTERN_CONTROL_CLI_H
#define POSTERN_CONTROL_CLI_H

#include <stddef.h>
#include <stdio.h>

#define POSTERN_VERSION "0.1"

enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* One verb: argv[0] is its own name. Returns an exit code of cli_exit. */
struct verb {
    const char *name;
    const char *args;       /* for the usage line */
    const char *what;       /* one line */
    const char *example;    /* one command line that works as it stands */
    int min_args, max_args; /* behind the verb; -1: no bound */
    int (*run)(int argc, char **argv);
};

/* The whole program but main(): finds the verb and runs it. */
int cli_run(int argc, char **argv);
/* The verb's usage line on stderr; returns CLI_USAGE. */
int cli_usage(const char *verb);

/* cli_run.c: the programs of this package. */
int verb_serve(int argc, char **argv);
int verb_export(int argc, char **argv);
int verb_check(int argc, char **argv);
int verb_show(int argc, char **argv);
/* cli_files.c: the small 9P client. */
int verb_ls(int argc, char **argv);
int verb_cat(int argc, char **argv);
int verb_put(int argc, char **argv);
int verb_stat(int argc, char **argv);

/*
 * Print a name that a server sent. On a terminal every byte that could steer
 * it becomes a C escape; elsewhere the bytes go out as they are.
 */
void print_name(FILE *out, const char *s, size_t n);
/* The same with the escapes asked for or not. */
void print_escaped(FILE *out, const char *s, size_t n);

#endif
