/*
 * The policy file, checked and turned into plain data. No I/O but reading
 * the file.
 */
#ifndef POSTERN_POLICY_PLAN_H
#define POSTERN_POLICY_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "ipc/limits.h"
#include "ipc/share.h"

struct cfg_t; /* of libconfuse */

enum plan_access { ACCESS_READ_ONLY, ACCESS_READ_WRITE };
enum plan_transport {
    TRANSPORT_UNIX,
    TRANSPORT_TCP,
    TRANSPORT_VSOCK,
    TRANSPORT_SYSTEMD, /* a socket that systemd passes at start */
    TRANSPORT_FD       /* a socket that the caller left open; `postern export` alone */
};

struct plan_listen {
    char *address; /* as written: "unix:/run/x.9p", "tcp:127.0.0.1:5640", "vsock:5640" */
    enum plan_transport transport;
    char *path;        /* unix: the socket's path; else NULL */
    char *host;        /* tcp: numeric address; else NULL */
    char *name;        /* systemd: FileDescriptorName= of the socket; else NULL */
    uint32_t cid;      /* vsock: of this machine; VMADDR_CID_ANY: whatever it has */
    uint32_t port;     /* tcp, vsock; 0: any */
    int fd;            /* fd: its number */
    char *group;       /* unix: group that may connect; NULL: nobody but the owner */
    bool allow_remote; /* tcp, systemd: other than loopback was asked for */
    const char *file;  /* where the policy says so; borrowed from plan.files, */
    unsigned line;     /* NULL and 0 when made by plan_add_* */
};

/* A list of words. */
struct plan_list {
    char **at; /* owned, each and all */
    size_t n;
};

/* user is a member of these groups; the guest's ids. */
struct plan_groups {
    uint32_t uid;
    uint32_t *gids; /* owned */
    size_t ngids;
};

struct plan_share {
    char *name; /* 1..64 of [A-Za-z0-9._-], not starting with "." or "-" */
    char *path; /* absolute */
    enum plan_access access;
    bool has_owner; /* owner = "uid:gid" was set */
    uid_t owner_uid;
    gid_t owner_gid;
    bool has_present; /* present-as = "uid:gid" was set */
    uid_t present_uid;
    gid_t present_gid;
    bool allow_set_id; /* set-id = allow */
    unsigned xattrs;   /* enum xattr_share bits */
    bool has_xattrs;   /* xattrs = { ... } was set */
    enum share_submounts submounts;
    enum share_identity identity;
    uint32_t ids_first, ids_count; /* map: the host's ids that guest ids 0.. become */
    bool has_ids;                  /* ids = "FIRST+COUNT" was set */
    struct plan_groups *groups;    /* map, host: who is in which; owned */
    size_t ngroups;
    bool has_groups;          /* groups = { "UID:GID,GID" } was set; else the guest says */
    bool allow_devices;       /* devices = allow; host alone */
    struct plan_list protect; /* directories below the root, "a/b", that are read-only */
    struct plan_list hide;    /* globs of fnmatch(3) for one component */
    struct plan_list only;    /* names in the root; nothing else is there */
    const char *file;         /* as in plan_listen */
    unsigned line;
};

struct plan_limits {
    unsigned connections, fids, in_flight, nodes, open_files; /* counts */
    uint32_t msize;                                           /* bytes */
    uint64_t memory;                /* bytes of all its processes; 0: no limit */
    uint32_t processes, cpu_weight; /* of its cgroup; 0: no limit, the default */
    uint64_t read_rate, write_rate; /* bytes a second of file data; 0: no limit */
    uint32_t metadata_rate;         /* operations a second without file data; 0: no limit */
};

struct plan_tenant {
    char *name;
    struct plan_listen *listens;
    size_t nlistens;
    struct plan_share *shares;
    size_t nshares;
    struct plan_limits limits;
    bool best_effort;           /* sandbox = best-effort */
    struct plan_list delegates; /* users "NAME", groups "@NAME" that may add and remove shares */
    uint32_t delegate_ids[DELEGATES_MAX]; /* of each, as it was when the policy was read */
    const char *file;                     /* as in plan_listen */
    unsigned line;
};

/* control "unix:PATH" { group = "NAME" } */
struct plan_control {
    char *path;  /* NULL: there is none */
    char *group; /* besides root and the owner; NULL: nobody */
    const char *file;
    unsigned line;
};

struct plan {
    struct plan_tenant *tenants;
    size_t ntenants;
    struct plan_control control;
    char **files; /* names of the policy file and of all it includes */
    size_t nfiles;
    struct cfg_t *settings; /* owned, private to policy/; NULL when made by plan_new() */
};

/*
 * Read and check a policy file. On success 0 and *ret, freed by the caller
 * with plan_free(). On failure -errno and *ret_error, a malloc'ed text of one
 * or more lines "file:line: what is wrong, expected what", without a final
 * newline; nothing else is touched. The file itself must be a regular file
 * owned by root or the caller and not writable by anybody else (-EPERM).
 */
int plan_load(const char *path, struct plan **ret, char **ret_error);

/* NULL is fine. */
void plan_free(struct plan *p);

/*
 * One share more, given at run time: settings is the text between the braces
 * of share "NAME" { ... }, n bytes. Read and checked as in the file, with the
 * defaults of plan, and against ids of other tenants in plan (not against
 * shares given at run time: plan_ids_overlap). The name may be taken: that is
 * the caller's to judge. 0 and *ret, freed with plan_share_free(), or -errno
 * and *ret_error as from plan_load(); its file is called "control". plan
 * outlives *ret.
 */
int plan_parse_share(const struct plan *plan, const struct plan_tenant *t, const char *name,
                     const char *settings, size_t n, struct plan_share **ret, char **ret_error);
/* NULL is fine. */
void plan_share_free(struct plan_share *sh);
/* Both are identity = map, and an id is in both ranges, which shares of two
 * tenants must not be. */
bool plan_ids_overlap(const struct plan_share *a, const struct plan_share *b);
/* "squash", "map", ... */
const char *share_identity_name(enum share_identity id);

/* By name; NULL: there is none. */
const struct plan_tenant *plan_tenant_find(const struct plan *p, const char *name);
const struct plan_share *plan_share_find(const struct plan_tenant *t, const char *name);
/*
 * It is to be served, and nobody will ask where a setting stands: plan_where()
 * says from now on where its section opens. That text is by far the greater
 * part of a large plan, and the system gets its memory back.
 */
void plan_settle(struct plan *p);

/* Where the policy has a setting of a share, or of a tenant when sh is NULL; of
 * that value of a list, when value is not NULL; where it opens the section, when
 * it does not have it. */
void plan_where(const struct plan *p, const struct plan_tenant *t, const struct plan_share *sh,
                const char *setting, const char *value, const char **ret_file, unsigned *ret_line);

/*
 * May a guest do that? op: a name of ipc/ops.def or read, write, create,
 * delete, rename, chmod, chown, setuid, device, list; path: from the share's
 * root on. 0 and *ret, or -EINVAL and *ret_error: that is no question.
 */
struct plan_question {
    const char *tenant, *share, *op, *path;
    const char *xattr; /* name of an extended attribute, where op has one; else NULL */
    bool has_uid;
    uint32_t uid; /* who asks, in the guest */
};
struct plan_answer {
    int err; /* what the guest gets; 0: allowed */
    char why[512];
    const char *file; /* the rule; borrowed from plan */
    unsigned line;
};
int plan_explain(const struct plan *plan, const struct plan_question *q, struct plan_answer *ret,
                 char **ret_error);

/*
 * The plan as the one text that means it: defaults written out, sorted. Read
 * again it gives a plan that is printed the same. 0 or -errno.
 */
int plan_print(const struct plan *p, FILE *out);

/*
 * What turns old into new, in an order that it can be applied in: control,
 * tenants that go, then for each tenant of new that it is new, or its settings,
 * limits, addresses, shares that go, shares that are new or changed. Borrows
 * from both plans.
 */
enum plan_change_kind {
    CHANGE_CONTROL,
    CHANGE_TENANT_REMOVED,  /* old_tenant */
    CHANGE_TENANT_ADDED,    /* new_tenant with all its shares */
    CHANGE_TENANT_SETTINGS, /* both tenants; also in all below */
    CHANGE_TENANT_LIMITS,
    CHANGE_TENANT_LISTENS,
    CHANGE_SHARE_REMOVED, /* old_share */
    CHANGE_SHARE_ADDED,   /* new_share */
    CHANGE_SHARE_CHANGED, /* both shares */
};
#define PLAN_CHANGE_WHAT 160
struct plan_change {
    enum plan_change_kind kind;
    const struct plan_tenant *old_tenant, *new_tenant;
    const struct plan_share *old_share, *new_share;
    char what[PLAN_CHANGE_WHAT]; /* which settings: "access, hide"; else "" */
};
struct plan_diff {
    struct plan_change *at; /* owned */
    size_t n;
};
/* 0 and *ret, emptied with plan_diff_done(), or -ENOMEM. */
int plan_diff(const struct plan *old, const struct plan *new, struct plan_diff *ret);
void plan_diff_done(struct plan_diff *d);
/* "tenant blue: share work changed: access". */
void plan_change_text(const struct plan_change *c, char *out, size_t room);

/* The first 32 hex digits, in lower case, of SHA-256 over "postern-share-v1",
 * tenant and name with a NUL between each two. */
void share_id(const char *tenant, const char *name, char ret[SHARE_ID_LEN + 1]);

/*
 * The same without a file, for `postern export`: DIR[:ro] and an address.
 * The share's name is DIR's last component, made unique with -2, -3, ...
 * Errors as plan_load(), the text without file and line.
 */
int plan_new(const char *tenant, struct plan **ret);
int plan_add_share(struct plan *p, const char *dir_and_access, char **ret_error);
int plan_add_listen(struct plan *p, const char *address, char **ret_error);

/* A numeric address as inet_ntop(3) writes it: nobody but this machine can
 * reach it. */
bool host_is_loopback(const char *host);

#endif
