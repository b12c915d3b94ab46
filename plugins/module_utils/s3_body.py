# Copyright: (c) 2026, cora.backup contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The body of a request, sent no faster than somebody asked for."""

from __future__ import annotations

import io
from typing import Any, Optional

from .bandwidth import Bandwidth

_MARK = "cora-pace"


class PacedBody(io.BytesIO):
    """Bytes of a request. Reading them waits for the limit, but only while they are on their way.

    The client also reads a body to sign it; :func:`let_pace` tells the two apart.
    """

    def __init__(self, data: bytes, bandwidth: Bandwidth) -> None:
        super().__init__(data)
        self._bandwidth = bandwidth
        self.is_signed = False

    def read(self, size: Optional[int] = -1) -> bytes:
        """Bytes, at their pace."""
        data = super().read(size)
        if self.is_signed:
            self._bandwidth.take(len(data))
        return data


def let_pace(client: Any) -> None:
    """Have a client say when it signs a request, so that bodies know. A request that is repeated is signed again."""
    client.meta.events.register_first("request-created.s3", _signing, unique_id=f"{_MARK}-begin")
    client.meta.events.register_last("request-created.s3", _signed, unique_id=f"{_MARK}-end")


def _signing(request: Any, **_others: Any) -> None:
    if isinstance(request.body, PacedBody):
        request.body.is_signed = False


def _signed(request: Any, **_others: Any) -> None:
    if isinstance(request.body, PacedBody):
        request.body.is_signed = True
