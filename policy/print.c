/*
 * A plan as the one text that means it: everything written out, sorted, one
 * setting a line.
 *
 * Runs in: broker.   Trusts: the plan.
 * Owns: nothing beyond a call.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <sys/socket.h>

#include <linux/vm_sockets.h> /* wants sys/socket.h before it */

#include "ipc/fd.h"
#include "policy/settings.h"

static void
put_indent(FILE *out, unsigned depth)
{
    fprintf(out, "%*s", (int)(4 * depth), "");
}

static void
settings_print(FILE *out, enum section section, const void *source, unsigned depth)
{
    for (size_t i = 0; i < nsetting_rows; i++) {
        _clean(clean_free) char *value = NULL;

        if (setting_rows[i].section != section ||
            (section == IN_SHARE && !setting_fits(&setting_rows[i], source)))
            continue;
        value = setting_text(&setting_rows[i], source);
        if (value == NULL || value[0] == '\0')
            continue;
        put_indent(out, depth);
        fprintf(out, "%s = %s\n", setting_rows[i].name, value);
    }
}

static void
section_print(FILE *out, const char *what, const char *title, enum section section,
              const void *source, unsigned depth)
{
    put_indent(out, depth);
    fputs(what, out);
    if (title != NULL) {
        fputc(' ', out);
        put_string(out, title);
    }
    fputs(" {\n", out);
    settings_print(out, section, source, depth + 1);
    put_indent(out, depth);
    fputs("}\n", out);
}

char *
listen_text(const struct plan_listen *l)
{
    bool six = l->host != NULL && strchr(l->host, ':') != NULL;
    char *text = NULL;
    int n = -1;

    if (l->transport == TRANSPORT_TCP)
        n = asprintf(&text, "tcp:%s%s%s:%" PRIu32, six ? "[" : "", l->host, six ? "]" : "",
                     l->port);
    else if (l->transport == TRANSPORT_VSOCK && l->cid == VMADDR_CID_ANY)
        n = asprintf(&text, "vsock:%" PRIu32, l->port);
    else if (l->transport == TRANSPORT_VSOCK)
        n = asprintf(&text, "vsock:%" PRIu32 ":%" PRIu32, l->cid, l->port);
    else
        n = asprintf(&text, "%s", l->address);
    return n < 0 ? NULL : text;
}

int
listen_order(const struct plan_listen *a, const struct plan_listen *b)
{
    _clean(clean_free) char *ta = listen_text(a);
    _clean(clean_free) char *tb = listen_text(b);

    return ta != NULL && tb != NULL ? strcmp(ta, tb) : strcmp(a->address, b->address);
}

static void
listen_print(FILE *out, const struct plan_listen *l)
{
    _clean(clean_free) char *address = listen_text(l);

    if (address != NULL)
        section_print(out, "listen", address, IN_LISTEN, l, 1);
}

/* The things of an array by their names: pointers to them, sorted. */
static const void **
sorted(const void *array, size_t n, size_t size, int (*order)(const void *a, const void *b))
{
    const void **p = calloc(n + 1, sizeof(*p));

    for (size_t i = 0; p != NULL && i < n; i++)
        p[i] = (const uint8_t *)array + i * size;
    if (p != NULL)
        qsort(p, n, sizeof(*p), order);
    return p;
}

static int
by_address(const void *a, const void *b)
{
    const struct plan_listen *const *la = a, *const *lb = b;

    return listen_order(*la, *lb);
}

static int
by_share(const void *a, const void *b)
{
    const struct plan_share *const *sa = a, *const *sb = b;

    return strcmp((*sa)->name, (*sb)->name);
}

static int
by_tenant(const void *a, const void *b)
{
    const struct plan_tenant *const *ta = a, *const *tb = b;

    return strcmp((*ta)->name, (*tb)->name);
}

static int
tenant_print(FILE *out, const struct plan_tenant *t)
{
    const void **listens = sorted(t->listens, t->nlistens, sizeof(*t->listens), by_address);
    const void **shares = sorted(t->shares, t->nshares, sizeof(*t->shares), by_share);

    if (listens != NULL && shares != NULL) {
        fputs("tenant ", out);
        put_string(out, t->name);
        fputs(" {\n", out);
        settings_print(out, IN_TENANT, t, 1);
        for (size_t i = 0; i < t->nlistens; i++)
            listen_print(out, listens[i]);
        for (size_t i = 0; i < t->nshares; i++) {
            const struct plan_share *sh = shares[i];

            section_print(out, "share", sh->name, IN_SHARE, sh, 1);
        }
        section_print(out, "limits", NULL, IN_LIMITS, &t->limits, 1);
        fputs("}\n", out);
    }
    free(listens);
    free(shares);
    return listens != NULL && shares != NULL ? 0 : -ENOMEM;
}

static void
control_print(FILE *out, const struct plan_control *c)
{
    _clean(clean_free) char *address = NULL;

    if (asprintf(&address, "unix:%s", c->path) < 0)
        address = NULL;
    else
        section_print(out, "control", address, IN_CONTROL, c, 0);
}

int
plan_print(const struct plan *p, FILE *out)
{
    const void **tenants = sorted(p->tenants, p->ntenants, sizeof(*p->tenants), by_tenant);
    int r = tenants != NULL ? 0 : -ENOMEM;

    if (p->control.path != NULL)
        control_print(out, &p->control);
    for (size_t i = 0; r == 0 && i < p->ntenants; i++)
        r = tenant_print(out, tenants[i]);
    free(tenants);
    return r == 0 && (fflush(out) != 0 || ferror(out) != 0) ? -EIO : r;
}
