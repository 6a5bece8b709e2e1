#ifndef POSTERN_TESTS_POSIX_POSIX_H
#define POSTERN_TESTS_POSIX_POSIX_H

/*
 * The harness of the conformance suite: what a file of claims needs.
 *
 * A claim is a function that runs in a process of its own, as root, in an empty
 * directory of its own that is its working directory (mode 0755, umask 022). It ends with the
 * first check that fails. Names must be kept: differences.* lists them.
 *
 *   CLAIM(name) { ... }                    area/name; the area is the file's name
 *   ROWS(name, type, table) { ... row }    area/name.ROW for each row of a table
 *                                          whose first member is the row's name
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

struct claim {
    const char *file;
    int line;
    const char *name;
    void (*run)(const void *row);
    const void *rows; /* NULL: one claim, without a row */
    size_t row_size;
    size_t n_rows;
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define CLAIM_ENTRY(fn, run_fn, table, size, n)                                                    \
    static const struct claim fn##_claim = {__FILE__, __LINE__, #fn, run_fn, table, size, n};      \
    __attribute__((used, section("claims"))) static const struct claim *const fn##_entry =         \
        &fn##_claim;
#define CLAIM(fn)                                                                                  \
    static void fn(const void *);                                                                  \
    CLAIM_ENTRY(fn, fn, NULL, 0, 1)                                                                \
    static void fn(const void *no_row __attribute__((unused)))
#define ROWS(fn, type, table)                                                                      \
    static void fn(const struct type *);                                                           \
    static void fn##_row(const void *row)                                                          \
    {                                                                                              \
        fn(row);                                                                                   \
    }                                                                                              \
    CLAIM_ENTRY(fn, fn##_row, table, sizeof((table)[0]), COUNT(table))                             \
    static void fn(const struct type *row)

/* Checks. Each ends the claim when it does not hold, and says what came. */
#define OK(call) check_ok(__FILE__, __LINE__, #call, (long long)(call))
#define FAILS(call, want) check_fails(__FILE__, __LINE__, #call, (long long)(call), want)
/* errno 0 means that it must succeed */
#define GIVES(call, want) check_gives(__FILE__, __LINE__, #call, (long long)(call), want)
#define EQ(got, want) check_eq(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define OCTAL(got, want) check_octal(__FILE__, __LINE__, #got, (unsigned)(got), (unsigned)(want))
#define TRUE(cond) check_true(__FILE__, __LINE__, #cond, (cond))
#define NEEDS(cond, what) check_needs(cond, what)
#define HOLDS(path, text) check_holds(__FILE__, __LINE__, path, text)
#define TIME_IS(got, want) check_time(__FILE__, __LINE__, #got, got, want)

long long check_ok(const char *file, int line, const char *what, long long r);
void check_fails(const char *file, int line, const char *what, long long r, int want);
bool check_gives(const char *file, int line, const char *what, long long r, int want);
void check_eq(const char *file, int line, const char *what, long long got, long long want);
void check_octal(const char *file, int line, const char *what, unsigned got, unsigned want);
void check_true(const char *file, int line, const char *what, bool holds);
void check_needs(bool there, const char *what);
void check_holds(const char *file, int line, const char *path, const char *text);
void check_time(const char *file, int line, const char *what, struct timespec got,
                struct timespec want);

/* Other people. The group of alice is dave's own and carol's supplementary one. */
struct who {
    uid_t uid;
    gid_t gid;
    gid_t also; /* supplementary group; 0: none */
};
extern struct who alice, bob, carol, dave;

/*
 * AS(&alice) { ... } runs the block in a child with that identity, and waits. A check that
 * fails in it fails the claim. AS(NULL) is a child like us.
 */
#define AS(who) AS_AT(who, __LINE__)
#define AS_AT(who, line) AS_PID(who, line)
#define AS_PID(who, line) AS_LOOP(who, as_pid_##line)
#define AS_LOOP(who, pid) for (pid_t pid = as_begin(who); (pid) == 0 || as_wait(pid); as_end())
pid_t as_begin(const struct who *who);
bool as_wait(pid_t pid); /* always false: the loop is over */
_Noreturn void as_end(void);

/* Making and looking. All must succeed. */
int fd_of(const char *path, int flags); /* open, with O_CREAT mode 0644 */
void file_new(const char *path, mode_t mode);
void file_with(const char *path, const char *text);
void dir_new(const char *path, mode_t mode);
void give(const char *path, const struct who *to);
struct stat st_of(const char *path); /* lstat */
struct stat st_fd(int fd);
mode_t mode_of(const char *path); /* without the type */
bool exists(const char *path);    /* lstat; anything but ENOENT fails */
DIR *dir_of(const char *path);    /* opendir */
void *memory(size_t n);           /* all zero, that nobody frees */
char *repeat(char c, size_t n);   /* a string that nobody frees */

/* Waits until a change made now has a later time than any made before. */
void tick(void);
bool later(struct timespec a, struct timespec b); /* a is later than b */
bool same_time(struct timespec a, struct timespec b);

/* Kinds of things that a name can be. */
#define KINDS(X)                                                                                   \
    X(MISSING, missing)                                                                            \
    X(FILE, file)                                                                                  \
    X(DIR, dir)                                                                                    \
    X(FULL, full)                                                                                  \
    X(LINK, link)         /* a symlink to a file */                                                \
    X(DIRLINK, dirlink)   /* a symlink to a directory */                                           \
    X(DANGLING, dangling) /* a symlink to nothing, where a file could be made */                   \
    X(LOOP, loop)         /* a symlink to itself */                                                \
    X(FIFO, fifo)                                                                                  \
    X(SOCKET, socket)
enum kind {
#define X(upper, lower) K_##upper,
    KINDS(X)
#undef X
};
void make(const char *name, enum kind kind);

/* An address where nothing is; the compiler does not know. */
extern char *volatile nowhere;

/* Where the claims run. */
extern const char *base_dir;

#endif
