"""The state of a machine: each fact is one command, however many things it reads."""
