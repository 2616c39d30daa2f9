"""`media-mcp catalog check`: every card's errors at once, each with file and line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from media_mcp.catalog.cards import load_card
from media_mcp.catalog.catalog import Catalog, shipped_folder
from media_mcp.catalog.model import Model
from media_mcp.catalog.validate import validator_of
from media_mcp.cli.outcome import ExitCode, complain
from media_mcp.cli.text import say, say_json
from media_mcp.errors import BadCard, InvalidArguments, MediaError, NotFound
from media_mcp.settings import Settings


def check_cards(settings: Settings, place: Path | None, as_json: bool) -> int:
    """Check the cards in `place` (a folder or a file), or in every folder of the settings."""
    cards = list(_cards(settings, place))
    models: list[Model] = []
    errors: list[MediaError] = []
    for card in cards:
        try:
            models += _checked(card)
        except MediaError as error:
            errors.append(error)
    if not errors:
        errors += _clashes(models)
    _tell(len(cards), len(models), errors, as_json)
    return ExitCode.FAILED if errors else ExitCode.OK


def _cards(settings: Settings, place: Path | None) -> Iterator[Path]:
    if place is None:
        folders = [shipped_folder(), *settings.catalog_dirs]
    elif place.is_file():
        yield place
        return
    elif place.is_dir():
        folders = [place]
    else:
        raise NotFound(f"There is no folder or card {place}.", "Correct the path.")
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        yield from sorted(folder.glob("*.y*ml"))


def _checked(card: Path) -> list[Model]:
    models = load_card(card)
    for model in models:
        _check_examples(model)
    return models


def _check_examples(model: Model) -> None:
    for example in model.examples:
        try:
            validator_of(model).check(example.arguments)
        except InvalidArguments as error:
            raise BadCard(
                f"{model.source}: {model.id}, example {example.title!r}: {error.message}",
                "Mend the example.",
            ) from None


def _clashes(models: list[Model]) -> list[MediaError]:
    try:
        Catalog(models)
    except BadCard as error:
        return [error]
    return []


def _tell(cards: int, models: int, errors: list[MediaError], as_json: bool) -> None:
    if as_json:
        told = [{"message": error.message, "hint": error.hint} for error in errors]
        return say_json({"cards": cards, "models": models, "errors": told})
    for error in errors:
        complain(error.message, error.hint)
    say(f"{cards} cards, {models} models, {len(errors)} errors.")
