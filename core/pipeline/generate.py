"""The built-in generator of varied, plausible CVs: a corpus that needs no file.

`cv` is a pure function of seed and index, the same in every process and on every Python: it draws only from
`Random.random()`, whose sequence for a seed is guaranteed, and never from hash(), the clock or the environment.
Nobody in these CVs exists, and their addresses end in example.org.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from random import Random
from typing import TypeVar

from . import phrases
from .document import Document
from .professions import PROFESSIONS, Profession

DEFAULT_CVS = 400
DEFAULT_SEED = 0
PRESENT_YEAR = 2025
"""The year in which the current jobs of all generated CVs are; the clock would make them change."""

T = TypeVar("T")

_PLAIN_LETTERS = str.maketrans({"ł": "l", "Ł": "l", "ø": "o", "Ø": "o", "ß": "ss", "ı": "i", "'": "", " ": ""})


def cv(seed: int, index: int) -> Document:
    """CV number `index` of the corpus `seed`; its source is `cv-` and the index."""
    return Document(f"cv-{index:05d}", _Writer(Random(f"cv:{seed}:{index}")).text())


class _Writer:
    """Writes one CV: a person with a profession, a home town and a number of years at work."""

    def __init__(self, rng: Random) -> None:
        self._random = rng.random
        self._profession: Profession = self._pick(PROFESSIONS)
        self._city: str = self._pick(phrases.CITIES)
        self._home = self._city.partition(",")[0]
        self._years = self._between(3, 32)

    def text(self) -> str:
        """All sections; the optional ones appear in about half of the CVs."""
        sections = [self._head(), self._profile(), *self._experience(), self._education()]
        optional = (self._projects, self._publications, self._certificates, self._volunteering, self._interests)
        sections += [section() for section in optional if self._random() < 0.55]
        sections += [self._skills(), self._languages()]
        if self._random() < 0.3:
            sections.append(self._references())
        return "\n\n".join(sections) + "\n"

    # --- draws

    def _between(self, low: int, high: int) -> int:
        """An integer in low..high, both included."""
        return low + int(self._random() * (high - low + 1))

    def _pick(self, items: Sequence[T]) -> T:
        return items[int(self._random() * len(items))]

    def _some(self, items: Sequence[T], number: int) -> list[T]:
        """Different items, in random order."""
        pool = list(items)
        return [pool.pop(int(self._random() * len(pool))) for _ in range(min(number, len(pool)))]

    def _town(self) -> str:
        return self._pick(phrases.CITIES).partition(",")[0]

    def _fill(self, template: str) -> str:
        """Fill the slots of a phrase: numbers, a town, tools and a topic of the profession."""
        if "{" not in template:
            return template
        return template.format(
            p=self._between(6, 58),
            n=self._between(2, 18),
            k=f"{self._between(2, 95)},{self._between(0, 9)}00",
            town=self._town(),
            home=self._home,
            tool=self._pick(self._profession.tools),
            other=self._pick(self._profession.tools),
            topic=self._pick(self._profession.topics),
            title=self._profession.title,
            field=self._profession.field,
            years=self._years,
            setting=self._pick(phrases.SETTINGS),
        )

    # --- sections

    def _name(self) -> str:
        name = f"{self._pick(phrases.GIVEN_NAMES)} {self._pick(phrases.SURNAMES)}"
        return f"{name}-{self._pick(phrases.SURNAMES)}" if self._random() < 0.12 else name

    def _head(self) -> str:
        name = self._name()
        given, _, surname = name.partition(" ")
        mail = f"{_ascii(given)}.{_ascii(surname)}@example.org"
        return f"{name}\n{self._title(len(phrases.LEVELS) - 1)}\n{self._city} | {mail}"

    def _profile(self) -> str:
        sentences = [f"{self._pick(phrases.OPENINGS)}.", *self._some(phrases.PROFILE, self._between(1, 5))]
        return "PROFILE\n" + " ".join(map(self._fill, sentences))

    def _title(self, level: int) -> str:
        return f"{phrases.LEVELS[level]} {self._profession.title}".strip()

    def _experience(self) -> Iterator[str]:
        """Jobs from the latest to the first, each a paragraph of its own."""
        jobs = min(self._between(2, 9), 1 + self._years // 2)
        actions = cycle(self._some(self._profession.actions, 99))
        end = PRESENT_YEAR
        for number in range(jobs):
            start = end - max(1, self._years // jobs - self._between(0, 1))
            level = (jobs - number) * (len(phrases.LEVELS) - 1) // jobs
            until = str(end) if number else "present"
            heading = "EXPERIENCE\n" if number == 0 else ""
            yield heading + self._job(self._title(level), f"{start} - {until}", actions)
            end = start

    def _job(self, title: str, dates: str, actions: Iterator[str]) -> str:
        employer = f"{self._pick(phrases.EMPLOYERS)} {self._pick(self._profession.kinds)}"
        lines = [f"{title}, {employer}, {self._town()} ({dates})", self._fill(self._pick(phrases.DUTIES))]
        lines += ["- " + self._bullet(action) for action in islice(actions, self._between(2, 8))]
        lines += [f"- {self._fill(duty)}" for duty in self._some(phrases.SHARED_ACTIONS, self._between(1, 6))]
        return "\n".join([*lines, "Tools: " + ", ".join(self._some(self._profession.tools, self._between(3, 6)))])

    def _bullet(self, action: str) -> str:
        """An action, mostly with its setting, mostly with its result."""
        setting = " " + self._pick(self._profession.settings) if self._random() < 0.7 else ""
        result = self._pick(self._profession.results) if self._random() < 0.75 else ""
        comma = " " if result.startswith("and ") else ", " if result else ""
        return self._fill(f"{action}{setting}{comma}{result}")

    def _education(self) -> str:
        lines = ["EDUCATION"]
        end = PRESENT_YEAR - self._years
        highest = self._between(1, len(phrases.DEGREES))
        for degree in phrases.DEGREES[:highest][::-1][: self._between(1, 3)]:
            start = end - self._between(1, 4)
            lines.append(f"{degree} in {self._profession.field}, {self._school()} ({start} - {end})")
            lines += [f"- {self._fill(note)}" for note in self._some(phrases.STUDY_NOTES, self._between(0, 3))]
            end = start
        return "\n".join(lines)

    def _school(self) -> str:
        return self._fill(self._pick(phrases.SCHOOLS))

    def _projects(self) -> str:
        lines = ["PROJECTS"]
        for topic in self._some(self._profession.topics, self._between(1, 4)):
            notes = self._some(phrases.PROJECT_NOTES, self._between(1, 3))
            lines.append(f"{topic}: {'. '.join(map(self._fill, notes))}.")
        return "\n".join(lines)

    def _publications(self) -> str:
        lines = ["PUBLICATIONS"]
        for topic in self._some(self._profession.topics, self._between(1, 6)):
            authors = " and ".join(self._pick(phrases.SURNAMES) for _ in range(self._between(1, 3)))
            journal = self._fill(self._pick(phrases.JOURNALS))
            year, page = PRESENT_YEAR - self._between(0, self._years), self._between(1, 400)
            lines.append(f"{authors}: {topic}. {journal} {self._between(1, 40)} ({year}), {page}-{page + 12}.")
        return "\n".join(lines)

    def _listed(self, heading: str, templates: Sequence[str], number: int) -> str:
        return "\n".join([heading, *(f"- {self._fill(item)}" for item in self._some(templates, number))])

    def _certificates(self) -> str:
        return self._listed("CERTIFICATES", phrases.CERTIFICATES, self._between(2, 6))

    def _volunteering(self) -> str:
        return self._listed("VOLUNTEERING", phrases.VOLUNTEERING, self._between(1, 3))

    def _interests(self) -> str:
        return "INTERESTS\n" + ", ".join(self._some(phrases.INTERESTS, self._between(2, 6))).capitalize()

    def _skills(self) -> str:
        return "SKILLS\n" + ", ".join(self._some(self._profession.tools, self._between(6, 13)))

    def _languages(self) -> str:
        languages = self._some(phrases.LANGUAGES, self._between(2, 4))
        return "LANGUAGES\n" + ", ".join(f"{language} ({self._pick(phrases.FLUENCY)})" for language in languages)

    def _references(self) -> str:
        referees = [f"{self._name()}, {self._pick(phrases.REFEREES)}" for _ in range(self._between(1, 3))]
        return "\n".join(["REFERENCES", *referees])


def _ascii(name: str) -> str:
    """A name as it would stand in a mail address."""
    decomposed = unicodedata.normalize("NFD", name.lower().translate(_PLAIN_LETTERS))
    return "".join(letter for letter in decomposed if letter.isascii())
