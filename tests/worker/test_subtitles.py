"""Subtitles: times, line lengths and what must be escaped."""

from __future__ import annotations

import pytest

from media_mcp.worker.subtitles import LINE, SHORTEST, Cue, cues, srt, vtt, write
from media_mcp.worker.transcript import Segment, Word


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, "00:00:00"),
        (0.0004, "00:00:00"),
        (59.9996, "00:01:00"),
        (3661.5, "01:01:01"),
        (360_000.0, "100:00:00"),
        (-1.0, "00:00:00"),
    ],
)
def test_times_carry_into_the_next_unit(seconds: float, written: str) -> None:
    cue = Cue(seconds, seconds + 2, ("x",))
    thousandths = "500" if seconds == 3661.5 else "000"
    assert srt([cue]).splitlines()[1].startswith(f"{written},{thousandths} --> ")
    assert vtt([cue]).splitlines()[2].startswith(f"{written}.{thousandths} --> ")


def test_a_file_of_each_form_is_whole() -> None:
    told = [Segment(0, 1.5, "Hello there.", "Ann"), Segment(2, 3.25, "Bye.")]
    assert write("srt", told) == (
        "1\n00:00:00,000 --> 00:00:01,500\nAnn: Hello there.\n\n"
        "2\n00:00:02,000 --> 00:00:03,250\nBye.\n\n"
    )
    assert write("vtt", told) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n<v Ann>Hello there.\n\n"
        "00:00:02.000 --> 00:00:03.250\nBye.\n\n"
    )


def test_no_line_is_longer_than_a_glance_and_no_cue_has_more_than_two() -> None:
    words = "the quick brown fox jumps over the lazy dog " * 6
    made = list(cues([Segment(0, 30, words)]))
    assert all(len(line) <= LINE for cue in made for line in cue.lines)
    assert all(1 <= len(cue.lines) <= 2 for cue in made)
    assert " ".join(line for cue in made for line in cue.lines) == words.strip()


def test_a_word_longer_than_a_line_is_cut() -> None:
    (cue,) = cues([Segment(0, 1, "x" * (LINE + 8))])
    assert cue.lines == ("x" * LINE, "x" * 8)


def test_the_cues_of_a_long_segment_share_its_time_by_length() -> None:
    made = list(cues([Segment(10, 20, "word " * 40)]))
    assert len(made) > 1
    assert (made[0].start, round(made[-1].end, 6)) == (10, 20)
    assert [c.end for c in made[:-1]] == [c.start for c in made[1:]]


def test_the_times_of_words_are_used_where_they_are_known() -> None:
    spoken = tuple(Word(float(n), n + 0.5, "word") for n in range(40))
    made = list(cues([Segment(0, 100, "word " * 40, words=spoken)]))
    first = len(" ".join(made[0].lines).split())
    assert (made[0].start, made[0].end) == (0, first - 0.5)
    assert made[1].start == first


def test_what_would_end_a_cue_or_begin_a_tag_is_written_otherwise() -> None:
    told = [Segment(0, 1, "a --> b\n\n<i>1 & 2\x19</i>", "A>n")]
    assert srt(cues(told)).splitlines()[2] == "A>n: a → b <i>1 & 2 </i>"
    assert vtt(cues(told)).splitlines()[3] == ("<v A&gt;n>a --&gt; b &lt;i&gt;1 &amp; 2 &lt;/i&gt;")


def test_a_cue_is_shown_for_a_moment_at_least_and_cues_never_go_back() -> None:
    made = list(cues([Segment(5, 5, "one"), Segment(3, 3, "two"), Segment(9, 9, "")]))
    assert [(c.start, c.end) for c in made] == [(5, 5 + SHORTEST), (5, 5 + SHORTEST)]


def test_nothing_said_makes_an_empty_file() -> None:
    assert (write("srt", []), write("vtt", [])) == ("", "WEBVTT\n\n")
