/*
 * utimensat, futimens, utimes, utime.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <sys/time.h>
#include <unistd.h>
#include <utime.h>

#define NOW                                                                                        \
    {                                                                                              \
        0, UTIME_NOW                                                                               \
    }
#define OMIT                                                                                       \
    {                                                                                              \
        0, UTIME_OMIT                                                                              \
    }

struct times_row {
    const char *name;
    struct timespec atime, mtime;
};

static const struct times_row times[] = {
    {"the_beginning", {0, 0}, {1, 0}},
    {"seconds", {1000000000, 0}, {1234567890, 0}},
    {"nanoseconds", {1000000000, 123456789}, {1234567890, 987654321}},
    {"one_nanosecond", {1000000000, 1}, {1000000000, 999999999}},
    {"before_1970", {-1, 0}, {-1000000, 0}},
    {"after_2038", {1LL << 31, 0}, {(1LL << 31) + 1, 0}},
    {"after_2106", {1LL << 32, 0}, {(1LL << 33) + 5, 0}},
    {"atime_after_mtime", {2000000000, 0}, {1000000000, 0}},
};

static void
times_are(const char *path, const struct times_row *row)
{
    struct stat st = st_of(path);

    TIME_IS(st.st_atim, row->atime);
    TIME_IS(st.st_mtim, row->mtime);
}

ROWS(sets_exactly, times_row, times)
{
    struct timespec t[2] = {row->atime, row->mtime};

    make("x", K_FILE);
    OK(utimensat(AT_FDCWD, "x", t, 0));
    times_are("x", row);
}

ROWS(an_fd_sets_exactly, times_row, times)
{
    struct timespec t[2] = {row->atime, row->mtime};
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDONLY);
    OK(futimens(fd, t));
    times_are("x", row);
}

struct kind_row {
    const char *name;
    enum kind kind;
};

static const struct kind_row kinds[] = {
    {"dir", K_DIR},   {"fifo", K_FIFO},         {"socket", K_SOCKET},
    {"link", K_LINK}, {"dangling", K_DANGLING}, {"loop", K_LOOP},
};

ROWS(of_the_name_itself, kind_row, kinds)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}};

    make("x", row->kind);
    OK(utimensat(AT_FDCWD, "x", t, AT_SYMLINK_NOFOLLOW));
    EQ(st_of("x").st_atim.tv_sec, 1000);
    EQ(st_of("x").st_mtim.tv_sec, 2000);
    if (row->kind == K_LINK)
        TRUE(st_of("x.to").st_mtim.tv_sec > 2000);
}

CLAIM(follows_a_symlink)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}};

    make("x", K_LINK);
    OK(utimensat(AT_FDCWD, "x", t, 0));
    EQ(st_of("x.to").st_mtim.tv_sec, 2000);
    TRUE(st_of("x").st_mtim.tv_sec > 2000);
}

static void
is_now(struct timespec t)
{
    time_t now = time(NULL);

    TRUE(t.tv_sec >= now - 100 && t.tv_sec <= now + 100);
}

CLAIM(without_times_sets_both_to_now)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}};

    make("x", K_FILE);
    OK(utimensat(AT_FDCWD, "x", t, 0));
    OK(utimensat(AT_FDCWD, "x", NULL, 0));
    is_now(st_of("x").st_atim);
    is_now(st_of("x").st_mtim);
}

CLAIM(now_sets_one_or_both)
{
    struct timespec old[2] = {{1000, 0}, {2000, 0}}, both[2] = {NOW, NOW};
    struct timespec first[2] = {NOW, {3000, 0}}, second[2] = {{4000, 0}, NOW};

    make("x", K_FILE);
    OK(utimensat(AT_FDCWD, "x", old, 0));
    OK(utimensat(AT_FDCWD, "x", both, 0));
    is_now(st_of("x").st_atim);
    is_now(st_of("x").st_mtim);
    OK(utimensat(AT_FDCWD, "x", first, 0));
    is_now(st_of("x").st_atim);
    EQ(st_of("x").st_mtim.tv_sec, 3000);
    OK(utimensat(AT_FDCWD, "x", second, 0));
    EQ(st_of("x").st_atim.tv_sec, 4000);
    is_now(st_of("x").st_mtim);
}

CLAIM(now_is_not_in_the_past_of_the_file)
{
    struct timespec before;

    make("x", K_FILE);
    before = st_of("x").st_mtim;
    tick();
    OK(utimensat(AT_FDCWD, "x", NULL, 0));
    TRUE(later(st_of("x").st_mtim, before));
}

CLAIM(omit_leaves_one)
{
    struct timespec old[2] = {{1000, 0}, {2000, 0}};
    struct timespec first[2] = {OMIT, {3000, 0}}, second[2] = {{4000, 0}, OMIT};

    make("x", K_FILE);
    OK(utimensat(AT_FDCWD, "x", old, 0));
    OK(utimensat(AT_FDCWD, "x", first, 0));
    EQ(st_of("x").st_atim.tv_sec, 1000);
    EQ(st_of("x").st_mtim.tv_sec, 3000);
    OK(utimensat(AT_FDCWD, "x", second, 0));
    EQ(st_of("x").st_atim.tv_sec, 4000);
    EQ(st_of("x").st_mtim.tv_sec, 3000);
}

CLAIM(omit_and_now)
{
    struct timespec old[2] = {{1000, 0}, {2000, 0}}, t[2] = {OMIT, NOW};

    make("x", K_FILE);
    OK(utimensat(AT_FDCWD, "x", old, 0));
    OK(utimensat(AT_FDCWD, "x", t, 0));
    EQ(st_of("x").st_atim.tv_sec, 1000);
    is_now(st_of("x").st_mtim);
}

CLAIM(omit_of_both_does_nothing_for_anybody)
{
    struct timespec t[2] = {OMIT, OMIT};
    struct stat before;

    file_new("x", 0600);
    before = st_of("x");
    tick();
    AS(&alice)
    {
        OK(utimensat(AT_FDCWD, "x", t, 0));
    }
    TIME_IS(st_of("x").st_atim, before.st_atim);
    TIME_IS(st_of("x").st_mtim, before.st_mtim);
    TIME_IS(st_of("x").st_ctim, before.st_ctim);
}

struct bad_row {
    const char *name;
    struct timespec times[2];
};

static const struct bad_row bad[] = {
    {"a_billion", {{1, 1000000000}, {1, 0}}},
    {"negative", {{1, 0}, {1, -1}}},
    {"nearly_now", {{1, UTIME_OMIT - 1}, {1, 0}}},
};

ROWS(bad_nanoseconds_are_einval, bad_row, bad)
{
    struct stat before;

    make("x", K_FILE);
    before = st_of("x");
    FAILS(utimensat(AT_FDCWD, "x", row->times, 0), EINVAL);
    TIME_IS(st_of("x").st_mtim, before.st_mtim);
}

CLAIM(older_calls_set_microseconds_and_seconds)
{
    struct timeval tv[2] = {{1000, 5}, {2000, 0}};
    struct utimbuf ut = {3000, 4000};

    make("x", K_FILE);
    OK(utimes("x", tv));
    EQ(st_of("x").st_atim.tv_sec, 1000);
    EQ(st_of("x").st_mtim.tv_sec, 2000);
    OK(utime("x", &ut));
    EQ(st_of("x").st_atim.tv_sec, 3000);
    EQ(st_of("x").st_mtim.tv_sec, 4000);
}

CLAIM(the_owner_may_without_write_permission)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}};

    file_new("x", 0400);
    give("x", &alice);
    AS(&alice)
    {
        OK(utimensat(AT_FDCWD, "x", t, 0));
        OK(utimensat(AT_FDCWD, "x", NULL, 0));
    }
}

CLAIM(who_may_write_may_only_set_to_now)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}}, now[2] = {NOW, NOW};
    struct timespec half[2] = {NOW, OMIT};

    file_new("x", 0666);
    AS(&bob)
    {
        OK(utimensat(AT_FDCWD, "x", NULL, 0));
        OK(utimensat(AT_FDCWD, "x", now, 0));
        FAILS(utimensat(AT_FDCWD, "x", t, 0), EPERM);
        FAILS(utimensat(AT_FDCWD, "x", half, 0), EPERM);
    }
}

CLAIM(who_may_not_write_may_nothing)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}};

    file_new("x", 0644);
    AS(&bob)
    {
        FAILS(utimensat(AT_FDCWD, "x", NULL, 0), EACCES);
        FAILS(utimensat(AT_FDCWD, "x", t, 0), EPERM);
        FAILS(futimens(fd_of("x", O_RDONLY), NULL), EACCES);
    }
}

CLAIM(of_a_bad_fd_is_ebadf)
{
    make("x", K_FILE);
    FAILS(futimens(999, NULL), EBADF);
    FAILS(futimens(fd_of("x", O_PATH), NULL), EBADF);
}

CLAIM(times_survive_a_rename_and_a_link)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}};

    make("x", K_FILE);
    OK(utimensat(AT_FDCWD, "x", t, 0));
    OK(rename("x", "y"));
    OK(link("y", "z"));
    EQ(st_of("z").st_atim.tv_sec, 1000);
    EQ(st_of("y").st_mtim.tv_sec, 2000);
}
