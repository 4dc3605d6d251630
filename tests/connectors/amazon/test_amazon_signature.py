"""AWS Signature Version 4 against the vectors that AWS publishes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from oneshelf.connectors.amazon.sigv4 import AwsKeys, Signer, signed

# The test suite of AWS ("aws-sig-v4-test-suite"), of which these are get-vanilla, get-vanilla-query-order-key-case,
# post-vanilla, post-header-key-case and post-x-www-form-urlencoded; as in awscrt and many other clients (checked
# 2026-11-26). The host and the keys are those of the suite, and open nothing.
AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)
SIGNER = Signer(AwsKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), "us-east-1", "service")
HOST = "https://example.amazonaws.com/"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("method", "url", "headers", "body", "names", "proof"),
    [
        (
            *("GET", HOST, {}, b"", "host;x-amz-date"),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            *("GET", f"{HOST}?Param2=value2&Param1=value1", {}, b"", "host;x-amz-date"),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            *("POST", HOST, {}, b"", "host;x-amz-date"),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        (
            *("POST", HOST, FORM, b"Param1=value1", "content-type;host;x-amz-date"),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
    ],
)
def test_a_request_is_signed_as_aws_does(
    method: str, url: str, headers: dict[str, str], body: bytes, names: str, proof: str
) -> None:
    sent = signed(method, url, headers, body, signer=SIGNER, at=AT)
    assert sent["X-Amz-Date"] == "20150830T123600Z"
    assert sent["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={proof}"
    )
    assert {name: sent[name] for name in headers} == headers


def test_the_keys_are_in_no_repr() -> None:
    assert "wJalr" not in repr(SIGNER)
    assert "AKID" not in repr(SIGNER)
