/*
 * How the values are read that name ids, files and people: ranges of ids,
 * members of groups, parts of paths, delegates.
 *
 * Runs in: broker.   Trusts: nothing in the text; this machine's list of users.
 * Owns: nothing.
 */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>

#include "ipc/fd.h"
#include "ipc/limits.h"
#include "policy/value.h"

/* A guest may have containers of its own, each with 65536 ids; more than
 * sixteen times that would only take ids away from other tenants. */
#define ID_COUNT_MAX 1048576u
/* From here on ids are Postern's own processes'; twin: CHILD_ID_BASE in
 * broker/broker.h. */
#define ID_END 0x70000000u
#define NSS_ROOM 65536 /* bytes of one entry of passwd or group */

/* Decimal digits without a leading zero, below 2^32-1, which means "no id" to
 * the kernel. Returns the first byte behind them, or NULL. */
static const char *
id_read(const char *s, uint32_t *ret)
{
    uint64_t v = 0;
    const char *p = s;

    for (; isdigit((unsigned char)*p); p++) {
        v = v * 10 + (uint64_t)(*p - '0');
        if (v >= UINT32_MAX)
            return NULL;
    }
    if (p == s || (s[0] == '0' && p > s + 1))
        return NULL;
    *ret = (uint32_t)v;
    return p;
}

bool
value_id_range(struct errors *e, struct where at, const char *what, const char *s,
               uint32_t *ret_first, uint32_t *ret_count)
{
    uint32_t first = 0, count = 0;
    const char *p = id_read(s, &first);

    p = p != NULL && *p == '+' ? id_read(p + 1, &count) : NULL;
    if (p == NULL || *p != '\0') {
        errors_add(e, at, "%s = %s, expected \"FIRST+COUNT\" in decimal, such as \"100000+65536\"",
                   what, Q(s));
        return false;
    }
    if (first == 0) {
        errors_add(e, at, "%s = %s has root of this machine, expected FIRST above 0", what, Q(s));
        return false;
    }
    if (count < 1 || count > ID_COUNT_MAX) {
        errors_add(e, at, "%s = %s has %u ids, expected 1 to %u", what, Q(s), count, ID_COUNT_MAX);
        return false;
    }
    if (first >= ID_END || count > ID_END - first) {
        errors_add(e, at, "%s = %s ends too high, expected FIRST+COUNT up to %u", what, Q(s),
                   ID_END);
        return false;
    }
    *ret_first = first;
    *ret_count = count;
    return true;
}

static void
groups_wrong(struct errors *e, struct where at, const char *what, const char *s)
{
    errors_add(e, at, "%s has %s, expected \"UID:GID,GID,...\" in decimal, such as \"1000:27,100\"",
               what, Q(s));
}

bool
value_groups(struct errors *e, struct where at, const char *what, const char *s,
             struct plan_groups *ret)
{
    struct plan_groups g = {0};
    const char *p = id_read(s, &g.uid);
    char next = ':';

    while (p != NULL && *p == next) {
        uint32_t *gids = errors_grow(e, g.gids, g.ngids, sizeof(*gids));

        if (gids == NULL)
            break;
        g.gids = gids;
        p = id_read(p + 1, &gids[g.ngids++]);
        next = ',';
    }
    if (p == NULL || *p != '\0' || g.ngids == 0) {
        free(g.gids);
        groups_wrong(e, at, what, s);
        return false;
    }
    *ret = g;
    return true;
}

/* One component of a name: its bytes are [s, s + n). */
static const char *
component_fault(const char *s, size_t n)
{
    if (n == 0 || (n == 1 && s[0] == '.') || (n == 2 && s[0] == '.' && s[1] == '.'))
        return "has an empty, \".\" or \"..\" part, expected a plain name";
    return n > NAME_LEN_MAX ? "is too long, expected at most 255 bytes between two \"/\"" : NULL;
}

bool
value_component(struct errors *e, struct where at, const char *what, const char *s)
{
    const char *wrong = component_fault(s, strlen(s));

    if (strchr(s, '/') != NULL)
        wrong = "has a \"/\", expected one name without directories";
    if (wrong != NULL)
        errors_add(e, at, "%s %s %s", what, Q(s), wrong);
    return wrong == NULL;
}

bool
value_relative(struct errors *e, struct where at, const char *what, const char *s)
{
    const char *wrong = NULL;

    if (s[0] == '/')
        wrong = "is absolute, expected a directory below the share's root, such as \"a/b\"";
    else if (strlen(s) > PROTECT_LEN_MAX)
        wrong = "is too long, expected at most 511 bytes";
    for (const char *p = s; wrong == NULL; p++) {
        size_t n = strcspn(p, "/");

        wrong = component_fault(p, n);
        p += n;
        if (*p == '\0')
            break;
    }
    if (wrong != NULL)
        errors_add(e, at, "%s %s %s", what, Q(s), wrong);
    return wrong == NULL;
}
_Static_assert(PROTECT_LEN_MAX == 511 && NAME_LEN_MAX == 255, "texts above say so");

static bool
user_id(const char *name, char *room, uint32_t *ret)
{
    struct passwd pw, *found = NULL;

    if (getpwnam_r(name, &pw, room, NSS_ROOM, &found) != 0 || found == NULL)
        return false;
    *ret = pw.pw_uid;
    return true;
}

static bool
group_id(const char *name, char *room, uint32_t *ret)
{
    struct group gr, *found = NULL;

    if (getgrnam_r(name, &gr, room, NSS_ROOM, &found) != 0 || found == NULL)
        return false;
    *ret = gr.gr_gid;
    return true;
}

bool
value_delegate(struct errors *e, struct where at, const char *what, const char *s, uint32_t *ret)
{
    bool group = s[0] == '@';
    const char *name = s + group;
    _clean(clean_free) char *room = malloc(NSS_ROOM);

    if (room == NULL) {
        e->no_memory = true;
        return false;
    }
    if (name[0] != '\0' && (group ? group_id(name, room, ret) : user_id(name, room, ret)))
        return true;
    errors_add(e, at, "%s %s, expected a user of this machine, or \"@\" and a group of it", what,
               Q(s));
    return false;
}

bool
is_share_id(const char *s)
{
    size_t n = 0;

    while (isxdigit((unsigned char)s[n]))
        n++;
    return n == SHARE_ID_LEN && s[n] == '\0';
}
