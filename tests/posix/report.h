#ifndef POSTERN_TESTS_POSIX_REPORT_H
#define POSTERN_TESTS_POSIX_REPORT_H

/* How the process of a claim, or a child of it, ends early; main.c reads it. */
#define EXIT_FAILED 1
#define EXIT_LACKS 2

_Noreturn void report_failure(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void report_lack(const char *what);

#endif
