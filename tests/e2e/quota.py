#!/usr/bin/env python3
"""quota.py MOUNT ERROR MIB: fill what lies there; every call that needs room
must fail with ERROR and no other, and statfs must say how much there is."""
import errno
import os
import sys

mount, want, mib = sys.argv[1], getattr(errno, sys.argv[2]), int(sys.argv[3])
failures = 0
# From 6.10 on the client makes ENOSPC or EIO of another error of a write; what
# the server said is then seen by `postern put` (docs/CLIENTS.md).
release = tuple(int(n) for n in os.uname().release.split(".")[:2])
of_write = {want} if release < (6, 10) else {want, errno.ENOSPC, errno.EIO}


def claim(name, ok, *more):
    global failures
    if not ok:
        failures += 1
        print("not so:", name, *more)


def fails(name, call, *args, errors=frozenset({want})):
    try:
        call(*args)
    except OSError as e:
        claim(name, e.errno in errors, e)
        return
    claim(name, False, "it worked")


def fill(fd, size):
    n = 0
    while True:
        try:
            n += os.write(fd, b"x" * size)
        except OSError as e:
            claim(f"write of {size}", e.errno in of_write, e)
            return n


def fill_and_sync(fd):
    for _ in range(100):
        os.write(fd, b"z" * 65536)
        os.fsync(fd)


def make_files(): # an empty one needs no block; 100 are allowed
    for i in range(200):
        os.close(os.open(f"{mount}/f{i}", os.O_CREAT | os.O_WRONLY))


st = os.statvfs(mount)
total = st.f_blocks * st.f_frsize
claim("statfs shows the limit", mib * 0.8 <= total / 2**20 <= mib * 1.05, total)
fd = os.open(mount + "/fill", os.O_CREAT | os.O_RDWR, 0o644)
n = fill(fd, 1 << 20) + fill(fd, 65536) + fill(fd, 4096) + fill(fd, 1)
claim("as much as there is", n > total * 0.5, n, total)
claim("nothing is left", os.statvfs(mount).f_bavail * st.f_frsize < 65536)
other = os.open(mount + "/other", os.O_CREAT | os.O_RDWR, 0o644)
fails("write and fsync of another", fill_and_sync, other, errors=of_write)
fails("allocate", os.posix_fallocate, other, 0, 1 << 20)
os.close(other)
made = 0
try:
    while made < 5000:
        os.mkdir(f"{mount}/d{made}")
        made += 1
    claim("mkdir without end", False)
except OSError as e:
    claim("mkdir", e.errno == want, e)
fails("create", make_files)
fails("symlink", os.symlink, "x" * 200, mount + "/l")
fails("mknod", os.mknod, mount + "/p", 0o10644)
os.ftruncate(fd, 0)
os.close(fd)
again = os.open(mount + "/fill", os.O_RDWR)
claim("room that was given back is there", os.write(again, b"y" * 65536) == 65536)
os.fsync(again)
os.close(again)
sys.exit(1 if failures else 0)
