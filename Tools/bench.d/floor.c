// The network floor: what replication costs when nothing but the network and the two writes is there.
//   floor serve PORT FILE
//   floor drive HOST PORT FILE FILE-BYTES BLOCK DEPTH MILLISECONDS    prints: blocks per second
// One thread each. The driver sends all free requests in one call, writes them locally, receives what has come;
// the peer receives in bulk, writes, acknowledges in one call.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct head {
    uint64_t sequence, offset;
    uint32_t length, padding[3];
};
enum { depth_max = 64, block_max = 1 << 20, inbox_size = 4 << 20, bulk = 256 << 10 };

static void stop(const char *what) {
    perror(what);
    exit(1);
}

static void send_all(int socket, struct iovec *parts, int count) {
    while (count > 0) {
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
        ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
        if (sent < 0) stop("sendmsg");
        while (count > 0 && (size_t)sent >= parts->iov_len) sent -= parts->iov_len, parts++, count--;
        if (count > 0) parts->iov_base = (char *)parts->iov_base + sent, parts->iov_len -= sent;
    }
}

static void no_delay(int socket) {
    int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void serve(int port, const char *path) {
    static char inbox[inbox_size];
    static uint64_t acks[inbox_size / sizeof(struct head)];
    int file = open(path, O_RDWR | O_CREAT, 0600), listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (file < 0) stop(path);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&name, sizeof name) != 0 || listen(listener, 4) != 0) stop("listen");
    puts("ready");
    fflush(stdout);
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        size_t have = 0;
        if (peer < 0) stop("accept");
        no_delay(peer);
        for (;;) {
            ssize_t got = recv(peer, inbox + have, bulk, 0);
            size_t used = 0, answers = 0;
            if (got <= 0) break;
            have += got;
            while (have - used >= sizeof(struct head)) {
                struct head head;
                memcpy(&head, inbox + used, sizeof head);
                size_t lacking = used + sizeof head + head.length > have ? used + sizeof head + head.length - have : 0;
                // The rest of a large payload comes straight to its place.
                if (lacking > 0 && head.length <= bulk) break;
                if (lacking > 0 && recv(peer, inbox + have, lacking, MSG_WAITALL) != (ssize_t)lacking) break;
                have += lacking;
                if (pwrite(file, inbox + used + sizeof head, head.length, head.offset) < 0) stop("pwrite");
                acks[answers++] = head.sequence;
                used += sizeof head + head.length;
            }
            memmove(inbox, inbox + used, have - used);
            have -= used;
            struct iovec part = {acks, answers * sizeof *acks};
            if (answers > 0) send_all(peer, &part, 1);
        }
        close(peer);
    }
}

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static int drive(const char *host, int port, const char *path, uint64_t size, uint32_t block, int depth,
                 uint64_t milliseconds) {
    static struct head heads[depth_max];
    static uint64_t acks[depth_max];
    struct iovec parts[2 * depth_max];
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    int file = open(path, O_RDWR | O_CREAT, 0600), peer = socket(AF_INET, SOCK_STREAM, 0);
    char *payload = malloc(block);
    if (file < 0) stop(path);
    inet_pton(AF_INET, host, &name.sin_addr);
    if (connect(peer, (struct sockaddr *)&name, sizeof name) != 0) stop("connect");
    no_delay(peer);
    memset(payload, 7, block);
    uint64_t begin = now(), end = begin + milliseconds * 1000000, sent = 0, done = 0, random = 88172645463325252;
    size_t partial = 0;
    while (done < sent || now() < end) {
        int batch = 0;
        while (now() < end && sent - done < (uint64_t)depth) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            heads[batch] = (struct head){.sequence = sent, .offset = random % (size / block) * block, .length = block};
            parts[2 * batch] = (struct iovec){&heads[batch], sizeof *heads};
            parts[2 * batch + 1] = (struct iovec){payload, block};
            batch++, sent++;
        }
        if (batch > 0) send_all(peer, parts, 2 * batch);
        for (int i = 0; i < batch; i++) {
            if (pwrite(file, payload, block, heads[i].offset) < 0) stop("pwrite");
        }
        if (done == sent) break;
        ssize_t got = recv(peer, (char *)acks + partial, sizeof acks - partial, 0);
        if (got <= 0) stop("recv");
        partial += got;
        done += partial / sizeof *acks;
        memmove(acks, (char *)acks + partial / sizeof *acks * sizeof *acks, partial % sizeof *acks);
        partial %= sizeof *acks;
    }
    printf("%.1f\n", done * 1e9 / (now() - begin));
    return 0;
}

int main(int count, char **words) {
    if (count == 4 && strcmp(words[1], "serve") == 0) serve(atoi(words[2]), words[3]);
    if (count == 9 && strcmp(words[1], "drive") == 0 && atoi(words[7]) <= depth_max) {
        return drive(words[2], atoi(words[3]), words[4], strtoull(words[5], NULL, 10), atoi(words[6]), atoi(words[7]),
                     strtoull(words[8], NULL, 10));
    }
    fprintf(stderr, "floor serve PORT FILE | floor drive HOST PORT FILE BYTES BLOCK DEPTH MILLISECONDS\n");
    return 2;
}
