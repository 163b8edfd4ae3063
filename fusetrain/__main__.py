"""`python -m fusetrain`, so that launchers which start modules work."""

from fusetrain.cli.app import main

if __name__ == "__main__":
    main()
