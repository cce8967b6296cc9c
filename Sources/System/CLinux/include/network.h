// Netlink, packet and raw sockets: calls whose addresses and control messages Swift cannot build.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// socket(2) of AF_NETLINK, bound to the multicast `groups` (a mask), closed on exec. Blocking calls end
/// after `timeout_ms`; 0 makes it non-blocking.
int clinux_netlink_socket(int protocol, uint32_t groups, uint32_t timeout_ms);

/// A packet socket on one link, non-blocking, for whole Ethernet frames. Hears `ethertype`; 0 hears nothing.
int clinux_packet_socket(uint32_t link, uint16_t ethertype);

/// A raw socket of protocol 112 on one link, non-blocking: TTL 255, TOS 0xc0, DF clear, its own packets not
/// heard. Joins 224.0.0.18 on the link when `joins` is not 0.
int clinux_vrrp_socket(const char *_Nonnull name, uint32_t link, int joins);
/// sendmsg(2) from an address of ours; addresses in network order. The number of bytes, or -1 with errno.
ssize_t clinux_vrrp_send(int socket, uint32_t link, uint32_t source, uint32_t destination,
                         const void *_Nonnull bytes, size_t count);

/// unshare(2) of the network: the calling thread gets an empty namespace of its own, with lo down.
int clinux_new_network(void);
/// setns(2) of the calling thread to a network namespace.
int clinux_enter_network(int namespace_descriptor);
