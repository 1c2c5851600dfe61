// A state machine that reads numbers, words and comments from text, by nested switches.
#include "text.h"

enum { k_size = 64 * 1024 };
enum State { Start, Sign, Integer, Point, Fraction, Exponent, ExponentDigits, Word, Invalid, k_states };

static char text[k_size];

static enum State step(enum State state, char c) {
  int digit = c >= '0' && c <= '9';
  if (c == ' ' || c == '\n' || c == ',') return Start;
  switch (state) {
    case Start:
      if (digit) return Integer;
      if (c == '+' || c == '-') return Sign;
      if (c == '.') return Point;
      return c >= 'a' && c <= 'z' ? Word : Invalid;
    case Sign:
      if (digit) return Integer;
      return c == '.' ? Point : Invalid;
    case Integer:
      if (digit) return Integer;
      if (c == '.') return Fraction;
      return c == 'e' ? Exponent : Invalid;
    case Point:
      return digit ? Fraction : Invalid;
    case Fraction:
      if (digit) return Fraction;
      return c == 'e' ? Exponent : Invalid;
    case Exponent:
      return digit || c == '-' || c == '+' ? ExponentDigits : Invalid;
    case ExponentDigits:
      return digit ? ExponentDigits : Invalid;
    case Word:
      return digit || (c >= 'a' && c <= 'z') ? Word : Invalid;
    default:
      return Invalid;
  }
}

uint64_t program_fsm(unsigned iterations) {
  static const char symbols[] = "0123456789";
  uint32_t random = 41;
  make_text(text, k_size, 4321);
  for (unsigned i = 0; i < k_size; ++i) {  // numbers in place of half of the words
    if (next_random(&random) % 3 == 0 || text[i] < 'a') continue;
    unsigned kind = random >> 16 & 31;
    text[i] = kind < 28 ? symbols[random >> 8 & 7] : kind == 28 ? '.' : kind == 29 ? 'e' : kind == 30 ? '-' : text[i];
  }
  uint64_t sum = 0;
  for (unsigned n = 0; n < iterations; ++n) {
    unsigned entered[k_states] = {0};
    enum State state = Start;
    for (unsigned i = n % 32; i < k_size; ++i) {
      enum State next = step(state, text[i]);
      entered[next] += next != state;
      state = next;
    }
    for (int i = 0; i < k_states; ++i) sum = mix(sum, entered[i]);
  }
  return sum;
}
