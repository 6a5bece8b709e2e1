/*
 * The verbs that run another program of this package: found beside this one,
 * or where `make install` puts it, never through PATH.
 *
 * Runs in: the command line.   Trusts: the caller and the installed files.
 * Owns: nothing.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/cli.h"

#define PATH_ROOM 4096

/* From the directory of this program; twin: the install rule in Makefile. */
static const char *const places[] = {"", "../libexec/postern/"};

/* The directory of this program with its final slash, into out[PATH_ROOM]. */
static int
own_dir(char *out)
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_ROOM - 1);
    char *slash;

    if (n < 0)
        return -errno;
    out[n] = '\0';
    slash = strrchr(out, '/');
    if (slash == NULL)
        return -ENOENT;
    slash[1] = '\0';
    return 0;
}

/* The path of one of our programs into out[PATH_ROOM]. 0 or -errno. */
static int
program_path(const char *name, char *out)
{
    char dir[PATH_ROOM];
    int r = own_dir(dir);

    if (r < 0)
        return r;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int n = snprintf(out, PATH_ROOM, "%s%s%s", dir, places[i], name);

        if (n > 0 && n < PATH_ROOM && access(out, X_OK) == 0)
            return 0;
    }
    return -ENOENT;
}

static int
not_run(const char *name, int err)
{
    fprintf(stderr, "postern: %s: %s\n", name, strerror(err));
    return CLI_FAILED;
}

/* Become the daemon; returns only on failure. */
static int
become_posternd(char **args)
{
    char path[PATH_ROOM];
    int r = program_path("posternd", path);

    if (r < 0)
        return not_run("posternd", -r);
    execv(path, args);
    return not_run(path, errno);
}

static char daemon_name[] = "posternd";

int
verb_serve(int argc, char **argv)
{
    char *args[] = {daemon_name, argv[1], NULL};

    (void)argc;
    if (argv[1][0] == '-')
        return cli_usage("serve");
    return become_posternd(args);
}

/* posternd knows these verbs by the same names. */
static int
same_verb(int argc, char **argv)
{
    char **args = calloc((size_t)argc + 2, sizeof(*args));
    int r;

    if (args == NULL)
        return not_run("posternd", ENOMEM);
    args[0] = daemon_name;
    for (int i = 0; i < argc; i++)
        args[i + 1] = argv[i];
    r = become_posternd(args);
    free(args);
    return r;
}

int
verb_export(int argc, char **argv)
{
    return same_verb(argc, argv);
}

int
verb_check(int argc, char **argv)
{
    return same_verb(argc, argv);
}

int
verb_explain(int argc, char **argv)
{
    return same_verb(argc, argv);
}

int
verb_policy_print(int argc, char **argv)
{
    static char policy[] = "policy";
    char *args[] = {daemon_name, policy, argv[0], argv[1], NULL};

    (void)argc;
    return become_posternd(args);
}

/* Let a program print the table it seals itself with. */
static int
show_one(const char *name)
{
    char path[PATH_ROOM];
    int r = program_path(name, path), status;
    pid_t pid;

    if (r < 0)
        return not_run(name, -r);
    fflush(stdout);
    pid = fork();
    if (pid < 0)
        return not_run(name, errno);
    if (pid == 0) {
        execl(path, name, "--show-sandbox", (char *)NULL);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) < 0)
        return not_run(name, errno);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE)
        return CLI_FAILED; /* the reader has seen enough */
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "postern: %s --show-sandbox failed\n", name);
        return CLI_FAILED;
    }
    return CLI_OK;
}

int
verb_show(int argc, char **argv)
{
    static const char *const programs[] = {"posternd", "postern-worker", "postern-helper"};
    int r = CLI_OK;

    (void)argc;
    if (strcmp(argv[1], "sandbox") != 0)
        return cli_usage("show");
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]) && r == CLI_OK; i++)
        r = show_one(programs[i]);
    return r;
}
