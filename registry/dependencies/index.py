"""A package index that the operator named: locked wheels are fetched from it, by digest.

Only bytes with the locked digest are taken: an index that lies can withhold, nothing more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from registry.dependencies.simple import NoAnswer, SimpleApi
from registry.errors import Unavailable
from trust.errors import problem
from trust.wheel.bounds import MAX_WHEEL_BYTES


@dataclass(frozen=True, slots=True)
class Index:
    """A Simple API.

    Attributes:
        url: its base, such as `https://pypi.org/simple`.
    """

    url: str

    def fetch(self, name: str, filename: str, sha256: str) -> bytes | None:
        """Return the file with this digest, or None where the index has none.

        Args:
            name: the project, normalised.
            filename: the wheel's file name.
            sha256: the digest that it must have.

        Raises:
            Unavailable: the index does not answer, not in bounds, or with other bytes.
        """
        api = SimpleApi(self.url)
        try:
            for file in api.files(name, filename) or ():
                data = api.get(file.address, MAX_WHEEL_BYTES)
                if data is not None:
                    found = hashlib.sha256(data).hexdigest()
                    if found != sha256:
                        value = f"sha256:{found} in place of sha256:{sha256}"
                        raise _failed(file.address, value)
                    return data
        except NoAnswer as error:
            raise _failed(error.problem.where, error.problem.value) from error
        return None


def _failed(address: str, value: str) -> Unavailable:
    return Unavailable(
        problem(
            "registry.dependency-index",
            "the index of dependencies gave no usable answer",
            value=value,
            expected="the locked file, within bounds",
            advice="it is asked again by itself; the operator may look at the index",
            where=address,
        )
    )
