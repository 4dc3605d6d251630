"""`python -m benchmarks`: all measurements."""

from __future__ import annotations

from benchmarks.flow import main

if __name__ == "__main__":
    main()
