"""What Amazon says is wrong with a listing or with a submission, in a line. Pure.

An issue has a code, a message, a severity, the attributes it is about, and what Amazon does to the listing for it:
Listings Items v2021-08-01 as modelled at https://github.com/amzn/selling-partner-api-models (checked 2026-11-27). An
accepted quantity that is not applied is explained by the issues of the listing, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

QUANTITY_ATTRIBUTE = "fulfillment_availability"
WORDS_LENGTH_MAX = 300


def refusal_words(answer: Mapping[str, Any]) -> str:
    """Why a submission was not taken: its errors, or whatever else it came with."""
    found = _issues(answer)
    errors = [issue for issue in found if issue.get("severity") == "ERROR"]
    return _joined(errors or found) or f"{answer.get('status')} without an issue"


def listing_issues(item: Mapping[str, Any]) -> str | None:
    """The errors of a listing, those about its quantity first; empty: it has none; None: the answer does not tell."""
    if "issues" not in item:
        return None
    errors = [issue for issue in _issues(item) if issue.get("severity") == "ERROR"]
    return _joined(sorted(errors, key=lambda issue: QUANTITY_ATTRIBUTE not in _names(issue.get("attributeNames"))))


def issue_words(code: object, message: object, *, attributes: Sequence[str] = (), actions: Sequence[str] = ()) -> str:
    """One issue, with the attributes it is about and what Amazon does to the listing for it."""
    about = "; ".join(part for part in (", ".join(attributes), ", ".join(actions)) if part)
    return f"{code}: {message}" + (f" ({about})" if about else "")


def _joined(issues: Sequence[Mapping[str, Any]]) -> str:
    """Whole issues as far as they fit, each once (Amazon repeats one for each marketplace), and how many more."""
    words = list(dict.fromkeys(_words(issue) for issue in issues))
    shown: list[str] = []
    for one in words:
        if shown and len("; ".join([*shown, one])) > WORDS_LENGTH_MAX:
            return f"{'; '.join(shown)}; and {len(words) - len(shown)} more"
        shown.append(one[:WORDS_LENGTH_MAX])
    return "; ".join(shown)


def _words(issue: Mapping[str, Any]) -> str:
    return issue_words(
        issue.get("code"),
        issue.get("message"),
        attributes=_names(issue.get("attributeNames")),
        actions=_actions(issue.get("enforcements")),
    )


def _actions(enforcements: object) -> list[str]:
    """What Amazon does to the listing for it; what a listing is exempt from is not done."""
    if not isinstance(enforcements, Mapping):
        return []
    exemption, actions = enforcements.get("exemption"), enforcements.get("actions")
    is_exempt = isinstance(exemption, Mapping) and str(exemption.get("status")).startswith("EXEMPT")
    if is_exempt or not isinstance(actions, list):
        return []
    return _names([one.get("action") for one in actions if isinstance(one, Mapping)])


def _issues(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = answer.get("issues")
    return [issue for issue in found if isinstance(issue, Mapping)] if isinstance(found, list) else []


def _names(value: object) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
