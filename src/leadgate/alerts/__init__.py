"""What is wrong, told once to the right person: states, messages, channels."""
