"""Size limits and their errors."""

from .errors import ApiError, invalid

METADATA_PAIRS, METADATA_KEY, METADATA_VALUE = 16, 64, 512


def check_metadata(metadata: dict[str, str] | None, path: str = "metadata") -> None:
    pairs = metadata or {}
    if len(pairs) > METADATA_PAIRS:
        raise invalid(
            f"Invalid '{path}': too many properties. Expected an object with at most "
            f"{METADATA_PAIRS} properties, but got an object with {len(pairs)} properties instead.",
            code="object_above_max_properties",
            param=path,
        )
    for key, value in pairs.items():
        if len(key) > METADATA_KEY:
            raise too_long(f"{path}.{key[:16]}...", METADATA_KEY, len(key))
        if len(value) > METADATA_VALUE:
            raise too_long(f"{path}.{key}", METADATA_VALUE, len(value))


def too_long(path: str, limit: int, length: int) -> ApiError:
    return invalid(
        f"Invalid '{path}': string too long. Expected a string with maximum length {limit}, "
        f"but got a string with length {length} instead.",
        code="string_above_max_length",
        param=path,
    )


def too_many(path: str, limit: int, length: int) -> ApiError:
    return invalid(
        f"Invalid '{path}': array too long. Expected an array with maximum length {limit}, "
        f"but got an array with length {length} instead.",
        code="array_above_max_length",
        param=path,
    )
