/*
 * Verbs of posternd that look at a policy and serve nothing. args.c calls them
 * with what follows the verb; they return the exit code, or VERB_USAGE.
 */
#ifndef POSTERN_BROKER_VERBS_H
#define POSTERN_BROKER_VERBS_H

#include "policy/plan.h"

#define VERB_USAGE (-1)

/* Load a policy, or say on stderr why not. */
int verb_plan_load(const char *file, struct plan **ret);

/* verbs.c. explain FILE --tenant ... : 0 allowed, 1 refused, 2 no answer.
 * policy print FILE. */
int verb_explain(int argc, char **argv);
int verb_policy(int argc, char **argv);

/* lint.c: check [--strict] FILE. */
int verb_check(int argc, char **argv);

/* lint.c: what is allowed and yet dangerous, a line each on stderr. Returns how
 * many there were. */
unsigned lint(const struct plan *plan);

#endif
