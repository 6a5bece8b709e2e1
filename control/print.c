/*
 * Names that a server sent, shown to a person.
 *
 * Runs in: the command line.   Trusts: nothing in a name.   Owns: nothing.
 */
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#include <wctype.h>

#include "control/cli.h"

/* Bytes of the printable character at s, 0 when it is none. */
static size_t
printable(const char *s, size_t n)
{
    mbstate_t st = {0};
    wchar_t w;
    size_t len;

    if (*s == '\\')
        return 0;
    len = mbrtowc(&w, s, n, &st);
    if (len == 0 || len > n) /* also (size_t)-1 and -2: not a character */
        return 0;
    return iswprint((wint_t)w) ? len : 0;
}

void
print_escaped(FILE *out, const char *s, size_t n)
{
    while (n > 0) {
        size_t len = printable(s, n);

        if (len > 0) {
            fwrite(s, 1, len, out);
        } else {
            len = 1;
            if (*s == '\\')
                fputs("\\\\", out);
            else
                fprintf(out, "\\%03o", (unsigned)(unsigned char)*s);
        }
        s += len;
        n -= len;
    }
}

void
print_name(FILE *out, const char *s, size_t n)
{
    if (isatty(fileno(out)))
        print_escaped(out, s, n);
    else
        fwrite(s, 1, n, out);
}
