/*
 * One child process from spawn to reaping: its boot, its lines, its end.
 *
 * Runs in: broker.   Trusts: nothing a child says but its exit status; what
 * it sends is text to print and numbers to compare.
 * Owns: the child's pidfd, its boot socket and their two events.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker.h"
#include "ipc/fd.h"
#include "ipc/limits.h"
#include "ipc/log.h"
#include "sandbox/sandbox.h"
#include "sandbox/spawn.h"

#define MESSAGES_PER_TURN 64 /* then others have theirs */

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83 /* Linux 6.16 */
#endif

static const struct {
    unsigned bit;
    const char *name;
} layer_names[] = {
    {LAYER_NAMESPACES, "namespaces"},
    {LAYER_EMPTY_ROOT, "empty root"},
    {LAYER_SHARE_READ_ONLY, "read-only mount"},
    {LAYER_NO_CAPS, "no capabilities"},
    {LAYER_FEW_CAPS, "only the capabilities of its identity"},
    {LAYER_NO_NEW_PRIVS, "no new privileges"},
    {LAYER_LANDLOCK, "Landlock"},
    {LAYER_SECCOMP, "seccomp"},
};

static const struct {
    int code;
    int level;
    const char *what;
} endings[] = {
    {EXIT_VIOLATION, LOG_CRIT, "security event: a process broke the protocol"},
    {EXIT_BUG, LOG_CRIT, "it found itself wrong, which is a bug"},
    {EXIT_WORLD, LOG_ERR, "it lacked something it needs; its last line says what"},
    {EXIT_SANDBOX, LOG_ERR, "its sandbox could not be built, so it served nothing"},
};

void
child_init(struct child *c, struct tenant *t, struct offer *o, unsigned slot)
{
    *c = (struct child){.t = t, .offer = o, .slot = slot, .pidfd = -1, .sock = -1};
}

uid_t
child_id(unsigned slot)
{
    if (slot >= CHILD_ID_BLOCK)
        bug("child %u has no id", slot);
    return CHILD_ID_BASE + ((unsigned)getpid() % CHILD_ID_BLOCKS) * CHILD_ID_BLOCK + slot;
}

uid_t
child_uid(const struct child *c)
{
    if (c->offer != NULL)
        return c->offer->uid;
    return c->t->b->rootless ? geteuid() : child_id(c->slot);
}

int
slot_take(struct broker *b)
{
    for (unsigned i = 0; i < CHILD_ID_BLOCK; i++)
        if (!b->slots[i]) {
            b->slots[i] = true;
            return (int)i;
        }
    log_error("more processes would be needed than the %u that one posternd may have: "
              "split the policy",
              CHILD_ID_BLOCK);
    return -E2BIG;
}

void
slot_put(struct broker *b, unsigned slot)
{
    b->slots[slot] = false;
}

const char *
child_name(const struct child *c)
{
    static char name[256];

    (void)snprintf(name, sizeof(name), "%s/%s", c->t->plan->name,
                   c->offer != NULL ? c->offer->plan->name : "worker");
    return name;
}

bool
child_lives(const struct child *c)
{
    return c->pidfd >= 0;
}

static void
child_close(struct child *c)
{
    if (c->spoke != NULL)
        event_free(c->spoke);
    if (c->ended != NULL)
        event_free(c->ended);
    c->spoke = c->ended = NULL;
    clean_fd(&c->sock);
    clean_fd(&c->pidfd);
}

static void
send_kill(const struct child *c)
{
    if (c->pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, c->pidfd, SIGKILL, NULL, 0);
}

void
child_kill(struct child *c)
{
    c->unwanted = true;
    send_kill(c);
}

/* It did what it may not, and that is how it ended. */
static void
child_condemn(struct child *c, int verdict)
{
    if (c->verdict == 0)
        c->verdict = verdict;
    send_kill(c);
}

/* --- what it says ------------------------------------------------------------ */

static void
dropped_say(struct child *c)
{
    if (c->dropped > 0)
        log_warn("%s: %u lines dropped", child_name(c), c->dropped);
    c->dropped = 0;
}

static bool
may_print(struct child *c)
{
    int64_t now = broker_now();

    if (c->lines == 0 || now - c->window >= LOG_WINDOW) {
        dropped_say(c);
        c->window = now;
        c->lines = 0;
    }
    if (c->lines < LOG_LINES) {
        c->lines++;
        return true;
    }
    c->dropped++;
    return false;
}

/* Whatever is not plain text becomes \xNN: lines go to terminals and logs. */
static void
text_clean(char *dst, size_t room, const char *s)
{
    size_t at = 0;

    for (; *s != '\0' && room - at > 4; s++) {
        unsigned char ch = (unsigned char)*s;

        if (ch >= 0x20 && ch < 0x7f)
            dst[at++] = *s;
        else
            at += (size_t)snprintf(dst + at, room - at, "\\x%02x", ch);
    }
    dst[at] = '\0';
}

static void
child_said(struct child *c, const Postern__V1__Log *m)
{
    char text[LOG_TEXT_MAX];
    int level = m->level > LOG_DEBUG ? LOG_DEBUG : (int)m->level;

    if (!may_print(c))
        return;
    text_clean(text, sizeof(text), m->text);
    (void)snprintf(c->said, sizeof(c->said), "%.*s", CHILD_SAID - 1, text);
    log_line(level, "%s: %s", child_name(c), text);
}

static unsigned
layers_wanted(const struct child *c)
{
    unsigned all = LAYER_NAMESPACES | LAYER_EMPTY_ROOT | LAYER_NO_CAPS | LAYER_NO_NEW_PRIVS |
                   LAYER_LANDLOCK | LAYER_SECCOMP;

    if (c->offer != NULL && c->offer->acts)
        all ^= (unsigned)LAYER_NO_CAPS | (unsigned)LAYER_FEW_CAPS;
    if (c->offer != NULL && c->offer->plan->access == ACCESS_READ_ONLY)
        all |= LAYER_SHARE_READ_ONLY;
    if (c->t->plan->best_effort)
        all &= ~(unsigned)LAYER_LANDLOCK;
    return all;
}

const char *
child_profile(const struct child *c)
{
    if (c->offer == NULL)
        return "worker";
    if (c->offer->acts)
        return c->offer->plan->access == ACCESS_READ_ONLY ? "helper-ro-ids" : "helper-rw-ids";
    return c->offer->plan->access == ACCESS_READ_ONLY ? "helper-ro" : "helper-rw";
}

static bool
layers_held(const struct child *c, unsigned layers)
{
    unsigned missing = layers_wanted(c) & ~layers;

    for (size_t i = 0; i < sizeof(layer_names) / sizeof(layer_names[0]); i++)
        if ((missing & layer_names[i].bit) != 0)
            log_error("%s: its sandbox lacks: %s", child_name(c), layer_names[i].name);
    return missing == 0;
}

static void
child_is_ready(struct child *c, const Postern__V1__Ready *m)
{
    if (c->ready || strcmp(m->profile, child_profile(c)) != 0) {
        child_condemn(c, EXIT_VIOLATION);
        return;
    }
    if (!layers_held(c, m->layers)) {
        child_condemn(c, EXIT_SANDBOX);
        return;
    }
    if ((m->layers & LAYER_LANDLOCK) == 0)
        log_warn("%s: runs without Landlock, as sandbox = best-effort allows", child_name(c));
    c->ready = true;
    c->landlock_abi = m->landlock_abi;
    c->layers = m->layers;
    log_debug("%s: ready, Landlock ABI %u", child_name(c), m->landlock_abi);
    if (c->offer != NULL)
        share_helper_ready(c->offer);
    else
        tenant_child_ready(c->t);
}

/* Beside lines: a child is ready, or its worker tells of a share. */
static void
child_reports(struct child *c, const Postern__V1__FromChild *m)
{
    bool may = true;

    if (m->ready != NULL)
        child_is_ready(c, m->ready);
    else if (c->offer != NULL || !c->ready)
        may = false;
    else if (m->share_served != NULL)
        may = share_served(c->t, m->share_served->share);
    else if (m->share_over != NULL)
        may = share_over(c->t, m->share_over->share);
    if (!may)
        child_condemn(c, EXIT_VIOLATION);
}

/* One message; false when there is none to be had. */
static bool
child_hear(struct child *c)
{
    Postern__V1__FromChild *m = NULL;
    int r = from_child_recv(c->sock, &m);

    if (r == 1 && m->log != NULL)
        child_said(c, m->log);
    else if (r == 1 && c->verdict == 0 && !c->unwanted)
        child_reports(c, m);
    else if (r != 1 && r != 0 && r != -EAGAIN)
        child_condemn(c, EXIT_VIOLATION);
    if (r == 0)
        event_del(c->spoke); /* its pidfd says the rest */
    if (r == 1)
        from_child_free(m);
    return r == 1;
}

static void
on_spoke(evutil_socket_t fd, short what, void *ctx)
{
    struct child *c = ctx;

    (void)fd;
    (void)what;
    for (int i = 0; i < MESSAGES_PER_TURN && child_lives(c) && child_hear(c); i++)
        ;
}

/* --- how it ends -------------------------------------------------------------- */

/* An end by signal as an exit code. */
static int
signal_code(const struct child *c, int sig)
{
    if (sig == SIGSYS)
        log_line(LOG_CRIT, "%s: security event: it tried a system call outside its sandbox",
                 child_name(c));
    else if (sig == SIGKILL && limits_oom(c->t))
        log_error("%s: ended: its tenant used up memory = %" PRIu64 " bytes", child_name(c),
                  c->t->plan->limits.memory);
    else
        log_error("%s: ended by signal %d (%s)", child_name(c), sig, strsignal(sig));
    return sig == SIGSYS ? EXIT_SANDBOX : EXIT_BUG;
}

static int
exit_says(const struct child *c, int code)
{
    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
        if (endings[i].code == code) {
            log_line(endings[i].level, "%s: ended: %s", child_name(c), endings[i].what);
            return code;
        }
    log_error("%s: ended with exit code %d", child_name(c), code);
    return EXIT_BUG;
}

static int
ending(const struct child *c, const siginfo_t *si)
{
    if (c->verdict != 0)
        return exit_says(c, c->verdict);
    if (c->unwanted)
        return EXIT_WORLD;
    if (c->offer == NULL && c->ready && si->si_code == CLD_EXITED && si->si_status == 0) {
        log_info("%s: ended: it has no guest, and none can come", child_name(c));
        return 0;
    }
    return si->si_code == CLD_EXITED ? exit_says(c, si->si_status) : signal_code(c, si->si_status);
}

static void
on_ended(evutil_socket_t fd, short what, void *ctx)
{
    struct child *c = ctx;
    siginfo_t si = {0};
    int code;

    (void)fd;
    (void)what;
    if (waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | WNOHANG | __WALL) < 0)
        bug("%s: waitid: %s", child_name(c), strerror(errno));
    if (si.si_pid == 0)
        return;
    for (int i = 0; i < MESSAGES_PER_TURN && c->sock >= 0 && child_hear(c); i++)
        ; /* its last words come before its end */
    dropped_say(c);
    code = ending(c, &si);
    child_close(c);
    if (c->offer != NULL)
        share_helper_ended(c->offer, code);
    else
        tenant_child_ended(c->t, c, code);
}

/* --- how it begins ------------------------------------------------------------ */

static int
events_add(struct child *c)
{
    struct event_base *base = c->t->b->base;

    c->spoke = event_new(base, c->sock, EV_READ | EV_PERSIST, on_spoke, c);
    c->ended = event_new(base, c->pidfd, EV_READ | EV_PERSIST, on_ended, c);
    if (c->spoke == NULL || c->ended == NULL)
        return -ENOMEM;
    return event_add(c->spoke, NULL) < 0 || event_add(c->ended, NULL) < 0 ? -ENOMEM : 0;
}

static int
child_exec(struct child *c)
{
    int pair[2], zero = 0, r;
    struct spawn s = {.room = &c->t->b->room,
                      .exe_fd = c->offer != NULL ? c->t->b->helper_exe : c->t->b->worker_exe,
                      .name = c->offer != NULL ? "postern-helper" : "postern-worker",
                      .own_userns = c->t->b->rootless};

    if (c->offer != NULL && c->offer->ids_count != 0) {
        s.own_userns = true;
        s.ids_first = c->offer->ids_first;
        s.ids_count = c->offer->ids_count;
    }

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    /* older kernels do not know it: recv(2) without room for fds takes none */
    (void)setsockopt(pair[0], SOL_SOCKET, SO_PASSRIGHTS, &zero, sizeof(zero));
    s.boot_fd = pair[1];
    s.into_cgroup = c->t->cgroup_fd >= 0;
    s.cgroup_fd = c->t->cgroup_fd;
    r = spawn_child(&s, &c->pid, &c->pidfd);
    close(pair[1]);
    if (r < 0)
        close(pair[0]);
    else
        c->sock = pair[0];
    /* a child that does not read must never hold us up */
    if (r == 0 && fcntl(c->sock, F_SETFL, O_NONBLOCK) < 0)
        r = -errno;
    return r;
}

/* It exists, but nobody will hear of its end. */
static void
child_undo(struct child *c)
{
    siginfo_t si;

    send_kill(c);
    if (c->pidfd >= 0)
        (void)waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED | __WALL);
    child_close(c);
}

int
child_spawn(struct child *c)
{
    int r;

    child_init(c, c->t, c->offer, c->slot);
    r = child_exec(c);
    if (r < 0) {
        (void)log_errno(r, "%s: start it", child_name(c));
        child_undo(c);
        return r;
    }
    r = boot_child(c);
    if (r == -EPIPE || r == -ECONNRESET)
        r = -EIO; /* it ended before it heard anything */
    if (r == 0)
        r = events_add(c);
    if (r < 0) {
        (void)log_errno(r, "%s: send it its boot message", child_name(c));
        child_undo(c);
    }
    return r;
}
