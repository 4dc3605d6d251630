"""Reads one sheet with little memory, in a process of its own: `python -m oneshelf.files.sheet_trial PATH SHEET BYTES`.

A workbook of 5 KB may name a cell at the far corner, or one long text in every row. What reads it lays out the whole
rectangle, and ends the process where there is no memory for it: that process must not be the engine.
"""

from __future__ import annotations

import resource
import sys


def main(path: str, name: str, memory_bytes: str) -> None:
    """Load the sheet as `excel_table` does. What is wrong with the file is said there."""
    resource.setrlimit(resource.RLIMIT_AS, (int(memory_bytes), int(memory_bytes)))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import python_calamine

    try:
        book = python_calamine.CalamineWorkbook.from_path(path)
        book.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except (python_calamine.CalamineError, OSError, ValueError):
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
