/*
 * All that the host can tell about a tree, to compare it before and after: names,
 * contents, sizes, modes, owners, link counts, all four times, extended attributes.
 */
#ifndef POSTERN_TESTS_TREE_H
#define POSTERN_TESTS_TREE_H

/* A line for each file, in the order of their directories; looking moves no access
 * time. The caller frees it. */
char *tree_of(const char *path);
/* Fails the test, and frees both, unless path is as it was. */
void tree_assert_same(const char *path, char *was);

#endif
