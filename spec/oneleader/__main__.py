"""`python -m oneleader`: the command."""

from oneleader.cli.main import main

if __name__ == "__main__":
    main()
