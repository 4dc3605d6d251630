"""`python -m benchmarks [NAME [OPTIONS]]`: one measurement, or all of them one after the other."""

from __future__ import annotations

import sys
from collections.abc import Callable

from benchmarks import audit, bulk, checkout, files, flow, http, pages, propagate, reserve, size

MEASUREMENTS: dict[str, Callable[[list[str]], None]] = {
    "flow": flow.main,
    "reserve": reserve.main,
    "http": http.main,
    "checkout": checkout.main,
    "audit": audit.main,
    "propagate": propagate.main,
    "size": size.main,
    "bulk": bulk.main,
    "files": files.main,
    "pages": pages.main,
}


def main() -> None:
    """Measure what is asked for."""
    name, *options = sys.argv[1:] or [""]
    if name in MEASUREMENTS:
        MEASUREMENTS[name](options)
    elif name:
        sys.exit(f"benchmarks: there are {', '.join(MEASUREMENTS)}; each takes --help. Without a name all are run")
    else:
        for measure in MEASUREMENTS.values():
            measure([])


if __name__ == "__main__":
    main()
