# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which processes use a file or stand in a directory, read from C(/proc).

Files are compared by device and inode, never by name: a process in a container sees the same file under another
name. A caller who is not root sees only its own processes; what cannot be looked at is left out without an error.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .names import to_bytes, to_text

Inode = tuple[int, int]

_DEEPEST_DIRECTORY = 256


@dataclass(frozen=True)
class Holder:
    """A process and what it uses: C(path) is the path that was asked about, or the directory the process stands in."""

    pid: int
    name: str
    path: str


def holders(paths: Iterable[str]) -> list[Holder]:
    """Processes other than this one that hold one of C(paths) open or mapped; paths that are not there are ignored."""
    wanted: dict[Inode, str] = {}
    for path in paths:
        inode = _inode(path, follow=False)
        if inode is not None:
            wanted.setdefault(inode, path)
    if not wanted:
        return []
    found = []
    for pid in _other_processes():
        used = sorted({wanted[inode] for inode in _used_by(pid, wanted)}, key=to_bytes)
        found += [Holder(pid, _name(pid), path) for path in used]
    return found


def processes_inside(directory: str) -> list[Holder]:
    """Processes other than this one whose working directory or root is C(directory) or lies below it."""
    wanted = _inode(directory, follow=True)
    if wanted is None:
        return []
    found = []
    for pid in _other_processes():
        for link in ("cwd", "root"):
            if _is_below(f"/proc/{pid}/{link}", wanted):
                found.append(Holder(pid, _name(pid), _target(f"/proc/{pid}/{link}")))
                break
    return found


def ancestors() -> set[int]:
    """The process ids of this process's parents: the shell that started it may well stand in the project."""
    pids: set[int] = set()
    pid = os.getppid()
    while pid > 0 and pid not in pids:
        pids.add(pid)
        pid = _parent(pid)
    return pids


def _other_processes() -> Iterator[int]:
    own = os.getpid()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != own:
            yield int(entry)


def _inode(path: str, *, follow: bool) -> Inode | None:
    try:
        status = os.stat(path, follow_symlinks=follow)
    except OSError:  # gone, or not ours to look at
        return None
    return status.st_dev, status.st_ino


def _used_by(pid: int, wanted: dict[Inode, str]) -> Iterator[Inode]:
    directory = f"/proc/{pid}/fd"
    try:
        entries = os.listdir(directory)
    except OSError:
        return
    for entry in entries:
        inode = _inode(f"{directory}/{entry}", follow=True)
        if inode in wanted:
            yield inode
    yield from _mapped_by(pid, wanted)


def _mapped_by(pid: int, wanted: dict[Inode, str]) -> Iterator[Inode]:
    # The device in this table is the file system's, which on Btrfs and overlayfs is not what stat() says: the inode
    # number only picks the lines worth a second look.
    numbers = {inode[1] for inode in wanted}
    try:
        with open(f"/proc/{pid}/maps", "rb") as table:
            lines = table.read().splitlines()
    except OSError:
        return
    for line in lines:
        fields = line.split(None, 5)
        if len(fields) < 6 or int(fields[4]) not in numbers:
            continue
        mapped = _inode(f"/proc/{pid}/map_files/{_map_name(fields[0])}", follow=True)
        if mapped is not None:
            if mapped in wanted:
                yield mapped
            continue
        for inode, path in wanted.items():  # map_files is for root alone: the name must do
            if inode[1] == int(fields[4]) and fields[5] == to_bytes(path):
                yield inode


def _map_name(addresses: bytes) -> str:
    # maps pads addresses with zeros, map_files does not.
    return "-".join(f"{int(part, 16):x}" for part in addresses.split(b"-"))


def _is_below(link: str, wanted: Inode) -> bool:
    """Whether C(link), or a directory above it, is the one wanted: the kernel sees through bind mounts."""
    try:
        status = os.stat(link)
    except OSError:
        return False
    if status.st_nlink == 0:
        return False  # it was removed under the process
    current: Inode | None = (status.st_dev, status.st_ino)
    path = link
    for _unused in range(_DEEPEST_DIRECTORY):
        if current == wanted:
            return True
        path += "/.."
        above = _inode(path, follow=True)
        if above is None or above == current:
            return False
        current = above
    return False


def _target(link: str) -> str:
    try:
        return to_text(os.readlink(os.fsencode(link)))
    except OSError:
        return link


def _name(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return to_text(file.read().rstrip(b"\n"))
    except OSError:
        return "?"


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name stands in parentheses and may hold anything, parentheses too: the fields follow the last one.
            return int(file.read().rsplit(b")", 1)[1].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
