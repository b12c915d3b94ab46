# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What did not change is taken out of a frame in which something did, and not read from the project."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
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
from support.tools import TAR_EXTRACT, flip, tool
from support.trees import MIB, fill

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


@pytest.fixture(params=[1, 2], ids=["threads", "processes"])
def cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames are built in threads, and in processes."""
    monkeypatch.setattr(processes, "cores", lambda: request.param)


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


def damage(path: Path, at: int) -> None:
    """Flip a bit of a sealed file."""
    tool("chattr", "-i", path)
    flip(path, at)


def unpacked(made: Made, target: Path) -> Path:
    target.mkdir()
    tool(*TAR_EXTRACT, made.archive, "-C", target)
    return target


def assert_holds(made: Made, tree: Path, target: Path) -> None:
    """By tar and sha256sum, and by what verifies everything."""
    assert differences(facts(tree), facts(unpacked(made, target))) == []
    tool("sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS.txt", cwd=made.path)
    assert verify_backup(str(made.path.parent), made.id)["ok"]


@pytest.mark.usefixtures("cores")
def test_one_changed_file_is_the_only_one_that_is_read(
    tree: Path, vault: Path, read: list[str], tmp_path: Path
) -> None:
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


@pytest.mark.usefixtures("cores")
def test_a_damaged_frame_is_not_kept_from(tree: Path, vault: Path, read: list[str], tmp_path: Path) -> None:
    time.sleep(0.06)
    first = backup(tree, vault)
    (tree / "part3/file075.txt").write_bytes(b"other content")
    number = first.entries["part3/file075.txt"]["frame"]
    frame = next(line for line in first.index if line.get("frame") == number and "offset" in line)
    damage(first.archive, frame["offset"] + frame["length"] // 2)
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
            kept.take(KeptEntry(group.frames[0], line, after, 0), 7, 512 * number)
            for number, (line, after) in enumerate(zip(group.lines, [*group.lines[1:], ""], strict=True))
        ]
        assert b"".join(content for content, _line in pieces) == reader.frame(group.frames[0])
        for number, (_content, line) in enumerate(pieces):
            old, new = reader.entry_of(group.lines[number]), reader.entry_of(line.rstrip("\n"))
            assert new == old._replace(frame=7, at=512 * number)
            assert line.endswith("}\n")


def moved_by(line: str, by: int) -> str:
    return re.sub(r'"at":(\d+)', lambda place: f'"at":{int(place[1]) + by}', line)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda here, after: (after, here),
        lambda here, after: (here, ""),
        lambda here, after: (here, here),
        lambda here, after: (moved_by(here, 7), after),
        lambda here, after: (moved_by(here, 512), after),
        lambda here, after: (here, moved_by(after, 512)),
        lambda here, after: (here, moved_by(after, 10_000_000)),
        lambda here, after: (here.replace('"at":', '"At":'), after),
        lambda here, after: (here, re.sub(r'"at":\d+', '"at":' + 5000 * "9", after)),
        lambda here, after: (here.replace('"mode":"0644"', '"mode":"0600"'), after),
    ],
)
def test_an_index_that_does_not_fit_the_frame_is_refused(
    wrong: Callable[[str, str], tuple[str, str]], opened: tuple[ArchiveReader, Group]
) -> None:
    reader, group = opened
    with reader:
        KeptEntries(reader).take(KeptEntry(group.frames[0], group.lines[4], group.lines[5], 0), 0, 0)
        line, next_line = wrong(group.lines[4], group.lines[5])
        with pytest.raises(IntegrityError):
            KeptEntries(reader).take(KeptEntry(group.frames[0], line, next_line, 0), 0, 0)


def test_what_is_kept_does_not_keep_the_frame_in_memory(opened: tuple[ArchiveReader, Group]) -> None:
    """Few may be left in each of hundreds of frames."""
    reader, group = opened
    with reader:
        content, _line = KeptEntries(reader).take(KeptEntry(group.frames[0], group.lines[4], group.lines[5], 0), 0, 0)
    assert isinstance(content, bytes)


def test_a_file_of_its_own_frame_stays_there_where_its_neighbour_is_damaged(
    tmp_path: Path, vault: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_files, "_SETTLED_NS", 50_000_000)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "a.txt").write_text("small\n")
    fill(bytes(tree / "b.bin"), 4 * MIB - 2048)
    time.sleep(0.06)
    first = backup(tree, vault)
    damage(first.archive, 100)
    second = backup(tree, vault)
    assert second.report["reused"]["damaged"] == 1
    assert [first.entries["b.bin"][key] for key in ("frame", "at")] == [
        second.entries["b.bin"][key] for key in ("frame", "at")
    ]
    assert_holds(second, tree, tmp_path / "unpacked")


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
