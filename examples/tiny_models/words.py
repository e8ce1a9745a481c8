"""The word lists that the plain-English documents and the tokenizer's training text draw on."""

from __future__ import annotations


def _list(words: str) -> list[str]:
    return words.split()


PEOPLE = _list(
    "Ann Ben Carla David Emma Frank Grace Henry Ida Jack Karen Leo Maria Nina Oscar Paul Rosa Sam Tom Vera Will Zoe "
    "Alice Peter Lucy Max Clara Simon Eva Mark"
)
PLACES = _list(
    "Paris Rome London Berlin Madrid Cairo Delhi Tokyo Lima Oslo Athens Vienna Boston Chicago Dublin Prague Lisbon "
    "Moscow Ottawa Nairobi"
)
JOBS = _list(
    "teacher doctor farmer baker nurse soldier judge lawyer writer painter singer merchant sailor engineer priest "
    "builder driver student king queen president mayor minister general"
)
THINGS = _list(
    "bread water milk wool silk salt gold silver iron copper coal oil corn wheat rice sugar tea coffee cotton wood "
    "stone paper glass fish fruit meat cheese wine cloth horse ship boat train wagon book map letter coin"
)
COLORS = _list("red blue green yellow black white brown gray orange purple")
MONTHS = _list("January February March April May June July August September October November December")
SOCIAL = _list(
    "law tax trade vote court border river city town village country state nation empire colony treaty war peace army "
    "church school market price money bank debt labor worker union factory farm land people citizen right duty freedom "
    "power government parliament senate congress constitution election party leader rule crown capital region "
    "province island coast mountain desert forest valley lake ocean sea harbor road bridge railway canal climate "
    "population language religion culture custom museum temple castle tower supply demand goods import export "
    "budget policy rights justice crime police prison press news speech protest strike reform revolution "
    "independence history geography economy society map century year decade ancient modern early late"
)
MATHEMATICS = _list(
    "limit limits derivative derivatives differentiate integral integrals integrate antiderivative slope slopes "
    "tangent line lines second first third critical point points approaches expression expressions polynomial "
    "polynomials evaluate simplify expand factor factoring solve equation equations linear bracket brackets power "
    "powers product quotient chain sine cosine exponential exponentials definite number "
    "numbers negative addition subtraction "
    "multiplication division terms term like compute multiply multiplying divide add subtract find the of value "
    "answer put from to at what is let be rule cancel gives slope coefficient exponent constant function curve graph "
    "bound upper lower unit units tens column digit digits carry borrow sum difference fact part parts sign form "
    "letter common inner outer square root variable step steps"
)
VERBS = _list(
    "lives works sells buys finds likes sees visits builds makes carries reads writes teaches learns leads owns grows "
    "loves needs wants keeps sends brings takes gives holds moves runs walks eats"
)
COMMON = _list(
    "the a an of and or in on at to from by with for as is are was were has have had be been not no yes all some many "
    "most more less very long short old new big small high low north south east west good bad true false which who "
    "what where when why how this that these those it its they them their there here one two three four five six "
    "seven eight nine ten before after between during under over into about because but if then than also only other "
    "each every both same different large great important called known named used made found founded ruled fought "
    "lived worked sold bought became began ended won lost paid passed signed moved grew built crossed joined left "
    "can could may must should will would do does did question text word words choice reading example homework "
    "exercise answer correct following best describes main cause effect result reason happened"
)
_FIRST = _list("Nor Tes Bal Kor Mir Val Dra Sel Tor Hal Ber Fen Gal Lun Mar Ost Pel Ral Sor Ulm Ver Wes Yar Zan")
_LAST = _list("via land dor mark stan ia burg mont ton ford dale wick ora ana eth une")


def invented(seed: int) -> str:
    """An invented place name, always the same for a number."""
    return _FIRST[seed % len(_FIRST)] + _LAST[seed // len(_FIRST) % len(_LAST)]


INVENTED = [invented(i) for i in range(len(_FIRST) * len(_LAST))]
EVERY_WORD = sorted({*THINGS, *JOBS, *COLORS, *SOCIAL, *MATHEMATICS, *VERBS, *COMMON})
