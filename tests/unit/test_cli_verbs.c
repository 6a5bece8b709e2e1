/*
 * The verbs that ask a server, against one whose answers are written down: what
 * is asked, what is printed, and the exit code.
 */
#include "tests/lib/test.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>

#include "control/cli.h"
#include "ipc/control.h"
#include "ipc/control.pb-c.h"
#include "ipc/fd.h"

#define PATIENCE_MS 15000

typedef Postern__V1__ControlRequest request;
typedef Postern__V1__ControlReply reply;

static char dir[] = "/tmp/postern-verbs-XXXXXX";
static char control[64];
static int listener;
static char out[8192], err[8192];

static int
setup(void **state)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};

    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(control, sizeof(control), "%s/s", dir);
    memcpy(at.sun_path, control, strlen(control) + 1);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(listener, 8) < 0;
}

static int
teardown(void **state)
{
    (void)state;
    close(listener);
    return unlink(control) < 0 || rmdir(dir) < 0;
}

static void
ready(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
}

static void
read_back(FILE *f, char *to, size_t room)
{
    rewind(f);
    to[fread(to, 1, room - 1, f)] = '\0';
    (void)fclose(f);
}

/* postern WORD... in a process of its own; words: up to a NULL, "@" is the socket. */
struct run {
    pid_t pid;
    FILE *out, *err;
};

static struct run
run_start(const char *const *words)
{
    struct run r = {.out = tmpfile(), .err = tmpfile()};
    char *argv[32] = {NULL};
    int argc = 1;

    argv[0] = strdup("postern");
    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = strdup(strcmp(words[argc - 1], "@") == 0 ? control : words[argc - 1]);
    (void)fflush(stdout);
    r.pid = fork();
    assert_true(r.pid >= 0);
    if (r.pid == 0) {
        int code;

        (void)dup2(fileno(r.out), 1);
        (void)dup2(fileno(r.err), 2);
        code = cli_run(argc, argv);
        (void)fflush(NULL);
        _exit(code);
    }
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return r;
}

static int
run_end(struct run *r)
{
    int status;

    assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
    assert_true(WIFEXITED(status));
    read_back(r->out, out, sizeof(out));
    read_back(r->err, err, sizeof(err));
    return WEXITSTATUS(status);
}

static int
accept_one(void)
{
    int fd;

    ready(listener);
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

/* Take one connection's request and answer it; the request is the caller's. */
static request *
serve(const reply *answer)
{
    static uint8_t buf[CONTROL_BYTES_MAX];
    int fd = accept_one();
    request *req;
    ssize_t n;

    ready(fd);
    n = read(fd, buf, sizeof(buf));
    assert_true(n > 0);
    req = postern__v1__control_request__unpack(NULL, (size_t)n, buf);
    assert_non_null(req);
    n = (ssize_t)postern__v1__control_reply__pack(answer, buf);
    assert_int_equal(fd_send(fd, buf, (size_t)n, NULL, 0), 0);
    close(fd);
    return req;
}

static void
done(request *req)
{
    postern__v1__control_request__free_unpacked(req, NULL);
}

static char *
s(const char *text)
{
    char *ret;

    memcpy(&ret, &text, sizeof(ret)); /* protobuf-c wants it so and writes nothing */
    return ret;
}

static reply
refusal(int status, const char *message)
{
    reply m = POSTERN__V1__CONTROL_REPLY__INIT;

    m.status = status;
    m.message = s(message);
    return m;
}

static Postern__V1__ShareInfo
share_info(const char *name, const char *path)
{
    Postern__V1__ShareInfo i = POSTERN__V1__SHARE_INFO__INIT;

    i.tenant = s("blue");
    i.name = s(name);
    i.id = s("00112233445566778899aabbccddeeff");
    i.path = s(path);
    i.read_only = 1;
    i.identity = s("squash");
    i.state = POSTERN__V1__SHARE_STATE__SHARE_ADDED;
    return i;
}

#define RUN(...) run_start((const char *const[]){__VA_ARGS__, NULL})

static void
adding_says_tenant_share_reservation_and_settings(void **state)
{
    Postern__V1__ShareInfo info = share_info("src", "/srv/a b"), *infos[] = {&info};
    const reply ok = POSTERN__V1__CONTROL_REPLY__INIT;
    reply shares = POSTERN__V1__CONTROL_REPLY__INIT;
    request *req;
    struct run r = RUN("share", "add", "blue", "src", "/srv/a b/", "--ro", "--set", "owner = 1:1",
                       "--set=hide = { \"*.pem\" }", "--control", "@");

    (void)state;
    shares.n_shares = 1;
    shares.shares = infos;
    req = serve(&ok);
    assert_non_null(req->share_add);
    assert_string_equal(req->share_add->tenant, "blue");
    assert_string_equal(req->share_add->share, "src");
    assert_string_equal(req->share_add->reservation, "src"); /* the same whenever asked again */
    assert_string_equal(req->share_add->settings, "path = \"/srv/a b\"\n"
                                                  "access = read-only\n"
                                                  "owner = \"1:1\"\n"
                                                  "hide = { \"*.pem\" }\n");
    done(req);
    req = serve(&shares);
    assert_string_equal(req->share_list->tenant, "blue");
    assert_string_equal(req->share_list->share, "src");
    done(req);
    assert_int_equal(run_end(&r), CLI_OK);
    assert_string_equal(err, "");
    assert_string_equal(
        out, "blue/src: added, read-only /srv/a b, id 00112233445566778899aabbccddeeff\n");
}

static void
what_was_reserved_is_added_by_its_reservation_alone(void **state)
{
    const reply ok = POSTERN__V1__CONTROL_REPLY__INIT;
    request *req;
    struct run r = RUN("share", "reserve", "blue", "src", "/srv/x", "--rw", "--reservation", "vm-7",
                       "--control", "@", "--json");

    (void)state;
    req = serve(&ok);
    assert_string_equal(req->share_reserve->reservation, "vm-7");
    assert_string_equal(req->share_reserve->settings, "path = \"/srv/x\"\naccess = read-write\n");
    done(req);
    done(serve(&ok));
    assert_int_equal(run_end(&r), CLI_OK);
    assert_string_equal(out, "{\n  \"shares\": []\n}\n");
    r = RUN("share", "add", "blue", "src", "--reservation=vm-7", "--control=@");
    assert_int_equal(run_end(&r), CLI_NO_SERVER); /* "@" is a word here, and no socket */
    r = RUN("share", "add", "blue", "src", "--reservation=vm-7", "--control", "@");
    req = serve(&ok);
    assert_string_equal(req->share_add->reservation, "vm-7");
    assert_null(req->share_add->share);
    assert_null(req->share_add->settings);
    done(req);
    done(serve(&ok));
    assert_int_equal(run_end(&r), CLI_OK);
}

static void
removing_may_leave_time(void **state)
{
    const reply ok = POSTERN__V1__CONTROL_REPLY__INIT;
    request *req;
    struct run r = RUN("share", "remove", "blue", "src", "--drain", "1500ms", "--control", "@");

    (void)state;
    req = serve(&ok);
    assert_string_equal(req->share_remove->reservation, "src");
    assert_int_equal(req->share_remove->drain_ms, 1500);
    done(req);
    assert_int_equal(run_end(&r), CLI_OK);
    assert_string_equal(out, "");
    r = RUN("share", "remove", "blue", "src", "--control", "@");
    req = serve(&ok);
    assert_false(req->share_remove->has_drain_ms);
    done(req);
    assert_int_equal(run_end(&r), CLI_OK);
}

static void
a_refusal_is_exit_code_1_with_its_reason_in_plain_letters(void **state)
{
    const reply no = refusal(-EPERM, "not you\n\033[2Jnor\xff you");
    const reply quiet = refusal(-EEXIST, "");
    struct run r = RUN("share", "list", "blue", "--control", "@");

    (void)state;
    done(serve(&no));
    assert_int_equal(run_end(&r), CLI_FAILED);
    assert_string_equal(out, "");
    assert_string_equal(err, "postern: share list: not you\n"
                             "postern: share list: \\033[2Jnor\\377 you\n");
    r = RUN("status", "--json", "--control", "@");
    done(serve(&quiet));
    assert_int_equal(run_end(&r), CLI_FAILED);
    assert_string_equal(err, "postern: status: File exists\n");
}

static void
no_answer_is_told_from_no_server(void **state)
{
    struct run r = RUN("ps", "--control", "@/none");

    (void)state;
    assert_int_equal(run_end(&r), CLI_NO_SERVER);
    assert_non_null(strstr(err, "postern: ps: cannot reach the server at @/none: "));
    r = RUN("ps", "--control", "@");
    close(accept_one());
    assert_int_equal(run_end(&r), CLI_NO_ANSWER);
    assert_non_null(strstr(err, "ask again\n"));
    r = RUN("ps", "--control", "@", "--timeout", "50ms");
    assert_int_equal(run_end(&r), CLI_NO_ANSWER);
    assert_non_null(strstr(err, "no answer in time"));
    close(accept_one());
}

static void
wrong_usage_asks_nobody(void **state)
{
    static const char *const rows[][9] = {
        {"share"},
        {"share", "wat"},
        {"share", "add", "blue"},
        {"share", "add", "blue", "src", "/x", "more", "--ro"},
        {"share", "add", "blue", "src", "/x"},
        {"share", "add", "blue", "src", "--ro"},
        {"share", "add", "blue", "src", "--set", "owner = 1:1"},
        {"share", "add", "blue", "src", "/x", "--ro", "--rw"},
        {"share", "add", "blue", "src", "/x\n", "--ro"},
        {"share", "add", "blue", "src", "/x", "--ro", "--set", "wat"},
        {"share", "add", "blue", "src", "/x", "--ro", "--set"},
        {"share", "add", "blue", "src", "/x", "--ro", "--drain", "1s"},
        {"share", "add", "blue", "src", "/x", "--ro=yes"},
        {"share", "reserve", "blue", "src"},
        {"share", "remove", "blue", "src", "--drain", "soon"},
        {"share", "remove", "blue", "src", "--drain", "25h"},
        {"share", "list", "--columns", "wat"},
        {"share", "show", "blue"},
        {"status", "--timeout", "0"},
        {"status", "--timeout", "99999999999999999999s"},
        {"status", "--wat"},
        {"status", "-j"},
        {"reload", "blue"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        const char *words[12] = {NULL};
        struct run r;
        size_t n = 0;

        for (; n < COUNT(rows[i]) && rows[i][n] != NULL; n++)
            words[n] = rows[i][n];
        r = run_start(words);
        if (run_end(&r) != CLI_USAGE || err[0] == '\0' || out[0] != '\0')
            fail_msg("row %zu: \"%s\" \"%s\"", i, out, err);
    }
}

static void
every_verb_has_help_with_an_example_and_slips_are_understood(void **state)
{
    static const struct {
        const char *words[3], *says;
    } slips[] = {
        {{"statsu"}, "did you mean \"status\"?"},
        {{"sahre", "add"}, "did you mean \"share\"?"},
        {{"share", "ad"}, "did you mean \"share add\"?"},
        {{"share", "delete"}, "no verb \"share delete\"; postern help"},
        {{"relaod"}, "did you mean \"reload\"?"},
        {{"\033[2J"}, "no verb \"\\033[2J\"; postern help"},
    };

    (void)state;
    for (size_t i = 0; i < cli_nverbs; i++) {
        const char *space = strchr(cli_verbs[i].name, ' ');
        char first[32];
        struct run r;

        if (cli_verbs[i].what == NULL)
            continue;
        assert_non_null(cli_verbs[i].example);
        (void)snprintf(first, sizeof(first), "%.*s", (int)strcspn(cli_verbs[i].name, " "),
                       cli_verbs[i].name);
        r = RUN("help", first, space == NULL ? NULL : space + 1);
        assert_int_equal(run_end(&r), CLI_OK);
        assert_non_null(strstr(out, "  example: "));
        r = RUN(first, space == NULL ? "--help" : space + 1, space == NULL ? NULL : "--help");
        assert_int_equal(run_end(&r), CLI_OK);
        assert_non_null(strstr(out, cli_verbs[i].example));
    }
    for (size_t i = 0; i < COUNT(slips); i++) {
        struct run r = run_start(slips[i].words);

        assert_int_equal(run_end(&r), CLI_USAGE);
        if (strstr(err, slips[i].says) == NULL)
            fail_msg("%s is not in %s", slips[i].says, err);
    }
}

static void
lists_are_tables_and_json(void **state)
{
    Postern__V1__ShareInfo plain = share_info("src", "/srv/a b");
    Postern__V1__ShareInfo odd = share_info("\033c", "/srv/\xff\n"), *infos[] = {&plain, &odd};
    char *ids[] = {s("src"), s("vm-7")};
    reply m = POSTERN__V1__CONTROL_REPLY__INIT;
    struct run r = RUN("share", "list", "--control", "@");
    json_t *all, *row;

    (void)state;
    plain.in_policy = 1;
    odd.reservations = ids;
    odd.n_reservations = 2;
    odd.state = POSTERN__V1__SHARE_STATE__SHARE_FAILED;
    odd.message = s("no such \033 thing");
    m.n_shares = 2;
    m.shares = infos;
    done(serve(&m));
    assert_int_equal(run_end(&r), CLI_OK);
    assert_string_equal(out, "TENANT SHARE STATE  ACCESS    IDENTITY PATH          RESERVATIONS\n"
                             "blue   src   added  read-only squash   /srv/a b      \n"
                             "blue   \\033c failed read-only squash   /srv/\\377\\012 src vm-7\n");
    r = RUN("share", "list", "--json", "--control", "@");
    done(serve(&m));
    assert_int_equal(run_end(&r), CLI_OK);
    all = json_loads(out, 0, NULL);
    row = json_array_get(json_object_get(all, "shares"), 1);
    assert_string_equal(json_string_value(json_object_get(row, "share")), "\033c");
    assert_string_equal(json_string_value(json_object_get(row, "state")), "failed");
    assert_true(json_is_false(json_object_get(row, "in_policy")));
    assert_string_equal(json_string_value(json_object_get(row, "path")), "/srv/\\377\\012");
    assert_int_equal(json_array_size(json_object_get(row, "escaped")), 1);
    json_decref(all);
    r = RUN("share", "show", "blue", "src", "--control", "@", "--columns", "share,message");
    m.shares = &infos[1];
    m.n_shares = 1;
    done(serve(&m));
    assert_int_equal(run_end(&r), CLI_OK);
    assert_string_equal(out, "share        \\033c\nmessage      no such \\033 thing\n");
    r = RUN("share", "show", "blue", "none", "--control", "@");
    m.n_shares = 0;
    done(serve(&m));
    assert_int_equal(run_end(&r), CLI_FAILED);
}

static void
status_and_ps_say_numbers_as_numbers(void **state)
{
    Postern__V1__TenantInfo t = POSTERN__V1__TENANT_INFO__INIT, *ts[] = {&t};
    Postern__V1__ProcessInfo p = POSTERN__V1__PROCESS_INFO__INIT, *ps[] = {&p};
    char *addresses[] = {s("unix:/run/a,b")};
    reply m = POSTERN__V1__CONTROL_REPLY__INIT;
    struct run r = RUN("status", "blue", "--control", "@");
    request *req;

    (void)state;
    t.name = s("blue");
    t.state = s("serving");
    t.shares = 2;
    t.serving_seconds = 3700;
    t.addresses = addresses;
    t.n_addresses = 1;
    m.n_tenants = 1;
    m.tenants = ts;
    req = serve(&m);
    assert_string_equal(req->status->tenant, "blue");
    done(req);
    assert_int_equal(run_end(&r), CLI_OK);
    assert_string_equal(out, "TENANT STATE   SHARES RESTARTS SERVING MEMORY ADDRESSES\n"
                             "blue   serving      2        0   1h01m      - unix:/run/a,b\n");
    p.tenant = s("blue");
    p.profile = s("worker");
    p.pid = 7;
    p.rss_bytes = 2048;
    p.cpu_usec = 1230000;
    p.layers = 0x41;
    m.n_tenants = 0;
    m.n_processes = 1;
    m.processes = ps;
    r = RUN("ps", "--control", "@", "--no-headings");
    done(serve(&m));
    assert_int_equal(run_end(&r), CLI_OK);
    assert_non_null(strstr(out, "blue - 7 worker "));
    assert_non_null(strstr(out, "2.0K"));
    assert_non_null(strstr(out, "1.23s namespaces seccomp\n"));
    r = RUN("ps", "--json", "--columns", "share,rss_bytes", "--control", "@");
    done(serve(&m));
    assert_int_equal(run_end(&r), CLI_OK);
    assert_non_null(strstr(out, "\"share\": null,\n      \"rss_bytes\": 2048\n"));
}

static void
reload_prints_its_report(void **state)
{
    char *lines[] = {s("tenant blue: share src: added"), s("\033odd")};
    reply m = POSTERN__V1__CONTROL_REPLY__INIT;
    struct run r = RUN("reload", "--show", "--control", "@");
    request *req;

    (void)state;
    m.n_report = 2;
    m.report = lines;
    req = serve(&m);
    assert_int_equal(req->reload->only_show, 1);
    done(req);
    assert_int_equal(run_end(&r), CLI_OK);
    assert_string_equal(out, "tenant blue: share src: added\n\\033odd\n");
}

static void
completion_offers_plain_names_alone_and_is_quiet(void **state)
{
    Postern__V1__ShareInfo a = share_info("src", "/a"), b = share_info("s$(reboot)", "/b");
    Postern__V1__ShareInfo *infos[] = {&a, &b};
    char *ids[] = {s("vm-7"), s("vm 8")};
    const reply no = refusal(-EPERM, "no");
    reply m = POSTERN__V1__CONTROL_REPLY__INIT;
    struct run r = RUN("complete", "--", "share", "show", "--control", "@", "blue", "s");
    request *req;

    (void)state;
    a.reservations = ids;
    a.n_reservations = 2;
    m.n_shares = 2;
    m.shares = infos;
    req = serve(&m);
    assert_string_equal(req->share_list->tenant, "blue");
    done(req);
    assert_int_equal(run_end(&r), CLI_OK);
    assert_string_equal(out, "src\n");
    r = RUN("complete", "--", "share", "remove", "--control", "=", "@", "blue", "");
    done(serve(&m));
    assert_int_equal(run_end(&r), CLI_OK);
    assert_string_equal(out, "vm-7\n");
    r = RUN("complete", "--", "ps", "--control", "@", "");
    done(serve(&m));
    assert_int_equal(run_end(&r), CLI_OK);
    assert_string_equal(out, "blue\n");
    r = RUN("complete", "--", "ps", "--control", "@", "");
    done(serve(&no));
    assert_int_equal(run_end(&r), CLI_OK);
    assert_string_equal(out, "");
    assert_string_equal(err, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adding_says_tenant_share_reservation_and_settings),
        cmocka_unit_test(what_was_reserved_is_added_by_its_reservation_alone),
        cmocka_unit_test(removing_may_leave_time),
        cmocka_unit_test(a_refusal_is_exit_code_1_with_its_reason_in_plain_letters),
        cmocka_unit_test(no_answer_is_told_from_no_server),
        cmocka_unit_test(wrong_usage_asks_nobody),
        cmocka_unit_test(every_verb_has_help_with_an_example_and_slips_are_understood),
        cmocka_unit_test(lists_are_tables_and_json),
        cmocka_unit_test(status_and_ps_say_numbers_as_numbers),
        cmocka_unit_test(reload_prints_its_report),
        cmocka_unit_test(completion_offers_plain_names_alone_and_is_quiet),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
