/*
 * Every system call that has a number, made inside the sandbox of each kind of
 * process: what its table does not list ends the process. Calls that are
 * listed have their own rows in test_probe.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/escape/jail.h"
#include "tests/escape/profiles.h"

/* Linux asks no filter about these, which do nothing outside a probe that the
 * kernel itself has set; older ones have them not, and the filter kills. */
static const struct {
    long nr;
    int verdict;
} unfiltered[] = {
    {335, DIES_OTHER}, /* uretprobe: SIGILL */
    {336, ENXIO},      /* uprobe */
};

static bool
may_end_so(long nr, int verdict)
{
    for (size_t i = 0; i < COUNT(unfiltered); i++)
        if (unfiltered[i].nr == nr && unfiltered[i].verdict == verdict)
            return true;
    return verdict == DIES;
}

/* Past the newest that Linux has; numbers without a call end it as well. */
#define CALLS 512

long
attack(const struct inmate *in)
{
    return syscall(in->order->arg, 0, 0, 0, 0, 0, 0) < 0 ? -errno : 0;
}

static bool
lists(enum jail_kind kind, int nr)
{
    const int event = 0;
    struct sandbox_profile p;

    profile_of(&p, kind, &event, 1);
    for (size_t i = 0; i < p.nrules; i++)
        if (p.rules[i].nr == nr && (p.rules[i].when & ~p.when) == 0)
            return true;
    return false;
}

static void
every_other_call_kills(enum jail_kind kind)
{
    struct order o = {.kind = kind};
    unsigned tried = 0;

    for (o.arg = 0; o.arg < CALLS; o.arg++) {
        struct outcome out;
        int got;

        if (lists(kind, (int)o.arg))
            continue;
        jail_run(&o, &out);
        got = outcome_verdict(&out);
        tried++;
        if (!may_end_so(o.arg, got))
            fail_msg("call %ld: %s", o.arg, verdict_name(got));
    }
    assert_true(tried > CALLS / 2);
}

static void
a_worker_dies_of_every_call_it_does_not_list(void **state)
{
    (void)state;
    every_other_call_kills(JAIL_WORKER);
}

static void
a_read_only_helper_dies_of_every_call_it_does_not_list(void **state)
{
    (void)state;
    every_other_call_kills(JAIL_RO);
}

static void
a_writable_helper_dies_of_every_call_it_does_not_list(void **state)
{
    (void)state;
    every_other_call_kills(JAIL_RW);
}

/* What identity = stored has is the writable helper's list. */
static void
a_helper_of_map_dies_of_every_call_it_does_not_list(void **state)
{
    (void)state;
    every_other_call_kills(JAIL_MAP);
}

static int
run(const char *name, const struct CMUnitTest *tests, size_t n, uid_t uid)
{
    int failed;

    fx = (struct fixture){.uid = uid, .gid = uid, .rootless = geteuid() != 0};
    fixture_make();
    failed = _cmocka_run_group_tests(name, tests, n, NULL, NULL);
    fixture_remove();
    return failed;
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_dies_of_every_call_it_does_not_list),
        cmocka_unit_test(a_read_only_helper_dies_of_every_call_it_does_not_list),
        cmocka_unit_test(a_writable_helper_dies_of_every_call_it_does_not_list),
    };
    const struct CMUnitTest of_map[] = {
        cmocka_unit_test(a_helper_of_map_dies_of_every_call_it_does_not_list),
    };
    int failed;

    jail_main(argc, argv);
    failed = run("every system call", tests, COUNT(tests), JAIL_UID);
    if (geteuid() == 0)
        failed += run("every system call, map", of_map, COUNT(of_map), JAIL_MAP_FIRST);
    return failed;
}
