/*
 * The control client against a server whose every packet is written down.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/control_client.h"
#include "ipc/control.h"
#include "ipc/fd.h"

struct link {
    int client, server;
};

static void
link_open(struct link *l)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    l->client = pair[0];
    l->server = pair[1];
}

static void
link_close(struct link *l)
{
    close(l->client);
    if (l->server >= 0)
        close(l->server);
}

/* Not waited for: the answer lies in the socket before the question is asked. */
static void
reply(const struct link *l, const Postern__V1__ControlReply *m)
{
    uint8_t buf[4096];
    size_t n = postern__v1__control_reply__get_packed_size(m);

    assert_true(n <= sizeof(buf));
    (void)postern__v1__control_reply__pack(m, buf);
    assert_int_equal(fd_send(l->server, buf, n, NULL, 0), 0);
}

static void
reply_line(const struct link *l, int status, const char *line, bool more)
{
    Postern__V1__ControlReply m = POSTERN__V1__CONTROL_REPLY__INIT;
    char text[32], *lines[] = {text};

    (void)snprintf(text, sizeof(text), "%s", line);
    m.status = status;
    m.n_report = 1;
    m.report = lines;
    m.message = text;
    m.has_more = more;
    m.more = 1;
    reply(l, &m);
}

static int
ask_for(const struct link *l, int64_t ms, struct control_answer *ret)
{
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    Postern__V1__StatusQuery q = POSTERN__V1__STATUS_QUERY__INIT;

    req.version = CONTROL_VERSION;
    req.status = &q;
    return control_ask(l->client, &req, control_now() + ms, ret);
}

static void
a_request_is_one_packet_with_its_version(void **state)
{
    Postern__V1__ControlRequest *req;
    struct control_answer a;
    struct link l;
    uint8_t buf[256];
    ssize_t n;

    (void)state;
    link_open(&l);
    reply_line(&l, 0, "x", false);
    assert_int_equal(ask_for(&l, 10000, &a), 0);
    n = read(l.server, buf, sizeof(buf));
    assert_true(n > 0);
    req = postern__v1__control_request__unpack(NULL, (size_t)n, buf);
    assert_non_null(req);
    assert_int_equal(req->version, CONTROL_VERSION);
    assert_non_null(req->status);
    assert_null(req->status->tenant);
    postern__v1__control_request__free_unpacked(req, NULL);
    control_answer_done(&a);
    link_close(&l);
}

static void
parts_are_collected_until_one_has_no_more(void **state)
{
    struct control_answer a;
    struct link l;

    (void)state;
    link_open(&l);
    reply_line(&l, 0, "one", true);
    reply_line(&l, 0, "two", true);
    reply_line(&l, 0, "three", false);
    reply_line(&l, 0, "of another answer", false);
    assert_int_equal(ask_for(&l, 10000, &a), 0);
    assert_int_equal(a.status, 0);
    assert_int_equal(a.n, 3);
    assert_string_equal(a.parts[1]->report[0], "two");
    control_answer_done(&a);
    link_close(&l);
}

static void
the_first_refusal_of_an_answer_counts(void **state)
{
    struct control_answer a;
    struct link l;

    (void)state;
    link_open(&l);
    reply_line(&l, 0, "fine", true);
    reply_line(&l, -EEXIST, "first", true);
    reply_line(&l, -EPERM, "second", false);
    assert_int_equal(ask_for(&l, 10000, &a), 0);
    assert_int_equal(a.status, -EEXIST);
    assert_string_equal(a.message, "first");
    control_answer_done(&a);
    link_close(&l);
}

static void
an_answer_without_end_is_given_up(void **state)
{
    struct control_answer a;
    struct link l;
    pid_t pid;

    (void)state;
    link_open(&l);
    pid = fork();
    if (pid == 0) {
        static const char more[] = "\x08\x00\x38\x01"; /* status 0, more 1 */

        close(l.client);
        while (fd_send(l.server, more, sizeof(more) - 1, NULL, 0) == 0)
            ;
        _exit(0);
    }
    close(take_fd(&l.server));
    assert_int_equal(ask_for(&l, 60000, &a), -EPROTO);
    assert_int_equal(a.n, 0);
    link_close(&l);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
what_is_no_answer_is_told_from_silence(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } rows[] = {
        {"\xff", 1},                    /* no field */
        {"\x12\x01x", 3},               /* no status */
        {"\x08", 1},                    /* cut */
        {"\x08\x01", 2},                /* a status above 0 */
        {"\x08\x00\x1a\x7f", 4},        /* a length beyond the end */
        {"\x08\x00\x1a\x02\x0a\x00", 6} /* a share that lacks what is required */
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct control_answer a;
        struct link l;

        link_open(&l);
        assert_int_equal(fd_send(l.server, rows[i].bytes, rows[i].n, NULL, 0), 0);
        assert_int_equal(ask_for(&l, 10000, &a), -EPROTO);
        assert_int_equal(a.n, 0);
        link_close(&l);
    }
}

static void
silence_ends_at_the_deadline_and_a_hangup_at_once(void **state)
{
    struct control_answer a;
    struct link l;

    (void)state;
    link_open(&l);
    assert_int_equal(ask_for(&l, 20, &a), -ETIMEDOUT);
    reply_line(&l, 0, "x", true);
    assert_int_equal(ask_for(&l, 20, &a), -ETIMEDOUT);
    reply_line(&l, 0, "x", true);
    close(take_fd(&l.server));
    assert_int_equal(ask_for(&l, 60000, &a), -EPIPE);
    link_close(&l);
}

static void
who_is_turned_away_unasked_learns_the_reason(void **state)
{
    (void)state;
    for (int unread = 0; unread < 2; unread++) {
        struct control_answer a;
        struct link l;

        link_open(&l);
        if (unread == 1) /* then the server's close resets the connection */
            assert_int_equal(fd_send(l.client, "x", 1, NULL, 0), 0);
        reply_line(&l, -EBUSY, "full", false);
        close(take_fd(&l.server));
        assert_int_equal(ask_for(&l, 10000, &a), 0);
        assert_int_equal(a.status, -EBUSY);
        assert_string_equal(a.message, "full");
        control_answer_done(&a);
        link_close(&l);
    }
}

/* What fits is what the header says, to the byte. */
static void
packets_beyond_the_bound_are_no_answer(void **state)
{
    _clean(clean_free) uint8_t *big = calloc(1, CONTROL_BYTES_MAX + 1);
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    Postern__V1__StatusQuery q = POSTERN__V1__STATUS_QUERY__INIT;
    struct control_answer a;
    struct link l;

    (void)state;
    assert_non_null(big);
    link_open(&l);
    assert_int_equal(fd_send(l.server, big, CONTROL_BYTES_MAX + 1, NULL, 0), 0);
    assert_int_equal(ask_for(&l, 10000, &a), -EPROTO);
    assert_true(recv(l.server, big + CONTROL_BYTES_MAX, 1, MSG_DONTWAIT) > 0);
    memset(big, 'x', CONTROL_BYTES_MAX);
    big[CONTROL_BYTES_MAX] = '\0';
    q.tenant = (char *)big;
    req.version = CONTROL_VERSION;
    req.status = &q;
    assert_int_equal(control_ask(l.client, &req, control_now() + 10000, &a), -EMSGSIZE);
    assert_int_equal(recv(l.server, big, 1, MSG_DONTWAIT), -1); /* nothing was sent */
    link_close(&l);
}

static void
fds_that_a_server_sends_are_not_kept(void **state)
{
    Postern__V1__ControlReply m = POSTERN__V1__CONTROL_REPLY__INIT;
    struct control_answer a;
    struct link l;
    uint8_t buf[16];
    int pipes[2];
    char c;

    (void)state;
    link_open(&l);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(
        fd_send(l.server, buf, postern__v1__control_reply__pack(&m, buf), &pipes[1], 1), 0);
    close(pipes[1]);
    assert_int_equal(ask_for(&l, 10000, &a), -EPROTO);
    assert_int_equal(read(pipes[0], &c, 1), 0); /* nobody holds the other end */
    close(pipes[0]);
    link_close(&l);
}

static void
a_server_that_accepts_nobody_is_not_waited_for_beyond_the_deadline(void **state)
{
    char dir[] = "/tmp/postern-control-XXXXXX";
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_SEQPACKET, 0), fds[8], r = 0;
    size_t n = 0;

    (void)state;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/s", dir);
    assert_int_equal(control_connect(at.sun_path, control_now() + 1000), -ENOENT);
    assert_int_equal(bind(s, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(control_connect(at.sun_path, control_now() + 1000), -ECONNREFUSED);
    assert_int_equal(listen(s, 0), 0);
    while (n < COUNT(fds) && r >= 0) {
        r = control_connect(at.sun_path, control_now() + 50);
        if (r >= 0)
            fds[n++] = r;
    }
    assert_int_equal(r, -ETIMEDOUT);
    while (n > 0)
        close(fds[--n]);
    close(s);
    assert_int_equal(unlink(at.sun_path), 0);
    assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_one_packet_with_its_version),
        cmocka_unit_test(parts_are_collected_until_one_has_no_more),
        cmocka_unit_test(the_first_refusal_of_an_answer_counts),
        cmocka_unit_test(an_answer_without_end_is_given_up),
        cmocka_unit_test(what_is_no_answer_is_told_from_silence),
        cmocka_unit_test(silence_ends_at_the_deadline_and_a_hangup_at_once),
        cmocka_unit_test(who_is_turned_away_unasked_learns_the_reason),
        cmocka_unit_test(packets_beyond_the_bound_are_no_answer),
        cmocka_unit_test(fds_that_a_server_sends_are_not_kept),
        cmocka_unit_test(a_server_that_accepts_nobody_is_not_waited_for_beyond_the_deadline),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
