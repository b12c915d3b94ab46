#!/usr/bin/python3
"""Write one row after the other into a WAL database: the n-th row holds n and a text that follows from n."""

import os
import sqlite3
import sys
import time

path = sys.argv[1]
os.makedirs(os.path.dirname(path), exist_ok=True)
database = sqlite3.connect(path, isolation_level=None, timeout=30)
database.execute("PRAGMA journal_mode = WAL")
database.execute("CREATE TABLE IF NOT EXISTS t (n INTEGER PRIMARY KEY, body TEXT)")
while True:
    database.execute("INSERT INTO t SELECT coalesce(max(n), 0) + 1, 'row ' || (coalesce(max(n), 0) + 1) FROM t")
    time.sleep(0.005)
