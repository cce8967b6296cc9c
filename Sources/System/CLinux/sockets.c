#define _GNU_SOURCE
#include "sockets.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const uint64_t second = 1000000000;

const char *clinux_error_name(int code) { return strerrorname_np(code); }
const char *clinux_error_text(int code) { return strerrordesc_np(code); }

int clinux_stream_socket(int family) { return socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0); }
int clinux_datagram_socket(int family) {
    return socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}
int clinux_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC); }
ssize_t clinux_send(int socket, const void *bytes, size_t count) {
    return send(socket, bytes, count, MSG_NOSIGNAL);
}
int clinux_socket_mode(int socket, mode_t mode) { return fchmod(socket, mode); }

int clinux_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
int clinux_timerfd(void) { return timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC); }

static struct timespec timespec_of(uint64_t nanoseconds) {
    return (struct timespec){(time_t)(nanoseconds / second), (long)(nanoseconds % second)};
}

int clinux_timerfd_set(int timer, uint64_t first, uint64_t interval) {
    struct itimerspec value = {timespec_of(interval), timespec_of(first)};
    return timerfd_settime(timer, TFD_TIMER_ABSTIME, &value, NULL);
}

int clinux_signalfd(const int *signals, size_t count) {
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++) {
        if (sigaddset(&set, signals[i]) != 0) return -1;
    }
    int error = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (error != 0) {
        errno = error;
        return -1;
    }
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int clinux_signalfd_read(int descriptor) {
    struct signalfd_siginfo information;
    ssize_t count = read(descriptor, &information, sizeof information);
    if (count == (ssize_t)sizeof information) return (int)information.ssi_signo;
    return count < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

int clinux_poll(struct pollfd *entries, size_t count, uint64_t nanoseconds) {
    struct timespec timeout = timespec_of(nanoseconds);
    return ppoll(entries, count, nanoseconds == UINT64_MAX ? NULL : &timeout, NULL);
}

uint64_t clinux_boottime(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * second + (uint64_t)now.tv_nsec;
}

int clinux_random(void *bytes, size_t count) {
    uint8_t *next = bytes;
    while (count > 0) {
        ssize_t done = getrandom(next, count, 0);
        if (done < 0) {
            if (errno == EINTR) continue;
            return -1;
        }
        next += done;
        count -= (size_t)done;
    }
    return 0;
}

void *clinux_mirror_map(size_t length) {
    int memory = memfd_create("mirror", MFD_CLOEXEC);
    if (memory < 0) return NULL;
    void *base = MAP_FAILED;
    if (ftruncate(memory, (off_t)length) == 0) {
        // One reservation of both halves first, so that nothing else can come to lie in the second.
        base = mmap(NULL, 2 * length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    if (base != MAP_FAILED) {
        const int protection = PROT_READ | PROT_WRITE;
        if (mmap(base, length, protection, MAP_SHARED | MAP_FIXED, memory, 0) == MAP_FAILED ||
            mmap((char *)base + length, length, protection, MAP_SHARED | MAP_FIXED, memory, 0) ==
                MAP_FAILED ||
            madvise(base, 2 * length, MADV_DONTFORK) != 0) {
            int error = errno;
            munmap(base, 2 * length);
            errno = error;
            base = MAP_FAILED;
        }
    }
    int error = errno;
    close(memory);
    errno = error;
    return base == MAP_FAILED ? NULL : base;
}

void clinux_mirror_unmap(void *base, size_t length) { munmap(base, 2 * length); }
