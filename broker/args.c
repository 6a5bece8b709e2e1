/*
 * posternd's arguments, and the hygiene that comes before anything else.
 *
 * Runs in: broker.   Trusts: the caller's arguments, not the fds it left open.
 * Owns: nothing; the plan goes to broker_run().
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/broker.h"
#include "broker/verbs.h"
#include "ipc/fd.h"
#include "ipc/log.h"
#include "sandbox/sandbox.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char usage_text[] =
    "usage: posternd POLICY\n"
    "       posternd check [--strict] POLICY\n"
    "       posternd explain POLICY --tenant T --share S --op OP --path P [--xattr X] [--uid N]\n"
    "       posternd policy print POLICY\n"
    "       posternd export DIR[:ro]... --listen ADDRESS...\n"
    "       posternd --show-sandbox | --version | --help\n"
    "ADDRESS: unix:PATH, tcp:127.0.0.1:PORT, vsock:PORT, systemd:NAME, fd:N\n"
    "Serves in the foreground until SIGINT or SIGTERM; reads POLICY again on SIGHUP.\n";

static int
usage(void)
{
    fputs(usage_text, stderr);
    return EXIT_USAGE;
}

/* What the caller may have left blocked or ignored. */
static void
signals_clean(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
}

/* Each tenant takes some fds here, and the usual soft limit is there for programs
 * with select(2). What children get follows from the hard limit alone. */
static void
fds_most(void)
{
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        return;
    rl.rlim_cur = rl.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &rl);
}

static int
plan_failed(char *why)
{
    log_error("%s", why != NULL ? why : "out of memory");
    free(why);
    return EXIT_FAILED;
}

/* The plan says which of the fds that we were started with stay open. */
static int
run(struct plan *plan)
{
    if (inherit_only(plan) < 0) {
        plan_free(plan);
        return EXIT_FAILED;
    }
    fds_most();
    return broker_run(plan, false);
}

static int
run_policy(const char *file)
{
    struct plan *plan = NULL;

    return verb_plan_load(file, &plan) < 0 ? EXIT_FAILED : run(plan);
}

static int
export_args(struct plan *plan, int argc, char **argv, char **ret_why)
{
    size_t shares = 0, listens = 0;
    int r = 0;

    for (int i = 0; i < argc && r == 0; i++) {
        if (strcmp(argv[i], "--listen") == 0 && i + 1 < argc) {
            r = plan_add_listen(plan, argv[++i], ret_why);
            listens++;
        } else if (argv[i][0] == '-') {
            return -EINVAL;
        } else {
            r = plan_add_share(plan, argv[i], ret_why);
            shares++;
        }
    }
    return r == 0 && (shares == 0 || listens == 0) ? -EINVAL : r;
}

static int
run_export(int argc, char **argv)
{
    struct plan *plan = NULL;
    char *why = NULL;
    int r = plan_new("export", &plan);

    if (r < 0)
        return plan_failed(NULL);
    r = export_args(plan, argc, argv, &why);
    if (r == 0)
        return run(plan);
    plan_free(plan);
    return why == NULL && r == -EINVAL ? usage() : plan_failed(why);
}

static int
print(const char *s)
{
    return fputs(s, stdout) < 0 || fflush(stdout) != 0 ? EXIT_FAILED : 0;
}

/* A verb that looks and serves nothing. */
static bool
verb_run(int argc, char **argv, int *ret)
{
    static const struct {
        const char *name;
        int (*run)(int argc, char **argv);
    } verbs[] = {{"check", verb_check}, {"explain", verb_explain}, {"policy", verb_policy}};

    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        if (strcmp(verbs[i].name, argv[0]) != 0)
            continue;
        *ret = verbs[i].run(argc - 1, argv + 1);
        return true;
    }
    return false;
}

int
broker_main(int argc, char **argv)
{
    int r;

    log_to(LOG_TO_STDERR, "posternd");
    if (inherit_stdio() < 0)
        return EXIT_FAILED;
    signals_clean();
    umask(077);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc >= 2 && strcmp(argv[1], "export") == 0)
        return run_export(argc - 2, argv + 2);
    if (argc >= 2 && verb_run(argc - 1, argv + 1, &r))
        return r == VERB_USAGE ? usage() : r;
    if (argc != 2)
        return usage();
    if (strcmp(argv[1], "--show-sandbox") == 0) {
        sandbox_broker_print(stdout);
        return print("");
    }
    if (strcmp(argv[1], "--version") == 0)
        return print("posternd " POSTERND_VERSION "\n");
    if (strcmp(argv[1], "--help") == 0)
        return print(usage_text);
    return argv[1][0] == '-' ? usage() : run_policy(argv[1]);
}
