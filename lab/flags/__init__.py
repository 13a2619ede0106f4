"""
Which flags and configuration fields each minor's components have: `make flags`, kept in tests/data/flags/.

The real programs are built from their modules and asked, with one change: `--help` tells what show.go collects.
"""
