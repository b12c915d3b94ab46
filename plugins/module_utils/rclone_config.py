# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One remote in rclone's configuration file, made of the settings of the copy elsewhere; all else in the file stays.

The keys go from the environment file into rclone's file and nowhere else. What is written is read back by rclone itself
before it takes the place of what was there.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional
from urllib.parse import urlsplit

from . import durable
from .errors import ProgramError, SettingsError
from .names import printable
from .offsite_settings import OffsiteSettings
from .programs import run

#: In this key of the section, which rclone leaves alone, stands whose it is.
_MARK = ("description", "written by cora")
_SECTION = re.compile(r"\s*\[(.*)\]\s*")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
#: rclone's file has quotes, references and comments of its own; a key or an address never has these characters.
_VALUE = re.compile(r"[A-Za-z0-9+/=_.:~\[\]-]+( [A-Za-z0-9]+)*")
_LARGEST_FILE_BYTES = 1024 * 1024
_SHOW_SECONDS = 30.0
_PRIVATE = 0o600


@dataclass(frozen=True)
class _File:
    """The configuration file as it is: its lines, and which of them are the remote's."""

    lines: list[str]
    start: int
    end: int
    mode: Optional[int]

    def values(self) -> dict[str, str]:
        """The remote's section."""
        return _values(self.lines[self.start + 1 : self.end])

    def with_section(self, section: list[str]) -> str:
        """The whole text, with this in the remote's place."""
        before, after = self.lines[: self.start], self.lines[self.end :]
        if section and before and before[-1].strip():
            before = [*before, ""]
        if section and after:
            section = [*section, ""]
        lines = [*before, *section, *after]
        return "\n".join(lines).rstrip("\n") + "\n" if any(line.strip() for line in lines) else ""


def remote_values(settings: OffsiteSettings) -> dict[str, str]:
    """What rclone is to know of the service."""
    host = urlsplit(settings.endpoint).hostname or ""
    values = {
        "type": "s3",
        "provider": _provider(host, settings.style),
        "env_auth": "false",
        "access_key_id": settings.credentials.access_key,
        "secret_access_key": settings.credentials.secret_key,
        "region": settings.region,
        "endpoint": settings.endpoint,
        "acl": "private",
        # a key that may only write to the bucket may not ask whether there is one
        "no_check_bucket": "true",
        _MARK[0]: _MARK[1],
    }
    for name, value in values.items():
        if not _VALUE.fullmatch(value):
            raise SettingsError(f"rclone's {name} cannot be written: the value holds characters that no key has.")
    return values


def _provider(host: str, style: str) -> str:
    """rclone derives from the name of the service how it speaks; all releases know these."""
    if host.endswith(".amazonaws.com"):
        return "AWS"
    return "DigitalOcean" if style == "virtual" else "Other"


def write_remote(path: str, name: str, settings: Optional[OffsiteSettings], *, check: bool = False) -> dict[str, Any]:
    """Have a remote in the file, or, without settings, not have it.

    :returns: C(changed)
    :raises SettingsError: the file cannot be changed: it is encrypted, or the remote is somebody else's
    :raises ProgramError: rclone is missing, or does not read what was written
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{printable(name)!r} is no name of a remote.")
    path = os.path.realpath(path)
    present = _read(path, name)
    found = present.values()
    if found and found.get(_MARK[0]) != _MARK[1]:
        if settings is None:
            return {"changed": False}
        raise SettingsError(
            f"{printable(path)} has a remote [{name}] that cora did not write. Take another name (rclone_remote), or "
            f"remove it: rclone config delete {name}."
        )
    wanted = remote_values(settings) if settings else {}
    changed = found != wanted or (bool(wanted) and present.mode != _PRIVATE)
    if changed and not check:
        _write(path, name, present, wanted)
    return {"changed": changed}


def _read(path: str, name: str) -> _File:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(fd, "rb") as stream:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise SettingsError(f"{printable(path)} is not a regular file.")
            text = stream.read(_LARGEST_FILE_BYTES).decode("utf-8")
    except FileNotFoundError:
        return _File([], 0, 0, None)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{printable(path)} cannot be read: {error}.") from error
    lines = text.split("\n")
    if any(line.startswith("RCLONE_ENCRYPT_V") for line in lines):
        raise SettingsError(f"{printable(path)} is encrypted; cora cannot add a remote there. Name another file.")
    starts = [number for number, line in enumerate(lines) if _SECTION.fullmatch(line)]
    mode = stat.S_IMODE(status.st_mode)
    for number, following in zip(starts, [*starts[1:], len(lines)]):
        section = _SECTION.fullmatch(lines[number])
        if section and section.group(1) == name:
            return _File(lines, number, following, mode)
    return _File(lines, len(lines), len(lines), mode)


def _values(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines if "=" in line and line.lstrip()[:1] not in ("#", ";"))
    return {key.strip(): value.strip() for key, _equals, value in pairs}


def _write(path: str, name: str, present: _File, wanted: Mapping[str, str]) -> None:
    section = [f"[{name}]", *(f"{key} = {value}" for key, value in wanted.items())] if wanted else []
    text = present.with_section(section)
    durable.make_directories(os.path.dirname(path))
    if wanted:
        _try_with_rclone(path, name, text, wanted)
    durable.replace_file(path, text.encode(), mode=_PRIVATE)


def _try_with_rclone(path: str, name: str, text: str, wanted: Mapping[str, str]) -> None:
    trial = f"{path}.cora-{os.getpid()}"
    durable.write_file(trial, text.encode(), mode=_PRIVATE)
    try:
        shown = run(["rclone", "--config", trial, "config", "show", name], timeout_seconds=_SHOW_SECONDS).stdout
    finally:
        os.unlink(trial)
    if _values(shown.decode("utf-8", "replace").splitlines()) != dict(wanted):
        # what it shows holds the secret
        raise ProgramError(f"rclone does not read the remote [{name}] as it was written.", argv=["rclone", "config"])
