#!/usr/bin/python3
"""writer.py LOG: appends numbered lines, some hundred a second, until it is stopped."""

import signal
import sys
import time

stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
with open(sys.argv[1], "ab", buffering=0) as log:
    number = 0
    while not stopped:
        # the first lines quickly, so that there is something to rotate
        for _ in range(2000 if number < 200_000 else 20):
            number += 1
            log.write(b"%09d\n" % number)
        time.sleep(0.02)
