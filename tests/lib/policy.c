/*
 * Policies of a test's own text.
 *
 * Runs in: tests.   Trusts: the test.   Owns: nothing.
 */
#include "tests/lib/test.h"

#include "tests/lib/policy.h"

#include <string.h>

#include "policy/parse.h"

struct plan *
plan_of(const char *text)
{
    struct plan *p = NULL;
    char *error = NULL;

    if (policy_parse_text("p", text, strlen(text), &p, &error) < 0)
        print_error("%s\n%s\n", text, error);
    assert_null(error);
    assert_non_null(p);
    return p;
}
