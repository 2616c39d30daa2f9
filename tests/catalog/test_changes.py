"""What a sync says has changed, and how it lays the new facts over the old."""

from media_mcp.catalog.changes import changes, overlay, successor_of


def line(model_id: str, *inputs: dict, **facts) -> dict:
    return {
        "id": model_id,
        "task": "image-to-video",
        "provider": "Acme",
        "inputs": list(inputs),
        **facts,
    }


def param(name: str, kind: str = "string", **bounds) -> dict:
    return {"name": name, "type": kind, **bounds}


def said(old: dict, new: dict) -> list[str]:
    return [f"{change.kind} {change.model} {change.words}" for change in changes(old, new)]


def state(*lines: dict) -> dict:
    return {one["id"]: one for one in lines}


def test_the_same_state_has_no_changes() -> None:
    now = state(line("acme/v1", param("prompt")))
    assert changes(now, now) == []
    assert overlay(now, now) == {}


def test_a_new_model_is_named_with_its_task() -> None:
    assert said({}, state(line("acme/v1"))) == ["new acme/v1 image-to-video"]


def test_a_vanished_model_names_its_successor_and_stays_retired() -> None:
    old, new = state(line("acme/video/v1")), state(line("acme/video/v2"))
    assert "gone acme/video/v1 use acme/video/v2" in said(old, new)
    laid = overlay(old, new)["acme/video/v1"]
    assert laid["retired"]
    assert laid["successor"] == "acme/video/v2"


def test_a_vanished_model_without_peers_says_so() -> None:
    assert said(state(line("acme/v1")), {}) == ["gone acme/v1 no successor"]
    assert overlay(state(line("acme/v1")), {}) == {"acme/v1": {**line("acme/v1"), "retired": True}}


def test_a_successor_does_the_same_task_for_the_same_provider_and_is_there() -> None:
    gone = line("acme/video/v1")
    others = [
        line("acme/video/v3", task="text-to-video"),
        line("acme/video/v4", provider="Other"),
        line("acme/video/v5", retired=True),
        line("wholly/different"),
    ]
    assert successor_of(gone, others) == ""
    assert successor_of(gone, [*others, line("acme/video/v2")]) == "acme/video/v2"


def test_parameters_that_come_go_and_change_are_told_one_by_one() -> None:
    old = state(line("m", param("a"), param("seconds", "integer", maximum=10)))
    new = state(line("m", param("b", "boolean"), param("seconds", "integer", maximum=15)))
    assert sorted(said(old, new)) == [
        "parameter m + b (boolean)",
        "parameter m - a",
        "parameter m seconds: maximum 10 → 15",
    ]


def test_a_changed_enum_shows_its_values() -> None:
    old = state(line("m", param("size", enum=["1K", "2K"])))
    new = state(line("m", param("size", enum=["2K", "4K"])))
    assert said(old, new) == ["parameter m size: enum 1K, 2K → 2K, 4K"]


def test_a_long_value_is_cut() -> None:
    old = state(line("m", param("size", default="x" * 100)))
    assert said(old, state(line("m", param("size"))))[0].endswith("… → none")


def test_a_changed_price_is_told() -> None:
    old = state(line("m", price={"amount": 0.05, "unit": "image"}))
    new = state(line("m", price={"amount": 0.04, "unit": "image"}))
    assert said(old, new) == ["price m $0.05 per image → $0.04 per image"]
    assert said(old, state(line("m"))) == ["price m $0.05 per image → unknown"]


def test_changed_facts_are_told() -> None:
    old, new = state(line("m")), state(line("m", task="video-to-video"))
    assert said(old, new) == ["fact m task image-to-video → video-to-video"]


def test_a_vanished_parameter_stays_deprecated_and_maps_to_the_new_one() -> None:
    media = {"media": "image", "role": "start_frame"}
    old = state(line("m", param("start_image_url", required=True, **media)))
    new = state(line("m", param("image_url", **media), param("seed", "integer")))
    assert "parameter m - start_image_url, now image_url" in said(old, new)
    kept = overlay(old, new)["m"]["inputs"][-1]
    assert kept == param("start_image_url", **media, deprecated=True, replaced_by="image_url")


def test_a_vanished_parameter_that_nothing_replaces_stays_deprecated() -> None:
    old = state(line("m", param("loop", "boolean", default=False)))
    kept = overlay(old, state(line("m", param("prompt"))))["m"]["inputs"][-1]
    assert kept == param("loop", "boolean", deprecated=True)


def test_a_deprecated_parameter_stays_through_the_next_sync_unsaid() -> None:
    old = state(line("m", param("name"), param("old_name", deprecated=True, replaced_by="name")))
    new = state(line("m", param("name")))
    assert changes(old, new) == []
    assert overlay(old, new) == {}


def test_two_candidates_replace_nothing() -> None:
    old = state(line("m", param("image_url", media="image")))
    new = state(line("m", param("image_url_1", media="image"), param("image_url_2", media="image")))
    assert "replaced_by" not in overlay(old, new)["m"]["inputs"][-1]
