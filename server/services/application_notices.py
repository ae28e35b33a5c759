"""What notices of applications say: the words stand in the timeline and are told as they were written.

Co-applicants are asked to confirm, applicants hear what was answered, and who has forgotten a draft is told before it
is thrown away. All of it is made from the application as it is when the notice is sent or read: a question that was
answered or taken back asks nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from server.domain.application_news import LANES, News, asked_of, idle_words, words_of
from server.domain.application_reminders import began, fetch_words, supply_words
from server.domain.applications import Application
from server.domain.notices import Notice, frame_of, notice_texts
from server.domain.outbox import Standing, Texts
from server.domain.templates import Registry
from server.domain.wording import Words
from server.domain.workflow import Workflow
from server.services.applications import EDITABLE
from server.storage.applications import ApplicationStore

PAGE = "pages/application/application?id="
CONFIRM = "&do=confirm"  # opens what a co-applicant has to confirm


class ApplicationNotices:
    """A `Subject` of the engine."""

    def __init__(self, store: ApplicationStore, registry: Registry, workflows: Mapping[str, Workflow]) -> None:
        self._store = store
        self._workflows = workflows
        self._frame = frame_of(registry)
        self._standing = tuple(
            Standing(news.value, LANES[news], topic="application", wechat_template=self._frame.wechat.id)
            for news in News
        )

    @property
    def standing(self) -> Sequence[Standing]:
        """One template for all steps, and one for each kind of other news."""
        return self._standing

    async def render(self, template: str, abouts: Sequence[str]) -> Mapping[str, Texts]:
        """The words about these things; what does not exist or is not so (any more) is left out."""
        wanted = {about: about.partition(".") for about in abouts}
        found = await self._store.find_many(list({application for application, _, _ in wanted.values()}))
        notices = {
            about: notice
            for about, (application, _, mark) in wanted.items()
            if application in found and (notice := self._notice(News(template), found[application], mark))
        }
        return {about: notice_texts(notice, self._frame) for about, notice in notices.items()}

    def _notice(self, news: News, application: Application, mark: str) -> Notice | None:
        match news:
            case News.MOVED:
                return _moved(application, mark)
            case News.ASKED | News.ASKED_ENDS | News.ANSWERED:
                return _asked(news, application, mark)
            case News.IDLE:
                words = idle_words(application, mark)
            case News.SUPPLY:
                words = supply_words(application, mark)
            case News.FETCH:
                words = fetch_words(application, mark, self._workflows[application.workflow])
        return _said(application, words) if words else None


def _moved(application: Application, seq: str) -> Notice | None:
    line = next((line for line in application.timeline if str(line.seq) == seq), None)
    if line is None:
        return None
    name, words = application.item_name, line.words
    last = application.standing.clock.lapses_on if str(began(application)) == seq else None
    zh, en = (f"，请于{last.month}月{last.day}日前补正", f", by {last.isoformat()}") if last else ("", "")
    zh, en = f"{words.zh}{zh}（{application.number}）", f"{words.en}{en} ({application.number})"
    return Notice(Words(name.zh, name.en), Words(zh, en), f"{PAGE}{application.id}", line.at)


def _asked(news: News, application: Application, question: str) -> Notice | None:
    """To who was asked, while it is open; to who asks, what was answered."""
    agreement = asked_of(application, question)
    if agreement is None or agreement.is_waiting is (news is News.ANSWERED):
        return None
    if application.standing.state not in EDITABLE:
        return None
    return _said(application, words_of(agreement), "" if news is News.ANSWERED else CONFIRM)


def _said(application: Application, words: Words, what: str = "") -> Notice:
    name = application.item_name
    return Notice(Words(name.zh, name.en), words, f"{PAGE}{application.id}{what}", application.changed_at)
