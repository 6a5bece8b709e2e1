/*
 * open: every flag on every kind of name, and what the flags then do.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct open_row {
    const char *name;
    int flags;
    enum kind kind;
    int error;
};

/* All with O_NONBLOCK, so that a FIFO answers. */
#define FLAGS(name, flags, none, file, dir, link, dirlink, dangling, loop, fifo, sock)             \
    {name ".missing", flags, K_MISSING, none}, {name ".file", flags, K_FILE, file},                \
        {name ".dir", flags, K_DIR, dir}, {name ".link", flags, K_LINK, link},                     \
        {name ".dirlink", flags, K_DIRLINK, dirlink},                                              \
        {name ".dangling", flags, K_DANGLING, dangling}, {name ".loop", flags, K_LOOP, loop},      \
        {name ".fifo", flags, K_FIFO, fifo}, {name ".socket", flags, K_SOCKET, sock},

// clang-format off
static const struct open_row rows[] = {
    /*                                       missing file    dir      link    dirlink  dangling loop    fifo    socket */
    FLAGS("rdonly", O_RDONLY,                ENOENT, 0,      0,       0,      0,       ENOENT, ELOOP,  0,      ENXIO)
    FLAGS("wronly", O_WRONLY,                ENOENT, 0,      EISDIR,  0,      EISDIR,  ENOENT, ELOOP,  ENXIO,  ENXIO)
    FLAGS("rdwr", O_RDWR,                    ENOENT, 0,      EISDIR,  0,      EISDIR,  ENOENT, ELOOP,  0,      ENXIO)
    FLAGS("append", O_WRONLY | O_APPEND,     ENOENT, 0,      EISDIR,  0,      EISDIR,  ENOENT, ELOOP,  ENXIO,  ENXIO)
    FLAGS("sync", O_RDWR | O_SYNC,           ENOENT, 0,      EISDIR,  0,      EISDIR,  ENOENT, ELOOP,  0,      ENXIO)
    FLAGS("trunc", O_WRONLY | O_TRUNC,       ENOENT, 0,      EISDIR,  0,      EISDIR,  ENOENT, ELOOP,  ENXIO,  ENXIO)
    FLAGS("rdtrunc", O_RDONLY | O_TRUNC,     ENOENT, 0,      EISDIR,  0,      EISDIR,  ENOENT, ELOOP,  0,      ENXIO)
    FLAGS("creat", O_RDWR | O_CREAT,         0,      0,      EISDIR,  0,      EISDIR,  0,      ELOOP,  0,      ENXIO)
    FLAGS("rdcreat", O_RDONLY | O_CREAT,     0,      0,      EISDIR,  0,      EISDIR,  0,      ELOOP,  0,      ENXIO)
    FLAGS("excl", O_RDWR | O_CREAT | O_EXCL, 0,      EEXIST, EEXIST,  EEXIST, EEXIST,  EEXIST, EEXIST, EEXIST, EEXIST)
    FLAGS("directory", O_DIRECTORY,          ENOENT, ENOTDIR, 0,      ENOTDIR, 0,      ENOENT, ELOOP,  ENOTDIR, ENOTDIR)
    FLAGS("wrdir", O_WRONLY | O_DIRECTORY,   ENOENT, ENOTDIR, EISDIR, ENOTDIR, EISDIR, ENOENT, ELOOP,  ENOTDIR, ENOTDIR)
    FLAGS("nofollow", O_NOFOLLOW,            ENOENT, 0,      0,       ELOOP,  ELOOP,   ELOOP,  ELOOP,  0,      ENXIO)
    FLAGS("nofcreat", O_RDWR | O_NOFOLLOW | O_CREAT, 0, 0,   EISDIR,  ELOOP,  ELOOP,   ELOOP,  ELOOP,  0,      ENXIO)
    FLAGS("nofdir", O_NOFOLLOW | O_DIRECTORY, ENOENT, ENOTDIR, 0,     ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR, ENOTDIR)
    FLAGS("path", O_PATH,                    ENOENT, 0,      0,       0,      0,       ENOENT, ELOOP,  0,      0)
    FLAGS("pathnof", O_PATH | O_NOFOLLOW,    ENOENT, 0,      0,       0,      0,       0,      0,      0,      0)
    FLAGS("pathdir", O_PATH | O_DIRECTORY,   ENOENT, ENOTDIR, 0,      ENOTDIR, 0,      ENOENT, ELOOP,  ENOTDIR, ENOTDIR)
    FLAGS("noatime", O_NOATIME,              ENOENT, 0,      0,       0,      0,       ENOENT, ELOOP,  0,      ENXIO)
};
// clang-format on

ROWS(answers, open_row, rows)
{
    mode_t before = 0;

    make("x", row->kind);
    if (row->kind != K_MISSING)
        before = st_of("x").st_mode;
    GIVES(open("x", row->flags | O_NONBLOCK, 0644), row->error);
    if (row->kind != K_MISSING)
        EQ(st_of("x").st_mode, before);
    else
        EQ(exists("x"), row->error == 0);
    if (row->kind == K_DANGLING)
        EQ(exists("x.to"), row->error == 0 && (row->flags & O_CREAT) != 0);
    if (row->kind == K_FILE)
        EQ(st_of("x").st_size, (row->flags & O_TRUNC) != 0 ? 0 : 4);
}

CLAIM(creat_makes_an_empty_file)
{
    int fd = OK(open("x", O_CREAT | O_EXCL | O_WRONLY, 0640)) >= 0;
    struct stat st = st_of("x");

    TRUE(fd);
    TRUE(S_ISREG(st.st_mode));
    EQ(st.st_size, 0);
    EQ(st.st_nlink, 1);
    OCTAL(st.st_mode & 07777, 0640);
}

CLAIM(creat_of_what_is_there_keeps_content_mode_and_owner)
{
    make("x", K_FILE);
    OK(chmod("x", 0604));
    OK(close(fd_of("x", O_CREAT | O_WRONLY)));
    HOLDS("x", "text");
    OCTAL(mode_of("x"), 0604);
}

CLAIM(creat_readonly_mode_gives_a_writable_fd)
{
    int fd = (int)OK(open("x", O_CREAT | O_EXCL | O_RDWR, 0444));

    EQ(write(fd, "text", 4), 4);
    OCTAL(mode_of("x"), 0444);
    HOLDS("x", "text");
}

CLAIM(creat_through_a_dangling_symlink_makes_its_target)
{
    make("x", K_DANGLING);
    file_with("x", "new");
    HOLDS("x.to", "new");
}

CLAIM(creat_of_a_name_with_a_slash_is_eisdir)
{
    FAILS(open("x/", O_CREAT | O_WRONLY, 0644), EISDIR);
    TRUE(!exists("x"));
}

CLAIM(trunc_empties_and_keeps_the_mode)
{
    make("x", K_FILE);
    OK(chmod("x", 0600));
    OK(close(fd_of("x", O_TRUNC | O_WRONLY)));
    EQ(st_of("x").st_size, 0);
    OCTAL(mode_of("x"), 0600);
}

CLAIM(trunc_is_seen_by_those_who_have_it_open)
{
    char c;
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDONLY);
    OK(close(fd_of("x", O_TRUNC | O_WRONLY)));
    EQ(st_fd(fd).st_size, 0);
    EQ(read(fd, &c, 1), 0);
}

CLAIM(append_writes_at_the_end_wherever_the_offset_is)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_APPEND | O_RDWR);
    EQ(lseek(fd, 1, SEEK_SET), 1);
    EQ(write(fd, "+", 1), 1);
    EQ(lseek(fd, 0, SEEK_CUR), 5);
    HOLDS("x", "text+");
}

CLAIM(append_sees_what_others_appended)
{
    int a = fd_of("x", O_CREAT | O_APPEND | O_WRONLY), b = fd_of("x", O_APPEND | O_WRONLY);

    EQ(write(a, "1", 1), 1);
    EQ(write(b, "2", 1), 1);
    EQ(write(a, "3", 1), 1);
    HOLDS("x", "123");
}

CLAIM(append_can_be_switched_on_and_off)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    OK(fcntl(fd, F_SETFL, O_APPEND));
    EQ(write(fd, "+", 1), 1);
    HOLDS("x", "text+");
    OK(fcntl(fd, F_SETFL, 0));
    EQ(pwrite(fd, "T", 1, 0), 1);
    HOLDS("x", "Text+");
}

CLAIM(pwrite_with_append_appends)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_APPEND | O_WRONLY);
    EQ(pwrite(fd, "+", 1, 0), 1);
    HOLDS("x", "text+");
}

CLAIM(appenders_side_by_side_lose_nothing)
{
    char line[32];
    struct stat st;
    pid_t pids[4];

    for (int p = 0; p < 4; p++) {
        pids[p] = (pid_t)OK(fork());
        if (pids[p] != 0)
            continue;
        for (int i = 0, fd = fd_of("x", O_CREAT | O_APPEND | O_WRONLY); i < 100; i++) {
            snprintf(line, sizeof(line), "writer %d line %05d\n", p, i);
            EQ(write(fd, line, 20), 20);
        }
        _exit(0);
    }
    for (int p = 0; p < 4; p++)
        as_wait(pids[p]);
    st = st_of("x");
    EQ(st.st_size, 4 * 100 * 20);
}

CLAIM(excl_has_one_winner)
{
    pid_t pids[8];

    for (int round = 0; round < 10; round++) {
        char name[16];

        snprintf(name, sizeof(name), "lock%d", round);
        for (int p = 0; p < 8; p++) {
            pids[p] = (pid_t)OK(fork());
            if (pids[p] != 0)
                continue;
            if (open(name, O_CREAT | O_EXCL | O_WRONLY, 0644) >= 0) {
                int fd = fd_of("winners", O_CREAT | O_APPEND | O_WRONLY);

                EQ(write(fd, "w", 1), 1);
            } else {
                EQ(errno, EEXIST);
            }
            _exit(0);
        }
        for (int p = 0; p < 8; p++)
            as_wait(pids[p]);
    }
    EQ(st_of("winners").st_size, 10);
}

CLAIM(a_reader_cannot_write_and_a_writer_cannot_read)
{
    char c = 'x';
    int in, out;

    make("x", K_FILE);
    in = fd_of("x", O_RDONLY);
    out = fd_of("x", O_WRONLY);
    FAILS(write(in, &c, 1), EBADF);
    FAILS(pwrite(in, &c, 1, 0), EBADF);
    FAILS(read(out, &c, 1), EBADF);
    FAILS(pread(out, &c, 1, 0), EBADF);
    FAILS(ftruncate(in, 0), EINVAL);
    HOLDS("x", "text");
}

CLAIM(a_directory_cannot_be_read_or_written)
{
    char c;
    int fd;

    make("x", K_DIR);
    fd = fd_of("x", O_RDONLY);
    FAILS(read(fd, &c, 1), EISDIR);
    FAILS(write(fd, &c, 1), EBADF);
    FAILS(ftruncate(fd, 0), EINVAL);
}

CLAIM(a_path_fd_can_only_be_looked_at)
{
    char c = 'x';
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_PATH);
    EQ(st_fd(fd).st_size, 4);
    EQ(fcntl(fd, F_GETFL) & O_PATH, O_PATH);
    FAILS(read(fd, &c, 1), EBADF);
    FAILS(write(fd, &c, 1), EBADF);
    FAILS(ftruncate(fd, 0), EBADF);
    FAILS(fsync(fd), EBADF);
    FAILS(lseek(fd, 0, SEEK_SET), EBADF);
}

CLAIM(a_path_fd_follows_its_file_through_rename_and_unlink)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_PATH);
    OK(rename("x", "y"));
    EQ(st_fd(fd).st_nlink, 1);
    OK(unlink("y"));
    EQ(st_fd(fd).st_nlink, 0);
}

CLAIM(a_path_fd_of_a_symlink_is_the_symlink)
{
    char to[16];
    int fd;

    make("x", K_DANGLING);
    fd = fd_of("x", O_PATH | O_NOFOLLOW);
    TRUE(S_ISLNK(st_fd(fd).st_mode));
    EQ(readlinkat(fd, "", to, sizeof(to)), 4);
}

static int
open_fd_again(int fd, int flags)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return open(path, flags);
}

CLAIM(an_fd_can_be_opened_again_through_proc)
{
    int fd;

    make("x", K_FILE);
    fd = (int)OK(open_fd_again(fd_of("x", O_PATH), O_RDWR));
    EQ(write(fd, "T", 1), 1);
    HOLDS("x", "Text");
    make("d", K_DIR);
    OK(open_fd_again(fd_of("d", O_PATH), O_RDONLY | O_DIRECTORY));
}

CLAIM(an_unlinked_file_can_be_opened_again_through_proc)
{
    char text[4];
    int fd, again;

    make("x", K_FILE);
    fd = fd_of("x", O_RDONLY);
    OK(unlink("x"));
    again = (int)OK(open_fd_again(fd, O_RDONLY));
    EQ(read(again, text, 4), 4);
}

CLAIM(two_opens_have_two_offsets_and_a_dup_shares_one)
{
    char c;
    int a, b;

    make("x", K_FILE);
    a = fd_of("x", O_RDONLY);
    b = fd_of("x", O_RDONLY);
    EQ(read(a, &c, 1), 1);
    EQ(lseek(a, 0, SEEK_CUR), 1);
    EQ(lseek(b, 0, SEEK_CUR), 0);
    EQ(read(dup(a), &c, 1), 1);
    EQ(lseek(a, 0, SEEK_CUR), 2);
}

CLAIM(getfl_tells_the_flags)
{
    make("x", K_FILE);
    EQ(fcntl(fd_of("x", O_RDONLY), F_GETFL) & O_ACCMODE, O_RDONLY);
    EQ(fcntl(fd_of("x", O_WRONLY), F_GETFL) & O_ACCMODE, O_WRONLY);
    EQ(fcntl(fd_of("x", O_RDWR | O_APPEND), F_GETFL) & (O_ACCMODE | O_APPEND), O_RDWR | O_APPEND);
}

CLAIM(openat_starts_at_its_directory)
{
    int d, fd;

    make("d", K_FULL);
    d = fd_of("d", O_RDONLY | O_DIRECTORY);
    fd = (int)OK(openat(d, "in", O_RDONLY));
    EQ(st_fd(fd).st_size, 5);
    OK(openat(d, "new", O_CREAT | O_WRONLY, 0644));
    TRUE(exists("d/new"));
    FAILS(openat(fd, "x", O_RDONLY), ENOTDIR);
    FAILS(openat(999, "x", O_RDONLY), EBADF);
    OK(rename("d", "e"));
    OK(openat(d, "in", O_RDONLY));
}

CLAIM(noatime_is_for_the_owner)
{
    file_new("x", 0644);
    give("x", &alice);
    AS(&alice)
    {
        OK(open("x", O_RDONLY | O_NOATIME));
    }
    AS(&bob)
    {
        FAILS(open("x", O_RDONLY | O_NOATIME), EPERM);
    }
}

CLAIM(existing_files_open_with_creat_in_a_directory_one_cannot_write)
{
    dir_new("d", 0755);
    file_new("d/x", 0666);
    AS(&bob)
    {
        OK(open("d/x", O_CREAT | O_RDWR, 0644));
        FAILS(open("d/y", O_CREAT | O_RDWR, 0644), EACCES);
        FAILS(open("d/x", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
    }
}

CLAIM(too_many_open_files_is_emfile)
{
    struct rlimit few = {16, 16};
    int r = 0;

    make("x", K_FILE);
    OK(setrlimit(RLIMIT_NOFILE, &few));
    for (int i = 0; i < 20 && r >= 0; i++)
        r = open("x", O_RDONLY);
    FAILS(r, EMFILE);
}

CLAIM(a_running_program_cannot_be_written)
{
    int fd = fd_of("/proc/self/exe", O_RDONLY), out = fd_of("x", O_CREAT | O_WRONLY), go[2],
        ready[2];
    static char block[65536];
    ssize_t n;
    pid_t pid;

    while ((n = OK(read(fd, block, sizeof(block)))) > 0)
        EQ(write(out, block, (size_t)n), n);
    OK(close(out));
    OK(close(fd));
    OK(chmod("x", 0755));
    OK(pipe(go));
    OK(pipe2(ready, O_CLOEXEC));
    pid = (pid_t)OK(fork());
    if (pid == 0) {
        /* a copy of this program that waits: for a directory that never is there */
        OK(mkfifo("wait", 0600));
        OK(execl("./x", "x", "/proc/self/none", "-l", "wait", (char *)NULL));
    }
    OK(close(ready[1]));
    EQ(read(ready[0], block, 1), 0); /* closed by exec */
    FAILS(open("x", O_WRONLY), ETXTBSY);
    FAILS(truncate("x", 0), ETXTBSY);
}

static bool
tmpfile_works(void)
{
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

CLAIM(a_tmpfile_has_no_name_and_can_be_given_one)
{
    char path[64];
    int fd;

    NEEDS(tmpfile_works(), "O_TMPFILE");
    fd = (int)OK(open(".", O_TMPFILE | O_RDWR, 0640));
    EQ(st_fd(fd).st_nlink, 0);
    EQ(write(fd, "text", 4), 4);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    OK(linkat(AT_FDCWD, path, AT_FDCWD, "x", AT_SYMLINK_FOLLOW));
    EQ(st_fd(fd).st_nlink, 1);
    HOLDS("x", "text");
}

CLAIM(a_tmpfile_with_excl_stays_nameless)
{
    char path[64];
    int fd;

    NEEDS(tmpfile_works(), "O_TMPFILE");
    fd = (int)OK(open(".", O_TMPFILE | O_RDWR | O_EXCL, 0640));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    FAILS(linkat(AT_FDCWD, path, AT_FDCWD, "x", AT_SYMLINK_FOLLOW), ENOENT);
}
