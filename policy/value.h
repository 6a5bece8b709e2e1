/*
 * Private to policy/: where a mistake is, the list of mistakes, and how one
 * value is read. Nothing here knows libconfuse.
 */
#ifndef POSTERN_POLICY_VALUE_H
#define POSTERN_POLICY_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "ipc/log.h"
#include "policy/plan.h"

#define POLICY_ERRORS_MAX 20 /* lines in one error text; later mistakes are not told */

/* A place in a policy. file: borrowed; NULL when there is no policy file. */
struct where {
    const char *file;
    unsigned line;
};

struct errors {
    char *text; /* owned; lines without a final newline; NULL: none */
    unsigned count;
    bool no_memory;
};

/* Note one mistake: "what is wrong, expected what". */
__attribute__((format(printf, 3, 4))) void errors_add(struct errors *e, struct where at,
                                                      const char *fmt, ...);
/* Nothing noted and no memory missing. */
bool errors_none(const struct errors *e);
/* 0, -ENOMEM, or r with the text handed to *ret_text. Empties e. */
int errors_end(struct errors *e, int r, char **ret_text);
/* strdup(3) that notes a failure. */
char *errors_strdup(struct errors *e, const char *s);
/* Room for one more element of size behind n zeroed, or NULL, noted; then the
 * old array is still there. */
void *errors_grow(struct errors *e, void *array, size_t n, size_t size);

/* A value of the file in an error text: in quotes, escaped, shortened. Lives
 * as long as the block around it. */
#define Q(s) quote((char[161]){0}, 161, (s), strlen(s))

/*
 * All of these: true, or false with the mistake noted and nothing changed.
 * what: the setting's name, for the text.
 */

/* A tenant's or share's name, see plan.h. */
bool value_name(struct errors *e, struct where at, const char *what, const char *s);
/* Absolute and plain: no empty, "." or ".." component, no control byte. */
bool value_path(struct errors *e, struct where at, const char *what, const char *s);
/* A group's name as useradd(8) makes them, or a number. */
bool value_group(struct errors *e, struct where at, const char *s);
/* "uid:gid", decimal, each below 2^32-1. */
bool value_ids(struct errors *e, struct where at, const char *what, const char *s, uid_t *ret_uid,
               gid_t *ret_gid);

/* "FIRST+COUNT": ids of the host that are nobody else's. */
bool value_id_range(struct errors *e, struct where at, const char *what, const char *s,
                    uint32_t *ret_first, uint32_t *ret_count);
/* "UID:GID,GID": *ret is the caller's. */
bool value_groups(struct errors *e, struct where at, const char *what, const char *s,
                  struct plan_groups *ret);
/* One component of a path, or a glob for one. */
bool value_component(struct errors *e, struct where at, const char *what, const char *s);
/* "a/b": below a directory, plain. */
bool value_relative(struct errors *e, struct where at, const char *what, const char *s);
/* "NAME" of a user, "@NAME" of a group, that this machine has; *ret is its id. */
bool value_delegate(struct errors *e, struct where at, const char *what, const char *s,
                    uint32_t *ret);
/* What was asked for by name must not look like an id. */
bool is_share_id(const char *s);

struct value_range {
    uint64_t min, max;
    bool bytes; /* suffixes K M G by 1024, else k M by 1000 */
};
bool value_number(struct errors *e, struct where at, const char *what, const char *s,
                  const struct value_range *range, uint64_t *ret);

/* Fills address, transport and what belongs to that transport; host as
 * inet_ntop(3) writes it. */
bool value_address(struct errors *e, struct where at, const char *s, struct plan_listen *ret);
/* Frees what value_address() made, and the group. */
void address_done(struct plan_listen *l);
const char *transport_name(enum plan_transport t);
/* Other machines can reach it, as far as the text says. */
bool address_is_remote(const struct plan_listen *l);
/* Both would bind to the same thing. */
bool address_same(const struct plan_listen *a, const struct plan_listen *b);

#endif
