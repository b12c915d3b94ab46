# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings that stand in the inventory, for the verbs that need no Ansible."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from .errors import UsageError

_SET = re.compile(rb"^[\"']?cora_", re.MULTILINE)


class Inventory:
    """The variables of C(inventory/group_vars/all) and C(inventory/host_vars/localhost).

    :param directory: the inventory
    """

    def __init__(self, directory: Path) -> None:
        self._values: dict[str, tuple[Any, Path]] = {}
        for path in _files(directory):
            self._read(path)

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

    def _read(self, path: Path) -> None:
        content = path.read_bytes()
        if not _SET.search(content):
            return
        for name, value in _load(content, path).items():
            if isinstance(name, str) and name.startswith("cora_"):
                self._values[name] = (value, path)


def _files(directory: Path) -> list[Path]:
    found = []
    for top in (directory / "group_vars" / "all", directory / "host_vars" / "localhost"):
        candidates = [top.with_suffix(".yml"), top.with_suffix(".yaml"), top]
        found += [path for path in candidates if path.is_file()]
        found += sorted(path for path in top.glob("*") if path.suffix in (".yml", ".yaml"))
    return found


def _load(content: bytes, path: Path) -> dict[Any, Any]:
    import yaml

    class Loader(yaml.SafeLoader):
        """Knows that there are tags of Ansible, such as C(!vault), and leaves them alone."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: _Opaque())
    try:
        value = yaml.load(content, Loader=Loader)
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    return value if isinstance(value, dict) else {}


class _Opaque:
    """A value that only Ansible understands."""
