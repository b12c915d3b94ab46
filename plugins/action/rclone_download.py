# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of this name; on the controller itself from the collection as it lies on disk."""

from __future__ import annotations

from ansible_collections.cora.backup.plugins.plugin_utils.from_disk import ActionModule

__all__ = ["ActionModule"]
