"""`python -m ihuyi_voice.cli`: the command where no script of its name is installed."""

from ihuyi_voice.cli import main

if __name__ == "__main__":
    main()
