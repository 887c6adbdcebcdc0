"""Write safetensors files tensor by tensor, in any order; the metadata holds the checksum of each."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from parity.files.digest import BLANK, sha256
from parity.files.safetensors_header import SHA256, Header
from parity.mapping.spec import Spec


class WeightsWriter:
    """Write one file. Use as a context that ends with all tensors written.

    Args:
        path: the file.
        specs: shape and dtype of each tensor.
        metadata: texts by key.
    """

    def __init__(self, path: Path, specs: Mapping[str, Spec], metadata: Mapping[str, str]):
        self.digests = dict.fromkeys(specs, BLANK)
        self.metadata = {"format": "pt", **metadata}
        # it has its final length, so that the checksums can be filled in at the end
        self.header = Header.plan(specs, self._metadata())
        self.file = path.open("wb", buffering=0)

    def __enter__(self) -> "WeightsWriter":
        return self

    def write(self, name: str, array: Shaped[np.ndarray, "..."], digest: str | None = None) -> None:
        """Write one tensor.

        Args:
            name: its name.
            array: its numbers, of the announced shape and dtype.
            digest: its checksum; None computes it.
        """
        assert Spec.of(array) == self.header.specs[name], name
        array = np.ascontiguousarray(array)
        self.digests[name] = digest or sha256(array)
        self._put(self.header.offsets[name], array.reshape(-1).view(np.uint8).data)

    def __exit__(self, exception: type[BaseException] | None, *_: object) -> None:
        with self.file:
            if exception is None:
                assert BLANK not in self.digests.values(), "not every tensor was written"
                self._put(0, memoryview(Header(self._metadata(), self.header.specs, {}).encoded()))
                os.fsync(self.file.fileno())

    def _metadata(self) -> dict[str, str]:
        return {**self.metadata, SHA256: json.dumps(self.digests)}

    def _put(self, offset: int, data: memoryview) -> None:
        while data:
            written = os.pwrite(self.file.fileno(), data, offset)  # at most 2 GiB at a time
            data, offset = data[written:], offset + written
