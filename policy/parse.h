/*
 * Private to policy/ and its tests: the steps from a file to a plan.
 *
 *   source.c    file -> text, with the checks on who may have written it
 *   scan.c      text -> text that libconfuse reads without surprises
 *   parse.c     libconfuse's tree of settings, each with its place
 *   settings.c  the table of settings: which there are
 *   set_*.c     how each is read
 *   build.c     tree -> plan, with the checks between settings
 */
#ifndef POSTERN_POLICY_PARSE_H
#define POSTERN_POLICY_PARSE_H

#include <confuse.h>
#include <stdio.h>

#include "policy/plan.h"
#include "policy/value.h"

#define POLICY_FILE_BYTES_MAX (1024u * 1024u)
#define POLICY_FILES_MAX 1024 /* the file and all it includes */
#define POLICY_INCLUDE_DEPTH_MAX 8
#define POLICY_SECTIONS_MAX 8192 /* as many children as posternd may have, with all theirs */
#define POLICY_STRING_MAX 4095   /* bytes of one value */
#define POLICY_NESTING_MAX 8     /* braces within braces */

/*
 * A policy in memory, under a name for its errors. include() is refused: no
 * file is opened. Otherwise as plan_load(). One thread at a time: libconfuse
 * keeps its state in globals, and so does parse.c.
 */
int policy_parse_text(const char *name, const char *text, size_t n, struct plan **ret,
                      char **ret_error);

/* The file's bytes, freed by the caller, or -errno with the mistake noted. */
int source_read(struct errors *e, struct where at, const char *path, char **ret, size_t *ret_n);

/* path names all files of a directory, "DIR/" or "DIR/GLOB"; and those that do,
 * sorted by name; -errno with the mistake noted, then *ret is empty. "DIR/"
 * stands for "DIR/" and *.conf: not for what editors and packages leave there. */
bool source_is_list(const char *path);
int source_list(struct errors *e, struct where at, const char *path, struct plan_list *ret);

/*
 * Check the text's tokens and write them anew without comments, line by
 * line: every section opens with SECTION_MARK = 0, which tells parse.c where
 * it is, and a list that is empty gets the value EMPTY_LIST. false: mistake
 * noted.
 */
#define SECTION_MARK "@"
#define EMPTY_LIST "\x01" /* the one value of a list without any; no string can be this */
bool scan(struct errors *e, const char *file, const char *text, size_t n, char **ret,
          size_t *ret_n);

/* A setting's value and place; what libconfuse keeps for each. */
struct setting {
    struct where at;
    char value[];
};

enum section {
    IN_ROOT,
    IN_DEFAULTS, /* has no rows of its own: all that may have a default */
    IN_CONTROL,
    IN_TENANT,
    IN_LISTEN,
    IN_SHARE,
    IN_LIMITS,
    SECTIONS_END
};

enum setting_flags {
    SETTING_LIST = 1 << 0,     /* the value is a list */
    SETTING_OWN = 1 << 1,      /* each share's own: not in defaults */
    SETTING_WRITABLE = 1 << 2, /* means something with access = read-write alone */
};

struct setting_row {
    enum section section;
    const char *name;
    /* Put the value into target, the plan's struct of that section; notes
     * mistakes. Called for each value of a list. NULL: part of the design,
     * not in this version. */
    void (*set)(struct errors *e, const struct setting_row *row, const struct setting *s,
                void *target);
    /* Write the value as a policy would; false: there is nothing to write. */
    bool (*get)(FILE *out, const struct setting_row *row, const void *source);
    unsigned flags;      /* enum setting_flags */
    unsigned identities; /* of a share: models it means something with; 0: all */
    size_t offset;       /* of a limit in struct plan_limits */
    struct value_range range;
};
/* Also of defaults, which has rows of others. */
bool setting_row_is_of(const struct setting_row *row, enum section section);
extern const struct setting_row setting_rows[];
extern const size_t nsetting_rows;

/* What the file says about name in this section, or NULL. */
const struct setting *setting_get(cfg_t *sec, const char *name);
/* How many values it has there, and each. An empty list has one, which says
 * so. */
unsigned setting_count(cfg_t *sec, const char *name);
const struct setting *setting_get_nth(cfg_t *sec, const char *name, unsigned i);
bool setting_is_empty_list(const struct setting *s);
/* Where the section opens; false: it is not in the file. */
bool section_where(cfg_t *sec, struct where *ret);
/*
 * Every setting of the section that the file has; what it has not comes from
 * defaults, where that is not NULL. A default that means nothing with the rest
 * of a share is passed over, the same in the share itself is a mistake.
 */
void settings_apply(struct errors *e, enum section section, cfg_t *sec, cfg_t *defaults,
                    void *target);
/* The same setting in the section, else in defaults (may be NULL), else NULL. */
const struct setting *setting_find(cfg_t *sec, cfg_t *defaults, const char *name);
/* The settings of defaults by themselves, so that a mistake there is told once.
 * What shares and tenants may take from it, or NULL. */
cfg_t *settings_defaults(struct errors *e, cfg_t *root);

/* The tree of a text, freed with cfg_free(), or NULL with mistakes noted. */
struct policy_parse {
    struct errors *errors; /* borrowed */
    struct plan *plan;     /* borrowed; takes the names of files */
    bool may_include;
    const char *file;  /* now; borrowed from plan->files */
    unsigned depth;    /* of include() */
    unsigned sections; /* seen so far */
    int status;        /* -errno of a file that could not be read, else 0 */
};
cfg_t *policy_parse(struct policy_parse *p, const char *name, const char *text, size_t n);
/* The same of what stands between the braces of one share. */
cfg_t *policy_parse_share(struct policy_parse *p, const char *name, const char *text, size_t n);

/* Of ipc/limits.h. */
struct plan_limits plan_default_limits(void);

/* Fills the plan; mistakes are noted. */
void policy_build(struct errors *e, cfg_t *root, struct plan *plan);
/* The settings of one share. at: where its section opens. */
void share_build(struct errors *e, cfg_t *sec, cfg_t *defaults, const char *name, struct where at,
                 struct plan_share *sh);
/* share's ids against those of all tenants but its own. */
void ids_check(struct errors *e, const struct plan_share *sh, const char *tenant,
               const struct plan_tenant *others, size_t n);
/* What the struct owns. */
void plan_share_done(struct plan_share *sh);
void list_done(struct plan_list *l);
void plan_tenant_done(struct plan_tenant *t);

#endif
