/*
 * The numbers of 9P2000.L as they stand on the wire, for the client and for
 * tests. twin: worker/nine.def, which the server decodes by.
 */
#ifndef POSTERN_CONTROL_NINE_WIRE_H
#define POSTERN_CONTROL_NINE_WIRE_H

/* A request; its reply is one more. */
enum nine_type {
    NINE_RLERROR = 7,
    NINE_TSTATFS = 8,
    NINE_TLOPEN = 12,
    NINE_TLCREATE = 14,
    NINE_TSYMLINK = 16,
    NINE_TMKNOD = 18,
    NINE_TRENAME = 20,
    NINE_TREADLINK = 22,
    NINE_TGETATTR = 24,
    NINE_TSETATTR = 26,
    NINE_TXATTRWALK = 30,
    NINE_TXATTRCREATE = 32,
    NINE_TREADDIR = 40,
    NINE_TFSYNC = 50,
    NINE_TLOCK = 52,
    NINE_TGETLOCK = 54,
    NINE_TLINK = 70,
    NINE_TMKDIR = 72,
    NINE_TRENAMEAT = 74,
    NINE_TUNLINKAT = 76,
    NINE_TVERSION = 100,
    NINE_TAUTH = 102,
    NINE_TATTACH = 104,
    NINE_TFLUSH = 108,
    NINE_TWALK = 110,
    NINE_TREAD = 116,
    NINE_TWRITE = 118,
    NINE_TCLUNK = 120,
    NINE_TREMOVE = 122,
};

#define NINE_HEAD 7u       /* size[4] type[1] tag[2] */
#define NINE_IO_HEAD 24u   /* what a client sets aside of msize for a read or write */
#define NINE_READ_HEAD 11u /* the head and count[4] */

enum nine_open { /* flags of Tlopen and Tlcreate */
                 NINE_O_RDONLY = 0,
                 NINE_O_WRONLY = 1,
                 NINE_O_RDWR = 2,
                 NINE_O_CREAT = 0100,
                 NINE_O_EXCL = 0200,
                 NINE_O_TRUNC = 01000,
                 NINE_O_APPEND = 02000,
                 NINE_O_DIRECTORY = 0200000,
};

enum nine_lock_type { NINE_LOCK_RD = 0, NINE_LOCK_WR = 1, NINE_LOCK_UN = 2 };
enum nine_lock_flag { NINE_LOCK_BLOCK = 1, NINE_LOCK_RECLAIM = 2 };
enum nine_lock_status {
    NINE_LOCK_SUCCESS = 0,
    NINE_LOCK_BLOCKED = 1,
    NINE_LOCK_ERROR = 2,
    NINE_LOCK_GRACE = 3,
};
enum nine_xattr_flag { NINE_XATTR_CREATE = 1, NINE_XATTR_REPLACE = 2 };

#define NINE_GETATTR_BASIC 0x7ffull
#define NINE_AT_REMOVEDIR 0x200u
#define NINE_QT_DIR 0x80u

enum nine_setattr {
    NINE_SET_MODE = 1 << 0,
    NINE_SET_UID = 1 << 1,
    NINE_SET_GID = 1 << 2,
    NINE_SET_SIZE = 1 << 3,
    NINE_SET_ATIME = 1 << 4,
    NINE_SET_MTIME = 1 << 5,
    NINE_SET_CTIME = 1 << 6,
    NINE_SET_ATIME_SET = 1 << 7,
    NINE_SET_MTIME_SET = 1 << 8,
};

#endif
