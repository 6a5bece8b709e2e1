/*
 * What every cmocka test includes: its headers in the order they want.
 */
#ifndef POSTERN_TESTS_TEST_H
#define POSTERN_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#endif
