"""SysTick, SVC and PendSV: entered and left as the architecture says, on real little firmwares."""

import pytest

from edgeq.board import target_board
from edgeq.sim import BufferPort, GuestFault, Machine, MachineConfig
from tests.hang import HANG_S
from tests.unit.sim.guests import KERNEL

NOTHING = """
void SVC_Handler(void) {}
void PendSV_Handler(void) {}
void SysTick_Handler(void) { ticks++; }
"""
TICKS = (
    KERNEL
    + NOTHING
    + """
int main(void) {
    RVR = 999u;
    CVR = 0u;
    CSR = 7u;
    while (ticks < 5u) {
    }
    CSR = 0u;
    return (int)ticks;
}
"""
)
SLEEPS = TICKS.replace("while (ticks < 5u) {", 'while (ticks < 5u) { __asm volatile("wfi");')
EVERY_CORE = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m33", "cortex-m7")


def run(build, source: str, core: str = "cortex-m4", **options) -> tuple[Machine, int]:
    machine = Machine(target_board(core)).load(build(source, core=core))
    result = machine.run(deadline_s=HANG_S, max_cycles=5_000_000, **options)
    assert result.reason == "exit"
    return machine, result.exit_code


@pytest.mark.parametrize("core", EVERY_CORE)
def test_systick_interrupts_a_loop(build, core):
    machine, code = run(build, TICKS, core)
    assert code == 5
    assert 5000 <= machine.clock.cycles < 5400
    profile = machine.profile()
    assert profile.classes["exc"] == profile.classes["exret"] == 5
    assert profile.functions["(exception entry)"] == 5 * machine.clock.table["exc"] / 2
    assert sum(profile.functions.values()) == machine.clock.half / 2


def test_wfi_sleeps_until_the_tick_and_the_time_is_counted(build):
    machine, code = run(build, SLEEPS)
    assert code == 5
    assert 5000 <= machine.clock.cycles < 5400
    assert machine.profile().functions["(sleep)"] > 4000
    assert machine.profile().instructions < 400


def test_two_runs_have_the_same_bytes_cycles_and_instructions(build):
    elf = build(TICKS.replace("ticks++;", 'ticks++; semihost(3u, (uint32_t)"tick");'))

    def session() -> tuple[bytes, object, object]:
        port = BufferPort()
        machine = Machine(port=port).load(elf)
        return port.take(), machine.run(deadline_s=HANG_S), (machine.profile(), port.take())

    first = session()
    assert first == session()
    assert first[2][1] == b"ttttt"


REGISTERS = (
    KERNEL
    + """
void SVC_Handler(void) {}
void PendSV_Handler(void) {}
void SysTick_Handler(void) {
    ticks++;
    __asm volatile(".syntax unified\\n movs r0,#0\\n movs r1,#0\\n movs r2,#0\\n movs r3,#0\\n"
                   "mov r12,r0\\n adds r0,#1"
                   ::: "r0", "r1", "r2", "r3", "r12", "cc");
}
uint32_t spin(uint32_t a, uint32_t b, uint32_t c, uint32_t d);
__asm(".syntax unified\\n .thumb\\n .thumb_func\\n .global spin\\n .type spin, %function\\n"
      "spin:\\n"
      "push {r4, lr}\\n mov r12, r0\\n movs r4, #0\\n"
      "1: adds r4, #1\\n cmp r4, #255\\n bne 1b\\n"
      "add r0, r12\\n add r0, r1\\n add r0, r2\\n add r0, r3\\n pop {r4, pc}\\n");
int main(void) {
    RVR = 96u;  /* of no relation to the loop: it is met at each of its blocks */
    CVR = 0u;
    CSR = 7u;
    uint32_t sum = spin(1u, 20u, 300u, 4000u);
    CSR = 0u;
    return ticks > 5u && sum == 4322u ? 7 : (int)sum;
}
"""
)


@pytest.mark.parametrize("core", EVERY_CORE)
def test_the_interrupted_code_keeps_its_registers_and_flags(build, core):
    assert run(build, REGISTERS, core)[1] == 7


FLOATS = (
    KERNEL
    + """
volatile float shared = 1.0f;
void SVC_Handler(void) {}
void PendSV_Handler(void) {}
void SysTick_Handler(void) { ticks++; shared = shared * 1.5f - 0.25f; }
int main(void) {
    REG(0xE000ED88u) |= 0xFu << 20;
    __asm volatile("dsb\\n isb" ::: "memory");
    RVR = 60u;
    CVR = 0u;
    CSR = 7u;
    float sum = 0.0f;
    for (int i = 1; i <= 100; i++) {
        sum += (float)i;
    }
    CSR = 0u;
    return ticks > 3u && sum == 5050.0f ? 9 : 1;
}
"""
)


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m33", "cortex-m7"])
def test_floating_point_registers_are_kept_too(build, core):
    assert run(build, FLOATS, core)[1] == 9


ORDER = (
    KERNEL
    + """
void SVC_Handler(void) { note(1); ICSR = 1u << 28; __asm volatile("dsb\\n isb"); note(2); }
void PendSV_Handler(void) { note(5); }
void SysTick_Handler(void) { note(4); }
int main(void) {
    PRIORITIES
    note(3);
    __asm volatile("svc #7" ::: "memory");
    note(6);
    return (int)order;
}
"""
)


@pytest.mark.parametrize(
    ("priorities", "order"),
    [
        ("PRIORITY(11) = 0; PRIORITY(14) = 0xC0;", 31256),  # PendSV waits for SVC's return
        ("SHPR2 = 0x80u << 24; SHPR3 = 0x40u << 16;", 31526),  # PendSV preempts SVC
        ('__asm volatile("cpsid i");', None),  # SVC cannot be taken
    ],
)
def test_priorities_decide_who_interrupts_whom(build, priorities, order):
    source = ORDER.replace("PRIORITIES", priorities)
    if order is not None:
        assert run(build, source)[1] == order
        return
    with pytest.raises(GuestFault, match="SVC where its priority does not allow it"):
        run(build, source)


MASKED = (
    KERNEL
    + """
void SVC_Handler(void) {}
void SysTick_Handler(void) {}
void PendSV_Handler(void) { note(1); }
int main(void) {
    MASK
    ICSR = 1u << 28;
    __asm volatile("nop\\n nop");
    note(2);
    if (!(ICSR >> 28 & 1u)) { note(9); }
    UNMASK
    __asm volatile("nop\\n b 1f\\n 1:");
    note(3);
    return (int)order;
}
"""
)


@pytest.mark.parametrize(
    ("mask", "unmask"),
    [
        ("cpsid i", "cpsie i"),
        ("cpsid f", "cpsie f"),
        ("movs r0,#0x40\\n msr basepri,r0", "movs r0,#0\\n msr basepri,r0"),
    ],
)
def test_masks_hold_an_exception_back_until_they_are_lifted(build, mask, unmask):
    source = MASKED.replace("UNMASK", f'__asm volatile("{unmask}" ::: "r0", "memory");')
    source = source.replace("MASK", f'PRIORITY(14) = 0x80; __asm volatile("{mask}" ::: "r0");')
    assert run(build, source)[1] == 213


THREADS = (
    (
        KERNEL
        + """
uint8_t other[512] __attribute__((aligned(8)));
volatile uint32_t seen;
void SysTick_Handler(void) {}
void PendSV_Handler(void) {}
void SVC_Handler(void) { uint32_t control; __asm volatile("mrs %0, control" : "=r"(control));
                         seen = control; note(1); }
int main(void) {
    __asm volatile("msr psp, %0\\n movs r0, #2\\n msr control, r0\\n isb\\n"
                   "movs r0, #42\\n svc #0\\n mov %1, r0\\n"
                   "movs r2, #0\\n msr control, r2\\n isb"
                   : "+r"((uint8_t *){other + 508}), "=r"(ticks) :: "r0", "r2", "memory");
    return ticks == 42u && order == 1u ? 3 : 1;
}
"""
    )
    .replace(
        '"+r"((uint8_t *){other + 508}), "=r"(ticks) ::',
        '"=&r"(ignored), "=&r"(ticks) : "0"(other + 508) :',
    )
    .replace("int main(void) {", "int main(void) { uint32_t ignored;")
)


def test_a_thread_on_its_own_stack_is_interrupted_and_resumed(build):
    machine, code = run(build, THREADS)
    assert code == 3
    other = machine.symbol("other")
    frame = machine.read(other + 508 - 36, 36)  # r0 lies on top, a word keeps it on 8 bytes
    assert int.from_bytes(frame[:4], "little") == 42


NESTED = (
    KERNEL
    + """
void PendSV_Handler(void) {}
void SVC_Handler(void) { note(1); uint32_t until = ticks + 3u; while (ticks < until) { } note(2); }
void SysTick_Handler(void) { ticks++; }
int main(void) {
    PRIORITY(11) = 0x80;
    RVR = 200u;
    CVR = 0u;
    CSR = 7u;
    __asm volatile("svc #0" ::: "memory");
    CSR = 0u;
    note(3);
    return (int)(order * 10u + (ticks >= 3u));
}
"""
)


@pytest.mark.parametrize("core", EVERY_CORE)
def test_a_handler_is_interrupted_by_a_higher_one(build, core):
    assert run(build, NESTED.replace("PRIORITY(11) = 0x80", "SHPR2 = 0x80u << 24"), core)[1] == 1231


def test_a_call_from_the_host_is_never_interrupted(build):
    source = (
        TICKS
        + """
__attribute__((used)) void start(void) { RVR = 9u; CVR = 0u; CSR = 7u; }
__attribute__((used)) uint32_t count(void) {
    for (volatile int i = 0; i < 99; i++) {
    }
    return ticks;
}
"""
    )
    machine = Machine().load(build(source))
    machine.call("start")
    assert machine.call("count").r0 == 0


@pytest.mark.parametrize("core", EVERY_CORE)
def test_a_called_function_may_call_the_supervisor(build, core):
    source = (
        ORDER.replace("PRIORITIES", "")
        + """
__attribute__((used)) uint32_t supervised(void) {
    __asm volatile("svc #7" ::: "memory");
    return order;
}
"""
    )
    source = source.replace("ICSR = 1u << 28;", "")
    machine = Machine(target_board(core)).load(build(source, core=core))
    assert machine.call("supervised").r0 == 12
    assert machine.call("supervised").r0 == 1212


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("(void *)SysTick_Handler}", "0}"), "SysTick without a handler: its vector at 0x0000003c"),
        (("ticks++;", '__asm volatile("mov r0,#0x20000000\\n mov sp,r0\\n svc #0");'),
         "SVC where its priority"),
        (("ticks++;", '__asm volatile("ldr r0,=0xFFFFFFE5\\n bx r0");'), "0xffffffe5, which means"),
        (("ticks++;", '__asm volatile("ldr r0,=0xFFFFFFF1\\n bx r0");'), "no one was interrupted"),
        (("ticks++;", "REG(0x50000000u) = 1;"), "write to unmapped address 0x50000000"),
    ],
)  # fmt: skip
def test_what_goes_wrong_in_an_exception_is_told(build, change, reason):
    assert change[0] in TICKS
    with pytest.raises(GuestFault, match=reason):
        run(build, TICKS.replace(*change))


def test_no_room_for_a_frame_is_a_stack_overflow(build):
    source = TICKS.replace(
        "while (ticks", '__asm volatile("mov r0,#0x20000000\\n mov sp,r0" ::: "r0"); while (ticks'
    )
    with pytest.raises(GuestFault, match="stack overflow: no room for an exception frame"):
        run(build, source)


def test_an_endless_loop_is_no_fault_while_systick_runs(build):
    source = TICKS.replace("while (ticks < 5u) {\n    }", "for (;;) {\n    }")
    machine = Machine(MachineConfig.of(target_board("cortex-m4"))).load(build(source))
    with pytest.raises(GuestFault, match="budget of cycles"):
        machine.run(max_cycles=20_000, deadline_s=HANG_S)
    ticks = int.from_bytes(machine.read(machine.symbol("ticks"), 4), "little")
    assert 19 <= ticks <= 20
