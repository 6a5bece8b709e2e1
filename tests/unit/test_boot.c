/*
 * fd 3: boot messages, passed fds, log lines, quoting.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/boot.h"
#include "ipc/fd.h"
#include "ipc/limits.h"
#include "ipc/log.h"

static int broker_end;

static int
socket_on_fd_3(void **state)
{
    int sv[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
    broker_end = fcntl(sv[0], F_DUPFD_CLOEXEC, 100);
    assert_int_equal(dup2(sv[1], BOOT_FD), BOOT_FD);
    if (sv[0] != BOOT_FD)
        close(sv[0]);
    if (sv[1] != BOOT_FD)
        close(sv[1]);
    return 0;
}

static int
close_both(void **state)
{
    (void)state;
    close(broker_end);
    close(BOOT_FD);
    return 0;
}

static Postern__V1__Boot
a_boot(Postern__V1__WorkerBoot *w, Postern__V1__SandboxBoot *s)
{
    static char tenant[] = "blue";
    Postern__V1__Boot b = POSTERN__V1__BOOT__INIT;

    *w = (Postern__V1__WorkerBoot)POSTERN__V1__WORKER_BOOT__INIT;
    *s = (Postern__V1__SandboxBoot)POSTERN__V1__SANDBOX_BOOT__INIT;
    b.version = BOOT_VERSION;
    b.tenant = tenant;
    b.worker = w;
    b.sandbox = s;
    return b;
}

static void
a_boot_arrives_with_its_fds_in_order(void **state)
{
    Postern__V1__WorkerBoot w;
    Postern__V1__SandboxBoot s;
    Postern__V1__Boot b = a_boot(&w, &s), *got;
    int pipes[2], fds[CHILD_FDS_MAX];
    size_t n;
    char c = 0;

    (void)state;
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    assert_int_equal(boot_send(broker_end, &b, pipes, 2), 0);
    assert_int_equal(boot_recv(&got, fds, COUNT(fds), &n), 0);
    assert_int_equal(n, 2);
    assert_string_equal(got->tenant, "blue");
    assert_int_equal(write(fds[1], "x", 1), 1);
    assert_int_equal(read(pipes[0], &c, 1), 1);
    assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
    boot_free(got);
    for (size_t i = 0; i < 2; i++) {
        close(fds[i]);
        close(pipes[i]);
    }
}

static void
what_is_not_exactly_our_boot_is_refused_and_no_fd_stays(void **state)
{
    Postern__V1__WorkerBoot w;
    Postern__V1__SandboxBoot s;
    Postern__V1__Boot b = a_boot(&w, &s), *got;
    int fds[4], base = dup(0);
    size_t n;

    (void)state;
    close(base);
    b.version = BOOT_VERSION + 1;
    assert_int_equal(boot_send(broker_end, &b, &broker_end, 1), 0);
    assert_int_equal(boot_recv(&got, fds, COUNT(fds), &n), -EPROTO);
    b.version = BOOT_VERSION;
    b.worker = NULL;
    assert_int_equal(boot_send(broker_end, &b, &broker_end, 1), 0);
    assert_int_equal(boot_recv(&got, fds, COUNT(fds), &n), -EPROTO);
    assert_int_equal(fd_send(broker_end, "junk", 4, NULL, 0), 0);
    assert_int_equal(boot_recv(&got, fds, COUNT(fds), &n), -EPROTO);
    b.worker = &w;
    assert_int_equal(boot_send(broker_end, &b, (int[]){0, 0, 0, 0, 0}, 5),
                     0); /* one more than room */
    assert_int_equal(boot_recv(&got, fds, COUNT(fds), &n), -EMSGSIZE);
    assert_int_equal(dup(0), base); /* the lowest free fd is what it was */
    close(base);
}

static void
small_messages_carry_exactly_one_thing(void **state)
{
    Postern__V1__FromChild m = POSTERN__V1__FROM_CHILD__INIT, *got;

    (void)state;
    assert_int_equal(from_child_recv(broker_end, &got), -EAGAIN);
    assert_int_equal(from_child_send(BOOT_FD, &m), 0);
    assert_int_equal(from_child_recv(broker_end, &got), 0); /* empty: as good as gone */
    assert_int_equal(ready_send(BOOT_FD, "worker", 3, 5), 0);
    assert_int_equal(from_child_recv(broker_end, &got), 1);
    assert_string_equal(got->ready->profile, "worker");
    assert_int_equal(got->ready->landlock_abi, 3);
    assert_int_equal(got->ready->layers, 5);
    from_child_free(got);
    assert_int_equal(fd_send(BOOT_FD, "\x0a\xff", 2, NULL, 0), 0);
    assert_int_equal(from_child_recv(broker_end, &got), -EPROTO);
}

static void
only_a_share_added_brings_fds_and_brings_three(void **state)
{
    Postern__V1__ShareBoot boot = POSTERN__V1__SHARE_BOOT__INIT;
    Postern__V1__ShareAdded added = POSTERN__V1__SHARE_ADDED__INIT;
    Postern__V1__ShareLeaves leaves = POSTERN__V1__SHARE_LEAVES__INIT;
    Postern__V1__ToChild m = POSTERN__V1__TO_CHILD__INIT, *got;
    int fds[SHARE_FDS], base = dup(0);
    size_t n;

    (void)state;
    close(base);
    assert_int_equal(to_child_recv_fds(BOOT_FD, &got, fds, &n), -EAGAIN);
    boot.name = (char[]){"tools"};
    added.boot = &boot;
    added.share = 7;
    m.share_added = &added;
    for (size_t i = 0; i <= SHARE_FDS + 1; i++) {
        assert_int_equal(to_child_send_fds(broker_end, &m, (int[]){0, 0, 0, 0}, i), 0);
        assert_int_equal(to_child_recv_fds(BOOT_FD, &got, fds, &n), i == SHARE_FDS ? 1 : -EPROTO);
        if (i != SHARE_FDS)
            continue;
        assert_int_equal(got->share_added->share, 7);
        assert_int_equal(n, SHARE_FDS);
        to_child_free(got);
        while (n > 0)
            close(fds[--n]);
    }
    m.share_leaves = &leaves; /* two things at once */
    assert_int_equal(to_child_send_fds(broker_end, &m, (int[]){0, 0, 0}, 3), 0);
    assert_int_equal(to_child_recv_fds(BOOT_FD, &got, fds, &n), -EPROTO);
    m.share_added = NULL;
    assert_int_equal(to_child_send_fds(broker_end, &m, (int[]){0}, 1), 0);
    assert_int_equal(to_child_recv_fds(BOOT_FD, &got, fds, &n), -EPROTO);
    assert_int_equal(to_child_send(broker_end, &m), 0);
    assert_int_equal(to_child_recv_fds(BOOT_FD, &got, fds, &n), 1);
    to_child_free(got);
    assert_int_equal(dup(0), base); /* no fd stayed */
    close(base);
}

static void
a_childs_line_reaches_the_broker_bounded(void **state)
{
    Postern__V1__FromChild *got;
    char text[4 * LOG_TEXT_MAX];

    (void)state;
    memset(text, 'z', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    log_to(LOG_TO_BROKER, "child");
    log_warn("%s", text);
    log_to(LOG_TO_STDERR, "test");
    assert_int_equal(from_child_recv(broker_end, &got), 1);
    assert_int_equal(got->log->level, LOG_WARNING);
    assert_int_equal(strlen(got->log->text), LOG_TEXT_MAX - 1);
    from_child_free(got);
}

static int
status_of(void (*f)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        log_level(LOG_EMERG);
        f();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

static void
end_violation(void)
{
    violation("x");
}

static void
end_bug(void)
{
    bug("x");
}

static void
end_world(void)
{
    die("x");
}

static void
each_kind_of_end_has_its_exit_code(void **state)
{
    (void)state;
    assert_int_equal(status_of(end_violation), EXIT_VIOLATION);
    assert_int_equal(status_of(end_bug), EXIT_BUG);
    assert_int_equal(status_of(end_world), EXIT_WORLD);
}

static void
quoted_strings_hold_nothing_but_printable_ascii(void **state)
{
    char out[QUOTE_BUF];
    uint8_t all[256];

    (void)state;
    for (size_t i = 0; i < sizeof(all); i++)
        all[i] = (uint8_t)i;
    for (size_t room = 0; room <= sizeof(out); room++) {
        memset(out, 0x7f, sizeof(out));
        (void)quote(out, room, all, sizeof(all));
        for (size_t i = 0; room > 0 && out[i] != '\0'; i++) {
            assert_true(i < room);
            assert_true(out[i] >= 0x20 && out[i] < 0x7f);
        }
    }
    assert_string_equal(quote(out, sizeof(out), "a\"\\\n", 4), "\"a\\\"\\\\\\x0a\"");
    assert_string_equal(quote(out, 12, "abcdefghijkl", 12), "\"abcdef...\"");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, socket_on_fd_3, close_both)
    const struct CMUnitTest tests[] = {
        T(a_boot_arrives_with_its_fds_in_order),
        T(what_is_not_exactly_our_boot_is_refused_and_no_fd_stays),
        T(small_messages_carry_exactly_one_thing),
        T(only_a_share_added_brings_fds_and_brings_three),
        T(a_childs_line_reaches_the_broker_bounded),
        cmocka_unit_test(each_kind_of_end_has_its_exit_code),
        cmocka_unit_test(quoted_strings_hold_nothing_but_printable_ascii),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
