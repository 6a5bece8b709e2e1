/*
 * Mapped files.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char *
map(int fd, size_t n, int prot, int flags)
{
    char *p = mmap(NULL, n, prot, flags, fd, 0);

    OK(p);
    return p;
}

CLAIM(a_private_mapping_reads_the_file)
{
    make("x", K_FILE);
    TRUE(memcmp(map(fd_of("x", O_RDONLY), 4, PROT_READ, MAP_PRIVATE), "text", 4) == 0);
}

CLAIM(a_private_mapping_keeps_its_changes)
{
    char *p;

    make("x", K_FILE);
    p = map(fd_of("x", O_RDONLY), 4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    memcpy(p, "mine", 4);
    HOLDS("x", "text");
    TRUE(memcmp(p, "mine", 4) == 0);
}

CLAIM(a_shared_mapping_reads_the_file)
{
    make("x", K_FILE);
    TRUE(memcmp(map(fd_of("x", O_RDONLY), 4, PROT_READ, MAP_SHARED), "text", 4) == 0);
}

CLAIM(a_shared_mapping_sees_later_writes)
{
    char *p;
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    p = map(fd, 4, PROT_READ, MAP_SHARED);
    TRUE(memcmp(p, "text", 4) == 0);
    EQ(pwrite(fd, "TEXT", 4, 0), 4);
    TRUE(memcmp(p, "TEXT", 4) == 0);
}

CLAIM(a_shared_mapping_writes_the_file)
{
    char *p;

    make("x", K_FILE);
    p = map(fd_of("x", O_RDWR), 4, PROT_READ | PROT_WRITE, MAP_SHARED);
    memcpy(p, "TEXT", 4);
    OK(msync(p, 4, MS_SYNC));
    HOLDS("x", "TEXT");
    OK(munmap(p, 4));
    HOLDS("x", "TEXT");
}

CLAIM(a_shared_mapping_is_read_back_without_msync)
{
    char *p, got[4];
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    p = map(fd, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
    memcpy(p, "TEXT", 4);
    EQ(pread(fd, got, 4, 0), 4);
    TRUE(memcmp(got, "TEXT", 4) == 0);
}

CLAIM(a_shared_mapping_is_written_when_it_ends)
{
    char *p;
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    p = map(fd, 4, PROT_READ | PROT_WRITE, MAP_SHARED);
    OK(close(fd));
    memcpy(p, "TEXT", 4);
    OK(munmap(p, 4));
    HOLDS("x", "TEXT");
}

CLAIM(a_shared_mapping_changes_mtime)
{
    struct timespec before;
    char *p;

    make("x", K_FILE);
    before = st_of("x").st_mtim;
    p = map(fd_of("x", O_RDWR), 4, PROT_READ | PROT_WRITE, MAP_SHARED);
    tick();
    p[0] = 'T';
    OK(msync(p, 4, MS_SYNC));
    TRUE(later(st_of("x").st_mtim, before));
}

CLAIM(two_processes_share_a_mapping)
{
    char *p;

    make("x", K_FILE);
    p = map(fd_of("x", O_RDWR), 4, PROT_READ | PROT_WRITE, MAP_SHARED);
    AS(NULL)
    {
        char *q = map(fd_of("x", O_RDWR), 4, PROT_READ | PROT_WRITE, MAP_SHARED);

        TRUE(memcmp(q, "text", 4) == 0);
        memcpy(q, "TEXT", 4);
    }
    TRUE(memcmp(p, "TEXT", 4) == 0);
}

CLAIM(a_mapping_outlives_the_name)
{
    char *p;

    make("x", K_FILE);
    p = map(fd_of("x", O_RDONLY), 4, PROT_READ, MAP_SHARED);
    OK(unlink("x"));
    TRUE(memcmp(p, "text", 4) == 0);
}

CLAIM(the_rest_of_the_last_page_is_zero_and_stays_outside)
{
    char *p;

    make("x", K_FILE);
    p = map(fd_of("x", O_RDWR), 4096, PROT_READ | PROT_WRITE, MAP_SHARED);
    EQ(p[4], 0);
    EQ(p[4095], 0);
    p[10] = 'x';
    OK(msync(p, 4096, MS_SYNC));
    EQ(st_of("x").st_size, 4);
    HOLDS("x", "text");
}

static void
dies_of_sigbus(const char *p)
{
    pid_t pid = (pid_t)OK(fork());
    int status;

    if (pid == 0)
        _exit(*(volatile const char *)p);
    OK(waitpid(pid, &status, 0));
    TRUE(WIFSIGNALED(status));
    EQ(WTERMSIG(status), SIGBUS);
}

CLAIM(beyond_the_last_page_is_sigbus)
{
    char *p;

    make("x", K_FILE);
    p = map(fd_of("x", O_RDONLY), 8192, PROT_READ, MAP_SHARED);
    EQ(p[0], 't');
    dies_of_sigbus(p + 4096);
}

CLAIM(what_is_truncated_away_is_sigbus)
{
    char *p;

    make("x", K_FILE);
    OK(truncate("x", 8192));
    p = map(fd_of("x", O_RDONLY), 8192, PROT_READ, MAP_SHARED);
    EQ(p[4096], 0);
    OK(truncate("x", 100));
    dies_of_sigbus(p + 4096);
}

CLAIM(a_reader_cannot_map_to_write)
{
    make("x", K_FILE);
    FAILS(mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd_of("x", O_RDONLY), 0), EACCES);
    FAILS(mmap(NULL, 4, PROT_READ, MAP_SHARED, fd_of("x", O_WRONLY), 0), EACCES);
    FAILS(mmap(NULL, 4, PROT_READ, MAP_PRIVATE, fd_of("x", O_WRONLY), 0), EACCES);
}

CLAIM(bad_arguments)
{
    int fd;

    make("x", K_FILE);
    make("d", K_DIR);
    fd = fd_of("x", O_RDWR);
    FAILS(mmap(NULL, 0, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
    FAILS(mmap(NULL, 4, PROT_READ, MAP_PRIVATE, fd, 1), EINVAL);
    FAILS(mmap(NULL, 4, PROT_READ, MAP_PRIVATE, 999, 0), EBADF);
    FAILS(mmap(NULL, 4, PROT_READ, MAP_PRIVATE, fd_of("x", O_PATH), 0), EBADF);
    FAILS(mmap(NULL, 4, PROT_READ, MAP_PRIVATE, fd_of("d", O_RDONLY), 0), ENODEV);
}

CLAIM(a_large_file_through_a_shared_mapping)
{
    enum { SIZE = 2000000 };
    int fd = fd_of("x", O_CREAT | O_RDWR);
    unsigned char got[4096], *p;

    OK(ftruncate(fd, SIZE));
    p = (unsigned char *)map(fd, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED);
    for (size_t i = 0; i < SIZE; i++)
        p[i] = (unsigned char)(i % 251);
    OK(msync(p, SIZE, MS_SYNC));
    OK(munmap(p, SIZE));
    EQ(pread(fd, got, sizeof(got), 1000000), sizeof(got));
    for (size_t i = 0; i < sizeof(got); i++)
        EQ(got[i], (1000000 + i) % 251);
}
