#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static int close_keeping_errno(int socket) {
    int error = errno;
    close(socket);
    errno = error;
    return -1;
}

static int set(int socket, int level, int name, int value) {
    return setsockopt(socket, level, name, &value, sizeof value);
}

int clinux_netlink_socket(int protocol, uint32_t groups, uint32_t timeout_ms) {
    int mode = timeout_ms == 0 ? SOCK_NONBLOCK : 0;
    int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | mode, protocol);
    if (descriptor < 0) return -1;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = groups};
    struct timeval timeout = {timeout_ms / 1000, (timeout_ms % 1000) * 1000};
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) != 0) {
        return close_keeping_errno(descriptor);
    }
    return descriptor;
}

int clinux_packet_socket(uint32_t link, uint16_t ethertype) {
    int descriptor = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ethertype), .sll_ifindex = (int)link};
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        return close_keeping_errno(descriptor);
    }
    return descriptor;
}

int clinux_vrrp_socket(const char *name, uint32_t link, int joins) {
    int descriptor = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 112);
    if (descriptor < 0) return -1;
    struct ip_mreqn membership = {
        .imr_multiaddr.s_addr = htonl(0xE0000012), .imr_ifindex = (int)link};
    if (setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name) + 1) != 0 ||
        set(descriptor, IPPROTO_IP, IP_TTL, 255) != 0 ||
        set(descriptor, IPPROTO_IP, IP_MULTICAST_TTL, 255) != 0 ||
        set(descriptor, IPPROTO_IP, IP_MULTICAST_LOOP, 0) != 0 ||
        set(descriptor, IPPROTO_IP, IP_TOS, 0xC0) != 0 ||
        set(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT) != 0 ||
        set(descriptor, SOL_SOCKET, SO_PRIORITY, 7) != 0 ||
        (joins &&
         setsockopt(descriptor, IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof membership) != 0)) {
        return close_keeping_errno(descriptor);
    }
    return descriptor;
}

ssize_t clinux_vrrp_send(int socket, uint32_t link, uint32_t source, uint32_t destination, const void *bytes,
                         size_t count) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = destination};
    struct iovec vector = {(void *)bytes, count};
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {
        .msg_name = &address,
        .msg_namelen = sizeof address,
        .msg_iov = &vector,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_IP;
    header->cmsg_type = IP_PKTINFO;
    header->cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo));
    struct in_pktinfo information = {.ipi_ifindex = (int)link, .ipi_spec_dst.s_addr = source};
    memcpy(CMSG_DATA(header), &information, sizeof information);
    return sendmsg(socket, &message, MSG_NOSIGNAL);
}

int clinux_new_network(void) { return unshare(CLONE_NEWNET); }
int clinux_enter_network(int namespace_descriptor) { return setns(namespace_descriptor, CLONE_NEWNET); }
