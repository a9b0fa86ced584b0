/* Makes a disk slow: every fsync and fdatasync takes BENCH_SYNC_MS milliseconds more. One at a time, because a card
 * or an eMMC flushes its whole cache and does one flush after the other. Preloaded by the bench into the gateway. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

static pthread_mutex_t device = PTHREAD_MUTEX_INITIALIZER;

static int slowly(const char *name, int fd) {
    const char *text = getenv("BENCH_SYNC_MS");
    long delay_ms = text ? atol(text) : 0;
    struct timespec delay = {delay_ms / 1000, delay_ms % 1000 * 1000000};
    int (*real)(int) = dlsym(RTLD_NEXT, name);
    pthread_mutex_lock(&device);
    nanosleep(&delay, NULL);
    int result = real(fd);
    pthread_mutex_unlock(&device);
    return result;
}

int fsync(int fd) { return slowly("fsync", fd); }
int fdatasync(int fd) { return slowly("fdatasync", fd); }
