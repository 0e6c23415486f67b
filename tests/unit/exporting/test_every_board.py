"""An export for each board that is only compiled: proven, and built at the board's addresses."""

from pathlib import Path

import pytest

import edgeq
from edgeq.board import Board, all_boards
from tests.unit import small_model

pytestmark = pytest.mark.full
COMPILED = [board for board in all_boards() if board.evidence == "compiled"]


@pytest.mark.parametrize("board", COMPILED, ids=lambda board: board.name)
def test_what_is_only_compiled_exports_and_is_built(board: Board, tmp_path: Path) -> None:
    edgeq.save(small_model.model(small_model.rows()), tmp_path / "small.pt")
    report = edgeq.export(tmp_path / "small.pt", board.name, tmp_path / "out")
    checks = {check["name"]: check for check in report["checks"]}
    assert all(check["passed"] for check in checks.values()), checks
    assert "byte for byte" in checks["firmware"]["said"]
    flashed = edgeq.flash(board.name, tmp_path / "out", dry_run=True)
    assert Path(flashed["bin"]).stat().st_size > 0
