"""A program that owns an embedded database and sells for ever: each number it prints is an acknowledged row.

python owner.py DIRECTORY SHARED_HOME
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

import psycopg

from oneshelf.storage.embedded import EmbeddedPostgres


def main(directory: Path, shared_home: Path) -> None:
    with EmbeddedPostgres(directory, shared_home=shared_home) as server:
        sys.stdout.write(f"{server.postmaster_pid}\n")
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute("create table if not exists sales (number bigint primary key)")
            for number in count(1):
                connection.execute("insert into sales values (%s)", (number,))
                sys.stdout.write(f"{number}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
