"""What is on a machine: each fact is one command, whatever the number of things it answers for."""
