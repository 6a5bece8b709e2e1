/*
 * The control socket under anybody: an administrator, a delegate, a stranger,
 * who send anything, mostly requests, while the children of the broker live
 * and die at the worst of times.
 *
 * The first byte says how posternd runs and whether all is up when the rest
 * begins. Then pieces of six bytes: what happens, and five for it; bytes to be
 * sent as they are follow their piece.
 *
 * Whatever happens: each request has one answer, nobody is told or given what
 * is not his, and when posternd ends it has nothing left.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/control.h"
#include "ipc/fd.h"
#include "ipc/log.h"
#include "tests/lib/must.h"
#include "tests/lib/stage.h"

#define CLIENTS 4
#define DELEGATE 65534 /* nobody */
#define STRANGER 12345

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct client {
    int fd; /* -1: none */
    uid_t uid;
    bool deaf, gone;
    unsigned asked, answered;
};

static struct stage *st;
static struct client clients[CLIENTS];

/* --- the directory: policy, control, the shares' directories ------------------------- */

static char dir[] = "/tmp/postern-fuzz-XXXXXX";

/* Each '@' stands for the directory. */
static char *
text_of(const char *from)
{
    static char to[4096];
    size_t n = 0;

    for (; *from != '\0' && n < sizeof(to) - sizeof(dir); from++)
        n += (size_t)snprintf(to + n, sizeof(to) - n, *from == '@' ? "%s" : "%.1s",
                              *from == '@' ? dir : from);
    return to;
}

static const char *
path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static int
drop(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s;
    (void)type;
    (void)at;
    return remove(path);
}

static void
leave(void)
{
    (void)nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS);
}

static void
dir_begin(void)
{
    static const char *const dirs[] = {"ro", "rw", "new", "own"};

    if (dir[sizeof(dir) - 2] != 'X')
        return;
    log_level(LOG_EMERG);
    MUST(mkdtemp(dir) != NULL && chmod(dir, 0755) == 0 && atexit(leave) == 0);
    for (size_t i = 0; i < COUNT(dirs); i++)
        MUST(mkdir(path_of(dirs[i]), 0755) == 0);
    MUST(geteuid() != 0 || chown(path_of("own"), DELEGATE, DELEGATE) == 0);
    MUST(symlink("rw", path_of("link")) == 0);
}

#define CONTROL "control \"unix:@/control\" {}\n"
#define T "tenant \"t\" { listen \"unix:@/t\" { protocol = 9p } "
#define RO "share \"ro\" { path = \"@/ro\" access = read-only } "
#define RW "share \"rw\" { path = \"@/rw\" access = read-write } "
#define MAP                                                                                        \
    "share \"map\" { path = \"@/rw\" access = read-write identity = map ids = \"200000+9\" } "
#define OTHER "tenant \"other\" { listen \"unix:@/other\" { protocol = 9p } "
static const char *const policies[] = {
    CONTROL T RO RW "delegates = { \"nobody\" } }\n" OTHER RO "}\n", /* the first */
    CONTROL T RO RW "}\n" OTHER RO "}\n",
    CONTROL T RW "share \"vm\" { path = \"@/new\" access = read-only } }\n" OTHER RO "}\n",
    CONTROL T RO "share \"rw\" { path = \"@/new\" access = read-write } }\n",
    CONTROL T RO RW "limits { open-files = 64 } }\n" OTHER MAP "}\n",
    CONTROL "tenant \"new\" { listen \"unix:@/n\" { protocol = 9p } " RO "}\n",
    CONTROL T RO "share \"x\" { path = \"@/none\" access = read-only } }\n",
    CONTROL T "listen \"unix:@/more\" { protocol = 9p } " RO RW "}\n",
    "tenant {",
};

static const char *const settings[] = {
    "path = \"@/new\" access = read-write",
    "path = \"@/new\" access = read-only",
    "path = \"@/own\" access = read-only",
    "path = \"@/own\" access = read-write identity = stored",
    "path = \"@/own\" access = read-write set-id = allow",
    "path = \"@/own\" access = read-only owner = \"0:0\"",
    "path = \"@/rw\" access = read-write identity = map ids = \"200000+9\"",
    "path = \"@/rw\" access = read-write identity = host",
    "path = \"@/link\" access = read-only",
    "path = \"@/none\" access = read-only",
    "path = \"/proc\" access = read-only submounts = cross",
    "path = \"@/own\" access = read-write protect = { \"a\" } hide = { \"*.pem\" }",
    "access = read-only } share \"y\" { path = \"/etc\" access = read-only",
    "",
};

static void
policy_write(size_t which)
{
    const char *text = text_of(policies[which % COUNT(policies)]);
    int fd = open(path_of("policy"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    MUST(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

/* --- clients ---------------------------------------------------------------------------- */

static bool
is_admin(const struct client *c)
{
    return c->uid == geteuid();
}

static bool
is_delegate(const struct client *c)
{
    return c->uid == DELEGATE && !st->b.rootless;
}

static void
client_begins(struct client *c, uid_t uid)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};

    (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path_of("control"));
    *c = (struct client){.uid = uid};
    c->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    MUST(c->fd >= 0);
    st->caller = st->caller_gid = uid;
    if (connect(c->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        clean_fd(&c->fd);
    stage_turn(st);
}

/* Nobody is told what is not his. */
static void
reply_is_fair(const struct client *c, const Postern__V1__ControlReply *m)
{
    bool last = !m->has_more || m->more == 0;

    MUST(m->status <= 0 && m->status > -4096 && (!last || m->n_shares == 0));
    if (is_admin(c))
        return;
    MUST(m->n_tenants == 0 && m->n_processes == 0 && m->n_report == 0);
    for (size_t i = 0; i < m->n_shares; i++)
        MUST(is_delegate(c) && strcmp(m->shares[i]->tenant, "t") == 0);
}

static void
client_hears(struct client *c)
{
    static uint8_t bytes[CONTROL_BYTES_MAX];
    ssize_t n = 0;

    while (c->fd >= 0 && !c->gone && (n = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        Postern__V1__ControlReply *m = postern__v1__control_reply__unpack(NULL, (size_t)n, bytes);

        MUST(m != NULL);
        reply_is_fair(c, m);
        c->answered += !m->has_more || m->more == 0;
        postern__v1__control_reply__free_unpacked(m, NULL);
        stage_turn(st);
    }
    c->gone = c->gone || n == 0;
    MUST(c->gone || c->answered <= c->asked);
}

static void
client_sends(struct client *c, const void *p, size_t n)
{
    if (c->fd >= 0 && n > 0 && send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)n)
        c->asked++;
    stage_turn(st);
}

static void
client_ends(struct client *c)
{
    clean_fd(&c->fd);
    *c = (struct client){.fd = -1};
    stage_turn(st);
}

/* --- requests ------------------------------------------------------------------------------ */

static char *
one_of(const char *const *from, size_t n, uint8_t c)
{
    char *p;

    memcpy(&p, &from[c % n], sizeof(p)); /* protobuf-c does not write to what it packs */
    return p;
}

static const char *const tenants[] = {"t", "t", "t", "other", "new", "none", ""};
static const char *const ids[] = {"a", "b", "c", "rw", "a b", "", "......"};
static const char *const shares[] = {"vm", "x", "rw", "map", "..", "a/b", ""};
#define ONE_OF(table, c) one_of(table, COUNT(table), c)

/* What is asked for: the low bits of p[0], one bit each in p[1] for what may be absent. */
static void
request(struct client *c, const uint8_t *p, char *set)
{
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;
    Postern__V1__ShareReserve reserve = POSTERN__V1__SHARE_RESERVE__INIT;
    Postern__V1__ShareAdd add = POSTERN__V1__SHARE_ADD__INIT;
    Postern__V1__ShareRemove rm = POSTERN__V1__SHARE_REMOVE__INIT;
    Postern__V1__ShareQuery list = POSTERN__V1__SHARE_QUERY__INIT;
    Postern__V1__StatusQuery status = POSTERN__V1__STATUS_QUERY__INIT;
    Postern__V1__ProcessQuery processes = POSTERN__V1__PROCESS_QUERY__INIT;
    Postern__V1__ReloadRequest reload = POSTERN__V1__RELOAD_REQUEST__INIT;
    static uint8_t bytes[CONTROL_BYTES_MAX];

    reserve.tenant = add.tenant = rm.tenant = ONE_OF(tenants, p[2]);
    reserve.reservation = add.reservation = rm.reservation = ONE_OF(ids, p[3]);
    reserve.share = ONE_OF(shares, p[4]);
    reserve.settings = set;
    add.share = (p[1] & 1) != 0 ? reserve.share : NULL;
    add.settings = (p[1] & 2) != 0 ? set : NULL;
    rm.has_drain_ms = (p[1] & 4) != 0;
    rm.drain_ms = p[4] * 50u;
    list.tenant = status.tenant = processes.tenant = (p[1] & 8) != 0 ? reserve.tenant : NULL;
    list.share = (p[1] & 16) != 0 ? reserve.share : NULL;
    reload.has_only_show = (p[1] & 32) != 0;
    reload.only_show = p[4];
    req.version = p[1] < 250 ? CONTROL_VERSION : p[1];
    req.share_reserve = p[0] % 8 == 0 ? &reserve : NULL;
    req.share_add = p[0] % 8 == 1 ? &add : NULL;
    req.share_remove = p[0] % 8 == 2 ? &rm : NULL;
    req.share_list = p[0] % 8 == 3 ? &list : NULL;
    req.status = p[0] % 8 == 4 || (p[1] & 0xc0) == 0xc0 ? &status : NULL;
    req.processes = p[0] % 8 == 5 ? &processes : NULL;
    req.reload = p[0] % 8 == 6 ? &reload : NULL;
    if (p[0] % 8 == 6)
        policy_write(p[3]);
    MUST(postern__v1__control_request__get_packed_size(&req) <= sizeof(bytes));
    client_sends(c, bytes, postern__v1__control_request__pack(&req, bytes));
}

/* --- children -------------------------------------------------------------------------------- */

static struct kid *
kid_of(uint8_t c)
{
    struct kid *k = &st->kids[c % 16u];

    return k->there && !k->ended ? k : NULL;
}

static void
child_does(uint8_t what, const uint8_t *p)
{
    static const int codes[] = {0, EXIT_VIOLATION, EXIT_WORLD, EXIT_SANDBOX, EXIT_BUG, 1};
    Postern__V1__ShareServed served = POSTERN__V1__SHARE_SERVED__INIT;
    Postern__V1__ShareOver over = POSTERN__V1__SHARE_OVER__INIT;
    Postern__V1__FromChild m = POSTERN__V1__FROM_CHILD__INIT;
    struct kid *k = kid_of(p[0]);

    if (k == NULL)
        return;
    served.share = over.share = p[1] < 250 ? p[1] % 8u : UINT32_MAX;
    m.share_served = what % 5 == 0 ? &served : NULL;
    m.share_over = what % 5 == 1 ? &over : NULL;
    if (what % 5 <= 1)
        kid_says(k, &m);
    else if (what % 5 == 2)
        kid_is_ready(st, k);
    else if (what % 5 == 3)
        kid_ends(k, CLD_EXITED, codes[p[1] % COUNT(codes)]);
    else
        kid_ends(k, CLD_KILLED, (p[1] & 1) != 0 ? SIGSYS : SIGKILL);
    stage_turn(st);
}

/* --- what happens ------------------------------------------------------------------------------
 */

static void
world(struct client *c, uint8_t what, const uint8_t *p)
{
    static const uid_t others[] = {DELEGATE, STRANGER};

    switch (what % 8) {
    case 0:
        client_ends(c);
        client_begins(c, p[0] % 3 == 0 || (geteuid() != 0 && p[0] % 2 == 0)
                             ? geteuid()
                             : others[geteuid() != 0 ? 1 : p[0] % 2]);
        break;
    case 1:
        client_ends(c);
        break;
    case 2:
        c->deaf = !c->deaf;
        break;
    case 3:
        stage_time_passes(st);
        break;
    case 4:
        st->fail_spawns = p[0] % 4;
        break;
    case 5: /* another directory in its place, or none, or as it was */
        (void)rename(path_of("new"), text_of("@/away"));
        if (p[0] % 2 == 0)
            (void)rename(path_of("away"), text_of("@/new"));
        break;
    default:
        stage_settle(st);
        break;
    }
}

/* Nobody but an administrator has anything shared that is not his. */
static void
shares_are_fair(void)
{
    for (struct tenant *t = st->b.tenants; t != NULL; t = t->next)
        for (const struct reservation *r = t->reservations; r != NULL; r = r->next) {
            MUST(reservation_id_is_good(r->id) && (r->offer != NULL || r->removed));
            if (r->offer == NULL || r->uid != DELEGATE)
                continue;
            MUST(strcmp(t->plan->name, "t") == 0 && r->offer->st.st_uid == DELEGATE);
            MUST(r->offer->plan->identity == IDENTITY_SQUASH ||
                 r->offer->plan->identity == IDENTITY_STORED);
        }
}

/* How many bytes of the input it took. */
static size_t
piece(const uint8_t *p, size_t n)
{
    struct client *c = &clients[p[0] / 64];
    uint8_t what = p[0] % 64;
    char own[257];
    size_t used = 6;

    if (what < 24) {
        request(c, p + 1, text_of(settings[p[5] % COUNT(settings)]));
    } else if (what < 28) { /* settings of the input's */
        used += p[5] < n - used ? p[5] : n - used;
        (void)snprintf(own, sizeof(own), "%.*s", (int)(used - 6), (const char *)p + 6);
        request(c, p + 1, own);
    } else if (what < 32) { /* bytes */
        used += p[5] < n - used ? p[5] : n - used;
        client_sends(c, p + 6, used - 6);
    } else if (what < 48) {
        child_does(p[1], p + 2);
    } else {
        world(c, p[1], p + 2);
    }
    return used;
}

static void
begin(uint8_t how)
{
    dir_begin();
    policy_write(0);
    (void)rename(path_of("away"), text_of("@/new"));
    st = stage_begin(path_of("policy"), (how & 1) != 0 || geteuid() != 0);
    if ((how & 2) == 0)
        stage_settle(st);
    for (size_t i = 0; i < CLIENTS; i++)
        clients[i].fd = -1;
    client_begins(&clients[0], geteuid());
    if (geteuid() == 0)
        client_begins(&clients[1], DELEGATE);
}

/* posternd ends; whoever still listens has all his answers. */
static void
end(void)
{
    stage_stop(st);
    stage_turn(st);
    for (size_t i = 0; i < CLIENTS; i++) {
        client_hears(&clients[i]);
        MUST(clients[i].fd < 0 || clients[i].gone || clients[i].answered == clients[i].asked);
    }
    stage_end(st);
    for (size_t i = 0; i < CLIENTS; i++)
        clean_fd(&clients[i].fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int before = dup(STDERR_FILENO), after;

    MUST(before >= 0 && close(before) == 0);
    if (n < 1)
        return 0;
    begin(data[0]);
    for (size_t at = 1; n - at >= 6;) {
        at += piece(data + at, n - at);
        for (size_t i = 0; i < CLIENTS; i++)
            if (!clients[i].deaf)
                client_hears(&clients[i]);
        shares_are_fair();
    }
    end();
    after = dup(STDERR_FILENO);
    MUST(after == before && close(after) == 0); /* the lowest that is free: none is left */
    return 0;
}
