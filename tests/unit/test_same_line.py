# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line of an index that is compared and not parsed: it is taken for the same where parsing would find it the same."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cora.backup.plugins.module_utils.index import Entry, encode_entry, same_line
from ansible_collections.cora.backup.plugins.module_utils.tar_format import DIRECTORY, FILE, HARDLINK, SYMLINK

NAMES = ["plain", 'quo"te', "back\\slash", "ä\udcff", "new\nline", '","type":"dir', "\u2028", "a" * 250]
SHA256 = "ab" * 32


def entry_of(path: Path, kind: str, **changed: Any) -> Entry:
    status = path.lstat()
    size_bytes = status.st_size if kind == FILE else 0
    entry = Entry(
        path.name,
        kind,
        size_bytes,
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
        status.st_mtime_ns,
        frame=3,
        at=512,
        sha256=SHA256 if kind == FILE else None,
        source=(size_bytes, status.st_ctime_ns, status.st_ino),
    )
    return entry._replace(**changed)


def is_same(entry: Entry, path: Path, kind: str) -> bool:
    status = path.lstat()
    size_bytes = status.st_size if kind == FILE else 0
    line = encode_entry(entry).rstrip("\n")
    return same_line(line, path.name, kind, status, size_bytes=size_bytes)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", [FILE, DIRECTORY])
def test_what_did_not_change(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    if kind == FILE:
        path.write_bytes(b"content")
        path.chmod(0o4750)
    else:
        path.mkdir(mode=0o1777)
    os.utime(path, ns=(1, 1_234_567_890_123_456_789))
    assert is_same(entry_of(path, kind), path, kind)
    assert is_same(entry_of(path, kind, frame=123456, at=0, frames=7), path, kind)


def different(entry: Entry) -> dict[str, Entry]:
    size, ctime_ns, inode = entry.source or (0, 0, 0)
    return {
        "path": entry._replace(path=entry.path + "x"),
        "shorter path": entry._replace(path=entry.path[:-1]),
        "size": entry._replace(size_bytes=entry.size_bytes + 10),
        "mode": entry._replace(mode=entry.mode ^ 0o4000),
        "uid": entry._replace(uid=entry.uid + 1),
        "gid": entry._replace(gid=entry.gid + 10),
        "mtime": entry._replace(mtime_ns=entry.mtime_ns - 1),
        "source size": entry._replace(source=(size + 1, ctime_ns, inode)),
        "ctime": entry._replace(source=(size, ctime_ns + 1, inode)),
        "inode": entry._replace(source=(size, ctime_ns, inode * 10)),
        "just written": entry._replace(source=None, fresh=entry.source),
        "nothing known": entry._replace(source=None),
        "database": entry._replace(database=True),
        "database with a log": entry._replace(wal=(1, 2)),
        "cut log": entry._replace(cut_bytes=5),
        "hard link": entry._replace(kind=HARDLINK, link="other"),
        "symbolic link": entry._replace(kind=SYMLINK, link="other"),
        "directory": entry._replace(kind=DIRECTORY),
    }


@pytest.mark.parametrize("what", list(different(Entry("path", FILE, 0, 0, 0, 0, 0, 0, 0))))
def test_what_did_change(tmp_path: Path, what: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    other = different(entry_of(path, FILE))[what]
    assert not is_same(other, path, FILE), encode_entry(other)


def test_no_line_of_another_form_is_taken_for_one(tmp_path: Path) -> None:
    """Keys in another order, blanks, a key more: it is parsed then, as a line of a later version would be."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    line = encode_entry(entry_of(path, FILE)).rstrip("\n")
    status = path.lstat()
    for other in (line.replace(":", ": "), line[:-1] + ',"new":1}', '{"new":1,' + line[1:], line + " ", ""):
        assert not same_line(other, path.name, FILE, status, size_bytes=status.st_size), other
