# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies elsewhere by rclone, to any service it knows: the same names and the same order as with S3.

SHA256SUMS.txt goes last, after rclone has compared all the rest with the backup: by hashes where the service has them,
else by reading everything back. What rclone copies is a directory of links, named as the objects are, so that names
that no service can hold are escaped here as they are there, and either way of transport reads what the other wrote.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, Optional

from . import durable, layout
from .errors import CoraError, IntegrityError, NotFoundError, OffsiteError, OffsiteMissingError
from .ids import is_id
from .names import printable, to_bytes
from .offsite_items import Bundle, Item, plain_bundle
from .offsite_layout import ENCRYPTED, date_of, escape_path, is_date
from .offsite_notes import directory_of, lock, write_last_run, write_note
from .offsite_publish import check_sealable, databases_twice, publish_fetched
from .progress import Progress
from .rclone_command import Rclone
from .vault import Vault
from .verify import check_sums

#: Strong enough to tell damage apart; rclone has more, which only notice accidents.
_HASHES = frozenset({"md5", "sha1", "sha256"})


def ids_newest_first(rclone: Rclone) -> Iterator[str]:
    """All ids, complete or not, listed a day at a time.

    :raises OffsiteError: when the place cannot be listed
    """
    for date in sorted(filter(is_date, rclone.directories()), reverse=True):
        ids = [name for name in rclone.directories(date) if is_id(name) and date_of(name) == date]
        yield from sorted(ids, reverse=True)


def is_complete(rclone: Rclone, backup_id: str) -> bool:
    """Whether SHA256SUMS.txt is there, which goes last.

    :raises OffsiteError: when the place cannot be listed
    """
    return bool({layout.SUMS, layout.SUMS + ENCRYPTED} & set(rclone.files(date_of(backup_id), backup_id)))


def sync(
    rclone: Rclone,
    vault_path: str,
    *,
    ids: Sequence[str] = (),
    deep: bool = False,
    check: bool = False,
    wait_seconds: float = 0.0,
) -> dict[str, Any]:
    """Send what is missing there, oldest first.

    :param deep: compare by reading everything back, even where the service has hashes
    :param check: say what would be sent
    :param wait_seconds: for another run that copies
    :returns: JSON types, as of a copy to S3; C(failures) names the backups that were not sent, and why
    :raises CoraError: when nothing could be tried at all; also noted for C(cora status)
    """
    vault = Vault(vault_path)
    began = time.monotonic()
    result: dict[str, Any] = {
        "changed": False,
        "remote": rclone.place(),
        "uploaded": [],
        "failures": [],
        "warnings": [],
    }
    result.update(bytes_sent=0, bytes_copied=0, bytes_found=0, swept=0)
    if check:
        result["uploaded"] = _missing(rclone, vault, ids)
    else:
        with lock(vault, wait_seconds):
            try:
                for backup_id in _missing(rclone, vault, ids):
                    _sync_one(rclone, vault, backup_id, result, deep=deep)
            except CoraError as error:
                result["failures"].append(_failure("", error))
                raise
            finally:
                _note_run(vault, result)
    result["changed"] = bool(result["uploaded"])
    result["seconds"] = round(time.monotonic() - began, 3)
    return result


def _missing(rclone: Rclone, vault: Vault, ids: Sequence[str]) -> list[str]:
    return [one for one in vault.ids() if (not ids or one in ids) and not is_complete(rclone, one)]


def _sync_one(rclone: Rclone, vault: Vault, backup_id: str, result: dict[str, Any], *, deep: bool) -> None:
    try:
        result["bytes_sent"] += upload(rclone, vault, backup_id, deep=deep)
    except NotFoundError as error:
        result["warnings"].append(str(error))  # pruned meanwhile: nothing is missing
    except IntegrityError as error:
        # this one is damaged here; the next may be well
        result["failures"].append(_failure(backup_id, error))
    else:
        result["uploaded"].append(backup_id)


def _failure(backup_id: str, error: CoraError) -> dict[str, str]:
    return {"id": backup_id, "error": type(error).__name__, "message": str(error)}


def upload(rclone: Rclone, vault: Vault, backup_id: str, *, deep: bool = False) -> int:
    """Send one backup. What an earlier run has sent is not sent again.

    :returns: the bytes that were sent
    :raises CoraError: when it could not be sent, or is not there as it should be
    """
    bundle = plain_bundle(vault, backup_id, rclone.prefix)
    damaged = check_sums(vault.path_of(backup_id), Progress(None))
    if damaged:
        raise IntegrityError(f"{backup_id} is damaged here, so it is not sent: {damaged[0]['artifact']}.")
    there = rclone.place(date_of(backup_id), backup_id)
    with _view(vault, bundle) as (files, marker):
        sent = _copy(rclone, files, there)
        _compare(rclone, files, there, deep=deep)
        sent += _copy(rclone, marker, there)
        _check_marker(rclone, bundle, backup_id)
    note = {"result": "complete", "uploaded_at": _now(), "remote": rclone.place(), "bytes_sent": sent}
    write_note(vault, backup_id, {**note, "bytes_copied": 0, "encrypted": False})
    return sent


@contextmanager
def _view(vault: Vault, bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Two directories of links to what is sent, named as it is to be named there: the files, and SHA256SUMS.txt."""
    top = os.path.join(directory_of(vault), f"{bundle.backup_id}.rclone")
    shutil.rmtree(top, ignore_errors=True)
    files, marker = os.path.join(top, "files"), os.path.join(top, "marker")
    try:
        for directory, items in ((files, bundle.items), (marker, (bundle.marker,))):
            os.makedirs(directory, mode=0o700)
            for item in items:
                _link(directory, item)
        yield files, marker
    except OSError as error:
        durable.fail(error, "write below", top)
    finally:
        shutil.rmtree(top, ignore_errors=True)


def _link(directory: str, item: Item) -> None:
    link = to_bytes(os.path.join(directory, escape_path(item.path)))
    os.makedirs(os.path.dirname(link), mode=0o700, exist_ok=True)
    os.symlink(to_bytes(item.file), link)


def _copy(rclone: Rclone, source: str, target: str) -> int:
    done = rclone.run(
        *("copy", "--copy-links", "--use-json-log", "--stats=1h", "--stats-log-level=NOTICE", "--"),
        *(source, target),
        what=f"copy to {target}",
    )
    return _bytes_sent(done.stderr)


def _bytes_sent(log: bytes) -> int:
    """What rclone counted: the largest sum in its statistics, the last of which it gives at its end."""
    largest = 0
    for line in log.splitlines():
        try:
            entry = json.loads(line)
            largest = max(largest, int(entry.get("stats", {}).get("bytes", 0)))
        except (ValueError, AttributeError, TypeError):
            continue  # a line of something else
    return largest


def _compare(rclone: Rclone, source: str, target: str, *, deep: bool) -> None:
    by = ["--download"] if deep or not _has_hashes(rclone) else []
    try:
        rclone.run("check", "--copy-links", "--one-way", *by, "--", source, target, what=f"compare {target}")
    except OffsiteMissingError:
        raise
    except OffsiteError as error:
        raise OffsiteError(
            f"What stands at {printable(target)} is not what was sent, so it does not count as a backup: remove it "
            f"(rclone purge) and run this again. {error}"
        ) from error


def _has_hashes(rclone: Rclone) -> bool:
    done = rclone.run("backend", "features", rclone.remote, what=f"ask what {rclone.remote} can do", seconds=600.0)
    try:
        return bool(_HASHES & set(json.loads(done.stdout)["Hashes"] or ()))
    except (ValueError, KeyError, TypeError):
        return False


def _check_marker(rclone: Rclone, bundle: Bundle, backup_id: str) -> None:
    there = rclone.read(date_of(backup_id), backup_id, layout.SUMS)
    if layout.sha256_of(there) != bundle.marker.sha256:
        raise OffsiteError(f"{layout.SUMS} of {backup_id} did not arrive as it was sent: {printable(rclone.place())}.")


def _note_run(vault: Vault, result: dict[str, Any]) -> None:
    names = ("remote", "uploaded", "failures", "bytes_sent", "bytes_copied")
    write_last_run(vault, {"at": _now(), "ok": not result["failures"], **{name: result[name] for name in names}})


def _now() -> str:
    return f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


# --- and back


def resolve(rclone: Rclone, text: str) -> str:
    """The complete backup that C(latest), an id, or the beginning of exactly one means.

    :raises NotFoundError: none answers, or more than one does
    """
    if text in ("latest", "newest"):
        for backup_id in ids_newest_first(rclone):
            if is_complete(rclone, backup_id):
                return backup_id
        raise OffsiteMissingError(f"There is no whole backup in {printable(rclone.place())}.")
    found = [one for one in ids_newest_first(rclone) if one.startswith(text) and is_complete(rclone, one)]
    if len(found) != 1:
        many = "is the beginning of several ids" if found else "is no id of a whole backup"
        raise NotFoundError(f"{printable(text)!r} {many} in {printable(rclone.place())}.")
    return found[0]


def fetch(
    rclone: Rclone, vault_path: str, text: str, *, seal: Optional[str] = None, check: bool = False
) -> dict[str, Any]:
    """Bring one backup into the vault, unless it is there; checked, published and sealed as one made here.

    :raises CoraError: when it could not be brought, or is damaged there; then nothing new is listed
    """
    vault = Vault(vault_path)
    backup_id = resolve(rclone, text)
    path = vault.path_of(backup_id)
    result: dict[str, Any] = {"changed": not os.path.isdir(path), "id": backup_id, "path": path, "warnings": []}
    if check or not result["changed"]:
        return result
    vault.prepare()
    check_sealable(vault, seal)
    with lock(vault):
        top = os.path.join(directory_of(vault), "fetching", f"{backup_id}.rclone")
        staged = _download(rclone, backup_id, top)
        published = publish_fetched(vault, staged, backup_id, seal=seal)
        shutil.rmtree(top, ignore_errors=True)
    if published.seal_note:
        result["warnings"].append(published.seal_note)
    return {**result, "sealed": published.sealed}


def _download(rclone: Rclone, backup_id: str, top: str) -> str:
    """Only what SHA256SUMS.txt names is fetched, and it is put under the name that it has there."""
    where = (date_of(backup_id), backup_id)
    if layout.SUMS not in rclone.files(*where):
        raise OffsiteError(f"{backup_id} was encrypted by cora. Fetch it by cora_offsite_transport: s3.")
    raw = rclone.read(*where, layout.SUMS)
    sums = layout.decode_sums(raw)
    if any(path.startswith("/") or ".." in path.split("/") for path in sums):
        raise IntegrityError(f"{layout.SUMS} of {backup_id} names a file outside of the backup.")
    wanted = {path: escape_path(path) for path in sorted(set(sums) - databases_twice(sums))}
    arrived, staged = os.path.join(top, "arrived"), os.path.join(top, "backup")
    shutil.rmtree(staged, ignore_errors=True)
    durable.make_directories(arrived)
    durable.make_directories(staged)
    listing = os.path.join(top, "wanted")
    durable.replace_file(listing, "".join(f"{name}\n" for name in wanted.values()).encode())
    there = rclone.place(*where)
    rclone.run("copy", f"--files-from-raw={listing}", "--", there, arrived, what=f"fetch {there}")
    try:
        for path, name in wanted.items():
            target = to_bytes(os.path.join(staged, path))
            os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
            os.rename(to_bytes(os.path.join(arrived, name)), target)
    except FileNotFoundError:
        raise IntegrityError(f"{printable(path)} of {backup_id} is missing in {printable(there)}.") from None
    except OSError as error:
        durable.fail(error, "write below", staged)
    durable.write_file(os.path.join(staged, layout.SUMS), raw)
    return staged
