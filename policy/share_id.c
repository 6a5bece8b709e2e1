/*
 * A share's id: what guests may attach by besides its name. Both ends of a
 * connection compute it from the names of tenant and share, so that nobody has
 * to ask.
 *
 * Runs in: broker.   Trusts: its callers.
 * Owns: nothing.
 */
#include <sha2.h>
#include <stdio.h>
#include <string.h>

#include "policy/plan.h"

/* twin: the formula in postern.conf(5) */
#define SHARE_ID_DOMAIN "postern-share-v1"

_Static_assert(SHARE_ID_LEN == SHA256_DIGEST_LENGTH, "half of the digest in hex");

void
share_id(const char *tenant, const char *name, char ret[SHARE_ID_LEN + 1])
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA2_CTX ctx;

    SHA256Init(&ctx);
    SHA256Update(&ctx, (const uint8_t *)SHARE_ID_DOMAIN, sizeof(SHARE_ID_DOMAIN)); /* with NUL */
    SHA256Update(&ctx, (const uint8_t *)tenant, strlen(tenant) + 1);
    SHA256Update(&ctx, (const uint8_t *)name, strlen(name));
    SHA256Final(digest, &ctx);
    for (size_t i = 0; i < SHARE_ID_LEN / 2; i++)
        (void)snprintf(ret + 2 * i, 3, "%02x", digest[i]);
}
