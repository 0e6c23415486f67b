"""Packaged models under the checkers of their formats' own tools, each in an environment apart.

They disagree with each other about versions of click and pydantic, and none is wanted elsewhere.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.test_packages import placed
from tests.apart import python_with
from tests.factory import smallest_mixture
from tests.hang import HANG_S

pytestmark = pytest.mark.full

PLATFORMIO = """
import sys, tarfile, tempfile
from platformio.package.manifest import schema
from platformio.package.manifest.parser import ManifestParserFactory
from platformio.package.pack import PackagePacker
# the list of licences is downloaded by the checker; this one stands in it
known = {"licenses": [{"licenseId": "Apache-2.0"}]}
schema.ManifestSchema.load_spdx_licenses = staticmethod(lambda *_: known)
for name in ("library.json", "library.properties"):
    read = ManifestParserFactory.new_from_file(f"{sys.argv[1]}/{name}").as_dict()
    schema.ManifestSchema().load_manifest(read)
    print(read["name"], read["version"])
with tempfile.TemporaryDirectory() as folder:
    packed = PackagePacker(sys.argv[1]).pack(folder)
    names = tarfile.open(packed).getnames()
assert "library.json" in names and any(name.startswith("src/") for name in names), names
"""
IDF = """
import sys
from idf_component_tools.manager import ManifestManager
print(ManifestManager(sys.argv[1], "component").load().version)
"""
KCONFIG = """
import sys, kconfiglib
found = kconfiglib.Kconfig(sys.argv[1] + "/zephyr/Kconfig", warn_to_stderr=False)
assert not found.warnings, found.warnings
print(*[symbol.name for symbol in found.unique_defined_syms])
"""
# of zephyr/scripts/zephyr_module.py, as far as edgeq writes keys
MODULE = """
import sys, yaml
from pykwalify.core import Core
schema = {"type": "map", "mapping": {
    "name": {"required": False, "type": "str"},
    "build": {"required": False, "type": "map", "mapping": {
        "cmake": {"required": False, "type": "str"},
        "kconfig": {"required": False, "type": "str"}}},
    "samples": {"required": False, "type": "seq", "sequence": [{"type": "str"}]}}}
data = yaml.safe_load(open(sys.argv[1] + "/zephyr/module.yml"))
Core(source_data=data, schema_data=schema).validate(raise_exception=True)
print(data["name"])
"""
SBOM = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = open(sys.argv[1] + "/sbom.cdx.json").read()
errors = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
assert errors is None, errors
print("valid")
"""
# the workspace that the library's README speaks of: a project of west.yml, from a repository
WEST = """
manifest:
  version: "1.0"
  projects:
    - name: {name}
      url: {url}
      revision: main
      path: modules/{name}
  self:
    path: application
"""
CHECKERS = {
    "platformio": (("platformio",), PLATFORMIO),
    "esp-idf": (("idf-component-manager",), IDF),
    "kconfig": (("kconfiglib",), KCONFIG),
    "zephyr": (("pykwalify", "pyyaml"), MODULE),
    "west": (("west",), "import west.manifest as m; print(m.SCHEMA_VERSION)"),
    "sbom": (("cyclonedx-python-lib[json-validation]",), SBOM),
}


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The Python that has a checker's packages."""
    return lambda checker: python_with(tmp_path_factory.mktemp(checker), *CHECKERS[checker][0])


def said(python: Path, program: str, library: Path) -> subprocess.CompletedProcess[str]:
    command = [python, "-c", program, library]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANG_S)


DAMAGE = {
    "platformio": ("library.json", '"version": "', '"version": "x'),
    "esp-idf": ("idf_component.yml", 'version: "', 'version: "x'),
    "kconfig": ("zephyr/Kconfig", "\tbool", "\tbool bool"),
    "zephyr": ("zephyr/module.yml", "build:", "built:"),
    "sbom": ("sbom.cdx.json", '"alg": "SHA-256"', '"alg": "SHA-255"'),
}


@pytest.mark.parametrize("checker", DAMAGE)
def test_the_formats_own_checker_passes_and_would_refuse(
    checker: str, apart: Callable[[str], Path], tmp_path: Path
) -> None:
    placed(smallest_mixture(), tmp_path)
    library, python = tmp_path / "library", apart(checker)
    passed = said(python, CHECKERS[checker][1], library)
    assert passed.returncode == 0, passed.stderr
    path, sound, damaged = DAMAGE[checker]
    text = (library / path).read_text()
    assert sound in text
    (library / path).write_text(text.replace(sound, damaged, 1))
    refused = said(python, CHECKERS[checker][1], library)
    assert refused.returncode != 0, refused.stdout


def test_west_brings_the_library_as_a_project(apart: Callable[[str], Path], tmp_path: Path) -> None:
    """The real west clones it into a workspace and lists it; Zephyr reads its module.yml there."""
    name, python = placed(smallest_mixture(), tmp_path), apart("west")
    library, top = tmp_path / "library", tmp_path / "workspace"
    who = ("-c", "user.name=edgeq", "-c", "user.email=edgeq@example.invalid")
    for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*who, "commit", "-q", "-m", "lib")):
        subprocess.run(["git", *words], cwd=library, check=True, timeout=HANG_S)
    (top / "application").mkdir(parents=True)
    wanted = WEST.format(name=f"edgeq_{name}", url=library.as_uri())
    (top / "application" / "west.yml").write_text(wanted)

    def west(*words: str) -> subprocess.CompletedProcess[str]:
        command = [python.parent / "west", *words]
        return subprocess.run(command, cwd=top, capture_output=True, text=True, timeout=HANG_S)

    for words in (("init", "-l", "application"), ("update",), ("manifest", "--validate")):
        done = west(*words)
        assert done.returncode == 0, done.stderr
    place = Path(west("list", "-f", "{abspath}", f"edgeq_{name}").stdout.strip())
    assert (place / "zephyr" / "module.yml").read_bytes() == (
        library / "zephyr" / "module.yml"
    ).read_bytes()
    (top / "application" / "west.yml").write_text(wanted.replace("revision:", "revison:"))
    assert west("manifest", "--validate").returncode != 0


def test_arduinos_properties_are_those_of_its_specification(tmp_path: Path) -> None:
    placed(smallest_mixture(), tmp_path)
    lines = (tmp_path / "library" / "library.properties").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in lines)
    wanted = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category"}
    assert wanted | {"url", "architectures", "includes"} == fields.keys()
    assert fields["category"] == "Data Processing"
    assert json.loads((tmp_path / "library" / "library.json").read_text())["frameworks"] == "*"
    assert (tmp_path / "library" / "src" / fields["includes"]).is_file()
