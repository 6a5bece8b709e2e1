#!/usr/bin/env python3
"""project.py DIR DEVICE MIB FILES: DIR and all below it is a project of its
own, with these limits. What chattr(1) and setquota(8) do."""
import ctypes
import fcntl
import os
import struct
import sys

FS_IOC_FSGETXATTR, FS_IOC_FSSETXATTR = 0x801C581F, 0x401C5820
INHERIT = 0x200
PROJECT = 4711
Q_SETQUOTA, PRJQUOTA = 0x800008, 2
LIMITS = 1 | 4  # QIF_BLIMITS, QIF_ILIMITS

path, device, mib, files = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
fd = os.open(path, os.O_RDONLY)
attr = bytearray(fcntl.ioctl(fd, FS_IOC_FSGETXATTR, bytes(28)))
flags = struct.unpack_from("I", attr)[0]
struct.pack_into("I", attr, 0, flags | INHERIT)
struct.pack_into("I", attr, 12, PROJECT)
fcntl.ioctl(fd, FS_IOC_FSSETXATTR, bytes(attr))

# struct if_dqblk: blocks of 1 KiB
limits = struct.pack("8QI4x", mib * 1024, mib * 1024, 0, files, files, 0, 0, 0, LIMITS)
libc = ctypes.CDLL(None, use_errno=True)
if libc.quotactl(Q_SETQUOTA << 8 | PRJQUOTA, device.encode(), PROJECT, limits) < 0:
    e = ctypes.get_errno()
    sys.exit(f"quotactl: {os.strerror(e)}")
