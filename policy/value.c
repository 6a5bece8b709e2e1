/*
 * How one value of a policy is read: names, paths, numbers, ids, groups.
 *
 * Runs in: broker.   Trusts: nothing in the text.
 * Owns: nothing.
 */
#include "policy/value.h"

#include <ctype.h>
#include <inttypes.h>
#include <limits.h>

#include "ipc/limits.h"

#define NAME_MAX_BYTES 64 /* twin: plan.h, plan_share.name */
#define GROUP_MAX_BYTES 32

static bool
is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

static bool
is_name(const char *s, size_t max)
{
    size_t n = strlen(s);

    if (n == 0 || n > max || s[0] == '.' || s[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!is_name_byte(s[i]))
            return false;
    }
    return true;
}

bool
value_name(struct errors *e, struct where at, const char *what, const char *s)
{
    if (is_name(s, NAME_MAX_BYTES))
        return true;
    errors_add(e, at,
               "%s name %s, expected 1 to %d of A-Z a-z 0-9 . _ - and no \".\" or \"-\" in front",
               what, Q(s), NAME_MAX_BYTES);
    return false;
}

bool
value_group(struct errors *e, struct where at, const char *s)
{
    if (is_name(s, GROUP_MAX_BYTES))
        return true;
    errors_add(e, at, "group %s, expected the name of a group", Q(s));
    return false;
}

static bool
component_is_plain(const char *s, size_t n)
{
    return n > 0 && !(n == 1 && s[0] == '.') && !(n == 2 && s[0] == '.' && s[1] == '.');
}

static bool
components_are(const char *path, bool (*good)(const char *s, size_t n))
{
    for (const char *p = path + 1;; p++) {
        size_t n = strcspn(p, "/");

        if (!good(p, n))
            return false;
        p += n;
        if (*p == '\0')
            return true;
    }
}

static bool
component_is_short(const char *s, size_t n)
{
    (void)s;
    return n <= NAME_LEN_MAX;
}

bool
value_path(struct errors *e, struct where at, const char *what, const char *s)
{
    const char *wrong = NULL;

    if (s[0] != '/')
        wrong = "is not absolute, expected it to start with \"/\"";
    else if (strlen(s) >= PATH_MAX || !components_are(s, component_is_short))
        wrong = "is too long, expected at most 4095 bytes and 255 between two \"/\"";
    else if (s[1] != '\0' && !components_are(s, component_is_plain))
        wrong = "has an empty, \".\" or \"..\" component, expected a plain path such as \"/srv/x\"";
    for (const char *p = s; wrong == NULL && *p != '\0'; p++) {
        if (iscntrl((unsigned char)*p))
            wrong = "has a control character, expected none";
    }
    if (wrong != NULL)
        errors_add(e, at, "%s %s %s", what, Q(s), wrong);
    return wrong == NULL;
}

/* Decimal digits without a leading zero. Returns the first byte behind them,
 * or NULL. */
static const char *
digits(const char *s, uint64_t *ret)
{
    uint64_t v = 0;

    if (!isdigit((unsigned char)s[0]) || (s[0] == '0' && isdigit((unsigned char)s[1])))
        return NULL;
    for (; isdigit((unsigned char)*s); s++) {
        if (v > UINT64_MAX / 16) /* more makes no difference: out of every range */
            continue;
        v = v * 10 + (uint64_t)(*s - '0');
    }
    *ret = v;
    return s;
}

static bool
suffix(const char *s, bool bytes, uint64_t *ret)
{
    static const struct {
        char letter;
        bool bytes;
        uint64_t factor;
    } known[] = {
        {'K', true, 1u << 10}, {'M', true, 1u << 20}, {'G', true, 1u << 30},
        {'k', false, 1000},    {'M', false, 1000000},
    };

    *ret = 1;
    if (s[0] == '\0')
        return true;
    for (size_t i = 0; s[1] == '\0' && i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].letter == s[0] && known[i].bytes == bytes) {
            *ret = known[i].factor;
            return true;
        }
    }
    return false;
}

bool
value_number(struct errors *e, struct where at, const char *what, const char *s,
             const struct value_range *range, uint64_t *ret)
{
    uint64_t v, factor;
    const char *rest = digits(s, &v);

    if (rest == NULL || !suffix(rest, range->bytes, &factor)) {
        errors_add(e, at, "%s = %s is not a number, expected %s", what, Q(s),
                   range->bytes ? "bytes such as 65536, 64K or 1M"
                                : "a count such as 4096, 50k or 1M");
        return false;
    }
    if (__builtin_mul_overflow(v, factor, &v))
        v = UINT64_MAX;
    if (v < range->min || v > range->max) {
        errors_add(e, at, "%s = %s is out of range, expected %" PRIu64 " to %" PRIu64 "%s", what,
                   Q(s), range->min, range->max, range->bytes ? " bytes" : "");
        return false;
    }
    *ret = v;
    return true;
}

bool
value_ids(struct errors *e, struct where at, const char *what, const char *s, uid_t *ret_uid,
          gid_t *ret_gid)
{
    uint64_t uid = 0, gid = 0;
    const char *p = digits(s, &uid);

    if (p != NULL && *p == ':')
        p = digits(p + 1, &gid);
    else
        p = NULL;
    /* 2^32-1 means "no id" to the kernel */
    if (p == NULL || *p != '\0' || uid >= UINT32_MAX || gid >= UINT32_MAX) {
        errors_add(e, at, "%s = %s, expected \"UID:GID\" in decimal, such as \"1000:1000\"", what,
                   Q(s));
        return false;
    }
    *ret_uid = (uid_t)uid;
    *ret_gid = (gid_t)gid;
    return true;
}
