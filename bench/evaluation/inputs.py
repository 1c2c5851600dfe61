"""Inputs of the application loads, always the same: inputs.py DIRECTORY."""
import math
import struct
import sys
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parent.parent / "programs"


class Random:
    """xorshift32."""

    def __init__(self, seed):
        self.state = seed

    def below(self, limit):
        x = self.state
        x ^= x << 13 & 0xffffffff
        x ^= x >> 17
        x ^= x << 5 & 0xffffffff
        self.state = x
        return x % limit


def text(words_wanted):
    """Something like prose: words of a made-up language, the frequent ones often."""
    random = Random(7)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "is")]
    vocabulary = ["".join(syllables[random.below(len(syllables))] for _ in range(1 + random.below(4))) for _ in range(3000)]
    out, line = [], []
    for number in range(words_wanted):
        line.append(vocabulary[random.below(1 + random.below(len(vocabulary)))])
        if len(line) == 12:
            out.append(" ".join(line) + (".\n" if number % 5 == 0 else "\n"))
            line = []
    return "".join(out)


def image(width, height):
    """A PPM with gradients, waves and noise."""
    random = Random(11)
    pixels = bytearray()
    for y in range(height):
        for x in range(width):
            wave = 60 * math.sin(x / 17) * math.cos(y / 23)
            pixels += bytes((int(128 + wave) % 256, (x * 255 // width + random.below(8)) % 256, (y * 255 // height) % 256))
    return b"P6\n%d %d\n255\n" % (width, height) + bytes(pixels)


def sound(seconds, rate, channels):
    """A WAV of some tones and noise."""
    random = Random(13)
    samples = bytearray()
    for n in range(seconds * rate):
        t = n / rate
        value = sum(4000 / k * math.sin(2 * math.pi * 220 * k * t * (1 + 0.001 * int(t * 4))) for k in (1, 2, 3, 5))
        for _ in range(channels):
            samples += struct.pack("<h", int(value) + random.below(400) - 200)
    header = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + len(samples), b"WAVE", b"fmt ", 16, 1, channels, rate,
                         rate * channels * 2, channels * 2, 16, b"data", len(samples))
    return header + bytes(samples)


SQL = """
create table t (id integer primary key, k integer, v text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 40000)
  insert into t select i, (i * 7919) % 10007, 'value ' || (i * 31 % 997) from n;
create index tk on t (k);
select count(*), sum(k) from t where k between 100 and 5000;
select v, count(*), avg(k) from t group by v order by 2 desc, 1 limit 5;
select count(*) from t a join t b on a.k = b.id where b.v like '%9%';
update t set v = v || '!' where k % 3 = 0;
delete from t where id % 5 = 0;
select count(*), sum(length(v)) from t;
"""

PYTHON = """
import re
words = open('/work/text').read().split()
counts = {}
for word in words:
    counts[word] = counts.get(word, 0) + 1
print(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5])
print(sum(len(match) for match in re.findall('[a-m]+', ' '.join(words[:20000]))))

class Tree:
    def __init__(self, depth):
        self.children = [Tree(depth - 1), Tree(depth - 1)] if depth else []
    def size(self):
        return 1 + sum(child.size() for child in self.children)
print(Tree(13).size())
primes = [n for n in range(2, 12000) if all(n % d for d in range(2, int(n ** 0.5) + 1))]
print(len(primes), sum(i * i % 97 for i in range(200000)))
"""

PERL = """
open(my $f, '<', '/work/text'); my (%counts, $n);
while (<$f>) { for my $w (split) { $counts{$w}++; $n++ if $w =~ /^(.*?)(..)\\2/; tr/a-m/n-z/ for my $c = $w; } }
print join(' ', map { "$_=$counts{$_}" } (sort { $counts{$b} <=> $counts{$a} || $a cmp $b } keys %counts)[0..4]), " $n\\n";
"""


def main(directory):
    prose = text(120_000)
    (directory / "text").write_text(prose)
    (directory / "page.1").write_text(".TH TEXT 1\n" + "".join(
        f".SH Section {n}\n.PP\n{part}\n" for n, part in enumerate(prose[:120_000].split(".\n"))))
    (directory / "image.ppm").write_bytes(image(800, 600))
    (directory / "sound.wav").write_bytes(sound(8, 44100, 2))
    (directory / "speech.raw").write_bytes(sound(60, 8000, 1)[44:])
    (directory / "load.sql").write_text(SQL)
    (directory / "load.py").write_text(PYTHON)
    (directory / "load.pl").write_text(PERL)
    (directory / "data").write_bytes((prose * 12).encode()[:8 << 20])
    sources = directory / "c"
    sources.mkdir(exist_ok=True)
    for path in [*PROGRAMS.glob("*.h"), *PROGRAMS.glob("*.inc"), *PROGRAMS.glob("*.c")]:
        (sources / path.name).write_bytes(path.read_bytes())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
