"""Drawings in SVG, whose text keeps its size on a phone: places across are in percent, heights in pixels."""
