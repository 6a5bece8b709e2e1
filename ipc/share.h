/*
 * What policy grants a share, as the broker hands it to the helper.
 */
#ifndef POSTERN_IPC_SHARE_H
#define POSTERN_IPC_SHARE_H

#include <stdint.h>

/* Name spaces of extended attributes that the guest may use. */
enum xattr_share {
    XATTR_USER = 1 << 0,       /* user.*, but for what servers keep there */
    XATTR_ACL = 1 << 1,        /* system.posix_acl_* */
    XATTR_CAPABILITY = 1 << 2, /* security.capability */
};

/* Other file systems that are mounted below the share's root. */
enum share_submounts {
    SUBMOUNTS_REFUSE = 0, /* there must be none */
    SUBMOUNTS_HIDE = 1,   /* they are not there */
    SUBMOUNTS_CROSS = 2,  /* they are part of the share */
};

/* Who a guest's users are on the host; DESIGN section 7 of docs/ARCHITECTURE.md. */
enum share_identity {
    IDENTITY_SQUASH = 0, /* all are one owner */
    IDENTITY_MAP = 1,    /* a range of the host's ids is theirs */
    IDENTITY_STORED = 2, /* one owner on the disk; theirs in user.virtfs.* */
    IDENTITY_HOST = 3,   /* the host's own ids */
};

/* Who asks when nobody said: the number that Linux has for nobody. */
#define ID_NOBODY 65534u
/* What no id is: "leave it as it is" for the kernel, "none" in 9P. */
#define ID_NONE UINT32_MAX

#endif
