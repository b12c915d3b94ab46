# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""INDEX.jsonl.gz: what a person with dd and gunzip finds where it says."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import zlib
from pathlib import Path

import pytest
from support.engine import Document, Made, backup
from support.tools import tool
from support.trees import MIB, fill, make_hard_project, make_random_project, make_sparse

TYPES = {"file": tarfile.REGTYPE, "hardlink": tarfile.LNKTYPE, "symlink": tarfile.SYMTYPE, "dir": tarfile.DIRTYPE,
         "fifo": tarfile.FIFOTYPE}  # fmt: skip


@pytest.fixture(scope="module")
def top(scratch: Path) -> Path:
    path = scratch / "indexed"
    make_hard_project(path)
    make_random_project(path / "random", 99)
    return path


@pytest.fixture(scope="module")
def made(top: Path, scratch: Path) -> Made:
    return backup(top, scratch / "indexed-vault", exclude=())


def name(entry: Document) -> bytes:
    path: str = entry["path"]
    return path.encode("utf-8", "surrogateescape")


def cut(made: Made, frame: Document) -> bytes:
    """One frame, taken out as the documentation tells a person to."""
    argv = ["dd", f"if={made.archive}", f"skip={frame['offset']}", f"count={frame['length']}", "status=none",
            "iflag=skip_bytes,count_bytes", "bs=1M"]  # fmt: skip
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as dd:
        data = subprocess.run(["gunzip"], stdin=dd.stdout, capture_output=True, check=True).stdout
    assert dd.returncode == 0
    return data


def test_every_path_is_there_once_and_sorted(made: Made, top: Path) -> None:
    found = tool("find", ".", "-print0", cwd=top).split(b"\0")[:-1]
    expected = sorted((path[2:] or b"." for path in found), key=lambda path: (path != b".", path.split(b"/")))
    assert [name(line) for line in made.index if "path" in line] == expected


def test_lines_come_in_the_documented_order(made: Made) -> None:
    first, *middle, last = made.index
    assert first == {"format": "cora-index", "version": 1}
    counts = {"entries": len([line for line in middle if "path" in line]), "frames": len(made.frames)}
    assert last == {"end": True, **counts}
    assert [frame["frame"] for frame in made.frames] == list(range(len(made.frames)))


def test_frames_are_the_whole_archive(made: Made) -> None:
    at = 0
    for frame in made.frames:
        assert frame["offset"] == at
        at += frame["length"]
    assert at == made.archive.stat().st_size


@pytest.mark.slow
def test_every_member_decompresses_alone_to_its_size(made: Made, tmp_path: Path) -> None:
    data = made.archive.read_bytes()
    whole = []
    for frame in made.frames:
        part = data[frame["offset"] : frame["offset"] + frame["length"]]
        unpacker = zlib.decompressobj(wbits=31)
        content = unpacker.decompress(part)
        assert (unpacker.eof, unpacker.unused_data, len(content)) == (True, b"", frame["size"])
        (tmp_path / str(frame["frame"])).write_bytes(part)
        whole.append(content)
    listing = tool("sha256sum", *[str(frame["frame"]) for frame in made.frames], cwd=tmp_path).decode()
    assert [line.split()[0] for line in listing.splitlines()] == [frame["sha256"] for frame in made.frames]
    assert tool("gzip", "-dc", made.archive) == b"".join(whole)


def test_frames_hold_what_the_index_says_where_it_says(made: Made, top: Path) -> None:
    by_number = {frame["frame"]: frame for frame in made.frames}
    number, stream = -1, io.BytesIO()
    for entry in made.entries.values():
        if entry["frame"] != number:
            number = entry["frame"]
            needed = range(number, number + entry.get("frames", 1))
            stream = io.BytesIO(b"".join(cut(made, by_number[one]) for one in needed))
        stream.seek(entry["at"])
        with tarfile.open(fileobj=stream, mode="r:", errors="surrogateescape") as archive:
            member = archive.next()
            assert member is not None
            assert (os.fsencode(member.name), member.type) == (name(entry), TYPES[entry["type"]])
            assert (f"{member.mode:04o}", member.uid, member.gid) == (entry["mode"], entry["uid"], entry["gid"])
            if member.isreg():
                assert member.size == entry["size"]


def test_digests_are_those_of_sha256sum(made: Made, top: Path) -> None:
    files = [entry for entry in made.entries.values() if entry["type"] == "file"]
    lines = b"".join(entry["sha256"].encode() + b"  " + name(entry) + b"\0" for entry in files)
    listing = tool("sha256sum", "--zero", "--", *[name(entry) for entry in files], cwd=top)
    assert listing == lines


def test_entries_repeat_what_lstat_says(made: Made, top: Path) -> None:
    for entry in made.entries.values():
        status = os.lstat(os.path.join(os.fsencode(top), name(entry)))
        assert (entry["uid"], entry["gid"], entry["mtime_ns"]) == (status.st_uid, status.st_gid, status.st_mtime_ns)
        assert int(entry["mode"], 8) == status.st_mode & 0o7777
        if entry["type"] == "symlink":
            assert entry["link"].encode("utf-8", "surrogateescape") == os.readlink(
                os.path.join(os.fsencode(top), name(entry))
            )


def test_shared_frames_are_about_a_mebibyte_and_own_ones_at_most_four(made: Made) -> None:
    owners: dict[int, list[Document]] = {}
    for entry in made.entries.values():
        owners.setdefault(entry["frame"], []).append(entry)
    for frame in made.frames:
        shared = len(owners.get(frame["frame"], ())) > 1
        assert frame["size"] <= (3 * MIB if shared else 4 * MIB)
    large = made.entries["sizes/16777217"]
    assert (large["frames"], large["at"]) == (5, 0)


@pytest.mark.parametrize("size", [MIB, MIB + 1, 4 * MIB - 512, 4 * MIB - 511, 4 * MIB, 16 * MIB, 16 * MIB + 1])
def test_number_of_frames_where_sizes_meet_their_borders(size: int, tmp_path: Path, vault: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    fill(os.fsencode(project / "file"), size)
    made = backup(project, vault)
    entry = made.entries["file"]
    held = entry.get("frames", 1)
    sizes = [frame["size"] for frame in made.frames][entry["frame"] : entry["frame"] + held]
    assert sum(sizes) >= 512 + size
    assert held == (1 if size <= MIB else -(-sum(sizes) // (4 * MIB)))
    assert all(one == 4 * MIB for one in sizes[:-1])
    tool("tar", "-dzf", made.archive, "-C", project)


def test_names_that_are_not_utf8_survive_in_the_index(tmp_path: Path, vault: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / os.fsdecode(b"\xff\xe9")).write_bytes(b"x")
    made = backup(project, vault)
    assert "\udcff\udce9" in made.entries
    assert (made.path / "INDEX.jsonl.gz").read_bytes()[:2] == b"\x1f\x8b"


def test_sparse_file_says_its_apparent_size(tmp_path: Path, vault: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    make_sparse(os.fsencode(project / "sparse"), 100 * MIB, ((50 * MIB, 4096),))
    made = backup(project, vault)
    assert made.entries["sparse"]["size"] == 100 * MIB
    assert made.report["size_bytes"] == 100 * MIB
    assert made.report["stored_bytes"] < 20000
    assert made.archive.stat().st_size < 20000
