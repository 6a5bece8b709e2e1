/*
 * Protobuf messages without malloc, and the checks every request passes.
 *
 * Messages are unpacked into an arena: a fixed buffer, zeroed as it is handed
 * out (protobuf-c 1.4.1 leaves fields of a failed unpack unset), reset after
 * each request. Bytes fields point into the arena.
 */
#ifndef POSTERN_IPC_MSG_H
#define POSTERN_IPC_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "ipc/fs.pb-c.h"
#include "ipc/limits.h"
#include "ipc/ops.h"

#define ARENA_BYTES 32768

struct arena {
    ProtobufCAllocator alloc; /* hand &alloc to protobuf_c_message_unpack */
    size_t used;
    _Alignas(16) uint8_t mem[ARENA_BYTES];
};

/* Make an arena usable; it owns nothing and needs no end. */
void arena_init(struct arena *a);
/* Forget everything in it. O(1). */
void arena_reset(struct arena *a);
/* n zeroed bytes aligned to 16, NULL when the arena is full. */
void *arena_alloc(struct arena *a, size_t n);

/*
 * Unpack n bytes as a message of descriptor d into the arena.
 * NULL: malformed or too large. The message lives until arena_reset().
 */
ProtobufCMessage *msg_unpack(struct arena *a, const ProtobufCMessageDescriptor *d,
                             const uint8_t *body, size_t n);

/* A zeroed and initialised message of descriptor d in the arena, or NULL. */
void *msg_new(struct arena *a, const ProtobufCMessageDescriptor *d);

/* True when p[0..n) is one path component: 1 to 255 bytes, no "/", no NUL,
 * neither "." nor "..". */
bool name_ok(const uint8_t *p, size_t n);

/* True when p[0..n) can be an extended attribute's name: 1 to 255 bytes, no
 * NUL. */
bool key_ok(const uint8_t *p, size_t n);

/*
 * Check every bytes field that is a name (msg_field_is_name) with name_ok()
 * and every one that is a key with key_ok(). 0, or -EINVAL when one is not
 * what it should be. An absent optional is fine.
 */
int msg_check(const ProtobufCMessage *m);

/* True for a bytes field called "name", "name<digits>" or "..._name". */
bool msg_field_is_name(const ProtobufCFieldDescriptor *f);
/* True for a bytes field called "key". */
bool msg_field_is_key(const ProtobufCFieldDescriptor *f);

/* Copy a checked name or key (1..255 bytes) and end it with a NUL. */
void name_copy(char dst[NAME_BUF], const ProtobufCBinaryData *name);

/* The one place that casts away const for protobuf-c; nothing writes there. */
ProtobufCBinaryData msg_bytes(const void *p, size_t n);
/* The attributes in a reply, which live as long as it does. Their length must be
 * right: fs_reply_lies() says so of what a helper sent. */
const struct attr *msg_attr(ProtobufCBinaryData b);

#endif
