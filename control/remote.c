/*
 * Reaching a file of a running server: connect, agree on the dialect, attach,
 * walk one name at a time so that the error is that of the name it met.
 *
 * Runs in: the command line.   Trusts: the caller; nothing the server says.
 * Owns: the connection.
 */
#include "control/remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/cli.h"
#include "ipc/limits.h"

static const char *
why(int r)
{
    if (r == -EPROTO)
        return "the server's answer is not 9P2000.L";
    if (r == -EPIPE)
        return "the server closed the connection";
    return strerror(-r);
}

int
remote_error(struct remote *rm, int r)
{
    fprintf(stderr, "postern: %s %s: %s\n", rm->verb, rm->path, why(r));
    rm->exit_code = r == -EPIPE || r == -EPROTO ? CLI_NO_ANSWER : CLI_FAILED;
    return r;
}

/* Components of the path; "" and "." are none. */
static int
split(struct remote *rm)
{
    char *save = NULL;

    rm->text = strdup(rm->path);
    rm->names = calloc(strlen(rm->path) + 1, sizeof(*rm->names));
    if (rm->text == NULL || rm->names == NULL)
        return -ENOMEM;
    for (char *s = strtok_r(rm->text, "/", &save); s != NULL; s = strtok_r(NULL, "/", &save))
        if (strcmp(s, ".") != 0)
            rm->names[rm->n++] = s;
    return 0;
}

static int
reach(struct remote *rm)
{
    int r = nc_connect(rm->address, &rm->c);

    rm->exit_code = r == -EINVAL ? CLI_USAGE : r < 0 ? CLI_NO_SERVER : CLI_OK;
    if (r == 0) {
        r = nc_version(rm->c, MSIZE_MAX, "9P2000.L");
        rm->exit_code = r < 0 ? CLI_NO_ANSWER : CLI_OK;
    }
    if (rm->exit_code == CLI_USAGE)
        fprintf(stderr, "postern: %s: an address is unix:PATH, tcp:HOST:PORT or vsock:CID:PORT\n",
                rm->address);
    else if (r < 0)
        fprintf(stderr, "postern: %s: %s%s\n", rm->address, why(r),
                r == -ECONNREFUSED || r == -ENOENT ? "; is the server running?" : "");
    return r;
}

static int
walk_to(struct remote *rm, size_t end)
{
    const char *share = rm->n > 0 ? rm->names[0] : "";
    int r = nc_attach(rm->c, FID_ROOT, "", share, (uint32_t)geteuid());

    if (r == 0)
        r = nc_walk(rm->c, FID_ROOT, FID_FILE, 0, NULL, NULL, NULL);
    for (size_t i = 1; r == 0 && i < end; i++) {
        const char *name = rm->names[i];
        size_t got = 0;

        r = nc_walk(rm->c, FID_FILE, FID_FILE, 1, &name, NULL, &got);
        if (r == 0 && got != 1)
            r = -ENOENT;
    }
    return r;
}

int
remote_open(struct remote *rm, const char *verb, const char *address, const char *path, size_t keep)
{
    int r;

    *rm = (struct remote){.verb = verb, .address = address, .path = path};
    r = split(rm);
    if (r < 0)
        return remote_error(rm, r);
    if (keep >= rm->n && keep > 0)
        return remote_error(rm, -EISDIR);
    r = reach(rm);
    if (r < 0)
        return r;
    r = walk_to(rm, rm->n - keep);
    return r < 0 ? remote_error(rm, r) : 0;
}

void
remote_close(struct remote *rm)
{
    nc_close(rm->c);
    free(rm->text);
    free(rm->names);
}
