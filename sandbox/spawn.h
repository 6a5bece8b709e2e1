/*
 * How the broker makes a child: namespaces, one fd, exec of a fixed binary.
 */
#ifndef POSTERN_SANDBOX_SPAWN_H
#define POSTERN_SANDBOX_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * Numbers of fds that nothing else gets: what a child needs until its exec
 * stands there, and the kernel copies no fd beyond them for it. A broker keeps
 * them before it opens the thousands that its children are not to have. The
 * numbers are owned. 0 or -errno; done is idempotent.
 */
#define SPAWN_ROOM 4
struct spawn_room {
    int at[SPAWN_ROOM];
};
int spawn_room_init(struct spawn_room *room);
void spawn_room_done(struct spawn_room *room);

struct spawn {
    const struct spawn_room *room; /* borrowed; NULL: for this call whatever is free */
    int exe_fd;                    /* O_PATH or O_RDONLY of the binary */
    const char *name;              /* argv[0]: "postern-worker"; never a value */
    int boot_fd;                   /* becomes fd 3 of the child; stays open here */
    bool into_cgroup;              /* start it in the group cgroup_fd (cgroup.h) */
    int cgroup_fd;
    bool own_userns; /* give it a user namespace: one that maps the caller's id, or ... */
    uint32_t ids_first, ids_count; /* ... if count is not 0 this range to [0, count): root alone */
};

/*
 * clone3(2) into new mount, pid, net, ipc, uts and cgroup namespaces, then
 * execveat(2) with an empty environment; fds 0, 1, 2 are /dev/null for stdin
 * and stdout and the caller's stderr until the sandbox replaces them; nothing
 * else is inherited but fd 3. Dies with the calling thread (PR_SET_PDEATHSIG).
 * 0 with *ret_pid and *ret_pidfd (owned by the caller, CLOEXEC), or -errno.
 */
int spawn_child(const struct spawn *s, pid_t *ret_pid, int *ret_pidfd);

/*
 * Rootless broker: enter a user and mount namespace where mounts may be made.
 * ns is one of subids_userns(), where the user's groups are dropped too; -1: a
 * new one that maps only the own uid and gid, to themselves. Before any thread.
 * 0 or -errno of unshare(2), setns(2), setgroups(2) or of writing the maps.
 */
int spawn_enter_userns(int ns);

#endif
