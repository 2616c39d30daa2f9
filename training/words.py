"""Words and phrases for shapes, their places and relations, backgrounds and patterns."""


def phrases(text: str) -> tuple[str, ...]:
    """The parts of a text that bars separate. A part named twice is chosen twice as often."""
    return tuple(part.strip() for part in text.split("|"))


COLOUR_WORDS = {
    "red": phrases("red | red | red | crimson | scarlet"),
    "orange": phrases("orange"),
    "yellow": phrases("yellow | yellow | yellow | golden | gold"),
    "green": phrases("green | green | green | emerald | lime"),
    "cyan": phrases("cyan | cyan | turquoise | teal | aqua"),
    "blue": phrases("blue | blue | blue | navy | azure"),
    "purple": phrases("purple | purple | violet | lilac"),
    "pink": phrases("pink | pink | magenta"),
    "brown": phrases("brown | brown | chocolate"),
    "black": phrases("black"),
    "white": phrases("white"),
    "gray": phrases("gray | grey | silver"),
}
COLOUR_MODIFIERS = phrases("bright | light | dark | pale | deep | vivid")
ITEM_WORDS = {
    "circle": phrases("circle | circle | circle | disc | disk | dot | ball | round shape"),
    "square": phrases("square | square | square | box | cube | block"),
    "triangle": phrases("triangle | triangle | pyramid"),
    "star": phrases("star"),
    "diamond": phrases("diamond | diamond | rhombus | lozenge"),
    "heart": phrases("heart | heart | heart shape"),
    "ring": phrases("ring | ring | donut | hoop"),
    "cross": phrases("cross | cross | plus sign | plus"),
    "hexagon": phrases("hexagon"),
    "crescent": phrases("crescent | crescent | crescent moon | moon"),
    "rectangle": phrases("rectangle | rectangle | bar | brick"),
    "oval": phrases("oval | oval | ellipse | egg"),
    "house": phrases("house | house | house | home | cottage | hut | cabin"),
    "tree": phrases("tree | tree | tree | oak"),
    "flower": phrases("flower | flower | flower | daisy | tulip | rose"),
    "boat": phrases("boat | boat | sailboat | ship | sailing boat | yacht"),
    "car": phrases("car | car | car | automobile | vehicle"),
    "sun": phrases("sun"),
    "cloud": phrases("cloud"),
}
PLURALS = {
    "cross": "crosses",
    "box": "boxes",
    "daisy": "daisies",
    "plus": "pluses",
    "rhombus": "rhombuses",
}
OPEN_NOUNS = phrases("shape | thing | object | figure | one | <odd>")
SIZE_WORDS = {
    "small": phrases("small | small | tiny | little"),
    "medium": phrases("medium | medium sized | medium-sized | mid-sized"),
    "big": phrases("big | big | large | large | huge | giant"),
}
COUNT_WORDS = {
    1: phrases("one | 1 | a single"),
    2: phrases("two | two | 2 | a pair of | a couple of"),
    3: phrases("three | three | 3"),
    4: phrases("four | four | 4"),
    5: phrases("five | five | 5"),
    6: phrases("six | six | 6"),
}
VAGUE_COUNTS = {
    3: phrases("some | a few"),
    5: phrases("several | many | lots of"),
}
PLACE_PHRASES = {
    "center": phrases("in the center | in the middle | in the centre | centered | at the center"),
    "left": phrases("on the left | at the left | on the left side | to the left | left"),
    "right": phrases("on the right | at the right | on the right side | to the right | right"),
    "top": phrases("at the top | on top | in the top | in the upper part | top"),
    "bottom": phrases("at the bottom | in the bottom | in the lower part | bottom"),
    "top left": phrases(
        "{in} the top left corner | {in} the top left | {in} the upper left | top left | {in} the "
        "upper left corner"
    ),
    "top right": phrases(
        "{in} the top right corner | {in} the top right | {in} the upper right | top right | {in} "
        "the upper right corner"
    ),
    "bottom left": phrases(
        "{in} the bottom left corner | {in} the bottom left | {in} the lower left | bottom left | "
        "{in} the lower left corner"
    ),
    "bottom right": phrases(
        "{in} the bottom right corner | {in} the bottom right | {in} the lower right | bottom "
        "right | {in} the lower right corner"
    ),
}
# How "A ... B" is said when A has the given relation to B.
RELATION_PHRASES = {
    "above": phrases("above | above | over | on top of | is above | sits above | higher than"),
    "below": phrases("below | below | under | beneath | underneath | is under | is below"),
    "left": phrases(
        "to the left of | left of | on the left of | is to the left of | on the left side of"
    ),
    "right": phrases(
        "to the right of | right of | on the right of | is to the right of | on the right side of"
    ),
    "inside": phrases(
        "inside | inside of | in | within | in the middle of | surrounded by | in the center of | "
        "on | in front of"
    ),
}
# How "B ... A" is said when A has the given relation to B: "{b} with {a} above it".
TURNED_PHRASES = {
    "above": phrases("{b} with {a} above it | {b} with {a} on top | {b} and above it {a}"),
    "below": phrases("{b} with {a} below it | {b} with {a} underneath | {b} and below it {a}"),
    "left": phrases("{b} with {a} to its left | {b} with {a} on its left | {b} and left of it {a}"),
    "right": phrases(
        "{b} with {a} to its right | {b} with {a} on its right | {b} and right of it {a}"
    ),
    "inside": phrases(
        "{b} with {a} inside | {b} containing {a} | {b} around {a} | {b} with {a} in it"
    ),
}
OPPOSITE = {"above": "below", "below": "above", "left": "right", "right": "left"}
ROW_PHRASES = phrases(
    "in a row | in a line | side by side | from left to right | next to each other | in a "
    "horizontal row"
)
COLUMN_PHRASES = phrases(
    "in a column | stacked vertically | one above the other | from top to bottom | on top of each "
    "other | in a vertical line"
)
BACKGROUND_AFTER = phrases(
    "on a {c} background | on a {c} background | on {c} | against a {c} background | against {c} "
    "| over a {c} background | in front of a {c} background | with a {c} background | with {c} "
    "background | on a {c} canvas | on {c} paper | on a {c} backdrop | , {c} background | , "
    "background {c} | , the background is {c} | . the background is {c} | ; background: {c} | {c} "
    "background"
)
BACKGROUND_BEFORE = phrases(
    "on a {c} background, | on a {c} background | on {c}, | {c} background with | a {c} "
    "background with | a {c} canvas with | {c} background, | {c} background: | background {c}; | "
    "background: {c}, | the background is {c}, with | against a {c} background, | a {c} picture "
    "with"
)
PLAIN_PHRASES = phrases(
    "a plain {c} picture | a {c} background | {c} background | just {c} | solid {c} | plain {c} | "
    "nothing but {c} | an empty {c} background | a solid {c} color | a blank {c} image | {c} | a "
    "{c} picture | all {c} | everything {c} | a {c} image with nothing on it"
)
PATTERN_WORDS = {
    "horizontal stripes": phrases(
        "horizontal {s} stripes | {s} horizontal stripes | {s} stripes | {s} stripes | "
        "horizontally striped | {s} horizontal lines | {s} lines | horizontal {s} bands | striped "
        "| horizontal stripe"
    ),
    "vertical stripes": phrases(
        "vertical {s} stripes | {s} vertical stripes | vertically striped | {s} vertical lines | "
        "vertical {s} bars | vertical stripe"
    ),
    "diagonal stripes": phrases(
        "diagonal {s} stripes | {s} diagonal stripes | diagonally striped | {s} diagonal lines | "
        "slanted {s} stripes | diagonal stripe"
    ),
    "checks": phrases(
        "{s} checkerboard | {s} checkerboard | {s} chessboard | {s} checks | {s} checkered | {s} "
        "checked | {s} chequered | {s} checker | {s} chess board | {s} checker board"
    ),
    "dots": phrases(
        "{s} dots | {s} dots | {s} polka dots | {s} spots | {s} polka dot | {s} dotted | {s} "
        "spotted"
    ),
    "vertical gradient": phrases("gradient | vertical gradient | color gradient | smooth gradient"),
    "horizontal gradient": phrases(
        "horizontal gradient | left to right gradient | sideways gradient"
    ),
}
SCALE_WORDS = {
    "fine": phrases("thin | narrow | fine | small | tiny"),
    "wide": phrases("wide | thick | broad | big | large"),
}
