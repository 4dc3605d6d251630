"""What is typed, as the audit log has it: the command and what it is done to. Values of options are never kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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


def named(leaf: Any, arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """What was typed, each with its name: the option that it is of, or of an argument the name that `--help` has."""
    params = [param for param in leaf.params if param.param_type_name == "argument"]
    objects = iter([(param.metavar or param.name.upper()).strip("[]…") for param in params])
    last = "what is typed"
    for option, text in _parted(leaf, arguments):
        last = last if option else next(objects, last)
        yield option or last, text


def _objects(leaf: Any, arguments: Sequence[str]) -> list[str]:
    """The arguments that are no options and no values of options."""
    return [text for option, text in _parted(leaf, arguments) if not option]


def _parted(leaf: Any, arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each value with its option, "" for an argument, which may be a number below zero. A flag has none."""
    flags = {
        name
        for param in leaf.params
        if getattr(param, "is_flag", False)
        for name in (*param.opts, *param.secondary_opts)
    }
    rest = iter(arguments)
    for text in rest:
        if text == "--":
            yield from (("", one) for one in rest)
        elif not text.startswith("-") or text[1:2] in {"", *"0123456789"}:
            yield "", text
        elif "=" in text.partition(" ")[0]:
            option, _, value = text.partition("=")
            yield option, value
        elif text not in flags and text != "--help":
            yield text, next(rest, "")
