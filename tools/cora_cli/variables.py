# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables for a playbook, as YAML that Ansible takes literally."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Union

from ansible_collections.cora.backup.plugins.module_utils.names import printable

from .errors import UsageError

Value = Union[str, bool, Sequence[str]]


def literal_yaml(variables: Mapping[str, Value]) -> str:
    """YAML in which no text is a template: a directory may be called C({{ x }}).

    :raises UsageError: for text that is no UTF-8
    """
    return "---\n" + "".join(f"{name}: {_encode(value)}\n" for name, value in variables.items())


def _encode(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # Only what could be a template is tagged: of a tagged text Ansible forgets the quotes, and makes a number, a
        # truth value or nothing of it where it looks like one. No such word has a brace in it.
        return f"!unsafe {_quote(value)}" if "{" in value else _quote(value)
    return f"[{', '.join(_encode(item) for item in value)}]"


def _quote(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise UsageError(f"{printable(text)} is not UTF-8, which playbooks cannot handle.")
    return '"' + "".join(_escape(character) for character in text) + '"'


def _escape(character: str) -> str:
    code = ord(character)
    if character in '"\\':
        return f"\\{character}"
    if 0x20 <= code < 0x7F:
        return character
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
