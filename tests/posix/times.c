/*
 * Which times change with which operation. After each, exactly the times named
 * have changed, of the file and of its directory.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { A = 1, M = 2, C = 4 };

/* An operation on "d/x", or with what else lies in "d": see prepare(). */
struct times_row {
    const char *name;
    void (*run)(int fd); /* fd: d/x, opened for reading and writing */
    const char *file;    /* which file is watched beside "d"; NULL: none */
    int file_changes, dir_changes;
};

static void
run_nothing(int fd)
{
    st_of("d/x");
    OK(lseek(fd, 0, SEEK_END));
    OK(access("d/x", R_OK));
    OK(close(fd_of("d/x", O_RDWR)));
    OK(close(fd_of("d/x", O_CREAT | O_RDWR)));
}

static void
run_write(int fd)
{
    EQ(write(fd, "new", 3), 3);
}

static void
run_write_same(int fd)
{
    EQ(pwrite(fd, "text", 4, 0), 4);
}

static void
run_write_end(int fd)
{
    EQ(pwrite(fd, "new", 3, 100), 3);
}

static void
run_chmod(int fd)
{
    (void)fd;
    OK(chmod("d/x", 0600));
}

static void
run_fchmod(int fd)
{
    OK(fchmod(fd, 0600));
}

static void
run_chmod_same(int fd)
{
    OK(fchmod(fd, 0644));
}

static void
run_chown(int fd)
{
    (void)fd;
    OK(chown("d/x", 0, 0));
}

static void
run_truncate(int fd)
{
    (void)fd;
    OK(truncate("d/x", 1));
}

static void
run_truncate_same(int fd)
{
    (void)fd;
    OK(truncate("d/x", 4));
}

static void
run_ftruncate(int fd)
{
    OK(ftruncate(fd, 100));
}

static void
run_open_trunc(int fd)
{
    (void)fd;
    OK(open("d/x", O_TRUNC | O_WRONLY));
}

static void
run_open_trunc_empty(int fd)
{
    (void)fd;
    OK(open("d/empty", O_TRUNC | O_WRONLY));
}

static void
run_utimens(int fd)
{
    struct timespec t[2] = {{1000, 0}, {0, UTIME_OMIT}};

    OK(futimens(fd, t));
}

static void
run_utimens_mtime(int fd)
{
    struct timespec t[2] = {{0, UTIME_OMIT}, {1000, 0}};

    OK(futimens(fd, t));
}

static void
run_link(int fd)
{
    (void)fd;
    OK(link("d/x", "d/new"));
}

static void
run_link_elsewhere(int fd)
{
    (void)fd;
    OK(link("d/x", "new"));
}

static void
run_unlink_other_name(int fd)
{
    (void)fd;
    OK(unlink("d/hard"));
}

static void
run_rename(int fd)
{
    (void)fd;
    OK(rename("d/y", "d/new"));
}

static void
run_rename_over(int fd)
{
    (void)fd;
    OK(rename("d/y", "d/hard"));
}

static void
run_rename_away(int fd)
{
    (void)fd;
    OK(rename("d/y", "new"));
}

static void
run_rename_here(int fd)
{
    (void)fd;
    OK(rename("outer", "d/new"));
}

static void
run_creat(int fd)
{
    (void)fd;
    OK(open("d/new", O_CREAT | O_EXCL | O_RDWR, 0644));
}

static void
run_mkdir(int fd)
{
    (void)fd;
    OK(mkdir("d/new", 0755));
}

static void
run_rmdir(int fd)
{
    (void)fd;
    OK(rmdir("d/sub"));
}

static void
run_mkfifo(int fd)
{
    (void)fd;
    OK(mkfifo("d/new", 0644));
}

static void
run_symlink(int fd)
{
    (void)fd;
    OK(symlink("x", "d/new"));
}

static void
run_failures(int fd)
{
    (void)fd;
    FAILS(mkdir("d/x", 0755), EEXIST);
    FAILS(unlink("d/none"), ENOENT);
    FAILS(rmdir("d/x"), ENOTDIR);
    FAILS(link("d/x", "d/y"), EEXIST);
    FAILS(open("d/x", O_CREAT | O_EXCL, 0644), EEXIST);
    FAILS(rename("d/x", "d/sub"), EISDIR);
    FAILS(truncate("d/x", -1), EINVAL);
}

static void
run_xattr(int fd)
{
    (void)fd;
    NEEDS(setxattr("d/x", "user.x", "v", 1, 0) == 0, "user.* xattrs");
}

static void
run_write_through_hard_link(int fd)
{
    (void)fd;
    EQ(write(fd_of("d/hard", O_WRONLY), "new", 3), 3);
}

static void
run_fsync(int fd)
{
    OK(fsync(fd));
}

static const struct times_row rows[] = {
    {"looking_changes_nothing", run_nothing, "d/x", 0, 0},
    {"write", run_write, "d/x", M | C, 0},
    {"write_of_the_same", run_write_same, "d/x", M | C, 0},
    {"write_beyond_the_end", run_write_end, "d/x", M | C, 0},
    {"write_through_a_hard_link", run_write_through_hard_link, "d/x", M | C, 0},
    {"fsync", run_fsync, "d/x", 0, 0},
    {"chmod", run_chmod, "d/x", C, 0},
    {"fchmod", run_fchmod, "d/x", C, 0},
    {"chmod_to_the_same", run_chmod_same, "d/x", C, 0},
    {"chown", run_chown, "d/x", C, 0},
    {"truncate", run_truncate, "d/x", M | C, 0},
    {"truncate_to_the_same", run_truncate_same, "d/x", M | C, 0},
    {"ftruncate", run_ftruncate, "d/x", M | C, 0},
    {"open_trunc", run_open_trunc, "d/x", M | C, 0},
    {"open_trunc_of_an_empty_file", run_open_trunc_empty, "d/empty", M | C, 0},
    {"utimens_of_atime", run_utimens, "d/x", A | C, 0},
    {"utimens_of_mtime", run_utimens_mtime, "d/x", M | C, 0},
    {"xattr", run_xattr, "d/x", C, 0},
    {"link", run_link, "d/x", C, M | C},
    {"link_to_another_directory", run_link_elsewhere, "d/x", C, 0},
    {"unlink_of_one_name", run_unlink_other_name, "d/x", C, M | C},
    {"rename", run_rename, NULL, 0, M | C},
    {"rename_over_another", run_rename_over, "d/x", C, M | C},
    {"rename_to_another_directory", run_rename_away, NULL, 0, M | C},
    {"rename_from_another_directory", run_rename_here, NULL, 0, M | C},
    {"creat", run_creat, NULL, 0, M | C},
    {"mkdir", run_mkdir, NULL, 0, M | C},
    {"rmdir", run_rmdir, NULL, 0, M | C},
    {"mkfifo", run_mkfifo, NULL, 0, M | C},
    {"symlink", run_symlink, NULL, 0, M | C},
    {"what_failed_changes_nothing", run_failures, "d/x", 0, 0},
};

static void
prepare(void)
{
    OK(mkdir("d", 0755));
    file_with("d/x", "text");
    OK(link("d/x", "d/hard"));
    file_with("d/y", "text");
    file_with("d/empty", "");
    OK(mkdir("d/sub", 0755));
    file_with("outer", "text");
}

static int
changes(struct stat a, struct stat b)
{
    return (same_time(a.st_atim, b.st_atim) ? 0 : A) | (same_time(a.st_mtim, b.st_mtim) ? 0 : M) |
           (same_time(a.st_ctim, b.st_ctim) ? 0 : C);
}

ROWS(changed_by, times_row, rows)
{
    struct stat file = {0}, dir;
    int fd;

    prepare();
    fd = fd_of("d/x", O_RDWR);
    if (row->file != NULL)
        file = st_of(row->file);
    dir = st_of("d");
    tick();
    row->run(fd);
    if (row->file != NULL)
        EQ(changes(file, st_of(row->file)), row->file_changes);
    EQ(changes(dir, st_of("d")) & ~A, row->dir_changes);
}

CLAIM(a_new_file_has_three_equal_times)
{
    struct stat st;

    OK(close(fd_of("x", O_CREAT | O_WRONLY)));
    st = st_of("x");
    TIME_IS(st.st_mtim, st.st_ctim);
    TIME_IS(st.st_atim, st.st_mtim);
}

CLAIM(a_new_name_is_not_older_than_what_came_before)
{
    struct timespec before;

    file_with("x", "");
    before = st_of("x").st_ctim;
    tick();
    OK(mkdir("y", 0755));
    TRUE(later(st_of("y").st_mtim, before));
    TRUE(later(st_of("y").st_ctim, before));
}

CLAIM(what_an_fd_wrote_is_stamped_when_it_was_written)
{
    struct timespec written;
    int fd = fd_of("x", O_CREAT | O_WRONLY);

    EQ(write(fd, "text", 4), 4);
    written = st_fd(fd).st_mtim;
    tick();
    OK(close(fd));
    TIME_IS(st_of("x").st_mtim, written);
}

CLAIM(a_set_mtime_stays_after_close)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}};
    int fd = fd_of("x", O_CREAT | O_WRONLY);

    EQ(write(fd, "text", 4), 4);
    OK(futimens(fd, t));
    OK(close(fd));
    EQ(st_of("x").st_mtim.tv_sec, 2000);
}

/* With relatime an access time moves when it is not later than the mtime. */
CLAIM(reading_moves_the_access_time)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}};
    struct stat before;
    char c;
    int fd;

    make("x", K_FILE);
    OK(utimensat(AT_FDCWD, "x", t, 0));
    before = st_of("x");
    tick();
    fd = fd_of("x", O_RDONLY);
    EQ(read(fd, &c, 1), 1);
    EQ(changes(before, st_of("x")), A);
}

CLAIM(reading_a_directory_moves_its_access_time)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}};
    DIR *d;

    make("d", K_FULL);
    OK(utimensat(AT_FDCWD, "d", t, 0));
    d = dir_of("d");
    TRUE(readdir(d) != NULL);
    TRUE(st_of("d").st_atim.tv_sec > 2000);
}

CLAIM(reading_a_symlink_moves_its_access_time)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}};
    char to[16];

    make("x", K_DANGLING);
    OK(utimensat(AT_FDCWD, "x", t, AT_SYMLINK_NOFOLLOW));
    OK(readlink("x", to, sizeof(to)));
    TRUE(st_of("x").st_atim.tv_sec > 2000);
}

CLAIM(noatime_leaves_the_access_time)
{
    struct timespec t[2] = {{1000, 0}, {2000, 0}};
    char c;

    make("x", K_FILE);
    OK(utimensat(AT_FDCWD, "x", t, 0));
    EQ(read(fd_of("x", O_RDONLY | O_NOATIME), &c, 1), 1);
    EQ(st_of("x").st_atim.tv_sec, 1000);
}

CLAIM(the_times_of_a_replaced_open_file_stay)
{
    struct stat before;
    int fd;

    make("x", K_FILE);
    file_with("y", "other");
    fd = fd_of("x", O_RDONLY);
    before = st_fd(fd);
    tick();
    OK(rename("y", "x"));
    EQ(changes(before, st_fd(fd)), C);
}

CLAIM(a_moved_directory_changes_both_parents)
{
    struct stat a, b;

    make("a", K_DIR);
    make("b", K_DIR);
    OK(mkdir("a/d", 0755));
    a = st_of("a");
    b = st_of("b");
    tick();
    OK(rename("a/d", "b/d"));
    EQ(changes(a, st_of("a")) & ~A, M | C);
    EQ(changes(b, st_of("b")) & ~A, M | C);
}
