/*
 * The forms of messages; see forms.h.
 *
 * Runs in: tests.   Trusts: its tests.   Owns: nothing.
 */
#include "tests/lib/forms.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/lib/legacy.h"
#include "tests/lib/test.h"
#include "worker/nine.h"

#define ANY UINT64_MAX /* "leave it", in a stat */

/*
 * r the root, f the file, o the same open, d the directory, D the same open, l the
 * link, n a new fid, z no fid; 1 2 4 8 a number of so many bytes; N a name that is
 * not there, E "file", P "dir", I "in", B an empty name; t a target, k a key, u who,
 * a which share, c a lock's owner, e nothing; w how many names; W data and its
 * length; S the length of all that follows; and, in 9P2000.u alone, x an extension
 * and i a number of four bytes.
 */
const struct form forms[] = {
    {NINE_TSTATFS, IN_L, "f", {0}},
    {NINE_TLOPEN, IN_L, "f4", {O_RDWR}},
    {NINE_TLCREATE, IN_L, "dN444", {O_RDWR, 0644, 0}},
    {NINE_TSYMLINK, IN_L, "dNt4", {0}},
    {NINE_TMKNOD, IN_L, "dN4444", {S_IFIFO | 0644, 0, 0, 0}},
    {NINE_TRENAME, IN_L, "fdN", {0}},
    {NINE_TREADLINK, IN_L, "l", {0}},
    {NINE_TGETATTR, IN_L, "f8", {0x7ff}},
    {NINE_TSETATTR, IN_L, "f444488888", {1, 0600}},
    {NINE_TXATTRWALK, IN_L, "fne", {0}},
    {NINE_TXATTRCREATE, IN_L, "fk84", {3, 0}},
    {NINE_TREADDIR, IN_L, "D84", {0, 1000}},
    {NINE_TFSYNC, IN_L, "o4", {1}},
    {NINE_TLOCK, IN_L, "o14884c", {1, 0, 0, 9, 7}},
    {NINE_TGETLOCK, IN_L, "o1884c", {1, 0, 9, 7}},
    {NINE_TLINK, IN_L, "dfN", {0}},
    {NINE_TMKDIR, IN_L, "dN44", {0755, 0}},
    {NINE_TRENAMEAT, IN_L, "rEdN", {0}},
    {NINE_TUNLINKAT, IN_L, "rE4", {0}},
    {NINE_TAUTH, IN_L | NINE_U, "nua4", {0}},
    {NINE_TAUTH, NINE_2000, "nua", {0}},
    {NINE_TATTACH, IN_L | NINE_U, "nzua4", {0}},
    {NINE_TATTACH, NINE_2000, "nzua", {0}},
    {NINE_TFLUSH, IN_ALL, "2", {77}},
    {NINE_TWALK, IN_ALL, "rnwPI", {2}},
    {NINE_TOPEN, IN_OLD, "f1", {OLD_ORDWR}},
    {NINE_TCREATE, IN_OLD, "dN41x", {0644, OLD_ORDWR}},
    {NINE_TREAD, IN_ALL, "o84", {0, 100}},
    {NINE_TWRITE, IN_ALL, "o8W", {0}},
    {NINE_TCLUNK, IN_ALL, "o", {0}},
    {NINE_TREMOVE, IN_ALL, "f", {0}},
    {NINE_TSTAT, IN_OLD, "f", {0}},
    {NINE_TWSTAT,
     IN_OLD,
     "fSS241484448Beeexiii",
     {ANY, ANY, ANY, ANY, ANY, 0600, ANY, ANY, ANY, ANY, ANY, ANY}},
};
const size_t nforms = COUNT(forms);

static const struct {
    char letter;
    enum form_kind kind;
    uint32_t is; /* the fid; how many bytes a number has */
    const char *text;
} letters[] = {
    {'r', FORM_FID, FORM_ROOT, NULL},
    {'f', FORM_FID, FORM_FILE, NULL},
    {'o', FORM_FID, FORM_OPEN_FILE, NULL},
    {'d', FORM_FID, FORM_DIR, NULL},
    {'D', FORM_FID, FORM_OPEN_DIR, NULL},
    {'l', FORM_FID, FORM_LINK, NULL},
    {'n', FORM_FID, FORM_NEW, NULL},
    {'z', FORM_FID, NINE_NOFID, NULL},
    {'1', FORM_NUMBER, 1, NULL},
    {'2', FORM_NUMBER, 2, NULL},
    {'4', FORM_NUMBER, 4, NULL},
    {'8', FORM_NUMBER, 8, NULL},
    {'i', FORM_NUMBER, 4, NULL},
    {'w', FORM_LENGTH, 2, NULL},
    {'W', FORM_LENGTH, 4, "by"},
    {'S', FORM_LENGTH, 2, NULL},
    {'N', FORM_NAME, 0, "new"},
    {'E', FORM_NAME, 0, "file"},
    {'P', FORM_NAME, 0, "dir"},
    {'I', FORM_NAME, 0, "in"},
    {'B', FORM_NAME, 0, ""},
    {'t', FORM_TEXT, 0, "target"},
    {'k', FORM_TEXT, 0, "user.new"},
    {'u', FORM_TEXT, 0, "nobody"},
    {'a', FORM_TEXT, 0, "rw"},
    {'c', FORM_TEXT, 0, "me"},
    {'e', FORM_TEXT, 0, ""},
    {'x', FORM_TEXT, 0, ""},
};

static size_t
row_of(char letter)
{
    size_t i = 0;

    while (i < COUNT(letters) && letters[i].letter != letter)
        i++;
    assert_true(i < COUNT(letters));
    return i;
}

enum form_kind
form_kind(char letter)
{
    return letters[row_of(letter)].kind;
}

static size_t
put(uint8_t *to, uint64_t v, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        to[i] = (uint8_t)(v >> (8 * i));
    return bytes;
}

static size_t
put_string(uint8_t *to, const struct forged *x, const char *text)
{
    const size_t n = x != NULL ? x->n : strlen(text);

    if (n > 0)
        memcpy(to + 2, x != NULL ? x->bytes : text, n);
    return put(to, x != NULL ? x->claims : n, 2) + n;
}

/* Lengths of all that follows are filled in from behind. */
static void
fill_lengths(const struct form *f, const struct forged *x, const size_t *at, uint8_t *to, size_t n)
{
    for (int i = 0; f->fields[i] != '\0'; i++) {
        if (f->fields[i] == 'S')
            (void)put(to + at[i], x->field == i ? x->number : n - at[i] - 2, 2);
    }
}

size_t
form_write(const struct form *f, unsigned dialect, const struct forged *x, uint16_t tag,
           uint8_t *to)
{
    size_t at[32] = {0}, n = 4, number = 0;

    n += put(to + n, f->type, 1);
    n += put(to + n, tag, 2);
    for (int i = 0; f->fields[i] != '\0'; i++) {
        const size_t row = row_of(f->fields[i]);
        const struct forged *mine = x->field == i ? x : NULL;
        const uint32_t is = letters[row].is;
        const char *text = letters[row].text;
        uint64_t v = 0;

        at[i] = n;
        if (letters[row].kind == FORM_NUMBER || f->fields[i] == 'w')
            v = f->number[number++];
        else if (letters[row].kind == FORM_LENGTH && text != NULL)
            v = strlen(text);
        if (strchr("xi", f->fields[i]) != NULL && dialect != NINE_U)
            continue;
        if (letters[row].kind == FORM_FID)
            n += put(to + n, mine != NULL ? mine->number : is, 4);
        else if (letters[row].kind == FORM_NAME || letters[row].kind == FORM_TEXT)
            n += put_string(to + n, mine, text);
        else
            n += put(to + n, mine != NULL ? mine->number : v, is);
        if (f->fields[i] == 'W' && text != NULL) {
            memcpy(to + n, text, strlen(text));
            n += strlen(text);
        }
    }
    fill_lengths(f, x, at, to, n);
    (void)put(to, n, 4);
    return n;
}
