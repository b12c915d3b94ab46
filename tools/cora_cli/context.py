# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all verbs work with: the options of the call, and the settings behind them."""

from __future__ import annotations

import os
import shlex
from functools import cached_property
from typing import Any

from ansible_collections.cora.backup.plugins.module_utils.defaults import default_vault

from . import ROOT_DIRECTORY
from .errors import UsageError
from .installed_settings import installed_settings
from .inventory import Inventory
from .output import Output


class Context:
    """One call of the command.

    :param project_option: C(--project), as it was typed
    :param vault_option: C(--vault), as it was typed
    :param extra_vars: C(-e), parsed
    :param verbose: how often C(-v) was given
    """

    def __init__(
        self,
        output: Output,
        project_option: str | None = None,
        vault_option: str | None = None,
        extra_vars: dict[str, Any] | None = None,
        verbose: int = 0,
    ) -> None:
        self.output = output
        self.project_option = project_option
        self.vault_option = vault_option
        self.extra_vars = extra_vars or {}
        self.verbose = verbose

    @cached_property
    def inventory(self) -> Inventory:
        """Settings of the checkout, or of the host on which this command is installed."""
        return _inventory()

    @cached_property
    def named_project(self) -> str | None:
        """The project that this call names (C(--project) or C(-e cora_project)); an absolute path."""
        return _absolute(self.project_option) or _absolute(self._extra("cora_project"))

    @cached_property
    def set_project(self) -> str | None:
        """The project that this call names, or that the inventory sets."""
        return self.named_project or self._configured("cora_project", "--project DIR")

    @property
    def project(self) -> str:
        """The project to save: named, or set, or the Git work tree around the working directory.

        :raises ProjectError: when there is none
        """
        from ansible_collections.cora.backup.plugins.module_utils.project_meant import project_to_save

        return self.set_project or project_to_save(self.vault, self.working_directory)

    @property
    def working_directory(self) -> str:
        """Where the person stands."""
        return _working_directory()

    @cached_property
    def vault(self) -> str:
        """The vault: named, or set in the inventory, or the default; an absolute path."""
        named = _absolute(self.vault_option) or _absolute(self._extra("cora_vault"))
        return named or self._configured("cora_vault", "--vault DIR") or default_vault()

    def number(self, name: str) -> float | None:
        """A setting that is a number: given with C(-e), or set in the inventory; None where it is neither.

        :raises UsageError: when it is no number
        """
        value = self.extra_vars.get(name, self.inventory.value(name))
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool)):
            return value
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{name} must be a number, not {value!r}.") from error

    def is_on(self, name: str) -> bool:
        """A setting that is true or false; false where it is not set."""
        value = self.extra_vars.get(name, self.inventory.value(name))
        return str(value).strip().lower() in ("true", "yes", "on", "1")

    def command(self, *words: str) -> str:
        """A command that the person can type next, with the options without which it would mean something else."""
        options = ["--vault", self.vault] if self.vault != self._vault_unasked() else []
        return shlex.join([_own_name(), *words, *options])

    def _vault_unasked(self) -> str:
        """Where the vault is for somebody who types a command now: a restore may have brought older settings back."""
        try:
            return self._configured("cora_vault", "--vault DIR", _inventory()) or default_vault()
        except UsageError:
            return ""

    def _extra(self, name: str) -> str | None:
        value = self.extra_vars.get(name)
        if value is None or isinstance(value, str):
            return value
        raise UsageError(f"-e {name} must be text.")

    def _configured(self, name: str, option: str, settings: Inventory | None = None) -> str | None:
        value = (settings or self.inventory).text(name, option)
        if value is None:
            return None
        path = os.path.expandvars(os.path.expanduser(value))
        if not os.path.isabs(path):
            raise UsageError(f"{name} in the settings must be an absolute path, not {value!r}.")
        return os.path.normpath(path)


def _inventory() -> Inventory:
    return Inventory(os.path.join(ROOT_DIRECTORY, "inventory"), installed_settings())


def _absolute(path: str | None) -> str | None:
    return os.path.abspath(os.path.expanduser(path)) if path else None


def _working_directory() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise UsageError("The directory you stand in is gone. Go to another one, or use --project DIR.") from error


def _own_name() -> str:
    if installed_settings():
        return "cora"
    import shutil

    script = os.path.join(ROOT_DIRECTORY, "tools", "cora.sh")
    found = shutil.which("cora")
    if found and os.path.realpath(found) == script:
        return "cora"
    relative = os.path.relpath(script, _working_directory())
    return script if relative.startswith("../") else f"./{relative}"
