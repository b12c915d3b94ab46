# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that stand in the inventory or are installed on this host, for the verbs that need no Ansible."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .errors import UsageError
from .installed_settings import read_installed
from .settings_file import load_settings

_SET = re.compile(rb"^[\"']?cora_", re.MULTILINE)


class Inventory:
    """The variables of C(inventory/group_vars/all) and C(inventory/host_vars/localhost), and of this host.

    :param directory: the inventory
    :param installed: the settings of this host, where cora is installed; they win
    """

    def __init__(self, directory: Path, installed: Path | None = None) -> None:
        self._values: dict[str, tuple[Any, Path]] = {}
        for path in _files(directory):
            self._read(path)
        #: What is installed on this host: playbooks know the inventory, but not these.
        self.installed: dict[str, Any] = {}
        if installed is not None:
            for path, values in read_installed(installed):
                self.installed.update(values)
                self._values.update({name: (value, path) for name, value in values.items()})

    def text(self, name: str, option: str) -> str | None:
        """A setting that is plain text; None where it is not set.

        :param option: of the command, that says the same
        :raises UsageError: when only Ansible could tell its value
        """
        value, path = self._values.get(name, (None, Path()))
        if value is None:
            return None
        if not isinstance(value, str) or "{{" in value or "{%" in value:
            raise UsageError(f"{name} in {path} is not plain text, which only a playbook can work out: use {option}.")
        return value

    def value(self, name: str) -> Any:
        """A setting as it stands there, templates unresolved; None where it is not set."""
        return self._values.get(name, (None, Path()))[0]

    @property
    def values(self) -> dict[str, Any]:
        """All settings as they stand there, templates unresolved."""
        return {name: value for name, (value, _path) in self._values.items()}

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        if not _SET.search(content):
            return
        self._values.update({name: (value, path) for name, value in load_settings(content, path).items()})


def _files(directory: Path) -> list[Path]:
    found = []
    for top in (directory / "group_vars" / "all", directory / "host_vars" / "localhost"):
        candidates = [top.with_suffix(".yml"), top.with_suffix(".yaml"), top]
        found += [path for path in candidates if path.is_file()]
        found += sorted(path for path in top.glob("*") if path.suffix in (".yml", ".yaml"))
    return found
