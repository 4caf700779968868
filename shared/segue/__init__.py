"""Segue: what visitors do, turned into segments at the moment they do it."""
