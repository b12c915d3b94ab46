# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What MANIFEST.txt says about the machine: enough to build a like one, cheap enough for every backup."""

from __future__ import annotations

import json
import os
import platform
import sqlite3
import sys
import time

from .errors import ProgramError
from .names import printable, to_bytes, to_text
from .programs import find_program, run

Sections = dict[str, dict[str, str]]

#: Versions are nice to have; a node that takes longer to say its own is listed without.
_VERSION_SECONDS = 0.08
_GIT_SECONDS = 2.0


def collect(*, project: str, vault: str, collection_version: str) -> Sections:
    """Sections of C(name: value) lines, in the order in which they are shown; every value is printable text.

    Nothing of it needs the network, and pm2 is never started: its version comes from its files.
    """
    return {
        "cora.backup": {"version": collection_version, "user": f"uid {os.geteuid()}"},
        "host": _host(),
        "programs": _programs(),
        "disk": {"project": _disk(project), "vault": _disk(vault)},
    }


def _host() -> dict[str, str]:
    kernel = os.uname()
    return {
        "hostname": printable(kernel.nodename),
        "os": _os_name(),
        "kernel": f"{kernel.sysname} {kernel.release} {kernel.machine}",
        "processors": str(os.cpu_count() or "unknown"),
        "memory_bytes": str(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
        "timezone": _timezone(),
    }


def _programs() -> dict[str, str]:
    found = {"python": f"{platform.python_version()} ({printable(sys.executable or 'unknown')})"}
    found["sqlite"] = sqlite3.sqlite_version
    for name, seconds in (("git", _GIT_SECONDS), ("node", _VERSION_SECONDS)):
        version = _version(name, seconds)
        if version:
            found[name] = version
    pm2 = find_program("pm2")
    if pm2:
        found["pm2"] = _package_version(pm2) or "present, version unknown"
    return found


def _version(name: str, seconds: float) -> str | None:
    program = find_program(name)
    if program is None:
        return None
    try:
        said = run([program, "--version"], timeout_seconds=seconds).stdout
    except ProgramError:
        return "present, version unknown"
    words = to_text(said).split()
    return printable(words[2] if words[:2] == ["git", "version"] else " ".join(words))[:100]


def _package_version(program: str) -> str | None:
    """Version of an npm package, from the C(package.json) above its program."""
    directory = os.path.dirname(os.path.realpath(program))
    try:
        with open(os.path.join(os.path.dirname(directory), "package.json"), encoding="utf-8") as file:
            version = json.load(file).get("version")
    except (OSError, ValueError, AttributeError):
        return None
    return printable(version)[:100] if isinstance(version, str) else None


def _os_name() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            for line in file:
                key, _equals, value = line.strip().partition("=")
                if key == "PRETTY_NAME":
                    return printable(value.strip("\"'"))
    except OSError:
        pass  # a container without one
    return "unknown"


def _timezone() -> str:
    offset = time.strftime("%z")
    try:
        target = os.readlink("/etc/localtime")
    except OSError:
        return f"{time.tzname[0]} (UTC{offset})"
    name = target.partition("zoneinfo/")[2] or time.tzname[0]
    return f"{printable(name)} (UTC{offset})"


def _disk(path: str) -> str:
    """Size and room of the file system that holds C(path), or its nearest directory that is there."""
    existing = path
    while not os.path.exists(existing) and os.path.dirname(existing) != existing:
        existing = os.path.dirname(existing)
    try:
        space = os.statvfs(existing)
    except OSError as exc:
        return f"unknown ({exc.strerror})"
    inodes = f", {space.f_favail} of {space.f_files} inodes available" if space.f_files else ""
    return (
        f"{printable(path)}: {space.f_bavail * space.f_frsize} of {space.f_blocks * space.f_frsize} bytes available"
        f"{inodes}, {_file_system(existing)}"
    )


def _file_system(path: str) -> str:
    """Type of the file system whose mount point is the longest above C(path)."""
    real = os.path.realpath(to_bytes(path))
    best, kind = b"", "unknown file system"
    try:
        with open("/proc/self/mountinfo", "rb") as table:
            for line in table:
                before, _dash, after = line.partition(b" - ")
                point = before.split()[4].decode("unicode_escape").encode("latin-1")  # a space stands as \\040
                if len(point) >= len(best) and _holds(point, real):
                    best, kind = point, to_text(after.split()[0])
    except (OSError, IndexError, UnicodeError):
        return "unknown file system"
    return printable(kind)


def _holds(directory: bytes, path: bytes) -> bool:
    return path == directory or path.startswith(directory.rstrip(b"/") + b"/")
