# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a contestant is, and the peers: how each does the same work."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from .datasets import Dataset
from .measure import Command, output, run, shell

FIRST, AGAIN, SAVE, CHANGED = "first", "again", "save", "changed"
VERIFY, RESTORE, ONE_FILE = "verify", "restore", "one_file"
LIST, PRUNE = "list", "prune"
STATUS, FIND, HISTORY = "status", "find", "history"


@dataclass(frozen=True)
class Place:
    """Where one contestant works in one round.

    :param home: for its repository; it exists and is empty
    :param out: a name for the restored tree, which does not exist
    :param one: an empty directory for the one file
    :param done: the works that were done here, in their order
    """

    dataset: Dataset
    home: str
    out: str
    one: str
    log: str
    done: list[str] = field(default_factory=list)

    @property
    def backups(self) -> int:
        """How many backups were made here."""
        return sum(work in (FIRST, AGAIN, CHANGED) for work in self.done)


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    :param works: the command for each kind of work it can do
    :param prepare: what stands before the first backup and is not measured
    :param is_ours: this project
    """

    name: str
    version: str
    works: Mapping[str, Callable[[Place], Command]]
    prepare: Callable[[Place], None] = lambda place: None
    package: str = ""
    is_ours: bool = False


def one_file_path(place: Place) -> str:
    """Where the one file goes, quoted for a shell."""
    return shlex.quote(os.path.join(place.one, os.path.basename(place.dataset.sample)))


def _pipeline(name: str, version: str, pack: str, unpack: str, test: str, package: str) -> Contestant:
    """A tar archive through a compressor. Testing it compares the compressor's CRC of the whole, and nothing else."""

    def archive(place: Place) -> str:
        return f"{place.home}/tar.packed"

    def restore(place: Place) -> Command:
        return shell(f"mkdir {place.out} && {unpack} < {archive(place)} | tar -C {place.out} -xpf -")

    def one_file(place: Place) -> Command:
        sample = shlex.quote("./" + place.dataset.sample)
        return shell(f"{unpack} < {archive(place)} | tar -xOf - {sample} > {one_file_path(place)}")

    # no second backup: it would be the first one again
    works: dict[str, Callable[[Place], Command]] = {
        FIRST: lambda place: shell(f"tar -C {place.dataset.path} -cf - . | {pack} > {archive(place)}"),
        VERIFY: lambda place: shell(f"{test} < {archive(place)}"),
        RESTORE: restore,
        ONE_FILE: one_file,
    }
    return Contestant(name, version, works, package=package)


def _restic() -> Contestant:
    def command(place: Place, *argv: str, cwd: str = "/") -> Command:
        env = {
            "RESTIC_REPOSITORY": f"{place.home}/repository",
            "RESTIC_CACHE_DIR": f"{place.home}/cache",
            "RESTIC_PASSWORD": "bench",
        }
        return Command(["restic", "--quiet", *argv], cwd, env)

    def one_file(place: Place) -> Command:
        dump = command(place, "dump", "latest", "/" + place.dataset.sample)
        return shell(f"{shlex.join(dump.argv)} > {one_file_path(place)}", env=dump.env)

    def backup(place: Place) -> Command:
        return command(place, "backup", ".", cwd=place.dataset.path)

    works = {
        FIRST: backup,
        AGAIN: backup,
        CHANGED: backup,
        VERIFY: lambda place: command(place, "check", "--read-data"),
        RESTORE: lambda place: command(place, "restore", "latest", "--target", place.out),
        ONE_FILE: one_file,
        LIST: lambda place: command(place, "snapshots"),
        FIND: lambda place: command(place, "find", os.path.basename(place.dataset.sample)),
        PRUNE: lambda place: command(place, "forget", "--keep-last", "1", "--prune"),
    }
    return Contestant(
        "restic",
        output("restic", "version").split(" compiled")[0],
        works,
        prepare=lambda place: run(command(place, "init"), place.log),
        package="restic",
    )


def _borg() -> Contestant:
    def command(place: Place, *argv: str, cwd: str = "/") -> Command:
        env = {
            "BORG_REPO": f"{place.home}/repository",
            "BORG_BASE_DIR": f"{place.home}/base",
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }
        return Command(["borg", *argv], cwd, env)

    def restore(place: Place) -> Command:
        extract = command(place, "extract", f"::{place.backups}")
        return shell(f"mkdir {place.out} && cd {place.out} && {shlex.join(extract.argv)}", env=extract.env)

    def one_file(place: Place) -> Command:
        extract = command(place, "extract", "--stdout", f"::{place.backups}", place.dataset.sample)
        return shell(f"{shlex.join(extract.argv)} > {one_file_path(place)}", env=extract.env)

    def backup(place: Place) -> Command:
        return command(place, "create", f"::{place.backups + 1}", ".", cwd=place.dataset.path)

    works = {
        FIRST: backup,
        AGAIN: backup,
        CHANGED: backup,
        VERIFY: lambda place: command(place, "check", "--verify-data"),
        RESTORE: restore,
        ONE_FILE: one_file,
        LIST: lambda place: command(place, "list"),
        PRUNE: lambda place: shell("borg prune --keep-last 1 && borg compact", env=command(place).env),
    }
    return Contestant(
        "borg",
        output("borg", "--version"),
        works,
        prepare=lambda place: run(command(place, "init", "--encryption", "none"), place.log),
        package="borgbackup",
    )


def _rsync() -> Contestant:
    def copy(place: Place) -> Command:
        before = [f"--link-dest={place.home}/{place.backups}"] if place.backups else []
        target = f"{place.home}/{place.backups + 1}/"
        return Command(["rsync", "-aHAX", *before, f"{place.dataset.path}/", target])

    works: dict[str, Callable[[Place], Command]] = {
        FIRST: copy,
        AGAIN: copy,
        CHANGED: copy,
        RESTORE: lambda place: Command(["rsync", "-aHAX", f"{place.home}/{place.backups}/", f"{place.out}/"]),
    }
    return Contestant("rsync", output("rsync", "--version").partition("  protocol")[0], works, package="rsync")


def _rdiff() -> Contestant:
    def backup(place: Place) -> Command:
        return Command(["rdiff-backup", "backup", place.dataset.path, f"{place.home}/repository"])

    works: dict[str, Callable[[Place], Command]] = {
        FIRST: backup,
        AGAIN: backup,
        CHANGED: backup,
        VERIFY: lambda place: Command(["rdiff-backup", "verify", f"{place.home}/repository"]),
        RESTORE: lambda place: Command(["rdiff-backup", "restore", f"{place.home}/repository", place.out]),
    }
    return Contestant("rdiff-backup", output("rdiff-backup", "--version"), works, package="rdiff-backup")


def peers() -> list[Contestant]:
    """All peers, those that a run takes when none are named first."""
    tar = output("tar", "--version").partition("\n")[0]
    igzip = f"{tar}; igzip {output('igzip', '--version').rpartition(' ')[2]}"
    gzip = f"{tar}; {output('gzip', '--version').partition(chr(10))[0]}"
    zstd = f"{tar}; zstd {output('zstd', '--version').rpartition(' v')[2].partition(',')[0]}"
    return [
        _restic(),
        _borg(),
        _pipeline("tar | igzip -1", igzip, "igzip -1", "igzip -dc", "igzip -dc >/dev/null", "isal"),
        _pipeline("tar | gzip", gzip, "gzip", "gzip -dc", "gzip -t", "gzip"),
        _pipeline("tar | zstd -1", zstd, "zstd -1 -T0 -q", "zstd -dc -q", "zstd -t -q", "zstd"),
        _rsync(),
        _rdiff(),
    ]


USUAL_PEERS = ("restic", "borg", "tar | igzip -1", "tar | gzip")
