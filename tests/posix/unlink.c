/*
 * unlink and rmdir: names that go, and what stays behind them.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct kind_row {
    const char *name;
    enum kind kind;
    int error;
};

static const struct kind_row kinds[] = {
    {"file", K_FILE, 0},       {"link", K_LINK, 0},
    {"dirlink", K_DIRLINK, 0}, {"dangling", K_DANGLING, 0},
    {"loop", K_LOOP, 0},       {"fifo", K_FIFO, 0},
    {"socket", K_SOCKET, 0},   {"dir", K_DIR, EISDIR},
    {"full", K_FULL, EISDIR},  {"missing", K_MISSING, ENOENT},
};

ROWS(of, kind_row, kinds)
{
    make("x", row->kind);
    if (GIVES(unlink("x"), row->error)) {
        TRUE(!exists("x"));
        FAILS(unlink("x"), ENOENT);
    }
    EQ(exists("x"), row->error != 0 && row->kind != K_MISSING);
    if (row->kind == K_LINK || row->kind == K_DIRLINK)
        TRUE(exists("x.to"));
}

CLAIM(of_dots_is_an_error)
{
    make("d", K_DIR);
    FAILS(unlink("."), EISDIR);
    FAILS(unlink(".."), EISDIR);
    FAILS(unlink("d/."), EISDIR);
}

CLAIM(below_an_fd)
{
    int fd;

    make("d", K_FULL);
    make("d/sub", K_DIR);
    fd = fd_of("d", O_PATH);
    OK(unlinkat(fd, "in", 0));
    FAILS(unlinkat(fd, "sub", 0), EISDIR);
    OK(unlinkat(fd, "sub", AT_REMOVEDIR));
    FAILS(unlinkat(fd, "x", 1 << 20), EINVAL);
    FAILS(unlinkat(999, "x", 0), EBADF);
    OK(rmdir("d"));
}

CLAIM(a_new_file_of_the_same_name_is_another_file)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    OK(unlink("x"));
    file_with("x", "second");
    EQ(st_fd(fd).st_size, 4);
    TRUE(st_fd(fd).st_ino != st_of("x").st_ino);
    EQ(pwrite(fd, "T", 1, 0), 1);
    HOLDS("x", "second");
}

// --- a file that has no name but is open -----------------------------------------

static int
nameless(void)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    OK(unlink("x"));
    return fd;
}

CLAIM(an_open_file_counts_no_links)
{
    int fd = nameless();

    EQ(st_fd(fd).st_nlink, 0);
    EQ(st_fd(fd).st_size, 4);
}

CLAIM(an_open_file_reads_and_writes)
{
    char text[8];
    int fd = nameless();

    EQ(read(fd, text, 4), 4);
    EQ(write(fd, "more", 4), 4);
    EQ(pread(fd, text, 8, 0), 8);
    TRUE(memcmp(text, "textmore", 8) == 0);
    EQ(st_fd(fd).st_size, 8);
}

CLAIM(an_open_file_truncates)
{
    int fd = nameless();

    OK(ftruncate(fd, 1000));
    EQ(st_fd(fd).st_size, 1000);
    OK(ftruncate(fd, 0));
    EQ(st_fd(fd).st_size, 0);
}

CLAIM(an_open_file_changes_its_mode)
{
    int fd = nameless();

    OK(fchmod(fd, 0600));
    OCTAL(st_fd(fd).st_mode & 07777, 0600);
}

CLAIM(an_open_file_changes_its_owner)
{
    int fd = nameless();

    OK(fchown(fd, 1234, 5678));
    EQ(st_fd(fd).st_uid, 1234);
}

CLAIM(an_open_file_changes_its_times)
{
    struct timespec times[2] = {{1000, 0}, {2000, 0}};
    int fd = nameless();

    OK(futimens(fd, times));
    EQ(st_fd(fd).st_mtim.tv_sec, 2000);
}

CLAIM(an_open_file_syncs)
{
    int fd = nameless();

    OK(fsync(fd));
    OK(fdatasync(fd));
}

CLAIM(an_open_file_maps)
{
    int fd = nameless();
    char *p = mmap(NULL, 4, PROT_READ, MAP_PRIVATE, fd, 0);

    OK(p);
    TRUE(memcmp(p, "text", 4) == 0);
}

CLAIM(an_open_file_survives_its_directory)
{
    char text[5];
    int fd;

    make("d", K_FULL);
    fd = fd_of("d/in", O_RDWR);
    OK(unlink("d/in"));
    OK(rmdir("d"));
    EQ(read(fd, text, 5), 5);
    EQ(write(fd, "x", 1), 1);
    EQ(st_fd(fd).st_nlink, 0);
}

CLAIM(an_open_file_with_another_name_counts_it)
{
    int fd;

    make("x", K_FILE);
    OK(link("x", "y"));
    fd = fd_of("x", O_RDWR);
    OK(unlink("x"));
    EQ(st_fd(fd).st_nlink, 1);
    EQ(pwrite(fd, "T", 1, 0), 1);
    HOLDS("y", "Text");
    OK(unlink("y"));
    EQ(st_fd(fd).st_nlink, 0);
}

CLAIM(an_open_file_of_another_process_stays)
{
    char text[4];
    int pipe_fds[2];

    make("x", K_FILE);
    OK(pipe(pipe_fds));
    if (OK(fork()) == 0) {
        int fd = fd_of("x", O_RDONLY);

        EQ(write(pipe_fds[1], "o", 1), 1);
        for (int n = 0; n < 10000 && access("x", F_OK) == 0; n++)
            usleep(1000);
        EQ(read(fd, text, 4), 4);
        _exit(0);
    }
    EQ(read(pipe_fds[0], text, 1), 1);
    OK(unlink("x"));
    OK(wait(NULL));
}

CLAIM(many_open_files_without_names)
{
    int fds[100];

    for (int i = 0; i < 100; i++) {
        char c = (char)i;

        fds[i] = fd_of("x", O_CREAT | O_EXCL | O_RDWR);
        EQ(write(fds[i], &c, 1), 1);
        OK(unlink("x"));
    }
    for (int i = 0; i < 100; i++) {
        char c;

        EQ(pread(fds[i], &c, 1, 0), 1);
        EQ(c, i);
    }
}

// --- rmdir -----------------------------------------------------------------------

static const struct kind_row rmdir_kinds[] = {
    {"dir", K_DIR, 0},         {"full", K_FULL, ENOTEMPTY},     {"file", K_FILE, ENOTDIR},
    {"link", K_LINK, ENOTDIR}, {"dirlink", K_DIRLINK, ENOTDIR}, {"dangling", K_DANGLING, ENOTDIR},
    {"fifo", K_FIFO, ENOTDIR}, {"socket", K_SOCKET, ENOTDIR},   {"missing", K_MISSING, ENOENT},
};

ROWS(rmdir_of, kind_row, rmdir_kinds)
{
    make("x", row->kind);
    if (GIVES(rmdir("x"), row->error))
        TRUE(!exists("x"));
    EQ(exists("x"), row->error != 0 && row->kind != K_MISSING);
}

static const struct kind_row contents[] = {
    {"file", K_FILE, 0},         {"dir", K_DIR, 0},   {"loop", K_LOOP, 0},
    {"dangling", K_DANGLING, 0}, {"fifo", K_FIFO, 0}, {"socket", K_SOCKET, 0},
};

ROWS(rmdir_of_a_directory_that_holds, kind_row, contents)
{
    make("d", K_DIR);
    OK(chdir("d"));
    make("x", row->kind);
    OK(chdir(".."));
    FAILS(rmdir("d"), ENOTEMPTY);
    TRUE(exists("d/x"));
    OK(row->kind == K_DIR ? rmdir("d/x") : unlink("d/x"));
    if (row->kind == K_DANGLING)
        TRUE(!exists("d/x.to"));
    OK(rmdir("d"));
}

CLAIM(rmdir_of_dots)
{
    make("d", K_DIR);
    FAILS(rmdir("."), EINVAL);
    FAILS(rmdir("d/."), EINVAL);
    FAILS(rmdir(".."), ENOTEMPTY);
    FAILS(rmdir("d/.."), ENOTEMPTY);
}

CLAIM(rmdir_of_the_root_is_ebusy)
{
    FAILS(rmdir("/"), EBUSY);
}

CLAIM(rmdir_accepts_slashes)
{
    make("d", K_DIR);
    OK(rmdir("d///"));
    TRUE(!exists("d"));
}

CLAIM(rmdir_of_a_dirlink_with_a_slash_is_enotdir)
{
    make("x", K_DIRLINK);
    FAILS(rmdir("x/"), ENOTDIR);
    TRUE(exists("x.to"));
}

CLAIM(rmdir_lowers_the_link_count)
{
    make("d", K_DIR);
    NEEDS(st_of("d").st_nlink == 2, "link counts of directories");
    OK(mkdir("d/x", 0755));
    EQ(st_of("d").st_nlink, 3);
    OK(rmdir("d/x"));
    EQ(st_of("d").st_nlink, 2);
}

CLAIM(a_removed_directory_counts_no_links)
{
    int fd;

    make("d", K_DIR);
    fd = fd_of("d", O_RDONLY);
    OK(rmdir("d"));
    EQ(st_fd(fd).st_nlink, 0);
    TRUE(S_ISDIR(st_fd(fd).st_mode));
}

CLAIM(nothing_can_be_made_in_a_removed_directory)
{
    int fd;

    make("d", K_DIR);
    make("x", K_FILE);
    fd = fd_of("d", O_RDONLY);
    OK(rmdir("d"));
    FAILS(openat(fd, "x", O_CREAT | O_RDWR, 0644), ENOENT);
    FAILS(mkdirat(fd, "x", 0755), ENOENT);
    FAILS(mkfifoat(fd, "x", 0755), ENOENT);
    FAILS(symlinkat("to", fd, "x"), ENOENT);
    FAILS(linkat(AT_FDCWD, "x", fd, "x", 0), ENOENT);
    FAILS(renameat(AT_FDCWD, "x", fd, "x"), ENOENT);
    FAILS(openat(fd, "x", O_RDONLY), ENOENT);
    HOLDS("x", "text");
}

CLAIM(a_removed_directory_reads_as_empty)
{
    DIR *d;

    make("d", K_DIR);
    d = dir_of("d");
    OK(rmdir("d"));
    errno = 0;
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        TRUE(e->d_name[0] == '.');
    EQ(errno == ENOENT ? 0 : errno, 0);
}

CLAIM(a_removed_directory_still_changes_mode_and_times)
{
    int fd;

    make("d", K_DIR);
    fd = fd_of("d", O_RDONLY);
    OK(rmdir("d"));
    OK(fchmod(fd, 0700));
    OCTAL(st_fd(fd).st_mode & 07777, 0700);
    OK(futimens(fd, NULL));
}

CLAIM(a_removed_working_directory)
{
    char path[PATH_MAX];
    struct stat st;

    make("d", K_DIR);
    OK(chdir("d"));
    OK(rmdir("../d"));
    FAILS(getcwd(path, sizeof(path)) == NULL ? -1 : 0, ENOENT);
    OK(stat(".", &st));
    EQ(st.st_nlink, 0);
    FAILS(open("x", O_CREAT | O_WRONLY, 0644), ENOENT);
    FAILS(mkdir("x", 0755), ENOENT);
    OK(open(".", O_RDONLY | O_DIRECTORY));
    OK(chdir(".."));
    TRUE(!exists("d"));
}

CLAIM(a_new_directory_of_the_same_name_is_another)
{
    int fd;

    make("d", K_DIR);
    fd = fd_of("d", O_RDONLY);
    OK(rmdir("d"));
    make("d", K_FULL);
    FAILS(openat(fd, "in", O_RDONLY), ENOENT);
    OK(openat(AT_FDCWD, "d/in", O_RDONLY));
}

// --- permissions --------------------------------------------------------------------

struct sticky_row {
    const char *name;
    struct who *file, *dir, *actor;
    int error;
};

static const struct sticky_row sticky[] = {
    {"own_file", &alice, &bob, &alice, 0},
    {"own_directory", &alice, &bob, &bob, 0},
    {"neither", &alice, &bob, &carol, EPERM},
    {"only_the_group", &alice, &bob, &dave, EPERM},
};

ROWS(in_a_sticky_directory, sticky_row, sticky)
{
    dir_new("d", 0777);
    file_new("d/x", 0666);
    give("d/x", row->file);
    give("d", row->dir);
    OK(chmod("d", 01777));
    AS(row->actor)
    {
        GIVES(unlink("d/x"), row->error);
    }
}

ROWS(rmdir_in_a_sticky_directory, sticky_row, sticky)
{
    dir_new("d", 0777);
    dir_new("d/x", 0777);
    give("d/x", row->file);
    give("d", row->dir);
    OK(chmod("d", 01777));
    AS(row->actor)
    {
        GIVES(rmdir("d/x"), row->error);
    }
}

CLAIM(needs_the_directory_not_the_file)
{
    dir_new("d", 0777);
    file_new("d/x", 0);
    dir_new("e", 0755);
    file_new("e/x", 0666);
    AS(&bob)
    {
        OK(unlink("d/x"));
        FAILS(unlink("e/x"), EACCES);
    }
}

CLAIM(root_may_in_a_sticky_directory)
{
    dir_new("d", 0777);
    file_new("d/x", 0600);
    give("d/x", &alice);
    give("d", &bob);
    OK(chmod("d", 01777));
    OK(unlink("d/x"));
}
