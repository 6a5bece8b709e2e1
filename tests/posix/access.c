/*
 * Who may do what: permission classes on files and directories, access().
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <unistd.h>

/* The file is alice's, and of her group. */
struct perm_row {
    const char *name;
    mode_t mode;
    struct who *who;
    int may; /* of R_OK, W_OK, X_OK */
};

#define CLASS(name, who, shift, others)                                                            \
    {name "_none", (others), who, 0}, {name "_r", (others) | 04 << (shift), who, R_OK},            \
        {name "_w", (others) | 02 << (shift), who, W_OK},                                          \
        {name "_x", (others) | 01 << (shift), who, X_OK},                                          \
        {name "_rw", (others) | 06 << (shift), who, R_OK | W_OK},                                  \
        {name "_rx", (others) | 05 << (shift), who, R_OK | X_OK},                                  \
        {name "_wx", (others) | 03 << (shift), who, W_OK | X_OK},                                  \
        {name "_rwx", (others) | 07 << (shift), who, R_OK | W_OK | X_OK},

/* In each, all other classes have every permission: only the one that fits counts. */
static const struct perm_row perms[] = {
    CLASS("owner", &alice, 6, 0077)      //
    CLASS("group", &dave, 3, 0707)       //
    CLASS("also_group", &carol, 3, 0707) //
    CLASS("other", &bob, 0, 0770)        //
};

static void
answers(int r, bool may)
{
    GIVES(r, may ? 0 : EACCES);
}

ROWS(of_a_file, perm_row, perms)
{
    file_new("x", 0);
    give("x", &alice);
    OK(chmod("x", row->mode));
    AS(row->who)
    {
        bool r = (row->may & R_OK) != 0, w = (row->may & W_OK) != 0, x = (row->may & X_OK) != 0;

        answers(access("x", R_OK), r);
        answers(access("x", W_OK), w);
        answers(access("x", X_OK), x);
        answers(access("x", R_OK | W_OK), r && w);
        answers(access("x", R_OK | W_OK | X_OK), r && w && x);
        OK(access("x", F_OK));
        answers(open("x", O_RDONLY), r);
        answers(open("x", O_WRONLY), w);
        answers(open("x", O_RDWR), r && w);
        answers(open("x", O_WRONLY | O_TRUNC), w);
        answers(truncate("x", 1), w);
    }
}

ROWS(of_a_directory, perm_row, perms)
{
    dir_new("d", 0);
    OK(chmod("d", 0777));
    file_new("d/there", 0666);
    give("d", &alice);
    OK(chmod("d", row->mode));
    AS(row->who)
    {
        bool r = (row->may & R_OK) != 0, w = (row->may & W_OK) != 0, x = (row->may & X_OK) != 0;
        struct stat st;

        answers(access("d", R_OK), r);
        answers(access("d", W_OK), w);
        answers(access("d", X_OK), x);
        answers(opendir("d") == NULL ? -1 : 0, r);
        answers(stat("d/there", &st), x);
        answers(open("d/there", O_RDONLY), x);
        answers(open("d/new", O_CREAT | O_WRONLY, 0644), w && x);
        answers(mkdir("d/dir", 0755), w && x);
        answers(symlink("to", "d/link"), w && x);
        answers(unlink("d/there"), w && x);
        answers(chdir("d"), x);
    }
}

ROWS(of_a_path_through_a_directory, perm_row, perms)
{
    struct stat st;

    dir_new("d", 0777);
    dir_new("d/e", 0777);
    file_new("d/e/x", 0666);
    give("d", &alice);
    OK(chmod("d", row->mode));
    AS(row->who)
    {
        bool x = (row->may & X_OK) != 0;

        answers(stat("d/e/x", &st), x);
        answers(open("d/e/x", O_RDWR), x);
        answers(mkdir("d/e/new", 0755), x);
        answers(unlink("d/e/x"), x);
    }
}

CLAIM(root_may_all_but_execute_nothing)
{
    file_new("x", 0);
    OK(access("x", R_OK | W_OK));
    FAILS(access("x", X_OK), EACCES);
    OK(open("x", O_RDWR));
    OK(chmod("x", 0001));
    OK(access("x", X_OK));
    dir_new("d", 0);
    OK(access("d", R_OK | W_OK | X_OK));
    file_with("d/x", "text");
    HOLDS("d/x", "text");
}

CLAIM(a_bad_mode_is_einval)
{
    make("x", K_FILE);
    FAILS(access("x", 8), EINVAL);
    FAILS(faccessat(AT_FDCWD, "x", R_OK, 1 << 25), EINVAL);
}

CLAIM(asks_for_the_real_user)
{
    file_new("x", 0600);
    AS(NULL)
    {
        OK(setresuid(bob.uid, 0, 0));
        FAILS(access("x", R_OK), EACCES);
        OK(open("x", O_RDONLY));
    }
}

CLAIM(at_a_directory_fd)
{
    make("d", K_FULL);
    OK(faccessat(fd_of("d", O_PATH), "in", R_OK, 0));
    FAILS(faccessat(fd_of("d", O_PATH), "none", R_OK, 0), ENOENT);
    FAILS(faccessat(fd_of("d/in", O_RDONLY), "x", R_OK, 0), ENOTDIR);
    FAILS(faccessat(999, "x", R_OK, 0), EBADF);
}

CLAIM(a_program_without_x_does_not_run)
{
    file_with("x", "#!/bin/sh\nexit 0\n");
    FAILS(execl("./x", "x", (char *)NULL), EACCES);
    OK(chmod("x", 0711));
    AS(&bob)
    {
        FAILS(open("x", O_RDONLY), EACCES);
        /* the interpreter cannot read it, but it may be started */
        OK(access("x", X_OK));
    }
    OK(chmod("x", 0755));
    AS(&bob)
    {
        OK(execl("./x", "x", (char *)NULL));
    }
}

CLAIM(a_program_runs_from_here)
{
    file_with("x", "#!/bin/sh\necho ran >ran\n");
    OK(chmod("x", 0755));
    AS(NULL)
    {
        OK(execl("./x", "x", (char *)NULL));
    }
    HOLDS("ran", "ran\n");
}

CLAIM(an_open_fd_keeps_its_rights)
{
    file_new("x", 0666);
    AS(&bob)
    {
        int fd = fd_of("x", O_RDWR);
        char c;

        AS(NULL)
        {
            EQ(write(fd, "text", 4), 4);
        }
        EQ(pread(fd, &c, 1, 0), 1);
    }
    OK(chmod("x", 0));
    AS(&bob)
    {
        FAILS(open("x", O_RDONLY), EACCES);
    }
}

CLAIM(an_inherited_fd_works_for_another_user)
{
    int fd;

    file_new("x", 0600);
    fd = fd_of("x", O_RDWR);
    AS(&bob)
    {
        char c;

        EQ(write(fd, "text", 4), 4);
        EQ(pread(fd, &c, 1, 0), 1);
        EQ(st_fd(fd).st_size, 4);
        OK(ftruncate(fd, 2));
        OK(fsync(fd));
    }
    EQ(st_of("x").st_size, 2);
}

CLAIM(an_inherited_directory_works_as_its_mode_allows)
{
    int fd;

    dir_new("d", 0700);
    file_with("d/x", "text");
    fd = fd_of("d", O_RDONLY);
    AS(&bob)
    {
        FAILS(openat(fd, "x", O_RDONLY), EACCES);
        FAILS(mkdirat(fd, "y", 0755), EACCES);
    }
    OK(chmod("d", 0755));
    AS(&bob)
    {
        OK(openat(fd, "x", O_RDONLY));
    }
}
