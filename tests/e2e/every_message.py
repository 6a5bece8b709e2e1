#!/usr/bin/env python3
"""every_message.py SOCKET SHARE DIALECT: say everything that the dialect has, in
its plainest form, to a server of 9P. What an answer holds is for others to
judge; that it is the wanted one is seen here."""
import errno
import socket
import struct
import sys

NOFID, NOTAG, NOTIME = 0xFFFFFFFF, 0xFFFF, 0xFFFFFFFFFFFFFFFF
KEEP = {"b": 0xFF, "h": 0xFFFF, "w": 0xFFFFFFFF, "d": NOTIME, "s": ""}
TYPES = dict(
    statfs=8, lopen=12, lcreate=14, symlink=16, mknod=18, rename=20, readlink=22, getattr=24,
    setattr=26, xattrwalk=30, xattrcreate=32, readdir=40, fsync=50, lock=52, getlock=54, link=70,
    mkdir=72, renameat=74, unlinkat=76, version=100, auth=102, attach=104, flush=108, walk=110,
    open=112, create=114, read=116, write=118, clunk=120, remove=122, stat=124, wstat=126)
RLERROR, RERROR = 7, 107
BYTES = {"b": "<B", "h": "<H", "w": "<I", "d": "<Q"}


def pack(form, values):
    """b h w d: 1, 2, 4, 8 bytes; s: a string; r: bytes as they are."""
    out = b""
    for f, v in zip(form, values, strict=True):
        if f == "s":
            v = v.encode()
            out += struct.pack("<H", len(v)) + v
        elif f == "r":
            out += v
        else:
            out += struct.pack(BYTES[f], v)
    return out


class Client:
    def __init__(self, path, dialect):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.dialect = dialect
        self.tag = 0

    def receive(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            assert more, "the server hung up"
            data += more
        return data

    def send(self, name, form, *values):
        self.tag = NOTAG if name == "version" else (self.tag + 1) % NOTAG
        body = pack(form, values)
        self.socket.sendall(struct.pack("<IBH", 7 + len(body), TYPES[name], self.tag) + body)
        return self.tag

    def reply(self, name, tag):
        size, kind, got = struct.unpack("<IBH", self.receive(7))
        body = self.receive(size - 7)
        assert got == tag, f"{name}: tag {got}, wanted {tag}"
        return kind, body

    def ask(self, name, form, *values):
        kind, body = self.reply(name, self.send(name, form, *values))
        assert kind == TYPES[name] + 1, f"T{name} {values}: {kind} {body!r}"
        return body

    def refused(self, want, name, form, *values):
        kind, body = self.reply(name, self.send(name, form, *values))
        if self.dialect == "9P2000.L":
            assert kind == RLERROR and struct.unpack("<I", body)[0] == want, f"T{name}: {kind} {body!r}"
            return
        assert kind == RERROR, f"T{name}: {kind} {body!r}"
        text = struct.unpack("<H", body[:2])[0]
        if self.dialect == "9P2000.u":
            assert struct.unpack("<I", body[2 + text:])[0] == want, f"T{name}: {body!r}"

    def walk(self, fid, to, *names):
        body = self.ask("walk", "wwh" + "s" * len(names), fid, to, len(names), *names)
        assert struct.unpack("<H", body[:2])[0] == len(names), names

    def clunk(self, *fids):
        for f in fids:
            self.ask("clunk", "w", f)


def common(c, share):
    """Fid 0 becomes the root of the share."""
    extra = "w" if c.dialect != "9P2000" else ""
    number = (NOFID,) if extra else ()
    c.ask("version", "ws", 65536, c.dialect)
    kind, _ = c.reply("auth", c.send("auth", "wss" + extra, 99, "nobody", share, *number))
    assert kind in (RLERROR, RERROR)
    c.ask("attach", "wwss" + extra, 0, NOFID, "nobody", share, *number)
    c.ask("flush", "h", 4711)


def linux(c):
    c.ask("statfs", "w", 0)
    c.ask("mkdir", "wsww", 0, "d", 0o755, 0)
    c.walk(0, 1, "d")
    c.walk(1, 2)
    c.ask("lcreate", "wswww", 2, "f", 0o2 | 0o100, 0o644, 0)
    c.ask("write", "wdwr", 2, 0, 5, b"hello")
    assert c.ask("read", "wdw", 2, 0, 100)[4:] == b"hello"
    c.ask("fsync", "ww", 2, 1)
    c.ask("lock", "wbwddws", 2, 1, 0, 0, 10, 77, "client")
    c.ask("getlock", "wbddws", 2, 1, 0, 20, 78, "client")
    c.ask("lock", "wbwddws", 2, 2, 0, 0, 10, 77, "client")
    c.ask("symlink", "wssw", 1, "l", "a/target", 0)
    c.walk(1, 3, "l")
    assert c.ask("readlink", "w", 3)[2:] == b"a/target"
    c.ask("mknod", "wswwww", 1, "p", 0o010644, 0, 0, 0)
    c.ask("getattr", "wd", 2, 0x7FF)
    c.ask("setattr", "wwwwwddddd", 2, 0x1 | 0x8 | 0x10 | 0x80, 0o600, 0, 0, 3, 1, 2, 0, 0)
    c.walk(1, 4, "f")
    c.ask("link", "wws", 1, 4, "hard")
    c.ask("rename", "wws", 4, 1, "f2")
    c.ask("renameat", "wsws", 1, "f2", 0, "f3")
    c.ask("xattrcreate", "wsdw", 4, "user.x", 5, 0)
    c.ask("write", "wdwr", 4, 0, 5, b"value")
    c.clunk(4)
    c.walk(0, 4, "f3")
    c.ask("xattrwalk", "wws", 4, 5, "user.x")
    assert c.ask("read", "wdw", 5, 0, 100)[4:] == b"value"
    c.ask("xattrwalk", "wws", 4, 6, "")
    assert b"user.x\0" in c.ask("read", "wdw", 6, 0, 1000)
    c.walk(1, 7)
    c.ask("lopen", "ww", 7, 0)
    assert b"hard" in c.ask("readdir", "wdw", 7, 0, 8000)
    c.refused(errno.ENOENT, "walk", "wwhs", 0, 8, 1, "none")
    c.refused(errno.EEXIST, "mkdir", "wsww", 0, "d", 0o755, 0)
    for name in ("l", "p", "hard"):
        c.ask("unlinkat", "wsw", 1, name, 0)
    c.clunk(2, 3, 5, 6, 7)
    c.ask("remove", "w", 4)
    c.ask("unlinkat", "wsw", 0, "d", 0x200)
    c.clunk(1)
    # A lock that waits, and is called off.
    c.walk(0, 1)
    c.ask("lcreate", "wswww", 1, "locked", 0o2 | 0o100, 0o644, 0)
    c.walk(0, 2, "locked")
    c.ask("lopen", "ww", 2, 2)
    c.ask("lock", "wbwddws", 1, 1, 0, 0, 0, 1, "one")
    c.ask("lock", "wbwddws", 2, 1, 0, 0, 0, 2, "two")
    c.clunk(2)
    c.ask("remove", "w", 1)


def entry(c, **change):
    """A stat as Twstat has it: what is not named stays."""
    form = "hwbwdwwwdssss" if c.dialect == "9P2000" else "hwbwdwwwdsssss" + "www"
    names = ["type", "dev", "qtype", "qversion", "qpath", "mode", "atime", "mtime", "length", "name",
             "uid", "gid", "muid", "extension", "n_uid", "n_gid", "n_muid"]
    values = [change.get(n, KEEP[f]) for n, f in zip(names, form)]
    stat = pack(form, values)
    return struct.pack("<HH", len(stat) + 2, len(stat)) + stat


def older(c):
    unix = c.dialect == "9P2000.u"
    extension = "s" if unix else ""

    def create(fid, name, mode, how, what=""):
        c.ask("create", "wswb" + extension, fid, name, mode, how, *([what] if unix else []))

    c.walk(0, 1)
    create(1, "d", 0x80000000 | 0o755, 0)
    c.clunk(1)
    c.walk(0, 1, "d")
    c.walk(1, 2)
    create(2, "f", 0o644, 2)
    c.ask("write", "wdwr", 2, 0, 5, b"hello")
    assert c.ask("read", "wdw", 2, 0, 100)[4:] == b"hello"
    if unix:
        for name, mode, what in (("l", 0x02000000, "a/target"), ("p", 0x00200000 | 0o644, "")):
            c.walk(1, 3)
            create(3, name, mode, 0, what)
            c.clunk(3)
            c.walk(1, 3, name)
            c.ask("stat", "w", 3)
            c.ask("remove", "w", 3)
    c.ask("stat", "w", 2)
    c.refused(errno.EPERM, "wstat", "wr", 2, entry(c, mode=0o600, name="g")) # all or nothing
    c.ask("wstat", "wr", 2, entry(c, mode=0o600, length=3, mtime=1000000000))
    c.ask("wstat", "wr", 2, entry(c, name="g"))
    c.ask("wstat", "wr", 2, entry(c)) # to the disk with it
    c.walk(1, 3)
    c.ask("open", "wb", 3, 0)
    assert b"g" in c.ask("read", "wdw", 3, 0, 8000)
    c.refused(errno.ENOENT, "walk", "wwhs", 0, 8, 1, "none")
    c.refused(errno.EBADF, "clunk", "w", 1234)
    c.clunk(3)
    c.ask("remove", "w", 2)
    c.ask("remove", "w", 1)


def main():
    path, share, dialect = sys.argv[1:4]
    c = Client(path, dialect)
    common(c, share)
    linux(c) if dialect == "9P2000.L" else older(c)
    c.clunk(0)


main()
