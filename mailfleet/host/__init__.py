"""What a mail host is to be: files, packages, units, ports. Pure, but for the templates it reads."""
