/*
 * Who does what in the kernel's eyes.
 *
 * Under IDENTITY_MAP and IDENTITY_HOST a thread that works on a request is the
 * user whose request it is: fsuid and fsgid, from which permission checks, the
 * owner of what is made, setgid directories, sticky bits and default ACLs
 * follow as for a local process. Id 0 is the root of the helper's user
 * namespace (or of the host), with its capabilities. Under the other models
 * the process is one user, and nothing here does anything.
 *
 * Groups: with a table in the policy they are the table's. Without one it is
 * the guest's kernel that knows who is in which; it has checked them before it
 * asked. What the kernel refuses to the user alone is then tried again with
 * the groups that own the objects at hand lent to him: docs/adr/0008.
 */
#ifndef POSTERN_HELPER_IDENTITY_H
#define POSTERN_HELPER_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <protobuf-c/protobuf-c.h>

#include "ipc/share.h"

/* One user of the policy's table. */
struct id_row {
    uint32_t uid;
    const uint32_t *gids; /* borrowed; the first is his own */
    size_t n;
};

struct identity {
    enum share_identity model;
    uint32_t ids;             /* MAP: the guest's ids are [0, ids) */
    bool has_rows;            /* there is a table, if an empty one */
    const struct id_row *row; /* borrowed; nrows */
    size_t nrows;
    bool reads_acls; /* lend the groups that ACLs name, too */
    bool devices;    /* HOST: device nodes may be made */
};

/* True when threads change who they are. */
bool identity_switches(const struct identity *id);
/* Whether the guest can have such an id: a worker that says otherwise is
 * broken. */
bool identity_has(const struct identity *id, uint32_t uid, uint32_t gid);

/*
 * The calling thread is that user from here on. That it became so is read
 * back from the kernel: otherwise bug(), since who could not be switched to is
 * whoever came before, and that may be root.
 */
void identity_be(const struct identity *id, uint32_t uid, uint32_t gid);

/* A thread does something of the helper's own, which must work whoever asked:
 * it is root, then again who it was. */
struct identity_was {
    bool changed;
    uint32_t uid, gid;
};
struct identity_was identity_root_begin(void);
void identity_root_end(const struct identity_was *was);

/* Lending. After identity_be(): whether that request, which ended so, may end
 * otherwise with groups; or has to have them from the start. */
bool identity_may_lend(const struct identity *id, uint32_t uid);
bool identity_was_refused(unsigned op, int status, const ProtobufCMessage *rep);
bool identity_wants_groups(unsigned op, const ProtobufCMessage *req);
/* Between these, the group of whatever the thread uses is one of its own, if
 * being in it is more than being in none. */
void identity_lend_begin(const struct identity *id, unsigned op, const ProtobufCMessage *req);
void identity_lend_end(void);
/* The thread works on what is behind an fd (O_PATH will do) of the share. */
void identity_used(int fd);

#endif
