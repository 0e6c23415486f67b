"""What is asked of a profile is one value: the options, the request, the command that resumes."""

import dataclasses
import inspect
import shlex
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeq import pipeline, profiling
from edgeq.cli.profile import profile
from edgeq.profile_request import ProfileRequest

WORDS = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), min_size=1)
SAID = WORDS.map(lambda text: f"x{text}")
PATHS = SAID.map(Path)
REQUESTS = st.builds(
    ProfileRequest,
    firmware=PATHS,
    port=st.none() | SAID,
    run=st.none() | PATHS,
    data=st.none() | PATHS,
    trace=st.none() | PATHS,
    parquet=st.none() | PATHS,
    limit=st.none() | st.integers(1, 2**40),
    baud=st.integers(1, 2**30),
    meter=SAID,
    meter_port=st.none() | SAID,
    volts=st.none() | st.floats(0, 9),
    meter_rate=st.none() | st.integers(1, 2**30),
    windows=st.integers(1, 99),
    window_seconds=st.floats(0, 1e6),
    resume=st.booleans(),
)


def asked(words: list[str], monkeypatch: pytest.MonkeyPatch) -> ProfileRequest:
    """What the command line asks for."""
    requests: list[ProfileRequest] = []

    def note(request: ProfileRequest, *_: object) -> None:
        requests.append(request)
        raise KeyboardInterrupt

    monkeypatch.setattr(profiling, "profile", note)
    with pytest.raises(click.exceptions.Abort):
        profile.main(words, standalone_mode=False)
    return requests[0]


@given(request=REQUESTS)
def test_the_resume_command_asks_for_the_same(request: ProfileRequest) -> None:
    words = shlex.split(request.resume_command(Path("there")))
    assert words[:2] == ["edgeq", "profile"]
    with pytest.MonkeyPatch.context() as patch:
        again = asked(words[2:], patch)
    assert again == dataclasses.replace(request, run=Path("there"), resume=True)


def test_no_option_is_the_default_request(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked([], monkeypatch) == ProfileRequest()


def test_every_field_is_an_option_and_a_keyword() -> None:
    fields = {field.name for field in dataclasses.fields(ProfileRequest)}
    assert {str(option.name) for option in profile.params} - {"as_json", "verbose"} == fields
    keywords = inspect.signature(pipeline.profile).parameters
    named = {name.replace("window_s", "window_seconds"): p.default for name, p in keywords.items()}
    for calls in ("watch", "tell", "kept"):
        assert named.pop(calls) is None
    assert {name: str(default) for name, default in named.items()} == {
        field.name: str(field.default) for field in dataclasses.fields(ProfileRequest)
    }
