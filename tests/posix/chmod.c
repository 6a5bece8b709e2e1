/*
 * chmod, fchmod, fchmodat.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct mode_row {
    const char *name;
    enum kind kind;
    mode_t mode;
};

static const struct mode_row modes[] = {
    {"file_0000", K_FILE, 0000},         {"file_0400", K_FILE, 0400},
    {"file_0200", K_FILE, 0200},         {"file_0100", K_FILE, 0100},
    {"file_0040", K_FILE, 0040},         {"file_0020", K_FILE, 0020},
    {"file_0010", K_FILE, 0010},         {"file_0004", K_FILE, 0004},
    {"file_0002", K_FILE, 0002},         {"file_0001", K_FILE, 0001},
    {"file_0777", K_FILE, 0777},         {"file_1644_sticky", K_FILE, 01644},
    {"file_2755_setgid", K_FILE, 02755}, {"file_4755_setuid", K_FILE, 04755},
    {"file_7777_all", K_FILE, 07777},    {"dir_0000", K_DIR, 0000},
    {"dir_0555", K_DIR, 0555},           {"dir_0777", K_DIR, 0777},
    {"dir_1777_sticky", K_DIR, 01777},   {"dir_2755_setgid", K_DIR, 02755},
    {"dir_4755_setuid", K_DIR, 04755},   {"dir_7777_all", K_DIR, 07777},
};

static const struct mode_row other_modes[] = {
    {"fifo_0000", K_FIFO, 0000},
    {"fifo_0666", K_FIFO, 0666},
    {"socket_0600", K_SOCKET, 0600},
    {"socket_0777", K_SOCKET, 0777},
};

ROWS(sets_exactly, mode_row, modes)
{
    make("x", row->kind);
    OK(chmod("x", row->mode));
    OCTAL(mode_of("x"), row->mode);
}

ROWS(sets_exactly_of_a, mode_row, other_modes)
{
    make("x", row->kind);
    OK(chmod("x", row->mode));
    OCTAL(mode_of("x"), row->mode);
}

ROWS(an_fd_sets_exactly, mode_row, modes)
{
    int fd;

    make("x", row->kind);
    fd = fd_of("x", O_RDONLY);
    OK(fchmod(fd, row->mode));
    OCTAL(mode_of("x"), row->mode);
    OCTAL(st_fd(fd).st_mode & 07777, row->mode);
}

CLAIM(keeps_the_type)
{
    make("x", K_FIFO);
    OK(chmod("x", S_IFREG | 0640));
    TRUE(S_ISFIFO(st_of("x").st_mode));
}

CLAIM(follows_a_symlink)
{
    make("x", K_LINK);
    OK(chmod("x", 0600));
    OCTAL(mode_of("x.to"), 0600);
    OCTAL(mode_of("x"), 0777);
}

CLAIM(of_a_dangling_symlink_is_enoent)
{
    make("x", K_DANGLING);
    FAILS(chmod("x", 0600), ENOENT);
}

CLAIM(of_a_looping_symlink_is_eloop)
{
    make("x", K_LOOP);
    FAILS(chmod("x", 0600), ELOOP);
}

CLAIM(of_a_symlink_itself_is_eopnotsupp)
{
    make("x", K_LINK);
    FAILS(fchmodat(AT_FDCWD, "x", 0600, AT_SYMLINK_NOFOLLOW), EOPNOTSUPP);
    OCTAL(mode_of("x.to"), 0644);
}

CLAIM(at_a_directory_fd)
{
    int fd;

    make("d", K_FULL);
    fd = fd_of("d", O_RDONLY | O_DIRECTORY);
    OK(fchmodat(fd, "in", 0604, 0));
    OCTAL(mode_of("d/in"), 0604);
    make("f", K_FILE);
    FAILS(fchmodat(fd_of("f", O_RDONLY), "in", 0604, 0), ENOTDIR);
    FAILS(fchmodat(999, "in", 0604, 0), EBADF);
}

CLAIM(fchmod_of_a_closed_fd_or_a_path_fd_is_ebadf)
{
    make("x", K_FILE);
    FAILS(fchmod(999, 0600), EBADF);
    FAILS(fchmod(fd_of("x", O_PATH), 0600), EBADF);
}

CLAIM(an_open_file_stays_usable_whatever_its_mode)
{
    char text[4];
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    OK(chmod("x", 0));
    EQ(write(fd, "text", 4), 4);
    EQ(pread(fd, text, 4, 0), 4);
    OK(ftruncate(fd, 2));
    EQ(st_fd(fd).st_size, 2);
}

CLAIM(a_file_made_without_permissions_is_usable_by_its_maker)
{
    OK(chmod(".", 0777));
    AS(&alice)
    {
        int fd = open("x", O_CREAT | O_RDWR | O_EXCL, 0);

        OK(fd);
        EQ(write(fd, "text", 4), 4);
        OK(ftruncate(fd, 1));
        FAILS(open("x", O_RDONLY), EACCES);
    }
    OCTAL(mode_of("x"), 0);
    EQ(st_of("x").st_size, 1);
}

CLAIM(the_owner_may)
{
    OK(chmod(".", 0777));
    AS(&alice)
    {
        file_new("x", 0600);
        OK(chmod("x", 0640));
    }
    OCTAL(mode_of("x"), 0640);
}

CLAIM(nobody_else_may)
{
    file_new("x", 0666);
    give("x", &alice);
    AS(&bob)
    {
        int fd = fd_of("x", O_RDWR);

        FAILS(chmod("x", 0600), EPERM);
        FAILS(fchmod(fd, 0600), EPERM);
    }
    AS(&dave) /* the group is not enough */
    {
        FAILS(chmod("x", 0600), EPERM);
    }
    OCTAL(mode_of("x"), 0666);
}

CLAIM(setgid_falls_when_the_owner_is_not_in_the_group)
{
    file_new("x", 0755);
    OK(chown("x", alice.uid, bob.gid));
    AS(&alice)
    {
        OK(chmod("x", 02755));
    }
    OCTAL(mode_of("x"), 0755);
}

CLAIM(setgid_stays_when_the_owner_is_in_the_group)
{
    file_new("x", 0755);
    OK(chown("x", carol.uid, alice.gid));
    AS(&carol)
    {
        OK(chmod("x", 02755));
    }
    OCTAL(mode_of("x"), 02755);
}

CLAIM(a_new_mode_holds_at_once_for_others)
{
    file_new("x", 0600);
    AS(&bob)
    {
        FAILS(open("x", O_RDONLY), EACCES);
    }
    OK(chmod("x", 0604));
    AS(&bob)
    {
        OK(open("x", O_RDONLY));
    }
    OK(chmod("x", 0600));
    AS(&bob)
    {
        FAILS(open("x", O_RDONLY), EACCES);
    }
}

CLAIM(of_a_character_device)
{
    OK(mknod("x", S_IFCHR | 0600, makedev(1, 3)));
    OK(chmod("x", 0642));
    OCTAL(mode_of("x"), 0642);
}
