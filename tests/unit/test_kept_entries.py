# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What did not change is taken out of a frame in which something did, and not read from the project."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils import processes, source_files
from ansible_collections.cora.backup.plugins.module_utils.archive_reader import ArchiveReader, Group
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError
from ansible_collections.cora.backup.plugins.module_utils.kept_entries import KeptEntries, KeptEntry
from ansible_collections.cora.backup.plugins.module_utils.project_archiver import ProjectArchiver
from ansible_collections.cora.backup.plugins.module_utils.scan import Found
from ansible_collections.cora.backup.plugins.module_utils.verify import verify_backup
from support.compare import differences, facts
from support.engine import Made, backup
from support.tools import TAR_EXTRACT, tool

FILES = 200


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of some six frames of many small files, at rest."""
    monkeypatch.setattr(source_files, "_SETTLED_NS", 50_000_000)
    dice = random.Random(3)
    for number in range(FILES):
        path = tmp_path / f"tree/part{number // 20}/file{number:03}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dice.randbytes(dice.randrange(30_000)))
    (tmp_path / "tree/part3/file069.txt").chmod(0o640)
    os.setxattr(tmp_path / "tree/part3/file070.txt", "user.note", b"kept")
    (tmp_path / "tree/part3/a soft link").symlink_to("file070.txt")
    return tmp_path / "tree"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of what is taken from the project."""
    paths: list[str] = []
    take = ProjectArchiver.take

    def noted(self: ProjectArchiver, found: Found) -> None:
        paths.append(found.path)
        take(self, found)

    monkeypatch.setattr(ProjectArchiver, "take", noted)
    return paths


def unpacked(made: Made, target: Path) -> Path:
    target.mkdir()
    tool(*TAR_EXTRACT, made.archive, "-C", target)
    return target


def assert_holds(made: Made, tree: Path, target: Path) -> None:
    """By tar and sha256sum, and by what verifies everything."""
    assert differences(facts(tree), facts(unpacked(made, target))) == []
    tool("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS.txt", cwd=made.path)
    assert verify_backup(str(made.path.parent), made.id)["ok"]


@pytest.mark.parametrize("cores", [1, 2], ids=["threads", "processes"])
def test_one_changed_file_is_the_only_one_that_is_read(
    cores: int, tree: Path, vault: Path, read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "cores", lambda: cores)
    time.sleep(0.06)
    first = backup(tree, vault)
    (tree / "part3/file075.txt").write_bytes(b"other content")
    (tree / "part5/file100.txt").unlink()
    (tree / "part7/file149b.txt").write_bytes(b"new\n" * 5000)
    time.sleep(0.06)
    read.clear()
    second = backup(tree, vault)
    files = {path for path in read if path.endswith(".txt")}
    assert files == {"part3/file075.txt", "part7/file149b.txt"}
    assert len(read) < 20, "directories at the beginning of a frame, and links"
    assert_holds(second, tree, tmp_path / "unpacked")
    before, after = first.entries, second.entries
    same = before.keys() & after.keys() - {"part3/file075.txt", ".", "part5", "part7"}
    place = {"frame", "at", "fresh", "source"}
    assert [{k: v for k, v in before[path].items() if k not in place} for path in sorted(same)] == [
        {k: v for k, v in after[path].items() if k not in place} for path in sorted(same)
    ]
    third = backup(tree, vault)
    assert third.archive.read_bytes() == second.archive.read_bytes(), "what was kept can be taken over the next time"


def test_where_all_files_changed_no_frame_is_unpacked(tree: Path, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    time.sleep(0.06)
    backup(tree, vault)
    for path in tree.glob("*/*.txt"):
        path.write_bytes(path.read_bytes()[::-1])
    time.sleep(0.06)
    monkeypatch.setattr(processes, "cores", lambda: 1)
    monkeypatch.setattr(ArchiveReader, "frame", lambda _self, _frame: pytest.fail("a frame was unpacked"))
    assert backup(tree, vault).report["reused"]["damaged"] == 0


@pytest.mark.parametrize("cores", [1, 2], ids=["threads", "processes"])
def test_a_damaged_frame_is_not_kept_from(
    cores: int, tree: Path, vault: Path, read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "cores", lambda: cores)
    time.sleep(0.06)
    first = backup(tree, vault)
    (tree / "part3/file075.txt").write_bytes(b"other content")
    number = first.entries["part3/file075.txt"]["frame"]
    frame = next(line for line in first.index if line.get("frame") == number and "offset" in line)
    tool("chattr", "-i", first.archive)
    with first.archive.open("r+b") as stream:
        stream.seek(frame["offset"] + frame["length"] // 2)
        byte = stream.read(1)
        stream.seek(-1, os.SEEK_CUR)
        stream.write(bytes([byte[0] ^ 0x40]))
    time.sleep(0.06)
    read.clear()
    second = backup(tree, vault)
    in_frame = {path for path, line in first.entries.items() if line["frame"] == number}
    assert in_frame <= set(read), "all that stood in the damaged frame is read"
    assert second.report["reused"]["damaged"] == 1
    assert second.report["reused"]["frames"] > 0
    assert first.id in " ".join(second.result["warnings"])
    assert_holds(second, tree, tmp_path / "unpacked")


# --- out of a frame


@pytest.fixture
def opened(tree: Path, vault: Path) -> tuple[ArchiveReader, Group]:
    """An archive, and a group of many entries in it."""
    reader = ArchiveReader(str(backup(tree, vault).path))
    return reader, next(group for group in reader.unread_groups() if len(group.lines) > 10)


def test_an_entry_is_its_bytes_in_the_frame(opened: tuple[ArchiveReader, Group]) -> None:
    reader, group = opened
    with reader:
        kept = KeptEntries(reader)
        pieces = [
            kept.take(KeptEntry(group.frames[0], group.lines, number, 0), 7, 512 * number)
            for number in range(len(group.lines))
        ]
        assert b"".join(content for content, _line in pieces) == reader.frame(group.frames[0])
        for number, (_content, line) in enumerate(pieces):
            old, new = reader.entry_of(group.lines[number]), reader.entry_of(line.rstrip("\n"))
            assert new == old._replace(frame=7, at=512 * number)
            assert line.endswith("}\n")


@pytest.mark.parametrize("wrong", ["order", "beyond", "no place", "not at the beginning"])
def test_an_index_that_does_not_fit_the_frame_is_refused(wrong: str, opened: tuple[ArchiveReader, Group]) -> None:
    reader, group = opened
    lines = list(group.lines)
    if wrong == "order":
        lines[3], lines[4] = lines[4], lines[3]
    elif wrong == "beyond":
        lines[-1] = lines[-1].replace('"at":', '"at":9999')
    elif wrong == "no place":
        lines[5] = lines[5].replace('"at":', '"At":')
    else:
        del lines[0]
    with reader, pytest.raises(IntegrityError):
        KeptEntries(reader).take(KeptEntry(group.frames[0], lines, 2, 0), 0, 0)


def test_a_path_that_looks_like_a_place_is_none(tmp_path: Path, vault: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_files, "_SETTLED_NS", 50_000_000)
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in (',"frame":1,"at":2', "b", "c\udcff", 'd"\\,"frame":3,"at":4'):
        Path(os.fsdecode(os.fsencode(f"{tree}/{name}"))).write_text(f"content of {name!r}")
    time.sleep(0.06)
    backup(tree, vault)
    (tree / "b").write_text("changed")
    time.sleep(0.06)
    assert_holds(backup(tree, vault), tree, tmp_path / "unpacked")
