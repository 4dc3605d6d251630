"""Files of policies: the rule of a scope in each row, a column for each term."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from oneshelf.domain.identity import Channel, Sku, channel_from, name_from, sku_from
from oneshelf.domain.outcome import UnknownSku
from oneshelf.domain.policy import FLAGS, LOW, TERMS, Rule, Scope, rule_of
from oneshelf.errors import MalformedError
from oneshelf.files.kind import NO_SUCH_SKU, Applied, Checked, Columns, Told, named_in, text_in, units_in
from oneshelf.files.table import CellError, Row
from oneshelf.flow.post import Keep
from oneshelf.flow.rule import put_rules
from oneshelf.storage import policies
from oneshelf.storage.database import Database

ALL_TERMS = (*TERMS, *(LOW + name for name in TERMS if name != "low_stock_at"))
_WORDS = {"true": True, "yes": True, "false": False, "no": False}


class Policies:
    """Rules. What a row states is all that holds for its scope; rules of other scopes stay."""

    name = "policies"
    columns = ("sku", "group", "channel", *ALL_TERMS)
    is_stock = False
    is_whole = False
    is_standing = True

    def adds(self, columns: Columns) -> bool:
        """It says what is so."""
        del columns
        return False

    def reader(self, columns: Columns, told: Told) -> Callable[[Row], Rule]:
        """Scope and terms; an empty cell states nothing."""
        del told
        stated = [name for name in ALL_TERMS if name in columns]
        if not stated:
            raise MalformedError(f"the header names no term, but {columns}; there are: {', '.join(ALL_TERMS)}")
        sku, group, channel = (columns.cell(name) for name in ("sku", "group", "channel"))
        cells = {name: columns.cell(name) for name in stated}

        def read(row: Row) -> Rule:
            columns.fit(row)
            values = {name: _value(name, cell(row)) for name, cell in cells.items()}
            terms = {name: value for name, value in values.items() if value is not None}
            if not terms:
                raise CellError("", "", "states nothing; leave the row out, or end the rule: oneshelf policy remove")
            try:
                return rule_of(_scope(sku(row), group(row), channel(row)), terms)
            except CellError:
                raise
            except MalformedError as failure:
                raise CellError("", "", str(failure)) from None

        return read

    def subject(self, item: Rule) -> str:
        """A scope has one rule."""
        return str(item.scope)

    def about(self, columns: Columns) -> None:
        """All of them have to do with one another."""
        del columns

    def label(self, item: Rule) -> str:
        """The row in a few words."""
        return f"{item.scope}: " + ", ".join(f"{name}={value}" for name, value in item.stated().items())

    async def check(self, database: Database, items: Sequence[Rule]) -> list[Checked]:
        """Each row beside the SKUs and channels there are."""
        found = []
        async with database.transaction() as tx:
            for item in items:
                unknown = await policies.unknown(tx, item.scope)
                if unknown is None:
                    found.append(Checked())
                elif isinstance(unknown, UnknownSku):
                    found.append(Checked(CellError("sku", unknown.sku, NO_SUCH_SKU)))
                else:
                    found.append(Checked(CellError("channel", unknown.channel, "no such channel is connected")))
        return found

    async def apply(
        self, database: Database, new_id: Callable[[], UUID], items: Sequence[Rule], keep: Keep
    ) -> list[Applied]:
        """Have these rules."""
        del new_id
        news = await put_rules(database, items, actor="import", is_trial=keep is Keep.NOTHING)
        return [Applied(True, "is the rule" if is_news else "was the rule before", not is_news) for is_news in news]


def _scope(sku: object, group: object, channel: object) -> Scope:
    return Scope(
        sku=Sku(named_in("sku", sku, sku_from)) if sku != "" else None,
        sku_group=named_in("group", group, lambda text: name_from(text, what="group")) if group != "" else None,
        channel=Channel(named_in("channel", channel, channel_from)) if channel != "" else None,
    )


def _value(name: str, value: object) -> int | bool | None:
    if value == "":
        return None
    if name.removeprefix(LOW) not in FLAGS:
        return units_in(name, value)
    if isinstance(value, bool):
        return value
    word = text_in(name, value).casefold()
    if word not in _WORDS:
        raise CellError(name, value, "must be yes or no")
    return _WORDS[word]
