/*
 * The order in which everything is set up, the loop, and the end.
 *
 * Runs in: broker.   Trusts: the policy.
 * Owns: the tenants, the event base and the binaries' fds.
 */
#include "broker/broker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "broker/reload.h"
#include "ipc/fd.h"
#include "ipc/log.h"
#include "sandbox/sandbox.h"

enum { EXIT_FAILED = 1 };

int64_t
broker_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec;
}

static struct {
    char *text; /* borrowed; NULL: to the log */
    size_t room;
} refusal;

void
broker_refuse_into(char *text, size_t room)
{
    refusal.text = text;
    refusal.room = room;
    if (text != NULL)
        text[0] = '\0';
}

int
broker_refuse(int r, const char *file, unsigned line, const char *fmt, ...)
{
    char text[LOG_LINE_ROOM];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (refusal.text != NULL)
        (void)snprintf(refusal.text, refusal.room, "%s", text);
    else if (file != NULL)
        (void)dprintf(STDERR_FILENO, "%s:%u: %s\n", file, line, text);
    else
        log_error("%s", text);
    return r;
}

/* --- the loop ------------------------------------------------------------------ */

static bool
all_in(const struct broker *b, enum tenant_state state)
{
    for (const struct tenant *t = b->tenants; t != NULL; t = t->next)
        if (t->state != state)
            return false;
    return true;
}

static bool
all_serve(const struct broker *b)
{
    for (const struct tenant *t = b->tenants; t != NULL; t = t->next)
        if (t->state != TENANT_SERVING && !tenant_over(t))
            return false;
    return true;
}

void
broker_look(struct broker *b)
{
    broker_sweep_soon(b);
    if (b->stopping) {
        if (all_in(b, TENANT_DOWN))
            event_base_loopbreak(b->base);
    } else if (!b->up && all_serve(b)) {
        b->up = true;
        notify("READY=1");
        announce(b);
    }
}

void
broker_tenant_over(struct broker *b, int exit_code)
{
    for (const struct tenant *t = b->tenants; t != NULL; t = t->next)
        if (!tenant_over(t))
            return;
    broker_stop(b, exit_code);
}

void
broker_stop(struct broker *b, int exit_code)
{
    const struct timeval most = {.tv_sec = STOP_SECONDS};

    if (b->stopping)
        return;
    b->stopping = true;
    b->exit_code = exit_code;
    notify("STOPPING=1");
    (void)event_add(b->overdue, &most);
    for (struct tenant *t = b->tenants; t != NULL; t = t->next)
        tenant_end(t);
    broker_look(b);
}

static void
on_signal(evutil_socket_t sig, short what, void *ctx)
{
    (void)what;
    log_info("ends on signal %d (%s)", (int)sig, strsignal((int)sig));
    broker_stop(ctx, 0);
}

static void
reload_said(void *ctx, const char *text)
{
    (void)ctx;
    log_info("reload: %s", text);
}

static void
on_hangup(evutil_socket_t sig, short what, void *ctx)
{
    static char why[RELOAD_WHY]; /* too large for a stack */
    struct broker *b = ctx;

    if (b->plan->nfiles == 0) {
        on_signal(sig, what, ctx);
        return;
    }
    log_info("reads its policy again");
    if (!b->stopping && reload(b, false, reload_said, NULL, why, sizeof(why)) < 0)
        log_error("reload: nothing changed: %s", why);
}

static void
on_sweep(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    reload_sweep(ctx);
}

void
broker_sweep_soon(struct broker *b)
{
    if (b->sweep != NULL)
        event_active(b->sweep, EV_TIMEOUT, 1);
}

static void
on_turn(evutil_socket_t fd, short what, void *ctx)
{
    (void)fd;
    (void)what;
    tenants_turn(ctx);
}

static void
on_overdue(evutil_socket_t fd, short what, void *ctx)
{
    struct broker *b = ctx;

    (void)fd;
    (void)what;
    log_warn("a child is still busy with a disk; it ends when the disk answers");
    event_base_loopbreak(b->base);
}

int
broker_timers(struct broker *b)
{
    b->overdue = evtimer_new(b->base, on_overdue, b);
    b->sweep = evtimer_new(b->base, on_sweep, b);
    b->turn = evtimer_new(b->base, on_turn, b);
    return b->overdue == NULL || b->sweep == NULL || b->turn == NULL ? -ENOMEM : 0;
}

static int
loop_init(struct broker *b)
{
    b->base = event_base_new();
    if (b->base == NULL)
        return -ENOMEM;
    b->sigint = evsignal_new(b->base, SIGINT, on_signal, b);
    b->sigterm = evsignal_new(b->base, SIGTERM, on_signal, b);
    b->sighup = evsignal_new(b->base, SIGHUP, on_hangup, b);
    if (b->sigint == NULL || b->sigterm == NULL || b->sighup == NULL || broker_timers(b) < 0)
        return -ENOMEM;
    if (event_add(b->sigint, NULL) < 0 || event_add(b->sigterm, NULL) < 0 ||
        event_add(b->sighup, NULL) < 0)
        return -ENOMEM;
    return 0;
}

static void
loop_done(struct broker *b)
{
    struct event *all[] = {b->sigint, b->sigterm, b->sighup, b->overdue, b->sweep, b->turn};

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i] != NULL)
            event_free(all[i]);
    if (b->base != NULL)
        event_base_free(b->base);
}

/* --- set-up -------------------------------------------------------------------- */

static int
kernel_check(const struct broker *b)
{
    const char *lacks = sandbox_kernel_lacks(b->rootless);
    const char *weaker = sandbox_kernel_weaker();
    bool best_effort = true;

    if (lacks == NULL) {
        if (weaker[0] != '\0')
            log_info("this kernel holds in by one layer less than Linux 6.12: %s", weaker);
        return 0;
    }
    for (size_t i = 0; i < b->plan->ntenants; i++)
        best_effort = best_effort && b->plan->tenants[i].best_effort;
    if (best_effort && sandbox_lacks_only_landlock(lacks)) {
        log_warn("%s; goes on, as sandbox = best-effort allows", lacks);
        return 0;
    }
    log_error("%s", lacks);
    return -ENOSYS;
}

/* A program that lies beside this one. The fd, or -errno after saying so. */
static int
exe_open(const char *name)
{
    char self[PATH_MAX], path[PATH_MAX + NAME_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    const char *slash;
    int fd;

    if (n < 0)
        return log_errno(-errno, "read /proc/self/exe");
    self[n] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL)
        return log_errno(-ENOENT, "find %s", name);
    (void)snprintf(path, sizeof(path), "%.*s/%s", (int)(slash - self), self, name);
    fd = open(path, O_PATH | O_CLOEXEC);
    return fd < 0 ? log_errno(-errno, "open %s, which has to lie beside posternd", path) : fd;
}

static int
tenants_load(struct broker *b)
{
    int r = 0;

    for (size_t i = 0; i < b->plan->ntenants; i++) {
        struct tenant *t = calloc(1, sizeof(*t));
        int one;

        if (t == NULL)
            return -ENOMEM;
        LL_APPEND(b->tenants, t);
        one = tenant_load(t, b, &b->plan->tenants[i]);
        r = r == 0 ? one : r; /* go on: whoever corrects a policy wants all of it */
    }
    return r;
}

static int
doors_open(struct broker *b)
{
    int r = 0;

    for (const struct tenant *t = b->tenants; t != NULL && r == 0; t = t->next)
        for (struct door *d = t->doors; d != NULL && r == 0; d = d->next)
            r = door_open(d);
    return r;
}

static void
warn_groups(void)
{
    gid_t groups[NGROUPS_MAX];
    int n = getgroups(NGROUPS_MAX, groups);

    for (int i = 0; i < n; i++)
        if (groups[i] != getegid()) {
            log_warn("an ordinary user cannot drop its supplementary groups: files that they "
                     "may reach in a share can be reached by its guests");
            return;
        }
}

static int
enter_userns(struct broker *b)
{
    int r;

    if (b->nlent == 0)
        warn_groups();
    b->host_root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (b->host_root < 0)
        return log_errno(-errno, "open /");
    r = lent_enter(b);
    for (const struct tenant *t = b->tenants; t != NULL && r == 0; t = t->next)
        for (struct offer *o = t->offers; o != NULL && r == 0; o = o->next)
            r = offer_reopen(o);
    return r;
}

static int
identities(struct broker *b)
{
    int r = 0;

    for (const struct tenant *t = b->tenants; t != NULL && r == 0; t = t->next)
        for (struct offer *o = t->offers; o != NULL && r == 0; o = o->next)
            r = offer_identity(o, b->rootless, o->helper.slot);
    return r;
}

/* Before anything is set up, so that check says it too. */
static int
lend(const struct broker *b)
{
    int r = 0;

    for (const struct tenant *t = b->tenants; t != NULL && b->rootless; t = t->next)
        for (const struct offer *o = t->offers; o != NULL; o = o->next) {
            int one = offer_lend(o);

            r = r == 0 ? one : r; /* go on: whoever corrects a policy wants all of it */
        }
    return r;
}

static enum broker_kind
kind(const struct broker *b)
{
    if (!b->rootless)
        return BROKER_ROOT;
    return b->nlent == 0 ? BROKER_ROOTLESS : BROKER_ROOTLESS_IDS;
}

/* What the helpers of identity = host take. */
static uint64_t
lends(const struct broker *b)
{
    uint64_t caps = 0;

    for (const struct tenant *t = b->tenants; t != NULL; t = t->next)
        for (const struct offer *o = t->offers; o != NULL; o = o->next)
            if (o->plan->identity == IDENTITY_HOST)
                caps |= sandbox_root_caps(o->plan->allow_devices);
    return caps;
}

static int
lock_in(struct broker *b)
{
    struct sandbox_report report;
    int r = sandbox_broker(kind(b), lends(b), &report);

    return r < 0 ? log_errno(r, "posternd's own sandbox: %s", report.step) : 0;
}

/* Everything up to the first child. Listeners come before the user namespace
 * and the sandbox: giving a socket to a group needs what both take away. */
static int
set_up(struct broker *b)
{
    int r = doors_open(b);

    if (r == 0)
        r = control_open(b);
    for (struct tenant *t = b->tenants; t != NULL && r == 0; t = t->next)
        r = limits_begin(t);
    if (r == 0 && b->rootless)
        r = enter_userns(b);
    if (r == 0)
        r = identities(b);
    return r == 0 ? lock_in(b) : r;
}

/* --- running ------------------------------------------------------------------- */

/* What `check` says when nothing is wrong; lint.c has warned already. */
static int
check_report(const struct broker *b)
{
    size_t shares = 0;

    for (const struct tenant *t = b->tenants; t != NULL; t = t->next)
        shares += t->noffers;
    printf("ok: %zu tenant%s, %zu share%s\n", b->plan->ntenants, b->plan->ntenants == 1 ? "" : "s",
           shares, shares == 1 ? "" : "s");
    return 0;
}

static int
serve(struct broker *b)
{
    if (set_up(b) < 0)
        return EXIT_FAILED;
    for (struct tenant *t = b->tenants; t != NULL && !b->stopping; t = t->next)
        tenant_start(t);
    if (!(b->stopping && all_in(b, TENANT_DOWN)))
        event_base_dispatch(b->base);
    return b->exit_code;
}

static int
load_and_serve(struct broker *b, bool check_only)
{
    int r;

    if (kernel_check(b) < 0)
        return EXIT_SANDBOX;
    r = spawn_room_init(&b->room); /* before all the fds that no child is to have */
    if (r < 0) {
        (void)log_errno(r, "open /dev/null");
        return EXIT_WORLD;
    }
    if (loop_init(b) < 0) {
        log_error("no event loop: out of memory");
        return EXIT_WORLD;
    }
    if (!check_only)
        plan_settle(b->plan);
    if (tenants_load(b) < 0 || lend(b) < 0)
        return EXIT_FAILED;
    if (check_only)
        return control_check(&b->plan->control) < 0 ? EXIT_FAILED : check_report(b);
    b->worker_exe = exe_open("postern-worker");
    b->helper_exe = exe_open("postern-helper");
    return b->worker_exe < 0 || b->helper_exe < 0 ? EXIT_FAILED : serve(b);
}

static void
tenants_done(struct broker *b)
{
    struct tenant *t, *next;

    LL_FOREACH_SAFE(b->tenants, t, next)
    {
        LL_DELETE(b->tenants, t);
        tenant_done(t);
        free(t);
    }
}

int
broker_run(struct plan *plan, bool check_only)
{
    struct broker b = {.plan = plan,
                       .rootless = geteuid() != 0,
                       .host_root = -1,
                       .room = {{-1, -1, -1, -1}},
                       .worker_exe = -1,
                       .helper_exe = -1,
                       .cgroups.fd = -1};
    int r = load_and_serve(&b, check_only);

    control_close(&b);
    tenants_done(&b);
    reload_sweep(&b);
    cgroup_base_done(&b.cgroups);
    loop_done(&b);
    clean_fd(&b.host_root);
    clean_fd(&b.worker_exe);
    clean_fd(&b.helper_exe);
    spawn_room_done(&b.room);
    plan_free(b.plan);
    return r;
}
