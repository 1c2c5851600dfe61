#pragma once
// Random cases for a table line.
#include <random>
#include <string_view>

#include "oracle/case.h"

namespace armvisor::oracle {

using Random = std::mt19937_64;

/// A random instruction of this line in a random state. `as_thumb`: for lines of simd.inc, the T32 form.
Case generate(const frontend::Encoding& e, bool as_thumb, Random& random);

enum class Mix : u8 { All, Simd };  ///< lines of all kinds, or mostly VFP and Advanced SIMD

/// `length` instructions that neither branch nor change mode, one behind the other.
Case generate_sequence(bool thumb, u32 length, Random& random, Mix mix = Mix::All);

/// A loop of a few rounds around two sequences, the second of which is skipped on a condition.
struct Loop {
  Case code;
  u32 counter;  // the register that counts its rounds down
};
Loop generate_loop(bool thumb, Random& random, Mix mix);

/// The code of `c` in another random state.
Case vary(const Case& c, Random& random);

/// The line that the word of `c` decodes to: a more specific one may own it.
const frontend::Encoding* owner_of(const Case& c);

/// Why Unicorn cannot judge the line; empty where it can.
std::string_view exclusion(const frontend::Encoding& e);

/// Why Unicorn cannot judge this case of a line that it can judge otherwise; null where it can.
const char* exclusion(const Case& c);

}  // namespace armvisor::oracle
