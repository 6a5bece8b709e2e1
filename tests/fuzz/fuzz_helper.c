/*
 * A worker that was taken over: any request, with any numbers and any names
 * that are names, to the dispatch and the handlers of a helper that serves a
 * small tree. What is refused as a violation ends the helper's process in
 * life; here it ends the input.
 *
 * The first byte says whether the share is read-only. Then requests: one byte
 * for the operation, one for how the fields are filled, one for each field.
 * Afterwards a file beside the tree must be as it was.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/ops.h"
#include "proxy-helper/dispatch.h"
#include "proxy-helper/op.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The linker gives the helper these in the place of log.c's. */
__attribute__((noreturn)) void __wrap_violation(const char *fmt, ...);

static jmp_buf input_over;

void
__wrap_violation(const char *fmt, ...)
{
    (void)fmt;
    longjmp(input_over, 1);
}

/* --- the tree: outside/canary and outside/share/... ------------------------------- */

static char outside[] = "/tmp/postern-fuzz-XXXXXX";
static char share_path[sizeof(outside) + 8];
static int outside_fd = -1;
static int memfd = -1;

static int
drop(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    return at->level == 0 ? 0 : remove(path);
}

static void
leave(void)
{
    (void)nftw(outside, drop, 8, FTW_DEPTH | FTW_PHYS);
    (void)rmdir(outside);
}

static void
begin(void)
{
    int fd;

    if (outside_fd >= 0)
        return;
    log_level(LOG_CRIT);
    MUST(mkdtemp(outside) != NULL);
    outside_fd = open(outside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = openat(outside_fd, "canary", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    MUST(fd >= 0 && write(fd, "canary", 6) == 6 && close(fd) == 0);
    MUST(mkdirat(outside_fd, "share", 0755) == 0);
    (void)snprintf(share_path, sizeof(share_path), "%s/share", outside);
    memfd = channel_create();
    MUST(memfd >= 0 && atexit(leave) == 0);
    MUST(chdir("/proc/self/fd") == 0); /* as the sandbox leaves it */
}

static void
canary_lives(void)
{
    char was[8];
    struct stat st;
    int fd = openat(outside_fd, "canary", O_RDONLY | O_CLOEXEC);

    MUST(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 6 && st.st_nlink == 1);
    MUST(read(fd, was, sizeof(was)) == 6 && memcmp(was, "canary", 6) == 0 && close(fd) == 0);
}

static int
share_tree(void)
{
    int dir, fd;

    MUST(nftw(share_path, drop, 8, FTW_DEPTH | FTW_PHYS) == 0);
    dir = openat(outside_fd, "share", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    MUST(dir >= 0);
    MUST(mkdirat(dir, "dir", 0755) == 0 && symlinkat("../canary", dir, "link") == 0);
    MUST(mkfifoat(dir, "fifo", 0644) == 0);
    fd = openat(dir, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    MUST(fd >= 0 && write(fd, "hello", 5) == 5 && close(fd) == 0);
    MUST(close(dir) == 0);
    return openat(outside_fd, "share", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* --- requests ------------------------------------------------------------------------ */

static ProtobufCBinaryData
some_bytes(uint8_t c)
{
    static const char *const some[] = {"file",
                                       "dir",
                                       "link",
                                       "fifo",
                                       "new",
                                       "user.a",
                                       "user.virtfs.uid",
                                       "",
                                       "..",
                                       "a/b",
                                       "../canary",
                                       "security.capability"};
    const char *s = some[c % COUNT(some)];

    return msg_bytes(s, strlen(s));
}

static uint64_t
some_number(uint8_t c, const uint64_t *ids, size_t nids)
{
    static const uint64_t some[] = {0,    1,     2,        3,          0644,       04755,
                                    4096, 65536, 1u << 31, UINT32_MAX, 1ull << 62, UINT64_MAX};

    return c < 128 && nids > 0 ? ids[c % nids] : some[c % COUNT(some)];
}

static void
fill(ProtobufCMessage *m, const ProtobufCFieldDescriptor *f, uint8_t c, const uint64_t *ids,
     size_t nids)
{
    uint8_t *base = (uint8_t *)m;

    if (f->label == PROTOBUF_C_LABEL_OPTIONAL) {
        if (c % 3 == 0)
            return;
        *(protobuf_c_boolean *)(void *)(base + f->quantifier_offset) = 1;
    }
    if (f->type == PROTOBUF_C_TYPE_BYTES) {
        ProtobufCBinaryData v = some_bytes(c);

        memcpy(base + f->offset, &v, sizeof(v));
    } else if (f->type == PROTOBUF_C_TYPE_UINT64 || f->type == PROTOBUF_C_TYPE_FIXED64 ||
               f->type == PROTOBUF_C_TYPE_INT64) {
        uint64_t v = some_number(c, ids, nids);

        memcpy(base + f->offset, &v, sizeof(v));
    } else {
        uint32_t v = (uint32_t)some_number(c, NULL, 0);

        memcpy(base + f->offset, &v, sizeof(v));
    }
}

/* Ids that came back, so that the next requests can use them. */
static void
learn(const ProtobufCMessage *rep, uint64_t *ids, size_t room, size_t *nids)
{
    for (unsigned i = 0; i < rep->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &rep->descriptor->fields[i];

        if (f->type == PROTOBUF_C_TYPE_FIXED64 && *nids < room)
            memcpy(&ids[(*nids)++], (const uint8_t *)rep + f->offset, sizeof(ids[0]));
    }
}

static size_t
one(struct share *sh, const uint8_t *p, size_t n, uint64_t *ids, size_t room, size_t *nids)
{
    static struct arena arena;
    static uint8_t body[FRAME_BODY_MAX];
    const struct op_info *op = op_info(1 + p[0] % (OP_END - 1));
    const ProtobufCMessage *rep = NULL;
    ProtobufCMessage *m;
    struct frame f = {.op = (uint16_t)(1 + p[0] % (OP_END - 1))};
    size_t used = 2;
    int r;

    arena_init(&arena);
    m = msg_new(&arena, op->req);
    MUST(m != NULL);
    for (unsigned i = 0; i < op->req->n_fields; i++) {
        fill(m, &op->req->fields[i], used < n ? p[used] : 0, ids, *nids);
        used++;
    }
    if (op->payload != PAY_NONE && p[1] % 8 != 0)
        f.payload_len = 65536;
    if (p[1] == 0xff)
        f.payload = p[0] * 4096u;
    if (protobuf_c_message_get_packed_size(m) > sizeof(body))
        return used;
    r = dispatch(sh, &f, body, protobuf_c_message_pack(m, body), &rep);
    MUST(r <= 0 && r > -4096);
    MUST(!sh->read_only || op->access == OP_READS || r == -EROFS);
    if (r == 0)
        learn(rep, ids, room, nids);
    canary_lives();
    return used;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct share_limits limits = {.nodes = 64, .node_fds = 32, .files = 16};
    static struct share sh;
    uint64_t ids[32] = {0};
    volatile size_t at = 1;
    size_t nids = 1;
    int root;

    if (n < 3)
        return 0;
    begin();
    root = share_tree();
    sh = (struct share){.read_only = (data[0] & 1) != 0, .xattrs = XATTR_USER};
    MUST(channel_open(&sh.ch, CHANNEL_HELPER, memfd, -1) == 0);
    MUST(share_open(&sh, &root, &limits) == 0);
    if (setjmp(input_over) == 0)
        while (at + 2 <= n)
            at += one(&sh, data + at, n - at, ids, COUNT(ids), &nids);
    share_close(&sh);
    return 0;
}
