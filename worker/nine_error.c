/*
 * Errors in the three dialects: a number (9P2000.L), a text and a number
 * (9P2000.u), a text alone (9P2000).
 *
 * Runs in: worker.   Trusts: nobody.   Owns: nothing.
 *
 * A 9P2000 client knows an error by its text. Linux has a list of those that
 * it understands; each text here is on it, so that the guest's programs see
 * the errno that was meant.
 */
#include <errno.h>
#include <string.h>

#include "worker/nine.h"

static const struct {
    int err;
    const char *text;
} texts[] = {
    {EIO, "Input/output error"}, /* first: also for all that is not here */
    {EPERM, "Operation not permitted"},
    {ENOENT, "No such file or directory"},
    {EINTR, "Interrupted system call"},
    {ENXIO, "No such device or address"},
    {EBADF, "Bad file descriptor"},
    {EAGAIN, "Resource temporarily unavailable"},
    {ENOMEM, "Cannot allocate memory"},
    {EACCES, "Permission denied"},
    {EBUSY, "Device or resource busy"},
    {EEXIST, "File exists"},
    {EXDEV, "Invalid cross-device link"},
    {ENODEV, "No such device"},
    {ENOTDIR, "Not a directory"},
    {EISDIR, "Is a directory"},
    {EINVAL, "Invalid argument"},
    {ENFILE, "Too many open files in system"},
    {EMFILE, "Too many open files"},
    {ETXTBSY, "Text file busy"},
    {EFBIG, "File too large"},
    {ENOSPC, "No space left on device"},
    {ESPIPE, "Illegal seek"},
    {EROFS, "Read-only file system"},
    {EMLINK, "Too many links"},
    {ERANGE, "Numerical result out of range"},
    {EDEADLK, "Resource deadlock avoided"},
    {ENAMETOOLONG, "File name too long"},
    {ENOLCK, "No locks available"},
    {ENOSYS, "Function not implemented"},
    {ENOTEMPTY, "Directory not empty"},
    {ELOOP, "Too many levels of symbolic links"},
    {ENODATA, "No data available"},
    {EPROTO, "Protocol error"},
    {EBADMSG, "Bad message"},
    {EMSGSIZE, "Message too long"},
    {EOPNOTSUPP, "Operation not supported"},
    {ESTALE, "file has been removed"}, /* Linux has no text for it on its list */
    {EDQUOT, "Disk quota exceeded"},
};

const char *
nine_error_text(int err)
{
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (texts[i].err == -err)
            return texts[i].text;
    }
    return texts[0].text;
}

uint8_t
nine_error_type(unsigned dialect)
{
    return (dialect & IN_OLD) != 0 ? NINE_RERROR : NINE_RLERROR;
}

void
pen_error(struct pen *w, unsigned dialect, int err)
{
    if ((dialect & IN_OLD) != 0) {
        const char *text = nine_error_text(err);

        pen_str(w, text, strlen(text));
    }
    if (dialect != NINE_2000)
        pen_u32(w, (uint32_t)-err);
}
