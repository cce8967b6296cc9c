#include "epoll.h"

#include <sys/epoll.h>

int clinux_epoll(void) { return epoll_create1(EPOLL_CLOEXEC); }

int clinux_epoll_add(int epoll, int descriptor, uint64_t token) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = token};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

int clinux_epoll_wait(int epoll, uint64_t *tokens, uint8_t *bits, int count, int timeout_milliseconds) {
    enum { most = 256 };
    struct epoll_event events[most];
    int ready = epoll_wait(epoll, events, count < most ? count : most, timeout_milliseconds);
    for (int i = 0; i < ready; i++) {
        uint32_t seen = events[i].events;
        tokens[i] = events[i].data.u64;
        bits[i] = (uint8_t)((seen & EPOLLIN ? 1 : 0) | (seen & EPOLLOUT ? 2 : 0) |
                            (seen & EPOLLRDHUP ? 4 : 0) | (seen & (EPOLLERR | EPOLLHUP) ? 8 : 0));
    }
    return ready;
}
