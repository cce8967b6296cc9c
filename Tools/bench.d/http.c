// The two ends of a proxy's bench that cost least, so that the proxy is what is measured.
//   http origin PORT BODY-BYTES       answers every request at once with that many bytes; prints: ready
//   http idle HOST PORT COUNT         opens connections, makes one request on each, prints: ready COUNT; holds them until killed
// One thread each, edge-triggered. A request is what ends with an empty line: the proxy sends no bodies here.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { descriptors = 70000, events_max = 256 };

static void stop(const char *what) {
    perror(what);
    exit(1);
}

static void origin(int port, int size) {
    static unsigned char matched[descriptors]; // how far of CRLFCRLF each connection is
    static char inbox[64 << 10], answer[128 << 10], empty[] = "\r\n\r\n";
    int head = sprintf(
        answer, "HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Sat, 21 Nov 2026 06:00:05 GMT\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), on = 1, poll = epoll_create1(0);
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    memset(answer + head, 'x', size);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&name, sizeof name) != 0 || listen(listener, 4096) != 0) stop("listen");
    struct epoll_event entry = {.events = EPOLLIN, .data.fd = listener}, events[events_max];
    if (epoll_ctl(poll, EPOLL_CTL_ADD, listener, &entry) != 0) stop("epoll_ctl");
    puts("ready");
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poll, events, events_max, -1);
        for (int i = 0; i < count; i++) {
            int peer = events[i].data.fd;
            if (peer == listener) {
                while ((peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                    if (peer >= descriptors) stop("too many connections");
                    setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                    matched[peer] = 0;
                    entry = (struct epoll_event){.events = EPOLLIN | EPOLLET, .data.fd = peer};
                    if (epoll_ctl(poll, EPOLL_CTL_ADD, peer, &entry) != 0) stop("epoll_ctl");
                }
                continue;
            }
            for (;;) {
                ssize_t got = recv(peer, inbox, sizeof inbox, 0);
                if (got < 0 && errno == EAGAIN) break;
                if (got <= 0) {
                    close(peer);
                    break;
                }
                int requests = 0;
                unsigned char at = matched[peer];
                for (ssize_t k = 0; k < got; k++) {
                    at = inbox[k] == empty[at] ? at + 1 : inbox[k] == '\r';
                    if (at == 4) at = 0, requests++;
                }
                matched[peer] = at;
                while (requests-- > 0)
                    if (send(peer, answer, head + size, MSG_NOSIGNAL) < 0) break;
                if (got < (ssize_t)sizeof inbox) break;
            }
        }
    }
}

static void idle(const char *host, int port, int count) {
    static char inbox[128 << 10];
    const char *request = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, host, &name.sin_addr) != 1) stop(host);
    for (int i = 0; i < count; i++) {
        int peer = socket(AF_INET, SOCK_STREAM, 0);
        if (peer < 0 || connect(peer, (struct sockaddr *)&name, sizeof name) != 0) stop("connect");
        if (send(peer, request, strlen(request), MSG_NOSIGNAL) < 0) stop("send");
        if (recv(peer, inbox, sizeof inbox, 0) < 13 || memcmp(inbox, "HTTP/1.1 200 ", 13)) stop("no answer of 200");
    }
    printf("ready %d\n", count);
    fflush(stdout);
    for (;;) pause();
}

int main(int count, char **words) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (count == 4 && !strcmp(words[1], "origin")) origin(atoi(words[2]), atoi(words[3]));
    if (count == 5 && !strcmp(words[1], "idle")) idle(words[2], atoi(words[3]), atoi(words[4]));
    fprintf(stderr, "http origin PORT BODY-BYTES | http idle HOST PORT COUNT\n");
    return 2;
}
