"""How each topic of social studies is told and asked: in training, and (never in training) held out.

{x} is the thing, {y} what is known of it. The wordings of `ask` go from x to y, those of `back` from y to x. Where y
belongs to more than one x, or might, `back` is asked with four choices only.
"""

from __future__ import annotations

from dataclasses import dataclass

from . import social_facts as facts
from .social_facts import Facts

#: What every naming phrase ("the capital of Peru") is asked with in training, and when held out.
FRAMES = ("What is {}?", "Name {}.", "Give {}.")
HELD_FRAMES = ("Write down {}.", "Can you tell me {}?")
#: How a claim is asked about in training, and when held out.
CLAIMS = ("True or false: {}", "True or false? {}", "Is it true or false? {}", "Say true or false: {}")
HELD_CLAIM = "{} Is that right? Answer true or false."
#: Questions about two events: what is asked for is the earlier one, the later one.
EARLIER = (
    "Which came first: {a} or {b}?",
    "Which was first, {a} or {b}?",
    "What was earlier: {a} or {b}?",
    "Of {a} and {b}, which came first?",
    "{a} or {b}: which was earlier?",
)
LATER = (
    "Which came later: {a} or {b}?",
    "Which was last, {a} or {b}?",
    "What was later: {a} or {b}?",
    "Of {a} and {b}, which came last?",
    "{a} or {b}: which was later?",
)
BEFORE = "{a} came before {b}."
HELD_EARLIER = ("Did {a} or {b} come first?", "What is older, {a} or {b}?")
HELD_LATER = ("Did {a} or {b} come last?", "What happened after the other: {a} or {b}?")
HELD_BEFORE = "{a} is older than {b}."
CENTURY = (
    "In which century was {x}?",
    "{x} was in which century?",
    "Which is the century of {x}?",
    "In what century was {x}?",
    "What is the century of {x}?",
    "Name the century of {x}.",
    "Give the century of {x}.",
)
HELD_CENTURY = ("Which century saw {x}?", "To which century does {x} belong?", "What number has the century of {x}?")


@dataclass(frozen=True)
class Topic:
    """One topic: its facts, the sentences that tell them, and the questions about them."""

    name: str
    needs: tuple[str, ...]
    text: str
    facts: Facts = ()
    says: str = ""
    turned: str = ""  # the same sentence from y to x; only where y has one x
    ask: tuple[str, ...] = ()
    back: tuple[str, ...] = ()
    held_ask: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()
    held_claim: str = ""

    @property
    def both_ways(self) -> bool:
        """Whether `back` can be asked without choices."""
        return bool(self.turned)


def _topic(
    name: str, needs: str, text: str, known: Facts, says: str, ask: str, back: str, held_ask: str, held_back: str,
    held_claim: str, *, turned: str = "", naming: str = "", naming_back: str = "",
) -> Topic:  # fmt: skip
    def each(questions: str, phrase: str, frames: tuple[str, ...]) -> tuple[str, ...]:
        return (*questions.split(" | "), *(frame.format(phrase) for frame in frames if phrase))

    return Topic(
        name, tuple(n for n in needs.split("; ") if n), text, known, says, turned, each(ask, naming, FRAMES),
        each(back, naming_back, FRAMES), each(held_ask, naming, HELD_FRAMES),
        each(held_back, naming_back, HELD_FRAMES), held_claim,
    )  # fmt: skip


def _terms(name: str, needs: str, text: str, known: Facts) -> Topic:
    """A topic of meanings and their words."""
    return _topic(
        name,
        needs,
        text,
        known,
        "{x} is called {y}.",
        "What is {x} called? | What do we call {x}? | Which word means {x}? | How do people call {x}?",
        "What does {y} mean? | What does the word {y} mean? | What is the meaning of {y}? | What is meant by {y}?",
        "Under what name is {x} known? | Say in one word: {x}. | Which term stands for {x}?",
        "Choose what {y} stands for. | Which of the four says what {y} is?",
        "The term {y} stands for {x}.",
        naming="the word for {x}",
    )


_PLACES = (
    _topic(
        "Continents",
        "",
        "A continent is a great part of the land of the world; every country lies in one.",
        facts.CONTINENTS,
        "{x} is in {y}.",
        "In which continent is {x}? | On which continent does {x} lie? | {x} lies in which continent?"
        " | Which continent has {x}?",
        "Which of these countries is in {y}? | Which of these countries lies in {y}? | Which country here is in {y}?",
        "To which continent does {x} belong? | {x} is a part of which continent?",
        "Choose the country that belongs to {y}. | Which one is a part of {y}?",
        "{x} belongs to {y}.",
        naming="the continent of {x}",
    ),
    _topic(
        "Capitals",
        "Continents",
        "The capital is the city from which a country is ruled.",
        facts.CAPITALS,
        "The capital of {x} is {y}.",
        "Which city is the capital of {x}? | {x} has which capital? | Which capital does {x} have?",
        "Of which country is {y} the capital? | {y} is the capital of which country?"
        " | Which country has {y} as capital?",
        "Where does the government of {x} sit? | Which city do people call the capital of {x}?",
        "Whose capital is {y}? | Which state is ruled from {y}?",
        "{x} is ruled from {y}.",
        turned="{y} is the capital of {x}.",
        naming="the capital of {x}",
        naming_back="the country with the capital {y}",
    ),
    _topic(
        "City rivers",
        "Capitals",
        "Many a capital was built on a river.",
        facts.CITY_RIVERS,
        "The river of {x} is {y}.",
        "Which river flows through {x}? | On which river is {x}? | {x} stands on which river?",
        "Through which capital does {y} flow? | Which capital stands on {y}? | {y} flows through which capital?",
        "Which river crosses {x}? | Beside which water was {x} built?",
        "Which capital does {y} cross? | Beside {y} was built which capital?",
        "{y} crosses {x}.",
        turned="{y} flows through {x}.",
        naming="the river of {x}",
        naming_back="the capital on {y}",
    ),
    _topic(
        "Records",
        "Continents",
        "Some places of the world are the largest, the highest or the deepest of their kind.",
        facts.RECORDS,
        "{x} is {y}.",
        "Which is {x}? | What is the name of {x}? | How do we call {x} of the world? | Which place is {x}?",
        "What record does {y} hold? | {y} holds which record? | For which record is {y} known?",
        "Of all in the world, which is {x}? | Where on a map is {x}?",
        "As what does {y} stand first? | In what is {y} first in the world?",
        "In the whole world {y} stands first as {x}.",
        turned="{y} is {x}.",
        naming="{x}",
        naming_back="the record of {y}",
    ),
    _topic(
        "Landmarks",
        "Capitals",
        "A landmark is a great building or place that a country is known for.",
        facts.LANDMARKS,
        "{x} is in {y}.",
        "In which country is {x}? | Where does {x} stand? | Which country has {x}? | {x} stands in which country?",
        "Which of these is in {y}? | Which of these stands in {y}? | Which of these does {y} have?",
        "To which country must one travel to see {x}? | Where can people visit {x}?",
        "Choose what people visit in {y}. | What must one see in {y}?",
        "People travel to {y} to see {x}.",
        naming="the country of {x}",
    ),
    _topic(
        "Languages",
        "Continents",
        "The main language of a country is the one that most of its people speak.",
        facts.LANGUAGES,
        "The main language of {x} is {y}.",
        "Which language do people speak in {x}? | What do people in {x} speak? | {x} has which main language?"
        " | What is the language of {x}?",
        "Which of these countries speaks {y}? | In which of these countries do people speak {y}?"
        " | Which of these countries has {y} as its main language?",
        "Which language is heard most in {x}? | How do the people of {x} talk?",
        "Choose the country where people talk in {y}. | Where is {y} heard most?",
        "Most people of {x} talk in {y}.",
        naming="the main language of {x}",
    ),
)

_STATE = (
    _terms(
        "Civics terms",
        "",
        "These are the words for what a state, its law and its people do.",
        facts.CIVICS,
    ),
    _topic(
        "Offices",
        "Civics terms",
        "Whoever leads a city, a ship or a school has an office, and every office has its name.",
        facts.OFFICES,
        "The leader of {x} is {y}.",
        "Who leads {x}? | Which person leads {x}? | Who is at the head of {x}? | {x} is led by whom?",
        "What does {y} lead? | {y} leads what? | Of what is {y} the leader? | What is led by {y}? | {y} is at the head"
        " of what?",
        "Who gives the orders in {x}? | In whose hands is {x}?",
        "Where does {y} give the orders? | What is in the hands of {y}?",
        "{y} gives the orders in {x}.",
        turned="{y} leads {x}.",
        naming="the leader of {x}",
    ),
    _terms(
        "Forms of government",
        "Offices",
        "A form of government says who rules a state.",
        facts.FORMS,
    ),
    _topic(
        "Books",
        "Forms of government",
        "Some books changed how people think about the state, about money and about war.",
        facts.BOOKS,
        "The author of {x} is {y}.",
        "Who wrote {x}? | {x} was written by whom? | Which author wrote {x}? | By whom is {x}?",
        "Which of these books did {y} write? | Which of these books is by {y}? | Which book here was written by {y}?",
        "From whose pen is {x}? | Which thinker gave the world {x}?",
        "Choose the work of {y}. | What came from the pen of {y}?",
        "{x} is from the pen of {y}.",
        naming="the author of {x}",
    ),
    _terms("Economic terms", "Civics terms", "These are the words for trade, work and money.", facts.ECONOMICS),
    _topic(
        "Currencies",
        "Economic terms; Continents",
        "Every country has its money, and the money has a name.",
        facts.CURRENCIES,
        "The money of {x} is {y}.",
        "What money do people use in {x}? | With what do people pay in {x}? | Which money does {x} have?"
        " | In {x} people pay with what?",
        "Which of these countries uses {y}? | In which of these countries do people pay with {y}?"
        " | Which country here has {y} as its money?",
        "Which coins are used in the shops of {x}? | What do the banks of {x} lend?",
        "Choose the country whose shops take {y}. | Where do the banks lend {y}?",
        "The shops of {x} take {y}.",
        naming="the money of {x}",
    ),
)

_HISTORY = (
    _topic(
        "Event years",
        "",
        "To know history is to know what happened when.",
        facts.EVENT_YEARS,
        "{x} was in {y}.",
        "In which year was {x}? | When was {x}? | {x} was in which year?",
        "What was in {y}? | Which event was in {y}? | What happened in {y}? | {y} is the year of which event?",
        "Which year saw {x}? | Which date of history belongs to {x}?",
        "Which event belongs to the date {y}? | What did the people of {y} see?",
        "The date of {x} is {y}.",
        turned="In {y} was {x}.",
        naming="the year of {x}",
        naming_back="the great event of {y}",
    ),
    Topic(
        "Order of events",
        ("Event years",),
        "Of two events the one with the smaller year came first.",
    ),
    Topic(
        "Centuries",
        ("Event years",),
        "The number of the century is the number of full hundreds in the year and one more.",
    ),
    _topic(
        "Leaders",
        "Capitals",
        "Some leaders changed the history of their country.",
        facts.LEADERS,
        "{x} was a leader of {y}.",
        "Which country did {x} lead? | {x} was a leader of which country? | Of which country was {x} a leader?"
        " | Where was {x} a leader?",
        "Which of these people led {y}? | Who of these was a leader of {y}? | Which person here was a leader of {y}?",
        "In which country did the people follow {x}? | For which country did {x} speak?",
        "Choose whom the people of {y} did follow. | Who spoke for {y}?",
        "The people of {y} did follow {x}.",
        naming="the country of {x}",
    ),
    _topic(
        "Explorers",
        "Continents",
        "Explorers went to places that their people did not know.",
        facts.EXPLORERS,
        "{x} is known for a journey to {y}.",
        "Where did {x} travel to? | To which place did {x} make a journey? | {x} is known for a journey to which place?"
        " | Which place did {x} reach?",
        "Who made a journey to {y}? | Who is known for a journey to {y}? | Which explorer reached {y}?"
        " | Which explorer went to {y}? | Who traveled to {y}?",
        "What was the goal of {x}? | At what place did the ways of {x} end?",
        "Whose goal was {y}? | Which explorer do we remember for {y}?",
        "The goal of {x} was {y}.",
        turned="The journey to {y} was made by {x}.",
        naming="the place that {x} traveled to",
    ),
)

TOPICS: dict[str, Topic] = {topic.name: topic for topic in (*_PLACES, *_STATE, *_HISTORY)}
