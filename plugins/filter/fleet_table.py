# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: fleet_table
short_description: Show the status of many hosts as one table, worst first
version_added: 1.0.0
description:
  - Makes lines for people of what M(cora.backup.status_info) found on each host.
author:
  - cora.backup contributors (!UNKNOWN)
positional: _input
options:
  _input:
    description: By name of the host, the registered result of M(cora.backup.status_info).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show one table
  ansible.builtin.debug:
    msg: "{{ {'web1': hostvars['web1'].status} | cora.backup.fleet_table }}"
"""

RETURN = r"""
_value:
  description: The lines of the table.
  type: list
  elements: str
"""

from collections.abc import Mapping
from typing import Any, Callable

from ansible_collections.cora.backup.plugins.module_utils.status_summary import fleet_table


def _of_hosts(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return fleet_table({name: _outcome(result) for name, result in found.items()})


def _outcome(result: Mapping[str, Any]) -> Mapping[str, Any]:
    text = str(result.get("msg") or "no answer")
    if result.get("unreachable"):
        return {"unreachable": text}
    if result.get("failed") or "problems" not in result:
        return {"error": text}
    return result


class FilterModule:
    """The filters of this collection."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """By name."""
        return {"fleet_table": _of_hosts}
