"""The engine with leases of another length: `python leased.py LEASE_S serve --port 8080`.

All that goes with the length keeps its share of it: until when a write may leave, how long a call may take, and when
a transaction that stands still is ended.
"""

from __future__ import annotations

import sys

from oneshelf import app, cli
from oneshelf.flow import channel, confirm, push, receive, reconcile
from oneshelf.storage import database


def main(lease_s: float, arguments: list[str]) -> None:
    share = lease_s / channel.WRITE_LEASE_S
    for module in (channel, push):
        vars(module)["SEND_BEFORE_S"] *= share
        vars(module)["WRITE_LEASE_S"] = lease_s
    app.CALL_DEADLINE_S *= share
    database.STANDSTILL_S = max(1, round(database.STANDSTILL_S * share))
    confirm.LEASE_S = receive.POLL_LEASE_S = reconcile.SWEEP_LEASE_S = lease_s
    sys.argv = ["oneshelf", *arguments]
    cli.main()


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2:])
