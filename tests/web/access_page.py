"""Makes `docs/reference/access.md` of the table of needs.

`PYTHONPATH=src:tests python -m web.access_page` writes it.
"""

from __future__ import annotations

from pathlib import Path

from oneshelf.domain.access import SCOPES_OF, Role
from oneshelf.web.needs import NEEDS, OPEN

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "access.md"
_HEAD = """# Who may ask what

Each route asks for one scope. A token has scopes, a role has those of its column; `admin` has all, any has `read`. A
request without a token or a session is 401, one with too little is 403 and says in `needs` what it lacks. `open` needs
neither: it tells nothing, or asks for a signature, a password or a link instead. Files under `/static/` need `read`.

This page is made by `PYTHONPATH=src:tests python -m web.access_page`, and a test compares it.
"""


def page() -> str:
    """The page as it should be."""
    lines = [_HEAD, f"| route | needs | {' | '.join(Role)} |", "|---|---|" + ":-:|" * len(Role)]
    for path in sorted(NEEDS):
        for method, need in sorted(NEEDS[path].items()):
            may = ["yes" if need is OPEN or need in SCOPES_OF[role] else "" for role in Role]
            lines.append(f"| `{method} {path}` | {'open' if need is OPEN else need.value} | {' | '.join(may)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
