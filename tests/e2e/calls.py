#!/usr/bin/env python3
"""System calls on the directory it is started in, with what a local file
system would answer. Each function is one test."""
import errno
import mmap
import os
import stat
import sys
import tempfile


def refuses(want, action, *args):
    try:
        action(*args)
    except OSError as e:
        assert e.errno == want, f"{errno.errorcode.get(e.errno)}, wanted {errno.errorcode[want]}"
    else:
        raise AssertionError(f"succeeded, wanted {errno.errorcode[want]}")


def write(path, data):
    with open(path, "wb") as f:
        f.write(data)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def truncate_grows_and_shrinks():
    write("f", b"abcdef")
    os.truncate("f", 3)
    assert read("f") == b"abc"
    os.truncate("f", 6)
    assert read("f") == b"abc\0\0\0"
    with open("f", "r+b") as f:
        f.truncate(1)
        assert os.fstat(f.fileno()).st_size == 1


def a_hole_reads_as_zeros_and_takes_no_room():
    with open("f", "wb") as f:
        f.seek(100 << 20)
        f.write(b"end")
    st = os.stat("f")
    assert st.st_size == (100 << 20) + 3
    assert st.st_blocks * 512 < 1 << 20
    with open("f", "rb") as f:
        f.seek(50 << 20)
        assert f.read(4096) == bytes(4096)


def an_unlinked_file_stays_usable_while_open():
    fd = os.open("f", os.O_CREAT | os.O_RDWR, 0o600)
    os.write(fd, b"before")
    os.unlink("f")
    assert not os.path.exists("f")
    os.pwrite(fd, b"AFTER!", 0)
    assert os.pread(fd, 100, 0) == b"AFTER!"
    st = os.fstat(fd)
    assert st.st_size == 6
    os.ftruncate(fd, 2)
    assert os.fstat(fd).st_size == 2
    os.close(fd)


def rename_over_an_open_file():
    write("old", b"old")
    write("new", b"new")
    with open("old", "rb") as f:
        os.rename("new", "old")
        assert f.read() == b"old"
    assert read("old") == b"new"
    assert not os.path.exists("new")


def an_open_file_follows_its_rename():
    with open("a", "w+b") as f:
        os.mkdir("dir")
        os.rename("a", "dir/b")
        f.write(b"late")
        f.flush()
        assert read("dir/b") == b"late"
    os.rename("dir", "dir2")
    assert read("dir2/b") == b"late"


def errors_are_the_usual_ones():
    write("f", b"")
    os.mkdir("full")
    write("full/f", b"")
    os.symlink("loop", "loop")
    refuses(errno.ENOENT, os.stat, "none")
    refuses(errno.ENOENT, os.unlink, "none")
    refuses(errno.EEXIST, os.mkdir, "f")
    refuses(errno.EEXIST, os.link, "full/f", "f")
    refuses(errno.EEXIST, os.symlink, "x", "f")
    refuses(errno.EEXIST, os.open, "f", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    refuses(errno.ENOTDIR, os.stat, "f/x")
    refuses(errno.ENOTDIR, os.rmdir, "f")
    refuses(errno.EISDIR, os.unlink, "full")
    refuses(errno.EISDIR, os.open, "full", os.O_WRONLY)
    refuses(errno.ENOTEMPTY, os.rmdir, "full")
    os.mkdir("empty")
    refuses(errno.ENOTEMPTY, os.rename, "empty", "full")
    refuses(errno.EINVAL, os.rename, "full", "full/below")
    refuses(errno.ELOOP, os.open, "loop", os.O_RDONLY)


def names_of_255_bytes():
    for name in ("n" * 255, "\u00e4" * 127, "spaces and\nnewlines", "-dash", "\\back", ".hidden"):
        write(name, name.encode())
        assert read(name) == name.encode()
        assert name in os.listdir(".")
        os.rename(name, "tmp")
        os.rename("tmp", name)
        os.unlink(name)
    refuses(errno.ENAMETOOLONG, write, "n" * 256, b"")


def bytes_that_are_no_text():
    name = b"\xff\xfe\x80name"
    write(name, b"x")
    assert name in os.listdir(b".")
    os.unlink(name)


def deep_directories():
    top = os.getcwd()
    for n in range(120):
        os.mkdir("d" * 30)
        os.chdir("d" * 30)
    write("bottom", b"x")
    assert len(os.getcwd()) > 3600
    for n in range(120):
        os.chdir("..")
    assert os.getcwd() == top
    os.system("rm -r d*")
    assert os.listdir(".") == []


def long_symbolic_links():
    target = "x/" * 2000
    os.symlink(target, "l")
    assert os.readlink("l") == target
    assert os.lstat("l").st_size == len(target)


def reading_a_directory_while_it_shrinks():
    for n in range(300):
        write(f"f{n}", b"")
    seen = 0
    with os.scandir(".") as it:
        for e in it:
            os.unlink(e.name)
            seen += 1
    assert seen == 300
    assert os.listdir(".") == []


def kinds_of_entries():
    write("f", b"")
    os.mkdir("d")
    os.symlink("f", "l")
    os.mkfifo("p")
    kinds = {e.name: (e.is_file(follow_symlinks=False), e.is_dir(follow_symlinks=False),
                      e.is_symlink()) for e in os.scandir(".")}
    assert kinds == {"f": (True, False, False), "d": (False, True, False),
                     "l": (False, False, True), "p": (False, False, False)}
    assert stat.S_ISFIFO(os.stat("p").st_mode)


def devices_are_refused():
    refuses(errno.EPERM, os.mknod, "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    refuses(errno.EPERM, os.mknod, "disk", stat.S_IFBLK | 0o666, os.makedev(8, 0))
    assert os.listdir(".") == []


def appending_from_two_descriptors():
    a = os.open("f", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    b = os.open("f", os.O_WRONLY | os.O_APPEND)
    for n in range(20):
        os.write(a, b"a")
        os.write(b, b"b")
    os.close(a)
    os.close(b)
    assert sorted(read("f")) == sorted(b"ab" * 20)


def odd_sizes_and_offsets():
    data = os.urandom(1_234_567)
    fd = os.open("f", os.O_CREAT | os.O_RDWR, 0o600)
    at = 0
    for size in (1, 4095, 4096, 4097, 65535, 131073, 7, 1 << 20):
        at += os.pwrite(fd, data[at:at + size], at)
    assert at == len(data)
    os.fsync(fd)
    os.fdatasync(fd)
    for pos, size in ((0, 1), (4094, 4), (131000, 70000), (len(data) - 5, 100), (len(data), 10)):
        assert os.pread(fd, size, pos) == data[pos:pos + size]
    os.close(fd)
    assert read("f") == data


def link_counts_and_inodes():
    write("f", b"x")
    for n in range(20):
        os.link("f", f"l{n}")
    assert os.stat("f").st_nlink == 21
    assert {os.stat(f"l{n}").st_ino for n in range(20)} == {os.stat("f").st_ino}
    os.unlink("f")
    assert os.stat("l0").st_nlink == 20
    write("other", b"")
    assert os.stat("other").st_ino != os.stat("l0").st_ino


def modification_times_move():
    write("f", b"x")
    os.utime("f", (1, 1))
    write("f", b"y")
    assert os.stat("f").st_mtime > 1_000_000
    os.mkdir("d")
    os.utime("d", (1, 1))
    write("d/f", b"")
    assert os.stat("d").st_mtime > 1_000_000


def private_mappings_read():
    write("f", b"abc" * 5000)
    with open("f", "rb") as f:
        with mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_PRIVATE) as m:
            assert m[9000:9003] == b"abc"


def shared_mappings_write():
    if "cache=none" in os.environ["OPTS"]:
        return  # the client has none without a cache
    write("f", bytes(20000))
    with open("f", "r+b") as f:
        with mmap.mmap(f.fileno(), 0) as m:
            m[10000:10005] = b"hello"
            m.flush()
    assert read("f")[9999:10006] == b"\0hello\0"


def main():
    top = os.getcwd()
    failed = 0
    for name, test in list(globals().items()):
        if not callable(test) or getattr(test, "__module__", "") != "__main__":
            continue
        if name in ("refuses", "write", "read", "main"):
            continue
        os.chdir(tempfile.mkdtemp(dir=top))
        try:
            test()
        except (OSError, AssertionError) as e:
            failed += 1
            line = e.__traceback__.tb_next.tb_lineno
            print(f"failed: {name}, line {line}: {e}")
    os.chdir(top)
    return failed != 0


sys.exit(main())
