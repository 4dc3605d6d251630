"""What went wrong at a channel, one class per way to recover.

A connector maps every failure of its channel to one of these. The engine looks at the class only:

| fault | what it means | what the engine does |
|---|---|---|
| `RetryLaterError` | not done, certainly | asks again when the channel says, later each time |
| `ReauthenticateError` | our credentials or rights are refused | pauses the channel for minutes: somebody has to act |
| `MisconfiguredError` | what a person set is wrong | the same; no listing is blamed for it |
| `RefusedError` | this request is refused for what it says | halves the batch until the culprit is alone; parks it |
| `OutcomeUnknownError` | sent, and no answer | holds its units back, and looks before anything else |
| `SignatureError` | the channel did not sign this delivery | answers 401 and stores nothing |

What a connector cannot read is `errors.MalformedError`: a delivery is parked, the answer to a write is unknown.
"""

from __future__ import annotations

from oneshelf.errors import OneshelfError


class ChannelFault(OneshelfError):
    """Base of all failures at a channel. The text carries the channel's own words, never a secret."""


class RetryLaterError(ChannelFault):
    """Not done, certainly: throttled, unreachable, or the channel said try again. `retry_after_s` from now."""

    def __init__(self, words: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(words)
        self.retry_after_s = retry_after_s


class BudgetSpentError(RetryLaterError):
    """Not even sent: what the channel grants is spent for now."""


class NeedsPersonError(ChannelFault):
    """Not done, and asking again helps nobody before a person has acted."""


class ReauthenticateError(NeedsPersonError):
    """The channel refused our credentials or our rights. Retrying spends nothing and helps nothing.

    `status`: of HTTP, where that said so; 0 otherwise.
    """

    def __init__(self, words: str, *, status: int = 0) -> None:
        super().__init__(words)
        self.status = status


class MisconfiguredError(NeedsPersonError):
    """What a person set is wrong: no such shop, location or version there. Every request meets the same.

    The text names the setting.
    """


class RefusedError(ChannelFault):
    """The channel refuses this request for what it says. The same request will be refused again."""


class OutcomeUnknownError(ChannelFault):
    """Sent, and no answer that can be trusted. It may have been applied: look before anything else."""


class SignatureError(ChannelFault):
    """A delivery that the channel did not sign. It is answered 401 and nothing of it is stored."""
