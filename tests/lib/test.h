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

#include "tests/lib/must.h"

#endif
