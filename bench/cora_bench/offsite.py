# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies in an object store: this project, restic, and rclone, from the tree of files to the same server."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from .measure import Command, output, run, shell
from .ours import ROOT

_CORA = os.path.join(ROOT, "tools", "cora.sh")
_REGION = "us-east-1"
ENVIRONMENT_FILE = "keys.env"


@dataclass(frozen=True)
class Store:
    """The server, as a contestant reaches it.

    :param bucket: the contestant's own
    """

    endpoint: str
    access_key: str
    secret_key: str
    bucket: str

    @property
    def aws(self) -> dict[str, str]:
        """The variables that most programs know."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": _REGION,
        }


@dataclass(frozen=True)
class Stand:
    """Where one contestant works.

    :param tree: what is to be copied
    :param home: an empty directory
    """

    store: Store
    tree: str
    home: str
    log: str


@dataclass(frozen=True)
class Copier:
    """One way to do it.

    :param prepare: what stands before the first copy and is not measured
    :param copy: brings the server up to date, from the tree
    """

    name: str
    version: str
    prepare: Callable[[Stand], None]
    copy: Callable[[Stand], Command]


def _cora() -> Copier:
    def prepare(stand: Stand) -> None:
        path = os.path.join(stand.home, ENVIRONMENT_FILE)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as stream:
            store = stand.store
            stream.write(
                f"SPACES_ACCESS_KEY={store.access_key}\nSPACES_SECRET_KEY={store.secret_key}\n"
                f"SPACES_ENDPOINT={store.endpoint}\nBACKUP_BUCKET={store.bucket}\n"
            )
        # the first call makes the command's Python environment
        run(Command([_CORA, "version"]), stand.log)

    def copy(stand: Stand) -> Command:
        common = ["--project", stand.tree, "--vault", f"{stand.home}/vault"]
        common += ["-e", f"cora_offsite_env_file={stand.home}/{ENVIRONMENT_FILE}"]
        backup = shlex.join([_CORA, "backup", "now", *common])
        sync = shlex.join([_CORA, "offsite", "sync", *common])
        return shell(f"{backup} && {sync}")

    return Copier("cora", output(_CORA, "version"), prepare, copy)


def _restic() -> Copier:
    def command(stand: Stand, *argv: str) -> Command:
        env = {
            **stand.store.aws,
            "RESTIC_REPOSITORY": f"s3:{stand.store.endpoint}/{stand.store.bucket}/restic",
            "RESTIC_CACHE_DIR": f"{stand.home}/cache",
            "RESTIC_PASSWORD": "bench",
        }
        return Command(["restic", "--quiet", *argv], stand.tree, env)

    return Copier(
        "restic",
        output("restic", "version").split(" compiled")[0],
        prepare=lambda stand: run(command(stand, "init"), stand.log),
        copy=lambda stand: command(stand, "backup", "."),
    )


def _rclone() -> Copier:
    def copy(stand: Stand) -> Command:
        env = {
            **stand.store.aws,
            "RCLONE_CONFIG": f"{stand.home}/rclone.conf",
            "RCLONE_S3_PROVIDER": "Ceph",
            "RCLONE_S3_ENV_AUTH": "true",
            "RCLONE_S3_ENDPOINT": stand.store.endpoint,
            "RCLONE_S3_NO_CHECK_BUCKET": "true",
        }
        return Command(
            ["rclone", "copy", "--links", "--fast-list", stand.tree, f":s3:{stand.store.bucket}/tree"], "/", env
        )

    version = output("rclone", "version").partition("\n")[0]
    return Copier("rclone copy", version, prepare=lambda stand: None, copy=copy)


def copiers() -> list[Copier]:
    """All of them."""
    return [_cora(), _restic(), _rclone()]
