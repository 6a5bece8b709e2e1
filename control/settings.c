/*
 * Settings of a share, written as policy text. Nothing that is a path or a
 * value can become another setting: quotes and backslashes are escaped, what a
 * policy's strings cannot hold is refused, and a list or text that the caller
 * wrote as policy text has to end where the argument ends.
 *
 * Runs in: the command line.   Trusts: nothing in an argument: it may come from
 * a script's variable.   Owns: the text until it is returned.
 * twin: policy/scan.c, which reads it.
 */
#include "control/settings.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/fd.h"

#define BLANKS " "

/* Why a policy's string cannot hold s[0..n); NULL: it can. */
static const char *
unfit(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return "a control character, which a policy cannot hold";
        if (s[i] == '|')
            return "\"|\", which a policy cannot hold";
        if (s[i] == '$' && i + 1 < n && s[i + 1] == '{')
            return "\"${\", which a policy cannot hold";
    }
    return NULL;
}

static void
put_string(FILE *out, const char *s, size_t n)
{
    fputc('"', out);
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '"' || s[i] == '\\')
            fputc('\\', out);
        fputc(s[i], out);
    }
    fputc('"', out);
}

/* The end of the text in quotes at s, or NULL. */
static const char *
string_end(const char *s)
{
    char mark = *s++;

    for (; *s != '\0' && *s != mark; s++) {
        if (mark == '"' && *s == '\\' && *++s == '\0')
            return NULL;
    }
    return *s == mark ? s + 1 : NULL;
}

static const char *
word_end(const char *s)
{
    return s + strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-");
}

/* The end of { VALUE, VALUE } at s, or NULL. */
static const char *
list_end(const char *s)
{
    bool after_value = false;

    for (s++;; after_value = !after_value) {
        const char *end;

        s += strspn(s, BLANKS);
        if (*s == '}')
            return s + 1;
        if (after_value && *s != ',')
            return NULL;
        if (after_value)
            end = s + 1;
        else
            end = *s == '"' || *s == '\'' ? string_end(s) : word_end(s);
        if (end == NULL || end == s)
            return NULL;
        s = end;
    }
}

/* VALUE without blanks around it. */
static const char *
put_value(FILE *out, const char *s, size_t n)
{
    const char *end = s + n;

    if (n == 0)
        return "no value, expected SETTING = VALUE";
    if (*s == '"' || *s == '\'' || *s == '{')
        end = *s == '{' ? list_end(s) : string_end(s);
    else
        put_string(out, s, n);
    if (end == NULL)
        return *s == '{' ? "a list that is none, expected { \"VALUE\", ... }"
                         : "a text without its closing quote";
    if (end != s + n)
        return "something behind the value, expected SETTING = VALUE alone";
    if (*s == '"' || *s == '\'' || *s == '{')
        fwrite(s, 1, n, out);
    return NULL;
}

/* Why not; NULL: done. */
static const char *
put_set(FILE *out, const char *set)
{
    const char *name = set + strspn(set, BLANKS), *end = name, *value;
    const char *why = unfit(set, strlen(set));
    size_t n;

    if (why != NULL)
        return why;
    end += strspn(name, "abcdefghijklmnopqrstuvwxyz-");
    value = end + strspn(end, BLANKS);
    if (end == name || *value != '=')
        return "no setting's name and \"=\", expected SETTING = VALUE";
    value++;
    value += strspn(value, BLANKS);
    for (n = strlen(value); n > 0 && strchr(BLANKS, value[n - 1]) != NULL; n--)
        ;
    fprintf(out, "%.*s = ", (int)(end - name), name);
    why = put_value(out, value, n);
    fputc('\n', out);
    return why;
}

int
settings_text(const char *path, const char *access, const char *const *sets, size_t nsets,
              char **ret, const char **ret_why, int *ret_which)
{
    _clean(clean_free) char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    const char *why = unfit(path, strlen(path));
    bool failed;

    if (out == NULL)
        return -ENOMEM;
    *ret_which = -1;
    fputs("path = ", out);
    put_string(out, path, strlen(path));
    fprintf(out, "\naccess = %s\n", access);
    for (size_t i = 0; i < nsets && why == NULL; i++) {
        *ret_which = (int)i;
        why = put_set(out, sets[i]);
    }
    failed = ferror(out) != 0;
    failed = fclose(out) != 0 || failed;
    if (why != NULL) {
        *ret_why = why;
        return -EINVAL;
    }
    if (failed)
        return -ENOMEM;
    *ret = take_ptr(&text);
    return 0;
}
