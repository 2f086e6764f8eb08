# Hashes, arrays, strings and closures; SIZE is the argument.
use strict;
use warnings;

my $size = shift;
my (%hash, @list);

for my $i (1 .. 30000 * $size) {
    my $key = "k" . ($i * 7919 % (12000 * $size));
    push @{ $hash{$key}{list} }, $i;
    $hash{$key}{text} .= "$i,";
    delete $hash{ "k" . ($i * 31 % (12000 * $size)) } if $i % 3 == 0;
}
my ($count, $length) = (0, 0);
for my $key (keys %hash) {
    $count += @{ $hash{$key}{list} };
    $length += length $hash{$key}{text};
}
print "$count $length\n";

for my $round (1 .. $size) {
    @list = map { { number => $_, name => "name $_", next => undef } }
        1 .. 5000;
    $list[$_]{next} = $list[ $_ + 1 ] for 0 .. $#list - 1;
    @list = sort { $b->{name} cmp $a->{name} } @list;
}
print join(" ", map { $_->{number} } @list[0 .. 9]), "\n";

my $text = join " ", map { "word" . ($_ % 997) } 1 .. 20000 * $size;
my %words;
$words{$_}++ for split / /, $text;
$text =~ s/(\d+)/<$1>/g;
print scalar(keys %words), " ", length $text, "\n";

my @closures = map { my $n = $_; sub { $n += shift } } 1 .. 5000 * $size;
my $sum = 0;
$sum += $_->(2) for @closures;
print "$sum\n";
