/*
 * Shares that come and go at run time over posternd's control socket.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "ipc/control.h"
#include "ipc/limits.h"
#include "tests/lib/control_peer.h"

#define CHILDREN 3 /* before anything is added */

static char rw_settings[256], ro_settings[256]; /* of DIR/new */

static const char policy[] = "control \"unix:@/control\" { }\n"
                             "tenant \"t\" {\n"
                             "    listen \"unix:@/sock\" { protocol = 9p }\n"
                             "    share \"ro\" { path = \"@/ro\" access = read-only }\n"
                             "    share \"rw\" { path = \"@/rw\" access = read-write }\n"
                             "    delegates = { \"nobody\" }\n"
                             "}\n";

static void
prepare(struct server *s, bool as_user)
{
    const unsigned owner = as_user ? SERVER_USER : SERVER_OWNER;

    server_init(s, as_user);
    server_file(s, "policy.conf", policy);
    assert_int_equal(mkdir(server_path(s, "new"), 0755), 0);
    server_file(s, "new/hello.txt", SERVER_HELLO);
    if (geteuid() == 0) {
        assert_int_equal(chown(server_path(s, "new"), owner, owner), 0);
        assert_int_equal(chown(server_path(s, "policy.conf"), as_user ? owner : 0, 0), 0);
    }
    (void)snprintf(rw_settings, sizeof(rw_settings), "path = \"%s\" access = read-write",
                   server_path(s, "new"));
    (void)snprintf(ro_settings, sizeof(ro_settings), "path = \"%s\" access = read-only",
                   server_path(s, "new"));
    server_start(s, NULL);
}

static int
setup(void **state)
{
    static struct server s;

    prepare(&s, false);
    *state = &s;
    return 0;
}

static int
setup_rootless(void **state)
{
    static struct server s;

    prepare(&s, true);
    *state = &s;
    return 0;
}

static pid_t
worker_of(const struct server *s)
{
    struct server_child v[16];
    size_t n = server_children(s, v, COUNT(v));

    for (size_t i = 0; i < n; i++)
        if (v[i].worker)
            return v[i].pid;
    fail_msg("there is no worker");
    return -1;
}

/* The helper that was started last. */
static pid_t
last_helper(const struct server *s)
{
    struct server_child v[16];
    pid_t pid = -1;

    server_await_children(s, CHILDREN + 1);
    for (size_t i = 0, n = server_children(s, v, COUNT(v)); i < n; i++)
        if (!v[i].worker)
            pid = v[i].pid;
    return pid;
}

/* Once fd is a connection that it knows. */
static size_t
fds_now(const struct server *s, int fd)
{
    assert_int_equal(peer_share_state(fd, "rw"), POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    return server_fds(s->pid);
}

/* What must be so again after whatever went wrong. */
static void
assert_as_before(const struct server *s, int fd, size_t fds)
{
    server_await_children(s, CHILDREN);
    server_await_fds(s->pid, fds);
    assert_int_equal(peer_share_state(fd, "new"), -1);
    assert_int_equal(server_try_attach(s, "new"), -ENOENT);
    assert_int_equal(server_try_attach(s, "rw"), 0);
}

/* --- there and gone ----------------------------------------------------------------- */

static void
a_share_is_added_used_and_taken_away(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);
    struct nc_attr a;
    struct nc *before = server_attach(s, "rw"), *c;
    Postern__V1__ControlReply *all;
    size_t fds = fds_now(s, fd);

    assert_int_equal(server_try_attach(s, "new"), -ENOENT);
    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    all = peer_list(fd, "new");
    assert_int_equal(all->shares[0]->state, POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    assert_int_equal(server_try_attach(s, all->shares[0]->id), 0);
    postern__v1__control_reply__free_unpacked(all, NULL);
    server_assert_sealed(last_helper(s));
    c = server_attach(s, "new");
    assert_int_equal(nc_mkdir(c, 0, "made", 0755, 0, NULL), 0);
    assert_int_equal(access(server_path(s, "new/made"), F_OK), 0);
    assert_int_equal(nc_mkdir(before, 0, "same connection", 0755, 0, NULL), 0);
    assert_int_equal(peer_remove(fd, "r1", 0), 0);
    assert_int_equal(nc_getattr(c, 0, NINE_GETATTR_BASIC, &a), -ESTALE);
    assert_int_equal(nc_attach(c, 1, "", "new", 0), -ENOENT);
    assert_int_equal(nc_attach(c, 1, "", "rw", 0), 0);
    assert_int_equal(nc_mkdir(before, 0, "still there", 0755, 0, NULL), 0);
    nc_close(c);
    assert_as_before(s, fd, fds);
    nc_close(before);
    close(fd);
}

static void
asking_again_changes_nothing(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);

    assert_int_equal(peer_remove(fd, "r1", 0), -ENOENT);
    assert_int_equal(peer_add(fd, "r1", NULL, NULL), -ENOENT);
    for (int i = 0; i < 3; i++)
        assert_int_equal(peer_reserve(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(peer_share_state(fd, "new"), POSTERN__V1__SHARE_STATE__SHARE_RESERVED);
    assert_int_equal(peer_reserve(fd, "r1", "new", ro_settings), -EEXIST);
    assert_int_equal(peer_reserve(fd, "r1", "other", rw_settings), -EEXIST);
    assert_int_equal(peer_reserve(fd, "r2", "new", ro_settings), -EEXIST);
    for (int i = 0; i < 3; i++)
        assert_int_equal(peer_add(fd, "r1", NULL, NULL), 0);
    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    server_await_children(s, CHILDREN + 1);
    for (int i = 0; i < 3; i++)
        assert_int_equal(peer_remove(fd, "r1", 0), 0);
    server_await_children(s, CHILDREN);
    assert_int_equal(peer_add(fd, "r1", "new", ro_settings), 0); /* the id is free again */
    assert_int_equal(server_try_attach(s, "new"), 0);
    close(fd);
}

static void
a_share_stays_until_its_last_reservation_goes(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s), other = peer_open(s);
    Postern__V1__ControlReply *all;

    assert_int_equal(peer_add(fd, "vm1", "new", rw_settings), 0);
    assert_int_equal(peer_add(other, "vm2", "new", rw_settings), 0);
    server_await_children(s, CHILDREN + 1);
    all = peer_list(fd, "new");
    assert_int_equal(all->n_shares, 1);
    assert_int_equal(all->shares[0]->n_reservations, 2);
    postern__v1__control_reply__free_unpacked(all, NULL);
    assert_int_equal(peer_remove(fd, "vm1", 0), 0);
    assert_int_equal(server_try_attach(s, "new"), 0);
    assert_int_equal(peer_remove(other, "vm2", 0), 0);
    assert_int_equal(server_try_attach(s, "new"), -ENOENT);
    close(fd);
    close(other);
}

static void
the_same_directory_is_shared_twice_with_different_access(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);
    struct nc *c;

    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(peer_add(fd, "r2", "new-ro", ro_settings), 0);
    c = server_attach(s, "new-ro");
    assert_int_equal(nc_mkdir(c, 0, "d", 0755, 0, NULL), -EROFS);
    nc_close(c);
    c = server_attach(s, "new");
    assert_int_equal(nc_mkdir(c, 0, "d", 0755, 0, NULL), 0);
    nc_close(c);
    close(fd);
}

static void
a_share_drains_before_it_goes(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);
    struct nc *c;

    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    c = server_attach(s, "new");
    assert_int_equal(peer_remove(fd, "r1", 60000), 0);
    assert_int_equal(peer_share_state(fd, "new"), POSTERN__V1__SHARE_STATE__SHARE_DRAINING);
    assert_int_equal(server_try_attach(s, "new"), -ENOENT);
    assert_int_equal(nc_mkdir(c, 0, "meanwhile", 0755, 0, NULL), 0);
    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), -EAGAIN);
    assert_int_equal(peer_remove(fd, "r1", 0), 0); /* no: now */
    assert_int_equal(nc_mkdir(c, 0, "too late", 0755, 0, NULL), -ESTALE);
    server_await_children(s, CHILDREN);
    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(peer_remove(fd, "r1", 1), 0);
    server_await_children(s, CHILDREN); /* by itself */
    nc_close(c);
    close(fd);
}

static void
what_the_policy_has_stays(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);

    assert_int_equal(peer_remove(fd, "rw", 0), -EPERM);
    assert_int_equal(peer_add(fd, "rw", "rw", rw_settings), -EEXIST);
    assert_int_equal(peer_remove(fd, "rw", 0), -EPERM);
    assert_int_equal(server_try_attach(s, "rw"), 0);
    close(fd);
}

static void
a_restarted_tenant_has_its_added_shares_again(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);

    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(peer_reserve(fd, "r2", "reserved", ro_settings), 0);
    assert_int_equal(kill(worker_of(s), SIGKILL), 0);
    server_await_log(s, "tenant t: starts again");
    server_await_children(s, CHILDREN + 1);
    peer_await_state(fd, "new", POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    assert_int_equal(server_try_attach(s, "new"), 0);
    assert_int_equal(peer_share_state(fd, "reserved"), POSTERN__V1__SHARE_STATE__SHARE_RESERVED);
    assert_int_equal(peer_add(fd, "r2", NULL, NULL), 0);
    assert_int_equal(peer_remove(fd, "r1", 0), 0);
    assert_int_equal(server_try_attach(s, "new"), -ENOENT);
    assert_int_equal(server_try_attach(s, "reserved"), 0);
    close(fd);
}

static void
processes_are_told_with_what_they_use(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);
    Postern__V1__ControlReply *all = peer_processes(fd);

    assert_int_equal(all->status, 0);
    assert_int_equal(all->n_processes, CHILDREN);
    for (size_t i = 0; i < all->n_processes; i++) {
        const Postern__V1__ProcessInfo *p = all->processes[i];
        char uid[64];
        unsigned long kib;

        (void)snprintf(uid, sizeof(uid), "Uid:\t%u\t", p->uid);
        assert_memory_equal(server_status(p->pid, "Uid:"), uid, strlen(uid));
        kib = strtoul(server_status(p->pid, "VmRSS:") + strlen("VmRSS:"), NULL, 10);
        assert_true(p->rss_bytes > kib * 1024 / 2 && p->rss_bytes < kib * 1024 * 2);
        assert_true(p->layers != 0);
        assert_true((strcmp(p->profile, "worker") == 0) == (p->share == NULL));
    }
    postern__v1__control_reply__free_unpacked(all, NULL);
    close(fd);
}

/* --- what goes wrong ------------------------------------------------------------------- */

static void
a_bad_share_is_refused_with_the_reason(void **state)
{
    static const struct {
        const char *settings;
        int status;
        const char *text;
    } bad[] = {
        {"path = \"@/absent\" access = read-only", -ENOENT, "does not exist"},
        {"path = \"@/ro/hello.txt\" access = read-only", -ENOTDIR, "is not a directory"},
        {"path = \"@/ro/link\" access = read-only", -ELOOP, "is a symbolic link"},
        {"path = \"/proc\" access = read-only", -EXDEV, "kernel's own file systems"},
        {"path = \"@/new\"", -EINVAL, "access"},
        {"path = \"@/new\" access = read-only }  share \"x\" {", -EINVAL, ""},
        {"path = \"@/new\" access = read-only nonsense = 1", -EINVAL, "nonsense"},
        {"", -EINVAL, "path"},
    };
    struct server *s = *state;
    int fd = peer_open(s);
    size_t fds = fds_now(s, fd);

    for (size_t i = 0; i < COUNT(bad); i++) {
        server_file(s, "settings", bad[i].settings);
        assert_int_equal(peer_add(fd, "r1", "new", server_text(s, "settings")), bad[i].status);
        assert_non_null(strstr(peer_text(), bad[i].text));
    }
    assert_as_before(s, fd, fds);
    close(fd);
}

static void
bad_names_are_refused(void **state)
{
    static const char *const names[] = {"",     ".",  "..",  "a/b",  "a,b", "a\"b",
                                        "a\nb", "-x", "a b", "\x80", "a;ro"};
    struct server *s = *state;
    char longest[300];
    int fd = peer_open(s);

    memset(longest, 'n', 256);
    longest[256] = '\0';
    for (size_t i = 0; i <= COUNT(names); i++) {
        const char *name = i < COUNT(names) ? names[i] : longest;

        assert_int_equal(peer_add(fd, "r1", name, rw_settings), -EINVAL);
        if (i > 0 && strchr(name, ',') == NULL && i != 1 && i != 2 && name[0] != '-')
            assert_int_equal(peer_add(fd, name, "new", rw_settings), -EINVAL);
    }
    assert_int_equal(peer_share_state(fd, "new"), -1);
    close(fd);
}

static void
a_directory_that_went_or_was_replaced_is_not_added(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);

    assert_int_equal(peer_reserve(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(rename(server_path(s, "new"), server_path(s, "old")), 0);
    assert_int_equal(peer_add(fd, "r1", NULL, NULL), -ENOENT);
    assert_int_equal(mkdir(server_path(s, "new"), 0755), 0);
    assert_int_equal(peer_add(fd, "r1", NULL, NULL), -ESTALE);
    server_await_children(s, CHILDREN);
    assert_int_equal(rmdir(server_path(s, "new")), 0);
    assert_int_equal(rename(server_path(s, "old"), server_path(s, "new")), 0);
    assert_int_equal(peer_add(fd, "r1", NULL, NULL), 0);
    close(fd);
}

static void
a_worker_that_does_not_answer_leaves_nothing_behind(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s), other = peer_open(s);
    size_t fds = fds_now(s, other);
    pid_t worker = worker_of(s);

    assert_int_equal(kill(worker, SIGSTOP), 0);
    peer_add_begin(fd, "r1", "new", rw_settings);
    assert_true(last_helper(s) > 0);
    /* the loop is not held up */
    assert_int_equal(peer_share_state(other, "rw"), POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    assert_int_equal(peer_status(fd), -ETIMEDOUT);
    server_await_children(s, CHILDREN);
    assert_int_equal(kill(worker, SIGCONT), 0);
    peer_await_state(fd, "new", -1);
    assert_as_before(s, fd, fds);
    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(kill(worker, 0), 0); /* the same one */
    close(fd);
    close(other);
}

static void
a_removal_does_not_wait_for_a_worker_that_does_not_answer(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);
    pid_t worker = worker_of(s);

    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(kill(worker, SIGSTOP), 0);
    assert_int_equal(peer_remove(fd, "r1", 0), 0);
    server_await_children(s, CHILDREN); /* the helper is dead, whatever the worker does */
    assert_int_equal(kill(worker, SIGCONT), 0);
    peer_await_state(fd, "new", -1);
    assert_int_equal(server_try_attach(s, "new"), -ENOENT);
    close(fd);
}

static void
a_helper_that_dies_while_it_is_added_is_told_to_the_client(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);
    size_t fds = fds_now(s, fd);
    pid_t worker = worker_of(s);

    assert_int_equal(kill(worker, SIGSTOP), 0);
    peer_add_begin(fd, "r1", "new", rw_settings);
    assert_int_equal(kill(last_helper(s), SIGKILL), 0);
    assert_int_equal(peer_status(fd), -EIO);
    assert_non_null(strstr(peer_text(), "its helper ended"));
    assert_int_equal(kill(worker, SIGCONT), 0);
    peer_await_state(fd, "new", -1);
    assert_as_before(s, fd, fds);
    close(fd);
}

static void
a_worker_that_dies_while_a_share_is_added_ends_the_wait(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);
    pid_t worker = worker_of(s);

    assert_int_equal(peer_reserve(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(kill(worker, SIGSTOP), 0);
    peer_add_begin(fd, "r1", NULL, NULL);
    assert_true(last_helper(s) > 0);
    assert_int_equal(kill(worker, SIGKILL), 0);
    assert_int_equal(peer_status(fd), -EAGAIN);
    server_await_log(s, "starts again");
    peer_await_state(fd, "rw", POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    assert_int_equal(peer_share_state(fd, "new"), POSTERN__V1__SHARE_STATE__SHARE_RESERVED);
    assert_int_equal(peer_add(fd, "r1", NULL, NULL), 0);
    close(fd);
}

static void
a_dead_helper_makes_its_share_failed_until_it_is_removed(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);
    struct nc_attr a;
    struct nc *c;

    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    c = server_attach(s, "new");
    assert_int_equal(kill(last_helper(s), SIGKILL), 0);
    peer_await_state(fd, "new", POSTERN__V1__SHARE_STATE__SHARE_FAILED);
    assert_int_equal(nc_getattr(c, 0, NINE_GETATTR_BASIC, &a), -EIO);
    assert_int_equal(peer_add(fd, "r1", NULL, NULL), -EIO);
    assert_int_equal(peer_remove(fd, "r1", 0), 0);
    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(server_try_attach(s, "new"), 0);
    nc_close(c);
    close(fd);
}

static void
no_fds_and_no_processes_are_reasons_that_are_told(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);
    size_t fds = fds_now(s, fd);
    struct rlimit was;

    assert_int_equal(prlimit(s->pid, RLIMIT_NOFILE, NULL, &was), 0);
    for (size_t room = 1; room < 8; room++) {
        struct rlimit few = {.rlim_cur = fds + room, .rlim_max = was.rlim_max};
        int r;

        assert_int_equal(prlimit(s->pid, RLIMIT_NOFILE, &few, NULL), 0);
        r = peer_add(fd, "r1", "new", rw_settings);
        assert_true(r == -EMFILE || r == 0);
        if (r == 0)
            break;
        assert_int_equal(prlimit(s->pid, RLIMIT_NOFILE, &was, NULL), 0);
        assert_as_before(s, fd, fds);
    }
    assert_int_equal(prlimit(s->pid, RLIMIT_NOFILE, &was, NULL), 0);
    close(fd);
}

static void
a_client_that_goes_away_leaves_what_it_asked_for(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s), other = peer_open(s);

    peer_add_begin(fd, "r1", "new", rw_settings);
    close(fd);
    peer_await_state(other, "new", POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    assert_int_equal(peer_add(other, "r1", "new", rw_settings), 0);
    assert_int_equal(peer_remove(other, "r1", 0), 0);
    close(other);
}

static void
two_clients_that_race_get_one_share(void **state)
{
    struct server *s = *state;
    int a = peer_open(s), b = peer_open(s), c = peer_open(s);

    for (int i = 0; i < 5; i++) {
        peer_add_begin(a, "r1", "new", rw_settings);
        peer_add_begin(b, "r1", "new", rw_settings);
        peer_add_begin(c, "r1", "new", ro_settings);
        assert_int_equal(peer_status(a), 0);
        assert_int_equal(peer_status(b), 0);
        assert_int_equal(peer_status(c), -EEXIST);
        server_await_children(s, CHILDREN + 1);
        assert_int_equal(peer_remove(a, "r1", 0), 0);
        assert_int_equal(peer_remove(b, "r1", 0), 0);
        server_await_children(s, CHILDREN);
    }
    close(a);
    close(b);
    close(c);
}

static void
a_tenant_has_so_many_shares_and_no_more(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s), n = 2;
    char name[16];

    for (; n < SHARES_PER_TENANT_MAX; n++) {
        (void)snprintf(name, sizeof(name), "s%d", n);
        assert_int_equal(peer_reserve(fd, name, name, ro_settings), 0);
    }
    assert_int_equal(peer_reserve(fd, "r1", "new", ro_settings), -ENOSPC);
    assert_int_equal(peer_remove(fd, "s2", 0), 0);
    assert_int_equal(peer_add(fd, "r1", "new", ro_settings), 0);
    close(fd);
}

/* --- a tenant that starts again without one of them --------------------------------------- */

/* The tenant came back at once, with what the policy has; "new" did not, and
 * why is told. */
static void
assert_only_new_failed(const struct server *s, int fd, const char *why)
{
    Postern__V1__ControlReply *all;

    peer_await_state(fd, "new", POSTERN__V1__SHARE_STATE__SHARE_FAILED);
    peer_await_state(fd, "rw", POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    all = peer_list(fd, "new");
    assert_non_null(all->shares[0]->message);
    assert_non_null(strstr(all->shares[0]->message, why));
    postern__v1__control_reply__free_unpacked(all, NULL);
    assert_int_equal(peer_share_state(fd, "ro"), POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    assert_int_equal(server_try_attach(s, "rw"), 0);
    assert_null(strstr(server_text(s, "err"), "starts again in 2 s"));
}

static void
a_directory_that_went_keeps_only_its_share_down(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);

    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(unlink(server_path(s, "new/hello.txt")), 0);
    assert_int_equal(rmdir(server_path(s, "new")), 0);
    assert_int_equal(kill(worker_of(s), SIGKILL), 0);
    assert_only_new_failed(s, fd, "does not exist");
    server_await_children(s, CHILDREN);
    assert_int_equal(server_try_attach(s, "new"), -ENOENT);
    assert_int_equal(peer_add(fd, "r1", NULL, NULL), -EIO);
    assert_int_equal(peer_remove(fd, "r1", 0), 0);
    assert_int_equal(peer_share_state(fd, "new"), -1);
    assert_int_equal(mkdir(server_path(s, "new"), 0755), 0);
    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(server_try_attach(s, "new"), 0);
    close(fd);
}

/* It is tried anew at each start, and another directory is never it. */
static void
a_directory_that_was_replaced_is_served_when_it_is_back(void **state)
{
    struct server *s = *state;
    int fd = peer_open(s);

    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(rename(server_path(s, "new"), server_path(s, "old")), 0);
    assert_int_equal(mkdir(server_path(s, "new"), 0755), 0);
    assert_int_equal(kill(worker_of(s), SIGKILL), 0);
    assert_only_new_failed(s, fd, "was replaced");
    assert_int_equal(rmdir(server_path(s, "new")), 0);
    assert_int_equal(rename(server_path(s, "old"), server_path(s, "new")), 0);
    assert_int_equal(kill(worker_of(s), SIGKILL), 0);
    peer_await_state(fd, "new", POSTERN__V1__SHARE_STATE__SHARE_ADDED);
    assert_int_equal(server_try_attach(s, "new"), 0);
    close(fd);
}

/* The helper that comes last when the tenant starts again, or -1 if it is not
 * there, or not the worker either that is to be. */
static pid_t
last_of_restart(const struct server *s, bool with_worker)
{
    struct server_child v[16];
    size_t helpers = 0, workers = 0;
    pid_t last = -1;

    for (size_t i = 0, n = server_children(s, v, COUNT(v)); i < n; i++) {
        helpers += v[i].helper;
        workers += v[i].worker;
        last = v[i].helper ? v[i].pid : last;
    }
    return helpers == CHILDREN && (workers == 1 || !with_worker) ? last : -1;
}

static void
assert_restart_goes_on(const struct server *s, bool with_worker)
{
    int fd = peer_open(s);
    pid_t before, last = -1;

    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    before = last_helper(s);
    assert_int_equal(kill(worker_of(s), SIGKILL), 0);
    server_await_gone(before);
    for (int i = 0; i < 20000 && last < 0; i++)
        last = last_of_restart(s, with_worker);
    assert_true(last > 0);
    /* so that it most likely did not hear yet how that one does */
    assert_int_equal(kill(s->pid, SIGSTOP), 0);
    assert_int_equal(kill(last, SIGKILL), 0);
    assert_int_equal(kill(s->pid, SIGCONT), 0);
    assert_only_new_failed(s, fd, "its helper");
    assert_int_equal(peer_remove(fd, "r1", 0), 0);
    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    assert_int_equal(server_try_attach(s, "new"), 0);
    close(fd);
}

static void
a_helper_that_dies_at_a_restart_keeps_only_its_share_down(void **state)
{
    assert_restart_goes_on(*state, false);
}

static void
a_helper_that_dies_while_the_worker_starts_keeps_only_its_share_down(void **state)
{
    assert_restart_goes_on(*state, true);
}

/* --- rootless ---------------------------------------------------------------------------- */

static void
an_ordinary_user_adds_shares_too(void **state)
{
    struct server *s = *state;
    unsigned user = geteuid() == 0 ? SERVER_USER : (unsigned)geteuid();
    int fd = geteuid() == 0 ? peer_open_as(s, user, user) : peer_open(s);
    struct nc *c;

    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    c = server_attach(s, "new");
    assert_int_equal(nc_mkdir(c, 0, "d", 0755, 0, NULL), 0);
    assert_int_equal(peer_remove(fd, "r1", 0), 0);
    assert_int_equal(nc_mkdir(c, 0, "e", 0755, 0, NULL), -ESTALE);
    nc_close(c);
    server_await_children(s, CHILDREN);
    close(fd);
}

static void
what_was_mounted_later_is_refused_with_the_reason(void **state)
{
    struct server *s = *state;
    int fd;

    if (server_needs_root())
        return;
    fd = peer_open_as(s, SERVER_USER, SERVER_USER);
    assert_int_equal(mount("tmpfs", server_path(s, "new"), "tmpfs", 0, "mode=0755,uid=12345"), 0);
    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), -EXDEV);
    assert_non_null(strstr(peer_text(), "mounted after posternd started"));
    assert_int_equal(umount(server_path(s, "new")), 0);
    assert_int_equal(peer_add(fd, "r1", "new", rw_settings), 0);
    close(fd);
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, server_teardown)
#define ROOTLESS(f) cmocka_unit_test_setup_teardown(f, setup_rootless, server_teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_share_is_added_used_and_taken_away),
        CASE(asking_again_changes_nothing),
        CASE(a_share_stays_until_its_last_reservation_goes),
        CASE(the_same_directory_is_shared_twice_with_different_access),
        CASE(a_share_drains_before_it_goes),
        CASE(what_the_policy_has_stays),
        CASE(a_restarted_tenant_has_its_added_shares_again),
        CASE(processes_are_told_with_what_they_use),
        CASE(a_bad_share_is_refused_with_the_reason),
        CASE(bad_names_are_refused),
        CASE(a_directory_that_went_or_was_replaced_is_not_added),
        CASE(a_worker_that_does_not_answer_leaves_nothing_behind),
        CASE(a_removal_does_not_wait_for_a_worker_that_does_not_answer),
        CASE(a_helper_that_dies_while_it_is_added_is_told_to_the_client),
        CASE(a_worker_that_dies_while_a_share_is_added_ends_the_wait),
        CASE(a_dead_helper_makes_its_share_failed_until_it_is_removed),
        CASE(no_fds_and_no_processes_are_reasons_that_are_told),
        CASE(a_client_that_goes_away_leaves_what_it_asked_for),
        CASE(two_clients_that_race_get_one_share),
        CASE(a_tenant_has_so_many_shares_and_no_more),
        CASE(a_directory_that_went_keeps_only_its_share_down),
        CASE(a_directory_that_was_replaced_is_served_when_it_is_back),
        CASE(a_helper_that_dies_at_a_restart_keeps_only_its_share_down),
        CASE(a_helper_that_dies_while_the_worker_starts_keeps_only_its_share_down),
        ROOTLESS(an_ordinary_user_adds_shares_too),
        ROOTLESS(what_was_mounted_later_is_refused_with_the_reason),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
