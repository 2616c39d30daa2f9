"""What a picture is made of: the closed vocabulary and the exact description of one picture."""

import hashlib
from dataclasses import dataclass

SIDE = 64
HORIZON = 40

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 40, 40),
    "orange": (245, 140, 30),
    "yellow": (250, 220, 50),
    "green": (50, 160, 70),
    "cyan": (70, 210, 215),
    "blue": (40, 80, 210),
    "purple": (130, 60, 180),
    "pink": (250, 140, 190),
    "brown": (125, 75, 40),
    "black": (25, 25, 28),
    "white": (248, 248, 245),
    "gray": (135, 138, 142),
}
SHAPES = (
    "circle",
    "square",
    "triangle",
    "star",
    "diamond",
    "heart",
    "ring",
    "cross",
    "hexagon",
    "crescent",
    "rectangle",
    "oval",
)
THINGS = ("house", "tree", "flower", "boat", "car", "sun", "cloud")
ITEMS = SHAPES + THINGS
SKIES = ("day", "sunset", "night")
GROUNDS = ("grass", "sand", "snow", "sea")
BACKDROPS = ("hills", "mountains")
WEATHERS = ("clear", "cloudy", "rain", "snow")
PATTERNS = (
    "horizontal stripes",
    "vertical stripes",
    "diagonal stripes",
    "checks",
    "dots",
    "vertical gradient",
    "horizontal gradient",
)
SCALES = ("fine", "normal", "wide")
RADII = (8, 12, 15, 20)
ANY_SIZE = -1
MAX_ITEMS = 6


@dataclass(frozen=True)
class Item:
    """One drawn object: what, in which colour, how large (an index of RADII) and where."""

    kind: str
    colour: str
    size: int
    x: int
    y: int


@dataclass(frozen=True)
class Spec:
    """One picture. Empty strings stand for fields that its kind does not use."""

    kind: str
    colour: str = ""
    second: str = ""
    pattern: str = ""
    scale: str = ""
    sky: str = ""
    ground: str = ""
    backdrop: str = ""
    weather: str = ""
    items: tuple[Item, ...] = ()

    def held_out(self) -> bool:
        """Whether this content is kept for the check and never trained on (one in 16)."""
        digest = hashlib.sha256(repr(self.content()).encode()).digest()
        return self.kind_has_combinations() and digest[0] < 16

    def kind_has_combinations(self) -> bool:
        """A bare background is too small a family to hold any of it out."""
        return self.kind != "shapes" or bool(self.items)

    def content(self) -> tuple[object, ...]:
        """What identifies the picture for the split: everything but sizes and offsets."""
        things = tuple((i.kind, i.colour, i.x, i.y) for i in self.items)
        fields = (self.colour, self.second, self.pattern, self.sky, self.ground)
        return (self.kind, *fields, self.backdrop, self.weather, things)
