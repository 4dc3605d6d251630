"""One shelf for each file of these tests: what is wrong changes nothing on it, so all of them can share it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql
from psycopg.conninfo import make_conninfo

from web.bad_input.shelf import Shelf, open_shelf

_numbers = count(1)


@pytest.fixture(scope="module")
def module_dsn(server_dsn: str, template_name: str) -> Iterator[str]:
    """A fresh database for the tests of one file."""
    name = template_name.replace("template", f"bad_input_{next(_numbers)}")
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        copy = sql.SQL("create database {} template {} strategy file_copy")
        connection.execute(copy.format(sql.Identifier(name), sql.Identifier(template_name)))
    yield make_conninfo(server_dsn, dbname=name)
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shelf(module_dsn: str) -> AsyncIterator[Shelf]:
    async with open_shelf(module_dsn) as opened:
        yield opened
