"""Small disks of their own: tmpfs in a mount space that ends with this process.

Where mounting is not allowed there are none.
"""

import ctypes
import errno
import os

CLONE_NEWNS = 0x20000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
SIZE = "48m"
SETTINGS = {"KIST_DISK_RESERVE_BYTES": "8MiB",
            "KIST_WRITE_BUFFER_BYTES": "256KiB"}

libc = ctypes.CDLL(None, use_errno=True)


def begin():
    """Before this process has a second thread. Whether disks may be made."""
    return libc.unshare(CLONE_NEWNS) == 0 and \
        libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None) == 0


def mount(folder):
    if libc.mount(b"kist", os.fsencode(folder), b"tmpfs", 0,
                  f"size={SIZE}".encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")


def unmount(folder):
    libc.umount2(os.fsencode(folder), 2)


def fill(path):
    """To the last byte; removing the file is all it takes to make room."""
    with open(path, "wb") as file:
        for _ in range(1000):  # Somebody else writes there, too.
            room = os.statvfs(path.parent)
            size = os.fstat(file.fileno()).st_size
            if room.f_bavail == 0:
                break
            try:
                os.posix_fallocate(file.fileno(), size,
                                   room.f_bavail * room.f_frsize)
            except OSError as failure:
                if failure.errno != errno.ENOSPC:
                    raise
