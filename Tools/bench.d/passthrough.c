// A plain FUSE pass-through of one file, as one would write it in C with libfuse: what the bench compares with.
// passthrough BACKING MOUNTPOINT. Eight threads, direct I/O; an aligned buffer each, since libfuse's payload is
// not aligned and the backing file is opened with O_DIRECT.
#define _GNU_SOURCE
#define FUSE_USE_VERSION 314
#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { request_max = 1 << 20, file_inode = 2 };
static int backing;
static off_t size;
static __thread char *buffer;

static char *own_buffer(void) {
    if (!buffer && posix_memalign((void **)&buffer, 4096, request_max) != 0) abort();
    return buffer;
}

static void attributes(fuse_ino_t inode, struct stat *out) {
    memset(out, 0, sizeof *out);
    out->st_ino = inode;
    out->st_mode = inode == FUSE_ROOT_ID ? S_IFDIR | 0755 : S_IFREG | 0600;
    out->st_nlink = inode == FUSE_ROOT_ID ? 2 : 1;
    out->st_size = inode == FUSE_ROOT_ID ? 0 : size;
}

static void on_init(void *context, struct fuse_conn_info *connection) {
    (void)context;
    connection->max_write = request_max;
    connection->max_read = request_max;
    connection->max_background = 256;
    connection->congestion_threshold = 192;
}

static void on_lookup(fuse_req_t request, fuse_ino_t parent, const char *name) {
    struct fuse_entry_param entry = {.ino = file_inode, .attr_timeout = 3600, .entry_timeout = 3600};
    if (parent != FUSE_ROOT_ID || strcmp(name, "data") != 0) {
        fuse_reply_err(request, ENOENT);
        return;
    }
    attributes(file_inode, &entry.attr);
    fuse_reply_entry(request, &entry);
}

static void on_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file) {
    struct stat status;
    (void)file;
    attributes(inode, &status);
    fuse_reply_attr(request, &status, 3600);
}

static void on_setattr(fuse_req_t request, fuse_ino_t inode, struct stat *wanted, int which,
                       struct fuse_file_info *file) {
    (void)wanted, (void)which;
    on_getattr(request, inode, file);
}

static void on_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *file) {
    // libfuse 3.14 has no name for the second flag.
    struct fuse_open_out out = {.open_flags = FOPEN_DIRECT_IO | 1 << 6};
    (void)inode, (void)file;
    fuse_reply_buf(request, (const char *)&out, sizeof out);
}

static void on_read(fuse_req_t request, fuse_ino_t inode, size_t count, off_t offset,
                    struct fuse_file_info *file) {
    (void)inode, (void)file;
    ssize_t got = pread(backing, own_buffer(), count, offset);
    if (got < 0) {
        fuse_reply_err(request, errno);
    } else {
        fuse_reply_buf(request, own_buffer(), got);
    }
}

static void on_write(fuse_req_t request, fuse_ino_t inode, const char *bytes, size_t count, off_t offset,
                     struct fuse_file_info *file) {
    (void)inode, (void)file;
    memcpy(own_buffer(), bytes, count);
    ssize_t done = pwrite(backing, own_buffer(), count, offset);
    if (done < 0) {
        fuse_reply_err(request, errno);
    } else {
        fuse_reply_write(request, done);
    }
}

static void on_fsync(fuse_req_t request, fuse_ino_t inode, int data_only, struct fuse_file_info *file) {
    (void)inode, (void)data_only, (void)file;
    fuse_reply_err(request, fdatasync(backing) == 0 ? 0 : errno);
}

static void on_fallocate(fuse_req_t request, fuse_ino_t inode, int mode, off_t offset, off_t length,
                         struct fuse_file_info *file) {
    (void)inode, (void)file;
    fuse_reply_err(request, fallocate(backing, mode, offset, length) == 0 ? 0 : errno);
}

static const struct fuse_lowlevel_ops operations = {
    .init = on_init, .lookup = on_lookup, .getattr = on_getattr, .setattr = on_setattr, .open = on_open,
    .read = on_read, .write = on_write, .fsync = on_fsync, .fallocate = on_fallocate,
};

int main(int count, char **words) {
    char *arguments[] = {words[0], "-o", "fsname=passthrough,max_read=1048576", NULL};
    struct fuse_args options = FUSE_ARGS_INIT(3, arguments);
    struct fuse_loop_config *loop = fuse_loop_cfg_create();
    struct stat status;
    if (count != 3) return fprintf(stderr, "passthrough BACKING MOUNTPOINT\n"), 2;
    backing = open(words[1], O_RDWR | O_DIRECT | O_CLOEXEC);
    if (backing < 0 || fstat(backing, &status) != 0) return perror(words[1]), 1;
    size = status.st_size;
    struct fuse_session *session = fuse_session_new(&options, &operations, sizeof operations, NULL);
    if (!session || fuse_set_signal_handlers(session) != 0 || fuse_session_mount(session, words[2]) != 0) return 1;
    fuse_loop_cfg_set_max_threads(loop, 8);
    int result = fuse_session_loop_mt(session, loop);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    return result < 0;
}
