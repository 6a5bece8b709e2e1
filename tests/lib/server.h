/*
 * A real posternd with its real children, for tests: started in a directory
 * of its own, watched through its output and /proc, and ended.
 *
 * The directory holds two shares, ro/ (hello.txt, sub/, link) and rw/, and
 * policy.conf, which serves them as "ro" and "rw" to the tenant "t" at
 * unix:DIR/sock. Every wait has a bound; what fails, fails the test.
 */
#ifndef POSTERN_TESTS_SERVER_H
#define POSTERN_TESTS_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "control/nine_client.h"

#define SERVER_USER 12345u /* who posternd is when it is nobody special */
#define SERVER_OWNER 1000u /* to whom rw/ belongs when posternd is root */
#define SERVER_HELLO "hello from the host\n"

struct server {
    char dir[64];      /* owned; removed at the end */
    char bin[4096];    /* where the programs are */
    char address[128]; /* "unix:DIR/sock" */
    bool as_user;
    gid_t group;    /* one more, that as_user is in; 0: none */
    int inherit_fd; /* an fd that posternd is started with; -1: none */
    /* As systemd passes sockets: these become fd 3 and on. names: LISTEN_FDNAMES;
     * NULL: none is passed. */
    const int *pass_fds;
    size_t npass;
    const char *pass_names;
    bool pass_to_another; /* LISTEN_PID is not posternd's */
    pid_t pid;            /* -1: none */
};

struct server_child {
    pid_t pid;
    bool worker, helper; /* neither: posternd's, for a moment */
};

/* Make the directory. as_user: posternd will run as SERVER_USER. */
void server_init(struct server *s, bool as_user);
/* Kill what still runs and remove the directory. */
void server_done(struct server *s);

/* cmocka: fixtures of the one, with its directory alone or started with its
 * own policy, and their end. */
int server_setup(void **state);
int server_setup_started(void **state);
int server_teardown(void **state);

/* Put text, in which every '@' becomes the directory, into DIR/name. */
void server_file(const struct server *s, const char *name, const char *text);
/* The content of DIR/name: static storage, ends with a NUL, "" if absent. */
const char *server_text(const struct server *s, const char *name);
/* DIR/name; static storage, good for 63 other names. */
const char *server_path(const struct server *s, const char *name);

/* Copy a program to DIR/name; the second: one of ours. */
void server_install(const struct server *s, const char *from, const char *name);
void server_install_ours(struct server *s, const char *name);

/* Run a program of ours to its end: args behind its name, NULL at the end;
 * output in DIR/out and DIR/err. Its exit code. */
int server_run(struct server *s, const char *program, const char *const *args);
/* Start posternd with these arguments (NULL: DIR/policy.conf) and wait until
 * it announced what it serves. */
void server_start(struct server *s, const char *const *args);
/* Send sig (0: none) and wait for its end. Its status as waitpid(2) has it. */
int server_stop(struct server *s, int sig);

/* posternd's children in the order they were started: the helpers in the
 * order of shares, then the worker. */
size_t server_children(const struct server *s, struct server_child *v, size_t room);
/* Wait until that many children are there. */
void server_await_children(const struct server *s, size_t n);
/* Wait until posternd's stderr holds the text. */
void server_await_log(const struct server *s, const char *text);
/* Wait until no process has that pid. */
void server_await_gone(pid_t pid);
/* The line of /proc/PID/status that begins with key; static storage. */
const char *server_status(pid_t pid, const char *key);
/* No capability, no way to any, and a seccomp filter. */
void server_assert_sealed(pid_t pid);
/* Open fds of a process. */
size_t server_fds(pid_t pid);
void server_await_fds(pid_t pid, size_t n);

/* A connection with the version agreed on. */
struct nc *server_connect(const struct server *s);
/* The same, with fid 0 at the root of a share. */
struct nc *server_attach(const struct server *s, const char *share);
/* What an attach on a connection of its own is answered. */
int server_try_attach(const struct server *s, const char *share);

/* True for at most 15 s from the first call with *left == 0, a breath apart. */
bool server_patience(unsigned *left);

/* Tests that need root say so and go. */
bool server_needs_root(void);

#endif
