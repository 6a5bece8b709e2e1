/*
 * read, write and their kin: offsets, holes, sizes, limits, syncing.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct size_row {
    const char *name;
    size_t size;
};

static const struct size_row sizes[] = {
    {"1", 1},
    {"511", 511},
    {"4095", 4095},
    {"4096", 4096},
    {"4097", 4097},
    {"65536", 65536},
    {"131049", 131049},
    {"262144", 262144},
    {"1048577", 1048577},
    {"5000000", 5000000},
};

/* Below n; always the same row of numbers. */
static size_t
any(size_t n)
{
    static uint32_t x = 1;

    x = x * 1664525u + 1013904223u;
    return (size_t)(x >> 8) % n;
}

static unsigned char *
pattern(size_t n)
{
    unsigned char *p = memory(n);

    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)any(256);
    return p;
}

ROWS(one_write_and_one_read_of, size_row, sizes)
{
    unsigned char *out = pattern(row->size), *in = memory(row->size + 1);
    int fd = fd_of("x", O_CREAT | O_RDWR);

    EQ(write(fd, out, row->size), row->size);
    EQ(st_of("x").st_size, row->size);
    EQ(lseek(fd, 0, SEEK_SET), 0);
    EQ(read(fd, in, row->size + 1), row->size);
    TRUE(memcmp(in, out, row->size) == 0);
    EQ(read(fd, in, 1), 0);
    OK(close(fd));
    fd = fd_of("x", O_RDONLY);
    memset(in, 0, row->size);
    EQ(read(fd, in, row->size + 1), row->size);
    TRUE(memcmp(in, out, row->size) == 0);
}

ROWS(at_an_odd_offset, size_row, sizes)
{
    unsigned char *out = pattern(row->size), *in = memory(row->size + 4097);
    int fd = fd_of("x", O_CREAT | O_RDWR);

    EQ(pwrite(fd, out, row->size, 4097), row->size);
    EQ(st_of("x").st_size, 4097 + row->size);
    EQ(pread(fd, in, row->size + 4097, 0), row->size + 4097);
    for (size_t i = 0; i < 4097; i++)
        EQ(in[i], 0);
    TRUE(memcmp(in + 4097, out, row->size) == 0);
    EQ(lseek(fd, 0, SEEK_CUR), 0);
}

CLAIM(reading_at_and_after_the_end_gives_nothing)
{
    char text[8];
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDONLY);
    EQ(pread(fd, text, 8, 4), 0);
    EQ(pread(fd, text, 8, 5000), 0);
    EQ(pread(fd, text, 8, 3), 1);
    EQ(pread(fd, text, 0, 0), 0);
}

CLAIM(reading_an_empty_file_gives_nothing)
{
    char c;

    file_with("x", "");
    EQ(read(fd_of("x", O_RDONLY), &c, 1), 0);
}

CLAIM(writing_nothing_changes_nothing)
{
    struct stat before;
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    before = st_of("x");
    tick();
    EQ(write(fd, "", 0), 0);
    EQ(pwrite(fd, "", 0, 100), 0);
    EQ(st_of("x").st_size, 4);
    TIME_IS(st_of("x").st_mtim, before.st_mtim);
}

CLAIM(negative_offsets_are_einval)
{
    char c = 'x';
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    FAILS(pread(fd, &c, 1, -1), EINVAL);
    FAILS(pwrite(fd, &c, 1, -1), EINVAL);
    FAILS(lseek(fd, -1, SEEK_SET), EINVAL);
    FAILS(lseek(fd, -5, SEEK_END), EINVAL);
    FAILS(lseek(fd, 0, 99), EINVAL);
}

CLAIM(bad_memory_is_efault)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    FAILS(read(fd, nowhere, 4), EFAULT);
    FAILS(write(fd, nowhere, 4), EFAULT);
    HOLDS("x", "text");
}

CLAIM(lseek_counts_from_everywhere)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    EQ(lseek(fd, 3, SEEK_SET), 3);
    EQ(lseek(fd, -1, SEEK_CUR), 2);
    EQ(lseek(fd, 10, SEEK_END), 14);
    EQ(lseek(fd, 0, SEEK_CUR), 14);
    EQ(st_of("x").st_size, 4);
}

CLAIM(lseek_then_write_makes_a_hole)
{
    char got[6];
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    EQ(lseek(fd, 1, SEEK_END), 5);
    EQ(write(fd, "+", 1), 1);
    EQ(pread(fd, got, 6, 0), 6);
    TRUE(memcmp(got, "text\0+", 6) == 0);
}

struct offset_row {
    const char *name;
    off_t offset;
};

static const struct offset_row far[] = {
    {"2_31_minus_1", (1LL << 31) - 1},
    {"2_31", 1LL << 31},
    {"2_32_minus_1", (1LL << 32) - 1},
    {"2_32", 1LL << 32},
    {"2_40", 1LL << 40},
};

ROWS(writes_and_reads_at, offset_row, far)
{
    char got[4] = "----";
    int fd = fd_of("x", O_CREAT | O_RDWR);

    EQ(pwrite(fd, "far", 3, row->offset), 3);
    EQ(st_of("x").st_size, row->offset + 3);
    EQ(pread(fd, got, 4, row->offset), 3);
    TRUE(memcmp(got, "far", 3) == 0);
    EQ(pread(fd, got, 2, row->offset - 2), 2);
    EQ(got[0] | got[1], 0);
    EQ(lseek(fd, row->offset, SEEK_SET), row->offset);
    EQ(read(fd, got, 1), 1);
    TRUE(st_of("x").st_blocks < 10000);
}

CLAIM(at_the_last_offset)
{
    char c = 'x';
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    FAILS(pwrite(fd, &c, 1, INT64_MAX), EINVAL);
    FAILS(pread(fd, &c, 1, INT64_MAX), EINVAL);
    EQ(pread(fd, &c, 1, INT64_MAX - 1), 0);
    EQ(st_of("x").st_size, 4);
}

CLAIM(the_last_byte_can_be_written_or_is_efbig)
{
    char c = 'x';
    int fd, error;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    error = pwrite(fd, &c, 1, INT64_MAX - 1) < 0 ? errno : 0;
    if (syncfs(fd) < 0) /* who reports too late shall not trouble the next claim */
        EQ(errno, EFBIG);
    if (error != 0) {
        EQ(error, EFBIG);
        EQ(st_of("x").st_size, 4);
        return;
    }
    EQ(st_of("x").st_size, INT64_MAX);
    EQ(pread(fd, &c, 1, INT64_MAX - 1), 1);
}

CLAIM(beyond_the_size_limit_is_efbig_and_before_it_short)
{
    struct rlimit limit = {10, 10};
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    OK(setrlimit(RLIMIT_FSIZE, &limit));
    EQ(pwrite(fd, "0123456789", 10, 8), 2);
    FAILS(pwrite(fd, "x", 1, 10), EFBIG);
    EQ(st_of("x").st_size, 10);
}

CLAIM(vectors_are_one_stream)
{
    char a[3], b[5];
    struct iovec out[3] = {
        {(void *)(uintptr_t) "one", 3}, {NULL, 0}, {(void *)(uintptr_t) "three", 5}};
    struct iovec in[2] = {{a, 3}, {b, 5}};
    int fd = fd_of("x", O_CREAT | O_RDWR);

    EQ(writev(fd, out, 3), 8);
    HOLDS("x", "onethree");
    EQ(preadv(fd, in, 2, 0), 8);
    TRUE(memcmp(a, "one", 3) == 0 && memcmp(b, "three", 5) == 0);
    EQ(pwritev(fd, out, 3, 8), 8);
}

CLAIM(what_one_fd_writes_another_reads)
{
    char c;
    int a, b;

    make("x", K_FILE);
    a = fd_of("x", O_RDWR);
    b = fd_of("x", O_RDONLY);
    EQ(read(b, &c, 1), 1);
    EQ(pwrite(a, "E", 1, 1), 1);
    EQ(read(b, &c, 1), 1);
    EQ(c, 'E');
    EQ(pwrite(a, "more", 4, 4), 4);
    EQ(lseek(b, 0, SEEK_END), 8);
    EQ(pread(b, &c, 1, 7), 1);
    EQ(c, 'e');
}

CLAIM(what_one_process_writes_another_reads)
{
    char c;
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDONLY);
    EQ(pread(fd, &c, 1, 0), 1);
    AS(NULL)
    {
        EQ(pwrite(fd_of("x", O_WRONLY), "TEXT", 4, 0), 4);
    }
    EQ(pread(fd, &c, 1, 0), 1);
    EQ(c, 'T');
}

CLAIM(a_forked_child_shares_the_offset)
{
    char c;
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDONLY);
    AS(NULL)
    {
        EQ(read(fd, &c, 1), 1);
    }
    EQ(lseek(fd, 0, SEEK_CUR), 1);
}

CLAIM(set_id_bits_fall_when_a_user_writes)
{
    file_new("x", 0777);
    OK(chmod("x", 06777));
    AS(&alice)
    {
        EQ(write(fd_of("x", O_WRONLY), "x", 1), 1);
    }
    OCTAL(mode_of("x"), 0777);
}

CLAIM(a_hole_takes_no_space)
{
    int fd = fd_of("x", O_CREAT | O_RDWR);

    EQ(pwrite(fd, "x", 1, 1 << 24), 1);
    OK(fsync(fd));
    TRUE(st_of("x").st_blocks < (1 << 24) / 512 / 2);
    TRUE(st_of("x").st_blocks > 0);
}

CLAIM(seek_data_and_hole)
{
    int fd = fd_of("x", O_CREAT | O_RDWR);
    off_t data;

    EQ(pwrite(fd, "x", 1, 1 << 20), 1);
    OK(ftruncate(fd, 1 << 21));
    OK(fsync(fd));
    NEEDS(lseek(fd, 0, SEEK_DATA) > 0, "holes that can be found");
    data = lseek(fd, 0, SEEK_DATA);
    TRUE(data <= 1 << 20 && data > (1 << 20) - 65536);
    EQ(lseek(fd, 0, SEEK_HOLE), 0);
    TRUE(lseek(fd, 1 << 20, SEEK_HOLE) > 1 << 20);
    TRUE(lseek(fd, 1 << 20, SEEK_HOLE) <= 1 << 21);
}

CLAIM(seek_data_and_hole_at_the_end)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    EQ(lseek(fd, 0, SEEK_DATA), 0);
    EQ(lseek(fd, 0, SEEK_HOLE), 4);
    FAILS(lseek(fd, 4, SEEK_DATA), ENXIO);
    FAILS(lseek(fd, 5, SEEK_HOLE), ENXIO);
}

CLAIM(random_writes_match_a_model)
{
    enum { SIZE = 300000 };
    unsigned char *model = memory(SIZE), *out = pattern(SIZE), *in = memory(SIZE);
    int fd = fd_of("x", O_CREAT | O_RDWR);
    size_t end = 0;

    for (int i = 0; i < 300; i++) {
        size_t at = any(SIZE), n = 1 + any(9000);

        if (n > SIZE - at)
            n = SIZE - at;
        if (i % 10 == 9) {
            OK(ftruncate(fd, (off_t)at));
            memset(model + at, 0, SIZE - at);
            end = at;
            continue;
        }
        EQ(pwrite(fd, out + i, n, (off_t)at), n);
        memcpy(model + at, out + i, n);
        end = at + n > end ? at + n : end;
    }
    EQ(st_of("x").st_size, end);
    EQ(pread(fd, in, SIZE, 0), end);
    TRUE(memcmp(in, model, end) == 0);
}

CLAIM(bytes_written_by_many_meet_in_one_file)
{
    unsigned char in[8 * 1000];
    int fd;

    file_with("x", "");
    for (int p = 0; p < 8; p++) {
        if (OK(fork()) != 0)
            continue;
        fd = fd_of("x", O_WRONLY);
        for (int i = 0; i < 1000; i++) {
            unsigned char c = (unsigned char)(p + 1);

            EQ(pwrite(fd, &c, 1, i * 8 + p), 1);
        }
        _exit(0);
    }
    for (int p = 0, status; p < 8; p++) {
        OK(wait(&status));
        EQ(status, 0);
    }
    EQ(read(fd_of("x", O_RDONLY), in, sizeof(in)), sizeof(in));
    for (int i = 0; i < 8 * 1000; i++)
        EQ(in[i], i % 8 + 1);
}

CLAIM(copy_file_range_and_sendfile_copy)
{
    unsigned char *out = pattern(200000), *in = memory(200000);
    int a = fd_of("a", O_CREAT | O_RDWR), b = fd_of("b", O_CREAT | O_RDWR);
    int c = fd_of("c", O_CREAT | O_RDWR);
    off_t from = 0;
    size_t done = 0;

    EQ(write(a, out, 200000), 200000);
    while (done < 200000) {
        ssize_t n = OK(copy_file_range(a, &from, b, NULL, 200000 - done, 0));

        TRUE(n > 0);
        done += (size_t)n;
    }
    EQ(pread(b, in, 200000, 0), 200000);
    TRUE(memcmp(in, out, 200000) == 0);
    for (from = 0; from < 200000;)
        TRUE(OK(sendfile(c, a, &from, 200000)) > 0);
    EQ(pread(c, in, 200000, 0), 200000);
    TRUE(memcmp(in, out, 200000) == 0);
}

CLAIM(splice_reads_and_writes)
{
    char got[8];
    int fd, p[2];
    loff_t at = 4;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    OK(pipe(p));
    EQ(splice(fd, NULL, p[1], NULL, 4, 0), 4);
    EQ(read(p[0], got, 4), 4);
    EQ(write(p[1], "more", 4), 4);
    EQ(splice(p[0], NULL, fd, &at, 4, 0), 4);
    HOLDS("x", "textmore");
}

CLAIM(o_direct_reads_and_writes)
{
    static _Alignas(4096) unsigned char block[8192];
    int fd;

    fd = open("x", O_CREAT | O_RDWR | O_DIRECT, 0644);
    NEEDS(fd >= 0, "O_DIRECT");
    memset(block, 'd', 8192);
    EQ(pwrite(fd, block, 8192, 4096), 8192);
    memset(block, 0, 8192);
    EQ(pread(fd, block, 8192, 4096), 8192);
    EQ(block[0], 'd');
    EQ(block[8191], 'd');
    EQ(st_of("x").st_size, 12288);
}

static bool
fallocate_works(int fd)
{
    return fallocate(fd, 0, 0, 4096) == 0 || errno != EOPNOTSUPP;
}

CLAIM(fallocate_grows_and_keeps)
{
    int fd = fd_of("x", O_CREAT | O_RDWR);

    NEEDS(fallocate_works(fd), "fallocate");
    OK(fallocate(fd, 0, 0, 100000));
    EQ(st_of("x").st_size, 100000);
    TRUE(st_of("x").st_blocks >= 100000 / 512);
    OK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 200000));
    EQ(st_of("x").st_size, 100000);
    FAILS(fallocate(fd, 0, 0, 0), EINVAL);
    FAILS(fallocate(fd, 0, -1, 10), EINVAL);
    FAILS(fallocate(fd_of("x", O_RDONLY), 0, 0, 10), EBADF);
}

CLAIM(fallocate_punches_holes)
{
    unsigned char *out = pattern(65536), in[4096];
    int fd = fd_of("x", O_CREAT | O_RDWR);

    NEEDS(fallocate_works(fd), "fallocate");
    EQ(pwrite(fd, out, 65536, 0), 65536);
    OK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096));
    EQ(pread(fd, in, 4096, 8192), 4096);
    for (size_t i = 0; i < 4096; i++)
        EQ(in[i], 0);
    EQ(pread(fd, in, 4096, 12288), 4096);
    TRUE(memcmp(in, out + 12288, 4096) == 0);
}

CLAIM(posix_fallocate_grows)
{
    int fd = fd_of("x", O_CREAT | O_RDWR);

    EQ(posix_fallocate(fd, 0, 100000), 0);
    EQ(st_of("x").st_size, 100000);
}

// --- syncing -----------------------------------------------------------------------

CLAIM(sync_of_files_and_directories)
{
    int fd, dir;

    make("x", K_FILE);
    make("d", K_DIR);
    fd = fd_of("x", O_RDWR);
    dir = fd_of("d", O_RDONLY);
    EQ(write(fd, "more", 4), 4);
    OK(fsync(fd));
    OK(fdatasync(fd));
    OK(fsync(fd_of("x", O_RDONLY)));
    OK(fdatasync(fd_of("x", O_WRONLY)));
    OK(fsync(dir));
    OK(fdatasync(dir));
    OK(syncfs(fd));
}

CLAIM(sync_of_what_has_no_data_is_einval)
{
    make("x", K_FIFO);
    FAILS(fsync(fd_of("x", O_RDWR)), EINVAL);
    FAILS(fsync(999), EBADF);
    FAILS(fdatasync(999), EBADF);
}

CLAIM(sync_range_and_advice_are_accepted)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    OK(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
    EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    EQ(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED), 0);
    OK(readahead(fd, 0, 4096));
}

CLAIM(o_sync_and_o_dsync_write)
{
    EQ(write(fd_of("x", O_CREAT | O_SYNC | O_WRONLY), "sync", 4), 4);
    HOLDS("x", "sync");
    EQ(write(fd_of("y", O_CREAT | O_DSYNC | O_WRONLY), "dsync", 5), 5);
    HOLDS("y", "dsync");
}
