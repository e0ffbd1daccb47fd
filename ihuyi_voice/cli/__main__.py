"""`python -m ihuyi_voice.cli`: the command where no script of its name is installed."""

from ihuyi_voice.cli import main

main()
