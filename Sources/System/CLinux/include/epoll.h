// epoll, whose packed structure Swift does not show.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// epoll_create1(2), closed on exec.
int clinux_epoll(void);
/// epoll_ctl(2): adds a descriptor, edge-triggered, for reading, writing and the peer's end.
int clinux_epoll_add(int epoll, int descriptor, uint64_t token);
/// epoll_wait(2) of at most `count` events. Of each event the token, and in `bits`: 1 readable, 2 writable,
/// 4 the peer has ended its side, 8 failed or both sides ended.
int clinux_epoll_wait(int epoll, uint64_t *_Nonnull tokens, uint8_t *_Nonnull bits, int count,
                      int timeout_milliseconds);
