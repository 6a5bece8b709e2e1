/*
 * Reading directories, and names of every sort.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void
files_new(const char *prefix, int n)
{
    char name[64];

    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "%s%04d", prefix, i);
        OK(mknod(name, S_IFREG | 0644, 0));
    }
}

static int
count_of(const char *path)
{
    DIR *d = dir_of(path);
    int n = 0;

    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

/* How often NAME is found from where the stream is. */
static int
times_found(DIR *d, const char *name)
{
    int n = 0;

    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
        n += strcmp(e->d_name, name) == 0;
    return n;
}

CLAIM(dot_and_dot_dot_come_once)
{
    make("d", K_FULL);
    EQ(times_found(dir_of("d"), "."), 1);
    EQ(times_found(dir_of("d"), ".."), 1);
    EQ(times_found(dir_of("d"), "in"), 1);
}

CLAIM(an_empty_directory_is_empty)
{
    make("d", K_DIR);
    EQ(count_of("d"), 0);
}

struct type_row {
    const char *name;
    enum kind kind;
    unsigned char type;
};

static const struct type_row types[] = {
    {"file", K_FILE, DT_REG},  {"dir", K_DIR, DT_DIR},        {"link", K_DANGLING, DT_LNK},
    {"fifo", K_FIFO, DT_FIFO}, {"socket", K_SOCKET, DT_SOCK},
};

ROWS(type_and_inode_of, type_row, types)
{
    DIR *d = dir_of(".");
    struct dirent *e;

    make("x", row->kind);
    rewinddir(d);
    do {
        e = readdir(d);
        TRUE(e != NULL);
    } while (e == NULL || strcmp(e->d_name, "x") != 0);
    TRUE(e->d_type == row->type || e->d_type == DT_UNKNOWN);
    EQ(e->d_type, row->type);
    EQ(e->d_ino, st_of("x").st_ino);
}

CLAIM(inodes_of_dot_and_dot_dot)
{
    DIR *d;

    OK(mkdir("d", 0755));
    d = dir_of("d");
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        EQ(e->d_type, DT_DIR);
        EQ(e->d_ino, st_of(strcmp(e->d_name, ".") == 0 ? "d" : ".").st_ino);
    }
}

struct count_row {
    const char *name;
    int n;
};

static const struct count_row counts[] = {{"10", 10}, {"200", 200}, {"2000", 2000}};

ROWS(every_name_comes_once_of, count_row, counts)
{
    unsigned char *seen = memory((size_t)row->n);
    DIR *d;

    make("d", K_DIR);
    files_new("d/name-", row->n);
    d = dir_of("d");
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        long i;

        if (e->d_name[0] == '.')
            continue;
        i = strtol(e->d_name + 5, NULL, 10);
        TRUE(i >= 0 && i < row->n);
        EQ(seen[i]++, 0);
    }
    for (int i = 0; i < row->n; i++)
        EQ(seen[i], 1);
}

CLAIM(removing_all_while_reading_leaves_none)
{
    DIR *d;

    make("d", K_DIR);
    files_new("d/n", 1000);
    d = dir_of("d");
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        if (e->d_name[0] != '.')
            OK(unlinkat(dirfd(d), e->d_name, 0));
    }
    EQ(count_of("d"), 0);
    OK(rmdir("d"));
}

CLAIM(names_that_stay_come_once_while_others_come_and_go)
{
    int stay[300] = {0}, n = 0;
    char name[64];
    DIR *d;

    make("d", K_DIR);
    files_new("d/stay", 300);
    files_new("d/gone", 300);
    d = dir_of("d");
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d), n++) {
        if (strncmp(e->d_name, "stay", 4) == 0)
            stay[strtol(e->d_name + 4, NULL, 10)]++;
        snprintf(name, sizeof(name), "d/gone%04d", n % 300);
        TRUE(unlink(name) == 0 || errno == ENOENT);
        snprintf(name, sizeof(name), "d/new%d", n);
        if (n < 1000)
            OK(mknod(name, S_IFREG | 0644, 0));
    }
    for (int i = 0; i < 300; i++)
        EQ(stay[i], 1);
}

CLAIM(rewinding_shows_what_is_new)
{
    DIR *d;

    make("d", K_DIR);
    d = dir_of("d");
    EQ(times_found(d, "x"), 0);
    file_with("d/x", "");
    rewinddir(d);
    EQ(times_found(d, "x"), 1);
    OK(unlink("d/x"));
    rewinddir(d);
    EQ(times_found(d, "x"), 0);
}

CLAIM(seeking_goes_back_to_any_entry)
{
    enum { N = 300 };
    long at[N + 2];
    char name[N + 2][16];
    int n = 0;
    DIR *d;

    make("d", K_DIR);
    files_new("d/n", N);
    d = dir_of("d");
    at[0] = telldir(d);
    for (struct dirent *e = readdir(d); e != NULL && n < N + 2; e = readdir(d)) {
        snprintf(name[n++], sizeof(name[0]), "%.15s", e->d_name);
        if (n < N + 2)
            at[n] = telldir(d);
    }
    EQ(n, N + 2);
    for (int i = 0; i < n; i += 7) {
        int k = (i * 31) % n;
        struct dirent *e;

        seekdir(d, at[k]);
        e = readdir(d);
        TRUE(e != NULL);
        TRUE(e != NULL && strcmp(e->d_name, name[k]) == 0);
    }
}

CLAIM(seeking_works_while_entries_change)
{
    char after[300] = "";
    struct dirent *e;
    long at = 0;
    DIR *d;

    make("d", K_DIR);
    files_new("d/n", 200);
    d = dir_of("d");
    for (int i = 0; i < 100; i++)
        TRUE(readdir(d) != NULL);
    at = telldir(d);
    e = readdir(d);
    snprintf(after, sizeof(after), "%s", e == NULL ? "" : e->d_name);
    TRUE(after[0] != '\0');
    files_new("d/other", 50);
    seekdir(d, at);
    for (e = readdir(d); e != NULL && strncmp(e->d_name, "other", 5) == 0; e = readdir(d))
        continue;
    TRUE(e != NULL && strcmp(e->d_name, after) == 0);
}

CLAIM(two_streams_do_not_disturb_each_other)
{
    DIR *a, *b;

    make("d", K_DIR);
    files_new("d/n", 100);
    a = dir_of("d");
    b = dir_of("d");
    for (int i = 0; i < 102; i++) {
        struct dirent *x = readdir(a), *y = readdir(b);

        TRUE(x != NULL && y != NULL && strcmp(x->d_name, y->d_name) == 0);
    }
    TRUE(readdir(a) == NULL && readdir(b) == NULL);
}

CLAIM(an_fd_of_a_directory_seeks_to_its_start)
{
    char buf[4096];
    int fd;

    make("d", K_FULL);
    fd = fd_of("d", O_RDONLY | O_DIRECTORY);
    TRUE(OK(syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0);
    EQ(syscall(SYS_getdents64, fd, buf, sizeof(buf)), 0);
    EQ(lseek(fd, 0, SEEK_SET), 0);
    TRUE(OK(syscall(SYS_getdents64, fd, buf, sizeof(buf))) > 0);
}

CLAIM(a_buffer_too_small_for_an_entry_is_einval)
{
    char buf[20];

    make("d", K_FULL);
    FAILS(syscall(SYS_getdents64, fd_of("d", O_RDONLY), buf, sizeof(buf)), EINVAL);
}

CLAIM(a_small_buffer_reads_all)
{
    _Alignas(8) char buf[300];
    int fd, total = 0;
    long n;

    make("d", K_DIR);
    files_new("d/n", 50);
    fd = fd_of("d", O_RDONLY);
    while ((n = OK(syscall(SYS_getdents64, fd, buf, sizeof(buf)))) > 0) {
        for (long at = 0; at < n; total++) {
            unsigned short len;

            memcpy(&len, buf + at + 16, sizeof(len));
            at += len;
        }
    }
    EQ(total, 52);
}

CLAIM(getdents_of_a_file_is_enotdir)
{
    char buf[1000];

    make("x", K_FILE);
    FAILS(syscall(SYS_getdents64, fd_of("x", O_RDONLY), buf, sizeof(buf)), ENOTDIR);
    FAILS(opendir("x") == NULL ? -1 : 0, ENOTDIR);
}

CLAIM(reading_needs_read_permission_and_not_search)
{
    dir_new("d", 0744);
    file_with("d/x", "");
    AS(&bob)
    {
        EQ(times_found(dir_of("d"), "x"), 1);
        FAILS(open("d/x", O_RDONLY), EACCES);
    }
    OK(chmod("d", 0711));
    AS(&bob)
    {
        FAILS(opendir("d") == NULL ? -1 : 0, EACCES);
        OK(open("d/x", O_RDONLY));
    }
}

CLAIM(what_others_rename_is_found_under_one_name)
{
    make("d", K_DIR);
    file_with("d/old", "");
    OK(rename("d/old", "d/new"));
    EQ(times_found(dir_of("d"), "old"), 0);
    EQ(times_found(dir_of("d"), "new"), 1);
}

// --- names ---------------------------------------------------------------------------

static void
name_works(const char *name)
{
    struct dirent *e;
    DIR *d;

    OK(mkdir("d", 0755));
    OK(chdir("d"));
    file_with(name, "named");
    HOLDS(name, "named");
    d = dir_of(".");
    do
        e = readdir(d);
    while (e != NULL && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0));
    TRUE(e != NULL && strcmp(e->d_name, name) == 0);
    OK(rename(name, "plain"));
    OK(link("plain", name));
    OK(unlink("plain"));
    OK(unlink(name));
    OK(mkdir(name, 0755));
    OK(rmdir(name));
    OK(symlink(name, name));
    FAILS(open(name, O_RDONLY), ELOOP);
    OK(unlink(name));
}

struct name_row {
    const char *name;
    const char *bytes;
};

static const struct name_row names[] = {
    {"space", " "},
    {"three_dots", "..."},
    {"dot_and_space", ". "},
    {"dash", "-rf"},
    {"newline", "a\nb"},
    {"control", "\001\033\177"},
    {"backslash", "a\\b"},
    {"quotes", "\"'`$"},
    {"star", "*?[x]"},
    {"colon", "c:d"},
    {"utf8", "\xe4\xb8\xad\xe6\x96\x87"},
    {"latin1", "caf\xe9"},
    {"broken_utf8", "\xc3"},
    {"overlong_utf8", "\xc0\xaf"},
    {"surrogate", "\xed\xa0\x80"},
    {"all_ff", "\xff\xff\xff"},
    {"windows_device", "CON"},
    {"dot_at_the_end", "name."},
};

ROWS(a_name_of, name_row, names)
{
    name_works(row->bytes);
}

CLAIM(a_name_of_255_bytes)
{
    name_works(repeat('n', 255));
}

CLAIM(a_name_of_255_bytes_that_are_not_utf8)
{
    name_works(repeat('\xfe', 255));
}

CLAIM(every_byte_but_slash_and_nul_makes_a_name)
{
    char name[2] = "";
    int n = 0;

    make("d", K_DIR);
    OK(chdir("d"));
    for (int c = 1; c < 256; c++) {
        if (c == '/' || c == '.')
            continue;
        name[0] = (char)c;
        OK(mknod(name, S_IFREG | 0644, 0));
        n++;
    }
    EQ(count_of("."), n);
}

CLAIM(case_and_composition_make_different_names)
{
    file_with("name", "1");
    file_with("Name", "2");
    file_with("\xc3\xa9", "3");
    file_with("e\xcc\x81", "4");
    HOLDS("name", "1");
    HOLDS("Name", "2");
    HOLDS("\xc3\xa9", "3");
    HOLDS("e\xcc\x81", "4");
}

CLAIM(a_chain_of_directories_longer_than_path_max)
{
    char *name = repeat('d', 100);
    char path[PATH_MAX];

    for (int i = 0; i < 50; i++) {
        OK(mkdir(name, 0755));
        OK(chdir(name));
    }
    file_with("end", "deep");
    HOLDS("end", "deep");
    TRUE(getcwd(path, sizeof(path)) == NULL);
    EQ(errno, ERANGE);
    for (int i = 0; i < 50; i++)
        OK(chdir(".."));
    TRUE(getcwd(path, sizeof(path)) != NULL);
    TRUE(exists(name));
}

CLAIM(a_path_of_long_names_up_to_path_max)
{
    char path[PATH_MAX] = "";
    size_t n = 0;

    while (n + 201 < PATH_MAX - 10) {
        memset(path + n, 'p', 200);
        OK(mkdir(path, 0755));
        n += 200;
        path[n++] = '/';
    }
    memset(path + n, 'f', PATH_MAX - 1 - n > 255 ? 255 : PATH_MAX - 1 - n);
    file_with(path, "long");
    HOLDS(path, "long");
    OK(unlink(path));
}

/* Each makes the client look at all above it: more is a matter of minutes. */
CLAIM(a_hundred_levels_deep)
{
    char path[1024] = "";
    size_t n = 0;

    for (int i = 0; i < 100; i++) {
        path[n++] = 'd';
        OK(mkdir(path, 0755));
        path[n++] = '/';
    }
    path[n] = 'f';
    file_with(path, "deep");
    HOLDS(path, "deep");
}
