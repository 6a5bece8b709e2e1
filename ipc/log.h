/*
 * What a program says and how it ends. Used by programs; libraries (ipc,
 * policy, sandbox) return -errno instead and never log.
 *
 * The broker and the command line write to stderr. A worker or helper hands
 * each line to the broker on BOOT_FD as a FromChild.log, which prints it
 * with the child's name in front, bounded in length and rate.
 */
#ifndef POSTERN_IPC_LOG_H
#define POSTERN_IPC_LOG_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

/* Exit codes by which the broker tells a crash from a refusal; sysexits(3)
 * where one fits. */
enum exit_code {
    EXIT_VIOLATION = 70, /* the peer process broke the protocol */
    EXIT_BUG = 71,       /* we are wrong */
    EXIT_WORLD = 72,     /* out of memory, fds, ...; the text says */
    EXIT_SANDBOX = 78,   /* the sandbox could not be built; nothing was served */
};

/* Where lines go from now on. LOG_TO_STDERR is the start value. */
enum log_sink { LOG_TO_STDERR, LOG_TO_BROKER };
void log_to(enum log_sink sink, const char *who);
/* Lines above this level (LOG_DEBUG is the most) are dropped. Start: LOG_INFO. */
void log_level(int level);

__attribute__((format(printf, 2, 3))) void log_line(int level, const char *fmt, ...);
#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERR, __VA_ARGS__)

/* Log "fmt: strerror(-r)" once, as an error, and return r (negative). */
__attribute__((format(printf, 2, 3))) int log_errno(int r, const char *fmt, ...);

/* The peer process broke the protocol. */
__attribute__((noreturn, format(printf, 1, 2))) void violation(const char *fmt, ...);
/* We are wrong; also in release builds. */
__attribute__((noreturn, format(printf, 1, 2))) void bug(const char *fmt, ...);
/* The world failed and there is no reply to put it in; errno is appended. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...);
/* r is 0, or -errno and the end as by die(). */
void must(int r, const char *what);

/* Write s[0..n) into dst as text in quotes with C escapes; always ends with a
 * NUL and never exceeds room. Returns dst. For every string of a guest. */
const char *quote(char *dst, size_t room, const void *s, size_t n);
#define QUOTE_BUF 1100

#endif
