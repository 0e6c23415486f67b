"""The bill of materials of a library, as CycloneDX 1.5 JSON (ECMA-424): model, kernels, files."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from edgeq.emit.kernel_version import kernel_version
from edgeq.version import __version__

SBOM = "sbom.cdx.json"
APACHE = [{"license": {"id": "Apache-2.0"}}]


def sbom(files: Mapping[str, bytes], *, name: str, digest: str) -> bytes:
    """Of the library's `files`; the same for the same files: no time, no random number.

    `digest` is the model's SHA-256. The model's licence is its owner's: none is claimed.
    """
    library, model, kernels = f"edgeq_{name}@{__version__}", f"model/{name}", "edgeq-kernels"
    document: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "tools": {
                "components": [{"type": "application", "name": "edgeq", "version": __version__}]
            },
            "component": {
                "type": "library",
                "bom-ref": library,
                "name": f"edgeq_{name}",
                "version": __version__,
            },
        },
        "components": [
            {
                "type": "machine-learning-model",
                "bom-ref": model,
                "name": name,
                "hashes": [{"alg": "SHA-256", "content": digest}],
            },
            {
                "type": "library",
                "bom-ref": kernels,
                "name": kernels,
                "version": kernel_version(),
                "licenses": APACHE,
            },
            *(_file(path, data) for path, data in sorted(files.items())),
        ],
        "dependencies": [
            {"ref": library, "dependsOn": [model, kernels]},
            {"ref": model},
            {"ref": kernels},
        ],
    }
    return json.dumps(document, indent=2).encode() + b"\n"


def _file(path: str, data: bytes) -> dict[str, Any]:
    sha = hashlib.sha256(data).hexdigest()
    return {
        "type": "file",
        "bom-ref": f"file/{path}",
        "name": path,
        "hashes": [{"alg": "SHA-256", "content": sha}],
    }
