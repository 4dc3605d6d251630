"""The sixty bad inputs, by number, in shop words: what is sent, what is answered, and where we differ on purpose.

A test says which rows it holds with `@of_rows(…)`; so the row is in its id, and `docs/reference/bad-input.md` is made
of both (see `page.py`).
"""

from __future__ import annotations

from typing import NamedTuple

import pytest


class Row(NamedTuple):
    """`differs`: why we answer something else than the table asks for, or why there is nothing to ask yet."""

    sent: str
    answer: str
    differs: str = ""
    elsewhere: tuple[str, ...] = ()


NUMBERED = {
    1: Row("an empty body", "400"),
    2: Row("a body that is not JSON", "400; from a channel, signed: 200 and parked"),
    3: Row("something behind the JSON", "400"),
    4: Row("NaN, Infinity, 1e400", "400"),
    5: Row("fewer than no units", "422"),
    6: Row("half a unit", "422, no silent rounding"),
    7: Row("units as 1.0 or 1e2", "422, whole numbers only"),
    8: Row("a number written as text", "422"),
    9: Row("true for a number", "422"),
    10: Row("10¹² units", "422, at most 10⁹"),
    11: Row("a number of 4,301 digits", "400"),
    12: Row("2⁶³ units", "422"),
    13: Row(
        "lines that are each acceptable and add up to too much",
        "422, or 409 with the figures where it is only more than there is; nothing moved",
    ),
    14: Row("a name twice in one object", "400"),
    15: Row("lists in lists, 33 and 100,000 deep", "400"),
    16: Row("100,000 lines in one request", "422, or 413 where that is too long"),
    17: Row("a body of 10 MB", "413 without keeping it"),
    18: Row("a body without an end and without a length", "413 at the limit"),
    19: Row(
        "a length that lies; a length and chunks at once",
        "400 and the connection ends",
        "a body that is shorter than announced and then ends has nobody left to be told",
    ),
    20: Row(
        "a compressed body that unpacks to a thousand times its size",
        "415",
        "no compressed body is taken at all, so none is unpacked",
    ),
    21: Row("another content type, or none", "415"),
    22: Row("UTF-16, a byte order mark, bytes that are no UTF-8", "400"),
    23: Row("half of a surrogate pair", "400"),
    24: Row("NUL in a name", "422"),
    25: Row("É as one character or as two", "one SKU"),
    26: Row(
        "another case, blanks around, invisible characters, a turned text direction",
        "case counts, blanks around do not, the others are 422",
    ),
    27: Row(
        "names that look like formulas, paths, SQL or script",
        "kept as text, escaped on pages",
        "a cell of an export that a spreadsheet would take for a formula begins with an apostrophe",
    ),
    28: Row("an instant without a zone", "422; from a channel: parked"),
    29: Row(
        "30 February, second 60, zone +24:01, year 9999, 10¹⁸",
        "422; from a channel: parked",
    ),
    30: Row("digits of another script, 7_0, blanks around a number", "422"),
    31: Row("a command without a key", "400 and where to read about keys"),
    32: Row("the same key with the same command", "the first answer, `Idempotent-Replayed: true`"),
    33: Row("the same key with another command", "422"),
    34: Row("the same key at the same time", "one is done, the others wait and are told the same"),
    35: Row("a key of 256 characters, with a line break, or beyond ASCII", "400"),
    36: Row(
        "a key whose answer was purged",
        "409 `already_applied`",
        elsewhere=(
            "tests/flow/test_answers.py::test_a_forgotten_answer_still_keeps_the_command_from_happening_twice",
            "tests/flow/test_answers.py::test_a_forgotten_key_is_refused_for_another_command_as_before",
        ),
    ),
    54: Row(
        "our own webhooks told to call an address inside the house",
        "422",
        "there are no outgoing webhooks yet: no route takes an address to call",
    ),
    55: Row(
        "a channel that redirects us",
        "refused, never followed",
        elsewhere=("tests/connectors/shopify/test_push.py::test_a_redirect_is_refused_and_followed_by_nobody",),
    ),
    56: Row("a name that is somebody else's, or nobody's", "404", "there is one tenant, so it is only nobody's"),
    57: Row(
        "a wrong, an expired, a revoked token; one with too little",
        "401; 403 that says what it lacks",
        elsewhere=(
            "tests/web/test_access.py::test_a_token_ends_when_it_is_revoked_and_when_its_time_is_over",
            "tests/web/test_access.py::test_every_route_is_refused_to_a_token_that_has_too_little_and_to_no_other",
        ),
    ),
    58: Row(
        "a sixth log-in; one of an unknown name",
        "429; the same words after as much work",
        elsewhere=(
            "tests/web/test_login.py::test_who_is_unknown_and_who_is_wrong_is_told_the_same_and_the_sixth_try_waits",
        ),
    ),
    59: Row("a command from another site; a command by GET", "403; 405"),
    60: Row(
        "headers one byte a second, 10,000 connections, 200 headers",
        "408 after 10 s; the one idle longest makes room; 431",
        "an idle connection gives way instead of a new one being told 503",
        elsewhere=(
            "tests/cli/test_connections.py::test_a_request_whose_head_does_not_end_is_given_up",
            "tests/cli/test_connections.py::test_a_head_has_an_end",
            "tests/cli/test_connections.py::test_the_connection_idle_longest_makes_room_and_nobody_is_turned_away",
            "tests/cli/test_connections.py::test_a_thousand_and_more_idle_connections_keep_no_webhook_out",
        ),
    ),
}
# What the table does not number.
LETTERED = {
    "a": Row("a member that nobody knows", "422"),
    "b": Row("a member that is needed and missing", "422"),
    "c": Row("a text that is too long, or empty", "422"),
    "d": Row("a list for a text, a text for a list, and the like; a word that is none of those allowed", "422"),
    "e": Row("an address of 10 kB, with NUL, or that is no UTF-8", "404, 422, 400"),
    "f": Row("a parameter in the address that nobody knows, or that is there twice", "422"),
}
FROM_CHANNELS = {
    37: Row(
        "a webhook without a signature",
        "401, nothing stored",
        elsewhere=(
            "tests/web/test_webhooks.py::test_without_the_right_signature_nothing_is_stored_and_nothing_is_told",
        ),
    ),
    38: Row(
        "a webhook with a wrong signature",
        "401",
        elsewhere=(
            "tests/web/test_webhooks.py::test_without_the_right_signature_nothing_is_stored_and_nothing_is_told",
        ),
    ),
    39: Row("a signature over the same JSON written another way", "401"),
    40: Row(
        "a signature beyond ASCII",
        "401",
        elsewhere=(
            "tests/web/test_webhooks.py::test_without_the_right_signature_nothing_is_stored_and_nothing_is_told",
        ),
    ),
    41: Row(
        "a signature with junk in it",
        "401",
        elsewhere=(
            "tests/web/test_webhooks.py::test_without_the_right_signature_nothing_is_stored_and_nothing_is_told",
        ),
    ),
    42: Row(
        "a signature with the old secret during a rotation",
        "taken",
        elsewhere=(
            "tests/sdk/test_signature.py::test_during_a_rotation_both_secrets_sign",
            "tests/connectors/shopify/test_subscriptions.py::test_a_rotated_secret_signs_within_the_hour_and_both_are_accepted_until_then",
        ),
    ),
    43: Row("an old timestamp", "401", "no connected kind of channel signs a timestamp"),
    44: Row(
        "a delivery that comes twice",
        "200, no effect",
        elsewhere=(
            "tests/web/test_webhooks.py::test_a_delivery_that_comes_twice_is_stored_once_and_acknowledged_twice",
        ),
    ),
    45: Row("the same order in another delivery", "200, no effect"),
    46: Row(
        "a cancellation before its order",
        "200, both recorded",
        elsewhere=(
            "tests/domain/test_fulfilment.py::test_a_cancellation_that_overtakes_its_order_counts_as_both",
            "tests/domain/test_fulfilment.py::test_any_order_of_arrival_and_any_repetition_ends_the_same",
        ),
    ),
    47: Row(
        "an order for a SKU that nobody linked",
        "200, parked, heals when it is linked",
        elsewhere=(
            "tests/flow/test_main_job.py::test_an_order_of_an_unlinked_listing_waits_visibly_and_posts_itself_once_linked",
        ),
    ),
    48: Row(
        "a topic that we do not read",
        "200, stored",
        elsewhere=(
            "tests/connectors/shopify/test_parse.py::test_a_topic_that_we_do_not_read_is_ignored_with_a_reason",
        ),
    ),
    49: Row(
        "a delivery signed with another channel's secret",
        "401",
        elsewhere=(
            "tests/web/test_webhooks.py::test_without_the_right_signature_nothing_is_stored_and_nothing_is_told",
        ),
    ),
    50: Row("an order line of 0 or fewer units", "200; fewer than none is parked"),
    51: Row(
        "an order edited below what was shipped",
        "200",
        "it is parked with its reason for a person: figures that contradict each other are corrected by nobody",
        elsewhere=(
            "tests/domain/test_fulfilment.py::test_a_line_whose_figures_contradict_each_other_is_refused",
            "tests/connectors/shopify/test_parse.py::test_what_cannot_be_read_is_refused_with_its_reason",
        ),
    ),
    52: Row("unknown signing keys", "401", "no connected kind of channel looks up signing keys"),
    53: Row("a certificate from somebody else's host", "401", "no connected kind of channel fetches certificates"),
}
ROWS: dict[str, Row] = {str(number): row for number, row in sorted((NUMBERED | FROM_CHANNELS).items())} | LETTERED


def of_rows(*rows: int | str) -> pytest.MarkDecorator:
    """Runs the test once for each of these rows, as its argument `row`."""
    return pytest.mark.parametrize("row", [pytest.param(str(row), id=f"row {row}") for row in rows])
