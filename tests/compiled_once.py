"""Imported before anything of ours: programs that tests start, workers and tests themselves are compiled once.

Also where the environment forbids to keep what was compiled beside the sources. Without it each program that is started
compiles a thousand modules.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

BYTECODE = Path(__file__).parents[1] / ".pytest_cache" / "bytecode"
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = str(BYTECODE)
sys.dont_write_bytecode = False
