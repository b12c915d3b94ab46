# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One backup as it stands in the bucket: which objects it has, and their bytes.

What the bucket holds was perhaps written by somebody else. A name from there is used only where SHA256SUMS.txt has it
and it stays inside the backup; bytes from there count only once their SHA-256 is the one that stands there.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import NamedTuple, Optional

from . import layout
from .bandwidth import Bandwidth
from .errors import IntegrityError, OffsiteMissingError, OffsiteNetworkError, OffsiteThrottledError
from .names import printable, to_bytes
from .offsite_crypt import check_identity, decrypt_file
from .offsite_layout import ENCRYPTED, backup_prefix, key_of
from .s3_client import S3
from .s3_errors import translated

_CHUNK_BYTES = 256 * 1024
#: Of reads that bring nothing; the client itself tries a few times to get an answer at all.
_ATTEMPTS = 3
_FIRST_PAUSE_SECONDS = 0.3
#: No file that describes a backup is larger; the index of ten million files is not.
_LARGEST_SMALL_BYTES = 2 * 1024 * 1024 * 1024


class RemoteFile(NamedTuple):
    """A file of the backup, as an object.

    :param path: as in the backup
    :param size_bytes: of the object: where it is encrypted, a little more than the file
    :param etag: names this version of the object, so that ranges of two are never mixed
    """

    path: str
    key: str
    size_bytes: int
    etag: str
    is_encrypted: bool


@dataclass(frozen=True)
class Read:
    """Bytes of an object, and what the service says about it."""

    data: bytes
    metadata: Mapping[str, str]


class RemoteBackup:
    """A backup in the bucket.

    :raises OffsiteMissingError: when it is not there, or not whole
    """

    def __init__(self, s3: S3, backup_id: str) -> None:
        self.backup_id = backup_id
        self.connections = s3.settings.connections
        self._s3 = s3
        self._bandwidth = Bandwidth(s3.settings.bytes_per_second)
        self._objects = self._list()
        # A backup is one or the other. Where both markers stand, what is encrypted to us is the better guess.
        self.is_encrypted = self._key(layout.SUMS, encrypted=True) in self._objects
        if self._key(layout.SUMS, encrypted=self.is_encrypted) not in self._objects:
            raise OffsiteMissingError(
                f"{self.where} is not there, or not whole: it has no {layout.SUMS}, which is sent last. "
                "cora offsite list shows the whole ones."
            )

    @property
    def where(self) -> str:
        """Its place, for people."""
        return f"s3://{self._s3.bucket}/{backup_prefix(self._s3.prefix, self.backup_id)}"

    def _key(self, path: str, *, encrypted: bool) -> str:
        return key_of(self._s3.prefix, self.backup_id, path, encrypted=encrypted)

    @property
    def has_identity(self) -> bool:
        """Whether a secret key is named."""
        return bool(self._s3.settings.identity_file)

    def identity(self) -> str:
        """The secret key.

        :raises CoraError: when there is none, or others can read it
        """
        return check_identity(self._s3.settings.identity_file)

    def _list(self) -> dict[str, tuple[int, str]]:
        prefix = backup_prefix(self._s3.prefix, self.backup_id)
        pages = self._s3.client.get_paginator("list_objects_v2")
        with translated("list", f"{self._s3.bucket}/{prefix}"):
            return {
                found["Key"]: (found["Size"], found["ETag"])
                for page in pages.paginate(Bucket=self._s3.bucket, Prefix=prefix)
                for found in page.get("Contents", ())
            }

    @property
    def keys(self) -> set[str]:
        """All objects that stand there."""
        return set(self._objects)

    def sums(self) -> dict[str, str]:
        """What SHA256SUMS.txt says, checked for names that lead elsewhere.

        :raises IntegrityError: when it is damaged, or names such a file
        """
        return self.parse_sums(self.read_small(layout.SUMS))

    @staticmethod
    def parse_sums(data: bytes) -> dict[str, str]:
        """What the bytes of a SHA256SUMS.txt say.

        :raises IntegrityError: when it is damaged, or names a file outside the backup
        """
        digests = layout.decode_sums(data)
        for path in digests:
            if not is_safe(path) or path == layout.SUMS:
                raise IntegrityError(f"{layout.SUMS} names {printable(path)}, which no backup of cora does.")
        return digests

    def find(self, path: str) -> Optional[RemoteFile]:
        """The object of a file; None where there is none."""
        key = self._key(path, encrypted=self.is_encrypted)
        if key not in self._objects:
            return None
        size_bytes, etag = self._objects[key]
        return RemoteFile(path, key, size_bytes, etag, self.is_encrypted)

    def file(self, path: str) -> RemoteFile:
        """The object of a file.

        :raises IntegrityError: when it is not there
        """
        found = self.find(path)
        if found is None:
            raise IntegrityError(f"{self.where}{printable(path)} is missing.")
        return found

    def read_small(self, path: str, digest: Optional[str] = None) -> bytes:
        """Content of a file that describes the backup, in memory.

        :param digest: what its SHA-256 has to be
        :raises IntegrityError: when it is not
        """
        file = self.file(path)
        if file.size_bytes > _LARGEST_SMALL_BYTES:
            raise IntegrityError(f"{self.where}{printable(path)} is too large to be what it should be.")
        data = self.read_range(file, 0, file.size_bytes).data
        if file.is_encrypted:
            data = self._decrypted(file, data)
        if digest is not None and layout.sha256_of(data) != digest:
            raise IntegrityError(f"{self.where}{printable(path)} is damaged: its SHA-256 is not in {layout.SUMS}.")
        return data

    def _decrypted(self, file: RemoteFile, data: bytes) -> bytes:
        with tempfile.TemporaryDirectory(prefix="cora-age-") as directory:
            source, target = os.path.join(directory, "object" + ENCRYPTED), os.path.join(directory, "object")
            with open(source, "wb") as stream:
                stream.write(data)
            try:
                decrypt_file(source, target, self.identity())
            except IntegrityError as error:
                raise IntegrityError(f"{printable(file.key)} cannot be decrypted: it is damaged.") from error
            with open(target, "rb") as stream:
                return stream.read()

    def metadata(self, file: RemoteFile) -> Mapping[str, str]:
        """What was stored with an object; one request."""
        with translated("look at", file.key):
            answer = self._s3.client.head_object(Bucket=self._s3.bucket, Key=file.key)
        metadata: Mapping[str, str] = answer.get("Metadata", {})
        return metadata

    def read_range(self, file: RemoteFile, offset: int, length: int) -> Read:
        """Bytes of an object; a connection that breaks is continued where it broke.

        :raises OffsiteError: when that does not help
        """
        if not length:
            return Read(b"", self.metadata(file))
        data = bytearray()
        metadata: Mapping[str, str] = {}
        failures = 0
        while len(data) < length:
            before = len(data)
            try:
                metadata = self._read_on(file, offset, length, data)
            except (OffsiteNetworkError, OffsiteThrottledError):
                failures = 1 if len(data) > before else failures + 1
                if failures >= _ATTEMPTS:
                    raise
                time.sleep(_FIRST_PAUSE_SECONDS * 2 ** (failures - 1))
        return Read(bytes(data), metadata)

    def _read_on(self, file: RemoteFile, offset: int, length: int, data: bytearray) -> Mapping[str, str]:
        wanted = f"bytes={offset + len(data)}-{offset + length - 1}"
        with translated("read", file.key):
            answer = self._s3.client.get_object(Bucket=self._s3.bucket, Key=file.key, Range=wanted, IfMatch=file.etag)
            with closing(answer["Body"]) as body:  # its own "with" hands out a stream that does not miss bytes
                while chunk := body.read(_CHUNK_BYTES):
                    data += chunk
                    if len(data) > length:
                        raise IntegrityError(f"The service sent more of {printable(file.key)} than was asked for.")
                    self._bandwidth.take(len(chunk))
        metadata: Mapping[str, str] = answer.get("Metadata", {})
        return metadata


def is_safe(path: str) -> bool:
    """Whether a name from elsewhere stays inside the directory it is joined to."""
    raw = to_bytes(path)
    return bool(raw) and b"\0" not in raw and not any(part in (b"", b".", b"..") for part in raw.split(b"/"))
