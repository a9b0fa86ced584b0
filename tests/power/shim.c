/* Records what a process does to the files below $POWER_ROOT, in order, into $POWER_LOG: creations, writes with their
 * bytes, truncations, renames, removals, and syncs. Preloaded into the test's own workload; see main.rs.
 *
 * A record is: operation (1 byte), file (8), offset (8), length of name (2), length of data (8), name, data; numbers
 * little-endian. A file's number is made when it is created, so that a reused inode is another file. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES_MAX 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static char root[PATH_MAX];
static size_t root_bytes;
static struct { ino_t inode; uint64_t number; } files[FILES_MAX];
static int files_known;
static uint64_t next_number = 1;

static void die(const char *what) {
    fprintf(stderr, "power shim: %s\n", what);
    abort();
}

__attribute__((constructor)) static void begin(void) {
    const char *dir = getenv("POWER_ROOT"), *path = getenv("POWER_LOG");
    if (!dir || !path) return;
    if (strlen(dir) >= sizeof root) die("POWER_ROOT is too long");
    strcpy(root, dir);
    root_bytes = strlen(root);
    log_fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
    if (log_fd < 0) die("the log cannot be made");
}

static int is_below(const char *path) {
    return log_fd >= 0 && strncmp(path, root, root_bytes) == 0 && (path[root_bytes] == '/' || path[root_bytes] == 0);
}

static void put(const void *bytes, size_t count) {
    const char *from = bytes;
    while (count > 0) {
        long put = syscall(SYS_write, log_fd, from, count);
        if (put <= 0) die("the log cannot be written");
        from += put;
        count -= (size_t)put;
    }
}

static void record(char what, uint64_t file, uint64_t offset, const char *name, const void *data, uint64_t bytes) {
    unsigned char head[27];
    uint16_t name_bytes = (uint16_t)(name ? strlen(name) : 0);
    head[0] = (unsigned char)what;
    memcpy(head + 1, &file, 8);
    memcpy(head + 9, &offset, 8);
    memcpy(head + 17, &name_bytes, 2);
    memcpy(head + 19, &bytes, 8);
    put(head, sizeof head);
    if (name_bytes) put(name, name_bytes);
    if (bytes) put(data, bytes);
}

/* The number of an open file below the root; 0: not one of ours. */
static uint64_t number_of(int fd, int is_new) {
    char link[64], path[PATH_MAX];
    struct stat stat;
    if (log_fd < 0 || fd == log_fd) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link, path, sizeof path - 1);
    if (bytes <= 0) return 0;
    path[bytes] = 0;
    if (!is_below(path) || fstat(fd, &stat) != 0 || S_ISDIR(stat.st_mode)) return 0;
    for (int at = 0; at < files_known; at++) {
        if (files[at].inode != stat.st_ino) continue;
        if (is_new) files[at].number = next_number++;
        return files[at].number;
    }
    if (files_known == FILES_MAX) die("too many files");
    files[files_known].inode = stat.st_ino;
    files[files_known].number = next_number++;
    return files[files_known++].number;
}

static int opened(int dir, const char *path, int flags, mode_t mode) {
    int ours = (flags & O_CREAT) && is_below(path);
    pthread_mutex_lock(&lock);
    int was_there = !ours || faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    int error = errno;
    if (fd >= 0 && ours && !was_there) record('C', number_of(fd, 1), 0, path, NULL, 0);
    if (fd >= 0 && is_below(path) && was_there && (flags & O_TRUNC)) record('T', number_of(fd, 0), 0, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define MODE_OF(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); }

int open(const char *path, int flags, ...) { MODE_OF(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE_OF(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE_OF(flags) return opened(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE_OF(flags) return opened(dir, path, flags, mode); }

static ssize_t wrote(int fd, const void *data, size_t bytes, off_t offset, int at_offset) {
    pthread_mutex_lock(&lock);
    uint64_t file = number_of(fd, 0);
    if (file && !at_offset) {
        offset = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
        if (fcntl(fd, F_GETFL) & O_APPEND) offset = (off_t)syscall(SYS_lseek, fd, 0, SEEK_END);
    }
    ssize_t put_bytes = at_offset ? syscall(SYS_pwrite64, fd, data, bytes, offset) : syscall(SYS_write, fd, data, bytes);
    int error = errno;
    if (file && put_bytes > 0) record('W', file, (uint64_t)offset, NULL, data, (uint64_t)put_bytes);
    pthread_mutex_unlock(&lock);
    errno = error;
    return put_bytes;
}

ssize_t write(int fd, const void *data, size_t bytes) { return wrote(fd, data, bytes, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) { return wrote(fd, data, bytes, offset, 1); }
ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t offset) { return wrote(fd, data, bytes, offset, 1); }

static int cut(int fd, off_t length) {
    pthread_mutex_lock(&lock);
    uint64_t file = number_of(fd, 0);
    int result = (int)syscall(SYS_ftruncate, fd, length);
    int error = errno;
    if (file && result == 0) record('T', file, (uint64_t)length, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off64_t length) { return cut(fd, length); }

static int synced(int fd, long call) {
    struct stat stat;
    pthread_mutex_lock(&lock);
    uint64_t file = number_of(fd, 0);
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link, path, sizeof path - 1);
    path[bytes > 0 ? bytes : 0] = 0;
    int is_dir = fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode) && is_below(path);
    int result = (int)syscall(call, fd);
    int error = errno;
    if (result == 0 && file) record('S', file, 0, NULL, NULL, 0);
    if (result == 0 && is_dir) record('D', 0, 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

int rename(const char *from, const char *to) {
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
    int error = errno;
    if (result == 0 && is_below(from)) record('R', 0, 0, from, to, strlen(to));
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}

int unlink(const char *path) {
    pthread_mutex_lock(&lock);
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    int error = errno;
    if (result == 0 && is_below(path)) record('U', 0, 0, path, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return result;
}
