/*
 * The ways in: TCP, vsock, sockets that posternd is started with, and what it
 * tells a service manager.
 */
#include "tests/lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/nine_wire.h"
#include "ipc/limits.h"
#include "tests/lib/legacy.h"
#include "tests/lib/server.h"

#define NOT_ENCRYPTED "9P is neither encrypted nor authenticated"

static int
setup(void **state)
{
    static struct server s;

    server_init(&s, false);
    *state = &s;
    return 0;
}

static int
setup_user(void **state)
{
    static struct server s;

    server_init(&s, true);
    *state = &s;
    return 0;
}

static int
teardown(void **state)
{
    struct server *s = *state;

    (void)unsetenv("NOTIFY_SOCKET");
    if (s->inherit_fd >= 0)
        close(s->inherit_fd);
    server_done(s);
    return 0;
}

static void
assert_says(const struct server *s, const char *name, const char *text)
{
    if (strstr(server_text(s, name), text) == NULL)
        fail_msg("\"%s\" is not in:\n%s", text, server_text(s, name));
}

/* --- sockets of the test's own ---------------------------------------------------- */

static int
listening(const struct sockaddr *sa, socklen_t n)
{
    int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, sa, n), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static int
listening_unix(const struct server *s, const char *name)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd;

    (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", server_path(s, name));
    fd = listening((struct sockaddr *)&sa, sizeof(sa));
    assert_int_equal(chmod(server_path(s, name), 0666), 0);
    return fd;
}

static int
listening_tcp(uint32_t host)
{
    const struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host)};

    return listening((const struct sockaddr *)&sa, sizeof(sa));
}

static unsigned
port_of(int fd)
{
    struct sockaddr_in sa;
    socklen_t n = sizeof(sa);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
    return ntohs(sa.sin_port);
}

static bool
has_open(pid_t pid, int ours)
{
    struct stat want, st;
    bool found = false;

    assert_int_equal(fstat(ours, &want), 0);
    for (int fd = 0; fd < 256; fd++) {
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
        if (stat(path, &st) == 0 && st.st_dev == want.st_dev && st.st_ino == want.st_ino)
            found = true;
    }
    return found;
}

static void
assert_served_in_l(struct nc *c)
{
    static const char *const name[] = {"hello.txt"};
    char buf[64];

    assert_int_equal(nc_attach(c, 0, "", "ro", 0), 0);
    assert_int_equal(nc_walk(c, 0, 1, 1, name, NULL, NULL), 0);
    assert_int_equal(nc_lopen(c, 1, NINE_O_RDONLY, NULL, NULL), 0);
    assert_int_equal(nc_read(c, 1, 0, buf, sizeof(buf)), strlen(SERVER_HELLO));
    assert_memory_equal(buf, SERVER_HELLO, strlen(SERVER_HELLO));
}

static void
assert_served_in_old(struct nc *c, bool dotu)
{
    struct old o = {.c = c, .dotu = dotu};
    char buf[64];

    assert_int_equal(old_attach(&o, 0, "ro"), 0);
    assert_int_equal(old_walk(&o, 0, 1, "hello.txt"), 0);
    assert_int_equal(old_open(&o, 1, OLD_OREAD), 0);
    assert_int_equal(old_read(&o, 1, 0, buf, sizeof(buf)), strlen(SERVER_HELLO));
    assert_memory_equal(buf, SERVER_HELLO, strlen(SERVER_HELLO));
}

/* Whoever connects there reads the file of the read-only share, in every
 * dialect, with messages of more than 1 MiB. */
static void
assert_served(struct nc *c)
{
    assert_int_equal(nc_version(c, MSIZE_MAX, "9P2000"), 0);
    assert_int_equal(nc_msize(c), MSIZE_MAX);
    assert_served_in_old(c, false);
    assert_int_equal(nc_version(c, MSIZE_MAX, "9P2000.u"), 0);
    assert_int_equal(nc_msize(c), MSIZE_MAX);
    assert_served_in_old(c, true);
    assert_int_equal(nc_version(c, MSIZE_MAX, "9P2000.L"), 0);
    assert_int_equal(nc_msize(c), MSIZE_MAX);
    assert_served_in_l(c);
}

static void
assert_served_at(struct server *s, const char *address)
{
    struct nc *c;

    (void)snprintf(s->address, sizeof(s->address), "%s", address);
    c = server_connect(s);
    assert_served(c);
    nc_close(c);
}

/* The address behind "postern ls -l " or in the log. */
static void
announced(const struct server *s, const char *before, char *to, size_t room)
{
    const char *p = strstr(server_text(s, "err"), before);

    assert_non_null(p);
    (void)snprintf(to, room, "%.*s", (int)strcspn(p, ",\n"), p);
}

/* --- TCP and vsock ------------------------------------------------------------------ */

static void
serve_policy(struct server *s, const char *listens)
{
    char text[1024];

    (void)snprintf(text, sizeof(text),
                   "tenant \"t\" {\n%s\nshare \"ro\" { path = \"@/ro\" access = read-only } }\n",
                   listens);
    server_file(s, "policy.conf", text);
}

static void
tcp_is_served_on_both_loopback_addresses(void **state)
{
    struct server *s = *state;
    char four[64], six[64];

    serve_policy(s, "listen \"tcp:127.0.0.1:0\" { } listen \"tcp:[::1]:0\" { }");
    server_start(s, NULL);
    announced(s, "tcp:127.0.0.1:", four, sizeof(four));
    announced(s, "tcp:[::1]:", six, sizeof(six));
    assert_served_at(s, four);
    assert_served_at(s, six);
    assert_says(s, "out", " -o trans=tcp,port=");
    assert_says(s, "out", " 127.0.0.1 /mnt\n");
    assert_says(s, "out", " ::1 /mnt\n");
    assert_null(strstr(server_text(s, "err"), NOT_ENCRYPTED));
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* Where [::] were both, the second could not be bound. */
static void
both_wildcard_addresses_can_have_one_port_and_are_warned_about(void **state)
{
    struct server *s = *state;
    int fd = listening_tcp(INADDR_ANY);
    unsigned port = port_of(fd);
    const char *check[] = {"check", server_path(s, "policy.conf"), NULL};
    char listens[256], address[64];

    close(fd);
    (void)snprintf(listens, sizeof(listens),
                   "listen \"tcp:[::]:%u\" { allow-remote = yes }\n"
                   "listen \"tcp:0.0.0.0:%u\" { allow-remote = yes }",
                   port, port);
    serve_policy(s, listens);
    assert_int_equal(server_run(s, "posternd", check), 0);
    assert_says(s, "err", "listen tcp:[::]:");
    assert_says(s, "err", NOT_ENCRYPTED);
    server_start(s, NULL);
    assert_says(s, "err", "listen tcp:[::]:");
    assert_says(s, "err", "listen tcp:0.0.0.0:");
    assert_says(s, "err", NOT_ENCRYPTED);
    (void)snprintf(address, sizeof(address), "tcp:127.0.0.1:%u", port);
    assert_served_at(s, address);
    (void)snprintf(address, sizeof(address), "tcp:[::1]:%u", port);
    assert_served_at(s, address);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
a_remote_address_needs_to_be_allowed(void **state)
{
    static const char *const addresses[] = {"tcp:0.0.0.0:0", "tcp:[::]:0", "tcp:10.0.0.1:564"};
    struct server *s = *state;

    for (size_t i = 0; i < COUNT(addresses); i++) {
        const char *policy[] = {server_path(s, "policy.conf"), NULL};
        const char *export[] = {"export", server_path(s, "ro"), "--listen", addresses[i], NULL};
        char listens[128];

        (void)snprintf(listens, sizeof(listens), "listen \"%s\" { }", addresses[i]);
        serve_policy(s, listens);
        assert_int_equal(server_run(s, "posternd", policy), 1);
        assert_says(s, "err", "policy.conf:2: \"tcp:");
        assert_says(s, "err", "can be reached from other machines, expected");
        assert_int_equal(server_run(s, "posternd", export), 1);
        assert_says(s, "err", "a policy file with allow-remote = yes");
    }
}

/* With a loopback for vsock, tests/e2e goes through it. */
static void
vsock_is_announced_or_said_to_be_missing(void **state)
{
    struct server *s = *state;
    const char *args[] = {"export", server_path(s, "ro"), "--listen", "vsock:0", NULL};
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        assert_int_equal(server_run(s, "posternd", args), 1);
        assert_says(s, "err", "listen vsock:0: this kernel has no vsock: load its modules");
        return;
    }
    close(fd);
    server_start(s, args);
    assert_says(s, "out", "  socat VSOCK-CONNECT:2:");
    assert_null(strstr(server_text(s, "out"), "VSOCK-CONNECT:2:0 ")); /* the port it got */
    assert_says(s, "out", "trans=fd,rfdno=0,wfdno=0,version=9p2000.L,aname=ro,msize=1048600 none");
    assert_says(s, "out", "postern ls -l vsock:2:");
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* --- fd:N ----------------------------------------------------------------------------- */

static void
start_with_fd(struct server *s, int fd, const char *also)
{
    char address[32];
    const char *args[] = {
        "export", server_path(s, "ro"), "--listen", address, also != NULL ? "--listen" : NULL, also,
        NULL};

    (void)snprintf(address, sizeof(address), "fd:%d", fd);
    s->inherit_fd = fd;
    server_start(s, args);
}

/* The guest's end of a connection that posternd was started with. */
static struct nc *
start_connected(struct server *s, const char *also)
{
    const struct timeval most = {.tv_sec = 15};
    struct nc *c = NULL;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)), 0);
    start_with_fd(s, pair[1], also);
    assert_int_equal(nc_open_fd(pair[0], &c), 0);
    close(s->inherit_fd); /* posternd has it */
    s->inherit_fd = -1;
    assert_int_equal(nc_version(c, MSIZE_MAX, "9P2000.L"), 0);
    assert_served(c);
    return c;
}

/* Whoever has the other end need not even notice. */
static void
a_conversation_that_the_server_ends_is_the_end(void **state)
{
    struct server *s = *state;
    struct nc *c = start_connected(s, NULL);
    static const uint8_t no_message[7] = {3};
    char byte;

    assert_int_equal(send(nc_fd(c), no_message, sizeof(no_message), MSG_NOSIGNAL),
                     sizeof(no_message));
    assert_int_equal(server_stop(s, 0), 0);
    assert_int_equal(recv(nc_fd(c), &byte, 1, 0), 0);
    assert_null(strstr(server_text(s, "err"), "starts again"));
    nc_close(c);
}

static void
a_connection_is_served_until_the_guest_hangs_up(void **state)
{
    struct server *s = *state;
    struct nc *c = start_connected(s, NULL);

    assert_says(s, "out", "  mount -t 9p -o trans=fd,rfdno=N,wfdno=N,version=9p2000.L,aname=ro,");
    assert_says(s, "out", "with N the other end of fd:");
    nc_close(c);
    assert_int_equal(server_stop(s, 0), 0);
    assert_says(s, "err", ": the guest hung up\n");
    assert_null(strstr(server_text(s, "err"), "starts again"));
}

static void
a_connection_over_tcp_ends_as_well(void **state)
{
    struct server *s = *state;
    int l = listening_tcp(INADDR_LOOPBACK);
    struct nc *c = NULL;
    char address[64];

    (void)snprintf(address, sizeof(address), "tcp:127.0.0.1:%u", port_of(l));
    assert_int_equal(nc_connect(address, &c), 0);
    start_with_fd(s, accept4(l, NULL, NULL, SOCK_CLOEXEC), NULL);
    close(s->inherit_fd);
    s->inherit_fd = -1;
    close(l);
    assert_int_equal(nc_version(c, MSIZE_MAX, "9P2000.L"), 0);
    assert_served(c);
    nc_close(c);
    assert_int_equal(server_stop(s, 0), 0);
}

static void
other_addresses_outlive_a_connection(void **state)
{
    struct server *s = *state;
    char address[128];
    struct nc *c;

    (void)snprintf(address, sizeof(address), "unix:%s/sock", s->dir);
    c = start_connected(s, address);
    nc_close(c);
    server_await_log(s, ": the guest hung up\n");
    assert_served_at(s, address);
    assert_null(strstr(server_text(s, "err"), "starts again")); /* as if nothing were */
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static pid_t
worker_of(const struct server *s)
{
    struct server_child v[8];
    size_t n = server_children(s, v, COUNT(v));

    for (size_t i = 0; i < n; i++)
        if (v[i].worker)
            return v[i].pid;
    fail_msg("there is no worker");
    return -1;
}

/* Nothing else could take its place: a conversation cannot be continued. */
static void
a_connection_ends_with_its_worker(void **state)
{
    struct server *s = *state;
    struct nc *c = start_connected(s, NULL);
    char byte;
    int status;

    assert_int_equal(kill(worker_of(s), SIGKILL), 0);
    assert_int_equal(recv(nc_fd(c), &byte, 1, 0), 0);
    status = server_stop(s, 0);
    assert_true(WIFEXITED(status));
    assert_int_not_equal(WEXITSTATUS(status), 0);
    nc_close(c);
}

static void
but_not_the_tenant_when_it_has_an_address(void **state)
{
    struct server *s = *state;
    char address[128];
    struct nc *c;
    char byte;

    (void)snprintf(address, sizeof(address), "unix:%s/sock", s->dir);
    c = start_connected(s, address);
    assert_int_equal(kill(worker_of(s), SIGKILL), 0);
    assert_int_equal(recv(nc_fd(c), &byte, 1, 0), 0);
    assert_served_at(s, address); /* waits in the socket until the tenant is back */
    nc_close(c);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
a_listening_fd_is_served_as_what_it_is(void **state)
{
    struct server *s = *state;
    char address[128];

    (void)snprintf(address, sizeof(address), "unix:%s/theirs", s->dir);
    start_with_fd(s, listening_unix(s, "theirs"), NULL);
    assert_says(s, "out", "/theirs /mnt\n");
    assert_served_at(s, address);
    assert_served_at(s, address);
    assert_int_equal(server_stop(s, SIGTERM), 0);
    assert_int_equal(access(server_path(s, "theirs"), F_OK), 0); /* not ours to remove */

    close(s->inherit_fd);
    start_with_fd(s, listening_tcp(INADDR_LOOPBACK), NULL);
    (void)snprintf(address, sizeof(address), "tcp:127.0.0.1:%u", port_of(s->inherit_fd));
    assert_says(s, "out", address);
    assert_served_at(s, address);
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

/* --- what is no way in -------------------------------------------------------------- */

static int
make_pipe(const struct server *s)
{
    int p[2];

    (void)s;
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    close(p[1]);
    return p[0];
}

static int
make_file(const struct server *s)
{
    return open(server_path(s, "policy.conf"), O_RDWR | O_CLOEXEC);
}

static int
make_packets(const struct server *s)
{
    int pair[2];

    (void)s;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    close(pair[1]);
    return pair[0];
}

static int
make_idle(const struct server *s)
{
    (void)s;
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int
make_abstract(const struct server *s)
{
    const struct sockaddr_un sa = {.sun_family = AF_UNIX};

    (void)s; /* the kernel chooses a name */
    return listening((const struct sockaddr *)&sa, sizeof(sa_family_t));
}

static int
make_remote(const struct server *s)
{
    (void)s;
    return listening_tcp(INADDR_ANY);
}

static const struct {
    int (*make)(const struct server *s);
    const char *says;
} unfit[] = {
    {make_pipe, "it is no socket: two pipes cannot be served, give one stream socket"},
    {make_file, "it is no socket: "},
    {make_packets, "it is no stream socket: give one of SOCK_STREAM"},
    {make_idle, "it neither listens nor is connected: "},
    {make_abstract, "it is an abstract unix socket, to which everybody may connect: "},
    {make_remote, "it can be reached from other machines: "},
};

static void
what_cannot_be_served_is_refused(void **state)
{
    struct server *s = *state;
    char address[32], want[128];
    const char *args[] = {"export", server_path(s, "ro"), "--listen", address, NULL};

    for (size_t i = 0; i < COUNT(unfit); i++) {
        s->inherit_fd = unfit[i].make(s);
        assert_true(s->inherit_fd >= 0);
        (void)snprintf(address, sizeof(address), "fd:%d", s->inherit_fd);
        (void)snprintf(want, sizeof(want), "listen %s: %s", address, unfit[i].says);
        assert_int_equal(server_run(s, "posternd", args), 1);
        assert_says(s, "err", want);
        close(s->inherit_fd);
        s->inherit_fd = -1;
    }
    (void)snprintf(address, sizeof(address), "fd:%d", 77);
    assert_int_equal(server_run(s, "posternd", args), 1);
    assert_says(s, "err", "listen fd:77: there is no such fd: leave it open for posternd");
}

/* --- systemd -------------------------------------------------------------------------- */

#define TWO "listen \"systemd:one\" { } listen \"systemd:the.other_x\" { }"

static void
sockets_of_systemd_are_found_by_their_names(void **state)
{
    struct server *s = *state;
    int fds[5] = {listening_tcp(INADDR_LOOPBACK), listening_unix(s, "other"),
                  listening_unix(s, "nobodys"), listening_unix(s, "one"),
                  listening_unix(s, "last")};
    char address[128];

    s->pass_fds = fds;
    s->npass = COUNT(fds);
    s->pass_names = "tcp:the.other_x::one:last";
    serve_policy(s, TWO);
    server_start(s, NULL);
    (void)snprintf(address, sizeof(address), "unix:%s/one", s->dir);
    assert_served_at(s, address);
    (void)snprintf(address, sizeof(address), "unix:%s/other", s->dir);
    assert_served_at(s, address);
    assert_true(has_open(s->pid, fds[1]));
    assert_true(has_open(s->pid, fds[3]));
    assert_false(has_open(s->pid, fds[0])); /* nobody asked for it */
    assert_false(has_open(s->pid, fds[2]));
    assert_false(has_open(s->pid, fds[4]));
    assert_int_equal(server_stop(s, SIGTERM), 0);
    assert_int_equal(access(server_path(s, "one"), F_OK), 0);
    for (size_t i = 0; i < COUNT(fds); i++)
        close(fds[i]);
}

static const struct {
    const char *names;
    bool to_another;
    const char *says;
} passed[] = {
    {NULL, false, "listen systemd:one: no sockets were passed at start (LISTEN_FDS): "},
    {"one:the.other_x", true, "listen systemd:one: no sockets were passed at start"},
    {"the.other_x:on", false, "listen systemd:one: no socket of that name was passed: "},
    {"oneone:the.other_x", false, "listen systemd:one: no socket of that name was passed: "},
    {"one:one", false, "listen systemd:one: more than one socket goes by that name: "},
    {"one", false, "listen systemd:the.other_x: no socket of that name was passed: "},
};

static void
a_name_that_does_not_fit_is_said_with_its_line(void **state)
{
    struct server *s = *state;
    const char *args[] = {server_path(s, "policy.conf"), NULL};
    const char *check[] = {"check", server_path(s, "policy.conf"), NULL};
    int fds[2] = {listening_unix(s, "one"), listening_unix(s, "other")};

    serve_policy(s, TWO);
    s->pass_fds = fds;
    s->npass = COUNT(fds);
    for (size_t i = 0; i < COUNT(passed); i++) {
        s->pass_names = passed[i].names;
        s->pass_to_another = passed[i].to_another;
        assert_int_equal(server_run(s, "posternd", args), 1);
        assert_says(s, "err", passed[i].says);
        assert_says(s, "err", "policy.conf:2: ");
    }
    assert_int_equal(server_run(s, "posternd", check), 0); /* nobody passes any there */
    close(fds[0]);
    close(fds[1]);
}

static void
a_remote_socket_of_systemd_needs_to_be_allowed_too(void **state)
{
    struct server *s = *state;
    const char *args[] = {server_path(s, "policy.conf"), NULL};
    int fd = listening_tcp(INADDR_ANY);
    char address[64];

    s->pass_fds = &fd;
    s->npass = 1;
    s->pass_names = "x";
    serve_policy(s, "listen \"systemd:x\" { }");
    assert_int_equal(server_run(s, "posternd", args), 1);
    assert_says(s, "err", "policy.conf:2: listen systemd:x: it can be reached from other machines");
    serve_policy(s, "listen \"systemd:x\" { allow-remote = yes }");
    server_start(s, NULL);
    assert_says(s, "err", "listen systemd:x: other machines can reach it, and " NOT_ENCRYPTED);
    (void)snprintf(address, sizeof(address), "tcp:127.0.0.1:%u", port_of(fd));
    assert_served_at(s, address);
    assert_int_equal(server_stop(s, SIGTERM), 0);
    close(fd);
}

static void
export_takes_a_socket_of_systemd(void **state)
{
    struct server *s = *state;
    const char *args[] = {"export", server_path(s, "ro"), "--listen", "systemd:x", NULL};
    int fd = listening_unix(s, "one");
    char address[128];

    s->pass_fds = &fd;
    s->npass = 1;
    s->pass_names = "x";
    server_start(s, args);
    (void)snprintf(address, sizeof(address), "unix:%s/one", s->dir);
    assert_served_at(s, address);
    assert_int_equal(server_stop(s, SIGTERM), 0);
    close(fd);
}

static void
a_socket_is_served_under_one_name(void **state)
{
    struct server *s = *state;
    const char *args[] = {"export",   server_path(s, "ro"), "--listen", "fd:3",
                          "--listen", "systemd:x",          NULL};
    int fd = listening_unix(s, "one");

    s->pass_fds = &fd;
    s->npass = 1;
    s->pass_names = "x";
    assert_int_equal(server_run(s, "posternd", args), 1);
    assert_says(s, "err", "listen systemd:x: more than one socket goes by that name: ");
    close(fd);
}

/* Two tenants: "gone" has a connection (Accept=yes), "t" a listener. */
static void
start_two_tenants(struct server *s, int connection)
{
    int fds[2] = {connection, listening_unix(s, "one")};

    s->pass_fds = fds;
    s->npass = COUNT(fds);
    s->pass_names = "connection:one";
    server_file(s, "policy.conf",
                "tenant \"gone\" { listen \"systemd:connection\" { }\n"
                "share \"ro\" { path = \"@/ro\" access = read-only } }\n"
                "tenant \"t\" { listen \"systemd:one\" { }\n"
                "share \"ro\" { path = \"@/ro\" access = read-only } }\n");
    server_start(s, NULL);
    close(fds[0]);
    close(fds[1]);
}

static void
assert_other_tenant_goes_on(struct server *s)
{
    char address[128];

    server_await_log(s, "tenant gone: systemd:connection: the guest hung up\n");
    server_await_children(s, 2);
    (void)snprintf(address, sizeof(address), "unix:%s/one", s->dir);
    assert_served_at(s, address);
    assert_null(strstr(server_text(s, "err"), "starts again"));
    assert_int_equal(server_stop(s, SIGTERM), 0);
}

static void
a_tenant_whose_guest_hung_up_is_over_and_others_are_not(void **state)
{
    struct server *s = *state;
    const struct timeval most = {.tv_sec = 15};
    int pair[2];
    struct nc *c = NULL;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)), 0);
    assert_int_equal(nc_open_fd(pair[0], &c), 0);
    start_two_tenants(s, pair[1]);
    assert_int_equal(nc_version(c, MSIZE_MAX, "9P2000.L"), 0);
    assert_served(c);
    server_await_children(s, 4);
    nc_close(c);
    assert_other_tenant_goes_on(s);
}

static void
a_guest_that_is_gone_at_the_start_holds_nobody_up(void **state)
{
    struct server *s = *state;
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    close(pair[0]);
    start_two_tenants(s, pair[1]);
    assert_other_tenant_goes_on(s);
}

/* --- the service manager ---------------------------------------------------------------- */

static void
assert_told(int fd, const char *want)
{
    char buf[64] = "";
    ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

    assert_int_equal(n, strlen(want));
    assert_string_equal(buf, want);
}

/* It is told before a person is, and at the end before posternd is gone. */
static void
the_service_manager_is_told(void **state)
{
    struct server *s = *state;

    for (int abstract = 0; abstract < 2; abstract++) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        size_t n = offsetof(struct sockaddr_un, sun_path);

        n += (size_t)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s%s/notify", abstract ? "@" : "",
                              s->dir);
        assert_int_equal(setenv("NOTIFY_SOCKET", sa.sun_path, 1), 0);
        if (abstract)
            sa.sun_path[0] = '\0';
        assert_int_equal(bind(fd, (struct sockaddr *)&sa, (socklen_t)n), 0);
        if (!abstract)
            assert_int_equal(chmod(server_path(s, "notify"), 0666), 0);
        server_start(s, NULL);
        nc_close(server_attach(s, "ro"));
        assert_told(fd, "READY=1");
        assert_int_equal(server_stop(s, SIGTERM), 0);
        assert_told(fd, "STOPPING=1");
        close(fd);
    }
}

static void
a_service_manager_that_is_gone_is_no_reason_to_fail(void **state)
{
    static const char *const wrong[] = {"/nonexistent/notify", "vsock:2:1", ""};
    struct server *s = *state;

    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_int_equal(setenv("NOTIFY_SOCKET", wrong[i], 1), 0);
        server_start(s, NULL);
        nc_close(server_attach(s, "ro"));
        server_await_log(s, "service manager");
        assert_int_equal(server_stop(s, SIGTERM), 0);
    }
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define AS_USER(f)                                                                                 \
    (const struct CMUnitTest)                                                                      \
    {                                                                                              \
#f ", as an ordinary user", f, setup_user, teardown, NULL                                  \
    }
    const struct CMUnitTest tests[] = {
        CASE(tcp_is_served_on_both_loopback_addresses),
        CASE(both_wildcard_addresses_can_have_one_port_and_are_warned_about),
        CASE(a_remote_address_needs_to_be_allowed),
        CASE(vsock_is_announced_or_said_to_be_missing),
        CASE(a_conversation_that_the_server_ends_is_the_end),
        CASE(a_conversation_that_the_server_ends_is_the_end),
        CASE(a_connection_is_served_until_the_guest_hangs_up),
        AS_USER(a_connection_is_served_until_the_guest_hangs_up),
        CASE(a_connection_over_tcp_ends_as_well),
        CASE(other_addresses_outlive_a_connection),
        CASE(a_connection_ends_with_its_worker),
        CASE(but_not_the_tenant_when_it_has_an_address),
        CASE(a_listening_fd_is_served_as_what_it_is),
        CASE(what_cannot_be_served_is_refused),
        CASE(sockets_of_systemd_are_found_by_their_names),
        AS_USER(sockets_of_systemd_are_found_by_their_names),
        CASE(a_name_that_does_not_fit_is_said_with_its_line),
        CASE(a_remote_socket_of_systemd_needs_to_be_allowed_too),
        CASE(export_takes_a_socket_of_systemd),
        CASE(a_socket_is_served_under_one_name),
        CASE(a_tenant_whose_guest_hung_up_is_over_and_others_are_not),
        CASE(a_guest_that_is_gone_at_the_start_holds_nobody_up),
        CASE(the_service_manager_is_told),
        AS_USER(the_service_manager_is_told),
        CASE(a_service_manager_that_is_gone_is_no_reason_to_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
