"""A packaged model: what the library holds, what its formats say, what is refused."""

import hashlib
import json
import tomllib
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

import edgeq
from edgeq.compiled import compile_graph, library
from edgeq.emit.package import FORMATS, read_formats
from edgeq.errors import BadInput
from edgeq.export_request import ExportRequest
from edgeq.firmware_project import FirmwareProject
from edgeq.passes.select_kernels import select_kernels
from edgeq.resources import templates_dir
from tests.factory import smallest_mixture
from tests.port_graphs import two_by_two

ROOT = Path(__file__).parents[3]
DIGEST = "cd" * 32


def made(formats: tuple[str, ...] = tuple(FORMATS)) -> FirmwareProject:
    graph = select_kernels(smallest_mixture(), ())
    compiled = compile_graph(graph, "net", DIGEST)
    return library(compiled, formats, "cortex-m4")


def name() -> str:
    return smallest_mixture().name


def test_every_source_is_named_by_every_format() -> None:
    files = made().files
    sources = [n.removeprefix("src/") for n in files if n.startswith("src/") and n.endswith(".c")]
    assert {n.partition("/")[0] for n in sources} == {"model", "kernels"}
    listing = (
        "CMakeLists.txt",
        f"edgeq_{name()}.mk",
        "zephyr/CMakeLists.txt",
        f"edgeq.{name()}.pdsc",
    )
    for path in listing:
        text = files[path].decode()
        assert all(source in text for source in sources), path
        assert text.count(".c") >= len(sources)
    for path, data in files.items():
        assert b"{{" not in data, path
        assert b"{%" not in data, path


def test_only_what_is_asked_for_is_written() -> None:
    always = {"LICENSE", "README.md", "sbom.cdx.json"}
    beside = {n for n in made(("make",)).files if not n.startswith("src/")}
    assert beside == {*always, f"edgeq_{name()}.mk"}
    readme = made(("make",)).files["README.md"].decode()
    assert "| Make |" in readme
    assert "| Zephyr |" not in readme


def test_the_bill_of_materials_counts_every_file() -> None:
    files = dict(made().files)
    bill = json.loads(files.pop("sbom.cdx.json"))
    stated = {
        c["name"]: c["hashes"][0]["content"] for c in bill["components"] if c["type"] == "file"
    }
    assert stated == {path: hashlib.sha256(data).hexdigest() for path, data in files.items()}
    (model,) = [c for c in bill["components"] if c["type"] == "machine-learning-model"]
    assert model["hashes"] == [{"alg": "SHA-256", "content": DIGEST}]
    refs = {bill["metadata"]["component"]["bom-ref"], *(c["bom-ref"] for c in bill["components"])}
    assert len(refs) == 1 + len(bill["components"])
    assert {d["ref"] for d in bill["dependencies"]} <= refs
    assert made().files == made().files


def test_the_licence_is_the_projects() -> None:
    licence = (ROOT / "LICENSE").read_bytes()
    assert (templates_dir() / "package" / "LICENSE").read_bytes() == licence
    assert made().files["LICENSE"] == licence


def test_versions_agree() -> None:
    files, version = made().files, edgeq.__version__
    assert json.loads(files["library.json"])["version"] == version
    assert f"\nversion={version}\n" in files["library.properties"].decode()
    package = ET.fromstring(files[f"edgeq.{name()}.pdsc"])
    assert [r.get("version") for r in package.iter("release")] == [version]
    tomllib.loads(files["idf_component.yml"].decode().splitlines()[1].replace(":", " =", 1))


def test_the_pack_description_has_what_its_schema_asks_for() -> None:
    """PACK.xsd 1.7.7 of Open-CMSIS-Pack, as far as edgeq writes elements."""
    files = made().files
    package = ET.fromstring(files[f"edgeq.{name()}.pdsc"])
    needed = {"vendor", "name", "description", "url", "license", "releases", "components"}
    assert {child.tag for child in package} == needed
    assert package.get("schemaVersion") == "1.7.7"
    (component,) = package.iter("component")
    assert set(component.attrib) == {"Cclass", "Cgroup", "Csub", "Cversion"}
    assert all(2 <= len(component.attrib[key]) <= 32 for key in ("Cclass", "Cgroup", "Csub"))
    assert [child.tag for child in component] == ["description", "files"]
    known = {"doc", "include", "header", "sourceC"}
    for file in component.iter("file"):
        assert file.get("category") in known
        assert file.get("name") in files or file.get("name") == "src/"


def test_a_model_of_several_ports_fills_structs(tmp_path: Path) -> None:
    graph = two_by_two()
    compiled = compile_graph(graph, "net", DIGEST, weights_as="c")
    readme = library(compiled, ("arduino",), "cortex-m4").files["README.md"].decode()
    assert "_infer(&net, &in, &out)" in readme


@pytest.mark.parametrize("asked", ["cmake,bazel", ["Bazel"], ""])
def test_a_format_that_is_none_is_refused(asked: str | list[str]) -> None:
    with pytest.raises(BadInput, match="is no format; there are: cmake, make, zephyr, platformio"):
        read_formats(asked)


def test_formats_are_read_in_any_order_and_case() -> None:
    assert read_formats(" Arduino ,cmake,cmake") == ("cmake", "arduino")
    assert read_formats(None) == ()


def test_weights_in_a_file_are_refused(tmp_path: Path) -> None:
    compiled = compile_graph(select_kernels(smallest_mixture(), ()), "net", DIGEST)
    project = compiled.project.with_files({"model/net_weights.bin": b"1"})
    with pytest.raises(BadInput, match=r"_weights.bin is none; add --weights-as c"):
        library(replace(compiled, project=project), ("make",), "cortex-m4")
    from edgeq.estimating import Budget

    asked = ExportRequest(
        *("cortex-m4", tmp_path / "out", None, "mse", "auto", "latency", Budget.read(*[None] * 4)),
        weights_as="binary",
        package="cmake",
    )
    with pytest.raises(BadInput, match="leave out --weights-as binary"):
        asked.checked()
