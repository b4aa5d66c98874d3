"""How a script on a host finds out by which SSH connection it was started."""

CONNECTION = r"""
pid=$$ from=${SSH_CONNECTION:-}
while [ -z "$from" ] && [ "$pid" -gt 1 ]; do
  from=$(tr '\0' '\n' < "/proc/$pid/environ" 2>/dev/null | sed -n 's/^SSH_CONNECTION=//p')
  pid=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$pid/status")
done""".strip()
"""Shell: sets `from` to "client port, server port" as SSH_CONNECTION has it; empty without SSH.

sudo hides the variable, but not from root: an ancestor has it.
"""
