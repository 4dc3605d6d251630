"""A drift: a channel shows a figure that nothing in flight explains. It has a size, an age and a cause."""

from __future__ import annotations

from enum import StrEnum

# Written so often without the channel ever showing it, or against the same figure coming back: a person is needed.
HEALS_MAX = 8

WAIT_S_MAX = 30 * 86_400


class Cause(StrEnum):
    """Why a channel's figure differs from the belief, as far as the evidence goes."""

    LOST_WRITE = "lost write"  # accepted by the channel, never applied
    LATE_WRITE = "late write"  # an older write of ours, applied after a newer one
    FOREIGN_EDIT = "foreign edit"  # somebody else changed the figure
    UNSEEN_ORDER = "unseen order"  # an order that we had not been told of
    LATE_PENDING = "late pending"  # the same, and it was not paid yet when we were told
    SILENT_STATE_CHANGE = "silent state change"  # units went to a state that the channel never announces
    BUNDLE_ARITHMETIC = "bundle arithmetic"  # the channel took a bundle apart by itself
    UNKNOWN = "unknown"


class Resolution(StrEnum):
    """How a drift ended."""

    REPUBLISHED = "republished"  # the engine rules: its figure was written again
    ADOPTED = "adopted"  # a person said that the channel is right: the ledger took its figure
    BOOKED = "booked"  # units lie in another state at the channel: the ledger moved them too
    EXPLAINED = "explained"  # an order arrived that explains it
    VANISHED = "vanished"  # the channel shows the expected figure again


class How(StrEnum):
    """What a person may have done with a drift."""

    PUBLISH = "publish"  # the engine is right: write its figure again
    ADOPT = "adopt"  # the channel is right: the ledger takes its figure
    WAIT = "wait"  # decide about it after a while, anew


# What a drift that was resolved so ends with, by a rule or by a person.
ENDS = {How.PUBLISH: Resolution.REPUBLISHED, How.ADOPT: Resolution.ADOPTED}


def why_a_person(cause: Cause, *, heal_count: int, same_count: int, is_fall: bool) -> str:
    """Why writing the figure once more would not help; empty: write it.

    `heal_count`: how often it was written since the drift opened. `same_count`: how many drifts of the last hour ended
    with our figure and began with the very figure that is shown now. What shows more than it should is cut however
    often: a cut cannot oversell.
    """
    if cause is Cause.LOST_WRITE and heal_count >= HEALS_MAX:
        return f"written {heal_count} times, accepted each time, never shown: the channel does not apply it"
    if is_fall and same_count >= HEALS_MAX:
        return f"written over {same_count} times within an hour, and the same figure came back: somebody else writes it"
    return ""
