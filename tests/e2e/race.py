#!/usr/bin/env python3
"""race.py SECONDS SEED shrink|steady DIRECTORY...: processes, two in each directory, that
make, write, link, rename, read and remove the same few names all at once. The
directories are the same one, by different mounts or on the host.

Whatever the others do, every error must be one that a local file system could
have answered, and every read must find what somebody wrote."""
import errno
import os
import random
import stat
import sys
import time
import traceback

NAMES = [f"{d}/{n}" for d in ("x", "y") for n in ("a", "b", "c")]
DIRS = ["x/d", "y/d"]
RECORD = 4096
GONE = {errno.ENOENT, errno.ESTALE}
TAKEN = {errno.EEXIST}
# The 9P client makes a name first and walks to it then: it may be gone again.
MADE = TAKEN | GONE
# What netfs in newer clients (7.2) says when a file has shrunk under a read.
READ = GONE | {errno.ENODATA}
SHRINK = sys.argv[3:4] == ["shrink"]


def record(who, n):
    return f"<{who:06d} {n:07d}>".encode() * (RECORD // 16)


def check_records(data):
    """Records may be of different writers, holes are zeros."""
    for at in range(0, len(data) - len(data) % 16, 16):
        token = data[at:at + 16]
        assert token == bytes(16) or (token[:1] == b"<" and token[7:8] == b" " and token[15:] == b">"), \
            f"at {at}: {token!r}"


def make(r, who, n):
    fd = os.open(r.choice(NAMES), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
    try:
        os.pwrite(fd, record(who, n), 0)
        got = os.pread(fd, RECORD, 0)
        check_records(got)
        st = os.fstat(fd)
        assert stat.S_ISREG(st.st_mode)
    finally:
        os.close(fd)


def write(r, who, n):
    fd = os.open(r.choice(NAMES), os.O_WRONLY | r.choice((0, os.O_APPEND, SHRINK and os.O_TRUNC)))
    try:
        os.pwrite(fd, record(who, n), RECORD * r.randrange(4))
        if SHRINK and r.random() < 0.2:
            os.ftruncate(fd, RECORD * r.randrange(4))
    finally:
        os.close(fd)


def read(r, who, n):
    fd = os.open(r.choice(NAMES), os.O_RDONLY)
    try:
        check_records(os.read(fd, 8 * RECORD))
    finally:
        os.close(fd)


def keep(r, who, n):
    """An open file stays what it is, whatever becomes of its name."""
    name = r.choice(NAMES)
    fd = os.open(name, os.O_RDWR)
    try:
        ino = os.fstat(fd).st_ino
        os.unlink(name)
        os.pwrite(fd, record(who, n), 0)
        assert os.fstat(fd).st_ino == ino
        check_records(os.pread(fd, RECORD, 0))
    finally:
        os.close(fd)


def listing(r, who, n):
    names = os.listdir(r.choice("xy"))
    assert len(names) == len(set(names)), f"twice in a listing: {names}"
    assert set(names) <= {"a", "b", "c", "d"}, names


def look(r, who, n):
    st = os.stat(r.choice(NAMES + DIRS), follow_symlinks=False)
    assert st.st_nlink < 20


OPS = [
    (make, MADE | READ, 4),
    (write, GONE, 3),
    (read, READ, 3),
    (keep, READ, 1),
    (listing, set(), 2),
    (look, GONE, 2),
    (lambda r, who, n: os.unlink(r.choice(NAMES)), GONE, 2),
    (lambda r, who, n: os.rename(r.choice(NAMES), r.choice(NAMES)), GONE, 4),
    (lambda r, who, n: os.link(r.choice(NAMES), r.choice(NAMES)), GONE | TAKEN, 2),
    (lambda r, who, n: os.chmod(r.choice(NAMES), 0o600 | r.randrange(64)), GONE, 1),
    (lambda r, who, n: os.mkdir(r.choice(DIRS)), MADE, 1),
    (lambda r, who, n: os.rmdir(r.choice(DIRS)), GONE, 1),
    (lambda r, who, n: os.rename(r.choice(DIRS), r.choice(DIRS)), GONE, 1),
]


def race(top, who, seed, seconds):
    r = random.Random(seed * 1000 + who)
    os.chdir(top)
    ops, allowed, weights = zip(*OPS)
    end = time.monotonic() + seconds
    n = done = 0
    while time.monotonic() < end:
        n += 1
        k = r.choices(range(len(ops)), weights)[0]
        try:
            ops[k](r, who, n)
            done += 1
        except OSError as e:
            if e.errno not in allowed[k]:
                raise
    assert done > n // 20, f"only {done} of {n} did anything"
    return n


def main():
    seconds, seed = float(sys.argv[1]), int(sys.argv[2])
    tops = sys.argv[4:] * 2
    for d in "xy":
        os.makedirs(os.path.join(tops[0], d), exist_ok=True)
    pids = []
    for who, top in enumerate(tops):
        pid = os.fork()
        if pid == 0:
            try:
                print(f"racer {who} in {top}: {race(top, who, seed, seconds)} steps", flush=True)
            except (OSError, AssertionError) as e:
                line = traceback.extract_tb(e.__traceback__)[-1].lineno
                print(f"racer {who} in {top}, seed {seed}, line {line}: {e!r}", flush=True)
                os._exit(1)
            os._exit(0)
        pids.append(pid)
    bad = 0
    for pid in pids:
        bad += os.waitpid(pid, 0)[1] != 0
    return bad != 0


if __name__ == "__main__":
    sys.exit(main())
