/*
 * Where a tenant listens: "unix:/PATH", "tcp:1.2.3.4:PORT", "tcp:[::1]:PORT".
 * Addresses are numbers; nothing is looked up.
 *
 * Runs in: broker.   Trusts: nothing in the text.
 * Owns: nothing.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/un.h>

#include "ipc/fd.h"
#include "policy/value.h"

#define UNIX_PATH_BYTES (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)
#define FORMS "unix:/PATH, tcp:IPV4:PORT or tcp:[IPV6]:PORT"

static const char *
after(const char *s, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

static bool
unix_address(struct errors *e, struct where at, const char *path, struct plan_listen *ret)
{
    if (!value_path(e, at, "socket", path))
        return false;
    if (path[1] == '\0') {
        errors_add(e, at, "socket \"/\" is the root directory, expected a file's path");
        return false;
    }
    if (strlen(path) > UNIX_PATH_BYTES) {
        errors_add(e, at, "socket %s has %zu bytes, expected at most %zu", Q(path), strlen(path),
                   UNIX_PATH_BYTES);
        return false;
    }
    ret->path = errors_strdup(e, path);
    ret->transport = TRANSPORT_UNIX;
    return ret->path != NULL;
}

static bool
port_number(const char *s, uint16_t *ret)
{
    unsigned long v;
    char *end;
    size_t n = strlen(s);

    if (n == 0 || n > 5 || strspn(s, "0123456789") != n || (s[0] == '0' && n > 1))
        return false;
    v = strtoul(s, &end, 10);
    if (v > UINT16_MAX)
        return false;
    *ret = (uint16_t)v;
    return true;
}

/* The host in canonical spelling, so that equal addresses are equal strings.
 * NULL: not a number. */
static char *
numeric_host(struct errors *e, const char *host, size_t n)
{
    bool six = n > 2 && host[0] == '[' && host[n - 1] == ']';
    int family = six ? AF_INET6 : AF_INET;
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr; /* the larger of the two */

    if (six) {
        host++;
        n -= 2;
    }
    if (n >= sizeof(text))
        return NULL;
    memcpy(text, host, n);
    text[n] = '\0';
    if (inet_pton(family, text, &addr) != 1 || inet_ntop(family, &addr, text, sizeof(text)) == NULL)
        return NULL;
    return errors_strdup(e, text);
}

static bool
tcp_address(struct errors *e, struct where at, const char *s, struct plan_listen *ret)
{
    const char *colon = strrchr(s, ':');

    if (colon == NULL || !port_number(colon + 1, &ret->port)) {
        errors_add(e, at,
                   "tcp address %s has no port, expected a number from 0 to 65535 at its end",
                   Q(s));
        return false;
    }
    ret->host = numeric_host(e, s, (size_t)(colon - s));
    if (ret->host == NULL) {
        errors_add(e, at, "tcp address %s is not numeric, expected IPV4:PORT or [IPV6]:PORT", Q(s));
        return false;
    }
    ret->transport = TRANSPORT_TCP;
    return true;
}

static bool
transport_address(struct errors *e, struct where at, const char *s, struct plan_listen *ret)
{
    const char *rest;

    if ((rest = after(s, "unix:")) != NULL)
        return unix_address(e, at, rest, ret);
    if ((rest = after(s, "tcp:")) != NULL)
        return tcp_address(e, at, rest, ret);
    if (after(s, "vsock:") != NULL)
        errors_add(e, at, "address %s: vsock is not available in this version, expected %s", Q(s),
                   FORMS);
    else
        errors_add(e, at, "address %s, expected %s", Q(s), FORMS);
    return false;
}

bool
value_address(struct errors *e, struct where at, const char *s, struct plan_listen *ret)
{
    struct plan_listen l = *ret;

    l.path = NULL;
    l.host = NULL;
    if (!transport_address(e, at, s, &l))
        return false;
    l.address = errors_strdup(e, s);
    if (l.address == NULL) {
        free(l.path);
        free(l.host);
        return false;
    }
    *ret = l;
    return true;
}

bool
address_is_loopback(const struct plan_listen *l)
{
    /* 127.0.0.0/8: numeric_host() took exactly four decimal numbers */
    return strcmp(l->host, "::1") == 0 || (strchr(l->host, ':') == NULL && after(l->host, "127."));
}

bool
address_same(const struct plan_listen *a, const struct plan_listen *b)
{
    if (a->transport != b->transport)
        return false;
    if (a->transport == TRANSPORT_UNIX)
        return strcmp(a->path, b->path) == 0;
    /* port 0 is a new one each time */
    return a->port != 0 && a->port == b->port && strcmp(a->host, b->host) == 0;
}
