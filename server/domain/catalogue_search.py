"""Finding items as people type: words, other words for the same, pinyin or its first letters, part of a word, a slip.

An index is made of the published items of one version of the catalogue and never changed; it is small (a city has a few
thousand items), so it stands in memory. A query is cut into terms at spaces and where Chinese meets Latin letters; an
item has to fit all of them, and if none does, the best partial fits are given. What people call the same thing is one
word inside, so 老人补贴 finds 高龄津贴. Only a term that nothing fits as it stands is taken for one with a slip. Ties
are in the order of names, so pages never overlap.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from server.domain.catalogue import Applicant, Item, Mode
from server.domain.catalogue_spelling import (
    FREE_SLIP,
    MIN_SLIP,
    Synonyms,
    initials_alike,
    initials_of,
    is_slip_of,
    plain_of,
    spelled_of,
    synonyms_of,
)
from server.domain.catalogue_windows import Ground
from server.domain.divisions import is_within

MAX_QUERY = 60  # characters that are heeded
MAX_TERMS = 6
PARTIAL = 0.5  # the share of a term's pairs of characters that a partial fit has
PARTLY = 25.0  # the score of a partial fit at most; a slip is worth a little more
SLIP = 28.0
_TERM = re.compile(r"[a-z0-9]+|[㐀-鿿]+")
_WORDS = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True, slots=True)
class Published:
    """One item as it is offered."""

    item: Item
    version: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for; everything that is given has to fit."""

    q: str = ""
    moment: str | None = None
    theme: str | None = None
    unit: str | None = None
    division: str | None = None
    applicant: Applicant | None = None
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """What an item is found by, all in lower case."""

    name: str
    words: tuple[str, ...]  # aliases
    called: str  # name and aliases
    titles: str  # name and aliases, canonical
    around: str  # unit, moments, theme
    about: str
    initials: str  # of name and aliases, each after a newline
    spelled: str  # pinyin of name and aliases, and the English words, alike
    alike: str  # first letters of the name said in other words
    respelled: str  # pinyin of `titles`
    grams: frozenset[str]


class Index:
    """The items of one version of the catalogue."""

    def __init__(self, published: Iterable[Published], ground: Ground, before: Index | None = None) -> None:
        """`before`: the index of an older version with the same ground; what has not changed is taken from it."""
        self.items = sorted(published, key=lambda each: (each.item.name.zh, each.item.id))
        self.by_id = {each.item.id: each for each in self.items}
        self.ground = ground
        self._synonyms = synonyms_of(ground.synonyms)
        around = {one.id: one.name.zh for one in ground.moments} | {one.id: one.name.zh for one in ground.themes}
        made: Mapping[tuple[str, int], Entry] = before.made if before else {}
        self.made: dict[tuple[str, int], Entry] = {
            (each.item.id, each.version): made.get((each.item.id, each.version))
            or _entry(each.item, self._synonyms, around)
            for each in self.items
        }
        self._entries = list(self.made.values())
        self._having: dict[str, set[int]] = defaultdict(set)
        for number, entry in enumerate(self._entries):
            for gram in entry.grams:
                self._having[gram].add(number)
        self._ranks = {moment.id: {item: n for n, item in enumerate(moment.items)} for moment in ground.moments}

    def find(self, wanted: Wanted) -> list[Published]:
        """All that fit, best first. Without words: in the order of the moment, else of names."""
        terms = terms_of(wanted.q)
        if not terms:
            found: Sequence[int] = range(len(self.items))
            if wanted.q.strip():
                return []  # only signs: nothing is called so
        else:
            found = self._ranked(terms)
        fits = [self.items[number] for number in found if _fits(self.items[number].item, wanted)]
        ranks = self._ranks.get(wanted.moment or "")
        if not terms and ranks:
            fits.sort(key=lambda each: ranks.get(each.item.id, len(ranks)))
        return fits

    def _ranked(self, terms: Sequence[str]) -> list[int]:
        scores = [self._scores(term) for term in terms]
        whole = set(scores[0]).intersection(*scores[1:])
        chosen = whole or set().union(*scores)
        total = {number: sum(each.get(number, 0.0) for each in scores) for number in chosen}
        return sorted(total, key=lambda number: (-total[number], len(self._entries[number].name), number))

    def _scores(self, term: str) -> dict[int, float]:
        """How well each item fits one term; what does not fit is missing."""
        found = self._latin(term) if term.isascii() else self._chinese(term)
        if len(term) >= MIN_SLIP and max(found.values(), default=0.0) <= PARTLY:
            found |= dict.fromkeys(self._slips(term), SLIP)
        return found

    def _latin(self, term: str) -> dict[int, float]:
        same = self._synonyms.latin(term)
        return {n: score for n, entry in enumerate(self._entries) if (score := _latin(term, same, entry))}

    def _chinese(self, term: str) -> dict[int, float]:
        same = self._synonyms.han(term)
        shares: dict[int, float] = {}
        for spelling in {term, same}:  # as it was typed: half a word is not yet one that has others for it
            grams = _grams(spelling)
            counted: dict[int, int] = defaultdict(int)
            for gram in grams:
                for number in self._having.get(gram, ()):
                    counted[number] += 1
            for number, count in counted.items():
                shares[number] = max(shares.get(number, 0.0), count / len(grams))
        return {
            number: _chinese(term, same, self._entries[number], share)
            for number, share in shares.items()
            if share >= PARTIAL
        }

    def _slips(self, term: str) -> Iterable[int]:
        """Items whose name or aliases have the term with one slip."""
        if term.isascii():
            is_short = len(term) < FREE_SLIP
            return [n for n, e in enumerate(self._entries) if is_slip_of(term, e.spelled, at_start=is_short)]
        same = self._synonyms.han(term)
        return [
            number
            for number, entry in enumerate(self._entries)
            if is_slip_of(term, entry.called) or (len(same) >= MIN_SLIP and is_slip_of(same, entry.titles))
        ]


def terms_of(q: str) -> list[str]:
    """The terms of a query; full-width letters and capitals are as good as others.

    >>> terms_of(" ＧＬ 津贴")
    ['gl', '津贴']
    """
    return _TERM.findall(unicodedata.normalize("NFKC", q[:MAX_QUERY]).lower())[:MAX_TERMS]


def _fits(item: Item, wanted: Wanted) -> bool:
    return (
        (wanted.moment is None or wanted.moment in item.moments)
        and (wanted.theme is None or wanted.theme == item.theme)
        and (wanted.unit is None or wanted.unit == item.unit.id)
        and (wanted.applicant is None or wanted.applicant in item.applicants)
        and (wanted.mode is None or wanted.mode in item.modes)
        and (
            wanted.division is None
            or is_within(wanted.division, item.division)
            or is_within(item.division, wanted.division)
        )
    )


def _chinese(term: str, same: str, entry: Entry, share: float) -> float:
    """A name that begins so, then one that holds it, then other words for it, then what stands around it."""
    steps = (
        (120.0, term in entry.words or term == entry.name),
        (100.0, entry.name.startswith(term)),
        (90.0, term in entry.name),
        (80.0, any(term in word for word in entry.words)),
        (70.0, same in entry.titles),
        (40.0, term in entry.around),
        (30.0, same in entry.about),
    )
    return next((score for score, fits in steps if fits), PARTLY * share)


def _latin(term: str, same: str, entry: Entry) -> float:
    """First letters, pinyin written out, English words, other words; the beginning is worth more than the middle."""
    begins = f"\n{term}"
    if begins in entry.initials:
        return 90.0 if entry.initials.startswith(begins) else 80.0
    if len(term) > 1 and begins in entry.spelled:
        return 70.0
    if len(term) > 1 and term in entry.initials:
        return 50.0
    if len(term) > 2 and (begins in entry.alike or f"\n{same}" in entry.respelled):
        return 45.0
    return 40.0 if len(term) > 2 and (term in entry.spelled or same in entry.respelled) else 0.0


def _entry(item: Item, synonyms: Synonyms, around: Mapping[str, str]) -> Entry:
    name, words = plain_of(item.name.zh), tuple(plain_of(word) for word in item.words)
    beside = "|".join(plain_of(around.get(each, "")) for each in (item.theme, *item.moments))
    beside = f"{plain_of(item.unit.name.zh)}|{beside}"
    said = [synonyms.han(text) for text in (name, *words)]
    text = synonyms.han(plain_of(item.about.zh))
    han = [each for each in (name, *words) if not each.isascii()]
    english = _WORDS.findall(f"{item.name.en} {' '.join(w for w in words if w.isascii())}".lower())
    return Entry(
        name=name,
        words=words,
        called="|".join((name, *words)),
        titles="|".join(said),
        around=beside,
        about=text,
        initials=_lines(map(initials_of, han)),
        spelled=_lines([*map(spelled_of, han), *english]),
        alike=_lines(sorted(initials_alike(name, synonyms))),
        respelled=_lines(map(spelled_of, said)),
        grams=frozenset(
            gram for part in (name, *words, *said, beside, synonyms.han(beside), text) for gram in _all_grams(part)
        ),
    )


def _lines(parts: Iterable[str]) -> str:
    """Each after a newline: what begins with something is found by looking for it after one."""
    return "".join(f"\n{part}" for part in parts)


def _grams(text: str) -> frozenset[str]:
    """Pairs of neighbours; a single character is its own."""
    return frozenset(text[n : n + 2] for n in range(len(text) - 1)) if len(text) > 1 else frozenset(text)


def _all_grams(text: str) -> frozenset[str]:
    return _grams(text) | frozenset(text)
