/*
 * rename, renameat2.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct over_row {
    const char *name;
    enum kind from, to;
    int error;
};

#define OVER(name, from, none, file, dir, full, link, dirlink, dangling, fifo, socket)             \
    {name "_over_missing", from, K_MISSING, none}, {name "_over_file", from, K_FILE, file},        \
        {name "_over_dir", from, K_DIR, dir}, {name "_over_full", from, K_FULL, full},             \
        {name "_over_link", from, K_LINK, link}, {name "_over_dirlink", from, K_DIRLINK, dirlink}, \
        {name "_over_dangling", from, K_DANGLING, dangling},                                       \
        {name "_over_fifo", from, K_FIFO, fifo}, {name "_over_socket", from, K_SOCKET, socket},

// clang-format off
static const struct over_row over[] = {
    /*                            missing file     dir     full       link     dirlink  dangling fifo     socket */
    OVER("missing",  K_MISSING,   ENOENT, ENOENT,  ENOENT, ENOENT,    ENOENT,  ENOENT,  ENOENT,  ENOENT,  ENOENT)
    OVER("file",     K_FILE,      0,      0,       EISDIR, EISDIR,    0,       0,       0,       0,       0)
    OVER("dir",      K_DIR,       0,      ENOTDIR, 0,      ENOTEMPTY, ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR)
    OVER("full",     K_FULL,      0,      ENOTDIR, 0,      ENOTEMPTY, ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR)
    OVER("link",     K_LINK,      0,      0,       EISDIR, EISDIR,    0,       0,       0,       0,       0)
    OVER("dangling", K_DANGLING,  0,      0,       EISDIR, EISDIR,    0,       0,       0,       0,       0)
    OVER("fifo",     K_FIFO,      0,      0,       EISDIR, EISDIR,    0,       0,       0,       0,       0)
    OVER("socket",   K_SOCKET,    0,      0,       EISDIR, EISDIR,    0,       0,       0,       0,       0)
};
// clang-format on

ROWS(of, over_row, over)
{
    struct stat from = {0}, to = {0};

    make("from", row->from);
    make("to", row->to);
    if (row->from != K_MISSING)
        from = st_of("from");
    if (row->to != K_MISSING)
        to = st_of("to");
    if (GIVES(rename("from", "to"), row->error)) {
        TRUE(!exists("from"));
        EQ(st_of("to").st_ino, from.st_ino);
        EQ(st_of("to").st_mode, from.st_mode);
        return;
    }
    EQ(exists("from"), row->from != K_MISSING);
    if (row->to != K_MISSING)
        EQ(st_of("to").st_ino, to.st_ino);
}

CLAIM(to_itself_does_nothing)
{
    make("x", K_FILE);
    OK(rename("x", "x"));
    HOLDS("x", "text");
    make("d", K_FULL);
    OK(rename("d", "d"));
    HOLDS("d/in", "inner");
}

CLAIM(between_hard_links_of_a_file_does_nothing)
{
    make("x", K_FILE);
    OK(link("x", "y"));
    OK(rename("x", "y"));
    TRUE(exists("x") && exists("y"));
    EQ(st_of("x").st_nlink, 2);
}

CLAIM(of_a_directory_into_itself_is_einval)
{
    make("d", K_DIR);
    OK(mkdir("d/e", 0755));
    FAILS(rename("d", "d/x"), EINVAL);
    FAILS(rename("d", "d/e/x"), EINVAL);
    FAILS(rename("d", "d/e"), EINVAL);
    TRUE(exists("d/e"));
}

CLAIM(over_its_own_parent_is_enotempty)
{
    make("d", K_DIR);
    OK(mkdir("d/e", 0755));
    OK(mkdir("d/e/f", 0755));
    FAILS(rename("d/e", "d"), ENOTEMPTY);
    FAILS(rename("d/e/f", "d"), ENOTEMPTY);
    file_with("d/g", "x");
    FAILS(rename("d/g", "d"), ENOTEMPTY);
}

CLAIM(of_dots_is_ebusy)
{
    make("d", K_DIR);
    FAILS(rename("d/.", "x"), EBUSY);
    FAILS(rename("d/..", "x"), EBUSY);
    make("e", K_DIR);
    FAILS(rename("e", "d/."), EBUSY);
    FAILS(rename("e", "d/.."), EBUSY);
}

CLAIM(moves_between_directories)
{
    ino_t ino;

    make("a", K_FULL);
    make("b", K_DIR);
    ino = st_of("a/in").st_ino;
    OK(rename("a/in", "b/out"));
    TRUE(!exists("a/in"));
    EQ(st_of("b/out").st_ino, ino);
    HOLDS("b/out", "inner");
    OK(rmdir("a"));
}

CLAIM(of_a_directory_changes_its_dot_dot_and_link_counts)
{
    make("a", K_DIR);
    make("b", K_DIR);
    NEEDS(st_of("a").st_nlink == 2, "link counts of directories");
    OK(mkdir("a/d", 0755));
    file_with("a/d/f", "deep");
    EQ(st_of("a").st_nlink, 3);
    OK(rename("a/d", "b/e"));
    EQ(st_of("b/e/..").st_ino, st_of("b").st_ino);
    EQ(st_of("a").st_nlink, 2);
    EQ(st_of("b").st_nlink, 3);
    HOLDS("b/e/f", "deep");
}

CLAIM(over_an_empty_directory_lowers_the_link_count)
{
    make("a", K_DIR);
    NEEDS(st_of("a").st_nlink == 2, "link counts of directories");
    OK(mkdir("a/d", 0755));
    OK(mkdir("a/e", 0755));
    OK(rename("a/d", "a/e"));
    EQ(st_of("a").st_nlink, 3);
}

CLAIM(the_replaced_file_lives_on_for_those_who_have_it_open)
{
    char text[8];
    int fd;

    make("old", K_FILE);
    file_with("new", "newer");
    fd = fd_of("old", O_RDWR);
    OK(rename("new", "old"));
    EQ(st_fd(fd).st_nlink, 0);
    EQ(read(fd, text, sizeof(text)), 4);
    EQ(pwrite(fd, "more", 4, 4), 4);
    EQ(st_fd(fd).st_size, 8);
    HOLDS("old", "newer");
}

CLAIM(the_replaced_file_keeps_its_other_names)
{
    make("old", K_FILE);
    OK(link("old", "other"));
    file_with("new", "newer");
    OK(rename("new", "old"));
    HOLDS("other", "text");
    EQ(st_of("other").st_nlink, 1);
}

CLAIM(of_an_open_file_keeps_it_usable)
{
    int fd;

    make("x", K_FILE);
    make("d", K_DIR);
    fd = fd_of("x", O_RDWR);
    OK(rename("x", "d/y"));
    EQ(pwrite(fd, "T", 1, 0), 1);
    OK(fchmod(fd, 0600));
    OK(ftruncate(fd, 2));
    HOLDS("d/y", "Te");
    OCTAL(mode_of("d/y"), 0600);
    file_with("x", "another");
    EQ(st_fd(fd).st_size, 2);
}

CLAIM(of_a_directory_keeps_files_open_in_it_usable)
{
    int fd;

    make("d", K_FULL);
    make("e", K_DIR);
    fd = fd_of("d/in", O_RDWR);
    OK(rename("d", "e/d"));
    EQ(pwrite(fd, "I", 1, 0), 1);
    HOLDS("e/d/in", "Inner");
    EQ(st_fd(fd).st_nlink, 1);
}

CLAIM(of_the_working_directory_keeps_it_working)
{
    make("d", K_FULL);
    make("e", K_DIR);
    OK(chdir("d"));
    OK(rename("../d", "../e/moved"));
    HOLDS("in", "inner");
    file_with("new", "new");
    HOLDS("../moved/new", "new");
    HOLDS("../../e/moved/new", "new");
}

CLAIM(of_a_symlink_moves_the_symlink)
{
    make("x", K_LINK);
    OK(rename("x", "y"));
    TRUE(S_ISLNK(st_of("y").st_mode));
    TRUE(exists("x.to"));
}

CLAIM(over_a_symlink_leaves_its_target)
{
    make("x", K_LINK);
    file_with("new", "new");
    OK(rename("new", "x"));
    TRUE(S_ISREG(st_of("x").st_mode));
    HOLDS("x.to", "text");
}

CLAIM(slashes_are_for_directories)
{
    make("f", K_FILE);
    make("d", K_DIR);
    FAILS(rename("f", "g/"), ENOTDIR);
    FAILS(rename("f/", "g"), ENOTDIR);
    OK(rename("d/", "e/"));
    TRUE(exists("e"));
}

CLAIM(to_a_name_of_256_bytes_leaves_everything)
{
    make("x", K_FILE);
    FAILS(rename("x", repeat('n', 256)), ENAMETOOLONG);
    HOLDS("x", "text");
}

CLAIM(to_another_file_system_is_exdev)
{
    make("x", K_FILE);
    FAILS(rename("x", "/proc/x"), EXDEV);
    FAILS(link("/proc/self/status", "y"), EXDEV);
    HOLDS("x", "text");
}

CLAIM(below_fds)
{
    int a, b;

    make("a", K_FULL);
    make("b", K_DIR);
    a = fd_of("a", O_PATH);
    b = fd_of("b", O_PATH);
    OK(renameat(a, "in", b, "out"));
    HOLDS("b/out", "inner");
    FAILS(renameat(999, "in", b, "out"), EBADF);
    FAILS(renameat(fd_of("b/out", O_RDONLY), "in", b, "out"), ENOTDIR);
}

// --- permissions ---------------------------------------------------------------

struct dirs_row {
    const char *name;
    mode_t from, to;
    int error;
};

static const struct dirs_row dirs[] = {
    {"both_writable", 0777, 0777, 0},          {"from_not_writable", 0755, 0777, EACCES},
    {"to_not_writable", 0777, 0755, EACCES},   {"from_not_searchable", 0776, 0777, EACCES},
    {"to_not_searchable", 0777, 0776, EACCES},
};

ROWS(needs_permission_on_both_directories, dirs_row, dirs)
{
    dir_new("a", 0777);
    dir_new("b", 0777);
    AS(&alice)
    {
        file_with("a/x", "text");
    }
    OK(chmod("a", row->from));
    OK(chmod("b", row->to));
    AS(&alice)
    {
        GIVES(rename("a/x", "b/y"), row->error);
    }
    EQ(exists("a/x"), row->error != 0);
    EQ(exists("b/y"), row->error == 0);
}

CLAIM(of_a_directory_one_cannot_write_to_a_new_parent_is_eacces)
{
    dir_new("a", 0777);
    dir_new("b", 0777);
    dir_new("a/d", 0755);
    AS(&alice)
    {
        FAILS(rename("a/d", "b/d"), EACCES);
        OK(rename("a/d", "a/e"));
    }
}

struct sticky_row {
    const char *name;
    struct who *file, *dir, *actor;
    int error;
};

static const struct sticky_row sticky[] = {
    {"own_file", &alice, &bob, &alice, 0},
    {"own_directory", &alice, &bob, &bob, 0},
    {"neither", &alice, &bob, &carol, EPERM},
};

ROWS(sticky_from_directory, sticky_row, sticky)
{
    dir_new("d", 0777);
    file_new("d/x", 0666);
    give("d/x", row->file);
    give("d", row->dir);
    OK(chmod("d", 01777));
    OK(chmod(".", 0777));
    AS(row->actor)
    {
        GIVES(rename("d/x", "y"), row->error);
    }
}

ROWS(sticky_to_directory, sticky_row, sticky)
{
    dir_new("d", 0777);
    file_new("d/x", 0666);
    give("d/x", row->file);
    give("d", row->dir);
    OK(chmod("d", 01777));
    OK(chmod(".", 0777));
    AS(row->actor)
    {
        file_with("y", "mine");
        GIVES(rename("y", "d/x"), row->error);
    }
}

// --- flags --------------------------------------------------------------------------

static bool
flags_work(void)
{
    make("probe", K_FILE);
    return renameat2(AT_FDCWD, "probe", AT_FDCWD, "probed", RENAME_NOREPLACE) == 0;
}

CLAIM(noreplace_does_not_replace)
{
    NEEDS(flags_work(), "flags of renameat2");
    make("x", K_FILE);
    file_with("y", "other");
    FAILS(renameat2(AT_FDCWD, "x", AT_FDCWD, "y", RENAME_NOREPLACE), EEXIST);
    FAILS(renameat2(AT_FDCWD, "x", AT_FDCWD, "x", RENAME_NOREPLACE), EEXIST);
    HOLDS("y", "other");
    OK(renameat2(AT_FDCWD, "x", AT_FDCWD, "z", RENAME_NOREPLACE));
    HOLDS("z", "text");
}

CLAIM(exchange_exchanges)
{
    NEEDS(flags_work(), "flags of renameat2");
    make("x", K_FILE);
    make("d", K_FULL);
    OK(renameat2(AT_FDCWD, "x", AT_FDCWD, "d", RENAME_EXCHANGE));
    HOLDS("d", "text");
    HOLDS("x/in", "inner");
    FAILS(renameat2(AT_FDCWD, "x", AT_FDCWD, "none", RENAME_EXCHANGE), ENOENT);
}

CLAIM(unknown_flags_are_einval)
{
    make("x", K_FILE);
    FAILS(renameat2(AT_FDCWD, "x", AT_FDCWD, "y", 1u << 20), EINVAL);
    FAILS(renameat2(AT_FDCWD, "x", AT_FDCWD, "y", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
    TRUE(exists("x"));
}

// --- while others look ------------------------------------------------------------------

CLAIM(a_name_that_is_replaced_again_and_again_is_always_there)
{
    pid_t pid;

    file_with("x", "0");
    pid = (pid_t)OK(fork());
    if (pid == 0) {
        for (int i = 0; i < 300; i++) {
            char name[16];

            snprintf(name, sizeof(name), "n%d", i);
            file_with(name, "content");
            OK(rename(name, "x"));
        }
        file_with("done", "");
        _exit(0);
    }
    for (int n = 0; n < 100000 && access("done", F_OK) < 0; n++) {
        int fd = (int)OK(open("x", O_RDONLY));
        char text[16];

        TRUE(OK(read(fd, text, sizeof(text))) > 0);
        OK(close(fd));
    }
    as_wait(pid);
    HOLDS("x", "content");
}

CLAIM(a_thousand_times_back_and_forth)
{
    make("x", K_FILE);
    make("d", K_DIR);
    for (int i = 0; i < 500; i++) {
        OK(rename("x", "d/y"));
        OK(rename("d/y", "x"));
    }
    HOLDS("x", "text");
    OK(rmdir("d"));
}
