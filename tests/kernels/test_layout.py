"""Case 18: assembly knows where members stand; a build with one elsewhere must not succeed."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.hang import HANG_S
from tests.kernels.cross_kernels import FLAGS, command
from tests.kernels.host_kernels import FOLDER

# (struct that assembly reads, its file, a source that includes it)
STRUCTS = (
    ("edgeq_narrow_layer", "edgeq_narrow_rows_dsp.h", "edgeq_fully_connected_s8_t2_dsp.c"),
    ("edgeq_fully_connected_params", "edgeq_kernels.h", "edgeq_fully_connected_s8_t2_dsp.c"),
    ("edgeq_pair_job", "edgeq_conv_2d_pairs_dsp.h", "edgeq_conv_2d_s8_s8_dsp.c"),
    ("edgeq_expansion", "edgeq_conv_2d_patches_dsp.h", "edgeq_conv_2d_s8_t2_dsp.c"),
    ("edgeq_block_channel", "edgeq_depthwise_blocks_dsp.h", "edgeq_depthwise_conv_2d_s8_s8_dsp.c"),
    ("edgeq_windows", "edgeq_depthwise_any_dsp.h", "edgeq_depthwise_conv_2d_s8_s8_dsp.c"),
    ("edgeq_block_cell", "edgeq_block_dsp.h", "edgeq_block_fully_connected_s8_s4_dsp.c"),
    ("edgeq_slide", "edgeq_depthwise_slide_dsp.h", "edgeq_depthwise_conv_2d_s8_s8_dsp.c"),
    ("edgeq_eight_job", "edgeq_row_fours_dsp.h", "edgeq_fully_connected_s8_s4_dsp.c"),
    ("edgeq_six_job", "edgeq_fully_connected_s8_s8_dsp.c", "edgeq_fully_connected_s8_s8_dsp.c"),
    ("edgeq_inside", "edgeq_depthwise_strips_dsp.h", "edgeq_depthwise_conv_2d_s8_s8_dsp.c"),
)


def members(text: str, struct: str) -> list[tuple[int, str]]:
    """(offset in the text, name) of the members, in order."""
    end = re.search(rf"^}} {struct};", text, re.M)
    assert end is not None
    start = text.rindex("typedef struct {", 0, end.start())
    body = text[start : end.start()]
    found = re.finditer(r"^    [\w ]+?\*?(\w+)(?:\[\d\])?;", body, re.M)
    return [(start + m.start(), m[1]) for m in found]


def compiled(folder: Path, source: str) -> subprocess.CompletedProcess[str]:
    flags = [*command("gcc"), *FLAGS, "-I.", "-c", source, "-o", "out.o"]
    return subprocess.run(
        flags, cwd=folder, capture_output=True, text=True, timeout=HANG_S, check=False
    )


@pytest.mark.parametrize(("struct", "file", "source"), STRUCTS, ids=[s for s, *_ in STRUCTS])
def test_case_18_a_shifted_member_breaks_the_build(
    struct: str, file: str, source: str, tmp_path: Path
) -> None:
    """A word before the first member, and one in the middle."""
    for path in FOLDER.glob("*.[ch]"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    text = (FOLDER / file).read_text()
    places = [at for at, _ in members(text, struct)]
    assert len(places) >= 4
    assert compiled(tmp_path, source).returncode == 0
    for at in (places[0], places[len(places) // 2]):
        (tmp_path / file).write_text(text[:at] + "    int32_t shifted;\n" + text[at:])
        refused = compiled(tmp_path, source)
        assert refused.returncode != 0
        assert "edgeq_layout_holds" in refused.stderr


def test_case_18_every_member_that_assembly_reads_is_pinned() -> None:
    """All members of the structs whose comment says so; no other struct has such a comment."""
    told = re.compile(
        r"[Aa]ssembly\s+(?:\*?\s*)?(?:knows|loads)[^/]*\*/\s*typedef struct \{[^}]*\} (\w+);"
    )
    texts = {p.name: p.read_text() for p in sorted(FOLDER.glob("*.[ch]"))}
    named = {name for text in texts.values() for name in told.findall(text)}
    assert named
    assert named <= {struct for struct, *_ in STRUCTS}
    for struct, file, _ in STRUCTS:
        if struct != "edgeq_fully_connected_params":  # pinned as part of edgeq_narrow_layer
            pinned = set(re.findall(rf"EDGEQ_AT\({struct}, ([\w.]+), \d+\)", texts[file]))
            names = {name for _, name in members(texts[file], struct)}
            # the C twin's alone, and a nested struct
            twin = {"turns", "columns", "between", "less", "p"}
            assert names - twin <= {name.split(".")[0] for name in pinned}


def test_case_18_tables_of_another_size_break_the_build(tmp_path: Path) -> None:
    """The assembly of five trits steps over tables of 512 bytes."""
    for path in FOLDER.glob("*.h"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    source = "edgeq_fully_connected_s8_t5.c"
    text = (FOLDER / source).read_text()
    (tmp_path / source).write_text(text.replace("uint32_t words[128];", "uint32_t words[130];"))
    refused = compiled(tmp_path, source)
    assert refused.returncode != 0
    assert "edgeq_layout_holds" in refused.stderr
