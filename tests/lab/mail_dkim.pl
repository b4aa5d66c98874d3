# What Mail::DKIM says of messages: mail_dkim.pl RESOLVER < list of files, a line for each.
# It prints, for each file, the result of the signature of each domain: `FILE DOMAIN RESULT ...`.
use strict;
use warnings;
use Mail::DKIM::DNS;
use Mail::DKIM::Verifier;
use Net::DNS::Resolver;

Mail::DKIM::DNS::resolver(Net::DNS::Resolver->new(nameservers => [$ARGV[0]], recurse => 1));
while (my $path = <STDIN>) {
    chomp $path;
    my $judge = Mail::DKIM::Verifier->new();
    open(my $file, '<:raw', $path) or die "$path: $!";
    while (my $line = <$file>) {
        $line =~ s/\r?\n$/\r\n/;
        $judge->PRINT($line);
    }
    $judge->CLOSE;
    print join(' ', $path, map { $_->domain . ' ' . $_->result } grep { $_->domain } $judge->signatures), "\n";
}
