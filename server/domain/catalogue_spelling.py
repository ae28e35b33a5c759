"""How what people type may differ from what an item is called: pinyin, words for the same, one slip of the finger.

Pinyin is without tones and spaces; initials are the first letter of each syllable. Words for the same thing (synonyms)
are heeded in pinyin too: who types gaolingbutie, or glbt, means what is called 高龄津贴. Pure; nothing here is fast on
its own, so an index keeps what it makes of each item.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, product

from pypinyin import Style, lazy_pinyin

MAX_VARIANTS = 64  # other ways to say one title
MIN_SLIP = 4  # letters or characters of a term that may have one slip
FREE_SLIP = 6  # letters of a Latin term with a slip that need not stand at the beginning
BREAKS = "|\n"  # between titles
Respell = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Synonyms:
    """Words for the same thing. `han` and `latin` make the first of its group out of each: characters, and pinyin."""

    han: Respell
    latin: Respell
    groups: Mapping[str, tuple[str, ...]]
    words: re.Pattern[str]


def synonyms_of(groups: Iterable[Sequence[str]]) -> Synonyms:
    """Groups of words for the same thing, the first of each standing for all."""
    plain = [tuple(map(plain_of, group)) for group in groups]
    first = {word: group[0] for group in plain for word in group}
    # Of one character nothing is made in pinyin: its letters stand in the middle of others.
    letters = {spelled_of(word): spelled_of(one) for word, one in first.items() if len(word) > 1}
    return Synonyms(
        han=_respell(first),
        latin=_respell(letters),
        groups={word: group for group in plain for word in group},
        words=_any_of(first),
    )


def canonical_of(groups: Iterable[Sequence[str]]) -> Respell:
    """What makes one word of all words for the same thing: the first of their group, the longest match first.

    >>> canonical_of([["高龄", "老人", "老年人"]])("老年人津贴")
    '高龄津贴'
    """
    return _respell({plain_of(word): plain_of(group[0]) for group in groups for word in group})


def plain_of(text: str) -> str:
    """In lower case; full-width letters are as good as others."""
    return unicodedata.normalize("NFKC", text).lower()


@lru_cache(maxsize=4_096)
def syllables_of(text: str) -> tuple[str, ...]:
    """The syllables of a text."""
    return tuple(lazy_pinyin(text, style=Style.NORMAL))


def spelled_of(text: str) -> str:
    """Pinyin in one word.

    >>> spelled_of("高龄")
    'gaoling'
    """
    return "".join(syllables_of(text))


def initials_of(text: str) -> str:
    """The first letters.

    >>> initials_of("高龄")
    'gl'
    """
    return "".join(syllable[0] for syllable in syllables_of(text))


def initials_alike(text: str, synonyms: Synonyms) -> frozenset[str]:
    """The first letters of a title said in other words; at most `MAX_VARIANTS`, without those of the title itself.

    >>> sorted(initials_alike("高龄津贴", synonyms_of([["高龄", "老人"], ["津贴", "补贴"]])))
    ['glbt', 'lrbt', 'lrjt']
    """
    if not synonyms.groups:
        return frozenset()
    parts, end = [], 0
    for match in synonyms.words.finditer(text):
        parts += [(initials_of(text[end : match.start()]),), tuple(map(initials_of, synonyms.groups[match[0]]))]
        end = match.end()
    parts.append((initials_of(text[end:]),))
    return frozenset("".join(each) for each in islice(product(*parts), MAX_VARIANTS)) - {initials_of(text)}


def is_slip_of(term: str, text: str, *, at_start: bool = False) -> bool:
    """Whether a part of a text is the term with one character wrong, missing or too many.

    `at_start`: only where a title or word begins. Of the two halves of the term one has to be right, so it is looked
    for and the other compared.

    >>> (
    ...     is_slip_of("高岭津贴", "老人的高龄津贴"),
    ...     is_slip_of("高津贴发放", "高龄津贴发放"),
    ...     is_slip_of("高岭补贴", "高龄津贴"),
    ... )
    (True, True, False)
    """
    middle = len(term) // 2
    head, tail = term[:middle], term[middle:]
    for at in _all(head, text):
        begins = at == 0 or text[at - 1] in BREAKS
        if (begins or not at_start) and any(_is_one_off(tail, text[at + middle :][:n]) for n in _lengths(tail)):
            return True
    for at in _all(tail, text):
        for length in _lengths(head):
            start = at - length
            begins = start == 0 or (start > 0 and text[start - 1] in BREAKS)
            if start >= 0 and (begins or not at_start) and _is_one_off(head, text[start:at]):
                return True
    return False


def _lengths(part: str) -> range:
    return range(max(0, len(part) - 1), len(part) + 2)


def _all(part: str, text: str) -> Iterable[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)


def _is_one_off(one: str, other: str) -> bool:
    """The same but for one character wrong, missing or too many."""
    if any(mark in other for mark in BREAKS):
        return False
    begin, shorter = 0, min(len(one), len(other))
    while begin < shorter and one[begin] == other[begin]:
        begin += 1
    rest, other_rest = one[begin:], other[begin:]
    return rest[1:] == other_rest[1:] or rest[1:] == other_rest or rest == other_rest[1:]


def _respell(first: Mapping[str, str]) -> Respell:
    if not first:
        return lambda text: text
    pattern = _any_of(first)
    return lambda text: pattern.sub(lambda match: first[match[0]], text)


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    """The longest match first."""
    return re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)))
