"""A Python whose clock stands at CORA_TEST_CLOCK (20240320-120000, UTC): for a vault with a history.

Put this directory on PYTHONPATH. Only what asks `datetime` for the time is led astray.
"""

import datetime
import os

_clock = os.environ["CORA_TEST_CLOCK"] + "+0000"
_there = datetime.datetime.strptime(_clock, "%Y%m%d-%H%M%S%z")


class _Then(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return _there if tz else _there.replace(tzinfo=None)


datetime.datetime = _Then
