"""The image without a container engine: what its Dockerfile says, carried out in a folder."""
