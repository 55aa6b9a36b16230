"""Worlds for hostile input: the same as in the stories."""

from tests.stories.conftest import each_way_world, world

__all__ = ["each_way_world", "world"]
