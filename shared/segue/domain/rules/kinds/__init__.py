"""The kinds of condition: one file each, with what it keeps and when it holds."""
