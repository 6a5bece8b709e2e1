/*
 * Private to policy/ and its tests: the steps from a file to a plan.
 *
 *   source.c    file -> text, with the checks on who may have written it
 *   scan.c      text -> text that libconfuse reads without surprises
 *   parse.c     libconfuse's tree of settings, each with its place
 *   settings.c  the table of settings: which there are, how each is read
 *   build.c     tree -> plan, with the checks between settings
 */
#ifndef POSTERN_POLICY_PARSE_H
#define POSTERN_POLICY_PARSE_H

#include <confuse.h>

#include "policy/plan.h"
#include "policy/value.h"

#define POLICY_FILE_BYTES_MAX (1024u * 1024u)
#define POLICY_FILES_MAX 64 /* the file and all it includes */
#define POLICY_INCLUDE_DEPTH_MAX 8
#define POLICY_SECTIONS_MAX 4096
#define POLICY_STRING_MAX 4095 /* bytes of one value */
#define POLICY_NESTING_MAX 8   /* braces within braces */

/*
 * A policy in memory, under a name for its errors. include() is refused: no
 * file is opened. Otherwise as plan_load(). One thread at a time: libconfuse
 * keeps its state in globals, and so does parse.c.
 */
int policy_parse_text(const char *name, const char *text, size_t n, struct plan **ret,
                      char **ret_error);

/* The file's bytes, freed by the caller, or -errno with the mistake noted. */
int source_read(struct errors *e, struct where at, const char *path, char **ret, size_t *ret_n);

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

enum section { IN_ROOT, IN_DEFAULTS, IN_TENANT, IN_LISTEN, IN_SHARE, IN_LIMITS, SECTIONS_END };

struct setting_row {
    enum section section;
    const char *name;
    /* Put the value into target, the plan's struct of that section; notes
     * mistakes. Called for each value of a list. NULL: part of the design,
     * not in this version. */
    void (*set)(struct errors *e, const struct setting_row *row, const struct setting *s,
                void *target);
    size_t offset; /* of a limit in struct plan_limits; SETTING_LIST */
    struct value_range range;
};
#define SETTING_LIST SIZE_MAX /* as offset: the value is a list */
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
/* Every setting of the section that the file has. */
void settings_apply(struct errors *e, enum section section, cfg_t *sec, void *target);

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

/* Of ipc/limits.h. */
struct plan_limits plan_default_limits(void);

/* Fills the plan; mistakes are noted. */
void policy_build(struct errors *e, cfg_t *root, struct plan *plan);

#endif
