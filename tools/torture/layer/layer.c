/* A layer between the server and libc that makes a disk and a clock fail on command.
 *
 * fulmar-torture compiles it and starts the server with LD_PRELOAD. It watches the files under
 * TORTURE_LAYER_DATA that carry promises (the journal's, and RocksDB's tables and manifests), and
 *
 * - writes a line to TORTURE_LAYER_LOG when one is made and when a sync of one has succeeded, with the
 *   bytes that the last write before it covered: what lies behind them may be lost in a power cut;
 * - makes the n-th write, sync, rename or removal fail, or kills the process there, as the control
 *   file says (TORTURE_LAYER_CONTROL, mapped by both sides);
 * - adds the control file's offset to the wall clock.
 *
 * The lines, each written at once; an inode names a file, since files are renamed:
 *
 *   made INODE                      it exists and is empty
 *   synced INODE BEGIN END          the last write that this sync covered
 *   gone INODE                      the file is removed, or another one has its name; the file system may
 *                                   use the inode again, for a file that isn't watched too
 *   fired OPERATION PATH            the fault happened there; for a rename both paths
 *
 * The control file is an array of 64-bit numbers, see the enum. What a call does is done by system
 * calls, so that nothing here allocates or locks what the server's own calls need.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* Places in the control file. */
enum { CLOCK_OFFSET_NS, COUNTDOWN, OPERATIONS, ACTION, TORN_BYTES, PLACES };
/* Bits of OPERATIONS. */
enum { ON_SYNC = 1, ON_WRITE = 2, ON_RENAME = 4, ON_REMOVE = 8 };
/* Values of ACTION. */
enum { FAIL = 1, KILL = 2, TEAR = 3 };

/* Inodes seen; the file system uses those of removed files again. */
#define FILES_MAX 8192
#define DESCRIPTORS_MAX 65536

/* The last write to a file. */
struct file {
    ino_t inode;
    uint64_t begin, end;
};

static _Atomic int64_t *control;
static int log_descriptor = -1;
static char data[4096];
static size_t data_length;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct file files[FILES_MAX];
/* By descriptor: one more than the index of its file; 0 is none. */
static _Atomic uint16_t file_of[DESCRIPTORS_MAX];

__attribute__((constructor)) static void begin(void) {
    const char *control_path = getenv("TORTURE_LAYER_CONTROL");
    const char *log_path = getenv("TORTURE_LAYER_LOG");
    const char *data_path = getenv("TORTURE_LAYER_DATA");
    if (!control_path || !log_path || !data_path || strlen(data_path) >= sizeof data) return;
    int descriptor = syscall(SYS_openat, AT_FDCWD, control_path, O_RDWR | O_CLOEXEC, 0);
    if (descriptor < 0) return;
    size_t bytes = PLACES * sizeof(int64_t);
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    syscall(SYS_close, descriptor);
    if (map == MAP_FAILED) return;
    log_descriptor = syscall(SYS_openat, AT_FDCWD, log_path, O_WRONLY | O_APPEND | O_CLOEXEC, 0);
    data_length = strlen(data_path);
    memcpy(data, data_path, data_length);
    control = map;
}

static void note(const char *format, ...) {
    char line[8448];
    va_list values;
    va_start(values, format);
    int bytes = vsnprintf(line, sizeof line, format, values);
    va_end(values);
    if (bytes > 0 && bytes < (int)sizeof line && log_descriptor >= 0)
        syscall(SYS_write, log_descriptor, line, bytes);
}

static int ends_with(const char *text, const char *end) {
    size_t length = strlen(text), end_length = strlen(end);
    return length >= end_length && strcmp(text + length - end_length, end) == 0;
}

static int is_inside(const char *path) {
    return control && strncmp(path, data, data_length) == 0 && path[data_length] == '/';
}

/* Whether a file carries promises. RocksDB's logs and options don't. */
static int is_watched(const char *path) {
    if (!is_inside(path)) return 0;
    if (strncmp(path + data_length, "/journal/", 9) == 0) return 1;
    /* What becomes CURRENT is written under another name. */
    if (ends_with(path, ".dbtmp")) return !strstr(path, "/OPTIONS-");
    return ends_with(path, ".sst") || strstr(path, "/MANIFEST-") || ends_with(path, "/CURRENT");
}

/* The inode behind a name in the data directory; 0 if there is none. */
static ino_t inode_of(const char *path) {
    struct stat status;
    return is_inside(path) && stat(path, &status) == 0 ? status.st_ino : 0;
}

static void gone(ino_t inode, int result) {
    if (inode && result == 0) note("gone %llu\n", (unsigned long long)inode);
}

/* Whether the fault happens at this operation. */
static int64_t fires(int operation, const char *name, const char *path) {
    if (!(atomic_load(&control[OPERATIONS]) & operation)) return 0;
    if (atomic_load(&control[COUNTDOWN]) <= 0) return 0;
    if (atomic_fetch_sub(&control[COUNTDOWN], 1) != 1) return 0;
    note("fired %s %s\n", name, path);
    int64_t action = atomic_load(&control[ACTION]);
    if (action == KILL) syscall(SYS_kill, getpid(), SIGKILL);
    return action;
}

static const char *path_of(int descriptor, char *path, size_t size) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t bytes = syscall(SYS_readlinkat, AT_FDCWD, link, path, size - 1);
    path[bytes > 0 ? bytes : 0] = 0;
    return path;
}

static struct file *watched(int descriptor) {
    if (descriptor < 0 || descriptor >= DESCRIPTORS_MAX) return NULL;
    uint16_t index = atomic_load(&file_of[descriptor]);
    return index ? &files[index - 1] : NULL;
}

static void watch(int descriptor, const char *path, int flags) {
    struct stat status;
    if (descriptor < 0 || descriptor >= DESCRIPTORS_MAX || !is_watched(path)) return;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) return;
    pthread_mutex_lock(&lock);
    int index = 0;
    while (index < FILES_MAX && files[index].inode && files[index].inode != status.st_ino) index++;
    if (index < FILES_MAX) {
        int is_new = (flags & (O_CREAT | O_TRUNC)) && status.st_size == 0;
        if (!files[index].inode || is_new) files[index] = (struct file){ .inode = status.st_ino };
        if (is_new) note("made %llu\n", (unsigned long long)status.st_ino);
        atomic_store(&file_of[descriptor], (uint16_t)(index + 1));
    }
    pthread_mutex_unlock(&lock);
}

static int opened(int directory, const char *path, int flags, mode_t mode) {
    int descriptor = syscall(SYS_openat, directory, path, flags, mode);
    /* Its last owner may have been closed behind our back. */
    if (descriptor >= 0 && descriptor < DESCRIPTORS_MAX) atomic_store(&file_of[descriptor], 0);
    if (control && directory == AT_FDCWD) watch(descriptor, path, flags);
    return descriptor;
}

static mode_t mode_in(int flags, va_list values) {
    return flags & (O_CREAT | __O_TMPFILE) ? va_arg(values, mode_t) : 0;
}

#define OPEN(NAME)                                        \
    int NAME(const char *path, int flags, ...) {          \
        va_list values;                                   \
        va_start(values, flags);                          \
        mode_t mode = mode_in(flags, values);             \
        va_end(values);                                   \
        return opened(AT_FDCWD, path, flags, mode);       \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(NAME)                                           \
    int NAME(int directory, const char *path, int flags, ...) { \
        va_list values;                                        \
        va_start(values, flags);                               \
        mode_t mode = mode_in(flags, values);                  \
        va_end(values);                                        \
        return opened(directory, path, flags, mode);           \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int descriptor) {
    if (descriptor >= 0 && descriptor < DESCRIPTORS_MAX) atomic_store(&file_of[descriptor], 0);
    return syscall(SYS_close, descriptor);
}

/* The bytes that a write may still write, or -1 if it fails. */
static ssize_t judged(int descriptor, size_t bytes, int *is_torn) {
    char path[4096];
    switch (fires(ON_WRITE, "write", path_of(descriptor, path, sizeof path))) {
    case FAIL:
        errno = EIO;
        return -1;
    case TEAR: {
        size_t torn = atomic_load(&control[TORN_BYTES]);
        *is_torn = 1;
        return torn < bytes ? torn : bytes;
    }
    default:
        return bytes;
    }
}

static void wrote(struct file *file, uint64_t at, uint64_t bytes) {
    pthread_mutex_lock(&lock);
    file->begin = at;
    file->end = at + bytes;
    pthread_mutex_unlock(&lock);
}

static int may_fire(int operation) {
    return (atomic_load(&control[OPERATIONS]) & operation) && atomic_load(&control[COUNTDOWN]) > 0;
}

static ssize_t placed_write(int descriptor, const void *buffer, size_t bytes, off_t at) {
    struct file *file = watched(descriptor);
    size_t allowed = bytes;
    int is_torn = 0;
    if (file && may_fire(ON_WRITE)) {
        ssize_t judgement = judged(descriptor, bytes, &is_torn);
        if (judgement < 0) return -1;
        allowed = judgement;
    }
    ssize_t written = syscall(SYS_pwrite64, descriptor, buffer, allowed, at);
    if (is_torn) syscall(SYS_kill, getpid(), SIGKILL);
    if (file && written > 0) wrote(file, at, written);
    return written;
}

ssize_t pwrite(int descriptor, const void *buffer, size_t bytes, off_t at) {
    return placed_write(descriptor, buffer, bytes, at);
}

ssize_t pwrite64(int descriptor, const void *buffer, size_t bytes, off64_t at) {
    return placed_write(descriptor, buffer, bytes, at);
}

ssize_t write(int descriptor, const void *buffer, size_t bytes) {
    struct file *file = watched(descriptor);
    size_t allowed = bytes;
    int is_torn = 0;
    if (file && may_fire(ON_WRITE)) {
        ssize_t judgement = judged(descriptor, bytes, &is_torn);
        if (judgement < 0) return -1;
        allowed = judgement;
    }
    ssize_t written = syscall(SYS_write, descriptor, buffer, allowed);
    if (is_torn) syscall(SYS_kill, getpid(), SIGKILL);
    if (file && written > 0) {
        off_t end = syscall(SYS_lseek, descriptor, 0, SEEK_CUR);
        if (end >= written) wrote(file, end - written, written);
    }
    return written;
}

static int synced(int descriptor, long call) {
    struct file *file = watched(descriptor);
    if (!file) return syscall(call, descriptor);
    pthread_mutex_lock(&lock);
    struct file covered = *file;
    pthread_mutex_unlock(&lock);
    if (may_fire(ON_SYNC)) {
        char path[4096];
        if (fires(ON_SYNC, "sync", path_of(descriptor, path, sizeof path)) == FAIL) {
            errno = EIO;
            return -1;
        }
    }
    int result = syscall(call, descriptor);
    if (result == 0)
        note("synced %llu %llu %llu\n", (unsigned long long)covered.inode,
             (unsigned long long)covered.begin, (unsigned long long)covered.end);
    return result;
}

int fsync(int descriptor) { return synced(descriptor, SYS_fsync); }
int fdatasync(int descriptor) { return synced(descriptor, SYS_fdatasync); }

int rename(const char *from, const char *to) {
    char paths[8192];
    if (control && (is_watched(from) || is_watched(to)) && may_fire(ON_RENAME)) {
        snprintf(paths, sizeof paths, "%s %s", from, to);
        if (fires(ON_RENAME, "rename", paths) == FAIL) {
            errno = EIO;
            return -1;
        }
    }
    ino_t replaced = inode_of(to);
    int result = syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
    gone(replaced, result);
    return result;
}

int unlink(const char *path) {
    if (control && is_watched(path) && fires(ON_REMOVE, "remove", path) == FAIL) {
        errno = EIO;
        return -1;
    }
    ino_t removed = inode_of(path);
    int result = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    gone(removed, result);
    return result;
}

static int (*libc_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void find_clock(void) {
    void *next = dlsym(RTLD_NEXT, "clock_gettime");
    memcpy(&libc_clock_gettime, &next, sizeof next);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = libc_clock_gettime ? libc_clock_gettime(clock, time)
                                    : (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        int64_t ns = time->tv_sec * 1000000000ll + time->tv_nsec;
        ns += atomic_load(&control[CLOCK_OFFSET_NS]);
        time->tv_sec = ns / 1000000000ll;
        time->tv_nsec = ns % 1000000000ll;
    }
    return result;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    *time = (struct timeval){ .tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000 };
    return 0;
}

time_t time(time_t *where) {
    struct timespec now;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}
