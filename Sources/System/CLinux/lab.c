#define _GNU_SOURCE
#include "include/lab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

int clinux_lab_open_direct(const char *path, int flags) {
    return open(path, flags | O_DIRECT | O_CLOEXEC, 0644);
}

int clinux_lab_make_node(const char *path, int is_block, uint32_t major_number, uint32_t minor_number) {
    mode_t mode = is_block ? S_IFBLK | 0600 : S_IFCHR | 0666;
    if (mknod(path, mode, makedev(major_number, minor_number)) != 0) return -1;
    return chmod(path, mode & 07777);
}

int clinux_lab_arp_socket(const char *link, uint32_t *index, uint8_t *address) {
    int descriptor = socket(AF_PACKET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ARP));
    if (descriptor < 0) return -1;
    struct ifreq request = {0};
    strncpy(request.ifr_name, link, IFNAMSIZ - 1);
    struct sockaddr_ll name = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP)};
    if (ioctl(descriptor, SIOCGIFINDEX, &request) != 0) goto failed;
    *index = request.ifr_ifindex;
    name.sll_ifindex = request.ifr_ifindex;
    if (ioctl(descriptor, SIOCGIFHWADDR, &request) != 0) goto failed;
    memcpy(address, request.ifr_hwaddr.sa_data, 6);
    if (bind(descriptor, (struct sockaddr *)&name, sizeof name) != 0) goto failed;
    return descriptor;
failed:;
    int code = errno;
    close(descriptor);
    errno = code;
    return -1;
}

int clinux_lab_arp_ask(int socket, uint32_t index, const uint8_t *own, uint32_t target) {
    struct ether_arp frame = {0};
    frame.ea_hdr.ar_hrd = htons(ARPHRD_ETHER);
    frame.ea_hdr.ar_pro = htons(ETHERTYPE_IP);
    frame.ea_hdr.ar_hln = 6;
    frame.ea_hdr.ar_pln = 4;
    frame.ea_hdr.ar_op = htons(ARPOP_REQUEST);
    memcpy(frame.arp_sha, own, 6);
    memcpy(frame.arp_tpa, &target, 4);
    struct sockaddr_ll to = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_ifindex = index, .sll_halen = 6};
    memset(to.sll_addr, 0xFF, 6);
    ssize_t sent = sendto(socket, &frame, sizeof frame, 0, (struct sockaddr *)&to, sizeof to);
    return sent == sizeof frame ? 0 : -1;
}

int clinux_lab_arp_next(int socket, uint8_t *sender, uint32_t *address) {
    struct ether_arp frame;
    struct sockaddr_ll from;
    for (;;) {
        socklen_t length = sizeof from;
        ssize_t count = recvfrom(socket, &frame, sizeof frame, 0, (struct sockaddr *)&from, &length);
        if (count < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
        // What this machine itself sends is seen here as well.
        if (count < (ssize_t)sizeof frame || from.sll_pkttype == PACKET_OUTGOING) continue;
        memcpy(sender, frame.arp_sha, 6);
        memcpy(address, frame.arp_spa, 4);
        return 1;
    }
}

int clinux_lab_icmp_socket(void) {
    return socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMP);
}

int clinux_lab_icmp_ask(int socket, uint32_t target, uint16_t identifier, uint16_t sequence) {
    struct icmphdr head = {.type = ICMP_ECHO};
    head.un.echo.id = htons(identifier);
    head.un.echo.sequence = htons(sequence);
    uint32_t sum = 0;
    uint16_t words[4];
    memcpy(words, &head, 8);
    for (int i = 0; i < 4; i++) sum += words[i];
    sum = (sum & 0xFFFF) + (sum >> 16);
    head.checksum = (uint16_t)~(sum + (sum >> 16));
    struct sockaddr_in to = {.sin_family = AF_INET};
    to.sin_addr.s_addr = target;
    return sendto(socket, &head, sizeof head, 0, (struct sockaddr *)&to, sizeof to) == sizeof head ? 0 : -1;
}

int clinux_lab_icmp_next(int socket, uint16_t identifier) {
    uint8_t packet[256];
    for (;;) {
        ssize_t count = recv(socket, packet, sizeof packet, 0);
        if (count < 0) return -1;
        size_t head = (size_t)(packet[0] & 15) * 4;
        if ((size_t)count < head + 8 || packet[head] != ICMP_ECHOREPLY) continue;
        if (((packet[head + 4] << 8) | packet[head + 5]) != identifier) continue;
        return (packet[head + 6] << 8) | packet[head + 7];
    }
}

void clinux_lab_hold_stop_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

int clinux_lab_stop_requested(void) {
    sigset_t set;
    return sigpending(&set) == 0 && (sigismember(&set, SIGTERM) == 1 || sigismember(&set, SIGINT) == 1);
}

int clinux_lab_spawn(
    char *const *arguments, char *const *environment, int output, int new_session, pid_t *process) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    // What whoever started the lab ignores, its programs must not.
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    posix_spawnattr_setflags(&attributes, new_session ? flags | POSIX_SPAWN_SETSID : flags);
    int code = posix_spawnp(process, arguments[0], &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}
