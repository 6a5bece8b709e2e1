/*
 * What happens to a process whose sandbox cannot be built: each call of each
 * step fails once.
 */
#ifndef POSTERN_TESTS_ESCAPE_FAULTS_H
#define POSTERN_TESTS_ESCAPE_FAULTS_H

#include <sys/syscall.h>

#include "tests/escape/jail.h"

#define FAULT(call)                                                                                \
    {                                                                                              \
        .nr = SYS_##call                                                                           \
    }
#define PRCTL(what)                                                                                \
    {                                                                                              \
        .nr = SYS_prctl, .has_arg = true, .arg = (what)                                            \
    }

/* It ended before it was ready, at that step, with the code that says so. */
void faults_assert_refused(const struct outcome *out, const char *step);
/* Every step of that kind of process. */
void faults_try(enum jail_kind kind);

#endif
