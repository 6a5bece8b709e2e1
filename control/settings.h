/*
 * From arguments to the settings of a share, as they stand between the braces
 * of share "NAME" { ... } in a policy (postern.conf(5)).
 */
#ifndef POSTERN_CONTROL_SETTINGS_H
#define POSTERN_CONTROL_SETTINGS_H

#include <stddef.h>

/*
 * A set is "SETTING = VALUE" and nothing more, whatever stands in it: VALUE is
 * a list in braces, a text in quotes, or else plain text, which gets its quotes
 * here. The path arrives byte for byte.
 *
 * 0 and *ret, freed by the caller; -EINVAL and *ret_why, a static text on the
 * path (*ret_which: -1) or on the set of that number; -ENOMEM.
 */
int settings_text(const char *path, const char *access, const char *const *sets, size_t nsets,
                  char **ret, const char **ret_why, int *ret_which);

#endif
