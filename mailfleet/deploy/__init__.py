"""What happens in a run of pyinfra."""
