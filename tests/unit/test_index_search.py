# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A few entries out of an index: the same as parsing all of it and taking those, and as careful."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.cora.backup.plugins.module_utils.archive_reader import ArchiveReader, groups_at
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError
from ansible_collections.cora.backup.plugins.module_utils.index import Entry, Frame, read_index
from ansible_collections.cora.backup.plugins.module_utils.index_search import (
    LineFilter,
    anything,
    at,
    at_or_below,
    find_entries,
    find_frames,
    holding,
)
from ansible_collections.cora.backup.plugins.module_utils.names import printable
from support.engine import Made, backup, restore
from support.tools import tool
from support.trees import MIB

ODD = [
    'quote"',
    'quote","type":"x',
    "back\\slash",
    "tab\there",
    "é",
    "\N{PILE OF POO}",
    os.fsdecode(b"raw-\xff"),
    "a:b",
]


@pytest.fixture
def made(project: Path, vault: Path) -> Made:
    for name in ODD:
        (project / name).mkdir()
        (project / name / "inner").write_text(name.encode("utf-8", "surrogateescape").hex())
        (project / name / "link").symlink_to("inner")
        (project / f"{name}-beside").hardlink_to(project / name / "inner")
    for number in range(40):
        (project / f"many-{number}").write_text(str(number))
    (project / "large").write_bytes(os.urandom(9 * MIB))
    return backup(project, vault)


def everything(index: str) -> list[Entry]:
    return [line for line in read_index(index) if isinstance(line, Entry)]


def index_of(made: Made) -> str:
    return str(made.path / "INDEX.jsonl.gz")


def test_filters_let_pass_what_is_meant_and_little_else(made: Made) -> None:
    entries = everything(index_of(made))
    assert list(find_entries(index_of(made), anything)) == entries

    paths = [entry.path for entry in entries]

    def found(passes: LineFilter) -> list[str]:
        return [entry.path for entry in find_entries(index_of(made), passes)]

    for path in paths:
        assert found(at([path])) == [path]
        meant = {other for other in paths if path == "." or f"{other}/".startswith(f"{path}/")}
        assert meant <= set(found(at_or_below([path])))
        assert meant <= set(found(at_or_below([printable(path)])))
        assert {other for other in paths if path in other} <= set(found(holding(path)))
    assert found(at(paths[::2])) == paths[::2]
    assert found(at(["absent", "many"])) == []
    assert len(found(at_or_below(["many-1"]))) == 11


def test_frames_and_groups_are_those_of_the_whole_index(made: Made) -> None:
    assert list(find_frames(index_of(made))) == [line for line in read_index(index_of(made)) if isinstance(line, Frame)]
    with ArchiveReader(str(made.path)) as reader:
        groups = list(reader.groups())
        paths = {"large", "many-3"}
        assert list(reader.groups_at(paths)) == [g for g in groups if paths & {entry.path for entry in g.entries}]
        assert not list(reader.groups_at({"absent"}))


BROKEN: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "cut": lambda lines: lines[:-1],
    "an entry is missing": lambda lines: lines[:-3] + lines[-2:],
    "goes on": lambda lines: [*lines, lines[2]],
    "another version": lambda lines: [lines[0].replace(b":1}", b":2}"), *lines[1:]],
    "another kind of line": lambda lines: [*lines[:2], b'{"other":1}', *lines[2:]],
    "not a dictionary": lambda lines: [*lines[:2], b"[]", *lines[2:]],
    "no JSON": lambda lines: [*lines[:2], b"\0\0", *lines[2:]],
    "a frame moved": lambda lines: [line.replace(b'"offset":0', b'"offset":1') for line in lines],
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_damaged_index_is_told(damage: str, made: Made, tmp_path: Path) -> None:
    lines = gzip.decompress(Path(index_of(made)).read_bytes()).splitlines()
    broken = tmp_path / "INDEX.jsonl.gz"
    broken.write_bytes(gzip.compress(b"\n".join(BROKEN[damage](lines)) + b"\n"))
    with pytest.raises(IntegrityError):
        list(groups_at(str(broken), {"absent"}))
    broken.write_bytes(Path(index_of(made)).read_bytes()[:-30])
    with pytest.raises(IntegrityError):
        list(find_entries(str(broken), at({"absent"})))


def test_a_line_that_is_written_otherwise_is_found_too(made: Made, tmp_path: Path) -> None:
    lines = gzip.decompress(Path(index_of(made)).read_bytes()).splitlines()
    other = tmp_path / "INDEX.jsonl.gz"
    loose = [json.dumps(dict(reversed(json.loads(line).items()))).encode() for line in lines]
    other.write_bytes(gzip.compress(b"\n".join(loose) + b"\n"))
    paths = [entry.path for entry in everything(index_of(made))]
    for passes in (at(paths[:3]), at(paths), at_or_below(paths[:3])):
        assert [entry.path for entry in find_entries(str(other), passes)] == paths


def test_a_file_comes_back_by_name_from_an_archive_that_was_cut(made: Made, project: Path, vault: Path) -> None:
    tool("chattr", "-i", made.archive)
    os.truncate(made.archive, made.archive.stat().st_size - 100)
    (project / "README.md").write_text("newer")
    assert restore(vault, scenario="files", files=("README.md",))["changed"]
    assert (project / "README.md").read_text() == "# readme\n"
    (project / "many-7").unlink()
    with pytest.raises(IntegrityError, match="damaged"):
        restore(vault, scenario="files", files=("many-7",))
    assert not (project / "many-7").exists()
