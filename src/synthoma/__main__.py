"""``python -m synthoma``: the command, where the folder of scripts is not on the path."""

from synthoma.commands.app import main

if __name__ == "__main__":
    main()
