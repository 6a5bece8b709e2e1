/*
 * The contract fixture with the helper's own code behind it: the real loop,
 * over a real channel, in a thread or in a forked process, without a sandbox
 * so that sanitizers can watch; or the real program in its sandbox.
 *
 * Runs in: tests.   Trusts: the code under test not to leave the directory.
 * Owns: the directory, the channel's fds, the serving thread or process.
 */
#include "tests/lib/test.h"

#include "tests/lib/contract.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/boot.h"
#include "ipc/fd.h"
#include "ipc/log.h"
#include "proxy-helper/serve.h"
#include "sandbox/share_mount.h"
#include "sandbox/spawn.h"

#define NODES 16384
#define FILES 1024
#define JAIL_ID 64001     /* whom the sandboxed helper runs as */
#define MAP_FIRST 500000u /* what guest id 0 is for it with a map */
#define GROUPS_MOST 8

#ifdef __SANITIZE_THREAD__
/* The sanitizer would wait a second in every server that ends. */
const char *__tsan_default_options(void);
const char *
__tsan_default_options(void)
{
    return "atexit_sleep_ms=0";
}
#endif

struct contract_impl {
    struct contract_options o;
    struct submounts below;
    struct id_row rows[GROUPS_MOST];
    struct share share;
    struct serve server;
    int memfd, to_helper, to_worker;
    int boot[2]; /* ours, the server's */
    int pidfd;
    pthread_t thread;
    pid_t pid;
};

static const char *
sandboxed_helper(void)
{
    return getenv("POSTERN_CONTRACT_HELPER");
}

bool
contract_is_sandboxed(void)
{
    return sandboxed_helper() != NULL;
}

static bool
maps(const struct contract_impl *on)
{
    return on->o.identity == IDENTITY_MAP && sandboxed_helper() != NULL;
}

uint32_t
contract_id(const struct contract *c, uint32_t id)
{
    return maps(c->on) ? MAP_FIRST + id : id;
}

void
contract_be(struct contract *c, uint32_t uid)
{
    c->client.uid = c->client.gid = uid;
}

struct contract_channel
contract_channel(const struct contract *c)
{
    return (struct contract_channel){c->on->memfd, c->on->to_helper, c->on->to_worker};
}

struct contract_process
contract_process(const struct contract *c)
{
    return (struct contract_process){c->on->pid, c->on->boot[0]};
}

bool
contract_limits_fds(void)
{
    return sandboxed_helper() == NULL;
}

static uint32_t
or_else(uint32_t v, uint32_t otherwise)
{
    return v != 0 ? v : otherwise;
}

/* The words of a list of the options; static storage for one more each. */
#define WORDS 80
struct words {
    char text[WORDS * NAME_BUF];
    char *at[WORDS];
    size_t n;
};

static void
split(struct words *w, const char *list)
{
    char *save = NULL;

    w->n = 0;
    (void)snprintf(w->text, sizeof(w->text), "%s", list == NULL ? "" : list);
    for (char *s = strtok_r(w->text, " ", &save); s != NULL; s = strtok_r(NULL, " ", &save)) {
        assert_true(w->n < WORDS);
        w->at[w->n++] = s;
    }
}

static void
serve_names(struct contract_impl *on)
{
    static struct words w;

    split(&w, on->o.hide);
    for (size_t i = 0; i < w.n; i++)
        assert_true(names_hide(&on->share.names, w.at[i]));
    split(&w, on->o.only);
    for (size_t i = 0; i < w.n; i++)
        assert_true(names_only(&on->share.names, w.at[i]));
}

/* What main() does around the sandbox. */
static void
serve_start(struct contract_impl *on, const char *path)
{
    struct share_limits limits = {.nodes = or_else(on->o.nodes, NODES),
                                  .node_fds = or_else(on->o.node_fds, NODES / 2),
                                  .files = or_else(on->o.files, FILES)};
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    assert_true(root >= 0);
    on->share.read_only = on->o.read_only;
    on->share.allow_set_id = on->o.allow_set_id;
    on->share.xattrs = on->o.no_xattrs ? 0 : or_else(on->o.xattrs, XATTR_USER);
    on->share.identity = (struct identity){.model = on->o.identity,
                                           .ids = CONTRACT_IDS,
                                           .has_rows = on->o.groups != NULL,
                                           .row = on->rows,
                                           .nrows = on->o.ngroups,
                                           .reads_acls = true,
                                           .devices = on->o.devices};
    on->share.allow_set_id |= identity_switches(&on->share.identity);
    for (size_t i = 0; on->o.groups != NULL && i < on->o.ngroups; i++)
        on->rows[i] = (struct id_row){
            .uid = on->o.groups[i].uid, .gids = on->o.groups[i].gids, .n = on->o.groups[i].n};
    on->share.present_uid = on->o.present_uid;
    on->share.present_gid = on->o.present_gid;
    on->share.mounts.mode = on->below.any ? on->o.submounts : SUBMOUNTS_REFUSE;
    for (size_t i = 0; i < on->below.n; i++)
        assert_true(mounts_add(&on->share.mounts, on->below.at[i].dev, on->below.at[i].ino,
                               on->below.at[i].number));
    serve_names(on);
    assert_int_equal(channel_open(&on->share.ch, CHANNEL_HELPER, on->memfd, on->to_worker), 0);
    assert_int_equal(share_open(&on->share, &root, &limits), 0);
    assert_int_equal(serve_init(&on->server, &on->share, on->to_helper, on->boot[1]), 0);
    assert_int_equal(pool_new(on->to_helper, &on->share.ch, &on->share.pool), 0);
}

static void *
serve_thread(void *arg)
{
    struct contract_impl *on = arg;

    serve_run(&on->server);
    return NULL;
}

/* A violation says so on stderr and ends the process: both are wanted here. */
static void
serve_process(struct contract_impl *on, const char *path)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)dup2(null, STDERR_FILENO);
    clean_fd(&null);
    clean_fd(&on->boot[0]);
    serve_start(on, path);
    serve_run(&on->server);
    _exit(0);
}

/* What the broker does, in short. */
static void
send_boot(const struct contract_impl *on, int mount_fd)
{
    Postern__V1__Boot b = POSTERN__V1__BOOT__INIT;
    Postern__V1__HelperBoot h = POSTERN__V1__HELPER_BOOT__INIT;
    Postern__V1__SandboxBoot s = POSTERN__V1__SANDBOX_BOOT__INIT;
    const int fds[] = {mount_fd, on->memfd, on->to_helper, on->to_worker};
    Postern__V1__SubmountBoot below[SUBMOUNTS_MAX], *below_p[SUBMOUNTS_MAX];
    static struct words hide, only, protect;
    Postern__V1__GroupsBoot groups[GROUPS_MOST], *groups_p[GROUPS_MOST];
    uint32_t gids[GROUPS_MOST][4];
    char tenant[] = "test", share[] = "contract";

    b.version = BOOT_VERSION;
    b.tenant = tenant;
    b.helper = &h;
    b.sandbox = &s;
    s.uid = s.gid = on->o.identity == IDENTITY_HOST ? 0 : JAIL_ID;
    h.share = share;
    h.read_only = on->o.read_only;
    h.present_uid = on->o.present_uid;
    h.present_gid = on->o.present_gid;
    h.allow_set_id = on->o.allow_set_id;
    h.has_xattrs = true;
    h.xattrs = on->o.no_xattrs ? 0 : or_else(on->o.xattrs, XATTR_USER);
    h.nodes = or_else(on->o.nodes, NODES);
    h.open_files = or_else(on->o.files, FILES);
    h.has_submounts = on->below.any;
    h.submounts = on->o.submounts;
    for (size_t i = 0; i < on->below.n; i++) {
        postern__v1__submount_boot__init(&below[i]);
        below[i].dev = on->below.at[i].dev;
        below[i].ino = on->below.at[i].ino;
        below[i].number = on->below.at[i].number;
        below_p[i] = &below[i];
    }
    h.has_identity = true;
    h.identity = on->o.identity;
    h.has_ids = s.has_ids = s.own_userns = maps(on);
    h.ids = s.ids = maps(on) ? CONTRACT_IDS : 0;
    h.has_allow_devices = true;
    h.allow_devices = on->o.devices;
    h.has_has_groups = true;
    h.has_groups = on->o.groups != NULL;
    for (size_t i = 0; on->o.groups != NULL && i < on->o.ngroups; i++) {
        postern__v1__groups_boot__init(&groups[i]);
        groups[i].uid = on->o.groups[i].uid;
        groups[i].n_gids = on->o.groups[i].n;
        (void)memcpy(gids[i], on->o.groups[i].gids, sizeof(gids[i]));
        groups[i].gids = gids[i];
        groups_p[i] = &groups[i];
    }
    h.n_groups = on->o.ngroups;
    h.groups = groups_p;
    h.n_below = on->o.submounts == SUBMOUNTS_CROSS ? on->below.n : 0;
    h.below = below_p;
    split(&hide, on->o.hide);
    h.n_hide = hide.n;
    h.hide = hide.at;
    split(&only, on->o.only);
    h.n_only = only.n;
    h.only = only.at;
    split(&protect, on->o.protect);
    h.n_protect = protect.n;
    h.protect = protect.at;
    assert_int_equal(boot_send(on->boot[0], &b, fds, COUNT(fds)), 0);
}

/* The real program: nothing of this process is in it. */
static void
serve_sandboxed(struct contract_impl *on, const char *path)
{
    struct share_mount m = {.read_only = on->o.read_only,
                            .idmap = !on->o.no_idmap && (on->o.identity == IDENTITY_SQUASH ||
                                                         on->o.identity == IDENTITY_STORED),
                            .idmap_top = on->o.submounts != SUBMOUNTS_CROSS,
                            .uid = JAIL_ID,
                            .gid = JAIL_ID};
    int exe = open(sandboxed_helper(), O_PATH | O_CLOEXEC);
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct spawn s = {.exe_fd = exe, .name = "postern-helper", .boot_fd = on->boot[1]};
    int mount_fd = share_mount_clone(root, &m);

    if (maps(on)) {
        s.own_userns = true;
        s.ids_first = MAP_FIRST;
        s.ids_count = CONTRACT_IDS;
    }
    if (mount_fd == -EOPNOTSUPP) { /* for what is below; the broker lives with it, too */
        m.idmap = false;
        mount_fd = share_mount_clone(root, &m);
    }
    assert_true(exe >= 0 && root >= 0 && mount_fd >= 0);
    assert_int_equal(spawn_child(&s, &on->pid, &on->pidfd), 0);
    clean_fd(&on->boot[1]);
    send_boot(on, mount_fd);
    clean_fd(&exe);
    clean_fd(&root);
    clean_fd(&mount_fd);
}

static void
raise_fd_limit(void)
{
    struct rlimit rl;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &rl), 0);
    rl.rlim_cur = rl.rlim_max < 20000 ? rl.rlim_max : 20000;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
}

/* Somebody who serves c->path. */
static void
serve(struct contract *c, const struct contract_options *o)
{
    struct contract_impl *on = calloc(1, sizeof(*on));

    assert_non_null(on);
    assert_int_equal(chdir("/proc/self/fd"), 0); /* as sandbox_confine() leaves it */
    c->root = open(c->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(c->root >= 0);
    c->on = on;
    on->o = *o;
    on->pidfd = -1;
    if (o->submounts != SUBMOUNTS_REFUSE)
        assert_int_equal(share_submounts(c->path, c->root, &on->below), 0);
    on->memfd = channel_create();
    on->to_helper = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    on->to_worker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    assert_true(on->memfd >= 0 && on->to_helper >= 0 && on->to_worker >= 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, on->boot), 0);
    if (sandboxed_helper() != NULL) {
        serve_sandboxed(on, c->path);
    } else if (o->forked) {
        on->pid = fork();
        assert_true(on->pid >= 0);
        if (on->pid == 0) {
            /* the clone of /proc/self/fd is this process's, not the parent's */
            if (chdir("/proc/self/fd") < 0)
                _exit(1);
            serve_process(on, c->path);
        }
        clean_fd(&on->boot[1]);
    } else {
        serve_start(on, c->path);
        assert_int_equal(pthread_create(&on->thread, NULL, serve_thread, on), 0);
    }
    if (!o->for_worker)
        assert_int_equal(ipc_client_open(&c->client, on->memfd, on->to_helper, on->to_worker), 0);
}

struct contract *
contract_open(const struct contract_options *o)
{
    struct contract *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    raise_fd_limit();
    (void)umask(0);
    (void)snprintf(c->path, sizeof(c->path), "/tmp/postern-contract-XXXXXX");
    assert_non_null(mkdtemp(c->path));
    if (o->identity == IDENTITY_MAP) {
        assert_int_equal(chmod(c->path, 0777), 0);
        if (sandboxed_helper() != NULL)
            assert_int_equal(chown(c->path, MAP_FIRST, MAP_FIRST), 0);
    }
    if (o->prepare != NULL)
        o->prepare(c->path);
    serve(c, o);
    return c;
}

struct contract *
contract_again(const struct contract *first)
{
    struct contract *c = calloc(1, sizeof(*c));

    assert_non_null(c);
    (void)memcpy(c->path, first->path, sizeof(c->path));
    c->again = true;
    serve(c, &first->on->o);
    return c;
}

int
contract_wait(struct contract *c)
{
    int status;

    for (int i = 0; i < IPC_CLIENT_DEADLINE_MS / 5; i++) {
        pid_t pid = waitpid(c->on->pid, &status, WNOHANG | __WALL);

        assert_true(pid >= 0);
        if (pid > 0) {
            c->on->pid = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        (void)usleep(5000);
    }
    fail_msg("the server did not end");
    return -1;
}

int
contract_end(struct contract *c)
{
    clean_fd(&c->on->boot[0]);
    return contract_wait(c);
}

/* By fds: some trees here are deeper than a path may be long. */
static void
remove_below(int fd)
{
    DIR *d = fdopendir(fd);
    struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        int below;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (unlinkat(fd, e->d_name, 0) == 0)
            continue;
        below = openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        assert_true(below >= 0);
        remove_below(below);
        assert_int_equal(unlinkat(fd, e->d_name, AT_REMOVEDIR), 0);
    }
    assert_int_equal(closedir(d), 0);
}

struct contract_counts
contract_close(struct contract *c)
{
    struct contract_impl *on = c->on;
    struct contract_counts left = {0};

    clean_fd(&on->boot[0]); /* the end, as the broker says it */
    if (on->o.forked || sandboxed_helper() != NULL) {
        if (on->pid != 0)
            assert_int_equal(contract_wait(c), 0);
    } else {
        assert_int_equal(pthread_join(on->thread, NULL), 0);
        left = (struct contract_counts){.known = true,
                                        .nodes = on->share.nodes.used,
                                        .node_fds = on->share.nodes.fds,
                                        .files = on->share.files.used};
        serve_done(&on->server);
        share_close(&on->share);
    }
    if (!on->o.for_worker)
        ipc_client_close(&c->client);
    clean_fd(&on->boot[1]);
    clean_fd(&on->pidfd);
    clean_fd(&on->memfd);
    clean_fd(&on->to_helper);
    clean_fd(&on->to_worker);
    if (!c->again) {
        remove_below(take_fd(&c->root));
        assert_int_equal(rmdir(c->path), 0);
    }
    clean_fd(&c->root);
    free(on);
    free(c);
    return left;
}

void
contract_done(struct contract *c)
{
    struct contract_counts left;

    contract_be(c, 0);
    left = contract_close(c);
    assert_true(!left.known || left.files == 0);
}

int
contract_setup(void **state)
{
    *state = contract_open(&(struct contract_options){.present_uid = 1000, .present_gid = 1001});
    return 0;
}

int
contract_teardown(void **state)
{
    struct contract_counts left = contract_close(*state);

    assert_true(!left.known || (left.nodes == 1 && left.node_fds == 1 && left.files == 0));
    return 0;
}

int
walk_one(struct contract *c, uint64_t dir, const char *name, const Postern__V1__WalkRep **rep)
{
    Postern__V1__WalkReq req = POSTERN__V1__WALK_REQ__INIT;

    req.node = dir;
    req.has_name1 = true;
    req.name1 = msg_bytes(name, strlen(name));
    return ask_walk(&c->client, &req, rep);
}

int
walk_status(struct contract *c, uint64_t dir, const char *name)
{
    return walk_one(c, dir, name, NULL);
}

uint64_t
walk_to(struct contract *c, uint64_t dir, const char *name)
{
    const Postern__V1__WalkRep *rep;

    assert_int_equal(walk_one(c, dir, name, &rep), 0);
    assert_int_equal(rep->done, 1);
    assert_true(rep->has_node);
    return rep->node;
}

uint64_t
walk_path(struct contract *c, const char *path)
{
    uint64_t at = NODE_ROOT, next;
    char name[64];

    while (*path != '\0') {
        size_t n = strcspn(path, "/");

        (void)snprintf(name, sizeof(name), "%.*s", (int)n, path);
        next = walk_to(c, at, name);
        if (at != NODE_ROOT)
            forget(c, at, 1);
        at = next;
        path += n + (path[n] == '/');
    }
    return at;
}

void
forget(struct contract *c, uint64_t node, uint32_t count)
{
    Postern__V1__ForgetReq req = POSTERN__V1__FORGET_REQ__INIT;

    req.node = node;
    req.count = count;
    assert_int_equal(ask_forget(&c->client, &req, NULL), 0);
}

uint64_t
parent_of(struct contract *c, uint64_t node)
{
    Postern__V1__ParentReq req = POSTERN__V1__PARENT_REQ__INIT;
    const Postern__V1__ParentRep *rep;

    req.node = node;
    assert_int_equal(ask_parent(&c->client, &req, &rep), 0);
    assert_int_equal(rep->attr.len, sizeof(struct attr));
    return rep->node;
}

uint64_t
open_read(struct contract *c, uint64_t node)
{
    Postern__V1__OpenReadReq req = POSTERN__V1__OPEN_READ_REQ__INIT;
    const Postern__V1__OpenReadRep *rep;

    req.node = node;
    assert_int_equal(ask_open_read(&c->client, &req, &rep), 0);
    return rep->file;
}

uint64_t
open_write(struct contract *c, uint64_t node, uint32_t flags)
{
    Postern__V1__OpenWriteReq req = POSTERN__V1__OPEN_WRITE_REQ__INIT;
    const Postern__V1__OpenWriteRep *rep;

    req.node = node;
    req.flags = flags;
    assert_int_equal(ask_open_write(&c->client, &req, &rep), 0);
    return rep->file;
}

void
close_file(struct contract *c, uint64_t file)
{
    Postern__V1__CloseReq req = POSTERN__V1__CLOSE_REQ__INIT;

    req.file = file;
    assert_int_equal(ask_close(&c->client, &req, NULL), 0);
}

int64_t
read_at(struct contract *c, uint64_t file, uint64_t offset, uint32_t count)
{
    Postern__V1__ReadReq req = POSTERN__V1__READ_REQ__INIT;
    const Postern__V1__ReadRep *rep;
    int r;

    req.file = file;
    req.offset = offset;
    req.count = count;
    r = ask_read(&c->client, &req, &rep);
    return r < 0 ? r : (int64_t)rep->count;
}

int64_t
write_at(struct contract *c, uint64_t file, uint64_t offset, const void *data, uint32_t count)
{
    Postern__V1__WriteReq req = POSTERN__V1__WRITE_REQ__INIT;
    const Postern__V1__WriteRep *rep;
    int r;

    req.file = file;
    req.offset = offset;
    req.count = count;
    if (count > 0)
        (void)memcpy(c->client.ch.slab, data, count);
    r = ask_write(&c->client, &req, &rep);
    return r < 0 ? r : (int64_t)rep->count;
}

int
open_read_status(struct contract *c, uint64_t node, uint32_t flags)
{
    Postern__V1__OpenReadReq req = POSTERN__V1__OPEN_READ_REQ__INIT;
    const Postern__V1__OpenReadRep *rep;
    int r;

    req.node = node;
    req.flags = flags;
    r = ask_open_read(&c->client, &req, &rep);
    if (r == 0)
        close_file(c, rep->file);
    return r;
}

int
open_write_status(struct contract *c, uint64_t node, uint32_t flags)
{
    Postern__V1__OpenWriteReq req = POSTERN__V1__OPEN_WRITE_REQ__INIT;
    const Postern__V1__OpenWriteRep *rep;
    int r;

    req.node = node;
    req.flags = flags;
    r = ask_open_write(&c->client, &req, &rep);
    if (r == 0)
        close_file(c, rep->file);
    return r;
}

int
create_at(struct contract *c, uint64_t dir, const char *name, uint32_t flags)
{
    Postern__V1__CreateReq req = POSTERN__V1__CREATE_REQ__INIT;
    const Postern__V1__CreateRep *rep;
    int r;

    req.dir = dir;
    req.name = msg_bytes(name, strlen(name));
    req.mode = 0666;
    req.flags = flags;
    r = ask_create(&c->client, &req, &rep);
    if (r == 0) {
        uint64_t node = rep->node;

        close_file(c, rep->file);
        forget(c, node, 1);
    }
    return r;
}

int
mkdir_at(struct contract *c, uint64_t dir, const char *name, uint32_t mode)
{
    Postern__V1__MkdirReq req = POSTERN__V1__MKDIR_REQ__INIT;

    req.dir = dir;
    req.name = msg_bytes(name, strlen(name));
    req.mode = mode;
    return ask_mkdir(&c->client, &req, NULL);
}

int
unlink_at(struct contract *c, uint64_t dir, const char *name, bool directory)
{
    Postern__V1__UnlinkReq req = POSTERN__V1__UNLINK_REQ__INIT;

    req.dir = dir;
    req.name = msg_bytes(name, strlen(name));
    req.directory = directory;
    return ask_unlink(&c->client, &req, NULL);
}

int
remove_node(struct contract *c, uint64_t node)
{
    Postern__V1__RemoveReq req = POSTERN__V1__REMOVE_REQ__INIT;

    req.node = node;
    return ask_remove(&c->client, &req, NULL);
}

int
rename_at(struct contract *c, uint64_t dir, const char *name, uint64_t new_dir,
          const char *new_name)
{
    Postern__V1__RenameReq req = POSTERN__V1__RENAME_REQ__INIT;

    req.dir = dir;
    req.name = msg_bytes(name, strlen(name));
    req.new_dir = new_dir;
    req.new_name = msg_bytes(new_name, strlen(new_name));
    return ask_rename(&c->client, &req, NULL);
}

int
mknod_at(struct contract *c, uint64_t dir, const char *name)
{
    Postern__V1__MknodReq req = POSTERN__V1__MKNOD_REQ__INIT;

    req.dir = dir;
    req.name = msg_bytes(name, strlen(name));
    req.mode = S_IFREG | 0644;
    return ask_mknod(&c->client, &req, NULL);
}

int
symlink_at(struct contract *c, uint64_t dir, const char *name)
{
    Postern__V1__SymlinkReq req = POSTERN__V1__SYMLINK_REQ__INIT;

    req.dir = dir;
    req.name = msg_bytes(name, strlen(name));
    req.target = msg_bytes("t", 1);
    return ask_symlink(&c->client, &req, NULL);
}

int
link_at(struct contract *c, uint64_t node, uint64_t dir, const char *name)
{
    Postern__V1__LinkReq req = POSTERN__V1__LINK_REQ__INIT;

    req.node = node;
    req.dir = dir;
    req.name = msg_bytes(name, strlen(name));
    return ask_link(&c->client, &req, NULL);
}

int
rename_node_to(struct contract *c, uint64_t node, uint64_t new_dir, const char *new_name)
{
    Postern__V1__RenameNodeReq req = POSTERN__V1__RENAME_NODE_REQ__INIT;

    req.node = node;
    req.new_dir = new_dir;
    req.new_name = msg_bytes(new_name, strlen(new_name));
    return ask_rename_node(&c->client, &req, NULL);
}

int
stat_status(struct contract *c, uint64_t dir, const char *name, struct attr *ret)
{
    Postern__V1__StatReq req = POSTERN__V1__STAT_REQ__INIT;
    const Postern__V1__StatRep *rep;
    int r;

    req.dir = dir;
    req.name = msg_bytes(name, strlen(name));
    r = ask_stat(&c->client, &req, &rep);
    if (r == 0 && ret != NULL)
        *ret = *msg_attr(rep->attr);
    return r;
}

struct attr
attr_of_node(struct contract *c, uint64_t node)
{
    Postern__V1__GetattrReq req = POSTERN__V1__GETATTR_REQ__INIT;
    const Postern__V1__GetattrRep *rep;

    req.node = node;
    assert_int_equal(ask_getattr(&c->client, &req, &rep), 0);
    return *msg_attr(rep->attr);
}

int
chmod_node(struct contract *c, uint64_t node, uint32_t mode)
{
    Postern__V1__SetattrReq req = POSTERN__V1__SETATTR_REQ__INIT;

    req.node = node;
    req.has_mode = true;
    req.mode = mode;
    return ask_setattr(&c->client, &req, NULL);
}

int
truncate_node(struct contract *c, uint64_t node, uint64_t size)
{
    Postern__V1__SetattrReq req = POSTERN__V1__SETATTR_REQ__INIT;

    req.node = node;
    req.has_size = true;
    req.size = size;
    return ask_setattr(&c->client, &req, NULL);
}

void
listing_from(struct contract *c, uint64_t file, uint64_t cookie, uint32_t count,
             struct listing *ret)
{
    Postern__V1__ReaddirReq req = POSTERN__V1__READDIR_REQ__INIT;
    const Postern__V1__ReaddirRep *rep;

    (void)memset(ret, 0, sizeof(*ret)); /* tests compare listings as bytes */
    req.file = file;
    req.cookie = cookie;
    req.count = count;
    do {
        assert_int_equal(ask_readdir(&c->client, &req, &rep), 0);
        for (uint32_t at = 0; at < rep->count;) {
            struct dirent64 d;

            memcpy(&d, c->client.ch.slab + at, offsetof(struct dirent64, d_name) + 64);
            assert_true(ret->n < LISTING_MOST);
            (void)snprintf(ret->at[ret->n].name, 64, "%.63s", d.d_name);
            ret->at[ret->n].ino = d.d_ino;
            ret->at[ret->n].type = d.d_type;
            ret->at[ret->n++].cookie = req.cookie = (uint64_t)d.d_off;
            at += d.d_reclen;
        }
    } while (rep->count > 0);
}

void
listing_of(struct contract *c, uint64_t dir, uint32_t count, struct listing *ret)
{
    uint64_t file = open_read(c, dir);

    listing_from(c, file, 0, count, ret);
    close_file(c, file);
}

unsigned
listing_count(const struct listing *l, const char *name)
{
    unsigned n = 0;

    for (unsigned i = 0; i < l->n; i++)
        n += strcmp(l->at[i].name, name) == 0;
    return n;
}

void
host_write(struct contract *c, const char *name, const char *text)
{
    int fd = openat(c->root, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    size_t n = strlen(text);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), n);
    clean_fd(&fd);
}

struct stat
host_stat(const struct contract *c, const char *name)
{
    struct stat st;

    assert_int_equal(fstatat(c->root, name, &st, AT_SYMLINK_NOFOLLOW), 0);
    return st;
}

void
host_mkdir(struct contract *c, const char *name)
{
    assert_int_equal(mkdirat(c->root, name, 0755), 0);
}

void
host_put(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    clean_fd(&fd);
}
