"""A teacher for dsa-lite that asks what stands on flash cards: `--teacher cards:FILE.csv`."""

from dsa_lite.teacher import Teacher, TeacherOptions


def open_teacher(source: str, options: TeacherOptions) -> Teacher:
    """Open the deck `source`. `options` are about models; a deck has no use for them.

    The import stands here and not above, so that listing backends stays quick and a missing package becomes a pip line.
    """
    from dsa_lite_cards.teacher import CardsTeacher

    return CardsTeacher(source)
