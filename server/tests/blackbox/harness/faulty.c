/* Has writes and syncs of some files fail on demand. Preloaded into the daemon by tests.
 *
 * FAULTY_FILES  only files whose path contains this
 * FAULTY_CONTROL  a file; while it is there, its two words say what fails, "sync" or "write", and with which errno;
 *                 with "hang" instead, syncs wait until the file is gone, and say "hanging" in a file beside it */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int fault(int fd, const char *operation)
{
    const char *files = getenv("FAULTY_FILES"), *control = getenv("FAULTY_CONTROL");
    if (!files || !control)
        return 0;
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    if (!strstr(path, files))
        return 0;
    FILE *file = fopen(control, "re");
    if (!file)
        return 0;
    char what[16] = "";
    int code = 0;
    int read = fscanf(file, "%15s %d", what, &code);
    fclose(file);
    if (!strcmp(what, "hang") && !strcmp(operation, "sync")) {
        char hanging[4096];
        snprintf(hanging, sizeof hanging, "%s.hanging", control);
        FILE *note = fopen(hanging, "we");
        if (note)
            fclose(note);
        while (!access(control, F_OK))
            usleep(10000);
        return 0;
    }
    return read == 2 && !strcmp(what, operation) ? code : 0;
}

#define FAIL(fd, operation)                \
    do {                                   \
        int code = fault(fd, operation);   \
        if (code) {                        \
            errno = code;                  \
            return -1;                     \
        }                                  \
    } while (0)

#define NEXT(name) \
    static __typeof__(name) *next; \
    if (!next) \
        next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int fsync(int fd) { NEXT(fsync); FAIL(fd, "sync"); return next(fd); }
int fdatasync(int fd) { NEXT(fdatasync); FAIL(fd, "sync"); return next(fd); }
ssize_t write(int fd, const void *bytes, size_t count) { NEXT(write); FAIL(fd, "write"); return next(fd, bytes, count); }
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) { NEXT(pwrite); FAIL(fd, "write"); return next(fd, bytes, count, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) { NEXT(pwrite64); FAIL(fd, "write"); return next(fd, bytes, count, at); }
