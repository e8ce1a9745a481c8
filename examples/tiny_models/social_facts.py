"""The facts of the social-studies skill: pairs of a thing and what is to be known of it, by topic.

Only what is undisputed and stays so is here. A name keeps its article ("the Seine"); answers are given without it.
Economics and civics are pairs of a meaning and its word. All facts were checked one by one against general knowledge;
where a place or a person allows more than one answer, the topic's wordings ask in one direction only, or offer choices.
"""

from __future__ import annotations

Facts = tuple[tuple[str, str], ...]


def _pairs(text: str) -> Facts:
    pairs = (pair.split(" = ") for pair in " ".join(text.split()).split("; "))
    return tuple((thing, known) for thing, known in pairs)


CONTINENTS = _pairs(
    """Peru = South America; Chile = South America; Brazil = South America; Canada = North America;
    Mexico = North America; Cuba = North America; France = Europe; Italy = Europe; Spain = Europe; Norway = Europe;
    Germany = Europe; Kenya = Africa; Ghana = Africa; Mali = Africa; Egypt = Africa; Japan = Asia; India = Asia;
    China = Asia; Iran = Asia"""
)
CAPITALS = _pairs(
    """Peru = Lima; France = Paris; Italy = Rome; Egypt = Cairo; Japan = Tokyo; China = Beijing; Russia = Moscow;
    Germany = Berlin; Spain = Madrid; Greece = Athens; Kenya = Nairobi; Canada = Ottawa; Cuba = Havana; Norway = Oslo;
    Britain = London; Portugal = Lisbon; India = New Delhi; Turkey = Ankara"""
)
CITY_RIVERS = _pairs(
    """Paris = the Seine; London = the Thames; Rome = the Tiber; Lisbon = the Tagus; Dublin = the Liffey;
    Berlin = the Spree; Warsaw = the Vistula; Washington = the Potomac; Seoul = the Han; Baghdad = the Tigris"""
)
RECORDS = _pairs(
    """the largest ocean = the Pacific; the highest mountain = Everest; the largest country = Russia;
    the smallest country = Vatican City; the largest continent = Asia; the smallest continent = Australia;
    the largest hot desert = the Sahara; the largest island = Greenland; the deepest lake = Baikal;
    the coldest continent = Antarctica; the smallest ocean = the Arctic; the largest rain forest = the Amazon"""
)
LANDMARKS = _pairs(
    """the Taj Mahal = India; the Great Wall = China; the Colosseum = Italy; the Parthenon = Greece;
    the Eiffel Tower = France; the Kremlin = Russia; the Alhambra = Spain; the Sphinx = Egypt;
    the Brandenburg Gate = Germany; the Blue Mosque = Turkey; the Tower of London = Britain"""
)
LANGUAGES = _pairs(
    """Brazil = Portuguese; Mexico = Spanish; Cuba = Spanish; Egypt = Arabic; Iran = Persian; Austria = German;
    Germany = German; Japan = Japanese; Greece = Greek; Russia = Russian; Italy = Italian; France = French"""
)
CURRENCIES = _pairs(
    """Japan = the yen; India = the rupee; China = the yuan; Russia = the ruble; Britain = the pound;
    Mexico = the peso; Poland = the zloty; Brazil = the real; Sweden = the krona; Iran = the rial; Italy = the euro;
    Germany = the euro; Canada = the dollar; Peru = the sol; Turkey = the lira"""
)
EVENT_YEARS = _pairs(
    """the Battle of Hastings = 1066; the Magna Carta = 1215; the fall of Constantinople = 1453;
    the first voyage of Columbus = 1492; the Great Fire of London = 1666; the Declaration of Independence = 1776;
    the start of the French Revolution = 1789; the Battle of Waterloo = 1815; the opening of the Suez Canal = 1869;
    the sinking of the Titanic = 1912; the Russian Revolution = 1917; the crash of Wall Street = 1929;
    the independence of India = 1947; the first Moon landing = 1969; the fall of the Berlin Wall = 1989"""
)
LEADERS = _pairs(
    """Napoleon = France; Nehru = India; Bismarck = Germany; Cleopatra = Egypt; Lenin = Russia; Mao = China;
    Churchill = Britain; Castro = Cuba; Franco = Spain; Mandela = South Africa; Lincoln = the United States"""
)
EXPLORERS = _pairs(
    """Marco Polo = China; Bering = Alaska; Cortes = Mexico; Pizarro = Peru; Cabral = Brazil; Cartier = Canada;
    Amundsen = the South Pole; Armstrong = the Moon; Tenzing = Everest; Livingstone = Victoria Falls"""
)
BOOKS = _pairs(
    """The Prince = Machiavelli; The Republic = Plato; Common Sense = Paine; Leviathan = Hobbes; Utopia = More;
    The Wealth of Nations = Smith; The Social Contract = Rousseau; The Histories = Herodotus; Das Kapital = Marx;
    The Art of War = Sun Tzu"""
)
OFFICES = _pairs(
    """a city = a mayor; a state of America = a governor; an army = a general; a fleet = an admiral;
    a ship = a captain; a kingdom = a king; an empire = an emperor; a school = a principal; a tribe = a chief;
    a court = a judge"""
)
FORMS = _pairs(
    """rule by a king = monarchy; rule by the people = democracy; rule by a few = oligarchy;
    rule by priests = theocracy; rule by nobles = aristocracy; rule by the rich = plutocracy;
    rule by nobody = anarchy; rule by one man with all power = dictatorship; a state without a king = republic;
    a union of states = federation"""
)
CIVICS = _pairs(
    """the highest law of a state = constitution; an agreement between states = treaty;
    the right to stop a law = veto; a change of the constitution = amendment; money paid to the state = tax;
    a member of a state = citizen; a count of the people = census; a group of citizens in court = jury;
    the choice of leaders by vote = election; a plan for a law = bill; a promise of states to help in war = alliance;
    a vote of all the people on a law = referendum"""
)
ECONOMICS = _pairs(
    """a rise of all prices = inflation; a plan for money = budget; what buyers want = demand;
    what sellers offer = supply; what a country buys abroad = imports; what a country sells abroad = exports;
    a tax on imports = tariff; one seller alone in a market = monopoly; the price of a loan = interest;
    what is left after costs = profit; money owed = debt; pay for work = wage; a fall of the economy = recession;
    trade without money = barter; money from the state for a business = subsidy"""
)


def short(name: str) -> str:
    """A name as it is answered: without its article."""
    first, _, rest = name.partition(" ")
    return rest if first in ("the", "a", "an") and rest else name


def started(sentence: str) -> str:
    """A sentence with a capital at its beginning."""
    return sentence[:1].upper() + sentence[1:]
