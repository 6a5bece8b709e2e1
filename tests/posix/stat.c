/*
 * What stat, statx and statvfs say.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct type_row {
    const char *name;
    enum kind kind;
    mode_t type;
};

static const struct type_row types[] = {
    {"file", K_FILE, S_IFREG}, {"dir", K_DIR, S_IFDIR},        {"link", K_LINK, S_IFLNK},
    {"fifo", K_FIFO, S_IFIFO}, {"socket", K_SOCKET, S_IFSOCK},
};

ROWS(type_of, type_row, types)
{
    struct stat st, here = st_of(".");

    make("x", row->kind);
    st = st_of("x");
    EQ(st.st_mode & S_IFMT, row->type);
    EQ(st.st_dev, here.st_dev);
    TRUE(st.st_ino != 0);
    TRUE(st.st_blksize > 0);
}

CLAIM(fstat_and_stat_agree)
{
    struct stat a, b;

    make("x", K_FILE);
    a = st_fd(fd_of("x", O_RDONLY));
    b = st_of("x");
    EQ(a.st_ino, b.st_ino);
    EQ(a.st_dev, b.st_dev);
    EQ(a.st_mode, b.st_mode);
    EQ(a.st_size, b.st_size);
    EQ(a.st_nlink, b.st_nlink);
    EQ(a.st_blocks, b.st_blocks);
    TIME_IS(a.st_mtim, b.st_mtim);
    TIME_IS(a.st_ctim, b.st_ctim);
}

CLAIM(stat_follows_and_lstat_does_not)
{
    struct stat st;

    make("x", K_LINK);
    OK(stat("x", &st));
    TRUE(S_ISREG(st.st_mode));
    TRUE(S_ISLNK(st_of("x").st_mode));
    OK(fstatat(AT_FDCWD, "x", &st, AT_SYMLINK_NOFOLLOW));
    TRUE(S_ISLNK(st.st_mode));
    OK(fstatat(fd_of("x", O_RDONLY), "", &st, AT_EMPTY_PATH));
    TRUE(S_ISREG(st.st_mode));
    FAILS(fstatat(AT_FDCWD, "x", &st, 1 << 25), EINVAL);
}

CLAIM(five_hundred_files_have_five_hundred_inodes)
{
    ino_t inos[500];
    char name[16];

    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "%d", i);
        OK(mknod(name, S_IFREG | 0644, 0));
        inos[i] = st_of(name).st_ino;
    }
    for (int i = 0; i < 500; i++) {
        for (int j = 0; j < i; j++)
            TRUE(inos[i] != inos[j]);
    }
}

CLAIM(the_inode_stays_whatever_happens)
{
    ino_t ino;

    make("x", K_FILE);
    make("d", K_DIR);
    ino = st_of("x").st_ino;
    file_with("x", "other content");
    OK(chmod("x", 0600));
    EQ(st_of("x").st_ino, ino);
    OK(rename("x", "d/y"));
    EQ(st_of("d/y").st_ino, ino);
    OK(link("d/y", "z"));
    OK(unlink("d/y"));
    EQ(st_of("z").st_ino, ino);
}

CLAIM(size_and_blocks_grow_with_content)
{
    static const char data[100000];
    int fd = fd_of("x", O_CREAT | O_RDWR);
    struct stat st;

    EQ(write(fd, data, sizeof(data)), sizeof(data));
    OK(fsync(fd));
    st = st_of("x");
    EQ(st.st_size, sizeof(data));
    TRUE(st.st_blocks * 512 >= (blkcnt_t)sizeof(data));
    TRUE(st.st_blocks * 512 < (blkcnt_t)sizeof(data) * 3);
}

CLAIM(statx_agrees_and_knows_the_birth_time)
{
    struct statx x;
    struct stat st;

    make("x", K_FILE);
    st = st_of("x");
    OK(statx(AT_FDCWD, "x", AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS | STATX_BTIME, &x));
    EQ(x.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    EQ(x.stx_ino, st.st_ino);
    EQ(x.stx_size, st.st_size);
    EQ(x.stx_mode, st.st_mode);
    EQ(x.stx_nlink, st.st_nlink);
    NEEDS((x.stx_mask & STATX_BTIME) != 0, "birth times");
    TRUE(x.stx_btime.tv_sec <= st.st_ctim.tv_sec);
    TRUE(x.stx_btime.tv_sec > st.st_ctim.tv_sec - 100);
}

CLAIM(statvfs_is_plausible)
{
    struct statvfs fs;

    OK(statvfs(".", &fs));
    EQ(fs.f_namemax, 255);
    TRUE(fs.f_bsize > 0 && fs.f_frsize > 0);
    TRUE(fs.f_blocks > 0 && fs.f_bfree <= fs.f_blocks && fs.f_bavail <= fs.f_bfree);
    TRUE(fs.f_ffree <= fs.f_files);
    EQ(fs.f_flag & ST_RDONLY, 0);
}

CLAIM(statvfs_says_the_same_of_every_file)
{
    struct statvfs a, b;

    make("d", K_FULL);
    OK(statvfs(".", &a));
    OK(statvfs("d/in", &b));
    EQ(a.f_fsid, b.f_fsid);
    EQ(a.f_blocks, b.f_blocks);
    EQ(a.f_bsize, b.f_bsize);
    OK(fstatvfs(fd_of("d/in", O_RDONLY), &b));
    EQ(a.f_blocks, b.f_blocks);
    OK(fstatvfs(fd_of("d", O_PATH), &b));
    EQ(a.f_blocks, b.f_blocks);
}

CLAIM(fstatfs_of_an_unlinked_file)
{
    struct statfs fs;
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDONLY);
    OK(unlink("x"));
    OK(fstatfs(fd, &fs));
    TRUE(fs.f_blocks > 0);
}

CLAIM(pathconf_knows_the_limits)
{
    make("x", K_FILE);
    EQ(pathconf("x", _PC_NAME_MAX), 255);
    EQ(pathconf("x", _PC_PATH_MAX), PATH_MAX);
    EQ(pathconf("x", _PC_CHOWN_RESTRICTED), 1);
    EQ(pathconf("x", _PC_NO_TRUNC), 1);
}

CLAIM(of_a_bad_fd_is_ebadf)
{
    struct statfs fs;
    struct stat st;

    FAILS(fstat(999, &st), EBADF);
    FAILS(fstatfs(999, &fs), EBADF);
}
