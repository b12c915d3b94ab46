# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Projects that are hard to keep: one with everything a Linux file can be, and random ones."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Sequence
from pathlib import Path

from .tools import tool

MIB = 1024 * 1024
#: Sizes around which frames, blocks and the ways to read a file change.
SIZES = (0, 1, 511, 512, 513, 1024, 10240, MIB - 512, MIB, MIB + 1, 4 * MIB, 16 * MIB, 16 * MIB + 1)
YEAR_2300_NS = 10_413_792_000 * 1_000_000_000

NAMES = (
    b"plain",
    b" leading and trailing ",
    b"-rf",
    b"--help",
    b"new\nline",
    b"carriage\rreturn",
    b"back\\slash",
    b"tab\tand\x1b[31mescape",
    b"not-utf8-\xff\xfe\x80",
    b"latin1-\xe9",
    "ünïcödé-\N{SNOWMAN}-日本".encode(),
    "decomposed-u\N{COMBINING DIAERESIS}".encode(),
    b"quote'\"$(id)`;&|",
    b"*?[a-z]{x}",
    b"%41=%3D",
    b"#hash",
    b"!bang",
    b"~tilde",
    b"PaxHeader",
    b"n" * 99,
    b"n" * 100,
    b"n" * 101,
    b"l" * 255,
    b"\xff" * 255,
)


def fill(path: bytes, size: int, seed: int = 0) -> None:
    """A file of C(size) bytes, half of them compressible."""
    generator = random.Random(seed or size)
    with open(path, "wb") as stream:
        while size > 0:
            part = generator.randbytes(min(size, 65536))
            part = (part[: len(part) // 2] * 2)[: len(part)].ljust(len(part), b"\0")
            stream.write(part)
            size -= len(part)


def make_hard_project(top: Path) -> None:
    """Everything that a file can be."""
    root = os.fsencode(top)
    os.makedirs(root)
    _names(os.path.join(root, b"names"))
    _long_paths(os.path.join(root, b"long"))
    _sizes(os.path.join(root, b"sizes"))
    _links(os.path.join(root, b"links"))
    _modes(os.path.join(root, b"modes"))
    _attributes(os.path.join(root, b"attributes"))
    _holes(os.path.join(root, b"holes"))
    _times(os.path.join(root, b"times"))
    os.utime(root, ns=(0, 1_500_000_000_987_654_321))


def _names(top: bytes) -> None:
    for kind in (b"files", b"directories", b"links", b"hardlinks"):
        os.makedirs(os.path.join(top, kind))
    for number, name in enumerate(NAMES):
        path = os.path.join(top, b"files", name)
        with open(path, "wb") as stream:
            stream.write(b"%d" % number)
        os.mkdir(os.path.join(top, b"directories", name))
        os.symlink(b"../files/" + name, os.path.join(top, b"links", name))
        os.link(path, os.path.join(top, b"hardlinks", name))


def _long_paths(top: bytes) -> None:
    os.mkdir(top)
    os.symlink(b"/absolute/" + b"t" * 90, top + b"/target-of-100")
    os.symlink(b"/" + b"t" * 254 + b"/" + b"\xfe" * 254 + b"/x", top + b"/target-of-500")
    path = top
    for number in range(14):
        path = os.path.join(path, b"%02d-" % number + b"d" * 97)
        os.mkdir(path)
        with open(os.path.join(path, b"file"), "wb") as stream:
            stream.write(b"deep %d" % number)
        os.symlink(b"file", os.path.join(path, b"link"))
        os.link(os.path.join(path, b"file"), os.path.join(path, b"second"))
    assert len(path) > 1400


def _sizes(top: bytes) -> None:
    os.mkdir(top)
    for size in SIZES:
        fill(os.path.join(top, b"%d" % size), size)
    for number in range(300):
        fill(os.path.join(top, b"small-%03d" % number), number * 37)


def _links(top: bytes) -> None:
    os.makedirs(top + b"/sub")
    with open(top + b"/one", "wb") as stream:
        stream.write(b"one inode")
    for name in (b"two", b"sub/three", b"-four"):
        os.link(top + b"/one", os.path.join(top, name))
    fill(top + b"/large", 17 * MIB)
    os.link(top + b"/large", top + b"/sub/large-too")
    for target, name in (
        (b"one", b"relative"),
        (b"nowhere", b"dangling"),
        (b"/etc/passwd", b"absolute"),
        (b"../../..", b"upwards"),
        (b"sub", b"to-directory"),
        (b"self", b"self"),
        (b"with\nnewline\xff", b"odd-target"),
    ):
        os.symlink(target, os.path.join(top, name))


def _modes(top: bytes) -> None:
    os.mkdir(top)
    for mode in (0o000, 0o400, 0o644, 0o755, 0o4755, 0o2755, 0o6755, 0o1644, 0o777):
        path = os.path.join(top, b"file-%04o" % mode)
        fill(path, 100)
        os.chown(path, 1, 2)
        os.chmod(path, mode)
    for mode in (0o000, 0o700, 0o1777, 0o2775, 0o3777):
        path = os.path.join(top, b"directory-%04o" % mode)
        os.mkdir(path)
        with open(path + b"/inside", "wb"):
            pass
        os.chmod(path, mode)
    os.mkdir(top + b"/empty")
    os.mkfifo(top + b"/fifo", 0o640)
    os.chown(top + b"/fifo", 12, 34)
    for number in (2097151, 2097152, 3_000_000_000, 4_294_967_294):
        path = os.path.join(top, b"owner-%d" % number)
        fill(path, 10)
        os.chown(path, number, number)
        os.symlink(b"x", path + b"-link")
        os.chown(path + b"-link", number, number, follow_symlinks=False)


def _attributes(top: bytes) -> None:
    os.makedirs(top + b"/acl-directory/child")
    for name in (b"user", b"capability", b"acl", b"trusted"):
        fill(os.path.join(top, name), 64)
    values = {"user.text": b"value", "user.binary": bytes(range(256)), "user.empty": b"", "user.new\nline": b"a\nb",
              "user.a=b%c": b"x", "user.large": b"L" * 2000}  # fmt: skip
    for key, value in values.items():
        os.setxattr(top + b"/user", key, value)
        os.setxattr(top + b"/acl-directory", key, value)
    os.setxattr(top + b"/trusted", "trusted.cora", b"root only")
    tool("setcap", "cap_net_bind_service,cap_net_raw=+ep", top + b"/capability")
    tool("setfacl", "-m", "u:1234:rw,u:3000000000:r,g:4321:rx,m::rwx", top + b"/acl")
    tool("setfacl", "-m", "u:1234:rwx,g:77:r,d:u:1234:rwx,d:g:77:rx,d:o::-", top + b"/acl-directory")
    fill(top + b"/acl-directory/inherits", 64)


def _holes(top: bytes) -> None:
    os.mkdir(top)
    for name, size, parts in (
        ("all-hole", 3 * MIB, ()),
        ("data-at-end", 5 * MIB, ((5 * MIB - 4096, 4096),)),
        ("data-at-start", 5 * MIB, ((0, 4096),)),
        ("odd-end", 5 * MIB + 77, ((2 * MIB, 8192), (5 * MIB, 77))),
        ("many", 8 * MIB, tuple((at * 32768, 4096) for at in range(256))),
        ("large-data", 60 * MIB, ((MIB, 18 * MIB), (59 * MIB, MIB))),
        ("name-" + "s" * 200, MIB, ((65536, 4096),)),
    ):
        make_sparse(os.path.join(top, name.encode()), size, parts)


def make_sparse(path: bytes, size: int, parts: Sequence[tuple[int, int]]) -> None:
    """A file of holes, and of data at these (offset, length)."""
    with open(path, "wb") as stream:
        stream.truncate(size)
        for at, length in parts:
            stream.seek(at)
            stream.write(random.Random(at).randbytes(length))


def _times(top: bytes) -> None:
    os.mkdir(top)
    for name, mtime_ns in (
        (b"nanosecond", 1_234_567_890_123_456_789),
        (b"epoch", 0),
        (b"just-before-epoch", -1),
        (b"negative", -1_000_000_000_500_000_000),
        (b"negative-whole", -86_400_000_000_000),
        (b"far-future", YEAR_2300_NS + 1),
        (b"far-future-whole", YEAR_2300_NS),
    ):
        path = os.path.join(top, name)
        fill(path, 5)
        os.utime(path, ns=(0, mtime_ns))
        os.symlink(name, path + b"-link")
        os.utime(path + b"-link", ns=(0, mtime_ns), follow_symlinks=False)
        os.mkdir(path + b"-directory")
        os.utime(path + b"-directory", ns=(0, mtime_ns))


def make_random_project(top: Path, seed: int) -> None:
    """A tree that nobody thought of; the same for the same seed."""
    generator = random.Random(seed)
    root = os.fsencode(top)
    os.mkdir(root)
    directories = [root]
    files: list[bytes] = []
    for _ in range(generator.randrange(30, 120)):
        parent = generator.choice(directories)
        path = os.path.join(parent, _random_name(generator))
        if os.path.lexists(path) or len(path) > 3000:
            continue
        kind = generator.choices(("file", "directory", "symlink", "hardlink", "fifo", "sparse"), (40, 18, 12, 10, 2, 5))
        if kind == ["directory"]:
            os.mkdir(path)
            directories.append(path)
        elif kind == ["symlink"]:
            os.symlink(_random_name(generator) * generator.choice((1, 1, 3)), path)
        elif kind == ["fifo"]:
            os.mkfifo(path)
        elif kind == ["hardlink"] and files:
            os.link(generator.choice(files), path)
        else:
            _random_file(path, generator, sparse=kind == ["sparse"])
            files.append(path)
    for path in sorted(files) + sorted(directories, key=len, reverse=True):
        _random_metadata(path, generator)


def _random_name(generator: random.Random) -> bytes:
    if generator.random() < 0.3:
        return generator.choice(NAMES)
    length = generator.choice((1, 2, 5, 12, 12, 40, 97, 98, 99, 100, 101, 200, 255))
    name = bytes(generator.choices(range(1, 256), k=length)).replace(b"/", b"_")
    return b"dot" if name in (b".", b"..") else name


def _random_file(path: bytes, generator: random.Random, *, sparse: bool) -> None:
    size = generator.choice(
        (0, 1, 100, 511, 512, 513, 5000, 70000, MIB - 1536, MIB, MIB + 1, generator.randrange(2 * MIB))
    )
    if not sparse:
        fill(path, size, seed=generator.randrange(1, 2**32))
        return
    with open(path, "wb") as stream:
        stream.truncate(size)
        for _ in range(generator.randrange(5)):
            stream.seek(generator.randrange(size + 1))
            stream.write(generator.randbytes(generator.randrange(20000)))


def _random_metadata(path: bytes, generator: random.Random) -> None:
    os.chown(path, generator.choice((0, 1, 1000, 2097152, 2**32 - 2)), generator.choice((0, 5, 2**31)))
    os.chmod(path, generator.randrange(0o10000))
    for _ in range(generator.choice((0, 0, 0, 1, 3))):
        name = "user." + "".join(generator.choices("abc=%\n. é", k=5))
        os.setxattr(path, name, generator.randbytes(generator.choice((0, 1, 50, 900))))
    os.utime(path, ns=(0, generator.choice((0, -1, 1, 10**18 + 1, generator.randrange(-(2**30), 2**33) * 10**9 + 7))))


def make_socket(path: Path) -> None:
    """A socket in the file system; nobody listens."""
    with socket.socket(socket.AF_UNIX) as bound:
        os.chdir(path.parent)
        bound.bind(path.name)
        os.chdir("/")
