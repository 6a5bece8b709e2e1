/*
 * A machine that lends an ordinary user ids (subuid(5), subgid(5)), for tests:
 * its own /etc/passwd, /etc/subuid and /etc/subgid, in a mount namespace of the
 * test's own, so that the real ones stay as they are.
 */
#ifndef POSTERN_TESTS_LENT_H
#define POSTERN_TESTS_LENT_H

#include <stdbool.h>
#include <stdint.h>

#define LENT_NAME "lent-user"

/* Enter it; the user uid with the group of the same number is LENT_NAME there.
 * Once per process. False after saying SKIP: without root or newuidmap. */
bool lent_begin(uint32_t uid);
/* What he is lent, "FIRST:COUNT" each; NULL: nothing. */
void lent_set(const char *uids, const char *gids);
/* Put this program in newuidmap's place; NULL: have no programs at all. */
void lent_tool(const char *program);
/* Have what was there before lent_tool() again. */
void lent_tool_back(void);

#endif
