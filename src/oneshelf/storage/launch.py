"""Run a program as another user that dies with its starter: `python launch.py PARENT UID GID SIGNAL PROGRAM ...`.

Started as a file of its own because nothing but an exec is safe between fork and exec in a process with threads,
and because `setuid` forgets the parent-death signal: the user has to change first. UID -1 keeps the user.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    parent, uid, gid, death_signal = (int(argument) for argument in arguments[:4])
    command = arguments[4:]
    # Looked up before the user changes: afterwards a Python below a private directory cannot be read any more.
    libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # A shell's background job ignores SIGINT, and so would the server until its own handlers stand: a request to stop,
    # or its starter's death, would pass unheard.
    for request in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(request, signal.SIG_DFL)
    if libc is not None:
        libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:  # It died before the signal was asked for.
        sys.exit(1)
    # Modes of what it creates do not depend on the umask of whoever types the command.
    os.umask(0o077)
    os.chdir("/")
    os.execv(command[0], command)  # noqa: S606  # the point of this file


if __name__ == "__main__":
    main(sys.argv[1:])
