"""System calls in which a thread can block, by number. The numbers are the kernel's ABI and never change.

arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of the kernel. Calls that one processor
lacks are None there.
"""

from __future__ import annotations

import platform

# name: (x86-64, aarch64)
_NUMBERS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "open": (2, None),
    "openat": (257, 56),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "epoll_pwait2": (441, 441),
    "pause": (34, None),
    "rt_sigtimedwait": (128, 137),
    "rt_sigsuspend": (130, 133),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "restart_syscall": (219, 128),
    "connect": (42, 203),
    "accept": (43, 202),
    "accept4": (288, 242),
    "sendto": (44, 206),
    "recvfrom": (45, 207),
    "sendmsg": (46, 211),
    "recvmsg": (47, 212),
    "recvmmsg": (299, 243),
    "sendmmsg": (307, 269),
    "clone": (56, 220),
    "clone3": (435, 435),
    "vfork": (58, None),
    "wait4": (61, 260),
    "waitid": (247, 95),
    "fcntl": (72, 25),
    "flock": (73, 32),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "mq_timedsend": (242, 182),
    "mq_timedreceive": (243, 183),
    "futex": (202, 98),
    "futex_waitv": (449, 449),
    "io_getevents": (208, 4),
    "io_pgetevents": (333, 292),
    "io_uring_enter": (426, 426),
}

_COLUMN = {"x86_64": 0, "aarch64": 1}.get(platform.machine())

NUMBERS: dict[str, int] = (
    {} if _COLUMN is None else {name: number for name, row in _NUMBERS.items() if (number := row[_COLUMN]) is not None}
)
NAMES: dict[int, str] = {number: name for name, number in NUMBERS.items()}
