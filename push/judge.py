"""Whether the ledger says what the providers wrote down.

J is the journal of the sandbox, written by another process: (channel, citizen) -> accepts. The report equals it if
  (accepted + undelivered + delivered + read) is in J;  (refused + suppressed + expired) is not in J;
  J minus the first set is unknown;                      what J holds twice was marked as sent again;
  nothing is planned, sending or in retry any more; nobody stands twice on one channel of one broadcast.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from server.domain import ranks
from server.domain.broadcasts import UNREACHABLE
from server.domain.pages import MOVED, Page, effective

Notice = tuple[str, int]  # channel, citizen


@dataclass(slots=True)
class Finding:
    """The outcome of a comparison. Empty lists are the proof; examples are (channel, citizen)."""

    notices: int = 0
    journal: int = 0
    not_in_journal: list[Notice] = field(default_factory=list)
    wrongly_in_journal: list[Notice] = field(default_factory=list)
    not_accounted: list[Notice] = field(default_factory=list)
    twice_without_mark: list[Notice] = field(default_factory=list)
    unfinished: list[Notice] = field(default_factory=list)
    planned_twice: list[Notice] = field(default_factory=list)
    statuses: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def is_equal(self) -> bool:
        """The report equals the journal."""
        return not any(getattr(self, name) for name in FAULTS)

    def summary(self) -> dict[str, int]:
        """Counts for people."""
        return {"notices": self.notices, "journal": self.journal} | {name: len(getattr(self, name)) for name in FAULTS}


FAULTS = (
    "not_in_journal",
    "wrongly_in_journal",
    "not_accounted",
    "twice_without_mark",
    "unfinished",
    "planned_twice",
)


@dataclass(slots=True)
class _Account:
    """What the ledger says about one notice, over all pages that it stands on."""

    best: int = 0  # rank
    may_have: int = 0  # accepts that the ledger allows for
    broadcasts: list[str] = field(default_factory=list)


def judge(pages: Iterable[Page], journal: Counter[Notice]) -> Finding:
    """Compare all pages of the broadcasts in question with the accepts by (channel, citizen).

    A person may stand on a page of each broadcast (an update): the highest rank counts, and each may send once.
    """
    finding = Finding(journal=journal.total())
    accounts: dict[Notice, _Account] = {}
    for page in pages:
        if page.channel != UNREACHABLE:
            _read(page, accounts, finding)
    finding.notices = len(accounts)
    for notice, account in accounts.items():
        if account.best >= ranks.ACCEPTED and not journal[notice]:
            finding.not_in_journal.append(notice)
        if ranks.SUPPRESSED <= account.best <= ranks.REFUSED and journal[notice]:
            finding.wrongly_in_journal.append(notice)
        if len(set(account.broadcasts)) < len(account.broadcasts):
            finding.planned_twice.append(notice)
    for notice, count in journal.items():
        known = accounts.get(notice, _Account())
        if known.best < ranks.UNKNOWN:
            finding.not_accounted.append(notice)
        elif count > known.may_have:
            finding.twice_without_mark.append(notice)
    return finding


def _read(page: Page, accounts: dict[Notice, _Account], finding: Finding) -> None:
    for i, rank in enumerate(effective(page)):
        if rank == ranks.SUPPRESSED and page.why.get(i) == MOVED:
            continue
        notice = (page.channel, page.to[i])
        finding.statuses[page.channel, ranks.status(rank)] += 1
        if not ranks.is_final(rank):
            finding.unfinished.append(notice)
        account = accounts.setdefault(notice, _Account())
        account.best = max(rank, account.best)
        account.may_have += (rank >= ranks.UNKNOWN) + (i in page.resent)
        account.broadcasts.append(f"{page.broadcast}/{page.about[i]}" if page.about else page.broadcast)
