/*
 * Every message that a guest may send, field by field, in each dialect that has
 * it: from this table tests send what no client would.
 *
 * A form as it stands is a request that succeeds (but Tauth, which never does) for
 * a guest that has the fids below. One field of it can be forged.
 */
#ifndef POSTERN_TESTS_FORMS_H
#define POSTERN_TESTS_FORMS_H

#include <stddef.h>
#include <stdint.h>

/* What the guest has: the root, file "file" (also open for both), directory "dir"
 * with file "in" (also open), symlink "link". FORM_NEW it has not. */
enum { FORM_ROOT, FORM_FILE, FORM_OPEN_FILE, FORM_DIR, FORM_OPEN_DIR, FORM_LINK, FORM_NEW = 50 };

struct form {
    uint8_t type;
    unsigned dialects;   /* IN_L, ... of worker/nine.h */
    const char *fields;  /* a letter each, see forms.c */
    uint64_t number[20]; /* of the fields that are plain numbers, in their order */
};
extern const struct form forms[];
extern const size_t nforms;

enum form_kind {
    FORM_FID,
    FORM_NUMBER,
    FORM_LENGTH, /* of what follows, also how many names */
    FORM_NAME,   /* one component of a path */
    FORM_TEXT    /* any other string */
};
enum form_kind form_kind(char letter);

struct forged {
    int field;         /* which letter; -1: none */
    uint64_t number;   /* of a fid, number or length, cut to its width */
    const void *bytes; /* of a string */
    size_t n;          /* of them */
    uint32_t claims;   /* what its length says */
};
#define FORGED_NOT ((struct forged){.field = -1})

/* The whole message; its length. x->bytes may be as long as 65535. */
#define FORM_ROOM (65536u + 512u)
size_t form_write(const struct form *f, unsigned dialect, const struct forged *x, uint16_t tag,
                  uint8_t *to);

#endif
