// Sockets, events, clocks and error names: calls that Swift's Glibc module does not show.
#pragma once
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// strerrorname_np(3): "ENOENT"; NULL for a number that is no error.
const char *_Nullable clinux_error_name(int code);
/// strerrordesc_np(3): "No such file or directory"; NULL for a number that is no error.
const char *_Nullable clinux_error_text(int code);

/// socket(2), a stream socket, non-blocking and closed on exec. `family` is AF_INET, AF_INET6 or AF_UNIX.
int clinux_stream_socket(int family);
/// socket(2), a datagram socket, non-blocking and closed on exec.
int clinux_datagram_socket(int family);
/// accept4(2), the result non-blocking and closed on exec.
int clinux_accept(int listener);
/// send(2) without SIGPIPE.
ssize_t clinux_send(int socket, const void *_Nonnull bytes, size_t count);
/// fchmod(2) of a socket before bind(2): gives the file that bind makes its mode.
int clinux_socket_mode(int socket, mode_t mode);

/// eventfd(2), non-blocking, closed on exec.
int clinux_eventfd(void);
/// timerfd_create(2) on CLOCK_BOOTTIME, non-blocking, closed on exec.
int clinux_timerfd(void);
/// timerfd_settime(2): first expiry at the absolute time `first`, then each `interval`; in ns, 0 disarms.
int clinux_timerfd_set(int timer, uint64_t first, uint64_t interval);
/// signalfd(2) for the signals, which are blocked in the calling thread first; non-blocking, closed on exec.
int clinux_signalfd(const int *_Nonnull signals, size_t count);
/// read(2) of one signal from a signalfd: its number, 0 when none is there, -1 on error.
int clinux_signalfd_read(int descriptor);

/// ppoll(2) with a timeout in nanoseconds; UINT64_MAX waits without end.
int clinux_poll(struct pollfd *_Nullable entries, size_t count, uint64_t nanoseconds);
/// clock_gettime(2) of CLOCK_BOOTTIME in nanoseconds.
uint64_t clinux_boottime(void);

/// getrandom(2) in full, whatever the count: 0, or -1 with errno.
int clinux_random(void *_Nonnull bytes, size_t count);

/// Maps `length` bytes (a multiple of the page size) twice in a row: byte i and byte i + length are one byte.
/// NULL with errno when it fails. The mapping is not inherited by fork(2).
void *_Nullable clinux_mirror_map(size_t length);
/// Undoes clinux_mirror_map.
void clinux_mirror_unmap(void *_Nonnull base, size_t length);
