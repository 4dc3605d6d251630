"""What is typed, as the audit log has it: the command and what it is done to. Values of options are never kept."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

# Commands that change nothing. Every other one is written down.
READS = frozenset(
    {
        *("alert list", "audit", "audit-log", "explain", "short", "sku", "status", "doctor"),
        *(
            "channel devices",
            "channel list",
            "channel matrix",
            "channel sweep-plan",
            "channel windows",
        ),
        *("conflict list", "conflict show", "endpoint list"),
        *(
            "drift list",
            "drift objective",
            "drift show",
            "errors list",
            "listing list",
            "listing plan",
            "listing unlinked",
        ),
        *("policy history", "policy list", "policy preview", "secrets list", "secrets new-key"),
        *("architecture plan", "architecture show", "source list", "source statements"),
        *("truth history", "truth list", "truth preview"),
        *("stock backorders", "stock bundles", "stock exposure", "stock list", "token list", "user list"),
        *("stock count-lines", "stock count-tasks", "stock export", "stock imports", "stock inspections"),
        *("stock low", "stock shipments", "stock transfers"),
        *("wholesale list", "wholesale partners", "wholesale show"),
        *("stock pools list", "stock pools preview", "stock pools show"),
    }
)


@dataclass(slots=True)
class Typed:
    """One command. `objects`: its arguments without options. `is_noted`: it is written down already."""

    command: str
    objects: str
    is_noted: bool = False

    @property
    def is_act(self) -> bool:
        """Whether it may change something."""
        return self.command not in READS


_typed: ContextVar[Typed | None] = ContextVar("typed", default=None)


def remember(command: str, leaf: Any, arguments: Sequence[str]) -> None:
    """This is what was typed: a command of typer and what stands behind its name."""
    _typed.set(Typed(command, " ".join(_objects(leaf, arguments))))


def what_is_typed() -> Typed | None:
    """The command that runs; None outside of one."""
    return _typed.get()


def _objects(leaf: Any, arguments: Sequence[str]) -> list[str]:
    """The arguments that are no options and no values of options."""
    flags = {
        name
        for param in leaf.params
        if getattr(param, "is_flag", False)
        for name in (*param.opts, *param.secondary_opts)
    }
    found: list[str] = []
    rest = iter(arguments)
    for text in rest:
        if text == "--":
            return [*found, *rest]
        if not text.startswith("-") or text == "-":
            found.append(text)
        elif text not in flags and text != "--help" and "=" not in text.partition(" ")[0]:
            next(rest, None)
    return found
