/*
 * Where a tenant listens: "unix:/PATH", "tcp:1.2.3.4:PORT", "tcp:[::1]:PORT",
 * "vsock:PORT", "vsock:CID:PORT"; or where its socket comes from:
 * "systemd:NAME", "fd:N". Addresses are numbers; nothing is looked up.
 *
 * Runs in: broker.   Trusts: nothing in the text.
 * Owns: nothing.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vm_sockets.h> /* wants sys/socket.h before it */

#include "ipc/fd.h"
#include "policy/value.h"

#define UNIX_PATH_BYTES (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)
#define FORMS                                                                                      \
    "unix:/PATH, tcp:IPV4:PORT, tcp:[IPV6]:PORT, vsock:PORT, vsock:CID:PORT, systemd:NAME, or on " \
    "the command line fd:N"
#define FDNAME_MAX 255 /* bytes, of systemd */
#define FD_MAX 1048575 /* more than the kernel's own fs.nr_open allows by default */

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
    return ret->path != NULL;
}

/* n decimal digits without a leading zero, at most max. */
static bool
number(const char *s, size_t n, uint32_t max, uint32_t *ret)
{
    uint64_t v = 0;

    if (n == 0 || n > 10 || (s[0] == '0' && n > 1))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(s[i] - '0');
    }
    if (v > max)
        return false;
    *ret = (uint32_t)v;
    return true;
}

/* port: of the address s. */
static bool
port_number(struct errors *e, struct where at, const char *s, const char *port, uint32_t max,
            struct plan_listen *ret)
{
    if (number(port, strlen(port), max, &ret->port))
        return true;
    errors_add(e, at, "%s address %s has no port, expected a number from 0 to %u at its end",
               transport_name(ret->transport), Q(s), max);
    return false;
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

    if (!port_number(e, at, s, colon != NULL ? colon + 1 : "", UINT16_MAX, ret))
        return false;
    ret->host = numeric_host(e, s, (size_t)(colon - s));
    if (ret->host == NULL)
        errors_add(e, at, "tcp address %s is not numeric, expected IPV4:PORT or [IPV6]:PORT", Q(s));
    return ret->host != NULL;
}

/* twin: control/nine_client.c */
static const struct {
    const char *word;
    uint32_t cid;
} cids[] = {{"any", VMADDR_CID_ANY}, {"local", VMADDR_CID_LOCAL}, {"host", VMADDR_CID_HOST}};

static bool
vsock_cid(const char *s, size_t n, uint32_t *ret)
{
    for (size_t i = 0; i < sizeof(cids) / sizeof(cids[0]); i++) {
        if (strlen(cids[i].word) == n && memcmp(cids[i].word, s, n) == 0) {
            *ret = cids[i].cid;
            return true;
        }
    }
    return number(s, n, VMADDR_CID_ANY - 1, ret) && *ret != VMADDR_CID_HYPERVISOR;
}

static bool
vsock_address(struct errors *e, struct where at, const char *s, struct plan_listen *ret)
{
    const char *colon = strrchr(s, ':');

    if (!port_number(e, at, s, colon != NULL ? colon + 1 : s, VMADDR_PORT_ANY - 1, ret))
        return false;
    ret->cid = VMADDR_CID_ANY;
    if (colon == NULL || vsock_cid(s, (size_t)(colon - s), &ret->cid))
        return true;
    errors_add(e, at,
               "vsock address %s has no CID, expected any, host, local or a number before "
               "the port",
               Q(s));
    return false;
}

/* As systemd.socket(5) has FileDescriptorName=. */
static bool
systemd_address(struct errors *e, struct where at, const char *s, struct plan_listen *ret)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++) {
        if (s[i] <= ' ' || s[i] > '~' || s[i] == ':')
            n = 0;
    }
    if (n == 0 || n > FDNAME_MAX) {
        errors_add(e, at, "systemd name %s, expected the FileDescriptorName= of a .socket unit",
                   Q(s));
        return false;
    }
    ret->name = errors_strdup(e, s);
    return ret->name != NULL;
}

static bool
fd_address(struct errors *e, struct where at, const char *s, struct plan_listen *ret)
{
    uint32_t fd = 0;

    if (strchr(s, ',') != NULL) {
        errors_add(e, at, "fd %s is more than one, expected fd:N, one socket for both directions",
                   Q(s));
        return false;
    }
    if (!number(s, strlen(s), FD_MAX, &fd) || fd <= STDERR_FILENO) {
        errors_add(e, at, "fd %s, expected a number from 3 to %d", Q(s), FD_MAX);
        return false;
    }
    ret->fd = (int)fd;
    return true;
}

/* --- what they have in common ------------------------------------------------ */

static bool
same_path(const struct plan_listen *a, const struct plan_listen *b)
{
    return strcmp(a->path, b->path) == 0;
}

/* Port 0 is a new one each time. */
static bool
same_tcp(const struct plan_listen *a, const struct plan_listen *b)
{
    return a->port != 0 && a->port == b->port && strcmp(a->host, b->host) == 0;
}

static bool
same_vsock(const struct plan_listen *a, const struct plan_listen *b)
{
    return a->port != 0 && a->port == b->port && a->cid == b->cid;
}

static bool
same_name(const struct plan_listen *a, const struct plan_listen *b)
{
    return strcmp(a->name, b->name) == 0;
}

static bool
same_fd(const struct plan_listen *a, const struct plan_listen *b)
{
    return a->fd == b->fd;
}

static const struct transport {
    const char *name; /* in front of the colon */
    bool (*read)(struct errors *e, struct where at, const char *s, struct plan_listen *ret);
    bool (*same)(const struct plan_listen *a, const struct plan_listen *b);
} transports[] = {
    [TRANSPORT_UNIX] = {"unix", unix_address, same_path},
    [TRANSPORT_TCP] = {"tcp", tcp_address, same_tcp},
    [TRANSPORT_VSOCK] = {"vsock", vsock_address, same_vsock},
    [TRANSPORT_SYSTEMD] = {"systemd", systemd_address, same_name},
    [TRANSPORT_FD] = {"fd", fd_address, same_fd},
};
#define NTRANSPORTS (sizeof(transports) / sizeof(transports[0]))

const char *
transport_name(enum plan_transport t)
{
    return transports[t].name;
}

static bool
transport_address(struct errors *e, struct where at, const char *s, struct plan_listen *ret)
{
    size_t n = strcspn(s, ":");

    for (size_t i = 0; i < NTRANSPORTS; i++) {
        if (s[n] == ':' && strlen(transports[i].name) == n &&
            memcmp(transports[i].name, s, n) == 0) {
            ret->transport = (enum plan_transport)i;
            return transports[i].read(e, at, s + n + 1, ret);
        }
    }
    errors_add(e, at, "address %s, expected %s", Q(s), FORMS);
    return false;
}

void
address_done(struct plan_listen *l)
{
    free(l->address);
    free(l->path);
    free(l->host);
    free(l->name);
    free(l->group);
}

bool
value_address(struct errors *e, struct where at, const char *s, struct plan_listen *ret)
{
    struct plan_listen l = {0};

    if (transport_address(e, at, s, &l))
        l.address = errors_strdup(e, s);
    if (l.address == NULL) {
        address_done(&l);
        return false;
    }
    l.group = ret->group;
    l.allow_remote = ret->allow_remote;
    l.file = ret->file;
    l.line = ret->line;
    *ret = l;
    return true;
}

bool
host_is_loopback(const char *host)
{
    /* 127.0.0.0/8: inet_ntop(3) wrote exactly four decimal numbers */
    return strcmp(host, "::1") == 0 ||
           (strchr(host, ':') == NULL && strncmp(host, "127.", strlen("127.")) == 0);
}

bool
address_is_remote(const struct plan_listen *l)
{
    return l->host != NULL && !host_is_loopback(l->host);
}

bool
address_same(const struct plan_listen *a, const struct plan_listen *b)
{
    return a->transport == b->transport && transports[a->transport].same(a, b);
}
