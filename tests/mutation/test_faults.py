"""The generator: every row gets faults of its own, each one edit, with an id that lasts."""

import pytest

from edgeq.kernels import KERNELS, kernel_named
from tests.mutation.c_faults import c_faults
from tests.mutation.draw import in_turns
from tests.mutation.fault import KINDS, numbered
from tests.mutation.kernel_trial import kernel_faults, kernel_texts

C = """
#define WIDTH 5
static int32_t unused(int32_t a) { return a - 1; }
static int32_t part(const int8_t *x, int32_t zero) {
    int32_t acc = 0;
    for (int32_t i = 0; i < WIDTH; i++) {
        acc += x[i] - zero;
    }
    return acc >> 2;
}
void whole(const int8_t *x, int32_t *y) {
    *y = part(x, 3) + 127; /* 12 */
    __asm__("smlad r1, r2, r3, r4\\n sub.w r1, r2, r3\\n asr r1, r1, #8\\n");
}
"""


def shown(kind: str) -> set[str]:
    faults = c_faults({"a.c": C}, ["whole"])
    return {f.shown(C).split(" -> ")[1] for f in faults if f.edit.kind == kind}


def test_faults_of_a_text() -> None:
    """An example of every kind; none in a comment or in a function that nothing calls."""
    assert "acc += x[i + 1] - zero;" in shown("index")
    assert "#define WIDTH 6" in shown("constant")
    assert "return acc >> 3;" in shown("shift")
    assert "return acc << 2;" in shown("shift")
    assert "acc += x[i] + zero;" in shown("operand")
    assert "for (int32_t i = 0; i < 1 + WIDTH; i++) {" in shown("row")
    assert ";" in shown("row")
    assert "for (int32_t i = 0; i <= WIDTH; i++) {" in shown("edge")
    assert "acc += x[i] - 0;" in shown("zero point")
    assert "*y = part(x, 3) + 126; /* 12 */" in shown("extreme")
    assert "int16_t acc = 0;" in shown("extreme")
    every = c_faults({"a.c": C}, ["whole"])
    assert not any("unused" in f.shown(C) or "13 */" in f.shown(C) for f in every)


def test_faults_inside_assembly() -> None:
    line = '__asm__("smlad r1, r2, r3, r4\\n sub.w r1, r2, r3\\n asr r1, r1, #8\\n");'
    made = set().union(*(shown(kind) for kind in KINDS))
    assert line.replace("smlad", "smladx") in made
    assert line.replace("r2, r3, r4", "r4, r3, r2") in made
    assert line.replace("sub.w r1, r2, r3", "sub.w r1, r3, r2") in made
    assert line.replace("sub.w r1, r2, r3", "add.w r1, r2, r3") in made
    assert line.replace("#8", "#7") in made
    assert line.replace("smlad r1, r2, r3, r4", " nop.w") in made


def test_ids_outlive_edits_elsewhere() -> None:
    before = {f.id for f in c_faults({"a.c": C}, ["whole"])}
    later = C.replace("#define", "/* a line more */\n\n#define").replace("- 1;", "- 2;")
    assert before == {f.id for f in c_faults({"a.c": later}, ["whole"])}
    changed = C.replace("acc >> 2", "acc >> 4")
    assert before != {f.id for f in c_faults({"a.c": changed}, ["whole"])}


def test_ids_are_unique() -> None:
    faults = c_faults({"a.c": C}, ["whole"])
    assert len({f.id for f in faults}) == len(faults)
    assert numbered("a.c", C, [f.edit for f in faults] * 2)[0].id == faults[0].id


@pytest.mark.parametrize("name", [kernel.name for kernel in KERNELS])
def test_every_row_has_enough_faults_of_its_own(name: str) -> None:
    """Twice as many as are planted, of nearly all kinds."""
    kernel = kernel_named(name)
    texts = kernel_texts()
    faults = kernel_faults(kernel, texts)
    assert len(faults) >= 20
    assert len({fault.edit.kind for fault in faults}) >= 5
    for fault in faults[:: max(1, len(faults) // 20)]:
        assert fault.apply(texts[fault.file]) != texts[fault.file]


def test_the_draw_is_that_of_its_seed() -> None:
    faults = kernel_faults(kernel_named("edgeq_relu_s8"), kernel_texts())
    first = [f.id for f in in_turns(faults, "1")]
    assert first == [f.id for f in in_turns(faults, "1")]
    assert first != [f.id for f in in_turns(faults, "2")]
    assert sorted(first) == sorted(f.id for f in faults)
    kinds = {f.edit.kind for f in faults}
    drawn = list(in_turns(faults, "1"))
    assert {f.edit.kind for f in drawn[: len(kinds)]} == kinds
