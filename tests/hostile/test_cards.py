"""Cards that are bombs, circles or lies: each is refused in words, before it costs anything."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest
from fuzz import CARD

from media_mcp.catalog.cards import load_card
from media_mcp.errors import BadCard

PROMPT = "description: What to draw."


def laughs(key: str, width: int = 9) -> str:
    """Nine lines that stand for a billion values, below `key`."""
    lines = [f"a0: &a0 [{', '.join(['x'] * width)}]"]
    for n in range(1, 9):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]")
    return f"{key}: {{{', '.join(lines)}}}"


def spec(text: str) -> str:
    return CARD.replace("price:", f"{text}, price:")


def prompt(text: str) -> str:
    return CARD.replace(PROMPT, f"{PROMPT}, {text}".replace("What to draw.", "Words."))


ODD = {
    "laughs in a spec": spec(laughs("spec")),
    "laughs in a default": prompt(laughs("default")),
    "laughs in examples": f"{CARD}examples: [{{title: t, {laughs('arguments')}}}]\n",
    "laughs in variants": f"{CARD}{laughs('variants')}",
    "a circle in a spec": spec("spec: &c {a: *c}"),
    "a circle in a list": f"{CARD}good_at: &c [*c]\n",
    "a circle where a text stands": f"{CARD}family: &c {{a: *c}}\n",
    "a circle of inputs": CARD.replace("inputs:\n", "inputs: &c\n  self: *c\n"),
    "a circle of variants": f"{CARD}variants: &c [*c]\n",
    "a circle between variants": f"{CARD}variants: [&c {{id: a/b, inputs: *c}}]\n",
    "10,000 lists deep": spec(f"spec: {{a: {'[' * 10_000}{']' * 10_000}}}"),
    "500 lists deep": spec(f"spec: {{a: {'[' * 500}{']' * 500}}}"),
    "5,000 mappings deep": f"{CARD}family: {'{a: ' * 5000}{'}' * 5000}\n",
    "blocks 2,000 deep": CARD + "family:\n" + "".join(f"{' ' * n}a:\n" for n in range(1, 2000)),
    "an object of Python": f"{CARD}family: !!python/object/apply:os.system [exit]\n",
    "a name of Python": f"{CARD}family: !!python/name:os.system\n",
    "bytes": f"{CARD}family: !!binary aGk=\n",
    "a set": f"{CARD}good_at: !!set {{a, b}}\n",
    "a price that is no number": CARD.replace("amount: 0", "amount: .nan"),
    "a price without end": CARD.replace("amount: 0", "amount: .inf"),
    "a price below nothing": CARD.replace("amount: 0", "amount: -1"),
    "a price of 400 digits": CARD.replace("amount: 0", f"amount: 1{'0' * 400}"),
    "an integer of 5,000 digits": CARD.replace("amount: 0", f"amount: {'9' * 5000}"),
    "a hexadecimal of 5,000 digits": CARD.replace("amount: 0", f"amount: 0x{'f' * 5000}"),
    "a number of base 60": CARD.replace("amount: 0", f"amount: 1{':59' * 3000}"),
    "NaN as a default": prompt("default: .nan").replace("required: true", "required: false"),
    "a bound without end": prompt("maximum: .inf"),
    "terminal codes": CARD.replace("title: X", r'title: "\e[2J\e]0;x\a"'),
    "terminal codes of eight bits": CARD.replace("title: X", r'title: "\x9b2J"'),
    "NUL": CARD.replace("title: X", r'title: "a\0b"'),
    "text that turns round": CARD.replace("title: X", 'title: "a\N{RIGHT-TO-LEFT OVERRIDE}b"'),
    "half a surrogate pair": CARD.replace("title: X", r'title: "\ud800"'),
    "a path as an id": CARD.replace("id: x/y", "id: ../../etc/passwd"),
    "a line break in an id": CARD.replace("id: x/y", r'id: "x/y\nz"'),
    "an id of 100,000 letters": CARD.replace("id: x/y", f"id: {'x' * 100_000}/y"),
    "two documents": f"{CARD}---\n{CARD}",
    "an alias of nothing": f"{CARD}family: *nobody\n",
    "no UTF-8": f"{CARD}family: \udcff\n",
    "nothing": "",
    "a list": "[1, 2]",
    "a key that is a list": f"{CARD}? [a]\n: 1\n",
    "a key that is no text": f"{CARD}1: 1\n",
    "it extends itself": f"{CARD}extends: x/y\n",
    "a path as an endpoint": CARD.replace("backend: rehearsal", "backend: fal, endpoint: x"),
}


@pytest.mark.parametrize("what", ODD)
def test_no_card_does_more_than_be_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(ODD[what].encode("utf-8", "surrogateescape"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadCard) as caught:
        load_card(path)
    assert str(path) in caught.value.message
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 700
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024  # kB


def test_a_date_in_a_card_is_the_text_that_it_is_written_as(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(f"{CARD}as_of: 2026-11-30\nfamily: 2026-11-30\n")
    (model,) = load_card(tmp_path / "x.yaml")
    assert (model.as_of, model.family) == ("2026-11-30", "2026-11-30")
