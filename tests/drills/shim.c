/* A disk and a clock that can be made to fail, for one process: LD_PRELOAD this (tests/drills/shim.py compiles it).
 *
 * TONG_SHIM names a folder.
 *   <folder>/<device>-<inode>   written after every fsync or fdatasync of a regular file: how many bytes of it are surely on
 *                               disk (decimal). A driver that cuts the file down to this plays a power cut.
 *   <folder>/fsync-fails        while it exists, fsync and fdatasync of regular files fail with EIO and nothing is noted.
 *   <folder>/clock              seconds (decimal, may be negative) by which the wall clock is off; read at most every
 *                               100 ms of monotonic time. Monotonic clocks are left alone.
 *
 * Written for Linux and glibc.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char *folder(void) {
    return getenv("TONG_SHIM");
}

static int path_of(char *path, size_t size, const char *name) {
    const char *where = folder();
    return where != NULL && snprintf(path, size, "%s/%s", where, name) < (int)size;
}

static int sync_fails(void) {
    char path[512];
    return path_of(path, sizeof path, "fsync-fails") && access(path, F_OK) == 0;
}

static void note_synced(const struct stat *file) {
    char name[64], path[512], text[32];
    snprintf(name, sizeof name, "%lu-%lu", (unsigned long)file->st_dev, (unsigned long)file->st_ino);
    if (!path_of(path, sizeof path, name)) return;
    int length = snprintf(text, sizeof text, "%20lld", (long long)file->st_size);
    int note = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (note < 0) return;
    if (pwrite(note, text, length, 0) != length) abort(); /* a note that cannot be kept makes every verdict worthless */
    close(note);
}

static int synced(int fd, long call) {
    struct stat file;
    int regular = folder() != NULL && fstat(fd, &file) == 0 && S_ISREG(file.st_mode);
    if (regular && sync_fails()) {
        errno = EIO;
        return -1;
    }
    int result = (int)syscall(call, fd);
    if (regular && result == 0) note_synced(&file); /* its size before the call: what came later may not be on disk */
    return result;
}

int fsync(int fd) {
    return synced(fd, SYS_fsync);
}

int fdatasync(int fd) {
    return synced(fd, SYS_fdatasync);
}

static long offset_seconds(void) {
    static _Atomic long offset;
    static _Atomic long long looked_at;
    struct timespec now;
    if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now) != 0) return 0;
    long long millis = now.tv_sec * 1000LL + now.tv_nsec / 1000000;
    if (millis - atomic_load(&looked_at) >= 100) {
        atomic_store(&looked_at, millis);
        char path[512], text[32] = {0};
        long found = 0;
        if (path_of(path, sizeof path, "clock")) {
            int file = open(path, O_RDONLY | O_CLOEXEC);
            if (file >= 0) {
                if (read(file, text, sizeof text - 1) > 0) found = strtol(text, NULL, 10);
                close(file);
            }
        }
        atomic_store(&offset, found);
    }
    return atomic_load(&offset);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset_seconds();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &precise) != 0) return -1;
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *place) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (place != NULL) *place = now.tv_sec;
    return now.tv_sec;
}
