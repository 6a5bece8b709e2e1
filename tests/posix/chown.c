/*
 * chown, lchown, fchown, fchownat.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <unistd.h>

#define SAME ((uid_t)-1)

struct kind_row {
    const char *name;
    enum kind kind;
};

static const struct kind_row kinds[] = {
    {"file", K_FILE}, {"dir", K_DIR},       {"fifo", K_FIFO},
    {"link", K_LINK}, {"socket", K_SOCKET}, {"dangling", K_DANGLING},
};

static void
owned_by(const char *path, uid_t uid, gid_t gid)
{
    struct stat st = st_of(path);

    EQ(st.st_uid, uid);
    EQ(st.st_gid, gid);
}

ROWS(lchown_gives, kind_row, kinds)
{
    make("x", row->kind);
    OK(lchown("x", 1234, 5678));
    owned_by("x", 1234, 5678);
    OK(lchown("x", SAME, 99));
    owned_by("x", 1234, 99);
    OK(lchown("x", 98, SAME));
    owned_by("x", 98, 99);
}

ROWS(a_new_name_belongs_to_its_maker, kind_row, kinds)
{
    OK(chmod(".", 0777));
    AS(&carol)
    {
        make("x", row->kind);
    }
    owned_by("x", carol.uid, carol.gid);
}

ROWS(what_root_makes_is_roots, kind_row, kinds)
{
    make("x", row->kind);
    owned_by("x", 0, 0);
}

CLAIM(leaving_both_changes_nothing)
{
    make("x", K_FILE);
    OK(chown("x", SAME, SAME));
    owned_by("x", 0, 0);
}

CLAIM(naming_the_present_owner_is_allowed)
{
    struct stat st;

    make("x", K_FILE);
    st = st_of("x");
    OK(chown("x", st.st_uid, st.st_gid));
    owned_by("x", st.st_uid, st.st_gid);
}

CLAIM(follows_a_symlink)
{
    make("x", K_LINK);
    OK(chown("x", 1234, 5678));
    owned_by("x.to", 1234, 5678);
    owned_by("x", 0, 0);
}

CLAIM(of_a_dangling_symlink_is_enoent)
{
    make("x", K_DANGLING);
    FAILS(chown("x", 1, 1), ENOENT);
}

CLAIM(fchown_gives)
{
    make("x", K_FILE);
    OK(fchown(fd_of("x", O_RDONLY), 1234, 5678));
    owned_by("x", 1234, 5678);
}

CLAIM(fchownat_of_an_fd_itself_gives)
{
    make("x", K_FILE);
    OK(fchownat(fd_of("x", O_RDONLY), "", 1234, 5678, AT_EMPTY_PATH));
    owned_by("x", 1234, 5678);
    OK(fchownat(fd_of("x", O_PATH), "", 12, 34, AT_EMPTY_PATH));
    owned_by("x", 12, 34);
}

CLAIM(fchown_of_a_closed_fd_or_a_path_fd_is_ebadf)
{
    make("x", K_FILE);
    FAILS(fchown(999, 0, 0), EBADF);
    FAILS(fchown(fd_of("x", O_PATH), 0, 0), EBADF);
}

CLAIM(numbers_up_to_32_bits)
{
    make("x", K_FILE);
    OK(chown("x", 0xfffffffeu, 0xfffffffdu));
    owned_by("x", 0xfffffffeu, 0xfffffffdu);
}

CLAIM(the_owner_may_give_to_a_group_of_theirs)
{
    file_new("x", 0644);
    give("x", &carol);
    AS(&carol)
    {
        OK(chown("x", SAME, alice.gid));
    }
    owned_by("x", carol.uid, alice.gid);
}

CLAIM(the_owner_may_not_give_to_another_group)
{
    file_new("x", 0644);
    give("x", &carol);
    AS(&carol)
    {
        FAILS(chown("x", SAME, bob.gid), EPERM);
    }
    owned_by("x", carol.uid, carol.gid);
}

CLAIM(the_owner_may_not_give_away)
{
    file_new("x", 0644);
    give("x", &alice);
    AS(&alice)
    {
        FAILS(chown("x", bob.uid, SAME), EPERM);
        FAILS(chown("x", 0, 0), EPERM);
    }
    owned_by("x", alice.uid, alice.gid);
}

CLAIM(nobody_may_take)
{
    file_new("x", 0666);
    give("x", &alice);
    AS(&bob)
    {
        FAILS(chown("x", bob.uid, SAME), EPERM);
        FAILS(chown("x", SAME, bob.gid), EPERM);
        FAILS(lchown("x", bob.uid, bob.gid), EPERM);
        FAILS(fchown(fd_of("x", O_RDWR), bob.uid, bob.gid), EPERM);
    }
    owned_by("x", alice.uid, alice.gid);
}

struct falls_row {
    const char *name;
    mode_t before, after;
};

static const struct falls_row falls[] = {
    {"setuid", 04755, 0755},
    {"setgid", 02755, 0755},
    {"both", 06755, 0755},
    {"sticky_stays", 01755, 01755},
};

ROWS(set_id_bits_fall_when_the_owner_changes_the_group, falls_row, falls)
{
    file_new("x", 0755);
    give("x", &carol);
    OK(chmod("x", row->before));
    AS(&carol)
    {
        OK(chown("x", SAME, alice.gid));
    }
    OCTAL(mode_of("x"), row->after);
}

ROWS(set_id_bits_fall_when_root_gives, falls_row, falls)
{
    file_new("x", 0755);
    OK(chmod("x", row->before));
    OK(chown("x", 1234, 1234));
    OCTAL(mode_of("x"), row->after);
}

CLAIM(a_directory_keeps_its_setgid_bit)
{
    dir_new("x", 02755);
    OK(chown("x", 1234, 1234));
    OCTAL(mode_of("x"), 02755);
}

CLAIM(an_open_file_changes_hands_and_stays_usable)
{
    int fd;

    make("x", K_FILE);
    fd = fd_of("x", O_RDWR);
    OK(chown("x", 1234, 1234));
    EQ(write(fd, "more", 4), 4);
    EQ(st_fd(fd).st_uid, 1234);
}
