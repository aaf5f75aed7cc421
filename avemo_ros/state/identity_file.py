"""The encrypted file of people who are enrolled.

    python -m avemo_ros.state.identity_file KEY_FILE

makes a key.  The file is a token of Fernet (AES-128 in CBC mode with HMAC-SHA256, of the
package cryptography), which holds JSON: {"version": 1, "given": number of the last id,
"people": [{"id", "enrolled": seconds since 1970, "views": base64 of float32 (n, 192)}]}.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avemo_ros.config import IdentityConfig
from avemo_ros.errors import ConfigError
from avemo_ros.vision.face_embedding import SIZE

_VERSION: Final = 1
_DAY_S: Final = 86400.0
_LARGEST: Final = 16_000_000
"""Of a file [bytes]: 500 people have 4 MB."""
_PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True, eq=False)
class EnrolledPerson:
    """Somebody in the file."""

    person_id: str
    views: tuple[NDArray[np.float32], ...]
    """(192,) each."""
    enrolled_s: float
    """When [s since 1970]."""


class IdentityFile:
    """Reads and writes the file.

    Args:
        config: where the file and its key are, and for how long people stay in it.
        now_s: the time [s since 1970].

    Raises:
        ConfigError: no file is named, the key lacks or is none, or cryptography is missing.
    """

    def __init__(self, config: IdentityConfig, now_s: Callable[[], float] = time.time) -> None:
        if not config.file:
            raise ConfigError("identity.file", "", "a path, with identity.mode 'file'")
        self._path = Path(config.file).expanduser()
        self._keep_s = config.keep_days * _DAY_S
        self.now_s = now_s
        self._fernet = _fernet(config)

    def is_over(self, enrolled_s: float) -> bool:
        """Whether who was enrolled then [s since 1970] is to be forgotten by now."""
        return not 0.0 <= self.now_s() - enrolled_s < self._keep_s

    def read(self) -> tuple[list[EnrolledPerson], int]:
        """Who is enrolled and not over yet, and the number of the last id that was given;
        nobody if there is no file.

        Raises:
            ConfigError: it cannot be read or decrypted, or holds something else.
        """
        try:
            if not self._path.exists():
                return [], 0
            if self._path.stat().st_size > _LARGEST:
                raise ValueError(f"it has more than {_LARGEST / 1e6:.0f} MB")
            told = json.loads(self._decrypted(self._path.read_bytes()))
            if told["version"] != _VERSION:
                raise ValueError(f"it is of version {told['version']}")
            people = [_person(entry) for entry in told["people"]]
            given = int(told["given"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._unusable(error) from error
        return [one for one in people if not self.is_over(one.enrolled_s)], given

    def write(self, people: Sequence[EnrolledPerson], given: int) -> None:
        """Replace the file; it is there whole or as before.

        Args:
            people: everybody who is enrolled.
            given: number of the last id that was given.

        Raises:
            ConfigError: it cannot be written.
        """
        told = {
            "version": _VERSION,
            "given": given,
            "people": [
                {
                    "id": one.person_id,
                    "enrolled": one.enrolled_s,
                    "views": base64.b64encode(np.stack(one.views).tobytes()).decode(),
                }
                for one in people
            ],
        }
        part = self._path.with_name(f".{self._path.name}.part")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            with os.fdopen(os.open(part, flags, _PRIVATE), "wb") as out:
                out.write(self._fernet.encrypt(json.dumps(told).encode()))
                out.flush()
                os.fsync(out.fileno())
            part.replace(self._path)
        except OSError as error:
            raise self._unusable(error) from error

    def _decrypted(self, content: bytes) -> bytes:
        from cryptography.fernet import InvalidToken

        try:
            return bytes(self._fernet.decrypt(content))
        except InvalidToken as error:
            reason = "it is damaged, or was written with another key"
            raise ValueError(reason) from error

    def _unusable(self, error: Exception) -> ConfigError:
        reason = getattr(error, "strerror", None) or str(error)
        allowed = f"a file that can be used: {reason}"
        return ConfigError("identity.file", str(self._path), allowed)


def _person(entry: Any) -> EnrolledPerson:
    try:
        raw = base64.b64decode(entry["views"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"views of {entry['id']}: {error}") from error
    views = np.frombuffer(raw, np.float32).reshape(-1, SIZE)
    if not len(views) or not np.isfinite(views).all():
        raise ValueError(f"views of {entry['id']} are no embeddings")
    return EnrolledPerson(str(entry["id"]), tuple(views), float(entry["enrolled"]))


def _fernet(config: IdentityConfig) -> Any:
    try:
        from cryptography.fernet import Fernet
    except ImportError as error:
        allowed = "'none', 'tracks' or 'visit' without the package cryptography"
        raise ConfigError("identity.mode", "file", allowed) from error
    if config.key_file:
        where, value = "identity.key_file", config.key_file
        try:
            key = Path(value).expanduser().read_text(encoding="ascii").strip()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ConfigError(where, value, f"a file with a key: {reason}") from error
    else:
        where, value = "identity.key_variable", config.key_variable
        key = os.environ.get(value, "").strip()
        if not key:
            raise ConfigError(
                where, value, "an environment variable with a key, or set identity.key_file"
            )
    try:
        return Fernet(key)
    except ValueError as error:
        # The key itself is in no message.
        allowed = "the place of a key: 32 bytes in URL-safe base64, as avemo makes them"
        raise ConfigError(where, value, allowed) from error


def main() -> None:
    """Make a key."""
    from cryptography.fernet import Fernet

    if len(sys.argv) != 2:
        sys.exit(f"usage: python -m {__spec__.name} KEY_FILE")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with os.fdopen(os.open(sys.argv[1], flags, _PRIVATE), "wb") as out:
            out.write(Fernet.generate_key() + b"\n")
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")


if __name__ == "__main__":
    main()
