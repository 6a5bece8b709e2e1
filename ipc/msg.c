/*
 * The arena that messages are unpacked into, and the checks on names.
 *
 * Runs in: worker, helper (and tests).   Trusts: nobody: every message here
 * came from another process.   Owns: nothing beyond the caller's arena.
 */
#include "ipc/msg.h"

#include <errno.h>
#include <string.h>

#define ARENA_ALIGN 16u

void *
arena_alloc(struct arena *a, size_t n)
{
    uint8_t *p = a->mem + a->used;
    size_t room = sizeof(a->mem) - a->used;

    if (n > room || room - n < ARENA_ALIGN)
        return NULL;
    a->used += (n + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    return memset(p, 0, n);
}

static void *
arena_alloc_cb(void *a, size_t n)
{
    return arena_alloc(a, n);
}

static void
arena_free_cb(void *a, void *p)
{
    (void)a;
    (void)p; /* everything goes at once, in arena_reset() */
}

void
arena_init(struct arena *a)
{
    a->alloc =
        (ProtobufCAllocator){.alloc = arena_alloc_cb, .free = arena_free_cb, .allocator_data = a};
    a->used = 0;
}

void
arena_reset(struct arena *a)
{
    a->used = 0;
}

ProtobufCMessage *
msg_unpack(struct arena *a, const ProtobufCMessageDescriptor *d, const uint8_t *body, size_t n)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(d, &a->alloc, n, body);

    /* Both ends are of one build: a field nobody knows is a lie. */
    if (m == NULL || m->n_unknown_fields != 0)
        return NULL;
    return m;
}

void *
msg_new(struct arena *a, const ProtobufCMessageDescriptor *d)
{
    void *m = arena_alloc(a, d->sizeof_message);

    if (m != NULL)
        protobuf_c_message_init(d, m);
    return m;
}

bool
name_ok(const uint8_t *p, size_t n)
{
    if (n == 0 || n > NAME_LEN_MAX)
        return false;
    if (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.')))
        return false;
    return memchr(p, '/', n) == NULL && memchr(p, '\0', n) == NULL;
}

bool
key_ok(const uint8_t *p, size_t n)
{
    return n > 0 && n <= XATTR_KEY_MAX && memchr(p, '\0', n) == NULL;
}

bool
msg_field_is_name(const ProtobufCFieldDescriptor *f)
{
    size_t n = strlen(f->name);

    if (f->type != PROTOBUF_C_TYPE_BYTES)
        return false;
    if (strncmp(f->name, "name", 4) == 0 && strspn(f->name + 4, "0123456789") == n - 4)
        return true;
    return n > 5 && strcmp(f->name + n - 5, "_name") == 0;
}

bool
msg_field_is_key(const ProtobufCFieldDescriptor *f)
{
    return f->type == PROTOBUF_C_TYPE_BYTES && strcmp(f->name, "key") == 0;
}

static bool
field_present(const ProtobufCMessage *m, const ProtobufCFieldDescriptor *f)
{
    protobuf_c_boolean has;

    if (f->label == PROTOBUF_C_LABEL_REQUIRED)
        return true;
    memcpy(&has, (const uint8_t *)m + f->quantifier_offset, sizeof(has));
    return has != 0;
}

int
msg_check(const ProtobufCMessage *m)
{
    const ProtobufCMessageDescriptor *d = m->descriptor;

    for (unsigned i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        ProtobufCBinaryData b;
        bool name;

        if (f->type != PROTOBUF_C_TYPE_BYTES || !field_present(m, f))
            continue; /* absent, as most of a WALK's sixteen names */
        name = msg_field_is_name(f);
        if (!name && !msg_field_is_key(f))
            continue;
        memcpy(&b, (const uint8_t *)m + f->offset, sizeof(b));
        if (name ? !name_ok(b.data, b.len) : !key_ok(b.data, b.len))
            return -EINVAL;
    }
    return 0;
}

void
name_copy(char dst[NAME_BUF], const ProtobufCBinaryData *name)
{
    size_t n = name->len < NAME_BUF ? name->len : NAME_BUF - 1;

    memcpy(dst, name->data, n);
    dst[n] = '\0';
}

ProtobufCBinaryData
msg_bytes(const void *p, size_t n)
{
    ProtobufCBinaryData b = {.len = n};

    memcpy(&b.data, &p, sizeof(p));
    return b;
}

const struct attr *
msg_attr(ProtobufCBinaryData b)
{
    return (const struct attr *)(const void *)b.data; /* arenas align all they give */
}
