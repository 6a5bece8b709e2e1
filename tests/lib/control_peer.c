/*
 * A client of the control socket for tests.
 *
 * Runs in: tests.   Trusts: nobody.   Owns: the text of the last answer.
 */
#include "tests/lib/control_peer.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/control.h"
#include "tests/lib/test.h"

#define PATIENCE_SECONDS 40
#define TEXT_ROOM 8192

static char said[TEXT_ROOM], reported[TEXT_ROOM];

int
peer_open(const struct server *s)
{
    const struct timeval most = {.tv_sec = PATIENCE_SECONDS};
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    (void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/control", s->dir);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof(most)), 0);
    if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0)
        return fd;
    close(fd);
    return -errno;
}

int
peer_open_as(const struct server *s, uid_t uid, gid_t gid)
{
    int fd;

    assert_int_equal(setgroups(0, NULL), 0);
    assert_int_equal(setegid(gid), 0);
    assert_int_equal(seteuid(uid), 0);
    fd = peer_open(s);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(setegid(0), 0);
    return fd;
}

int
peer_send_bytes(int fd, const void *bytes, size_t n)
{
    return send(fd, bytes, n, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

void
peer_send(int fd, const Postern__V1__ControlRequest *req)
{
    uint8_t bytes[CONTROL_BYTES_MAX];

    assert_true(postern__v1__control_request__get_packed_size(req) <= sizeof(bytes));
    assert_int_equal(peer_send_bytes(fd, bytes, postern__v1__control_request__pack(req, bytes)), 0);
}

Postern__V1__ControlReply *
peer_recv(int fd)
{
    static uint8_t bytes[CONTROL_BYTES_MAX];
    Postern__V1__ControlReply *m;
    ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

    if (n < 0 && errno != ECONNRESET)
        fail_msg("no answer: %s", strerror(errno));
    if (n <= 0)
        return NULL;
    m = postern__v1__control_reply__unpack(NULL, (size_t)n, bytes);
    assert_non_null(m);
    return m;
}

int
peer_status(int fd)
{
    Postern__V1__ControlReply *m;
    int status;
    bool more;

    said[0] = reported[0] = '\0';
    do {
        m = peer_recv(fd);
        assert_non_null(m);
        status = m->status;
        more = m->has_more && m->more != 0;
        (void)snprintf(said, sizeof(said), "%s", m->message != NULL ? m->message : "");
        for (size_t i = 0; i < m->n_report; i++) {
            size_t n = strlen(reported);

            (void)snprintf(reported + n, sizeof(reported) - n, "%s\n", m->report[i]);
        }
        postern__v1__control_reply__free_unpacked(m, NULL);
    } while (more);
    return status;
}

const char *
peer_text(void)
{
    return said;
}

const char *
peer_report(void)
{
    return reported;
}

static char *
text(const char *s)
{
    return (char *)(uintptr_t)s;
}

static Postern__V1__ControlRequest
request(void)
{
    Postern__V1__ControlRequest req = POSTERN__V1__CONTROL_REQUEST__INIT;

    req.version = CONTROL_VERSION;
    return req;
}

int
peer_reserve(int fd, const char *reservation, const char *share, const char *settings)
{
    Postern__V1__ShareReserve m = POSTERN__V1__SHARE_RESERVE__INIT;
    Postern__V1__ControlRequest req = request();

    m.tenant = text("t");
    m.reservation = text(reservation);
    m.share = text(share);
    m.settings = text(settings);
    req.share_reserve = &m;
    peer_send(fd, &req);
    return peer_status(fd);
}

void
peer_add_begin(int fd, const char *reservation, const char *share, const char *settings)
{
    Postern__V1__ShareAdd m = POSTERN__V1__SHARE_ADD__INIT;
    Postern__V1__ControlRequest req = request();

    m.tenant = text("t");
    m.reservation = text(reservation);
    m.share = text(share);
    m.settings = text(settings);
    req.share_add = &m;
    peer_send(fd, &req);
}

int
peer_add(int fd, const char *reservation, const char *share, const char *settings)
{
    peer_add_begin(fd, reservation, share, settings);
    return peer_status(fd);
}

int
peer_remove(int fd, const char *reservation, uint32_t drain_ms)
{
    Postern__V1__ShareRemove m = POSTERN__V1__SHARE_REMOVE__INIT;
    Postern__V1__ControlRequest req = request();

    m.tenant = text("t");
    m.reservation = text(reservation);
    m.has_drain_ms = drain_ms > 0;
    m.drain_ms = drain_ms;
    req.share_remove = &m;
    peer_send(fd, &req);
    return peer_status(fd);
}

int
peer_reload(int fd, bool only_show)
{
    Postern__V1__ReloadRequest m = POSTERN__V1__RELOAD_REQUEST__INIT;
    Postern__V1__ControlRequest req = request();

    m.has_only_show = only_show;
    m.only_show = 1;
    req.reload = &m;
    peer_send(fd, &req);
    return peer_status(fd);
}

/* --- lists ------------------------------------------------------------------------ */

/* All parts of the answer as one. */
static Postern__V1__ControlReply *
merged(int fd)
{
    static uint8_t bytes[8 * CONTROL_BYTES_MAX];
    Postern__V1__ControlReply *part, *all;
    size_t n = 0;
    bool more;

    do {
        part = peer_recv(fd);
        assert_non_null(part);
        more = part->has_more && part->more != 0;
        assert_true(n + CONTROL_BYTES_MAX <= sizeof(bytes));
        n += postern__v1__control_reply__pack(part, bytes + n);
        postern__v1__control_reply__free_unpacked(part, NULL);
    } while (more);
    all = postern__v1__control_reply__unpack(NULL, n, bytes);
    assert_non_null(all);
    return all;
}

Postern__V1__ControlReply *
peer_list(int fd, const char *share)
{
    Postern__V1__ShareQuery m = POSTERN__V1__SHARE_QUERY__INIT;
    Postern__V1__ControlRequest req = request();

    m.share = text(share);
    req.share_list = &m;
    peer_send(fd, &req);
    return merged(fd);
}

Postern__V1__ControlReply *
peer_processes(int fd)
{
    Postern__V1__ProcessQuery m = POSTERN__V1__PROCESS_QUERY__INIT;
    Postern__V1__ControlRequest req = request();

    m.tenant = text("t");
    req.processes = &m;
    peer_send(fd, &req);
    return merged(fd);
}

int
peer_share_state(int fd, const char *share)
{
    Postern__V1__ControlReply *all = peer_list(fd, share);
    int state = all->n_shares == 0 ? -1 : (int)all->shares[0]->state;

    postern__v1__control_reply__free_unpacked(all, NULL);
    return state;
}

void
peer_await_state(int fd, const char *share, int state)
{
    unsigned left = 0;

    while (server_patience(&left))
        if (peer_share_state(fd, share) == state)
            return;
    assert_int_equal(peer_share_state(fd, share), state);
}
