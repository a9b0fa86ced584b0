/* Random bytes that follow from $SIM_SEED alone, so that one seed lives one life: ids, the order of hash tables, and
 * the order in which the runtime looks at what is ready. Each thread has the same stream of its own.
 * And a disk that takes nothing while the file $SIM_DISK is there: SQLite writes by pwrite alone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static __thread uint64_t state;
static __thread int begun;

static uint64_t next(void) {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

ssize_t getrandom(void *buffer, size_t bytes, unsigned flags) {
    (void)flags;
    if (!begun) {
        const char *seed = getenv("SIM_SEED");
        state = seed ? strtoull(seed, NULL, 10) : 0;
        begun = 1;
    }
    for (size_t at = 0; at < bytes; at += 8) {
        uint64_t bits = next();
        memcpy((char *)buffer + at, &bits, bytes - at < 8 ? bytes - at : 8);
    }
    return (ssize_t)bytes;
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    int was = errno;
    const char *fails = getenv("SIM_DISK");
    if (fails && access(fails, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    errno = was;
    return real(fd, bytes, length, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }
