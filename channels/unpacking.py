"""What is asked of an answer of a feed beside its body: how large it is once unpacked, and its ETag."""

from __future__ import annotations

MAX_ETAG = 200


class Unpacking:
    """Takes the pieces and head lines of one answer after another; `chunks` belongs to whoever reads the body."""

    def __init__(self, chunks: list[bytes], max_bytes: int) -> None:
        self._chunks = chunks
        self._max_bytes = max_bytes
        self._size = 0
        self.etag = ""

    def begin(self) -> None:
        """Another answer."""
        self._size, self.etag = 0, ""

    def take(self, chunk: bytes) -> int | None:
        """A piece of the body as it was before it was packed; 0 breaks the request off: it unpacks to too much."""
        self._size += len(chunk)
        if self._size > self._max_bytes:
            return 0
        self._chunks.append(chunk)
        return None

    def hear(self, line: bytes) -> None:
        """A line of the head."""
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"etag":
            self.etag = value.strip()[:MAX_ETAG].decode("latin-1")
