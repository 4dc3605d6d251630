"""Who signed a webhook."""

from __future__ import annotations

import base64

import pytest

from oneshelf.sdk.signature import hmac_sha256_base64, is_hmac_sha256_base64

SECRET = "test-client-secret"
BODY = (
    b'{"inventory_item_id":53469430055218,"location_id":106318430514,"available":7,'
    b'"updated_at":"2026-06-25T01:33:56Z",'
    b'"admin_graphql_api_id":"gid://shopify/InventoryLevel/143273001266?inventory_item_id=53469430055218"}'
)
SIGNATURE = "4iVAA4t7fVYbV+P/ieTOqN0CihcbyVxG7y8AVgTXfPE="


def is_signed(signature: str | None = SIGNATURE, *, body: bytes = BODY, secrets: tuple[str, ...] = (SECRET,)) -> bool:
    return is_hmac_sha256_base64(body, signature=signature, secrets=secrets)


def test_the_reference_delivery_is_signed_as_shopify_signs_it() -> None:
    assert hmac_sha256_base64(SECRET, BODY) == SIGNATURE
    assert is_signed()


def test_one_flipped_bit_of_the_signature_is_refused() -> None:
    digest = base64.b64decode(SIGNATURE)
    for bit in range(len(digest) * 8):
        flipped = bytearray(digest)
        flipped[bit // 8] ^= 1 << bit % 8
        assert not is_signed(base64.b64encode(flipped).decode()), f"bit {bit}"


def test_one_flipped_bit_of_the_body_is_refused() -> None:
    for at in range(len(BODY)):
        flipped = bytearray(BODY)
        flipped[at] ^= 1
        assert not is_signed(body=bytes(flipped)), f"byte {at}"


@pytest.mark.parametrize(
    "signature",
    [
        pytest.param(None, id="missing"),
        pytest.param("", id="empty"),
        pytest.param("=", id="padding alone"),
        pytest.param("not base64!", id="not base64"),
        pytest.param(SIGNATURE[:-1], id="without padding"),
        pytest.param(SIGNATURE + "=", id="too much padding"),
        pytest.param(SIGNATURE + "\n", id="newline after it"),
        pytest.param(" " + SIGNATURE, id="space before it"),
        pytest.param(SIGNATURE[:10] + "!" + SIGNATURE[10:], id="junk inside it"),
        pytest.param(SIGNATURE.replace("+", "-").replace("/", "_"), id="the other alphabet"),
        pytest.param(SIGNATURE.removesuffix("E=") + "F=", id="bits set that say nothing"),
        pytest.param(SIGNATURE.lower(), id="lower case"),
        pytest.param(SIGNATURE + SIGNATURE, id="twice"),
        pytest.param(base64.b64decode(SIGNATURE).hex(), id="hexadecimal"),
        pytest.param(SIGNATURE.replace("4", "\u0664"), id="a digit of another script"),
        pytest.param("\xff\xfe\xfd", id="bytes beyond ASCII"),
        pytest.param("\ud800", id="half a character"),
    ],
)
def test_a_signature_has_one_spelling(signature: str | None) -> None:
    assert not is_signed(signature)


def test_during_a_rotation_both_secrets_sign() -> None:
    new = hmac_sha256_base64("new-secret", BODY)
    assert new != SIGNATURE
    for secrets in [("new-secret", SECRET), (SECRET, "new-secret")]:
        assert is_signed(secrets=secrets)
        assert is_signed(new, secrets=secrets)
    assert not is_signed(secrets=("new-secret",))
    assert not is_signed(new)


def test_without_a_secret_nothing_is_signed() -> None:
    assert not is_signed(secrets=())
