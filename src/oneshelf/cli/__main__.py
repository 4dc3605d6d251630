"""`python -m oneshelf.cli`: the same as `oneshelf`."""

from __future__ import annotations

from oneshelf.cli import main

if __name__ == "__main__":
    main()
