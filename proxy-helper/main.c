/*
 * postern-helper: carries out the file operations of one share.
 *
 * The broker starts it with the boot socket as fd 3 and nothing else. It
 * takes the boot message, locks itself in, says that it is ready, and serves
 * one worker until the broker closes fd 3.
 *
 * Runs in: helper.   Trusts: the broker.   Owns: the process.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/boot.h"
#include "ipc/fd.h"
#include "ipc/log.h"
#include "proxy-helper/sandbox.h"
#include "proxy-helper/serve.h"
#include "proxy-helper/stored.h"

#define USAGE_EXIT 64   /* EX_USAGE of sysexits(3) */
#define FDS_RESERVED 64 /* the process's own, and those of the request at work */
#define NODE_FDS_MIN 64

/* twin: HelperBoot in ipc/boot.proto */
enum boot_fds { FD_MOUNT, FD_CHANNEL, FD_TO_HELPER, FD_TO_WORKER, NBOOT_FDS };

static struct share share;
static struct serve server;

static int
show_sandbox(void)
{
    struct sandbox_profile p;

    helper_profile(&p, true, MAY_XATTRS);
    sandbox_print(stdout, &p);
    helper_profile(&p, false, MAY_XATTRS);
    sandbox_print(stdout, &p);
    helper_profile(&p, true, MAY_XATTRS | MAY_IDS);
    sandbox_print(stdout, &p);
    helper_profile(&p, false, MAY_XATTRS | MAY_IDS | MAY_SET_ID);
    sandbox_print(stdout, &p);
    return 0;
}

/* How the fds that we may have are shared out. Files come before nodes, whose
 * fds can be dropped and made again. */
static rlim_t
share_out_fds(const Postern__V1__HelperBoot *b, struct share_limits *ret)
{
    rlim_t want = (rlim_t)b->nodes + b->open_files + FDS_RESERVED;
    struct rlimit rl;

    if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
        die("getrlimit");
    if (want > rl.rlim_max)
        want = rl.rlim_max;
    *ret = (struct share_limits){.nodes = b->nodes, .files = b->open_files};
    if (ret->files > want / 2)
        ret->files = (uint32_t)(want / 2);
    if (want < FDS_RESERVED + ret->files + (b->nodes < NODE_FDS_MIN ? b->nodes : NODE_FDS_MIN)) {
        errno = EMFILE;
        die("the hard limit of open files is %ju, too few to serve a share", (uintmax_t)want);
    }
    ret->node_fds = (uint32_t)(want - FDS_RESERVED - ret->files);
    return want;
}

static void
say_ready(const struct sandbox_profile *p, const struct sandbox_report *report)
{
    int r = ready_send(BOOT_FD, p->name, report->landlock_abi, report->layers);

    if (r == -EPIPE || r == -ECONNRESET)
        _exit(0); /* the broker changed its mind while we started */
    must(r, "say ready to the broker");
}

/* What the path of a protected directory may turn out to be. */
static const struct {
    int err;
    const char *what;
} path_errors[] = {
    {ENOENT, "does not exist: create it, or take it off the list"},
    {ENOTDIR, "is not a directory, or leads through what is none"},
    {ELOOP, "is a symbolic link or leads through one, which Postern never follows"},
    {EACCES, "may not be entered by the share's owner"},
    {ESTALE, "was moved while the share started"},
};

static void
path_refused(int r, const char *path)
{
    for (size_t i = 0; i < sizeof(path_errors) / sizeof(path_errors[0]); i++)
        if (path_errors[i].err == -r) {
            log_error("protect: \"%s\" %s", path, path_errors[i].what);
            return;
        }
    (void)log_errno(r, "protect: \"%s\"", path);
}

static void
sandbox_must(int r, const struct sandbox_report *report)
{
    if (r == 0)
        return;
    if (report->path != NULL)
        path_refused(r, report->path);
    else
        (void)log_errno(r, "sandbox: %s", report->step);
    _exit(EXIT_SANDBOX);
}

static void
take_mounts(const Postern__V1__HelperBoot *b)
{
    struct mounts *m = &share.mounts;

    if (b->submounts > SUBMOUNTS_CROSS)
        violation("the broker sent submounts %u", b->submounts);
    m->mode = (enum share_submounts)b->submounts;
    for (size_t i = 0; i < b->n_below; i++)
        if (!mounts_add(m, b->below[i]->dev, b->below[i]->ino, b->below[i]->number))
            violation("the broker sent submount %zu as number %u", i, b->below[i]->number);
}

static void
take_names(const Postern__V1__HelperBoot *b)
{
    for (size_t i = 0; i < b->n_hide; i++)
        if (!names_hide(&share.names, b->hide[i]))
            violation("the broker sent pattern %zu to hide, which is too much", i);
    for (size_t i = 0; i < b->n_only; i++)
        if (!names_only(&share.names, b->only[i]))
            violation("the broker sent name %zu of the root, which is too much", i);
}

/* The table of groups outlives the message it came in. */
static void
take_groups(const Postern__V1__HelperBoot *b)
{
    struct id_row *rows = calloc(b->n_groups + 1, sizeof(*rows));

    if (rows == NULL)
        die("no memory");
    for (size_t i = 0; i < b->n_groups; i++) {
        const Postern__V1__GroupsBoot *g = b->groups[i];
        uint32_t *gids = calloc(g->n_gids + 1, sizeof(*gids));

        if (gids == NULL)
            die("no memory");
        if (g->n_gids > 0)
            (void)memcpy(gids, g->gids, g->n_gids * sizeof(*gids));
        rows[i] = (struct id_row){.uid = g->uid, .gids = gids, .n = g->n_gids};
    }
    share.identity.row = rows;
    share.identity.nrows = b->n_groups;
    share.identity.has_rows = b->has_groups != 0;
}

static void
take_identity(const Postern__V1__HelperBoot *b)
{
    struct identity *id = &share.identity;

    if (b->identity > IDENTITY_HOST || (b->identity == IDENTITY_MAP && b->ids == 0))
        violation("the broker sent identity %u with %u ids", b->identity, b->ids);
    id->model = (enum share_identity)b->identity;
    id->ids = b->ids;
    id->reads_acls = b->xattrs != 0;
    id->devices = b->allow_devices != 0;
    take_groups(b);
}

/* What the identity model and the policy add to the plain profile. */
static unsigned
may_of(const struct share *sh)
{
    unsigned may = sh->xattrs != 0 || stored_is(sh) ? (unsigned)MAY_XATTRS : 0;

    if (sh->allow_set_id)
        may |= (unsigned)MAY_SET_ID;
    if (identity_switches(&sh->identity))
        may |= (unsigned)MAY_IDS;
    if (sh->identity.devices)
        may |= (unsigned)MAY_DEVICES;
    return may;
}

/* Everything between the boot message, which is taken over, and the first
 * request. */
static void
start(Postern__V1__Boot *b, int fds[NBOOT_FDS])
{
    const int event_fds[] = {fds[FD_TO_HELPER], fds[FD_TO_WORKER]};
    struct sandbox_report report;
    struct sandbox_profile p;
    struct share_limits limits;

    share.read_only = b->helper->read_only != 0;
    take_identity(b->helper);
    share.allow_set_id = b->helper->allow_set_id != 0 || identity_switches(&share.identity);
    share.xattrs = b->helper->xattrs;
    share.present_uid = b->helper->present_uid;
    share.present_gid = b->helper->present_gid;
    helper_profile(&p, share.read_only, may_of(&share));
    take_mounts(b->helper);
    take_names(b->helper);
    p.submounts = share.mounts.mode != SUBMOUNTS_REFUSE;
    p.protect = (const char *const *)b->helper->protect;
    p.nprotect = b->helper->n_protect;
    p.event_fds = event_fds;
    p.nevent_fds = sizeof(event_fds) / sizeof(event_fds[0]);
    p.mount_fd = fds[FD_MOUNT];
    p.uid = b->sandbox->uid;
    p.gid = b->sandbox->gid;
    p.own_userns = b->sandbox->own_userns != 0;
    p.ids = b->sandbox->ids;
    p.best_effort = b->sandbox->best_effort != 0;
    p.nofile = share_out_fds(b->helper, &limits);

    must(channel_open(&share.ch, CHANNEL_HELPER, fds[FD_CHANNEL], fds[FD_TO_WORKER]), "channel");
    clean_fd(&fds[FD_CHANNEL]);
    sandbox_must(sandbox_confine(&p, &report), &report);
    for (size_t i = 0; i < report.nprotects; i++)
        if (!report.protects[i].whole &&
            !mounts_part(&share.mounts, report.protects[i].id, report.protects[i].over))
            bug("the sandbox made %zu protected mounts", report.nprotects);
    clean_fd(&fds[FD_MOUNT]); /* attached now; root_fd leads there */
    must(share_open(&share, &report.root_fd, &limits), "tables of the share");
    must(serve_init(&server, &share, event_fds[0], BOOT_FD), "epoll");
    must(pool_new(event_fds[0], &share.ch, &share.pool), "threads");
    boot_free(b); /* free(3) may want a call that is about to go */
    sandbox_must(sandbox_seal(&p, &report), &report);
    say_ready(&p, &report);
}

int
main(int argc, char **argv)
{
    Postern__V1__Boot *boot;
    int fds[NBOOT_FDS];
    size_t nfds;
    int r;

    if (argc == 2 && strcmp(argv[1], "--show-sandbox") == 0)
        return show_sandbox();
    (void)umask(0);
    r = boot_recv(&boot, fds, NBOOT_FDS, &nfds);
    if (argc > 1 || r < 0) {
        (void)fprintf(stderr, "postern-helper: started by posternd, not by hand (fd 3: %s)\n",
                      r < 0 ? strerror(-r) : "fine");
        return USAGE_EXIT;
    }
    log_to(LOG_TO_BROKER, "helper");
    if (boot->helper == NULL || nfds != NBOOT_FDS)
        violation("the broker sent no boot message of a helper (%zu fds)", nfds);
    start(boot, fds);
    serve_run(&server);
    _exit(0); /* no clean-up that would want a system call more */
}
