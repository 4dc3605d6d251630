"""What `pytest --pyargs oneshelf.sdk.conformance --connector NAME` collects."""

from __future__ import annotations

from oneshelf.sdk.conformance.suite import suite

TestConnector = suite()
