"""The hub's file interface: a repository's safetensors file, fetched once, whole or not at all.

The hub's own client waits and asks again for a minute and a half before it gives up; here each question is
asked once, with a limit, and the answer, once had, is kept: later runs ask nothing, and a hub that is down,
slow or changed since alters nothing.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import IO

from runtime.files import write_atomically

HUB_FILE, PICKLED = "model.safetensors", "pytorch_model.bin"
CONNECT_S, ANSWER_S = 2.0, 8.0
"""Limits of a connection, and of the wait for the next bytes; a hub that takes 5 s a reply is still heard."""


class HubError(ValueError):
    """A repository's weights cannot be had; the message names it and says why, in one line."""


def fetch(repository: str) -> Path:
    """Returns a repository's safetensors file, from the cache or the hub.

    It is kept in Hugging Face's cache folder (`$HF_HOME`), where a file that its own tools left is found too.

    Raises:
        HubError: the hub is out of reach or refuses, or the repository has no whole safetensors file.
    """
    import requests
    from huggingface_hub import constants, try_to_load_from_cache

    folder = Path(constants.HF_ASSETS_CACHE) / "pocket-encoder" / "published"
    kept = folder / repository.replace("/", "--") / HUB_FILE
    cached = kept if kept.is_file() else try_to_load_from_cache(repository, HUB_FILE)
    if isinstance(cached, str | Path):
        return Path(cached)
    if constants.HF_HUB_OFFLINE:
        raise HubError(f"{repository}: not in the cache, and HF_HUB_OFFLINE forbids to ask the hub")
    try:
        _download(repository, kept)
    except requests.Timeout:
        raise HubError(f"{repository}: {constants.ENDPOINT} gave no answer in {ANSWER_S:.0f} s") from None
    except requests.exceptions.ChunkedEncodingError:
        raise HubError(f"{repository}: {constants.ENDPOINT} broke off within {HUB_FILE}") from None
    except requests.RequestException:
        raise HubError(f"{repository}: {constants.ENDPOINT} is out of reach") from None
    except OSError as error:
        raise HubError(f"{repository}: {kept.parent}: {error.strerror or error}") from error
    return kept


def _download(repository: str, kept: Path) -> None:
    with _ask("GET", repository, HUB_FILE) as answer:
        if answer.status_code == 404 and _ask("HEAD", repository, PICKLED).status_code < 400:
            raise HubError(
                f"{repository}: refused, its weights are only pickled ({PICKLED}), and can run code when read"
            )
        if answer.status_code != 200:
            raise HubError(f"{repository}: the hub answered {answer.status_code} for {HUB_FILE}")

        def save(file: IO[bytes]) -> None:
            digest = hashlib.sha256()
            for chunk in answer.iter_content(1 << 20):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            _check_whole(repository, Path(file.name), digest.hexdigest(), answer)

        kept.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(kept, save)


def _ask(method: str, repository: str, name: str):
    from huggingface_hub import hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session

    headers = build_hf_headers() | {"Accept-Encoding": "identity"}
    return get_session().request(
        method, hf_hub_url(repository, name), headers=headers, stream=True, timeout=(CONNECT_S, ANSWER_S)
    )


def _check_whole(repository: str, path: Path, sha256: str, answer) -> None:
    """A safetensors file says itself how long it is; the hub names the SHA-256 of a large one as its ETag."""
    from safetensors import SafetensorError, safe_open

    etags = [step.headers.get("X-Linked-Etag") for step in (*answer.history, answer)]
    etags += [] if answer.history else [answer.headers.get("ETag")]  # that of another host is no SHA-256
    named = next((etag.strip('W/"') for etag in etags if etag), "")
    try:
        with safe_open(path, "numpy"):
            whole = sha256 == named or not re.fullmatch("[0-9a-f]{64}", named)
    except SafetensorError:
        whole = False
    if not whole:
        raise HubError(f"{repository}: what the hub sent for {HUB_FILE} is damaged or cut off")
