/*
 * What programs use that are no cmocka tests, such as those for a fuzzer.
 */
#ifndef POSTERN_TESTS_MUST_H
#define POSTERN_TESTS_MUST_H

#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
/* Or the program is at fault, which a fuzzer sees. */
#define MUST(c)                                                                                    \
    do {                                                                                           \
        if (!(c))                                                                                  \
            abort();                                                                               \
    } while (0)

/* A number from the environment, such as how often; otherwise: nobody said. */
static inline unsigned long long
given(const char *name, unsigned long long otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

#endif
