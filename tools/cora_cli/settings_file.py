# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A YAML file with settings."""

from __future__ import annotations

from typing import Any

from .errors import UsageError


def load_settings(content: bytes, path: str) -> dict[str, Any]:
    """The C(cora_) variables in a file of variables.

    :param path: named in errors
    :raises UsageError: when it is not YAML
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Knows that there are tags of Ansible, such as C(!vault), and leaves them alone."""

    Loader.add_multi_constructor("!", lambda loader, suffix, node: _Opaque())
    try:
        value = yaml.load(content, Loader=Loader)
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(value, dict):
        return {}
    return {name: setting for name, setting in value.items() if isinstance(name, str) and name.startswith("cora_")}


class _Opaque:
    """A value that only Ansible understands."""
