"""The virtual board runs ELFs: calls, memory, faults, determinism."""

import random

import pytest

from edgeq.board import Memory, all_boards, load_board, target_board
from edgeq.errors import BadInput, EdgeqError
from edgeq.sim import VIRTUAL_M4, BufferPort, GuestFault, Machine, MachineConfig, load_elf
from edgeq.sim.cores import CORES
from tests.hang import HANG_S
from tests.unit.sim import guests

RAM = VIRTUAL_M4.ram_origin + 0x1000


@pytest.fixture(scope="module")
def functions_elf(build):
    return build(guests.FUNCTIONS)


def test_call_returns_r0_cycles_and_instructions(functions_elf):
    machine = Machine().load(functions_elf)
    numbers = random.Random(1)
    a = bytes(numbers.randrange(256) for _ in range(100))
    b = bytes(numbers.randrange(256) for _ in range(100))
    machine.write(RAM, a)
    machine.write(RAM + 256, b)
    result = machine.call("dot", (RAM, RAM + 256, 100))
    signed = [
        (x - 256 if x > 127 else x, y - 256 if y > 127 else y) for x, y in zip(a, b, strict=True)
    ]
    assert result.r0 == sum(x * y for x, y in signed) & 0xFFFFFFFF
    assert 100 < result.instructions < result.cycles < 4000


def test_arguments_beyond_four_travel_on_the_stack(functions_elf):
    assert Machine().load(functions_elf).call("six", (1, 2, 3, 4, 5, 6)).r0 == 654321


def test_data_is_initialised_without_running_the_start_up_code(functions_elf):
    machine = Machine().load(functions_elf)
    assert [machine.call("from_data", (i,)).r0 for i in range(4)] == [1, 2, 3, 4]


def test_calls_repeat_exactly(functions_elf):
    first = Machine().load(functions_elf).call("spin", (1000,))
    machine = Machine().load(functions_elf)
    assert machine.call("spin", (1000,)) == first
    assert machine.call("spin", (1000,)) == first


def test_cycles_of_functions_sum_to_the_total(functions_elf):
    machine = Machine().load(functions_elf)
    cycles = machine.call("spin", (100,)).cycles + machine.call("six", (0,) * 6).cycles
    profile = machine.profile()
    assert set(profile.functions) == {"spin", "six"}
    assert profile.cycles == cycles == int(sum(profile.functions.values()))
    assert profile.instructions == profile.classes["n"]


def test_symbols_and_memory_outside_the_board_are_refused(functions_elf):
    machine = Machine().load(functions_elf)
    assert machine.read(machine.symbol("table"), 4) == b"\1\0\0\0"
    with pytest.raises(BadInput, match="no symbol 'nope'"):
        machine.call("nope")
    with pytest.raises(BadInput, match="no memory"):
        machine.read(0x70000000, 4)
    with pytest.raises(BadInput, match="no memory"):
        machine.write(0x70000000, b"1234")


def test_no_firmware_and_files_that_are_no_firmware(tmp_path):
    with pytest.raises(BadInput, match="no firmware"):
        Machine().run()
    with pytest.raises(BadInput, match="cannot read"):
        Machine().load(tmp_path / "absent.elf")
    for content in (b"", b"hello", b"\x7fELF" + bytes(60)):
        (tmp_path / "bad.elf").write_bytes(content)
        with pytest.raises(BadInput, match=r"bad\.elf"):
            Machine().load(tmp_path / "bad.elf")


def test_truncated_firmware_never_crashes(functions_elf, tmp_path):
    whole = functions_elf.read_bytes()
    for size in range(16, len(whole), max(1, len(whole) // 40)):
        (tmp_path / "cut.elf").write_bytes(whole[:size])
        try:
            load_elf(tmp_path / "cut.elf")
        except EdgeqError:
            continue


def test_a_firmware_larger_than_the_board_is_refused(functions_elf):
    small = MachineConfig(**{**VIRTUAL_M4.__dict__, "flash_bytes": 64})
    with pytest.raises(BadInput, match="link it for this board"):
        Machine(small).load(functions_elf)


FAULTS = {
    "unmapped read": ("(void)REG(0x50000000u);", "read of unmapped address 0x50000000"),
    "unmapped write": ("REG(0x50000010u) = 1;", "write to unmapped address 0x50000010"),
    "write to flash": ("REG(0x100u) = 1;", "write to read-only memory 0x00000100"),
    "undefined": ('__asm volatile("udf #1");', "undefined instruction"),
    "breakpoint": ('__asm volatile("bkpt #1");', "breakpoint"),
    "supervisor call": ('__asm volatile("svc #1");', "SVC without a handler: its vector"),
    "jump to nowhere": ("((void (*)(void))0x60000001u)();", "unmapped|holds no code"),
    "endless loop": ("for (;;) { }", "endless loop"),
    "interrupt": ("REG(0xE000E100u) = 1;", "NVIC"),
    "systick interrupt": ("REG(0xE000E014u) = 99; REG(0xE000E010u) = 3; for (;;) { }",
                          "SysTick without a handler"),
    "semihosting of a file": ('__asm volatile("movs r0, #0xF\\n bkpt #0xab" ::: "r0");',
                              "semihosting operation 0x0f is not modelled"),
    "stack overflow": ('__asm volatile("mov r0, #0x20000000\\n mov sp, r0\\n push {r1}");',
                       "stack overflow: write to unmapped address 0x1ffffffc"),
    "stack in the static data": ('__asm volatile("mov r0, sp\\n sub r0, #0xff00\\n mov sp, r0\\n"'
                                 ' "push {r1}\\n b 1f\\n 1:"); for (volatile int i = 0;; i++) { }',
                                 "stack overflow: the stack pointer is 0x200000.*below the limit"),
    "fpu off": ('REG(0xE000ED88u) = 0; __asm volatile("b 1f\\n 1: vadd.f32 s0, s0, s0");',
                "FPU is off"),
    "no end of a loop": ("for (volatile int i = 0;; i++) { }", "budget of cycles"),
}  # fmt: skip
# kinds that a test of its own asks for
FAULTS_AND_EXITS = FAULTS | {
    "exit": ('__asm volatile("mov r0, #0x18\\n bkpt #0xab" ::: "r0");', ""),
}


@pytest.fixture(scope="module")
def faults_elf(build):
    cases = [
        f"case {i}: {statement} break;"
        for i, (statement, _) in enumerate(FAULTS_AND_EXITS.values())
    ]
    return build(guests.FAULT % "\n".join(cases))


@pytest.mark.parametrize("name", FAULTS)
def test_faults_end_with_a_report(faults_elf, name):
    reason = FAULTS[name][1]
    machine = Machine().load(faults_elf)
    machine.write(machine.symbol("kind"), bytes([list(FAULTS_AND_EXITS).index(name)]))
    with pytest.raises(GuestFault, match=reason) as caught:
        machine.run(deadline_s=HANG_S, max_cycles=1_000_000)
    report = caught.value.report
    assert report.serial_tail == b"going down"
    assert set(report.registers) >= {"r0", "sp", "lr"}
    assert "going down" in str(caught.value)
    if "jump" not in name:
        assert report.function in ("main", "Reset_Handler")


def test_a_deadline_ends_a_run(faults_elf):
    machine = Machine().load(faults_elf)
    machine.write(machine.symbol("kind"), bytes([list(FAULTS).index("no end of a loop")]))
    with pytest.raises(GuestFault, match="deadline"):
        machine.run(deadline_s=0.3)


def test_semihosting_exit_ends_a_run(faults_elf):
    machine = Machine().load(faults_elf)
    machine.write(machine.symbol("kind"), bytes([list(FAULTS_AND_EXITS).index("exit")]))
    assert machine.run(deadline_s=HANG_S).reason == "exit"


def test_run_until_a_symbol(functions_elf):
    result = Machine().load(functions_elf).run(until="main", deadline_s=HANG_S)
    assert result.reason == "until"
    assert 5 < result.instructions < result.cycles


def test_echo_and_two_identical_runs(build):
    elf = build(guests.ECHO)

    def session() -> tuple[bytes, int, int]:
        port = BufferPort()
        machine = Machine(port=port).load(elf)
        assert machine.run(deadline_s=HANG_S).reason == "idle"
        assert port.take() == b"rdy\n"
        for chunk in (b"a", b"bcd", bytes(range(256))):
            port.incoming += chunk
            result = machine.run(deadline_s=HANG_S)
            assert port.take() == chunk
        return result.reason, result.cycles, result.instructions

    assert session() == session()


def test_bytes_sent_before_the_uart_is_enabled_are_lost(build):
    port = BufferPort()
    port.incoming += b"too early"
    machine = Machine(port=port).load(build(guests.ECHO))
    assert machine.run(deadline_s=HANG_S).reason == "idle"
    assert port.take() == b"rdy\n"


def test_one_state_function_for_both_directions(build):
    port = BufferPort()
    machine = Machine(port=port).load(build(guests.SHARED_STATE))
    machine.run(deadline_s=HANG_S)
    for byte in b"xyz":
        port.incoming.append(byte)
        machine.run(deadline_s=HANG_S)
        assert port.take() == bytes([byte, byte + 1])


def test_cycle_counter_agrees_with_the_clock(build):
    port = BufferPort()
    machine = Machine(port=port).load(build(guests.SENDER))
    machine.run(deadline_s=HANG_S)
    assert port.take() == b"k"
    counts = []
    for _ in range(3):
        port.incoming += b"c"
        before = machine.clock.cycles
        machine.run(deadline_s=HANG_S)
        counts.append(int.from_bytes(port.take(), "big"))
        assert counts[-1] <= machine.clock.cycles - before <= counts[-1] + 200
    assert len(set(counts)) == 1
    assert 3000 <= counts[0] <= 8000


COUNTER = """
    .syntax unified
    .thumb
    .text
    .global Reset_Handler
    .thumb_func
Reset_Handler: b .
    .balign 4
    .global pair
    .type pair, %function
pair:                    @ r0: DWT base; enables the counter, reads it twice
    movs r1, #1
    ldr r3, =0xE000EDFC
    mov r2, #0x1000000
    str r2, [r3]
    str r1, [r0]
    movs r2, #0
    str r2, [r0, #4]
    nop
    ldr r1, [r0, #4]
    nop
    nop
    nop
    ldr r2, [r0, #4]
    subs r0, r2, r1
    bx lr
    .ltorg
"""


def test_two_reads_in_one_block_differ_by_what_lies_between(build):
    machine = Machine().load(build(COUNTER, ".S"))
    assert machine.call("pair", (0xE0001000,)).r0 == 2 + 3  # LDR and three NOPs


def test_the_built_in_board_is_the_one_of_the_board_file():
    assert MachineConfig.of(load_board("virtual_m4")) == VIRTUAL_M4


@pytest.mark.parametrize("name", [board.name for board in all_boards() if board.core in CORES])
def test_functions_run_on_every_board(build, name):
    board = load_board(name)
    machine = Machine(board).load(
        build(guests.FUNCTIONS, core=board.core, flash=board.flash.origin, ram=board.ram.origin)
    )
    result = machine.call("six", (1, 2, 3, 4, 5, 6))
    assert result.r0 == 654321
    issued = 2 if board.core == "cortex-m7" else 1  # at most, in a cycle
    assert 8 <= result.instructions <= issued * result.cycles
    assert int(machine.profile().functions["six"]) == result.cycles


@pytest.mark.parametrize("core", sorted(CORES))
def test_every_core_has_rules_and_runs(build, core):
    board = target_board(core)
    machine = Machine(board).load(build(guests.FUNCTIONS, core=core))
    assert machine.call("from_data", (2,)).r0 == 3
    assert machine.core.rules_version.startswith(core)


def test_a_core_without_rules_is_refused():
    board = load_board("virtual_m4").model_copy(update={"core": "cortex-m23"})
    with pytest.raises(BadInput, match=r"models cortex-m0plus.*not cortex-m23"):
        Machine(board)


def test_a_family_without_a_model_has_memory_and_clock_but_no_serial_port(build):
    board = load_board("virtual_m4")
    port = board.port.model_copy(update={"family": "unheard_of"})
    machine = Machine(board.model_copy(update={"port": port})).load(build(guests.ECHO))
    with pytest.raises(GuestFault, match="0x40004008"):
        machine.run(deadline_s=HANG_S)


def test_memories_of_a_board_file_are_mapped(build):
    part = Memory(name="CCM", origin=0x10000000, bytes=0x10000, writable=True)
    board = load_board("virtual_m4").model_copy(update={"memories": (part,)})
    machine = Machine(board).load(build(guests.FUNCTIONS))
    machine.write(0x1000FFFC, b"abcd")
    assert machine.read(0x1000FFFC, 4) == b"abcd"


LACKING = {
    "dsp on a Cortex-M3": ("cortex-m3", "cortex-m4", "smlad r0,r0,r1,r0", "smlad"),
    "extract and add on a Cortex-M3": ("cortex-m3", "cortex-m4", "uxtab r0,r0,r1", "uxtab"),
    "long multiply-accumulate on a Cortex-M3": ("cortex-m3", "cortex-m4", "umaal r0,r1,r2,r3",
                                                "umaal"),
    "FPv5 on a Cortex-M4": ("cortex-m4", "cortex-m7", "vmaxnm.f32 s0,s0,s1", "vmaxnm"),
    "double precision": ("cortex-m7", "double", "vadd.f64 d0,d0,d1", "vadd.f64"),
}  # fmt: skip


@pytest.mark.parametrize("name", LACKING)
def test_an_instruction_that_the_core_lacks_ends_the_run(build, name):
    core, built_for, instruction, named = LACKING[name]
    source = f"""
        .syntax unified
        .thumb
        .global Reset_Handler
        .thumb_func
        Reset_Handler: b .
        .global lacking
        .type lacking, %function
        lacking: {instruction}
        bx lr
    """
    machine = Machine(target_board(core)).load(build(source, ".S", core=built_for))
    with pytest.raises(GuestFault, match=f"{core} has no instruction '{named}"):
        machine.call("lacking")


def test_run_begins_at_reset_after_a_call(functions_elf):
    machine = Machine().load(functions_elf)
    fresh = Machine().load(functions_elf).run(until="main", deadline_s=HANG_S)
    machine.call("six", (0,) * 6)
    before = machine.clock.cycles
    assert machine.run(until="main", deadline_s=HANG_S).cycles - before == fresh.cycles


class BrokenPort(BufferPort):
    def write(self, data: bytes) -> None:
        raise RuntimeError(f"cannot send {data!r}")


def test_what_a_callback_raises_is_not_lost_in_the_c_library(build):
    elf = build(guests.ECHO)
    with pytest.raises(RuntimeError, match="cannot send"):  # out of a register callback
        Machine(port=BrokenPort()).load(elf).run(deadline_s=HANG_S)
    machine = Machine().load(elf)

    def interrupted(_block: object, _loops: bool) -> None:
        raise KeyboardInterrupt

    machine.clock.on_new_block = interrupted
    with pytest.raises(KeyboardInterrupt):  # out of the block callback
        machine.run(deadline_s=HANG_S)
