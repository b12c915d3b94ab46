# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An independent comparer: what C(lstat), C(listxattr) and the bytes say of two trees, and nothing of our engine."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

_BLOCK = 4096
_ZEROS = bytes(_BLOCK)
Facts = dict[str, object]


def facts(top: Path) -> dict[bytes, Facts]:
    """Everything that a backup keeps of every entry below C(top), C(top) itself under C(b".")."""
    root = os.fsencode(top)
    found: dict[bytes, Facts] = {}
    inodes: dict[tuple[int, int], list[bytes]] = {}
    for path in _paths(root):
        status = os.lstat(path)
        name = os.path.relpath(path, root)
        found[name] = _facts(path, status)
        if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            inodes.setdefault((status.st_dev, status.st_ino), []).append(name)
    for names in inodes.values():
        for name in names:
            found[name]["same inode as"] = sorted(names)
    return found


def _paths(root: bytes) -> Iterator[bytes]:
    yield root
    for directory, directories, names in os.walk(root):
        for name in directories + names:
            yield os.path.join(directory, name)


def _facts(path: bytes, status: os.stat_result) -> Facts:
    return {
        "type": stat.S_IFMT(status.st_mode),
        "mode": oct(stat.S_IMODE(status.st_mode)),
        "owner": (status.st_uid, status.st_gid),
        "mtime_ns": status.st_mtime_ns,
        "size": status.st_size if stat.S_ISREG(status.st_mode) else 0,
        "link": os.readlink(path) if stat.S_ISLNK(status.st_mode) else None,
        "xattrs": {name: os.getxattr(path, name, follow_symlinks=False) for name in _xattrs(path)},
        "content": content_digest(path) if stat.S_ISREG(status.st_mode) else None,
    }


def _xattrs(path: bytes) -> list[str]:
    return sorted(os.listxattr(path, follow_symlinks=False))


def content_digest(path: bytes) -> str:
    """Digest of a file's bytes that does not depend on where its holes are, and does not read them."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        at = 0
        while at < size:
            try:
                at = os.lseek(stream.fileno(), at, os.SEEK_DATA) // _BLOCK * _BLOCK
                end = os.lseek(stream.fileno(), at, os.SEEK_HOLE)
            except OSError:  # nothing but a hole up to the end
                break
            while at < end:
                block = os.pread(stream.fileno(), _BLOCK, at)
                if block != _ZEROS[: len(block)]:
                    digest.update(b"%d:" % at + block)
                at += _BLOCK
    return f"{size}:{digest.hexdigest()}"


def differences(
    expected: dict[bytes, Facts], actual: dict[bytes, Facts], *, ignore: Callable[[bytes, str], bool] | None = None
) -> list[str]:
    """What differs, a line each; empty when the trees are the same.

    :param ignore: says for a path and the name of a fact that it may differ
    """
    lines = [f"missing: {path!r}" for path in sorted(expected.keys() - actual.keys())]
    lines += [f"too much: {path!r}" for path in sorted(actual.keys() - expected.keys())]
    for path in sorted(expected.keys() & actual.keys()):
        for key in sorted(expected[path].keys() | actual[path].keys()):
            one, other = expected[path].get(key), actual[path].get(key)
            if one != other and not (ignore and ignore(path, key)):
                lines.append(f"{path[-80:]!r}: {key} is {_short(other)} and should be {_short(one)}")
    return lines


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"
