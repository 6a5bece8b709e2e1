/*
 * The helper's table of open files.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "proxy-helper/file.h"
#include "tests/lib/test.h"

enum { FILES = 2 };

static int
setup(void **state)
{
    static struct files t;

    *state = &t;
    return files_init(&t, FILES);
}

static int
teardown(void **state)
{
    files_done(*state);
    return 0;
}

/* ret_fd: the number, which stays the table's. */
static struct file *
open_one(struct files *t, uint64_t *ret_id, int *ret_fd)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    struct file *f = NULL;

    assert_true(fd >= 0);
    *ret_fd = fd;
    assert_int_equal(file_add(t, &fd, 1, true, ret_id), 0);
    assert_int_equal(file_get(t, *ret_id, &f), 0);
    return f;
}

/* A file system that says at close what it lost is played by an fd that is
 * gone already: EBADF. */
static void
closing_says_what_the_kernel_says(void **state)
{
    struct files *t = *state;
    struct file *f;
    uint64_t id;
    int fd;

    f = open_one(t, &id, &fd);
    assert_int_equal(file_close(t, f), 0);
    f = open_one(t, &id, &fd);
    assert_int_equal(close(fd), 0);
    assert_int_equal(file_close(t, f), -EBADF);
    assert_int_equal(file_get(t, id, &f), -EBADF); /* closed all the same */
    assert_int_equal(t->used, 0);
}

static void
what_a_job_works_on_is_closed_after_it(void **state)
{
    struct files *t = *state;
    struct file *f, *again;
    uint64_t id;
    int fd;

    f = open_one(t, &id, &fd);
    file_job_begin(f);
    assert_int_equal(file_close(t, f), 0);
    assert_int_equal(file_get(t, id, &again), -EBADF);
    assert_true(fcntl(fd, F_GETFD) >= 0);
    file_job_end(t, f);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(closing_says_what_the_kernel_says),
        T(what_a_job_works_on_is_closed_after_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
