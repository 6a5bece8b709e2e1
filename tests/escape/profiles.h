/*
 * The profiles of the real programs, as a jail uses them.
 */
#ifndef POSTERN_TESTS_ESCAPE_PROFILES_H
#define POSTERN_TESTS_ESCAPE_PROFILES_H

#include "tests/escape/jail.h"

/* Everything but the mount and the ids. */
void profile_of(struct sandbox_profile *p, enum jail_kind kind, const int *events, size_t n);

#define JAIL_NOFILE 64
#define JAIL_FILE_SIZE (1024 * 1024) /* RLIMIT_FSIZE of JAIL_RW */

#endif
