/*
 * Locks: fcntl byte ranges, open file descriptions, flock.
 *
 * Runs in: tests.   Trusts: nothing of the file system.   Owns: nothing.
 */
#include "tests/posix/posix.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/time.h>
#include <unistd.h>

static int
lock(int fd, int cmd, int type, off_t start, off_t len)
{
    struct flock l = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

    return fcntl(fd, cmd, &l);
}

static int
set(int fd, int type, off_t start, off_t len)
{
    return lock(fd, F_SETLK, type, start, len);
}

/* Would such a lock be granted? Asked by another process. */
static void
other_gets(int type, off_t start, off_t len, int error)
{
    AS(NULL)
    {
        GIVES(set(fd_of("x", O_RDWR), type, start, len), error);
    }
}

static int
prepared(void)
{
    file_with("x", "0123456789");
    return fd_of("x", O_RDWR);
}

CLAIM(a_write_lock_excludes_others)
{
    int fd = prepared();

    OK(set(fd, F_WRLCK, 0, 0));
    other_gets(F_WRLCK, 0, 0, EAGAIN);
    other_gets(F_RDLCK, 0, 0, EAGAIN);
    OK(set(fd, F_UNLCK, 0, 0));
    other_gets(F_WRLCK, 0, 0, 0);
}

CLAIM(read_locks_share)
{
    int fd = prepared();

    OK(set(fd, F_RDLCK, 0, 0));
    other_gets(F_RDLCK, 0, 0, 0);
    other_gets(F_WRLCK, 0, 0, EAGAIN);
}

CLAIM(ranges_are_to_the_byte)
{
    int fd = prepared();

    OK(set(fd, F_WRLCK, 2, 3));
    other_gets(F_WRLCK, 0, 2, 0);
    other_gets(F_WRLCK, 0, 3, EAGAIN);
    other_gets(F_WRLCK, 4, 1, EAGAIN);
    other_gets(F_WRLCK, 5, 5, 0);
    other_gets(F_WRLCK, 5, 0, 0);
}

CLAIM(unlocking_the_middle_leaves_two)
{
    int fd = prepared();

    OK(set(fd, F_WRLCK, 0, 10));
    OK(set(fd, F_UNLCK, 4, 2));
    other_gets(F_WRLCK, 3, 1, EAGAIN);
    other_gets(F_WRLCK, 4, 2, 0);
    other_gets(F_WRLCK, 6, 1, EAGAIN);
}

CLAIM(a_lock_without_length_reaches_to_infinity)
{
    int fd = prepared();

    OK(set(fd, F_WRLCK, 5, 0));
    other_gets(F_WRLCK, 0, 5, 0);
    other_gets(F_WRLCK, 1LL << 40, 1, EAGAIN);
    other_gets(F_WRLCK, INT64_MAX - 1, 1, EAGAIN);
}

CLAIM(ranges_beyond_the_end_and_far_out)
{
    int fd = prepared();

    OK(set(fd, F_WRLCK, 1LL << 62, 10));
    other_gets(F_WRLCK, (1LL << 62) + 9, 1, EAGAIN);
    other_gets(F_WRLCK, (1LL << 62) + 10, 1, 0);
    OK(set(fd, F_WRLCK, INT64_MAX, 1));
}

CLAIM(a_lock_changes_its_type)
{
    int fd = prepared();

    OK(set(fd, F_WRLCK, 0, 10));
    OK(set(fd, F_RDLCK, 0, 5));
    other_gets(F_RDLCK, 0, 5, 0);
    other_gets(F_RDLCK, 5, 1, EAGAIN);
    OK(set(fd, F_WRLCK, 0, 5));
    other_gets(F_RDLCK, 0, 5, EAGAIN);
}

CLAIM(a_lock_does_not_exclude_its_own_process)
{
    int fd = prepared();

    OK(set(fd, F_WRLCK, 0, 0));
    OK(set(fd_of("x", O_RDWR), F_WRLCK, 0, 0));
}

CLAIM(closing_any_fd_of_the_file_unlocks)
{
    int fd = prepared();

    OK(set(fd, F_WRLCK, 0, 0));
    OK(close(fd_of("x", O_RDONLY)));
    other_gets(F_WRLCK, 0, 0, 0);
}

CLAIM(an_ended_process_holds_no_locks)
{
    int fd = prepared();

    AS(NULL)
    {
        OK(set(fd, F_WRLCK, 0, 0));
    }
    OK(set(fd, F_WRLCK, 0, 0));
}

CLAIM(a_child_does_not_inherit)
{
    int fd = prepared();

    OK(set(fd, F_WRLCK, 0, 0));
    AS(NULL)
    {
        FAILS(set(fd, F_WRLCK, 0, 0), EAGAIN);
    }
}

CLAIM(the_fd_must_allow_what_is_locked)
{
    prepared();
    FAILS(set(fd_of("x", O_RDONLY), F_WRLCK, 0, 0), EBADF);
    FAILS(set(fd_of("x", O_WRONLY), F_RDLCK, 0, 0), EBADF);
    OK(set(fd_of("x", O_RDONLY), F_RDLCK, 0, 0));
    FAILS(set(fd_of("x", O_PATH), F_RDLCK, 0, 0), EBADF);
}

CLAIM(bad_ranges_are_einval)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = 99};
    int fd = prepared();

    FAILS(fcntl(fd, F_SETLK, &l), EINVAL);
    FAILS(set(fd, 99, 0, 0), EINVAL);
    FAILS(set(fd, F_WRLCK, -1, 0), EINVAL);
    FAILS(set(fd, F_WRLCK, 5, -6), EINVAL);
}

CLAIM(a_negative_length_reaches_backwards)
{
    int fd = prepared();

    OK(set(fd, F_WRLCK, 5, -3));
    other_gets(F_WRLCK, 0, 2, 0);
    other_gets(F_WRLCK, 2, 1, EAGAIN);
    other_gets(F_WRLCK, 5, 1, 0);
}

CLAIM(getlk_tells_who_holds_what)
{
    int fd = prepared();
    pid_t me = getpid();

    OK(set(fd, F_WRLCK, 3, 4));
    AS(NULL)
    {
        struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

        OK(fcntl(fd_of("x", O_RDWR), F_GETLK, &l));
        EQ(l.l_type, F_WRLCK);
        EQ(l.l_start, 3);
        EQ(l.l_len, 4);
        EQ(l.l_whence, SEEK_SET);
        EQ(l.l_pid, me);
    }
}

CLAIM(getlk_tells_a_read_lock)
{
    int fd = prepared();

    OK(set(fd, F_RDLCK, 3, 4));
    AS(NULL)
    {
        struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 5};

        OK(fcntl(fd_of("x", O_RDWR), F_GETLK, &l));
        EQ(l.l_type, F_RDLCK);
        EQ(l.l_start, 3);
    }
}

CLAIM(getlk_of_what_would_be_granted_says_so)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 2};
    int fd = prepared();

    OK(fcntl(fd, F_GETLK, &l));
    EQ(l.l_type, F_UNLCK);
    EQ(l.l_start, 1);
    EQ(l.l_len, 2);
    OK(set(fd, F_WRLCK, 0, 0)); /* one's own does not count */
    l.l_type = F_WRLCK;
    OK(fcntl(fd, F_GETLK, &l));
    EQ(l.l_type, F_UNLCK);
}

/* The child reports before it tries to lock; it has the lock when it writes a second time. */
static int
child_waits(int cmd)
{
    int p[2];
    char c;

    OK(pipe(p));
    if (OK(fork()) == 0) {
        int fd = fd_of("x", O_RDWR);

        EQ(write(p[1], "1", 1), 1);
        OK(cmd < 0 ? flock(fd, LOCK_EX) : lock(fd, cmd, F_WRLCK, 0, 0));
        EQ(write(p[1], "2", 1), 1);
        _exit(0);
    }
    EQ(read(p[0], &c, 1), 1);
    OK(fcntl(p[0], F_SETFL, O_NONBLOCK));
    usleep(50000); /* nothing tells that it waits; without this the claim would only be weaker */
    FAILS(read(p[0], &c, 1), EAGAIN);
    OK(fcntl(p[0], F_SETFL, 0));
    return p[0];
}

CLAIM(setlkw_waits_until_it_is_free)
{
    int fd = prepared(), child;
    char c;

    OK(set(fd, F_WRLCK, 0, 0));
    child = child_waits(F_SETLKW);
    OK(set(fd, F_UNLCK, 0, 0));
    EQ(read(child, &c, 1), 1);
}

static void
on_alarm(int sig)
{
    (void)sig;
}

CLAIM(setlkw_is_interrupted_by_a_signal)
{
    struct sigaction action = {.sa_handler = on_alarm};
    /* again and again: the first may come before it waits */
    struct itimerval each = {.it_interval = {.tv_sec = 1}, .it_value = {.tv_sec = 1}};
    int fd = prepared();

    OK(set(fd, F_WRLCK, 0, 0));
    AS(NULL)
    {
        OK(sigaction(SIGALRM, &action, NULL));
        OK(setitimer(ITIMER_REAL, &each, NULL));
        FAILS(lock(fd, F_SETLKW, F_WRLCK, 0, 0), EINTR);
    }
}

CLAIM(a_deadlock_is_edeadlk)
{
    int fd = prepared(), to[2], from[2], r;
    char c;

    OK(pipe(to));
    OK(pipe(from));
    OK(set(fd, F_WRLCK, 0, 1));
    if (OK(fork()) == 0) {
        OK(set(fd, F_WRLCK, 1, 1));
        EQ(write(to[1], "1", 1), 1);
        r = lock(fd, F_SETLKW, F_WRLCK, 0, 1);
        c = r < 0 ? (char)errno : 0;
        EQ(write(from[1], &c, 1), 1);
        _exit(0);
    }
    EQ(read(to[0], &c, 1), 1);
    r = lock(fd, F_SETLKW, F_WRLCK, 1, 1);
    if (r < 0) {
        EQ(errno, EDEADLK);
        return;
    }
    EQ(read(from[0], &c, 1), 1); /* then it was the other one that was told */
    EQ(c, EDEADLK);
}

CLAIM(a_lock_follows_its_file_through_rename_and_unlink)
{
    int fd = prepared();

    OK(set(fd, F_WRLCK, 0, 0));
    OK(link("x", "hard"));
    OK(rename("x", "y"));
    OK(rename("hard", "x"));
    other_gets(F_WRLCK, 0, 0, EAGAIN);
}

// --- open file descriptions ----------------------------------------------------------

CLAIM(ofd_locks_exclude_other_opens_of_the_same_process)
{
    int a = prepared(), b = fd_of("x", O_RDWR);

    OK(lock(a, F_OFD_SETLK, F_WRLCK, 0, 0));
    FAILS(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0), EAGAIN);
    OK(lock(dup(a), F_OFD_SETLK, F_WRLCK, 0, 0));
    OK(close(fd_of("x", O_RDWR)));
    FAILS(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0), EAGAIN);
    OK(lock(a, F_OFD_SETLK, F_UNLCK, 0, 0));
    OK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 0));
}

CLAIM(ofd_locks_and_process_locks_exclude_each_other)
{
    int a = prepared();

    OK(lock(a, F_OFD_SETLK, F_WRLCK, 0, 5));
    other_gets(F_WRLCK, 4, 1, EAGAIN);
    other_gets(F_WRLCK, 5, 1, 0);
}

// --- flock ------------------------------------------------------------------------------

CLAIM(flock_excludes_other_opens)
{
    int a = prepared(), b = fd_of("x", O_RDONLY);

    OK(flock(a, LOCK_EX));
    FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    FAILS(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    OK(flock(a, LOCK_UN));
    OK(flock(b, LOCK_EX | LOCK_NB));
}

CLAIM(flock_excludes_other_processes)
{
    int a = prepared();

    OK(flock(a, LOCK_EX));
    AS(NULL)
    {
        FAILS(flock(fd_of("x", O_RDWR), LOCK_EX | LOCK_NB), EWOULDBLOCK);
    }
    OK(close(a));
    AS(NULL)
    {
        OK(flock(fd_of("x", O_RDWR), LOCK_EX | LOCK_NB));
    }
}

CLAIM(flock_shared_shares)
{
    int a = prepared(), b = fd_of("x", O_RDWR);

    OK(flock(a, LOCK_SH));
    OK(flock(b, LOCK_SH | LOCK_NB));
    FAILS(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
}

CLAIM(flock_belongs_to_all_dups_and_children)
{
    int a = prepared(), b = dup(a), other = fd_of("x", O_RDWR);

    OK(flock(a, LOCK_EX));
    OK(flock(b, LOCK_EX | LOCK_NB));
    OK(close(a));
    FAILS(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    AS(NULL)
    {
        OK(flock(b, LOCK_UN));
    }
    OK(flock(other, LOCK_EX | LOCK_NB));
}

CLAIM(flock_waits_until_it_is_free)
{
    int fd = prepared(), child;
    char c;

    OK(flock(fd, LOCK_EX));
    child = child_waits(-1);
    OK(flock(fd, LOCK_UN));
    EQ(read(child, &c, 1), 1);
}

CLAIM(flock_of_a_directory)
{
    int a, b;

    make("d", K_DIR);
    a = fd_of("d", O_RDONLY);
    b = fd_of("d", O_RDONLY);
    OK(flock(a, LOCK_EX));
    FAILS(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
}

CLAIM(flock_with_nonsense_is_einval)
{
    FAILS(flock(prepared(), 0), EINVAL);
    FAILS(flock(999, LOCK_EX), EBADF);
}
