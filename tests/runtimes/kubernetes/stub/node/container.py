"""Starts one container and waits for it: a program of its own, with nothing but the standard library.

    container.py pause ADDRESS         holds a pod's network: loopback and the pod's address
    container.py run SPEC STATUS-FD    runs a container as its JSON says; writes what happens, a line each:
                                       ``started PID``, ``failed MESSAGE``, ``exited CODE``

The root of a container is made of bind mounts of its image's folders. Linux, as root.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from typing import Any, NoReturn

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWPID, _CLONE_NEWNET = 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 1, 2, 32, 4096, 16384, 1 << 18
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_SIOCSIFFLAGS, _SIOCSIFADDR, _IFF_UP = 0x8914, 0x8916, 0x1

_libc = ctypes.CDLL(None, use_errno=True)


def _must(result: int, what: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [text.encode() if text is not None else None for text in (source, target, kind)]
    _must(_libc.mount(*encoded, flags, data.encode() if data else None), f"mount {target}")


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def pause(address: str) -> NoReturn:
    """Hold the network namespace of a pod until killed."""
    _die_with_parent()
    _must(_libc.unshare(_CLONE_NEWNET), "unshare")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))
        packed = struct.pack("16sH2x4s8x", b"lo:1", socket.AF_INET, socket.inet_aton(address))
        fcntl.ioctl(control, _SIOCSIFADDR, packed)
    print("ready", flush=True)
    while True:
        signal.pause()


def run(spec: dict[str, Any], status: int) -> None:
    """Start the container, wait for its end and tell both."""
    _die_with_parent()
    for group in spec["groups_of_control"]:
        with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as processes:
            processes.write("0")
    network = os.open(spec["network"], os.O_RDONLY)
    _must(_libc.setns(network, _CLONE_NEWNET), "setns")
    _must(_libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWUTS | _CLONE_NEWIPC), "unshare")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.close(status)
        try:
            _become(spec)
        except OSError as error:
            os.write(writing, str(error).encode())
        os._exit(128)
    os.close(writing)
    failure = os.read(reading, 4096).decode("utf-8", "replace")
    os.write(status, (f"failed {failure}\n" if failure else f"started {child}\n").encode())
    _, code = os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(code)
    os.write(status, f"exited {ended if ended >= 0 else 128 - ended}\n".encode())


def _become(spec: dict[str, Any]) -> None:
    root = spec["root"]
    _mount("none", "/", None, _MS_REC | _MS_PRIVATE)
    _mount("tmpfs", root, "tmpfs", _MS_NOSUID, "mode=0755")
    for link, target in spec["links"].items():
        os.symlink(target, root + link)
    for source, target, is_read_only in spec["mounts"]:
        _bind(source, root + target, is_read_only)
    _point(root + "/proc", is_folder=True)
    _mount("proc", root + "/proc", "proc", _MS_NOSUID)
    for device in ("null", "zero", "full", "random", "urandom"):
        _bind(f"/dev/{device}", f"{root}/dev/{device}", False)
    os.makedirs(root + "/dev/shm", exist_ok=True)
    _mount("tmpfs", root + "/dev/shm", "tmpfs", _MS_NOSUID, "mode=1777,size=65536k")
    if spec["read_only"]:
        _mount("none", root, None, _MS_REMOUNT | _MS_RDONLY | _MS_NOSUID)
    os.chroot(root)
    os.chdir(spec["working_folder"])
    socket.sethostname(spec["host_name"])
    os.setgroups(spec["groups"])
    os.setgid(spec["gid"])
    os.setuid(spec["uid"])
    if spec["no_new_privileges"]:
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.setsid()
    _die_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
    command, environment = spec["command"], spec["environment"]
    path = environment.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    for folder in [""] if "/" in command[0] else path.split(":"):
        try:
            os.execve(os.path.join(folder, command[0]), command, environment)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
    raise FileNotFoundError(f'exec: "{command[0]}": executable file not found in $PATH')


def _point(target: str, *, is_folder: bool) -> None:
    """Make what is mounted on."""
    if is_folder:
        os.makedirs(target, exist_ok=True)
        return
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if not os.path.exists(target):
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))


def _bind(source: str, target: str, is_read_only: bool) -> None:
    _point(target, is_folder=os.path.isdir(source))
    _mount(source, target, None, _MS_BIND | _MS_REC)
    if is_read_only:
        _mount("none", target, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY)


if __name__ == "__main__":
    if sys.argv[1] == "pause":
        pause(sys.argv[2])
    with open(sys.argv[2], encoding="utf-8") as stream:
        document = json.load(stream)
    run(document, int(sys.argv[3]))
