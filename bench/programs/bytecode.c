// An interpreter of a small stack machine, running programs of it: the Collatz sequence, and sums over an array.
#include "program.h"

enum Op { Push, Load, Store, Get, Put, Add, Sub, Mul, And, Shr, Less, Jump, JumpZero, Swap, Duplicate, Halt };
enum { k_cells = 64 };

static const int32_t collatz[] = {
    Push, 0, Store, 1,                                         // 0: steps = 0
    Load, 0, Push, 2, Less, JumpZero, 12, Halt,                // 4: while n >= 2
    Load, 0, Push, 1, And, JumpZero, 31,                       // 12: if n is odd
    Load, 0, Push, 3, Mul, Push, 1, Add, Store, 0, Jump, 38,   // 19: n = 3 * n + 1
    Load, 0, Push, 1, Shr, Store, 0,                           // 31: else n = n >> 1
    Load, 1, Push, 1, Add, Store, 1, Jump, 4,                  // 38: ++steps
};
static const int32_t sums[] = {
    Push, 0, Store, 1, Push, 8, Store, 2,        // 0: sum = 0, i = 8
    Load, 2, Push, k_cells, Less, JumpZero, 37,  // 8: while i < cells
    Load, 2, Get, Load, 1, Add, Store, 1,        // 15: sum += cells[i]
    Load, 1, Load, 2, Put,                       // 23: cells[i] = sum
    Load, 2, Push, 1, Add, Store, 2, Jump, 8,    // 28: ++i
    Halt,                                        // 37
};

static int32_t cells[k_cells];

static int32_t wrap_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }

static void interpret(const int32_t *code) {
  int32_t stack[16], *top = stack;
  for (const int32_t *pc = code;;) {
    switch ((enum Op)*pc++) {
      case Push: *++top = *pc++; break;
      case Load: *++top = cells[*pc++]; break;
      case Store: cells[*pc++] = *top--; break;
      case Get: *top = cells[*top & (k_cells - 1)]; break;
      case Put: cells[top[0] & (k_cells - 1)] = top[-1]; top -= 2; break;
      case Add: top[-1] = wrap_add(top[-1], top[0]); --top; break;
      case Sub: top[-1] = wrap_add(top[-1], -top[0]); --top; break;
      case Mul: top[-1] = (int32_t)((uint32_t)top[-1] * (uint32_t)top[0]); --top; break;
      case And: top[-1] &= top[0]; --top; break;
      case Shr: top[-1] = (int32_t)((uint32_t)top[-1] >> top[0]); --top; break;
      case Less: top[-1] = top[-1] < top[0]; --top; break;
      case Jump: pc = code + *pc; break;
      case JumpZero: pc = *top-- ? pc + 1 : code + *pc; break;
      case Swap: { int32_t t = top[0]; top[0] = top[-1]; top[-1] = t; break; }
      case Duplicate: top[1] = top[0]; ++top; break;
      case Halt: return;
    }
  }
}

uint64_t program_bytecode(unsigned iterations) {
  uint64_t sum = 0;
  for (unsigned n = 0; n < iterations; ++n) {
    for (int32_t i = 8; i < k_cells; ++i) cells[i] = i * (int32_t)(n + 1);
    for (int32_t start = 1; start < 60; ++start) {
      cells[0] = start;
      interpret(collatz);
      sum = mix(sum, (uint32_t)cells[1]);
      interpret(sums);
      sum = mix(sum, (uint32_t)cells[1]);
    }
  }
  return sum;
}
