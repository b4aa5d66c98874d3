"""What `sshd -T` does not tell: exceptions from the global settings, for some users or clients."""

EXCEPTIONS = r"""
exceptions() {
  awk '
    FNR == 1 { match_line = "" }
    { sub(/[ \t]#.*/, ""); sub(/=/, " ") }
    tolower($1) == "match" { match_line = $0 }
    match_line != "" && tolower($1) == "authenticationmethods" {
      for (i = 2; i <= NF; i++)
        if ($i !~ /publickey/) { print FILENAME ": " match_line ": " $0; next }
    }' "$@"
}""".strip()
"""Shell: defines `exceptions FILE...`, which prints where somebody comes in without a key.

With `AuthenticationMethods publickey` for all, nothing else below a Match line can let them in.
"""
