"""A place is reserved, used and released whatever ends the block."""

import re

import pytest

from edgeq.errors import BadInput, Link, Taken
from edgeq.places import held
from tests.unit.places.conftest import Farm


def test_held_within_the_block(farm: Farm) -> None:
    with held(farm.client, "bench-a") as place:
        assert place.holder == farm.holder("bench-a") == "vm/alice"
        assert place.serial.port == 5001
    assert farm.holder("bench-a") is None


@pytest.mark.parametrize("error", [Link, ValueError, KeyboardInterrupt, SystemExit])
def test_released_after_any_end(farm: Farm, error: type[BaseException]) -> None:
    with pytest.raises(error, match=r"^lost$"), held(farm.client, "bench-a"):
        raise error("lost")
    assert farm.holder("bench-a") is None


def test_another_users(farm: Farm) -> None:
    farm.change("bench-a", holder="lab/bob")
    words = (
        "place bench-a is held by lab/bob; wait for them, take another place of that board "
        "(`edgeq farm list`), or ask them: `labgrid-client -p bench-a release`, or to share it "
        "`labgrid-client -p bench-a allow vm/alice`"
    )
    with pytest.raises(Taken, match=f"^{re.escape(words)}$") as info, held(farm.client, "bench-a"):
        raise AssertionError
    assert info.value.exit_code == 8
    assert farm.holder("bench-a") == "lab/bob"


@pytest.mark.parametrize(
    "facts", [{"holder": "vm/alice"}, {"holder": "b/c", "allowed": ["vm/alice"]}]
)
def test_our_own_or_shared_is_used_and_left(farm: Farm, facts: dict[str, object]) -> None:
    farm.change("bench-a", **facts)
    with held(farm.client, "bench-a") as place:
        assert place.holder == facts["holder"]
    assert farm.holder("bench-a") == facts["holder"]


def test_alone(farm: Farm) -> None:
    farm.change("bench-a", holder="vm/alice")
    with pytest.raises(Taken, match=r"held by vm/alice \(you, elsewhere\)"):
        held(farm.client, "bench-a", alone=True).__enter__()
    assert farm.holder("bench-a") == "vm/alice"


def test_an_unknown_place(farm: Farm) -> None:
    with pytest.raises(BadInput, match="matches nothing"), held(farm.client, "nowhere"):
        raise AssertionError


def test_an_administrator_was_faster(farm: Farm) -> None:
    with held(farm.client, "bench-a"):
        farm.change("bench-a", holder=None)
    with held(farm.client, "bench-a"):
        farm.change("bench-a", holder="lab/bob")
    assert farm.holder("bench-a") == "lab/bob"


def test_what_cannot_be_released_is_said(farm: Farm) -> None:
    said = "could not be released .*; release it with `labgrid-client -p bench-a release`"
    with pytest.raises(Link, match=said), held(farm.client, "bench-a"):
        farm.change("bench-a", holder="noslash")
    farm.change("bench-a", holder=None)
    with pytest.raises(BadInput, match=f"^my own fault; place bench-a {said}"):
        _fail_unreleased(farm)


def _fail_unreleased(farm: Farm) -> None:
    with held(farm.client, "bench-a"):
        farm.change("bench-a", holder="noslash")
        raise BadInput("my own fault")
