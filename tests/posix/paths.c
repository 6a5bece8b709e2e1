/*
 * What every call that takes a path must say about a bad one, and that it
 * works with the longest.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

struct call {
    const char *name;
    int (*run)(const char *path);
    bool makes;  /* the last name must not be there, and will be after */
    bool direct; /* does not follow a symlink as the last name */
    enum kind kind;
};

static int
run_stat(const char *path)
{
    struct stat st;

    return stat(path, &st);
}

static int
run_lstat(const char *path)
{
    struct stat st;

    return lstat(path, &st);
}

static int
run_open(const char *path)
{
    return open(path, O_RDONLY);
}

static int
run_open_creat(const char *path)
{
    return open(path, O_RDWR | O_CREAT, 0644);
}

static int
run_access(const char *path)
{
    return access(path, F_OK);
}

static int
run_chmod(const char *path)
{
    return chmod(path, 0755);
}

static int
run_chown(const char *path)
{
    return chown(path, (uid_t)-1, (gid_t)-1);
}

static int
run_lchown(const char *path)
{
    return lchown(path, (uid_t)-1, (gid_t)-1);
}

static int
run_truncate(const char *path)
{
    return truncate(path, 10);
}

static int
run_mkdir(const char *path)
{
    return mkdir(path, 0755);
}

static int
run_mkfifo(const char *path)
{
    return mkfifo(path, 0644);
}

static int
run_mknod(const char *path)
{
    return mknod(path, S_IFREG | 0644, 0);
}

static int
run_symlink(const char *path)
{
    return symlink("anything", path);
}

static int
run_readlink(const char *path)
{
    char to[100];

    return (int)readlink(path, to, sizeof(to));
}

static int
run_link_from(const char *path)
{
    return link(path, "linked");
}

static int
run_link_to(const char *path)
{
    return link("source", path);
}

static int
run_rename_from(const char *path)
{
    return rename(path, "renamed");
}

static int
run_rename_to(const char *path)
{
    return rename("source", path);
}

static int
run_utimens(const char *path)
{
    return utimensat(AT_FDCWD, path, NULL, 0);
}

static int
run_statfs(const char *path)
{
    struct statfs st;

    return statfs(path, &st);
}

static int
run_getxattr(const char *path)
{
    char value[10];

    return (int)getxattr(path, "user.x", value, sizeof(value));
}

static int
run_setxattr(const char *path)
{
    return setxattr(path, "user.x", "value", 5, 0);
}

static int
run_listxattr(const char *path)
{
    char list[1000];

    return (int)listxattr(path, list, sizeof(list));
}

static int
run_removexattr(const char *path)
{
    return removexattr(path, "user.x");
}

static const struct call calls[] = {
    {"stat", run_stat, false, false, K_FILE},
    {"lstat", run_lstat, false, true, K_FILE},
    {"open", run_open, false, false, K_FILE},
    {"open_creat", run_open_creat, true, false, K_FILE},
    {"access", run_access, false, false, K_FILE},
    {"chmod", run_chmod, false, false, K_FILE},
    {"chown", run_chown, false, false, K_FILE},
    {"lchown", run_lchown, false, true, K_FILE},
    {"truncate", run_truncate, false, false, K_FILE},
    {"mkdir", run_mkdir, true, true, K_DIR},
    {"mkfifo", run_mkfifo, true, true, K_FIFO},
    {"mknod", run_mknod, true, true, K_FILE},
    {"symlink", run_symlink, true, true, K_LINK},
    {"readlink", run_readlink, false, true, K_LINK},
    {"link_from", run_link_from, false, true, K_FILE},
    {"link_to", run_link_to, true, true, K_FILE},
    {"rename_from", run_rename_from, false, true, K_FILE},
    {"rename_to", run_rename_to, true, true, K_FILE},
    {"unlink", unlink, false, true, K_FILE},
    {"rmdir", rmdir, false, true, K_DIR},
    {"chdir", chdir, false, false, K_DIR},
    {"utimens", run_utimens, false, false, K_FILE},
    {"statfs", run_statfs, false, false, K_FILE},
    {"getxattr", run_getxattr, false, false, K_FILE},
    {"setxattr", run_setxattr, false, false, K_FILE},
    {"listxattr", run_listxattr, false, false, K_FILE},
    {"removexattr", run_removexattr, false, false, K_FILE},
};

static void
prepare(void)
{
    file_with("source", "text");
    OK(mkdir("dir", 0755));
    OK(symlink("loop", "loop"));
    file_with("file", "text");
    OK(chmod(".", 0777));
}

ROWS(enotdir_when_a_file_is_on_the_way, call, calls)
{
    prepare();
    FAILS(row->run("file/name"), ENOTDIR);
}

ROWS(enoent_when_a_directory_on_the_way_is_missing, call, calls)
{
    prepare();
    FAILS(row->run("missing/name"), ENOENT);
}

ROWS(enoent_when_a_symlink_on_the_way_leads_nowhere, call, calls)
{
    prepare();
    OK(symlink("nowhere", "dangling"));
    FAILS(row->run("dangling/name"), ENOENT);
}

ROWS(eloop_when_symlinks_go_in_circles, call, calls)
{
    prepare();
    FAILS(row->run("loop/name"), ELOOP);
}

ROWS(enametoolong_for_a_name_of_256_bytes, call, calls)
{
    prepare();
    FAILS(row->run(repeat('n', 256)), ENAMETOOLONG);
}

ROWS(enametoolong_for_a_path_of_path_max, call, calls)
{
    char *path = repeat('.', PATH_MAX);

    prepare();
    for (size_t i = 1; i < PATH_MAX - 4; i += 2)
        path[i] = '/';
    memcpy(path + PATH_MAX - 4, "name", 4);
    FAILS(row->run(path), ENAMETOOLONG);
}

ROWS(enoent_for_an_empty_path, call, calls)
{
    prepare();
    FAILS(row->run(""), ENOENT);
}

ROWS(efault_for_a_bad_pointer, call, calls)
{
    prepare();
    FAILS(row->run(nowhere), EFAULT);
}

ROWS(eacces_without_search_permission, call, calls)
{
    prepare();
    file_with("dir/name", "text");
    OK(chmod("dir", 0666));
    AS(&bob)
    {
        FAILS(row->run("dir/name"), EACCES);
    }
}

static const struct call changing[] = {
    {"open_creat", run_open_creat, true, false, K_FILE},
    {"mkdir", run_mkdir, true, true, K_DIR},
    {"mkfifo", run_mkfifo, true, true, K_FIFO},
    {"mknod", run_mknod, true, true, K_FILE},
    {"symlink", run_symlink, true, true, K_LINK},
    {"link_to", run_link_to, true, true, K_FILE},
    {"rename_to", run_rename_to, true, true, K_FILE},
    {"unlink", unlink, false, true, K_FILE},
    {"rmdir", rmdir, false, true, K_DIR},
    {"rename_from", run_rename_from, false, true, K_FILE},
};

ROWS(eacces_without_write_permission_on_the_directory, call, changing)
{
    OK(chmod(".", 0777));
    AS(&bob)
    {
        file_with("source", "text"); /* his own, or linking it may be forbidden */
    }
    OK(mkdir("dir", 0755));
    if (!row->makes)
        make("dir/name", row->kind);
    AS(&bob)
    {
        FAILS(row->run("dir/name"), EACCES);
    }
    EQ(exists("dir/name"), !row->makes);
}

/* Not for xattr calls, which not every file system has. */
static bool
is_xattr(const struct call *c)
{
    return strstr(c->name, "xattr") != NULL;
}

ROWS(a_name_of_255_bytes_will_do, call, calls)
{
    char *name = repeat('n', 255);

    prepare();
    if (!row->makes && row->kind == K_LINK)
        OK(symlink("source", name));
    else if (!row->makes)
        make(name, row->kind);
    if (row->run(name) < 0)
        TRUE(is_xattr(row) && (errno == ENODATA || errno == EOPNOTSUPP));
    if (row->makes)
        TRUE(exists(name));
}

ROWS(a_path_of_4095_bytes_will_do, call, calls)
{
    char *path = repeat('.', PATH_MAX - 1);

    prepare();
    for (size_t i = 1; i < PATH_MAX - 5; i += 2)
        path[i] = '/';
    memcpy(path + PATH_MAX - 6, "/name", 5);
    if (!row->makes && row->kind == K_LINK)
        OK(symlink("source", "name"));
    else if (!row->makes)
        make("name", row->kind);
    if (row->run(path) < 0)
        TRUE(is_xattr(row) && (errno == ENODATA || errno == EOPNOTSUPP));
    if (row->makes)
        TRUE(exists("name"));
}

ROWS(a_slash_after_a_file_is_enotdir, call, calls)
{
    prepare();
    if (strcmp(row->name, "open_creat") == 0)
        FAILS(row->run("file/"), EISDIR);
    else if (row->makes && strcmp(row->name, "rename_to") != 0)
        FAILS(row->run("file/"), EEXIST);
    else
        FAILS(row->run("file/"), ENOTDIR);
}

static const struct call lookers[] = {
    {"stat", run_stat, false, false, K_FILE},
    {"lstat", run_lstat, false, true, K_FILE},
    {"open", run_open, false, false, K_FILE},
    {"access", run_access, false, false, K_FILE},
    {"chmod", run_chmod, false, false, K_FILE},
    {"chown", run_chown, false, false, K_FILE},
    {"lchown", run_lchown, false, true, K_FILE},
    {"truncate", run_truncate, false, false, K_FILE},
    {"readlink", run_readlink, false, true, K_LINK},
    {"link_from", run_link_from, false, true, K_FILE},
    {"rename_from", run_rename_from, false, true, K_FILE},
    {"unlink", unlink, false, true, K_FILE},
    {"rmdir", rmdir, false, true, K_DIR},
    {"chdir", chdir, false, false, K_DIR},
    {"utimens", run_utimens, false, false, K_FILE},
    {"statfs", run_statfs, false, false, K_FILE},
    {"setxattr", run_setxattr, false, false, K_FILE},
    {"getxattr", run_getxattr, false, false, K_FILE},
};

ROWS(enoent_for_a_missing_name, call, lookers)
{
    prepare();
    FAILS(row->run("missing"), ENOENT);
    FAILS(row->run("dir/missing"), ENOENT);
}

static const struct call makers[] = {
    {"mkdir", run_mkdir, true, true, K_DIR},      {"mkfifo", run_mkfifo, true, true, K_FIFO},
    {"mknod", run_mknod, true, true, K_FILE},     {"symlink", run_symlink, true, true, K_LINK},
    {"link_to", run_link_to, true, true, K_FILE},
};

ROWS(eexist_over_every_kind_of_name, call, makers)
{
    static const char *const names[] = {"file",     "dir", "loop", "fifo",  "socket",
                                        "dangling", ".",   "..",   "dir/.", "/"};

    prepare();
    make("fifo", K_FIFO);
    make("socket", K_SOCKET);
    make("dangling", K_DANGLING);
    for (size_t i = 0; i < COUNT(names); i++)
        FAILS(row->run(names[i]), EEXIST);
    TRUE(!exists("dangling.to"));
    HOLDS("file", "text");
}

CLAIM(dots_and_double_slashes_are_nothing)
{
    prepare();
    file_with("dir/name", "deep");
    HOLDS("dir//name", "deep");
    HOLDS("./dir/./name", "deep");
    HOLDS("dir/../dir/name", "deep");
    FAILS(run_stat("missing/../dir/name"), ENOENT);
    FAILS(run_stat("file/../dir/name"), ENOTDIR);
}

CLAIM(dot_dot_of_a_symlinked_directory_is_its_own_parent)
{
    OK(mkdir("a", 0755));
    OK(mkdir("a/b", 0755));
    file_with("a/here", "a");
    OK(symlink("a/b", "link"));
    HOLDS("link/../here", "a");
}

CLAIM(forty_symlinks_are_followed_and_one_more_is_eloop)
{
    char from[16], to[16];

    file_with("l0", "end");
    for (int i = 1; i <= 41; i++) {
        snprintf(from, sizeof(from), "l%d", i);
        snprintf(to, sizeof(to), "l%d", i - 1);
        OK(symlink(to, from));
    }
    HOLDS("l40", "end");
    FAILS(run_stat("l41"), ELOOP);
}
