"""Python imports this module at its start if it is on the path. The clock of the process is then always as many seconds
ahead as the file TEST_CLOCK says.
"""

import os
import time
from pathlib import Path

FILE = Path(os.environ["TEST_CLOCK"])
real_time_ns = time.time_ns


def time_ns() -> int:
    return real_time_ns() + int(FILE.read_text()) * 10**9


time.time_ns = time_ns
time.time = lambda: time_ns() / 10**9
