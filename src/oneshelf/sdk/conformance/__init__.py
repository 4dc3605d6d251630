"""The suite that every connector has to pass against its own simulator.

`pytest --pyargs oneshelf.sdk.conformance --connector acme`, or in a test file of one's own:

    from oneshelf.sdk.conformance import suite
    TestAcme = suite("acme")

pytest comes with `oneshelf[conformance]`; `run.run` needs none.
"""

from __future__ import annotations

from oneshelf.sdk.conformance.suite import suite

__all__ = ["suite"]
