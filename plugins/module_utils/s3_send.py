# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One object to the service: in one request, or in parts side by side that survive a killed run.

What is promised about content: a first reading of the file compares its SHA-256 with that of SHA256SUMS.txt and notes
the MD5 of each part; the request carries that MD5, and the service refuses bytes that have another one. So what is
stored is what was summed up when the backup was made. A part that stands there already, or that the service copied,
counts only when its MD5 is that of the same bytes here. (MD5 finds accidents; who could forge it has the key anyway.)
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Optional

from . import layout
from .bandwidth import Bandwidth
from .errors import (
    IntegrityError,
    NotFoundError,
    OffsiteMissingError,
    OffsitePermissionError,
    OffsiteUnsupportedError,
)
from .names import printable
from .offsite_items import Item
from .offsite_layout import head
from .offsite_parts import PART_BYTES, Part, Run, plan_parts
from .parallel import ordered_map
from .progress import Progress
from .s3_body import PacedBody, let_pace
from .s3_client import S3
from .s3_errors import translated
from .s3_uploads import Uploads

_CHUNK_BYTES = 1024 * 1024
#: What is at most so large goes in one request.
WHOLE_BYTES = PART_BYTES


class Copyable(NamedTuple):
    """An older object, and which of its bytes are those of the new one."""

    key: str
    runs: tuple[Run, ...]


@dataclass
class Sent:
    """What came of sending an object, or several."""

    bytes_sent: int = 0
    bytes_copied: int = 0
    bytes_found: int = 0

    def add(self, other: Sent) -> None:
        """Count another one in."""
        self.bytes_sent += other.bytes_sent
        self.bytes_copied += other.bytes_copied
        self.bytes_found += other.bytes_found


class Sender:
    """Sends objects of one backup.

    :param present: size of each object that stands there already, by key
    :param uploads: the unfinished uploads of a run before
    """

    def __init__(self, s3: S3, *, present: Mapping[str, int], uploads: Uploads, progress: Progress) -> None:
        self._s3 = s3
        self._present = present
        self._uploads = uploads
        self._progress = progress
        self._bandwidth = Bandwidth(s3.settings.bytes_per_second)
        #: Whether the key may look at what it wrote. A key that may only write may not.
        self.can_look = True
        let_pace(s3.client)

    def send_all(self, items: Sequence[Item]) -> Sent:
        """Send files of at most :data:`WHOLE_BYTES`, side by side."""
        total = Sent()
        with_metadata = ((item, item.metadata()) for item in items)
        for sent in ordered_map(self._send_whole, with_metadata, workers=self._s3.settings.connections):
            total.add(sent)
            self._count(sent, files=1)
        return total

    def send_whole(self, item: Item, metadata: Mapping[str, str]) -> Sent:
        """Send one small file."""
        sent = self._send_whole((item, metadata))
        self._count(sent, files=1)
        return sent

    def _send_whole(self, request: tuple[Item, Mapping[str, str]]) -> Sent:
        item, metadata = request
        if self._is_there(item):
            return Sent(bytes_found=item.size_bytes)
        with _opened(item) as stream:
            data = stream.read()
        if layout.sha256_of(data) != item.sha256:
            raise _damaged(item)
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        with translated("upload", item.key):
            self._s3.client.put_object(
                Bucket=self._s3.bucket,
                Key=item.key,
                Body=PacedBody(data, self._bandwidth),
                ContentMD5=_base64(digest),
                Metadata=dict(metadata),
                **self._storage(),
            )
        self._confirm(item)
        return Sent(bytes_sent=len(data))

    def send_in_parts(self, item: Item, copyable: Optional[Copyable] = None) -> Sent:
        """Send a file of any size, a part at a time in each thread; what an earlier run sent is not sent again."""
        if self._is_there(item):
            self._progress.advance(files=1, size_bytes=item.size_bytes)
            return Sent(bytes_found=item.size_bytes)
        parts = plan_parts(item.size_bytes, copyable.runs if copyable else ())
        digests = _digests(item, parts)
        upload_id, there = self._uploads.take_up(item.key, {p.number: _etag(d) for p, d in zip(parts, digests)})
        if upload_id is None:
            upload_id = self._begin(item)
        job = _Job(self, item, upload_id, there, copyable.key if copyable else None)
        total, etags = Sent(), []
        for etag, sent in ordered_map(job.send, zip(parts, digests), workers=self._s3.settings.connections):
            etags.append(etag)
            total.add(sent)
            self._count(sent)
        self._complete(item, upload_id, etags)
        self._progress.advance(files=1)
        return total

    def _begin(self, item: Item) -> str:
        with translated("upload", item.key):
            answer = self._s3.client.create_multipart_upload(
                Bucket=self._s3.bucket, Key=item.key, Metadata=item.metadata(), **self._storage()
            )
        upload_id = str(answer["UploadId"])
        self._uploads.begun(item.key, upload_id)
        return upload_id

    def _complete(self, item: Item, upload_id: str, etags: Sequence[str]) -> None:
        parts = [{"PartNumber": number, "ETag": f'"{etag}"'} for number, etag in enumerate(etags, 1)]
        try:
            with translated("finish the upload of", item.key):
                self._s3.client.complete_multipart_upload(
                    Bucket=self._s3.bucket, Key=item.key, UploadId=upload_id, MultipartUpload={"Parts": parts}
                )
        except OffsiteMissingError:
            # the first answer was lost, and the request was repeated: then the object is there
            if not self._is_stored(item):
                raise
        except OffsiteUnsupportedError:
            self._uploads.given_up(item.key, upload_id)
            raise
        self._uploads.finished(item.key)
        self._confirm(item)

    def put_part(self, item: Item, upload_id: str, part: Part, data: bytes, digest: bytes) -> str:
        """Send one part; returns its ETag."""
        with translated("upload", f"{item.key} (part {part.number})"):
            answer = self._s3.client.upload_part(
                Bucket=self._s3.bucket,
                Key=item.key,
                UploadId=upload_id,
                PartNumber=part.number,
                Body=PacedBody(data, self._bandwidth),
                ContentMD5=_base64(digest),
            )
        return str(answer["ETag"]).strip('"')

    def copy_part(self, item: Item, upload_id: str, part: Part, source_key: str) -> Optional[str]:
        """Ask the service to copy one part; returns its ETag, None where it cannot or this key may not."""
        first = part.source_offset or 0
        try:
            with translated("copy", f"{source_key} to {item.key} (part {part.number})"):
                answer = self._s3.client.upload_part_copy(
                    Bucket=self._s3.bucket,
                    Key=item.key,
                    UploadId=upload_id,
                    PartNumber=part.number,
                    CopySource={"Bucket": self._s3.bucket, "Key": source_key},
                    CopySourceRange=f"bytes={first}-{first + part.length_bytes - 1}",
                )
        except (OffsiteMissingError, OffsitePermissionError, OffsiteUnsupportedError):
            return None
        return str(answer.get("CopyPartResult", {}).get("ETag", "")).strip('"')

    def _is_there(self, item: Item) -> bool:
        if self._present.get(item.key) != item.size_bytes or not self.can_look:
            return False
        return self._is_stored(item)

    def _is_stored(self, item: Item) -> bool:
        answer = head(self._s3, item.key)
        return (
            answer is not None
            and answer["ContentLength"] == item.size_bytes
            and answer.get("Metadata", {}).get("sha256") == item.sha256
        )

    def _confirm(self, item: Item) -> None:
        """Look at what was stored.

        :raises IntegrityError: when it is not what was sent
        """
        if not self.can_look:
            return
        try:
            stored = self._is_stored(item)
        except OffsitePermissionError:
            self.can_look = False
            return
        if not stored:
            raise IntegrityError(
                f"The service says that it stored {printable(item.key)}, but size or digest there are not those of "
                "what was sent. Does another program write to this prefix?"
            )

    def _storage(self) -> dict[str, str]:
        storage_class = self._s3.settings.storage_class
        return {"StorageClass": storage_class} if storage_class else {}

    def _count(self, sent: Sent, *, files: int = 0) -> None:
        self._progress.advance(files=files, size_bytes=sent.bytes_sent + sent.bytes_copied + sent.bytes_found)


class _Job:
    """The parts of one object, on their way."""

    def __init__(
        self, sender: Sender, item: Item, upload_id: str, there: Mapping[int, tuple[int, str]], source: Optional[str]
    ) -> None:
        self._sender = sender
        self._item = item
        self._upload_id = upload_id
        self._there = there
        self._source = source

    def send(self, planned: tuple[Part, bytes]) -> tuple[str, Sent]:
        """Bring one part there, the cheapest way; returns its ETag."""
        part, digest = planned
        if self._there.get(part.number) == (part.length_bytes, _etag(digest)):
            return _etag(digest), Sent(bytes_found=part.length_bytes)
        if part.source_offset is not None and self._source is not None:
            etag = self._sender.copy_part(self._item, self._upload_id, part, self._source)
            if etag == _etag(digest):
                return etag, Sent(bytes_copied=part.length_bytes)
            if etag is None:
                self._source = None  # it cannot, or this key may not: the rest need not ask
        with _opened(self._item) as stream:
            stream.seek(part.offset)
            data = stream.read(part.length_bytes)
        etag = self._sender.put_part(self._item, self._upload_id, part, data, digest)
        return etag, Sent(bytes_sent=len(data))


def _digests(item: Item, parts: Sequence[Part]) -> list[bytes]:
    """MD5 of each part, from the one reading that also compares the whole with its SHA-256.

    :raises IntegrityError: when it is not what it was when the backup was made
    """
    whole = hashlib.sha256()
    digests = []
    with _opened(item) as stream:
        for part in parts:
            digest = hashlib.md5(usedforsecurity=False)
            for chunk in _chunks(stream, part.length_bytes):
                whole.update(chunk)
                digest.update(chunk)
            digests.append(digest.digest())
        is_longer = bool(stream.read(1))
    if is_longer or whole.hexdigest() != item.sha256:
        raise _damaged(item)
    return digests


def _chunks(stream: BinaryIO, length_bytes: int) -> Iterator[bytes]:
    while length_bytes > 0 and (chunk := stream.read(min(length_bytes, _CHUNK_BYTES))):
        yield chunk
        length_bytes -= len(chunk)


def _opened(item: Item) -> BinaryIO:
    try:
        return layout.open_artifact(item.file)
    except FileNotFoundError as error:
        raise NotFoundError(f"{printable(item.file)} is gone: the backup was removed meanwhile.") from error
    except OSError as error:
        raise IntegrityError(f"{printable(item.file)} cannot be read: {error.strerror}.") from error


def _damaged(item: Item) -> IntegrityError:
    return IntegrityError(
        f"{printable(item.file)} is not what it was when the backup was made, so it is not sent. "
        "cora verify says what of the backup can still be restored."
    )


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")


def _etag(digest: bytes) -> str:
    """The ETag of a part whose MD5 this is."""
    return digest.hex()
