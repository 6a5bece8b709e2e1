/*
 * Names that are shown and names that are not. See names.h.
 *
 * Runs in: helper, main thread.   Trusts: the broker's lists.
 * Owns: nothing.
 *
 * fnmatch(3) goes by the C locale, which is that of a program that never
 * calls setlocale(3): bytewise, and without malloc.
 */
#include "proxy-helper/names.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "ipc/log.h"
#include "ipc/msg.h"
#include "ipc/ops.h"

static bool
list_add(char (*list)[NAME_BUF], size_t max, size_t *n, const char *s)
{
    size_t len = strlen(s);

    if (*n == max || len == 0 || len > NAME_LEN_MAX)
        return false;
    (void)memcpy(list[(*n)++], s, len + 1);
    return true;
}

bool
names_hide(struct names *f, const char *pattern)
{
    return list_add(f->hide, HIDE_MAX, &f->nhide, pattern);
}

bool
names_only(struct names *f, const char *name)
{
    return list_add(f->only, ONLY_MAX, &f->nonly, name);
}

bool
names_filter(const struct names *f)
{
    return f->nhide > 0 || f->nonly > 0;
}

static bool
is_listed(const struct names *f, const char *name)
{
    size_t i = 0;

    while (i < f->nonly && strcmp(f->only[i], name) != 0)
        i++;
    return i < f->nonly;
}

bool
names_show(const struct names *f, bool in_root, const char *name)
{
    if (in_root && f->nonly > 0 && !is_listed(f, name))
        return false;
    for (size_t i = 0; i < f->nhide; i++)
        if (fnmatch(f->hide[i], name, 0) == 0)
            return false;
    return true;
}

/* Whose field "name" is looked for. Every other name is to be made. */
static const bool looks_for[OP_END] = {
    [OP_STAT] = true,
    [OP_UNLINK] = true,
    [OP_RENAME] = true,
};

/* Whether the directory of a name, "dir" for "name" and "new_dir" for
 * "new_name", is the share's root. */
static bool
is_in_root(const ProtobufCMessage *req, const ProtobufCFieldDescriptor *name)
{
    const ProtobufCMessageDescriptor *d = req->descriptor;
    size_t before = strlen(name->name) - strlen("name");
    uint64_t dir;

    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];

        if (f->type != PROTOBUF_C_TYPE_FIXED64 || strncmp(f->name, name->name, before) != 0 ||
            strcmp(f->name + before, "dir") != 0)
            continue;
        (void)memcpy(&dir, (const uint8_t *)req + f->offset, sizeof(dir));
        return dir == NODE_ROOT;
    }
    bug("%s: nothing says where its field %s is", d->name, name->name);
}

int
names_check(const struct names *f, uint32_t op, const ProtobufCMessage *req)
{
    const ProtobufCMessageDescriptor *d = req->descriptor;
    char name[NAME_BUF];
    ProtobufCBinaryData b;

    if (!names_filter(f) || op == OP_WALK)
        return 0;
    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &d->fields[i];

        if (!msg_field_is_name(field))
            continue;
        (void)memcpy(&b, (const uint8_t *)req + field->offset, sizeof(b));
        if (b.len == 0)
            continue; /* an optional one that is absent */
        name_copy(name, &b);
        if (!names_show(f, is_in_root(req, field), name))
            return looks_for[op] && strcmp(field->name, "name") == 0 ? -ENOENT : -EPERM;
    }
    return 0;
}
