/*
 * link, symlink, readlink.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct kind_row {
    const char *name;
    enum kind kind;
    int error;
};

static const struct kind_row linkable[] = {
    {"file", K_FILE, 0},
    {"link", K_LINK, 0},
    {"dangling", K_DANGLING, 0},
    {"fifo", K_FIFO, 0},
    {"socket", K_SOCKET, 0},
    {"dir", K_DIR, EPERM},
    {"missing", K_MISSING, ENOENT},
};

ROWS(of, kind_row, linkable)
{
    make("x", row->kind);
    if (GIVES(link("x", "y"), row->error)) {
        EQ(st_of("y").st_ino, st_of("x").st_ino);
        EQ(st_of("y").st_mode, st_of("x").st_mode);
        EQ(st_of("x").st_nlink, 2);
        EQ(st_of("y").st_nlink, 2);
        return;
    }
    TRUE(!exists("y"));
}

static const struct kind_row kinds[] = {
    {"file", K_FILE, 0}, {"dir", K_DIR, 0},           {"link", K_LINK, 0},
    {"fifo", K_FIFO, 0}, {"dangling", K_DANGLING, 0}, {"socket", K_SOCKET, 0},
};

ROWS(over, kind_row, kinds)
{
    make("x", K_FILE);
    make("y", row->kind);
    FAILS(link("x", "y"), EEXIST);
    EQ(st_of("x").st_nlink, 1);
}

CLAIM(shares_content_mode_and_times)
{
    make("x", K_FILE);
    OK(link("x", "y"));
    file_with("y", "other");
    HOLDS("x", "other");
    OK(chmod("x", 0604));
    OCTAL(mode_of("y"), 0604);
    TRUE(same_time(st_of("x").st_mtim, st_of("y").st_mtim));
    TRUE(same_time(st_of("x").st_ctim, st_of("y").st_ctim));
}

CLAIM(the_other_name_stays_when_one_goes)
{
    make("x", K_FILE);
    OK(link("x", "y"));
    OK(unlink("x"));
    HOLDS("y", "text");
    EQ(st_of("y").st_nlink, 1);
}

CLAIM(across_directories)
{
    make("a", K_FULL);
    make("b", K_DIR);
    OK(link("a/in", "b/out"));
    EQ(st_of("a/in").st_ino, st_of("b/out").st_ino);
    OK(unlink("a/in"));
    OK(rmdir("a"));
    HOLDS("b/out", "inner");
}

CLAIM(a_hundred_names)
{
    char name[16];

    make("x", K_FILE);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        OK(link(i % 2 == 0 ? "x" : "n0", name));
    }
    EQ(st_of("n99").st_nlink, 101);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        OK(unlink(name));
    }
    EQ(st_of("x").st_nlink, 1);
}

CLAIM(does_not_follow_a_symlink_unless_told)
{
    make("x", K_LINK);
    OK(linkat(AT_FDCWD, "x", AT_FDCWD, "y", 0));
    TRUE(S_ISLNK(st_of("y").st_mode));
    OK(linkat(AT_FDCWD, "x", AT_FDCWD, "z", AT_SYMLINK_FOLLOW));
    TRUE(S_ISREG(st_of("z").st_mode));
    EQ(st_of("x.to").st_nlink, 2);
}

CLAIM(of_an_fd)
{
    make("x", K_FILE);
    OK(linkat(fd_of("x", O_RDONLY), "", AT_FDCWD, "y", AT_EMPTY_PATH));
    EQ(st_of("y").st_nlink, 2);
}

CLAIM(of_an_unlinked_file_is_enoent)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDONLY);
    OK(unlink("x"));
    FAILS(linkat(fd, "", AT_FDCWD, "y", AT_EMPTY_PATH), ENOENT);
    TRUE(!exists("y"));
}

CLAIM(bad_flags_are_einval)
{
    make("x", K_FILE);
    FAILS(linkat(AT_FDCWD, "x", AT_FDCWD, "y", 1 << 20), EINVAL);
}

CLAIM(a_name_with_a_slash_is_enoent)
{
    make("x", K_FILE);
    FAILS(link("x", "y/"), ENOENT);
}

// --- symlinks ---------------------------------------------------------------------

struct target_row {
    const char *name;
    const char *to;
    size_t n; /* not 0: that many of the first character */
};

static const struct target_row targets[] = {
    {"plain", "target", 0},
    {"absolute", "/no/such/file", 0},
    {"upwards", "../../x", 0},
    {"slashes", "a//b/./c/", 0},
    {"dot", ".", 0},
    {"root", "/", 0},
    {"space", " a b ", 0},
    {"newline", "a\nb", 0},
    {"not_utf8", "\xff\xfe\x80", 0},
    {"utf8", "caf\xc3\xa9", 0},
    {"length_1", "a", 1},
    {"length_59", "b", 59},
    {"length_60", "c", 60},
    {"length_255", "d", 255},
    {"length_256", "e", 256},
    {"length_1023", "f", 1023},
    {"length_4095", "h", 4095},
};

ROWS(symlink_keeps_its_target, target_row, targets)
{
    const char *to = row->n == 0 ? row->to : repeat(row->to[0], row->n);
    char got[PATH_MAX + 1];

    OK(symlink(to, "x"));
    TRUE(S_ISLNK(st_of("x").st_mode));
    EQ(st_of("x").st_size, strlen(to));
    EQ(st_of("x").st_nlink, 1);
    EQ(readlink("x", got, sizeof(got)), strlen(to));
    TRUE(memcmp(got, to, strlen(to)) == 0);
}

ROWS(symlink_over, kind_row, kinds)
{
    make("x", row->kind);
    FAILS(symlink("anything", "x"), EEXIST);
}

CLAIM(symlink_with_an_empty_target_is_enoent)
{
    FAILS(symlink("", "x"), ENOENT);
    TRUE(!exists("x"));
}

CLAIM(symlink_with_a_target_of_4096_is_enametoolong)
{
    FAILS(symlink(repeat('x', 4096), "x"), ENAMETOOLONG);
    TRUE(!exists("x"));
}

CLAIM(symlink_below_a_file_or_a_bad_fd)
{
    make("f", K_FILE);
    make("d", K_DIR);
    FAILS(symlinkat("to", fd_of("f", O_RDONLY), "x"), ENOTDIR);
    FAILS(symlinkat("to", 999, "x"), EBADF);
    OK(symlinkat("to", fd_of("d", O_PATH), "x"));
    TRUE(exists("d/x"));
}

CLAIM(symlink_is_resolved_from_where_it_lies)
{
    make("d", K_DIR);
    file_with("x", "outer");
    file_with("d/x", "inner");
    OK(symlink("x", "d/here"));
    OK(symlink("../x", "d/above"));
    HOLDS("d/here", "inner");
    HOLDS("d/above", "outer");
    OK(rename("d/here", "here"));
    HOLDS("here", "outer");
}

CLAIM(symlink_to_a_directory_leads_into_it)
{
    make("x", K_DIRLINK);
    file_with("x/f", "through");
    HOLDS("x.to/f", "through");
    OK(mkdir("x/d", 0755));
    OK(unlink("x/f"));
    TRUE(!exists("x.to/f"));
    OK(chdir("x/d"));
    TRUE(exists("../../x.to"));
}

CLAIM(symlink_comes_alive_with_its_target)
{
    make("x", K_DANGLING);
    FAILS(open("x", O_RDONLY), ENOENT);
    file_with("x.to", "there");
    HOLDS("x", "there");
    OK(unlink("x.to"));
    FAILS(open("x", O_RDONLY), ENOENT);
}

static const struct kind_row not_links[] = {
    {"file", K_FILE, EINVAL},     {"dir", K_DIR, EINVAL},         {"fifo", K_FIFO, EINVAL},
    {"socket", K_SOCKET, EINVAL}, {"missing", K_MISSING, ENOENT},
};

ROWS(readlink_of, kind_row, not_links)
{
    char to[16];

    make("x", row->kind);
    FAILS(readlink("x", to, sizeof(to)), row->error);
}

CLAIM(readlink_cuts_off_at_the_buffer)
{
    char to[8] = "-------";

    OK(symlink("target", "x"));
    EQ(readlink("x", to, 3), 3);
    TRUE(strcmp(to, "tar----") == 0);
    EQ(readlink("x", to, 6), 6);
    FAILS(readlink("x", to, 0), EINVAL);
}

CLAIM(readlinkat_of_an_fd)
{
    char to[16];
    int fd;

    OK(symlink("target", "x"));
    make("f", K_FILE);
    fd = fd_of("x", O_PATH | O_NOFOLLOW);
    EQ(readlinkat(fd, "", to, sizeof(to)), 6);
    OK(unlink("x"));
    EQ(readlinkat(fd, "", to, sizeof(to)), 6);
    FAILS(readlinkat(fd_of("f", O_PATH), "", to, sizeof(to)), ENOENT);
}
