#!/usr/bin/python3
"""check_log.py LOG ID...: just these were removed, each noted before and after it went, with reason and person."""

import json
import sys

log, *ids = sys.argv[1:]
with open(log, encoding="ascii") as stream:
    lines = [json.loads(line) for line in stream]
removing = [line["id"] for line in lines if line["event"] == "removing"]
removed = [line["id"] for line in lines if line["event"] == "removed"]
if removing != removed or sorted(removed) != sorted(ids):
    sys.exit(f"began {removing}, ended {removed}, meant {ids}")
if not all(line["reasons"] and line["at"] and line["uid"] == 0 and line["project"] for line in lines):
    sys.exit(f"incomplete: {lines}")
