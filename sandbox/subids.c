/*
 * Ids that the system lends an ordinary user: a user namespace whose maps
 * newuidmap(1) and newgidmap(1) write, for they are root and know whom they
 * may lend what. They get numbers and nothing else: no text of a policy, no
 * environment.
 *
 * Runs in: broker, before its sandbox.
 * Trusts: the two programs, which are the system's.
 * Owns: nothing beyond a call.
 */
#include "sandbox/subids.h"

#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/idmap.h"

#define NUMBER_ROOM 12
#define WORDS_PER_RANGE 3 /* inside, outside, how many */
#define WORDS_MAX (1 + (SUBIDS_RANGES_MAX + 1) * WORDS_PER_RANGE)

static const struct {
    const char *path, *name;
} tools[SUBIDS_TOOLS] = {
    [SUBIDS_UIDS] = {"/usr/bin/newuidmap", "newuidmap"},
    [SUBIDS_GIDS] = {"/usr/bin/newgidmap", "newgidmap"},
};

/* What a program is called with. */
struct words {
    char text[WORDS_MAX][NUMBER_ROOM];
    char *argv[WORDS_MAX + 2]; /* into text, after the name */
    size_t n;
};

struct request {
    const struct id_range *ranges;
    size_t n;
    struct subids_report *report;
};

const char *
subids_path(enum subids_tool tool)
{
    return tools[tool].path;
}

static void
word_add(struct words *w, uint32_t number)
{
    (void)snprintf(w->text[w->n], NUMBER_ROOM, "%u", number);
    w->argv[w->n + 1] = w->text[w->n];
    w->n++;
    w->argv[w->n + 1] = NULL;
}

static void
range_add(struct words *w, uint32_t first, uint32_t count)
{
    word_add(w, first);
    word_add(w, first);
    word_add(w, count);
}

/* Run it to its end: 0, or -errno; -EPERM: it failed by itself. */
static int
tool_run(enum subids_tool tool, struct words *w, int *ret_status)
{
    char *const env[] = {NULL};
    pid_t pid;
    int r;

    w->argv[0] = (char *)(uintptr_t)tools[tool].name;
    r = posix_spawn(&pid, tools[tool].path, NULL, NULL, w->argv, env);
    if (r != 0)
        return -r;
    while (waitpid(pid, ret_status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return *ret_status == 0 ? 0 : -EPERM;
}

static int
map_lent(pid_t pid, void *ctx)
{
    const struct request *q = ctx;
    int r = 0;

    for (unsigned i = 0; i < SUBIDS_TOOLS && r == 0; i++) {
        struct words w = {.n = 0};

        word_add(&w, (uint32_t)pid);
        range_add(&w, i == SUBIDS_UIDS ? geteuid() : getegid(), 1);
        for (size_t j = 0; j < q->n; j++)
            range_add(&w, q->ranges[j].first, q->ranges[j].count);
        q->report->tool = (enum subids_tool)i;
        r = tool_run((enum subids_tool)i, &w, &q->report->status);
    }
    return r;
}

int
subids_userns(const struct id_range *v, size_t n, struct subids_report *ret)
{
    struct request q = {.ranges = v, .n = n, .report = ret};

    *ret = (struct subids_report){.status = 0};
    return n > SUBIDS_RANGES_MAX ? -E2BIG : idmap_new(map_lent, &q);
}
