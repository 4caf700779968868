"""`python -m emulator`: the `segue` command, of this tree."""

from emulator.command import main

if __name__ == "__main__":
    main(prog_name="segue")
