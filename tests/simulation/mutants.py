"""Bugs that are planted on purpose: each is one place of the engine's source, changed while a test runs.

A run of the simulation must find each of them. None of this is part of the engine: a mutant is made by compiling the
function anew, with `old` replaced by `new`, in the module where it lives.
"""

from __future__ import annotations

import inspect
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Mutant:
    """A row of a file of mutants. `where`: module and function or method, as `oneshelf.domain.ledger:Shelf.move`.

    `mode`: of all SKUs on the days on which it is looked for. `shape`: of the shop there; empty: the engine rules.
    `faults`: those of these days, as `oneshelf simulate
    --faults` takes them; empty: what each seed draws. `scenario`: it is looked for in that instead, first as it is and
    then with the engine killed at one point of it after the other. `caught_by`: the check of the conformance suite.
    """

    name: str
    where: str
    old: str
    new: str
    mode: str = "pooled"
    shape: str = ""
    faults: str = ""
    scenario: str = ""
    caught_by: str = ""


def mutants_in(file: Path) -> tuple[Mutant, ...]:
    """All that stand in a file."""
    return tuple(Mutant(**one) for one in tomllib.loads(file.read_text())["mutant"])


MUTANTS = mutants_in(Path(__file__).parent / "mutants.toml")
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """The engine of this process has this bug."""
    module_name, _, path = mutant.where.partition(":")
    module = import_module(module_name)
    holder: Any = module
    *outer, name = path.split(".")
    for part in outer:
        holder = getattr(holder, part)
    original = getattr(holder, name)
    source = textwrap.dedent(inspect.getsource(original))
    assert source.count(mutant.old) >= 1, f"{mutant.name}: {mutant.where} does not hold {mutant.old!r} any more"
    # What it names is found in its module, where something else may have the name of a method.
    made: dict[str, Any] = {}
    exec(compile(source.replace(mutant.old, mutant.new), f"<{mutant.name}>", "exec"), dict(vars(module)), made)  # noqa: S102  # our own text
    bug = made[name]
    homes = [holder] if outer else [one for one in _modules() if vars(one).get(name) is original]
    try:
        for home in homes:
            setattr(home, name, bug)
        yield
    finally:
        for home in homes:
            setattr(home, name, original)


def _modules() -> list[Any]:
    """Every module of the engine: a function that was imported by name has a home in each of them."""
    return [module for name, module in list(sys.modules.items()) if name.startswith("oneshelf.")]
