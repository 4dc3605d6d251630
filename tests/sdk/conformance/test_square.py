"""Square passes the suite that every connector has to pass."""

from __future__ import annotations

from oneshelf.sdk.conformance import suite

TestSquare = suite("square")
