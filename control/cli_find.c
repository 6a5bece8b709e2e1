/*
 * Which verb is meant, and which was perhaps meant.
 *
 * Runs in: the command line.   Trusts: the caller.   Owns: nothing.
 */
#include <string.h>

#include "control/cli.h"

#define TYPED_MAX 24 /* bytes of a verb with a slip in it */
#define SLIPS_MAX 2

/* How many of the words begin argv; 0: not all of name does. */
static int
words_matched(const char *name, int argc, char *const *argv)
{
    for (int i = 0; i < argc; i++) {
        size_t n = strcspn(name, " ");

        if (strlen(argv[i]) != n || memcmp(name, argv[i], n) != 0)
            return 0;
        if (name[n] == '\0')
            return i + 1;
        name += n + 1;
    }
    return 0;
}

const struct verb *
cli_find(int argc, char *const *argv, int *ret_words)
{
    for (size_t i = 0; i < cli_nverbs; i++) {
        *ret_words = words_matched(cli_verbs[i].name, argc, argv);
        if (*ret_words > 0)
            return &cli_verbs[i];
    }
    return NULL;
}

bool
cli_is_group(const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i < cli_nverbs; i++)
        if (strncmp(cli_verbs[i].name, word, n) == 0 && cli_verbs[i].name[n] == ' ')
            return true;
    return false;
}

static unsigned
least(unsigned a, unsigned b, unsigned c)
{
    a = b < a ? b : a;
    return c < a ? c : a;
}

/* Letters to change, add or drop to make b of a. */
static unsigned
slips(const char *a, size_t na, const char *b, size_t nb)
{
    unsigned row[TYPED_MAX + 1];

    for (unsigned k = 0; k <= nb; k++)
        row[k] = k;
    for (unsigned i = 1; i <= na; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned k = 1; k <= nb; k++) {
            unsigned same = diagonal + (a[i - 1] != b[k - 1]);

            diagonal = row[k];
            row[k] = least(same, row[k] + 1, row[k - 1] + 1);
        }
    }
    return row[nb];
}

/* The verb with the fewest slips against typed, or NULL; of its first word alone
 * unless typed has two. */
static const struct verb *
nearest(const char *typed, bool two, size_t *ret_n)
{
    const struct verb *found = NULL;
    size_t nt = strlen(typed);
    unsigned best = SLIPS_MAX + 1;

    for (size_t i = 0; i < cli_nverbs && nt <= TYPED_MAX; i++) {
        const struct verb *v = &cli_verbs[i];
        size_t n = two ? strlen(v->name) : strcspn(v->name, " ");
        unsigned d = n > TYPED_MAX || v->what == NULL ? best : slips(typed, nt, v->name, n);

        if (d < best && d < nt) {
            best = d;
            found = v;
            *ret_n = n;
        }
    }
    return found;
}

int
cli_no_verb(int argc, char *const *argv)
{
    bool two = argc > 1 && cli_is_group(argv[0]);
    char typed[TYPED_MAX + 2] = "";
    const struct verb *v;
    size_t n = 0;

    (void)snprintf(typed, sizeof(typed), "%s%s%s", argv[0], two ? " " : "", two ? argv[1] : "");
    v = nearest(typed, two, &n);
    fputs("postern: no verb \"", stderr);
    print_escaped(stderr, argv[0], strlen(argv[0]));
    if (two) {
        fputc(' ', stderr);
        print_escaped(stderr, argv[1], strlen(argv[1]));
    }
    fputc('"', stderr);
    if (v != NULL)
        fprintf(stderr, "; did you mean \"%.*s\"?", (int)n, v->name);
    fputs("; postern help lists them\n", stderr);
    return CLI_USAGE;
}
