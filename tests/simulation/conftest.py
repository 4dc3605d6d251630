"""One database for all simulated days of a worker: each day empties it, and keeps its sessions for the next one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conftest import created_database
from oneshelf.simulation import sessions


@pytest.fixture(scope="session")
def simulated_dsn(server_dsn: str, template_name: str) -> Iterator[str]:
    """A migrated database for days; the tests of other parts have theirs as it was."""
    name = template_name.replace("template", "simulated")
    with created_database(server_dsn, name, template=template_name) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def dsn(simulated_dsn: str) -> Iterator[str]:
    """What a day leaves in it is gone when the next one begins. Its sessions are not kept for other tests."""
    yield simulated_dsn
    sessions.close_kept()
