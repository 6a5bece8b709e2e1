/*
 * What the policy says to one question: may this be done there, why, and in
 * which line is that written. Rules are asked in the order in which the helper
 * asks them; the first that refuses is the answer. The tree itself is not
 * looked at: modes and owners of files may refuse more.
 *
 * Runs in: broker.   Trusts: the plan, not the question.
 * Owns: nothing beyond a call.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdlib.h>

#include "ipc/fd.h"
#include "ipc/ops.h"
#include "policy/settings.h"

enum about {
    MAKES = 1 << 0,  /* the last name is a new one */
    MOVES = 1 << 1,  /* takes the last name away */
    OWNER = 1 << 2,  /* sets owner or group */
    SET_ID = 1 << 3, /* sets the setuid bit */
    DEVICE = 1 << 4, /* makes a device file */
    XATTR = 1 << 5,  /* has the name of an extended attribute */
};

/* What there is to know of operations; those without a row are about nothing
 * but reading or writing. Words that people use are operations too. */
static const struct word {
    const char *word;
    enum op_id op;
    unsigned about;
} words[] = {
    {"create", OP_CREATE, MAKES},
    {"mkdir", OP_MKDIR, MAKES},
    {"symlink", OP_SYMLINK, MAKES},
    {"link", OP_LINK, MAKES},
    {"mknod", OP_MKNOD, MAKES},
    {"device", OP_MKNOD, MAKES | DEVICE},
    {"unlink", OP_UNLINK, MOVES},
    {"remove", OP_REMOVE, MOVES},
    {"delete", OP_UNLINK, MOVES},
    {"rename", OP_RENAME, MOVES},
    {"rename_node", OP_RENAME_NODE, MOVES},
    {"chmod", OP_SETATTR, 0},
    {"chown", OP_SETATTR, OWNER},
    {"setuid", OP_SETATTR, SET_ID},
    {"list", OP_READDIR, 0},
    {"getxattr", OP_GETXATTR, XATTR},
    {"setxattr", OP_SETXATTR, XATTR},
    {"removexattr", OP_REMOVEXATTR, XATTR},
};

struct ask {
    const struct plan *plan;
    const struct plan_tenant *t;
    const struct plan_share *sh;
    const struct plan_question *q;
    const char *path; /* below the root, "a/b"; "": the root itself */
    struct word what;
    struct plan_answer *answer;
};

/* The rule is the line of a setting, of one of its values where that is not
 * NULL. Returns err. */
__attribute__((format(printf, 5, 6))) static int
answer(const struct ask *a, int err, const char *setting, const char *value, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(a->answer->why, sizeof(a->answer->why), fmt, ap);
    va_end(ap);
    a->answer->err = err;
    plan_where(a->plan, a->t, a->sh, setting, value, &a->answer->file, &a->answer->line);
    return err;
}

static int
rule_access(const struct ask *a)
{
    if (a->sh->access != ACCESS_READ_ONLY || op_info(a->what.op)->access == OP_READS)
        return 0;
    return answer(a, EROFS, "access", NULL, "share %s is read-only", a->sh->name);
}

static bool
is_last(const char *part)
{
    return strchr(part, '/') == NULL;
}

/* A name that is not there cannot be found, nor made. */
static int
no_name(const struct ask *a, const char *part)
{
    return (a->what.about & MAKES) != 0 && is_last(part) ? EPERM : ENOENT;
}

static int
rule_only(const struct ask *a)
{
    size_t n = strcspn(a->path, "/");

    if (a->sh->only.n == 0 || n == 0)
        return 0;
    for (size_t i = 0; i < a->sh->only.n; i++)
        if (strlen(a->sh->only.at[i]) == n && memcmp(a->sh->only.at[i], a->path, n) == 0)
            return 0;
    return answer(a, no_name(a, a->path), "only", NULL, "\"%.*s\" is not among the names of only",
                  (int)n, a->path);
}

static int
rule_hide(const struct ask *a)
{
    for (const char *p = a->path; *p != '\0';) {
        char name[NAME_BUF];
        size_t n = strcspn(p, "/");

        memcpy(name, p, n); /* path_read() saw to its length */
        name[n] = '\0';
        for (size_t i = 0; i < a->sh->hide.n; i++) {
            const char *glob = a->sh->hide.at[i];

            if (fnmatch(glob, name, 0) == 0)
                return answer(a, no_name(a, p), "hide", glob, "\"%s\" is hidden by \"%s\"", name,
                              glob);
        }
        p += n + (p[n] == '/');
    }
    return 0;
}

/* path is dir, or below it. */
static bool
is_in(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    return strncmp(path, dir, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static int
rule_protect(const struct ask *a)
{
    for (size_t i = 0; i < a->sh->protect.n; i++) {
        const char *dir = a->sh->protect.at[i];

        if (op_info(a->what.op)->access == OP_READS)
            return 0;
        if ((a->what.about & MOVES) != 0 && is_in(dir, a->path))
            return answer(a, EBUSY, "protect", dir, "\"%s\" is protected and stays where it is",
                          dir);
        if (is_in(a->path, dir))
            return answer(a, EROFS, "protect", dir, "\"%s\" is protected with all below it", dir);
    }
    return 0;
}

static int
rule_device(const struct ask *a)
{
    if ((a->what.about & DEVICE) == 0 || a->sh->identity == IDENTITY_STORED || a->sh->allow_devices)
        return 0;
    return answer(a, EPERM, a->sh->identity == IDENTITY_HOST ? "devices" : "identity", NULL,
                  "device files are made under identity = host with devices = allow alone, and "
                  "imitated under stored");
}

static int
rule_owner(const struct ask *a)
{
    if ((a->what.about & OWNER) == 0 || a->sh->identity != IDENTITY_SQUASH)
        return 0;
    return answer(a, EPERM, "identity", NULL,
                  "under identity = squash every file has the same owner");
}

static int
rule_set_id(const struct ask *a)
{
    if ((a->what.about & SET_ID) == 0 || a->sh->identity != IDENTITY_SQUASH || a->sh->allow_set_id)
        return 0;
    return answer(a, EPERM, "set-id", NULL, "set-id = refuse under identity = squash");
}

/* twin: spaces[] and reserved[] in proxy-helper/op_xattr.c */
static const struct space {
    const char *name;
    bool prefix;
    unsigned bit; /* enum xattr_share; 0: nobody's */
} spaces[] = {
    {"user.virtfs.", true, 0},
    {"user.postern.", true, 0},
    {"user.", true, XATTR_USER},
    {"system.posix_acl_access", false, XATTR_ACL},
    {"system.posix_acl_default", false, XATTR_ACL},
    {"security.capability", false, XATTR_CAPABILITY},
};

static int
rule_xattr(const struct ask *a)
{
    const char *key = a->q->xattr;

    if ((a->what.about & XATTR) == 0)
        return 0;
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        const struct space *s = &spaces[i];

        if (s->prefix ? strncmp(key, s->name, strlen(s->name)) != 0 : strcmp(key, s->name) != 0)
            continue;
        if ((a->sh->xattrs & s->bit) != 0)
            return 0;
        if (s->bit == 0 && (a->sh->xattrs & XATTR_USER) != 0)
            return answer(a, a->what.op == OP_GETXATTR ? ENODATA : EPERM, "xattrs", NULL,
                          "%s is kept for servers", s->name);
        break;
    }
    return answer(a, EOPNOTSUPP, "xattrs", NULL, "xattrs does not have the name space of \"%s\"",
                  key);
}

static int
rule_user(const struct ask *a)
{
    if (a->sh->identity != IDENTITY_MAP || !a->q->has_uid || a->q->uid < a->sh->ids_count)
        return 0;
    return answer(a, EPERM, "ids", NULL, "uid %u is none of the %u ids of the range", a->q->uid,
                  a->sh->ids_count);
}

static int (*const rules[])(const struct ask *a) = {
    rule_access, rule_user,  rule_only,   rule_hide,  rule_protect,
    rule_device, rule_owner, rule_set_id, rule_xattr,
};

static void
allowed(const struct ask *a)
{
    char who[96] = "";

    if (a->sh->identity == IDENTITY_MAP && a->q->has_uid)
        (void)snprintf(who, sizeof(who), ", as uid %u of this machine",
                       a->sh->ids_first + a->q->uid);
    else if (a->sh->identity == IDENTITY_HOST && a->q->has_uid)
        (void)snprintf(who, sizeof(who), ", as uid %u of this machine", a->q->uid);
    else if (a->sh->has_owner && a->sh->identity != IDENTITY_HOST)
        (void)snprintf(who, sizeof(who), ", as uid %u of this machine", a->sh->owner_uid);
    else if (a->sh->identity == IDENTITY_SQUASH || a->sh->identity == IDENTITY_STORED)
        (void)snprintf(who, sizeof(who), ", as the owner of %s", a->sh->path);
    (void)answer(a, 0, "access", NULL, "share %s is %s%s; modes and owners of files are not asked",
                 a->sh->name, a->sh->access == ACCESS_READ_ONLY ? "read-only" : "read-write", who);
}

/* --- the question ------------------------------------------------------------------ */

static bool
word_find(const char *op, struct word *ret)
{
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcmp(words[i].word, op) == 0) {
            *ret = words[i];
            return true;
        }
    for (unsigned id = 0; id < OP_END; id++) {
        const struct op_info *info = op_info(id);

        if (info != NULL && strcmp(info->name, op) == 0) {
            *ret = (struct word){info->name, (enum op_id)id, 0};
            return true;
        }
    }
    return false;
}

/* As in the guest, from the share's root on; with or without "/" in front. */
static bool
path_read(struct errors *e, const char *path, const char **ret)
{
    path += path[0] == '/';
    *ret = path;
    return path[0] == '\0' || value_relative(e, (struct where){0}, "path", path);
}

static bool
ask_read(struct errors *e, struct ask *a)
{
    const struct plan_question *q = a->q;
    struct where none = {0};

    a->t = plan_tenant_find(a->plan, q->tenant);
    a->sh = a->t != NULL ? plan_share_find(a->t, q->share) : NULL;
    if (a->t == NULL)
        errors_add(e, none, "no tenant %s, expected one of the policy", Q(q->tenant));
    else if (a->sh == NULL)
        errors_add(e, none, "tenant %s has no share %s, expected one that it has", a->t->name,
                   Q(q->share));
    else if (!word_find(q->op, &a->what))
        errors_add(e, none,
                   "no operation %s, expected read, write, create, delete, rename, chmod, chown, "
                   "setuid, device, list, setxattr or another of ipc/ops.def",
                   Q(q->op));
    else if ((a->what.about & XATTR) != 0 && q->xattr == NULL)
        errors_add(e, none, "%s of no attribute, expected --xattr NAME", q->op);
    else
        (void)path_read(e, q->path, &a->path);
    return errors_none(e);
}

int
plan_explain(const struct plan *plan, const struct plan_question *q, struct plan_answer *ret,
             char **ret_error)
{
    struct ask a = {.plan = plan, .q = q, .answer = ret};
    struct errors e = {0};

    if (!ask_read(&e, &a))
        return errors_end(&e, -EINVAL, ret_error);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (rules[i](&a) != 0)
            return errors_end(&e, 0, ret_error);
    allowed(&a);
    return errors_end(&e, 0, ret_error);
}
