"""The routes of the simulated Amazon's reports and documents, behind the gate that all operations have."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from oneshelf.connectors.amazon.simulator_reports import Reports
from oneshelf.connectors.amazon.simulator_storage import PATH, Storage
from oneshelf.connectors.amazon.simulator_wire import Wire


def report_routes(reports: Reports, wire: Wire) -> Sequence[BaseRoute]:
    base = "/reports/2021-06-30"
    one = base + "/reports/{report_id}"
    return [
        Route(base + "/reports", wire.operation("createReport", reports.create), methods=["POST"]),
        Route(base + "/reports", wire.operation("getReports", reports.listed), methods=["GET"]),
        Route(one, wire.operation("getReport", reports.get), methods=["GET"]),
        Route(one, wire.operation("cancelReport", reports.cancel), methods=["DELETE"]),
        Route(
            base + "/documents/{document_id}",
            wire.operation("getReportDocument", reports.document),
            methods=["GET"],
        ),
    ]


def document_routes(storage: Storage) -> Sequence[BaseRoute]:
    return [Route(PATH, storage.get, methods=["GET"]), Route(PATH, storage.put, methods=["PUT"])]
