#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <linux/fs.h>
#include <linux/ioprio.h>
#include <linux/loop.h>
#include <linux/magic.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

const int clinux_o_direct = O_DIRECT;

int clinux_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }

int clinux_fallocate(int file, int mode, uint64_t offset, uint64_t length) {
    return fallocate(file, mode, (off_t)offset, (off_t)length);
}

ssize_t clinux_pread_cached(int file, void *bytes, size_t count, uint64_t offset) {
    struct iovec vector = {bytes, count};
    return preadv2(file, &vector, 1, (off_t)offset, RWF_NOWAIT);
}

int clinux_lock_exclusive(int file) { return flock(file, LOCK_EX | LOCK_NB); }

int clinux_rename_new(const char *from, const char *to) {
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 1u /* RENAME_NOREPLACE */);
}

int64_t clinux_file_size(int file) {
    struct stat status;
    if (fstat(file, &status) != 0) return -1;
    if (S_ISREG(status.st_mode)) return status.st_size;
    if (S_ISBLK(status.st_mode)) {
        uint64_t size;
        return ioctl(file, BLKGETSIZE64, &size) == 0 ? (int64_t)size : -1;
    }
    errno = EINVAL;
    return -1;
}

int clinux_is_block_device(int file) {
    struct stat status;
    if (fstat(file, &status) != 0) return -1;
    if (S_ISBLK(status.st_mode)) return 1;
    if (S_ISREG(status.st_mode)) return 0;
    errno = EINVAL;
    return -1;
}

int clinux_is_memory_file(int file) {
    struct statfs status;
    return fstatfs(file, &status) == 0 && status.f_type == TMPFS_MAGIC;
}

uint32_t clinux_direct_alignment(int file) {
    int size;
    if (ioctl(file, BLKSSZGET, &size) == 0 && size > 0) return (uint32_t)size;
#ifdef STATX_DIOALIGN
    struct statx status;
    memset(&status, 0, sizeof status);
    if (statx(file, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
        (status.stx_mask & STATX_DIOALIGN) && status.stx_dio_offset_align > 0) {
        return status.stx_dio_offset_align;
    }
#endif
    return 512;
}

int clinux_block_zero(int device, uint64_t offset, uint64_t length) {
    uint64_t range[2] = {offset, length};
    return ioctl(device, BLKZEROOUT, range);
}

int clinux_loop_get_free(int control) { return ioctl(control, LOOP_CTL_GET_FREE); }

int clinux_loop_configure(int loop, int backing, int read_only, const char *name) {
    struct loop_config configuration;
    memset(&configuration, 0, sizeof configuration);
    configuration.fd = (uint32_t)backing;
    configuration.info.lo_flags = LO_FLAGS_DIRECT_IO | (read_only ? LO_FLAGS_READ_ONLY : 0);
    strncpy((char *)configuration.info.lo_file_name, name, LO_NAME_SIZE - 1);
    return ioctl(loop, LOOP_CONFIGURE, &configuration);
}

int clinux_loop_flags(int loop, uint64_t *device, uint64_t *inode) {
    struct loop_info64 information;
    if (ioctl(loop, LOOP_GET_STATUS64, &information) != 0) return -1;
    *device = information.lo_device;
    *inode = information.lo_inode;
    return (int)information.lo_flags;
}

int clinux_loop_is_named(int loop, const char *name) {
    struct loop_info64 information;
    if (strlen(name) >= LO_NAME_SIZE || ioctl(loop, LOOP_GET_STATUS64, &information) != 0) return 0;
    return strncmp((const char *)information.lo_file_name, name, LO_NAME_SIZE) == 0;
}

int clinux_loop_clear(int loop) { return ioctl(loop, LOOP_CLR_FD, 0); }

int clinux_file_identity(const char *path, uint64_t *device, uint64_t *inode) {
    struct stat status;
    if (stat(path, &status) != 0) return -1;
    // The kernel's huge_encode_dev: 12 bits of minor number, major above, the rest of minor above that.
    uint64_t upper = major(status.st_dev), lower = minor(status.st_dev);
    *device = (lower & 0xff) | upper << 8 | (lower & ~UINT64_C(0xff)) << 12;
    *inode = status.st_ino;
    return 0;
}

int clinux_make_block_node(const char *path, uint32_t upper, uint32_t lower) {
    return mknod(path, S_IFBLK | 0600, makedev(upper, lower));
}

int clinux_mount_fuse(const char *path, const char *options) {
    return mount("tandem", path, "fuse.tandem", MS_NOSUID | MS_NODEV, options);
}

int clinux_is_mount_point(const char *path) {
    struct statx status;
    memset(&status, 0, sizeof status);
    if (statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_TYPE, &status) != 0) {
        // The daemon of a FUSE mount that died: the mount is still there.
        return errno == ENOTCONN || errno == ECONNABORTED ? 1 : -1;
    }
    if (!S_ISDIR(status.stx_mode)) {
        errno = ENOTDIR;
        return -1;
    }
    return (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

int clinux_name_thread(const char *name) { return pthread_setname_np(pthread_self(), name); }

int clinux_lock_memory(void) { return mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT); }

int clinux_become_io_flusher(void) { return prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0); }

int clinux_set_nice(int value) { return setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), value); }

int clinux_set_idle_io(void) {
    return (int)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
}
