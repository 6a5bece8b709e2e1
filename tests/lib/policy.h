/*
 * Policies of a test's own text.
 */
#ifndef POSTERN_TESTS_POLICY_H
#define POSTERN_TESTS_POLICY_H

#include "policy/plan.h"

/* The plan of a policy in a file named p; the caller's, for plan_free().
 * A refusal is printed and fails the test. */
struct plan *plan_of(const char *text);

#endif
