/* Preloaded into a process: its clock on the wall is off by what the file named by CLOCK_OFFSET_FILE says, now.
 * The file holds one int64 in the machine's byte order, in seconds; whoever writes it steps the clock while the
 * process runs. CLOCK_REALTIME only: the monotonic clock and what waits by it go on as ever. What waits for a condition
 * until a time on the wall waits by the clock that is off, looking at it anew all LOOK_NS, as it would on a machine
 * whose own clock were stepped. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS 1000000000L
#define LOOK_NS 100000000L
#define SINCE_1970_S 1000000000L /* no machine has been up so long: other deadlines are the monotonic clock's */

static const volatile int64_t *offset_s;

__attribute__((constructor)) static void look_at_file(void) {
    const char *path = getenv("CLOCK_OFFSET_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *seen = mmap(NULL, sizeof *offset_s, PROT_READ, MAP_SHARED, file, 0);
    if (seen != MAP_FAILED)
        offset_s = seen;
    close(file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    long result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && offset_s && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *offset_s;
    return (int)result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now)
        *now = exact.tv_sec;
    return exact.tv_sec;
}

/* Nanoseconds from now on the clock that is off, at most LOOK_NS; 0 or less: it has passed. */
static long until_ns(const struct timespec *deadline) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (deadline->tv_sec - now.tv_sec > 1)
        return LOOK_NS;
    long left_ns = (deadline->tv_sec - now.tv_sec) * SECOND_NS + deadline->tv_nsec - now.tv_nsec;
    return left_ns < LOOK_NS ? left_ns : LOOK_NS;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    if (deadline->tv_sec < SINCE_1970_S)
        return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, deadline);
    for (;;) {
        long left_ns = until_ns(deadline);
        if (left_ns <= 0)
            return ETIMEDOUT;
        struct timespec look;
        clock_gettime(CLOCK_MONOTONIC, &look);
        look.tv_nsec += left_ns;
        look.tv_sec += look.tv_nsec / SECOND_NS;
        look.tv_nsec %= SECOND_NS;
        int result = pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &look);
        if (result != ETIMEDOUT)
            return result;
    }
}
