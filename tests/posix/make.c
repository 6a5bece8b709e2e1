/*
 * mkdir, mkfifo, mknod, bind: new names that are not plain files. Umask and
 * setgid directories for everything that is made.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

struct umask_row {
    const char *name;
    mode_t mask, mode;
};

static const struct umask_row umasks[] = {
    {"0000_of_0777", 0000, 0777}, {"0022_of_0777", 0022, 0777}, {"0027_of_0666", 0027, 0666},
    {"0077_of_0777", 0077, 0777}, {"0777_of_0777", 0777, 0777}, {"0022_of_0000", 0022, 0000},
    {"0111_of_0755", 0111, 0755},
};

ROWS(the_umask_masks, umask_row, umasks)
{
    mode_t want = row->mode & ~row->mask;

    umask(row->mask);
    OK(open("file", O_CREAT | O_WRONLY, row->mode));
    OK(mkdir("dir", row->mode));
    OK(mkfifo("fifo", row->mode));
    OK(mknod("node", S_IFREG | row->mode, 0));
    OK(symlink("x", "link"));
    OCTAL(mode_of("file"), want);
    OCTAL(mode_of("dir"), want);
    OCTAL(mode_of("fifo"), want);
    OCTAL(mode_of("node"), want);
    OCTAL(mode_of("link"), 0777);
}

struct bits_row {
    const char *name;
    mode_t mode;
};

static const struct bits_row bits[] = {{"setuid", 04755}, {"setgid", 02755}, {"sticky", 01755}};

ROWS(open_takes_special_bits, bits_row, bits)
{
    OK(open("x", O_CREAT | O_WRONLY, row->mode));
    OCTAL(mode_of("x"), row->mode);
}

ROWS(mknod_takes_special_bits, bits_row, bits)
{
    OK(mknod("x", S_IFREG | row->mode, 0));
    OCTAL(mode_of("x"), row->mode);
}

CLAIM(mkdir_takes_the_sticky_bit_and_no_set_id)
{
    OK(mkdir("x", 07755));
    OCTAL(mode_of("x"), 01755);
}

// --- mkdir ---------------------------------------------------------------------

CLAIM(mkdir_makes_an_empty_directory)
{
    OK(mkdir("x", 0755));
    TRUE(S_ISDIR(st_of("x").st_mode));
    OK(rmdir("x"));
}

CLAIM(mkdir_counts_links)
{
    struct stat before = st_of(".");

    NEEDS(before.st_nlink == 2, "link counts of directories");
    OK(mkdir("x", 0755));
    EQ(st_of("x").st_nlink, 2);
    EQ(st_of(".").st_nlink, before.st_nlink + 1);
    OK(mkdir("x/y", 0755));
    EQ(st_of("x").st_nlink, 3);
    EQ(st_of(".").st_nlink, before.st_nlink + 1);
    file_with("x/f", "");
    EQ(st_of("x").st_nlink, 3);
}

CLAIM(mkdir_accepts_a_slash_at_the_end)
{
    OK(mkdir("x/", 0755));
    OK(mkdir("x/y///", 0755));
    TRUE(S_ISDIR(st_of("x/y").st_mode));
}

CLAIM(mkdir_over_a_dangling_symlink_is_eexist)
{
    make("x", K_DANGLING);
    FAILS(mkdir("x", 0755), EEXIST);
    FAILS(mkdir("x/", 0755), EEXIST);
    TRUE(!exists("x.to"));
}

CLAIM(mkdirat_works_below_an_fd)
{
    int fd;

    make("d", K_DIR);
    make("f", K_FILE);
    fd = fd_of("d", O_PATH);
    OK(mkdirat(fd, "x", 0755));
    TRUE(exists("d/x"));
    FAILS(mkdirat(fd_of("f", O_RDONLY), "x", 0755), ENOTDIR);
    FAILS(mkdirat(999, "x", 0755), EBADF);
}

CLAIM(mkdir_dot_and_dot_dot_lead_where_they_should)
{
    OK(mkdir("x", 0755));
    EQ(st_of("x/.").st_ino, st_of("x").st_ino);
    EQ(st_of("x/..").st_ino, st_of(".").st_ino);
}

CLAIM(mkdir_below_a_dot_name_that_is_missing_is_enoent)
{
    FAILS(mkdir("x/.", 0755), ENOENT);
    FAILS(mkdir("x/y", 0755), ENOENT);
}

// --- FIFOs -----------------------------------------------------------------------

CLAIM(mkfifo_makes_a_fifo)
{
    OK(mkfifo("x", 0640));
    TRUE(S_ISFIFO(st_of("x").st_mode));
    EQ(st_of("x").st_size, 0);
    EQ(st_of("x").st_nlink, 1);
}

CLAIM(a_fifo_carries_bytes_between_processes)
{
    char text[5];
    int fd;

    OK(mkfifo("x", 0640));
    if (OK(fork()) == 0) {
        EQ(write(fd_of("x", O_WRONLY), "hello", 5), 5);
        _exit(0);
    }
    fd = fd_of("x", O_RDONLY);
    EQ(read(fd, text, 5), 5);
    TRUE(memcmp(text, "hello", 5) == 0);
    EQ(read(fd, text, 5), 0);
}

CLAIM(a_fifo_without_a_reader_is_enxio)
{
    OK(mkfifo("x", 0640));
    FAILS(open("x", O_WRONLY | O_NONBLOCK), ENXIO);
    OK(open("x", O_RDONLY | O_NONBLOCK));
    OK(open("x", O_WRONLY | O_NONBLOCK));
}

CLAIM(a_fifo_renamed_or_linked_is_the_same_pipe)
{
    char text[2];
    int in;

    OK(mkfifo("x", 0640));
    in = fd_of("x", O_RDONLY | O_NONBLOCK);
    OK(link("x", "hard"));
    EQ(write(fd_of("hard", O_WRONLY | O_NONBLOCK), "1", 1), 1);
    OK(rename("x", "y"));
    EQ(write(fd_of("y", O_WRONLY | O_NONBLOCK), "2", 1), 1);
    EQ(read(in, text, 2), 2);
    TRUE(memcmp(text, "12", 2) == 0);
}

CLAIM(a_fifo_can_be_polled_and_not_seeked)
{
    struct pollfd p = {.events = POLLIN};
    int out;

    OK(mkfifo("x", 0640));
    p.fd = fd_of("x", O_RDONLY | O_NONBLOCK);
    out = fd_of("x", O_WRONLY | O_NONBLOCK);
    EQ(poll(&p, 1, 0), 0);
    EQ(write(out, "1", 1), 1);
    EQ(poll(&p, 1, 0), 1);
    FAILS(lseek(p.fd, 0, SEEK_SET), ESPIPE);
    FAILS(ftruncate(p.fd, 0), EINVAL);
}

CLAIM(a_fifo_works_after_unlink)
{
    char c;
    int in, out;

    OK(mkfifo("x", 0640));
    in = fd_of("x", O_RDONLY | O_NONBLOCK);
    out = fd_of("x", O_WRONLY);
    OK(unlink("x"));
    EQ(write(out, "1", 1), 1);
    EQ(read(in, &c, 1), 1);
    EQ(st_fd(in).st_nlink, 0);
}

// --- other nodes -------------------------------------------------------------------

CLAIM(mknod_makes_a_plain_file)
{
    OK(mknod("x", S_IFREG | 0640, 0));
    TRUE(S_ISREG(st_of("x").st_mode));
    OK(mknod("y", 0640, 0));
    TRUE(S_ISREG(st_of("y").st_mode));
}

CLAIM(mknod_makes_a_fifo_and_a_socket)
{
    OK(mknod("x", S_IFIFO | 0640, 0));
    TRUE(S_ISFIFO(st_of("x").st_mode));
    OK(mknod("y", S_IFSOCK | 0640, 0));
    TRUE(S_ISSOCK(st_of("y").st_mode));
}

struct device_row {
    const char *name;
    mode_t type;
    unsigned major_id, minor_id;
};

static const struct device_row devices[] = {
    {"char_1_3", S_IFCHR, 1, 3},
    {"block_7_200", S_IFBLK, 7, 200},
    {"char_259_70000", S_IFCHR, 259, 70000},
};

ROWS(mknod_makes_a_device, device_row, devices)
{
    struct stat st;

    OK(mknod("x", row->type | 0600, makedev(row->major_id, row->minor_id)));
    st = st_of("x");
    EQ(st.st_mode & S_IFMT, row->type);
    EQ(major(st.st_rdev), row->major_id);
    EQ(minor(st.st_rdev), row->minor_id);
}

CLAIM(a_device_node_is_the_device)
{
    struct statvfs fs;
    char c;
    int fd;

    OK(statvfs(".", &fs));
    NEEDS((fs.f_flag & ST_NODEV) == 0, "devices: it is mounted nodev");
    OK(mknod("x", S_IFCHR | 0600, makedev(1, 5)));
    fd = fd_of("x", O_RDONLY);
    EQ(read(fd, &c, 1), 1);
    EQ(c, 0);
}

CLAIM(mknod_of_a_device_needs_root)
{
    OK(chmod(".", 0777));
    AS(&alice)
    {
        FAILS(mknod("x", S_IFCHR | 0600, makedev(1, 3)), EPERM);
        FAILS(mknod("x", S_IFBLK | 0600, makedev(7, 3)), EPERM);
        OK(mknod("y", S_IFIFO | 0600, 0));
    }
    TRUE(!exists("x"));
}

CLAIM(mknod_of_a_directory_is_eperm_and_of_a_symlink_einval)
{
    FAILS(mknod("x", S_IFDIR | 0755, 0), EPERM);
    FAILS(mknod("x", S_IFLNK | 0755, 0), EINVAL);
    TRUE(!exists("x"));
}

// --- sockets -------------------------------------------------------------------------

static struct sockaddr_un
address_of(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    snprintf(a.sun_path, sizeof(a.sun_path), "%s", name);
    return a;
}

CLAIM(a_bound_socket_can_be_connected_to)
{
    struct sockaddr_un a = address_of("x");
    int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);

    OK(bind(server, (struct sockaddr *)&a, sizeof(a)));
    TRUE(S_ISSOCK(st_of("x").st_mode));
    FAILS(connect(client, (struct sockaddr *)&a, sizeof(a)), ECONNREFUSED);
    OK(listen(server, 1));
    OK(connect(client, (struct sockaddr *)&a, sizeof(a)));
    OK(rename("x", "y"));
    a = address_of("y");
    client = socket(AF_UNIX, SOCK_STREAM, 0);
    OK(connect(client, (struct sockaddr *)&a, sizeof(a)));
}

CLAIM(bind_over_anything_is_eaddrinuse)
{
    struct sockaddr_un a = address_of("x");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    make("x", K_FILE);
    FAILS(bind(fd, (struct sockaddr *)&a, sizeof(a)), EADDRINUSE);
    HOLDS("x", "text");
}

CLAIM(a_socket_cannot_be_opened)
{
    make("x", K_SOCKET);
    FAILS(open("x", O_RDONLY), ENXIO);
    FAILS(open("x", O_RDWR | O_NONBLOCK), ENXIO);
    FAILS(truncate("x", 0), EINVAL);
}

CLAIM(the_umask_masks_a_socket)
{
    umask(0077);
    make("x", K_SOCKET);
    OCTAL(mode_of("x"), 0700);
}

// --- setgid directories ----------------------------------------------------------------

struct inherit_row {
    const char *name;
    enum kind kind;
};

static const struct inherit_row inherit[] = {
    {"file", K_FILE}, {"dir", K_DIR}, {"fifo", K_FIFO}, {"link", K_LINK}, {"socket", K_SOCKET},
};

ROWS(a_setgid_directory_gives_its_group, inherit_row, inherit)
{
    dir_new("d", 0777);
    OK(chown("d", 0, bob.gid));
    OK(chmod("d", 02777));
    AS(&alice)
    {
        OK(chdir("d"));
        make("x", row->kind);
    }
    EQ(st_of("d/x").st_gid, bob.gid);
    EQ(st_of("d/x").st_uid, alice.uid);
}

CLAIM(a_directory_in_a_setgid_directory_is_setgid)
{
    dir_new("d", 02755);
    OK(mkdir("d/x", 0755));
    OCTAL(mode_of("d/x"), 02755);
    OK(mkdir("d/x/y", 0700));
    OCTAL(mode_of("d/x/y"), 02700);
    OK(close(fd_of("d/f", O_CREAT | O_WRONLY)));
    OCTAL(mode_of("d/f"), 0644);
}

CLAIM(a_setgid_file_of_a_strange_group_cannot_be_made)
{
    dir_new("d", 0777);
    OK(chown("d", 0, bob.gid));
    OK(chmod("d", 02777));
    AS(&alice)
    {
        OK(open("d/x", O_CREAT | O_WRONLY, 02755));
    }
    OCTAL(mode_of("d/x"), 0755);
}
