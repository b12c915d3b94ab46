# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""rclone, called on one remote: whatever service it is, with the configuration of the person who set rclone up."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Optional

from .errors import OffsiteError, OffsiteMissingError, ProgramError, SettingsError
from .names import printable
from .programs import Completed, last_words, run

_ASK_SECONDS = 600.0
_COPY_SECONDS = 7 * 24 * 3600.0
#: rclone's own exit codes for "directory not found" and "file not found".
_NOT_FOUND = (3, 4)
_MISSING_PROGRAM = 127
#: Everything else of rclone is a person's to set, by its environment variables or its configuration.
_PASSED_ON = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "SSH_AUTH_SOCK")
_FLAGS = ("--retries=3", "--low-level-retries=10", "--contimeout=30s", "--timeout=300s", "--ask-password=false")


@dataclass(frozen=True)
class Rclone:
    """A place that rclone reaches.

    :param remote: C(remote:path), as rclone takes it; no key is ever a part of it
    :param prefix: below it, one for each host that shares the place
    :param bytes_per_second: at most so fast; 0 for as fast as it goes
    :param ca_bundle: file of certificates to trust instead of the system's
    """

    remote: str
    prefix: str
    bytes_per_second: int = 0
    ca_bundle: Optional[str] = None

    def __post_init__(self) -> None:
        name, colon, _path = self.remote.partition(":")
        if not colon or self.remote.startswith("-") or not self.remote.isprintable():
            raise SettingsError(
                f"{printable(self.remote)!r} is no remote of rclone: it is written remote:path (rclone listremotes)."
            )
        if not name or "," in name:
            # ":s3,secret_access_key=...:" would put a key on a command line
            raise SettingsError("Name a remote of rclone's configuration; one that is spelled out would show its keys.")

    def place(self, *parts: str) -> str:
        """C(remote:path/prefix/...)."""
        top = self.remote if self.remote.endswith((":", "/")) else self.remote + "/"
        return top + "/".join((self.prefix, *parts))

    def directories(self, *parts: str) -> list[str]:
        """Names of the directories there; none where there is no such place.

        :raises OffsiteError: rclone cannot list it
        """
        return [name[:-1] for name in self._lines("--dirs-only", *parts) if name.endswith("/")]

    def files(self, *parts: str) -> list[str]:
        """Names of the files there; none where there is no such place.

        :raises OffsiteError: rclone cannot list it
        """
        return self._lines("--files-only", *parts)

    def read(self, *parts: str) -> bytes:
        """Content of a small file.

        :raises OffsiteMissingError: there is none
        """
        return self.run("cat", self.place(*parts), what=f"read {self.place(*parts)}").stdout

    def run(self, *words: str, what: str, seconds: float = _COPY_SECONDS) -> Completed:
        """Run rclone.

        :param what: for the error: what could not be done
        :raises OffsiteError: it failed
        """
        done = self._call(words, seconds)
        if done.returncode in _NOT_FOUND:
            raise OffsiteMissingError(f"rclone could not {printable(what)}: it is not there. {_said(done)}")
        if done.returncode != 0:
            raise OffsiteError(f"rclone could not {printable(what)}: {_said(done)}")
        return done

    def _lines(self, kind: str, *parts: str) -> list[str]:
        place = self.place(*parts)
        done = self._call(("lsf", kind, "--max-depth=1", "--", place), _ASK_SECONDS)
        if done.returncode in _NOT_FOUND:
            return []
        if done.returncode != 0:
            raise OffsiteError(f"rclone could not list {printable(place)}: {_said(done)}")
        return done.stdout.decode("utf-8", "surrogateescape").splitlines()

    def _call(self, words: tuple[str, ...], seconds: float) -> Completed:
        flags = [*_FLAGS]
        if self.bytes_per_second:
            flags.append(f"--bwlimit={self.bytes_per_second}B")
        if self.ca_bundle:
            flags.append(f"--ca-cert={self.ca_bundle}")
        try:
            return run(["rclone", *flags, *words], cwd="/", env=_environment(), timeout_seconds=seconds, check=False)
        except ProgramError as error:
            if error.returncode == _MISSING_PROGRAM:
                raise SettingsError(
                    "rclone is not installed: the role rclone does it, or your package manager."
                ) from None
            raise OffsiteError(str(error)) from error


def _environment() -> dict[str, str]:
    names = [name for name in os.environ if name.startswith("RCLONE_") or name in _PASSED_ON]
    return {name: os.environ[name] for name in names}


def _said(done: Completed) -> str:
    """The last thing rclone said; what stands before it are tries of the same."""
    lines = [_message(line) for line in last_words(done.stderr).splitlines()]
    told = [line for line in lines if line]
    return printable(told[-1]) if told else f"exit status {done.returncode}"


def _message(line: str) -> str:
    """A line of the log, as text or as JSON; empty where it is nothing but statistics."""
    try:
        entry = json.loads(line)
        return "" if "stats" in entry else str(entry["msg"]).strip()
    except (ValueError, KeyError, TypeError):
        return line.strip()
