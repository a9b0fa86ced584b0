/* A disk that fails on request: preloaded into the daemon, told what to do through a shared file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* The order is that of `Word` in harness/shim.rs. */
struct control {
    _Atomic int sync_errno;   /* what fsync fails with; 0: it works */
    _Atomic int sync_ms;      /* how long fsync takes at least */
    _Atomic int write_errno;  /* what writing fails with; 0: it works */
    _Atomic int block;        /* while set, fsync and writing do not come back */
    _Atomic int which;        /* 0: every file, 1: the database alone, 2: its log alone */
    _Atomic int syncs;        /* how many were asked for */
    _Atomic int failed;       /* how many calls were failed */
    _Atomic int blocked;      /* how many calls were held up */
};

static struct control *control;
static const char *folder;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SHIM_CONTROL");
    folder = getenv("SHIM_FOLDER");
    if (!path || !folder) return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED) control = at;
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), most = strlen(end);
    return length >= most && !strcmp(text + length - most, end);
}

static int is_meant(int fd) {
    char link[64], path[PATH_MAX];
    if (!control) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder))) return 0;
    if (control->which == 1) return ends_with(path, "/redeemd.db");
    if (control->which == 2) return ends_with(path, "/redeemd.db-wal");
    return 1;
}

static void hold_up(void) {
    if (control->block) control->blocked++;
    while (control->block) usleep(2000);
}

static int is_failed(int with) {
    if (!with) return 0;
    control->failed++;
    errno = with;
    return 1;
}

static int sync_with(int fd, const char *name) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (is_meant(fd)) {
        control->syncs++;
        hold_up();
        if (control->sync_ms) usleep((unsigned)control->sync_ms * 1000);
        if (is_failed(control->sync_errno)) return -1;
    }
    return real(fd);
}

int fsync(int fd) { return sync_with(fd, "fsync"); }
int fdatasync(int fd) { return sync_with(fd, "fdatasync"); }

static int write_fails(int fd) {
    if (!is_meant(fd)) return 0;
    hold_up();
    return is_failed(control->write_errno);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    return write_fails(fd) ? -1 : real(fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    if (!real) real = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    return write_fails(fd) ? -1 : real(fd, bytes, length, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }
