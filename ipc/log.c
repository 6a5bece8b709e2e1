/*
 * Lines to stderr or to the broker, and the four ways to end.
 *
 * Runs in: every program.   Trusts: nobody; strings of a guest come quoted.
 * Owns: the level and where lines go.
 *
 * Nothing here allocates or opens a file: it works inside every sandbox.
 */
#include "ipc/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/boot.h"
#include "ipc/fd.h"
#include "ipc/limits.h"

static struct {
    enum log_sink sink;
    int level;
    const char *who; /* borrowed; a constant of the program */
} cfg = {.sink = LOG_TO_STDERR, .level = LOG_INFO, .who = "postern"};

void
log_to(enum log_sink sink, const char *who)
{
    cfg.sink = sink;
    cfg.who = who;
}

void
log_level(int level)
{
    cfg.level = level;
}

static void
to_broker(int level, char *text)
{
    Postern__V1__Log line = POSTERN__V1__LOG__INIT;
    Postern__V1__FromChild m = POSTERN__V1__FROM_CHILD__INIT;

    line.level = (uint32_t)level;
    line.text = text;
    m.log = &line;
    (void)from_child_send(BOOT_FD, &m); /* there is nobody left to tell */
}

__attribute__((format(printf, 2, 0))) static void
log_v(int level, const char *fmt, va_list ap, const char *suffix)
{
    char text[LOG_TEXT_MAX];
    size_t n;

    if (level > cfg.level)
        return;
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    n = strlen(text);
    if (suffix != NULL)
        (void)snprintf(text + n, sizeof(text) - n, ": %s", suffix);
    if (cfg.sink == LOG_TO_BROKER)
        to_broker(level, text);
    else
        (void)dprintf(STDERR_FILENO, "%s: %s\n", cfg.who, text);
}

void
log_line(int level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_v(level, fmt, ap, NULL);
    va_end(ap);
}

/* strerror(3) may load a message catalogue; this never does. */
static const char *
error_text(int err)
{
    const char *s = strerrordesc_np(err);

    return s != NULL ? s : "unknown error";
}

int
log_errno(int r, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    log_v(LOG_ERR, fmt, ap, error_text(-r));
    va_end(ap);
    return r;
}

#define END_WITH(code, level, suffix)                                                              \
    do {                                                                                           \
        va_list ap;                                                                                \
        va_start(ap, fmt);                                                                         \
        log_v(level, fmt, ap, suffix);                                                             \
        va_end(ap);                                                                                \
        _exit(code);                                                                               \
    } while (0)

void
violation(const char *fmt, ...)
{
    END_WITH(EXIT_VIOLATION, LOG_CRIT, "protocol violation by the peer process");
}

void
bug(const char *fmt, ...)
{
    END_WITH(EXIT_BUG, LOG_CRIT, "this is a bug");
}

void
die(const char *fmt, ...)
{
    int err = errno;

    END_WITH(EXIT_WORLD, LOG_ERR, error_text(err));
}

void
must(int r, const char *what)
{
    if (r == 0)
        return;
    errno = -r;
    die("%s", what);
}

/* One byte as it stands in C source; returns its length. */
static size_t
quote_byte(char out[5], uint8_t c)
{
    static const char hex[] = "0123456789abcdef";

    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c >= 0x20 && c < 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    out[0] = '\\';
    out[1] = 'x';
    out[2] = hex[c >> 4];
    out[3] = hex[c & 15];
    return 4;
}

const char *
quote(char *dst, size_t room, const void *s, size_t n)
{
    static const size_t tail = sizeof("...\"");
    const uint8_t *p = s;
    size_t at = 0;

    if (room < tail + 2) {
        if (room > 0)
            dst[0] = '\0';
        return dst;
    }
    dst[at++] = '"';
    for (size_t i = 0; i < n; i++) {
        char byte[5];
        size_t len = quote_byte(byte, p[i]);

        if (room - at < len + tail) {
            memcpy(dst + at, "...", 3);
            at += 3;
            break;
        }
        memcpy(dst + at, byte, len);
        at += len;
    }
    dst[at++] = '"';
    dst[at] = '\0';
    return dst;
}
