from oneshelf.sdk.conformance import suite

TestCorner = suite("corner")
