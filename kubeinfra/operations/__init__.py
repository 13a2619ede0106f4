"""The operations that pyinfra lacks. Each says what it will do before its first command, so a plan shows it."""
