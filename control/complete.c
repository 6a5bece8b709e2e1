/*
 * What may stand at the end of an unfinished command line, for the shells
 * (packaging/completion). Says nothing when it does not know, or when there is
 * no server to ask.
 *
 * Runs in: the caller's shell, at each press of a key.   Trusts: the caller;
 * nothing the server says: only plain names are passed on.   Owns: nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "control/ask.h"
#include "ipc/control.h"
#include "ipc/fd.h"

#define COMPLETE_TIMEOUT_MS 1000

static void
offer(const char *word, size_t n, const char *typed)
{
    if (strncmp(word, typed, strlen(typed)) == 0)
        printf("%.*s\n", (int)n, word);
}

/* A name that means nothing to any shell. */
static void
offer_name(const char *name, const char *typed)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

    if (name[0] != '\0' && name[strspn(name, plain)] == '\0')
        offer(name, strlen(name), typed);
}

/* First words, or the second words of a group. */
static void
offer_verbs(const char *group, const char *typed)
{
    const char *last = "";

    for (size_t i = 0; i < cli_nverbs; i++) {
        const char *name = cli_verbs[i].name;
        size_t n = strcspn(name, " ");

        if (cli_verbs[i].what == NULL)
            continue;
        if (group == NULL && strncmp(name, last, n + 1) != 0)
            offer(name, n, typed);
        if (group != NULL && strlen(group) == n && strncmp(name, group, n) == 0 && name[n] == ' ')
            offer(name + n + 1, strlen(name + n + 1), typed);
        last = name;
    }
}

static void
offer_options(const struct verb *v, const char *typed)
{
    for (size_t i = 0; i < noption_rows; i++)
        if ((v->options & option_rows[i].bit) != 0)
            offer(option_rows[i].name, strlen(option_rows[i].name), typed);
    offer("--help", strlen("--help"), typed);
}

/* --- what the server knows ---------------------------------------------------------- */

static void
offer_rows(enum cli_word word, const struct control_answer *a, const char *typed)
{
    for (size_t i = 0; i < a->n; i++) {
        const Postern__V1__ControlReply *part = a->parts[i];

        /* of status only administrators get an answer */
        for (size_t k = 0; word == WORD_TENANT && k < part->n_shares; k++)
            if (k == 0 || strcmp(part->shares[k]->tenant, part->shares[k - 1]->tenant) != 0)
                offer_name(part->shares[k]->tenant, typed);
        for (size_t k = 0; word == WORD_SHARE && k < part->n_shares; k++)
            offer_name(part->shares[k]->name, typed);
        for (size_t k = 0; word == WORD_RESERVATION && k < part->n_shares; k++)
            for (size_t m = 0; m < part->shares[k]->n_reservations; m++)
                offer_name(part->shares[k]->reservations[m], typed);
    }
}

static void
offer_known(const char *control, enum cli_word word, char *tenant, const char *typed)
{
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    Postern__V1__ShareQuery shares = POSTERN__V1__SHARE_QUERY__INIT;
    int64_t deadline = control_now() + COMPLETE_TIMEOUT_MS;
    _clean(clean_fd) int fd = control_connect(control, deadline);
    struct control_answer a;

    if (fd < 0)
        return;
    req.version = CONTROL_VERSION;
    req.share_list = &shares;
    if (word != WORD_TENANT)
        shares.tenant = tenant;
    if (control_ask(fd, &req, deadline, &a) == 0)
        offer_rows(word, &a, typed);
    control_answer_done(&a);
}

/* --- which word it is --------------------------------------------------------------- */

/* Bash makes three words of --name=value. */
static bool
is_equals(int argc, char **argv, int i)
{
    return i < argc && strcmp(argv[i], "=") == 0;
}

static void
offer_argument(const struct verb *v, int argc, char **argv)
{
    const char *control = CONTROL_PATH, *typed = argv[argc - 1];
    char *first = NULL;
    int at = 0;

    for (int i = 0; i < argc - 1; i++) {
        const struct option_row *row = option_find(v->options, argv[i]);

        if (argv[i][0] != '-') {
            first = at++ == 0 ? argv[i] : first;
            continue;
        }
        if (row == NULL || row->arg == NULL || strchr(argv[i], '=') != NULL)
            continue;
        i += is_equals(argc, argv, i + 1) ? 2 : 1;
        if (i >= argc - 1)
            return; /* an option's value */
        if (row->bit == OPT_CONTROL)
            control = argv[i];
    }
    if (at < CLI_WORDS && v->words[at] != WORD_NONE)
        offer_known(control, v->words[at], first, typed);
}

int
verb_complete(int argc, char **argv)
{
    const struct verb *v;
    int words = 0;

    argc--;
    argv++;
    if (argc > 0 && strcmp(argv[0], "--") == 0) {
        argc--;
        argv++;
    }
    if (argc == 0)
        return CLI_OK;
    if (argc == 1 || (argc == 2 && strcmp(argv[0], "help") == 0))
        offer_verbs(NULL, argv[argc - 1]);
    if (argc == 2 && cli_is_group(argv[0]))
        offer_verbs(argv[0], argv[1]);
    v = cli_find(argc - 1, argv, &words);
    if (v == NULL)
        return CLI_OK;
    if (argv[argc - 1][0] == '-')
        offer_options(v, argv[argc - 1]);
    else
        offer_argument(v, argc - words, argv + words);
    return CLI_OK;
}
