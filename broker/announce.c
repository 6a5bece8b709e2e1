/*
 * What a person types next: the mount command of every share at every address.
 *
 * Runs in: broker.   Trusts: the plan.   Owns: nothing.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <linux/vm_sockets.h> /* wants sys/socket.h before it */

#include "broker/broker.h"

#define ADDRESS_ROOM 160
#define MOUNT "mount -t 9p -o "

struct what {
    const struct door *d;
    const char *share;
    unsigned msize;
};

/* --- one of these per family --------------------------------------------------- */

static void
unix_address(const struct sockaddr_storage *at, char *to)
{
    const struct sockaddr_un *sa = (const struct sockaddr_un *)at;

    (void)snprintf(to, ADDRESS_ROOM, "unix:%.*s", (int)sizeof(sa->sun_path), sa->sun_path);
}

static void
unix_mount(const struct what *w)
{
    const struct sockaddr_un *sa = (const struct sockaddr_un *)&w->d->at;

    printf("  " MOUNT "trans=unix,version=9p2000.L,aname=%s,msize=%u %.*s /mnt\n", w->share,
           w->msize, (int)sizeof(sa->sun_path), sa->sun_path);
}

static unsigned
tcp_host(const struct sockaddr_storage *at, char host[INET6_ADDRSTRLEN])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)at;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)at;
    bool four = at->ss_family == AF_INET;

    if (inet_ntop(at->ss_family, four ? (const void *)&v4->sin_addr : (const void *)&v6->sin6_addr,
                  host, INET6_ADDRSTRLEN) == NULL)
        host[0] = '\0';
    return ntohs(four ? v4->sin_port : v6->sin6_port);
}

static void
tcp_address(const struct sockaddr_storage *at, char *to)
{
    char host[INET6_ADDRSTRLEN];
    unsigned port = tcp_host(at, host);
    bool six = at->ss_family == AF_INET6;

    (void)snprintf(to, ADDRESS_ROOM, "tcp:%s%s%s:%u", six ? "[" : "", host, six ? "]" : "", port);
}

static void
tcp_mount(const struct what *w)
{
    char host[INET6_ADDRSTRLEN];
    unsigned port = tcp_host(&w->d->at, host);

    printf("  " MOUNT "trans=tcp,port=%u,version=9p2000.L,aname=%s,msize=%u %s /mnt\n", port,
           w->share, w->msize, host);
}

/* Bound to whatever this machine has, a guest finds it at the host's CID. */
static unsigned
vsock_cid(const struct sockaddr_vm *sa)
{
    return sa->svm_cid == VMADDR_CID_ANY ? VMADDR_CID_HOST : sa->svm_cid;
}

static void
vsock_address(const struct sockaddr_storage *at, char *to)
{
    const struct sockaddr_vm *sa = (const struct sockaddr_vm *)at;

    (void)snprintf(to, ADDRESS_ROOM, "vsock:%u:%u", vsock_cid(sa), sa->svm_port);
}

/* Linux mounts 9P from no vsock address, but from an open fd of any kind. */
static void
vsock_mount(const struct what *w)
{
    const struct sockaddr_vm *sa = (const struct sockaddr_vm *)&w->d->at;

    printf("  socat VSOCK-CONNECT:%u:%u 'EXEC:\"" MOUNT
           "trans=fd,rfdno=0,wfdno=0,version=9p2000.L,aname=%s,msize=%u none /mnt\",nofork'\n",
           vsock_cid(sa), sa->svm_port, w->share, w->msize);
}

static const struct family {
    sa_family_t family;
    void (*address)(const struct sockaddr_storage *at, char *to);
    void (*mount)(const struct what *w);
} families[] = {
    {AF_UNIX, unix_address, unix_mount},
    {AF_INET, tcp_address, tcp_mount},
    {AF_INET6, tcp_address, tcp_mount},
    {AF_VSOCK, vsock_address, vsock_mount},
};

static const struct family *
family_of(const struct door *d)
{
    const struct family *f = families;

    while (f->family != d->at.ss_family)
        f++; /* door.c let no other through */
    return f;
}

/* --- all of it ------------------------------------------------------------------ */

const char *
door_address(const struct door *d)
{
    static char text[ADDRESS_ROOM];

    if (d->connected)
        return d->plan->address;
    family_of(d)->address(&d->at, text);
    return text;
}

static void
connected_mount(const struct what *w)
{
    printf("  " MOUNT "trans=fd,rfdno=N,wfdno=N,version=9p2000.L,aname=%s,msize=%u none /mnt\n"
           "  with N the other end of %s\n",
           w->share, w->msize, w->d->plan->address);
}

static void
mount_command(const struct what *w)
{
    if (w->d->connected)
        connected_mount(w);
    else
        family_of(w->d)->mount(w);
}

static void
look_command(const struct tenant *t)
{
    for (const struct door *d = t->doors; d != NULL; d = d->next) {
        if (d->connected || t->offers == NULL)
            continue;
        printf("to look without mounting:\n  postern ls -l %s %s\n", door_address(d),
               t->offers->plan->name);
        return;
    }
}

static void
announce_tenant(const struct tenant *t)
{
    struct what w = {.msize = t->plan->limits.msize};

    printf("tenant %s, to mount:\n", t->plan->name);
    for (const struct offer *o = t->offers; o != NULL; o = o->next)
        for (const struct door *d = t->doors; d != NULL; d = d->next) {
            w.d = d;
            w.share = o->plan->name;
            mount_command(&w);
        }
    look_command(t);
}

void
announce(const struct broker *b)
{
    for (const struct tenant *t = b->tenants; t != NULL; t = t->next)
        announce_tenant(t);
    puts("Mount option cache=mmap where programs map files for writing; the default, cache=none,\n"
         "shows what the host changes at once. Ctrl-C ends the service.");
    (void)fflush(stdout);
}
