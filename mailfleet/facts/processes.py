"""What /proc tells of a process, for the commands that ask hosts and change them."""

PROCESS = """\
# The deepest unit: a service below a user's manager is named before the manager.
unit_of() { grep -oE '[^/]+\\.(service|scope)' "/proc/$1/cgroup" 2>/dev/null | tail -n 1; }
command_of() { tr '\\0\\n' '  ' < "/proc/$1/cmdline" 2>/dev/null | cut -c 1-120; }
"""
"""Shell: functions that print the unit and the command line of a pid; nothing where they are unknown."""
