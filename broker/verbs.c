/*
 * The verbs that answer questions about a policy and serve nothing: explain,
 * and policy print.
 *
 * Runs in: broker.   Trusts: the caller's arguments.
 * Owns: nothing beyond a call.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "broker/verbs.h"
#include "ipc/fd.h"

enum { EXIT_REFUSED = 1, EXIT_NO_ANSWER = 2 };

int
verb_plan_load(const char *file, struct plan **ret)
{
    char *why = NULL;
    int r = plan_load(file, ret, &why);

    if (r < 0) {
        /* As it is, for editors and people that jump to file:line: */
        fprintf(stderr, "%s\n", why != NULL ? why : "out of memory");
        free(why);
    }
    return r;
}

static bool
uid_read(const char *s, struct plan_question *q)
{
    char *end;
    unsigned long v;

    errno = 0;
    v = strtoul(s, &end, 10);
    if (s[0] < '0' || s[0] > '9' || *end != '\0' || errno != 0 || v >= UINT32_MAX)
        return false;
    q->has_uid = true;
    q->uid = (uint32_t)v;
    return true;
}

/* Each option once, with its value. */
static bool
question_read(struct plan_question *q, int argc, char **argv)
{
    const struct {
        const char *option;
        const char **value;
    } options[] = {{"--tenant", &q->tenant},
                   {"--share", &q->share},
                   {"--op", &q->op},
                   {"--path", &q->path},
                   {"--xattr", &q->xattr}};

    for (int i = 0; i + 1 < argc; i += 2) {
        size_t k = 0;

        if (strcmp(argv[i], "--uid") == 0) {
            if (q->has_uid || !uid_read(argv[i + 1], q))
                return false;
            continue;
        }
        while (k < sizeof(options) / sizeof(options[0]) && strcmp(options[k].option, argv[i]) != 0)
            k++;
        if (k == sizeof(options) / sizeof(options[0]) || *options[k].value != NULL)
            return false;
        *options[k].value = argv[i + 1];
    }
    return argc % 2 == 0 && q->tenant != NULL && q->share != NULL && q->op != NULL &&
           q->path != NULL;
}

static int
explain(const struct plan *plan, const struct plan_question *q)
{
    struct plan_answer a = {0};
    char *why = NULL;

    if (plan_explain(plan, q, &a, &why) < 0) {
        fprintf(stderr, "posternd: explain: %s\n", why != NULL ? why : "out of memory");
        free(why);
        return EXIT_NO_ANSWER;
    }
    if (a.err == 0)
        printf("allowed: ");
    else
        printf("refused %s: ", strerrorname_np(a.err));
    printf("%s\n%s:%u: the rule\n", a.why, a.file, a.line);
    return a.err == 0 ? 0 : EXIT_REFUSED;
}

int
verb_explain(int argc, char **argv)
{
    struct plan_question q = {0};
    struct plan *plan = NULL;
    int r;

    if (argc < 1 || argv[0][0] == '-' || !question_read(&q, argc - 1, argv + 1))
        return VERB_USAGE;
    if (verb_plan_load(argv[0], &plan) < 0)
        return EXIT_NO_ANSWER;
    r = explain(plan, &q);
    plan_free(plan);
    return r;
}

int
verb_policy(int argc, char **argv)
{
    struct plan *plan = NULL;
    int r;

    if (argc != 2 || strcmp(argv[0], "print") != 0 || argv[1][0] == '-')
        return VERB_USAGE;
    if (verb_plan_load(argv[1], &plan) < 0)
        return 1;
    r = plan_print(plan, stdout);
    plan_free(plan);
    if (r < 0)
        fprintf(stderr, "posternd: policy print: %s\n", strerror(-r));
    return r < 0 ? 1 : 0;
}
