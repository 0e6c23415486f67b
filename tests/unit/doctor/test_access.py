"""Rights: udev rules, groups, USB nodes and ports, in folders that stand for a system's."""

import fcntl
import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeq.diagnosing import Finding, access
from edgeq.diagnosing.access import System
from edgeq.flashers.attached import Device, Surroundings
from edgeq.flashers.usb import USB_KINDS, usb_devices

STLINK = next(kind for kind in USB_KINDS if kind.id == "stlink")
# from Debian's openocd package
OPENOCD_RULES = """
SUBSYSTEM!="usb|tty|hidraw", GOTO="openocd_rules_end"
# STLink v2
ATTRS{idVendor}=="0483", ATTRS{idProduct}=="3748", MODE="660", GROUP="plugdev", TAG+="uaccess"
# SEGGER J-Link
ATTRS{idVendor}=="1366", ATTRS{idProduct}=="0101", MODE="660", GROUP="plugdev", TAG+="uaccess"
"""


def a_user(root: Path, **facts: object) -> System:
    """A system of an ordinary user, with nothing attached."""
    given = {"user_id": 1000, "user_name": "ada", "groups": frozenset({1000})} | facts
    return System(root=root, look=Surroundings, usb=tuple, **given)  # type: ignore[arg-type]


def write_rules(root: Path, text: str, folder: str = "etc/udev/rules.d") -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / "60-test.rules").write_text(text)


def by_id(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.id: finding for finding in findings}


def test_without_rules_each_family_gets_its_exact_rule(tmp_path: Path) -> None:
    write_rules(tmp_path, "")
    found = by_id(access.rules(a_user(tmp_path)))
    assert set(found) == {f"udev.{kind.id}" for kind in USB_KINDS}
    for kind in USB_KINDS:
        finding = found[f"udev.{kind.id}"]
        assert finding.status == "warning"
        words = shlex.split(str(finding.fix))
        assert words[:2] == ["echo", kind.rule]
        assert "udevadm" in words


def test_the_rule_that_is_printed_satisfies_the_doctor(tmp_path: Path) -> None:
    write_rules(tmp_path, "\n".join(kind.rule for kind in USB_KINDS))
    assert {finding.status for finding in access.rules(a_user(tmp_path))} == {"ok"}


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (OPENOCD_RULES, "warning"),  # the V2 alone
        ('ATTRS{idVendor}=="0483", MODE="0666"', "ok"),
        ('ATTRS{idVendor}=="04??", ATTR{idProduct}=="37*", TAG+="uaccess"', "ok"),
        ('ATTRS{idVendor}=="0483", \\\n  MODE:="0666"', "ok"),
        ('# ATTRS{idVendor}=="0483", MODE="0666"', "warning"),
        ('ATTRS{idVendor}=="0483", ENV{ID_MM_DEVICE_IGNORE}="1"', "warning"),
        ('ATTRS{idVendor}=="0d28", MODE="0666"', "warning"),
    ],
)
def test_a_rule_counts_when_it_gives_rights_to_all_of_a_family(
    tmp_path: Path, text: str, status: str
) -> None:
    write_rules(tmp_path, text, "usr/lib/udev/rules.d")
    assert by_id(access.rules(a_user(tmp_path)))["udev.stlink"].status == status


def test_where_there_is_no_udev_none_is_asked_for(tmp_path: Path) -> None:
    assert [f.status for f in access.rules(a_user(tmp_path))] == ["ok"]
    assert access.rules(a_user(tmp_path, platform="darwin")) == []
    write_rules(tmp_path, "")
    assert [f.status for f in access.rules(a_user(tmp_path, user_id=0))] == ["ok"]


@pytest.mark.parametrize(
    ("group", "facts", "status", "fix"),
    [
        ("dialout:x:20:", {"groups": frozenset({20})}, "ok", None),
        ("dialout:x:20:bob,ada", {}, "warning", "log out and in again, or: newgrp dialout"),
        ("dialout:x:20:bob", {}, "warning", "sudo usermod -aG dialout ada, then log out"),
        ("uucp:x:14:", {}, "warning", "sudo usermod -aG uucp ada"),
        ("dialout:x:20:", {"user_id": 0}, "ok", None),
    ],
)
def test_the_group_of_serial_ports(
    tmp_path: Path, group: str, facts: dict[str, object], status: str, fix: str | None
) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "group").write_text(f"root:x:0:\nbroken line\n{group}\n")
    (finding,) = access.groups(a_user(tmp_path, **facts))
    assert finding.status == status
    assert (fix is None and finding.fix is None) or str(fix) in str(finding.fix)


def test_without_such_a_group_nothing_is_asked(tmp_path: Path) -> None:
    assert access.groups(a_user(tmp_path)) == []


def plug(sysfs: Path, name: str, **facts: str) -> None:
    """A device's folder of sysfs."""
    (sysfs / name).mkdir(parents=True)
    for key, value in facts.items():
        (sysfs / name / key).write_text(value + "\n")


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """An ST-LINK, a PPK2, a keyboard, an interface without ids."""
    folder = tmp_path / "sys"
    stlink = {"idVendor": "0483", "idProduct": "374b", "product": "STM32 STLink"}
    plug(folder, "1-1", **stlink, serial="066F", busnum="1", devnum="4")
    plug(folder, "1-2", idVendor="1915", idProduct="c00a", product="PPK2", busnum="1", devnum="5")
    plug(folder, "1-3", idVendor="046d", idProduct="c31c", product="Keyboard")
    plug(folder, "1-1:1.0", bInterfaceNumber="00")
    return folder


def test_attached_probes_and_meters_are_named(tmp_path: Path, sysfs: Path) -> None:
    (tmp_path / "nodes" / "001").mkdir(parents=True)
    (tmp_path / "nodes" / "001" / "005").write_bytes(b"")
    system = System(look=Surroundings, usb=lambda: usb_devices(sysfs, tmp_path / "nodes"))
    found = by_id(access.devices(system))
    assert set(found) == {"probes.stlink", "meters.ppk2"}
    assert found["meters.ppk2"].status == "ok"
    stlink = found["probes.stlink"]  # its node is absent: nobody may open it
    assert stlink.status == "error"
    assert stlink.found.startswith("ST-LINK: STM32 STLink (0483:374b, serial 066F); this user may")
    assert STLINK.rule in str(stlink.fix)


def test_without_sysfs_serial_ports_tell(tmp_path: Path) -> None:
    seen = Surroundings((Device("/dev/cu.1", "0483:5740", "1"), Device("/dev/cu.2", "067b:2303")))
    system = System(look=lambda: seen, usb=lambda: usb_devices(tmp_path / "absent"))
    found = by_id(access.devices(system))
    assert {name: finding.status for name, finding in found.items()} == {
        "meters.lpm01a": "ok",
        "probes": "ok",
    }
    assert found["probes"].found == "none is attached"


@pytest.fixture
def line() -> Iterator[str]:
    """A pseudo-terminal's name."""
    master, slave = pty.openpty()
    yield os.ttyname(slave)
    os.close(master)
    os.close(slave)


def test_a_port_that_opens(tmp_path: Path, line: str) -> None:
    (finding,) = access.ports(a_user(tmp_path), line)
    assert (finding.id, finding.status) == (f"port.{line}", "ok")


def test_a_busy_port_names_who_has_it(tmp_path: Path, line: str) -> None:
    code = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+b', buffering=0); "
        "fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, line], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        asked = access.ports(a_user(tmp_path), line)
        # the same port found on its own may be in rightful use
        attached = Surroundings((Device(line, "0483:374b"),))
        found = access.ports(System(look=lambda: attached), None)
        holder.communicate()
    assert [finding.status for finding in asked] == ["error"]
    assert [finding.status for finding in found if finding.id == f"port.{line}"] == ["warning"]
    if Path("/proc/self/fd").is_dir():
        assert f"(pid {holder.pid}), which has it open" in str(asked[0].fix)


def test_ports_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for name, says in (("absent", "does not exist"), ("file", "is not a serial port")):
        (finding,) = access.ports(a_user(tmp_path), str(tmp_path / name))
        assert finding.status == "error"
        assert says in finding.found
        assert finding.fix


def test_unknown_serial_devices_are_not_opened(tmp_path: Path, line: str) -> None:
    """Opening a port can reset what hangs on it."""
    with open(line, "r+b", buffering=0) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        seen = Surroundings((Device(line, "067b:2303"),))
        assert access.ports(System(look=lambda: seen), None) == []
