"""Downloads files from the Hugging Face hub into huggingface_hub's cache, each once."""

from pathlib import Path
from typing import NamedTuple

from oruel.errors import ModelLoadError

HUB_PREFIX = "hf:"
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"


class HubFile(NamedTuple):
    """`revision`: a commit; None means the newest one of the main branch."""

    repository: str
    path: str
    revision: str | None = None

    @property
    def url(self) -> str:
        return f"https://huggingface.co/{self.repository}"


def fetch_file(file: HubFile) -> Path:
    """The path of a file in the cache, downloaded if it isn't there. Raises ModelLoadError."""
    path = fetch_optional_file(file)
    if path is None:
        raise ModelLoadError(
            f"{file.repository} has no file {file.path}. Its files are listed at {file.url}/tree/main."
        )
    return path


def fetch_optional_file(file: HubFile) -> Path | None:
    """Like `fetch_file`; None if the repository has no such file."""
    import httpx2  # the HTTP client of huggingface_hub
    from huggingface_hub import errors

    try:
        return fetch_or_raise(file)
    except errors.HFValidationError as error:
        raise ModelLoadError(f"{file.repository} is not a valid repository name: {error}") from error
    except errors.GatedRepoError as error:
        raise ModelLoadError(
            f"{file.repository} is gated. Accept its terms at {file.url}, then set HF_TOKEN to a token of your account."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise ModelLoadError(
            f"The hub has no repository {file.repository}, or you have no access to it. Check the name at {file.url}; "
            "if it is private, set HF_TOKEN to a token that may read it."
        ) from error
    except errors.RemoteEntryNotFoundError:
        return None
    except (httpx2.HTTPError, errors.XetDownloadError, OSError) as error:
        raise unreachable_error(file, error) from error


def fetch_or_raise(file: HubFile) -> Path | None:
    from huggingface_hub import (
        _CACHED_NO_EXIST,
        get_hf_file_metadata,
        hf_hub_download,
        hf_hub_url,
        try_to_load_from_cache,
    )

    cached = try_to_load_from_cache(file.repository, file.path, revision=file.revision)
    if isinstance(cached, str):
        return Path(cached)
    if file.revision is None:
        # This request fails at once if the hub is unreachable; the download retries for half a minute.
        get_hf_file_metadata(hf_hub_url(file.repository, file.path), timeout=10)
    elif cached is _CACHED_NO_EXIST:
        return None
    return Path(hf_hub_download(file.repository, file.path, revision=file.revision))


def unreachable_error(file: HubFile, error: Exception) -> ModelLoadError:
    from huggingface_hub import constants

    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return ModelLoadError(
        f"{file.path} can't be downloaded from {constants.ENDPOINT}: {reason.rstrip('.')}. "
        f"Download it manually from {file.url}/tree/main and name its path instead, "
        "or set HF_ENDPOINT to a reachable hub."
    )
