"""A labgrid-client of a file: the same words, exit codes and texts as the real one's (26.0).

`install` makes a program of it that keeps its coordinator's places in a JSON file beside itself.
"""

import fcntl
import json
import os
import pprint
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__)


def install(folder: Path, places: dict[str, dict[str, Any]]) -> Path:
    """Writes FOLDER/labgrid-client and its places: {name: {tags, resources, holder, allowed}}."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "labgrid-client"
    (folder / "places.json").write_text(json.dumps(places))
    program.write_text(f"#!{sys.executable} -IS\n" + HERE.read_text())
    program.chmod(0o755)
    return program


def serial_port(port: int, host: str = "localhost", **more: object) -> dict[str, Any]:
    """A NetworkSerialPort as an exporter announces it."""
    extra = {"proxy": host, "proxy_required": False}
    params = {"extra": extra, "host": host, "port": port, "protocol": "raw", "speed": 115200}
    return {"acquired": None, "avail": True, "cls": "NetworkSerialPort", "params": params | more}


def refuse(text: str) -> None:
    sys.exit(f"labgrid-client: Error: {text}")


def show(name: str, place: dict[str, Any]) -> None:
    print(f"Place {name!r}:")
    if place.get("tags"):
        print("  tags: " + ", ".join(f"{k}={v}" for k, v in sorted(place["tags"].items())))
    print(f"  matches:\n    shelf/{name}/*\n  acquired: {place.get('holder')}")
    print("  acquired resources:")
    if place.get("allowed"):
        print("  allowed: " + ", ".join(place["allowed"]))
    print("  created: 2026-01-01 00:00:00\n  changed: 2026-01-01 00:00:00")
    word = "Acquired" if place.get("holder") else "Matching"
    for each in place["resources"]:
        print(f"{word} resource {each['cls']!r} (shelf/{name}/{each['cls']}/{each['cls']}):")
        print("\n".join("  " + line for line in pprint.pformat(each).splitlines()))


def acquire(name: str, place: dict[str, Any], me: str) -> None:
    if place.get("holder") == me:
        refuse(f"You have already acquired place {name}.")
    if place.get("holder"):
        refuse(
            f"Place {name} is already acquired by {place['holder']}. To work simultaneously, ..."
        )
    place |= {"holder": me, "allowed": [me]}
    print(f"acquired place {name}")


def release(name: str, place: dict[str, Any], me: str) -> None:
    if not place.get("holder"):
        refuse(f"place {name} is not acquired")
    if place["holder"].split("/")[1] != me.split("/")[1]:
        refuse(f"place {name} is acquired by a different user ({place['holder']}), use --kick ...")
    place |= {"holder": None, "allowed": []}
    print(f"released place {name}")


def run(words: list[str], places: dict[str, dict[str, Any]]) -> None:
    """One command; changes `places`."""
    if words[:1] == ["-x"]:
        if words[1] == "127.0.0.1:9":
            sys.exit("ERROR root: coordinator is unavailable: ...\nServer error: Error: Could not "
                     "connect to coordinator")  # fmt: skip
        words = words[2:]
    if words == ["complete", "places"]:
        print("\n".join(sorted(places)))
        return
    _, pattern, verb, *rest = words
    names = [pattern] if pattern in places else [name for name in places if pattern in name]
    if len(names) != 1:
        refuse(f"place pattern {pattern} matches {'multiple places' if names else 'nothing'}")
    place, me = (
        places[names[0]],
        os.environ.get("LG_HOSTNAME", "vm") + "/" + os.environ["LG_USERNAME"],
    )
    if verb == "show":
        show(names[0], place)
    elif verb == "write-files":
        place["wrote"] = rest
    else:
        {"acquire": acquire, "release": release}[verb](names[0], place, me)


if __name__ == "__main__":
    held = HERE.parent / "places.json"
    with held.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        known = json.load(file)
        run(sys.argv[1:], known)
        file.seek(0)
        file.truncate()
        json.dump(known, file)
