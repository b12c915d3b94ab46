# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of modules that put files under running services."""

    DOCUMENTATION = r"""
options:
  services:
    description:
      - What runs on the project and must stand still while its files are swapped.
      - Stopped in this order, started in the reverse order.
    type: list
    elements: dict
    default: []
    suboptions:
      kind:
        description: What controls the service.
        type: str
        required: true
        choices:
          - pm2
          - systemd
          - command
      name:
        description: Name of the systemd unit or pm2 process. Needed for these two kinds.
        type: str
      user:
        description: The user whose pm2 runs the process. Left out, the user who runs the module.
        type: str
      stop:
        description: The words of the command that stops it, no shell. Needed for kind V(command).
        type: list
        elements: str
      start:
        description: The words of the command that starts it, no shell. Needed for kind V(command).
        type: list
        elements: str
  health_command:
    description:
      - The words of a command, no shell, that ends with 0 when the restored project works.
      - When it does not within O(health_timeout_seconds), everything is rolled back.
    type: list
    elements: str
    default: []
  health_timeout_seconds:
    description: How long O(health_command) is tried.
    type: float
    default: 30
"""
