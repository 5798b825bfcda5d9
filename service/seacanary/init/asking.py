"""Asking: a question is answered by its flag, by a person, or (--yes) by its default, and read at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import typer
from rich.text import Text

from seacanary.errors import ConfigError
from seacanary.terminal import out

T = TypeVar("T")


class Unanswered(ConfigError):
    """Nobody is there to be asked, and there is no default."""


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """One question.

    Attributes:
        text: as a person is asked.
        flag: that answers it.
        read: takes the answer apart; its ValueError says what would be right.
        default: the answer that needs no thought; None: there is none.
        given: what the flag said; None: it was not given.
        hidden: whether the answer is a secret.
    """

    text: str
    flag: str
    read: Callable[[str], T]
    default: str | None = None
    given: str | None = None
    hidden: bool = False


class Asking(Protocol):
    """Who answers what no flag has answered."""

    def ask(self, question: Question[T]) -> T:
        """The answer.

        Raises:
            Unanswered: nobody is there, and there is no default.
        """

    def choose(self, text: str, options: Sequence[str], *, default: str) -> str:
        """One of the options."""

    @property
    def somebody(self) -> bool:
        """Whether a person answers, who can think again."""


class AtTerminal:
    """A person at the keyboard, asked again until the answer can be read."""

    somebody = True

    def ask(self, question: Question[T]) -> T:
        """As Asking."""

        def read(text: str) -> T:
            try:
                return question.read(text.strip())
            except ValueError as exc:
                raise typer.BadParameter(str(exc)) from None

        answer: T = typer.prompt(
            question.text,
            default=question.default,
            value_proc=read,
            hide_input=question.hidden,
            show_default=bool(question.default),
        )
        return answer

    def choose(self, text: str, options: Sequence[str], *, default: str) -> str:
        """As Asking; the beginning of an option is enough."""

        def read(said: str) -> str:
            found = [option for option in options if said and option.startswith(said.lower())]
            if len(found) != 1:
                raise ValueError(f"one of: {', '.join(options)}")
            return found[0]

        return self.ask(Question(f"{text} ({', '.join(options)})", "", read, default=default))


class ByDefault:
    """Nobody: defaults are taken."""

    somebody = False

    def ask(self, question: Question[T]) -> T:
        """As Asking."""
        if question.default is None:
            raise Unanswered(f"{question.text}: there is no default; give {question.flag}")
        return _read(question, question.default)

    def choose(self, text: str, options: Sequence[str], *, default: str) -> str:  # noqa: ARG002  # as Asking
        """As Asking."""
        return default


def answer_to(question: Question[T], asking: Asking) -> T:
    """The flag's answer, or whoever is asked.

    Raises:
        ConfigError: the flag's answer, or the default, cannot be taken.
    """
    return asking.ask(question) if question.given is None else _read(question, question.given)


def yes(text: str, asking: Asking, *, flag: str, default: bool) -> bool:
    """A question that is answered by yes or no."""
    return asking.ask(Question(f"{text} [{'Y/n' if default else 'y/N'}]", flag, _yes_or_no(default), default=""))


def say(text: str, style: str = "") -> None:
    """Tell something that wants no answer."""
    out.print(Text(text, style), soft_wrap=True)


def _yes_or_no(default: bool) -> Callable[[str], bool]:
    def read(said: str) -> bool:
        answers = {"": default, "y": True, "yes": True, "n": False, "no": False}
        if said.lower() not in answers:
            raise ValueError("y or n")
        return answers[said.lower()]

    return read


def _read(question: Question[T], said: str) -> T:
    try:
        return question.read(said)
    except ValueError as exc:
        raise ConfigError(f"{question.flag}: {exc}") from None
