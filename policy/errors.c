/*
 * The list of mistakes in a policy, as one text.
 *
 * Runs in: broker.   Trusts: its callers.
 * Owns: the text until errors_end() hands it over.
 */
#include "policy/value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ipc/fd.h"

bool
errors_none(const struct errors *e)
{
    return e->count == 0 && !e->no_memory;
}

void
errors_add(struct errors *e, struct where at, const char *fmt, ...)
{
    _clean(clean_free) char *what = NULL;
    char *text = NULL;
    va_list ap;
    int n;

    if (e->count++ >= POLICY_ERRORS_MAX)
        return;
    va_start(ap, fmt);
    n = vasprintf(&what, fmt, ap);
    va_end(ap);
    if (n < 0) {
        what = NULL; /* vasprintf leaves it undefined */
        e->no_memory = true;
        return;
    }
    if (at.file != NULL)
        n = asprintf(&text, "%s%s%s:%u: %s", e->text != NULL ? e->text : "",
                     e->text != NULL ? "\n" : "", at.file, at.line, what);
    else
        n = asprintf(&text, "%s%s%s", e->text != NULL ? e->text : "", e->text != NULL ? "\n" : "",
                     what);
    if (n < 0) {
        e->no_memory = true;
        return;
    }
    free(e->text);
    e->text = text;
}

int
errors_end(struct errors *e, int r, char **ret_text)
{
    if (e->no_memory) {
        free(e->text);
        e->text = NULL;
        r = -ENOMEM;
    }
    if (r < 0) {
        if (e->text == NULL)
            e->text = strdup(e->no_memory ? "out of memory, expected more" : strerror(-r));
        *ret_text = take_ptr(&e->text);
    }
    free(e->text);
    *e = (struct errors){0};
    return r;
}

char *
errors_strdup(struct errors *e, const char *s)
{
    char *copy = strdup(s);

    if (copy == NULL)
        e->no_memory = true;
    return copy;
}

void *
errors_grow(struct errors *e, void *array, size_t n, size_t size)
{
    uint8_t *bigger = reallocarray(array, n + 1, size);

    if (bigger == NULL) {
        e->no_memory = true;
        return NULL;
    }
    memset(bigger + n * size, 0, size);
    return bigger;
}
