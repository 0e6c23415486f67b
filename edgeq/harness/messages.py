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
from edgeq.ports import DTYPES, MOST_PORTS, Port, Ports

PROTOCOL_VERSION, OLDEST_VERSION = 2, 1

PING, WRITE, READ, RUN, RESET, BAUD = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
ANSWER_BIT = 0x80
NAK = 0xFF
INFO, INPUT, RESULT, LAYERS = 0, 1, 2, 3
NAK_INPUT_CRC, NAK_STATE = 6, 7
NAK_REASONS = {
    1: "unknown request type",
    2: "wrong payload length",
    3: "unknown region",
    4: "offset and length leave the region",
    5: "the region is read-only",
    NAK_INPUT_CRC: "the input buffer differs from what was sent",
    8: "the board's UART does not make that rate",
    NAK_STATE: "the model's state is not known; it was not reset since the board started",
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
    "state_bytes": (0, 1 << 24),
}
_DIGEST = re.compile(r"[0-9a-f]{64}")
_INFO_HEADER = struct.Struct("<HBBIIII")
_STATE = struct.Struct("<I")  # behind it, from version 2 on
_PORT = struct.Struct("<BIB")  # bits, values, length of the name


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
    output_count: int  # bytes
    layer_count: int
    model_digest: str
    firmware_digest: str
    board: str
    model: str
    inputs: Ports
    outputs: Ports
    state_bytes: int = 0  # 0: each inference stands alone


@dataclass(frozen=True)
class InferResult:
    """One inference. `uncertainty` and `confidence` are exact values of the device's integers."""

    id: int
    route: int  # expert, -1 without a mixture
    uncertainty: float  # Q8.24
    confidence: float  # Q15, 0..1
    cycles: int  # 0 where the core has no cycle counter
    output: NDArray[np.int8 | np.int16]  # codes of the output ports, one after another
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
    if request.type in (PING, RESET, BAUD):
        return payload == request.payload
    if request.type == RUN:
        return payload[:PLACE_BYTES] == place(RESULT, 0)
    if request.type == WRITE:
        return payload == request.payload[:PLACE_BYTES]
    wanted = PLACE_BYTES + request.payload[PLACE_BYTES]
    return payload[:PLACE_BYTES] == request.payload[:PLACE_BYTES] and len(payload) == wanted


def parse_info(region: bytes) -> Info:
    """The info region. Raises Link when its version is not ours or it is malformed."""
    try:
        return _parsed(region)
    except (struct.error, IndexError, ValueError) as error:
        raise Link(
            f"the firmware's info record is malformed ({error}); export and flash again"
        ) from None


def _parsed(region: bytes) -> Info:
    _, version, window, *numbers = _INFO_HEADER.unpack_from(region)
    if not OLDEST_VERSION <= version <= PROTOCOL_VERSION:
        raise Link(
            f"the firmware speaks protocol {version}, this edgeq speaks {PROTOCOL_VERSION}; "
            "export and flash again with this version"
        )
    strings, at, state = [], _INFO_HEADER.size, 0
    if version > 1:
        (state,) = _STATE.unpack_from(region, at)
        at += _STATE.size
    for _ in range(4):
        text, at = _text(region, at)
        strings.append(text)
    inputs, outputs = plain_ports(*numbers[1:3])
    if version > 1:
        (inputs, outputs), at = _ports(region, at)
    if at != len(region):
        raise ValueError(f"{len(region) - at} bytes are left")
    clock_hz, input_bytes, output_count, layer_count = numbers
    model_digest, firmware_digest, board, model = strings
    info = Info(
        protocol_version=version,
        window=max(1, window),
        clock_hz=clock_hz,
        input_bytes=input_bytes,
        output_count=output_count,
        layer_count=layer_count,
        model_digest=model_digest,
        firmware_digest=firmware_digest,
        board=board,
        model=model,
        inputs=inputs,
        outputs=outputs,
        state_bytes=state,
    )
    _check_facts(info)
    return info


def _text(region: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + region[at]
    if end > len(region):
        raise ValueError("a text is cut")
    return region[at + 1 : end].decode("utf-8", "replace"), end


def plain_ports(input_bytes: int, output_count: int) -> tuple[Ports, Ports]:
    """(inputs, outputs) of a firmware that tells no more than their sizes: one int8 port each."""
    one = Port("input", "int8", input_bytes), Port("output", "int8", output_count)
    return Ports(one[:1]), Ports(one[1:])


def _ports(region: bytes, at: int) -> tuple[tuple[Ports, Ports], int]:
    counts, sides = region[at : at + 2], []
    at += 2
    for count in counts:
        side = []
        for _ in range(count):
            bits, values, length = _PORT.unpack_from(region, at)
            at += _PORT.size
            name = region[at : at + length].decode("ascii")
            at += length
            side.append(Port(name, f"int{bits}", values))
        sides.append(Ports(tuple(side)))
    return (sides[0], sides[1]), at


def _check_facts(info: Info) -> None:
    """Raises Link, naming it, for a fact that no board of edgeq's has: it would be believed."""
    for fact, (low, high) in _FACTS.items():
        value = getattr(info, fact)
        if not low <= value <= high:
            raise Link(
                f"the board claims {fact} {value}, which lies outside {low:,}..{high:,}; export "
                "and flash again"
            )
    for side, ports, extent in (
        ("input", info.inputs, info.input_bytes),
        ("output", info.outputs, info.output_count),
    ):
        _check_port_facts(side, ports, extent)
    for fact in ("model_digest", "firmware_digest"):
        if not _DIGEST.fullmatch(getattr(info, fact)):
            raise Link(f"the board claims a {fact} that is none; export and flash again")
    for fact in ("board", "model"):
        text = getattr(info, fact)
        if not text or not text.isprintable():
            raise Link(
                f"the board claims {fact} {text!r}, which is no name; export and flash again"
            )


def _check_port_facts(side: str, ports: Ports, extent: int) -> None:
    """Ports that are no ports, or whose bytes are not those that the board claims."""
    names = [port.name for port in ports.ports]
    known = all(p.dtype in DTYPES and 0 < p.size <= extent for p in ports.ports)
    named = all(name.isidentifier() for name in names) and len(set(names)) == len(names)
    if not 1 <= len(names) <= MOST_PORTS or not known or not named or ports.extent != extent:
        raise Link(
            f"the board claims {side} ports {names!a} that do not make up its {extent} bytes; "
            "export and flash again"
        )


def parse_result(
    sample_id: int, input_crc: int, result: bytes, layers: bytes, outputs: Ports
) -> InferResult:
    """Joins the result and layer regions; `outputs` are the model's.

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
        output=outputs.unpack(output),
        stack_bytes=stack,
        layer_cycles=tuple(np.frombuffer(layers, "<u4").tolist()),
    )
