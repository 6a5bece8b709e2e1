/*
 * The system calls of a worker, each with its reason. A call is added here
 * together with the code that makes it, and taken away with it.
 *
 * Runs in: worker (and where the table is printed).   Trusts: nothing.
 * Owns: nothing.
 *
 * There is no call that makes an fd but accept4 on a listener it was given,
 * none that takes a path, and none that passes an fd on. One takes fds in: of
 * the broker alone, with a share that comes while guests are there.
 */
#include "worker/sandbox.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc/limits.h"

static const struct rule rules[] = {
    {SCMP_SYS(epoll_pwait), ALWAYS, "loop.c: wait for events", ANY_FD, 0, {}},
    {SCMP_SYS(clock_gettime),
     ALWAYS,
     "loop.c: when to try a lock again, whose turn it is; a call only where the vDSO cannot tell",
     ANY_FD,
     0,
     {}},
    {SCMP_SYS(epoll_ctl),
     ALWAYS,
     "loop.c: a new connection's events; loop_share.c: a share's",
     ANY_FD,
     0,
     {}},
    {SCMP_SYS(accept4),
     ALWAYS,
     "loop.c: a new connection; without its address",
     ANY_FD,
     2,
     {LONG_IS(1, 0), ARG_IS(3, SOCK_NONBLOCK | SOCK_CLOEXEC)}},
    {SCMP_SYS(setsockopt),
     ALWAYS,
     "loop.c: a larger send buffer",
     ANY_FD,
     2,
     {ARG_IS(1, SOL_SOCKET), ARG_IS(2, SO_SNDBUF)}},
    {SCMP_SYS(recvfrom), ALWAYS, "conn.c: requests; without fds", ANY_FD, 1, {LONG_IS(4, 0)}},
    {SCMP_SYS(recvmsg),
     ALWAYS,
     "to_child_recv_fds: the broker's messages, with the fds of a new share",
     BOOT_FDS,
     1,
     {ARG_IS(2, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)}},
    {SCMP_SYS(dup3),
     ALWAYS,
     "loop_share.c: a share's eventfd to the number kept for it, and fd 0 there afterwards",
     ANY_FD,
     2,
     {ARG_MASKED(1, HELPER_FD_MASK, HELPER_FD_BASE), ARG_IS(2, O_CLOEXEC)}},
    {SCMP_SYS(fcntl), ALWAYS, "channel_open: seals", ANY_FD, 1, {ARG_IS(1, F_GET_SEALS)}},
    {SCMP_SYS(lseek),
     ALWAYS,
     "channel_open: size",
     ANY_FD,
     2,
     {LONG_IS(1, 0), ARG_IS(2, SEEK_END)}},
    {SCMP_SYS(writev),
     ALWAYS,
     "conn.c: replies, from private memory and from the slab",
     ANY_FD,
     0,
     {}},
    {SCMP_SYS(close), ALWAYS, "conn.c: the end of a connection", ANY_FD, 0, {}},
    {SCMP_SYS(write),
     ALWAYS,
     "channel_notify: wake a helper; only numbers that are kept for that",
     ANY_FD,
     1,
     {ARG_MASKED(0, HELPER_FD_MASK, HELPER_FD_BASE)}},
    {SCMP_SYS(sendto),
     ALWAYS,
     "log lines to the broker; that a share is served, or over",
     BOOT_FDS,
     2,
     {ARG_IS(3, MSG_NOSIGNAL | MSG_DONTWAIT), LONG_IS(4, 0)}},
    {SCMP_SYS(mmap),
     ALWAYS,
     "malloc: a new connection's buffers; never executable, never a file",
     ANY_FD,
     2,
     {LONG_ONLY(2, PROT_READ | PROT_WRITE), ARG_IS(3, MAP_PRIVATE | MAP_ANONYMOUS)}},
    {SCMP_SYS(mmap),
     ALWAYS,
     "channel_open: where a new share's channel will be",
     ANY_FD,
     2,
     {LONG_IS(2, PROT_NONE), ARG_IS(3, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)}},
    {SCMP_SYS(mmap),
     ALWAYS,
     "channel_open: its memory, over that; never executable",
     ANY_FD,
     2,
     {LONG_ONLY(2, PROT_READ | PROT_WRITE), ARG_IS(3, MAP_SHARED | MAP_FIXED)}},
    {SCMP_SYS(munmap), ALWAYS, "free, channel_close", ANY_FD, 0, {}},
    {SCMP_SYS(brk), ALWAYS, "malloc", ANY_FD, 0, {}},
    {SCMP_SYS(exit_group), ALWAYS, "the end, also of a violation", ANY_FD, 0, {}},
};

_Static_assert(CHILD_FDS_MAX + 16 < HELPER_FD_BASE, "the fds of a Boot message lie below");

void
worker_profile(struct sandbox_profile *p)
{
    *p = (struct sandbox_profile){
        .name = "worker",
        .rules = rules,
        .nrules = sizeof(rules) / sizeof(rules[0]),
        .mount_fd = -1,
        .read_only = true,
        .file_size = 0,
    };
}
