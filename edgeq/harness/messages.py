"""What the frames say: requests to the device and the records it answers with.

The device side is firmware_templates/runtime/requests.c and sample.h; docs/protocol.md has the
byte layouts.
"""

import re
import struct
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeq.errors import Link
from edgeq.harness.frame import PAYLOAD_BYTES

PROTOCOL_VERSION = 1

PING, WRITE, READ, RUN = 0x01, 0x02, 0x03, 0x04
ANSWER_BIT = 0x80
NAK = 0xFF
INFO, INPUT, RESULT, LAYERS = 0, 1, 2, 3
NAK_INPUT_CRC = 6
NAK_REASONS = {
    1: "unknown request type",
    2: "wrong payload length",
    3: "unknown region",
    4: "offset and length leave the region",
    5: "the region is read-only",
    NAK_INPUT_CRC: "the input buffer differs from what was sent",
}

PLACE_BYTES = 5  # region u8, offset u32
DATA_BYTES = PAYLOAD_BYTES - PLACE_BYTES
MOST_CYCLES = 1 << 53  # counts beyond it are no longer exact as float64; two years at 150 MHz
RESULT_HEADER = struct.Struct("<IiiIIQIII")
RESULT_CRC_AT = RESULT_HEADER.size - 4
# What a board may claim: its lists are asked for, and its clock divides.
_FACTS = {
    "clock_hz": (1, 2**32 - 1),
    "input_bytes": (1, 1 << 24),
    "output_count": (1, 1 << 20),
    "layer_count": (1, 1 << 16),
}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_INFO_HEADER = struct.Struct("<HBBIIII")


@dataclass(frozen=True)
class Request:
    """One idempotent request: sending it twice has the effect of sending it once."""

    type: int
    payload: bytes


@dataclass(frozen=True)
class Info:
    """What the firmware says about itself. Digests are 64 hexadecimal digits."""

    protocol_version: int
    window: int  # requests it can take before it has answered the first
    clock_hz: int
    input_bytes: int
    output_count: int
    layer_count: int
    model_digest: str
    firmware_digest: str
    board: str
    model: str


@dataclass(frozen=True)
class InferResult:
    """One inference. `uncertainty` and `confidence` are exact values of the device's integers."""

    id: int
    route: int  # expert, -1 without a mixture
    uncertainty: float  # Q8.24
    confidence: float  # Q15, 0..1
    cycles: int  # 0 where the core has no cycle counter
    output: NDArray[np.int8]  # (output_count,)
    stack_bytes: int  # most stack used since boot, 0 = unknown
    layer_cycles: tuple[int, ...]  # (layer_count,), 0 = the layer did not run or was not timed


def place(region: int, offset: int) -> bytes:
    """Address of a byte: region u8, offset u32."""
    return struct.pack("<BI", region, offset)


def write_requests(region: int, data: bytes, fragment: int = DATA_BYTES) -> list[Request]:
    """The requests that copy `data` to the start of a region, `fragment` bytes each."""
    return [
        Request(WRITE, place(region, at) + data[at : at + fragment])
        for at in range(0, len(data), fragment)
    ]


def read_requests(region: int, start: int, end: int) -> list[Request]:
    """The requests that fetch bytes start..end of a region."""
    return [
        Request(READ, place(region, at) + bytes((min(DATA_BYTES, end - at),)))
        for at in range(start, end, DATA_BYTES)
    ]


def run_request(sample_id: int, input_crc: int) -> Request:
    """Runs the input buffer; the device checks its CRC-32 first."""
    return Request(RUN, struct.pack("<II", sample_id, input_crc))


def answers(request: Request, kind: int, payload: bytes) -> bool:
    """Whether a frame of type `kind` is an answer to `request` (a refusal counts)."""
    if kind == NAK:
        return len(payload) == 2 and payload[1] == request.type
    if kind != request.type | ANSWER_BIT:
        return False
    if request.type == PING:
        return payload == request.payload
    if request.type == RUN:
        return payload[:PLACE_BYTES] == place(RESULT, 0)
    if request.type == WRITE:
        return payload == request.payload[:PLACE_BYTES]
    wanted = PLACE_BYTES + request.payload[PLACE_BYTES]
    return payload[:PLACE_BYTES] == request.payload[:PLACE_BYTES] and len(payload) == wanted


def parse_info(region: bytes) -> Info:
    """The info region. Raises Link when its version is not ours or it is malformed."""
    _, version, window, *numbers = _INFO_HEADER.unpack_from(region)
    if version != PROTOCOL_VERSION:
        raise Link(
            f"the firmware speaks protocol {version}, this edgeq speaks {PROTOCOL_VERSION}; "
            "export and flash again with this version"
        )
    strings, at = [], _INFO_HEADER.size
    while at < len(region):
        end = at + 1 + region[at]
        strings.append(region[at + 1 : end].decode("utf-8", "replace"))
        at = end
    if len(strings) != 4 or at != len(region):
        raise Link("the firmware's info record is malformed; export and flash again")
    info = Info(version, max(1, window), *numbers, *strings)
    _check_facts(info)
    return info


def _check_facts(info: Info) -> None:
    """Raises Link, naming it, for a fact that no board of edgeq's has: it would be believed."""
    for fact, (low, high) in _FACTS.items():
        value = getattr(info, fact)
        if not low <= value <= high:
            raise Link(
                f"the board claims {fact} {value}, which lies outside {low:,}..{high:,}; export "
                "and flash again"
            )
    for fact in ("model_digest", "firmware_digest"):
        if not _DIGEST.fullmatch(getattr(info, fact)):
            raise Link(f"the board claims a {fact} that is none; export and flash again")
    for fact in ("board", "model"):
        text = getattr(info, fact)
        if not text or not text.isprintable():
            raise Link(
                f"the board claims {fact} {text!r}, which is no name; export and flash again"
            )


def parse_result(sample_id: int, input_crc: int, result: bytes, layers: bytes) -> InferResult:
    """Joins the result and layer regions.

    Raises ValueError when they do not belong together or to this sample (the device restarted
    between two reads), Link when the model's own code reported an error.
    """
    fields = RESULT_HEADER.unpack_from(result)
    number, status, route, uncertainty, confidence, cycles, stack, crc, own_crc = fields
    output = result[RESULT_HEADER.size :]
    if zlib.crc32(result[:RESULT_CRC_AT] + output + layers) != own_crc:
        raise ValueError("the pieces of the result do not belong together")
    if (number, crc) != (sample_id, input_crc):
        raise ValueError(f"the result is of sample {number}, not {sample_id}")
    if status != 0:
        raise Link(f"sample {sample_id}: edgeq_infer returned {status} on the device")
    if route < -1 or confidence > 2**15 or cycles >= MOST_CYCLES:
        raise Link(
            f"sample {sample_id}: the board answers route {route}, confidence {confidence}, cycles "
            f"{cycles}, which no firmware of edgeq's does; flash it again"
        )
    return InferResult(
        id=number,
        route=route,
        uncertainty=uncertainty / 2**24,
        confidence=confidence / 2**15,
        cycles=cycles,
        output=np.frombuffer(output, np.int8),
        stack_bytes=stack,
        layer_cycles=tuple(np.frombuffer(layers, "<u4").tolist()),
    )
