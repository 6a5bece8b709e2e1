/*
 * truncate and ftruncate.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct size_row {
    const char *name;
    off_t size;
};

static const struct size_row sizes[] = {
    {"0", 0},
    {"1", 1},
    {"same_4", 4},
    {"5", 5},
    {"4096", 4096},
    {"65537", 65537},
    {"2_31", 1LL << 31},
    {"2_32_and_1", (1LL << 32) + 1},
    {"2_40", 1LL << 40},
};

static void
reads_as_cut(off_t size)
{
    char got[8] = "-------";
    ssize_t want = size < 7 ? size : 7, kept = size < 4 ? size : 4;
    int fd = fd_of("x", O_RDONLY);

    EQ(st_of("x").st_size, size);
    EQ(read(fd, got, 7), want);
    TRUE(memcmp(got, "text\0\0\0", (size_t)want) == 0);
    TRUE(kept <= want);
    EQ(lseek(fd, 0, SEEK_END), size);
}

ROWS(by_path_to, size_row, sizes)
{
    make("x", K_FILE);
    OK(truncate("x", row->size));
    reads_as_cut(row->size);
}

ROWS(by_fd_to, size_row, sizes)
{
    make("x", K_FILE);
    OK(ftruncate(fd_of("x", O_RDWR), row->size));
    reads_as_cut(row->size);
}

CLAIM(to_2_63_minus_1_works_or_is_efbig)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    if (ftruncate(fd, INT64_MAX) < 0) {
        EQ(errno, EFBIG);
        EQ(st_of("x").st_size, 4);
        return;
    }
    EQ(st_of("x").st_size, INT64_MAX);
    OK(ftruncate(fd, 4));
    HOLDS("x", "text");
}

CLAIM(to_a_negative_size_is_einval)
{
    make("x", K_FILE);
    FAILS(truncate("x", -1), EINVAL);
    FAILS(ftruncate(fd_of("x", O_RDWR), -1), EINVAL);
    FAILS(truncate("x", INT64_MIN), EINVAL);
    HOLDS("x", "text");
}

CLAIM(what_was_cut_off_does_not_come_back)
{
    char got[4] = "----";
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    OK(ftruncate(fd, 2));
    OK(ftruncate(fd, 4));
    EQ(pread(fd, got, 4, 0), 4);
    TRUE(memcmp(got, "te\0\0", 4) == 0);
}

CLAIM(leaves_the_offset_where_it_was)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    EQ(lseek(fd, 3, SEEK_SET), 3);
    OK(ftruncate(fd, 1));
    EQ(lseek(fd, 0, SEEK_CUR), 3);
    EQ(write(fd, "+", 1), 1);
    EQ(st_of("x").st_size, 4);
}

CLAIM(is_seen_through_other_fds)
{
    char c;
    int other;

    make("x", K_FILE);
    other = fd_of("x", O_RDONLY);
    OK(truncate("x", 0));
    EQ(read(other, &c, 1), 0);
    EQ(st_fd(other).st_size, 0);
    EQ(lseek(other, 0, SEEK_END), 0);
}

CLAIM(follows_a_symlink)
{
    make("x", K_LINK);
    OK(truncate("x", 2));
    HOLDS("x.to", "te");
}

struct kind_row {
    const char *name;
    enum kind kind;
    int error;
};

static const struct kind_row kinds[] = {
    {"dir", K_DIR, EISDIR},         {"fifo", K_FIFO, EINVAL},         {"socket", K_SOCKET, EINVAL},
    {"missing", K_MISSING, ENOENT}, {"dangling", K_DANGLING, ENOENT}, {"loop", K_LOOP, ELOOP},
};

ROWS(of, kind_row, kinds)
{
    make("x", row->kind);
    FAILS(truncate("x", 1), row->error);
}

CLAIM(an_fd_must_be_writable)
{
    make("x", K_FILE);
    FAILS(ftruncate(fd_of("x", O_RDONLY), 0), EINVAL);
    FAILS(ftruncate(fd_of("x", O_PATH), 0), EBADF);
    FAILS(ftruncate(999, 0), EBADF);
    HOLDS("x", "text");
}

CLAIM(needs_write_permission)
{
    make("x", K_FILE);
    AS(&alice)
    {
        FAILS(truncate("x", 0), EACCES);
    }
    OK(chmod("x", 0002));
    AS(&alice)
    {
        OK(truncate("x", 1));
    }
    EQ(st_of("x").st_size, 1);
}

CLAIM(an_fd_needs_no_permission_any_more)
{
    OK(chmod(".", 0777));
    AS(&alice)
    {
        int fd = fd_of("x", O_CREAT | O_RDWR);

        OK(chmod("x", 0));
        OK(ftruncate(fd, 10));
        FAILS(truncate("x", 0), EACCES);
    }
    EQ(st_of("x").st_size, 10);
}

CLAIM(beyond_the_size_limit_is_efbig)
{
    struct rlimit limit = {1000, 1000};
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    OK(setrlimit(RLIMIT_FSIZE, &limit));
    FAILS(ftruncate(fd, 1001), EFBIG);
    FAILS(truncate("x", 1001), EFBIG);
    OK(ftruncate(fd, 1000));
}

CLAIM(set_id_bits_fall_when_a_user_truncates)
{
    file_new("x", 0777);
    OK(chmod("x", 06777));
    AS(&alice)
    {
        OK(truncate("x", 1));
    }
    OCTAL(mode_of("x"), 0777);
}

CLAIM(a_grown_file_takes_no_space)
{
    make("x", K_FILE);
    OK(truncate("x", 1 << 24));
    TRUE(st_of("x").st_blocks < (1 << 24) / 512 / 2);
}
