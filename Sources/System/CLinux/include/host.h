// The distribution's tools, mounts and the process table.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// posix_spawn(3) of `path` in a process group of its own, all signals at their defaults and none blocked,
/// with the three descriptors and no other. `arguments` and `environment` are texts one after the other, each
/// ended by a zero byte, at most 255 of either. 0, or an errno.
int clinux_spawn(const char *_Nonnull path, const char *_Nonnull arguments, size_t arguments_length,
                 const char *_Nonnull environment, size_t environment_length, int input, int output,
                 int errors, pid_t *_Nonnull process);
/// pipe2(2), closed on exec, the reading end non-blocking: `ends[0]` reads, `ends[1]` writes.
int clinux_pipe(int *_Nonnull ends);
/// memfd_create(2), filled with the bytes and wound back: an input that never blocks its writer.
int clinux_memory_file(const void *_Nonnull bytes, size_t count);
/// pidfd_open(2): readable when the process has ended.
int clinux_pidfd(pid_t process);
/// waitpid(2) of an ended process: 0...255 its exit status, 256 + signal when a signal ended it, -1 with
/// errno.
int clinux_reap(pid_t process);

/// mount(2); `data` are options for the file system.
int clinux_mount(const char *_Nonnull source, const char *_Nonnull target, const char *_Nonnull type,
                 unsigned long flags, const char *_Nonnull data);
/// mount(2) that makes the mount at `path` private: what is mounted below does not reach other namespaces.
int clinux_mount_private(const char *_Nonnull path);
/// umount2(2), following no symbolic link, never lazy.
int clinux_unmount(const char *_Nonnull path);

/// write(2) of a text to an existing file while the calling thread alone has another host name (its own UTS
/// namespace for that long), another root directory, or both: 0, or an errno. The thread's root and working
/// directory are its own from then on.
int clinux_write_apart(const char *_Nonnull path, const char *_Nonnull text, const char *_Nullable host,
                       const char *_Nullable root);
/// Sends one IPv4 packet, its header included, to where it says; addresses in network order. 0, or an errno.
int clinux_send_raw(uint32_t destination, const void *_Nonnull packet, size_t length);

/// The names in a directory, each ended by a zero byte: their total length, which may exceed `size`; -1 with
/// errno.
ssize_t clinux_directory(const char *_Nonnull path, char *_Nonnull names, size_t size);
