"""A second ledger, kept on paper: the same rules of the shop with none of the engine's code.

Accounts are plain texts ("BER available", "customer"). Methods answer with the name of the outcome and its figures.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

Place = tuple[str, str]  # SKU, location
Answer = dict[str, object]

ON_HAND = ("available", "committed", "reserved", "damaged", "quality_control", "safety_stock")
UNSHIPPED = ("available", "committed", "reserved", "safety_stock")
UNPROMISED = ("available", "safety_stock", "quality_control", "damaged")


@dataclass
class Note:
    """A reservation: for each place, units that lie aside and units that it waits for."""

    kind: str
    number: int
    aside: dict[Place, int]
    awaited: Counter[Place] = field(default_factory=Counter)
    ends_at: float | None = None
    state: str = "held"


@dataclass
class Line:
    """A line of an order. `told`: its channel has spoken of it."""

    place: Place
    number: int
    told: bool
    unpaid: bool = False
    pending: int = 0
    committed: int = 0
    short: int = 0
    shipped: int = 0
    returned: int = 0
    resold: int = 0

    def back(self) -> int:
        return max(self.returned, self.resold)


@dataclass
class Parcel:
    """What a supplier announced of a SKU, and what is known of it since."""

    place: Place
    coming: int
    announced: int
    percent: int
    taken_over: int = 0
    held: int = 0
    is_closed: bool = False


class PaperLedger:
    """All accounts, reservations, order lines and transfers. `number` counts up: later things have higher ones."""

    def __init__(self) -> None:
        self.accounts: dict[str, Counter[str]] = {}
        self.notes: dict[str, Note] = {}
        self.orders: dict[str, list[Line]] = {}
        self.transfers: dict[tuple[str, str], dict[str, int]] = {}
        self.parcels: dict[tuple[str, str], Parcel] = {}
        self.recipes: dict[str, dict[str, int]] = {}
        self.made_of: dict[str, dict[str, int]] = {}
        self.caps: dict[Place, int] = {}
        self.now = 0.0
        self.number = 0
        # Every line that was ever written, in order: SKU, units, from, to, and whether it only made a count come true.
        self.book: list[tuple[str, int, str, str, bool]] = []

    def there(self, place: Place, state: str = "available") -> int:
        return self.accounts.get(place[0], Counter())[f"{place[1]} {state}"]

    def shift(self, sku: str, units: int, origin: str, target: str, *, by_count: bool = False) -> None:
        if units:
            self.book.append((sku, units, origin, target, by_count))
        books = self.accounts.setdefault(sku, Counter())
        books[origin] -= units
        books[target] += units

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def lines(self, place: Place | None = None) -> list[Line]:
        return [line for lines in self.orders.values() for line in lines if place in (None, line.place)]

    def tidy(self) -> None:
        """Free units go to whoever waits longest."""
        queue: list[tuple[int, Note | Line]] = [(line.number, line) for line in self.lines()]
        queue += [(note.number, note) for note in self.notes.values() if note.state == "held"]
        for _, waiting in sorted(queue, key=lambda one: one[0]):
            if isinstance(waiting, Line):
                self._take(waiting, min(waiting.short, self.there(waiting.place)), from_short=True)
                continue
            for place in waiting.awaited:
                came = min(waiting.awaited[place], self.there(place))
                waiting.awaited[place] -= came
                waiting.aside[place] += came
                self.shift(place[0], came, f"{place[1]} available", f"{place[1]} reserved")

    def awaited(self, place: Place) -> int:
        """Units of a place that somebody was promised and that are not there."""
        noted = sum(note.awaited[place] for note in self.notes.values() if note.state == "held")
        return noted + sum(line.short for line in self.lines(place))

    def _take(self, line: Line, units: int, *, from_short: bool = False) -> None:
        state = "reserved" if line.unpaid else "committed"
        self.shift(line.place[0], units, f"{line.place[1]} available", f"{line.place[1]} {state}")
        if line.unpaid:
            line.pending += units
        else:
            line.committed += units
        if from_short:
            line.short -= units

    # Single units ---------------------------------------------------------------------------------------------------

    def change(self, place: Place, units: int, origin: str, target: str) -> Answer:
        """Units from one account to another; those of the shelf must be there."""
        sku, location = place
        if origin.startswith(location) and self.there(place, origin.split(" ")[1]) < units:
            there = self.there(place, origin.split(" ")[1])
            is_short = origin.endswith(" available")
            return {"kind": "Short", "available": there} if is_short else {"kind": "TooFew", "there": there}
        coming = self.there(place, "incoming") if origin == f"{location} incoming" else 0
        announced = sum(one.coming for one in self.parcels.values() if one.place == place)
        if coming and announced and coming - announced < units:
            return {"kind": "IsAnnounced", "incoming": coming, "announced": announced}
        self.shift(sku, units, origin, target)
        self.tidy()
        return {"kind": "Posted", "units_moved": units, "available": self.there(place)}

    def adopt(self, place: Place, delta: int) -> Answer:
        """Somebody who is right says that there are so many more or fewer."""
        location = place[1]
        if delta >= 0:
            return self.change(place, delta, "found", f"{location} available")
        free = min(-delta, self.there(place))
        self.shift(place[0], free, f"{location} available", "shrinkage")
        broken = self._break_promises(place, -delta - free, by_count=False)
        self.tidy()
        answer: Answer = {"kind": "Posted", "units_moved": free + broken, "available": self.there(place)}
        return {**answer, "kind": "CountedShort", "units_short": broken} if broken else answer

    def count(self, place: Place, units: int, states: tuple[str, ...] = ON_HAND) -> Answer:
        sku, location = place
        missing = sum(self.there(place, state) for state in states) - units
        moved = abs(missing)
        if missing < 0:
            self.shift(sku, -missing, "found", f"{location} available", by_count=True)
        for state in UNPROMISED:
            gone = min(max(missing, 0), self.there(place, state)) if state in states else 0
            self.shift(sku, gone, f"{location} {state}", "shrinkage", by_count=True)
            missing -= gone
        broken = max(missing, 0)
        if missing > 0:
            self._break_promises(place, missing)
        self.tidy()
        answer: Answer = {"kind": "Posted", "units_moved": moved, "available": self.there(place)}
        return {**answer, "kind": "CountedShort", "units_short": broken} if broken else answer

    def count_since(self, place: Place, units: int, states: tuple[str, ...], line: int, *, in_doubt: bool) -> Answer:
        """Counted when the book had so many lines. In doubt: nobody can tell which of them the counter had seen."""
        names = [f"{place[1]} {state}" for state in states]
        changes = [
            n * ((target in names) - (origin in names))
            for sku, n, origin, target, by_count in self.book[line:]
            if sku == place[0] and not by_count
        ]
        since = sum(change for change in changes if change < 0 or not in_doubt)
        doubtful = sum(abs(change) for change in changes) if in_doubt else 0
        beyond = max(0, -(units + since))
        answer = self.count(place, units + since + beyond, states)
        return {
            "kind": "Counted",
            "units_moved": answer["units_moved"],
            "available": answer["available"],
            "units_since": since,
            "units_ambiguous": doubtful + beyond,
            "units_short": answer.get("units_short", 0),
        }

    def told_late(self, place: Place, units: int, *, left: bool) -> Answer:
        """Units came or left long ago. The last count had seen it and stands, so that nothing changes here."""
        sku, location = place
        ends = (f"{location} available", "shrinkage") if left else ("supplier", f"{location} available")
        back = ("found", ends[0]) if left else (ends[1], "shrinkage")
        self.shift(sku, units, *ends, by_count=True)
        self.shift(sku, units, *back, by_count=True)
        return {"kind": "PostedLate", "units_moved": units, "available": self.there(place), "units_seen": units}

    def _break_promises(self, place: Place, missing: int, *, by_count: bool = True) -> int:
        """How many of them were promised to anybody."""
        (sku, location), asked = place, missing
        order = {"hold": 0, "allocation": 1, "pending": 2, "lock": 3}
        promises: list[tuple[int, int, Note | Line]] = [
            (order[note.kind], -note.number, note) for note in self.notes.values() if note.state == "held"
        ]
        promises += [(2, -line.number, line) for line in self.lines(place)]
        for _, _, promise in sorted(promises, key=lambda one: one[:2]):
            if isinstance(promise, Note):
                gone = min(missing, promise.aside.get(place, 0))
                if gone:
                    promise.aside[place] -= gone
                    promise.awaited[place] += gone
                self.shift(sku, gone, f"{location} reserved", "shrinkage", by_count=by_count)
                missing -= gone
                continue
            gone = min(missing, promise.pending)
            promise.pending -= gone
            promise.short += gone
            self.shift(sku, gone, f"{location} reserved", "shrinkage", by_count=by_count)
            missing -= gone
            gone = min(missing, promise.committed)
            promise.committed -= gone
            promise.short += gone
            self.shift(sku, gone, f"{location} committed", "shrinkage", by_count=by_count)
            missing -= gone
        return asked - missing

    def assemble(self, location: str, kit: str, units: int, parts: dict[str, int], *, apart: bool) -> Answer:
        used = {kit: units} if apart else {sku: each * units for sku, each in parts.items()}
        made = {sku: each * units for sku, each in parts.items()} if apart else {kit: units}
        if any(self.there((sku, location)) < needed for sku, needed in used.items()):
            return {"kind": "Short"}
        for sku, needed in used.items():
            self.shift(sku, needed, f"{location} available", "assembly")
        for sku, gained in made.items():
            self.shift(sku, gained, "assembly", f"{location} available")
        self.tidy()
        return {"kind": "Posted", "units_moved": units}

    # Reservations ---------------------------------------------------------------------------------------------------

    def expire(self) -> None:
        for note in self.notes.values():
            if note.state == "held" and note.ends_at is not None and note.ends_at <= self.now:
                self._end(note, "expired")
        self.tidy()

    def _end(self, note: Note, state: str) -> None:
        for (sku, location), units in note.aside.items():
            self.shift(sku, units, f"{location} reserved", f"{location} available")
        note.aside = dict.fromkeys(note.aside, 0)
        note.state = state

    def reserve(
        self, kind: str, lines: Iterable[tuple[Place, int]], ttl_s: float | None, *, parts: bool = False
    ) -> tuple[Answer, Note]:
        """One unit of what is sold after the other is put on the note, as long as each of its parts may be promised."""
        note = Note(kind, self.next_number(), {}, ends_at=None if ttl_s is None else self.now + ttl_s)
        promised: Counter[Place] = Counter()
        refused = 0
        for (sold, location), units in lines:
            recipe = self.recipes.get(sold, {sold: 1})
            for _ in range(units):
                more = {(sku, location): each for sku, each in recipe.items()}
                if all(promised[place] + each <= self._promisable(place) for place, each in more.items()):
                    promised.update(more)
                else:
                    refused += 1
        if refused and (not parts or not promised):
            return {"kind": "Short"}, note
        for place, units in promised.items():
            note.aside[place] = min(units, max(0, self.there(place)))
            note.awaited[place] = units - note.aside[place]
            self.shift(place[0], note.aside[place], f"{place[1]} available", f"{place[1]} reserved")
        answer = {"units": sum(note.aside.values()), "units_short": note.awaited.total()}
        return {"kind": "Reserved", **answer}, note

    def _promisable(self, place: Place) -> int:
        beyond = self.caps.get(place, 0) - self.awaited(place)
        return self.there(place) + max(0, beyond)

    def extend(self, name: str, ttl_s: float) -> Answer:
        note = self.notes[name]
        if note.state != "held":
            return {"kind": "ReservationEnded", "state": note.state}
        if note.ends_at is None:
            return {"kind": "NotAHold"}
        note.ends_at = max(note.ends_at, self.now + ttl_s)
        return {"kind": "Reserved", "units": sum(note.aside.values())}

    def release(self, name: str) -> Answer:
        note = self.notes[name]
        if note.state != "held":
            return {"kind": "ReservationEnded", "state": note.state}
        units = sum(note.aside.values())
        self._end(note, "released")
        self.tidy()
        return {"kind": "Released", "units": units}

    def claim(self, name: str, order: str, *, into_lock: bool) -> Answer:
        note = self.notes[name]
        if note.state != "held":
            return {"kind": "ReservationEnded", "state": note.state}
        if into_lock and note.kind == "lock":
            return {"kind": "NotAHold"}
        answer: Answer = {"kind": "Claimed", "units": sum(note.aside.values()), "units_short": note.awaited.total()}
        if into_lock:
            note.kind, note.ends_at = "lock", None
            return answer
        for place in sorted(note.aside):
            self._commit(note, place, order)
        self._end(note, "claimed")
        self.tidy()
        return answer

    def _commit(self, note: Note, place: Place, order: str) -> None:
        sku, location = place
        told = [line for line in self.orders.get(order, []) if line.told and line.place == place]
        if not told:
            line = Line(place, note.number, told=False, short=note.aside[place] + note.awaited[place])
            self.orders.setdefault(order, []).append(line)
            told = [line]
        for line in told:
            units = min(line.short, note.aside[place])
            note.aside[place] -= units
            line.short -= units
            if line.unpaid:
                line.pending += units
            else:
                line.committed += units
                self.shift(sku, units, f"{location} reserved", f"{location} committed")

    # Orders ---------------------------------------------------------------------------------------------------------

    def tell(self, order: str, sold: Place, said: dict[str, int], *, unpaid: bool, number: int) -> None:
        """The channel says: so many ordered, cancelled, shipped. What a bundle was made of is kept with the order."""
        if order not in self.made_of:
            self.made_of[order] = dict(sorted(self.recipes.get(sold[0], {sold[0]: 1}).items()))
        for sku, each in self.made_of[order].items():
            self._tell((sku, sold[1]), order, {word: n * each for word, n in said.items()}, unpaid, number)
        self.tidy()

    def _tell(self, place: Place, order: str, said: dict[str, int], unpaid: bool, number: int) -> None:
        sku, location = place
        lines = self.orders.setdefault(order, [])
        line = next((line for line in lines if line.told and line.place == place), None)
        if line is None:
            line = Line(place, number, told=True, unpaid=unpaid)
            for claimed in [one for one in lines if one.place == place]:
                line.committed += claimed.committed
                line.short += claimed.short
                line.shipped += claimed.shipped
                line.returned += claimed.returned
                lines.remove(claimed)
            lines.append(line)
        if line.unpaid and not unpaid:
            self.shift(sku, line.pending, f"{location} reserved", f"{location} committed")
            line.committed, line.pending, line.unpaid = line.committed + line.pending, 0, False
        self._follow_shipments(line, said["shipped"])
        self._follow_returns(line, [one for one in lines if one.place[0] == sku], said["returned"])
        wanted = said["ordered"] - said["cancelled"] - said["shipped"]
        more = wanted - line.pending - line.committed - line.short
        if more > 0:
            taken = min(more, self.there(place))
            self._take(line, taken)
            line.short += more - taken
        else:
            self._let_go(line, -more)

    def _follow_shipments(self, line: Line, shipped: int) -> None:
        sku, location = line.place
        units = shipped - line.shipped
        if units < 0:
            out = min(-units, line.shipped - line.back())
            self.shift(sku, out, "customer", f"{location} committed")
            line.committed += out
            line.short += -units - out
            line.returned, line.resold = min(line.returned, shipped), min(line.resold, shipped)
        for state in ("committed", "reserved", "available", "found"):
            if units <= 0:
                break
            at_hand = {"committed": line.committed, "reserved": line.pending, "available": self.there(line.place)}
            gone = min(units, at_hand.get(state, units))
            if state == "found":
                self.shift(sku, gone, "found", f"{location} committed", by_count=True)
            self.shift(sku, gone, f"{location} {'committed' if state == 'found' else state}", "customer")
            units -= gone
            if state == "committed":
                line.committed -= gone
            elif state == "reserved":
                line.pending -= gone
            else:
                line.short = max(0, line.short - gone)
        line.shipped = shipped

    def _follow_returns(self, line: Line, lines: list[Line], resold: int) -> None:
        """One unit after the other was put on sale by the channel: if somebody booked it before, it is here already."""
        while line.resold < resold:
            line.resold += 1
            if line.resold <= line.returned:
                continue
            booked = next((one for one in lines if one is not line and one.returned > one.resold), None)
            if booked is None:
                self.shift(line.place[0], 1, "customer", f"{line.place[1]} available")
            else:
                booked.returned -= 1
                line.returned += 1

    def _let_go(self, line: Line, units: int) -> None:
        sku, location = line.place
        gone = min(units, line.short)
        line.short -= gone
        units -= gone
        gone = min(units, line.pending)
        line.pending -= gone
        self.shift(sku, gone, f"{location} reserved", f"{location} available")
        units -= gone
        line.committed -= units
        self.shift(sku, units, f"{location} committed", f"{location} available")

    def come_back(self, order: str, place: Place, units: int, into: str) -> Answer:
        sku, location = place
        lines = [line for line in self.orders.get(order, []) if line.place[0] == sku]
        lines.sort(key=lambda line: (line.told, line.number, line.place))
        if not lines:
            return {"kind": "NoSuchLine"}
        shipped, returned = sum(line.shipped for line in lines), sum(line.returned for line in lines)
        if shipped - returned < units:
            return {"kind": "NotThatManyShipped", "shipped": shipped, "returned": returned}
        target = "shrinkage" if into == "written_off" else f"{location} {into}"
        rebooked = [one for one in lines for _ in range(one.resold - one.returned)][:units]
        for at in {one.place for one in rebooked}:
            going = sum(one.place == at for one in rebooked)
            if target != f"{at[1]} available" and self.there(at) < going:
                return {"kind": "Short", "asked": going}
        for one in rebooked:
            one.returned += 1
            if target != f"{one.place[1]} available":
                self.shift(sku, 1, f"{one.place[1]} available", "customer")
                self.shift(sku, 1, "customer", target)
        units -= len(rebooked)
        for line in lines:
            gone = min(units, line.shipped - line.back())
            line.returned += gone
            units -= gone
            self.shift(sku, gone, "customer", target)
        self.tidy()
        return {"kind": "Posted", "available": self.there(place)}

    def settle(self, order: str, place: Place, units: int, *, ships: bool) -> Answer:
        """An order that only claims have made ships, or is cancelled: what was reserved first goes first."""
        sku, location = place
        lines = [line for line in self.orders.get(order, []) if not line.told and line.place == place]
        lines.sort(key=lambda line: line.number)
        held, short = sum(line.committed for line in lines), sum(line.short for line in lines)
        if not lines:
            return {"kind": "NoSuchLine"}
        if held + (0 if ships else short) < units:
            return {"kind": "NotThatManyHeld", "held": held, "short": short}
        if not ships:
            for line in lines:
                gone = min(units, line.short)
                line.short -= gone
                units -= gone
        for line in lines:
            gone = min(units, line.committed)
            line.committed -= gone
            line.shipped += gone if ships else 0
            units -= gone
            self.shift(sku, gone, f"{location} committed", "customer" if ships else f"{location} available")
        self.tidy()
        return {"kind": "Posted", "available": self.there(place)}

    # Transfers ------------------------------------------------------------------------------------------------------

    def dispatch(self, name: str, sku: str, origin: str, target: str, units: int) -> Answer:
        if (sku, name) in self.transfers:
            return {"kind": "TransferExists"}
        if self.there((sku, origin)) < units:
            return {"kind": "Short", "available": self.there((sku, origin))}
        self.shift(sku, units, f"{origin} available", "in_transit")
        self.transfers[sku, name] = {target: units}
        return {"kind": "Posted", "available": self.there((sku, origin))}

    def arrive(self, name: str, sku: str, units: int, *, is_last: bool) -> Answer:
        if (sku, name) not in self.transfers:
            return {"kind": "NoSuchTransfer"}
        ((target, under_way),) = self.transfers[sku, name].items()
        if under_way == 0:
            return {"kind": "TransferEnded"}
        over, missing = max(0, units - under_way), max(0, under_way - units)
        self.shift(sku, units - over, "in_transit", f"{target} available")
        self.shift(sku, over, "found", f"{target} quality_control")
        lost = missing if is_last else 0
        self.shift(sku, lost, "in_transit", "shrinkage")
        self.transfers[sku, name] = {target: missing - lost}
        self.tidy()
        return {"kind": "Arrived", "units": units, "units_over": over, "units_lost": lost}

    # Shipments ------------------------------------------------------------------------------------------------------

    def announce(self, name: str, place: Place, units: int, percent: int) -> Answer:
        sku, location = place
        if (sku, name) in self.parcels:
            return {"kind": "ShipmentExists", "units_announced": self.parcels[sku, name].announced}
        self.parcels[sku, name] = Parcel(place, units, units, percent)
        self.shift(sku, units, "supplier", f"{location} incoming")
        return {"kind": "Posted", "units_moved": units, "available": self.there(place)}

    def unload(self, name: str, sku: str, units: int) -> Answer:
        parcel = self.parcels.get((sku, name))
        if parcel is None or parcel.is_closed:
            return {"kind": "ShipmentClosed" if parcel else "NoSuchShipment"}
        at = parcel.place[1]
        came = min(units, parcel.coming)
        may_take = int(parcel.announced * parcel.percent / 100) - parcel.taken_over
        over = max(0, min(units - came, may_take))
        held = units - came - over
        self.shift(sku, came, f"{at} incoming", f"{at} available")
        self.shift(sku, over, "supplier", f"{at} available")
        self.shift(sku, held, "supplier", f"{at} quality_control")
        parcel.coming -= came
        parcel.taken_over += over
        parcel.held += held
        self.tidy()
        answer: Answer = {"kind": "Unloaded", "units": units, "units_over": over, "units_held": held}
        return answer | {"units_open": parcel.coming, "available": self.there(parcel.place)}

    def close(self, name: str, sku: str) -> Answer:
        parcel = self.parcels.get((sku, name))
        if parcel is None or parcel.is_closed:
            return {"kind": "ShipmentClosed" if parcel else "NoSuchShipment"}
        gone, parcel.coming, parcel.is_closed = parcel.coming, 0, True
        self.shift(sku, gone, f"{parcel.place[1]} incoming", "supplier")
        return {"kind": "Posted", "units_moved": gone}

    def settle_over(self, name: str, sku: str, units: int, into: str) -> Answer:
        parcel = self.parcels.get((sku, name))
        if parcel is None:
            return {"kind": "NoSuchShipment"}
        if parcel.held < units:
            return {"kind": "NotThatManyOver", "held": parcel.held}
        at, is_there = parcel.place[1], into == "settled"
        if not is_there and self.there(parcel.place, "quality_control") < units:
            return {"kind": "TooFew", "there": self.there(parcel.place, "quality_control")}
        parcel.held -= units
        if into == "sent_back":
            self.shift(sku, units, f"{at} quality_control", "supplier")
        else:
            parcel.taken_over += units
            if not is_there:
                self.shift(sku, units, f"{at} quality_control", f"{at} {into}")
        self.tidy()
        return {"kind": "Posted", "units_moved": 0 if is_there else units}
