"""Words and phrases for landscapes, and what people put around a request."""

from words import phrases

SKY_PHRASES = {
    "day": phrases(
        "by day | in the daytime | during the day | under a blue sky | blue sky | in daylight | "
        "at noon | in the morning | on a beautiful day | daytime | day"
    ),
    "sunset": phrases(
        "at sunset | at sunset | at dusk | at dawn | at sunrise | under an orange sky | in the "
        "evening | with an orange sky | sunset | red sky | evening"
    ),
    "night": phrases(
        "at night | at night | by night | under the stars | under a starry sky | night sky | in "
        "the dark | at midnight | dark sky | with stars in the sky | night | starry night | stars "
        "| under a dark sky | on a dark night | a night sky"
    ),
}
SKY_NOUNS = {
    "day": phrases("day | day | morning | afternoon"),
    "sunset": phrases("sunset | evening | sunrise"),
    "night": phrases("night"),
}
SKY_ADJECTIVES = {
    "day": phrases("day | daytime | daylight"),
    "sunset": phrases("sunset | evening | dusk | sunrise"),
    "night": phrases("night | nighttime | starry | midnight | dark"),
}
WEATHER_PHRASES = {
    "clear": phrases(
        "under a clear sky | clear sky | in clear weather | with a cloudless sky | clear | in "
        "good weather | no clouds | without clouds | sunny | on a sunny day | in the sunshine | "
        "in sunlight"
    ),
    "cloudy": phrases(
        "with clouds | under clouds | cloudy | overcast | under a cloudy sky | cloudy sky | gray "
        "sky | with clouds in the sky | clouds | in cloudy weather | white clouds | beneath a "
        "cloudy sky | on a cloudy day"
    ),
    "rain": phrases(
        "in the rain | in the rain | rain | raining | it is raining | it rains | while it rains | "
        "with rain | rain falling | in rainy weather | in a storm | heavy rain | rainy | on a "
        "rainy day | under the rain | it rains over it | rain falls"
    ),
    "snow": phrases(
        "snowing | it is snowing | it snows | while it snows | in falling snow | snow falling | "
        "with snow falling | in a snowstorm | with snowflakes | snowfall | in snowy weather | in "
        "the snowfall | snow falls | under falling snow | on a snowy day"
    ),
}
WEATHER_OF_A_DAY = {"clear": "sunny", "cloudy": "cloudy", "rain": "rainy", "snow": "snowy"}
WEATHER_ADJECTIVES = {
    "clear": phrases("clear | cloudless | sunny | sunny"),
    "cloudy": phrases("cloudy | overcast"),
    "rain": phrases("rainy | stormy | wet"),
    "snow": phrases("snowing"),
}
GROUND_PHRASES = {
    "grass": phrases(
        "on grass | on green grass | in a meadow | on a meadow | on a lawn | in a field | in a "
        "green field | on the grass | grass | green grass | a meadow | a green field | in a "
        "garden | in a park | on green ground"
    ),
    "sand": phrases(
        "in the desert | on the sand | on the beach | on a beach | in a desert | on sand | a "
        "desert | sand | a sandy beach | desert | beach | a beach | the desert | dunes"
    ),
    "snow": phrases(
        "on snow | on the snow | in a snowy field | on snowy ground | with snow on the ground | "
        "on snow-covered ground | snowy ground | in winter | a snowy field | in a snowy landscape "
        "| in the snow | in snow | covered in snow | snow on the ground"
    ),
    "sea": phrases(
        "on the sea | on the sea | on the ocean | on the water | on a lake | at sea | the sea | "
        "the ocean | a lake | sea | ocean | on the waves | in the sea | on a river | water | over "
        "the sea | over the ocean"
    ),
}
GROUND_ADJECTIVES = {
    "grass": phrases("green | grassy | meadow"),
    "sand": phrases("desert | beach | sandy"),
    "snow": phrases("snowy | winter | snowy"),
    "sea": phrases("sea | ocean | lake"),
}
FORESTS = phrases("a forest | the woods | a small forest")
BACKDROP_PHRASES = {
    "hills": phrases(
        "hills | green hills | rolling hills | with hills | with hills behind | in front of hills "
        "| over green hills | among the hills | a hill | on a hill | over the hills | with hills "
        "in the background"
    ),
    "mountains": phrases(
        "mountains | mountains | snowy mountains | a mountain | with mountains | in front of "
        "mountains | with mountains behind | snow-capped mountains | in the mountains | with "
        "mountains in the background | with a mountain | on a mountain | over the mountains | "
        "over mountains"
    ),
}
LANDSCAPES = phrases("landscape | landscape | scene | scenery | view | countryside")
OPENINGS = phrases(
    "a picture of | an image of | a drawing of | an illustration of | a painting of | draw | "
    "please draw | show me | make | generate | i want | i would like | can you draw | there is | "
    "a simple drawing of | a photo of | illustration: | a sketch of | paint | create | an icon of "
    "| a view of"
)
CLOSINGS = phrases(
    "please | in flat style | simple | minimal | vector art | flat design | cartoon style | clip "
    "art | high quality | very nice | for my website"
)
ADJECTIVES = phrases("nice | beautiful | simple | cute | pretty | flat | lovely | perfect | solid")
