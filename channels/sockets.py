"""The sockets of a transport, watched by an epoll set of our own.

The event loop sees one file for all of them: a tick costs it one callback however many sockets are ready. Sockets stay
registered between two requests, which saves two system calls for each. And a socket that its library closes without a
word leaves the set by itself, so a reused number can never confuse the event loop.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator
from typing import Generic, TypeVar

Owner = TypeVar("Owner")
Endpoint = tuple[str, int]  # our end of a connection: address and port


class Sockets(Generic[Owner]):
    """Sockets by number, each with an owner."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._watched: dict[int, tuple[int, Owner]] = {}  # what it is registered for, and its owner
        self._resting: set[int] = set()  # registered, but no request uses it now

    def fileno(self) -> int:
        """The file that becomes readable when any socket is ready."""
        return self._epoll.fileno()

    def opened(self, fd: int) -> None:
        """A new socket: whatever was known of this number belongs to a closed one."""
        self._watched.pop(fd, None)
        self._resting.discard(fd)

    def watch(self, fd: int, owner: Owner, *, reads: bool, writes: bool) -> None:
        """Report when `fd` can be read or written."""
        self._resting.discard(fd)
        events = (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if writes else 0)
        watched = self._watched.get(fd)
        if watched is None or watched[0] != events or watched[1] is not owner:
            self._watched[fd] = (events, owner)
            try:
                self._epoll.modify(fd, events)
            except FileNotFoundError:
                self._epoll.register(fd, events)

    def rest(self, fd: int) -> None:
        """No request uses `fd` for now: if it becomes ready, the other side has ended the connection."""
        self._resting.add(fd)

    def ready(self) -> Iterator[tuple[int, Owner, bool, bool]]:
        """(socket, owner, can be read, can be written) of those in use that are ready now."""
        for fd, events in self._epoll.poll(0):
            if fd not in self._resting:
                yield fd, self._watched[fd][1], bool(events & ~select.EPOLLOUT), bool(events & select.EPOLLOUT)

    def ended(self) -> list[tuple[Owner, Endpoint]]:
        """Forget and return the resting sockets that must not be used again: their other side hung up or spoke.

        With HTTP/1, bytes that nobody asked for would be taken for the next answer. With HTTP/2 they are most often a
        farewell (GOAWAY); a mere ping costs a new connection, which is cheaper than a lost window of requests.
        """
        if not self._resting:
            return []
        ended = [fd for fd, _ in self._epoll.poll(0) if fd in self._resting]
        self._resting.difference_update(ended)
        return [(self._forget(fd), _our_end(fd)) for fd in ended]

    def _forget(self, fd: int) -> Owner:
        self._epoll.unregister(fd)
        return self._watched.pop(fd)[1]

    def close(self) -> None:
        """Give the epoll set back; the sockets are their library's."""
        self._epoll.close()


def _our_end(fd: int) -> Endpoint:
    with socket.socket(fileno=os.dup(fd)) as ours:
        try:
            address = ours.getsockname()
        except OSError:  # reset so early that it has no name any more
            return ("", 0)
    return (address[0], address[1])


class Lent:
    """A descriptor that libcurl's binding looks at and duplicates; ours is closed when it lets go of this object."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        """The descriptor, still ours."""
        return self._fd

    def __del__(self) -> None:
        os.close(self._fd)
