"""Prompts written by hand, not by the caption grammar, with what they should show."""

from wishes import Group, Wish


def _one(
    kind: str | None, colour: str | None, background: str | None = None, **more: object
) -> Wish:
    return Wish("shapes", (Group(kind, colour, **more),), background=background)  # type: ignore[arg-type]


def _two(
    a: tuple[str, str], relation: str, b: tuple[str, str], background: str | None = None
) -> Wish:
    return Wish("shapes", (Group(*a), Group(*b)), relation, background=background)


def _pattern(pattern: str, *colours: str) -> Wish:
    return Wish("pattern", pattern=pattern, colours=colours)


def _scene(*groups: Group, **fields: str) -> Wish:
    return Wish("scene", groups, **fields)  # type: ignore[arg-type]


MOON, SUN = Group("crescent", None), Group("sun", None)
HOUSE, TREE = Group("house", None), Group("tree", None)

PHRASES: tuple[tuple[str, Wish], ...] = (
    ("a red boat", _scene(Group("boat", "red"))),
    ("three green stars on white", _one("star", "green", "white", count=3)),
    ("blue circle", _one("circle", "blue")),
    (
        "a yellow background with a red square on the left",
        _one("square", "red", "yellow", place="left"),
    ),
    ("night landscape with a moon and a house", _scene(MOON, HOUSE, sky="night")),
    ("rain over green hills", _scene(weather="rain", backdrop="hills")),
    ("checkerboard black and white", _pattern("checks", "black", "white")),
    ("snowing on a mountain", _scene(weather="snow", backdrop="mountains")),
    ("green and yellow dots", _pattern("dots", "green", "yellow")),
    ("Draw a big purple heart!", _one("heart", "purple", size="big")),
    ("4 orange triangles", _one("triangle", "orange", count=4)),
    ("five yellow stars on a blue background", _one("star", "yellow", "blue", count=5)),
    ("two black squares on pink", _one("square", "black", "pink", count=2)),
    ("a green ring in the top right corner", _one("ring", "green", place="top right")),
    (
        "small blue diamond, bottom left, white background",
        _one("diamond", "blue", "white", size="small", place="bottom left"),
    ),
    ("red circle above blue square", _two(("circle", "red"), "above", ("square", "blue"))),
    (
        "a white star to the right of a yellow crescent on black",
        _two(("star", "white"), "right", ("crescent", "yellow"), "black"),
    ),
    (
        "on an orange background, a purple hexagon left of a green cross",
        _two(("hexagon", "purple"), "left", ("cross", "green"), "orange"),
    ),
    ("a pink heart inside a blue circle", _two(("heart", "pink"), "inside", ("circle", "blue"))),
    (
        "a gray triangle under a red oval, yellow background",
        _two(("triangle", "gray"), "below", ("oval", "red"), "yellow"),
    ),
    (
        "please show me one brown rectangle and one cyan star",
        _two(("rectangle", "brown"), "", ("star", "cyan")),
    ),
    ("red and white horizontal stripes", _pattern("horizontal stripes", "red", "white")),
    ("blue and yellow vertical stripes", _pattern("vertical stripes", "blue", "yellow")),
    ("diagonal stripes in black and orange", _pattern("diagonal stripes", "black", "orange")),
    ("pink polka dots on a green background", _pattern("dots", "green", "pink")),
    ("a chessboard of red and black squares", _pattern("checks", "red", "black")),
    ("gradient from blue to pink", _pattern("vertical gradient", "blue", "pink")),
    ("a tree and a house on a sunny day", _scene(TREE, HOUSE, sky="day", weather="clear")),
    ("a sailboat on the ocean at sunset", _scene(Group("boat", None), ground="sea", sky="sunset")),
    ("mountains at night", _scene(backdrop="mountains", sky="night")),
    ("cloudy sky over the desert", _scene(weather="cloudy", ground="sand")),
    ("a blue car in the snow", _scene(Group("car", "blue"), ground="snow")),
    ("a rainy night with a tree", _scene(TREE, weather="rain", sky="night")),
    ("the sun over the sea", _scene(SUN, ground="sea")),
    ("three red flowers in a meadow", _scene(Group("flower", "red", count=3), ground="grass")),
    (
        "a yellow house on a beach under a clear sky",
        _scene(Group("house", "yellow"), ground="sand"),
    ),
    ("starry night over snowy mountains", _scene(sky="night", backdrop="mountains")),
    ("winter landscape with falling snow", _scene(ground="snow", weather="snow")),
    ("overcast day, white boat on the lake", _scene(Group("boat", "white"), weather="cloudy")),
    ("sunset on the beach", _scene(sky="sunset", ground="sand")),
    ("an image of a magnificent turquoise disc", _one("circle", "cyan")),
    ("circle, red, small, on green", _one("circle", "red", "green", size="small")),
    ("a flower on a purple background", _one("flower", None, "purple")),
    (
        "a red circle, a green square and a blue triangle in a row",
        Wish(
            "shapes",
            (Group("circle", "red"), Group("square", "green"), Group("triangle", "blue")),
            "row",
        ),
    ),
    (
        "two red circles and one blue square",
        Wish("shapes", (Group("circle", "red", count=2), Group("square", "blue"))),
    ),
)
