"""The routes of the simulated Amazon's reports, feeds and documents, behind the gate that all operations have."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from oneshelf.connectors.amazon.simulator_feeds import Feeds
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


def feed_routes(feeds: Feeds, wire: Wire) -> Sequence[BaseRoute]:
    base = "/feeds/2021-06-30"
    one = base + "/feeds/{feed_id}"
    return [
        Route(base + "/documents", wire.operation("createFeedDocument", feeds.place), methods=["POST"]),
        Route(base + "/documents/{document_id}", wire.operation("getFeedDocument", feeds.document), methods=["GET"]),
        Route(base + "/feeds", wire.operation("createFeed", feeds.create), methods=["POST"]),
        Route(base + "/feeds", wire.operation("getFeeds", feeds.listed), methods=["GET"]),
        Route(one, wire.operation("getFeed", feeds.get), methods=["GET"]),
        Route(one, wire.operation("cancelFeed", feeds.cancel), methods=["DELETE"]),
    ]


def document_routes(storage: Storage) -> Sequence[BaseRoute]:
    return [Route(PATH, storage.get, methods=["GET"]), Route(PATH, storage.put, methods=["PUT"])]
