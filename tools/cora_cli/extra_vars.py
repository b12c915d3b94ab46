# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""C(-e): variables for the playbook, given as C(ansible-playbook) takes them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from typing import Any

from .errors import UsageError

#: Split at spaces, but not inside quotation marks or templates.
_WORD = re.compile(r"""(?:\{\{.*?\}\}|"[^"]*"|'[^']*'|[^\s"'])+""")


def parse_extra_vars(texts: Sequence[str]) -> dict[str, Any]:
    """C(k=v k=v), a JSON object, or C(@file) with YAML; later ones win.

    :raises UsageError: for anything else
    """
    variables: dict[str, Any] = {}
    for text in texts:
        variables.update(_parse(text))
    return variables


def _parse(text: str) -> dict[str, Any]:
    if text.startswith("@"):
        return _read(os.path.expanduser(text[1:]))
    if text.lstrip().startswith("{"):
        return _mapping(text, "-e")
    pairs = {}
    if _WORD.sub("", text).strip():
        raise UsageError(f"-e {text!r} has an open quotation mark.")
    for word in _WORD.findall(text):
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise UsageError(f"-e wants NAME=VALUE, a JSON object or @FILE, not {word!r}.")
        pairs[name] = _unquoted(value)
    return pairs


def _unquoted(value: str) -> str:
    # as ansible-playbook does: quotation marks around a whole value go, those inside stay
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def _mapping(text: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{what} is no valid JSON: {error}.") from error
    return _checked(value, what)


def _checked(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise UsageError(f"{what} must hold names and values.")
    return value


def _read(path: str) -> dict[str, Any]:
    import yaml

    try:
        with open(path, encoding="utf-8") as stream:
            value = yaml.safe_load(stream)
    except OSError as error:
        raise UsageError(f"-e @{path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"-e @{path} is not valid YAML.") from error
    return _checked({} if value is None else value, f"-e @{path}")
