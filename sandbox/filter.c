/*
 * Rules become a seccomp filter, or lines of text: the same rows.
 *
 * Runs in: worker, helper (the filter); command line (the text).
 * Trusts: the caller's table.
 * Owns: the filter context while it is built.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ipc/fd.h"
#include "sandbox/steps.h"

#define CMP_MAX 4        /* three of the row and the fd */
#define PROGRAM_MAX 2048 /* instructions; the kernel takes 4096, ours have some 200 */

static void
clean_filter(scmp_filter_ctx *f)
{
    if (*f != NULL)
        seccomp_release(*f);
}

static bool
applies(const struct rule *r, const struct sandbox_profile *p)
{
    return (r->when & ~p->when) == 0;
}

static int
add_rule(scmp_filter_ctx f, const struct rule *r, const int *fd)
{
    struct scmp_arg_cmp cmp[CMP_MAX];
    unsigned n = 0;

    if (r->ncmp > sizeof(r->cmp) / sizeof(r->cmp[0]))
        return -EINVAL;
    if (fd != NULL)
        cmp[n++] = (struct scmp_arg_cmp)ARG_IS(0, *fd);
    for (unsigned i = 0; i < r->ncmp; i++)
        cmp[n++] = r->cmp[i];
    return seccomp_rule_add_exact_array(f, SCMP_ACT_ALLOW, r->nr, n, cmp);
}

static int
add_row(scmp_filter_ctx f, const struct rule *r, const struct sandbox_profile *p)
{
    const int boot_fd = BOOT_FD;
    int e = 0;

    if (r->fds == ANY_FD)
        return add_rule(f, r, NULL);
    if (r->fds == BOOT_FDS)
        return add_rule(f, r, &boot_fd);
    for (size_t i = 0; i < p->nevent_fds && e == 0; i++)
        e = add_rule(f, r, &p->event_fds[i]);
    return e;
}

/*
 * The program as bytes, with everything that made it gone: once a filter is
 * loaded, even giving memory back may be a call that kills.
 */
static int
program(const struct sandbox_profile *p, void *buf, size_t room, size_t *ret_len)
{
    _clean(clean_filter) scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
    _clean(clean_fd) int from = -1, to = -1;
    int fds[2], r;
    ssize_t n;

    if (f == NULL)
        return -ENOMEM;
    /* x32 is refused along with what is not listed */
    r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    for (size_t i = 0; i < p->nrules && r == 0; i++)
        if (applies(&p->rules[i], p))
            r = add_row(f, &p->rules[i], p);
    if (r != 0)
        return r;
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    from = fds[0];
    to = fds[1];
    r = seccomp_export_bpf(f, to);
    if (r != 0)
        return r;
    n = read(from, buf, room);
    if (n < 0)
        return -errno;
    *ret_len = (size_t)n;
    return 0;
}

/*
 * Threads that exist get the filter too (TSYNC), or none does and the call
 * fails: a positive result names a thread that could not take it.
 */
int
filter_load(const struct sandbox_profile *p)
{
    struct sock_filter code[PROGRAM_MAX];
    struct sock_fprog prog = {.filter = code};
    size_t len;
    long r;

    r = program(p, code, sizeof(code), &len);
    if (r < 0)
        return (int)r;
    if (len == 0 || len == sizeof(code) || len % sizeof(code[0]) != 0)
        return -E2BIG;
    prog.len = (unsigned short)(len / sizeof(code[0]));
    r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &prog);
    return r < 0 ? -errno : r > 0 ? -ESRCH : 0;
}

static void
print_cmp(FILE *out, const struct scmp_arg_cmp *c)
{
    if (c->op == SCMP_CMP_MASKED_EQ && c->datum_a != UINT32_MAX)
        fprintf(out, " arg%u&0x%" PRIx64 "=0x%" PRIx64, c->arg, c->datum_a, c->datum_b);
    else
        fprintf(out, " arg%u=0x%" PRIx64, c->arg,
                c->op == SCMP_CMP_MASKED_EQ ? c->datum_b : c->datum_a);
}

static void
print_rule(FILE *out, const struct rule *r)
{
    static const char *const fds[] = {
        [ANY_FD] = "", [EVENT_FDS] = " eventfds", [BOOT_FDS] = " fd 3"};
    _clean(clean_free) char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, r->nr);

    if (name != NULL)
        fprintf(out, "  %-16s", name);
    else
        fprintf(out, "  #%-15d", r->nr);
    fputs(fds[r->fds], out);
    for (unsigned i = 0; i < r->ncmp; i++)
        print_cmp(out, &r->cmp[i]);
    fprintf(out, "  # %s\n", r->why);
}

void
sandbox_print(FILE *out, const struct sandbox_profile *p)
{
    fprintf(out, "%s: every system call kills the process but\n", p->name);
    for (size_t i = 0; i < p->nrules; i++)
        if (applies(&p->rules[i], p))
            print_rule(out, &p->rules[i]);
}
