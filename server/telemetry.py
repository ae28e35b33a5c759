"""What a process says about itself: one log line per event, metrics, and the request id that ties lines together.

The promise is about people: no phone number, openid, ID number, token or key reaches a log in clear. Values are masked
by the NAME of their key and, whatever the name, by their SHAPE, in every string at any depth, in exception texts too. A
line is one line: CR, LF and other control characters are escaped, so that no input can forge an entry.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

Figures = CollectorRegistry  # of one process
MASK = "***"
MAX_TEXT = 4_000  # characters of one value; a traceback keeps its end
MAX_SCANNED = 4 * MAX_TEXT  # what is looked through at all: a log line must not cost more than the request it is about
MAX_DEPTH = 6

# A key with one of these words holds a secret or a person, unless it ends like a measure. Our ids are random: logged.
_SECRET_KEY = re.compile(
    r"passw|secret|token|authorization|cookie|credential|api_?key|aes_?key|_key$|^key$|private|signature|(^|_)otp|"
    r"phone|mobile|^tel$|open_?id|union_?id|id_?number|id_?card|idno|address|^name$|real_?name|birth|email",
    re.IGNORECASE,
)
_MEASURE = re.compile(r"_(count|total|bytes|ms|s|at|version)$")

_START = r"(?:(?<!\d)|(?<=%[0-9A-Fa-f]\d))"  # of a number: no digit before it, but a percent-encoded character may be
_WORD = r"[A-Za-z0-9_-]"
# Each is linear, or bounded by a count: the text may be written to make a pattern slow.
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # PEM blocks and JWTs (RFC 7519), before the shorter shapes cut them up
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|\Z)", re.DOTALL), MASK),
    (re.compile(rf"eyJ{_WORD}{{5,500}}\.{_WORD}+\.?{_WORD}*"), MASK),
    (re.compile(r"(?i)\b(bearer|basic|digest)\s+[a-z0-9._~+/=-]{6,}"), rf"\1 {MASK}"),
    # secrets in query strings, forms and JSON texts; user:password@ in URLs
    (
        re.compile(
            r"(?i)((?:token|secret|password|passwd|signature|js_?code|access_?key_?id|openid|unionid|"
            r"phone(?:_?numbers?)?|mobile)[\"'\\]*\s*[=:]\s*[\"'\\]*)[^\s&\"',;}\])\\]+"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?<=://)[^/\s@:]*:[^/\s@]*@"), f"{MASK}@"),
    # WeChat openid and unionid: 28 characters that start with o
    (re.compile(rf"(?:(?<!{_WORD})|(?<=%[0-9A-Fa-f]{{2}}))o{_WORD}{{27}}(?!{_WORD})"), MASK),
    # FCM registration token: an instance id, a colon, 100 and more characters
    (re.compile(rf"{_WORD}{{8,64}}:{_WORD}{{100,}}"), MASK),
    # GB 11643 ID number, with or without blanks; the old one of 15 digits
    (re.compile(_START + r"\d{6}[ -]?(?:18|19|20)\d{2}[ -]?[01]\d[ -]?[0-3]\d[ -]?\d{3}[ -]?[\dXx](?!\d)"), MASK),
    (re.compile(_START + r"[1-8]\d{7}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}(?!\d)"), MASK),
    # mobile numbers of the mainland in any common dress, and any number in E.164
    (re.compile(_START + r"(?:(?:\+|00)?86[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\d)"), MASK),
    (re.compile(r"(?:\+|%2[Bb])[1-9](?:[ -]?\d){7,14}(?!\d)"), MASK),
)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FULL_WIDTH = {0xFF10 + digit: ord("0") + digit for digit in range(10)} | {0xFF0B: ord("+")}


def configure(*, console: bool, debug: bool = False, stream: TextIO | None = None) -> None:
    """Send the logs of our code and of all libraries to `stream` (stderr): coloured on a console, else JSON lines."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        mask_event,
    ]
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(colors=True) if console else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
    for noisy in ("httpx", "httpcore", "urllib3", "asyncio", "pymongo", "google"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    logging.getLogger().setLevel(logging.DEBUG if debug else logging.INFO)


def mask_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor: every value of the event, masked."""
    for key in list(event):
        if key in ("exception", "stack"):
            event[key] = _traceback(str(event[key]))
        elif not key.startswith("_"):  # structlog's own record of where the line came from
            event[key] = _clean(key, event[key], 0)
    return event


def masked(text: str) -> str:
    """The text on one line, without anything that has the shape of an address or number of a person, or a secret."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), _without_shapes(text))


def _traceback(text: str) -> str:
    """A traceback keeps its lines, but each is indented: none can be taken for an entry of the log."""
    return "\n".join(f"    {masked(line)}" for line in _without_shapes(text).split("\n"))


def _without_shapes(text: str) -> str:
    text = text[-MAX_SCANNED:].translate(_FULL_WIDTH)
    for shape, mask in _SHAPES:
        text = shape.sub(mask, text)
    return text if len(text) <= MAX_TEXT else f"...{text[-MAX_TEXT:]}"


def _clean(key: str, value: object, depth: int) -> object:
    if value is None or isinstance(value, bool | float):
        return value
    if depth > MAX_DEPTH or (_SECRET_KEY.search(key) and not _MEASURE.search(key)):
        return MASK
    if isinstance(value, int):
        return MASK if MASK in masked(str(value)) else value
    if isinstance(value, Mapping):
        return {masked(str(k)): _clean(str(k), v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean("", item, depth + 1) for item in value]
    return masked(value if isinstance(value, str) else str(value))


@contextmanager
def request(request_id: str, **ids: str) -> Iterator[None]:
    """Every line logged inside, in this task and those it starts, carries the request id (and further ids)."""
    with structlog.contextvars.bound_contextvars(request_id=request_id, **ids):
        yield


def metrics_registry() -> CollectorRegistry:
    """A registry for one process or test, with the figures of the process, the interpreter and its memory."""
    registry = CollectorRegistry(auto_describe=True)
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


class RequestFigures:
    """Requests by method, path of the route table and status, and how long they took."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("method", "path", "status")
        self._requests = Counter("huimin_http_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram("huimin_http_seconds", "Time to answer.", ("path",), registry=registry)

    def saw(self, method: str, path: str, status: int, seconds: float) -> None:
        """One request. `path` is the template, never what somebody typed: the number of figures has a bound."""
        self._requests.labels(method, path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)


class Kept(Collector):
    """Counts that another part of the process keeps as plain numbers, read when somebody asks.

    `read` gives the counts by the values of `labels`; "" for what has no label.
    """

    _family: type[CounterMetricFamily | GaugeMetricFamily] = CounterMetricFamily

    def __init__(
        self, name: str, text: str, labels: Sequence[str], read: Callable[[], Mapping[tuple[str, ...], float]]
    ) -> None:
        self._about = (name, text)
        self._labels = labels
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """The counts as they are now."""
        family = self._family(*self._about, labels=self._labels)
        for values, count in sorted(self._read().items()):
            family.add_metric(values, count)
        yield family


class Level(Kept):
    """The same with what goes up and down: an age, a length."""

    _family = GaugeMetricFamily


def rendered(registry: CollectorRegistry) -> bytes:
    """All figures in Prometheus's text format 0.0.4."""
    return generate_latest(registry)
