/*
 * Private to broker/: another policy in place of the one that runs.
 */
#ifndef POSTERN_BROKER_RELOAD_H
#define POSTERN_BROKER_RELOAD_H

#include "broker/broker.h"

#define RELOAD_WHY 16384 /* room for why not */

/* A line of the report, for each difference. */
typedef void reload_line(void *ctx, const char *text);

/*
 * Read the policy again and apply the difference; only_show: do not. When a
 * policy does not load, or something of it cannot be had (a directory, an
 * address), nothing changes: -errno and the reason in why.
 */
int reload(struct broker *b, bool only_show, reload_line *line, void *ctx, char *why, size_t room);
/* Free what has left and the plans that nobody borrows from any more. */
void reload_sweep(struct broker *b);

#endif
