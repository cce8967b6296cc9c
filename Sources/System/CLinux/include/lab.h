// What the lab and the bench need of Linux beyond the product: device nodes, packet sockets, direct I/O.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// open(2) with O_DIRECT, O_CLOEXEC and mode 0644 added.
int clinux_lab_open_direct(const char *_Nonnull path, int flags);
/// mknod(2) of a device, mode 0666 for a character device and 0600 for a block device.
int clinux_lab_make_node(const char *_Nonnull path, int is_block, uint32_t major, uint32_t minor);

/// A packet socket that sees the ARP frames of one link, non-blocking. `address` receives the link's own
/// 6 bytes.
int clinux_lab_arp_socket(const char *_Nonnull link, uint32_t *_Nonnull index, uint8_t *_Nonnull address);
/// Broadcasts who-has `target` on the link, as a probe (sender address 0.0.0.0, RFC 5227). Addresses are in
/// network order.
int clinux_lab_arp_ask(int socket, uint32_t index, const uint8_t *_Nonnull own, uint32_t target);
/// The next ARP frame: 1 with its sender (6 and 4 bytes), 0 when none waits, -1 with errno.
int clinux_lab_arp_next(int socket, uint8_t *_Nonnull sender, uint32_t *_Nonnull address);

/// A raw ICMP socket, non-blocking.
int clinux_lab_icmp_socket(void);
/// Sends an echo request; `target` in network order.
int clinux_lab_icmp_ask(int socket, uint32_t target, uint16_t identifier, uint16_t sequence);
/// The next echo reply to `identifier`: its sequence number, -1 when none waits.
int clinux_lab_icmp_next(int socket, uint16_t identifier);

/// sigprocmask(2): blocks SIGTERM and SIGINT in the calling thread.
void clinux_lab_hold_stop_signals(void);
/// Whether one of them waits.
int clinux_lab_stop_requested(void);

/// posix_spawnp(3): input empty, both outputs `output`, no other descriptor, no signal blocked. 0 or an
/// errno.
int clinux_lab_spawn(char *_Nullable const *_Nonnull arguments, char *_Nullable const *_Nonnull environment,
                     int output, int new_session, pid_t *_Nonnull process);
