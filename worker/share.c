/*
 * Handles and how they go back to the helper.
 *
 * Runs in: worker.   Trusts: nothing of the helper; an id is only ever given
 * back to the share it came from.   Owns: handles on their way back.
 *
 * Giving back needs no reply and must not fail, also when thousands go at
 * once because a connection broke: handles queue up in memory they own
 * already, and a fixed number of chores carries them over.
 */
#include "worker/share.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "ipc/log.h"
#include "worker/nine.h"
#include "worker/request.h"

static const char *const state_name[SHARE_STATES_END] = {
#define X(s) [SHARE_##s] = #s,
    SHARE_STATES(X)
#undef X
};

static const bool may_go[SHARE_STATES_END][SHARE_STATES_END] = {
    [SHARE_SERVED] = {[SHARE_LEAVING] = true},
    [SHARE_LEAVING] = {[SHARE_GONE] = true},
};

void
share_go(struct share *sh, enum share_state to)
{
    if (!may_go[sh->state][to])
        bug("share %s: %s -> %s", sh->fs->name, state_name[sh->state], state_name[to]);
    sh->state = to;
}

int
share_status(const struct share *sh)
{
    return sh->state == SHARE_GONE ? -ESTALE : 0;
}

static uint64_t
ino_key(const char *id, const char *name)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    unsigned long n = 0;
    char head[9];

    if (id != NULL) {
        (void)snprintf(head, sizeof(head), "%s", id);
        n = strtoul(head, NULL, 16);
    }
    for (const char *p = name; id == NULL && *p != '\0'; p++)
        n = h = (h ^ (uint8_t)*p) * 16777619u;
    return (uint64_t)(n == 0 ? 1 : n) << 32;
}

void
share_init(struct share *sh, struct fs *fs, const char *id, struct pool *handles)
{
    *sh = (struct share){.fs = fs, .handles = handles, .ino_key = ino_key(id, fs->name)};
    (void)snprintf(sh->id, sizeof(sh->id), "%s", id == NULL ? "" : id);
    for (unsigned i = CHORES; i > 0; i--) {
        struct chore *c = &sh->chores[i - 1];

        c->share = sh;
        c->next = sh->idle;
        sh->idle = c;
    }
}

struct handle *
handle_new(struct share *sh, enum handle_kind kind)
{
    struct handle *h = pool_get(sh->handles);

    if (h == NULL)
        return NULL;
    *h = (struct handle){.share = sh, .refs = 1, .kind = kind};
    sh->refs++;
    return h;
}

struct handle *
handle_get(struct handle *h)
{
    h->refs++;
    return h;
}

void
handle_fill(struct handle *h, uint64_t id, uint32_t mode)
{
    h->id = id;
    h->directory = S_ISDIR(mode);
}

void
handle_free(struct handle *h)
{
    h->share->refs--;
    pool_put(h->share->handles, h);
}

void
handle_put(struct handle *h)
{
    struct share *sh;

    if (h == NULL || --h->refs > 0)
        return;
    sh = h->share;
    if (h->id == 0 || h->pinned) {
        handle_free(h);
    } else if (h->closer != NULL) {
        nine_close_now(h->closer, h);
    } else {
        if (sh->releases == NULL)
            sh->releases = h;
        else
            sh->last->next = h;
        sh->last = h;
    }
}

bool
handle_closes_unseen(const struct handle *h)
{
    return h->only_read && h->refs == 1 && h->share->releases == NULL && h->share->idle != NULL;
}

static void
chore_done(struct fs_call *call, int status, const ProtobufCMessage *rep)
{
    struct chore *c = (struct chore *)call;

    (void)status; /* the file or node is gone either way */
    (void)rep;
    c->next = c->share->idle;
    c->share->idle = c;
    c->share->progress = true;
    if (!call->unawaited) /* by those who want its locks */
        nine_lock_wake(c->share, 0);
}

static int
release(struct share *sh, const struct handle *h, struct chore *c)
{
    Postern__V1__ForgetReq forget = POSTERN__V1__FORGET_REQ__INIT;
    Postern__V1__CloseReq shut = POSTERN__V1__CLOSE_REQ__INIT;

    c->call = (struct fs_call){.done = chore_done, .unawaited = !h->wakes};
    if (h->kind == HANDLE_FILE) {
        shut.file = h->id;
        return fs_close(sh->fs, &shut, &c->call);
    }
    forget.node = h->id;
    forget.count = 1;
    return fs_forget(sh->fs, &forget, &c->call);
}

void
share_release(struct share *sh)
{
    while (sh->releases != NULL && sh->idle != NULL) {
        struct handle *h = sh->releases;
        struct chore *c = sh->idle;
        int r = release(sh, h, c);

        if (r == -EAGAIN)
            return;
        if (r == 0)
            sh->idle = c->next;
        sh->releases = h->next;
        handle_free(h);
    }
}

bool
share_is_idle(const struct share *sh)
{
    unsigned idle = 0;

    for (const struct chore *c = sh->idle; c != NULL; c = c->next)
        idle++;
    return sh->refs == 0 && sh->stalled == NULL && sh->waiting == NULL && idle == CHORES;
}
