"""How much sound a serial line carries: the bytes of a row and of its answer, at a baud rate."""

from collections.abc import Sequence

from edgeq.harness.frame import PAYLOAD_BYTES, Frame, encode
from edgeq.harness.messages import (
    INPUT,
    LAYERS,
    PLACE_BYTES,
    RESULT,
    RESULT_HEADER,
    Info,
    Request,
    read_requests,
    run_request,
    write_requests,
)

BITS_A_BYTE = 10  # 8N1


def wire_bytes(info: Info, row: bytes) -> int:
    """Bytes on the line for a row: requests and answers, nothing lost. Boards that take one request
    at a time (`info.window`) send and receive in turn, so that both directions count.
    """
    writes = write_requests(INPUT, row)
    result_bytes, layer_bytes = RESULT_HEADER.size + info.output_count, 4 * info.layer_count
    first = min(PAYLOAD_BYTES - PLACE_BYTES, result_bytes)
    reads = read_requests(RESULT, first, result_bytes) + read_requests(LAYERS, 0, layer_bytes)
    sent = _size([*writes, run_request(0, 0), *reads])
    answers = [Request(0, bytes(PLACE_BYTES)) for _ in writes]
    answers += [Request(0, bytes(PLACE_BYTES + first))]
    answers += [Request(0, bytes(PLACE_BYTES + read.payload[-1])) for read in reads]
    received = _size(answers)
    return sent + received if info.window == 1 else max(sent, received)


def carried(info: Info, row: bytes, hop_s: float, baud: int) -> float:
    """Seconds of sound that a line at `baud` carries in a second, at most."""
    return hop_s / (wire_bytes(info, row) * BITS_A_BYTE / baud)


def _size(requests: Sequence[Request]) -> int:
    return sum(len(encode(Frame(each.type, 0, each.payload))) for each in requests)
