/*
 * The words of a policy. libconfuse 3.3 alone would expand environment
 * variables in strings, skip bytes it does not know, take a file's end for
 * missing braces, leave its scanner inside an unfinished string, lose memory
 * on a wrong include and write past its buffer in comments of some lengths.
 * So every token is checked here and handed on in one spelling, each on its
 * line, and libconfuse sees nothing else.
 *
 * Runs in: broker.   Trusts: nothing in the text.
 * Owns: the text it writes, until handed over.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ipc/fd.h"
#include "policy/parse.h"

#define INCLUDE "include"
#define WORD_MAX 255

struct scan {
    struct errors *errors;
    const char *file, *at, *end;
    unsigned line;
    FILE *out;
    char prev;         /* last token: itself, 'w' a word, 's' a string, 0 none */
    bool prev_include; /* the last token is the word include */
    unsigned paren;    /* of include: 1 its string comes, 2 its ")" comes */
    unsigned depth;
    unsigned opened[POLICY_NESTING_MAX]; /* line of each open brace */
    bool list;                           /* the innermost brace is a list's */
};

#define WRONG(s, ...) scan_wrong(s, (struct where){(s)->file, (s)->line}, __VA_ARGS__)
#define scan_wrong(s, where, ...) (errors_add((s)->errors, where, __VA_ARGS__), false)

static bool
is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("_.:-", c) != NULL);
}

static bool
is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool
starts(const struct scan *s, const char *with)
{
    size_t n = strlen(with);

    return (size_t)(s->end - s->at) >= n && memcmp(s->at, with, n) == 0;
}

static void
newline(struct scan *s)
{
    s->line++;
    fputc('\n', s->out);
}

static void
line_comment(struct scan *s)
{
    while (s->at < s->end && *s->at != '\n')
        s->at++;
}

static bool
block_comment(struct scan *s)
{
    struct where start = {s->file, s->line};

    for (s->at += 2; s->at < s->end; s->at++) {
        if (starts(s, "*/")) {
            s->at += 2;
            return true;
        }
        if (*s->at == '\n')
            newline(s);
    }
    return scan_wrong(s, start, "comment has no end, expected \"*/\"");
}

static bool
string_byte(struct scan *s, char mark)
{
    char c = *s->at;

    if (c == '\n')
        return WRONG(s, "string goes over the end of the line, expected %c before it", mark);
    if (is_control(c))
        return WRONG(s, "byte 0x%02x in a string, expected no control characters", c);
    if (c == '|') /* libconfuse's separator of section names */
        return WRONG(s, "\"|\" in a string, expected a value without it");
    if (starts(s, "${"))
        return WRONG(s, "\"${\" in a string, expected plain text: variables are not replaced");
    if (c == '\\' && mark == '"') {
        s->at++;
        if (s->at == s->end || (*s->at != '"' && *s->at != '\\'))
            return WRONG(s, "unknown escape in a string, expected \\\\ or \\\" after \"\\\"");
        c = *s->at;
    }
    if (strchr("\"\\$", c) != NULL)
        fputc('\\', s->out);
    fputc(c, s->out);
    s->at++;
    return true;
}

static bool
string(struct scan *s)
{
    const char *start = s->at;
    char mark = *s->at++;

    fputs(" \"", s->out);
    while (s->at < s->end && *s->at != mark) {
        if (!string_byte(s, mark))
            return false;
        if (s->at - start > POLICY_STRING_MAX)
            return WRONG(s, "string is too long, expected at most %d bytes", POLICY_STRING_MAX);
    }
    if (s->at == s->end)
        return WRONG(s, "string has no end, expected %c", mark);
    s->at++;
    fputs("\" ", s->out);
    s->prev = 's';
    return true;
}

static bool
word(struct scan *s)
{
    const char *start = s->at;
    size_t n;

    while (s->at < s->end && is_word_byte(*s->at))
        s->at++;
    n = (size_t)(s->at - start);
    if (n > WORD_MAX)
        return WRONG(s, "word of %zu bytes, expected at most %d", n, WORD_MAX);
    fputc(' ', s->out);
    fwrite(start, 1, n, s->out);
    s->prev = 'w';
    s->prev_include = n == strlen(INCLUDE) && memcmp(start, INCLUDE, n) == 0;
    return true;
}

static bool
open_brace(struct scan *s)
{
    if (s->depth == POLICY_NESTING_MAX || s->list)
        return WRONG(s, "too many \"{\" within each other, expected a setting or \"}\"");
    s->opened[s->depth++] = s->line;
    s->list = s->prev == '=';
    fputs(s->list ? "{" : "{ " SECTION_MARK " = 0 ", s->out);
    return true;
}

static bool
close_brace(struct scan *s)
{
    if (s->depth == 0)
        return WRONG(s, "\"}\" closes nothing, expected a \"{\" before it");
    if (s->list && s->prev == '{')
        fputs("\"" EMPTY_LIST "\"", s->out);
    s->depth--;
    s->list = false; /* a list is in a section, never in a list */
    fputc('}', s->out);
    return true;
}

static bool
punct(struct scan *s)
{
    char c = *s->at;
    bool was_include = s->prev == 'w' && s->prev_include;

    if (c == '{' && !open_brace(s))
        return false;
    if (c == '}' && !close_brace(s))
        return false;
    if (c == '(' && !was_include)
        return WRONG(s, "unexpected \"(\", expected it after include alone");
    if (c == ')' && s->paren != 2)
        return WRONG(s, "unexpected \")\", expected include(\"FILE\")");
    if (c != '{' && c != '}')
        fputc(c, s->out);
    s->paren = c == '(' ? 1 : 0;
    s->prev = c;
    s->at++;
    return true;
}

/* include("FILE") is one thing; its parts cannot be missing or more. */
static bool
include_goes_on(struct scan *s, bool is_string, char c)
{
    if ((s->paren == 1 && !is_string) || (s->paren == 2 && c != ')'))
        return WRONG(s, "include is incomplete, expected include(\"FILE\")");
    return true;
}

static bool
token(struct scan *s)
{
    char c = *s->at;
    bool is_string = c == '"' || c == '\'';

    if (!include_goes_on(s, is_string, c))
        return false;
    if (is_string) {
        s->paren = s->paren == 1 ? 2 : 0;
        return string(s);
    }
    if (is_word_byte(c))
        return word(s);
    if (c != '\0' && strchr("{}()=,", c) != NULL)
        return punct(s);
    if (c == '/')
        return WRONG(s, "unexpected \"/\", expected quotes around a path");
    return WRONG(s, "unexpected %s, expected a setting, or a value in quotes",
                 quote((char[16]){0}, 16, &c, 1));
}

/* One token, comment or blank. */
static bool
step(struct scan *s)
{
    char c = *s->at;

    if (c == '\n') {
        newline(s);
        s->at++;
        return true;
    }
    if (c == ' ' || c == '\t' || c == '\r') {
        fputc(' ', s->out);
        s->at++;
        return true;
    }
    if (c == '#' || starts(s, "//")) {
        line_comment(s);
        return true;
    }
    return starts(s, "/*") ? block_comment(s) : token(s);
}

static bool
scan_all(struct scan *s)
{
    while (s->at < s->end) {
        if (!step(s))
            return false;
    }
    if (s->paren != 0)
        return WRONG(s, "include is incomplete, expected include(\"FILE\")");
    if (s->depth > 0)
        return scan_wrong(s, ((struct where){s->file, s->opened[s->depth - 1]}),
                          "\"{\" is never closed, expected \"}\" before the end of the file");
    return true;
}

bool
scan(struct errors *e, const char *file, const char *text, size_t n, char **ret, size_t *ret_n)
{
    struct scan s = {.errors = e, .file = file, .at = text, .end = text + n, .line = 1};
    _clean(clean_free) char *clean = NULL;
    size_t clean_n = 0;
    bool ok;

    s.out = open_memstream(&clean, &clean_n);
    if (s.out == NULL) {
        e->no_memory = true;
        return false;
    }
    ok = scan_all(&s);
    if (ferror(s.out) != 0)
        e->no_memory = true;
    if (fclose(s.out) != 0)
        e->no_memory = true;
    if (!ok || e->no_memory)
        return false;
    *ret = take_ptr(&clean);
    *ret_n = clean_n;
    return true;
}
