# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in a backup directory, by name, and the small files that describe it.

The names are the user's; docs/vault-format.md describes each file, and a JSON Schema beside it describes REPORT.json.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO, Optional

from . import durable
from .errors import IntegrityError
from .names import printable, to_bytes, to_text

MANIFEST = "MANIFEST.txt"
SUMS = "SHA256SUMS.txt"
REPORT = "REPORT.json"
LARGE_FILES = "LARGE_FILES.txt"
INDEX = "INDEX.jsonl.gz"
ARCHIVE = "cora-full.tar.gz"
CHANGES = "changes.tar.gz"
DELETED = "deleted.txt"
GIT_DIFF = "git.diff"
CRITICAL_DIR = "critical"
DATABASE_DIR = "db"
BUNDLE = "git/unpushed.bundle"

REPORT_VERSION = 1
_REPORT_TYPES: Mapping[str, type] = {
    "version": int,
    "id": str,
    "kind": str,
    "created_at": str,
    "project": str,
    "settings": dict,
    "files": int,
    "entries": dict,
    "size_bytes": int,
    "stored_bytes": int,
    "archive_bytes": int,
    "critical": list,
    "databases": list,
    "cut_logs": list,
    "unreadable": list,
    "incomplete": bool,
    "warnings": list,
}
_SUM_LINE = re.compile(rb"(\\?)([0-9a-f]{64})  ([^\n]+)\n")
#: No name in it is escaped, or should be.
_PLAIN_SUMS = re.compile(rb"(?:[0-9a-f]{64}  [^\n\r\\]+\n)*")
_DIGEST_LENGTH = 64
_NAME_AT = 66
_CHUNK_BYTES = 1024 * 1024
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def sha256_of(data: bytes) -> str:
    """SHA-256 of bytes, in hex."""
    import hashlib  # loads OpenSSL, which a list of backups need not wait for

    return hashlib.sha256(data).hexdigest()


def open_artifact(path: str) -> BinaryIO:
    """Open a file of a backup to read it: a regular file, never a link to one, nor a fifo that nobody writes.

    :raises OSError: when it is none, or cannot be opened
    """
    fd = os.open(path, _OPEN)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "It is not a regular file", path)
    return os.fdopen(fd, "rb", buffering=0)


def read_artifact(path: str, *, backup_fd: Optional[int] = None, at_most_bytes: Optional[int] = None) -> bytes:
    """A whole file of a backup, as small ones are read; opened as :func:`open_artifact` does.

    By hand: of a thousand backups, the objects around a file cost more than what is read.

    :param backup_fd: the directory it is in, where that is open already
    :raises OSError: as :func:`open_artifact`, and when it is larger than C(at_most_bytes)
    """
    try:
        fd = os.open(path, _OPEN) if backup_fd is None else os.open(os.path.basename(path), _OPEN, dir_fd=backup_fd)
    except OSError as error:
        error.filename = path
        raise
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "It is not a regular file", path)
        if at_most_bytes is not None and status.st_size > at_most_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        data = os.read(fd, status.st_size + 1)
        if len(data) == status.st_size:
            return data
        parts = [data]  # it grew, or the file system hands it out in pieces
        while parts[-1]:
            parts.append(os.read(fd, _CHUNK_BYTES))
        return b"".join(parts)
    finally:
        os.close(fd)


def sha256_of_file(path: str) -> str:
    """SHA-256 of a file's content, in hex.

    :raises OSError: when it cannot be read
    """
    import hashlib

    digest = hashlib.sha256()
    with open_artifact(path) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def files_below(top: str) -> list[str]:
    """Relative paths of all regular files below a directory, sorted; whatever is no directory counts as a file."""
    found = []
    for directory, below, names in os.walk(to_bytes(top)):
        names += [name for name in below if os.path.islink(os.path.join(directory, name))]
        relative = to_text(os.path.relpath(directory, to_bytes(top)))
        prefix = "" if relative == "." else relative + "/"
        found += [prefix + to_text(name) for name in names]
    return sorted(found, key=to_bytes)


def encode_sums(digests: Mapping[str, str]) -> bytes:
    """SHA256SUMS.txt as C(sha256sum) of coreutils writes it, names with a newline or backslash escaped as it does."""
    lines = []
    for path in sorted(digests, key=to_bytes):
        mark, name = escape_name(path)
        lines.append(mark + digests[path].encode() + b"  " + name + b"\n")
    return b"".join(lines)


def escape_name(path: str) -> tuple[bytes, bytes]:
    """A name in one line, as coreutils writes it: where something was escaped, a backslash begins the line."""
    raw = to_bytes(path)
    escaped = raw.replace(b"\\", b"\\\\").replace(b"\n", b"\\n").replace(b"\r", b"\\r")
    return (b"\\" if escaped != raw else b""), escaped


def unescape_name(mark: bytes, name: bytes) -> str:
    """The name that :func:`escape_name` was given."""
    if mark:
        name = re.sub(rb"\\(.)", lambda m: {b"n": b"\n", b"r": b"\r"}.get(m.group(1), m.group(1)), name)
    return to_text(name)


def encode_paths(paths: Iterable[str]) -> bytes:
    """Paths, one a line, as C(deleted.txt) of a checkpoint has them."""
    return b"".join(b"".join(escape_name(path)) + b"\n" for path in paths)


def decode_paths(data: bytes) -> list[str]:
    """The paths that :func:`encode_paths` was given."""
    lines = data.split(b"\n")[:-1]
    return [unescape_name(b"\\", line[1:]) if line[:1] == b"\\" else to_text(line) for line in lines]


def decode_sums(data: bytes) -> dict[str, str]:
    """Path and digest of each line of SHA256SUMS.txt.

    :raises IntegrityError: when a single byte of it is not as :func:`encode_sums` writes it
    """
    if _PLAIN_SUMS.fullmatch(data):
        lines = data.split(b"\n")[:-1]
        names = [line[_NAME_AT:] for line in lines]
        if names == sorted(set(names)):  # so encode_sums() would write the same again
            return {to_text(name): line[:_DIGEST_LENGTH].decode() for name, line in zip(names, lines)}
    digests: dict[str, str] = {}
    at = 0
    while at < len(data):
        match = _SUM_LINE.match(data, at)
        if match is None:
            raise IntegrityError(f"{SUMS} has a damaged line (byte {at}).")
        digests[unescape_name(match.group(1), match.group(3))] = match.group(2).decode()
        at = match.end()
    if encode_sums(digests) != data:
        raise IntegrityError(f"{SUMS} is not as it was written.")
    return digests


def write_sums(directory: str, known: Mapping[str, str]) -> None:
    """Write SHA256SUMS.txt over all that stands in a directory.

    :param known: digests that were computed while writing, so that large files are not read again
    :raises VaultError: when it cannot be written
    """
    names = [name for name in files_below(directory) if name not in known]
    digests = {name: sha256_of_file(os.path.join(directory, name)) for name in names}
    durable.write_file(os.path.join(directory, SUMS), encode_sums({**digests, **known}))


def read_sums(backup: str, *, backup_fd: Optional[int] = None) -> dict[str, str]:
    """The digests of a backup.

    :param backup_fd: the same directory, where it is open already
    :raises IntegrityError: when the file is missing or damaged
    """
    try:
        return decode_sums(read_artifact(f"{backup}/{SUMS}", backup_fd=backup_fd))
    except OSError as error:
        raise IntegrityError(f"{SUMS} of {printable(backup)} cannot be read: {error.strerror}.") from error


def read_report(backup: str, *, checked: bool = False, backup_fd: Optional[int] = None) -> dict[str, Any]:
    """REPORT.json of a backup.

    :param checked: compare it with SHA256SUMS.txt: a flipped bit may leave a report of another project
    :param backup_fd: the same directory, where it is open already
    :raises IntegrityError: when it is missing or damaged
    """
    try:
        data = read_artifact(f"{backup}/{REPORT}", backup_fd=backup_fd)
        report = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise IntegrityError(f"{REPORT} of {printable(backup)} cannot be read: {error}") from error
    is_other = checked and read_sums(backup, backup_fd=backup_fd).get(REPORT) != sha256_of(data)
    if is_other or not isinstance(report, dict) or report.get("format") != "cora-report" or not _is_whole(report):
        raise IntegrityError(f"{REPORT} of {printable(backup)} is damaged.")
    return report


def _is_whole(report: Mapping[str, Any]) -> bool:
    """Whether all is there that programs rely on: one flipped bit in a key leaves good JSON without it."""
    get = report.get
    for key, kind in _REPORT_TYPES.items():  # noqa: SIM110 - a generator takes twice as long, and it is done for each
        if not isinstance(get(key), kind):
            return False
    return True


def write_json(path: str, document: Mapping[str, Any]) -> None:
    """Write a JSON document that people read too; raw bytes in names stay as lone surrogates, so it is ASCII."""
    durable.write_file(path, json.dumps(document, indent=2).encode("ascii") + b"\n")


def manifest_text(sections: Mapping[str, Mapping[str, str]]) -> bytes:
    """MANIFEST.txt: C([section]) lines, and C(key: value) below each; values of one line."""
    lines = []
    for title, values in sections.items():
        lines.append(f"[{title}]")
        lines += [f"{key}: {printable(value)}" for key, value in values.items()]
        lines.append("")
    return "\n".join(lines).encode("utf-8")
