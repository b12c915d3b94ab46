# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""INDEX.jsonl.gz: what an archive holds, and where; JSON lines, compressed.

Lines, in this order (docs/vault-format.md has an example of each):

- one header, C({"format": "cora-index", "version": 1});
- for every frame of the archive a frame line, and after it (for an entry of several frames: after the last of them) a
line for each entry that begins there. Entries are sorted as a tree is walked, see :func:`.names.path_key`; - one end
line with the number of entries and frames, so that a cut index is seen.

A path that is not UTF-8 stands with a lone surrogate (C(\\udc80) to C(\\udcff)) for each byte that is not.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii as _quoted
from operator import itemgetter
from typing import Any, NamedTuple, Optional, Union

from .errors import IntegrityError
from .gzip_frames import STREAM_ERRORS, compress, open_stream
from .layout import open_artifact
from .vault_file import VaultFile

FORMAT = "cora-index"
VERSION = 1
_BUFFER_BYTES = 1024 * 1024
#: So much is read at a time, and no line is longer.
READ_BYTES = 256 * 1024
#: What reading a damaged index raises.
READ_ERRORS: tuple[type[Exception], ...] = (*STREAM_ERRORS, ValueError, RecursionError)


class Frame(NamedTuple):
    """One gzip member of the archive.

    :param number: counted from 0
    :param offset: of its first byte in the archive
    :param length_bytes: compressed
    :param size_bytes: uncompressed
    :param sha256: of the compressed bytes
    """

    number: int
    offset: int
    length_bytes: int
    size_bytes: int
    sha256: str


class Entry(NamedTuple):
    """One entry of the archive, as the index has it.

    :param size_bytes: of the file as a restore writes it
    :param sha256: of that content; None for what has none
    :param frame: number of the frame in which its header stands
    :param at: offset of its header in the uncompressed frame
    :param frames: how many frames it spans
    :param source: size, ctime_ns and inode of the file when it was read, to tell later whether it changed; None
        where it had just been written, so that another write in the same tick of the clock would not show
    :param fresh: the same where C(source) is None for that reason: what differs did change, what is equal may have
    :param wal: size and mtime_ns of a database's write-ahead log at that time; None where it had none
    :param database: it is the consistent copy of an SQLite database
    :param cut_bytes: how much of the beginning of a log was left out
    """

    path: str
    kind: str
    size_bytes: int
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    frame: int
    at: int
    frames: int = 1
    sha256: Optional[str] = None
    link: str = ""
    source: Optional[tuple[int, int, int]] = None
    wal: Optional[tuple[int, int]] = None
    database: bool = False
    cut_bytes: int = 0
    fresh: Optional[tuple[int, int, int]] = None


_required = itemgetter("path", "type", "size", "mode", "uid", "gid", "mtime_ns", "frame", "at")
#: How :func:`encode_entry` begins a line.
ENTRY_START = '{"path":'
#: How :class:`IndexWriter` writes the first line and the last.
HEADER_LINE = f'{{"format":"{FORMAT}","version":{VERSION}}}'
END_LINE = '{{"end":true,"entries":{entries},"frames":{frames}}}'
_PLACE = re.compile(r',"frame":[0-9]{1,18},"at":([0-9]{1,18})')
_KEYS_OF_A_FILE = 11  # of nearly every line: the required ones, source and sha256


def encode_entry(entry: Entry) -> str:
    """The line of an entry, ASCII only; what says nothing is left out.

    Formatted by hand: it is done once a file, and C(json.dumps) of a dictionary takes four times as long.
    """
    parts = [f'{line_start(*entry[:7])}{entry.frame},"at":{entry.at}']
    if entry.frames > 1:
        parts.append(f',"frames":{entry.frames}')
    if entry.sha256:
        parts.append(f',"sha256":"{entry.sha256}"')
    if entry.link:
        parts.append(f',"link":{_quoted(entry.link)}')
    if entry.source:
        size, ctime_ns, inode = entry.source
        parts.append(f',"source":[{size},{ctime_ns},{inode}]')
    if entry.fresh:
        size, ctime_ns, inode = entry.fresh
        parts.append(f',"fresh":[{size},{ctime_ns},{inode}]')
    if entry.wal:
        parts.append(f',"wal":[{entry.wal[0]},{entry.wal[1]}]')
    if entry.database:
        parts.append(',"database":true')
    if entry.cut_bytes:
        parts.append(f',"cut_bytes":{entry.cut_bytes}')
    parts.append("}\n")
    return "".join(parts)


def line_start(path: str, kind: str, size_bytes: int, mode: int, uid: int, gid: int, mtime_ns: int) -> str:
    """How the line of such an entry begins: all before the number of its frame."""
    return (
        f'{{"path":{_quoted(path)},"type":"{kind}","size":{size_bytes},"mode":"{mode:04o}",'
        f'"uid":{uid},"gid":{gid},"mtime_ns":{mtime_ns},"frame":'
    )


def same_line(line: str, path: str, kind: str, status: os.stat_result, *, size_bytes: int) -> bool:
    """Whether a line is the one that :func:`encode_entry` makes of such a file or directory, digest and position aside.

    Never so for what needs more to be told: links, databases, cut logs, what had just been written. To compare takes a
    fifth of the time that parsing a line does, and most lines of most indexes are of what did not change.

    :param size_bytes: of a file; 0 for a directory
    """
    mode, uid, gid, mtime_ns = status.st_mode & 0o7777, status.st_uid, status.st_gid, status.st_mtime_ns
    return line.endswith(f',"source":[{size_bytes},{status.st_ctime_ns},{status.st_ino}]}}') and line.startswith(
        line_start(path, kind, size_bytes, mode, uid, gid, mtime_ns)
    )


def _encode_line(line: dict[str, Any]) -> str:
    return json.dumps(line, separators=(",", ":")) + "\n"


def entry_of_line(line: dict[str, Any]) -> Entry:
    """The entry of a parsed line.

    :raises KeyError, TypeError, ValueError, IndexError: when it is none
    """
    get = line.get
    path, kind, size_bytes, mode, uid, gid, mtime_ns, frame, at = _required(line)
    source, sha256 = get("source"), get("sha256")
    # numbers that are numbers, texts that are texts: anything else is a TypeError here, and not later
    size_bytes | uid | gid | mtime_ns | frame | at | get("frames", 1)
    path + kind + (sha256 or "")
    # by position: the names cost as much again as the entry
    if source and sha256 and len(line) == _KEYS_OF_A_FILE:
        seen = source[0], source[1], source[2]
        return Entry(path, kind, size_bytes, int(mode, 8), uid, gid, mtime_ns, frame, at, 1, sha256, "", seen)
    wal, fresh = get("wal"), get("fresh")
    get("link", "") + ""
    return Entry(
        path,
        kind,
        size_bytes,
        int(mode, 8),
        uid,
        gid,
        mtime_ns,
        frame,
        at,
        get("frames", 1),
        sha256,
        get("link", ""),
        (source[0], source[1], source[2]) if source else None,
        (wal[0], wal[1]) if wal else None,
        get("database", False),
        get("cut_bytes", 0),
        (fresh[0], fresh[1], fresh[2]) if fresh else None,
    )


class IndexWriter:
    """Writes an index, a buffer at a time."""

    def __init__(self, stream: VaultFile) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._buffered = 0
        self._entries = self._frames = 0
        self._add(_encode_line({"format": FORMAT, "version": VERSION}))

    def add_frame(self, frame: Frame) -> None:
        """Write the line of a frame."""
        self._frames += 1
        # by hand, as encode_entry()
        self._add(
            f'{{"frame":{frame.number},"offset":{frame.offset},"length":{frame.length_bytes},"size":{frame.size_bytes},'
            f'"sha256":"{frame.sha256}"}}\n'
        )

    def add_entry_text(self, text: str, entries: int) -> None:
        """Write lines that :func:`encode_entry` made of entries, or that stood in another index."""
        self._entries += entries
        self._add(text)

    def finish(self) -> None:
        """Write the end line; closing the file is the caller's."""
        self._add(_encode_line({"end": True, "entries": self._entries, "frames": self._frames}))
        self._write()

    def _add(self, text: str) -> None:
        self._lines.append(text)
        self._buffered += len(text)
        if self._buffered >= _BUFFER_BYTES:
            self._write()

    def _write(self) -> None:
        self._stream.write(compress("".join(self._lines).encode("ascii")))
        self._lines.clear()
        self._buffered = 0


def read_index(path: str) -> Iterator[Union[Frame, Entry]]:
    """The frames and entries of an index, in its order.

    :raises IntegrityError: when it is damaged, cut short, or of a version this code does not know
    """
    lines: list[str] = []
    for line in read_frames_and_lines(path):
        if isinstance(line, str):
            lines.append(line)
            continue
        yield from parse_entries(path, lines)
        lines.clear()
        yield line
    yield from parse_entries(path, lines)


def read_frames_and_lines(path: str) -> Iterator[Union[Frame, str]]:
    """The same, but each entry as its line, for :func:`parse_entries`: to read a line takes most of the time, and
    who wants few of them, or has several processes to read them in, need not read all of them here.

    :raises IntegrityError: as :func:`read_index`, but for what is wrong in the line of an entry
    """
    entries = frames = 0
    finished = False
    for text in _lines(path):
        if finished:
            raise IntegrityError(f"{path} goes on after its end line.")
        if text.startswith(ENTRY_START):
            entries += 1
            yield text
            continue
        line = _decode_lines(path, [text])[0]
        try:
            if "path" in line:
                entries += 1
                yield text
            elif "offset" in line:
                frames += 1
                line["frame"] | line["offset"] | line["length"] | line["size"]
                yield Frame(line["frame"], line["offset"], line["length"], line["size"], line["sha256"])
            elif line.get("end"):
                finished = (line["entries"], line["frames"]) == (entries, frames)
            elif (line["format"], line["version"]) != (FORMAT, VERSION):
                raise IntegrityError(f"{path} is of version {line['version']}; this program reads version {VERSION}.")
        except (KeyError, TypeError) as error:
            raise IntegrityError(f"{path} has a damaged line.") from error
    if not finished:
        raise IntegrityError(f"{path} is cut short.")


def parse_entries(path: str, lines: list[str]) -> list[Entry]:
    """The entries of some lines.

    :param path: of the index, for the message
    :raises IntegrityError: when one is damaged
    """
    try:
        return [entry_of_line(line) for line in _decode_lines(path, lines)]
    except (KeyError, TypeError, ValueError, IndexError, RecursionError) as error:
        raise IntegrityError(f"{path} has a damaged line.") from error


def renumbered(text: str, old: int, new: int) -> str:
    """Lines of entries that begin in one frame, moved to another. Nothing in a path or a link looks like that key: a
    quotation mark in a JSON string has a backslash before it."""
    return text if old == new else text.replace(f',"frame":{old},', f',"frame":{new},')


def place_in_frame(line: str) -> int:
    """Where the header of an entry stands in its frame, in bytes.

    :param line: of the entry
    :raises IntegrityError: when it is none that :func:`encode_entry` made
    """
    return int(_place(line)[1])


def moved(line: str, frame: int, at: int) -> str:
    """The line of an entry, moved to another place; with its end.

    :param frame: number of the frame
    :raises IntegrityError: when it is none that :func:`encode_entry` made
    """
    place = _place(line)
    return f'{line[: place.start()]},"frame":{frame},"at":{at}{line[place.end() :]}\n'


def _place(line: str) -> re.Match[str]:
    found = _PLACE.search(line)  # nothing in a path looks like that: see renumbered()
    if found is None:
        raise IntegrityError("A line of the index does not say where its entry stands.")
    return found


def _lines(path: str) -> Iterator[str]:
    try:
        with open_artifact(path) as file, open_stream(file) as stream:
            rest = ""
            while chunk := stream.read(READ_BYTES):
                lines = (rest + chunk.decode("ascii")).split("\n")
                rest = lines.pop()
                if len(rest) > READ_BYTES:
                    raise IntegrityError(f"{path} has a line without an end.")
                yield from lines
            if rest:
                yield rest
    except READ_ERRORS as error:
        raise IntegrityError(f"{path} cannot be read: {error}") from error


def _decode_lines(path: str, raw: list[str]) -> list[dict[str, Any]]:
    # one call for many lines takes a third of the time of a call a line
    try:
        lines: list[dict[str, Any]] = json.loads("[" + ",".join(raw) + "]")
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{path} cannot be read: {error}") from error
    if len(lines) != len(raw) or not all(isinstance(line, dict) for line in lines):
        raise IntegrityError(f"{path} has a damaged line.")
    return lines
