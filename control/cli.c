/*
 * The verbs of the command line as a table, and help made from it.
 *
 * Runs in: the command line.   Trusts: the caller.   Owns: nothing.
 */
#include "control/cli.h"

#include <locale.h>
#include <string.h>

#include "control/options.h"

static int verb_help(int argc, char **argv);
static int verb_version(int argc, char **argv);

/* twin: docs/man/postern.1 */
const struct verb cli_verbs[] = {
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
        .args = "[--strict] POLICY",
        .what = "read a policy file and look at its shares; say what is wrong or dangerous",
        .example = "postern check /etc/postern/policy.conf",
        .min_args = 1,
        .max_args = 2,
        .run = verb_check,
    },
    {
        .name = "explain",
        .args = "POLICY --tenant T --share S --op OP --path P [--xattr NAME] [--uid N]",
        .what = "say whether a guest may do that, why, and which line says so",
        .example = "postern explain /etc/postern/policy.conf --tenant blue --share work --op write "
                   "--path releases/x",
        .min_args = 9,
        .max_args = 13,
        .run = verb_explain,
    },
    {
        .name = "policy print",
        .args = "POLICY",
        .what = "write a policy with all its defaults, sorted",
        .example = "postern policy print /etc/postern/policy.conf",
        .min_args = 1,
        .max_args = 1,
        .run = verb_policy_print,
    },
    {
        .name = "share add",
        .args = "TENANT NAME [PATH --ro|--rw [--set 'SETTING = VALUE']...]",
        .what = "show guests of a running server one more directory, or one that was reserved",
        .example = "postern share add blue src /srv/src --ro --set 'hide = { \"*.pem\" }'",
        .min_args = 2,
        .max_args = 3,
        .options = OPT_ASK | OPT_SHARE | OPT_RESERVATION,
        .ask = verb_share_add,
        .words = {WORD_TENANT},
    },
    {
        .name = "share reserve",
        .args = "TENANT NAME PATH --ro|--rw [--set 'SETTING = VALUE']...",
        .what = "have a share checked and kept ready, without showing it yet",
        .example = "postern share reserve blue src /srv/src --ro",
        .min_args = 3,
        .max_args = 3,
        .options = OPT_ASK | OPT_SHARE | OPT_RESERVATION,
        .ask = verb_share_reserve,
        .words = {WORD_TENANT},
    },
    {
        .name = "share remove",
        .args = "TENANT RESERVATION",
        .what = "take a share away from the guests of a running server",
        .example = "postern share remove blue src --drain 30s",
        .min_args = 2,
        .max_args = 2,
        .options = OPT_ASK | OPT_DRAIN,
        .ask = verb_share_remove,
        .words = {WORD_TENANT, WORD_RESERVATION},
    },
    {
        .name = "share list",
        .args = "[TENANT]",
        .what = "list the shares of a running server",
        .example = "postern share list blue --columns share,state,path",
        .min_args = 0,
        .max_args = 1,
        .options = OPT_ASK | OPT_TABLE,
        .ask = verb_share_list,
        .words = {WORD_TENANT},
    },
    {
        .name = "share show",
        .args = "TENANT NAME",
        .what = "show all that a running server says of one share",
        .example = "postern share show blue src",
        .min_args = 2,
        .max_args = 2,
        .options = OPT_ASK | OPT_TABLE,
        .ask = verb_share_show,
        .words = {WORD_TENANT, WORD_SHARE},
    },
    {
        .name = "status",
        .args = "[TENANT]",
        .what = "show the tenants of a running server and how they are",
        .example = "postern status --json",
        .min_args = 0,
        .max_args = 1,
        .options = OPT_ASK | OPT_TABLE,
        .ask = verb_status,
        .words = {WORD_TENANT},
    },
    {
        .name = "ps",
        .args = "[TENANT]",
        .what = "list the processes of a running server with what holds each of them in",
        .example = "postern ps blue",
        .min_args = 0,
        .max_args = 1,
        .options = OPT_ASK | OPT_TABLE,
        .ask = verb_ps,
        .words = {WORD_TENANT},
    },
    {
        .name = "reload",
        .args = "",
        .what = "let a running server read its policy again and apply what changed",
        .example = "postern reload --show",
        .min_args = 0,
        .max_args = 0,
        .options = OPT_ASK | OPT_SHOW,
        .ask = verb_reload,
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
        .max_args = 2,
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
    {
        .name = "complete", /* for shells; not in help */
        .args = "-- WORD...",
        .min_args = 0,
        .max_args = -1,
        .run = verb_complete,
    },
};
const size_t cli_nverbs = sizeof(cli_verbs) / sizeof(cli_verbs[0]);

static void
verb_print(FILE *out, const struct verb *v)
{
    fprintf(out, "usage: postern %s %s%s\n  %s\n", v->name, v->args,
            v->options != 0 ? " [OPTION]..." : "", v->what);
    options_print(out, v);
    fprintf(out, "  example: %s\n", v->example);
}

int
cli_usage(const char *verb)
{
    for (size_t i = 0; i < cli_nverbs; i++)
        if (strcmp(cli_verbs[i].name, verb) == 0)
            verb_print(stderr, &cli_verbs[i]);
    return CLI_USAGE;
}

/* Verbs whose first word is this one. */
static void
group_print(FILE *out, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i < cli_nverbs; i++) {
        const struct verb *v = &cli_verbs[i];

        if (strncmp(v->name, word, n) == 0 && v->name[n] == ' ')
            fprintf(out, "usage: postern %s %s\n  %s\n  example: %s\n", v->name, v->args, v->what,
                    v->example);
    }
}

static void
help(FILE *out)
{
    fputs("Postern serves host directories to guests that nobody trusts, over 9P.\n"
          "usage: postern VERB [ARGUMENTS]\n\n",
          out);
    for (size_t i = 0; i < cli_nverbs; i++)
        if (cli_verbs[i].what != NULL)
            fprintf(out, "  %-14s %s\n                 %s\n", cli_verbs[i].name, cli_verbs[i].what,
                    cli_verbs[i].example);
    fputs("\nADDRESS is unix:PATH, tcp:HOST:PORT or vsock:CID:PORT; SHARE is the share's name.\n"
          "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the server cannot be\n"
          "reached, 4 no answer came: ask again.\n",
          out);
}

static int
verb_help(int argc, char **argv)
{
    const struct verb *v;
    int words = 0;

    if (argc < 2) {
        help(stdout);
        return CLI_OK;
    }
    v = cli_find(argc - 1, argv + 1, &words);
    if (v != NULL && words == argc - 1)
        verb_print(stdout, v);
    else if (argc == 2 && cli_is_group(argv[1]))
        group_print(stdout, argv[1]);
    else
        return cli_no_verb(argc - 1, argv + 1);
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
static const struct verb *
first_verb(int argc, char **argv, int *ret_words)
{
    static char help_word[] = "help", version_word[] = "version";
    char *word = argv[0];

    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        word = help_word;
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        word = version_word;
    return word == argv[0] ? cli_find(argc, argv, ret_words) : cli_find(1, &word, ret_words);
}

/* A verb with options: --help may be any of them. */
static int
run_ask(const struct verb *v, int argc, char **argv)
{
    const char *sets[CLI_SETS_MAX];
    struct cli_options o;
    int r;

    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            verb_print(stdout, v);
            return CLI_OK;
        }
    }
    r = options_parse(v, argc, argv, sets, &o);
    return r == CLI_OK ? v->ask(&o) : r;
}

int
cli_run(int argc, char **argv)
{
    const struct verb *v;
    int n, words = 0;

    setlocale(LC_CTYPE, "");
    if (argc < 2) {
        help(stderr);
        return CLI_USAGE;
    }
    v = first_verb(argc - 1, argv + 1, &words);
    if (v == NULL && cli_is_group(argv[1]) && (argc == 2 || strcmp(argv[2], "--help") == 0)) {
        group_print(argc == 2 ? stderr : stdout, argv[1]);
        return argc == 2 ? CLI_USAGE : CLI_OK;
    }
    if (v == NULL)
        return cli_no_verb(argc - 1, argv + 1);
    n = argc - 1 - words;
    argv += words;
    if (v->ask != NULL)
        return run_ask(v, n, argv + 1);
    if (n == 1 && strcmp(argv[1], "--help") == 0) {
        verb_print(stdout, v);
        return CLI_OK;
    }
    if (n < v->min_args || (v->max_args >= 0 && n > v->max_args))
        return cli_usage(v->name);
    return v->run(n + 1, argv);
}
