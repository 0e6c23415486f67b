"""Semihosting: console, exit code, and the answers that a C library's start-up waits for."""

import json
import subprocess
import sys

import pytest

from edgeq.sim import BufferPort, GuestFault, Machine
from tests.hang import HANG_S
from tests.unit.sim.guests import KERNEL

NOTHING = "void SVC_Handler(void) {} void PendSV_Handler(void) {} void SysTick_Handler(void) {}\n"
ASK = """
static uint32_t ask(uint32_t operation, const volatile void *block) {
    register uint32_t r0 __asm("r0") = operation;
    register uint32_t r1 __asm("r1") = (uint32_t)(uintptr_t)block;
    __asm volatile("bkpt #0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
"""
PRELUDE = KERNEL + NOTHING + ASK
TALKER = (
    PRELUDE
    + """
int main(void) {
    volatile uint32_t block[4];
    ask(4u, "hello ");
    ask(3u, "w");
    block[0] = 1u; block[1] = (uint32_t)"orld!"; block[2] = 4u;
    return ask(5u, block) == 0u ? 42 : 1;
}
"""
)
LIBRARY = (
    PRELUDE
    + """
int main(void) {
    volatile uint32_t block[4];
    uint32_t where[4] = {1u, 1u, 1u, 1u};
    int good = 0;
    block[0] = (uint32_t)":tt"; block[1] = 4u; block[2] = 3u;
    good += ask(1u, block) == 1u;                      /* open the console */
    block[0] = (uint32_t)"file"; block[1] = 4u; block[2] = 4u;
    good += ask(1u, block) == 0xFFFFFFFFu;             /* there are no files */
    block[0] = 1u; block[1] = (uint32_t)where; block[2] = 9u;
    good += ask(6u, block) == 9u;                      /* nothing to read */
    good += ask(9u, block) == 1u;                      /* a console */
    block[0] = (uint32_t)where;
    good += ask(0x16u, block) == 0u && where[0] == 0u; /* no heap limits */
    good += ask(0x11u, block) == 0u;                   /* no time of day */
    good += ask(0x31u, block) == 100000000u;           /* ticks are cycles */
    good += ask(0x30u, block) == 0u && block[0] > 20u && block[0] < 2000u && block[1] == 0u;
    good += ask(0x10u, block) == 0u;                   /* hundredths of a second */
    good += ask(2u, block) == 0u;
    return good;
}
"""
)


def test_text_goes_to_the_console_and_the_exit_code_comes_back(build):
    said: list[bytes] = []
    result = Machine(console=said.append).load(build(TALKER)).run(deadline_s=HANG_S)
    assert (result.reason, result.exit_code, b"".join(said)) == ("exit", 42, b"hello world")


def test_without_a_console_the_port_takes_it(build):
    port = BufferPort()
    Machine(port=port).load(build(TALKER)).run(deadline_s=HANG_S)
    assert port.take() == b"hello world"


def test_what_a_c_library_asks_for_is_answered(build):
    assert Machine().load(build(LIBRARY)).run(deadline_s=HANG_S).exit_code == 10


@pytest.mark.parametrize(
    ("reason", "argument", "code"), [(0x18, 0x20026, 0), (0x18, 0x20023, 1), (0x20, 0, 1)]
)
def test_ends_that_are_no_success_have_a_code(build, reason, argument, code):
    body = f"uint32_t b[2] = {{0x20023u, 5u}}; ask({reason}u, (void *){argument or 'b'}); return 9;"
    source = PRELUDE + f"int main(void) {{ {body} }}"
    assert Machine().load(build(source)).run(deadline_s=HANG_S).exit_code == code


def test_an_address_that_is_no_memory_ends_the_run_with_a_report(build):
    source = PRELUDE + "int main(void) { ask(4u, (void *)0x70000000u); return 0; }"
    with pytest.raises(GuestFault, match="semihosting with an address that is no memory"):
        Machine().load(build(source)).run(deadline_s=HANG_S)


def test_the_report_of_a_fault_ends_with_what_was_printed(build):
    source = TALKER.replace(
        "return ask(5u, block) == 0u ? 42 : 1;", "REG(0x50000000u) = 1; return 0;"
    )
    with pytest.raises(GuestFault, match="last serial output: 'hello w'"):
        Machine(console=lambda _text: None).load(build(source)).run(deadline_s=HANG_S)


def test_the_command_prints_ends_with_the_code_and_tells_cycles_by_class(build):
    command = [sys.executable, "-m", "edgeq.sim", str(build(TALKER)), "--stdio"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 42
    assert done.stderr.startswith("{")
    facts = json.loads(done.stderr.splitlines()[-1].removeprefix("hello world"))
    assert (facts["reason"], facts["exit_code"], facts["evidence"]) == ("exit", 42, "modelled")
    assert "hello world" in done.stderr
    assert sum(facts["functions"].values()) == sum(facts["class_cycles"].values())
    assert int(sum(facts["functions"].values())) == facts["cycles"]
    text = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S).stderr
    assert "cycles by function:" in text
    assert "cycles by instruction class:" in text
    assert " times" in text
