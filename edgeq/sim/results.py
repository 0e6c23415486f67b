"""What a run, or a call, of the virtual board came to."""

from dataclasses import dataclass


@dataclass(frozen=True)
class RunResult:
    """Why a run ended ("until", "idle", "stopped", "exit") and the clock since reset.

    `exit_code`: of a firmware that ended by semihosting; 0 else.
    """

    reason: str
    cycles: int
    instructions: int
    exit_code: int = 0


@dataclass(frozen=True)
class CallResult:
    """What one called function returned in r0, and what it cost."""

    r0: int
    cycles: int
    instructions: int
