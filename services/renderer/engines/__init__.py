"""Engines turn the files of an app into a bundle, each in a killable, limited child without network."""

from services.renderer.engines.pool import Bundle, Engines

__all__ = ["Bundle", "Engines"]
