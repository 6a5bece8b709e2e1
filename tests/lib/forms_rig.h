/*
 * A rig and guests that have what forms.h says they have, in each dialect.
 */
#ifndef POSTERN_TESTS_FORMS_RIG_H
#define POSTERN_TESTS_FORMS_RIG_H

#include "tests/lib/forms.h"
#include "tests/lib/rig.h"

#define FORMS_MSIZE 200000u
#define FORMS_DIALECTS 3u

/* NINE_L, NINE_U, NINE_2000. */
unsigned forms_dialect(size_t d);
/* Both of its shares have what the forms are about. */
struct rig *forms_rig(void);
/* A guest with all fids of forms.h, of that share. */
struct guest *forms_guest(struct rig *rig, size_t d, const char *share);
/* Topen or Tlopen, asserted to work. */
void forms_open(struct guest *g, uint32_t fid, bool to_write);
/* An error of any dialect. */
bool forms_is_error(const struct msg *m);

#endif
