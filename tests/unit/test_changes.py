# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as changed, decided by an index entry and a look at the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.changes import ChangeFinder, Changes, is_unchanged
from ansible_collections.cora.backup.plugins.module_utils.index import Entry
from ansible_collections.cora.backup.plugins.module_utils.layout import decode_paths, encode_paths, sha256_of
from ansible_collections.cora.backup.plugins.module_utils.names import path_key, to_text
from ansible_collections.cora.backup.plugins.module_utils.patterns import PathFilter
from ansible_collections.cora.backup.plugins.module_utils.scan import Found, ScanNotes, kind_of, walk
from ansible_collections.cora.backup.plugins.module_utils.settings import BackupSettings
from ansible_collections.cora.backup.plugins.module_utils.source import single
from support.engine import backup


def entry_of(path: Path, **changed: object) -> Entry:
    """The entry of a file that was read when it had been at rest for long."""
    status = path.lstat()
    identity = (status.st_size, status.st_ctime_ns, status.st_ino)
    entry = Entry(
        path.name, "file", status.st_size, status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_mtime_ns, 0,
        0, sha256=sha256_of(path.read_bytes()), source=identity,
    )  # fmt: skip
    return entry._replace(**changed)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "unchanged"),
    [
        ({}, True),
        ({"mode": 0o600}, False),
        ({"uid": 77}, False),
        ({"gid": 77}, False),
        ({"mtime_ns": 1}, False),
        ({"kind": "dir"}, False),
        ({"source": (7, 0, 0)}, False),
        ({"source": None}, True),  # an older index: by content
        ({"source": None, "sha256": "0" * 64}, False),
        ({"source": None, "size_bytes": 1}, False),
        ({"source": None, "fresh": (7, 0, 0)}, False),
        ({"source": None, "database": True}, False),
        ({"source": None, "cut_bytes": 1}, False),
        ({"database": True}, True),
        ({"database": True, "wal": (1, 1)}, False),
    ],
)
def test_is_unchanged(tmp_path: Path, changed: dict[str, object], unchanged: bool) -> None:
    path = tmp_path / "file"
    path.write_text("content\n")
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        status = path.lstat()
        found = Found("file", b"file", directory, kind_of(status.st_mode) or "", status)
        assert is_unchanged(entry_of(path, **changed), found) is unchanged
    finally:
        os.close(directory)


def test_fresh_and_equal_is_decided_by_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("content\n")
    entry = entry_of(path)
    fresh = entry._replace(source=None, fresh=entry.source)
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        found = Found("file", b"file", directory, "file", path.lstat())
        assert is_unchanged(fresh, found)
        assert not is_unchanged(fresh._replace(sha256="0" * 64), found)
    finally:
        os.close(directory)


def changes(project: Path, vault: Path, base: Path) -> Changes:
    return ChangeFinder(BackupSettings(project=str(project), vault=str(vault)), single(str(base))).run()


def test_the_directories_above_what_changed_come_along(project: Path, vault: Path) -> None:
    (project / "a/b/c").mkdir(parents=True)
    (project / "a/b/c/old").write_text("x\n")
    (project / "a/other").write_text("x\n")
    made = backup(project, vault)
    assert changes(project, vault, made.path) == Changes(critical=["AI_WORK_LOG.md", "README.md"])
    with (project / "a/b/c/old").open("a") as stream:
        stream.write("more\n")
    found = changes(project, vault, made.path)
    assert found.paths == [".", "a", "a/b", "a/b/c", "a/b/c/old"]
    assert (found.size_bytes, found.deleted, found.since_last) == (7, [], True)


def test_paths_of_a_checkpoint_are_in_the_order_of_a_walk(tmp_path: Path) -> None:
    for name in ("!first", "#a", "-rf", "a", "a.b", "a/c", "~"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if not (tmp_path / name).exists():
            (tmp_path / name).mkdir()
    walked = [found.path for found in walk(str(tmp_path), PathFilter(()), ScanNotes())]
    assert walked == sorted(walked, key=path_key)
    assert walked[0] == "."


@pytest.mark.parametrize("raw", [b"plain", b"new\nline", b"\\n", b"\\", b"end\\", b"\xff\xfe", b"\r", b"a\\\nb"])
def test_deleted_paths_survive_their_file(raw: bytes) -> None:
    paths = [to_text(raw), "other"]
    assert decode_paths(encode_paths(paths)) == paths
