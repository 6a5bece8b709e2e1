/*
 * How the broker makes a child: with none of its own fds, however many it has,
 * and without a change to them, though their table is shared for a moment.
 *
 * Runs in: tests/escape.   Trusts: nobody.
 * Owns: the fds that it opens.
 */
#include "tests/escape/jail.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/fd.h"

#define MANY 5000
#define ROOM_END 64    /* no room that is kept first ends beyond */
#define TABLE_MOST 512 /* of fds; a jail's own and some to spare */
#define SECONDS 20

long
attack(const struct inmate *in)
{
    (void)in;
    return 0;
}

/* ---- a broker with many fds ------------------------------------------------------ */

static struct spawn_room room;
static int opened[MANY];
static size_t nopened;

/* What is open, number by number. */
struct table {
    struct {
        int flags; /* of F_GETFD, -1: not open */
        dev_t dev;
        ino_t ino;
    } at[MANY + ROOM_END];
};

static int
many_open(void **state)
{
    struct rlimit rl;
    bool full = false;
    int fd;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &rl), 0);
    rl.rlim_cur = rl.rlim_max < MANY + ROOM_END ? rl.rlim_max : MANY + ROOM_END;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &rl), 0);
    assert_int_equal(spawn_room_init(&room), 0);
    for (nopened = 0; nopened < MANY && !full; nopened++) {
        fd = open("/dev/zero", O_RDONLY); /* NOLINT: without CLOEXEC on purpose */
        assert_true(fd >= 0);
        opened[nopened] = fd;
        full = fd >= (int)rl.rlim_cur - ROOM_END;
    }
    assert_true(nopened > TABLE_MOST * 2);
    return 0;
}

static int
many_closed(void **state)
{
    (void)state;
    while (nopened > 0)
        close(opened[--nopened]);
    spawn_room_done(&room);
    fx.room = NULL;
    return 0;
}

static bool
in_room(int fd)
{
    for (size_t i = 0; i < SPAWN_ROOM; i++)
        if (room.at[i] == fd)
            return true;
    return false;
}

static void
table_look(struct table *t)
{
    for (int fd = 0; fd < (int)COUNT(t->at); fd++) {
        struct stat st = {0};

        t->at[fd].flags = in_room(fd) ? -1 : fcntl(fd, F_GETFD);
        if (t->at[fd].flags >= 0)
            assert_int_equal(fstat(fd, &st), 0);
        t->at[fd].dev = st.st_dev;
        t->at[fd].ino = st.st_ino;
    }
}

static const enum jail_kind kinds[] = {JAIL_WORKER, JAIL_RO, JAIL_MAP};

/* Without a lender, an ordinary user has no range to give. */
static bool
can_be(enum jail_kind kind)
{
    return kind != JAIL_MAP || !fx.rootless;
}

/* ---- claims ------------------------------------------------------------------------ */

/* The jail looks before it does anything else: see jail_main(). */
static void
a_child_inherits_none_of_thousands_of_fds(void **state)
{
    const struct spawn_room *rooms[] = {NULL, &room};

    (void)state;
    for (size_t i = 0; i < COUNT(kinds); i++)
        for (size_t k = 0; k < COUNT(rooms) && can_be(kinds[i]); k++) {
            const struct order o = {.kind = kinds[i]};
            struct outcome out;

            fx.room = rooms[k];
            jail_run(&o, &out);
            if (!out.ready)
                print_error("kind %d: %s\n", (int)o.kind, out.step);
            assert_true(out.ready);
        }
}

static long
table_size(pid_t pid)
{
    char path[32], line[128];
    long n = -1;
    FILE *f;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", pid);
    f = fopen(path, "re");
    assert_non_null(f);
    while (n < 0 && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "FDSize:", 7) == 0)
            n = strtol(line + 7, NULL, 10);
    (void)fclose(f);
    return n;
}

/* The size of a table never shrinks: it tells how much was copied. */
static void
fds_beyond_the_room_are_not_even_copied(void **state)
{
    (void)state;
    fx.room = &room;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        const struct order o = {.kind = kinds[i]};
        struct outcome out = {0};
        struct jail j;

        if (!can_be(o.kind))
            continue;
        jail_start(&j, &o, -1);
        jail_ready(&j, &out);
        assert_in_range(table_size(j.pid), 1, TABLE_MOST);
        jail_end(&j, &out);
    }
}

static int
spawn_of(const char *exe_path, int *ret_pidfd)
{
    _clean(clean_fd) int exe = open(exe_path, O_PATH | O_CLOEXEC);
    struct spawn s = {.room = &room, .exe_fd = exe, .name = "none", .own_userns = fx.rootless};
    int sv[2], r;
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
    s.boot_fd = sv[1];
    r = spawn_child(&s, &pid, ret_pidfd);
    close(sv[0]);
    close(sv[1]);
    return r;
}

static void
a_broker_keeps_its_own_fds_as_they_were(void **state)
{
    static struct table before, after; /* too large for a stack */
    const struct order o = {.kind = JAIL_WORKER};
    struct outcome out;
    int pidfd;

    (void)state;
    fx.room = &room;
    table_look(&before);
    jail_run(&o, &out);
    assert_true(out.ready);
    assert_int_equal(spawn_of("/dev/null", &pidfd), -EACCES);
    table_look(&after);
    assert_memory_equal(&before, &after, sizeof(before));
}

static void
a_child_that_cannot_execute_says_why_and_is_no_more(void **state)
{
    int pidfd = -1;

    (void)state;
    assert_int_equal(spawn_of("/dev/null", &pidfd), -EACCES);
    assert_int_equal(spawn_of("/nonexistent", &pidfd), -EBADF);
    assert_int_equal(pidfd, -1);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* Before it has fds of its own, its end closes no pipe. */
static void
a_child_that_dies_at_once_is_not_waited_for(void **state)
{
    pid_t pid = fork();
    int status;

    (void)state;
    if (pid == 0) {
        scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
        int pidfd;

        (void)alarm(SECONDS);
        if (seccomp_rule_add(f, SCMP_ACT_KILL_PROCESS, SCMP_SYS(close_range), 0) != 0 ||
            seccomp_load(f) != 0)
            _exit(99);
        _exit(spawn_of("/proc/self/exe", &pidfd) == -EIO ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_child_inherits_none_of_thousands_of_fds, many_open,
                                        many_closed),
        cmocka_unit_test_setup_teardown(fds_beyond_the_room_are_not_even_copied, many_open,
                                        many_closed),
        cmocka_unit_test_setup_teardown(a_broker_keeps_its_own_fds_as_they_were, many_open,
                                        many_closed),
        cmocka_unit_test_setup_teardown(a_child_that_cannot_execute_says_why_and_is_no_more,
                                        many_open, many_closed),
        cmocka_unit_test_setup_teardown(a_child_that_dies_at_once_is_not_waited_for, many_open,
                                        many_closed),
    };

    jail_main(argc, argv);
    return run_both_ways("a child's start", tests, COUNT(tests));
}
