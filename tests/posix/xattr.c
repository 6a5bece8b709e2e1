/*
 * Extended attributes of users.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static void
prepare(void)
{
    make("x", K_FILE);
    NEEDS(setxattr("x", "user.probe", "", 0, 0) == 0, "user.* xattrs");
    OK(removexattr("x", "user.probe"));
}

static void
value_is(const char *path, const char *name, const char *want)
{
    char got[256];
    ssize_t n = OK(getxattr(path, name, got, sizeof(got)));

    EQ(n, strlen(want));
    TRUE(memcmp(got, want, strlen(want)) == 0);
}

static bool
in_list(const char *list, ssize_t n, const char *name)
{
    for (const char *at = list; at < list + n; at += strlen(at) + 1) {
        if (strcmp(at, name) == 0)
            return true;
    }
    return false;
}

CLAIM(what_is_set_can_be_read)
{
    prepare();
    OK(setxattr("x", "user.name", "value", 5, 0));
    value_is("x", "user.name", "value");
    OK(setxattr("x", "user.name", "other", 5, 0));
    value_is("x", "user.name", "other");
    OK(setxattr("x", "user.name", "s", 1, 0));
    value_is("x", "user.name", "s");
}

CLAIM(of_a_directory)
{
    prepare();
    make("d", K_DIR);
    OK(setxattr("d", "user.name", "value", 5, 0));
    value_is("d", "user.name", "value");
}

CLAIM(of_fds)
{
    char got[10];
    int fd;

    prepare();
    fd = fd_of("x", O_RDONLY);
    OK(fsetxattr(fd, "user.name", "value", 5, 0));
    EQ(fgetxattr(fd, "user.name", got, sizeof(got)), 5);
    EQ(flistxattr(fd, NULL, 0), 10);
    OK(fremovexattr(fd, "user.name"));
    FAILS(fgetxattr(fd, "user.name", got, sizeof(got)), ENODATA);
    FAILS(fgetxattr(999, "user.name", got, sizeof(got)), EBADF);
    FAILS(fgetxattr(fd_of("x", O_PATH), "user.name", got, sizeof(got)), EBADF);
}

CLAIM(of_an_unlinked_file)
{
    char got[10];
    int fd;

    prepare();
    fd = fd_of("x", O_RDWR);
    OK(setxattr("x", "user.name", "value", 5, 0));
    OK(unlink("x"));
    EQ(fgetxattr(fd, "user.name", got, sizeof(got)), 5);
    OK(fsetxattr(fd, "user.more", "value", 5, 0));
    OK(fremovexattr(fd, "user.name"));
    EQ(flistxattr(fd, NULL, 0), 10);
}

CLAIM(follows_a_renamed_and_linked_file)
{
    prepare();
    OK(setxattr("x", "user.name", "value", 5, 0));
    OK(rename("x", "y"));
    OK(link("y", "z"));
    value_is("y", "user.name", "value");
    value_is("z", "user.name", "value");
}

CLAIM(is_not_copied_to_a_new_file)
{
    prepare();
    OK(setxattr("x", "user.name", "value", 5, 0));
    OK(unlink("x"));
    make("x", K_FILE);
    FAILS(getxattr("x", "user.name", NULL, 0), ENODATA);
}

CLAIM(create_and_replace)
{
    prepare();
    FAILS(setxattr("x", "user.name", "v", 1, XATTR_REPLACE), ENODATA);
    OK(setxattr("x", "user.name", "v", 1, XATTR_CREATE));
    FAILS(setxattr("x", "user.name", "w", 1, XATTR_CREATE), EEXIST);
    value_is("x", "user.name", "v");
    OK(setxattr("x", "user.name", "w", 1, XATTR_REPLACE));
    value_is("x", "user.name", "w");
    FAILS(setxattr("x", "user.name", "w", 1, 99), EINVAL);
}

CLAIM(removal)
{
    prepare();
    OK(setxattr("x", "user.name", "v", 1, 0));
    OK(removexattr("x", "user.name"));
    FAILS(getxattr("x", "user.name", NULL, 0), ENODATA);
    FAILS(removexattr("x", "user.name"), ENODATA);
    EQ(listxattr("x", NULL, 0), 0);
}

struct size_row {
    const char *name;
    size_t size;
};

static const struct size_row sizes[] = {{"0", 0},     {"1", 1},       {"255", 255},
                                        {"256", 256}, {"1000", 1000}, {"3000", 3000}};

ROWS(a_value_of, size_row, sizes)
{
    char *value = repeat('v', row->size), *got = repeat('-', row->size + 10);

    prepare();
    for (size_t i = 0; i < row->size; i++)
        value[i] = (char)i;
    OK(setxattr("x", "user.name", value, row->size, 0));
    EQ(getxattr("x", "user.name", NULL, 0), row->size);
    EQ(getxattr("x", "user.name", got, row->size + 10), row->size);
    TRUE(memcmp(got, value, row->size) == 0);
    if (row->size > 1)
        FAILS(getxattr("x", "user.name", got, row->size - 1), ERANGE);
}

CLAIM(a_value_over_65536_is_e2big)
{
    prepare();
    FAILS(setxattr("x", "user.name", repeat('v', 65537), 65537, 0), E2BIG);
}

CLAIM(names)
{
    char long_name[300];

    prepare();
    snprintf(long_name, sizeof(long_name), "user.%s", repeat('n', 250));
    OK(setxattr("x", long_name, "v", 1, 0));
    value_is("x", long_name, "v");
    snprintf(long_name, sizeof(long_name), "user.%s", repeat('n', 251));
    FAILS(setxattr("x", long_name, "v", 1, 0), ERANGE);
    FAILS(setxattr("x", "", "v", 1, 0), ERANGE);
    FAILS(setxattr("x", "user.", "v", 1, 0), EINVAL);
    OK(setxattr("x", "user.\xff\xfe", "v", 1, 0));
    OK(setxattr("x", "user.a/b c", "v", 1, 0));
    OK(setxattr("x", "user.NAME", "upper", 5, 0));
    OK(setxattr("x", "user.name", "lower", 5, 0));
    value_is("x", "user.NAME", "upper");
}

CLAIM(an_unknown_namespace_is_eopnotsupp)
{
    prepare();
    FAILS(setxattr("x", "nonsense.name", "v", 1, 0), EOPNOTSUPP);
    FAILS(getxattr("x", "nonsense.name", NULL, 0), EOPNOTSUPP);
    FAILS(setxattr("x", "plain", "v", 1, 0), EOPNOTSUPP);
}

CLAIM(the_list_has_all_names)
{
    char list[4096], name[32];
    ssize_t n;

    prepare();
    EQ(listxattr("x", list, sizeof(list)), 0);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "user.name%02d", i);
        OK(setxattr("x", name, name, strlen(name), 0));
    }
    n = OK(listxattr("x", list, sizeof(list)));
    EQ(n, 20 * 12);
    EQ(listxattr("x", NULL, 0), 20 * 12);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "user.name%02d", i);
        TRUE(in_list(list, n, name));
        value_is("x", name, name);
    }
    FAILS(listxattr("x", list, 100), ERANGE);
}

struct kind_row {
    const char *name;
    enum kind kind;
};

static const struct kind_row odd_kinds[] = {
    {"link", K_LINK}, {"fifo", K_FIFO}, {"socket", K_SOCKET}};

ROWS(only_files_and_directories_have_them_not_a, kind_row, odd_kinds)
{
    prepare();
    make("odd", row->kind);
    FAILS(lsetxattr("odd", "user.name", "v", 1, 0), EPERM);
    FAILS(lgetxattr("odd", "user.name", NULL, 0), ENODATA);
}

CLAIM(a_symlink_is_followed)
{
    prepare();
    make("y", K_LINK);
    OK(setxattr("y", "user.name", "v", 1, 0));
    value_is("y.to", "user.name", "v");
}

CLAIM(permissions_are_those_of_the_file)
{
    prepare();
    OK(setxattr("x", "user.name", "v", 1, 0));
    OK(chmod("x", 0600));
    AS(&bob)
    {
        FAILS(getxattr("x", "user.name", NULL, 0), EACCES);
        FAILS(setxattr("x", "user.name", "w", 1, 0), EACCES);
        FAILS(removexattr("x", "user.name"), EACCES);
    }
    OK(chmod("x", 0604));
    AS(&bob)
    {
        EQ(getxattr("x", "user.name", NULL, 0), 1);
        FAILS(setxattr("x", "user.name", "w", 1, 0), EACCES);
    }
    OK(chmod("x", 0606));
    AS(&bob)
    {
        OK(setxattr("x", "user.name", "w", 1, 0));
    }
}

CLAIM(a_sticky_directory_takes_them_from_its_owner)
{
    prepare();
    dir_new("d", 01777);
    AS(&bob)
    {
        FAILS(setxattr("d", "user.name", "v", 1, 0), EPERM);
    }
    OK(setxattr("d", "user.name", "v", 1, 0));
}

CLAIM(trusted_ones_are_for_root)
{
    prepare();
    OK(chmod("x", 0666));
    OK(setxattr("x", "trusted.name", "v", 1, 0));
    AS(&bob)
    {
        char list[100];

        FAILS(setxattr("x", "trusted.name", "v", 1, 0), EPERM);
        FAILS(getxattr("x", "trusted.name", NULL, 0), ENODATA);
        EQ(listxattr("x", list, sizeof(list)), 0);
    }
}
