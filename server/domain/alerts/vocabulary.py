"""The words of the two dialects: namespaces, value lists, and how a colour and a severity say the same thing.

CAP 1.2 is OASIS Common Alerting Protocol 1.2 (July 2010); 国突 is the message of the national emergency warning
platform (GB/T 35965.1-2018). Everything that a standard fixes as a list stands here and nowhere else.
"""

from __future__ import annotations

from enum import StrEnum

CAP12 = "urn:oasis:names:tc:emergency:cap:1.2"
CAP11 = "urn:oasis:names:tc:emergency:cap:1.1"
GUOTU = "http://com.icss.amp"
XMLDSIG = "http://www.w3.org/2000/09/xmldsig#"
KEPT = "urn:huimin:kept:1"  # our own marks in a 国突 message: see `guotu`

COLOUR_PARAMETER = "预警级别"  # valueName; the value reads "Orange; II"
ISSUER_PARAMETER = "签发员"  # valueName; 国突 info/senderName, the person who signed
EVENT_CODE = "GB/T 35561"  # valueName of the event code; 国突 eventType
DIVISION_CODE = "CPEAS Geographic Code"  # valueName of a division, as China's own CAP feed writes it


class Dialect(StrEnum):
    """What a message was written in."""

    CAP12 = "cap-1.2"
    CAP11 = "cap-1.1"
    GUOTU = "guotu"


class Status(StrEnum):
    """How a message is to be handled."""

    ACTUAL = "Actual"
    EXERCISE = "Exercise"
    SYSTEM = "System"
    TEST = "Test"
    DRAFT = "Draft"


class MsgType(StrEnum):
    """What a message does."""

    ALERT = "Alert"
    UPDATE = "Update"
    CANCEL = "Cancel"
    ACK = "Ack"
    ERROR = "Error"


class Scope(StrEnum):
    """Whom a message is meant for."""

    PUBLIC = "Public"
    RESTRICTED = "Restricted"
    PRIVATE = "Private"


class Category(StrEnum):
    """What kind of event it is."""

    GEO = "Geo"
    MET = "Met"
    SAFETY = "Safety"
    SECURITY = "Security"
    RESCUE = "Rescue"
    FIRE = "Fire"
    HEALTH = "Health"
    ENV = "Env"
    TRANSPORT = "Transport"
    INFRA = "Infra"
    CBRNE = "CBRNE"
    OTHER = "Other"


class ResponseType(StrEnum):
    """What people should do."""

    SHELTER = "Shelter"
    EVACUATE = "Evacuate"
    PREPARE = "Prepare"
    EXECUTE = "Execute"
    AVOID = "Avoid"
    MONITOR = "Monitor"
    ASSESS = "Assess"
    ALL_CLEAR = "AllClear"
    NONE = "None"


class Urgency(StrEnum):
    """How soon people should act."""

    IMMEDIATE = "Immediate"
    EXPECTED = "Expected"
    FUTURE = "Future"
    PAST = "Past"
    UNKNOWN = "Unknown"


class Severity(StrEnum):
    """How bad it is."""

    EXTREME = "Extreme"
    SEVERE = "Severe"
    MODERATE = "Moderate"
    MINOR = "Minor"
    UNKNOWN = "Unknown"


class Certainty(StrEnum):
    """How sure it is."""

    OBSERVED = "Observed"
    LIKELY = "Likely"
    POSSIBLE = "Possible"
    UNLIKELY = "Unlikely"
    UNKNOWN = "Unknown"


class Colour(StrEnum):
    """The level of a Chinese warning; the national platform calls it severity."""

    RED = "Red"
    ORANGE = "Orange"
    YELLOW = "Yellow"
    BLUE = "Blue"

    @property
    def severity(self) -> Severity:
        """The CAP severity that says the same."""
        return _SEVERITIES[self]

    @property
    def level(self) -> str:
        """The Roman number of the level: I is the worst."""
        return _LEVELS[self]

    @property
    def zh(self) -> str:
        """The word in a headline (红色)."""
        return _WORDS[self]

    @classmethod
    def of(cls, severity: str) -> Colour | None:
        """The colour that says the same as a CAP severity; None for Unknown."""
        return next((colour for colour, same in _SEVERITIES.items() if same == severity), None)


_SEVERITIES = {
    Colour.RED: Severity.EXTREME,
    Colour.ORANGE: Severity.SEVERE,
    Colour.YELLOW: Severity.MODERATE,
    Colour.BLUE: Severity.MINOR,
}
_LEVELS = {Colour.RED: "I", Colour.ORANGE: "II", Colour.YELLOW: "III", Colour.BLUE: "IV"}
_WORDS = {Colour.RED: "红色", Colour.ORANGE: "橙色", Colour.YELLOW: "黄色", Colour.BLUE: "蓝色"}

# The first characters of an event code -> the CAP category; the longest match wins.
CATEGORIES = {
    "11": Category.OTHER,
    "11A": Category.MET,
    "11B": Category.MET,
    "11C": Category.GEO,
    "11D": Category.GEO,
    "11E": Category.MET,
    "11F": Category.ENV,
    "11G": Category.FIRE,
    "12": Category.SAFETY,
    "12G": Category.FIRE,
    "12H": Category.TRANSPORT,
    "12J": Category.TRANSPORT,
    "12K": Category.TRANSPORT,
    "12L": Category.TRANSPORT,
    "12M": Category.TRANSPORT,
    "12P": Category.INFRA,
    "12Q": Category.ENV,
    "12T": Category.CBRNE,
    "12U": Category.INFRA,
    "13": Category.HEALTH,
    "14": Category.SECURITY,
}


def category_of(event_code: str) -> Category:
    """The CAP category of a GB/T 35561 event code."""
    for length in (3, 2):
        if found := CATEGORIES.get(event_code[:length]):
            return found
    return Category.OTHER
