"""Where a firmware keeps its vectors and how deep its stack may go, as far as its ELF tells."""

from collections.abc import Iterator

from edgeq.sim.config import MachineConfig, Memory
from edgeq.sim.elf import Image

VECTOR_SYMBOLS = ("__Vectors", "g_pfnVectors", "__vectors", "_vectors", "vectors", "vector_table",
                  "__isr_vector", "__vector_table", "__VECTOR_TABLE", "__vtor")  # fmt: skip
LIMIT_SYMBOLS = ("__stack_limit__", "__StackLimit", "__stack_limit", "_sstack", "__stack_start__")


def vector_table(image: Image, config: MachineConfig) -> int:
    """The first place that looks like one: flash's begin, known symbols and sections, segments."""
    for address in _candidates(image, config):
        words = _word(image, address), _word(image, address + 4)
        stack, entry = words
        if stack is None or entry is None:
            continue
        in_ram = any(part.writable and part.origin < stack <= part.origin + part.bytes
                     for part in config.regions)  # fmt: skip
        if in_ram and entry & 1 and _region(config.regions, entry) is not None:
            return address
    return config.flash_origin


def stack_limit(image: Image, config: MachineConfig, stack: int) -> int:
    """The lowest address that the main stack, which begins at `stack`, may reach.

    What a linker script calls the limit; else the begin of the section that holds the stack, or
    the end of the static data below it.
    """
    for name in LIMIT_SYMBOLS:
        if name in image.symbols and image.symbols[name] < stack:
            return image.symbols[name]
    memory = _region(config.regions, stack - 4)
    if memory is None:
        return 0
    static = [part for part in image.sections if part.writable and part.address < stack]
    for part in static:
        if stack <= part.end:
            return part.address
    ends = (part.end for part in static)
    return max((end for end in ends if memory.origin <= end), default=memory.origin)


def _candidates(image: Image, config: MachineConfig) -> Iterator[int]:
    yield config.flash_origin
    yield from (image.symbols[name] for name in VECTOR_SYMBOLS if name in image.symbols)
    yield from (part.address for part in image.sections if "vector" in part.name.lower())
    yield from sorted(part.run_address for part in image.segments)


def _word(image: Image, address: int) -> int | None:
    for part in image.segments:
        at = address - part.run_address
        if 0 <= at <= len(part.data) - 4:
            return int.from_bytes(part.data[at : at + 4], "little")
    return None


def _region(regions: tuple[Memory, ...], address: int) -> Memory | None:
    inside = (part for part in regions if part.origin <= address < part.origin + part.bytes)
    return next(inside, None)
