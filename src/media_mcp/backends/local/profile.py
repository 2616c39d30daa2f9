"""What the table `[environment]` of a backend.toml says: the Python environment of a place."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from media_mcp.backends.local.interpreters import clauses


class Profile(BaseModel):
    """A Python (`>=3.11,<3.13`) and what is installed into an environment of it.

    `requirements` and `constraints` are lines as pip reads them, `indexes` more places where it
    looks for packages. `notice` is shown before anything is installed: licences, sizes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    python: str = ">=3.11"
    requirements: tuple[str, ...] = Field(min_length=1)
    constraints: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    notice: str = ""

    @field_validator("python")
    @classmethod
    def _is_a_version(cls, given: str) -> str:
        clauses(given)
        return given
