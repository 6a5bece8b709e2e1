/*
 * Becoming a user of the guest where the kernel does not let one, and says
 * nothing: an id that the user namespace lacks.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/log.h"
#include "proxy-helper/identity.h"
#include "sandbox/idmap.h"

#define MAPPED 0
#define NOT_MAPPED 5

enum { NO_NAMESPACE = 99 };

/* In a namespace with one id: how a process ends that becomes that user. */
static int
becomes(uint32_t uid, uint32_t gid)
{
    const struct identity map = {.model = IDENTITY_MAP, .ids = 65536};
    uid_t me = geteuid();
    gid_t mine = getegid();
    int status;
    /* not by unshare(2), which a sanitizer's own thread would keep from it */
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

    if (pid < 0)
        return NO_NAMESPACE;
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        (void)dup2(null, STDERR_FILENO);
        if (idmap_self(0, me, 0, mine) < 0)
            _exit(NO_NAMESPACE);
        identity_be(&map, uid, gid);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void
a_switch_that_did_nothing_ends_the_process(void **state)
{
    (void)state;
    if (becomes(MAPPED, MAPPED) == NO_NAMESPACE) {
        printf("SKIP: no user namespaces here\n");
        return;
    }
    assert_int_equal(becomes(MAPPED, MAPPED), 0);
    assert_int_equal(becomes(NOT_MAPPED, MAPPED), EXIT_BUG);
    assert_int_equal(becomes(MAPPED, NOT_MAPPED), EXIT_BUG);
}

static void
only_ids_of_the_guest_are_known(void **state)
{
    const struct identity map = {.model = IDENTITY_MAP, .ids = 1000};
    const struct identity host = {.model = IDENTITY_HOST};
    const struct identity squash = {.model = IDENTITY_SQUASH};

    (void)state;
    assert_true(identity_has(&map, 999, 999));
    assert_false(identity_has(&map, 1000, 0));
    assert_false(identity_has(&map, 0, 1000));
    assert_true(identity_has(&host, ID_NONE - 1, 0));
    assert_false(identity_has(&host, ID_NONE, 0));
    assert_true(identity_has(&squash, ID_NONE - 1, 0));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_switch_that_did_nothing_ends_the_process),
        cmocka_unit_test(only_ids_of_the_guest_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
