/* Has operations on some files fail on demand. Preloaded into the daemon by tests.
 *
 * FAULTY_FILES    only files whose path contains this
 * FAULTY_CONTROL  a file; while it is there, its words say what fails:
 *
 *   sync ERRNO   every sync
 *   write ERRNO  every write
 *   link ERRNO   every hard link
 *   hang 0       syncs wait until the file is gone, and say "hanging" in a file beside it
 *   nth ERRNO NUMBER STICKS NONCE
 *                of all operations that change something, counted from 1 since NONCE became another, this one; with STICKS 1
 *                all later ones too. A file with ".hit" at its end says that it has come to this. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t counting = PTHREAD_MUTEX_INITIALIZER;
static long counted, last_nonce;

static void touch(const char *control, const char *suffix)
{
    char name[4096];
    snprintf(name, sizeof name, "%s.%s", control, suffix);
    FILE *note = fopen(name, "we");
    if (note)
        fclose(note);
}

static int nth_fault(const char *control, int code, long number, int sticks, long nonce)
{
    pthread_mutex_lock(&counting);
    if (nonce != last_nonce) {
        last_nonce = nonce;
        counted = 0;
    }
    long now = ++counted;
    pthread_mutex_unlock(&counting);
    if (now != number && !(sticks && now > number))
        return 0;
    touch(control, "hit");
    return code;
}

/* The error that the operation on the file has to fail with, or 0. */
static int fault_at(const char *path, const char *operation)
{
    const char *files = getenv("FAULTY_FILES"), *control = getenv("FAULTY_CONTROL");
    if (!files || !control || !strstr(path, files))
        return 0;
    FILE *file = fopen(control, "re");
    if (!file)
        return 0;
    char what[16] = "";
    int code = 0, sticks = 0;
    long number = 0, nonce = 0;
    int read = fscanf(file, "%15s %d %ld %d %ld", what, &code, &number, &sticks, &nonce);
    fclose(file);
    if (!strcmp(what, "hang") && !strcmp(operation, "sync")) {
        touch(control, "hanging");
        while (!access(control, F_OK))
            usleep(10000);
        return 0;
    }
    if (read == 5 && !strcmp(what, "nth"))
        return nth_fault(control, code, number, sticks, nonce);
    return read >= 2 && !strcmp(what, operation) ? code : 0;
}

static int fault(int fd, const char *operation)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return fault_at(path, operation);
}

#define FAIL(found)         \
    do {                    \
        int code = (found); \
        if (code) {         \
            errno = code;   \
            return -1;      \
        }                   \
    } while (0)

#define NEXT(name)                 \
    static __typeof__(name) *next; \
    if (!next)                     \
    next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int fsync(int fd) { NEXT(fsync); FAIL(fault(fd, "sync")); return next(fd); }
int fdatasync(int fd) { NEXT(fdatasync); FAIL(fault(fd, "sync")); return next(fd); }

ssize_t write(int fd, const void *bytes, size_t count) { NEXT(write); FAIL(fault(fd, "write")); return next(fd, bytes, count); }
ssize_t writev(int fd, const struct iovec *parts, int count) { NEXT(writev); FAIL(fault(fd, "write")); return next(fd, parts, count); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { NEXT(pwrite); FAIL(fault(fd, "write")); return next(fd, bytes, count, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { NEXT(pwrite64); FAIL(fault(fd, "write")); return next(fd, bytes, count, at); }

int ftruncate(int fd, off_t length) { NEXT(ftruncate); FAIL(fault(fd, "truncate")); return next(fd, length); }
int ftruncate64(int fd, off64_t length) { NEXT(ftruncate64); FAIL(fault(fd, "truncate")); return next(fd, length); }

int rename(const char *from, const char *to) { NEXT(rename); FAIL(fault_at(to, "rename")); return next(from, to); }
int linkat(int from_at, const char *from, int to_at, const char *to, int flags) { NEXT(linkat); FAIL(fault_at(to, "link")); return next(from_at, from, to_at, to, flags); }
int unlink(const char *path) { NEXT(unlink); FAIL(fault_at(path, "unlink")); return next(path); }
int mkdir(const char *path, mode_t mode) { NEXT(mkdir); FAIL(fault_at(path, "mkdir")); return next(path, mode); }

/* Opening to read changes nothing. */
#define OPEN(name)                                    \
    int name(const char *path, int flags, ...)        \
    {                                                 \
        mode_t mode = 0;                              \
        if (flags & (O_CREAT | __O_TMPFILE)) {        \
            va_list arguments;                        \
            va_start(arguments, flags);               \
            mode = va_arg(arguments, mode_t);         \
            va_end(arguments);                        \
        }                                             \
        NEXT(name);                                   \
        if ((flags & O_ACCMODE) != O_RDONLY)          \
            FAIL(fault_at(path, "open"));             \
        return next(path, flags, mode);               \
    }
OPEN(open)
OPEN(open64)
