"""What may be an officer's password: long enough and not easy to guess; no rule about kinds of characters.

NIST SP 800-63B-4 and OWASP ASVS 5.0 (6.2): 12 characters or more, long phrases and any script welcome, known common
passwords and words of the context refused. How hard it is to guess is zxcvbn's estimate: it knows 30,000 leaked
passwords, names, keyboard runs, dates, repetitions and their usual disguises.
"""

from __future__ import annotations

from collections.abc import Sequence

from zxcvbn import zxcvbn

from server.domain.errors import InvalidInputError

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256  # argon2 takes more; nobody types more
MIN_GUESSES_LOG10 = 10.0
LOOKED_AT = 40  # characters; the estimate's work grows with the square, and these alone have to do
CONTEXT = (
    "huimin", "惠民", "yujing", "预警", "qixiang", "气象", "yingji", "应急", "zhengfu", "政府", "shizheng", "fabu",
    "发布", "guanliyuan", "管理员", "mima", "密码", "woaini", "woai", "zhongguo", "中国", "nihao", "beijing", "深圳",
    "shenzhen",
    "shijiazhuang", "石家庄", "nanshan", "futian", "bangongshi", "zhihuibu", "alert", "warning", "emergency", "officer",
    "government", "weather",
)  # fmt: skip


def refuse_weak(password: str, own_words: Sequence[str]) -> None:
    """InvalidInputError `password_short`, `password_long` or `password_guessable`.

    `own_words` are the officer's name, unit and the like. May take half a second: not on the loop.
    """
    if len(password) < MIN_CHARACTERS:
        raise _unfit("password_short", "口令至少12个字符", "a password has at least 12 characters")
    if len(password) > MAX_CHARACTERS:
        raise _unfit("password_long", "口令最多256个字符", "a password has at most 256 characters")
    words = [word.casefold() for word in (*CONTEXT, *own_words) if len(word) > 1]
    if zxcvbn(password[:LOOKED_AT], user_inputs=words)["guesses_log10"] < MIN_GUESSES_LOG10:
        raise _unfit(
            "password_guessable",
            "口令太容易猜到：请换成几个不相干的词，或更长更随机的字符",
            "this password is easy to guess: take some unrelated words, or something longer and more random",
        )


def _unfit(code: str, zh: str, en: str) -> InvalidInputError:
    return InvalidInputError(code, zh=zh, en=en, field="password")
