"""What edgeq keeps: export.json, and the profile.json, manifest, journals and tables of a run."""

import io
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hostile import mutate
from tests.hostile.oracle import Case, Place, Surface

KEPT = "kept"  # beside the case's own folder, which is emptied


def _run_folder(place: Place) -> Path:
    """A finished run with a measured current, as a profile leaves one."""
    from tests.unit.report import made

    folder = place.case.parent / KEPT
    energy = {"kind": "measured", "joules_mean": 1e-3, "band": [0.9e-3, 1.1e-3], "volts": 1.8}
    made.write_run(folder, made.subject(), current=True)
    (folder / "other").mkdir()
    made.write_run(folder / "other" / "run", made.subject(), more={"energy": {
        "source": "silicon", "coulombs_mean": 1e-4, "figures": "a meter", "net_joules_mean": 8e-4,
        "idle_w": 0.01, "experts": [], "windows": [made.WINDOW], **energy}})  # fmt: skip
    for run in (folder, folder / "other" / "run"):
        _everywhere_alike(run / "manifest.json")
    return folder


def _everywhere_alike(manifest: Path) -> None:
    """Without this command's words, this hour and this computer: a case hangs on its number."""
    kept = json.loads(manifest.read_bytes())
    for session in kept["sessions"]:
        session["command"] = ["edgeq", "profile"]
        session["started"] = "2026-01-01T00:00:00+00:00"
        session["host"] = dict.fromkeys(session["host"], "1.0")
    manifest.write_text(json.dumps(kept))


def _copied(base: Path, place: Place) -> Path:
    """The run's files under the case's folder."""
    run = place.case / "run"
    (run / "records").mkdir(parents=True)
    for name in ("manifest.json", "profile.json", "end.json", "records/00000.parquet"):
        if (base / name).exists():
            shutil.copyfile(base / name, run / name)
    return run


def show_run(run: Path, other: Path, page: bool) -> str:
    """What report and compare print of a run; `page`: with the page and its figures."""
    from edgeq.comparing import compare
    from edgeq.comparing.text import compare_text
    from edgeq.reporting.page import run_names
    from edgeq.reporting.report_text import report_text
    from edgeq.reporting.terminal import console
    from edgeq.reporting.write import read_subjects

    subjects = read_subjects([run])
    out = io.StringIO()
    screen = console(file=out, width=100, color_system=None)
    screen.print(report_text(subjects, run_names(subjects)))
    if page:
        from edgeq.reporting import page as pages

        pages.page(subjects)
        screen.print(compare_text(compare(run, other)))
        compare(other, run)
    return out.getvalue()


def _changed_json(name: str) -> Callable[[random.Random, Path, Place], Case]:
    def case(rng: random.Random, base: Path, place: Place) -> Case:
        run = _copied(base, place)
        source = base / "other" / "run" if rng.random() < 0.3 else base
        tree = json.loads((source / name).read_bytes())
        (run / name).write_bytes(mutate.json_changed(rng, tree))
        page = rng.random() < 0.12
        return lambda: show_run(run, base, page)

    return case


def _prepared(place: Place) -> Path:
    """The run; the plotting library is packed once, not for every page."""
    from functools import lru_cache

    from edgeq.reporting import page

    page.library_text = lru_cache(page.library_text)
    base = _run_folder(place)
    show_run(base, base, page=True)
    return base


def _journal_case(rng: random.Random, base: Path, place: Place) -> Case:
    from edgeq.harness.journal import encode_line
    from edgeq.harness.trace import read_run

    run = _copied(base, place)
    records = [r.fields() for r in read_run(base).records]
    lines = [encode_line(record) for record in records]
    at = rng.randrange(len(lines))
    kind = rng.random()
    if kind < 0.7:
        text = mutate.json_changed(rng, json.loads(json.dumps(records[at])))
        import zlib

        lines[at] = b"%08x %s\n" % (zlib.crc32(text), text)
    elif kind < 0.8:
        lines[at] = lines[rng.randrange(len(lines))]
    data = b"".join(lines)
    if kind >= 0.8:
        data = mutate.bytes_changed(rng, data)
    (run / "records" / "00000.parquet").unlink()
    (run / "journal-00000.log").write_bytes(data)
    if rng.random() < 0.1:
        (run / "end.json").write_bytes(mutate.json_changed(rng, {"reason": "complete"}))
    return lambda: show_run(run, base, page=False)


def _table_case(rng: random.Random, base: Path, place: Place) -> Case:
    run = _copied(base, place)
    name = rng.choice(("records/00000.parquet", "current.parquet"))
    (run / name).write_bytes(mutate.bytes_changed(rng, (base / name).read_bytes()))
    page = name == "current.parquet" and rng.random() < 0.4
    return lambda: show_run(run, base, page)


def _export_folder(place: Place) -> Path:
    from tests.tiny_export import tiny_report_folder

    folder = tiny_report_folder(place.case.parent / KEPT)
    use_export(folder)  # what is looked up once a process
    return folder


def _export_case(rng: random.Random, base: Path, place: Place) -> Case:
    tree = json.loads((base / "export.json").read_bytes())
    folder = place.case / "export"
    folder.mkdir()
    for name in ("graph.npz", "evaluation.npz"):
        shutil.copyfile(base / name, folder / name)
    (folder / "firmware").symlink_to(base / "firmware")
    (folder / "export.json").write_bytes(mutate.json_changed(rng, tree))
    return lambda: use_export(folder)


def use_export(folder: Path) -> str:
    """What estimate and profile read of an export."""
    from edgeq import profiling
    from edgeq.board import runnable_board
    from edgeq.emit.firmware import layer_table
    from edgeq.estimating import of_folder
    from edgeq.export_folder import read_report
    from edgeq.harness.messages import Info, plain_ports
    from edgeq.profile_request import ProfileRequest
    from edgeq.run_manifest import run_manifest

    model = of_folder(folder)
    report = read_report(folder)
    runnable_board(str(report["target"]))
    request = ProfileRequest(folder)
    samples = profiling._samples(request, report, model.graph)
    layers = layer_table(model.graph)
    digest = str(report["model_digest"])
    info = Info(
        1,
        4,
        1_000_000,
        4,
        3,
        len(layers),
        digest,
        "b" * 64,
        "virtual_m4",
        "tiny",
        *plain_ports(4, 3),
    )
    subject = profiling._subject(info, report, model.graph, layers, folder)
    manifest = run_manifest(subject, report["input_shape"], samples.source, len(samples.rows))
    return "".join(manifest.model.name)


def _firmware_case(rng: random.Random, graph: Any, place: Place) -> Case:
    """build/<board>/firmware.json, what `edgeq flash` noted of a build."""
    from edgeq import profiling
    from edgeq.harness.messages import Info, plain_ports

    built: dict[str, Any] = {
        "firmware_digest": "b" * 64, "compiler": "gcc 12", "flags": ["-O2"], "flash_bytes": 9_000,
        "ram_bytes": 2_000, "sections": {".text": 8_000, ".edgeq_weights": 900, ".bss": 7},
    }  # fmt: skip
    folder = place.case / "build" / "virtual_m4"
    folder.mkdir(parents=True)
    (folder / "firmware.json").write_bytes(mutate.json_changed(rng, built))
    info = Info(
        1, 4, 1_000_000, 4, 3, 3, "a" * 64, "b" * 64, "virtual_m4", "tiny", *plain_ports(4, 3)
    )

    def use() -> str:
        from edgeq import run_manifest
        from edgeq.reporting.memory_map import memory_map
        from edgeq.reporting.profile import Profiled

        facts = profiling._build(place.case, info)
        memory_map(graph, facts.get("sections"))
        run_manifest._firmware(Profiled(info, None, (), (), ("a",), facts))
        return ""

    return use


def _graph(place: Place) -> Any:
    from tests.factory import smallest_mixture

    return smallest_mixture()


SURFACES = (
    Surface("export", _export_folder, _export_case),
    Surface("profile", _prepared, _changed_json("profile.json")),
    Surface("manifest", _prepared, _changed_json("manifest.json")),
    Surface("journal", _prepared, _journal_case),
    Surface("table", _prepared, _table_case),
    Surface("firmware_json", _graph, _firmware_case),
)
