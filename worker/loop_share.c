/*
 * Shares that come and go while guests are there: the broker's word, the fds,
 * the time that a share has to drain.
 *
 * Runs in: worker.   Trusts: the broker, but a number that cannot be is a
 * violation: its mistakes are to be loud.   Owns: the eventfds of each share.
 *
 * The eventfd to a helper has a number of its own, HELPER_FD_BASE and the
 * share's, so that write(2) on these numbers can be all that the sandbox
 * allows, whatever comes later. A number without a share holds fd 0, which can
 * be neither read nor written, and no connection ever gets it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "ipc/log.h"
#include "worker/loop.h"
#include "worker/sandbox.h"

#define UNSAID_PAUSE 20 /* ms until a full socket to the broker is tried again */

_Static_assert(SHARES_PER_TENANT_MAX <= HELPER_FDS, "every share's eventfd has a number");

static const char *const state_name[HELPER_STATES_END] = {
#define X(s) [HELPER_##s] = #s,
    HELPER_STATES(X)
#undef X
};

static const bool may_go[HELPER_STATES_END][HELPER_STATES_END] = {
    [HELPER_NONE] = {[HELPER_SERVED] = true},
    [HELPER_SERVED] = {[HELPER_LEAVING] = true},
    [HELPER_LEAVING] = {[HELPER_OVER] = true},
    [HELPER_OVER] = {[HELPER_SERVED] = true},
};

/* The only assignment to h->state. */
static void
helper_go(struct helper *h, enum helper_state to)
{
    if (!may_go[h->state][to])
        bug("helper: %s -> %s", state_name[h->state], state_name[to]);
    h->state = to;
}

static int
put_at(int fd, uint32_t number)
{
    return dup3(fd, HELPER_FD_BASE + (int)number, O_CLOEXEC) < 0 ? -errno : 0;
}

int
loop_reserve_fds(void)
{
    int r = 0;

    for (uint32_t i = 0; i < HELPER_FDS && r == 0; i++)
        r = put_at(STDIN_FILENO, i);
    return r;
}

static int
channel_of(const Postern__V1__ShareBoot *b, uint32_t number, const int *fds,
           struct fs_channel **ret)
{
    int r = put_at(fds[FD_TO_HELPER], number);

    if (r < 0)
        return r;
    return fs_channel_new(b->name, b->read_only != 0, fds[FD_CHANNEL], HELPER_FD_BASE + (int)number,
                          ret);
}

static int
serve(struct loop *l, uint32_t number, const Postern__V1__ShareBoot *b, const int *fds)
{
    struct helper *h = &l->helpers[number];
    struct fs_channel *fc = NULL;
    int r = channel_of(b, number, fds, &fc);

    if (r == 0) {
        h->watch = (struct watch){WATCH_HELPER, h};
        r = loop_watch(l, fds[FD_TO_WORKER], &h->watch, EPOLLIN);
    }
    if (r == 0) {
        fs_channel_fs(fc)->ids = b->ids;
        r = tenant_share_add(&l->tenant, number, fs_channel_fs(fc), b->id);
    }
    if (r < 0) {
        fs_channel_free(fc);
        return r;
    }
    h->fc = fc;
    h->to_worker = fds[FD_TO_WORKER];
    helper_go(h, HELPER_SERVED);
    return 0;
}

/* Nothing wakes us for it and nothing goes to it any longer. The helper has the
 * eventfd too, so that closing it would leave it in the epoll set. */
static void
let_go(struct loop *l, uint32_t number, int to_worker)
{
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, to_worker, NULL);
    close(to_worker);
    (void)put_at(STDIN_FILENO, number);
}

int
loop_share_add(struct loop *l, uint32_t number, const Postern__V1__ShareBoot *b, const int *fds)
{
    int r = serve(l, number, b, fds);

    if (number >= l->nhelpers)
        l->nhelpers = number + 1;
    close(fds[FD_CHANNEL]);
    close(fds[FD_TO_HELPER]);
    if (r < 0)
        let_go(l, number, fds[FD_TO_WORKER]);
    return r;
}

/* What the broker is told as soon as its socket has room. */
static void
tell(struct loop *l, bool *what)
{
    if (!*what)
        l->unsaid++;
    *what = true;
}

static void
share_added(struct loop *l, const Postern__V1__ShareAdded *m, const int *fds)
{
    struct helper *h;
    int r;

    if (m->share >= SHARES_PER_TENANT_MAX)
        violation("the broker added share %u", m->share);
    h = &l->helpers[m->share];
    if (h->fc != NULL)
        violation("the broker added share %u, which is there", m->share);
    r = loop_share_add(l, m->share, m->boot, fds);
    if (r == -EEXIST)
        violation("the broker added a second share %s", m->boot->name);
    if (r == -EINVAL)
        violation("the broker added share %s with something else than a channel", m->boot->name);
    if (r < 0) {
        (void)log_errno(r, "share %s cannot be served", m->boot->name);
        tell(l, &h->say_over);
        return;
    }
    log_info("share %s: came", m->boot->name);
    tell(l, &h->say_served);
}

static void
share_leaves(struct loop *l, const Postern__V1__ShareLeaves *m)
{
    const uint64_t at = loop_clock() + m->drain_ms;
    struct helper *h;

    if (m->share >= SHARES_PER_TENANT_MAX || l->helpers[m->share].state == HELPER_NONE)
        violation("the broker took away share %u, which is not there", m->share);
    h = &l->helpers[m->share];
    if (h->state == HELPER_OVER)
        return; /* our word of that is on its way */
    if (h->state == HELPER_SERVED) {
        helper_go(h, HELPER_LEAVING);
        tenant_share_leaves(&l->tenant, m->share);
        l->leaving++;
        h->cut_at = at;
    } else if (at < h->cut_at) {
        h->cut_at = at;
    }
}

static void
share_gone(struct loop *l, const Postern__V1__ShareGone *m)
{
    if (m->share >= SHARES_PER_TENANT_MAX || l->helpers[m->share].state == HELPER_NONE)
        violation("the broker named share %u, which is not there", m->share);
    if (l->helpers[m->share].fc == NULL)
        return; /* our word that it is over is on its way */
    log_warn("share %s: its helper is gone", fs_channel_fs(l->helpers[m->share].fc)->name);
    fs_channel_gone(l->helpers[m->share].fc);
}

void
loop_hear(struct loop *l, const Postern__V1__ToChild *m, const int *fds)
{
    if (m->share_added != NULL)
        share_added(l, m->share_added, fds);
    if (m->share_leaves != NULL)
        share_leaves(l, m->share_leaves);
    if (m->share_gone != NULL)
        share_gone(l, m->share_gone);
}

static void
cut(struct loop *l, uint32_t number)
{
    struct helper *h = &l->helpers[number];

    log_info("share %s: gone", fs_channel_fs(h->fc)->name);
    h->fc = NULL;
    let_go(l, number, h->to_worker);
    helper_go(h, HELPER_OVER);
    l->leaving--;
    tenant_share_cut(&l->tenant, number);
    tell(l, &h->say_over);
}

static bool
cut_all(struct loop *l)
{
    const uint64_t now = loop_clock();
    const unsigned before = l->leaving;

    for (uint32_t i = 0; i < SHARES_PER_TENANT_MAX; i++) {
        const struct helper *h = &l->helpers[i];

        if (h->state == HELPER_LEAVING &&
            (now >= h->cut_at || share_is_idle(l->tenant.by_number[i])))
            cut(l, i);
    }
    return l->leaving < before;
}

/* False: not now. A broker that is gone wants to hear nothing. */
static bool
say(const Postern__V1__FromChild *m)
{
    return from_child_send(BOOT_FD, m) != -EAGAIN;
}

static bool
say_served(uint32_t number)
{
    Postern__V1__FromChild m = POSTERN__V1__FROM_CHILD__INIT;
    Postern__V1__ShareServed served = POSTERN__V1__SHARE_SERVED__INIT;

    served.share = number;
    m.share_served = &served;
    return say(&m);
}

static bool
say_over(uint32_t number)
{
    Postern__V1__FromChild m = POSTERN__V1__FROM_CHILD__INIT;
    Postern__V1__ShareOver over = POSTERN__V1__SHARE_OVER__INIT;

    over.share = number;
    m.share_over = &over;
    return say(&m);
}

static void
say_all(struct loop *l)
{
    for (uint32_t i = 0; i < SHARES_PER_TENANT_MAX; i++) {
        struct helper *h = &l->helpers[i];

        if (h->say_served && say_served(i)) {
            h->say_served = false;
            l->unsaid--;
        }
        if (h->say_over && !h->say_served && say_over(i)) {
            h->say_over = false;
            l->unsaid--;
        }
    }
}

bool
loop_shares_round(struct loop *l)
{
    bool some = l->leaving > 0 && cut_all(l);

    if (l->unsaid > 0)
        say_all(l);
    return some;
}

int
loop_shares_patience(const struct loop *l)
{
    const uint64_t now = l->leaving > 0 ? loop_clock() : 0;
    uint64_t first = l->unsaid > 0 ? UNSAID_PAUSE : UINT64_MAX;

    for (uint32_t i = 0; i < SHARES_PER_TENANT_MAX && l->leaving > 0; i++) {
        const struct helper *h = &l->helpers[i];
        uint64_t left = h->cut_at > now ? h->cut_at - now : 0;

        if (h->state == HELPER_LEAVING && left < first)
            first = left;
    }
    return first == UINT64_MAX ? -1 : (int)(first < 3600000 ? first : 3600000);
}
