// Files: the variadic and GNU-only calls.
#pragma once
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// open(2) with a mode.
int clinux_open(const char *_Nonnull path, int flags, mode_t mode);
/// O_DIRECT.
extern const int clinux_o_direct;
/// fallocate(2).
int clinux_fallocate(int file, int mode, uint64_t offset, uint64_t length);
/// preadv2(2) of one buffer with RWF_NOWAIT: -1 with EAGAIN when the bytes are not in the page cache.
ssize_t clinux_pread_cached(int file, void *_Nonnull bytes, size_t count, uint64_t offset);
/// flock(2), exclusive, without waiting: -1 with EWOULDBLOCK when somebody else holds it.
int clinux_lock_exclusive(int file);
/// renameat2(2) with RENAME_NOREPLACE: -1 with EEXIST when `to` is there.
int clinux_rename_new(const char *_Nonnull from, const char *_Nonnull to);

/// Bytes of a regular file or a block device; -1 with errno, EINVAL for anything else.
int64_t clinux_file_size(int file);
/// 1 for a block device, 0 for a regular file, -1 with errno (EINVAL for anything else).
int clinux_is_block_device(int file);
/// 1 for a file of tmpfs, which has no disk below: direct access gains nothing there. 0 for others.
int clinux_is_memory_file(int file);
/// What offset and length of a direct read or write must be a multiple of; 512 when the kernel does not tell.
uint32_t clinux_direct_alignment(int file);
/// BLKZEROOUT: zeroes a range of a block device, never by a mere discard.
int clinux_block_zero(int device, uint64_t offset, uint64_t length);

/// LOOP_CTL_GET_FREE: the number of a free loop device, made when there is none; -1 with errno.
int clinux_loop_get_free(int control);
/// LOOP_CONFIGURE with direct I/O on. EBUSY: somebody else took the device meanwhile.
int clinux_loop_configure(int loop, int backing, int read_only, const char *_Nonnull name);
/// LOOP_GET_STATUS64: LO_FLAGS_*, or -1 with errno (ENXIO: nothing attached). `device` and `inode` name the
/// backing file.
int clinux_loop_flags(int loop, uint64_t *_Nonnull device, uint64_t *_Nonnull inode);
/// Whether the device was attached under that name by clinux_loop_configure; false for a name longer than the
/// kernel keeps (63 bytes).
int clinux_loop_is_named(int loop, const char *_Nonnull name);
/// LOOP_CLR_FD: detaches, or marks for detaching as soon as the last user closes it.
int clinux_loop_clear(int loop);
/// st_dev and st_ino of a path, in the form that the loop driver reports; -1 with errno.
int clinux_file_identity(const char *_Nonnull path, uint64_t *_Nonnull device, uint64_t *_Nonnull inode);
/// mknod(2) of a block device, mode 0600.
int clinux_make_block_node(const char *_Nonnull path, uint32_t major, uint32_t minor);

/// mount(2) of a FUSE file system, type "fuse.tandem", no set-user-id, no devices.
int clinux_mount_fuse(const char *_Nonnull path, const char *_Nonnull options);
/// 1 when something is mounted on the directory, 0 when nothing, -1 with errno. Never asks a FUSE server.
int clinux_is_mount_point(const char *_Nonnull path);

/// pthread_setname_np(3) of the calling thread; at most 15 bytes.
int clinux_name_thread(const char *_Nonnull name);
/// mlockall(2) of what is and what will be touched (MCL_ONFAULT).
int clinux_lock_memory(void);
/// prctl(PR_SET_IO_FLUSHER): for the calling thread and those that it starts later.
int clinux_become_io_flusher(void);
/// setpriority(2) of the calling thread.
int clinux_set_nice(int value);
/// ioprio_set(2) of the calling thread to the idle class.
int clinux_set_idle_io(void);
