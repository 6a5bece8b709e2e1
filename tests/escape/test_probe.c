/*
 * What a compromised worker or helper can do: every row is one attack by raw
 * system calls inside a complete sandbox, for each profile, as root's child
 * and as an ordinary user's. Rows are called as in the list of cases (C1 ...).
 *
 * Not here: C18 for a worker (it opens nothing); C20, C24 and C44 without
 * seccomp, and C45, are in test_layers; C41 in test_status; the helper of
 * identity = map in test_ids and test_every_call. A helper has one share, so
 * that C36 does not apply; C39 and C40 are of cgroups, in guests.
 *
 * Runs in: tests/escape.   Trusts: nobody.   Owns: nothing.
 */
#include "tests/escape/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "worker/sandbox.h"

/* Newer than Debian 12's headers. */
#define NR_setxattrat 463
#define NR_file_setattr 469
#define NR_open_tree_attr 467
#define X32 0x40000000

/* Stand for what only the process inside knows. */
#define A_ROOT 0x5eed0001L
#define A_FILE 0x5eed0002L
#define A_WAKE 0x5eed0003L

#define D DIES
#define P(x) ((long)(uintptr_t)(x))
#define RD (O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
#define WALK (O_PATH | O_NOFOLLOW | O_CLOEXEC)
#define HEAR (MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
#define RANGE_END (HELPER_FD_BASE + HELPER_FDS)
#define AT_PLACE (MAP_SHARED | MAP_FIXED)

_Alignas(4096) static char buf[4096];
static const struct sockaddr_un addr_un = {.sun_family = AF_UNIX, .sun_path = "sock"};
static struct iovec iov = {buf, 1};
static struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
static const uint64_t how_write[3] = {O_WRONLY | O_CREAT | O_CLOEXEC, 0644, 0};
static struct mount_attr attr_rw = {.attr_clr = MOUNT_ATTR_RDONLY};
static struct __user_cap_header_struct cap_head = {.version = _LINUX_CAPABILITY_VERSION_3};
static const struct __user_cap_data_struct cap_all[2] = {{~0u, ~0u, ~0u}, {~0u, ~0u, ~0u}};
static const struct flock range = {.l_type = F_RDLCK}, range_w = {.l_type = F_WRLCK};
static struct flock range_q = {.l_type = F_WRLCK};
static const struct timespec times[2] = {{1, 0}, {1, 0}};

/* One system call. What it leads to in: worker, read-only and writable helper. */
static const struct call {
    const char *name;
    long nr;
    long arg[6];
    int want[JAIL_KINDS];
} calls[] = {
    {"C1 open /etc/passwd", SYS_openat, {AT_FDCWD, P("/etc/passwd"), RD}, {D, ENOENT, ENOENT}},
    {"C1 open /proc/1/root", SYS_openat, {AT_FDCWD, P("/proc/1/root"), RD}, {D, ENOENT, ENOENT}},
    {"C1 open /dev/null", SYS_openat, {AT_FDCWD, P("/dev/null"), RD}, {D, ENOENT, ENOENT}},
    {"C2 open ../../etc", SYS_openat, {A_ROOT, P("../../../etc/passwd"), RD}, {D, ENOENT, ENOENT}},
    {"C2 walk ../secret", SYS_openat, {A_ROOT, P("../secret"), WALK}, {D, ENOENT, ENOENT}},
    {"C3 list ..", SYS_openat, {A_ROOT, P(".."), RD | O_DIRECTORY}, {D, EACCES, EACCES}},
    {"C3 list /", SYS_openat, {AT_FDCWD, P("/"), RD | O_DIRECTORY}, {D, EACCES, EACCES}},
    {"C4 link to a file", SYS_openat, {A_ROOT, P("link-file"), RD}, {D, ELOOP, ELOOP}},
    {"C4 below a link", SYS_openat, {A_ROOT, P("link-dir/passwd"), RD}, {D, ELOOP, ELOOP}},
    {"C5 ../environ", SYS_openat, {AT_FDCWD, P("../environ"), RD}, {D, ENOENT, ENOENT}},
    {"C5 ../root", SYS_openat, {AT_FDCWD, P("../root/etc/passwd"), RD}, {D, ENOENT, ENOENT}},
    {"C5 ../mem", SYS_openat, {AT_FDCWD, P("../mem"), RD}, {D, ENOENT, ENOENT}},
    {"C6 reopen the boot socket", SYS_openat, {AT_FDCWD, P("3"), RD}, {D, ENXIO, ENXIO}},
    {"C6 ... to write", SYS_openat, {AT_FDCWD, P("3"), RD | O_RDWR}, {D, D, ENXIO}},
    {"C7 socket unix", SYS_socket, {AF_UNIX, SOCK_STREAM}, {D, D, D}},
    {"C7 socket inet", SYS_socket, {AF_INET, SOCK_STREAM}, {D, D, D}},
    {"C7 socket vsock", SYS_socket, {AF_VSOCK, SOCK_STREAM}, {D, D, D}},
    {"C7 socket netlink", SYS_socket, {AF_NETLINK, SOCK_RAW}, {D, D, D}},
    {"C7 socketpair", SYS_socketpair, {AF_UNIX, SOCK_STREAM, 0, P(buf)}, {D, D, D}},
    {"C7 connect", SYS_connect, {BOOT_FD, P(&addr_un), sizeof(addr_un)}, {D, D, D}},
    {"C7 bind", SYS_bind, {BOOT_FD, P(&addr_un), sizeof(addr_un)}, {D, D, D}},
    {"C7 listen", SYS_listen, {BOOT_FD, 1}, {D, D, D}},
    {"C8 execve", SYS_execve, {P("/proc/self/exe"), 0, 0}, {D, D, D}},
    {"C8 execveat", SYS_execveat, {A_ROOT, P("prog"), 0, 0, 0}, {D, D, D}},
    {"C9 fork", SYS_fork, {0}, {D, D, D}},
    {"C9 vfork", SYS_vfork, {0}, {D, D, D}},
    {"C9 clone", SYS_clone, {SIGCHLD}, {D, D, D}},
    {"C9 clone3", SYS_clone3, {P(buf), 64}, {D, D, D}},
    {"C10 ptrace", SYS_ptrace, {PTRACE_ATTACH, 1}, {D, D, D}},
    {"C10 read memory", SYS_process_vm_readv, {1, P(&iov), 1, P(&iov), 1}, {D, D, D}},
    {"C10 write memory", SYS_process_vm_writev, {1, P(&iov), 1, P(&iov), 1}, {D, D, D}},
    {"C10 pidfd_open", SYS_pidfd_open, {1, 0}, {D, D, D}},
    {"C10 pidfd_getfd", SYS_pidfd_getfd, {3, 0, 0}, {D, D, D}},
    {"C10 kcmp", SYS_kcmp, {1, 1, 0, 0, 0}, {D, D, D}},
    {"C11 kill", SYS_kill, {1, 0}, {D, D, D}},
    {"C11 kill all", SYS_kill, {-1, SIGKILL}, {D, D, D}},
    {"C11 tgkill", SYS_tgkill, {1, 1, 0}, {D, D, D}},
    {"C11 pidfd_send_signal", SYS_pidfd_send_signal, {3, 0, 0, 0}, {D, D, D}},
    {"C12 open to write", SYS_openat, {A_ROOT, P("victim"), RD | O_WRONLY}, {D, D, 0}},
    {"C12 open to append", SYS_openat, {A_ROOT, P("victim"), RD | O_APPEND}, {D, D, 0}},
    {"C12 open and truncate", SYS_openat, {A_ROOT, P("victim"), RD | O_TRUNC}, {D, D, 0}},
    {"C12 create", SYS_openat, {A_ROOT, P("c12"), RD | O_CREAT | O_EXCL, 0644}, {D, D, 0}},
    {"C12 tmpfile", SYS_openat, {A_ROOT, P("."), RD | O_WRONLY | O_TMPFILE, 0644}, {D, D, D}},
    {"C12 open without CLOEXEC", SYS_openat, {A_ROOT, P("file"), O_RDONLY}, {D, D, D}},
    {"C13 openat2", SYS_openat2, {A_ROOT, P("c13"), P(how_write), 24}, {D, D, D}},
    {"C13 open", SYS_open, {P("/s/victim"), O_RDONLY}, {D, D, D}},
    {"C13 creat", SYS_creat, {P("/s/c13"), 0644}, {D, D, D}},
    {"C13 truncate", SYS_truncate, {P("/s/victim"), 0}, {D, D, D}},
    {"C13 unlink", SYS_unlink, {P("/s/victim")}, {D, D, D}},
    {"C14 mkdirat", SYS_mkdirat, {A_ROOT, P("c14"), 0755}, {D, D, 0}},
    {"C14 unlinkat", SYS_unlinkat, {A_ROOT, P("c12"), 0}, {D, D, 0}},
    {"C14 rmdir", SYS_unlinkat, {A_ROOT, P("empty"), AT_REMOVEDIR}, {D, D, 0}},
    {"C14 symlinkat", SYS_symlinkat, {P("x"), A_ROOT, P("c14-l")}, {D, D, 0}},
    {"C14 linkat",
     SYS_linkat,
     {A_ROOT, P("file"), A_ROOT, P("c14-m"), AT_SYMLINK_FOLLOW},
     {D, D, 0}},
    {"C14 renameat2", SYS_renameat2, {A_ROOT, P("c14-l"), A_ROOT, P("c14-n"), 0}, {D, D, 0}},
    {"C14 mknodat fifo", SYS_mknodat, {A_ROOT, P("c14-f"), S_IFIFO | 0644}, {D, D, 0}},
    {"C14 chmod", SYS_chmod, {P("/s/victim"), 0600}, {D, D, D}},
    {"C14 fchmod", SYS_fchmod, {A_FILE, 0600}, {D, D, D}},
    {"C14 fchmodat", SYS_fchmodat, {A_ROOT, P("victim"), 0600}, {D, D, 0}},
    {"C14 fchownat", SYS_fchownat, {A_ROOT, P("victim"), 1, 1, 0}, {D, D, D}},
    {"C14 fchownat, to another", SYS_fchownat, {A_FILE, P(""), 1, 1, AT_EMPTY_PATH}, {D, D, D}},
    {"C14 fchownat, to another group",
     SYS_fchownat,
     {A_FILE, P(""), -1, 1, AT_EMPTY_PATH},
     {D, D, D}},
    {"C14 fchownat, to nobody else",
     SYS_fchownat,
     {A_FILE, P(""), -1, -1, AT_EMPTY_PATH},
     {D, D, 0}},
    {"C14 utimensat", SYS_utimensat, {A_FILE, P(""), P(times), AT_EMPTY_PATH}, {D, D, 0}},
    {"C14 utimensat, by name", SYS_utimensat, {A_ROOT, P("file"), P(times), 0}, {D, D, D}},
    {"C14 setxattr", SYS_setxattr, {P("/s/victim"), P("user.x"), P(buf), 1}, {D, D, 0}},
    {"C14 setxattr, odd flags",
     SYS_setxattr,
     {P("/s/victim"), P("user.x"), P(buf), 1, 4},
     {D, D, D}},
    {"C14 setxattr security",
     SYS_setxattr,
     {P("/s/victim"), P("security.capability"), P(buf), 20},
     {D, D, EINVAL}},
    {"C14 setxattr trusted",
     SYS_setxattr,
     {P("/s/victim"), P("trusted.x"), P(buf), 1},
     {D, D, EPERM}},
    {"C14 setxattr elsewhere",
     SYS_setxattr,
     {P("/etc/passwd"), P("user.x"), P(buf), 1},
     {D, D, ENOENT}},
    {"C14 setxattr of the root", SYS_setxattr, {P("/"), P("user.x"), P(buf), 1}, {D, D, EROFS}},
    {"C14 lsetxattr", SYS_lsetxattr, {P("/s/victim"), P("user.x"), P(buf), 1}, {D, D, D}},
    {"C14 fsetxattr", SYS_fsetxattr, {A_FILE, P("user.x"), P(buf), 1, 0}, {D, D, D}},
    {"C14 removexattr", SYS_removexattr, {P("/s/victim"), P("user.none")}, {D, D, ENODATA}},
    {"C14 lremovexattr", SYS_lremovexattr, {P("/s/victim"), P("user.x")}, {D, D, D}},
    {"C14 fgetxattr", SYS_fgetxattr, {A_FILE, P("user.x"), P(buf), 1}, {D, D, D}},
    {"C14 flistxattr", SYS_flistxattr, {A_FILE, P(buf), 1}, {D, D, D}},
    {"C14 setxattrat", NR_setxattrat, {A_ROOT, P("victim"), 0, P("user.x"), P(buf), 16}, {D, D, D}},
    {"C14 file_setattr", NR_file_setattr, {A_ROOT, P("victim"), P(buf), 24, 0}, {D, D, D}},
    {"C14 set flags", SYS_ioctl, {A_FILE, 0x40086602, P(buf)}, {D, D, D}},
    {"C14 fallocate", SYS_fallocate, {A_FILE, 0, 0, 1}, {D, D, D}},
    {"C14 copy_file_range", SYS_copy_file_range, {A_FILE, 0, A_FILE, 0, 1, 0}, {D, D, D}},
    {"C15 chmod set-uid", SYS_fchmodat, {A_ROOT, P("victim"), 04755}, {D, D, D}},
    {"C15 create set-uid", SYS_openat, {A_ROOT, P("c15"), RD | O_CREAT, 04755}, {D, D, D}},
    {"C15 mkdir set-gid", SYS_mkdirat, {A_ROOT, P("c15"), 02755}, {D, D, D}},
    {"C16 mknod block", SYS_mknodat, {A_ROOT, P("c16"), S_IFBLK | 0644, 0x800}, {D, D, D}},
    {"C16 mknod char", SYS_mknodat, {A_ROOT, P("c16"), S_IFCHR | 0644, 0x103}, {D, D, D}},
    {"C16 whiteout node", SYS_mknodat, {A_ROOT, P("c16"), S_IFCHR, 0}, {D, D, D}},
    {"C17 FIFO to write", SYS_openat, {A_ROOT, P("fifo"), RD | O_WRONLY}, {D, D, ENXIO}},
    {"C19 remount", SYS_mount, {0, P("/s"), 0, MS_REMOUNT | MS_BIND, 0}, {D, D, D}},
    {"C19 mount tmpfs", SYS_mount, {P("x"), P("/s"), P("tmpfs"), 0, 0}, {D, D, D}},
    {"C19 mount_setattr",
     SYS_mount_setattr,
     {A_ROOT, P(""), AT_EMPTY_PATH, P(&attr_rw), 32},
     {D, D, D}},
    {"C19 umount2", SYS_umount2, {P("/s"), MNT_DETACH}, {D, D, D}},
    {"C19 open_tree", SYS_open_tree, {A_ROOT, P(""), AT_EMPTY_PATH | OPEN_TREE_CLONE}, {D, D, D}},
    {"C19 open_tree_attr",
     NR_open_tree_attr,
     {A_ROOT, P(""), AT_EMPTY_PATH, P(&attr_rw), 32},
     {D, D, D}},
    {"C19 fsopen", SYS_fsopen, {P("tmpfs"), 0}, {D, D, D}},
    {"C19 fsmount", SYS_fsmount, {3, 0, 0}, {D, D, D}},
    {"C19 move_mount", SYS_move_mount, {A_ROOT, P(""), A_ROOT, P("dir"), 4}, {D, D, D}},
    {"C19 pivot_root", SYS_pivot_root, {P("."), P(".")}, {D, D, D}},
    {"C19 chroot", SYS_chroot, {P("/s")}, {D, D, D}},
    {"C19 chdir", SYS_chdir, {P("/s")}, {D, D, D}},
    {"C19 fchdir", SYS_fchdir, {A_ROOT}, {D, D, D}},
    {"C20 unshare user and mounts", SYS_unshare, {CLONE_NEWUSER | CLONE_NEWNS}, {D, D, D}},
    {"C21 unshare user", SYS_unshare, {CLONE_NEWUSER}, {D, D, D}},
    {"C21 setns", SYS_setns, {3, 0}, {D, D, D}},
    {"C22 io_uring_setup", SYS_io_uring_setup, {1, P(buf)}, {D, D, D}},
    {"C22 io_uring_enter", SYS_io_uring_enter, {3, 1, 0, 0, 0, 0}, {D, D, D}},
    {"C22 bpf", SYS_bpf, {BPF_MAP_CREATE, P(buf), 48}, {D, D, D}},
    {"C22 perf_event_open", SYS_perf_event_open, {P(buf), 0, -1, -1, 0}, {D, D, D}},
    {"C22 userfaultfd", SYS_userfaultfd, {1}, {D, D, D}},
    {"C22 add_key",
     SYS_add_key,
     {P("user"), P("x"), P(buf), 1, KEY_SPEC_PROCESS_KEYRING},
     {D, D, D}},
    {"C22 keyctl", SYS_keyctl, {KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1}, {D, D, D}},
    {"C22 shmget", SYS_shmget, {IPC_PRIVATE, 4096, IPC_CREAT}, {D, D, D}},
    {"C22 mq_open", SYS_mq_open, {P("x"), O_CREAT | O_RDWR, 0600, 0}, {D, D, D}},
    {"C22 memfd_create", SYS_memfd_create, {P("x"), 0}, {D, D, D}},
    {"C23 name_to_handle_at",
     SYS_name_to_handle_at,
     {A_ROOT, P("file"), P(buf), P(buf), 0},
     {D, D, D}},
    {"C23 open_by_handle_at", SYS_open_by_handle_at, {A_ROOT, P(buf), O_RDONLY}, {D, D, D}},
    {"C24 mmap RWX", SYS_mmap, {0, 4096, 7, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}, {D, D, D}},
    {"C24 mmap a file RX", SYS_mmap, {0, 4096, 5, MAP_PRIVATE, A_FILE, 0}, {D, D, D}},
    {"C24 mprotect X", SYS_mprotect, {P(buf), 0, 5}, {D, D, D}},
    {"C24 pkey_mprotect", SYS_pkey_mprotect, {P(buf), 0, 5, -1}, {D, D, D}},
    {"C25 setresuid 0", SYS_setresuid, {0, 0, 0}, {D, D, D}},
    {"C25 setresuid other", SYS_setresuid, {12345, 12345, 12345}, {D, D, D}},
    {"C25 setgroups", SYS_setgroups, {0, 0}, {D, D, D}},
    {"C25 setfsuid", SYS_setfsuid, {0}, {D, D, D}},
    {"C25 capset", SYS_capset, {P(&cap_head), P(cap_all)}, {D, D, D}},
    {"C25 dumpable", SYS_prctl, {PR_SET_DUMPABLE, 1, 0, 0, 0}, {D, D, D}},
    {"C28 TIOCSTI", SYS_ioctl, {0, TIOCSTI, P(buf)}, {D, D, D}},
    {"C28 TIOCLINUX", SYS_ioctl, {0, TIOCLINUX, P(buf)}, {D, D, D}},
    {"C29 x32 getpid", X32 | SYS_getpid, {0}, {D, D, D}},
    {"C29 unknown number", 4000, {0}, {D, D, D}},
    {"C30 sendmsg", SYS_sendmsg, {BOOT_FD, P(&msg), MSG_NOSIGNAL}, {D, D, D}},
    {"C30 recvmsg", SYS_recvmsg, {BOOT_FD, P(&msg), MSG_DONTWAIT}, {D, D, D}},
    {"C30 recvmsg, keeping fds", SYS_recvmsg, {BOOT_FD, P(&msg), HEAR & ~MSG_DONTWAIT}, {D, D, D}},
    {"C30 recvmsg of another socket", SYS_recvmsg, {A_WAKE, P(&msg), HEAR}, {D, D, D}},
    {"C30 sendmmsg", SYS_sendmmsg, {BOOT_FD, P(buf), 1, 0}, {D, D, D}},
    {"C31 sendto an address",
     SYS_sendto,
     {BOOT_FD, P(buf), 1, MSG_NOSIGNAL, P(&addr_un), sizeof(addr_un)},
     {D, D, D}},
    {"C31 write fd 3", SYS_write, {BOOT_FD, P(buf), 1}, {D, D, D}},
    {"C31 read fd 3", SYS_read, {BOOT_FD, P(buf), 1}, {D, D, D}},
    {"C31 read a file", SYS_read, {A_FILE, P(buf), 1}, {D, D, D}},
    {"C31 write a file", SYS_write, {A_FILE, P(buf), 1}, {D, D, D}},
    {"C31 splice", SYS_splice, {BOOT_FD, 0, A_WAKE, 0, 1, 0}, {D, D, D}},
    {"C31 dup", SYS_dup, {BOOT_FD}, {D, D, D}},
    {"C31 dup2", SYS_dup2, {A_WAKE, HELPER_FD_BASE}, {D, D, D}},
    {"C31 dup3 over fd 3", SYS_dup3, {A_WAKE, BOOT_FD, O_CLOEXEC}, {D, D, D}},
    {"C31 dup3 below the range", SYS_dup3, {A_WAKE, HELPER_FD_BASE - 1, O_CLOEXEC}, {D, D, D}},
    {"C31 dup3 behind the range", SYS_dup3, {A_WAKE, RANGE_END, O_CLOEXEC}, {D, D, D}},
    {"C31 dup3 kept at exec", SYS_dup3, {A_WAKE, HELPER_FD_BASE, 0}, {D, D, D}},
    {"C31 write below the range", SYS_write, {HELPER_FD_BASE - 1, P(buf), 1}, {D, D, D}},
    {"C31 write behind the range", SYS_write, {RANGE_END, P(buf), 1}, {D, D, D}},
    {"fcntl add seals", SYS_fcntl, {A_WAKE, F_ADD_SEALS, F_SEAL_WRITE}, {D, D, D}},
    {"lseek to a place", SYS_lseek, {A_WAKE, 1, SEEK_END}, {D, 0, 0}},
    {"lseek back", SYS_lseek, {A_WAKE, 0, SEEK_SET}, {D, 0, 0}},
    {"map a file anywhere", SYS_mmap, {0, 4096, 3, MAP_SHARED, A_WAKE, 0}, {D, D, D}},
    {"map a file to execute", SYS_mmap, {P(buf), 4096, 5, AT_PLACE, A_WAKE, 0}, {D, D, D}},
    {"fcntl dup", SYS_fcntl, {A_FILE, F_DUPFD, 0}, {D, D, D}},
    {"fcntl get flags", SYS_fcntl, {A_FILE, F_GETFL, 0}, {D, D, D}},
    {"fcntl set flags", SYS_fcntl, {A_FILE, F_SETFL, O_ASYNC}, {D, D, D}},
    {"fcntl keep at exec", SYS_fcntl, {A_FILE, F_SETFD, 0}, {D, D, D}},
    {"fcntl lock, POSIX", SYS_fcntl, {A_FILE, F_SETLK, P(&range)}, {D, D, D}},
    {"fcntl lock, waiting", SYS_fcntl, {A_FILE, F_OFD_SETLKW, P(&range)}, {D, D, D}},
    {"fcntl lease", SYS_fcntl, {A_FILE, F_SETLEASE, F_RDLCK}, {D, D, D}},
    {"fcntl signals", SYS_fcntl, {A_FILE, F_SETOWN, 1}, {D, D, D}},
    {"fcntl notify", SYS_fcntl, {A_ROOT, F_NOTIFY, 1}, {D, D, D}},
    {"fcntl pipe size", SYS_fcntl, {A_WAKE, F_SETPIPE_SZ, 1 << 20}, {D, D, D}},
    {"flock", SYS_flock, {A_FILE, 1}, {D, D, D}},
    {"C34 list own fds", SYS_openat, {AT_FDCWD, P("."), RD | O_DIRECTORY}, {D, EACCES, EACCES}},
    {"C35 rename whiteout", SYS_renameat2, {A_ROOT, P("file"), A_ROOT, P("x"), 4}, {D, D, D}},
    {"C35 link an fd", SYS_linkat, {A_FILE, P(""), A_ROOT, P("x"), AT_EMPTY_PATH}, {D, D, D}},
    {"C35 unlink, odd flags", SYS_unlinkat, {A_ROOT, P("file"), 1}, {D, D, D}},
    {"C37 landlock", SYS_landlock_create_ruleset, {P(buf), 8, 0}, {D, D, D}},
    {"C37 seccomp", SYS_seccomp, {1, 0, P(buf)}, {D, D, D}},
    {"C37 prctl seccomp", SYS_prctl, {PR_SET_SECCOMP, 2, P(buf)}, {D, D, D}},
    {"C42 stat", SYS_stat, {P("/"), P(buf)}, {D, D, D}},
    {"C42 access", SYS_access, {P("/"), 0}, {D, D, D}},
    {"C42 statx", SYS_statx, {0, P(""), AT_EMPTY_PATH, 0, P(buf)}, {D, 0, 0}},
    {"C42 getcwd", SYS_getcwd, {P(buf), sizeof(buf)}, {D, D, D}},
    {"timers", SYS_timer_create, {CLOCK_MONOTONIC, 0, P(buf)}, {D, D, D}},
    {"inotify", SYS_inotify_init1, {0}, {D, D, D}},
    {"fanotify", SYS_fanotify_init, {0, 0}, {D, D, D}},
    {"uname", SYS_uname, {P(buf)}, {D, D, D}},
    {"prlimit", SYS_prlimit64, {0, 7, 0, P(buf)}, {D, D, D}},
    /* what must work, or all of the above proves nothing */
    {"work: walk", SYS_openat, {A_ROOT, P("dir"), WALK, 0}, {D, 0, 0}},
    {"work: statx",
     SYS_statx,
     {A_ROOT, P(""), AT_EMPTY_PATH, STATX_BASIC_STATS, P(buf)},
     {D, 0, 0}},
    {"work: read", SYS_pread64, {A_FILE, P(buf), 8, 0}, {D, 0, 0}},
    {"work: list", SYS_openat, {A_ROOT, P("dir"), RD | O_DIRECTORY, 0}, {D, 0, 0}},
    {"work: readlink", SYS_readlinkat, {A_ROOT, P("link-file"), P(buf), 100}, {D, 0, 0}},
    {"work: statfs", SYS_fstatfs, {A_ROOT, P(buf)}, {D, 0, 0}},
    {"work: getxattr",
     SYS_getxattr,
     {P("/s/file"), P("user.none"), P(buf), 9},
     {D, ENODATA, ENODATA}},
    {"work: listxattr", SYS_listxattr, {P("/s/file"), P(buf), sizeof(buf)}, {D, 0, 0}},
    {"work: lock", SYS_fcntl, {A_FILE, F_OFD_SETLK, P(&range)}, {D, 0, 0}},
    {"work: lock to write", SYS_fcntl, {A_FILE, F_OFD_SETLK, P(&range_w)}, {D, EBADF, EBADF}},
    {"work: getlock", SYS_fcntl, {A_FILE, F_OFD_GETLK, P(&range_q)}, {D, 0, 0}},
    {"work: wake the peer", SYS_write, {A_WAKE, P(&how_write), 8}, {0, 0, 0}},
    {"work: hear the broker", SYS_recvmsg, {BOOT_FD, P(&msg), HEAR}, {EAGAIN, D, D}},
    {"work: an eventfd's number", SYS_dup3, {A_WAKE, RANGE_END - 1, O_CLOEXEC}, {0, D, D}},
    {"work: seals", SYS_fcntl, {A_WAKE, F_GET_SEALS, 0}, {EINVAL, D, D}},
    {"work: size", SYS_lseek, {A_WAKE, 0, SEEK_END}, {0, 0, 0}},
    {"work: map a channel", SYS_mmap, {P(buf), 4096, 3, AT_PLACE, A_WAKE, 0}, {ENODEV, D, D}},
    {"read an eventfd", SYS_read, {A_WAKE, P(buf), 8}, {D, D, D}},
};

static long
value_of(const struct inmate *in, long arg)
{
    switch (arg) {
    case A_ROOT:
        return in->root;
    case A_FILE:
        return in->file;
    case A_WAKE:
        return in->wake;
    default:
        return arg;
    }
}

static long
one_call(const struct inmate *in, const struct call *c)
{
    long a[6], r;

    for (int i = 0; i < 6; i++)
        a[i] = value_of(in, c->arg[i]);
    r = syscall(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
    return r < 0 ? -errno : 0;
}

/* ---- attacks of more than one call --------------------------------------- */

#ifdef __x86_64__
static long
int80_getpid(const struct inmate *in)
{
    long r;

    (void)in;
    __asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    return r;
}
#endif

static long
send_to_0_1_2(const struct inmate *in)
{
    (void)in;
    for (int fd = 0; fd < 3; fd++)
        if (syscall(SYS_sendto, fd, buf, 1, MSG_NOSIGNAL, NULL, 0) >= 0)
            return 0;
    return -errno;
}

/* All fds used up: an errno, and still able to say so. */
static long
exhaust_fds(const struct inmate *in)
{
    for (int i = 0; i < 10000; i++)
        if (syscall(SYS_openat, in->root, "file", WALK, 0) < 0)
            return -errno;
    return 0;
}

/* One bit per open fd below 63. */
static long
open_fds(const struct inmate *in)
{
    uint64_t map = 0;

    (void)in;
    for (int fd = 0; fd < 63; fd++)
        if (syscall(SYS_statx, fd, "", AT_EMPTY_PATH, 0, buf) == 0)
            map |= (uint64_t)1 << fd;
    return (long)map;
}

static long
past_file_size(const struct inmate *in)
{
    long fd = syscall(SYS_openat, in->root, "victim", O_WRONLY | O_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    return syscall(SYS_pwrite64, fd, buf, 1, in->order->arg) < 0 ? -errno : 0;
}

static long
thread_like_clone(const struct inmate *in)
{
    static char stack[4096] __attribute__((aligned(16)));
    const long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

    (void)in;
    return syscall(SYS_clone, flags, stack + sizeof(stack), 0, 0, 0) < 0 ? -errno : 0;
}

static const struct deed {
    const char *name;
    long (*run)(const struct inmate *in);
    int want[JAIL_KINDS];
} deeds[] = {
#ifdef __x86_64__
    {"C29 int 0x80", int80_getpid, {D, D, D}},
#endif
    {"C9 a thread", thread_like_clone, {D, D, D}},
    {"C32 send to 0, 1 and 2", send_to_0_1_2, {D, D, D}},
    {"C33 all fds used", exhaust_fds, {D, EMFILE, EMFILE}},
    {"C38 write past the limit", past_file_size, {D, D, EFBIG}},
};

enum { ROW_DEEDS = 1000, ROW_OPEN_FDS = 2000, ROW_DEVICE };

long
attack(const struct inmate *in)
{
    if (in->order->row == ROW_OPEN_FDS)
        return open_fds(in);
    if (in->order->row == ROW_DEVICE)
        return syscall(SYS_openat, in->root, "null", RD | in->order->arg, 0) < 0 ? -errno : 0;
    if (in->order->row >= ROW_DEEDS)
        return deeds[in->order->row - ROW_DEEDS].run(in);
    return one_call(in, &calls[in->order->row]);
}

/* ---- outside --------------------------------------------------------------- */

static int
try_order(const char *name, const struct order *o, int want)
{
    static const char *const kinds[] = {"worker", "read-only helper", "writable helper"};
    struct outcome out;
    int got;

    jail_run(o, &out);
    got = outcome_verdict(&out);
    if (got == want)
        return 0;
    print_error("%s, %s: want %s, got %s", kinds[o->kind], name, verdict_name(want),
                verdict_name(got));
    print_error(" (step \"%s\" error %d, code %d status %d)\n", out.step, out.error, out.code,
                out.status);
    return 1;
}

static void
every_attack_ends_as_listed(enum jail_kind kind)
{
    struct order o = {.kind = kind};
    int wrong = 0;

    for (o.row = 0; o.row < COUNT(calls); o.row++)
        wrong += try_order(calls[o.row].name, &o, calls[o.row].want[kind]);
    for (unsigned i = 0; i < COUNT(deeds); i++) {
        o.row = ROW_DEEDS + i;
        o.arg = 1L << 40;
        wrong += try_order(deeds[i].name, &o, deeds[i].want[kind]);
    }
    assert_int_equal(wrong, 0);
}

static void
no_attack_of_a_worker_gets_through(void **state)
{
    (void)state;
    every_attack_ends_as_listed(JAIL_WORKER);
}

static void
no_attack_of_a_read_only_helper_gets_through(void **state)
{
    (void)state;
    every_attack_ends_as_listed(JAIL_RO);
}

static void
no_attack_of_a_writable_helper_gets_through(void **state)
{
    (void)state;
    every_attack_ends_as_listed(JAIL_RW);
}

static void
a_device_node_of_the_share_cannot_be_opened(void **state)
{
    const struct order read = {.kind = JAIL_RO, .row = ROW_DEVICE, .arg = O_RDONLY};
    const struct order write = {.kind = JAIL_RW, .row = ROW_DEVICE, .arg = O_RDWR};

    (void)state;
    if (fx.rootless)
        return; /* an ordinary user cannot put one there */
    assert_int_equal(try_order("C18 to read", &read, EACCES), 0);
    assert_int_equal(try_order("C18 to write", &write, EACCES), 0);
}

/* 0, 1, 2, the boot socket, the share's mount, two eventfds, its root and the
 * file that the jail opened, pinned and for reading: nothing else. */
static void
a_helper_holds_nothing_but_its_own_fds(void **state)
{
    const struct order o = {.kind = JAIL_RO, .row = ROW_OPEN_FDS};
    struct outcome out;

    (void)state;
    jail_run(&o, &out);
    assert_true(out.survived);
    assert_int_equal(out.value & 0xf, 0xf);
    assert_int_equal(__builtin_popcountl((unsigned long)out.value), 4 + 3 + 1 + 2);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_attack_of_a_worker_gets_through),
        cmocka_unit_test(no_attack_of_a_read_only_helper_gets_through),
        cmocka_unit_test(no_attack_of_a_writable_helper_gets_through),
        cmocka_unit_test(a_device_node_of_the_share_cannot_be_opened),
        cmocka_unit_test(a_helper_holds_nothing_but_its_own_fds),
    };

    jail_main(argc, argv);
    return run_both_ways("attacks inside the sandbox", tests, COUNT(tests));
}
