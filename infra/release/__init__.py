"""How a release is made: what Cloud Build runs, and what anyone can run by hand."""
