"""`python -m benchmarks`: the flow; `python -m benchmarks audit`: audits of a large ledger."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    if sys.argv[1:2] == ["audit"]:
        from benchmarks.audit import main

        del sys.argv[1]
    else:
        from benchmarks.flow import main
    main()
