/*
 * The other side of a channel that writes what it likes where it likes: ring
 * positions, sleeping flags and record heads, also between our calls. What
 * comes out is a record that fits its buffer, nothing, or -EBADMSG.
 *
 * Pieces of eight bytes: what to do, a value of three bytes, one of four.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/channel.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct {
    int memfd;
    uint8_t *shared; /* heads and rings, as the peer has them */
    size_t rings_at; /* bytes of heads before the rings */
} peer;

static void
peer_begins(void)
{
    struct stat st;
    void *p;

    peer.memfd = channel_create();
    MUST(peer.memfd >= 0 && fstat(peer.memfd, &st) == 0);
    peer.rings_at = (size_t)st.st_size - SLAB_BYTES - 2 * (size_t)RING_BYTES;
    p = mmap(NULL, peer.rings_at + 2 * (size_t)RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
             peer.memfd, 0);
    MUST(p != MAP_FAILED);
    peer.shared = p;
}

/* Numbers near where lengths and positions turn over. */
static uint32_t
number(uint32_t v)
{
    static const uint32_t near[] = {0,          sizeof(struct frame), FRAME_MAX,
                                    RING_BYTES, UINT32_MAX,           1u << 31};

    return near[v % (sizeof(near) / sizeof(near[0]))] + (v >> 8) % 33 - 16;
}

static void
receive(struct channel *ch)
{
    static uint8_t body[FRAME_BODY_MAX];
    struct frame f;
    size_t n = 0;
    int r = channel_recv(ch, &f, body, &n);

    MUST(r == 0 || r == 1 || r == -EBADMSG);
    if (r != 1)
        return;
    MUST(n <= FRAME_BODY_MAX && f.size == sizeof(f) + n);
    if (f.payload_len > 0) {
        const uint8_t *p = channel_payload(ch, f.payload, f.payload_len);

        MUST(p == NULL || (p >= ch->slab && f.payload_len <= SLAB_BYTES &&
                           p <= ch->slab + SLAB_BYTES - f.payload_len));
    }
}

static void
send(struct channel *ch, uint32_t n)
{
    static const uint8_t body[FRAME_BODY_MAX];
    const struct frame f = {.op = 1};
    int r = channel_send(ch, &f, body, n % (FRAME_BODY_MAX + 8));

    MUST(r == 0 || r == -EAGAIN || r == -EMSGSIZE || r == -EBADMSG);
}

static void
piece(struct channel *ch, const uint8_t *p)
{
    uint32_t where = (uint32_t)p[1] | (uint32_t)p[2] << 8 | (uint32_t)p[3] << 16, value;

    memcpy(&value, p + 4, sizeof(value));
    switch (p[0] % 8) {
    case 0: /* a position or a flag, near a turn or anything */
        value = (value & 1) != 0 ? number(value >> 1) : value;
        memcpy(peer.shared + where % (peer.rings_at - 4), &value, sizeof(value));
        break;
    case 1: /* the same close to where the heads are */
        value = number(value);
        memcpy(peer.shared + where % 512, &value, sizeof(value));
        break;
    case 2: /* anything anywhere in a record */
        memcpy(peer.shared + peer.rings_at + where % (2 * RING_BYTES - 4), &value, sizeof(value));
        break;
    case 3: /* a record's size */
        value = number(value);
        memcpy(peer.shared + peer.rings_at + (where % (2 * RING_BYTES / 8)) * 8, &value,
               sizeof(value));
        break;
    case 4:
        send(ch, value);
        break;
    case 5:
        (void)channel_notify(ch);
        break;
    case 6:
        if (channel_may_sleep(ch))
            channel_awake(ch);
        break;
    default:
        receive(ch);
        break;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct channel ch;

    if (peer.shared == NULL)
        peer_begins();
    memset(peer.shared, 0, peer.rings_at + 64u * 1024u);
    MUST(channel_open(&ch, (n & 1) != 0 ? CHANNEL_HELPER : CHANNEL_WORKER, peer.memfd, -1) == 0);
    for (; n >= 8; data += 8, n -= 8) {
        piece(&ch, data);
        receive(&ch);
    }
    channel_close(&ch);
    return 0;
}
