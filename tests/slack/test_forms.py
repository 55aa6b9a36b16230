"""Forms made from schemas: what a modal shows, and what it accepts."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.approval_card import domain_of
from bot.slack.blocks import modal
from bot.slack.form_fields import UnsupportedForm
from bot.slack.forms import parse_answer, read_form, render_fields
from bot.texts import forms as texts
from local_slack.actions import default_state
from local_slack.workspace.view_rules import check_view

LETTERS = {"enum": ["a", "b"]}
TITLES = [{"const": "a", "title": "First"}, {"const": "b", "title": "Second"}]


def schema(required: bool = True, **field: Any) -> dict[str, Any]:
    """The schema of a form with one field."""
    names = ["x"] if required else []
    return {"type": "object", "properties": {"x": field}, "required": names}


def answer(form: dict[str, Any], value: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """The result of a form whose field has a value."""
    fields = read_form(form)
    view = modal("id", "Title", render_fields(fields), submit="S", close="C", private_metadata="")
    blocks = check_view(view)["blocks"]
    return parse_answer(fields, default_state(blocks, {"field0": value}))


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ({"type": "string"}, "hello", "hello"),
        ({"type": "string", "default": "there"}, None, "there"),
        ({"type": "string", "maxLength": 40}, "x" * 40, "x" * 40),
        ({"type": "string", "format": "email"}, "ada@example.com", "ada@example.com"),
        ({"type": "string", "format": "uri"}, "https://example.com/x", "https://example.com/x"),
        ({"type": "string", "format": "date"}, "2026-11-27", "2026-11-27"),
        ({"type": "string", "format": "date-time"}, 1795773600, "2026-11-27T10:00:00Z"),
        ({"type": "number", "minimum": 0.5}, "0.5", 0.5),
        ({"type": "integer", "maximum": 9}, "-3", -3),
        ({"type": "integer", "default": 7}, None, 7),
        ({"type": "boolean"}, "0", True),
        ({"type": "boolean"}, "1", False),
        ({"type": "boolean", "default": True}, None, True),
        ({"type": "string", "enum": ["a", "b"]}, "1", "b"),
        ({"type": "string", "enum": ["a", "b"], "enumNames": ["First", "Second"]}, "0", "a"),
        ({"type": "string", "oneOf": TITLES, "default": "b"}, None, "b"),
        ({"type": "string", "enum": [f"v{n}" for n in range(250)]}, "249", "v249"),
        ({"type": "array", "items": {"enum": ["a", "b"]}}, ["0", "1"], ["a", "b"]),
        ({"type": "array", "items": {"anyOf": TITLES}, "default": ["b"]}, None, ["b"]),
        ({"type": "number", "default": 1234567.25}, None, 1234567.25),
        ({"type": "number", "default": 1e-7, "minimum": 1e-9, "maximum": 1e9}, None, 1e-7),
        ({"type": "integer", "default": 123456789012}, None, 123456789012),
        ({"type": "integer", "minimum": 0.5, "maximum": 2.5}, "1", 1),
        ({"type": "integer", "maximum": 10**400}, "5", 5),
        ({"type": "integer", "minimum": -1e300}, str(-(10**18)), -(10**18)),
        (
            {"type": "string", "format": "date-time", "default": "2026-11-27T10:00:00Z"},
            None,
            "2026-11-27T10:00:00Z",
        ),
        ({"type": ["string", "null"], "default": "x"}, None, "x"),
        ({"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]}, "2", 2),
        ({"oneOf": TITLES}, "1", "b"),
        ({"enum": ["a", "b"]}, "0", "a"),
        ({"type": "string", "pattern": "^(a+)+$"}, "a" * 50 + "!", "a" * 50 + "!"),
        ({"type": "array", "items": LETTERS, "maxItems": 1e300}, ["0"], ["a"]),
    ],
)
def test_every_kind_of_field_gives_its_value(
    field: dict[str, Any], value: Any, expected: Any
) -> None:
    assert answer(schema(**field), value) == ({"x": expected}, {})


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ({"type": "string"}, "", texts.REQUIRED),
        ({"type": "string", "minLength": 3}, "ab", texts.longer(3)),
        ({"type": "string", "maxLength": 3}, "abcd", texts.shorter(3)),
        ({"type": "string", "format": "email"}, "ada", texts.NO_EMAIL),
        ({"type": "string", "format": "uri"}, "example", texts.NO_URL),
        ({"type": "string", "format": "date"}, "27.11.2026", texts.NO_DATE),
        ({"type": "number"}, "much", texts.NO_NUMBER),
        ({"type": "number"}, "nan", texts.NO_NUMBER),
        ({"type": "number"}, "1_0", texts.NO_NUMBER),
        ({"type": "number", "minimum": 2}, "1.5", texts.at_least(2)),
        ({"type": "integer"}, "1.5", texts.WHOLE),
        ({"type": "integer", "maximum": 9}, "10", texts.at_most(9)),
        ({"type": "number", "maximum": 1234567}, "1234568", "At most 1234567, please."),
        ({"anyOf": [{"type": "integer", "minimum": 2}, {"type": "null"}]}, "1", texts.at_least(2)),
        ({"type": "string", "format": "date-time"}, 10**30, texts.NO_DATE),
        ({"type": "array", "items": LETTERS, "minItems": 2}, ["0"], texts.at_least(2)),
        (
            {"type": "array", "items": LETTERS, "maxItems": 1},
            ["0", "1"],
            texts.at_most(1),
        ),
        ({"type": "boolean"}, None, texts.REQUIRED),
    ],
)
def test_a_wrong_value_is_explained_below_its_field(
    field: dict[str, Any], value: Any, problem: str
) -> None:
    assert answer(schema(**field), value)[1] == {"field0": problem}


@pytest.mark.parametrize(
    "field",
    [
        {"type": "string"},
        {"type": "integer"},
        {"type": "boolean"},
        {"type": "string", "enum": ["a"]},
        {"type": "string", "format": "date"},
        {"type": "array", "items": LETTERS, "minItems": 1},
    ],
)
def test_optional_fields_may_stay_empty(field: dict[str, Any]) -> None:
    assert answer(schema(required=False, **field), None) == ({}, {})


@pytest.mark.parametrize(
    "field",
    [
        {"type": "integer", "default": 7.5},
        {"type": "integer", "minimum": 3, "default": 2},
        {"type": "number", "default": 10**400},
        {"type": "number", "default": True},
        {"type": "string", "maxLength": 3, "default": "long"},
        {"type": "string", "default": 5},
        {"type": "string", "format": "email", "default": "ada"},
        {"type": "string", "format": "date", "default": "tomorrow"},
        {"type": "string", "format": "date", "default": "20261127"},
        {"type": "string", "format": "date-time", "default": "2026-11-27"},
        {"type": "string", "enum": ["a"], "default": "c"},
        {"type": "array", "items": LETTERS, "maxItems": 1, "default": ["a", "b"]},
        {"type": "array", "items": LETTERS, "default": ["c"]},
        {"type": "boolean", "default": "yes"},
    ],
)
def test_a_default_that_is_no_valid_value_is_left_out(field: dict[str, Any]) -> None:
    """Slack would refuse the form, and the question could not be answered."""
    assert answer(schema(**field), None) == ({}, {"field0": texts.REQUIRED})


def test_a_pattern_is_shown_below_its_field() -> None:
    (field,) = read_form(schema(type="string", description="A code", pattern="^[A-Z]{3}$"))
    assert field.hint == "A code · Format: ^[A-Z]{3}$"
    (field,) = read_form(schema(type="string", description="y" * 900, pattern="x" * 900))
    assert len(field.hint) <= 500


def test_a_large_form_is_shown_complete_and_every_problem_is_named() -> None:
    kinds: list[dict[str, Any]] = [
        *({"type": "string"}, {"type": "integer", "minimum": 5}, {"type": "boolean"}),
        *({"type": "string", "format": "email"}, {"type": "array", "items": LETTERS}),
    ]
    properties = {f"x{n}": kinds[n % 5] | {"title": f"Field {n}"} for n in range(30)}
    form = {"type": "object", "properties": properties, "required": list(properties)}
    fields = read_form(form)
    assert [field.label for field in fields] == [f"Field {n}" for n in range(30)]
    values = dict(
        zip((f"field{n}" for n in range(30)), ["a", "1", "0", "b", ["0"]] * 6, strict=True)
    )
    view = modal("id", "T", render_fields(fields), submit="S", close="C", private_metadata="")
    content, problems = parse_answer(fields, default_state(check_view(view)["blocks"], values))
    assert sorted(problems.values()) == [texts.at_least(5)] * 6 + [texts.NO_EMAIL] * 6
    assert len(content) == 18


def test_a_choice_that_was_not_offered_is_refused() -> None:
    fields = read_form(schema(type="string", enum=["a"]))
    for value in ("-5", "-1", "1", "a", None):
        forged = {"field0": {"field0": {"selected_option": {"value": value}}}}
        assert parse_answer(fields, forged) == ({}, {"field0": texts.NO_CHOICE})


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"type": "object", "properties": []},
        schema(type="object", properties={}),
        schema(type="array", items={"type": "string"}),
        schema(type="null"),
        schema(type="string", enum=[f"v{n}" for n in range(1_001)]),
        {"type": "object", "properties": {f"x{n}": {"type": "string"} for n in range(41)}},
        schema(type="object", properties={"y": {"type": "string"}}),
        schema(type="array", items={"type": "object", "properties": {"y": {"type": "string"}}}),
        schema(anyOf=[{"type": "string"}, {"type": "integer"}]),
        schema(type="integer", minimum=3, maximum=2),
        schema(type="string", minLength=3_001),
        schema(type="string", maxLength=0),
        schema(type="array", items=LETTERS, minItems=3),
        {
            "type": "object",
            "properties": {
                f"x{n}": {"type": "string", "enum": [f"{'v' * 70}{m}" for m in range(900)]}
                for n in range(4)
            },
        },
    ],
)
def test_a_form_that_a_modal_cannot_show_is_refused(form: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedForm):
        read_form(form)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
field_schemas = st.fixed_dictionaries(
    {"type": st.sampled_from(["string", "number", "integer", "boolean", "array"])},
    optional={
        key: json_values | st.text() | st.integers()
        for key in (
            *("title", "description", "default", "minLength", "maxLength", "minimum", "maximum"),
            *("minItems", "maxItems", "format", "enumNames", "pattern"),
        )
    }
    | {key: st.lists(st.text(), max_size=4) | json_values for key in ("enum", "oneOf", "anyOf")}
    | {"items": st.fixed_dictionaries({"enum": st.lists(st.text(), max_size=4)}) | json_values},
)


@given(field_schemas)
def test_slack_accepts_the_form_of_any_schema_that_is_not_refused(field: dict[str, Any]) -> None:
    try:
        fields = read_form(schema(**field))
    except UnsupportedForm:
        return
    view = modal("id", "T", render_fields(fields), submit="S", close="C", private_metadata="")
    state = default_state(check_view(view)["blocks"])
    content, problems = parse_answer(fields, state)
    assert set(content) | {"x" for _ in problems} <= {"x"}


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://pay.example.com/now?x=1", "pay.example.com"),
        ("https://bank.example.com@evil.example/", "evil.example"),
        ("https://exаmple.com/", "xn--exmple-4nf.com"),
        ("http://127.0.0.1:8080/", "127.0.0.1"),
        ("javascript:alert(1)", ""),
        ("file:///etc/passwd", ""),
        ("https://", ""),
        ("https://a b/", ""),
        ("https://example.com/\u202e", ""),
        ("https://example.com/" + "x" * 3000, ""),
        ("https://[::1", ""),
    ],
)
def test_the_domain_of_an_address(url: str, domain: str) -> None:
    assert domain_of(url) == domain
