"""One database for all simulated days of a worker: each day empties it, and keeps its sessions for the next one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conftest import created_database
from oneshelf.simulation import sessions


@pytest.fixture(scope="session")
def dsn(server_dsn: str, template_name: str) -> Iterator[str]:
    """A migrated database; what a day leaves in it is gone when the next one begins."""
    name = template_name.replace("template", "simulated")
    with created_database(server_dsn, name, template=template_name) as made:
        yield made
        sessions.close_kept()
