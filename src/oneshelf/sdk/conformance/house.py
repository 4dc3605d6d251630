"""What a connector is told, what it may not tell, and that its whole life follows from what it is given."""

from __future__ import annotations

import ast
import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from structlog.testing import capture_logs

from oneshelf.errors import ConfigurationError, MalformedError
from oneshelf.sdk.conformance.bench import ADDRESS, CHANNEL, Bench, open_connector
from oneshelf.sdk.conformance.check import check, expect, fail, no_limits
from oneshelf.sdk.conformance.faults import ALWAYS, Call, readings_of
from oneshelf.sdk.conformance.wire import ECHO, REPLY_LOST, Break, answered
from oneshelf.sdk.contract import ConnectorKind
from oneshelf.sdk.fault import ChannelFault, SignatureError
from oneshelf.sdk.message import ChannelConfig, Delivery, Request, StockWrite, Throttled

SECRET_LENGTH_MIN = 6
# What gives a program time, chance or ids that nobody injected.
OWN_TIME = {
    *("time.time", "time.time_ns", "time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.sleep"),
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
    *("uuid.uuid1", "uuid.uuid4", "uuid.uuid7", "os.urandom", "asyncio.sleep", "uuid1", "uuid4"),
}
OWN_CHANCE = ("random.", "secrets.")
BURST = 120


# Settings -----------------------------------------------------------------------------------------------------


def _refusal(bench: Bench, config: ChannelConfig) -> str | None:
    try:
        open_connector(bench.kind, config, http=bench.http, clock=bench.clock)
    except ConfigurationError as refusal:
        return str(refusal)
    except Exception as failure:
        fail(f"{type(failure).__name__} instead of ConfigurationError: {failure!s:.200}")
    return None


@check("settings")
async def a_missing_setting_is_named(bench: Bench) -> None:
    """A person connects a channel at the command line. The message says which name is missing."""
    required = [setting for setting in bench.kind.settings if setting.default is None]
    expect(required, "a channel that has to be told nothing: at least an address or a token is needed")
    for setting in required:
        for value in (None, "", "  "):
            settings, secrets = dict(bench.config.settings), dict(bench.config.secrets)
            holder = secrets if setting.is_secret else settings
            expect(setting.name in holder, f"account() of the simulator does not name {setting.name}")
            del holder[setting.name]
            if value is not None:
                holder[setting.name] = value
            said = _refusal(bench, ChannelConfig(CHANNEL, settings, secrets))
            expect(said is not None and setting.name in said, f"{setting.name} is {value!r}, and this is said: {said}")
    said = _refusal(bench, ChannelConfig(CHANNEL, bench.config.settings, {}))
    expect(said is not None, "without any secret the channel is opened all the same")


@check("settings")
async def an_unknown_setting_is_named(bench: Bench) -> None:
    """A mistyped name would be ignored, and the default be used in its place."""
    more = {**bench.config.settings, "mistyped": "1"}
    said = _refusal(bench, ChannelConfig(CHANNEL, more, bench.config.secrets))
    expect(said is not None and "mistyped" in said, f"an unknown setting: {said}")
    said = _refusal(bench, ChannelConfig(CHANNEL, bench.config.settings, {**bench.config.secrets, "mistyped": "1"}))
    expect(said is not None and "mistyped" in said, f"an unknown secret: {said}")


@check("settings")
async def every_setting_explains_itself(bench: Bench) -> None:
    """`oneshelf channel add` shows the help of what is missing, and nobody has read our code."""
    names = [setting.name for setting in bench.kind.settings]
    expect(len(names) == len(set(names)), f"a name stands twice: {names}")
    for setting in bench.kind.settings:
        expect(setting.help.strip(), f"the setting {setting.name} has no help")
        expect(not (setting.is_secret and setting.default), f"the secret {setting.name} has a default")
    public = {setting.name for setting in bench.kind.settings if not setting.is_secret}
    hidden = {setting.name for setting in bench.kind.settings if setting.is_secret}
    expect(set(bench.config.secrets) <= hidden, f"secrets are declared as {sorted(hidden)}, the account has others")
    expect(set(bench.config.settings) <= public, f"settings are declared as {sorted(public)}, the account has others")


@check("settings")
async def a_preflight_of_a_good_account_finds_all_good(bench: Bench) -> None:
    """`oneshelf doctor` before going live. A false alarm is read once, and then never again."""
    before = bench.shown()
    findings = await bench.patiently(bench.connector.preflight)
    bad = [finding for finding in findings if not finding.is_good]
    expect(findings and not bad, f"a good account, and {bad or 'no finding at all'}")
    await bench.applied()
    expect(bench.shown() == before, "a preflight changed what is on sale")


@check("settings", asks=True)
async def a_preflight_finds_revoked_credentials(bench: Bench) -> None:
    """Somebody took our access away. The finding says so, and what to do; it is not an exception."""
    for has_called in (False, True):
        async with bench.another() as own:
            if has_called:
                await own.fetched()
            own.simulator.revoke()
            try:
                findings = await own.patiently(own.connector.preflight)
            except ChannelFault as fault:
                fail(f"access is revoked, and the preflight raises {fault!r:.150} instead of a finding")
            bad = [finding for finding in findings if not finding.is_good]
            expect(bad, "access is revoked, and the preflight finds all good")
            expect(all(finding.detail.strip() for finding in bad), f"a bad finding without the way out: {bad}")
            own.simulator.grant()
            again = await own.patiently(own.connector.preflight)
            expect(all(finding.is_good for finding in again), f"access is granted again: {again}")


# Secrets ------------------------------------------------------------------------------------------------------


class _Heard(logging.Handler):
    def __init__(self) -> None:
        super().__init__(level=0)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.getMessage()} {record.exc_info}")


@contextmanager
def _listening() -> Iterator[list[str]]:
    """All that is logged within, the standard way and ours."""
    heard, root = _Heard(), logging.getLogger()
    former = root.level
    root.addHandler(heard)
    root.setLevel(logging.DEBUG)
    try:
        with capture_logs() as ours:
            yield heard.lines
        heard.lines.extend(repr(line) for line in ours)
    finally:
        root.removeHandler(heard)
        root.setLevel(former)


def _chain(failure: BaseException | None) -> Iterator[str]:
    while failure is not None:
        yield from (str(failure), repr(failure), repr(failure.args), repr(getattr(failure, "__dict__", {})))
        failure = failure.__cause__ or failure.__context__


async def _said(bench: Bench, how: Break | None) -> list[str]:
    """All that a connector says while every request meets this."""
    cursor = (await bench.poll(None)).cursor
    if how is not None:
        bench.wire.strike(how, times=ALWAYS)
    write = StockWrite(bench.clock.new_id(), bench.skus[0], units=3, expected_units=10)
    calls: dict[str, Call] = {
        **readings_of(bench, cursor),
        "a strange cursor": lambda: bench.connector.poll_orders("{"),
        "preflight": bench.connector.preflight,
        "push": lambda: bench.connector.push([write]),
        "a second engine": lambda: bench.another_connector(is_of_another=True).push([write]),
        "a second preflight": lambda: bench.another_connector(is_of_another=True).preflight(),
    }
    said = [repr(bench.connector), str(bench.connector), repr(bench.config), repr(bench.kind)]
    for call in calls.values():
        try:
            said.append(repr(await call()))
        except (ChannelFault, MalformedError) as fault:
            said.extend(_chain(fault))
    for attempt in (lambda: bench.connector.verify(Request({"a": "b"}, b"{}")), lambda: _parse_junk(bench)):
        try:
            attempt()
        except (SignatureError, MalformedError) as fault:
            said.extend(_chain(fault))
    bench.wire.mend()
    return said


def _parse_junk(bench: Bench) -> None:
    bench.connector.parse(Delivery("1", "poll/order", b"{}"))


@check("secrecy")
async def no_secret_is_ever_said(bench: Bench) -> None:
    """Faults are logged, stored and shown on a page. A channel repeats what it was sent, and a token goes with it."""
    secrets = {value for value in bench.config.secrets.values() if len(value) >= SECRET_LENGTH_MIN}
    expect(secrets, "the simulated account has no secret of six characters or more: nothing could be found")
    echo_later = Break("status 500 that repeats the request", arrives=False, answer=ECHO.answer)
    for how in (None, ECHO, echo_later, answered(401, b"no"), answered(500, b"no"), REPLY_LOST):
        async with bench.another() as own:
            with _listening() as heard:
                said = await _said(own, how)
            for text in [*said, *heard]:
                hit = next((secret for secret in secrets if secret in text), None)
                name = how.name if how else "all is well"
                expect(hit is None, f"{name}: a secret is said in {text.replace(hit or '', '[the secret]'):.200}")


@check("secrecy", asks=True)
async def secrets_travel_in_headers_or_forms_alone(bench: Bench) -> None:
    """An address is written into the log of every machine on the way."""
    await bench.fetched()
    await bench.push(bench.write(bench.skus[0], 3))
    for sent in bench.wire.sent:
        secrets = {name: value for name, value in bench.config.secrets.items() if len(value) >= SECRET_LENGTH_MIN}
        hit = [name for name, value in secrets.items() if value in sent.url]
        expect(not hit, f"the secret {hit} stands in the address of a request")


@check("secrecy", asks=True)
async def secrets_leave_this_machine_encrypted_or_not_at_all(bench: Bench) -> None:
    """A person types http:// in the place of https://, and the token crosses the open net."""
    addresses = [name for name, value in bench.config.settings.items() if value.startswith(ADDRESS)]
    expect(addresses, f"no setting holds the address of the simulator, {ADDRESS}")
    for name in addresses:
        for value in (
            "http://shop.example",
            "ftp://shop.example",
            "shop.example",
            "http://127.0.0.1.example",
            "https://",
        ):
            settings = {**bench.config.settings, name: value}
            said = _refusal(bench, ChannelConfig(CHANNEL, settings, bench.config.secrets))
            expect(said is not None, f"{name} may be {value}")


# Repeatability ------------------------------------------------------------------------------------------------


@check("repeatability", is_repeated=True, asks=True)
async def the_same_seed_sends_the_same_requests(bench: Bench) -> None:
    """A failure in the simulation comes with a seed. With a clock or dice of its own, it could not be repeated."""
    random = Random(f"{bench.seed}:life")
    await bench.patiently(bench.connector.preflight)
    cursor = (await bench.poll(None)).cursor
    await bench.fetched()
    for _ in range(8):
        await bench.live(random.uniform(10.0, 200.0))
        bench.simulator.place([(random.choice(bench.skus), 1)])
        cursor = (await bench.poll(cursor)).cursor
        await bench.read(*bench.skus)
        await bench.push(*[bench.write(sku, random.randrange(9)) for sku in bench.skus[:3]])


@check("repeatability")
async def it_has_no_clock_and_no_dice_of_its_own(bench: Bench) -> None:
    """Time and ids come from the clock that is handed to `open`, chance from nowhere."""
    hits = []
    for path in _sources(bench.kind):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            name = _dotted(node.func) if isinstance(node, ast.Call) else ""
            last_two = ".".join(name.split(".")[-2:])
            if name in OWN_TIME or last_two in OWN_TIME or (name.startswith(OWN_CHANCE) and "simul" not in path.stem):
                hits.append(f"{path.name}:{getattr(node, 'lineno', 0)} {name}")
    expect(not hits, f"its own time or chance: {hits}")


def _sources(kind: ConnectorKind) -> list[Path]:
    """The files of the package in which a kind lives, or the one file."""
    file = Path(inspect.getfile(type(kind)))
    return sorted(file.parent.rglob("*.py")) if (file.parent / "__init__.py").exists() else [file]


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{_dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


# Limits -------------------------------------------------------------------------------------------------------


async def _everything(bench: Bench) -> None:
    await bench.patiently(bench.connector.preflight)
    cursor = (await bench.poll(None)).cursor
    await bench.poll(cursor)
    await bench.fetched()
    await bench.read(*bench.skus)
    await bench.push(bench.write(bench.skus[0], 3))


@check("limits", proves=("limits", "read_limit", "read_cost"))
async def every_call_takes_from_a_declared_budget(bench: Bench) -> None:
    """All engines share the budgets in the database. A call without one is a call that nobody counts."""
    await _everything(bench)
    declared = {limit.operation for limit in bench.kind.capability.limits}
    foreign = set(bench.limiter.taken) - declared
    expect(not foreign, f"calls take from budgets that `limits` does not declare: {sorted(foreign)}")
    calls, taken = len(bench.wire.sent), sum(bench.limiter.taken.values())
    expect(taken >= calls, f"{calls} requests were sent, and {taken} tokens taken")
    read_limit = bench.kind.capability.read_limit
    expect(not read_limit or read_limit in declared, f"read_limit {read_limit!r} is none of {sorted(declared)}")
    if read_limit:
        before = bench.limiter.taken.get(read_limit, 0), bench.limiter.spent.get(read_limit, 0.0)
        await bench.read(*bench.skus)
        calls = bench.limiter.taken.get(read_limit, 0) - before[0]
        expect(calls > 0, f"a reading took nothing from {read_limit!r}")
        most, cost = calls * bench.kind.capability.read_cost, bench.limiter.spent.get(read_limit, 0.0) - before[1]
        expect(cost <= most, f"{calls} calls of a reading took {cost:g} tokens, and read_cost allows {most:g}")


@check("limits", proves=("limits", "poll_orders_s", "sweep_stock_s"), unless=no_limits)
async def the_declared_limits_keep_the_channel_content(bench: Bench) -> None:
    """A burst, and then the declared pace: whoever keeps to the declared budgets is never turned away."""
    cursor = (await bench.poll(None)).cursor
    turned_away: list[str] = []
    for count in range(BURST):
        await bench.read(*bench.skus)
        outcomes = await bench.push(bench.write(bench.skus[0], count % 9))
        turned_away += [str(one) for one in outcomes if isinstance(one, Throttled)]
    for _ in range(5):
        cursor = (await bench.poll(cursor)).cursor
        await bench.fetched()
        await bench.live(bench.kind.capability.poll_orders_s)
    turned_away += bench.turned_away
    told = f"within the declared limits the channel turned us away {len(turned_away)} times: {turned_away[:2]}"
    expect(not turned_away, told)


@check("limits", proves=("poll_orders_s", "sweep_stock_s", "apply_s", "stale_s", "orders_lag_s"))
async def declared_seconds_and_sizes_can_be_kept(bench: Bench) -> None:
    """Zero pages, or a pace of zero, would make the engine spin."""
    declared = bench.kind.capability
    for name in ("batch_writes", "batch_reads", "poll_orders_s", "sweep_stock_s", "apply_s", "zombie_s"):
        expect(getattr(declared, name) > 0, f"{name} is {getattr(declared, name)}")
    for name in ("key_life_s", "stale_s", "orders_lag_s", "page_reads"):
        expect(getattr(declared, name) >= 0, f"{name} is {getattr(declared, name)}")
    for limit in declared.limits:
        expect(limit.rate_per_s > 0 and limit.burst >= 1, f"{limit} never grants anything")
