# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that stand in the inventory or are installed on this host, for the verbs that need no Ansible."""

from __future__ import annotations

import os
import re
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

    def __init__(self, directory: str | os.PathLike[str], installed: str | os.PathLike[str] | None = None) -> None:
        self._values: dict[str, tuple[Any, str]] = {}
        for path in _files(os.fspath(directory)):
            self._read(path)
        #: What is installed on this host: playbooks know the inventory, but not these.
        self.installed: dict[str, Any] = {}
        if installed is not None:
            for path, values in read_installed(os.fspath(installed)):
                self.installed.update(values)
                self._values.update({name: (value, path) for name, value in values.items()})

    def text(self, name: str, option: str) -> str | None:
        """A setting that is plain text; None where it is not set.

        :param option: of the command, that says the same
        :raises UsageError: when only Ansible could tell its value
        """
        value, path = self._values.get(name, (None, ""))
        if value is None:
            return None
        if not isinstance(value, str) or "{{" in value or "{%" in value:
            raise UsageError(f"{name} in {path} is not plain text, which only a playbook can work out: use {option}.")
        return value

    def value(self, name: str) -> Any:
        """A setting as it stands there, templates unresolved; None where it is not set."""
        return self._values.get(name, (None, ""))[0]

    @property
    def names(self) -> list[str]:
        """What is set, be it a setting that there is or not."""
        return list(self._values)

    def _read(self, path: str) -> None:
        with open(path, "rb") as stream:
            content = stream.read()
        if not _SET.search(content):
            return
        self._values.update({name: (value, path) for name, value in load_settings(content, path).items()})


def _files(directory: str) -> list[str]:
    found = []
    for group, name in (("group_vars", "all"), ("host_vars", "localhost")):
        top = os.path.join(directory, group, name)
        found += [path for path in (f"{top}.yml", f"{top}.yaml", top) if os.path.isfile(path)]
        found += [os.path.join(top, name) for name in _names_in(top) if os.path.splitext(name)[1] in (".yml", ".yaml")]
    return found


def _names_in(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
