"""Assembly snippets as functions of one firmware, and what each takes on a machine."""

from edgeq.sim import Machine

RETURN = "bx lr"


def assembly(bodies: dict[str, str]) -> str:
    """Each body as a function t_<name> that begins on a word and returns."""
    lines = [".syntax unified", ".thumb", '.section .text,"ax"', ".global Reset_Handler"]
    lines += [".thumb_func", "Reset_Handler: b ."]
    for name, body in bodies.items():
        lines += [".balign 4", f".global t_{name}", f".type t_{name}, %function", f"t_{name}:"]
        lines += [body.replace(";", "\n"), RETURN, ".ltorg"]
    return "\n".join(lines) + "\n"


def half_cycles(machine: Machine, name: str) -> int:
    """Half cycles of t_<name>: r0, r1 and r2 point to RAM that holds zeros, r3 is 0."""
    base = machine.config.ram_origin + 0x1000
    before = machine.clock.half
    machine.call(f"t_{name}", (base, base + 0x100, base + 0x200, 0))
    return machine.clock.half - before
