"""What the commands print of ESC-10 and of names as long: objects as `--json` gives them."""

from collections.abc import Iterator
from typing import Any

EXPERTS = ("ternary", "int4", "int8")
KINDS = (
    ("depthwise_conv_2d", "edgeq_depthwise_conv_2d_s8_s8_dsp", "s8"),
    ("conv_2d", "edgeq_conv_2d_s8_t2_dsp", "t2"),
    ("fully_connected", "edgeq_fully_connected_s8_s16_dsp", "s16"),
    ("average_pool_2d", "edgeq_average_pool_2d_s8", None),
)
BOARDS = ("nucleo_f446re", "nucleo_l4r5zi", "virtual_m0plus", "qemu_mps2_an386")
CONSTANTS = {"first_load_extra": 1, "flash_wait_states": 5, "cache_instruction_bytes": 1024}
SOURCE = "200 uA/MHz x 3.3 V: what the vendor's overview states for run mode from flash, recalled"
FLAGS = ["-mcpu=cortex-m4", "-mfloat-abi=hard", "-O2", "-std=c99", "-DEDGEQ_PROFILE", "-Wshadow"]
GCC = "arm-none-eabi-gcc 12.2.1"


def layer_names() -> Iterator[str]:
    yield from (f"body.trunk.{i}" for i in range(0, 21, 3))
    yield "body.mixture.router.features.pool"
    for i, name in enumerate(EXPERTS):
        yield from (f"{name}/body.mixture.experts.{i}.{k}" for k in range(0, 18, 3))
        yield f"{name}/body.mixture.experts.{i}.18.pool"


def layers() -> list[dict[str, Any]]:
    made = []
    for i, name in enumerate(layer_names()):
        op, kernel, weights = KINDS[i % len(KINDS)]
        numbers = {"macs": 11_310_720 + i, "weight_bytes": 1_117_536 + i, "cycles": 21_998_335 + i}
        made.append({"name": name, "op": op, "kernel": kernel, "weight_format": weights, **numbers})
    return made


def _case(step: int = 0) -> dict[str, Any]:
    return {
        "latency_s": 0.12345 + step * 1e-4,
        "energy_j": 0.0357,
        "energy_band_j": [0.029, 0.0446],
    }


def entry(board: str) -> dict[str, Any]:
    routes = [
        {"name": n, "experts": [n], "cycles": 110_077_069 + i, "share": 1.0, **_case(i)}
        | {"flash_stall_cycles": [1_146_754, 1_703_729]}
        for i, n in enumerate((*EXPERTS, "ternary+int4"))
    ]
    sizes = {"flash_bytes": 1_133_396, "ram_bytes": 175_300, "fits": True, "layers": layers()}
    cases = {"best": _case(), "worst": _case(2), "expected": {**_case(1), "rows": 30, "of": "own"}}
    rests = {"source": "modelled", "rules": "cortex-m4/1", "constants": CONSTANTS}
    rests |= {"clock_hz": 180_000_000, "compiler": GCC, "flags": FLAGS, "energy_source": SOURCE}
    proof = {"core_cycles": "not traced", "said": "not traced: no divide in 5,765 instructions"}
    notes = [f"no run of {board} on silicon is recorded: every figure is modelled"]
    rest = {
        "energy_kind": "datasheet",
        "constant_time": proof,
        "notes": notes,
        "routes": routes,
        "warnings": [],
    }
    return {"board": board, **sizes, **cases, **rests, **rest}


def estimate(boards: int) -> dict[str, Any]:
    return {"model": "esc10", "boards": [entry(board) for board in BOARDS[:boards]]}


def export() -> dict[str, Any]:
    figures = {"cycles": 110_077_069, "latency_s": 0.12345, "energy_j": 0.0357}
    experts = [
        {
            "name": f"expert_of_a_long_kind_{e}",
            "weight_format": "s16",
            "macs": 22_993_920,
            **figures,
        }
        | {"weight_bytes": 1_144_826}
        for e in EXPERTS
    ]
    check = {"samples": 1_000, "mismatches": 1_000, "max_lsb": 255, "mean_lsb": 10.25}
    check |= {"top1_agreement": 1.0, "route_agreement": 1.0, "passed": True}
    said = "1,000 of 1,000 rows differ from the integers in some output, by 1 step at most"
    checks = [{"name": name, "said": said, **check} for name in ("model", "firmware", "onnx")]
    sizes = {"flash_bytes": 1_133_396, "ram_bytes": 175_300, "arena_bytes": 161_440}
    bands = dict.fromkeys((f"expert_of_a_long_kind_{e}/body.12.conv" for e in EXPERTS), 12)
    arena = {"arena_bound_bytes": 161_000, "bands": bands}
    about = {"model": "esc10", "target": "nucleo_f446re", "enforced": True, "optimize": "-O2"}
    curiosity = {"rule": "escalation", "quantile": 0.8, "model_quantile": 0.9, "changed": 6}
    return {
        **about, **sizes, **arena, "compiler": GCC, "objective": "latency", "layers": layers(),
        "experts": experts, "checks": checks, "estimate": entry("nucleo_f446re"), "notes": ["x y"],
        "curiosity": {**curiosity, "rows": 30}, "artifacts": {"onnx": "model.onnx"},
    }  # fmt: skip


def verified() -> dict[str, Any]:
    return {"model": "esc10", "export": "build/esc10", "rows_of": "random", **_checks()}


def _checks() -> dict[str, Any]:
    return {"checks": export()["checks"]}


def bench() -> dict[str, Any]:
    numbers = {"cycles": 112_345_678, "cycles_per_mac": 99.123, "cycles_spread": 0}
    numbers |= {"code_bytes": 12_345, "weight_bytes": 1_966_080, "scratch_bytes": 13_072}
    rows = [
        {"op": op, "kernel": kernel, "shape": "depthwise3x3x128", "weight": weight, **numbers}
        | {"mismatches": 0}
        for op, kernel, weight in KINDS
    ]
    return {**_bench_about(), "kernels": rows}


def networks() -> dict[str, Any]:
    sizes = {"arena_bytes": 1_114_584, "weight_bytes": 1_966_080, "code_bytes": 123_456}
    rows = [
        {"network": n, "weights": "ternary", "cycles": 112_345_678, "macs": 99_123, **sizes}
        for n in ("kws", "visual_wake_words_0.25")
    ]
    return {**_bench_about(), "networks": rows}


def _bench_about() -> dict[str, Any]:
    about = {"board": "nucleo_f446re", "source": "modelled", "clock_hz": 180_000_000}
    return {**about, "compiler": GCC, "flags": FLAGS}


def comparison() -> dict[str, Any]:
    side = {"folder": "build/esc10/runs/0001", "model": "esc10", "board": "nucleo_f446re"}
    side |= {"clock_hz": 180_000_000, "compiler": GCC, "flags": FLAGS}
    shown = {"interval": [0.9, 1.21], "p": 0.001, "shown": True, "source": "modelled"}
    values = (("latency", "ms", 123.456), ("energy", "J", 0.0357), ("flash", "B", 11_133_396))
    rows = [
        {"name": name, "unit": unit, "a": a, "b": 1.1 * a, "change": 0.1, **shown}
        | {"verdict": f"B takes 1,133,396 {unit} more (+10.00%)"}
        for name, unit, a in (*values, ("accuracy", "share", 0.9))
    ]
    asked = {"pairs": 10_000, "routes_changed": 1_000, "resamples": 2_000, "seed": 0, "notes": []}
    rule = {"rule": "latency>+5%", "holds": True, "change": 0.1}
    return {"a": side, "b": side, "metrics": rows, "fail_if": [rule], **asked}
