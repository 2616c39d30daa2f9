"""`media-mcp catalog check`: every fault of the cards at once, each with file and line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from media_mcp.catalog import lint
from media_mcp.catalog.cards import Layers, card_files, doubled_keys
from media_mcp.catalog.endpoints import load_endpoints
from media_mcp.catalog.format import CardFault
from media_mcp.catalog.glossary import Glossary
from media_mcp.catalog.lint import Covered, coverage
from media_mcp.catalog.lock import drifted
from media_mcp.catalog.model import Model
from media_mcp.catalog.sources import shipped_folder
from media_mcp.cli.outcome import ExitCode, complain, note
from media_mcp.cli.text import say, say_json, table
from media_mcp.errors import BadCard, NotFound
from media_mcp.job import JSON
from media_mcp.settings import Settings

_COLUMNS = ("TASK", "MODELS", "PRICED", "LICENSED", "LOCAL", "CURATED", "UNCERTAIN")


@dataclass(slots=True)
class Report:
    """What a check has found. `cards` and `models` are those that were asked about."""

    cards: int = 0
    models: list[Model] = field(default_factory=list)
    errors: list[BadCard] = field(default_factory=list)
    warnings: list[BadCard] = field(default_factory=list)


def check_cards(settings: Settings, places: Sequence[Path], as_json: bool) -> int:
    """Check the cards in `places` (folders and files), or all there is without any.

    What is not asked about is read too, for cards are laid over it, but not reported on.
    """
    report = checked(settings, places)
    _tell(report, as_json)
    return ExitCode.FAILED if report.errors else ExitCode.OK


def checked(settings: Settings, places: Sequence[Path]) -> Report:
    """Check cards. Raises `NotFound` for a place that is not there."""
    ours = shipped_folder()
    folders = _once([ours, *settings.catalog_dirs, *(p for p in places if p.is_dir())])
    asked = set(_once(_cards(places)))
    cards = _once([*(card for folder in folders for card in card_files(folder)), *sorted(asked)])
    layers = Layers(load_endpoints(folders, Glossary.load(ours / "words")))
    report, ids = Report(), [] if places else list(layers.ids())
    for card in cards:
        if card in asked or not places:
            report.cards += 1
            added = _added(layers, card, report.errors)
            report.errors += doubled_keys(card) if added else []
            ids += added
        else:
            _added(layers, card, [])
    _check(layers, list(dict.fromkeys(ids)), report)
    synced = _once(place for place in places if place.is_dir()) if places else folders
    report.warnings += [fault for folder in synced for fault in drifted(folder)]
    return report


def _cards(places: Sequence[Path]) -> Iterator[Path]:
    for place in places:
        if place.is_dir():
            yield from card_files(place)
        elif place.is_file():
            yield place
        else:
            raise NotFound(f"There is no folder or card {place}.", "Correct the path.")


def _once(paths: Sequence[Path] | Iterator[Path]) -> list[Path]:
    return list(dict.fromkeys(path.resolve() for path in paths))


def _added(layers: Layers, card: Path, errors: list[BadCard]) -> list[str]:
    try:
        return layers.add(card)
    except BadCard as error:
        errors.append(error)
        return []


def _check(layers: Layers, asked: Sequence[str], report: Report) -> None:
    models = {model_id: _made(layers, model_id) for model_id in layers.ids()}
    for model_id in asked:
        model = models[model_id]
        if isinstance(model, BadCard):
            report.errors.append(model)
            continue
        report.models.append(model)
        report.errors += _located(layers, model, lint.errors(model, models.keys()))
        report.warnings += _located(layers, model, lint.warnings(model))
    told = set(asked)
    others = (model for model_id, model in models.items() if model_id not in told)
    before = [model for model in others if isinstance(model, Model)]
    for model, fault in lint.clashes([*before, *report.models]):
        report.errors += _located(layers, model, iter([fault]))


def _made(layers: Layers, model_id: str) -> Model | BadCard:
    try:
        return layers.model(model_id)
    except BadCard as error:
        return error


def _located(layers: Layers, model: Model, faults: Iterator[CardFault]) -> list[BadCard]:
    return [layers.located(model.id, fault) for fault in faults]


def _tell(report: Report, as_json: bool) -> None:
    rows = coverage(report.models)
    if as_json:
        return say_json(
            {
                "cards": report.cards,
                "models": len(report.models),
                "errors": _told(report.errors),
                "warnings": _told(report.warnings),
                "coverage": [asdict(row) for row in rows],
            }
        )
    for error in report.errors:
        complain(error.message, error.hint)
    for warning in report.warnings:
        note(f"warning: {warning.message} {warning.hint}".rstrip())
    if rows:
        table(_COLUMNS, [_row(row) for row in [*rows, _sum(rows)]])
    counts = f"{len(report.errors)} errors, {len(report.warnings)} warnings"
    say(f"{report.cards} cards, {len(report.models)} models, {counts}.")


def _told(faults: Sequence[BadCard]) -> list[JSON]:
    return [{"message": fault.message, "hint": fault.hint} for fault in faults]


def _row(row: Covered) -> list[str]:
    return [str(value) for value in asdict(row).values()]


def _sum(rows: Sequence[Covered]) -> Covered:
    counts = [[int(value) for value in list(asdict(row).values())[1:]] for row in rows]
    return Covered("all", *(sum(column) for column in zip(*counts, strict=True)))
