/*
 * The verbs of the command line as a table, and help made from it.
 *
 * Runs in: the command line.   Trusts: the caller.   Owns: nothing.
 */
#include "control/cli.h"

#include <locale.h>
#include <stdbool.h>
#include <string.h>

static int verb_help(int argc, char **argv);
static int verb_version(int argc, char **argv);

/* twin: docs/man/postern.1 */
static const struct verb verbs[] = {
    {
        .name = "serve",
        .args = "POLICY",
        .what = "serve what a policy file says, until Ctrl-C",
        .example = "postern serve /etc/postern/policy.conf",
        .min_args = 1,
        .max_args = 1,
        .run = verb_serve,
    },
    {
        .name = "export",
        .args = "DIR[:ro]... --listen unix:PATH|tcp:127.0.0.1:PORT|vsock:PORT|systemd:NAME|fd:N",
        .what = "serve directories without a policy file, until Ctrl-C",
        .example = "postern export /srv/tools:ro ~/work --listen unix:/tmp/postern.sock",
        .min_args = 1,
        .max_args = -1,
        .run = verb_export,
    },
    {
        .name = "check",
        .args = "POLICY",
        .what = "read a policy file and look at its shares; say what is wrong",
        .example = "postern check /etc/postern/policy.conf",
        .min_args = 1,
        .max_args = 1,
        .run = verb_check,
    },
    {
        .name = "ls",
        .args = "[-l] ADDRESS [SHARE[/PATH]]",
        .what = "list a directory of a running server",
        .example = "postern ls -l unix:/tmp/postern.sock work/src",
        .min_args = 1,
        .max_args = 3,
        .run = verb_ls,
    },
    {
        .name = "cat",
        .args = "ADDRESS SHARE/PATH",
        .what = "write a file of a running server to standard output",
        .example = "postern cat unix:/tmp/postern.sock tools/README",
        .min_args = 2,
        .max_args = 2,
        .run = verb_cat,
    },
    {
        .name = "put",
        .args = "ADDRESS SHARE/PATH [FILE]",
        .what = "write FILE or standard input to a file of a running server",
        .example = "date | postern put tcp:127.0.0.1:5640 work/today",
        .min_args = 2,
        .max_args = 3,
        .run = verb_put,
    },
    {
        .name = "stat",
        .args = "ADDRESS SHARE[/PATH]",
        .what = "show what a running server says of a file",
        .example = "postern stat unix:/tmp/postern.sock work/today",
        .min_args = 2,
        .max_args = 2,
        .run = verb_stat,
    },
    {
        .name = "show",
        .args = "sandbox",
        .what = "show what each of Postern's processes may do",
        .example = "postern show sandbox",
        .min_args = 1,
        .max_args = 1,
        .run = verb_show,
    },
    {
        .name = "help",
        .args = "[VERB]",
        .what = "show this, or one verb with an example",
        .example = "postern help export",
        .min_args = 0,
        .max_args = 1,
        .run = verb_help,
    },
    {
        .name = "version",
        .args = "",
        .what = "show the version",
        .example = "postern version",
        .min_args = 0,
        .max_args = 0,
        .run = verb_version,
    },
};
#define NVERBS (sizeof(verbs) / sizeof(verbs[0]))

static const struct verb *
verb_find(const char *name)
{
    for (size_t i = 0; i < NVERBS; i++)
        if (strcmp(verbs[i].name, name) == 0)
            return &verbs[i];
    return NULL;
}

static void
verb_print(FILE *out, const struct verb *v)
{
    fprintf(out, "usage: postern %s %s\n  %s\n  example: %s\n", v->name, v->args, v->what,
            v->example);
}

int
cli_usage(const char *verb)
{
    const struct verb *v = verb_find(verb);

    if (v != NULL)
        verb_print(stderr, v);
    return CLI_USAGE;
}

static void
help(FILE *out)
{
    fputs("Postern serves host directories to guests that nobody trusts, over 9P.\n"
          "usage: postern VERB [ARGUMENTS]\n\n",
          out);
    for (size_t i = 0; i < NVERBS; i++)
        fprintf(out, "  %-8s %s\n           %s\n", verbs[i].name, verbs[i].what, verbs[i].example);
    fputs("\nADDRESS is unix:PATH, tcp:HOST:PORT or vsock:CID:PORT; SHARE is the share's name.\n"
          "Exit codes: 0 done, 1 failed, 2 wrong usage.\n",
          out);
}

static int
verb_help(int argc, char **argv)
{
    const struct verb *v;

    if (argc < 2) {
        help(stdout);
        return CLI_OK;
    }
    v = verb_find(argv[1]);
    if (v == NULL) {
        fprintf(stderr, "postern: no verb \"%s\"; postern help lists them\n", argv[1]);
        return CLI_USAGE;
    }
    verb_print(stdout, v);
    return CLI_OK;
}

static int
verb_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("postern " POSTERN_VERSION);
    return CLI_OK;
}

/* "--help" and "--version" are verbs too, wherever a verb may stand. */
static const char *
verb_name(const char *arg)
{
    if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)
        return "help";
    if (strcmp(arg, "--version") == 0 || strcmp(arg, "-V") == 0)
        return "version";
    return arg;
}

int
cli_run(int argc, char **argv)
{
    const struct verb *v;
    int n = argc - 2;

    setlocale(LC_CTYPE, "");
    if (argc < 2) {
        help(stderr);
        return CLI_USAGE;
    }
    v = verb_find(verb_name(argv[1]));
    if (v == NULL) {
        fprintf(stderr, "postern: no verb \"%s\"; postern help lists them\n", argv[1]);
        return CLI_USAGE;
    }
    if (n == 1 && strcmp(argv[2], "--help") == 0) {
        verb_print(stdout, v);
        return CLI_OK;
    }
    if (n < v->min_args || (v->max_args >= 0 && n > v->max_args))
        return cli_usage(v->name);
    return v->run(argc - 1, argv + 1);
}
