/*
 * From text to libconfuse's tree, each setting with its place. libconfuse
 * takes a second assignment for a correction of the first and merges two
 * sections of one kind; both are noted as mistakes here.
 *
 * Runs in: broker.   Trusts: nothing in the text.
 * Owns: the tree until it is returned, and `now`: libconfuse hands its
 * callbacks no context.
 */
#include "policy/parse.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ipc/fd.h"

static struct policy_parse *now; /* the parse under way; borrowed */

static struct where
here(const cfg_t *cfg)
{
    return (struct where){now->file, (unsigned)cfg->line};
}

static bool
is_mark(const cfg_opt_t *opt)
{
    return strcmp(opt->name, SECTION_MARK) == 0;
}

/* A setting has a value. def.number is libconfuse's default for numbers,
 * unused here: it remembers that this option of this section was set. */
static int
setting_set(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    size_t n = strlen(value) + 1;
    struct setting *s = malloc(sizeof(*s) + n);

    if (s == NULL) {
        now->errors->no_memory = true;
        return -1;
    }
    if (opt->def.number != 0)
        errors_add(now->errors, here(cfg), "%s is here again, expected it once",
                   is_mark(opt) ? cfg->name : opt->name);
    opt->def.number = 1;
    s->at = here(cfg);
    memcpy(s->value, value, n);
    *(void **)result = s;
    if (is_mark(opt) && ++now->sections > POLICY_SECTIONS_MAX) {
        errors_add(now->errors, s->at, "too many sections, expected at most %d",
                   POLICY_SECTIONS_MAX);
        free(s);
        return -1;
    }
    return 0;
}

/* One more value of a list. With the first of an assignment libconfuse has
 * let go of all that were there before. */
static int
setting_add(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    long given = opt->def.number;
    int r;

    if (opt->nvalues > 1)
        opt->def.number = 0; /* not here again, but going on */
    r = setting_set(cfg, opt, value, result);
    opt->def.number |= given;
    return r;
}

/* Each value of a list comes here; one word about it is enough. */
static int
setting_later(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
    (void)value;
    if (opt->def.number == 0)
        errors_add(now->errors, here(cfg), "%s is not available in this version, expected no %s",
                   opt->name, opt->name);
    opt->def.number = 1;
    *(void **)result = NULL;
    return 0;
}

/* What libconfuse says, and how it is said here: text before the one
 * argument, text after it. */
static const struct said {
    const char *fmt, *before, *behind;
} said[] = {
    {"found duplicate title '%s'", "the name ", " is here twice, expected it once"},
    {"missing equal sign after option '%s'", "no \"=\" after ", ", expected \"=\" and a value"},
    {"missing opening brace for section '%s'", "no \"{\" in ", ", expected a section in { }"},
    {"missing title for section '%s'", "no name after ", ", expected one in quotes"},
    {"missing parenthesis for function '%s'", "no file after ", ", expected include(\"FILE\")"},
    {"unexpected token '%s'", "unexpected ", ", expected a setting or its value"},
    {"premature end of file", "end of file in a setting, expected its value", NULL},
};

/* "path, access, ..." of this section. */
static void
expected_settings(const cfg_t *cfg, char *buf, size_t room)
{
    size_t at = 0;

    buf[0] = '\0';
    for (const cfg_opt_t *o = cfg->opts; o->name != NULL && at < room; o++) {
        if (is_mark(o) || o->parsecb == setting_later)
            continue;
        at += (size_t)snprintf(buf + at, room - at, "%s%s", at > 0 ? ", " : "", o->name);
    }
}

static void
syntax_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    const char *arg = strstr(fmt, "%s") != NULL ? va_arg(ap, const char *) : NULL;

    if (strcmp(fmt, "no such option '%s'") == 0 && arg != NULL) {
        char names[256];

        expected_settings(cfg, names, sizeof(names));
        errors_add(now->errors, here(cfg), "unknown setting %s, expected one of: %s", Q(arg),
                   names);
        return;
    }
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        if (strcmp(said[i].fmt, fmt) != 0)
            continue;
        if (arg == NULL)
            errors_add(now->errors, here(cfg), "%s", said[i].before);
        else
            errors_add(now->errors, here(cfg), "%s%s%s", said[i].before, Q(arg), said[i].behind);
        return;
    }
    errors_add(now->errors, here(cfg), "syntax error at %s, expected what postern.conf(5) says",
               arg != NULL ? Q(arg) : "this place");
}

/* Make name the file whose text comes; it lives as long as the plan. */
static bool
file_enter(const char *name)
{
    struct plan *p = now->plan;
    char **files = errors_grow(now->errors, p->files, p->nfiles, sizeof(*files));

    if (files == NULL)
        return false;
    p->files = files;
    files[p->nfiles] = errors_strdup(now->errors, name);
    if (files[p->nfiles] == NULL)
        return false;
    now->file = files[p->nfiles++];
    return true;
}

static int
parse_text(cfg_t *cfg, const char *text, size_t n)
{
    _clean(clean_free) char *clean = NULL;
    size_t clean_n;
    FILE *f;
    int r;

    if (!scan(now->errors, now->file, text, n, &clean, &clean_n))
        return -1;
    if (clean_n == 0)
        return 0;
    f = fmemopen(clean, clean_n, "r");
    if (f == NULL) {
        now->errors->no_memory = true;
        return -1;
    }
    r = cfg_parse_fp(cfg, f);
    (void)fclose(f);
    /* libconfuse does not speak of every failure */
    if (r != CFG_SUCCESS && errors_none(now->errors))
        errors_add(now->errors, here(cfg), "syntax error, expected what postern.conf(5) says");
    return r == CFG_SUCCESS ? 0 : -1;
}

/* A relative name is relative to the file that includes. */
static char *
include_path(const char *name)
{
    const char *slash = strrchr(now->file, '/');
    int dir = name[0] == '/' || slash == NULL ? 0 : (int)(slash - now->file) + 1;
    char *path;

    if (asprintf(&path, "%.*s%s", dir, now->file, name) < 0) {
        now->errors->no_memory = true;
        return NULL;
    }
    return path;
}

static bool
include_is_possible(struct where at)
{
    const char *wrong = NULL;

    if (!now->may_include)
        wrong = "include is not possible here, expected all settings in one text";
    else if (now->depth >= POLICY_INCLUDE_DEPTH_MAX)
        wrong = "includes too deep, expected at most 8 within each other";
    else if (now->plan->nfiles >= POLICY_FILES_MAX)
        wrong = "too many files, expected at most 1024";
    if (wrong != NULL)
        errors_add(now->errors, at, "%s", wrong);
    return wrong == NULL;
}
_Static_assert(POLICY_INCLUDE_DEPTH_MAX == 8 && POLICY_FILES_MAX == 1024, "texts above say so");

/* libconfuse's scanner keeps a stack of inputs; ours goes on top and is gone
 * when this returns. */
static int
include_file(cfg_t *cfg, struct where at, const char *path)
{
    _clean(clean_free) char *text = NULL;
    size_t n;
    int r;

    if (!include_is_possible(at))
        return -1;
    r = source_read(now->errors, at, path, &text, &n);
    if (r < 0) {
        now->status = r;
        return -1;
    }
    if (!file_enter(path))
        return -1;
    now->depth++;
    r = parse_text(cfg, text, n);
    now->depth--;
    now->file = at.file;
    cfg->line = (int)at.line;
    return r;
}

static int
include_directory(cfg_t *cfg, struct where at, const char *path)
{
    struct plan_list files = {0};
    int r = source_list(now->errors, at, path, &files);

    if (r < 0)
        now->status = r;
    for (size_t i = 0; r == 0 && i < files.n; i++)
        r = include_file(cfg, at, files.at[i]);
    list_done(&files);
    return r < 0 ? -1 : 0;
}

/* scan() saw to it that there is one argument. */
static int
include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
    _clean(clean_free) char *path = NULL;
    struct where at = here(cfg);

    (void)opt;
    if (argc != 1 || !include_is_possible(at))
        return -1;
    path = include_path(argv[0]);
    if (path == NULL)
        return -1;
    return source_is_list(path) ? include_directory(cfg, at, path) : include_file(cfg, at, path);
}

#define SECTION_OPTS_MAX 32 /* settings and sections of one section, mark and end */

/* libconfuse's options of one section: its mark, then the table's rows. */
static size_t
section_opts(cfg_opt_t opts[SECTION_OPTS_MAX], enum section section)
{
    size_t n = 0;

    opts[n++] = (cfg_opt_t)CFG_PTR_CB(SECTION_MARK, NULL, CFGF_NODEFAULT, setting_set, free);
    for (size_t i = 0; i < nsetting_rows && n < SECTION_OPTS_MAX - 1; i++) {
        const char *name = setting_rows[i].name;

        if (!setting_row_is_of(&setting_rows[i], section))
            continue;
        if (setting_rows[i].set == NULL) /* a list option takes a plain value too */
            opts[n++] = (cfg_opt_t)CFG_PTR_LIST_CB(name, NULL, CFGF_NODEFAULT, setting_later, free);
        else if ((setting_rows[i].flags & SETTING_LIST) != 0)
            opts[n++] = (cfg_opt_t)CFG_PTR_LIST_CB(name, NULL, CFGF_NODEFAULT, setting_add, free);
        else
            opts[n++] = (cfg_opt_t)CFG_PTR_CB(name, NULL, CFGF_NODEFAULT, setting_set, free);
    }
    opts[n] = (cfg_opt_t)CFG_END();
    return n;
}

/* cfg_init() copies all of it. */
static cfg_t *
tree_new(void)
{
    static const cfg_flag_t many = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
    cfg_opt_t limits[SECTION_OPTS_MAX], listens[SECTION_OPTS_MAX], shares[SECTION_OPTS_MAX];
    cfg_opt_t defaults[SECTION_OPTS_MAX + 1], tenant[SECTION_OPTS_MAX + 4];
    cfg_opt_t control[SECTION_OPTS_MAX];
    size_t n;

    (void)section_opts(control, IN_CONTROL);
    (void)section_opts(limits, IN_LIMITS);
    (void)section_opts(listens, IN_LISTEN);
    (void)section_opts(shares, IN_SHARE);
    n = section_opts(defaults, IN_DEFAULTS);
    defaults[n++] = (cfg_opt_t)CFG_SEC("limits", limits, CFGF_NONE);
    defaults[n] = (cfg_opt_t)CFG_END();
    n = section_opts(tenant, IN_TENANT);
    tenant[n++] = (cfg_opt_t)CFG_SEC("listen", listens, many);
    tenant[n++] = (cfg_opt_t)CFG_SEC("share", shares, many);
    tenant[n++] = (cfg_opt_t)CFG_SEC("limits", limits, CFGF_NONE);
    tenant[n++] = (cfg_opt_t)CFG_FUNC("include", include);
    tenant[n] = (cfg_opt_t)CFG_END();
    cfg_opt_t root[] = {
        CFG_SEC("defaults", defaults, CFGF_NONE),
        CFG_SEC("tenant", tenant, many),
        CFG_SEC("control", control, many),
        CFG_FUNC("include", include),
        CFG_END(),
    };
    return cfg_init(root, CFGF_NONE);
}

static cfg_t *
parse_into(cfg_t *cfg, struct policy_parse *p, const char *name, const char *text, size_t n)
{
    if (cfg == NULL) {
        p->errors->no_memory = true;
        return NULL;
    }
    now = p;
    (void)cfg_set_error_function(cfg, syntax_error);
    if (!file_enter(name) || parse_text(cfg, text, n) < 0) {
        (void)cfg_free(cfg);
        cfg = NULL;
    }
    now = NULL;
    return cfg;
}

cfg_t *
policy_parse(struct policy_parse *p, const char *name, const char *text, size_t n)
{
    return parse_into(tree_new(), p, name, text, n);
}

cfg_t *
policy_parse_share(struct policy_parse *p, const char *name, const char *text, size_t n)
{
    cfg_opt_t share[SECTION_OPTS_MAX];

    (void)section_opts(share, IN_SHARE);
    return parse_into(cfg_init(share, CFGF_NONE), p, name, text, n);
}

const struct setting *
setting_get(cfg_t *sec, const char *name)
{
    return cfg_getptr(sec, name);
}

unsigned
setting_count(cfg_t *sec, const char *name)
{
    return cfg_size(sec, name);
}

const struct setting *
setting_get_nth(cfg_t *sec, const char *name, unsigned i)
{
    return cfg_getnptr(sec, name, i);
}

bool
setting_is_empty_list(const struct setting *s)
{
    return strcmp(s->value, EMPTY_LIST) == 0;
}

bool
section_where(cfg_t *sec, struct where *ret)
{
    const struct setting *mark = setting_get(sec, SECTION_MARK);

    if (mark == NULL)
        return false;
    *ret = mark->at;
    return true;
}
