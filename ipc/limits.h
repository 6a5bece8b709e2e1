/*
 * Numbers that more than one process relies on. Units are in the names or
 * beside them.
 */
#ifndef POSTERN_IPC_LIMITS_H
#define POSTERN_IPC_LIMITS_H

#define NAME_LEN_MAX 255 /* NAME_MAX of Linux, bytes */
#define NAME_BUF (NAME_LEN_MAX + 1)
#define TARGET_LEN_MAX 4095  /* symlink target, PATH_MAX less its NUL */
#define XATTR_KEY_MAX 255    /* name of an extended attribute, XATTR_NAME_MAX, bytes */
#define XATTR_SIZE_MAX 65536 /* its value, and a list of names; as linux/limits.h says */
#define WALK_MAX 16          /* components, MAXWELEM of 9P */

#define SUBMOUNTS_MAX 256          /* file systems mounted below one share's root */
#define SUBMOUNT_NUMBER_MAX 0x7fff /* how they are numbered, from 1 */
#define HIDE_MAX 64                /* patterns of one share, each at most NAME_LEN_MAX bytes */
#define ONLY_MAX 64                /* names of one share */
#define PROTECT_MAX 32             /* directories of one share, */
#define PROTECT_LEN_MAX 511        /* bytes of the path of each, from the share's root */
#define SHARES_PER_TENANT_MAX 48   /* three fds each in one SCM_RIGHTS message */
#define LISTENERS_PER_TENANT_MAX 16
#define GROUP_IDS_MAX 2048 /* users and groups in all of groups = { ... } */
#define DELEGATES_MAX 64   /* of a tenant */
#define SHARE_ID_LEN 32    /* hex digits of a share's id */
#define CHILD_FDS_MAX 200  /* in one Boot; the kernel takes 253 */
#define BOOT_MSG_MAX 65536 /* bytes of any message on fd 3 */
#define LOG_TEXT_MAX 1024  /* bytes of one log line of a child */

#define FRAME_MAX 8192            /* bytes of one ring record, header included */
#define RING_BYTES (256u * 1024u) /* each ring; a power of two */
#define SLAB_BYTES (16u * 1024u * 1024u)
#define SLAB_PAGE 4096u
#define IN_FLIGHT_MAX 512 /* requests of one channel without a reply */

#define MSIZE_MIN 4096u
#define MSIZE_MAX (1024u * 1024u + 24u) /* 1 MiB of data and its 9P header */
#define MSIZE_DEFAULT_LIMIT MSIZE_MAX

#define CONNECTIONS_DEFAULT 1024
#define FIDS_DEFAULT 65536
#define IN_FLIGHT_DEFAULT 256
#define NODES_DEFAULT 262144
#define HELPER_THREADS 4 /* beside its first; RLIMIT_NPROC and pids.max count them */
#define OPEN_FILES_DEFAULT 4096

#endif
