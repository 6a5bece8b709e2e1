/*
 * What every contract test starts from: a share that somebody serves, a
 * client of it, and the host's view of the same tree.
 *
 * The tests know only this interface, so that whatever implements the
 * operations can be put behind it.
 */
#ifndef POSTERN_TESTS_CONTRACT_H
#define POSTERN_TESTS_CONTRACT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/share.h"
#include "tests/lib/ipc_client.h"

/* uid is in these groups. */
struct contract_groups {
    uint32_t uid;
    uint32_t gids[4];
    size_t n;
};
#define CONTRACT_IDS 65536u

struct contract_options {
    bool read_only;
    bool allow_set_id;
    unsigned xattrs; /* enum xattr_share bits; 0: the default, user */
    bool no_xattrs;
    bool devices;  /* HOST: device files may be made */
    bool no_idmap; /* the sandboxed helper is nobody in particular: what it may, others may */
    bool forked;   /* by a process of its own, whose end can be awaited */
    uint32_t present_uid, present_gid;
    uint32_t nodes, node_fds, files; /* 0: plenty */
    enum share_submounts submounts;
    enum share_identity identity; /* MAP: ids [0, CONTRACT_IDS), by contract_id() the host's */
    const struct contract_groups *groups; /* their table; NULL: there is none */
    size_t ngroups;
    const char *hide, *only, *protect; /* lists, words apart by a space; NULL: none */
    bool for_worker;                   /* no client: contract_channel() is for a worker */
    void (*prepare)(const char *path); /* before anybody looks; may mount things below */
};

struct contract {
    struct ipc_client client;
    int root;                 /* the host's view: an fd of the share's root */
    char path[64];            /* the same as a path */
    bool again;               /* made by contract_again(): the directory is another's */
    struct contract_impl *on; /* what serves it */
};

/* What a server still holds; known when it lives in this process. */
struct contract_counts {
    bool known;
    uint32_t nodes, node_fds, files;
};

/*
 * Serve a new, empty directory: by the helper's code in a thread, or in a
 * process if asked. Failure fails the test. With POSTERN_CONTRACT_HELPER in
 * the environment, naming the program, by a real helper in its real sandbox:
 * that takes root.
 */
struct contract *contract_open(const struct contract_options *o);
/* A second server of what c serves, with the same options, as after a restart.
 * contract_close() of it leaves the directory to c. */
struct contract *contract_again(const struct contract *c);
/* It is the real helper that serves: not as root, and in the kernel's hands. */
bool contract_is_sandboxed(void);
/* What the guest's id is on the host. In this process they are the same. */
uint32_t contract_id(const struct contract *c, uint32_t id);
/* Ask as that user from now on, for groups of the same number. */
void contract_be(struct contract *c, uint32_t uid);
/* The worker's side of the channel; all three stay the contract's. */
struct contract_channel {
    int memfd, to_helper, to_worker;
};
struct contract_channel contract_channel(const struct contract *c);
/* The process that serves it (asked to be one), and the broker's end of its fd 3. */
struct contract_process {
    pid_t pid;
    int boot;
};
struct contract_process contract_process(const struct contract *c);
/* True when node_fds of the options counts. */
bool contract_limits_fds(void);
/* Stop serving and return what the server still held, then remove the
 * directory. */
struct contract_counts contract_close(struct contract *c);
/* The same once root asks again; that no file is held is asserted. */
void contract_done(struct contract *c);
/* Asked to be a process: wait for it and return its exit status, 128 + n when
 * signal n ended it. contract_close() comes after. */
int contract_wait(struct contract *c);
/* The same once the broker has said that it is over, if it did not end before. */
int contract_end(struct contract *c);

/* cmocka: a fixture with the default options, and its end, which asserts that
 * nothing but the root is held. */
int contract_setup(void **state);
int contract_teardown(void **state);

/* Short ways to what most tests need; each asserts that it worked. */
uint64_t walk_to(struct contract *c, uint64_t dir, const char *name);
int walk_status(struct contract *c, uint64_t dir, const char *name);
/* Status; *rep, unless NULL, is the answer to a walk of that one name. */
int walk_one(struct contract *c, uint64_t dir, const char *name, const Postern__V1__WalkRep **rep);
/* Down a path of several names from the root; its last node alone is kept. */
uint64_t walk_path(struct contract *c, const char *path);
void forget(struct contract *c, uint64_t node, uint32_t count);
/* The node above, with a reference. */
uint64_t parent_of(struct contract *c, uint64_t node);
uint64_t open_read(struct contract *c, uint64_t node);
uint64_t open_write(struct contract *c, uint64_t node, uint32_t flags);
void close_file(struct contract *c, uint64_t file);
/* Status, or the count; what was read is in the slab at 0. */
int64_t read_at(struct contract *c, uint64_t file, uint64_t offset, uint32_t count);
int64_t write_at(struct contract *c, uint64_t file, uint64_t offset, const void *data,
                 uint32_t count);
/* Status; what was made or opened is given back at once. */
int open_read_status(struct contract *c, uint64_t node, uint32_t flags);
int open_write_status(struct contract *c, uint64_t node, uint32_t flags);
int create_at(struct contract *c, uint64_t dir, const char *name, uint32_t flags);
int mkdir_at(struct contract *c, uint64_t dir, const char *name, uint32_t mode);
int unlink_at(struct contract *c, uint64_t dir, const char *name, bool directory);
int remove_node(struct contract *c, uint64_t node);
int rename_at(struct contract *c, uint64_t dir, const char *name, uint64_t new_dir,
              const char *new_name);
/* Status of a regular file without content, of a symlink to "t", of one more
 * name and of another name; nothing of it is kept. */
int mknod_at(struct contract *c, uint64_t dir, const char *name);
int symlink_at(struct contract *c, uint64_t dir, const char *name);
int link_at(struct contract *c, uint64_t node, uint64_t dir, const char *name);
int rename_node_to(struct contract *c, uint64_t node, uint64_t new_dir, const char *new_name);
/* Status; *ret, unless NULL, is the name's when that is 0. */
int stat_status(struct contract *c, uint64_t dir, const char *name, struct attr *ret);
/* The attributes of a node; chmod and truncate of it: status. */
struct attr attr_of_node(struct contract *c, uint64_t node);
int chmod_node(struct contract *c, uint64_t node, uint32_t mode);
int truncate_node(struct contract *c, uint64_t node, uint64_t size);

/* What a directory holds, in its order. */
#define LISTING_MOST 64
struct listing {
    unsigned n;
    struct {
        char name[64];
        uint64_t ino, cookie;
        unsigned char type;
    } at[LISTING_MOST];
};
/* To the end, in pieces of count bytes: of a file that is open, from a cookie
 * on; of a directory, from its start. */
void listing_from(struct contract *c, uint64_t file, uint64_t cookie, uint32_t count,
                  struct listing *ret);
void listing_of(struct contract *c, uint64_t dir, uint32_t count, struct listing *ret);
/* How often the name is in it. */
unsigned listing_count(const struct listing *l, const char *name);

/* On the host. */
void host_write(struct contract *c, const char *name, const char *text);
void host_mkdir(struct contract *c, const char *name);
/* Of the name itself, which is there. */
struct stat host_stat(const struct contract *c, const char *name);
/* The same before there is a contract: below that directory, for all to write. */
void host_put(int dir, const char *name, const char *text);

#endif
