# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looking a text up in the bytes of an index: the answer of reading line by line, whatever the index looks like."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Union

import pytest
from ansible_collections.cora.backup.plugins.module_utils import index_search
from ansible_collections.cora.backup.plugins.module_utils.errors import IntegrityError
from ansible_collections.cora.backup.plugins.module_utils.index import Entry, Frame, IndexWriter, encode_entry
from ansible_collections.cora.backup.plugins.module_utils.index_scan import lines_with
from ansible_collections.cora.backup.plugins.module_utils.index_search import entries_holding, find_entries, holding
from ansible_collections.cora.backup.plugins.module_utils.vault_file import VaultFile
from support.engine import backup

ODD = ['quote"', "back\\slash", "tab\there", "é", os.fsdecode(b"raw-\xff"), "frame", "line\nend"]
TEXTS = [*ODD, "", "README", "absent", '"type":"file"', "sha256", "cora-index", "offset"]
Outcome = Union[list[Entry], str]


@pytest.fixture
def index(project: Path, vault: Path, tmp_path: Path) -> Path:
    """An index of many kinds of names, which may be changed."""
    for name in ODD:
        (project / name).mkdir()
        (project / name / "inner").write_text("x")
    path = tmp_path / "INDEX.jsonl.gz"
    path.write_bytes((backup(project, vault).path / "INDEX.jsonl.gz").read_bytes())
    return path


def outcome(found: Callable[[], list[Entry]]) -> Outcome:
    try:
        return found()
    except IntegrityError:
        return "damaged"


def check_alike(index: Path, text: str) -> Outcome:
    """That both ways answer alike; returns how."""
    long_way = outcome(lambda: list(find_entries(str(index), holding(text))))
    parsed: dict[str, Entry] = {}
    for _again in range(2):
        assert outcome(lambda: entries_holding(str(index), text, parsed)) == long_way, text
    return long_way


def write(path: Path, lines: list[bytes], end: bytes = b"\n") -> None:
    path.write_bytes(gzip.compress(b"\n".join(lines) + end))


def test_what_is_written_is_found_without_reading_line_by_line(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {text: check_alike(index, text) for text in TEXTS}
    assert {len(expected[text]) for text in ODD if text != "frame"} == {2}
    assert expected["absent"] == []
    monkeypatch.delattr(index_search, "find_entries")
    assert {text: entries_holding(str(index), text, {}) for text in TEXTS} == expected


def test_an_index_of_several_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "INDEX.jsonl.gz"
    entries = [
        Entry(f"directory/of-many/file-{number:06}", "file", 1, 0o644, 0, 0, 1, number // 30, number % 30, 1, "0" * 64)
        for number in range(9000)
    ]
    with VaultFile(str(path)) as stream:
        writer = IndexWriter(stream)
        for entry in entries:
            if entry.at == 0:
                writer.add_frame(Frame(entry.frame, entry.frame * 100, 100, 100, "0" * 64))
            writer.add_entry_text(encode_entry(entry), 1)
        writer.finish()
    assert path.read_bytes().count(b"\x1f\x8b\x08") > 1
    assert check_alike(path, "file-004321") == [entries[4321]]
    assert lines_with(str(path), "file-004321") == [encode_entry(entries[4321]).rstrip("\n")]
    assert entries_holding(str(path), "of-many", {}) == entries
    path.write_bytes(path.read_bytes()[:-200])
    assert check_alike(path, "file-004321") == "damaged"


CHANGED: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "cut": lambda lines: lines[:-1],
    "an entry is missing": lambda lines: lines[:-3] + lines[-2:],
    "an entry twice": lambda lines: [*lines[:-1], lines[-2], lines[-1]],
    "a frame twice": lambda lines: [*lines[:2], lines[1], *lines[2:]],
    "goes on": lambda lines: [*lines, lines[2]],
    "ends twice": lambda lines: [*lines, lines[-1]],
    "ends in the middle": lambda lines: [*lines[:3], lines[-1], *lines[3:-1]],
    "another version": lambda lines: [lines[0].replace(b":1}", b":2}"), *lines[1:]],
    "no header": lambda lines: lines[1:],
    "a header later": lambda lines: [*lines[1:3], lines[0], *lines[3:]],
    "another kind of line": lambda lines: [*lines[:2], b'{"other":1}', *lines[2:]],
    "an empty line": lambda lines: [*lines[:2], b"", *lines[2:]],
    "not a dictionary": lambda lines: [*lines[:2], b"[]", *lines[2:]],
    "not ASCII": lambda lines: [*lines[:2], lines[2].replace(b'"path":"', b'"path":"\xc3\xa9'), *lines[3:]],
    "a number with a nought before it": lambda lines: [line.replace(b'"offset":0', b'"offset":00') for line in lines],
    "a number that is a text": lambda lines: [line.replace(b'"offset":0', b'"offset":"0"') for line in lines],
    "a wanted entry is no JSON": lambda lines: [line.replace(b'"type"', b'"type', 1) for line in lines],
    "keys the other way round": lambda lines: [
        json.dumps(dict(reversed(json.loads(line).items()))).encode() for line in lines
    ],
    "spaces": lambda lines: [json.dumps(json.loads(line)).encode() for line in lines],
    "a very long line": lambda lines: [*lines[:2], lines[2][:-1] + b" " * 600_000 + b"}", *lines[3:]],
}


@pytest.mark.parametrize("how", CHANGED)
def test_changed_lines(how: str, index: Path) -> None:
    lines = gzip.decompress(index.read_bytes()).splitlines()
    write(index, CHANGED[how](lines))
    for text in TEXTS:
        check_alike(index, text)


def test_other_ends(index: Path) -> None:
    raw = index.read_bytes()
    lines = gzip.decompress(raw).splitlines()
    for end in (b"", b"\n\n", b"\n{}"):
        write(index, lines, end)
        check_alike(index, "README")
    for more in (b"\0", b"\0" * 100, b"more", raw):
        index.write_bytes(raw + more)
        check_alike(index, "README")


def test_every_changed_byte(index: Path) -> None:
    raw = index.read_bytes()
    damaged = 0
    for at in range(len(raw)):
        index.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        damaged += check_alike(index, "README") == "damaged"
    assert damaged > len(raw) * 0.9


def test_what_is_no_file(tmp_path: Path, index: Path) -> None:
    assert check_alike(tmp_path / "nothing", "README") == "damaged"
    assert check_alike(tmp_path, "README") == "damaged"
    (tmp_path / "link").symlink_to(index)
    assert check_alike(tmp_path / "link", "README") == "damaged"
